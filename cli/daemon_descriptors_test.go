package cli_test

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"duewatch/sandbox"
)

// A daemon that may open no more files can make no new connection. It says so,
// is in doubt about nobody, since no byte of those texts has left, and texts
// each customer once, by itself, when it may open files again.
func TestDaemonOutOfFileDescriptors(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("a text that could not leave may wait for a minute")
	}
	for name, limit := range map[string]func(open int) int{
		"none is left":              func(int) int { return 3 }, // those it has stay its own
		"about as many as it holds": func(open int) int { return open - 3 },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			accounts := []string{"DUE+3-A", "DUE+3-B", "DUE+0-C", "DUE+3-D", "DUE+3-E"}
			o := newOutside(t, accounts...)
			o.holdCalls(len(accounts), sandbox.Register, true)
			d := o.start()
			o.awaitHolding(len(accounts))
			d.awaitPasses(1)
			usual := d.fileLimit()
			d.limitFiles(limit(d.openFiles()))
			o.sandbox.ClearFaults() // Almara Pay answers, and the bills are due
			// At the store already, or when the provider is called: the job fails, and says why.
			d.await("ERR remind failed", "too many open files")

			// Some may leave all the same, by the connection that the comparison with
			// the provider's list has left open.
			if n := len(o.sandbox.Texts()); n == len(accounts) {
				t.Errorf("all %d texts left without a file to be opened", n)
			}
			for _, account := range accounts {
				for _, text := range o.explain(account).Texts {
					if text.State != "refused" && text.State != "accepted" && text.State != "sending" {
						t.Errorf("a text of %s is %s", account, text.State)
					}
				}
			}

			d.limitFiles(usual)
			d.awaitTexts(len(accounts), 3*time.Minute)
			d.awaitPasses(3)
			o.wantTexts(len(accounts))
			for _, account := range accounts {
				s := o.explain(account)
				for _, event := range s.Events {
					if event.What == "unknown" {
						t.Errorf("%s was in doubt: %s", account, event.Detail)
					}
				}
				if last := s.Texts[len(s.Texts)-1]; last.State == "refused" {
					t.Errorf("the last text of %s is %s", account, last.State)
				}
			}
			d.stop()
		})
	}
}

// openFiles is how many the daemon holds.
func (d *daemon) openFiles() int {
	d.t.Helper()
	open, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", d.cmd.Process.Pid))
	if err != nil {
		d.t.Skipf("its files cannot be counted here: %v", err)
	}
	return len(open)
}

func (d *daemon) prlimit(args ...string) string {
	d.t.Helper()
	out, err := exec.Command("prlimit", append([]string{"--pid", strconv.Itoa(d.cmd.Process.Pid)}, args...)...).CombinedOutput()
	if err != nil {
		d.t.Skipf("limits of another process cannot be set here: %v %s", err, out)
	}
	return strings.TrimSpace(string(out))
}

// fileLimit is how many files the daemon may have open.
func (d *daemon) fileLimit() int {
	d.t.Helper()
	n, err := strconv.Atoi(d.prlimit("--nofile", "--output=SOFT", "--noheadings"))
	if err != nil {
		d.t.Fatal(err)
	}
	return n
}

// limitFiles lets the running daemon open files up to that number only.
func (d *daemon) limitFiles(n int) {
	d.t.Helper()
	d.prlimit(fmt.Sprintf("--nofile=%d:", n))
}

// awaitTexts waits until the provider has that many texts, for longer than poll
// would.
func (d *daemon) awaitTexts(n int, atMost time.Duration) {
	d.t.Helper()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.After(atMost); len(d.sandbox.Texts()) < n; {
		select {
		case <-tick.C:
		case <-d.ended:
			d.t.Fatal("the daemon ended")
		case <-deadline:
			d.t.Fatalf("the provider has %d texts after %s, want %d", len(d.sandbox.Texts()), atMost, n)
		}
	}
}
