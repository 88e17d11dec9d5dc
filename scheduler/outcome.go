package scheduler

import (
	"context"
	"errors"
	"fmt"
	"time"

	"duewatch/notifier"
	"duewatch/reminder"
	"duewatch/store"
)

// How long a reminder waits after a definite no that is not its own fault.
const (
	retryUnreachable = time.Minute
	retryThrottled   = time.Minute
	retryAccount     = 5 * time.Minute
	retryUnclear     = time.Hour
	firstReceipt     = time.Minute // after the provider took a text
)

// halt stops sending until its end, with a reason for the texts that wait.
type halt struct {
	reason reminder.Reason
	until  time.Time
	err    error
}

func (h *halt) Error() string { return "sending is stopped: " + h.err.Error() }
func (h *halt) Unwrap() error { return h.err }

// stop is the halt as the store keeps it: decisions go on, and hold what they
// would have sent.
func (h *halt) stop() *reminder.Stop {
	return &reminder.Stop{Reason: h.reason, Until: h.until, Detail: h.err.Error()}
}

// outcomeOf says what to record for a result of the provider, and whether to
// stop the pass. A text of unknown outcome is looked up after firstLook. When a
// text that several bills share is refused for its words, they are tried apart:
// the words about one of them may be to blame.
func outcomeOf(r notifier.Result, shared bool, policy *reminder.Policy, firstLook time.Duration, now time.Time) (store.Outcome, error) {
	o := store.Outcome{State: store.Refused, ProviderStatus: r.Status, Code: r.Code}
	if r.Err != nil {
		o.Error = r.Err.Error()
	}
	hold := func(reason reminder.Reason, wait time.Duration) {
		o.Hold, o.Until = reason, now.Add(max(wait, r.RetryAfter))
	}
	stop := func() error { return &halt{o.Hold, o.Until, r.Err} }

	switch r.Outcome {
	case notifier.Accepted:
		o.State, o.ProviderID, o.NextLook = store.Accepted, r.SID, now.Add(firstReceipt)
		return o, nil
	case notifier.Refused, notifier.Throttled, notifier.NotSent:
		// Certainly not sent: sorted by class below.
	case notifier.Unknown:
		o.State, o.NextLook = store.Unknown, now.Add(firstLook)
		if r.Class == notifier.Account {
			return o, &halt{reminder.AccountFault, now.Add(retryAccount), r.Err}
		}
		return o, nil
	}

	if shared && (r.Class == notifier.BadText || r.Class == notifier.Unlisted) {
		hold(reminder.TryApart, 0)
		return o, nil
	}
	switch r.Class {
	case notifier.BadNumber:
		o.Skip, o.Suppress = reminder.BadNumber, reminder.BadNumber
		return o, nil
	case notifier.OptedOut:
		o.Skip, o.Suppress = reminder.OptedOut, reminder.OptedOut
		return o, nil
	case notifier.BadText:
		o.Skip = reminder.TextRefused
		return o, nil
	case notifier.Account:
		hold(reminder.AccountFault, retryAccount)
		return o, stop()
	case notifier.UntilTomorrow:
		tomorrow := reminder.DateOf(now.In(policy.Zone)).AddDays(1)
		hold(reminder.Throttled, policy.NextOpen(tomorrow.At(policy.SendAt, policy.Zone)).Sub(now))
		return o, stop()
	case notifier.SlowDown:
		hold(reminder.Throttled, retryThrottled)
		return o, stop()
	case notifier.Unlisted, notifier.TryLater, notifier.TryOnce:
		hold(reminder.RefusalUnclear, retryUnclear)
		return o, nil
	}
	if errors.Is(r.Err, notifier.ErrGuard) {
		hold(reminder.NotOnAllowlist, retryUnclear)
		return o, stop()
	}
	hold(reminder.ProviderUnreachable, retryUnreachable)
	return o, stop()
}

// redirectRefused is for a refusal of the phone that all texts are redirected
// to: no customer is to blame for it, and the next text would fare no better.
func redirectRefused(o store.Outcome, why error, now time.Time) (store.Outcome, error) {
	o.Skip, o.Suppress = "", ""
	o.Hold, o.Until = reminder.AccountFault, now.Add(retryAccount)
	return o, &halt{o.Hold, o.Until, fmt.Errorf("notifier.redirect_to: %w", why)}
}

// manyUnlisted refusals in a row, for reasons that are not in the provider's
// table, are a fault of the account rather than of that many customers.
const manyUnlisted = 5

// unlisted counts refusals of unknown reason and stops the pass at too many. One
// whose bills are tried apart is counted with those.
func (s *Scheduler) unlisted(r notifier.Result, held reminder.Reason, now time.Time) error {
	switch {
	case r.Outcome == notifier.Accepted:
		s.unclear.Store(0)
	case r.Class == notifier.Unlisted && held != reminder.TryApart && s.unclear.Add(1) >= manyUnlisted:
		return &halt{reminder.RefusalUnclear, now.Add(retryUnclear), r.Err}
	}
	return nil
}

// givenBack is the outcome of a text that was not handed to the provider.
func givenBack(why reminder.Reason, until time.Time, detail string) store.Outcome {
	return store.Outcome{State: store.Refused, Hold: why, Until: until, Error: detail}
}

// withdrawn gives back a text that was not handed over because its pass was
// stopped, for the reason that stopped it.
func withdrawn(cause error, now time.Time) store.Outcome {
	var h *halt
	switch {
	case errors.As(cause, &h):
		return givenBack(h.reason, h.until, h.Error())
	case errors.Is(cause, context.Canceled):
		return givenBack(reminder.ShuttingDown, now, "duewatch was stopping")
	default:
		return givenBack(reminder.NotHandedOver, now.Add(retryUnreachable), "another text met a fault first")
	}
}
