package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"duewatch/bench/gen"
	"duewatch/store"
	"duewatch/store/db/pgtest"
)

// onServer is a server of the benchmark's own, whose commits are durable, and the databases on it.
type onServer struct {
	*bench
	*pgtest.Server
	made int
}

// postgres is what the store costs as a database of PostgreSQL.
func (b *bench) postgres(ctx context.Context) (err error) {
	server, err := pgtest.New("max_wal_size=4GB", "checkpoint_timeout=30min")
	if errors.Is(err, pgtest.ErrNotInstalled) {
		fmt.Fprintf(b.stderr, "   left out: %v\n", err)
		return nil
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, server.Close()) }()
	s := &onServer{bench: b, Server: server}
	for _, measure := range []func(context.Context) error{s.remind, s.sharedRate, s.sweeps, s.imports, s.scale, s.manyToAPhone} {
		if err := measure(ctx); err != nil {
			return err
		}
	}
	return nil
}

// empty makes a database with the schema of a store, and returns its name and address.
func (s *onServer) empty(ctx context.Context) (name, address string, err error) {
	s.made++
	name = "bench_" + strconv.Itoa(s.made)
	if address, err = s.Create(ctx, name, ""); err != nil {
		return "", "", err
	}
	now := morning()
	st, err := store.Open(ctx, address)
	if err != nil {
		return "", "", err
	}
	for key, value := range facts(now) {
		err = errors.Join(err, st.SetMeta(key, value))
	}
	return name, address, errors.Join(err, st.Close())
}

// like makes a database of what a store in a file holds, for again to copy.
func (s *onServer) like(ctx context.Context, path string) (template string, err error) {
	template, address, err := s.empty(ctx)
	if err != nil {
		return "", err
	}
	return template, gen.Copy(ctx, path, address)
}

// again makes a database like another one.
func (s *onServer) again(ctx context.Context, template string) (name, address string, err error) {
	s.made++
	name = "bench_" + strconv.Itoa(s.made)
	address, err = s.Create(ctx, name, template)
	return name, address, errors.Join(err, s.Exec(ctx, "CHECKPOINT"))
}

// beside is a role on a database, beside a fresh stand-in, and the CPU time of the server
// meanwhile.
func (s *onServer) beside(ctx context.Context, role string, p params) (t took, server time.Duration, err error) {
	before, err := s.cpu()
	if err != nil {
		return t, 0, err
	}
	if t, err = s.bench.beside(ctx, role, p); err != nil {
		return t, 0, err
	}
	after, err := s.cpu()
	return t, after - before, err
}

// cpu is what all processes of the server have used so far, user and system.
func (s *onServer) cpu() (time.Duration, error) {
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return 0, err
	}
	const ticks = 100 // a second: USER_HZ, which is fixed
	first, sum := strconv.Itoa(s.Pid()), 0
	for _, file := range stats {
		text, err := os.ReadFile(file)
		if err != nil {
			continue // the process has ended
		}
		_, rest, _ := strings.Cut(string(text), ") ") // behind the name, which may hold anything
		fields := strings.Fields(rest)                // from field 3 of proc(5) on
		if len(fields) < 15 || (fields[1] != first && file != "/proc/"+first+"/stat") {
			continue
		}
		for _, used := range fields[11:15] { // its own, and that of its children that have ended
			n, err := strconv.Atoi(used)
			if err != nil {
				return 0, fmt.Errorf("%s: %w", file, err)
			}
			sum += n
		}
	}
	return time.Duration(sum) * time.Second / ticks, nil
}

// sweeps is bench.sweeps on PostgreSQL.
func (s *onServer) sweeps(ctx context.Context) error {
	n, now := s.size(20_000, 500), morning()
	path := filepath.Join(s.work, "sweep.db")
	if err := fillStore(ctx, gen.Order{Path: path, Bills: n, Seed: 1, Now: now, Pending: true}); err != nil {
		return err
	}
	template, err := s.like(ctx, path)
	if err != nil {
		return err
	}
	share, notes := map[string][]float64{}, map[string]string{}
	jobs := []string{"register", "recheck"}
	for range s.size(3, 1) {
		name, address, err := s.again(ctx, template)
		if err != nil {
			return err
		}
		for _, job := range jobs {
			bare, err := s.bare(ctx, "bare-almara", n)
			if err != nil {
				return err
			}
			t, server, err := s.beside(ctx, "sweep", params{store: address, n: n, callers: concurrency, job: job})
			if err != nil {
				return err
			}
			share[job] = append(share[job], t.rate()/bare.rate())
			notes[job] = fmt.Sprintf("%.0f bills/s; last run: %.0f µs of the daemon, %.0f µs of the server",
				t.rate(), perText(t), float64(server.Microseconds())/float64(n))
			fmt.Fprintf(s.stderr, "   bare %.0f/s, %s %s\n", bare.rate(), job, notes[job])
			tomorrow := now.AddDate(0, 0, 1)
			if err := gen.RecheckDue(ctx, address, gen.Due{From: 1, N: n, At: tomorrow}, factNow, facts(tomorrow)[factNow]); err != nil {
				return err
			}
		}
		if err := s.Drop(ctx, name); err != nil {
			return err
		}
	}
	for _, job := range jobs {
		s.add(row{name: "postgres/" + job, what: "PostgreSQL: " + job + " sweep in id order; bills/s",
			against: "the almara client in a bare loop", ratio: median(share[job]), reach: "≥ 0.4", ok: median(share[job]) >= .4, note: notes[job]})
	}
	return s.Drop(ctx, template)
}

