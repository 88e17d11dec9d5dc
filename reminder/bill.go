package reminder

import (
	"strconv"
	"time"
)

// BillState is where a bill stands in its life:
//
//	pending ─→ active ⇄ paused     pending/active ─→ rejected     any ─→ removed
type BillState string

// The states of a bill.
const (
	BillPending  BillState = "pending"  // declared, not yet accepted by Almara Pay
	BillActive   BillState = "active"   // watched
	BillPaused   BillState = "paused"   // the operator asked for silence
	BillRejected BillState = "rejected" // Almara Pay refuses the account; the reason is kept
	BillRemoved  BillState = "removed"  // no longer declared; its history stays
)

// Bill is what is watched: an account at a service, the phone to text, and
// what Almara Pay last said of it.
type Bill struct {
	ID          int64
	Service     string // Almara Pay's serviceId, opaque
	Account     string
	Phone       Phone
	Language    string // "" = the policy's
	Description string // sent as transactionDesc
	Source      string // who declared it: config, file, import, sandbox
	State       BillState

	Customer  string    // name at the biller, "" = not known
	Balance   *Money    // nil = not known
	BalanceAt time.Time // when Almara Pay said so; zero = never
	Usual     *Money    // the highest balance believed so far, nil = none yet
	DueDate   Date      // zero = not known
	Verified  *bool     // whether the biller has confirmed the account, nil = not said yet

	RegisteredAt time.Time // first accepted by Almara Pay; zero = not yet
	CheckedAt    time.Time // last answer of Almara Pay; zero = never
	Failures     int       // failed calls in a row
	LastError    string    // of the last failure, or why it was rejected

	PausedAt    time.Time // of state paused: since when
	PausedUntil time.Time // and when it ends by itself; zero = when the operator says so
}

// Resume ends a pause. A bill that Almara Pay did not know yet awaits its
// registration again.
func (b *Bill) Resume() {
	b.State = BillActive
	if b.RegisteredAt.IsZero() {
		b.State = BillPending
	}
	b.PausedAt, b.PausedUntil = time.Time{}, time.Time{}
}

// Stage is a day relative to the due date: -7, -3, 0 (before), 2 (after).
type Stage int

// String words the stage for operators: "3 days before", "due day", "2 days after".
func (s Stage) String() string {
	switch {
	case s == 0:
		return "due day"
	case s < 0:
		return days(int(-s)) + " before"
	default:
		return days(int(s)) + " after"
	}
}

func days(n int) string {
	if n == 1 {
		return "1 day"
	}
	return strconv.Itoa(n) + " days"
}

// Outcome is what became of a reminder.
type Outcome string

// The outcomes. Texted and Skipped are final; Held is decided again. A
// planned reminder that was never acted on has no record.
const (
	Texted  Outcome = "texted"
	Skipped Outcome = "skipped"
	Held    Outcome = "held"
)

// Reminder is the record of one stage of one due date that was acted on.
type Reminder struct {
	DueDate   Date
	Stage     Stage
	Outcome   Outcome
	Reason    Reason
	TextID    int64 // 0 = none
	Tries     int   // texts of this stage that came to nothing after they were handed over
	DecidedAt time.Time
}

// Final reports whether the reminder needs no further decision.
func (r Reminder) Final() bool { return r.Outcome == Texted || r.Outcome == Skipped }

// Answer is what Almara Pay said of one bill, already in our own types.
type Answer struct {
	At       time.Time // when it was received
	Customer string    // "" = not said
	Balance  *Money    // nil = not known there
	DueDate  Date      // zero = not known there
	Verified *bool     // whether the biller has confirmed the account, nil = not said
	Problem  string    // something implausible that was left out, such as a due date in the year 9999
}
