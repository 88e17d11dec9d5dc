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

	// maxPause is the longest pause that the provider is believed to want: one
	// odd answer must not silence a day. Asked again, it says so again.
	maxPause = 10 * time.Minute
)

// stoppedError says that the provider met something that every text would meet. It
// keeps all texts back until an instant, with a reason for those that wait: it cuts a
// pass short, and the store keeps it as a Stop, under which decisions go on and hold
// what they would have sent.
type stoppedError struct {
	reason reminder.Reason
	until  time.Time
	err    error
	// against are the phones whose refusals are the reason, where several had to agree.
	against []reminder.Phone
}

func (e *stoppedError) Error() string { return "sending is stopped: " + e.err.Error() }
func (e *stoppedError) Unwrap() error { return e.err }

func (e *stoppedError) asStop() *reminder.Stop {
	return &reminder.Stop{Reason: e.reason, Until: e.until, Detail: e.err.Error()}
}

// outcomeOf says what to record for a result of the provider, about a text of so many
// bills. Whether more than this text is at fault, judgeScope says. A text that was taken
// is asked about after firstPoll, and one of unknown outcome is looked up after
// firstLookUp. When a text that several bills share is refused
// for its words, each is tried in one of its own: the words about one of them may be to
// blame.
func outcomeOf(
	r notifier.Result, bills int, policy *reminder.Policy, firstPoll, firstLookUp time.Duration, now time.Time,
) store.SendOutcome {
	o := store.SendOutcome{State: store.Refused, ProviderStatus: r.Status, Code: r.Code}
	if r.Err != nil {
		o.Error = r.Err.Error()
	}
	// holdFor holds the reminder, for longer if the provider asks for a longer pause.
	holdFor := func(reason reminder.Reason, wait time.Duration) store.SendOutcome {
		if r.RetryAfter > 0 {
			wait = max(wait, min(r.RetryAfter, maxPause))
			o.Error += fmt.Sprintf("; it asks for a pause of %s, and is tried again after %s", r.RetryAfter, wait.Round(time.Second))
		}
		o.Hold, o.Until = reason, now.Add(wait)
		return o
	}

	switch r.Outcome {
	case notifier.Accepted:
		o.State, o.ProviderID, o.NextPollAt = store.Accepted, r.SID, now.Add(firstPoll)
		return o
	case notifier.Refused, notifier.Throttled, notifier.NotSent:
		// Certainly not sent: sorted by class below.
	case notifier.Unknown:
		o.State, o.NextPollAt = store.Unknown, now.Add(firstLookUp)
		return o
	}

	if bills > 1 && (r.Class == notifier.BadText || r.Class == notifier.Unlisted) {
		return holdFor(reminder.TryApart, 0)
	}
	switch r.Class {
	case notifier.BadNumber:
		o.Skip, o.OptOut = reminder.BadNumber, reminder.BadNumber
		return o
	case notifier.OptedOut:
		o.Skip, o.OptOut = reminder.OptedOut, reminder.OptedOut
		return o
	case notifier.BadText:
		o.Skip = reminder.TextRefused
		return o
	case notifier.Account:
		return holdFor(reminder.AccountFault, retryAccount)
	case notifier.Destination:
		if advice := notifier.Advice(r.Code); advice != "" {
			o.Error += ": " + advice
		}
		return holdFor(reminder.DestinationRefused, retryAccount) // the store overwrites the wait: it knows how often it was refused
	case notifier.UntilTomorrow:
		return holdFor(reminder.Throttled, policy.NextDay(now).Sub(now))
	case notifier.SlowDown, notifier.SlowDownPhone:
		return holdFor(reminder.Throttled, retryThrottled)
	case notifier.Unlisted, notifier.TryLater, notifier.TryOnce, notifier.MaybeHasIt:
		// MaybeHasIt too: as the answer to the request, its code proves that it was refused.
		return holdFor(reminder.RefusalUnclear, retryUnclear)
	}
	if errors.Is(r.Err, notifier.ErrMode) { // the decision should have held it, for the mode: the next one may get it right
		return holdFor(reminder.NotOnAllowlist, retryUnclear)
	}
	return holdFor(reminder.ProviderUnreachable, retryUnreachable)
}

// givenBack is the outcome of a text that was not handed to the provider. Its state
// is Refused: certainly the customer does not have it.
func givenBack(why reminder.Reason, until time.Time, detail string) store.SendOutcome {
	return store.SendOutcome{State: store.Refused, Hold: why, Until: until, Error: detail}
}

// givenBackBy is givenBack for what ended the pass before the text had its turn.
func givenBackBy(cause error, now time.Time) store.SendOutcome {
	var stopped *stoppedError
	switch {
	case errors.As(cause, &stopped):
		return givenBack(stopped.reason, stopped.until, stopped.Error())
	case errors.Is(cause, context.Canceled):
		return givenBack(reminder.ShuttingDown, now, "duewatch was stopping")
	default:
		return givenBack(reminder.NotHandedOver, now.Add(retryUnreachable), "another text met a fault first")
	}
}

// reasonOf is why a text that the provider does not have was held or skipped.
func reasonOf(o *store.SendOutcome) (reminder.Outcome, reminder.Reason) {
	if o.Hold != "" {
		return reminder.Held, o.Hold
	}
	return reminder.Skipped, o.Skip
}
