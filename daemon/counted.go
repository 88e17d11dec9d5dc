package daemon

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// counted is something that takes long to find out, and that somebody may want to look at:
// it is found out in the background, in a small part of the time, and read without waiting.
type counted[T any] struct {
	what  string // in the log
	count func(context.Context, *worker) (*T, error)
	// share is the part of a core that it may take: one in so many.
	share int
	// hurries is whether the first count takes five times as much: a page without numbers is
	// of little use.
	hurries bool
	// fresh is for how long it need not be counted again while somebody looks, and idle
	// while nobody does.
	fresh, idle time.Duration
	log         *slog.Logger

	mu       sync.Mutex
	value    *T
	took     time.Duration
	begunAt  time.Time // of the present count; zero = there is none
	restsTo  time.Time // the next one begins no earlier
	failed   bool
	lookedAt time.Time
	endedAt  time.Time     // of the last count
	ended    chan struct{} // closed with the next end of a count
	looks    chan struct{} // holds at most one: somebody looks, and what there is is old
}

func newCounted[T any](what string, share int, fresh, idle time.Duration, log *slog.Logger,
	count func(context.Context, *worker) (*T, error),
) *counted[T] {
	return &counted[T]{
		what: what, count: count, share: share, fresh: fresh, idle: idle, log: log,
		ended: make(chan struct{}), looks: make(chan struct{}, 1),
	}
}

const (
	// stillLooks is for how long after a look somebody is taken to be looking.
	stillLooks = 10 * time.Minute
	// firstCount is how long after its start the daemon counts by itself: its jobs go first.
	firstCount = 10 * time.Second
	// quickCount is how long a count took that is worth waiting for.
	quickCount = 80 * time.Millisecond
)

// run counts until ctx ends.
func (c *counted[T]) run(ctx context.Context) {
	for wait := firstCount; ; wait = c.untilDue() {
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
		case <-timer.C:
		case <-c.looks:
		}
		timer.Stop()
		if ctx.Err() != nil {
			return
		}
		w := &worker{share: c.share, began: time.Now()}
		c.mu.Lock()
		if c.begunAt = w.began; c.value == nil && c.hurries {
			w.share = max(2, c.share/5)
		}
		c.mu.Unlock()
		value, err := c.count(ctx, w)
		if ctx.Err() != nil {
			return
		}
		c.keep(value, err, w)
		w.payUp(ctx)
	}
}

func (c *counted[T]) keep(value *T, err error, w *worker) {
	w.settle()
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case err == nil:
		c.value, c.failed = value, false
	case !c.failed:
		c.failed = true
		c.log.Warn(c.what+" cannot be counted for the page; it is tried again", "err", err)
	}
	c.took, c.endedAt, c.begunAt = w.total, time.Now(), time.Time{}
	c.restsTo = c.endedAt.Add(w.rests())
	close(c.ended)
	c.ended = make(chan struct{})
}

// untilDue is how long nothing need be counted unless somebody looks.
func (c *counted[T]) untilDue() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	if time.Since(c.lookedAt) < stillLooks {
		return c.fresh
	}
	return c.idle
}

// look returns what was counted last, nil = nothing yet, and has it counted again if that is
// old. It waits for that, but not for long.
func (c *counted[T]) look(ctx context.Context) *T {
	c.mu.Lock()
	c.lookedAt = time.Now()
	value, ended := c.value, c.ended
	quick := c.took < quickCount && time.Now().After(c.restsTo) && (c.begunAt.IsZero() || time.Since(c.begunAt) < quickCount)
	old := value == nil || time.Since(c.endedAt) > c.fresh
	c.mu.Unlock()
	if !old {
		return value
	}
	select {
	case c.looks <- struct{}{}:
	default:
	}
	if !quick {
		return value
	}
	select {
	case <-ended:
	case <-ctx.Done():
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.value
}

// worker keeps work within its share of the time.
type worker struct {
	share int
	began time.Time     // the work that is not paid for yet
	owed  time.Duration // what is not paid for from before
	total time.Duration
	await func(context.Context) // something else goes first; nil = nothing does
}

// restAfter is how much work is done at a time: short enough for others to get their turn.
const restAfter = 50 * time.Millisecond

// rest is called between pieces of work. It waits as long as the work has earned, and until
// what goes first has had its turn.
func (w *worker) rest(ctx context.Context) {
	if w.settle(); w.owed >= restAfter {
		w.payUp(ctx)
	}
	if w.await != nil {
		w.await(ctx)
	}
	w.began = time.Now()
}

func (w *worker) settle() {
	worked := time.Since(w.began)
	w.owed += worked
	w.total += worked
	w.began = time.Now()
}

// rests is how long the work that is not paid for has to rest.
func (w *worker) rests() time.Duration { return w.owed * time.Duration(w.share-1) }

func (w *worker) payUp(ctx context.Context) {
	w.settle()
	if rests := w.rests(); rests > 0 {
		timer := time.NewTimer(rests)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
		}
	}
	w.owed, w.began = 0, time.Now()
}
