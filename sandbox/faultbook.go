package sandbox

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// faultBook holds the rules in force and throws their dice.
type faultBook struct {
	inForce atomic.Int64 // rules; read first, so that a sandbox without faults takes no lock
	counts  map[Endpoint]*atomic.Int64

	mu       sync.Mutex
	rules    []*rule
	dice     *rand.Rand
	holding  int
	changed  chan struct{} // closed and replaced when holding rises
	released chan struct{} // closed and replaced by clear
}

type rule struct {
	Fault
	matched int
	holding int
}

func newFaultBook(seed uint64) *faultBook {
	b := &faultBook{
		counts:   make(map[Endpoint]*atomic.Int64),
		dice:     rand.New(rand.NewPCG(seed, 0)),
		changed:  make(chan struct{}),
		released: make(chan struct{}),
	}
	for _, e := range endpoints() {
		b.counts[e] = new(atomic.Int64)
	}
	return b
}

func (b *faultBook) add(list ...Fault) error {
	for i, f := range list {
		if err := f.validate(); err != nil {
			return fmt.Errorf("fault %d: %w", i+1, err)
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, f := range list {
		b.rules = append(b.rules, &rule{Fault: f})
	}
	b.inForce.Store(int64(len(b.rules)))
	return nil
}

func (b *faultBook) clear() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.rules = nil
	b.inForce.Store(0)
	close(b.released)
	b.released = make(chan struct{})
}

func (b *faultBook) calls() map[Endpoint]int64 {
	out := make(map[Endpoint]int64, len(b.counts))
	for e, n := range b.counts {
		out[e] = n.Load()
	}
	return out
}

// status is the rules, the calls held now, and a channel closed when more are.
func (b *faultBook) status() ([]FaultStatus, int, <-chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	list := make([]FaultStatus, len(b.rules))
	for i, r := range b.rules {
		list[i] = FaultStatus{Fault: r.Fault, Struck: r.matched, Holding: r.holding}
	}
	return list, b.holding, b.changed
}

// AwaitHolding returns once at least n calls are held by Hold faults, or ctx
// ends.
func (s *Sandbox) AwaitHolding(ctx context.Context, n int) error {
	return s.faults.awaitHolding(ctx, n)
}

func (b *faultBook) awaitHolding(ctx context.Context, n int) error {
	for {
		_, holding, changed := b.status()
		if holding >= n {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("wait for %d held calls: %w", n, context.Cause(ctx))
		}
	}
}

// draw is the rules that strike a call with this content: waits in order, and
// at most one of the others. released is closed when they are cleared.
func (b *faultBook) draw(where Endpoint, content string) (matched []*rule, released <-chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	spoilt := false
	for _, r := range b.rules {
		switch {
		case r.Where != where && r.Where != Any,
			!r.waits() && spoilt,
			r.Times > 0 && r.matched >= r.Times,
			!strings.Contains(content, r.Match),
			r.Rate > 0 && b.dice.Float64() >= r.Rate:
			continue
		}
		r.matched++
		spoilt = spoilt || !r.waits()
		matched = append(matched, r)
	}
	return matched, b.released
}

// wait passes a rule's time, and reports whether the call goes on.
func (b *faultBook) wait(ctx context.Context, r *rule, released <-chan struct{}) bool {
	clock := time.NewTimer(r.duration())
	defer clock.Stop()
	if r.What == Delay {
		select {
		case <-clock.C:
		case <-released:
		}
		return true // as a provider would, whether or not the caller still listens
	}
	b.hold(r, 1)
	defer b.hold(r, -1)
	select {
	case <-clock.C:
		return true
	case <-released:
		return true
	case <-ctx.Done():
		return false
	}
}

func (b *faultBook) hold(r *rule, n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	r.holding += n
	b.holding += n
	if n > 0 {
		close(b.changed)
		b.changed = make(chan struct{})
	}
}
