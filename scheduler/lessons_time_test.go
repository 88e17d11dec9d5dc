package scheduler

import (
	"fmt"
	"net"
	"net/http"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"duewatch/reminder"
	"duewatch/sandbox"
	"duewatch/store"
)

// unreachable is a provider that no text can be handed to: the call fails before
// a byte has left.
func unreachable(r *http.Request) error {
	if r.Method != http.MethodPost {
		return nil
	}
	return &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
}

// Elsewhere a gateway came back after weeks and sent all that had piled up, and
// 62,000 dead messages were cleared by hand.
func TestAGatewayThatComesBackAfterWeeksGetsNoOldTexts(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := "http://" + l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	for name, away := range map[string]func(*world){
		"nobody listens":     func(w *world) { w.provider = nobody },
		"it takes no texts":  func(w *world) { w.toProvider.before = unreachable },
		"it throttles only":  func(w *world) { twilio{create: refuses(429, 20429)}.inFront(w) },
		"it fails each text": func(w *world) { twilio{create: refuses(400, 29999)}.inFront(w) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			const bills = 6
			for i := range bills {
				w.watch(fmt.Sprintf("A%02d", i), fmt.Sprintf("2026-03-%d", 12+i%3), phone(i))
			}
			w.restart(away)
			w.ticks(21*24*time.Hour, 5*time.Hour)
			w.restart(func(w *world) { w.provider, w.toProvider.before = "", nil })
			w.ticks(24*time.Hour, time.Hour)
			w.wantTexts()
			for i := range bills {
				w.wantStory(fmt.Sprintf("A%02d", i), "3 days before: skipped, superseded", "due day: skipped, expired")
			}
			held := 0
			for _, info := range reminder.Reasons {
				if err := w.Store.Bills(w.ctx, store.BillFilter{Held: info.Reason}, func(store.Watched) error { held++; return nil }); err != nil {
					t.Fatal(err)
				}
			}
			if held != 0 {
				t.Errorf("%d reminders are left for somebody to clear", held)
			}
		})
	}
}

// Elsewhere reminders were only for the exact day: who was down on that day
// never sent them.
func TestAMissedDayIsCaughtUp(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.watch("A1", "2026-03-13", phone(1)) // its stage is on the 10th
	w.stop()
	w.at("2026-03-11 10:30")
	w.start()
	w.tick()
	w.wantTexts("03-11 10:30 A1")
	w.wantStory("A1", "3 days before: texted, catch_up")
}

// Elsewhere a host that restarted all the time never reached the job's hour.
func TestAHostThatRestartsAllTheTimeStillTexts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := prepare(t, inBubble)
		w.owes("A1", "2000-01-04", "500")
		w.until("2000-01-01 08:50:00")
		for i := range 40 { // from 08:50 on, never up for a whole minute, never at its full
			end := w.run()
			if i == 0 {
				w.declare("A1", phone(1))
			}
			<-time.After(37 * time.Second)
			synctest.Wait()
			end()
			if i < 39 {
				w.stop()
			}
		}
		if got := w.texts(); len(got) != 1 || got[0] != "01-01 09:00 A1" {
			t.Errorf("texts %v, want one at nine", got)
		}
	})
}

// Elsewhere a job was run once for each tick that downtime had swallowed.
func TestDowntimeIsNotMadeUpForTickByTick(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := prepare(t, inBubble)
		w.until("2000-01-01 07:50:00")
		end := w.run()
		for i := range 10 {
			account := fmt.Sprintf("A%d", i)
			w.owes(account, "2000-01-08", "500")
			w.declare(account, phone(i))
		}
		w.until("2000-01-01 08:00:00")
		end()
		w.stop()
		<-time.After(5*24*time.Hour + 4*time.Hour) // 7,440 ticks of the remind job
		end = w.run()
		<-time.After(10 * time.Second) // the texts leave at their rate
		synctest.Wait()
		end()
		for _, job := range []string{jobRegister, jobRecheck, jobRemind, jobReceipts, jobHousekeeping} {
			if n := w.counted("duewatch_job_runs_total", job, "ok"); n < 1 || n > 3 { // a job that makes work for another wakes it
				t.Errorf("%s ran %v times at the start", job, n)
			}
		}
		if n := len(w.texts()); n != 10 {
			t.Errorf("%d texts to ten customers: %v", n, w.texts())
		}
	})
}

// Elsewhere the first pass came with the first tick, and a restart just after it
// cost a whole interval.
func TestTheFirstPassDoesNotWaitForATick(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := prepare(t, inBubble)
		w.until("2000-01-01 08:20:00")
		end := w.run()
		w.owes("A1", "2000-01-04", "500")
		w.declare("A1", phone(1))
		w.until("2000-01-01 08:30:00")
		end()
		w.stop()
		w.until("2000-01-01 09:00:01") // the tick of nine is missed by a second
		end = w.run()
		<-time.After(500 * time.Millisecond) // its turn, which is reserved on a server, is a moment ahead
		synctest.Wait()
		end()
		w.wantTexts("01-01 09:00 A1")
		for _, x := range w.sandbox.Texts() {
			if at := x.CreatedAt.Second(); at != 1 {
				t.Errorf("texted at second %d", at)
			}
		}
	})
}

