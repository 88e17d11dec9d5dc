package store

import (
	"database/sql"
	"fmt"
	"time"

	"duewatch/reminder"
	"duewatch/store/db"
)

// CheckResult is what came of one call to Almara Pay about a bill: one of Answer,
// Rejected and Failed, or none when it could not even be asked.
type CheckResult struct {
	BillID   int64
	Answer   *reminder.Answer
	Rejected string        // the account is refused for good, and why
	Failed   string        // the call failed and may be repeated, and why
	Refused  Refusal       // with Failed: the bill was refused, and how
	After    time.Duration // with Failed: repeat no earlier than this
}

// RecordedChecks is what came of a batch of results.
type RecordedChecks struct {
	Checks []CheckResult   // those that were learned
	Bills  []reminder.Bill // theirs, as they are now
	Due    bool            // a bill became due for a look by the remind job
	// Faults are of bills of which nothing could be learned, each undone alone:
	// they are still due to be asked about.
	Faults []error

	latest time.Time // when the last of them was learned; zero = there was no answer
	unsure bool      // nobody vouches for the clock: nothing is counted by the hour, or forgotten

	rejections *rejectionCount // of the store
}

// RecordChecks writes results into their bills and renews what depends on them: when
// to ask again, and when to look for a reminder.
func (s *Store) RecordChecks(policies reminder.Policies, now time.Time, results ...CheckResult) (RecordedChecks, error) {
	var l RecordedChecks
	err := s.do(func(t *tx) error {
		l = s.newChecks()
		err := db.Together(t.Tx, results, func(some []CheckResult) error {
			return t.recordChecks(policies, now, some, &l)
		}, func(result CheckResult, err error) error {
			l.Faults = append(l.Faults, fmt.Errorf("bill %d: %w", result.BillID, err))
			return nil
		})
		if err != nil {
			return err
		}
		return t.recordSeen(s, l.latest)
	})
	if err != nil {
		return RecordedChecks{}, fmt.Errorf("record what Almara Pay said: %w", err)
	}
	return l, nil
}

func (s *Store) newChecks() RecordedChecks {
	return RecordedChecks{unsure: s.unsure.Load(), rejections: &s.rejections}
}

// recordChecks learns all of the results, or none of them when it fails.
func (t *tx) recordChecks(policies reminder.Policies, now time.Time, results []CheckResult, l *RecordedChecks) error {
	ids := make([]int64, len(results))
	for i, result := range results {
		ids[i] = result.BillID
	}
	bills, err := t.billsOf(ids)
	if err != nil {
		return err
	}
	w := checkBatch{policies: policies, now: now, unsure: l.unsure, rejections: l.rejections}
	applied, recorded := make([]reminder.Bill, 0, len(results)), make([]CheckResult, 0, len(results))
	var latest time.Time
	for _, result := range results {
		b, ok := bills[result.BillID]
		if !ok {
			return ErrNotFound // of which bill is told once it is alone
		}
		if w.has[b.ID] { // each once in a statement
			if err := t.write(&w); err != nil {
				return err
			}
		}
		if err := t.applyCheck(&w, &b, &result); err != nil {
			return err
		}
		bills[b.ID] = b
		recorded = append(recorded, result)
		if a := result.Answer; a != nil && a.At.After(latest) && b.CheckedAt.Equal(a.At) {
			latest = a.At
		}
		applied = append(applied, b)
	}
	if err := t.write(&w); err != nil {
		return err
	}
	if latest.After(l.latest) {
		l.latest = latest
	}
	if err := t.count(&w, latest); err != nil {
		return err
	}
	l.Checks, l.Bills, l.Due = append(l.Checks, recorded...), append(l.Bills, applied...), l.Due || w.due
	return nil
}

// count takes in what a batch says of Almara Pay, of a biller's feed and of many
// bills at once. latest is that of its last good answer; zero = there was none.
func (t *tx) count(w *checkBatch, latest time.Time) error {
	if !w.unsure {
		if err := t.countAnswers(w, latest); err != nil {
			return err
		}
	}
	return t.countRejections(w)
}

func (t *tx) countAnswers(w *checkBatch, latest time.Time) error {
	if err := t.addAnswers(w.answers, w.now); err != nil {
		return err
	}
	switch {
	case !latest.IsZero():
		if err := t.recordAnswered(latest); err != nil {
			return err
		}
	case w.unclear.ID != 0:
		if err := t.warnNobodyAnswered(w.unclear, w.noneAnswered, w.policies.For(w.unclear.Service), w.now); err != nil {
			return err
		}
	}
	return nil
}

