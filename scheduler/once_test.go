package scheduler

import (
	"testing"
	"time"

	"duewatch/reminder"
)

func TestTextGoesOutOnceAtItsHour(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.watch("A1", "2026-03-12", phone(1))
	w.at("2026-03-09 08:59")
	w.tick()
	w.wantTexts()
	w.at("2026-03-09 09:00")
	w.tick()
	w.wantTexts("03-09 09:00 A1")
	w.wantStory("A1", "3 days before: texted, on_schedule")
	for range 1000 {
		w.tick()
	}
	w.wantTexts("03-09 09:00 A1")
}

func TestTicksAllAlongSendEachStageOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(w *world) { w.policy.Stages = []reminder.Stage{-7, -3, 0} })
	w.watch("A1", "2026-03-16", phone(1))
	for w.clock.now().Before(time.Date(2026, 3, 18, 0, 0, 0, 0, zone)) {
		w.ticks(20*time.Minute, 20*time.Minute)
	}
	w.wantTexts("03-09 09:00 A1", "03-13 09:00 A1", "03-16 09:00 A1")
	w.wantStates("A1", "delivered delivered delivered")
}

func TestRestartSendsNothingTwice(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.watch("A1", "2026-03-12", phone(1))
	w.at("2026-03-09 09:00")
	w.tick()
	for range 5 {
		w.restart()
		w.ticks(3*time.Minute, time.Minute)
	}
	w.wantTexts("03-09 09:00 A1")
}

func TestAfterDowntimeOnlyTheLatestUsefulStageIsSent(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		back  string
		texts []string
		story []string
	}{
		"two stages missed": {
			back: "2026-03-14 11:00", texts: []string{"03-14 11:00 A1"},
			story: []string{"7 days before: skipped, superseded", "3 days before: texted, catch_up"},
		},
		"back in the night": {
			back:  "2026-03-14 03:00",
			story: []string{"7 days before: skipped, superseded", "3 days before: held, outside_window"},
		},
		"all stages past": {
			back:  "2026-03-16 19:00",
			story: []string{"7 days before: skipped, superseded", "3 days before: skipped, superseded", "due day: skipped, expired"},
		},
		"back after weeks": {
			back:  "2026-04-20 10:00",
			story: []string{"7 days before: skipped, superseded", "3 days before: skipped, superseded", "due day: skipped, expired"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, func(w *world) { w.policy.Stages = []reminder.Stage{-7, -3, 0} })
			w.watch("A1", "2026-03-16", phone(1))
			w.stop()
			w.at(c.back)
			w.start()
			w.tick()
			w.wantTexts(c.texts...)
			w.wantStory("A1", c.story...)
		})
	}
}

func TestNothingLeavesAtNight(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.at("2026-03-09 22:00")
	w.watch("A1", "2026-03-12", phone(1))
	w.wantStory("A1", "3 days before: held, outside_window")
	w.ticks(10*time.Hour-time.Minute, 10*time.Minute)
	w.wantTexts()
	w.at("2026-03-10 08:00")
	w.tick()
	w.wantTexts("03-10 08:00 A1")
}

func TestWindowThatClosesBetweenDecisionAndCallGivesTheTextBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(w *world) { w.senders = 1 })
	w.at("2026-03-09 17:57")
	// The first text takes so long that the second would leave at night.
	w.toProvider.after = postsOnly(func() { w.at("2026-03-09 18:00") })
	for i, account := range []string{"A1", "A2"} {
		w.owes(account, "2026-03-12", "100")
		w.declare(account, phone(i))
	}
	w.tick()
	w.toProvider.after = nil
	held := "A1"
	if len(w.texts()) == 1 && w.texts()[0] == "03-09 17:57 A1" {
		held = "A2"
	}
	w.wantStory(held, "3 days before: held, outside_window")
	w.ticks(14*time.Hour-time.Minute, 10*time.Minute)
	if n := len(w.texts()); n != 1 {
		t.Fatalf("%d texts in the night, want none after the first", n-1)
	}
	w.at("2026-03-10 08:00")
	w.tick()
	if texts := w.texts(); len(texts) != 2 || texts[1] != "03-10 08:00 "+held {
		t.Errorf("texts %v: want the one of %s in the morning", texts, held)
	}
}

