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

// sameBodyFor is for how long no two texts of one phone may have the same words:
// longer than one of them is looked for in the provider's list by its words.
const sameBodyFor = 3 * 24 * time.Hour

// errNotSendable means that the phone has just had, or may have had, a text of these
// very words, or must not be texted.
var errNotSendable = errors.New("the phone is opted out, or has just had these words")

// intents is the statement that writes intents for texts about so many services
// each. An opt-out is a reason not to get here; it is tested again, so that
// whatever is decided, no text to such a phone can be written.
func intents(services int) *db.Batch {
	columns := []db.Type{db.Text, db.Integer, db.Text, db.Text, db.Text, db.Integer, db.Integer, db.Integer}
	names, within := "", "o.service || '' = ''"
	for i := range services {
		columns = append(columns, db.Text)
		names += fmt.Sprintf(", s%d", i)
		within += fmt.Sprintf(" OR o.service || '' = v.s%d", i)
	}
	return db.NewBatch(`WITH v (phone, phone_id, sent_to, body, language, segments, planned_at, not_after`+names+`) AS (VALUES %s)
		INSERT INTO texts (phone, phone_id, sent_to, body, language, segments, state, owner, lease_until, planned_at, not_after, created_at)
		SELECT v.phone, v.phone_id, v.sent_to, v.body, v.language, v.segments, 'sending', ?1, ?2, v.planned_at, v.not_after, ?3 FROM v
		WHERE NOT EXISTS (SELECT 1 FROM texts x WHERE x.phone_id = v.phone_id AND x.created_at >= ?4 AND x.body = v.body AND `+mayHaveArrived+`)
			AND NOT EXISTS (SELECT 1 FROM opt_outs o WHERE o.phone = v.phone AND (`+within+`))
		RETURNING id, phone`, 4, columns...)
}

// intentsOfOne is for texts about one service each, as almost all are.
var intentsOfOne = intents(1)

// intend writes the intents to send the texts that were decided on, no two of
// them to one phone. What it returns stands in the order of all; where there is
// no text it is empty. When any of them would be mistaken for another one, or
// must not be sent, it fails.
func (t *tx) intend(r Round, all []decided) ([]Text, error) {
	texts := make([]Text, len(all))
	some := make([]intent, 0, len(all))
	most := 1
	for i, d := range all {
		if d.bundle.Text != nil {
			n := newIntent(r, d, &texts[i])
			some, most = append(some, n), max(most, len(n.services))
		}
	}
	if err := t.addPhones(some); err != nil {
		return nil, err
	}
	statement := intentsOfOne
	if most > 1 {
		statement = intents(most)
	}
	return texts, t.writeIntents(r, statement, some, most)
}

// intent is a text that is about to be written, and the services it is about.
type intent struct {
	*Text
	phone    reminder.Phone
	phoneID  int64
	planned  time.Time
	services []string
}

func newIntent(r Round, d decided, to *Text) intent {
	j, o := d.bundle, d.bundle.Text
	n := intent{Text: to, phone: j.Items[0].Bill.Phone, phoneID: d.phoneID, planned: o.Planned}
	*to = Text{
		To: o.To, Body: o.Body, Language: o.Language, Segments: o.Count.Segments, Decided: r.Now, NotAfter: o.NotAfter,
		Parts: make([]Part, 0, len(j.Items)),
	}
	for _, s := range j.Items {
		to.Parts = append(to.Parts, Part{
			BillID: s.Bill.ID, Service: s.Bill.Service, Account: s.Bill.Account, DueDate: s.Bill.DueDate,
			Stage: s.Text.Stage, Reason: s.Text.Reason, Planned: s.Text.Planned, Balance: s.Bill.Balance, BalanceAt: s.Bill.BalanceAt, WithAmount: s.Text.WithAmount,
			Verified: s.Bill.Verified,
		})
		if !slices.Contains(n.services, s.Bill.Service) {
			n.services = append(n.services, s.Bill.Service)
		}
	}
	return n
}

var newPhones = db.NewBatch("INSERT INTO phones (number) VALUES %s RETURNING phone_id, number", 0, db.Text)

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
	err := db.QueryBatch(t.Tx, newPhones, numbers, func(args []any, number string) []any { return append(args, number) },
		[]sql.Scanner{db.NumberTo(&id), db.TextTo(&number)}, func() error {
			fresh[number].phoneID = id
			return nil
		})
	if err != nil {
		return fmt.Errorf("write phones: %w", err)
	}
	return nil
}

// writeIntents writes them by a statement for texts about so many services each, and
// gives the texts their ids.
func (t *tx) writeIntents(r Round, statement *db.Batch, all []intent, services int) error {
	of := make(map[string]*Text, len(all))
	for _, n := range all {
		of[n.phone.E164()] = n.Text
	}
	row := func(args []any, n intent) []any {
		args = append(args, n.phone.E164(), n.phoneID, n.To.E164(), n.Body, n.Language, int64(n.Segments), n.planned.UnixMilli(), n.NotAfter.UnixMilli())
		for i := range services {
			args = append(args, n.services[min(i, len(n.services)-1)])
		}
		return args
	}
	var id int64 // each in turn
	var phone string
	written := 0
	err := db.QueryBatch(t.Tx, statement, all, row, []sql.Scanner{db.NumberTo(&id), db.TextTo(&phone)}, func() error {
		of[phone].ID = id
		written++
		return nil
	}, r.Claim.Owner, r.Now.Add(r.Claim.Lease).UnixMilli(), r.Now.UnixMilli(), r.Now.Add(-sameBodyFor).UnixMilli())
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
	bill *reminder.Bill
	due  string // its due date
	reminder.Record
	textID int64 // of the text that is sent now, 0 = none
}

// linkedText is the text of the very stage: one that this look skips has no part
// in the text of another.
func (r stageRecord) linkedText() int64 {
	if r.Outcome == reminder.Texted {
		return r.textID
	}
	return 0
}

var addRecords = db.NewBatch(`WITH v (bill_id, due_date, stage, outcome, reason, text_id) AS (VALUES %s)
	INSERT INTO reminders (bill_id, due_date, stage, outcome, reason, text_id, decided_at) SELECT v.*, ?1 FROM v WHERE true
	ON CONFLICT (bill_id, due_date, stage) DO UPDATE
		SET outcome = excluded.outcome, reason = excluded.reason, text_id = excluded.text_id, decided_at = excluded.decided_at
		WHERE reminders.outcome = 'held'`, 1,
	db.Integer, db.Text, db.Integer, db.Text, db.Text, db.Integer)

// record writes what became of stages, each of which is news.
func (t *tx) record(all []stageRecord, now time.Time) error {
	n, err := db.ExecBatch(t.Tx, addRecords, all, func(args []any, r stageRecord) []any {
		return append(args, r.bill.ID, r.due, int64(r.Stage), string(r.Outcome), string(r.Reason), positive(r.linkedText()))
	}, now.UnixMilli())
	if err == nil && n < int64(len(all)) {
		err = errSettledStage // which one is found one after the other
	}
	if err != nil {
		return fmt.Errorf("write records: %w", err)
	}
	_, err = db.ExecBatch(t.Tx, addEvents, all, func(args []any, r stageRecord) []any {
		return ofEvent(args, Event{
			At: now, BillID: r.bill.ID, TextID: r.linkedText(), What: string(r.Outcome), Reason: string(r.Reason),
			Detail: r.Stage.String() + ", due " + r.due + ": " + orElse(r.Detail, r.Reason.Info().Means),
		})
	})
	return err
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
