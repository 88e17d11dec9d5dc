package store

import (
	"database/sql"
	"fmt"
	"time"

	"duewatch/reminder"
	"duewatch/store/db"
)

// fact is what is known of a bill that a decision about it rests on.
type fact struct {
	reminder.Case
	mayBundle bool  // other bills have its phone, and its texts may be about several
	phoneID   int64 // of its phone in phones; 0 = it has none yet, and so no text
}

// failedStates are the states of texts that the customer does not have.
const failedStates = "('refused', 'not_found', 'failed', 'undelivered', 'canceled')"

// mayHaveArrived is the condition on a text x that the customer has it, or may have it:
// one that failed at the network may have arrived all the same.
const mayHaveArrived = "(x.state NOT IN " + failedStates + " OR x.refused_for = 'may_have_it')"

// factsSQL reads bills with what else counts of their phones: an opt-out, which
// outweighs a bad number since it is the customer's word (opted_out is the last of
// the two in the alphabet); the texts since ?1 that it has had, or may have had;
// whether it has other bills; and its id in phones. The empty text behind service keeps
// SQLite from its index: to look up two services it would fill a table for each bill.
var factsSQL = db.NewBatch("SELECT "+billColumns+`,
		coalesce((SELECT max(reason) FROM opt_outs WHERE phone = b.phone AND (service || '' = '' OR service || '' = b.service)), ''),
		(SELECT count(*) FROM texts x WHERE x.phone_id = p.phone_id AND x.created_at >= ?1 AND `+mayHaveArrived+`),
		EXISTS (SELECT 1 FROM bills o WHERE o.phone = b.phone AND o.id <> b.id), coalesce(phone_id, 0)
	FROM bills b LEFT JOIN phones p ON number = b.phone WHERE id IN (%s)`, 1, db.Integer)

// facts reads what is known of many bills, in the order of their ids.
func (d *decider) facts(ids []int64) ([]fact, error) {
	all, byID, err := d.readFacts(ids)
	if err != nil {
		return nil, err
	}
	for i := range all {
		f := &all[i]
		if d.anyForeign {
			if err := d.addForeignMessages(f); err != nil {
				return nil, err
			}
		}
		if d.anyRefused {
			if f.RefusedUntil, f.RefusalDetail, err = d.refusedUntil(f.Bill.Phone, d.Now); err != nil {
				return nil, err
			}
		}
	}
	return all, d.addDone(all, byID)
}

// midnight is when the present day began, in the zone of all policies.
func (r Round) midnight() time.Time {
	zone := r.Policies.Default.Zone
	return reminder.DateOf(r.Now.In(zone)).At(0, zone)
}

// readFacts reads the bills and what counts of their phones. byID has the place of
// each bill.
func (d *decider) readFacts(ids []int64) (all []fact, byID map[int64]int, err error) {
	all, byID = make([]fact, len(ids)), make(map[int64]int, len(ids))
	for i, id := range ids {
		byID[id] = i
	}
	var f fact // each in turn: the columns make new pointers for each
	columns := append(columnsOfBill(&f.Bill),
		db.TextTo(&f.Suppressed), db.NumberTo(&f.TextsToday), db.FlagTo(&f.mayBundle), db.NumberTo(&f.phoneID))
	err = db.QueryBatch(d.Tx, factsSQL, ids, db.ID, columns, func() error {
		f.Asked = d.asked[f.Bill.ID]
		f.mayBundle = f.mayBundle && d.Policies.For(f.Bill.Service).Bundle
		all[byID[f.Bill.ID]] = f
		return nil
	}, d.midnight().UnixMilli())
	if err != nil {
		return nil, nil, fmt.Errorf("read bills: %w", err)
	}
	for i, id := range ids {
		if all[i].Bill.ID != id {
			return nil, nil, fmt.Errorf("read bill %d: %w", id, ErrNotFound)
		}
	}
	return all, byID, nil
}

// addForeignMessages adds the foreign messages about the bill, and counts those to its
// phone as texts of today.
func (d *decider) addForeignMessages(f *fact) (err error) {
	if f.ForeignMessages, err = d.foreignMessagesAbout(f.Bill.ID); err != nil {
		return err
	}
	more, err := d.countForeignMessages(f.Bill.Phone, d.midnight().UnixMilli())
	f.TextsToday += more
	return err
}

// addDone adds what was recorded for the bills' present due dates, and the latest
// text, of the last days, about a due date that each has moved from.
func (d *decider) addDone(all []fact, byID map[int64]int) error {
	bills := make([]dueBill, 0, len(all))
	for i := range all {
		if b := &all[i].Bill; !b.DueDate.IsZero() {
			bills = append(bills, dueBill{b.ID, b.DueDate})
		}
	}
	type earlierText struct {
		of   *fact
		text reminder.Reminder
	}
	var earlier []earlierText // few bills move
	err := d.readDone(bills, func(id int64, m reminder.Reminder) {
		f := &all[byID[id]]
		switch {
		case m.DueDate == f.Bill.DueDate:
			f.Done = append(f.Done, m)
		// QuietDays are calendar days: by the hour they reach up to a day further back.
		case m.Outcome == reminder.Texted && m.DecidedAt.After(d.Now.AddDate(0, 0, -reminder.QuietDays-1)):
			earlier = append(earlier, earlierText{f, m})
		}
	})
	if err != nil {
		return err
	}
	for _, e := range earlier {
		if !e.text.DecidedAt.After(e.of.Moved.At) {
			continue
		}
		const query = "SELECT EXISTS (SELECT 1 FROM texts x WHERE x.id = ?1 AND " + mayHaveArrived + ")"
		var arrived bool // or it may have
		if err := d.Row(query, e.text.TextID).Scan(&arrived); err != nil {
			return fmt.Errorf("read the last text about a bill: %w", err)
		}
		if arrived {
			e.of.Moved = reminder.NamedDate{At: e.text.DecidedAt, DueDate: e.text.DueDate}
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

var doneSQL = db.NewBatch("WITH v (bill, first, last) AS (VALUES %s) SELECT "+reminderColumns+`, bill_id
	FROM v CROSS JOIN reminders WHERE bill_id = bill AND due_date >= first AND due_date <= last`, 0, db.Integer, db.Text, db.Text)

// readDone calls each with what was recorded for the bills' present due dates, and
// for those that they have moved from (reminder.NearDates).
func (t *tx) readDone(bills []dueBill, each func(billID int64, m reminder.Reminder)) error {
	var m reminder.Reminder // each in turn
	var of int64
	columns := append(columnsOfStage(&m), db.NumberTo(&of))
	var due reminder.Date
	var from, to any // kept from the bill before, since most share its due date
	return db.QueryBatch(t.Tx, doneSQL, bills, func(args []any, b dueBill) []any {
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

// recordsOf reads what was recorded for the bill's present due date.
func (t *tx) recordsOf(b reminder.Bill) ([]reminder.Reminder, error) {
	rows := t.Query("SELECT "+reminderColumns+" FROM reminders WHERE bill_id = ?1 AND due_date = ?2", b.ID, b.DueDate.String())
	return db.Collect(rows, scanReminder)
}
