package store

import (
	"context"
	"database/sql"
	"fmt"
	"maps"
	"time"

	"duewatch/reminder"
	"duewatch/store/db"
)

// IntentCheck is what was found out about committed intents right before they
// are handed to the provider.
type IntentCheck struct {
	Stop *reminder.Stop // no text may leave; nil = they may
	// Changed says, by the ids of texts, what has changed since they were decided.
	// Such a text is given back, and decided anew.
	Changed map[int64]string
}

// answerSlack is by how much later an answer of Almara Pay may be recorded than it came:
// checked_at is when it came. One that came before a decision and was recorded after it
// would be missed without that.
const answerSlack = time.Minute

// stillSendingSQL reads the intents that are still there. One that was given up for that of a dead process
// may be unlinked from its reminders by now, which another text is about; one that a standby lacked
// when it took the place of the primary is not there at all.
var stillSendingSQL = db.NewBatch("SELECT id FROM texts WHERE id IN (%s) AND state = 'sending'", 0, db.Integer)

// changedPartsSQL reads, of the bills of many texts, those that cannot be texted as
// they are, and those of which Almara Pay may have said something since. Nearly
// always there are none. The || is explained at factsSQL.
var changedPartsSQL = db.NewBatch(`SELECT t.id, b.id, t.phone = b.phone, b.state, b.balance, b.due_date,
		coalesce((SELECT max(reason) FROM opt_outs WHERE phone = b.phone AND (service || '' = '' OR service || '' = b.service)), '')
	FROM texts t CROSS JOIN reminders r CROSS JOIN bills b
	WHERE t.id IN (%s) AND r.text_id = t.id AND b.id = r.bill_id
		AND (t.phone <> b.phone OR b.state <> 'active' OR b.checked_at >= ?1
		OR EXISTS (SELECT 1 FROM opt_outs WHERE phone = b.phone AND (service || '' = '' OR service || '' = b.service)))`, 1, db.Integer)

// CheckIntents tests once more the intents of texts, and what they rest on: stops,
// opt-outs, pauses, and what Almara Pay has said of their bills since the decision. It
// reads the last commit, of whatever process, by four statements for hundreds of
// texts, and a fifth while a pause is unfinished.
func (s *Store) CheckIntents(ctx context.Context, now time.Time, texts []*Text) (c IntentCheck, err error) {
	stops, err := stopsAt(s.read(ctx), now)
	if err != nil {
		return c, fmt.Errorf("check intents: read stops: %w", err)
	}
	if len(stops) > 0 {
		c.Stop = &stops[0].Stop
		return c, nil
	}
	ids := make([]int64, 0, len(texts))
	textOf := make(map[int64]*Text, len(texts))
	decided := now
	for _, t := range texts {
		ids, textOf[t.ID] = append(ids, t.ID), t
		if t.Decided.Before(decided) {
			decided = t.Decided
		}
	}
	change := func(textID int64, why string) {
		if c.Changed == nil {
			c.Changed = make(map[int64]string)
		}
		c.Changed[textID] = why
	}
	err = s.view(ctx, func(t *tx) error {
		pauseUnfinished, err := t.anyPauseUnfinished(now)
		if err != nil {
			return err
		}
		var textID, billID int64
		gone := maps.Clone(textOf)
		if err := db.QueryBatch(t.Tx, stillSendingSQL, ids, db.ID, []sql.Scanner{db.NumberTo(&textID)}, func() error {
			delete(gone, textID)
			return nil
		}); err != nil {
			return err
		}
		for id := range gone {
			change(id, "its intent was given back, or taken for that of a dead process")
		}
		if pauseUnfinished {
			// Before the bills are read: a page of the pause that is committed in between
			// pauses bills. Read afterwards, such a bill could be seen active by the one
			// statement, and as reached by the other.
			if err := db.QueryBatch(t.Tx, notReachedPartsSQL, ids, db.ID, []sql.Scanner{db.NumberTo(&textID)}, func() error {
				change(textID, "a pause of its service or phone holds for the bill by now")
				return nil
			}, now.UnixMilli()); err != nil {
				return err
			}
		}
		var b billNow // each in turn
		columns := []sql.Scanner{
			db.NumberTo(&textID), db.NumberTo(&billID), db.FlagTo(&b.samePhone), db.TextTo(&b.state),
			moneyColumn{&b.balance}, dayColumn{&b.dueDate}, db.TextTo(&b.optOut),
		}
		return db.QueryBatch(t.Tx, changedPartsSQL, ids, db.ID, columns, func() error {
			if why := b.differs(textOf[textID].part(billID)); why != "" && gone[textID] == nil {
				change(textID, why)
			}
			return nil
		}, decided.Add(-answerSlack).UnixMilli())
	})
	if err != nil {
		return c, fmt.Errorf("check intents: %w", err)
	}
	return c, nil
}

// part is that of a bill, nil when the text is not about it.
func (t *Text) part(billID int64) *Part {
	for i := range t.Parts {
		if t.Parts[i].BillID == billID {
			return &t.Parts[i]
		}
	}
	return nil
}

// billNow is what a bill that an intent is about has come to.
type billNow struct {
	samePhone bool
	state     reminder.BillState
	balance   *reminder.Money
	dueDate   reminder.Date
	optOut    reminder.Reason
}

// differs says what is no longer as the part was decided on; "" = nothing.
func (b billNow) differs(p *Part) string {
	switch {
	case p == nil:
		return "another bill was added to it"
	case b.optOut != "":
		return "its phone must not be texted any more: " + b.optOut.Info().Means
	case b.state != reminder.BillActive:
		return "the bill is " + string(b.state) + " by now"
	case !b.samePhone:
		return "the bill has another phone by now"
	case b.dueDate != p.DueDate:
		return "the due date has moved"
	case (b.balance == nil) != (p.Balance == nil), b.balance != nil && !b.balance.Equal(*p.Balance):
		return "the balance has changed"
	}
	return ""
}
