package store

import (
	"fmt"
	"time"

	"duewatch/reminder"
	"duewatch/store/db"
)

// CheckResult is the result of one call to Almara Pay about a bill: one of Answer,
// Rejected and Failed, or none when it could not even be asked.
type CheckResult struct {
	BillID   int64
	Answer   *reminder.Answer
	Rejected string        // Almara Pay refuses the account number for good, and why
	Failed   string        // the call failed and may be repeated, and why
	Refused  Refusal       // with Failed: the bill was refused, and how
	After    time.Duration // with Failed: repeat no earlier than this
}

// asked says whether Almara Pay could be asked about the bill, and whether it answered.
func (r CheckResult) asked() reminder.Asked {
	switch {
	case r.Answer != nil:
		return reminder.Answered
	case r.Failed == "" && r.Rejected == "":
		return reminder.NotReached
	default:
		return reminder.CouldNotSay
	}
}

// RecordedChecks is what was made of a batch of results.
type RecordedChecks struct {
	Checks []CheckResult   // those that were recorded
	Bills  []reminder.Bill // theirs, as they are now
	Due    bool            // a bill became due in the remind job
	// Faults are of bills of which nothing could be recorded, each undone alone:
	// they are still due to be asked about.
	Faults []error

	latest time.Time // when the last good answer came; zero = there was none
	unsure bool      // nobody vouches for the clock: nothing is counted by the hour, or forgotten

	rejections *rejectionCount // of the store
}

// RecordChecks writes results into their bills and renews what depends on them: when
// to ask again, and when the remind job evaluates them.
func (s *Store) RecordChecks(policies reminder.Policies, now time.Time, results ...CheckResult) (RecordedChecks, error) {
	var l RecordedChecks
	err := s.do(func(t *tx) error {
		l = s.newChecks()
		err := db.Together(t.Tx, results, func(batch []CheckResult) error {
			return t.recordChecks(policies, now, batch, &l)
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

// recordChecks records all of the results, or none of them when it fails.
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
			return ErrNotFound // the error names the bill once it is tried alone
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

// count counts what a batch says of Almara Pay, of a biller's feed and of many
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
		return nil // another job has asked since: its answer is newer
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
	if policy.TakenAsPaid(before, *b) {
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
