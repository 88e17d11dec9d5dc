package scheduler

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"duewatch/notifier"
	"duewatch/reminder"
	"duewatch/store"
)

// lookBack is by how much the provider's date of a message may lie before our
// own record of it and still be taken for it. It is generous, since a clock
// that was set back or ahead must not make a text be sent twice; and harmless,
// since two texts of one phone have the same words on one day only if one of
// them was lost.
const lookBack = 36 * time.Hour

// providerBehind is by how much the provider's clock may be behind ours in the date of
// a message that cannot be compared and may be the text. Such a message proves
// nothing, so it is not looked for as far back as one with the text's very words:
// what is older than the attempt is not the attempt. An hour, as reminder.ProviderClockBehind:
// ours is vouched for within minutes, but maybe not by the provider, and a date that
// is believed wrongly costs a second text.
const providerBehind = time.Hour

// listMost bounds the messages of one phone that are read for one look-up.
const listMost = 1000

// cutListReads is how often a list that was cut off is read again.
const cutListReads = 3

// orphans finds the texts that a dead process left in the middle of the call.
func (s *Scheduler) orphans() (int, error) {
	now := s.Now()
	return s.Store.Orphans(now, s.Owner, now.Add(s.ReconcileAfter[0]))
}

// reconcile looks up, in the provider's message list, the texts of which
// nobody knows whether they were taken: what is found there was sent, and what
// is not found at the last look was not. The list promises no consistency, so
// more than one look is needed before "not there" is believed.
//
// A look-up without an answer says nothing of the others: it is put off, and they
// go on. When several different phones get none in one pass, the list itself is
// down, and the next pass begins with others.
func (s *Scheduler) reconcile(ctx context.Context, j *job) (err error) {
	const batch = 100
	var silent reminder.Evidence
	for ctx.Err() == nil {
		doubtful, failed := s.Store.Doubtful(ctx, s.Now(), batch)
		if failed != nil {
			return errors.Join(err, failed)
		}
		for _, d := range doubtful {
			j.heartbeat()
			failed := s.lookUp(ctx, d)
			if ctx.Err() != nil {
				return errors.Join(err, failed)
			}
			switch {
			case failed == nil:
				silent.Clear()
				continue
			case errors.Is(failed, notifier.ErrStop):
				return errors.Join(err, fmt.Errorf("look up texts in doubt: %w", failed))
			case !errors.Is(failed, notifier.ErrRetry):
				err = errors.Join(err, failed) // the store could not take what was found
			}
			next := s.Now().Add(lookUpBackoff(s.Now().Sub(d.CreatedAt)))
			s.about(d.Service, d.Account).Info("a text in doubt could not be looked up, and is put off", "text", d.ID, "until", next, "err", failed)
			if failed := s.Store.PutOffLookUp(d.ID, next); failed != nil {
				return errors.Join(err, failed)
			}
			if silent.Against(d.SentTo.E164()) {
				return errors.Join(err, fmt.Errorf("the provider's list gave no answer about %d different phones: "+
					"texts in doubt wait for the next pass", reminder.EnoughWitnesses))
			}
		}
		if len(doubtful) < batch {
			return err
		}
	}
	return err
}

// A look-up that got no answer is put off by a quarter of the text's age, within
// these bounds: so each is put off longer than the last.
const (
	leastLookUpBackoff = 2 * time.Minute
	mostLookUpBackoff  = 30 * time.Minute
)

func lookUpBackoff(age time.Duration) time.Duration {
	return min(max(age/4, leastLookUpBackoff), mostLookUpBackoff)
}

// minLookUps is how many complete lists must show nothing that could be a text
// before it is taken as not sent: the list promises no consistency.
const minLookUps = 2

// lookUp asks for one text. The error matches notifier.ErrStop or ErrRetry where
// there was no usable answer.
func (s *Scheduler) lookUp(ctx context.Context, d store.Doubtful) error {
	since := d.CreatedAt.Add(-lookBack)
	listed, complete, err := s.Notifier.List(ctx, notifier.Query{To: d.SentTo, Since: since, MaxMessages: listMost})
	if err != nil {
		return err
	}
	now, looks := s.Now(), max(minLookUps, len(s.ReconcileAfter))
	if s.clockWasSet(s.receiptsClock) {
		return errClockSet
	}
	l := store.LookUp{
		TextID: d.ID, NextAt: now.Add(s.untilNextLookUp(d.Looks + 1)), Resend: s.Resend,
		Last: d.Looks+1 >= looks,
	}
	if !complete {
		// A list cut off at its bound proves nothing: it is read a few times
		// more, and then the operator decides.
		last := s.ReconcileAfter[len(s.ReconcileAfter)-1]
		l.Cut, l.Last, l.Resend = true, now.Sub(d.CreatedAt) >= (1+cutListReads)*last, false
		l.NextAt = now.Add(last)
	}
	for _, m := range listed {
		switch {
		case m.Body == d.Body:
			l.Found = append(l.Found, m.SID)
		case mayBe(m, d):
			l.Unclear = append(l.Unclear, store.Message{ProviderID: m.SID, Body: m.Body})
		}
	}
	state, err := s.Store.RecordLookUp(now, l)
	if err != nil {
		return err
	}
	if state != store.Unknown {
		s.Metrics.textMoved(state)
	}
	s.about(d.Service, d.Account).Info("text in doubt was looked up at the provider", "text", d.ID, "state", string(state))
	if state == store.NotFound {
		s.wake(jobRemind)
	}
	return nil
}

// mayBe reports whether a message that does not read as the text may be it all the
// same: the provider shows no words of it, or the text's words or accounts among
// others. A readable one that names none of its accounts is somebody else's, such
// as a one-time password of another program on the account; and so is one that was there
// before the text was tried.
func mayBe(m notifier.Listed, d store.Doubtful) bool {
	if !m.CreatedAt.IsZero() && m.CreatedAt.Before(d.CreatedAt.Add(-providerBehind)) {
		return false
	}
	if !m.Readable() || strings.Contains(m.Body, d.Body) {
		return true
	}
	return slices.ContainsFunc(strings.Split(d.Account, ", "), func(account string) bool { return reminder.Mentions(m.Body, account) })
}

// untilNextLookUp is the pause before the look of that number, counted from 0.
func (s *Scheduler) untilNextLookUp(look int) time.Duration {
	last := len(s.ReconcileAfter) - 1
	if look > last {
		return s.ReconcileAfter[last]
	}
	return s.ReconcileAfter[look] - s.ReconcileAfter[look-1]
}

// DoubtTooLong is the age from which a text that is still in doubt takes somebody
// to look into it: its last look is an hour past.
func DoubtTooLong(reconcileAfter []time.Duration) time.Duration {
	return reconcileAfter[len(reconcileAfter)-1] + time.Hour
}
