package store

import (
	"context"
	"fmt"
	"time"

	"duewatch/reminder"
)

// Lesson is what came of one call to Almara Pay about a bill: one of Answer,
// Rejected and Failed, or none when it could not even be asked.
type Lesson struct {
	BillID   int64
	Answer   *reminder.Answer
	Rejected string        // the account is refused for good, and why
	Failed   string        // the call failed and may be repeated, and why
	After    time.Duration // with Failed: repeat no earlier than this
}

// Learned counts what came of a batch of lessons.
type Learned struct {
	Bills []reminder.Bill // as they are now, in the order of the lessons
	Due   bool            // a bill became due for a look by the remind job
}

// Learn writes lessons into their bills and renews what depends on them: when
// to ask again, and when to look for a reminder.
func (s *Store) Learn(_ context.Context, policies reminder.Policies, now time.Time, lessons ...Lesson) (Learned, error) {
	var l Learned
	err := s.do(func(t *tx) error {
		l = Learned{}
		ids := make([]int64, len(lessons))
		var latest time.Time
		for i, lesson := range lessons {
			ids[i] = lesson.BillID
		}
		bills, err := t.billsOf(ids)
		if err != nil {
			return err
		}
		w := learning{policies: policies, now: now}
		for _, lesson := range lessons {
			b, ok := bills[lesson.BillID]
			if !ok {
				return fmt.Errorf("bill %d: %w", lesson.BillID, ErrNotFound)
			}
			b, look, err := t.learnSome(&w, b, lesson)
			if err != nil {
				return err
			}
			bills[b.ID] = b
			if a := lesson.Answer; a != nil && a.At.After(latest) && b.CheckedAt.Equal(a.At) {
				latest = a.At
			}
			l.Bills = append(l.Bills, b)
			l.Due = l.Due || (!look.IsZero() && !look.After(now))
		}
		if err := t.write(&w); err != nil || latest.IsZero() {
			return err
		}
		return t.seen(latest)
	})
	if err != nil {
		return Learned{}, fmt.Errorf("record what Almara Pay said: %w", err)
	}
	return l, nil
}

// learning is a batch of lessons, with what has yet to be written of them: many
// bills with each statement.
type learning struct {
	policies reminder.Policies
	now      time.Time

	bills  []reminder.Bill
	has    map[int64]bool
	events []Event
	looks  map[queue][]look
	pauses *bool // whether there are rules that pause new bills; nil = not looked yet
}

// learn is learnSome for one lesson.
func (t *tx) learn(b reminder.Bill, l Lesson, policies reminder.Policies, now time.Time) (_ reminder.Bill, look time.Time, err error) {
	w := learning{policies: policies, now: now}
	if b, look, err = t.learnSome(&w, b, l); err == nil {
		err = t.write(&w)
	}
	return b, look, err
}

// write writes what is left to be written.
func (t *tx) write(w *learning) error {
	if err := t.saveBills(w.bills); err != nil {
		return err
	}
	if err := t.events(w.events); err != nil {
		return err
	}
	for _, q := range []queue{dueRegister, dueRecheck, dueRemind} {
		if err := t.scheduleAll(q, w.looks[q]); err != nil {
			return err
		}
	}
	w.bills, w.has, w.events, w.looks = nil, nil, nil, nil
	return nil
}

func (w *learning) save(b reminder.Bill) {
	if w.has == nil {
		w.has = map[int64]bool{}
	}
	w.bills, w.has[b.ID] = append(w.bills, b), true
}

func (w *learning) schedule(q queue, billID int64, at time.Time) {
	if w.looks == nil {
		w.looks = map[queue][]look{}
	}
	w.looks[q] = append(w.looks[q], look{billID, at})
}

