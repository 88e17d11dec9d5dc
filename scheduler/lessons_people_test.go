package scheduler

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"duewatch/reminder"
	"duewatch/sandbox"
	"duewatch/store"
)

// Elsewhere reminders were handed to the provider ahead of their hour, and
// fired there after they had been cancelled here. Here nothing is there before
// its hour, and no POST asks to be kept for later.
func TestNoReminderIsParkedAtTheProvider(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	asked := map[string]bool{}
	w := newWorld(t, func(w *world) {
		twilio{create: func(rw http.ResponseWriter, r *http.Request) {
			if err := r.ParseForm(); err != nil {
				t.Error(err)
			}
			mu.Lock()
			for field := range r.PostForm {
				asked[field] = true
			}
			mu.Unlock()
			w.sandbox.Handler().ServeHTTP(rw, r)
		}}.inFront(w)
	})
	w.watch("KEPT", "2026-03-12", phone(1))
	w.watch("GONE", "2026-03-12", phone(2))
	w.at("2026-03-09 08:59")
	w.tick()
	w.wantTexts()
	w.declared = slices.DeleteFunc(w.declared, func(b reminder.Bill) bool { return b.Account == "GONE" })
	if _, err := w.Store.Declare("config", w.declared, w.clock.now()); err != nil {
		t.Fatal(err)
	}
	w.ticks(4*24*time.Hour, 30*time.Minute)
	w.wantTexts("03-09 09:29 KEPT", "03-12 09:29 KEPT")
	for field := range asked {
		if !slices.Contains([]string{"To", "From", "Body", "ValidityPeriod", "SmartEncoded"}, field) {
			t.Errorf("the provider is asked for %s", field)
		}
	}
}

// Elsewhere people were reminded of what they had paid. Whenever somebody pays,
// no text leaves after it, since the balance is asked again right before: each
// time where reminders.max_balance_age is 0s, and else when it is older.
func TestNobodyIsRemindedAfterPaying(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		age       time.Duration
		due, pays string
		texts     []string
	}{
		"a minute before the first stage":        {0, "2026-03-12", "2026-03-09 08:59", nil},
		"a minute after it":                      {0, "2026-03-12", "2026-03-09 09:01", []string{"03-09 09:00 A1"}},
		"a minute before the last":               {0, "2026-03-12", "2026-03-12 08:59", []string{"03-09 09:00 A1"}},
		"while a late text waits for the window": {0, "2026-03-11", "2026-03-09 07:59", nil},
		"longer before than is allowed":          {time.Hour, "2026-03-12", "2026-03-09 07:30", nil},
		"in the night, and an hour is allowed":   {time.Hour, "2026-03-11", "2026-03-09 06:30", nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, func(w *world) { w.policy.MaxBalanceAge = c.age })
			w.at("2026-03-08 23:00")
			w.watch("A1", c.due, phone(1))
			pays, err := time.ParseInLocation("2006-01-02 15:04", c.pays, zone)
			if err != nil {
				t.Fatal(err)
			}
			for w.clock.now().Before(pays) {
				step := 10 * time.Minute
				if pays.Sub(w.clock.now()) <= step {
					step = time.Minute
				}
				w.ticks(step, step)
			}
			w.pays("A1")
			w.ticks(2*time.Hour, 2*time.Minute)
			w.ticks(4*24*time.Hour, time.Hour)
			w.wantTexts(c.texts...)
		})
	}
}

// Elsewhere a due date that moved left its old plan firing, or fired everything
// again.
func TestAMovedDueDateFiresNeitherTheOldPlanNorEverythingAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.watch("A1", "2026-03-12", phone(1))
	day := func(d string) {
		w.at("2026-03-" + d + " 08:00")
		w.ticks(10*time.Hour, 30*time.Minute)
	}
	day("09") // three days before the 12th
	w.owes("A1", "2026-03-16", "1250.50")
	day("12") // not due any more
	day("13") // three days before the 16th
	w.owes("A1", "2026-03-12", "1250.50")
	day("14") // it is overdue, and its stages are over
	w.owes("A1", "2026-03-16", "1250.50")
	day("15") // three days before the 16th is over, and was texted
	day("16")
	w.wantTexts("03-09 09:00 A1", "03-13 09:00 A1", "03-16 09:00 A1")
}

