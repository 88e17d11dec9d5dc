package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"time"

	"duewatch/store/db/pgtest"
)

// What `make cluster` shows: so many daemons, bills of which each is texted once, and segments a
// second that they share.
const (
	clusterDaemons = 3
	clusterBills   = 150
	clusterRate    = 5
)

// showCluster runs several daemons of one config on one PostgreSQL server, beside the stand-ins
// of the sandbox, with their logs in one terminal. It kills one of them in the middle, and starts
// it again. It ends when each bill has its text, or at an interrupt.
func (b *bench) showCluster(ctx context.Context) (err error) {
	server, err := pgtest.New()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, server.Close()) }()
	address, err := server.Create(ctx, "duewatch", "")
	if err != nil {
		return err
	}
	folder, err := os.MkdirTemp("", "duewatch-cluster-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	c := &cluster{bench: b, config: filepath.Join(folder, "config.yaml"), texted: map[string]int{}}
	ctx, end := context.WithCancel(ctx)
	defer c.running.Wait()
	defer end()
	if err := c.writeConfig(ctx, address); err != nil {
		return err
	}
	c.say("PostgreSQL is at %s, and the config at %s", address, c.config)
	var daemons [clusterDaemons]*exec.Cmd
	for i := range daemons {
		if daemons[i], err = c.start(ctx, i); err != nil {
			return err
		}
	}
	if more, err := c.await(ctx, clusterBills/3); err != nil || !more {
		return err
	}
	c.say("daemon 1, which leads, is killed: the others go on")
	if err := daemons[0].Process.Kill(); err != nil {
		return err
	}
	if more, err := c.await(ctx, 2*clusterBills/3); err != nil || !more {
		return err
	}
	c.say("daemon 1 is started again; what it was in the middle of is looked up at the provider, twice, before it is sent again")
	if _, err := c.start(ctx, 0); err != nil {
		return err
	}
	if more, err := c.await(ctx, clusterBills); err != nil || !more {
		return err
	}
	twice := 0
	for _, n := range c.texted {
		if n > 1 {
			twice++
		}
	}
	c.say("%d of %d bills have their text, %d of them twice. doctor says of the daemons:", len(c.texted), clusterBills, twice)
	out, _ := exec.CommandContext(ctx, b.daemon, "doctor", "--json", "--config", c.config).Output() // its status is that of this machine
	var doctor struct{ Findings []struct{ Part, Text string } }
	if err := json.Unmarshal(out, &doctor); err != nil {
		return err
	}
	for _, f := range doctor.Findings {
		if f.Part == "daemons" {
			c.print("   " + f.Text)
		}
	}
	return nil
}

type cluster struct {
	*bench
	config  string
	running sync.WaitGroup

	standIn string         // the address of the stand-ins
	texted  map[string]int // by the provider's record: which account was texted, and how often
	mu      sync.Mutex     // one line at a time
}

func (c *cluster) say(format string, args ...any) { c.print("== " + fmt.Sprintf(format, args...)) }

func (c *cluster) print(line string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, _ = fmt.Fprintln(c.stdout, line) // nobody is told when nobody reads it
}

// writeConfig starts the stand-ins, which say what a config for them is, and adds the bills.
func (c *cluster) writeConfig(ctx context.Context, address string) error {
	sandbox := exec.CommandContext(ctx, c.daemon, "sandbox", "--listen", "127.0.0.1:0")
	sandbox.Cancel = func() error { return sandbox.Process.Signal(os.Interrupt) }
	out, err := sandbox.StdoutPipe()
	if err != nil {
		return err
	}
	if err := sandbox.Start(); err != nil {
		return err
	}
	c.running.Go(func() { _ = sandbox.Wait() }) // it ends by the interrupt
	var config strings.Builder
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		line := lines.Text()
		if strings.HasPrefix(line, "# ") {
			c.say("%s", strings.TrimPrefix(line, "# "))
			continue
		}
		fmt.Fprintln(&config, line)
		if _, url, is := strings.Cut(line, "base_url: "); is {
			c.standIn = url
		}
		if strings.HasPrefix(line, "notifier:") {
			fmt.Fprintf(&config, "  segments_per_second: %d\n  reconcile_after: [30s, 40s]\n", clusterRate)
		}
		if strings.Contains(line, "send_at:") {
			break // the last line of it
		}
	}
	if err := lines.Err(); err != nil {
		return err
	}
	c.running.Go(func() { _, _ = io.Copy(io.Discard, out) })
	fmt.Fprintf(&config, "  per_number_daily: 100\nstore: %q\n", address)
	fmt.Fprintln(&config, "web: {listen: \"127.0.0.1:0\"}\nschedule: {receipts: \"@every 5s\"}\nbills:")
	for i := range clusterBills {
		// To the sandbox the last ten are phones with faults.
		fmt.Fprintf(&config, "- {service: \"1042\", account: \"DUE+3-C%04d\", phone: \"+2547100000%02d\"}\n", i, i%90)
	}
	return os.WriteFile(c.config, []byte(config.String()), 0o600)
}

// start starts a daemon, whose log is shown with its number before each line.
func (c *cluster) start(ctx context.Context, i int) (*exec.Cmd, error) {
	d := exec.CommandContext(ctx, c.daemon, "run", "--config", c.config)
	d.Cancel = func() error { return d.Process.Signal(os.Interrupt) }
	log, err := d.StderrPipe()
	if err != nil {
		return nil, err
	}
	if err := d.Start(); err != nil {
		return nil, err
	}
	c.running.Go(func() {
		for lines := bufio.NewScanner(log); lines.Scan(); {
			if line := lines.Text(); !strings.Contains(line, "bill registered") { // the same for each
				c.print(fmt.Sprintf("%d | %s", i+1, line))
			}
		}
		_ = d.Wait() // killed, or interrupted
	})
	return d, nil
}

var clusterAccount = regexp.MustCompile(`DUE\+3-C\d+`)

// await returns true when so many bills have their text, and false at an interrupt.
func (c *cluster) await(ctx context.Context, bills int) (bool, error) {
	const patience = 4 * time.Minute // what was lost is looked up twice, and then sent again
	for began := time.Now(); ; {
		texts, err := inbox(ctx, c.standIn)
		if err != nil {
			return false, err
		}
		clear(c.texted)
		for _, t := range texts {
			for _, account := range clusterAccount.FindAllString(t.Body, -1) {
				c.texted[account]++
			}
		}
		switch {
		case len(c.texted) >= bills:
			return true, nil
		case time.Since(began) > patience:
			return false, fmt.Errorf("only %d of %d bills have their text after %s", len(c.texted), bills, patience)
		}
		if err := wait(ctx, 500*time.Millisecond); err != nil {
			return false, nil //nolint:nilerr // the operator has seen enough
		}
	}
}
