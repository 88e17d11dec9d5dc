package store

import (
	"database/sql"
	"fmt"

	"duewatch/reminder"
	"duewatch/store/db"
)

// fact is what is known of a bill that a decision about it rests on.
type fact struct {
	reminder.Case
	sharesPhone bool  // other bills have its phone, and its texts may be about several
	phoneID     int64 // of its phone in phones; 0 = it has none yet, and so no text
}

// failedStates are the states of texts that the customer does not have.
const failedStates = "('refused', 'not_found', 'failed', 'undelivered', 'canceled')"

// mayHaveArrived is the condition on a text x that the customer has it, or may have it:
// one that failed at the network may have arrived all the same.
const mayHaveArrived = "(x.state NOT IN " + failedStates + " OR x.refused_for = 'may_have_it')"

// factsByID reads bills with what else counts of their phones: an opt-out, which
// outweighs a bad number since it is the customer's word; the texts since ?1 that
// it has had, or may have had; whether it has other bills; and its id in phones.
// The || leaves the two services of an opt-out to be compared: SQLite would fill a
// table with them, for each bill, to look them up in the index.
var factsByID = db.NewBatch("SELECT "+billColumns+`,
		coalesce((SELECT max(reason) FROM opt_outs WHERE phone = b.phone AND (service || '' = '' OR service || '' = b.service)), ''),
		(SELECT count(*) FROM texts x WHERE x.phone_id = p.phone_id AND x.created_at >= ?1 AND `+mayHaveArrived+`),
		EXISTS (SELECT 1 FROM bills o WHERE o.phone = b.phone AND o.id <> b.id), coalesce(phone_id, 0)
	FROM bills b LEFT JOIN phones p ON number = b.phone WHERE id IN (%s)`, 1, db.Integer)

// facts reads those of many bills, in the order of their ids.
func (t *tx) facts(r Round, ids []int64) ([]fact, error) {
	all := make([]fact, 0, len(ids))
	at := make(map[int64]int, len(ids)) // where a bill is in all
	zone := r.Policies.Default.Zone     // of all policies
	midnight := reminder.DateOf(r.Now.In(zone)).At(0, zone).UnixMilli()
	for _, id := range ids {
		at[id] = len(all)
		all = append(all, fact{})
	}
	var f fact // each in turn
	columns := append(columnsOfBill(&f.Bill), db.TextTo(&f.Suppressed), db.NumberTo(&f.TextsToday), db.FlagTo(&f.sharesPhone), db.NumberTo(&f.phoneID))
	err := db.QueryBatch(t.Tx, factsByID, ids, db.ID, columns, func() error {
		f.Asked = r.asked[f.Bill.ID]
		f.sharesPhone = f.sharesPhone && r.Policies.For(f.Bill.Service).Bundle
		all[at[f.Bill.ID]] = f
		return nil
	}, midnight)
	if err != nil {
		return nil, fmt.Errorf("read bills: %w", err)
	}
	for i, id := range ids {
		f := &all[i]
		if f.Bill.ID != id {
			return nil, fmt.Errorf("read bill %d: %w", id, ErrNotFound)
		}
		if r.foreign {
			if f.TextedElsewhere, err = t.textedElsewhere(id); err != nil {
				return nil, err
			}
			more, err := t.foreignMessagesOf(f.Bill.Phone, midnight)
			if err != nil {
				return nil, err
			}
			f.TextsToday += more
		}
	}
	for i := range all {
		if f := &all[i]; r.refused {
			if f.RefusedUntil, f.RefusedFor, err = t.refusedUntil(f.Bill.Phone, r.Now); err != nil {
				return nil, err
			}
		}
	}
	due := make([]dueBill, 0, len(ids))
	for _, f := range all {
		if !f.Bill.DueDate.IsZero() {
			due = append(due, dueBill{f.Bill.ID, f.Bill.DueDate})
		}
	}
	var moved []beforeMove
	err = t.readDone(due, func(id int64, m reminder.Reminder) {
		f := &all[at[id]]
		switch {
		case m.DueDate == f.Bill.DueDate:
			f.Done = append(f.Done, m)
		case m.Outcome == reminder.Texted && m.DecidedAt.After(r.Now.AddDate(0, 0, -reminder.QuietDays-1)):
			moved = append(moved, beforeMove{f, m})
		}
	})
	if err == nil && len(moved) > 0 {
		err = t.textedBeforeMove(moved)
	}
	return all, err
}

// beforeMove is a bill, and a late text about another due date than its present one.
type beforeMove struct {
	*fact
	reminder.Reminder
}

// textedBeforeMove notes the latest of the texts that the customers may have; few bills move.
func (t *tx) textedBeforeMove(moved []beforeMove) error {
	for _, m := range moved {
		if !m.DecidedAt.After(m.Moved.At) {
			continue
		}
		var came bool
		if err := t.Row("SELECT EXISTS (SELECT 1 FROM texts WHERE id = ?1 AND state NOT IN "+failedStates+")", m.TextID).Scan(&came); err != nil {
			return fmt.Errorf("read the last text about a bill: %w", err)
		}
		if came {
			m.Moved = reminder.NamedDate{At: m.DecidedAt, DueDate: m.DueDate}
		}
	}
	return nil
}

const reminderColumns = "due_date, stage, outcome, reason, coalesce(text_id, 0), tries, decided_at"

// columnsOfStage is where the columns of a stage go.
func columnsOfStage(m *reminder.Reminder) []sql.Scanner {
	return []sql.Scanner{
		dayColumn{&m.DueDate}, db.NumberTo(&m.Stage), db.TextTo(&m.Outcome), db.TextTo(&m.Reason),
		db.NumberTo(&m.TextID), db.NumberTo(&m.Tries), db.InstantTo(&m.DecidedAt),
	}
}

func scanReminder(r db.Scanner) (m reminder.Reminder, err error) {
	err = db.ScanTo(r, columnsOfStage(&m))
	return m, err
}

// dueBill is a bill and its present due date.
type dueBill struct {
	id  int64
	due reminder.Date
}

var doneByID = db.NewBatch("WITH v (bill, first, last) AS (VALUES %s) SELECT "+reminderColumns+`, bill_id
	FROM v CROSS JOIN reminders WHERE bill_id = bill AND due_date >= first AND due_date <= last`, 0, db.Integer, db.Text, db.Text)

// readDone calls each with what was recorded for the bills' present due dates, and
// for those that they have moved from (reminder.NearDates).
func (t *tx) readDone(bills []dueBill, each func(billID int64, m reminder.Reminder)) error {
	var m reminder.Reminder // each in turn
	var of int64
	columns := append(columnsOfStage(&m), db.NumberTo(&of))
	var due reminder.Date
	var from, to any // of the due date before, which is that of most
	return db.QueryBatch(t.Tx, doneByID, bills, func(args []any, b dueBill) []any {
		if b.due != due {
			due = b.due
			first, last := reminder.NearDates(due)
			from, to = first.String(), last.String()
		}
		return append(args, b.id, from, to)
	}, columns, func() error {
		each(of, m)
		return nil
	})
}

// done reads what was recorded for the bill's present due date.
func (t *tx) done(b reminder.Bill) ([]reminder.Reminder, error) {
	rows, err := t.Query("SELECT "+reminderColumns+" FROM reminders WHERE bill_id = ?1 AND due_date = ?2", b.ID, b.DueDate.String())
	if err != nil {
		return nil, err
	}
	return db.Collect(rows, scanReminder)
}
