package scheduler

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// VirtualClock is a clock that stands still until it is set. A Scheduler of such a
// clock is not run but stepped: its jobs run one after the other at the instants
// of their ticks, and the time that calls and texts take at their rates passes
// without anybody waiting for it. `duewatch simulate` drives the daemon's jobs
// through weeks that way, and gets the same end from the same beginning: while
// calls are under way the clock stands, so that their order makes no difference.
type VirtualClock struct {
	mu sync.Mutex
	at time.Time
}

// NewVirtualClock is a clock that stands at an instant.
func NewVirtualClock(at time.Time) *VirtualClock { return &VirtualClock{at: at} }

// Now is where the clock stands.
func (c *VirtualClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

// Set moves the clock on; it never goes back.
func (c *VirtualClock) Set(at time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if at.After(c.at) {
		c.at = at
	}
}

// virtual is how far a stepped Scheduler is.
type virtual struct {
	clock   *VirtualClock
	askRate float64
	began   time.Time

	mu       sync.Mutex
	asking   time.Time // until then calls take up Almara Pay's rate
	sending  time.Time // and texts the provider's
	segments float64   // the provider's rate
}

// asked lets the time of so many calls to Almara Pay pass.
func (v *virtual) asked(calls int) {
	if v == nil || calls == 0 {
		return
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.asking = later(v.asking, v.clock.Now()).Add(time.Duration(float64(calls) / v.askRate * float64(time.Second)))
}

// sent lets the time of so many segments pass.
func (v *virtual) sent(segments int) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.sending = later(v.sending, v.clock.Now()).Add(time.Duration(float64(segments) / v.segments * float64(time.Second)))
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// yields ends a pass once its rounds have taken a second, at so many things a
// second, and has the job woken for the next ones, when the clock is a virtual
// one: other jobs have their turn in that time.
func (s *Scheduler) yields(j *job, things int, perSecond float64) bool {
	if s.virtual == nil || float64(things) < perSecond {
		return false
	}
	j.wake()
	return true
}

// Begin does what Run does at its start. Then Next and Step take turns.
func (s *Scheduler) Begin(ctx context.Context) error {
	if _, err := s.prepare(ctx); err != nil {
		return fmt.Errorf("start: %w", err)
	}
	s.replanAll(ctx)
	for _, j := range s.jobs {
		j.wake()
	}
	return nil
}

// Next is the next instant at which a job has something to do: the tick at
// which its queue has come. Ticks that would find nothing are left out, since
// they do nothing. It is zero when there is none.
func (s *Scheduler) Next(ctx context.Context) (next time.Time, err error) {
	due, err := s.Store.NextDue(ctx)
	if err != nil {
		return next, err
	}
	for _, j := range s.jobs {
		next = earlier(next, s.turn(j, due[j.name]))
	}
	return next, nil
}

// earlier is the earlier one of those that are not zero.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || (!b.IsZero() && b.Before(a)) {
		return b
	}
	return a
}

// turn is when a job next has something to do, if its queue comes at due.
func (s *Scheduler) turn(j *job, due time.Time) time.Time {
	v := s.virtual
	at := v.clock.Now()
	switch {
	case len(j.woken) > 0:
	case j.name == jobHousekeeping:
		at = j.schedule.Next(j.started.In(s.Zone)) // at each of its ticks
	case due.IsZero():
		return due
	default:
		at = firstTick(j.schedule, later(due, j.started.Add(time.Millisecond)).In(s.Zone), v.began)
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	switch j.name {
	case jobRegister, jobRecheck:
		return later(at, v.asking)
	case jobRemind:
		return later(at, v.sending)
	}
	return at
}

// Step runs the jobs whose turn it is now, one after the other. An error is
// that of a pass: nothing that the real world would mend later can go wrong in
// a made-up one.
func (s *Scheduler) Step(ctx context.Context) error {
	due, err := s.Store.NextDue(ctx)
	if err != nil {
		return err
	}
	now := s.Now()
	for _, j := range s.jobs {
		at := s.turn(j, due[j.name])
		if at.IsZero() || at.After(now) {
			continue
		}
		select {
		case <-j.woken:
		default:
		}
		j.pass(ctx, s)
		if j.err != nil {
			return fmt.Errorf("%s: %w", j.name, j.err)
		}
	}
	return errors.Join(ctx.Err())
}
