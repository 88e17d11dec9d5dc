package scheduler

import (
	"context"
	"slices"
	"time"

	"duewatch/reminder"
	"duewatch/store"
)

// A text may wait for its turn at the provider's rate, or for a free connection,
// long after it was decided. So what it rests on is checked once more when its
// turn has come. A check serves the texts that leave within checkFresh of it. From a
// check to the first byte of a request it is at most maxCheckToWrite: a request that
// has not begun to be written by then is given up unsent.
const (
	checkFresh      = 500 * time.Millisecond
	maxCheckToWrite = 2 * time.Second
)

// lastCheck checks texts right before they are handed to the provider: many by
// one read, since those that are about to leave are checked together.
type lastCheck struct {
	store    *store.Store
	now      func() time.Time
	perCheck int // texts that one read checks: as many as may leave while it is fresh

	lock    storeLock
	waiting []*store.Text // whose turn has not come, in the order in which they leave
	at      time.Time     // when the last check began
	checked map[int64]bool
	found   store.IntentCheck
}

// storeLock is a lock that is held while the store is asked or written, which may wait for its
// server for long. It is a channel, since time in a testing/synctest bubble stands still while
// somebody waits for a sync.Mutex.
type storeLock chan struct{}

func newStoreLock() storeLock { return make(storeLock, 1) }

func (l storeLock) take()    { l <- struct{}{} }
func (l storeLock) release() { <-l }

// add puts texts in the line of those that are to be checked.
func (c *lastCheck) add(texts []store.Text) {
	c.lock.take()
	defer c.lock.release()
	for i := range texts {
		c.waiting = append(c.waiting, &texts[i])
	}
}

// lastCheckResult says whether a text may leave.
type lastCheckResult struct {
	stop    *reminder.Stop // that keeps all texts back; nil = there is none
	changed string         // what the text rests on and has changed since its decision; "" = nothing
	at      time.Time      // when that was checked
}

// check checks a text whose turn has come, unless that was done a moment ago.
func (c *lastCheck) check(ctx context.Context, t *store.Text) (lastCheckResult, error) {
	c.lock.take()
	defer c.lock.release()
	// Not the jobs' clock, which may be set: this is a matter of real time.
	if !c.checked[t.ID] || time.Since(c.at) > checkFresh {
		if err := c.checkNext(ctx, t); err != nil {
			return lastCheckResult{}, err
		}
	}
	c.removeLocked(t)
	return lastCheckResult{c.found.Stop, c.found.Changed[t.ID], c.at}, nil
}

// mostChecks is how often a text is checked for one request.
const mostChecks = 4

// checkNext checks a text whose turn has come, and with it the next ones.
func (c *lastCheck) checkNext(ctx context.Context, t *store.Text) (err error) {
	next := c.waiting[:min(len(c.waiting), c.perCheck)]
	if !slices.Contains(next, t) {
		next = append(slices.Clone(next), t)
	}
	// A database that was away for a moment is no reason to give texts back: they are checked once
	// it is there again, and anew where the answer came too late to be of use.
	for tries := 1; ; tries++ {
		c.at = time.Now()
		c.found, err = c.store.CheckIntents(ctx, c.now(), next)
		useful := err == nil && time.Since(c.at) <= checkFresh
		if useful || tries == mostChecks || err != nil && !store.ConnectionLost(err) {
			break
		}
	}
	if err != nil {
		c.checked = nil
		return err
	}
	c.checked = make(map[int64]bool, len(next))
	for _, n := range next {
		c.checked[n.ID] = true
	}
	return nil
}

// remove forgets a text that is given back before its turn.
func (c *lastCheck) remove(t *store.Text) {
	c.lock.take()
	defer c.lock.release()
	c.removeLocked(t)
}

func (c *lastCheck) removeLocked(t *store.Text) {
	if i := slices.Index(c.waiting, t); i >= 0 {
		c.waiting = slices.Delete(c.waiting, i, i+1)
	}
}

// balanceTooOld reports whether a balance that a text names is older than it may
// be: than max_balance_age, or a minute where that is shorter. A text without the amount may leave with an old one: that is what
// stale_balance send_without_amount means.
func (s *Scheduler) balanceTooOld(t *store.Text, now time.Time) bool {
	return slices.ContainsFunc(t.Parts, func(p store.Part) bool {
		return p.WithAmount && now.Sub(p.BalanceAt) > s.Policies.For(p.Service).MaxAgeAtPost()
	})
}
