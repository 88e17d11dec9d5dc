package scheduler

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"duewatch/notifier"
	"duewatch/reminder"
	"duewatch/store"
)

func (w *world) releaseAll(reason reminder.Reason, want int64) {
	w.t.Helper()
	released, err := w.Store.ReleaseAll(w.ctx, w.policy, w.Now(), reason, "test", nil)
	if err != nil {
		w.t.Fatal(err)
	}
	if released != want {
		w.t.Errorf("%d reminders released of %s, want %d", released, reason, want)
	}
}

func (w *world) wantStops(want ...reminder.Reason) {
	w.t.Helper()
	stops, err := w.Store.Stops(w.ctx, w.Now())
	if err != nil {
		w.t.Fatal(err)
	}
	var got []reminder.Reason
	for _, s := range stops {
		got = append(got, s.Reason)
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		w.t.Errorf("stops %v, want %v", got, want)
	}
}

// A backup of the evening before is restored after the morning's texts: nobody
// is texted again, whatever the operator then does.
func TestARestoredBackupTextsNobodyAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.forgotten = true
	for i, account := range []string{"A1", "A2", "A3"} {
		w.watch(account, "2026-03-12", phone(i))
	}
	backup := w.snapshot()
	w.at("2026-03-09 09:00")
	w.tick()
	sent := []string{"03-09 09:00 A1", "03-09 09:00 A2", "03-09 09:00 A3"}
	w.wantTexts(sent...)

	w.at("2026-03-09 09:30")
	w.restart(func(w *world) { w.path = backup })
	w.watch("A4", "2026-03-12", phone(4)) // of whom the provider knows nothing
	w.ticks(3*time.Hour, 10*time.Minute)
	w.wantTexts(sent...)
	w.wantStops(reminder.CopiedStore)
	w.wantLog("the provider has texts that this store does not know")
	w.wantStory("A1", "3 days before: skipped, sent_elsewhere")
	w.wantStory("A4", "3 days before: held, copied_store")

	w.releaseAll(reminder.CopiedStore, 1)
	w.ticks(10*time.Minute, time.Minute)
	w.wantStops()
	if n := len(w.texts()); n != 4 {
		t.Errorf("%d texts, want those three and one to A4: %v", n, w.texts())
	}
	w.restart() // what was released once does not stop it again
	w.ticks(10*time.Minute, time.Minute)
	w.wantStops()
	w.at("2026-03-12 09:00")
	w.tick()
	w.wantStory("A1", "3 days before: skipped, sent_elsewhere", "due day: texted, on_schedule")
}

// A machine is restored from its image of the evening before, config and all,
// and since then the wording was changed, and the hour of sending.
func TestARestoredMachineTextsNobodyAgainAfterTheWordingChanged(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.forgotten = true
	w.watch("A1", "2026-03-12", phone(1))
	backup := w.snapshot()
	templates := w.policy.Templates
	var err error
	if w.policy.Templates, err = reminder.ParseTemplates(map[string]reminder.TemplateSource{"en": {
		Before: "Dear customer, pay by {{.DueDate}}, {{.When}} (account {{.Account}}).", After: "It was due on {{.DueDate}}, {{.When}} (account {{.Account}}).",
	}}); err != nil {
		t.Fatal(err)
	}
	w.at("2026-03-09 09:00")
	w.tick()
	if n := len(w.texts()); n != 1 {
		t.Fatalf("%d texts", n)
	}
	w.at("2026-03-09 09:30")
	w.restart(func(w *world) { w.path, w.policy.Templates, w.policy.SendAt = backup, templates, 12*60 })
	w.ticks(8*time.Hour, 10*time.Minute)
	w.wantStops(reminder.CopiedStore)
	w.releaseAll(reminder.CopiedStore, 0)
	w.at("2026-03-10 09:30")
	w.ticks(time.Hour, 10*time.Minute)
	w.wantStory("A1", "3 days before: skipped, sent_elsewhere")
	if n := len(w.texts()); n != 1 {
		t.Errorf("%d texts", n)
	}
}

