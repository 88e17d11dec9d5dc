package main

import (
	"context"
	"fmt"
	"path/filepath"
	"strconv"
	"time"

	"duewatch/bench/gen"
)

const concurrency = 64

// dueStore makes a store of n bills that are all due for a text on their due
// day, and returns its path. Their earlier stages were texted so many days
// before, or were missed, and each is a record more.
func (b *bench) dueStore(ctx context.Context, n int, texted ...int) (string, error) {
	path := filepath.Join(b.work, "remind.db")
	now := morning()
	if err := fillStore(ctx, gen.Order{Path: path, Bills: n, Seed: 1, Now: now}); err != nil {
		return "", err
	}
	due := gen.Due{From: 1, Step: 1, N: n, At: now}
	if err := gen.MakeDue(ctx, path, due); err != nil {
		return "", err
	}
	return path, gen.MakeTexted(ctx, path, due, texted...)
}

func facts(now time.Time) map[string]string {
	return map[string]string{factNow: strconv.FormatInt(now.UnixMilli(), 10), "policy": "bench"}
}

// remind is the main job, against the provider's client in a bare loop. That is
// measured before and after each of ours, and their mean is compared with: the speed of
// a shared machine changes by a third within a minute.
func (b *bench) remind(ctx context.Context) error {
	n := b.size(40_000, 500)
	var share, times, cpu, rates, bares, planned, plannedCPU []float64
	for range b.size(3, 1) {
		var bare, ours [3]took
		var err error
		for i, run := range []func() (took, error){
			func() (took, error) { return b.send(ctx, "remind", n) },
			func() (took, error) { return b.sendPlanned(ctx, n) },
			func() (took, error) { return b.send(ctx, "naive", b.size(1000, 100)) },
		} {
			if bare[i], err = b.bare(ctx, "bare-texts", n); err != nil {
				return err
			}
			if ours[i], err = run(); err != nil {
				return err
			}
		}
		before, between, after := bare[0], bare[1], bare[2]
		missed, usual, slow := ours[0], ours[1], ours[2]
		share = append(share, missed.rate()/mean(before.rate(), between.rate()))
		times = append(times, missed.rate()/slow.rate())
		cpu = append(cpu, perText(missed)/mean(perText(before), perText(between)))
		rates, bares = append(rates, missed.rate()), append(bares, before.rate(), between.rate(), after.rate())
		planned = append(planned, usual.rate()/mean(between.rate(), after.rate()))
		plannedCPU = append(plannedCPU, perText(usual)/mean(perText(between), perText(after)))
		fmt.Fprintf(b.stderr, "   bare %.0f/s %.0f us, ours %.0f/s %.0f us, bare %.0f/s %.0f us, ",
			before.rate(), perText(before), missed.rate(), perText(missed), between.rate(), perText(between))
		fmt.Fprintf(b.stderr, "as planned %.0f/s %.0f us, bare %.0f/s %.0f us, naive %.0f/s\n",
			usual.rate(), perText(usual), after.rate(), perText(after), slow.rate())
	}
	b.add(row{name: "remind", against: "the same client in a bare loop",
		what: "remind: due, decided, intent durable, POST, outcome durable; texts/s, " +
			"of bills whose two earlier stages were missed",
		ratio: median(share), reach: "≥ 0.75, aim 0.85", ok: median(share) >= .75,
		note: fmt.Sprintf("%.0f of %.0f texts/s", median(rates), median(bares))})
	b.add(row{name: "remind/naive", what: "the same", against: "one commit for each claim and each outcome, one after another",
		ratio: median(times), reach: "≥ 8", ok: median(times) >= 8, note: fmt.Sprintf("%.0f texts/s", median(rates))})
	b.add(row{name: "remind/cpu", what: "CPU of the daemon for each text", against: "that of the bare loop",
		ratio: median(cpu), reach: "≤ 1.5", ok: median(cpu) <= 1.5})
	b.add(row{name: "remind/planned", what: "remind, of bills whose two earlier stages were texted when they were due",
		against: "the same client in a bare loop", ratio: median(planned),
		reach: "≥ 0.75, aim 0.85", ok: median(planned) >= .75})
	b.add(row{name: "remind/planned/cpu", what: "CPU of the daemon for each of these", against: "that of the bare loop",
		ratio: median(plannedCPU), reach: "≤ 1.5", ok: median(plannedCPU) <= 1.5})
	return nil
}

func mean(a, b float64) float64 { return (a + b) / 2 }

func perText(t took) float64 { return float64(t.CPU.Microseconds()) / float64(t.N) }

// bare runs a ceiling beside a fresh stand-in.
func (b *bench) bare(ctx context.Context, name string, n int) (t took, err error) {
	err = b.served(ctx, func(url string) (err error) {
		t, err = b.play(ctx, name, params{url: url, n: n, callers: concurrency})
		return err
	})
	return t, err
}

// send runs a role that sends on a fresh store beside a fresh stand-in.
func (b *bench) send(ctx context.Context, name string, n int, environ ...string) (took, error) {
	path, err := b.dueStore(ctx, n)
	if err != nil {
		return took{}, err
	}
	return b.sendFrom(ctx, path, name, n, environ...)
}

// sendPlanned is a remind pass over bills that were texted seven and three days before.
func (b *bench) sendPlanned(ctx context.Context, n int) (took, error) {
	path, err := b.dueStore(ctx, n, 7, 3)
	if err != nil {
		return took{}, err
	}
	return b.sendFrom(ctx, path, "remind", n)
}

func (b *bench) sendFrom(ctx context.Context, path, name string, n int, environ ...string) (t took, err error) {
	err = b.served(ctx, func(url string) (err error) {
		t, err = b.play(ctx, name, params{url: url, store: path, n: n, callers: concurrency}, environ...)
		return err
	})
	return t, err
}

// slowDisk is the main job on a disk that takes five milliseconds more for
// each flush, made so by a library that is loaded before the others.
func (b *bench) slowDisk(ctx context.Context) error {
	shim := filepath.Join(filepath.Dir(b.self), "slowsync.so")
	n := b.size(20_000, 500)
	var share, rates []float64
	for range b.size(3, 1) {
		bare, err := b.bare(ctx, "bare-texts", n)
		if err != nil {
			return err
		}
		ours, err := b.send(ctx, "remind", n, "LD_PRELOAD="+shim, "SLOWSYNC_US=5000")
		if err != nil {
			return err
		}
		share, rates = append(share, ours.rate()/bare.rate()), append(rates, ours.rate())
	}
	b.add(row{name: "slowdisk", what: "the same, 5 ms added to each fsync", against: "the same client in a bare loop",
		ratio: median(share), reach: "≥ 0.5", ok: median(share) >= .5, note: fmt.Sprintf("%.0f texts/s", median(rates))})
	return nil
}
