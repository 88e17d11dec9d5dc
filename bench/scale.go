package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"duewatch/bench/gen"
	"duewatch/config"
	"duewatch/store"
)

// The two stores that are compared: what a bill more costs.
const (
	fewBills  = 10_000
	manyBills = 10_000_000
)

// manyPath is the large store, which is made once and kept.
func (b *bench) manyPath() string {
	if b.small {
		return filepath.Join(b.work, "many.db")
	}
	return filepath.Join(b.stores, "many.db")
}

func (b *bench) fewPath() string { return filepath.Join(b.work, "few.db") }

// makeStores makes the large store anew.
func (b *bench) makeStores(ctx context.Context) error {
	begin := time.Now()
	n := b.size(manyBills, 50_000)
	if err := makeStore(ctx, b.manyPath(), n); err != nil {
		return err
	}
	info, err := os.Stat(b.manyPath())
	if err != nil {
		return err
	}
	fmt.Fprintf(b.stderr, "%s: %d bills, %d bytes for each, in %.0f s\n", b.manyPath(), n, info.Size()/int64(n), time.Since(begin).Seconds())
	return nil
}

func makeStore(ctx context.Context, path string, n int) error {
	now := morning()
	return fillStore(ctx, gen.Order{Path: path, Bills: n, Seed: 1, Now: now})
}

// fillStore makes a store anew, whatever stood at its path, and fills it.
func fillStore(ctx context.Context, o gen.Order) (err error) {
	for _, end := range []string{"", "-wal", "-shm", ".lock"} {
		if err := os.Remove(o.Path + end); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("make store: %w", err)
		}
	}
	s, err := store.Open(ctx, o.Path)
	if err != nil {
		return fmt.Errorf("make store: %w", err)
	}
	for key, value := range facts(o.Now) {
		err = errors.Join(err, s.SetMeta(key, value))
	}
	if err := errors.Join(err, s.Close()); err != nil {
		return fmt.Errorf("make store: %w", err)
	}
	return gen.Fill(ctx, o)
}

var errNoStore = errors.New("there is no large store: make bench-stores makes it once (some minutes, 3 GB)")

// both calls do for the small store and the large one, of which the small one
// is made here.
func (b *bench) both(ctx context.Context, do func(path string, bills int) error) error {
	if b.small {
		if err := b.makeStores(ctx); err != nil {
			return err
		}
	}
	if _, err := os.Stat(b.manyPath()); err != nil {
		return errNoStore
	}
	if err := makeStore(ctx, b.fewPath(), b.size(fewBills, 1000)); err != nil {
		return err
	}
	if err := do(b.fewPath(), b.size(fewBills, 1000)); err != nil {
		return err
	}
	return do(b.manyPath(), b.size(manyBills, 50_000))
}

// scale is what the number of bills costs that are watched and not due.
func (b *bench) scale(ctx context.Context) error {
	var idle, busy []took // of the small store and the large one
	var peaks []float64
	err := b.both(ctx, func(path string, bills int) error {
		if err := errors.Join(warm(path), gen.Clean(ctx, path)); err != nil {
			return err
		}
		t, err := b.beside(ctx, "tick", params{store: path, n: b.size(300, 20), callers: 16})
		if err != nil {
			return err
		}
		idle = append(idle, t)

		due := gen.Due{From: 1, Step: bills / b.size(fewBills, 1000), N: b.size(fewBills, 1000)}
		if due.At, err = nowOf(ctx, path); err != nil {
			return err
		}
		var sent, swept []took
		for range b.size(3, 1) {
			if err := errors.Join(gen.Clean(ctx, path), gen.MakeDue(ctx, path, due)); err != nil {
				return err
			}
			if t, err = b.beside(ctx, "remind", params{store: path, n: due.N, callers: 16}); err != nil {
				return err
			}
			sent = append(sent, t)
			if err := gen.MakeRecheckDue(ctx, path, due); err != nil {
				return err
			}
			if t, err = b.beside(ctx, "sweep", params{store: path, n: due.N, callers: 16, job: "recheck"}); err != nil {
				return err
			}
			swept = append(swept, t)
		}
		slices.SortFunc(sent, func(a, b took) int { return int(a.Wall - b.Wall) })
		busy = append(busy, sent[len(sent)/2])
		highest := slices.MaxFunc(append(sent, swept...), func(a, b took) int { return int(a.Peak - b.Peak) })
		peaks = append(peaks, float64(highest.Peak)/(1<<20))
		return errors.Join(gen.Clean(ctx, path), gen.MakeIdle(ctx, path, due))
	})
	if err != nil {
		return err
	}
	few, many := idle[0].Figure, idle[1].Figure
	b.add(row{name: "tick", what: "a tick with nothing due, 10M bills", against: "the same with 10k bills",
		ratio: many / few, reach: "≤ 2, and ≤ 1 ms", ok: many/few <= 2 && many <= 1, note: fmt.Sprintf("%.3f ms and %.3f ms", many, few)})
	slower := busy[1].Wall.Seconds() / busy[0].Wall.Seconds()
	b.add(row{name: "tick/due", what: "a tick with 10k due among 10M bills", against: "among 10k bills", ratio: slower, reach: "≤ 1.3",
		ok: slower <= 1.3, note: fmt.Sprintf("%.2f s and %.2f s", busy[1].Wall.Seconds(), busy[0].Wall.Seconds())})
	b.add(row{name: "memory", what: "peak memory, sweeping and sending with 10M bills", against: "with 10k bills",
		ratio: peaks[1] / peaks[0], reach: "≤ 1.3, and ≤ 64 MiB", ok: peaks[1]/peaks[0] <= 1.3 && peaks[1] <= 64,
		note: fmt.Sprintf("%.0f and %.0f MiB", peaks[1], peaks[0])})
	return nil
}

