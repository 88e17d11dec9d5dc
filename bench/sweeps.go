package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"time"

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
		jobs, err := b.sweep(ctx, n)
		if err != nil {
			return err
		}
		for _, job := range []string{"register", "recheck"} {
			ours := jobs[job]
			share[job], rates[job] = append(share[job], ours.rate()/bare.rate()), append(rates[job], ours.rate())
			fmt.Fprintf(b.stderr, "   bare %.0f/s %.0f us, %s %.0f/s %.0f us\n", bare.rate(), perText(bare), job, ours.rate(), perText(ours))
		}
	}
	for _, job := range []string{"register", "recheck"} {
		b.add(row{name: job, what: job + " sweep in id order, balances durable; bills/s", against: "the almara client in a bare loop",
			ratio: median(share[job]), reach: "≥ 0.75, aim 0.85", ok: median(share[job]) >= .75,
			note: fmt.Sprintf("%.0f bills/s", median(rates[job]))})
	}
	return nil
}

// sweep registers n bills, and asks about all of them again a day later, when one
// in ten was paid and nothing is new about the others.
func (b *bench) sweep(ctx context.Context, n int) (map[string]took, error) {
	path, now := filepath.Join(b.work, "sweep.db"), morning()
	if err := fillStore(ctx, gen.Order{Path: path, Bills: n, Seed: 1, Now: now, Pending: true}); err != nil {
		return nil, err
	}
	jobs := map[string]took{}
	return jobs, b.served(ctx, func(url string) (err error) {
		p := params{url: url, store: path, n: n, callers: concurrency, job: "register"}
		if jobs[p.job], err = b.play(ctx, "sweep", p); err != nil {
			return err
		}
		for i := 1; i <= n; i += 10 {
			if err := pay(ctx, url, account(i)); err != nil {
				return err
			}
		}
		tomorrow := now.AddDate(0, 0, 1)
		if err := gen.MakeRecheckDue(ctx, path, gen.Due{From: 1, Step: 1, N: n, At: tomorrow}); err != nil {
			return err
		}
		if err := gen.SetFact(ctx, path, factNow, facts(tomorrow)[factNow]); err != nil {
			return err
		}
		p.job = "recheck"
		jobs[p.job], err = b.play(ctx, "sweep", p)
		return err
	})
}

// stand asks the stand-in on behalf of customers.
var stand = http.Client{Timeout: 10 * time.Second}

// pay lets a customer pay a bill in full.
func pay(ctx context.Context, url, account string) error {
	body := strings.NewReader(fmt.Sprintf(`{"service": "17", "account": %q, "balance": "0"}`, account))
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, url+"/bills", body)
	if err != nil {
		return err
	}
	answer, err := stand.Do(r)
	if err != nil {
		return err
	}
	defer answer.Body.Close() //nolint:errcheck // only read from
	if _, err := io.Copy(io.Discard, answer.Body); err != nil {
		return err
	}
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("the stand-in lets nobody pay: %s", answer.Status)
	}
	return nil
}
