package scheduler

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"duewatch/reminder"
	"duewatch/sandbox"
	"duewatch/store/db/pgtest"
)

// snapshot copies the store as it is: what a power cut would leave. Nothing may be
// writing to a file.
func (w *world) snapshot() string {
	w.t.Helper()
	if pgtest.Wanted() {
		return pgtest.Copy(w.t, w.path)
	}
	path := filepath.Join(w.t.TempDir(), "after-the-crash.db")
	for _, suffix := range []string{"", "-wal"} {
		b, err := os.ReadFile(w.path + suffix)
		if err == nil {
			err = os.WriteFile(path+suffix, b, 0o600)
		}
		if err != nil {
			w.t.Fatal(err)
		}
	}
	return path
}

func TestCrashBetweenIntentAndOutcomeLeavesTheTextInDoubt(t *testing.T) {
	t.Parallel()
	errCut := errors.New("power cut")
	for name, c := range map[string]struct {
		crash func(w *world, cut func())
		there int
	}{
		"before the call": {func(w *world, cut func()) {
			w.toProvider.before = func(r *http.Request) error {
				if r.Method == http.MethodPost {
					cut()
					return errCut
				}
				return nil
			}
		}, 0},
		"after the call, before the record": {func(w *world, cut func()) { w.toProvider.after = postsOnly(cut) }, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.watch("A1", "2026-03-12", phone(1))
			w.at("2026-03-09 09:00")
			var left string
			c.crash(w, func() { left = w.snapshot() })
			_ = w.tryTick()
			if left == "" {
				t.Fatal("no text was handed over")
			}
			posted := w.posted.Load()
			w.restart(func(w *world) { w.path, w.toProvider.before, w.toProvider.after = left, nil, nil })
			w.wantStates("A1", "unknown")
			w.wantStory("A1", "3 days before: texted, on_schedule")
			for range 3 {
				w.ticks(30*time.Minute, time.Minute)
				w.restart()
			}
			if n := w.posted.Load() - posted; n != 0 {
				t.Errorf("%d texts were posted after the crash", n)
			}
			if n := len(w.texts()); n != c.there {
				t.Errorf("%d texts at the provider, want %d", n, c.there)
			}
		})
	}
}

func TestCrashWhileAlmaraPayIsAskedLosesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.watch("A1", "2026-03-16", phone(1))
	w.at("2026-03-13 09:00")
	var left string
	w.toAlmara.before = func(*http.Request) error {
		if left == "" {
			left = w.snapshot()
		}
		return nil
	}
	// Nothing of this run counts: its texts are not the crashed daemon's.
	w.faults(sandbox.Fault{Where: sandbox.Send, What: sandbox.Status, Status: 429})
	w.job(jobRemind).pass(w.ctx, w.Scheduler)
	w.sandbox.ClearFaults()
	w.restart(func(w *world) { w.path, w.toAlmara.before = left, nil })
	w.tick()
	w.wantTexts("03-13 09:00 A1")
}

func TestTextsInDoubtAtTheStartAreLogged(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.watch("A1", "2026-03-12", phone(1))
	w.at("2026-03-09 09:00")
	var left string
	w.toProvider.after = postsOnly(func() { left = w.snapshot() })
	w.tick()
	w.stop()
	w.path, w.toProvider.after = left, nil
	w.starts++
	w.build()
	ctx, cancel := context.WithCancel(w.ctx)
	cancel() // Run does what it does at the start, and ends
	if err := w.Run(ctx); err != nil {
		t.Fatal(err)
	}
	w.wantStates("A1", "unknown")
	w.wantLog("texts were left in doubt by an earlier run")
}

