package almara

import (
	"context"
	"fmt"
	"sync"
	"time"

	"duewatch/reminder"
)

// The breaker spares a server that is down, and the operator's log: after
// breakerFailures failed calls in a row, about at least
// reminder.EnoughWitnesses different bills, none is made for breakerPause. One
// bill that always fails says nothing of the server, however often it is asked
// about; and a server that answered somebody within breakerQuiet is not down.
const (
	breakerFailures = 10
	breakerPause    = 30 * time.Second
	breakerQuiet    = 10 * time.Second
)

// breaker counts failed calls in a row. When its pause is over some calls, the
// probes, go ahead, no more at a time than there must be witnesses, and the
// others wait for what becomes of them: refusing those would end the caller's
// pass although the server may be back. Again only the failures of different
// bills count, so that a bill that always fails cannot keep the others out by
// being the probe each time.
type breaker struct {
	mu       sync.Mutex
	open     bool
	failures int               // in a row
	against  reminder.Evidence // the bills that they were about, since the last answer or pause
	answered time.Time         // when a call was last answered
	until    time.Time         // the end of the pause
	probes   int               // under way
	ended    chan struct{}     // closed and replaced when a probe has ended
	why      string            // it opened: the last failure, and its bill
}

func newBreaker() *breaker { return &breaker{ended: make(chan struct{})} }

// verdict is what a call says of the server.
type verdict int

const (
	noVerdict  verdict = iota // the caller gave up, or the answer may be about the bill alone
	serverUp                  // it answered, if only to reject
	callFailed                // by the server's fault, or for something about the bill
	serverDown                // no bill is to blame: no token could be fetched
)

// breakerChange is what the end of a call made of the breaker.
type breakerChange int

const (
	breakerSame breakerChange = iota
	breakerOpened
	breakerClosed
)

// enter lets a call through or returns ErrBreakerOpen, or the error of ctx
// while waiting for the probes. Each call let through must leave with the same
// probe.
func (b *breaker) enter(ctx context.Context) (probe bool, err error) {
	for {
		b.mu.Lock()
		ended := b.ended
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

// leave counts what became of a call about a bill, and keeps why it failed.
func (b *breaker) leave(probe bool, v verdict, bill, why string) breakerChange {
	b.mu.Lock()
	defer b.mu.Unlock()
	if probe {
		b.probes--
		close(b.ended)
		b.ended = make(chan struct{})
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
