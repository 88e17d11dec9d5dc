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

// faultSet holds the rules in force, and decides by its dice which calls those
// with a Rate apply to.
type faultSet struct {
	inForce atomic.Int64               // rules; read first, so that a sandbox without faults takes no lock
	counts  map[Endpoint]*atomic.Int64 // calls since the start

	mu       sync.Mutex
	rules    []*rule
	dice     *rand.Rand
	holding  int           // calls that are held now
	changed  chan struct{} // closed and replaced when holding rises
	released chan struct{} // closed and replaced by clear
}

// rule is a Fault in force.
type rule struct {
	Fault
	matched int // calls so far
	holding int // calls it holds now
}

func newFaultSet(seed uint64) *faultSet {
	s := &faultSet{
		counts:   make(map[Endpoint]*atomic.Int64),
		dice:     rand.New(rand.NewPCG(seed, 0)),
		changed:  make(chan struct{}),
		released: make(chan struct{}),
	}
	for _, e := range endpoints() {
		s.counts[e] = new(atomic.Int64)
	}
	return s
}

func (s *faultSet) add(list ...Fault) error {
	for i, f := range list {
		if err := f.validate(); err != nil {
			return fmt.Errorf("fault %d: %w", i+1, err)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range list {
		s.rules = append(s.rules, &rule{Fault: f})
	}
	s.inForce.Store(int64(len(s.rules)))
	return nil
}

func (s *faultSet) clear() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rules = nil
	s.inForce.Store(0)
	close(s.released)
	s.released = make(chan struct{})
}

func (s *faultSet) calls() map[Endpoint]int64 {
	out := make(map[Endpoint]int64, len(s.counts))
	for e, n := range s.counts {
		out[e] = n.Load()
	}
	return out
}

// status is the rules, the calls held now, and a channel closed when more are.
func (s *faultSet) status() ([]FaultStatus, int, <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]FaultStatus, len(s.rules))
	for i, r := range s.rules {
		list[i] = FaultStatus{Fault: r.Fault, Matched: r.matched, Holding: r.holding}
	}
	return list, s.holding, s.changed
}

// awaitHolding returns once at least n calls are held, or ctx ends.
func (s *faultSet) awaitHolding(ctx context.Context, n int) error {
	for {
		_, holding, changed := s.status()
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

// matchedRules are the rules that apply to one call.
type matchedRules struct {
	before, after []*rule         // its processing: waits in order, and in both together at most one fault
	released      <-chan struct{} // closed when the rules are cleared
}

// match finds the rules that apply to a call with this content, and counts them.
func (s *faultSet) match(where Endpoint, content string) matchedRules {
	s.mu.Lock()
	defer s.mu.Unlock()
	matched := matchedRules{released: s.released}
	faulted := false
	for _, r := range s.rules {
		switch {
		case r.Where != where && r.Where != Any,
			!r.waits() && faulted,
			r.Times > 0 && r.matched >= r.Times,
			!strings.Contains(content, r.Match),
			r.Rate > 0 && s.dice.Float64() >= r.Rate:
			continue
		}
		r.matched++
		faulted = faulted || !r.waits()
		if r.after() {
			matched.after = append(matched.after, r)
		} else {
			matched.before = append(matched.before, r)
		}
	}
	return matched
}

// wait waits as long as a rule says, and reports whether the call goes on.
func (s *faultSet) wait(ctx context.Context, r *rule, released <-chan struct{}) bool {
	clock := time.NewTimer(r.duration())
	defer clock.Stop()
	if r.What == Delay {
		select {
		case <-clock.C:
		case <-released:
		}
		return true // as a provider would, whether or not the caller still listens
	}
	s.hold(r, 1)
	defer s.hold(r, -1)
	select {
	case <-clock.C:
		return true
	case <-released:
		return true
	case <-ctx.Done():
		return false
	}
}

func (s *faultSet) hold(r *rule, n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r.holding += n
	s.holding += n
	if n > 0 {
		close(s.changed)
		s.changed = make(chan struct{})
	}
}
