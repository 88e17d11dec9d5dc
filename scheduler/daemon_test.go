package scheduler

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"runtime"
	"runtime/pprof"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"duewatch/reminder"
	"duewatch/sandbox"
)

// run starts the whole daemon; the returned function ends it.
func (w *world) run() (end func()) {
	w.t.Helper()
	w.starts++
	w.build()
	ctx, cancel := context.WithCancel(w.ctx)
	ended := make(chan error, 1)
	go func() { ended <- w.Run(ctx) }()
	return func() {
		w.t.Helper()
		cancel()
		if err := <-ended; err != nil {
			w.t.Error(err)
		}
	}
}

// until lets the bubble's clock run to an hour.
func (w *world) until(hour string) {
	w.t.Helper()
	t, err := time.ParseInLocation("2006-01-02 15:04:05", hour, zone)
	if err != nil {
		w.t.Fatal(err)
	}
	<-time.After(time.Until(t))
	synctest.Wait()
}

// The remind job's own tick falls between the answers about two bills of one phone.
func TestBillsOfAPhoneThatAreNewTogetherShareATextAtAnyTick(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := prepare(t, inBubble, func(w *world) { w.policy.Bundle = true })
		w.until("2000-01-01 09:59:00")
		end := w.run()
		defer func() { end() }()
		w.until("2000-01-01 10:00:20")
		w.faults(sandbox.Fault{Where: sandbox.Register, What: sandbox.Delay, Seconds: 1, Match: "A2"})
		for _, account := range []string{"A1", "A2"} {
			w.owes(account, "2000-01-01", "500")
			w.declare(account, phone(1))
		}
		w.wake(jobRegister)
		<-time.After(500 * time.Millisecond)
		w.wake(jobRemind)
		w.until("2000-01-01 10:00:30")
		w.wantTexts("01-01 10:00 A1+A2")
	})
}

func TestBillDueTodayIsTextedAsSoonAsItIsRegistered(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := prepare(t, inBubble)
		w.until("2000-01-01 09:59:00")
		end := w.run()
		defer func() { end() }()
		w.until("2000-01-01 10:00:20")
		w.owes("A1", "2000-01-01", "500")
		w.declare("A1", phone(1))
		w.wake(jobRegister)
		<-time.After(500 * time.Millisecond) // its turn, which is reserved on a server, is a moment ahead; no cron tick can have helped
		synctest.Wait()
		w.wantTexts("01-01 10:00 A1")
		if at := w.sandbox.Texts()[0].CreatedAt.Second(); at != 20 {
			t.Errorf("texted at second %d, want 20", at)
		}
	})
}

func TestDaemonThroughADay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := prepare(t, inBubble)
		end := w.run()
		var want []string
		for i := range 20 {
			account := fmt.Sprintf("A%02d", i)
			w.owes(account, "2000-01-04", "500")
			w.declare(account, phone(i))
			want = append(want, "01-01 09:00 "+account)
		}
		w.until("2000-01-01 08:59:59")
		w.wantTexts()
		w.until("2000-01-01 09:00:30")
		w.wantTexts(want...)
		end()
		w.stop()
		end = w.run() // the jobs run at once, and find nothing to do
		w.until("2000-01-02 04:00:00")
		end()
		w.wantTexts(want...)
		w.wantStates("A00", "delivered")
		for _, h := range w.Health() {
			if h.Late || h.Running || h.LastError != "" || h.LastStarted.IsZero() {
				t.Errorf("health after the day: %+v", h)
			}
		}
	})
}

func TestRunFailsWithoutAStore(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if err := w.Store.Close(); err != nil {
		t.Fatal(err)
	}
	err := w.Run(w.ctx)
	if err == nil {
		t.Error("Run did not fail")
	}
	w.Scheduler = nil
}

func TestExpressions(t *testing.T) {
	t.Parallel()
	for expression, good := range map[string]bool{
		"@every 1m": true, "*/10 * * * *": true, "15 2 * * *": true,
		"": false, "* * * *": false, "61 * * * *": false, "@every soon": false, "0 0 1 1 * *": false,
		// A step may go all the way round, but no farther.
		"*/60 */24 */31 */12 */7": true, "5/60 * * * *": true, "0-30/31 * * * mon-fri/2": true, "0,*/20 * * * *": true, "@every 70m": true,
		"*/70 * * * *": false, "?/61 * * * *": false, "5/61 * * * *": false, "0,*/90 * * * *": false, "0-30/40 * * * *": false,
		"0 */25 * * *": false, "0 0 */32 * *": false, "0 0 1 */13 *": false, "0 0 * * */8": false, "CRON_TZ=UTC */70 * * * *": false,
		"CRON_TZ=UTC */7 * * * *": true, "TZ=UTC": false, "CRON_TZ=UTC ": false, "TZ=UTC\t* * * * *": false,
	} {
		if err := CheckExpression(expression); (err == nil) != good {
			t.Errorf("%q: %v", expression, err)
		}
		_, err := New(Config{SegmentsPerSecond: 1, Schedule: Schedule{expression, "* * * * *", "* * * * *", "* * * * *", "* * * * *"}})
		if (err == nil) != good {
			t.Errorf("New with %q: %v", expression, err)
		}
	}
}

