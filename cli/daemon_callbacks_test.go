package cli_test

import (
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"duewatch/sandbox"
)

// reportedTo has the provider's stand-in report to the daemon by itself, and returns where.
func (o *outside) reportedTo() (listen string) {
	o.t.Helper()
	config, err := os.ReadFile(o.path("config.yaml"))
	if err != nil {
		o.t.Fatal(err)
	}
	listen = "127.0.0.1:" + freePort(o.t)
	o.write(strings.Replace(string(config), "web: {", `web: {public_url: "http://`+listen+`", callbacks_listen: "`+listen+`", `, 1))
	return listen
}

// The provider has taken the text, its answer is still on the way, and its callback has
// come: when the daemon dies then, nothing is in doubt.
func TestDaemonThatDiesBetweenCallbackAndAnswer(t *testing.T) {
	t.Parallel()
	o := newOutside(t, "DUE+3-A")
	o.reportedTo()
	o.hold(sandbox.Send, true)
	d := o.start()
	o.awaitHolding(1)
	delivered := func() bool {
		texts := o.explain("DUE+3-A").Texts
		return len(texts) == 1 && texts[0].State == "delivered"
	}
	o.poll("the callbacks to be recorded", delivered)
	d.kill()
	o.sandbox.ClearFaults()
	next := o.start()
	next.awaitPasses(3)
	if next.said("left in doubt") || next.said("looked up at the provider") {
		t.Error("the text was looked up")
	}
	next.stop()
	o.wantTexts(1)
	o.wantText("DUE+3-A", "delivered")
}

// The daemon dies during the call, and is back before the carrier has delivered the text.
func TestDaemonLearnsFromACallbackWhatItDidNotSeeTheAnswerOf(t *testing.T) {
	t.Parallel()
	o := newOutside(t, "DUE+3-A")
	o.reportedTo()
	o.hold(sandbox.Send, true)
	d := o.start()
	o.awaitHolding(1)
	d.kill()
	o.sandbox.ClearFaults()
	next := o.start()
	o.poll("the last callback to be recorded", func() bool {
		texts := o.explain("DUE+3-A").Texts
		return len(texts) == 1 && texts[0].State == "delivered"
	})
	next.awaitPasses(2)
	next.stop()
	o.wantTexts(1)
}

// A reload begins to listen for callbacks, and ends it. An address that is taken leaves
// everything as it was.
func TestDaemonReloadsItsCallbacks(t *testing.T) {
	t.Parallel()
	o := newOutside(t, "DUE+3-A")
	d := o.start()
	d.await("text accepted", "DUE+3-A")

	taken := o.reportedTo()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", taken)
	if err != nil {
		t.Fatal(err)
	}
	d.signal(syscall.SIGHUP)
	d.await("the new config cannot be used", "web.callbacks_listen: another program listens there")
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}

	answers := func(listen string) int {
		client := http.Client{Timeout: time.Second}
		res, err := client.Post("http://"+listen+"/twilio/status", "application/x-www-form-urlencoded", strings.NewReader("a=b"))
		if err != nil {
			return 0
		}
		_ = res.Body.Close()
		return res.StatusCode
	}
	o.configure("DUE+3-A", "DUE+3-B")
	listen := o.reportedTo()
	d.signal(syscall.SIGHUP)
	o.poll("callbacks to be refused that nobody signed", func() bool { return answers(listen) == http.StatusForbidden })
	o.poll("the next text to be reported", func() bool {
		texts := o.explain("DUE+3-B").Texts
		return len(texts) == 1 && texts[0].State == "delivered"
	})
	if n := o.metric(`duewatch_callbacks_total{kind="status",result="forged"}`); n == "0" {
		t.Error("what nobody signed is not counted")
	}

	o.configure("DUE+3-A", "DUE+3-B")
	d.signal(syscall.SIGHUP)
	o.poll("nothing to listen any more", func() bool { return answers(listen) == 0 })
	d.stop()
	o.wantTexts(2)
}
