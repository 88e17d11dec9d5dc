package scheduler

import (
	"sync"
	"time"

	"duewatch/store"
)

// inFlight holds the texts of a pass that are between intent and outcome: were the
// process killed now, nobody could say of them whether the provider has them.
type inFlight struct {
	texts   chan *store.Text // to be sent
	results chan *sendResult // to be recorded
	check   *lastCheck       // of those that are to be sent

	mu   sync.Mutex
	less sync.Cond
	n    int
}

// sendResult is a text that was handed over or given back, and what came of it.
type sendResult struct {
	text    *store.Text
	outcome store.SendOutcome
}

func newInFlight(most int, check *lastCheck) *inFlight {
	d := &inFlight{texts: make(chan *store.Text, most), results: make(chan *sendResult, most), check: check}
	d.less.L = &d.mu
	return d
}

// await returns when no more than most texts are in doubt.
func (d *inFlight) await(most int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for d.n > most {
		d.less.Wait()
	}
}

// add passes committed intents to the senders.
func (d *inFlight) add(texts []store.Text) {
	d.mu.Lock()
	d.n += len(texts)
	d.mu.Unlock()
	d.check.add(texts)
	for i := range texts {
		d.texts <- &texts[i]
	}
}

func (d *inFlight) done(n int) {
	d.mu.Lock()
	d.n -= n
	d.mu.Unlock()
	d.less.Signal()
}

// What is recorded together: a commit costs as much as the records of many
// texts, so the first waits a moment for others, if there are any. What a kill
// keeps from being recorded meanwhile is looked up at the provider.
const (
	outcomesWait = 10 * time.Millisecond
	together     = maxRound
)

// next returns the texts that ended since; none at the end of the pass.
func (d *inFlight) next() (some []*sendResult) {
	first, ok := <-d.results
	if !ok {
		return nil
	}
	some = append(some, first)
	d.mu.Lock()
	most := min(d.n, together)
	d.mu.Unlock()
	enough := time.NewTimer(outcomesWait)
	defer enough.Stop()
	for len(some) < most {
		select {
		case e, ok := <-d.results:
			if !ok {
				return some
			}
			some = append(some, e)
		case <-enough.C:
			return some
		}
	}
	return some
}
