package scheduler

import (
	"errors"

	"duewatch/almara"
)

// scope is what the outcome of a single call speaks for. It is decided here and in
// evidence_sender.go, for both clients: what one bill, phone or answer suffers
// must hold up no other.
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
