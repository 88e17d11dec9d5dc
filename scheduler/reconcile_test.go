package scheduler

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"duewatch/reminder"
	"duewatch/sandbox"
)

func TestTextInDoubtIsLookedUpAndThenDecided(t *testing.T) {
	t.Parallel()
	lost := func(after bool, times int) sandbox.Fault {
		return sandbox.Fault{Where: sandbox.Send, What: sandbox.Drop, After: after, Times: times}
	}
	for name, c := range map[string]struct {
		fault  sandbox.Fault
		resend bool
		states string
		story  string
		posted int64
		texts  int
	}{
		"found: it was sent":                  {lost(true, 1), true, "delivered", "texted, on_schedule", 1, 1},
		"found, and would not be resent":      {lost(true, 1), false, "delivered", "texted, on_schedule", 1, 1},
		"not found twice: sent once more":     {lost(false, 1), true, "not_found delivered", "texted, on_schedule", 2, 1},
		"not found twice: the operator's":     {lost(false, 1), false, "not_found", "held, in_doubt", 1, 0},
		"not found, and lost again":           {lost(false, 2), true, "not_found not_found", "held, in_doubt", 2, 0},
		"not found, and then the answer lost": {lost(false, 1), true, "not_found delivered", "texted, on_schedule", 2, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, func(w *world) { w.resend = c.resend })
			w.watch("A1", "2026-03-12", phone(1))
			w.at("2026-03-09 09:00")
			w.faults(c.fault)
			if strings.Contains(name, "answer lost") {
				w.faults(sandbox.Fault{Where: sandbox.Send, What: sandbox.Truncate, Times: 2}) // strikes the second only
			}
			w.tick()
			w.wantStates("A1", "unknown")
			for range 6 {
				w.ticks(15*time.Minute, time.Minute)
				w.restart(func(w *world) { w.resend = c.resend })
			}
			w.wantStates("A1", c.states)
			w.wantStory("A1", "3 days before: "+c.story)
			if n := w.posted.Load(); n != c.posted {
				t.Errorf("posted %d times, want %d", n, c.posted)
			}
			if n := len(w.texts()); n != c.texts {
				t.Errorf("%d texts, want %d", n, c.texts)
			}
		})
	}
}

// What is not a complete answer proves nothing about the text.
func TestListThatCannotBeReadProvesNothing(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]sandbox.Fault{
		"503":       {What: sandbox.Status, Status: 503},
		"html 200":  {What: sandbox.HTML, Status: 200},
		"empty":     {What: sandbox.Empty},
		"truncated": {What: sandbox.Truncate},
		"dropped":   {What: sandbox.Drop},
		"429":       {What: sandbox.Status, Status: 429},
		"401":       {What: sandbox.Status, Status: 401},
		"404":       {What: sandbox.Status, Status: 404},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, func(w *world) { w.resend = true })
			w.watch("A1", "2026-03-12", phone(1))
			w.at("2026-03-09 09:00")
			fault.Where = sandbox.List
			w.faults(fault, sandbox.Fault{Where: sandbox.Send, What: sandbox.Drop, After: true, Times: 1})
			w.tick()
			w.ticks(2*time.Hour, 5*time.Minute)
			w.wantStates("A1", "unknown")
			w.sandbox.ClearFaults()
			w.ticks(time.Hour, 5*time.Minute)
			w.wantStates("A1", "delivered")
			if n := len(w.texts()); n != 1 {
				t.Errorf("%d texts", n)
			}
		})
	}
}

func TestTextInDoubtThatIsNoLongerUsefulEnds(t *testing.T) {
	t.Parallel()
	for _, resend := range []bool{true, false} {
		t.Run(fmt.Sprint("resend ", resend), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, func(w *world) { w.resend = resend })
			w.watch("A1", "2026-03-12", phone(1))
			w.at("2026-03-12 17:55")
			w.faults(sandbox.Fault{Where: sandbox.Send, What: sandbox.Drop, Times: 1})
			w.tick()
			w.ticks(24*time.Hour, 5*time.Minute)
			w.wantTexts()
			w.wantStory("A1", "3 days before: skipped, superseded", "due day: skipped, expired")
		})
	}
}

