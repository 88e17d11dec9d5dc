package cli_test

import (
	"errors"
	"strconv"
	"strings"
	"testing"
	"time"

	"duewatch/sandbox"
	"duewatch/store/db/pgtest"
)

// page is the page of the daemon.
func (o *outside) page() string {
	o.t.Helper()
	_, body := o.get("/")
	if strings.Contains(body, "71000000") {
		o.t.Error("a phone is on the page")
	}
	return body
}

// The days to come can wait; a text that is on its way cannot.
func TestTheLookAheadWaitsWhileTextsAreSent(t *testing.T) {
	t.Parallel()
	o := newOutside(t, "DUE+3-A")
	o.hold(sandbox.Send, false)
	o.start()
	o.awaitHolding(1)
	looks := time.NewTicker(time.Second)
	defer looks.Stop()
	for range 5 {
		if body := o.page(); strings.Contains(body, "Looked ahead") || !strings.Contains(body, "It waits while texts are sent") {
			t.Fatalf("it looks ahead in the middle of a pass:\n%s", body)
		}
		<-looks.C
	}
	o.sandbox.ClearFaults()
	o.poll("a look ahead", func() bool { return strings.Contains(o.page(), "Looked ahead") })
}

// A database knows its daemons, and is looked ahead from like a file.
func TestThePageOfADatabase(t *testing.T) {
	t.Parallel()
	server, err := pgtest.New()
	if errors.Is(err, pgtest.ErrNotInstalled) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	})
	address, err := server.Create(t.Context(), "duewatch", "")
	if err != nil {
		t.Fatal(err)
	}
	o := newOutside(t, "DUE+3-A", "DUE+9-B")
	o.keepOn(address)
	d := o.start()
	d.await("text accepted by the provider", "DUE+3-A")
	wants := []string{
		"Looked ahead", `id="today-handed-over"><data value="1">`, `id="month-handed-over"><data value="1">`,
		", process " + strconv.Itoa(d.cmd.Process.Pid) + ",",
	}
	var body string
	o.poll("the page to have its numbers", func() bool {
		body = o.page()
		return hasAll(body, wants)
	})
	d.stop() // it closes what it opened to look ahead
}
