package store

import (
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"duewatch/reminder"
	"duewatch/store/db"
)

// sameBodyFor is for how long no two texts of one phone may have the same body:
// longer than a text is searched for by its body in the provider's list.
const sameBodyFor = 3 * 24 * time.Hour

// errNotSendable means that the phone has just had, or may have had, a text of this
// very body, or must not be texted.
var errNotSendable = errors.New("the phone is opted out, or has just had these words")

// intentsSQL writes intents for texts about up to so many services each, s0 to sN; a
// text about fewer names its last one again. A phone that is opted out should not get
// here. It is tested again so that, whatever is decided, no text to it can be written.
func intentsSQL(services int) *db.Batch {
	types := []db.Type{db.Text, db.Integer, db.Text, db.Text, db.Text, db.Integer, db.Integer, db.Integer}
	columns, optedOut := "", "o.service || '' = ''"
	for i := range services {
		types = append(types, db.Text)
		columns += fmt.Sprintf(", s%d", i)
		optedOut += fmt.Sprintf(" OR o.service || '' = v.s%d", i)
	}
	return db.NewBatch(`WITH v (phone, phone_id, sent_to, body, language, segments, planned_at, not_after`+columns+`) AS (VALUES %s)
		INSERT INTO texts (phone, phone_id, sent_to, body, language, segments, state, owner, lease_until, planned_at, not_after, created_at)
		SELECT v.phone, v.phone_id, v.sent_to, v.body, v.language, v.segments, 'sending', ?1, ?2, v.planned_at, v.not_after, ?3 FROM v
		WHERE NOT EXISTS (SELECT 1 FROM texts x
				WHERE x.phone_id = v.phone_id AND x.created_at >= ?4 AND x.body = v.body AND `+mayHaveArrived+`)
			AND NOT EXISTS (SELECT 1 FROM opt_outs o WHERE o.phone = v.phone AND (`+optedOut+`))
		RETURNING id, phone`, 4, types...)
}

// oneServiceIntentsSQL is for texts about one service each, as almost all are.
var oneServiceIntentsSQL = intentsSQL(1)

// hadBody reports whether the phone has just had, or may have had, a text of this very
// body: intentsSQL then writes no intent.
func (d *decider) hadBody(phoneID int64, body string) (had bool, err error) {
	err = d.Row("SELECT EXISTS (SELECT 1 FROM texts x WHERE x.phone_id = ?1 AND x.created_at >= ?2 AND x.body = ?3 AND "+mayHaveArrived+")",
		phoneID, d.Now.Add(-sameBodyFor).UnixMilli(), body).Scan(&had)
	if err != nil {
		return false, fmt.Errorf("look for a text of the same body: %w", err)
	}
	return had, nil
}

// writeIntents writes the intents to send the texts that were decided on, no two of
// them to one phone. The texts stand in the order of the decisions; where there is
// none, it has no id. When the phone of any of them is opted out, or has had its body
// within sameBodyFor, writeIntents fails with errNotSendable.
func (d *decider) writeIntents(decisions []decision) ([]Text, error) {
	texts := make([]Text, len(decisions))
	intents := make([]intent, 0, len(decisions))
	services := 1
	for i, decided := range decisions {
		if decided.bundle.Text != nil {
			texts[i] = newText(decided.bundle, d.Now)
			n := newIntent(decided, &texts[i])
			intents, services = append(intents, n), max(services, len(n.services))
		}
	}
	if err := d.addPhones(intents); err != nil {
		return nil, err
	}
	return texts, d.insertIntents(intents, services)
}

// newText is the text of a bundle, without an id.
func newText(b reminder.Bundle, now time.Time) Text {
	text := Text{
		To: b.Text.To, Body: b.Text.Body, Language: b.Text.Language, Segments: b.Text.Count.Segments,
		Decided: now, NotAfter: b.Text.NotAfter, Parts: make([]Part, 0, len(b.Items)),
	}
	for _, item := range b.Items {
		text.Parts = append(text.Parts, Part{
			BillID: item.Bill.ID, Service: item.Bill.Service, Account: item.Bill.Account, DueDate: item.Bill.DueDate,
			Stage: item.Text.Stage, Reason: item.Text.Reason, Planned: item.Text.Planned,
			Balance: item.Bill.Balance, BalanceAt: item.Bill.BalanceAt, WithAmount: item.Text.WithAmount, Verified: item.Bill.Verified,
		})
	}
	return text
}

// intent is a row of texts that is about to be written: the Text that is handed out
// afterwards, and what only the row needs.
type intent struct {
	*Text
	phone    reminder.Phone // the customer's; the text may be redirected
	phoneID  int64          // 0 = it has none yet
	planned  time.Time
	services []string // that the text is about
}

func newIntent(d decision, text *Text) intent {
	n := intent{Text: text, phone: d.bundle.Items[0].Bill.Phone, phoneID: d.phoneID, planned: d.bundle.Text.Planned}
	for _, part := range text.Parts {
		if !slices.Contains(n.services, part.Service) {
			n.services = append(n.services, part.Service)
		}
	}
	return n
}