// Elsewhere the provider's "has opted out" was one failure among others, and was
// tried again.
func TestAStopIsNotAPlainFailure(t *testing.T) {
	t.Parallel()
	for name, to := range map[string]reminder.Phone{"said at once": sandbox.PhoneOptedOut, "said later": sandbox.PhoneOptedOutLater} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.watch("A1", "2026-03-12", to)
			w.at("2026-03-09 09:00")
			w.tick()
			w.ticks(10*time.Minute, time.Minute)
			w.wantOptOuts(to.String() + " opted_out by provider")
			w.watch("A2", "2026-03-16", to) // another bill of the same customer
			w.restart()
			w.ticks(8*24*time.Hour, time.Hour)
			if n := w.posted.Load(); n != 1 {
				t.Errorf("%d texts to somebody who said stop at the first", n)
			}
			w.wantStory("A2", "3 days before: skipped, opted_out", "due day: skipped, opted_out")
		})
	}
}

// Elsewhere one STOP silenced every biller. Who asks one biller to stop still
// hears from the others.
func TestOneOptOutDoesNotSilenceEveryBiller(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(w *world) { w.policy.PerNumberDaily = 5 })
	due := reminder.NewDate(2026, time.March, 12)
	for _, service := range []string{water, sandbox.ServiceRent} {
		if err := w.sandbox.Move(service, "A-"+service, due); err != nil {
			t.Fatal(err)
		}
		if err := w.sandbox.Pay(service, "A-"+service, reminder.MustMoney("500")); err != nil {
			t.Fatal(err)
		}
		w.declared = append(w.declared, reminder.Bill{Service: service, Account: "A-" + service, Phone: phone(1)})
	}
	w.owes("Z", "2026-03-12", "500")
	w.declare("Z", phone(2))
	if _, err := w.Store.AddOptOuts(store.OptOut{
		Phone: phone(1), Service: water, Reason: reminder.OptedOut, Since: w.clock.now(), Source: "operator", Who: "desk",
	}); err != nil {
		t.Fatal(err)
	}
	w.tick()
	w.at("2026-03-09 09:00")
	w.tick()
	w.wantTexts("03-09 09:00 A-"+sandbox.ServiceRent, "03-09 09:00 Z")
	w.wantStory("A-"+water, "3 days before: skipped, opted_out")
}

// Elsewhere a "sent" that came late overwrote "delivered".
func TestALateSentDoesNotOverwriteDelivered(t *testing.T) {
	t.Parallel()
	for _, end := range []string{"delivered", "read", "undelivered", "failed", "canceled"} {
		t.Run(end, func(t *testing.T) {
			t.Parallel()
			var word atomic.Value
			word.Store(end)
			w := newWorld(t, func(w *world) { twilio{fetch: heard(&word)}.inFront(w) })
			w.watch("A1", "2026-03-12", phone(1))
			w.at("2026-03-09 09:00")
			w.tick()
			w.clock.pass(time.Minute)
			w.tick()
			before := w.states("A1")
			word.Store("sent")
			w.ticks(3*24*time.Hour, time.Hour)
			if got := strings.Fields(w.states("A1"))[0]; got != before {
				t.Errorf("the text was %s and is %s", before, got)
			}
		})
	}
}

// Elsewhere numbers that do not exist were texted for months.
func TestAnInvalidNumberIsNotTextedForMonths(t *testing.T) {
	t.Parallel()
	for name, to := range map[string]reminder.Phone{"refused at once": sandbox.PhoneInvalid, "found out later": sandbox.PhoneUnknown} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.watch("A1", "2026-03-12", to)
			for month := 3; month <= 9; month++ {
				w.owes("A1", fmt.Sprintf("2026-%02d-12", month), "1250.50")
				w.at(fmt.Sprintf("2026-%02d-09 08:00", month))
				w.ticks(5*24*time.Hour, 2*time.Hour)
			}
			if n := w.posted.Load(); n != 1 {
				t.Errorf("%d texts in half a year", n)
			}
			for _, line := range w.story("A1")[1:] {
				if !strings.HasSuffix(line, ": skipped, bad_number") {
					t.Errorf("a stage ended as %s", line)
				}
			}
		})
	}
}

