package scheduler

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"duewatch/reminder"
	"duewatch/sandbox"
	"duewatch/store"
)

// checked has the world's clock be held against the truth, which is what it shows
// at the beginning.
func checked(w *world) {
	w.truth = newTruth(w.clock.now())
	w.toAlmara.date, w.toProvider.date = w.truth.date(PeerAlmara), w.truth.date(PeerProvider)
}

// say changes what the peers say of the time.
func (w *world) say(almara, provider func(time.Time) time.Time) {
	w.truth.mu.Lock()
	defer w.truth.mu.Unlock()
	w.truth.says = map[string]func(time.Time) time.Time{PeerAlmara: almara, PeerProvider: provider}
}

// shows sets the machine's clock: wrong is by how much it is ahead of the truth.
func (w *world) shows(wrong time.Duration) { w.clock.set(w.truth.now().Add(wrong)) }

// lives lets true time pass, and with it that of the machine, with all jobs.
func (w *world) lives(total, every time.Duration) {
	w.t.Helper()
	for range total / every {
		w.truth.mu.Lock()
		w.truth.t = w.truth.t.Add(every)
		w.truth.mu.Unlock()
		w.clock.pass(every)
		_ = w.tryTick()
		w.job(jobHousekeeping).pass(w.ctx, w.Scheduler)
		select {
		case <-w.replan:
			w.replanAll(w.ctx)
		default:
		}
	}
}

// livesUntil is lives up to a true hour in Nairobi.
func (w *world) livesUntil(hour string, every time.Duration) {
	w.t.Helper()
	at, err := time.ParseInLocation("2006-01-02 15:04", hour, zone)
	if err != nil {
		w.t.Fatal(err)
	}
	w.lives(at.Sub(w.truth.now()), every)
}

// why is what the stop for the clock says; "" = there is none.
func (w *world) why() string {
	w.t.Helper()
	stops, err := w.Store.Stops(w.ctx, w.Now())
	if err != nil {
		w.t.Fatal(err)
	}
	for _, s := range stops {
		if s.Reason == reminder.ClockUnsure {
			return s.Detail
		}
	}
	return ""
}

func (w *world) wantWhy(part string) {
	w.t.Helper()
	if got := w.why(); !strings.Contains(got, part) || (part == "") != (got == "") {
		w.t.Errorf("the stop says %q, want %q", got, part)
	}
}

// A host came up years ahead, its history was trimmed as too old, and once the
// clock was right everybody was texted again.
func TestAHostThatStartsYearsAheadForgetsNothingAndTextsNobodyTwice(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		almara, provider func(time.Time) time.Time
		wrong            time.Duration
		why              string
	}{
		"years ahead":                    {nil, nil, 2*year + 3*24*time.Hour, "the clock is 2 years 3 days ahead of Almara Pay's; is it right?"},
		"years behind":                   {nil, nil, -20 * year, "behind Almara Pay's"},
		"hours ahead":                    {nil, nil, 3 * time.Hour, "3 hours ahead of Almara Pay's"},
		"a month ahead":                  {nil, nil, 31 * 24 * time.Hour, "31 days ahead of Almara Pay's"},
		"years ahead, one without dates": {silentPeer, nil, 2 * year, "2 years ahead of Twilio's"},
		"years ahead, one that lies":     {wrongBy(-year), nil, 2 * year, "3 years ahead of Almara Pay's"},
		"years ahead, no dates at all":   {silentPeer, silentPeer, 2 * year, "no answer tells the time, and the clock is 2 years"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, checked)
			w.say(c.almara, c.provider)
			w.watch("A1", "2026-03-12", phone(1))
			w.watch("B1", "2026-03-20", phone(2))
			w.livesUntil("2026-03-09 09:10", 5*time.Minute)
			w.wantTexts("03-09 09:00 A1")
			w.stop()
			w.shows(c.wrong)
			w.fingerprint = "an upgrade" // so that all is planned anew
			w.start()
			asked := w.asked.Load()
			w.declare("C1", phone(3)) // a check that goes on
			w.owes("C1", "2026-03-30", "700")
			w.lives(20*time.Minute, time.Minute)
			w.wantTexts("03-09 09:00 A1")
			w.wantStory("A1", "3 days before: texted, on_schedule")
			w.wantStory("B1")
			w.wantWhy(c.why)
			if w.asked.Load() == asked {
				t.Error("no bill was asked about meanwhile")
			}
			if c.why[:2] != "no" { // the daemon that starts again is no wiser
				w.restart()
				w.lives(5*time.Minute, time.Minute)
				w.wantTexts("03-09 09:00 A1")
				w.wantWhy(c.why)
			}
			w.shows(0)
			w.lives(2*time.Minute, time.Minute)
			w.wantWhy("")
			w.livesUntil("2026-03-12 09:00", time.Hour+time.Minute)
			w.livesUntil("2026-03-30 12:00", 30*time.Minute)
			got := map[string]int{}
			for _, line := range w.texts() {
				got[line[:6]+line[12:]]++
			}
			for _, want := range []string{"03-09 A1", "03-12 A1", "03-17 B1", "03-20 B1", "03-27 C1", "03-30 C1"} {
				if got[want] != 1 {
					t.Errorf("%d texts %q, want 1: %v", got[want], want, w.texts())
				}
			}
			if len(got) != 6 {
				t.Errorf("texts %v", w.texts())
			}
		})
	}
}

