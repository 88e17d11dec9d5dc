package scheduler

import (
	"context"
	"errors"
	"time"

	"duewatch/notifier"
	"duewatch/reminder"
	"duewatch/store"
)

// send ends one intent: the text is handed to the provider or given back. The
// error is a reason to cut the pass short: the next text would fare no better.
func (p *remindPass) send(t *store.Text) (outcome store.SendOutcome, err error) {
	switch err = p.pacer.awaitTurn(p.ctx, t); {
	case err == nil:
		outcome, err = p.sendInTurn(t)
	case p.ctx.Err() != nil:
		p.inFlight.lastCheck.remove(t) // which the last check itself does on the first branch
		outcome, err = givenBackBy(context.Cause(p.ctx), p.Now()), nil
	default:
		p.inFlight.lastCheck.remove(t)
		outcome = givenBack(reminder.NotHandedOver, p.Now().Add(retryUnreachable), "no turn could be reserved for it")
	}
	// A stop goes to disk with the outcome; as the error it ends the pass.
	if stopped := (*stoppedError)(nil); errors.As(err, &stopped) {
		others, asideErr := false, error(nil)
		if stopped.reason == reminder.ProviderUnreachable { // from here: other daemons may reach it
			others, asideErr = p.stepAside(context.WithoutCancel(p.ctx), stopped)
		}
		switch {
		case asideErr != nil:
			err = errors.Join(err, asideErr)
		case others: // theirs at once, before this one tries again
			forOthers := *stopped
			forOthers.until = p.Now()
			outcome.Until, err = forOthers.until, &forOthers
		default:
			outcome.Stop, outcome.Evidence = stopped.asStop(), stopped.against
		}
	}
	outcome.TextID = t.ID
	if outcome.Until.After(t.NotAfter) {
		outcome.Until = t.NotAfter // where the reminder expires by itself
	}
	return outcome, err
}

// maxStarts is how often the request of a text is begun, each time after a new check,
// while no connection is ready in time.
const maxStarts = 3

// sendInTurn sends a text whose turn has come, unless something that it rests on
// has changed since it was decided.
func (p *remindPass) sendInTurn(t *store.Text) (store.SendOutcome, error) {
	for start := 1; ; start++ {
		message, heldBack, err := p.checkBeforeRequest(t)
		if message == nil {
			return heldBack, err
		}
		// A shutdown must not cut off the answer: it would leave a text in doubt.
		result := p.Notifier.Send(context.WithoutCancel(p.ctx), *message)
		now := p.Now()
		if !errors.Is(result.Err, notifier.ErrLate) {
			p.lateRequests.Clear() // whatever the result: the request was written in time
			// One bill's policy will do: it only says when tomorrow's texts are decided anew.
			policy := p.Policies.For(t.Parts[0].Service)
			outcome := outcomeOf(result, len(t.Parts), policy, p.firstPoll(), p.ReconcileAfter[0], now)
			// It may add to the outcome (refused destinations, a stop), and returns a
			// *stoppedError where every other text would meet the same.
			err = p.judgeScope(t, result, &outcome, now)
			return outcome, err
		}
		if start == maxStarts {
			return p.tooLate(t, result.Err, now)
		}
		// The connection that it waited for is ready once this returns, and the text
		// is checked anew. Making one may take longer than a check lasts.
		if err := p.Notifier.Connect(context.WithoutCancel(p.ctx)); err != nil {
			stopped := &stoppedError{reason: reminder.ProviderUnreachable, until: p.Now().Add(retryUnreachable), err: err}
			return givenBack(stopped.reason, stopped.until, err.Error()), stopped
		}
	}
}

// checkBeforeRequest checks once more what a text rests on, and returns the message to
// send at once. Without one the text must not leave, and heldBack says why: of the cases
// below, the first that holds is the reason shown.
func (p *remindPass) checkBeforeRequest(t *store.Text) (message *notifier.Message, heldBack store.SendOutcome, err error) {
	checked, err := p.inFlight.lastCheck.check(context.WithoutCancel(p.ctx), t)
	now := p.Now()
	if err != nil {
		return nil, givenBack(reminder.NotHandedOver, now.Add(retryUnreachable), "what it rests on could not be read once more"), err
	}
	validity := p.validity(t, now)
	writeBy := checked.at.Add(maxCheckToWrite)
	if useful := time.Now().Add(validity); useful.Before(writeBy) {
		writeBy = useful // it is of no use any more; its window stays open for a minute at least
	}
	shut := p.shutWindow(t, now)
	switch {
	case p.ctx.Err() != nil:
		heldBack = givenBackBy(context.Cause(p.ctx), now)
	case p.clockWasSet(p.clock):
		// Until an instant that is past by whatever clock: the text is due at once.
		heldBack, err = givenBack(reminder.ClockUnsure, t.Decided, "the clock was set before it could be handed over"), errClockSet
	case checked.stop != nil:
		heldBack = givenBack(checked.stop.Reason, now, "sending was stopped before it could be handed over: "+checked.stop.Detail)
	case checked.changed != "":
		heldBack = givenBack(reminder.ChangedMeanwhile, now, checked.changed)
	case p.balanceTooOld(t, now):
		heldBack = givenBack(reminder.BalanceStale, now, "its balance grew too old before it could be handed over")
	case t.NotAfter.Sub(now) < time.Second: // less than the provider takes as validity
		heldBack = givenBack(reminder.NotHandedOver, t.NotAfter, "it stopped being useful before it could be handed over")
	case shut != nil:
		heldBack = givenBack(reminder.OutsideWindow, shut.NextOpen(now), "the window closed before it could be handed over")
	case now.Sub(t.Decided) > lease/2:
		// Soon it would be taken for one that a dead process left.
		heldBack = givenBack(reminder.NotHandedOver, now, "it waited too long to be handed over")
	case time.Now().After(writeBy):
		heldBack = givenBack(reminder.NotHandedOver, now.Add(retryUnreachable), "the store took too long to say whether it may leave")
	default:
		return &notifier.Message{
			To: t.To, Body: t.Body, Validity: validity, WriteBy: writeBy, StatusCallback: p.Callbacks.urlFor(t.ID, t.Decided),
		}, heldBack, nil
	}
	return nil, heldBack, err
}

// tooLate gives back a text whose request was not written soon enough after the
// check, time and again. When several texts in a row wait in vain, the provider cannot
// be reached.
func (p *remindPass) tooLate(t *store.Text, why error, now time.Time) (store.SendOutcome, error) {
	if p.lateRequests.Against(p.witness(t.To, t.Parts[0].Service, t.Parts[0].Account)) {
		stopped := &stoppedError{reason: reminder.ProviderUnreachable, until: now.Add(retryUnreachable), err: why}
		return givenBack(stopped.reason, stopped.until, why.Error()), stopped
	}
	return givenBack(reminder.NotHandedOver, now.Add(retryUnreachable), why.Error()), nil
}

// shutWindow is the policy of one of the text's bills whose window is closed; nil
// when all are open.
func (s *Scheduler) shutWindow(t *store.Text, now time.Time) *reminder.Policy {
	for _, part := range t.Parts {
		if policy := s.Policies.For(part.Service); !policy.OpenAt(now) {
			return policy
		}
	}
	return nil
}

// validity is how long the provider may try: while all windows are open, and
// the text is useful for all its bills.
func (s *Scheduler) validity(t *store.Text, now time.Time) time.Duration {
	v := t.NotAfter.Sub(now)
	for _, part := range t.Parts {
		v = min(v, s.Policies.For(part.Service).Validity(now))
	}
	return v
}
