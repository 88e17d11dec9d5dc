package scheduler

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"duewatch/almara"
	"duewatch/reminder"
	"duewatch/sandbox"
)

func TestPaidMeanwhileIsSkippedAfterAskingAgain(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		balance string
		want    string
	}{
		"paid":            {"0", "paid"},
		"in credit":       {"-150.75", "in_credit"},
		"below a minimum": {"0.99", "below_minimum"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.watch("A1", "2026-03-16", phone(1))
			w.owes("A1", "2026-03-16", c.balance)
			w.at("2026-03-13 09:00")
			w.tick()
			w.wantTexts()
			w.wantStory("A1", "3 days before: skipped, "+c.want)
		})
	}
}

func TestPaidBetweenTwoStagesIsNotTextedAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.watch("A1", "2026-03-12", phone(1))
	w.at("2026-03-09 09:00")
	w.tick()
	w.pays("A1")
	w.at("2026-03-12 09:00")
	w.tick()
	w.wantTexts("03-09 09:00 A1")
	w.wantStory("A1", "3 days before: texted, on_schedule", "due day: skipped, paid")
}

func TestOnlyAnOldBalanceIsAskedAgain(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		age   time.Duration
		asked int64
	}{
		"as old as allowed": {time.Hour, 0},
		"older":             {time.Hour + time.Millisecond, 1},
		"none is allowed":   {0, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, func(w *world) {
				if c.age == 0 {
					w.policy.MaxBalanceAge = 0
				}
			})
			w.at("2026-03-09 09:00")
			w.clock.pass(-c.age)
			w.watch("A1", "2026-03-12", phone(1))
			w.at("2026-03-09 09:00")
			before, calls := w.asked.Load(), w.sandbox.Calls()[sandbox.Register]
			j := w.job(jobRemind)
			if j.pass(w.ctx, w.Scheduler); j.err != nil {
				t.Fatal(j.err)
			}
			if c.age == 0 {
				before-- // it was texted in the tick of its registration, asked then
			}
			if asked := w.asked.Load() - before; asked != c.asked {
				t.Errorf("asked %d times, want %d", asked, c.asked)
			}
			if c.asked == 0 && w.sandbox.Calls()[sandbox.Register] != calls {
				t.Error("a call was made")
			}
			w.wantTexts("03-09 09:00 A1")
		})
	}
}

func TestBalanceNotKnownAtTheBillerFollowsThePolicy(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(w *world) { w.policy.StaleBalance = reminder.StaleWithoutAmount })
	w.at("2026-03-09 09:00")
	w.declare("DUE+0-NOBALANCE-1", phone(1))
	w.tick()
	w.wantTexts("03-09 09:00 DUE+0-NOBALANCE-1")
	if body := w.sandbox.Texts()[0].Body; strings.Contains(body, "KES") {
		t.Errorf("the text names an amount: %s", body)
	}
}

func TestAlmaraPayDown(t *testing.T) {
	t.Parallel()
	// An answer without fields is a failure that the client does not repeat
	// within a call, which keeps the test quick.
	down := sandbox.Fault{Where: sandbox.Register, What: sandbox.Empty}
	for policy, c := range map[reminder.StalePolicy]struct {
		held, after []string // the story while it is down, and an hour after it is back
		texts       int
	}{
		reminder.StaleHold: {
			held:  []string{"3 days before: held, balance_stale"},
			after: []string{"3 days before: texted, on_schedule"},
			texts: 1,
		},
		reminder.StaleWithoutAmount: {
			held:  []string{"3 days before: texted, on_schedule"},
			after: []string{"3 days before: texted, on_schedule"},
			texts: 1,
		},
		reminder.StaleSkip: {
			held:  []string{"3 days before: skipped, balance_not_known"},
			after: []string{"3 days before: skipped, balance_not_known"},
		},
	} {
		t.Run(string(policy), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, func(w *world) { w.policy.StaleBalance = policy })
			w.watch("A1", "2026-03-16", phone(1))
			w.faults(down)
			w.at("2026-03-13 08:59")
			for range 45 {
				w.clock.pass(time.Minute)
				w.tick()
			}
			w.wantStory("A1", c.held...)
			w.sandbox.ClearFaults()
			for range 65 {
				w.clock.pass(time.Minute)
				w.tick()
			}
			w.wantStory("A1", c.after...)
			if n := len(w.texts()); n != c.texts {
				t.Errorf("%d texts, want %d", n, c.texts)
			}
			for _, x := range w.sandbox.Texts() {
				if names := strings.Contains(x.Body, "KES"); names != (policy == reminder.StaleHold) {
					t.Errorf("the text is %q", x.Body)
				}
			}
		})
	}
}

