package scheduler

import (
	"sync"
	"time"

	"duewatch/store"
)

// inFlight holds the texts of a pass that are between intent and outcome: were the
// process killed now, nobody could say of them whether the provider has them. The last
// check belongs to it, since it checks the texts that wait here many at a time.
type inFlight struct {
	texts     chan *store.Text // to be sent
	results   chan *sendResult // to be recorded
	lastCheck *lastCheck       // right before they are handed over

	mu    sync.Mutex
	fewer sync.Cond
	count int
}

// sendResult is a text that was handed to the provider, or given back unsent to be
// decided anew, and what came of it.
type sendResult struct {
	text    *store.Text
	outcome store.SendOutcome
}

func newInFlight(capacity int, check *lastCheck) *inFlight {
	f := &inFlight{texts: make(chan *store.Text, capacity), results: make(chan *sendResult, capacity), lastCheck: check}
	f.fewer.L = &f.mu
	return f
}

// awaitAtMost returns when no more than so many texts are in flight.
func (f *inFlight) awaitAtMost(most int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for f.count > most {
		f.fewer.Wait()
	}
}

// add passes committed intents to the senders.
func (f *inFlight) add(texts []store.Text) {
	f.mu.Lock()
	f.count += len(texts)
	f.mu.Unlock()
	f.lastCheck.add(texts)
	for i := range texts {
		f.texts <- &texts[i]
	}
}

// done says that the outcomes of so many texts were recorded.
func (f *inFlight) done(texts int) {
	f.mu.Lock()
	f.count -= texts
	f.mu.Unlock()
	f.fewer.Signal()
}

// A commit costs as much as the records of many texts, so the first outcome waits
// 10 ms for others, if any are in flight. What a kill keeps from being recorded
// meanwhile is looked up at the provider.
const (
	outcomesWait = 10 * time.Millisecond
	maxOutcomes  = maxRound
)

// nextResults waits for a text that was handed over or given back, and returns it
// with those that follow within a moment; none at the end of the pass.
func (f *inFlight) nextResults() (batch []*sendResult) {
	first, ok := <-f.results
	if !ok {
		return nil
	}
	batch = append(batch, first)
	f.mu.Lock()
	enough := min(f.count, maxOutcomes) // no more than these can still come
	f.mu.Unlock()
	timeout := time.NewTimer(outcomesWait)
	defer timeout.Stop()
	for len(batch) < enough {
		select {
		case r, ok := <-f.results:
			if !ok {
				return batch
			}
			batch = append(batch, r)
		case <-timeout.C:
			return batch
		}
	}
	return batch
}
