package scheduler

import (
	"errors"

	"duewatch/almara"
	"duewatch/notifier"
)

// scope is what the outcome of a single call speaks for. It is decided here alone,
// for both clients: what one bill, phone or answer meets must hold up no other.
type scope string

const (
	// The caller gave up, so nothing is known.
	forNobody scope = "nobody"
	// The bill or the text that the call was about, and no other, however often it
	// happens. Whether the server is down is for the client's breaker to say, which
	// hears of all calls.
	forItself scope = "itself"
	// The phone alone.
	forPhone scope = "its phone"
	// The phone or its country, unless reminder.EnoughWitnesses different phones of
	// the operator's own country meet the same: then it is the sender.
	forSenderIfOthersAgree scope = "the sender, if others agree"
	// Itself, unless reminder.EnoughWitnesses different ones meet the same and none
	// is served well.
	forAllIfOthersAgree scope = "all, if others agree"
	// The account or the server, whoever the call was about.
	forAll scope = "all"
)

// almaraScope is what the outcome of a call to Almara Pay about one bill speaks
// for.
func almaraScope(err error) scope {
	var (
		rejected  *almara.RejectedError
		unclear   *almara.UnclearError
		retry     *almara.RetryError
		forbidden *almara.ForbiddenError
		stop      *almara.StopError
	)
	switch {
	case err == nil, errors.As(err, &rejected), errors.As(err, &unclear), errors.As(err, &retry):
		// That a refusal in no known form is about almara.base_url, and not about
		// the account, is for the store to say, which remembers who was answered.
		return forItself
	case errors.As(err, &forbidden):
		// The right to a service, or the right to anything.
		return forAllIfOthersAgree
	case errors.As(err, &stop), errors.Is(err, almara.ErrBreakerOpen):
		return forAll
	default:
		return forNobody
	}
}

// twilioScope is what the provider's answer to a text speaks for: that text or its
// phone, or the account, the sender and the connection that all texts share. It
// speaks for what is shared only where it says so itself. What it says of a
// destination speaks for the sender when several different ones say it, with nothing
// accepted in between (senderEvidence).
func twilioScope(r notifier.Result) scope {
	switch r.Class {
	case notifier.Account, notifier.SlowDown, notifier.UntilTomorrow:
		return forAll
	case notifier.Destination:
		return forSenderIfOthersAgree
	case notifier.Unlisted:
		return forAllIfOthersAgree
	case notifier.BadNumber, notifier.OptedOut, notifier.SlowDownPhone:
		return forPhone
	case notifier.BadText, notifier.TryLater, notifier.TryOnce, notifier.MaybeHasIt:
		return forItself
	}
	switch r.Outcome {
	case notifier.Accepted, notifier.Unknown:
		return forItself
	case notifier.Refused, notifier.Throttled, notifier.NotSent:
	}
	return forAll // nobody could be reached, or the guard of the notifier stands in the way
}

// twilioScopeLater is what an error code that a text gets after it was accepted speaks
// for. A network that asks to slow down then has lost this text, and no more.
func twilioScopeLater(c notifier.Class) scope {
	switch c {
	case notifier.Account:
		return forAll
	case notifier.Destination:
		return forSenderIfOthersAgree
	case notifier.BadNumber, notifier.OptedOut, notifier.SlowDownPhone:
		return forPhone
	case notifier.BadText, notifier.TryLater, notifier.TryOnce, notifier.MaybeHasIt,
		notifier.SlowDown, notifier.UntilTomorrow, notifier.Unlisted:
	}
	return forItself
}