// Elsewhere a condition was tested once, at midnight, and a reminder for
// which it was false then was skipped for good. Here it is held, and leaves when
// the condition is true.
func TestAConditionThatIsFalseAtTheHourDefersTheReminder(t *testing.T) {
	t.Parallel()
	live := reminder.Delivery{Mode: reminder.ModeLive}
	for name, c := range map[string]struct {
		change   func(*world)
		hour     string
		held     reminder.Reason
		mend     func(*world) // at noon; nil = it passes by itself
		from, to string       // the text leaves
	}{
		"the window is closed at midnight": {func(w *world) { w.policy.SendAt = 0 }, "00:00", reminder.OutsideWindow, nil, "08:00", "08:00"},
		"the mode is off": {func(w *world) { w.delivery.Mode = reminder.ModeOff }, "09:00", reminder.ModeIsOff,
			func(w *world) { w.restart(func(w *world) { w.delivery, w.fingerprint = live, "live" }) }, "12:00", "12:10"},
		"Almara Pay cannot say what is owed": {func(w *world) { w.policy.MaxBalanceAge = 0 }, "09:00", reminder.BalanceStale,
			// A new client, since the old one pauses by the real clock.
			func(w *world) { w.sandbox.ClearFaults(); w.restart() }, "12:00", "13:00"},
		"the provider cannot be reached": {func(w *world) { w.toProvider.before = unreachable }, "09:00", reminder.ProviderUnreachable,
			func(w *world) { w.toProvider.before = nil }, "12:00", "12:10"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, c.change)
			w.watch("A1", "2026-03-13", phone(1))
			if c.held == reminder.BalanceStale {
				w.faults(sandbox.Fault{Where: sandbox.Register, What: sandbox.Empty})
			}
			w.at("2026-03-10 " + c.hour)
			_ = w.tryTick()
			w.wantStory("A1", "3 days before: held, "+string(c.held))
			for w.clock.now().Before(time.Date(2026, 3, 10, 12, 0, 0, 0, zone)) {
				w.ticks(10*time.Minute, 10*time.Minute)
			}
			if c.mend != nil {
				w.wantTexts()
				c.mend(w)
			}
			w.ticks(3*time.Hour, 10*time.Minute)
			if got := w.texts(); len(got) != 1 || got[0] < "03-10 "+c.from || got[0] > "03-10 "+c.to+" A1" {
				t.Errorf("texts %v, want one from %s to %s", got, c.from, c.to)
			}
		})
	}
}

// Elsewhere people were texted at 03:03. These are the ways to come to that
// minute with a text that is due.
func TestNobodyIsTextedAtThreeInTheNight(t *testing.T) {
	t.Parallel()
	const night = "2026-03-10 03:03"
	for name, c := range map[string]struct {
		change func(*world)
		day    func(*world) // what happens at nine in the morning before
	}{
		"a bill that is registered in the night": {nil, nil},
		"a send_at in the night":                 {func(w *world) { w.policy.SendAt = 3*60 + 3 }, nil},
		"a restart after an outage":              {nil, func(w *world) { w.stop(); w.at(night); w.start() }},
		"the end of a throttling": {nil, func(w *world) {
			w.at("2026-03-09 17:55")
			w.faults(sandbox.Fault{Where: sandbox.Send, What: sandbox.Status, Status: 429, RetryAfter: 600, Times: 1})
		}},
		"a text in doubt that is sent once more": {func(w *world) { w.resend = true }, func(w *world) {
			w.at("2026-03-09 17:58")
			w.faults(sandbox.Fault{Where: sandbox.Send, What: sandbox.Drop, Times: 1})
		}},
		"an operator who changes to live in the night": {func(w *world) { w.delivery.Mode = reminder.ModeOff }, func(w *world) {
			_ = w.tryTick()
			w.at(night)
			w.restart(func(w *world) { w.delivery, w.fingerprint = reminder.Delivery{Mode: reminder.ModeLive}, "live" })
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			if c.change != nil {
				w.restart(func(w *world) { c.change(w); w.fingerprint = "changed" })
			}
			if c.day != nil {
				w.watch("A1", "2026-03-12", phone(1))
				w.at("2026-03-09 09:00")
				c.day(w)
				_ = w.tryTick()
				for w.clock.now().Before(time.Date(2026, 3, 10, 3, 0, 0, 0, zone)) {
					w.ticks(3*time.Minute, 3*time.Minute)
				}
			}
			w.at(night)
			if c.day == nil {
				w.watch("A1", "2026-03-12", phone(1))
			}
			w.ticks(4*time.Hour, 3*time.Minute)
			w.wantTexts()
			w.at("2026-03-10 07:59")
			w.ticks(90*time.Minute, time.Minute)
			if got := w.texts(); len(got) != 1 || got[0] < "03-10 08:00" {
				t.Errorf("texts %v, want one in the morning", got)
			}
		})
	}
}
