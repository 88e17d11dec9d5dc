package cli_test

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"time"

	"duewatch/sandbox"
)

// daemon is one run of duewatch.
type daemon struct {
	*outside
	cmd   *exec.Cmd
	ended chan struct{}

	mu    sync.Mutex
	lines []string // stdout and stderr as they came
	grown chan struct{}
}

// start runs the daemon. It is killed at the end of the test, and what it
// printed is searched for what must not be there.
func (o *outside) start(env ...string) *daemon {
	o.t.Helper()
	c := o.command("run")
	c.Env = append(c.Env, env...)
	return o.run(c)
}

func (o *outside) run(c *exec.Cmd) *daemon {
	o.t.Helper()
	d := &daemon{outside: o, cmd: c, ended: make(chan struct{}), grown: make(chan struct{})}
	out, in := io.Pipe()
	c.Stdout, c.Stderr = in, in
	if err := c.Start(); err != nil {
		o.t.Fatal(err)
	}
	read := make(chan struct{})
	go func() {
		defer close(read)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			d.mu.Lock()
			d.lines = append(d.lines, lines.Text())
			close(d.grown)
			d.grown = make(chan struct{})
			d.mu.Unlock()
		}
	}()
	go func() {
		_ = c.Wait() // its status is in ProcessState
		_ = in.Close()
		<-read
		close(d.ended)
	}()
	o.t.Cleanup(func() {
		_ = c.Process.Kill() // does nothing to one that has ended
		<-d.ended
		d.searchOutput()
	})
	return d
}

var messageID = regexp.MustCompile(`SM[0-9a-f]{32}`)

// searchOutput fails the test on a secret or a whole phone number in what the
// daemon printed.
func (d *daemon) searchOutput() {
	d.t.Helper()
	forbidden := map[string]string{
		"client secret": sandbox.ClientSecret, "auth token": sandbox.AuthToken, "web token": webToken,
		"whole phone number": "7100000", "text in its words": "Amount due",
	}
	for token := range d.outside.bearers {
		forbidden["access token "+token[:4]+"…"] = token
	}
	for _, line := range d.lines {
		line = messageID.ReplaceAllString(line, "SM…") // random digits, which may look like anything
		for what, s := range forbidden {
			// Mode off is there to show the words.
			if strings.Contains(line, s) && !strings.Contains(line, "reason=mode_off") {
				d.t.Errorf("a %s is in the output: %s", what, line)
			}
		}
		if strings.Contains(line, "DATA RACE") || strings.HasPrefix(line, "panic:") {
			d.t.Errorf("the daemon says:\n%s", strings.Join(d.lines, "\n"))
		}
	}
	if d.t.Failed() {
		d.t.Logf("output of process %d:\n%s", d.cmd.Process.Pid, strings.Join(d.lines, "\n"))
	}
}

// await waits until a line has each of the words.
func (d *daemon) await(words ...string) {
	d.t.Helper()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	for from := 0; ; {
		d.mu.Lock()
		lines, grown := d.lines[from:], d.grown
		d.mu.Unlock()
		for _, line := range lines {
			if hasAll(line, words) {
				return
			}
		}
		from += len(lines)
		select {
		case <-grown:
		case <-d.ended:
			select {
			case <-grown: // there is a rest to read
			default:
				d.t.Fatalf("the daemon ended before it said %q", words)
			}
		case <-deadline.C:
			d.t.Fatalf("the daemon does not say %q", words)
		}
	}
}

func hasAll(line string, words []string) bool {
	for _, w := range words {
		if !strings.Contains(line, w) {
			return false
		}
	}
	return true
}

// said reports whether a line so far has each of the words.
func (d *daemon) said(words ...string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, line := range d.lines {
		if hasAll(line, words) {
			return true
		}
	}
	return false
}

func (d *daemon) signal(s os.Signal) {
	d.t.Helper()
	if err := d.cmd.Process.Signal(s); err != nil {
		d.t.Fatal(err)
	}
}

// awaitEnd returns the exit status, -1 when a signal ended the daemon.
func (d *daemon) awaitEnd() int {
	d.t.Helper()
	select {
	case <-d.ended:
	case <-time.After(patience):
		d.t.Fatal("the daemon does not end")
	}
	return d.cmd.ProcessState.ExitCode()
}

// stop ends the daemon as systemd does.
func (d *daemon) stop() {
	d.t.Helper()
	d.signal(syscall.SIGTERM)
	if status := d.awaitEnd(); status != 0 {
		d.t.Errorf("after SIGTERM the daemon ended with status %d", status)
	}
}

// kill ends the daemon as a power cut does, and waits until the provider knows
// that its caller is gone.
func (d *daemon) kill() {
	d.t.Helper()
	d.signal(syscall.SIGKILL)
	d.awaitEnd()
	d.poll("no held calls", func() bool {
		for _, f := range d.sandbox.Faults() {
			if f.Holding > 0 {
				return false
			}
		}
		return true
	})
}

// awaitPasses waits until the remind job of this run has had n passes.
func (d *daemon) awaitPasses(n int) {
	d.t.Helper()
	d.poll("passes of the remind job", func() bool {
		var have int
		_, _ = fmt.Sscan(d.metric(`duewatch_job_runs_total{job_name="remind",result="ok"}`), &have)
		return have >= n
	})
}
