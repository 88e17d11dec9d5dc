package cli_test

import (
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"duewatch/reminder"
	"duewatch/sandbox"
)

// SIGHUP with a bad config changes nothing and says why; with a good one it is
// applied without a restart.
func TestDaemonReloads(t *testing.T) {
	t.Parallel()
	o := newOutside(t, "DUE+3-A")
	d := o.start()
	d.await("text accepted", "DUE+3-A")

	o.write("remindres: {}\nnotifier: {mode: alive}\n")
	d.signal(syscall.SIGHUP)
	d.await("the new config cannot be used", "remindres")
	if !d.said("notifier.mode") {
		t.Error("only the first fault of the bad config is in the log")
	}
	if status, body := o.get("/healthz"); status != 200 || !strings.Contains(body, "the last reload was refused") || !strings.Contains(body, "notifier.mode") {
		t.Errorf("after a bad config /healthz answers %d %s", status, body)
	}
	if taken, refused := o.metric("duewatch_config_last_reload_successful"), o.metric(`duewatch_config_reloads_total{result="error"}`); taken != "0" || refused != "1" {
		t.Errorf("the metrics of a refused reload are %s and %s", taken, refused)
	}

	o.configure("DUE+3-A", "DUE+3-B")
	d.signal(syscall.SIGHUP)
	d.await("text accepted", "DUE+3-B")
	if d.said("bills declared", "removed=1") {
		t.Error("the bad config removed a bill")
	}
	o.poll("the web server to come back, and the good config to be taken", func() bool {
		status, body := o.get("/healthz")
		return status == 200 && !strings.Contains(body, "refused")
	})
	if taken, n := o.metric("duewatch_config_last_reload_successful"), o.metric(`duewatch_config_reloads_total{result="ok"}`); taken != "1" || n != "1" {
		t.Errorf("the metrics of a reload are %s and %s", taken, n)
	}

	o.configure("DUE+3-A")
	d.signal(syscall.SIGHUP)
	d.await("bills declared", "removed=1")
	o.poll("the bill to be removed", func() bool { return o.explain("DUE+3-B").Bill.State == "removed" })

	d.stop()
	o.wantTexts(2)
}

