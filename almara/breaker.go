package almara

import (
	"context"
	"sync"
	"time"
)

// The breaker spares a server that is down, and the operator's log: after
// this many failed calls in a row none is made for this long.
const (
	breakerFailures = 10
	breakerPause    = 30 * time.Second
)

// breaker counts failed calls in a row. When its pause is over one call, the
// probe, goes ahead alone and the others wait for what becomes of it: refusing
// them would end the caller's tick although the server may be back.
type breaker struct {
	onChange func(open bool) // called without the lock held

	mu       sync.Mutex
	failures int           // in a row; breakerFailures = open
	until    time.Time     // the end of the pause
	probe    chan struct{} // closed when the probe has ended; nil = none under way
}

// verdict is what a call says of the server.
type verdict int

const (
	noVerdict verdict = iota // the caller gave up
	serverUp                 // it answered, if only to reject
	serverDown
)

// enter lets a call through or returns ErrBreakerOpen, or the error of ctx
// while waiting for the probe. Each call let through must leave with the same
// probe.
func (b *breaker) enter(ctx context.Context) (probe bool, err error) {
	for {
		b.mu.Lock()
		under := b.probe
		switch {
		case b.failures < breakerFailures:
			b.mu.Unlock()
			return false, nil
		case time.Now().Before(b.until):
			b.mu.Unlock()
			return false, ErrBreakerOpen
		case under == nil:
			b.probe = make(chan struct{})
			b.mu.Unlock()
			return true, nil
		}
		b.mu.Unlock()
		select {
		case <-under:
		case <-ctx.Done():
			return false, ctx.Err()
		}
	}
}

// leave counts what became of a call.
func (b *breaker) leave(probe bool, v verdict) {
	b.mu.Lock()
	wasOpen := b.failures >= breakerFailures
	if probe {
		close(b.probe)
		b.probe = nil
	}
	switch {
	case v == serverUp:
		b.failures = 0
	case v == serverDown && probe:
		b.until = time.Now().Add(breakerPause)
	case v == serverDown && !wasOpen:
		// A call that began before the breaker opened and fails after it does
		// not prolong the pause.
		b.failures++
		b.until = time.Now().Add(breakerPause)
	}
	isOpen := b.failures >= breakerFailures
	b.mu.Unlock()
	if isOpen != wasOpen {
		b.onChange(isOpen)
	}
}