func TestBadCredentialsAtAlmaraPayFailTheJobAndMarkNoBill(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]func(*world){
		"no token is given":        func(w *world) { w.clientSecret = "wrong" },
		"the new token is refused": func(w *world) { w.faults(sandbox.Fault{Where: sandbox.Register, What: sandbox.Status, Status: 401}) },
		"no right":                 func(w *world) { w.faults(sandbox.Fault{Where: sandbox.Register, What: sandbox.Status, Status: 403}) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.watch("A0", "2026-03-16", phone(9))
			w.restart(c)
			for i := range 6 {
				w.declare(fmt.Sprintf("A%d", i+1), phone(i))
			}
			w.at("2026-03-13 09:00")
			err := w.tryTick()
			if err == nil || !strings.Contains(err.Error(), "Almara Pay refuses duewatch itself") {
				t.Fatalf("the tick's error is %v, want that nobody is let in", err)
			}
			for i := range 7 {
				account := fmt.Sprintf("A%d", i)
				if b := w.bill(account); b.Failures != 0 || b.LastError != "" || b.State == reminder.BillRejected {
					t.Errorf("bill %s is marked: %d failures, %q, %s", account, b.Failures, b.LastError, b.State)
				}
			}
			w.wantLog("register failed")
			w.wantTexts()
			w.wantStory("A0", "3 days before: held, balance_stale")
			w.sandbox.ClearFaults()
			w.restart(func(w *world) { w.clientSecret = sandbox.ClientSecret })
			w.clock.pass(10 * time.Minute)
			w.tick()
			w.wantTexts("03-13 09:10 A0")
			if state := w.bill("A1").State; state != reminder.BillActive {
				t.Errorf("bill A1 is %s after the credentials were mended", state)
			}
		})
	}
}

func TestRejectedBillIsLogged(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.declare("REJECT-1", phone(1))
	w.tick()
	if b := w.bill("REJECT-1"); b.State != reminder.BillRejected || b.LastError == "" {
		t.Errorf("bill is %s, %q", b.State, b.LastError)
	}
	w.wantLog("Almara Pay refuses this bill")
	calls := w.sandbox.Calls()[sandbox.Register]
	w.ticks(3*24*time.Hour, 6*time.Hour)
	if w.sandbox.Calls()[sandbox.Register] != calls {
		t.Error("a rejected bill is asked about again by itself")
	}
}

func TestBillRejectedByTheLastCheckIsLogged(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.watch("A1", "2026-03-16", phone(1))
	w.faults(sandbox.Fault{Where: sandbox.Register, What: sandbox.Status, Status: 400, Body: `{"reason": "Account closed."}`})
	w.at("2026-03-13 09:00")
	w.job(jobRemind).pass(w.ctx, w.Scheduler)
	w.wantTexts()
	if b := w.bill("A1"); b.State != reminder.BillRejected {
		t.Fatalf("bill is %s", b.State)
	}
	w.wantLog("Almara Pay refuses this bill")
}

func TestOpenBreakerMarksNoBillThatWasNotAskedAbout(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(w *world) { w.askers = 1 })
	w.faults(sandbox.Fault{Where: sandbox.Register, What: sandbox.Empty})
	const bills = 30
	for i := range bills {
		w.declared = append(w.declared, reminder.Bill{Service: water, Account: fmt.Sprintf("A%d", i), Phone: phone(i)})
	}
	w.declare("Z", phone(99))
	if err := w.tryTick(); !errors.Is(err, almara.ErrBreakerOpen) {
		t.Errorf("the tick's error is %v, want that of the breaker", err)
	}
	calls, failed := w.sandbox.Calls()[sandbox.Register], int64(0)
	for i := range bills {
		failed += int64(w.bill(fmt.Sprintf("A%d", i)).Failures)
	}
	if failed > calls {
		t.Errorf("%d failures noted for %d calls", failed, calls)
	}
}

func TestBillsOfAStoppedPassAreAskedAgainAtTheNextTick(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.faults(sandbox.Fault{Where: sandbox.Register, What: sandbox.Status, Status: 403})
	w.declare("A1", phone(1))
	_ = w.tryTick()
	w.sandbox.ClearFaults()
	w.clock.pass(time.Minute)
	w.tick()
	if state := w.bill("A1").State; state != reminder.BillActive {
		t.Errorf("bill is %s a minute after Almara Pay lets us in again", state)
	}
}

func TestBillsOfAStoppedPassAreAskedAgainAfterARestart(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(w *world) { w.clientSecret = "wrong" })
	w.declare("A1", phone(1))
	_ = w.tryTick()
	w.restart(func(w *world) { w.clientSecret = sandbox.ClientSecret })
	w.clock.pass(time.Second) // it was put off behind all that were due at that instant
	w.tick()
	if state := w.bill("A1").State; state != reminder.BillActive {
		t.Errorf("bill is %s after a restart with the right credentials", state)
	}
}