// Of a store that is a copy, all texts that it does not know are found, however
// many the account has sent since.
func TestACopyFindsTextsFarDownTheList(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.forgotten = true
	w.watch("A1", "2026-03-12", phone(1))
	w.watch("A2", "2026-03-12", phone(2))
	backup := w.snapshot()
	w.at("2026-03-09 09:00")
	w.tick()
	newest := w.sandbox.Texts()[1]
	for i := range compareFirst {
		r := w.Notifier.Send(w.ctx, notifier.Message{To: phone(50), Body: fmt.Sprint("Your parcel ", i, " has arrived (account A1)"), Validity: time.Hour})
		if r.Err != nil {
			t.Fatal(r.Err)
		}
	}
	w.clock.pass(time.Minute)
	r := w.Notifier.Send(w.ctx, notifier.Message{To: newest.To, Body: newest.Body, Validity: time.Hour})
	if r.Err != nil {
		t.Fatal(r.Err)
	}
	w.at("2026-03-09 09:30")
	w.restart(func(w *world) { w.path = backup })
	w.tick()
	w.releaseAll(reminder.CopiedStore, 0)
	w.ticks(10*time.Minute, time.Minute)
	w.wantStory("A1", "3 days before: skipped, sent_elsewhere")
	w.wantStory("A2", "3 days before: skipped, sent_elsewhere")
}

// A restart finds its own texts in the list, and takes no fright.
func TestARestartKnowsItsOwnTexts(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.watch("A1", "2026-03-12", phone(1))
	w.at("2026-03-09 09:00")
	w.tick()
	w.restart()
	w.at("2026-03-12 09:00")
	w.tick()
	w.wantStops()
	w.wantTexts("03-09 09:00 A1", "03-12 09:00 A1")
}

func TestAStoreOfAnotherSenderTextsNobodyUntilItIsReleased(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(w *world) { w.sender = "account AC1, sender A, mode live" })
	w.watch("A1", "2026-03-12", phone(1))
	w.restart(func(w *world) { w.sender = "account AC2, sender A, mode live" })
	w.at("2026-03-09 09:00")
	w.tick()
	w.wantTexts()
	w.wantStory("A1", "3 days before: held, sender_changed")
	w.wantStops(reminder.SenderChanged)

	// Taken back: it goes on by itself, at the latest with its next stage.
	w.restart(func(w *world) { w.sender = "account AC1, sender A, mode live" })
	w.wantStops()
	// Meant: the operator says so.
	w.restart(func(w *world) { w.sender = "account AC2, sender A, mode live" })
	if _, err := w.Store.ReleaseAll(w.ctx, w.policy, w.Now(), reminder.SenderChanged, "test", RememberSender(w.sender)); err != nil {
		t.Fatal(err)
	}
	w.ticks(5*time.Minute, time.Minute)
	w.restart()
	w.wantStops()
	w.wantTexts("03-09 09:01 A1")
}

func TestADaysLimitHoldsTheRestUntilItIsReleased(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(w *world) { w.policy.Guards.MaxTextsPerDay = 2 })
	for i := range 6 {
		w.watch(fmt.Sprint("A", i), "2026-03-12", phone(i))
	}
	w.at("2026-03-09 09:00")
	w.ticks(time.Hour, time.Minute)
	if n := len(w.texts()); n != 2 {
		t.Fatalf("%d texts, want 2", n)
	}
	w.releaseAll(reminder.DailyLimit, 4)
	w.ticks(time.Hour, time.Minute)
	if n := len(w.texts()); n != 6 {
		t.Errorf("%d texts after the release, want all 6", n)
	}
	w.at("2026-03-12 09:00")
	w.ticks(time.Hour, time.Minute)
	if n := len(w.texts()); n != 8 {
		t.Errorf("%d texts, want 2 more: the guard is back on the next day", n)
	}
}

// Texts that the provider refused do not use up the day.
func TestAGuardCountsWhatTheProviderHas(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(w *world) {
		w.policy.Guards.MaxTextsPerDay = 2
		twilio{create: says(429, asJSON, "{}")}.inFront(w)
	})
	w.watch("A1", "2026-03-12", phone(1))
	w.at("2026-03-09 09:00")
	for range 30 {
		_ = w.tryTick()
		w.clock.pass(time.Minute)
	}
	standing, err := w.Store.GuardState(w.ctx, w.policy, w.Now())
	if err != nil {
		t.Fatal(err)
	}
	if standing.Today != 0 || standing.Month != 0 {
		t.Errorf("%d texts and %d segments are counted, and none was taken", standing.Today, standing.Month)
	}
	w.wantStory("A1", "3 days before: held, throttled")
}

