package scheduler

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"time"

	"duewatch/notifier"
	"duewatch/reminder"
	"duewatch/store"
)

// send ends one intent: the text is handed to the provider or given back. The
// error is a reason to stop the pass: the next text would fare no better.
func (s *Scheduler) send(pass context.Context, t *store.Text, check *lastCheck) (o store.SendOutcome, err error) {
	if s.pace.wait(pass, t.Segments) == nil {
		o, err = s.sendInTurn(pass, t, check)
	} else {
		check.withdraw(t)
		o = withdrawn(context.Cause(pass), s.Now())
	}
	if h := (*sendingStopped)(nil); errors.As(err, &h) {
		o.Stop, o.Evidence = h.stop(), h.evidence
	}
	o.TextID = t.ID
	if o.Until.After(t.NotAfter) {
		o.Until = t.NotAfter // where the reminder expires by itself
	}
	return o, err
}

// sendInTurn sends a text whose turn has come, unless something that it rests on
// has changed since it was decided.
func (s *Scheduler) sendInTurn(pass context.Context, t *store.Text, check *lastCheck) (store.SendOutcome, error) {
	for try := 1; ; try++ {
		result, o, err := s.checkAndPost(pass, t, check)
		if o.Hold != "" || err != nil {
			return o, err
		}
		now := s.Now()
		switch late := errors.Is(result.Err, notifier.ErrLate); {
		case !late:
			s.lateRequests.Clear()
			o = outcomeOf(result, len(t.Parts) > 1, s.Policies.For(t.Parts[0].Service), s.ReconcileAfter[0], now)
			err = s.applyEvidence(t, result, &o, now)
			return o, err
		case try == maxTries:
			return s.late(t, result.Err, now)
		}
		// The connection that it waited for is ready once this returns, and the text
		// is checked anew. Making one may take longer than a check lasts.
		if err := s.Notifier.Connect(context.WithoutCancel(pass)); err != nil {
			h := &sendingStopped{reason: reminder.ProviderUnreachable, until: s.Now().Add(retryUnreachable), err: err}
			return givenBack(h.reason, h.until, err.Error()), h
		}
	}
}

// maxTries is how often a text in turn is checked and begun anew when no
// connection is ready in time.
const maxTries = 3

// checkAndPost tests once more what a text rests on, right before its request, and
// hands it over. An outcome that holds says why it was not.
func (s *Scheduler) checkAndPost(pass context.Context, t *store.Text, check *lastCheck) (r notifier.Result, o store.SendOutcome, err error) {
	stop, changed, checkedAt, err := check.verdict(context.WithoutCancel(pass), t)
	now := s.Now()
	if err != nil {
		return r, givenBack(reminder.NotHandedOver, now.Add(retryUnreachable), "what it rests on could not be read once more"), err
	}
	by := checkedAt.Add(checkToRequest)
	switch closed := s.closed(t, now); {
	case pass.Err() != nil:
		o = withdrawn(context.Cause(pass), now)
	case s.clockWasSet(s.passClock):
		return r, givenBack(reminder.ClockUnsure, t.Decided, "the clock was set before it could be handed over"), errClockSet
	case stop != nil:
		o = givenBack(stop.Reason, now, "sending was stopped before it could be handed over: "+stop.Detail)
	case changed != "":
		o = givenBack(reminder.ChangedMeanwhile, now, changed)
	case s.balanceTooOld(t, now):
		o = givenBack(reminder.BalanceStale, now, "its balance grew too old before it could be handed over")
	case t.NotAfter.Sub(now) < time.Second: // less than the provider takes as validity
		o = givenBack(reminder.NotHandedOver, t.NotAfter, "it stopped being useful before it could be handed over")
	case closed != nil:
		o = givenBack(reminder.OutsideWindow, closed.NextOpen(now), "the window closed before it could be handed over")
	case now.Sub(t.Decided) > lease/2:
		// Soon it would be taken for one that a dead process left.
		o = givenBack(reminder.NotHandedOver, now, "it waited too long to be handed over")
	case time.Now().After(by):
		o = givenBack(reminder.NotHandedOver, now.Add(retryUnreachable), "the store took too long to say whether it may leave")
	}
	if o.Hold != "" {
		return r, o, nil
	}
	// A shutdown must not cut off the answer: it would leave a text in doubt.
	return s.Notifier.Send(context.WithoutCancel(pass), notifier.Message{To: t.To, Body: t.Body, Validity: s.validity(t, now), WriteBy: by}), o, nil
}

// late gives back a text whose request was not written soon enough after the
// check, time and again. When several texts in a row wait in vain, the provider is
// not to be reached.
func (s *Scheduler) late(t *store.Text, why error, now time.Time) (store.SendOutcome, error) {
	if s.lateRequests.Against(t.To.E164()) {
		h := &sendingStopped{reason: reminder.ProviderUnreachable, until: now.Add(retryUnreachable), err: why}
		return givenBack(h.reason, h.until, why.Error()), h
	}
	return givenBack(reminder.NotHandedOver, now.Add(retryUnreachable), why.Error()), nil
}

// closed is the policy of one of the text's bills whose window is closed; nil
// when all are open.
func (s *Scheduler) closed(t *store.Text, now time.Time) *reminder.Policy {
	for _, part := range t.Parts {
		if p := s.Policies.For(part.Service); !p.OpenAt(now) {
			return p
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

// logText counts a reminder for each bill, and the text once.
func (s *Scheduler) logText(t store.Text, o store.SendOutcome, now time.Time) {
	var accounts, stages []string
	for _, part := range t.Parts {
		accounts, stages = append(accounts, part.Account), append(stages, part.Stage.String())
		switch o.State {
		case store.Accepted:
			s.Metrics.reminded(reminder.Texted, part.Reason)
			s.Metrics.late(max(0, now.Sub(part.Planned)))
		case store.Unknown:
			s.Metrics.reminded(reminder.Texted, part.Reason)
		default:
			s.Metrics.reminded(reminderOutcome(o), o.Hold+o.Skip)
		}
	}
	s.Metrics.textMoved(o.State)
	log := func(level slog.Level, what string, more ...slog.Attr) {
		attrs := [...]slog.Attr{
			slog.String("service", s.Policies.Name(t.Parts[0].Service)), slog.String("account", strings.Join(accounts, ", ")),
			slog.String("stage", strings.Join(stages, ", ")), slog.Any("to", t.To), slog.Int64("text", t.ID),
		}
		s.Log.LogAttrs(context.Background(), level, what, append(attrs[:], more...)...)
	}
	switch o.State {
	case store.Accepted:
		log(slog.LevelInfo, "text accepted by the provider", slog.String("sid", o.ProviderID), slog.Int("segments", t.Segments))
	case store.Unknown:
		log(slog.LevelWarn, "text in doubt: the provider may or may not have it, so it is looked up there", slog.String("err", o.Error))
	default:
		log(slog.LevelWarn, "text not sent", slog.String("reason", string(o.Hold+o.Skip)), slog.String("err", o.Error))
	}
}

func reminderOutcome(o store.SendOutcome) reminder.Outcome {
	if o.Hold != "" {
		return reminder.Held
	}
	return reminder.Skipped
}
