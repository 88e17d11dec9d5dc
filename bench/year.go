package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"duewatch/bench/gen"
	"duewatch/reminder"
	"duewatch/store"
)

// yearOfHistory is how large a store grows.
func (b *bench) yearOfHistory(ctx context.Context) error {
	path := filepath.Join(b.work, "year.db")
	n := b.size(500, 50)
	if err := makeStore(ctx, path, n); err != nil {
		return err
	}
	before, err := gen.Bytes(ctx, path)
	if err != nil {
		return err
	}
	t, err := b.play(ctx, "year", params{store: path, n: n, callers: 16})
	if err != nil {
		return err
	}
	after, err := gen.Bytes(ctx, path)
	if err != nil {
		return err
	}
	b.add(row{name: "year", what: "store for each bill with a year of history at 3 stages a month", against: "a bill",
		ratio: t.Figure / float64(n) / 1024, unit: "KiB", reach: "say it", ok: true,
		note: fmt.Sprintf("%.1f texts, %.2f KiB without history, %.1f KiB of history left by a retention of 90 days",
			float64(t.N)/float64(n), float64(before)/float64(n)/1024, float64(after-before)/float64(n)/1024)})
	return os.Remove(path)
}

// year lives through twelve months of p.n bills by the store's own methods:
// each month's due date and balance are learned, three stages are texted, and
// the receipts come in. Then the history is cut to 90 days.
func year(ctx context.Context, p params, _ io.Reader) (took, error) {
	return with(ctx, p, func(d *benchDaemon) (t took, err error) {
		now := d.now()
		first := reminder.DateOf(now.In(d.cfg.Zone)).AddDays(40) // later than any in the generated store
		due := first
		for range 12 {
			var results []store.CheckResult
			for id := range p.n {
				m := reminder.MustMoney(fmt.Sprintf("%d.50", 900+id))
				answer := &reminder.Answer{At: now, Customer: "Wanjiku Kamau", Balance: &m, DueDate: due, Verified: new(true)}
				results = append(results, store.CheckResult{BillID: int64(id + 1), Answer: answer})
			}
			for _, stage := range []int{-7, -3, 0} {
				now = due.AddDays(stage).At(9*60, d.cfg.Zone)
				for i := range results {
					results[i].Answer.At = now.Add(-time.Minute)
				}
				if _, err := d.store.RecordChecks(d.cfg.Policies, now.Add(-time.Minute), results...); err != nil {
					return t, err
				}
				n, err := d.textAll(ctx, now)
				if err != nil {
					return t, err
				}
				t.N += n
			}
			due = reminder.NewDate(due.Year(), due.Month()+1, first.Day())
		}
		if want := 36 * p.n; t.N != want {
			return t, fmt.Errorf("%d texts instead of %d", t.N, want)
		}
		if err := d.store.Tidy(ctx); err != nil {
			return t, err
		}
		size, err := gen.Bytes(ctx, p.store)
		t.Figure = float64(size)
		for deleted := int64(1); err == nil && deleted > 0; {
			deleted, err = d.store.Trim(now.AddDate(0, 0, -90), 5000)
		}
		return t, errors.Join(err, d.store.Tidy(ctx))
	})
}

// textAll decides about what is due, and writes down that all texts were
// taken and delivered.
func (d *benchDaemon) textAll(ctx context.Context, now time.Time) (n int, err error) {
	round := store.Round{Now: now, Policies: d.cfg.Policies, Delivery: d.cfg.Delivery,
		Claim: store.Claim{Owner: "bench", Lease: time.Hour}}
	for {
		l, err := d.store.DecideDue(ctx, round, 256)
		if err != nil || l.Bills == 0 {
			return n, err
		}
		var receipts []store.Receipt
		for _, x := range l.Texts {
			sid := fmt.Sprintf("SM%016x%016x", uint64(x.ID)*0x9e3779b97f4a7c15, x.ID)
			outcome := store.SendOutcome{TextID: x.ID, State: store.Accepted,
				ProviderID: sid, ProviderStatus: "queued", NextPollAt: now.Add(time.Minute)}
			if err := d.store.RecordOutcome(now, outcome); err != nil {
				return n, err
			}
			receipts = append(receipts, store.Receipt{TextID: x.ID, State: store.Delivered, Price: "-0.02000", PriceUnit: "USD"})
		}
		if _, err := d.store.RecordReceipts(now, receipts); err != nil {
			return n, err
		}
		n += len(l.Texts)
	}
}
