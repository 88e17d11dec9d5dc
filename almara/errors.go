package almara

import (
	"errors"
	"fmt"
	"time"
)

// ErrBreakerOpen says that too many calls about different bills failed in a row
// and no request was made. It says nothing of the bill: stop, and begin again at the next tick.
var ErrBreakerOpen = errors.New("almara pay: too many calls failed in a row, so none is made for a while")

// errUnauthorized marks the StopError of a 401, which a new token may mend.
var errUnauthorized = errors.New("the token is refused (status 401)")

// RejectedError is a fault of this one bill, such as an account that the
// biller does not know. Asking again does not help until the bill is changed.
type RejectedError struct {
	// Reason is in Almara Pay's own words: one line, at most 200 characters,
	// the phone masked.
	Reason string
}

func (e *RejectedError) Error() string { return "almara pay rejects the bill: " + e.Reason }

// UnclearError is a refusal of this one bill, a 4xx, in a form that is not
// known. The biller may not know the account, or almara.base_url may be wrong:
// a single answer cannot tell. It says nothing of the server, and is not worth
// another try before long.
type UnclearError struct {
	// Reason is what Almara Pay said, with the status: one line, at most 200
	// characters, the phone masked.
	Reason string
}

func (e *UnclearError) Error() string { return "almara pay refuses the bill: " + e.Reason }

// ForbiddenError is a 403: the token is good, but gives no right to this bill.
// It may be about this bill or its service alone, or about the whole account.
type ForbiddenError struct {
	Err error // one line, naming the config key to look at
}

func (e *ForbiddenError) Error() string { return fmt.Sprintf("almara pay: %v", e.Err) }

func (e *ForbiddenError) Unwrap() error { return e.Err }

// RetryError is a failure that may pass: try this bill again later. It says
// nothing of the bill itself.
type RetryError struct {
	After time.Duration // how long to wait, as Almara Pay asked, at most maxAfter; 0 = not said
	Err   error         // one line; never a context error, secret, token or phone

	// transient: worth another try within the same call.
	transient bool
	asked     time.Duration // what Almara Pay asked for, before it was capped
	ofAll     bool          // no bill is to blame: it was the token that could not be fetched
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

// StopError is the operator's problem: credentials or addresses that no bill can
// mend. Stop the job loudly and mark no bill.
type StopError struct {
	Err error // one line, naming the config key to look at
}

func (e *StopError) Error() string { return fmt.Sprintf("almara pay: %v", e.Err) }

func (e *StopError) Unwrap() error { return e.Err }
