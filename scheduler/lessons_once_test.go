package scheduler

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"duewatch/reminder"
)

// The tests of the lessons_ files are named after what went wrong in other
// systems that send reminders: a customer texted again and again, or never.
// docs/lessons.md has the list.

// heard answers with one word about every message until the test sets another.
func heard(word *atomic.Value) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) { reports(word.Load().(string), 0)(w, r) }
}

// Elsewhere a message that was sent went back to pending, was taken for unsent,
// and one person got it 2,000 times.
func TestASentMessageNeverBecomesPendingAgain(t *testing.T) {
	t.Parallel()
	for _, was := range []string{"sent", "delivered", "undelivered", "failed", "canceled"} {
		for _, pending := range []string{"accepted", "queued", "scheduled", "sending"} {
			t.Run(was+", then "+pending, func(t *testing.T) {
				t.Parallel()
				var word atomic.Value
				word.Store(was)
				w := newWorld(t, func(w *world) { w.resend = true; twilio{fetch: heard(&word)}.inFront(w) })
				w.watch("A1", "2026-03-12", phone(1))
				w.at("2026-03-09 09:00")
				w.tick()
				w.clock.pass(time.Minute)
				w.tick()
				w.wantStates("A1", was)
				word.Store(pending)
				for range 3 {
					w.restart(func(w *world) { w.fingerprint += "+" }) // planned anew as well
					w.ticks(12*time.Hour, time.Hour)
				}
				w.wantStates("A1", was)
				if n := w.posted.Load(); n != 1 {
					t.Errorf("it was posted %d times", n)
				}
			})
		}
	}
}

// The cap of a phone is counted on what was sent, and not on what was planned:
// no number of bills, stages, restarts or new plans gets past it.
func TestNoPlanGetsPastTheCapOfAPhone(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(w *world) {
		w.policy.PerNumberDaily = 2
		w.policy.Stages = []reminder.Stage{-3, -2, -1, 0}
	})
	const bills = 120
	for i := range bills {
		account := fmt.Sprintf("A%03d", i)
		w.owes(account, fmt.Sprintf("2026-03-%d", 12+i%3), "100")
		w.declared = append(w.declared, reminder.Bill{Service: water, Account: account, Phone: phone(1)})
	}
	w.owes("Z", "2026-03-12", "100")
	w.declare("Z", phone(1))
	for range 6 {
		w.ticks(12*time.Hour, 20*time.Minute)
		w.restart(func(w *world) { w.fingerprint += "+" })
	}
	perDay := map[string]int{}
	for _, x := range w.sandbox.Texts() {
		perDay[x.CreatedAt.In(zone).Format("2006-01-02")]++
	}
	for day, n := range perDay {
		if n > 2 {
			t.Errorf("%d texts to one phone on %s", n, day)
		}
	}
	if len(perDay) < 3 {
		t.Errorf("texts on %d days only: the test tries nothing", len(perDay))
	}
}

// slow hands each text to the provider at once, and lets its answer come after
// a while, or not at all when the caller has given up by then.
type slow struct {
	http.RoundTripper
	takes time.Duration
}

func (s slow) RoundTrip(r *http.Request) (*http.Response, error) {
	res, err := s.RoundTripper.RoundTrip(r)
	if r.Method != http.MethodPost {
		return res, err
	}
	select {
	case <-time.After(s.takes):
		return res, err
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
}

// Elsewhere the provider was slower than the client was patient: the message
// was there, the call had timed out, and it was sent, and paid for, again.
func TestAMessageThatTimedOutButArrivedIsNotSentAgain(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		takes time.Duration
		state string // right after the call
	}{
		"half a minute, as the provider may take": {30 * time.Second, "accepted"},
		"longer than anybody waits":               {time.Hour, "unknown"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, inBubble, func(w *world) { w.resend = true })
				w.toProvider.next = slow{w.toProvider.next, c.takes}
				w.until("2000-01-01 08:30:00")
				w.watch("A1", "2000-01-04", phone(1))
				w.until("2000-01-01 09:00:00")
				w.tick()
				w.wantStates("A1", c.state)
				for range 4 {
					for range 60 {
						<-time.After(time.Minute)
						w.tick()
					}
					w.restart()
					w.toProvider.next = slow{w.toProvider.next, c.takes}
				}
				w.wantTexts("01-01 09:00 A1")
				w.wantStates("A1", "delivered")
				if n := w.posted.Load(); n != 1 {
					t.Errorf("it was posted %d times", n)
				}
			})
		})
	}
}