// learnSome returns the bill as it is with the lesson, and when the remind job
// is told to look at it if that changed. The caller writes it (write) and notes
// the instant (seen).
func (t *tx) learnSome(w *learning, b reminder.Bill, l Lesson) (_ reminder.Bill, look time.Time, err error) {
	policy, now := w.policies.For(b.Service), w.now
	before := b
	var changes []reminder.Change
	switch {
	case b.State == reminder.BillRemoved || b.State == reminder.BillRejected:
		return b, look, nil // it changed while the call was under way
	case l.Answer == nil && l.Rejected == "" && l.Failed == "":
		return b, look, nil
	case l.Answer != nil && l.Answer.At.Before(b.CheckedAt) && !b.CheckedAt.After(now):
		return b, look, nil // another job has asked since: what it learned is newer
	case l.Answer != nil:
		changes = b.Learn(*l.Answer)
		b.Believe(policy.Guards)
	case l.Rejected != "":
		b.State, b.LastError = reminder.BillRejected, l.Rejected
		changes = []reminder.Change{{What: "rejected", Detail: l.Rejected}}
	default:
		b.Fail(l.Failed)
		if b.Failures == 1 {
			changes = []reminder.Change{{What: "check_failed", Detail: l.Failed}}
		}
	}
	if w.has[b.ID] { // each once in a statement
		if err := t.write(w); err != nil {
			return b, look, err
		}
	}
	w.save(b)
	for _, c := range changes {
		w.events = append(w.events, Event{At: now, BillID: b.ID, What: c.What, Reason: "almara", Detail: c.Detail})
	}
	w.scheduleCalls(b, before.State, policy, l.After)
	if policy.Paid(before, b) {
		if err := t.write(w); err != nil {
			return b, look, err
		}
		if err := t.paid(before, now); err != nil {
			return b, look, err
		}
	}
	if b.DueDate != before.DueDate || b.State != before.State {
		done, err := t.done(b)
		if err != nil {
			return b, look, err
		}
		look = policy.NextLook(b, done, now)
		w.schedule(dueRemind, b.ID, look)
	}
	if before.State == reminder.BillPending && b.State == reminder.BillActive {
		paused, err := t.pausedWhenNew(w, &b)
		if err != nil || paused {
			return b, time.Time{}, err
		}
	}
	return b, look, nil
}

// pausedWhenNew is pausedByRule for a bill that was just registered.
func (t *tx) pausedWhenNew(w *learning, b *reminder.Bill) (bool, error) {
	if w.pauses == nil {
		w.pauses = new(bool)
		if err := t.row("SELECT EXISTS (SELECT 1 FROM pauses)").Scan(w.pauses); err != nil {
			return false, fmt.Errorf("read pauses: %w", explain(err))
		}
	}
	if !*w.pauses {
		return false, nil
	}
	if err := t.write(w); err != nil {
		return false, err
	}
	return t.pausedByRule(b, w.now)
}

// paid notes that what the texts of the bill's due date reminded of is paid.
func (t *tx) paid(before reminder.Bill, now time.Time) error {
	r, err := t.exec("UPDATE reminders SET paid_at = ?3 WHERE bill_id = ?1 AND due_date = ?2 AND outcome = 'texted' AND paid_at IS NULL",
		before.ID, before.DueDate.String(), now.UnixMilli())
	if err != nil {
		return err
	}
	texted, err := r.RowsAffected()
	if err != nil || texted == 0 {
		return explain(err)
	}
	return t.event(Event{At: now, BillID: before.ID, What: "paid", Reason: "almara",
		Detail: fmt.Sprintf("%s was owed; reminders of this due date that were texted: %d", before.Balance.Format(), texted)})
}

// scheduleCalls sets when Almara Pay is next asked about the bill, which was in
// another state before.
func (w *learning) scheduleCalls(b reminder.Bill, before reminder.BillState, policy *reminder.Policy, after time.Duration) {
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
func (s *Store) Replan(_ context.Context, policies reminder.Policies, now time.Time, afterID int64, n int) (last int64, err error) {
	err = s.do(func(t *tx) error {
		last = 0
		rows, err := t.query("SELECT "+billColumns+" FROM bills WHERE id > ?1 ORDER BY id LIMIT ?2", afterID, n)
		if err != nil {
			return err
		}
		bills, err := collect(rows, scanBill)
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
	if look := policy.NextLook(b, done, now); look.IsZero() {
		_, err = t.exec("DELETE FROM due_remind WHERE bill_id = ?1 AND at > ?2 AND owner IS NULL", b.ID, now.UnixMilli())
	} else {
		_, err = t.exec(`INSERT INTO due_remind (bill_id, at) VALUES (?1, ?2)
			ON CONFLICT (bill_id) DO UPDATE SET at = excluded.at WHERE due_remind.at > ?3 AND due_remind.at <> excluded.at AND due_remind.owner IS NULL`,
			b.ID, look.UnixMilli(), now.UnixMilli())
	}
	if err != nil {
		return err
	}
	// Never later than planned before: a call too many is cheaper than a stale balance.
	_, err = t.exec("UPDATE due_recheck SET at = ?2 WHERE bill_id = ?1 AND at > ?2 AND owner IS NULL", b.ID, policy.NextCheck(b, now).UnixMilli())
	return err
}