// warm reads a file, so that the kernel has it in memory where there is room for
// it (3 GB): the small store, which was just made, is there, and what is compared
// is not the disk.
func warm(path string) (err error) {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	_, err = io.Copy(io.Discard, f)
	return err
}

// beside runs a role beside a fresh stand-in.
func (b *bench) beside(ctx context.Context, name string, p params) (t took, err error) {
	err = b.served(ctx, func(url string) (err error) {
		p.url = url
		t, err = b.play(ctx, name, p)
		return err
	})
	return t, err
}

// nowOf is the hour at which a generated store's clock begins.
func nowOf(ctx context.Context, path string) (at time.Time, err error) {
	s, err := store.OpenReader(ctx, path)
	if err != nil {
		return at, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	return beginOf(ctx, s)
}

// ticks are p.n ticks of the jobs that ask for work, with nothing due.
func ticks(ctx context.Context, p params, _ io.Reader) (took, error) {
	return with(ctx, p, func(d *benchDaemon) (took, error) {
		var each []float64
		tick := func() error {
			begin := time.Now()
			err := errors.Join(d.Pass(ctx, "register"), d.Pass(ctx, "recheck"), d.Pass(ctx, "remind"))
			each = append(each, float64(time.Since(begin).Microseconds())/1000)
			return err
		}
		if err := tick(); err != nil { // the first one compares the store with the provider's list
			return took{}, err
		}
		first := each[0]
		each = nil
		t, err := timed(p, func() error {
			for range p.n {
				if err := tick(); err != nil {
					return err
				}
			}
			return nil
		})
		t.Figure, t.More = median(each), first
		return t, err
	})
}

// idleHour is all ticks of one hour, on a clock that jumps from one to the next.
func idleHour(ctx context.Context, p params, _ io.Reader) (took, error) {
	return with(ctx, p, func(d *benchDaemon) (took, error) {
		return timed(p, func() error {
			for minute := range 60 {
				jobs := []string{"register", "remind"}
				if minute%5 == 0 {
					jobs = append(jobs, "receipts")
				}
				if minute%10 == 0 {
					jobs = append(jobs, "recheck")
				}
				for _, name := range jobs {
					if err := d.Pass(ctx, name); err != nil {
						return err
					}
				}
				d.ahead.Add(int64(time.Minute))
			}
			return nil
		})
	})
}

// idle is what a daemon costs that has nothing to do.
func (b *bench) idle(ctx context.Context) error {
	return b.both(ctx, func(path string, bills int) error {
		if path != b.manyPath() {
			return nil
		}
		t, err := b.beside(ctx, "idle", params{store: path, callers: 16})
		if err != nil {
			return err
		}
		percent := 100 * t.CPU.Seconds() / time.Hour.Seconds()
		b.add(row{name: "idle", what: "idle daemon with 10M bills, one hour of virtual ticks", against: "a core", ratio: percent, unit: "%",
			reach: "≤ 0.1 %", ok: percent <= .1, note: fmt.Sprintf("%d bills, %.3f s of CPU", bills, t.CPU.Seconds())})
		return nil
	})
}

// fingerprint lets the store be planned by the policy of a config already.
func fingerprint(ctx context.Context, path, file string) (err error) {
	cfg, err := config.Load(file, config.Options{Environ: []string{}})
	if err != nil {
		return err
	}
	s, err := store.OpenWriter(ctx, path)
	if err != nil {
		return err
	}
	return errors.Join(s.SetMeta("policy", cfg.Fingerprint()), s.Close())
}