// Elsewhere a trial with a copy of the real customers texted them.
func TestATrialTextsNoRealPeople(t *testing.T) {
	t.Parallel()
	operator := phone(50)
	for name, delivery := range map[string]reminder.Delivery{
		"off":       {Mode: reminder.ModeOff},
		"allowlist": {Mode: reminder.ModeAllowlist, Allowlist: map[reminder.Phone]bool{operator: true}},
		"redirect":  {Mode: reminder.ModeRedirect, RedirectTo: operator},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, func(w *world) { w.policy.PerNumberDaily = 9; w.delivery = delivery })
			for i := range 5 {
				w.watch(fmt.Sprintf("A%d", i), "2026-03-12", phone(i))
			}
			w.watch("OPERATOR", "2026-03-12", operator)
			w.ticks(5*24*time.Hour, time.Hour)
			for _, x := range w.sandbox.Texts() {
				if x.To != operator {
					t.Errorf("a customer was texted: %s", x.To)
				}
			}
			if n := len(w.texts()); (n > 0) != (delivery.Mode == reminder.ModeAllowlist || delivery.Mode == reminder.ModeRedirect) {
				t.Errorf("%d texts to the operator", n)
			}
		})
	}
}

// Elsewhere the log said "sent" and nothing had left, or nothing was said at all.
// What did not leave is nowhere called texted or accepted, and is counted by its
// reason.
func TestNothingIsCalledSentThatDidNotLeave(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(*world)
		reason reminder.Reason
	}{
		"the mode is off":               {func(w *world) { w.delivery.Mode = reminder.ModeOff }, reminder.ModeIsOff},
		"the provider is not there":     {func(w *world) { w.toProvider.before = unreachable }, reminder.ProviderUnreachable},
		"the provider turns it away":    {func(w *world) { twilio{create: refuses(429, 20429)}.inFront(w) }, reminder.Throttled},
		"the provider refuses the text": {func(w *world) { twilio{create: refuses(400, 21617)}.inFront(w) }, reminder.TextRefused},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, c.change)
			w.watch("A1", "2026-03-12", phone(1))
			w.at("2026-03-09 09:00")
			_ = w.tryTick()
			outcome := c.reason.Info().Outcome
			w.wantStory("A1", fmt.Sprintf("3 days before: %s, %s", outcome, c.reason))
			if n := w.counted("duewatch_texts_total", "accepted"); n != 0 {
				t.Errorf("%v texts are counted as accepted", n)
			}
			if n := w.counted("duewatch_reminders_total", "texted", "on_schedule"); n != 0 {
				t.Errorf("%v reminders are counted as texted", n)
			}
			if n := w.counted("duewatch_reminders_total", string(outcome), string(c.reason)); n == 0 {
				t.Errorf("nothing is counted as %s", c.reason)
			}
			if strings.Contains(w.log.String(), "text accepted") {
				t.Error("the log calls it accepted")
			}
		})
	}
	t.Run("accepted is not delivered", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.watch("A1", "2026-03-12", sandbox.PhoneNeverLeaves)
		w.watch("A2", "2026-03-12", sandbox.PhoneStaysSent)
		w.at("2026-03-09 09:00")
		w.tick()
		w.ticks(2*time.Hour, 10*time.Minute)
		w.wantStates("A1", "accepted")
		w.wantStates("A2", "sent")
		if n := w.counted("duewatch_texts_total", "delivered"); n != 0 {
			t.Errorf("%v texts are counted as delivered", n)
		}
	})
}

// Elsewhere limits were kept in memory, and a restart was a new day.
func TestADailyLimitOutlivesARestart(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.watch("A1", "2026-03-12", phone(1))
	w.at("2026-03-09 09:00")
	w.tick()
	for i := range 5 {
		w.restart()
		w.clock.pass(20 * time.Minute)
		w.watch(fmt.Sprintf("B%d", i), "2026-03-12", phone(1))
		w.tick()
	}
	w.wantTexts("03-09 09:00 A1")
}
