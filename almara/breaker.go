package almara

import (
	"context"
	"fmt"
	"sync"
	"time"

	"duewatch/reminder"
)

// The breaker keeps calls from a server that is down, and their failures out of
// the log. It opens after breakerFailures failed calls in a row about at least
// reminder.EnoughWitnesses different bills, and then no call is made for
// breakerPause. One bill that always fails does not open it, however often it is
// asked about; and a server that answered within breakerQuiet is not down.
const (
	breakerFailures = 10
	breakerPause    = 30 * time.Second
	breakerQuiet    = 10 * time.Second
)

// breaker counts failed calls in a row. When its pause is over, up to
// reminder.EnoughWitnesses calls at a time go ahead as probes. The other callers
// wait until a probe has ended: to refuse them would end their pass although the
// server may be back.
// Again only failures of different bills count, so that a bill that always fails
// cannot keep the breaker open by being the probe each time.
type breaker struct {
	mu         sync.Mutex
	open       bool
	failures   int               // in a row
	against    reminder.Evidence // the bills that failed since the last answer or pause
	answered   time.Time         // when a call was last answered
	until      time.Time         // the end of the pause
	probes     int               // calls under way that are probes
	probeEnded chan struct{}     // closed and replaced whenever a probe has ended
	why        string            // the failure that opened it, with its bill
}

func newBreaker() *breaker { return &breaker{probeEnded: make(chan struct{})} }

// verdict is what a call says about the server.
type verdict int

const (
	noVerdict  verdict = iota // the caller gave up, or the answer may be about the bill alone
	serverUp                  // it answered, if only to reject
	callFailed                // the fault is the server's or the bill's
	serverDown                // no token could be fetched, which is no bill's fault
)

// breakerChange says whether the end of a call opened or closed the breaker.
type breakerChange int

const (
	breakerSame breakerChange = iota
	breakerOpened
	breakerClosed
)

// enter lets a call through, as a probe or not, or returns ErrBreakerOpen, or the
// error of ctx while it waits for probes. Each call that was let through must call
// leave with the same value of probe.
func (b *breaker) enter(ctx context.Context) (probe bool, err error) {
	for {
		b.mu.Lock()
		ended := b.probeEnded
		switch {
		case !b.open:
			b.mu.Unlock()
			return false, nil
		case time.Now().Before(b.until):
			why := b.why
			b.mu.Unlock()
			return false, fmt.Errorf("%w; the last: %s", ErrBreakerOpen, why)
		case b.probes < reminder.EnoughWitnesses:
			b.probes++
			b.mu.Unlock()
			return true, nil
		}
		b.mu.Unlock()
		select {
		case <-ended:
		case <-ctx.Done():
			return false, ctx.Err()
		}
	}
}

// leave records how a call about a bill ended, and why it failed.
func (b *breaker) leave(probe bool, v verdict, bill, why string) breakerChange {
	b.mu.Lock()
	defer b.mu.Unlock()
	if probe {
		b.probes--
		close(b.probeEnded)
		b.probeEnded = make(chan struct{})
	}
	now := time.Now()
	switch {
	case v == noVerdict:
	case v == serverUp:
		wasOpen := b.open
		b.open, b.failures, b.answered = false, 0, now
		b.against.Clear()
		if wasOpen {
			return breakerClosed
		}
	case b.open && !probe:
		// A call that began before the breaker opened and fails after it does
		// not prolong the pause.
	default:
		b.failures++
		enough := b.against.Against(bill) || v == serverDown
		if !enough || !b.open && (b.failures < breakerFailures || now.Sub(b.answered) < breakerQuiet) {
			return breakerSame
		}
		wasOpen := b.open
		b.open, b.until, b.why = true, now.Add(breakerPause), why
		b.against.Clear() // the next probes are judged by themselves
		if !wasOpen {
			return breakerOpened
		}
	}
	return breakerSame
}
