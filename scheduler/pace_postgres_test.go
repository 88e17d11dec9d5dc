package scheduler

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"duewatch/reminder"
	"duewatch/store/db/pgtest"
)

// arrivals are when texts reached the provider.
type arrivals struct {
	mu    sync.Mutex
	at    []time.Time
	until time.Time // until then it answers nobody; zero = it answers
}

// most is how many there were in any span of so long.
func (a *arrivals) most(span time.Duration) (most int) {
	for from, to := 0, 0; from < len(a.at); from++ {
		for to < len(a.at) && a.at[to].Before(a.at[from].Add(span)) {
			to++
		}
		most = max(most, to-from)
	}
	return most
}

// note notes a text, and returns for how long its answer takes.
func (a *arrivals) note() time.Duration {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.at = append(a.at, time.Now())
	return max(20*time.Millisecond, time.Until(a.until))
}

// Texts of three daemons reach the provider at the rate that they share. Those that are late,
// since the provider stood still or a machine was busy, do not come all at once: no more than are
// in flight come beside those whose turn it is. What the provider missed meanwhile is not made up
// for, so that no ten seconds have more than their share.
func TestTextsOfSeveralDaemonsArriveAtTheSharedRate(t *testing.T) {
	if !pgtest.Wanted() {
		t.Skip("several daemons need PostgreSQL")
	}
	const daemons, perSecond, bills = 3, 150, 1800
	w := prepare(t, func(w *world) { w.senders = 8 })
	var seen arrivals
	provider := httptest.NewServer(http.HandlerFunc(func(to http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			<-time.After(seen.note())
		}
		w.sandbox.Handler().ServeHTTP(to, r)
	}))
	t.Cleanup(provider.Close)
	w.provider = provider.URL
	w.start()
	for i := range bills {
		account := fmt.Sprintf("W-%04d", i)
		w.owes(account, "2026-03-12", "500")
		w.declared = append(w.declared, reminder.Bill{Service: water, Account: account, Phone: reminder.Phone(fmt.Sprintf("+25471%07d", i+100))})
	}
	if _, err := w.Store.Declare("config", w.declared, w.clock.now()); err != nil {
		t.Fatal(err)
	}
	w.tick()
	w.at("2026-03-09 09:00")

	all := []*Scheduler{w.Scheduler}
	for range daemons - 1 {
		w.starts++
		w.build()
		other := w.Scheduler
		t.Cleanup(func() {
			if err := other.Store.Close(); err != nil {
				t.Error(err)
			}
		})
		all = append(all, other)
	}
	w.Scheduler = all[0]
	var working sync.WaitGroup
	for _, s := range all {
		s.SegmentsPerSecond = perSecond
		s.roundSizes, s.pacer = newRoundSizes(perSecond), newWaitingPacer(perSecond, s.SendConcurrency, s.Store)
		if may, err := s.Store.Decide(w.ctx, "0.1.0", "one config", reminder.ModeLive, true); err != nil || !may {
			t.Fatalf("a daemon of the same config may not work: %v", err)
		}
	}
	began := time.Now()
	for _, s := range all {
		working.Go(func() {
			for ended := began.Add(30 * time.Second); time.Now().Before(ended) && len(w.sandbox.Texts()) < bills; {
				if err := s.Pass(w.ctx, jobRemind); err != nil {
					t.Error(err)
				}
				<-time.After(50 * time.Millisecond) // the last texts of the others are under way
			}
		})
	}
	time.AfterFunc(4*time.Second, func() {
		seen.mu.Lock()
		defer seen.mu.Unlock()
		seen.until = time.Now().Add(1500 * time.Millisecond)
	})
	working.Wait()
	seen.mu.Lock()
	defer seen.mu.Unlock()
	inFlight := daemons * w.senders
	second, ten := seen.most(time.Second), seen.most(10*time.Second)
	t.Logf("%d texts in %s, at most %d in a second and %d in ten", len(seen.at), seen.at[len(seen.at)-1].Sub(seen.at[0]), second, ten)
	if second > perSecond+inFlight {
		t.Errorf("%d texts arrived in a second, at a rate of %d and with %d in flight at most", second, perSecond, inFlight)
	}
	if ten > 10*perSecond {
		t.Errorf("%d texts arrived in ten seconds, at a rate of %d", ten, perSecond)
	}
	if len(seen.at) != bills {
		t.Errorf("%d texts of %d bills", len(seen.at), bills)
	}
}