var addPhonesSQL = db.NewBatch("INSERT INTO phones (number) VALUES %s RETURNING phone_id, number", 0, db.Text)

// addPhones gives phones that are texted for the first time their ids.
func (t *tx) addPhones(all []intent) error {
	fresh := make(map[string]*intent)
	for i := range all {
		if n := &all[i]; n.phoneID == 0 {
			fresh[n.phone.E164()] = n
		}
	}
	if len(fresh) == 0 {
		return nil
	}
	numbers := slices.Sorted(maps.Keys(fresh)) // one order, whatever that of the map
	var id int64                               // each in turn
	var number string
	err := db.QueryBatch(t.Tx, addPhonesSQL, numbers, func(args []any, number string) []any { return append(args, number) },
		[]sql.Scanner{db.NumberTo(&id), db.TextTo(&number)}, func() error {
			fresh[number].phoneID = id
			return nil
		})
	if err != nil {
		return fmt.Errorf("write phones: %w", err)
	}
	return nil
}

// insertIntents writes intents for texts about up to so many services each, and gives
// the texts their ids.
func (d *decider) insertIntents(all []intent, services int) error {
	statement := oneServiceIntentsSQL
	if services > 1 {
		statement = intentsSQL(services)
	}
	textOf := make(map[string]*Text, len(all))
	for _, n := range all {
		textOf[n.phone.E164()] = n.Text
	}
	row := func(args []any, n intent) []any {
		args = append(args, n.phone.E164(), n.phoneID, n.To.E164(), n.Body, n.Language, int64(n.Segments),
			n.planned.UnixMilli(), n.NotAfter.UnixMilli())
		for i := range services {
			args = append(args, n.services[min(i, len(n.services)-1)])
		}
		return args
	}
	var id int64 // each in turn
	var phone string
	written := 0
	err := db.QueryBatch(d.Tx, statement, all, row, []sql.Scanner{db.NumberTo(&id), db.TextTo(&phone)}, func() error {
		textOf[phone].ID = id
		written++
		return nil
	}, d.Claim.Owner, d.Now.Add(d.Claim.Lease).UnixMilli(), d.Now.UnixMilli(), d.Now.Add(-sameBodyFor).UnixMilli())
	switch {
	case err != nil:
		return fmt.Errorf("write intents: %w", err)
	case written < len(all):
		return errNotSendable
	}
	return nil
}

// stageRecord is what a decision makes of one stage of a bill.
type stageRecord struct {
	bill    *reminder.Bill
	dueDate string
	reminder.StageDecision
	textID int64 // of the text about the bill that is sent now; 0 = there is none
}

// linkedText is the text of this very stage: a stage that is skipped while a later
// one is texted has no part in that text.
func (r stageRecord) linkedText() int64 {
	if r.Outcome == reminder.Texted {
		return r.textID
	}
	return 0
}

// Without WHERE true SQLite takes the ON of ON CONFLICT for that of a join.
var writeRecordsSQL = db.NewBatch(`WITH v (bill_id, due_date, stage, outcome, reason, text_id) AS (VALUES %s)
	INSERT INTO reminders (bill_id, due_date, stage, outcome, reason, text_id, decided_at) SELECT v.*, ?1 FROM v WHERE true
	ON CONFLICT (bill_id, due_date, stage) DO UPDATE
		SET outcome = excluded.outcome, reason = excluded.reason, text_id = excluded.text_id, decided_at = excluded.decided_at
		WHERE reminders.outcome = 'held'`, 1,
	db.Integer, db.Text, db.Integer, db.Text, db.Text, db.Integer)

// writeRecords writes what became of stages, each of which is news.
func (t *tx) writeRecords(all []stageRecord, now time.Time) error {
	n, err := db.ExecBatch(t.Tx, writeRecordsSQL, all, func(args []any, r stageRecord) []any {
		return append(args, r.bill.ID, r.dueDate, int64(r.Stage), string(r.Outcome), string(r.Reason), positive(r.linkedText()))
	}, now.UnixMilli())
	if err == nil && n < int64(len(all)) {
		err = errSettledStage // which one it is shows when each is written alone
	}
	if err != nil {
		return fmt.Errorf("write records: %w", err)
	}
	_, err = db.ExecBatch(t.Tx, addEventsSQL, all, func(args []any, r stageRecord) []any {
		return ofEvent(args, Event{
			At: now, BillID: r.bill.ID, TextID: r.linkedText(), What: string(r.Outcome), Reason: string(r.Reason),
			Detail: nameOfStage(r.Stage, r.dueDate) + orElse(r.Detail, r.Reason.Info().Means),
		})
	})
	return err
}

// nameOfStage is how an event begins that is about a stage.
func nameOfStage(stage reminder.Stage, dueDate string) string {
	return stage.String() + ", due " + dueDate + ": "
}

// errSettledStage cannot happen while a decision and its facts share one
// transaction; it takes the decision back if it does.
var errSettledStage = errors.New("a stage already has a text or was skipped")

func orElse(s, fallback string) string {
	if s == "" {
		return fallback
	}
	return s
}