func TestAnImplausibleBalanceIsHeldUntilItIsReleased(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(w *world) {
		w.policy.Guards.ImplausibleBalance, w.policy.Guards.ImplausibleFrom = 10, reminder.MustMoney("10000")
	})
	w.owes("A1", "2026-03-12", "894")
	w.declare("A1", phone(1))
	w.tick()
	w.owes("A1", "2026-03-12", "16765")
	w.at("2026-03-09 09:30")
	w.tick()
	w.wantTexts()
	w.wantStory("A1", "3 days before: held, implausible_balance")
	if n, err := w.Store.Release(w.ctx, store.BulkOp{Selector: store.Selector{Account: "A1"}, At: w.Now(), Who: "test"}, store.OfOneBill...); err != nil || n != 1 {
		t.Fatalf("released %d: %v", n, err)
	}
	w.clock.pass(time.Minute)
	w.tick()
	w.wantTexts("03-09 09:31 A1")
}

// The account is suspended: the provider takes texts and fails them later.
func TestALateAccountFaultStopsAllAndLosesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(w *world) { twilio{fetch: reports("failed", 30002)}.inFront(w) })
	for i := range 3 {
		w.watch(fmt.Sprint("A", i), "2026-03-12", phone(i))
	}
	w.watch("B1", "2026-03-13", phone(9))
	w.at("2026-03-09 09:00")
	w.ticks(time.Hour, time.Minute)
	w.wantStops(reminder.AccountFault)
	w.at("2026-03-10 09:00")
	w.ticks(time.Hour, time.Minute)
	if n := w.posted.Load(); n != 3 {
		t.Errorf("%d texts were posted, want none after the first three failed", n)
	}
	w.wantStory("A1", "3 days before: held, account_fault")
	w.wantStory("B1", "3 days before: held, account_fault")
	for i := range 3 {
		w.sandboxTextsAreTries(fmt.Sprint("A", i))
	}
}

// At 09:00 the balance is an hour old by the clock, and 25 hours old in truth:
// the clock was set back by a day in between.
func TestAClockSetBackMakesNoOldBalanceFresh(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.watch("A1", "2026-03-12", phone(1)) // asked at 08:00
	w.at("2026-03-08 08:00")
	w.job(jobRemind).pass(w.ctx, w.Scheduler)
	w.wantLog("the clock was set back")
	w.pays("A1")
	w.at("2026-03-09 09:00")
	w.job(jobRemind).pass(w.ctx, w.Scheduler)
	w.wantTexts()
	w.wantStory("A1", "3 days before: skipped, paid")
}

// The same, with a daemon that was down while the clock was set back.
func TestAClockSetBackOverARestartIsNoticed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.watch("A1", "2026-03-12", phone(1))
	w.at("2026-03-08 08:00")
	w.restart()
	w.job(jobRemind).pass(w.ctx, w.Scheduler)
	if !strings.Contains(w.log.String(), "the clock was set back") {
		t.Error("it was not noticed")
	}
}

// The clock was a day ahead for some hours, in which a bill was registered and
// a stage of another ended by the hour alone: both are texted at the true hour.
func TestAClockSetBackLosesNoStage(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.watch("A1", "2026-03-13", phone(1))
	w.at("2026-03-13 20:00")
	w.watch("B1", "2026-03-13", phone(2))
	w.wantStory("A1", "3 days before: skipped, superseded", "due day: skipped, expired")
	w.wantStory("B1")
	w.at("2026-03-12 22:00")
	w.tick()
	w.wantStory("A1", "3 days before: held, outside_window", "due day: held, clock_set_back")
	w.at("2026-03-13 09:00")
	w.tick()
	w.wantTexts("03-13 09:00 A1", "03-13 09:00 B1")
	w.wantStory("A1", "3 days before: skipped, superseded", "due day: texted, on_schedule")
}
