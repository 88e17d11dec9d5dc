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

// messageDateSlack is by how much the provider's date of a message may differ from our
// own record of a text that the message is taken for. It is generous, since a clock that
// was set must not make a text be sent twice; and harmless, since two texts of one phone
// have the same words on one day only if one of them was lost.
const messageDateSlack = 36 * time.Hour

// maxListed bounds the messages of one phone that are read for one look-up.
const maxListed = 1000

// cutListDelays: a list that was cut off is read again until the text is this many times
// the last delay of reconcile_after old.
const cutListDelays = 4

// takeOver takes over what dead daemons have left: bills that they had claimed, and texts in
// the middle of the call, which become unknown. It returns how many of those there are.
func (s *Scheduler) takeOver() (orphans int, err error) {
	now := s.Now()
	return s.Store.TakeOver(now, s.Owner, now.Add(s.ReconcileAfter[0]))
}

// lookUpUnknownTexts looks up, in the provider's message list, the texts of which
// nobody knows whether they were taken. What is found there was sent. What is not found
// at the last look-up was not, unless the list was cut off, or has a message that may be
// the text and cannot be compared: then, or when a second text of the reminder was lost
// like the first, the reminder waits for the operator. The list promises no consistency,
// so more than one look-up is needed before "not there" is believed.
//
// A look-up without an answer says nothing of the others: it is put off, and they
// go on. When several different ones get none in one pass, the list itself is
// down, and the next pass begins with others. The pass is that of receipts.go.
func (p *receiptsPass) lookUpUnknownTexts(ctx context.Context) (err error) {
	const most = 100
	var unanswered reminder.Evidence
	for ctx.Err() == nil {
		unknown, readErr := p.Store.UnknownTexts(ctx, p.Now(), most)
		if readErr != nil {
			return errors.Join(err, readErr)
		}
		for _, t := range unknown {
			p.job.heartbeat()
			lookUpErr := p.lookUp(ctx, t)
			if ctx.Err() != nil {
				return errors.Join(err, lookUpErr)
			}
			noAnswer := errors.Is(lookUpErr, notifier.ErrRetry)
			switch {
			case lookUpErr == nil:
				unanswered.Clear()
				continue
			case errors.Is(lookUpErr, errClockSet):
				return errors.Join(err, lookUpErr) // by this clock no text must be put off either
			case errors.Is(lookUpErr, notifier.ErrStop):
				return errors.Join(err, fmt.Errorf("look up texts in doubt: %w", lookUpErr))
			case !noAnswer:
				unanswered.Clear()
				err = errors.Join(err, lookUpErr) // the store could not take what was found
			}
			next := p.Now().Add(lookUpBackoff(p.Now().Sub(t.CreatedAt)))
			p.billLog(t.Service, t.Account).Info("a text in doubt could not be looked up, and is put off",
				"text", t.ID, "until", next, "err", lookUpErr)
			if putOffErr := p.Store.PutOffLookUp(t.ID, next); putOffErr != nil {
				return errors.Join(err, putOffErr)
			}
			if noAnswer && unanswered.Against(p.witness(t.SentTo, t.Service, t.Account)) {
				return errors.Join(err, fmt.Errorf("the provider's list gave no answer about %d different texts: "+
					"texts in doubt wait for the next pass", reminder.EnoughWitnesses))
			}
		}
		if len(unknown) < most {
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

// lookUp looks up one text. The error matches notifier.ErrStop or ErrRetry where
// there was no usable answer.
func (p *receiptsPass) lookUp(ctx context.Context, t store.UnknownText) error {
	since := t.CreatedAt.Add(-messageDateSlack)
	listed, complete, err := p.Notifier.List(ctx, notifier.Query{To: t.SentTo, Since: since, MaxMessages: maxListed})
	if err != nil {
		return err
	}
	now, lookUps := p.Now(), max(minLookUps, len(p.ReconcileAfter))
	if p.clockWasSet(p.clock) {
		return errClockSet
	}
	// RecordLookUp weighs these: what was found wins. Before the last look-up the text waits.
	// At the last it is sent once more only where the config resends, nothing is unclear,
	// and no text of its reminder was lost before.
	l := store.LookUp{
		TextID: t.ID, CompleteLists: t.CompleteLists, NextAt: now.Add(p.untilNextLookUp(t.CompleteLists + 1)), Resend: p.Resend,
		Last: t.CompleteLists+1 >= lookUps,
	}
	if !complete {
		// A list cut off at its bound proves nothing: it is read until four times the
		// last delay has passed since the attempt, and then the operator decides.
		last := p.ReconcileAfter[len(p.ReconcileAfter)-1]
		l.Incomplete, l.Last, l.Resend = true, now.Sub(t.CreatedAt) >= cutListDelays*last, false
		l.NextAt = now.Add(last)
	}
	for _, m := range listed {
		switch {
		case m.Body == t.Body:
			l.Found = append(l.Found, m.SID)
		case mayBe(m, t):
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
	p.billLog(t.Service, t.Account).Info("text in doubt was looked up at the provider", "text", t.ID, "state", string(state))
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
// A message from before the text was tried is somebody else's as well. Here a date is
// held against ProviderClockBehind and not against messageDateSlack: a message that
// cannot be compared proves nothing, and one that is wrongly taken for earlier costs a
// second text.
func mayBe(m notifier.Listed, t store.UnknownText) bool {
	if !m.CreatedAt.IsZero() && m.CreatedAt.Before(t.CreatedAt.Add(-reminder.ProviderClockBehind)) {
		return false
	}
	if !m.Readable() || strings.Contains(m.Body, t.Body) {
		return true
	}
	return slices.ContainsFunc(strings.Split(t.Account, ", "), func(account string) bool { return reminder.Mentions(m.Body, account) })
}

// untilNextLookUp is the pause before the look-up of that number: 1 is the second one,
// since the first is set when the text becomes unknown.
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
	return reconcileAfter[0] + cutListDelays*last + time.Hour
}