// A store cannot be changed under a running daemon.
func TestDaemonKeepsItsStore(t *testing.T) {
	t.Parallel()
	o := newOutside(t, "DUE+3-A")
	d := o.start()
	d.await("text accepted", "DUE+3-A")
	config, err := os.ReadFile(o.path("config.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	o.write(strings.ReplaceAll(string(config), "duewatch.db", "other.db"))
	d.signal(syscall.SIGHUP)
	d.await("store and its password cannot change while the daemon runs")
	d.stop()
	o.wantTexts(1)
}

// A reload in mid-send waits for the answer like a stop, and the next
// generation neither sends the text again nor takes it for an orphan.
func TestDaemonReloadsInMidSend(t *testing.T) {
	t.Parallel()
	o := newOutside(t, "DUE+3-A", "DUE+3-B")
	o.sendNothingYet("DUE+3-A", "DUE+3-B")
	o.holdCalls(2, sandbox.Send, true)
	d := o.start()
	o.awaitHolding(2)
	d.signal(syscall.SIGHUP)
	d.await("the config was read again")
	o.sandbox.ClearFaults()
	d.await("text accepted", "DUE+3-A")
	d.await("text accepted", "DUE+3-B")
	d.awaitPasses(3)
	if d.said("in doubt") {
		t.Error("a text was taken for one in doubt")
	}
	d.stop()
	o.wantTexts(2)
	o.wantText("DUE+3-A", "accepted")
	o.wantText("DUE+3-B", "accepted")
}

// A reload while Almara Pay is being asked loses no bill: the next generation
// asks at once, and not when the lease of the last one ends.
func TestDaemonReloadsInMidRegistration(t *testing.T) {
	t.Parallel()
	o := newOutside(t, "DUE+3-A")
	o.hold(sandbox.Register, false)
	d := o.start()
	o.awaitHolding(1)
	d.signal(syscall.SIGHUP)
	d.await("the config was read again")
	o.sandbox.ClearFaults()
	d.await("text accepted", "DUE+3-A")
	d.stop()
	o.wantTexts(1)
}

// So does a restart.
func TestDaemonRestartsInMidRegistration(t *testing.T) {
	t.Parallel()
	o := newOutside(t, "DUE+3-A")
	o.hold(sandbox.Register, false)
	d := o.start()
	o.awaitHolding(1)
	d.stop()
	o.sandbox.ClearFaults()
	next := o.start()
	next.await("text accepted", "DUE+3-A")
	next.stop()
	o.wantTexts(1)
}

// The first days of an operator: mode off shows what would be sent, live sends
// it, at the reload and not at some later look.
func TestDaemonGoesLive(t *testing.T) {
	t.Parallel()
	o := newOutside(t, "DUE+3-A")
	live, err := os.ReadFile(o.path("config.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	o.write(strings.ReplaceAll(string(live), "mode: live", "mode: off"))
	d := o.start()
	d.await("WRN", "notifier.mode is off, so nobody is texted")
	d.await("reminder held", "DUE+3-A", "reason=mode_off")
	d.awaitPasses(2)
	o.wantTexts(0)

	o.write(string(live))
	d.signal(syscall.SIGHUP)
	d.await("text accepted", "DUE+3-A")
	d.stop()
	o.wantTexts(1)
}

// A bill that leaves the list and comes back is the same bill: it had its text.
func TestDaemonKnowsABillThatComesBack(t *testing.T) {
	t.Parallel()
	o := newOutside(t, "DUE+3-A")
	d := o.start()
	d.await("text accepted", "DUE+3-A")
	o.configure()
	d.signal(syscall.SIGHUP)
	d.await("bills declared", "removed=1")
	o.configure("DUE+3-A")
	d.signal(syscall.SIGHUP)
	o.poll("the bill to be active again", func() bool { return o.explain("DUE+3-A").Bill.State == "active" })
	d.awaitPasses(5)
	d.stop()
	o.wantTexts(1)
}

// A reload that cannot be carried out leaves the daemon at work: here, the new
// web.listen is taken.
func TestDaemonSurvivesAReloadThatFails(t *testing.T) {
	t.Parallel()
	o := newOutside(t, "DUE+3-A")
	d := o.start()
	d.await("text accepted", "DUE+3-A")
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	was := o.port
	_, o.port, _ = net.SplitHostPort(taken.Addr().String())
	o.configure("DUE+3-A", "DUE+3-B")
	o.port = was
	d.signal(syscall.SIGHUP)
	d.await("address already in use")
	o.poll("/healthz to answer at the old address", func() bool { status, _ := o.get("/healthz"); return status == 200 })
	d.stop()
}

// SIGHUP reads the calendar of holidays again: both stages move from the days
// that are holidays now to today, and give one text.
func TestDaemonReloadsHolidays(t *testing.T) {
	t.Parallel()
	o := newOutside(t, "DUE+9-A")
	_, zone := noonZone()
	today := reminder.DateOf(time.Now().In(zone))
	closed := func(from, to int) {
		t.Helper()
		text := fmt.Sprintf("BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\nDTSTART;VALUE=DATE:%s\r\nDTEND;VALUE=DATE:%s\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n",
			strings.ReplaceAll(today.AddDays(from).String(), "-", ""), strings.ReplaceAll(today.AddDays(to+1).String(), "-", ""))
		if err := os.WriteFile(o.path("holidays.ics"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	config, err := os.ReadFile(o.path("config.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	o.write(strings.Replace(string(config), "reminders: {", "reminders: {days_before: [7, 6, 0], holidays: [holidays.ics], ", 1))
	closed(30, 30)
	d := o.start()
	d.await("bill registered", "DUE+9-A")
	d.awaitPasses(2)
	o.wantTexts(0)

	closed(1, 3)
	d.signal(syscall.SIGHUP)
	d.await("text accepted", "DUE+9-A", "6 days before")
	d.awaitPasses(2)
	d.stop()
	o.wantTexts(1)
}

// What another program on the account has sent since the start speaks of a copy at the
// next start alone: a process that ran on through a reload cannot be one.
func TestDaemonComparesTheListOnceForAProcess(t *testing.T) {
	t.Parallel()
	o := newOutside(t, "DUE+3-A")
	d := o.start()
	d.await("text accepted", "DUE+3-A")
	elsewhere := url.Values{"From": {sandbox.From}, "To": {"+254710000001"}, "Body": {"From our office: " + o.sandbox.Texts()[0].Body}}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, o.url+"/2010-04-01/Accounts/"+sandbox.AccountSID+"/Messages.json",
		strings.NewReader(elsewhere.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.SetBasicAuth(sandbox.AccountSID, sandbox.AuthToken)
	answer, err := (&http.Client{Timeout: time.Minute}).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	if err := answer.Body.Close(); err != nil || answer.StatusCode != http.StatusCreated {
		t.Fatalf("the other program's text: %s, %v", answer.Status, err)
	}
	d.signal(syscall.SIGHUP)
	d.await("the config was read again")
	d.awaitPasses(2)
	if d.said("the provider has texts that this store does not know") {
		t.Error("a reload compared the list again")
	}
	d.stop()
	next := o.start()
	next.await("the provider has texts that this store does not know")
	next.stop()
}
