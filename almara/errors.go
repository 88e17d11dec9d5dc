package almara

import (
	"errors"
	"fmt"
	"time"
)

// ErrBreakerOpen means that too many calls about different bills failed in a row,
// so this one made no request. It says nothing about the bill: end the pass, and
// begin again at the next tick.
var ErrBreakerOpen = errors.New("almara pay: too many calls failed in a row, so none is made for a while")

// errUnauthorized marks the StopError of a 401, after which a new token may do.
var errUnauthorized = errors.New("the token is refused (status 401)")

// RejectedError is a fault of this one bill, such as an account that the biller
// does not know (a 4xx with a reason or validation errors). Asking again does not
// help until the bill is changed.
type RejectedError struct {
	// Reason is in Almara Pay's own words: one line, at most maxReason characters,
	// with the phone masked.
	Reason string
}

func (e *RejectedError) Error() string { return "almara pay rejects the bill: " + e.Reason }

// UnclearError is a refusal of this one bill, a 4xx, in a form that is not
// documented. Either the biller does not know the account or almara.base_url is
// wrong; one answer cannot say which. Client.Services gives it where there is no
// list. It says nothing about the server. Ask again
// in minutes, not seconds.
type UnclearError struct {
	// Reason is what Almara Pay said, with the status: one line, at most maxReason
	// characters, with the phone masked.
	Reason string

	services bool // it is the list of services that is refused, and no bill
}

func (e *UnclearError) Error() string {
	if e.services {
		return "almara pay gives no list of its services: " + e.Reason
	}
	return "almara pay refuses the bill: " + e.Reason
}

// ForbiddenError is a 403: the token is valid, but gives no right to this bill.
// That may concern this bill, its service, or the whole account.
type ForbiddenError struct {
	Err error // one line that names the config key to check
}

func (e *ForbiddenError) Error() string { return fmt.Sprintf("almara pay: %v", e.Err) }

func (e *ForbiddenError) Unwrap() error { return e.Err }

// RetryError is a failure that may pass, such as a time-out, a 429 or a 5xx: try
// this bill again later. It says nothing about the bill itself.
type RetryError struct {
	After time.Duration // how long Almara Pay asks to wait, at most maxRetryAfter; 0 = not said
	Err   error         // one line; never a context error, secret, token or phone

	transient bool          // worth another try within the same call
	asked     time.Duration // After before it was capped
	noToken   bool          // the token could not be fetched, so no bill is at fault
}

func (e *RetryError) Error() string {
	switch {
	case e.asked > e.After:
		return fmt.Sprintf("almara pay: %v (asks to wait %v; duewatch waits %v)", e.Err, e.asked, e.After)
	case e.After > 0:
		return fmt.Sprintf("almara pay: %v (asks to wait %v)", e.Err, e.After)
	}
	return fmt.Sprintf("almara pay: %v", e.Err)
}

func (e *RetryError) Unwrap() error { return e.Err }

// StopError is a fault of the configuration, such as credentials (a 401) or an
// address: every call would fail. End the job, report it to the operator, and mark
// no bill.
type StopError struct {
	Err error // one line that names the config key to check
}

func (e *StopError) Error() string { return fmt.Sprintf("almara pay: %v", e.Err) }

func (e *StopError) Unwrap() error { return e.Err }
