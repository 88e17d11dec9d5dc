package almara

import (
	"errors"
	"fmt"
	"time"
)

// ErrBreakerOpen says that too many calls failed in a row and no request was
// made. It says nothing of the bill: stop, and begin again at the next tick.
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

// RetryError is a failure that may pass: try this bill again later. It says
// nothing of the bill itself.
type RetryError struct {
	After time.Duration // how long Almara Pay asked to wait; 0 = not said
	Err   error         // one line; never a context error, secret, token or phone

	// transient: worth another try within the same call.
	transient bool
}

func (e *RetryError) Error() string {
	if e.After > 0 {
		return fmt.Sprintf("almara pay: %v (asks to wait %v)", e.Err, e.After)
	}
	return fmt.Sprintf("almara pay: %v", e.Err)
}

func (e *RetryError) Unwrap() error { return e.Err }

// StopError is the operator's problem: credentials, rights or addresses that
// no bill can mend. Stop the job loudly and mark no bill.
type StopError struct {
	Err error // one line, naming the config key to look at
}

func (e *StopError) Error() string { return fmt.Sprintf("almara pay: %v", e.Err) }

func (e *StopError) Unwrap() error { return e.Err }