func TestTextInDoubtIsNotMistakenForAnotherOfThePhone(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(w *world) { w.resend, w.policy.PerNumberDaily = true, 5 })
	w.watch("A1", "2026-03-12", phone(1))
	w.watch("A2", "2026-03-12", phone(1))
	w.at("2026-03-09 09:00")
	w.faults(sandbox.Fault{Where: sandbox.Send, What: sandbox.Drop, Match: "A2", Times: 1})
	w.tick()
	w.wantStates("A1", "accepted")
	w.wantStates("A2", "unknown")
	w.ticks(30*time.Minute, time.Minute)
	w.wantStates("A1", "delivered")
	w.wantStates("A2", "not_found delivered")
}

// A round so slow that the leases of its last texts have run out: what was
// taken for an orphan, looked up and not found must not be sent by the sender
// that still has it, and then once more.
func TestTextThatWasGivenUpWhileItWaitedIsNotSentTwice(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(w *world) { w.senders, w.round, w.resend = 1, 64, true })
	const bills = 40
	for i := range bills {
		w.declared = append(w.declared, reminder.Bill{Service: water, Account: fmt.Sprintf("A%02d", i), Phone: phone(i)})
		w.owes(fmt.Sprintf("A%02d", i), "2026-03-12", "100")
	}
	w.declare("Z", phone(99))
	w.tick()
	w.at("2026-03-09 09:00")
	slow := postsOnly(func() {
		w.job(jobReceipts).pass(w.ctx, w.Scheduler)
		w.clock.pass(45 * time.Second)
	})
	w.toProvider.before = func(r *http.Request) error {
		slow(r)
		return r.Context().Err()
	}
	w.job(jobRemind).pass(w.ctx, w.Scheduler)
	w.toProvider.before = nil
	for range 60 {
		w.clock.pass(time.Minute)
		_ = w.tryTick()
	}
	had := map[string]int{}
	for _, x := range w.sandbox.Texts() {
		had[accountsIn(x.Body)[0]]++
	}
	for account, n := range had {
		if n != 1 {
			t.Errorf("%s had %d texts", account, n)
		}
	}
	if len(had) < bills {
		t.Errorf("%d of %d had a text", len(had), bills)
	}
}

// The operator is shown texts that the look-ups will not settle by themselves, and no
// others: with one delay there are two look-ups, and a list that is cut off is read until
// four times the last delay has passed.
func TestNobodyIsAskedToLookIntoATextThatLookUpsStillSettle(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		after  []time.Duration
		cutOff bool
	}{
		"two delays":                {[]time.Duration{2 * time.Minute, 15 * time.Minute}, false},
		"one delay of a day":        {[]time.Duration{24 * time.Hour}, false},
		"one delay, lists cut off":  {[]time.Duration{4 * time.Hour}, true},
		"two delays, lists cut off": {[]time.Duration{90 * time.Minute, 2 * time.Hour}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.ReconcileAfter = c.after
			w.watch("A1", "2026-03-12", phone(1))
			w.at("2026-03-09 09:00")
			w.faults(sandbox.Fault{Where: sandbox.Send, What: sandbox.Drop, Times: 1})
			w.tick()
			for i := 0; c.cutOff && i <= maxListed; i++ {
				w.sentBy(phone(1), "Your code is 731955.")
			}
			for w.states("A1") == "unknown" {
				long, err := w.Store.LongInDoubt(w.ctx, w.Now().Add(-DoubtTooLong(c.after)))
				if err != nil {
					t.Fatal(err)
				}
				if long.Texts > 0 {
					t.Fatalf("%s after the attempt the operator is shown a text that look-ups still settle", w.Now().Sub(long.Oldest))
				}
				w.clock.pass(5 * time.Minute)
				w.job(jobReceipts).pass(w.ctx, w.Scheduler)
			}
			w.wantStates("A1", "not_found")
		})
	}
}
