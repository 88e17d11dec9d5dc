package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"duewatch/bench/gen"
)

// sharing runs several daemons on a database like the template, and returns what they took and
// the CPU time of the server meanwhile.
func (s *onServer) sharing(ctx context.Context, template string, daemons int, p params) (t took, server time.Duration, err error) {
	name, address, err := s.again(ctx, template)
	if err != nil {
		return t, 0, err
	}
	defer func() { err = errors.Join(err, s.Drop(ctx, name)) }()
	before, err := s.cpu()
	if err != nil {
		return t, 0, err
	}
	p.store = address
	if t, err = s.together(ctx, daemons, p); err != nil {
		return t, 0, err
	}
	after, err := s.cpu()
	return t, after - before, err
}

// remind is bench.remind on PostgreSQL, of bills whose two earlier stages were texted: by one
// daemon, and by two that share them.
func (s *onServer) remind(ctx context.Context) error {
	n := s.size(20_000, 500)
	path, err := s.dueStore(ctx, n, 7, 3)
	if err != nil {
		return err
	}
	template, err := s.like(ctx, path)
	if err != nil {
		return err
	}
	var bares []float64
	var share, rates, ours, servers [3][]float64 // by the number of daemons
	for range s.size(5, 1) {
		bare, err := s.bare(ctx, "bare-texts", n)
		if err != nil {
			return err
		}
		bares = append(bares, bare.rate())
		for daemons := 1; daemons <= 2; daemons++ {
			t, server, err := s.sharing(ctx, template, daemons, params{n: n, callers: concurrency})
			if err != nil {
				return err
			}
			after, err := s.bare(ctx, "bare-texts", n)
			if err != nil {
				return err
			}
			beside := mean(bare.rate(), after.rate())
			bare, bares = after, append(bares, after.rate())
			share[daemons], rates[daemons] = append(share[daemons], t.rate()/beside), append(rates[daemons], t.rate())
			ours[daemons] = append(ours[daemons], perText(t))
			servers[daemons] = append(servers[daemons], float64(server.Microseconds())/float64(n))
			fmt.Fprintf(s.stderr, "   bare %.0f/s, with daemons: %d, %.0f/s, %.0f us of them and %.0f us of the server\n",
				beside, daemons, t.rate(), perText(t), float64(server.Microseconds())/float64(n))
		}
	}
	const what = "PostgreSQL: remind, of bills whose two earlier stages were texted when they were due; texts/s"
	const against = "the same client in a bare loop"
	one, two := median(share[1]), median(share[2])
	s.add(row{name: "postgres/remind", what: what, against: against, ratio: one, reach: "≥ 0.28, aim 0.43", ok: one >= .28,
		note: fmt.Sprintf("%.0f of %.0f texts/s", median(rates[1]), median(bares))})
	s.add(row{name: "postgres/remind/two", what: what + ", two daemons", against: against, ratio: two,
		reach: "≥ 0.36, aim 0.43", ok: two >= .36, note: fmt.Sprintf("%.0f of %.0f texts/s", median(rates[2]), median(bares))})
	cpu := max(median(servers[1]), median(servers[2]))
	s.add(row{name: "postgres/cpu", what: "PostgreSQL: CPU of the server for each of these, the dearer of both", against: "a text",
		ratio: cpu, unit: "µs", reach: "≤ 180 µs", ok: cpu <= 180,
		note: fmt.Sprintf("%.0f µs with one daemon, which takes %.0f µs, and %.0f µs with two, which take %.0f µs",
			median(servers[1]), median(ours[1]), median(servers[2]), median(ours[2]))})
	return s.Drop(ctx, template)
}

// sharedRate is how much of a rate four daemons use that share it.
func (s *onServer) sharedRate(ctx context.Context) error {
	const daemons, perSecond = 4, 800
	n := s.size(16_000, 800)
	path, err := s.dueStore(ctx, n, 7, 3)
	if err != nil {
		return err
	}
	template, err := s.like(ctx, path)
	if err != nil {
		return err
	}
	var used, all []float64
	for range s.size(3, 1) {
		t, _, err := s.sharing(ctx, template, daemons, params{n: n, callers: concurrency, rate: perSecond})
		if err != nil {
			return err
		}
		rate := float64(t.N-1) / float64(t.Last-t.First) * 1e6
		used, all = append(used, rate/perSecond), append(all, float64(t.N)/t.Wall.Seconds())
		fmt.Fprintf(s.stderr, "   %.0f texts/s between the first and the last, %.0f/s from the start on, %.0f us of the daemons\n",
			rate, t.rate(), perText(t))
	}
	s.add(row{name: "postgres/rate", what: "PostgreSQL: four daemons that share 800 segments a second; texts/s", against: "the rate",
		ratio: median(used), reach: "≥ 0.97", ok: median(used) >= .97,
		note: fmt.Sprintf("%d texts; %.0f texts/s with the start", n, median(all))})
	return s.Drop(ctx, template)
}

// manyToAPhone is what finding and locking the work costs where a phone has a hundred bills,
// against a phone for each bill. A text that bills may share reads the other bills of its phone,
// which is another matter: the note says what whole texts cost by that.
func (s *onServer) manyToAPhone(ctx context.Context) error {
	bills, due := s.size(1_000_000, 5000), s.size(fewBills, 50)
	var claims, passes, servers [2]float64
	for i, perPhone := range []int{1, 100} {
		path, now := filepath.Join(s.work, "phones.db"), morning()
		if err := fillStore(ctx, gen.Order{Path: path, Bills: bills, Seed: 1, Now: now, PerPhone: perPhone}); err != nil {
			return err
		}
		// One bill of each phone, where a phone has many.
		if err := gen.MakeDue(ctx, path, gen.Due{From: 1, Step: bills / due, N: due, At: now}); err != nil {
			return err
		}
		template, err := s.like(ctx, path)
		if err != nil {
			return err
		}
		var rates, claim, cpu []float64
		for range s.size(3, 1) {
			t, server, err := s.sharing(ctx, template, 1, params{n: due, callers: concurrency})
			if err != nil {
				return err
			}
			rates, cpu = append(rates, t.rate()), append(cpu, float64(server.Microseconds())/float64(due))
			name, address, err := s.again(ctx, template)
			if err != nil {
				return err
			}
			claimed, err := s.play(ctx, "claims", params{store: address, n: due, callers: concurrency, apart: true})
			if err := errors.Join(err, s.Drop(ctx, name)); err != nil {
				return err
			}
			us := float64(claimed.Wall.Microseconds()) / float64(due)
			claim = append(claim, us)
			fmt.Fprintf(s.stderr, "   %d bills to a phone: claims %.1f us, texts %.0f/s, %.0f us of the server\n",
				perPhone, us, t.rate(), cpu[len(cpu)-1])
		}
		claims[i], passes[i], servers[i] = median(claim), median(rates), median(cpu)
		if err := s.Drop(ctx, template); err != nil {
			return err
		}
	}
	s.add(row{name: "postgres/phones", what: "PostgreSQL: claim and lock of 10k due bills among 1M, 100 bills to a phone",
		against: "one bill to a phone", ratio: claims[1] / claims[0], reach: "≤ 1.3", ok: claims[1]/claims[0] <= 1.3,
		note: fmt.Sprintf("%.1f µs and %.1f µs for each bill; whole texts %.0f/s and %.0f/s, %.0f and %.0f µs of the server",
			claims[1], claims[0], passes[1], passes[0], servers[1], servers[0])})
	return nil
}
