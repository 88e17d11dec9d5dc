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

// messageDateSlack is by how much the provider's date of a message may lie before our
// own record of it and still be taken for it. It is generous, since a clock
// that was set back or ahead must not make a text be sent twice; and harmless,
// since two texts of one phone have the same words on one day only if one of
// them was lost.
const messageDateSlack = 36 * time.Hour

// maxListed bounds the messages of one phone that are read for one look-up.
const maxListed = 1000

// cutListReads is how often a list that was cut off is read again.
const cutListReads = 3

// markOrphans finds the texts that a dead process left in the middle of the call.
func (s *Scheduler) markOrphans() (int, error) {
	now := s.Now()
	return s.Store.MarkOrphans(now, s.Owner, now.Add(s.ReconcileAfter[0]))
}

// lookUpUnknownTexts looks up, in the provider's message list, the texts of which
// nobody knows whether they were taken: what is found there was sent, and what
// is not found at the last look-up was not. The list promises no consistency, so
// more than one look-up is needed before "not there" is believed.
//
// A look-up without an answer says nothing of the others: it is put off, and they
// go on. When several different ones get none in one pass, the list itself is
// down, and the next pass begins with others.
func (p *receiptsPass) lookUpUnknownTexts(ctx context.Context) (err error) {
	const batch = 100
	var unanswered reminder.Evidence
	for ctx.Err() == nil {
		doubtful, failed := p.Store.UnknownTexts(ctx, p.Now(), batch)
		if failed != nil {
			return errors.Join(err, failed)
		}
		for _, d := range doubtful {
			p.job.heartbeat()
			failed := p.lookUp(ctx, d)
			if ctx.Err() != nil {
				return errors.Join(err, failed)
			}
			switch {
			case failed == nil:
				unanswered.Clear()
				continue
			case errors.Is(failed, errClockSet):
				return errors.Join(err, failed) // by this clock no text must be put off either
			case errors.Is(failed, notifier.ErrStop):
				return errors.Join(err, fmt.Errorf("look up texts in doubt: %w", failed))
			}
			listAnswered := !errors.Is(failed, notifier.ErrRetry)
			if listAnswered {
				err = errors.Join(err, failed) // the store could not take what was found
				unanswered.Clear()
			}
			next := p.Now().Add(lookUpBackoff(p.Now().Sub(d.CreatedAt)))
			p.billLog(d.Service, d.Account).Info("a text in doubt could not be looked up, and is put off",
				"text", d.ID, "until", next, "err", failed)
			if failed := p.Store.PutOffLookUp(d.ID, next); failed != nil {
				return errors.Join(err, failed)
			}
			if !listAnswered && unanswered.Against(p.witness(d.SentTo, d.Service, d.Account)) {
				return errors.Join(err, fmt.Errorf("the provider's list gave no answer about %d different texts: "+
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
func (p *receiptsPass) lookUp(ctx context.Context, d store.UnknownText) error {
	since := d.CreatedAt.Add(-messageDateSlack)
	listed, complete, err := p.Notifier.List(ctx, notifier.Query{To: d.SentTo, Since: since, MaxMessages: maxListed})
	if err != nil {
		return err
	}
	now, lookUps := p.Now(), max(minLookUps, len(p.ReconcileAfter))
	if p.clockWasSet(p.clock) {
		return errClockSet
	}
	l := store.LookUp{
		TextID: d.ID, NextAt: now.Add(p.untilNextLookUp(d.CompleteLists + 1)), Resend: p.Resend,
		Last: d.CompleteLists+1 >= lookUps,
	}
	if !complete {
		// A list cut off at its bound proves nothing: it is read a few times
		// more, and then the operator decides.
		last := p.ReconcileAfter[len(p.ReconcileAfter)-1]
		l.Incomplete, l.Last, l.Resend = true, now.Sub(d.CreatedAt) >= (1+cutListReads)*last, false
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
	state, err := p.Store.RecordLookUp(now, l)
	if err != nil {
		return err
	}
	if state != store.Unknown {
		p.Metrics.textMoved(state)
	}
	p.billLog(d.Service, d.Account).Info("text in doubt was looked up at the provider", "text", d.ID, "state", string(state))
	if state == store.NotFound {
		p.wake(jobRemind)
	}
	return nil
}

// mayBe reports whether a message that does not read as the text may be it all the
// same: the provider shows no words of it, or the text's words or accounts among
// others. A readable one that names none of its accounts is somebody else's, such
// as a one-time password of another program on the account.
//
// So is a message that was there before the text was tried. Here a date is held against
// ProviderClockBehind and not against lookBack: a message that cannot be compared proves
// nothing, and one that is wrongly taken for earlier costs a second text.
func mayBe(m notifier.Listed, d store.UnknownText) bool {
	if !m.CreatedAt.IsZero() && m.CreatedAt.Before(d.CreatedAt.Add(-reminder.ProviderClockBehind)) {
		return false
	}
	if !m.Readable() || strings.Contains(m.Body, d.Body) {
		return true
	}
	return slices.ContainsFunc(strings.Split(d.Account, ", "), func(account string) bool { return reminder.Mentions(m.Body, account) })
}

// untilNextLookUp is the pause before the look-up of that number, counted from 0.
func (s *Scheduler) untilNextLookUp(number int) time.Duration {
	last := len(s.ReconcileAfter) - 1
	if number > last {
		return s.ReconcileAfter[last]
	}
	return s.ReconcileAfter[number] - s.ReconcileAfter[number-1]
}

// DoubtTooLong is the age from which a text that is still in doubt takes somebody to
// look into it: an hour after the last look-up that it may have, which is that of a
// text whose lists were all cut off.
func DoubtTooLong(reconcileAfter []time.Duration) time.Duration {
	last := reconcileAfter[len(reconcileAfter)-1]
	return reconcileAfter[0] + (1+cutListReads)*last + time.Hour
}