// Elsewhere 22 copies were sent in a day, since the job had been set to run
// that often.
func TestRunningTheJobMoreOftenSendsNoMore(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		every  time.Duration
		passes int // at each tick
	}{
		"every hour": {time.Hour, 1}, "every five minutes": {5 * time.Minute, 1}, "22 times at each tick": {time.Hour, 22},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.watch("A1", "2026-03-12", phone(1))
			w.watch("A2", "2026-03-11", phone(2))
			for w.clock.now().Before(time.Date(2026, 3, 13, 0, 0, 0, 0, zone)) {
				w.clock.pass(c.every)
				for range c.passes {
					w.tick()
				}
			}
			got := w.texts()
			for i := range got {
				got[i] = got[i][:5] + got[i][len("01-02 15:04"):] // the day is enough
			}
			slices.Sort(got)
			if want := "03-09 A1, 03-09 A2, 03-11 A2, 03-12 A1"; strings.Join(got, ", ") != want {
				t.Errorf("texts %v, want %s", got, want)
			}
		})
	}
}

var errCut = errors.New("power cut")

// Elsewhere a pause and a restart lost some of a batch and repeated others. The
// daemon is ended here at every request that a pass makes, before it leaves and
// after its answer has come, by a power cut and by a shutdown: each customer
// has one text in the end.
func TestEndingAtAnyMomentLosesNoneAndRepeatsNone(t *testing.T) {
	t.Parallel()
	accounts := []string{"A1", "A2", "A3"}
	// attempt ends the daemon at its n-th request, and reports whether it made
	// that many.
	attempt := func(t *testing.T, n int, after, cut bool) bool {
		w := newWorld(t, func(w *world) { w.senders, w.askers, w.resend = 1, 1, true })
		for i, account := range accounts {
			w.watch(account, "2026-03-12", phone(i))
		}
		w.at("2026-03-09 09:30") // the balances are too old: each is asked again
		ctx, shutdown := context.WithCancel(w.ctx)
		defer shutdown()
		requests, dead, left := 0, false, ""
		end := func() {
			if cut {
				left, dead = w.snapshot(), true
			}
			shutdown()
		}
		var mu sync.Mutex // a token may be asked for on behalf of a pass that has ended
		before := func(*http.Request) error {
			mu.Lock()
			defer mu.Unlock()
			if dead {
				return errCut
			}
			if requests++; requests == n && !after {
				if end(); cut {
					return errCut
				}
			}
			return nil
		}
		answered := func(*http.Request) {
			mu.Lock()
			defer mu.Unlock()
			if requests == n && after && !dead {
				end()
			}
		}
		w.toAlmara.hooks(before, answered)
		w.toProvider.hooks(before, answered)
		w.job(jobRemind).pass(ctx, w.Scheduler)
		mu.Lock()
		reached := requests >= n
		mu.Unlock()
		w.restart(func(w *world) {
			w.toAlmara.hooks(nil, nil)
			w.toProvider.hooks(nil, nil)
			if left != "" {
				w.path = left
			}
		})
		if states := w.states("A1") + w.states("A2") + w.states("A3"); !cut && strings.Contains(states, "unknown") {
			t.Errorf("a shutdown left texts in doubt: %s", states)
		}
		w.ticks(time.Hour, 3*time.Minute)
		had := map[string]int{}
		for _, x := range w.sandbox.Texts() {
			had[accountsIn(x.Body)[0]]++
		}
		for _, account := range accounts {
			if had[account] != 1 {
				t.Errorf("%s had %d texts: %v", account, had[account], w.story(account))
			}
		}
		return reached
	}
	for _, end := range []struct {
		name       string
		after, cut bool
	}{{"power cut before it leaves", false, true}, {"power cut after the answer", true, true}, {"shutdown before it leaves", false, false}, {"shutdown after the answer", true, false}} {
		t.Run(end.name, func(t *testing.T) {
			t.Parallel()
			n := 1
			for attempt(t, n, end.after, end.cut) && n < 50 {
				n++
			}
			if n <= 2*len(accounts) {
				t.Errorf("a pass made %d requests: want one to Almara Pay and one to the provider for each customer", n-1)
			}
		})
	}
}