// A shutdown comes while the provider has a text but has not answered yet.
func TestShutdownRecordsWhatIsUnderWayAndGivesBackTheRest(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(w *world) { w.senders = 1 })
	accounts := []string{"A1", "A2", "A3", "A4", "A5"}
	for i, account := range accounts {
		w.watch(account, "2026-03-12", phone(i))
	}
	w.at("2026-03-09 09:00")
	w.faults(sandbox.Fault{Where: sandbox.Send, What: sandbox.Hold, After: true})
	ctx, shutdown := context.WithCancel(w.ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		w.job(jobRemind).pass(ctx, w.Scheduler)
	}()
	if err := w.sandbox.AwaitHolding(w.ctx, 1); err != nil {
		t.Fatal(err)
	}
	shutdown()
	select {
	case <-ended:
		t.Fatal("the pass ended before the provider answered")
	default:
	}
	w.sandbox.ClearFaults()
	<-ended
	if err := w.job(jobRemind).err; err != nil {
		t.Errorf("a shutdown is no failure: %v", err)
	}
	if n := len(w.texts()); n != 1 {
		t.Fatalf("%d texts, want the one that was under way", n)
	}
	accepted, held := 0, 0
	for _, account := range accounts {
		switch story := strings.Join(w.story(account), "; ") + " " + w.states(account); story {
		case "3 days before: texted, on_schedule accepted":
			accepted++
		case "3 days before: held, shutting_down refused":
			held++
		default:
			t.Errorf("%s: %s", account, story)
		}
	}
	if accepted != 1 || held != len(accounts)-1 {
		t.Errorf("%d accepted and %d given back, want 1 and %d", accepted, held, len(accounts)-1)
	}
	w.restart()
	w.tick()
	w.restart()
	w.ticks(30*time.Minute, time.Minute)
	want := []string{}
	for _, account := range accounts {
		want = append(want, "03-09 09:00 "+account)
	}
	w.wantTexts(want...)
}

func TestShutdownWhileAlmaraPayIsAskedLosesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.watch("A1", "2026-03-16", phone(1))
	w.watch("A2", "2026-03-16", phone(2))
	w.at("2026-03-13 09:00")
	w.faults(sandbox.Fault{Where: sandbox.Register, What: sandbox.Hold, Match: "A2"})
	ctx, shutdown := context.WithCancel(w.ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		w.job(jobRemind).pass(ctx, w.Scheduler)
	}()
	if err := w.sandbox.AwaitHolding(w.ctx, 1); err != nil {
		t.Fatal(err)
	}
	shutdown()
	<-ended
	w.sandbox.ClearFaults()
	w.restart()
	w.tick()
	w.wantTexts("03-13 09:00 A1", "03-13 09:00 A2")
	for _, account := range []string{"A1", "A2"} {
		if n := w.bill(account).Failures; n != 0 {
			t.Errorf("the shutdown counts as %d failures of %s", n, account)
		}
	}
}

// The provider stops the pass while other bills are being asked about: they
// must not wait for the end of a lease.
func TestAPassThatIsCutShortGivesClaimsBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.owes("OLD", "2026-03-16", "100")
	w.owes("NEW", "2026-03-16", "100")
	w.declare("OLD", phone(1))
	w.tick()
	// Only NEW has a balance that is young enough at nine.
	w.at("2026-03-13 08:30")
	w.declare("NEW", phone(2))
	w.job(jobRegister).pass(w.ctx, w.Scheduler)
	w.at("2026-03-13 09:00")
	w.faults(
		sandbox.Fault{Where: sandbox.Register, What: sandbox.Hold},
		sandbox.Fault{Where: sandbox.Send, What: sandbox.Status, Status: 429, Times: 1},
	)
	w.job(jobRemind).pass(w.ctx, w.Scheduler)
	w.sandbox.ClearFaults()
	w.wantStory("NEW", "3 days before: held, throttled")
	w.clock.pass(time.Minute)
	w.tick()
	w.wantTexts("03-13 09:01 NEW", "03-13 09:01 OLD")
}

// The process is stopped for hours in the middle of a round, as when its
// machine is suspended. What had been decided before is decided anew.
func TestTextThatWaitedTooLongIsDecidedAnew(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(w *world) { w.senders = 1 })
	accounts := []string{"A1", "A2", "A3"}
	for i, account := range accounts {
		w.watch(account, "2026-03-12", phone(i))
	}
	w.at("2026-03-09 09:00")
	var once sync.Once
	w.toProvider.after = postsOnly(func() {
		once.Do(func() {
			w.at("2026-03-09 14:00")
			for _, account := range accounts {
				w.pays(account)
			}
		})
	})
	w.tick()
	if n := len(w.texts()); n != 1 {
		t.Errorf("%d texts: after five hours the balance was not asked again, and the customers have paid: %v", n, w.texts())
	}
}

