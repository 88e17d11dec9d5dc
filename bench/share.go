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
	"strings"
	"time"

	"duewatch/reminder"
	"duewatch/store"
)

// shareRemind is what one of several daemons does of p.n bills that are due: it begins when its
// standard input ends, and ends when nothing has been left to send for a while.
func shareRemind(ctx context.Context, p params, stdin io.Reader) (took, error) {
	return with(ctx, p, func(d *benchDaemon) (t took, err error) {
		if may, err := d.store.Decide(ctx, "bench", "bench", reminder.ModeLive, true); err != nil || !may {
			return t, errors.Join(err, errors.New("another config works on the store"))
		}
		if _, err := fmt.Fprintln(os.Stdout, ready); err != nil {
			return t, err
		}
		if _, err := io.Copy(io.Discard, stdin); err != nil {
			return t, err
		}
		stop, err := profile(p.cpu)
		if err != nil {
			return t, err
		}
		cpu, renewed := cpuTime(), time.Now()
		for idle := time.Now(); time.Since(idle) < time.Second; {
			before := d.texts.Load()
			if err := d.Pass(ctx, "remind"); err != nil {
				return t, err
			}
			t.CPU = cpuTime() - cpu
			if d.texts.Load() > before {
				idle = time.Now()
			}
			if time.Since(renewed) > time.Second { // as the daemon does, whose lease it renews
				if _, err := d.store.OthersWrote(ctx); err != nil {
					return t, err
				}
				renewed = time.Now()
			}
			if err := wait(ctx, 10*time.Millisecond); err != nil {
				return t, err
			}
		}
		t.N, t.First, t.Last = int(d.texts.Load()), d.first.Load(), d.last.Load()
		return t, stop()
	})
}

// claims finds p.n bills that are due, reads what is known of them, and claims them by rounds, to be
// asked about: their balances are too old. Nothing is asked or sent.
func claims(ctx context.Context, p params, _ io.Reader) (took, error) {
	return with(ctx, p, func(d *benchDaemon) (took, error) {
		policies := d.cfg.Policies
		round := store.Round{Now: d.now().Add(policies.Default.MaxBalanceAge), Policies: policies, Delivery: d.cfg.Delivery,
			Claim: store.Claim{Owner: "bench", Lease: time.Hour}}
		return timed(p, func() error {
			claimed := 0
			for {
				decided, err := d.store.DecideDue(ctx, round, 512)
				switch {
				case err != nil:
					return err
				case decided.Bills == 0 && claimed == p.n:
					return nil
				case decided.Bills == 0 || len(decided.Ask) < decided.Bills: // others of the phone are asked about too
					return fmt.Errorf("%d of %d bills were claimed", claimed, p.n)
				}
				claimed += decided.Bills
			}
		})
	})
}

// ready is what shareRemind prints when it waits for its beginning.
const ready = "ready"

// together has several daemons send what is due in one store, beside a fresh stand-in. What it
// took is from their common beginning to the last text.
func (b *bench) together(ctx context.Context, daemons int, p params) (t took, err error) {
	err = b.served(ctx, func(url string) error {
		p.url = url
		t, err = b.share(ctx, daemons, p)
		return err
	})
	return t, err
}

// sharer is the process of one of several daemons.
type sharer struct {
	*exec.Cmd
	stdin  io.Closer
	stdout *bufio.Reader
}

func (b *bench) share(ctx context.Context, daemons int, p params) (sum took, err error) {
	ctx, end := context.WithCancel(ctx)
	defer end() // ends those that are left by an error
	log, err := os.Create(filepath.Join(b.work, "log"))
	if err != nil {
		return sum, err
	}
	defer log.Close()
	all := make([]sharer, daemons)
	for i := range all {
		if b.profiles != "" {
			p.cpu = filepath.Join(b.profiles, fmt.Sprintf("share%d-of-%d.prof", i, daemons))
		}
		if all[i], err = b.startSharer(ctx, p, log); err != nil {
			return sum, fmt.Errorf("%w: %s", err, tail(log.Name()))
		}
	}
	began := time.Now()
	for _, s := range all {
		if err := s.stdin.Close(); err != nil {
			return sum, err
		}
	}
	for _, s := range all {
		var t took
		err := json.NewDecoder(s.stdout).Decode(&t)
		if err = errors.Join(err, s.Wait()); err != nil {
			return sum, fmt.Errorf("%w: %s", err, tail(log.Name()))
		}
		sum.N, sum.CPU, sum.Last = sum.N+t.N, sum.CPU+t.CPU, max(sum.Last, t.Last)
		if sum.First == 0 || (t.First != 0 && t.First < sum.First) {
			sum.First = t.First
		}
	}
	if sum.N != p.n {
		return sum, fmt.Errorf("%d of %d texts were accepted", sum.N, p.n)
	}
	sum.Wall = time.UnixMicro(sum.Last).Sub(began)
	return sum, nil
}

// startSharer starts one, and returns once it waits for its beginning.
func (b *bench) startSharer(ctx context.Context, p params, log io.Writer) (s sharer, err error) {
	s.Cmd = exec.CommandContext(ctx, b.self, append([]string{"share"}, p.args()...)...)
	s.Stderr = log
	if s.stdin, err = s.StdinPipe(); err != nil {
		return s, err
	}
	out, err := s.StdoutPipe()
	if err != nil {
		return s, err
	}
	s.stdout = bufio.NewReader(out)
	if err := s.Start(); err != nil {
		return s, err
	}
	line, err := s.stdout.ReadString('\n')
	if err == nil && strings.TrimSpace(line) != ready {
		err = fmt.Errorf("it says %q", line)
	}
	return s, err
}
