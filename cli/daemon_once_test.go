package cli_test

import (
	"fmt"
	"strings"
	"syscall"
	"testing"

	"duewatch/reminder"
	"duewatch/sandbox"
)

// A due bill leads to one text, at the first run and for good.
func TestDaemonTextsOnce(t *testing.T) {
	t.Parallel()
	o := newOutside(t, "DUE+3-A", "DUE+3-PAID-B", "DUE+0-C", "REJECT-D", "DUE+20-E")
	first := o.start()
	first.await("text accepted", "DUE+3-A")
	first.await("text accepted", "DUE+0-C")
	first.await("reminder skipped", "DUE+3-PAID-B", "reason=paid")
	first.awaitPasses(2)
	first.stop()
	o.wantTexts(2)

	calls := o.sandbox.Calls()[sandbox.Send]
	for range 2 {
		next := o.start()
		next.awaitPasses(3)
		next.stop()
	}
	o.wantTexts(2)
	if more := o.sandbox.Calls()[sandbox.Send] - calls; more != 0 {
		t.Errorf("restarts called the provider %d times", more)
	}
	o.wantText("DUE+3-A", "accepted")
}

// Who pays between the first look and the hour is not texted: the balance is
// asked again after a restart too.
func TestDaemonTextsNobodyWhoHasPaid(t *testing.T) {
	t.Parallel()
	o := newOutside(t, "DUE+3-A")
	o.hold(sandbox.Register, true)
	d := o.start()
	o.awaitHolding(1) // the answer that is on its way says what was owed
	d.kill()
	if err := o.sandbox.Pay(sandbox.ServiceWater, "DUE+3-A", reminder.MustMoney("0")); err != nil {
		t.Fatal(err)
	}
	o.sandbox.ClearFaults()
	next := o.start()
	next.await("reminder skipped", "DUE+3-A", "reason=paid")
	next.stop()
	o.wantTexts(0)
}

// SIGTERM while the provider has the text and its answer is on the way: the
// daemon waits for the answer and records it.
func TestDaemonStopsAfterTheAnswer(t *testing.T) {
	t.Parallel()
	o := newOutside(t, "DUE+3-A", "DUE+3-B")
	o.sendNothingYet("DUE+3-A", "DUE+3-B")
	o.holdCalls(2, sandbox.Send, true)
	d := o.start()
	o.awaitHolding(2)
	d.signal(syscall.SIGTERM)
	o.poll("the web server to stop", func() bool { status, _ := o.get("/healthz"); return status == 0 })
	o.sandbox.ClearFaults()
	if status := d.awaitEnd(); status != 0 {
		t.Errorf("it ended with status %d", status)
	}
	if !d.said("stopped") {
		t.Error("it did not say that it stopped")
	}
	for _, account := range []string{"DUE+3-A", "DUE+3-B"} {
		for _, text := range o.explain(account).Texts {
			if text.State != "accepted" {
				t.Errorf("a text of %s is %+v", account, text)
			}
		}
	}

	next := o.start()
	next.awaitPasses(2)
	next.stop()
	o.wantTexts(2)
	o.wantText("DUE+3-A", "accepted")
	o.wantText("DUE+3-B", "accepted")
}

// A second signal does not wait; what was under way is in doubt afterwards.
func TestDaemonEndsAtOnceOnASecondSignal(t *testing.T) {
	t.Parallel()
	o := newOutside(t, "DUE+3-A")
	o.hold(sandbox.Send, true)
	d := o.start()
	o.awaitHolding(1)
	d.signal(syscall.SIGTERM)
	o.poll("the web server to stop", func() bool { status, _ := o.get("/healthz"); return status == 0 })
	o.poll("the end", func() bool {
		_ = d.cmd.Process.Signal(syscall.SIGTERM) // fails once it has ended
		select {
		case <-d.ended:
			return true
		default:
			return false
		}
	})
	if d.cmd.ProcessState.ExitCode() == 0 {
		t.Error("it ended with status 0, though it left a text in doubt")
	}
	o.sandbox.ClearFaults()
	next := o.start()
	next.awaitPasses(2)
	o.wantText("DUE+3-A", "unknown")
	next.stop()
	o.wantTexts(1)
}

