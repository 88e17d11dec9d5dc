package scheduler

import (
	"context"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"github.com/robfig/cron/v3"
)

// job is one job and how its passes go.
type job struct {
	name     string
	schedule cron.Schedule
	run      func(context.Context, *job) error
	woken    chan struct{} // holds at most one: wake-ups during a pass are one more pass

	elapsed func() time.Duration // counts on when the clock is set: lateness is measured by it

	mu       sync.Mutex
	started  time.Time     // the present or last pass
	ended    time.Time     // the last pass that ended
	progress time.Duration // the last sign of life, as elapsed
	expected time.Duration // when the next pass begins, as elapsed; zero = never
	busy     bool
	passEnds chan struct{} // closed when the present pass ends
	err      error         // of the last pass

	// Of the register and recheck jobs alone, in their own goroutine.
	wasCutShort bool      // the last pass ended before its queue did
	cutSince    time.Time // the passes that did so, one after the other, began then
	cuts        int       // how many ever did
}

func newJob(name string, schedule cron.Schedule, run func(context.Context, *job) error, elapsed func() time.Duration) *job {
	return &job{name: name, schedule: schedule, run: run, woken: make(chan struct{}, 1), elapsed: elapsed}
}

func (j *job) wake() {
	select {
	case j.woken <- struct{}{}:
	default:
	}
}

// awaitEnd returns when no pass is under way, or when ctx ends.
func (j *job) awaitEnd(ctx context.Context) {
	j.mu.Lock()
	busy, passEnds := j.busy, j.passEnds
	j.mu.Unlock()
	if busy {
		select {
		case <-ctx.Done():
		case <-passEnds:
		}
	}
}

// AwaitRemind returns when no pass of the remind job is under way, or when ctx ends: for
// what can wait while texts are sent.
func (s *Scheduler) AwaitRemind(ctx context.Context) {
	for _, j := range s.jobs {
		if j.name == jobRemind {
			j.awaitEnd(ctx)
		}
	}
}

func (j *job) loop(ctx context.Context, s *Scheduler) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-j.woken:
			if ctx.Err() == nil {
				j.pass(ctx, s)
			}
		}
	}
}

// pass runs the job once. A panic in the job ends the pass and not the daemon:
// the other jobs go on, and the next tick tries again.
func (j *job) pass(ctx context.Context, s *Scheduler) {
	start := s.Now()
	j.mu.Lock()
	j.busy, j.started, j.progress = true, start, j.elapsed()
	j.passEnds = make(chan struct{})
	j.mu.Unlock()
	err := func() (err error) {
		defer func() {
			if p := recover(); p != nil {
				s.Log.Error("panic in "+j.name, "stack", string(debug.Stack()))
				err = fmt.Errorf("panic: %v", p)
			}
		}()
		return j.run(ctx, j)
	}()
	end := s.Now()
	j.mu.Lock()
	j.busy, j.ended, j.expected, j.err = false, end, 0, err
	if next := j.schedule.Next(end.In(s.Zone)); !next.IsZero() {
		j.expected = j.elapsed() + next.Sub(end)
	}
	close(j.passEnds)
	j.mu.Unlock()
	s.Metrics.jobEnded(j.name, start, end, err)
	s.report(ctx, j.name, err)
}

// Pass runs one job once, in the caller's goroutine, and returns how it went:
// for whoever has a clock of his own. It must not be called beside Run, nor
// twice at a time for one job.
func (s *Scheduler) Pass(ctx context.Context, name string) error {
	for _, j := range s.jobs {
		if j.name == name {
			j.pass(ctx, s)
			return j.err
		}
	}
	return fmt.Errorf("there is no job %q", name)
}

// heartbeat is a sign of life in the middle of a long pass.
func (j *job) heartbeat() {
	j.mu.Lock()
	j.progress = j.elapsed()
	j.mu.Unlock()
}

// JobHealth is how one job is doing.
type JobHealth struct {
	Name        string    `json:"name"`
	Running     bool      `json:"running"`
	LastStarted time.Time `json:"last_started"`
	LastEnded   time.Time `json:"last_ended"`
	LastError   string    `json:"last_error,omitempty"`
	Late        bool      `json:"late"` // it should have run, or shown a sign of life
}

// lateAfter is how long a job may be silent past its hour. It is longer than
// any single call that a job waits for.
const lateAfter = 5 * time.Minute

// Health is how each job is doing.
func (s *Scheduler) Health() []JobHealth {
	now := s.elapsed()
	all := make([]JobHealth, 0, len(s.jobs))
	for _, j := range s.jobs {
		j.mu.Lock()
		h := JobHealth{Name: j.name, Running: j.busy, LastStarted: j.started, LastEnded: j.ended}
		if j.err != nil {
			h.LastError = j.err.Error()
		}
		expected := j.expected
		if j.busy {
			expected = j.progress
		}
		h.Late = !j.started.IsZero() && expected != 0 && now-expected > lateAfter
		j.mu.Unlock()
		all = append(all, h)
	}
	return all
}