func TestSecondBillOfAPhoneWaitsForTheNextDay(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, account := range []string{"A1", "A2"} {
		w.owes(account, "2026-03-12", "100")
		w.declare(account, phone(1))
	}
	w.tick()
	w.at("2026-03-09 09:00")
	w.tick()
	if n := len(w.texts()); n != 1 {
		t.Fatalf("%d texts to one phone, want 1", n)
	}
	w.ticks(23*time.Hour, 30*time.Minute)
	if n := len(w.texts()); n != 1 {
		t.Fatalf("%d texts to one phone in a day, want 1", n)
	}
	w.at("2026-03-10 09:00")
	w.tick()
	if n := len(w.texts()); n != 2 {
		t.Fatalf("%d texts after a day, want 2", n)
	}
	w.ticks(time.Hour, 10*time.Minute)
}

func TestDueDateMovedByTheBillerPlansAnew(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.watch("A1", "2026-03-12", phone(1))
	w.at("2026-03-09 09:00")
	w.tick()
	w.owes("A1", "2026-03-16", "1250.50")
	// Learned by the recheck before the due day's stage of the old date.
	w.at("2026-03-12 08:59")
	w.tick()
	w.at("2026-03-12 09:30")
	w.tick()
	w.wantTexts("03-09 09:00 A1")
	w.at("2026-03-13 09:00")
	w.tick()
	w.wantTexts("03-09 09:00 A1", "03-13 09:00 A1")
	w.ticks(time.Hour, 5*time.Minute)
}

func TestDueDateMovedByTheLastCheckIsBelieved(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(w *world) { w.policy.MaxBalanceAge = 0 })
	w.watch("A1", "2026-03-12", phone(1))
	w.owes("A1", "2026-03-16", "1250.50")
	w.at("2026-03-09 09:00")
	w.tick()
	w.wantTexts()
	w.wantStory("A1")
	w.at("2026-03-13 09:00")
	w.tick()
	w.wantTexts("03-13 09:00 A1")
}

func TestModes(t *testing.T) {
	t.Parallel()
	mode := func(d reminder.Delivery) func(*world) {
		return func(w *world) { w.delivery, w.fingerprint = d, string(d.Mode) }
	}
	live := mode(reminder.Delivery{Mode: reminder.ModeLive})
	t.Run("off holds, says so, and sends after a change to live", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, mode(reminder.Delivery{Mode: reminder.ModeOff}))
		w.watch("A1", "2026-03-12", phone(1))
		w.at("2026-03-09 09:00")
		w.ticks(10*time.Minute, time.Minute)
		w.wantTexts()
		w.wantStory("A1", "3 days before: held, mode_off")
		w.wantLog("would have been sent: ")
		w.restart(live)
		w.tick()
		w.wantTexts("03-09 09:10 A1")
		w.restart()
		w.tick()
	})
	t.Run("allowlist", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, mode(reminder.Delivery{Mode: reminder.ModeAllowlist, Allowlist: map[reminder.Phone]bool{phone(1): true}}))
		w.watch("A1", "2026-03-12", phone(1))
		w.watch("A2", "2026-03-12", phone(2))
		w.at("2026-03-09 09:00")
		w.tick()
		w.wantTexts("03-09 09:00 A1")
		w.wantStory("A2", "3 days before: held, not_on_allowlist")
		w.restart(live)
		w.tick()
		w.wantTexts("03-09 09:00 A1", "03-09 09:00 A2")
	})
	t.Run("redirect", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, mode(reminder.Delivery{Mode: reminder.ModeRedirect, RedirectTo: phone(50)}))
		w.watch("A1", "2026-03-12", phone(1))
		w.watch("A2", "2026-03-12", phone(2))
		w.at("2026-03-09 09:00")
		w.tick()
		w.wantTexts("03-09 09:00 A1", "03-09 09:00 A2")
		for _, x := range w.sandbox.Texts() {
			if x.To != phone(50) {
				t.Errorf("a text went to %s", x.To)
			}
		}
	})
}

func TestRefusalOfTheRedirectPhoneIsNotHeldAgainstTheCustomer(t *testing.T) {
	t.Parallel()
	for name, to := range map[string]reminder.Phone{"opted out": "+254710000092", "bad number": "+254710000093"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, func(w *world) {
				w.delivery = reminder.Delivery{Mode: reminder.ModeRedirect, RedirectTo: to}
			})
			w.watch("A1", "2026-03-12", phone(1))
			w.at("2026-03-09 09:00")
			_ = w.tryTick()
			w.restart(func(w *world) { w.delivery, w.fingerprint = reminder.Delivery{Mode: reminder.ModeLive}, "live" })
			w.at("2026-03-12 09:00")
			w.tick()
			w.wantTexts("03-12 09:00 A1")
		})
	}
}