// kill -9 in the middle of the POST: nobody can tell from here whether the text
// left, so it is not sent again, and operators are told.
func TestDaemonKilledInMidSend(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		after bool // the provider had taken the text
		texts int  // that it has in the end
	}{
		"before the provider took it": {false, 0},
		"after the provider took it":  {true, 1},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := newOutside(t, "DUE+3-A")
			o.hold(sandbox.Send, tt.after)
			d := o.start()
			o.awaitHolding(1)
			d.kill()
			o.sandbox.ClearFaults()
			o.wantTexts(tt.texts)

			for range 2 {
				next := o.start()
				next.awaitPasses(3)
				o.wantText("DUE+3-A", "unknown")
				if n := o.metric("duewatch_texts_in_doubt"); n != "1" {
					t.Errorf("duewatch_texts_in_doubt is %q", n)
				}
				if age := o.metric("duewatch_oldest_text_in_doubt_seconds"); age == "" || age == "0" {
					t.Errorf("duewatch_oldest_text_in_doubt_seconds is %q", age)
				}
				next.stop()
				o.wantTexts(tt.texts)
			}
			if calls := o.sandbox.Calls()[sandbox.Send]; calls != 1 {
				t.Errorf("the provider was called %d times", calls)
			}
		})
	}
}

// A lost answer without a crash is in doubt as well, and the others go on.
func TestDaemonLosesAnAnswer(t *testing.T) {
	t.Parallel()
	for _, fault := range []string{"drop-after", "drop", "status-after=500", "html=502", "empty-after", "truncate"} {
		t.Run(fault, func(t *testing.T) {
			t.Parallel()
			o := newOutside(t, "DUE+3-A", "DUE+3-B")
			faults, err := sandbox.ParseFaults("send:" + fault + ":times=1:match=DUE+3-A")
			if err != nil {
				t.Fatal(err)
			}
			if err := o.sandbox.AddFaults(faults...); err != nil {
				t.Fatal(err)
			}
			d := o.start()
			d.await("text in doubt", "DUE+3-A")
			d.await("text accepted", "DUE+3-B")
			d.awaitPasses(3)
			o.wantText("DUE+3-A", "unknown")
			if n := o.metric("duewatch_texts_in_doubt"); n != "1" {
				t.Errorf("duewatch_texts_in_doubt is %q", n)
			}
			d.stop()
			if calls := o.sandbox.Calls()[sandbox.Send]; calls != 2 {
				t.Errorf("the provider was called %d times for two texts", calls)
			}
		})
	}
}

// A failing run of the provider is survived without a second text: of the two,
// one is refused and given back, and leaves later in a new text.
func TestDaemonGivesBackWhatWasRefused(t *testing.T) {
	t.Parallel()
	o := newOutside(t, "DUE+3-A")
	faults, err := sandbox.ParseFaults("send:status=429:retry-after=1:times=1")
	if err != nil {
		t.Fatal(err)
	}
	if err := o.sandbox.AddFaults(faults...); err != nil {
		t.Fatal(err)
	}
	d := o.start()
	d.await("text not sent", "reason=throttled", "DUE+3-A")
	d.awaitPasses(2)
	d.stop()
	o.wantTexts(0)
	s := o.explain("DUE+3-A")
	held := false
	for _, p := range s.Plan {
		held = held || p.Stage == -3 && p.Outcome == "held" && p.Reason == "throttled"
	}
	if !held || s.Bill.NextLook == "" {
		t.Errorf("the reminder is not held for a later look: %+v", s)
	}
}

// One daemon at a time: the second names the first by its process id.
func TestDaemonRefusesASecond(t *testing.T) {
	t.Parallel()
	o := newOutside(t)
	first := o.start()
	first.await("is up")
	second, err := o.command("run").CombinedOutput()
	if err == nil {
		t.Error("the second one ended with status 0")
	}
	if want := fmt.Sprintf("process %d)", first.cmd.Process.Pid); !strings.Contains(string(second), want) {
		t.Errorf("the second one says %q without %q", second, want)
	}
	first.stop()
}
