package cli_test

import (
	"os"
	"strings"
	"testing"

	"duewatch/sandbox"
)

// reportedTo has the provider's stand-in report to the daemon by itself.
func (o *outside) reportedTo() {
	o.t.Helper()
	config, err := os.ReadFile(o.path("config.yaml"))
	if err != nil {
		o.t.Fatal(err)
	}
	listen := "127.0.0.1:" + freePort(o.t)
	o.write(strings.Replace(string(config), "web: {", `web: {public_url: "http://`+listen+`", callbacks_listen: "`+listen+`", `, 1))
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