// The store vouches where nobody sends a Date, for two days after the last thing
// that was learned.
func TestWithoutDatesTheLastInstantSeenVouchesForTwoDays(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		wrong time.Duration
		sure  bool
	}{
		"right": {0, true}, "two days on": {48*time.Hour - time.Minute, true}, "too late": {48*time.Hour + 20*time.Minute, false},
		"a little back": {-10 * time.Second, true}, "set back": {-3 * time.Hour, false}, "years ahead": {2 * year, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, checked)
			w.say(silentPeer, silentPeer)
			w.watch("A1", "2026-03-30", phone(1)) // registered at 08:00; an empty store before then
			w.wantWhy("")
			w.stop()
			w.shows(c.wrong)
			w.start()
			_ = w.tryTick()
			if got := w.why() == ""; got != c.sure {
				t.Errorf("believed: %t, want %t: %q", got, c.sure, w.why())
			}
		})
	}
}

// Whose answers lie may be let in by the operator, until the clock is set again.
func TestTheOperatorVouchesForAClockUntilItIsSet(t *testing.T) {
	t.Parallel()
	w := newWorld(t, checked)
	w.say(wrongBy(-40*24*time.Hour), wrongBy(year))
	w.watch("A1", "2026-03-12", phone(1))
	w.livesUntil("2026-03-09 09:10", 5*time.Minute)
	w.wantTexts()
	w.wantWhy("40 days ahead of Almara Pay's")
	if _, err := w.Store.ReleaseAll(w.ctx, w.policy, w.Now(), reminder.ClockUnsure, "test", RememberClock(w.Now(), w.truth.uptime())); err != nil {
		t.Fatal(err)
	}
	w.lives(5*time.Minute, time.Minute)
	w.wantTexts("03-09 09:11 A1")
	w.restart() // on the same machine, by the same clock
	w.lives(5*time.Minute, time.Minute)
	w.wantWhy("")
	w.shows(3 * time.Hour)
	w.lives(5*time.Minute, time.Minute)
	w.wantWhy("40 days 3 hours ahead of Almara Pay's")
}