func TestWakeUpsDuringAPassAreOneMorePass(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := prepare(t, inBubble)
		w.build()
		begun, release, passes := make(chan struct{}), make(chan struct{}), 0
		j := w.job(jobRemind)
		j.run = func(context.Context, *job) error {
			passes++
			begun <- struct{}{}
			<-release
			return nil
		}
		ctx, cancel := context.WithCancel(t.Context())
		go j.loop(ctx, w.Scheduler)
		j.wake()
		<-begun
		for range 10 {
			w.wake(jobRemind)
		}
		release <- struct{}{}
		<-begun
		release <- struct{}{}
		synctest.Wait()
		if passes != 2 {
			t.Errorf("%d passes, want 2", passes)
		}
		cancel()
	})
}

func TestPanicEndsThePassAndNotTheDaemon(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	j := w.job(jobRegister)
	proper := j.run
	j.run = func(context.Context, *job) error { panic("a mistake") }
	j.pass(w.ctx, w.Scheduler)
	if j.err == nil || !strings.Contains(j.err.Error(), "a mistake") {
		t.Errorf("the pass's error is %v", j.err)
	}
	w.wantLog("register failed")
	if n := w.counted("duewatch_job_runs_total", jobRegister, "error"); n != 1 {
		t.Errorf("%v failed passes counted", n)
	}
	for _, h := range w.Health() {
		if h.Name == jobRegister && (h.Running || !strings.Contains(h.LastError, "a mistake")) {
			t.Errorf("health is %+v: want it ended, with the reason", h)
		}
	}
	j.run = proper
	w.watch("A1", "2026-03-12", phone(1))
	if w.bill("A1").State != reminder.BillActive {
		t.Error("the job does not work after a panic")
	}
}

// trap panics at one message.
type trap struct {
	slog.Handler
	message string
}

func (h trap) Handle(ctx context.Context, r slog.Record) error {
	if r.Message == h.message {
		panic("a mistake")
	}
	return h.Handler.Handle(ctx, r)
}
func (h trap) WithAttrs(a []slog.Attr) slog.Handler { return trap{h.Handler.WithAttrs(a), h.message} }

func TestPanicInARoundLeavesNoSenderBehind(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(w *world) { w.delivery.Mode = reminder.ModeOff })
	w.watch("A1", "2026-03-12", phone(1))
	w.at("2026-03-09 09:00")
	const label = "of the pass that panics" // goroutines inherit it
	w.Log = slog.New(trap{w.Log.Handler(), "reminder held"})
	pprof.Do(w.ctx, pprof.Labels("pass", label), func(ctx context.Context) {
		w.job(jobRemind).pass(ctx, w.Scheduler)
	})
	if err := w.job(jobRemind).err; err == nil || !strings.Contains(err.Error(), "a mistake") {
		t.Fatalf("the pass's error is %v", err)
	}
	// One that is done may need a moment to be gone; one that waits stays.
	for range 10_000 {
		var running bytes.Buffer
		if err := pprof.Lookup("goroutine").WriteTo(&running, 1); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(running.String(), label) {
			return
		}
		runtime.Gosched()
	}
	t.Error("goroutines of the pass are still there")
}

func TestHealth(t *testing.T) {
	t.Parallel()
	late := func(w *world, name string) bool {
		for _, h := range w.Health() {
			if h.Name == name {
				return h.Late
			}
		}
		return false
	}
	t.Run("before the first pass nothing is late", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.clock.pass(time.Hour)
		if late(w, jobRemind) {
			t.Error("late")
		}
	})
	t.Run("a tick that did not come", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.tick()
		w.clock.pass(time.Minute + lateAfter)
		if late(w, jobRemind) {
			t.Error("late too soon")
		}
		w.clock.pass(time.Second)
		if !late(w, jobRemind) {
			t.Error("not late")
		}
		if late(w, jobRecheck) {
			t.Error("recheck is not due for that long")
		}
	})
	t.Run("a pass without a sign of life", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		j := w.job(jobRegister)
		j.run = func(context.Context, *job) error {
			w.clock.pass(lateAfter)
			if late(w, jobRegister) {
				t.Error("late too soon")
			}
			j.heartbeat()
			w.clock.pass(lateAfter + time.Second)
			if !late(w, jobRegister) {
				t.Error("a silent pass is not late")
			}
			return nil
		}
		j.pass(w.ctx, w.Scheduler)
	})
	t.Run("a long pass that has just ended", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		j := w.job(jobRegister)
		j.run = func(ctx context.Context, _ *job) error {
			w.clock.pass(time.Hour)
			return ctx.Err()
		}
		j.pass(w.ctx, w.Scheduler)
		if late(w, jobRegister) {
			t.Error("late")
		}
	})
}

