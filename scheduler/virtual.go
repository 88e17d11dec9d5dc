package scheduler

import (
	"context"
	"fmt"
	"math"
	"sync"
	"time"

	"duewatch/store"
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

// virtualPacer lets the time of texts and calls pass on a virtual clock. Nobody
// waits: what is sent or asked puts off the next pass of its jobs.
type virtualPacer struct {
	clock             *VirtualClock
	callsPerSecond    float64
	segmentsPerSecond float64
	began             time.Time

	mu      sync.Mutex
	asking  time.Time // until then calls take up Almara Pay's rate
	sending time.Time // and texts the provider's
}

func newVirtualPacer(c Config) *virtualPacer {
	return &virtualPacer{clock: c.Virtual, callsPerSecond: c.AskRate, segmentsPerSecond: c.SegmentsPerSecond, began: c.Virtual.Now()}
}

func (p *virtualPacer) awaitTurn(ctx context.Context, t *store.Text) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sending = later(p.sending, p.clock.Now()).Add(time.Duration(float64(t.Segments) / p.segmentsPerSecond * float64(time.Second)))
	return ctx.Err()
}

func (*virtualPacer) shareRate(int) {}

func (p *virtualPacer) asked(calls int) {
	if calls == 0 {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asking = later(p.asking, p.clock.Now()).Add(time.Duration(float64(calls) / p.callsPerSecond * float64(time.Second)))
}

// passLimit is a second's worth: nothing runs beside a pass that is stepped.
func (p *virtualPacer) passLimit() (segments, calls int) {
	return int(math.Ceil(p.segmentsPerSecond)), int(math.Ceil(p.callsPerSecond))
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
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
	p := s.virtual
	at := p.clock.Now()
	switch {
	case len(j.woken) > 0:
	case j.name == jobHousekeeping:
		at = j.schedule.Next(j.started.In(s.Zone)) // at each of its ticks
	case due.IsZero():
		return due
	default:
		at = firstTick(j.schedule, later(due, j.started.Add(time.Millisecond)).In(s.Zone), p.began)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	switch j.name {
	case jobRegister, jobRecheck:
		return later(at, p.asking)
	case jobRemind:
		return later(at, p.sending)
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
	return ctx.Err()
}