// What was decided by one clock is not sent, and nothing is decided, by another.
func TestAClockThatIsSetInTheMiddleOfAPassLosesNothing(t *testing.T) {
	t.Parallel()
	for name, wrong := range map[string]time.Duration{"ahead": 2 * year, "behind": -year, "three hours ahead": 3 * time.Hour, "to the night": 14 * time.Hour} {
		for what, set := range map[string]func(*world, func()){
			"while Almara Pay answers":   func(w *world, f func()) { w.toAlmara.hooks(nil, postsOnly(f)) },
			"while the provider answers": func(w *world, f func()) { w.toProvider.hooks(nil, postsOnly(f)) },
		} {
			t.Run(name+", "+what, func(t *testing.T) {
				t.Parallel()
				w := newWorld(t, checked, func(w *world) { w.senders, w.askers, w.round, w.policy.MaxBalanceAge = 1, 1, 8, 0 })
				for i, account := range []string{"A1", "A2", "A3"} {
					w.watch(account, "2026-03-12", phone(1+i))
				}
				w.livesUntil("2026-03-09 08:59", time.Minute)
				done := false
				set(w, func() {
					if !done {
						done = true
						w.shows(wrong)
					}
				})
				w.lives(3*time.Minute, time.Minute)
				if !done {
					t.Fatal("the clock was not set")
				}
				if n := len(w.texts()); n > 1 {
					t.Errorf("%d texts by another clock: %v", n, w.texts())
				}
				w.wantWhy("Almara Pay's; is it right?")
				w.shows(0)
				w.lives(3*time.Minute, time.Minute)
				w.lives(24*time.Hour, 20*time.Minute)
				if n := len(w.texts()); n != 3 {
					t.Errorf("%d texts, want 3: %v", n, w.texts())
				}
			})
		}
	}
}

// The clock is set while the list is read: that is no fault of the list, and no text is put
// off by the hour that the clock shows then.
func TestAClockThatIsSetDuringALookUpEndsThePassAndPutsNothingOff(t *testing.T) {
	t.Parallel()
	w := newWorld(t, checked)
	const bills = 4
	for i := range bills {
		w.watch(account(i), "2026-03-12", phone(i))
	}
	w.faults(sandbox.Fault{Where: sandbox.Send, What: sandbox.Drop, After: true, Times: bills})
	w.livesUntil("2026-03-09 09:00", time.Minute)
	for i := range bills {
		w.wantStates(account(i), "unknown")
	}
	w.truth.mu.Lock()
	w.truth.t = w.truth.t.Add(2 * time.Minute)
	w.truth.mu.Unlock()
	w.clock.pass(2 * time.Minute)
	w.toProvider.hooks(nil, func(r *http.Request) {
		if r.URL.Query().Get("To") != "" {
			w.shows(3 * time.Hour)
		}
	})
	before := w.sandbox.Calls()[sandbox.List]
	w.job(jobReceipts).pass(w.ctx, w.Scheduler)
	if err := w.job(jobReceipts).err; !errors.Is(err, errClockSet) {
		t.Errorf("the pass ended with %v, want %v", err, errClockSet)
	}
	if n := w.sandbox.Calls()[sandbox.List] - before; n != 1 {
		t.Errorf("the list was read %d times, want once", n)
	}
	w.toProvider.hooks(nil, nil)
	w.shows(0)
	due, err := w.Store.UnknownTexts(w.ctx, w.Now(), bills)
	if err != nil || len(due) != bills {
		t.Errorf("%d texts are due to be looked up, %v, want %d", len(due), err, bills)
	}
}

// While a clock is wrong another daemon may be at work, by a copy.
func TestTheListIsComparedAgainAfterTheClockWasSet(t *testing.T) {
	t.Parallel()
	w := newWorld(t, checked)
	lists := 0
	w.toProvider.hooks(func(r *http.Request) error {
		if r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, "/Messages.json") && r.URL.Query().Get("PageSize") == "500" {
			lists++
		}
		return nil
	}, nil)
	w.lives(5*time.Minute, time.Minute)
	if lists != 1 {
		t.Fatalf("compared %d times at the start", lists)
	}
	w.truth.mu.Lock()
	w.truth.t = w.truth.t.Add(-3 * time.Hour) // it was the clock that was wrong
	w.truth.booted = w.truth.booted.Add(-3 * time.Hour)
	w.truth.mu.Unlock()
	w.shows(0)
	w.lives(5*time.Minute, time.Minute)
	if lists != 2 {
		t.Errorf("compared %d times after the clock was set", lists-1)
	}
	w.wantWhy("")
}