// imports is bench.imports on PostgreSQL.
func (s *onServer) imports(ctx context.Context) error {
	n := s.size(1_000_000, 5000)
	file := filepath.Join(s.work, "bills.csv")
	if err := gen.CSV(file, n); err != nil {
		return err
	}
	plainName, plainAddress, err := s.empty(ctx)
	if err != nil {
		return err
	}
	begin := time.Now()
	if err := gen.CopyCSV(ctx, plainAddress, file); err != nil {
		return err
	}
	plain := time.Since(begin)
	name, address, err := s.empty(ctx)
	if err != nil {
		return err
	}
	before, err := s.cpu()
	if err != nil {
		return err
	}
	took, err := s.importInto(ctx, address, file)
	if err != nil {
		return err
	}
	after, err := s.cpu()
	if err != nil {
		return err
	}
	s.add(row{name: "postgres/import", what: "PostgreSQL: import of 1M rows of CSV, every check on; rows/s",
		against: "COPY of the same file into one indexed table", ratio: plain.Seconds() / took,
		reach: "≥ 0.2", ok: plain.Seconds()/took >= .2,
		note: fmt.Sprintf("%.0f rows/s, %.0f µs of the server for each", float64(n)/took, float64((after-before).Microseconds())/float64(n))})
	return errors.Join(s.Drop(ctx, plainName), s.Drop(ctx, name))
}

// scale is bench.scale on PostgreSQL: what a million bills cost that are watched and not due.
func (s *onServer) scale(ctx context.Context) error {
	due := s.size(fewBills, 500)
	var idle, busy []float64
	var claims [3]float64
	for _, bills := range []int{due, s.size(1_000_000, 5000)} {
		path, now := filepath.Join(s.work, "scale.db"), morning()
		if err := makeStore(ctx, path, bills); err != nil {
			return err
		}
		if err := gen.MakeDue(ctx, path, gen.Due{From: 1, Step: bills / due, N: due, At: now}); err != nil {
			return err
		}
		template, err := s.like(ctx, path)
		if err != nil {
			return err
		}
		var took []float64
		runs := s.size(3, 1)
		for run := range runs {
			name, address, err := s.again(ctx, template)
			if err != nil {
				return err
			}
			t, _, err := s.beside(ctx, "remind", params{store: address, n: due, callers: 16})
			if err != nil {
				return err
			}
			took = append(took, t.Wall.Seconds())
			if run == runs-1 { // nothing is due now
				if t, _, err = s.beside(ctx, "tick", params{store: address, n: s.size(300, 20), callers: 16}); err != nil {
					return err
				}
				idle = append(idle, t.Figure)
				if claims, err = s.claims(ctx, address); err != nil {
					return err
				}
			}
			if err := s.Drop(ctx, name); err != nil {
				return err
			}
		}
		busy = append(busy, median(took))
		if err := s.Drop(ctx, template); err != nil {
			return err
		}
	}
	s.add(row{name: "postgres/claim", what: "PostgreSQL: a tick with nothing due, beside 100,000 dead entries that nothing has vacuumed",
		against: "a tick", ratio: claims[2], unit: "ms", reach: "≤ 5 ms", ok: claims[2] <= 5,
		note: fmt.Sprintf("%.1f ms the first time, %.1f ms while a backup keeps them", claims[1], claims[0])})
	s.add(row{name: "postgres/tick", what: "PostgreSQL: a tick with nothing due, 1M bills", against: "the same with 10k bills",
		ratio: idle[1] / idle[0], reach: "≤ 2, and ≤ 2 ms", ok: idle[1]/idle[0] <= 2 && idle[1] <= 2,
		note: fmt.Sprintf("%.2f ms and %.2f ms", idle[1], idle[0])})
	s.add(row{name: "postgres/due", what: "PostgreSQL: a tick with 10k due among 1M bills", against: "among 10k bills",
		ratio: busy[1] / busy[0], reach: "≤ 1.3", ok: busy[1]/busy[0] <= 1.3, note: fmt.Sprintf("%.2f s and %.2f s", busy[1], busy[0])})
	return nil
}

// claims is a tick beside many dead entries in the queue of reminders, in ms: while a
// backup keeps them, the first one without it, and later.
func (s *onServer) claims(ctx context.Context, address string) (ms [3]float64, err error) {
	release, err := gen.AgeQueue(ctx, address, s.size(100_000, 500))
	if err != nil {
		return ms, err
	}
	tick := func() (took, error) {
		t, _, err := s.beside(ctx, "tick", params{store: address, n: s.size(100, 20), callers: 16})
		return t, err
	}
	kept, err := tick()
	if released := release(); err != nil || released != nil {
		return ms, errors.Join(err, released)
	}
	free, err := tick()
	return [3]float64{kept.Figure, free.More, free.Figure}, err
}