// checkBatch is a batch of results, with what has yet to be written of them: many
// bills with each statement.
type checkBatch struct {
	policies reminder.Policies
	now      time.Time
	unsure   bool // as in RecordedChecks

	rejections *rejectionCount

	bills          []reminder.Bill
	has            map[int64]bool
	events         []Event
	entries        map[queue][]queueEntry
	paid           []reminder.Bill // as they were when they were owed
	replan         []reminder.Bill // whose next reminder depends on what was learned
	mayHaveRecords []dueBill       // those of plan that may have had one
	notRefused     []int64         // that may have been refused before, and are not any more
	unpaid         []reminder.Bill // that owed nothing, and owe again of the same due date

	// Of the whole batch.
	answers      map[string]*serviceAnswers // by service
	rejected     []reminder.Bill            // that had been accepted
	unclear      reminder.Bill              // one that was refused in no known form; ID 0 = none
	noneAnswered bool                       // such a one would be rejected, if anybody had been answered well
	due          bool                       // one of them is due for a look by the remind job
	pauses       *bool                      // whether there are rules that pause new bills; nil = not looked yet
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
	w.bills, w.has, w.events, w.entries, w.paid, w.replan, w.mayHaveRecords, w.unpaid, w.notRefused = nil, nil, nil, nil, nil, nil, nil, nil, nil
	return nil
}

