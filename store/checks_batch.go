package store

import (
	"database/sql"
	"fmt"
	"time"

	"duewatch/reminder"
	"duewatch/store/db"
)

// checkBatch is a batch of results that is being recorded.
type checkBatch struct {
	policies   reminder.Policies
	now        time.Time
	unsure     bool // as in RecordedChecks
	rejections *rejectionCount
	unwritten

	answers      map[string]*serviceAnswers // by service
	rejected     []reminder.Bill            // that had been accepted
	unclear      reminder.Bill              // one that was refused in no known form; ID 0 = none
	noneAnswered bool                       // such a one would be rejected, if anybody had been answered well
	due          bool                       // one of the bills is due in the remind job
	pauses       *bool                      // whether there are rules that pause new bills; nil = not read yet
}

// unwritten is what has yet to be written of a batch: many bills with each statement,
// each bill once.
type unwritten struct {
	bills          []reminder.Bill
	has            map[int64]bool // the bills, by id
	events         []Event
	entries        map[queue][]queueEntry
	paid           []reminder.Bill // as they were when they were owed
	unpaid         []reminder.Bill // that owed nothing, and owe again of the same due date
	replan         []reminder.Bill // whose next evaluation depends on what was said
	mayHaveRecords []dueBill       // those of replan that reminders may have been recorded of
	notRefused     []int64         // that may have been refused before, and are not any more
}

// write writes what is left to be written.
func (t *tx) write(w *checkBatch) error {
	if err := t.saveBills(w.bills); err != nil {
		return err
	}
	if err := t.recordPayments(w); err != nil {
		return err
	}
	if err := t.takeBackPayments(w.unpaid); err != nil {
		return err
	}
	if err := t.events(w.events); err != nil {
		return err
	}
	if err := t.planChecked(w); err != nil {
		return err
	}
	if err := t.forgetRefusals(w.notRefused...); err != nil {
		return err
	}
	for _, q := range []queue{dueRegister, dueRecheck, dueRemind} {
		if err := t.scheduleAll(q, w.entries[q]); err != nil {
			return err
		}
	}
	w.unwritten = unwritten{}
	return nil
}

func (w *checkBatch) save(b reminder.Bill) {
	if w.has == nil {
		w.has = map[int64]bool{}
	}
	w.bills, w.has[b.ID] = append(w.bills, b), true
}

func (w *checkBatch) schedule(q queue, billID int64, at time.Time) {
	if w.entries == nil {
		w.entries = map[queue][]queueEntry{}
	}
	w.entries[q] = append(w.entries[q], queueEntry{billID, at})
}

// scheduleCalls sets when Almara Pay is next asked about the bill, which was in
// another state before.
func (w *checkBatch) scheduleCalls(b reminder.Bill, before reminder.BillState, policy *reminder.Policy, after time.Duration) {
	next := policy.NextCheck(b, w.now)
	if floor := w.now.Add(after); next.Before(floor) {
		next = floor
	}
	var register, recheck time.Time
	switch b.State {
	case reminder.BillPending:
		register = next
	case reminder.BillActive:
		recheck = next
	case reminder.BillPaused, reminder.BillRejected, reminder.BillRemoved:
	}
	if before == reminder.BillPending || b.State == reminder.BillPending { // no other bill awaits registration
		w.schedule(dueRegister, b.ID, register)
	}
	w.schedule(dueRecheck, b.ID, recheck)
}

var markPaidSQL = db.NewBatch(`UPDATE reminders SET paid_at = ?1
	WHERE (bill_id, due_date) IN (VALUES %s) AND outcome = 'texted' AND paid_at IS NULL RETURNING bill_id`, 1, db.Integer, db.Text)

// recordPayments notes that what the texts of bills' due dates reminded of is paid.
func (t *tx) recordPayments(w *checkBatch) error {
	texted := make(map[int64]int)
	var id int64 // each in turn
	err := db.QueryBatch(t.Tx, markPaidSQL, w.paid, func(args []any, b reminder.Bill) []any {
		return append(args, b.ID, b.DueDate.String())
	}, []sql.Scanner{db.NumberTo(&id)}, func() error {
		texted[id]++
		return nil
	}, w.now.UnixMilli())
	if err != nil {
		return fmt.Errorf("note what is paid: %w", err)
	}
	for _, b := range w.paid {
		if n := texted[b.ID]; n > 0 {
			owed := b.Balance.Format(w.policies.For(b.Service).Currency)
			w.events = append(w.events, Event{At: w.now, BillID: b.ID, What: "paid", Reason: "almara",
				Detail: fmt.Sprintf("%s was owed; reminders of this due date that were texted: %d", owed, n)})
		}
	}
	return nil
}
