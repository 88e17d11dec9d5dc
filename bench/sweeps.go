package main

import (
	"context"
	"fmt"
	"path/filepath"

	"duewatch/bench/gen"
)

// sweeps are the two jobs that ask Almara Pay, against its client in a loop.
func (b *bench) sweeps(ctx context.Context) error {
	n := b.size(30_000, 500)
	share := map[string][]float64{}
	rates := map[string][]float64{}
	for range b.size(3, 1) {
		bare, err := b.bare(ctx, "bare-almara", n)
		if err != nil {
			return err
		}
		for _, job := range []string{"register", "recheck"} {
			ours, err := b.sweep(ctx, job, n)
			if err != nil {
				return err
			}
			share[job], rates[job] = append(share[job], ours.rate()/bare.rate()), append(rates[job], ours.rate())
			fmt.Fprintf(b.stderr, "   bare %.0f/s %.0f us, %s %.0f/s %.0f us\n", bare.rate(), perText(bare), job, ours.rate(), perText(ours))
		}
	}
	for _, job := range []string{"register", "recheck"} {
		b.add(row{name: job, what: job + " sweep in id order, balances durable; bills/s", against: "the almara client in a bare loop",
			ratio: median(share[job]), reach: "≥ 0.75, aim 0.85", ok: median(share[job]) >= .75, note: fmt.Sprintf("%.0f bills/s", median(rates[job]))})
	}
	return nil
}

func (b *bench) sweep(ctx context.Context, job string, n int) (t took, err error) {
	path, now := filepath.Join(b.work, "sweep.db"), morning()
	if err := gen.Make(ctx, gen.Order{Path: path, Bills: n, Seed: 1, Now: now, Facts: facts(now), Pending: job == "register"}); err != nil {
		return t, err
	}
	if job == "recheck" {
		if err := gen.MakeRecheckDue(ctx, path, gen.Due{From: 1, Step: 1, N: n, At: now}); err != nil {
			return t, err
		}
	}
	err = b.served(ctx, func(url string) (err error) {
		t, err = b.play(ctx, "sweep", params{url: url, store: path, n: n, callers: concurrency, job: job})
		return err
	})
	return t, err
}