// planChecked schedules the next look of the remind job at bills whose due dates or
// states are new, and are written.
func (t *tx) planChecked(w *checkBatch) error {
	done := make(map[int64][]reminder.Reminder)
	if err := t.readDone(w.mayHaveRecords, func(id int64, m reminder.Reminder) { done[id] = append(done[id], m) }); err != nil {
		return err
	}
	for _, b := range w.replan {
		look := w.policies.For(b.Service).NextEval(b, done[b.ID], w.now)
		w.schedule(dueRemind, b.ID, look)
		w.due = w.due || (!look.IsZero() && !look.After(w.now))
	}
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

// applyCheck makes the bill what it is with the result. What follows from it is
// written by write. A refusal may turn out to be a rejection; the result says so
// then.
func (t *tx) applyCheck(w *checkBatch, b *reminder.Bill, l *CheckResult) error {
	policy, now := w.policies.For(b.Service), w.now
	before := *b
	var changes []reminder.Change
	if err := t.judgeRefusal(w, *b, l, policy); err != nil {
		return err
	}
	switch {
	case b.State == reminder.BillRemoved || b.State == reminder.BillRejected:
		return nil // it changed while the call was under way
	case l.Answer == nil && l.Rejected == "" && l.Failed == "":
		return nil
	case l.Answer != nil && l.Answer.At.Before(b.CheckedAt) && !b.CheckedAt.After(now):
		return nil // another job has asked since: what it learned is newer
	case l.Answer != nil:
		changes = b.Apply(*l.Answer, policy.Currency)
		b.Believe(policy.Guards)
		w.count(before, *b, *l.Answer, policy)
		if before.Failures > 0 {
			w.notRefused = append(w.notRefused, b.ID)
		}
	case l.Rejected != "":
		b.State, b.LastError = reminder.BillRejected, l.Rejected
		changes = []reminder.Change{{What: "rejected", Detail: l.Rejected}}
		w.notRefused = append(w.notRefused, b.ID)
		if !b.RegisteredAt.IsZero() {
			w.rejected = append(w.rejected, *b)
		}
	default:
		b.Fail(l.Failed)
		if b.Failures == 1 {
			changes = []reminder.Change{{What: "check_failed", Detail: l.Failed}}
		}
	}
	w.save(*b)
	for _, c := range changes {
		w.events = append(w.events, Event{At: now, BillID: b.ID, What: c.What, Reason: "almara", Detail: c.Detail})
	}
	w.scheduleCalls(*b, before.State, policy, l.After)
	if policy.Paid(before, *b) {
		w.paid = append(w.paid, before)
	}
	if b.DueDate != before.DueDate || b.State != before.State {
		w.replan = append(w.replan, *b)
		if !before.CheckedAt.IsZero() && !b.DueDate.IsZero() {
			w.mayHaveRecords = append(w.mayHaveRecords, dueBill{b.ID, b.DueDate})
		}
	}
	if before.State == reminder.BillPending && b.State == reminder.BillActive {
		return t.pausedWhenNew(w, b)
	}
	return nil
}

// count notes what the answer says of the feed that it comes from.
func (w *checkBatch) count(before, b reminder.Bill, a reminder.Answer, policy *reminder.Policy) {
	c := w.answers[b.Service]
	if c == nil {
		if w.answers == nil {
			w.answers = map[string]*serviceAnswers{}
		}
		c = &serviceAnswers{service: b.Service}
		w.answers[b.Service] = c
	}
	returned := c.Returned
	c.Add(before, b, a, reminder.DateOf(w.now.In(policy.Zone)))
	if c.Returned > returned {
		w.unpaid = append(w.unpaid, b)
	}
	if a.Problem != "" {
		c.example = a.Problem
	}
}

// pausedWhenNew is pausedByRule for a bill that was just registered.
func (t *tx) pausedWhenNew(w *checkBatch, b *reminder.Bill) error {
	if w.pauses == nil {
		w.pauses = new(bool)
		if err := t.Row("SELECT EXISTS (SELECT 1 FROM pauses)").Scan(w.pauses); err != nil {
			return fmt.Errorf("read pauses: %w", err)
		}
	}
	if !*w.pauses {
		return nil
	}
	if err := t.write(w); err != nil {
		return err
	}
	// A bill that is new while the clock is ahead must not slip past a pause that
	// seems to be over: one that is over indeed ends at the next look at the bill.
	over, err := t.surelyPast(w.now)
	if err != nil {
		return err
	}
	_, err = t.pausedByRule(b, time.UnixMilli(over))
	return err
}

var markPaid = db.NewBatch(`UPDATE reminders SET paid_at = ?1
	WHERE (bill_id, due_date) IN (VALUES %s) AND outcome = 'texted' AND paid_at IS NULL RETURNING bill_id`, 1, db.Integer, db.Text)

// recordPayments notes that what the texts of bills' due dates reminded of is paid.
func (t *tx) recordPayments(w *checkBatch) error {
	texted := make(map[int64]int)
	var id int64 // each in turn
	err := db.QueryBatch(t.Tx, markPaid, w.paid, func(args []any, b reminder.Bill) []any {
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
			w.events = append(w.events, Event{At: w.now, BillID: b.ID, What: "paid", Reason: "almara",
				Detail: fmt.Sprintf("%s was owed; reminders of this due date that were texted: %d", b.Balance.Format(w.policies.For(b.Service).Currency), n)})
		}
	}
	return nil
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

// Replan renews the next instants of up to n bills with ids above afterID, for
// a policy that changed. It returns the last id it saw, zero at the end. What
// is due already stays due, so that it ends with a record.
func (s *Store) Replan(policies reminder.Policies, now time.Time, afterID int64, n int) (last int64, err error) {
	err = s.do(func(t *tx) error {
		last = 0
		rows, err := t.Query("SELECT "+billColumns+" FROM bills WHERE id > ?1 ORDER BY id LIMIT ?2 + 0", afterID, n)
		if err != nil {
			return err
		}
		bills, err := db.Collect(rows, scanBill)
		if err != nil {
			return err
		}
		for _, b := range bills {
			last = b.ID
			if b.State == reminder.BillActive {
				if err := t.replan(b, policies.For(b.Service), now); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("plan anew: %w", err)
	}
	return last, nil
}

func (t *tx) replan(b reminder.Bill, policy *reminder.Policy, now time.Time) error {
	done, err := t.done(b)
	if err != nil {
		return err
	}
	if look := policy.NextEval(b, done, now); look.IsZero() {
		_, err = t.Exec("DELETE FROM due_remind WHERE bill_id = ?1 AND at > ?2 AND owner IS NULL", b.ID, now.UnixMilli())
	} else {
		_, err = t.Exec(`INSERT INTO due_remind (bill_id, at) VALUES (?1, ?2)
			ON CONFLICT (bill_id) DO UPDATE SET at = excluded.at WHERE due_remind.at > ?3 AND due_remind.at <> excluded.at AND due_remind.owner IS NULL`,
			b.ID, look.UnixMilli(), now.UnixMilli())
	}
	if err != nil {
		return err
	}
	// Never later than planned before: a call too many is cheaper than a stale balance.
	_, err = t.Exec("UPDATE due_recheck SET at = ?2 WHERE bill_id = ?1 AND at > ?2", b.ID, policy.NextCheck(b, now).UnixMilli())
	return err
}