// Each call is answered, if slowly, so the job is well: systemd must not kill
// the daemon for it.
func TestSlowAnswersAreSignsOfLife(t *testing.T) {
	t.Parallel()
	const calls, slow = 12, 50 * time.Second
	wantAlive := func(t *testing.T, w *world) {
		t.Helper()
		if t.Failed() {
			return // once is enough
		}
		for _, h := range w.Health() {
			if h.Running && h.Late {
				t.Errorf("%s counts as late in the middle of calls that all were answered", h.Name)
			}
		}
	}
	slowly := func(t *testing.T, w *world) func(*http.Request) {
		t.Helper()
		return func(*http.Request) {
			w.clock.pass(slow)
			wantAlive(t, w)
		}
	}
	bills := func(w *world, due string) {
		for i := range calls {
			account := fmt.Sprintf("A%02d", i)
			w.owes(account, due, "100")
			w.declare(account, phone(i))
		}
	}
	t.Run("register", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, func(w *world) { w.askers = 3 }) // a batch is four calls one after another, each with its tries
		w.toAlmara.after = func(*http.Request) { w.clock.pass(2 * slow / 3); wantAlive(t, w) }
		bills(w, "2026-03-12")
		w.job(jobRegister).pass(w.ctx, w.Scheduler)
	})
	t.Run("remind, asking", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, func(w *world) { w.askers = 1 })
		bills(w, "2026-03-16")
		w.tick()
		w.at("2026-03-13 09:00")
		w.toAlmara.after = slowly(t, w)
		w.job(jobRemind).pass(w.ctx, w.Scheduler)
	})
	t.Run("remind, sending", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, func(w *world) { w.senders = 1 })
		bills(w, "2026-03-12")
		w.tick()
		w.at("2026-03-09 09:00")
		w.toProvider.after = slowly(t, w)
		w.job(jobRemind).pass(w.ctx, w.Scheduler)
	})
	t.Run("receipts", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, func(w *world) { w.senders = 1 })
		bills(w, "2026-03-12")
		w.tick()
		w.at("2026-03-09 09:00")
		w.tick()
		w.clock.pass(time.Minute)
		w.toProvider.after = slowly(t, w)
		w.job(jobReceipts).pass(w.ctx, w.Scheduler)
	})
}

func TestReceiptsOfARefusedAccountFailTheJobAndChangeNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.watch("A1", "2026-03-12", phone(1))
	w.at("2026-03-09 09:00")
	w.tick()
	w.faults(sandbox.Fault{Where: sandbox.Fetch, What: sandbox.Status, Status: 401})
	w.clock.pass(time.Minute)
	w.job(jobReceipts).pass(w.ctx, w.Scheduler)
	if w.job(jobReceipts).err == nil {
		t.Error("the job does not fail")
	}
	w.wantStates("A1", "accepted")
	w.sandbox.ClearFaults()
	w.tick()
	w.wantStates("A1", "delivered")
}

func TestForgettingOldRemindersRepeatsNone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.watch("A1", "2026-03-12", phone(1))
	w.at("2026-03-09 09:00")
	w.tick()
	w.at("2026-03-12 09:00")
	w.tick()
	w.texts()
	before := w.story("A1")
	w.at("2027-05-01 10:00")
	w.tick()
	j := w.job(jobHousekeeping)
	if j.pass(w.ctx, w.Scheduler); j.err != nil {
		t.Fatal(j.err)
	}
	if len(w.story("A1")) >= len(before) {
		t.Error("nothing was forgotten")
	}
	w.forgotten = true
	w.restart(func(w *world) { w.fingerprint = "changed" })
	w.ticks(24*time.Hour, time.Hour)
	w.wantTexts("03-09 09:00 A1", "03-12 09:00 A1")
}

// The lines of an import of thousands would drown all others.
func TestManyRegistrationsAreLoggedTogether(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for i := range logFirst + 1 {
		account := fmt.Sprintf("A%02d", i)
		w.owes(account, "2026-03-12", "100")
		w.declared = append(w.declared, reminder.Bill{Service: water, Account: account, Phone: phone(i)})
	}
	last := w.declared[logFirst]
	w.declared = w.declared[:logFirst]
	w.declare(last.Account, last.Phone)
	w.tick()
	logged := 0
	for line := range strings.Lines(w.log.String()) {
		if strings.Contains(line, `msg="bill registered"`) && strings.Contains(line, "level=INFO") {
			logged++
		}
	}
	if logged != logFirst {
		t.Errorf("%d were logged one by one, want %d", logged, logFirst)
	}
	w.wantLog(fmt.Sprintf("bills=%d", logFirst+1))
}

// All bills are planned anew where something wants it that has no word with the leader: another daemon
// that has put right what a wrong clock wrote, or itself before a read that failed.
func TestBillsArePlannedAnewWithinAMinute(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := prepare(t, inBubble)
		w.until("2000-01-01 09:59:00")
		end := w.run()
		defer func() { end() }()
		w.until("2000-01-01 10:00:20")
		if err := w.Store.SetMeta(metaFingerprint, ""); err != nil {
			t.Fatal(err)
		}
		w.until("2000-01-01 10:01:20")
		if have, err := w.Store.Meta(w.ctx, metaFingerprint); err != nil || have != w.Fingerprint {
			t.Errorf("planned by %q, %v", have, err)
		}
	})
}