// The receipts job runs while texts of a slow round are still waiting past
// their lease.
func TestTextIsNotTakenForAnOrphanWhileItWaitsForASender(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(w *world) { w.senders, w.round = 1, 64 })
	const bills = 30
	for i := range bills {
		account := fmt.Sprintf("A%02d", i)
		w.owes(account, "2026-03-12", "100")
		w.declared = append(w.declared, reminder.Bill{Service: water, Account: account, Phone: phone(i)})
	}
	w.declared = w.declared[:bills-1]
	w.declare(fmt.Sprintf("A%02d", bills-1), phone(bills-1))
	w.tick()
	w.at("2026-03-09 09:00")
	w.toProvider.after = postsOnly(func() {
		w.clock.pass(30 * time.Second)
		w.job(jobReceipts).pass(w.ctx, w.Scheduler)
	})
	w.job(jobRemind).pass(w.ctx, w.Scheduler)
	w.toProvider.after = nil
	w.ticks(10*time.Minute, time.Minute)
	if n := strings.Count(w.log.String(), "duewatch ended while"); n != 0 {
		t.Errorf("the log speaks of a crash %d times", n)
	}
	doubted := 0
	for i := range bills {
		events, err := w.Store.Events(w.ctx, w.bill(fmt.Sprintf("A%02d", i)).ID)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range events {
			if e.What == "unknown" {
				doubted++
			}
		}
	}
	if doubted != 0 {
		t.Errorf("%d texts were taken for orphans of this very process while they waited for a sender", doubted)
	}
	if n := len(w.texts()); n != bills {
		t.Errorf("%d texts, want %d", n, bills)
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestManyBillsInSmallRounds(t *testing.T) {
	t.Parallel()
	const bills, senders, round = 500, 4, 8
	w := newWorld(t, func(w *world) { w.senders, w.askers, w.round, w.policy.PerNumberDaily = senders, 8, round, bills })
	var want []string
	for i := range bills {
		account := fmt.Sprintf("A%03d", i)
		want = append(want, "03-09 09:00 "+account)
		w.owes(account, "2026-03-12", "100")
		w.declared = append(w.declared, reminder.Bill{Service: water, Account: account, Phone: phone(i % 80)})
	}
	last := w.declared[bills-1]
	w.declared = w.declared[:bills-1]
	w.declare(last.Account, last.Phone)
	w.tick()
	w.at("2026-03-09 09:00")

	var mu sync.Mutex
	calls, most, seen := 0, 0, 0
	w.toProvider.before = func(r *http.Request) error {
		if r.Method == http.MethodPost {
			mu.Lock()
			defer mu.Unlock()
			calls++
			most = max(most, calls)
			if seen++; seen == bills/2 {
				// What is on disk and not settled: two rounds at most.
				open := 0
				for i := range bills {
					if w.states(fmt.Sprintf("A%03d", i)) == "sending" {
						open++
					}
				}
				if open > 2*round {
					t.Errorf("%d texts between intent and outcome, want at most two rounds of %d", open, round)
				}
			}
		}
		return nil
	}
	next := w.toProvider.next
	w.toProvider.next = roundTripper(func(r *http.Request) (*http.Response, error) {
		defer func() { // however it ends
			if r.Method == http.MethodPost {
				mu.Lock()
				defer mu.Unlock()
				calls--
			}
		}()
		return next.RoundTrip(r)
	})
	w.tick()
	w.toProvider.before, w.toProvider.next = nil, next
	if most > senders {
		t.Errorf("%d calls at a time, want at most %d", most, senders)
	}
	for range 3 {
		w.tick()
	}
	slices.Sort(want)
	w.wantTexts(want...)
	if n := w.counted("duewatch_texts_total", "accepted"); n != bills {
		t.Errorf("%v texts counted as accepted, want %d", n, bills)
	}
}