// A machine whose hardware clock was in local time was put right while the daemon
// ran, and every job stood still for the three hours by which it was set back.
func TestJobsDoNotStandStillWhenTheClockIsSetBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := prepare(t, inBubble)
		w.truth = &truth{booted: time.Now().Add(-time.Hour)}
		w.toAlmara.date, w.toProvider.date = w.truth.date(PeerAlmara), w.truth.date(PeerProvider)
		w.clock.skew(3 * time.Hour)
		w.say(wrongBy(3*time.Hour), wrongBy(3*time.Hour)) // so far nobody knows better
		end := w.run()
		defer func() { end() }()
		w.until("2000-01-01 05:30:20")
		w.owes("A1", "2000-01-04", "500")
		w.declare("A1", phone(1))
		w.until("2000-01-01 05:50:00") // the machine shows 08:50
		w.say(nil, nil)
		w.clock.skew(0)
		w.until("2000-01-01 06:20:00")
		for _, h := range w.Health() {
			if h.Late || time.Since(h.LastStarted) > 31*time.Minute {
				t.Errorf("half an hour later: %+v", h)
			}
		}
		w.wantWhy("")
		w.until("2000-01-01 08:59:00")
		w.wantTexts()
		w.until("2000-01-01 09:00:30")
		w.wantTexts("01-01 09:00 A1")

		// A suspended machine was not set, but its timers have stood still.
		w.until("2000-01-01 09:01:00")
		w.truth.mu.Lock()
		w.truth.booted = w.truth.booted.Add(-26 * time.Hour)
		w.truth.mu.Unlock()
		w.clock.skew(26 * time.Hour)
		w.say(wrongBy(26*time.Hour), wrongBy(26*time.Hour))
		w.until("2000-01-01 09:01:02")
		for _, h := range w.Health() {
			if want := time.Now().Add(26*time.Hour - 3*time.Second); h.LastStarted.Before(want) {
				t.Errorf("a suspension later %s was last started at %s", h.Name, h.LastStarted)
			}
		}
		if state := w.ClockCheck.stateNow(); !state.sure || state.sets != 1 {
			t.Errorf("the suspension was taken for setting the clock: %+v", state)
		}
		w.truth.mu.Lock()
		w.truth.booted = w.truth.booted.Add(26 * time.Hour)
		w.truth.mu.Unlock()
		w.clock.skew(0)
		w.say(nil, nil)

		// And a job that hangs is known to, whatever the clock shows.
		w.job(jobReceipts).run = func(ctx context.Context, _ *job) error { <-ctx.Done(); return nil }
		w.until("2000-01-01 09:06:00")
		w.say(wrongBy(-3*time.Hour), wrongBy(-3*time.Hour))
		w.clock.skew(-3 * time.Hour)
		w.until("2000-01-01 09:12:00")
		for _, h := range w.Health() {
			if h.Late != (h.Name == jobReceipts) {
				t.Errorf("late: %t, %s", h.Late, h.Name)
			}
		}
	})
}

func TestADaemonWhoseClockNobodyBelievesStopsNoOther(t *testing.T) {
	besideAnother(t)
	w := newWorld(t, checked)
	w.say(wrongBy(-3*time.Hour), wrongBy(-3*time.Hour))
	w.joinedByAnother()
	asked := w.asked.Load()
	for i := range 4 { // each daemon asks about its own bills
		w.owes(account(i), "2026-03-12", "500")
		w.declare(account(i), phone(i))
	}
	w.livesUntil("2026-03-09 09:10", 5*time.Minute)
	w.wantTexts()
	w.wantStops()
	if err := w.Pass(w.ctx, jobRemind); err == nil || !strings.Contains(err.Error(), "leaves its work to the others") {
		t.Errorf("a pass ends by %v", err)
	}
	if n := w.asked.Load() - asked; n != 0 {
		t.Errorf("Almara Pay is asked about %d bills, whose answers would have a wrong age", n)
	}
	w.say(nil, nil)
	w.livesUntil("2026-03-09 09:20", 5*time.Minute)
	if err := w.Pass(w.ctx, jobRemind); err != nil {
		t.Errorf("once the clock is believed: %v", err)
	}
}

