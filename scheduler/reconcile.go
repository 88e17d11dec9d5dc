package scheduler

import (
	"context"
	"errors"
	"fmt"
	"time"

	"duewatch/notifier"
	"duewatch/store"
)

// lookBack is by how much the provider's date of a message may lie before our
// own record of it and still be taken for it. It is generous, since a clock
// that was set back or ahead must not make a text be sent twice; and harmless,
// since two texts of one phone have the same words on one day only if one of
// them was lost.
const lookBack = 36 * time.Hour

// listMost bounds the messages of one phone that are read for one look-up.
const listMost = 1000

// moreLooks is how often a list that was cut off is read again.
const moreLooks = 3

// orphans finds the texts that a dead process left in the middle of the call.
func (s *Scheduler) orphans(ctx context.Context) (int, error) {
	now := s.Now()
	return s.Store.Orphans(ctx, now, s.Owner, now.Add(s.ReconcileAfter[0]))
}

// reconcile looks up, in the provider's message list, the texts of which
// nobody knows whether they were taken: what is found there was sent, and what
// is not found at the last look was not. The list promises no consistency, so
// more than one look is needed before "not there" is believed.
func (s *Scheduler) reconcile(ctx context.Context, j *job) error {
	const batch = 100
	for ctx.Err() == nil {
		doubtful, err := s.Store.Doubtful(ctx, s.Now(), batch)
		if err != nil {
			return err
		}
		for _, d := range doubtful {
			j.beat()
			answered, err := s.lookUp(ctx, d)
			if err != nil || !answered || ctx.Err() != nil {
				return err // no answer for this one is none for the others
			}
		}
		if len(doubtful) < batch {
			return nil
		}
	}
	return nil
}

// lookUp asks for one text; false means that there was no usable answer.
func (s *Scheduler) lookUp(ctx context.Context, d store.Doubtful) (bool, error) {
	since := d.CreatedAt.Add(-lookBack)
	listed, complete, err := s.Notifier.List(ctx, notifier.Query{To: d.SentTo, Since: since, MaxMessages: listMost})
	switch {
	case errors.Is(err, notifier.ErrStop):
		return false, fmt.Errorf("look up texts in doubt: %w", err)
	case err != nil:
		s.about(d.Service, d.Account).Info("a text in doubt could not be looked up; again at the next tick", "text", d.ID, "err", err)
		return false, nil
	}
	now := s.Now()
	if s.clockWasSet(s.receiptsClock) {
		return false, errClockSet
	}
	l := store.LookUp{
		TextID: d.ID, NextLook: now.Add(s.untilNextLook(d.Looks + 1)), Resend: s.Resend,
		Last: d.Looks+1 >= len(s.ReconcileAfter),
	}
	if !complete {
		// A list cut off at its bound proves nothing: it is read a few times
		// more, and then the operator decides.
		l.Last, l.Resend = d.Looks+1 >= len(s.ReconcileAfter)+moreLooks, false
	}
	for _, m := range listed {
		if m.Body == d.Body {
			l.Found = append(l.Found, m.SID)
		}
	}
	state, err := s.Store.RecordLookUp(ctx, now, l)
	if err != nil {
		return false, err
	}
	if state != store.Unknown {
		s.Metrics.textMoved(state)
	}
	s.about(d.Service, d.Account).Info("text in doubt was looked up at the provider", "text", d.ID, "state", string(state))
	if state == store.NotFound {
		s.wake(jobRemind)
	}
	return true, nil
}

// untilNextLook is the pause before the look of that number, counted from 0.
func (s *Scheduler) untilNextLook(look int) time.Duration {
	last := len(s.ReconcileAfter) - 1
	if look > last {
		return s.ReconcileAfter[last]
	}
	return s.ReconcileAfter[look] - s.ReconcileAfter[look-1]
}