// The answer looks as if it were of 08:59: at 09:00 it would be fresh, and it is an hour old.
func TestWhatADeadDaemonLearnedByAWrongClockIsAskedAgain(t *testing.T) {
	besideAnother(t)
	w := newWorld(t, checked)
	w.watch("A1", "2026-03-12", phone(1))
	w.lives(time.Minute, time.Minute)
	owed := reminder.MustMoney("500")
	wrong := w.Now().Add(58 * time.Minute)
	w.Store.TrustClock(false)
	if _, err := w.Store.RecordChecks(w.Policies, wrong, store.CheckResult{BillID: w.bill("A1").ID, Answer: &reminder.Answer{At: wrong, Balance: &owed}}); err != nil {
		t.Fatal(err)
	}
	w.Store.TrustClock(true)
	w.owes("A1", "2026-03-12", "0")
	w.livesUntil("2026-03-09 09:10", 5*time.Minute)
	w.wantTexts()
	w.wantStory("A1", "3 days before: skipped, paid")
}

// Each of several daemons steps aside for the others. Where no other can work there is nobody to step
// aside for: what is due must be held with a reason, as with one daemon, and not be passed over.
func TestADaemonWhoseClockIsBelievedEndsTheStopOfAnother(t *testing.T) {
	besideAnother(t)
	w := newWorld(t, checked)
	w.joinedByAnother()
	w.watch("A1", "2026-03-12", phone(1))
	w.livesUntil("2026-03-09 08:58", time.Minute)
	// While this one was cut off, the other one was alone, and nobody believed its clock.
	if err := w.Store.DistrustClock(w.clock.now(), "the clock is 3 hours ahead of Almara Pay's; is it right?"); err != nil {
		t.Fatal(err)
	}
	w.anotherIs(reminder.ClockUnsure)
	w.livesUntil("2026-03-09 09:05", time.Minute)
	w.wantStops()
	w.wantTexts("03-09 09:00 A1")
}

// A daemon whose clock nobody believes leaves it to one that is cut off to say so: that one's stop ends
// by itself, and the other one's would outlive it.
func TestADaemonWhoseClockNobodyBelievesStopsNothingBesideOneThatIsCutOff(t *testing.T) {
	besideAnother(t)
	w := newWorld(t, checked)
	w.say(wrongBy(-3*time.Hour), wrongBy(-3*time.Hour))
	w.joinedByAnother()
	w.anotherIs(reminder.ProviderUnreachable)
	w.livesUntil("2026-03-09 09:10", 5*time.Minute)
	w.wantStops()
	w.wantTexts()
}

// The database may lose that a daemon has stepped back.
func TestADaemonThatIsAsideInTheDatabaseAloneStepsBack(t *testing.T) {
	besideAnother(t)
	w := newWorld(t, checked)
	w.joinedByAnother()
	w.anotherIs("")
	if _, err := w.Store.StepAside(w.ctx, reminder.ProviderUnreachable); err != nil {
		t.Fatal(err)
	}
	w.tick()
	if portion, err := w.Store.Portion(w.ctx); err != nil || portion.Aside || !portion.Works {
		t.Errorf("its portion is %+v, %v", portion, err)
	}
}

func TestWhereNoClockOfSeveralIsBelievedSendingIsStoppedAndSaysWhy(t *testing.T) {
	besideAnother(t)
	w := newWorld(t, checked)
	w.say(wrongBy(-3*time.Hour), wrongBy(-3*time.Hour))
	w.joinedByAnother()
	w.anotherIs(reminder.ClockUnsure)
	for i := range 4 { // each daemon asks about its own bills
		w.owes(account(i), "2026-03-12", "500")
		w.declare(account(i), phone(i))
	}
	w.livesUntil("2026-03-09 09:10", 5*time.Minute)
	w.wantTexts()
	w.wantWhy("3 hours ahead of Almara Pay's")
	if w.asked.Load() == 0 {
		t.Error("no bill is registered")
	}
	w.anotherIs("")
	if err := w.Pass(w.ctx, jobRemind); err == nil {
		t.Error("it goes on, beside another one whose clock is believed")
	}
	leads, err := w.Store.Leads(w.ctx)
	if err != nil || leads {
		t.Errorf("it leads %t, %v: the other one can work", leads, err)
	}
}
