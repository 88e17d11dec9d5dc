package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// simulate is what weeks of the daemon's jobs cost on a virtual clock, and how
// often they ask Almara Pay.
func (b *bench) simulate(ctx context.Context) error {
	few, n := b.size(500, 50), b.size(100_000, 200)
	first, _, err := b.simulation(ctx, few)
	if err != nil {
		return err
	}
	again, _, err := b.simulation(ctx, few)
	if err != nil {
		return err
	}
	if !bytes.Equal(first, again) {
		return errors.New("the same seed gave another end")
	}
	out, seconds, err := b.simulation(ctx, n)
	if err != nil {
		return err
	}
	var r struct {
		Bills int     `json:"bills"`
		Texts int     `json:"texts"`
		Calls float64 `json:"almara_calls_per_bill_and_month"`
	}
	if err := json.Unmarshal(out, &r); err != nil {
		return err
	}
	b.add(row{name: "simulate", what: fmt.Sprintf("30 virtual days of %d customers; seconds", n), against: "a minute",
		ratio: seconds, unit: "s", reach: "≤ 60 s", ok: seconds <= 60,
		note: fmt.Sprintf("%d bills, %d texts; the same seed gave the same end", r.Bills, r.Texts)})
	b.add(row{name: "simulate/calls", what: "Almara Pay calls per bill and month, default policy, a seeded model of payments",
		against: "a bill and month", ratio: r.Calls,
		unit: "calls", reach: "≤ 8", ok: r.Calls <= 8, note: fmt.Sprintf("%d bills", r.Bills)})
	return nil
}

// simulation runs the command on an audience that is made up.
func (b *bench) simulation(ctx context.Context, customers int) (out []byte, seconds float64, err error) {
	file, err := b.config(params{callers: 16})
	if err != nil {
		return nil, 0, err
	}
	var log strings.Builder
	c := exec.CommandContext(ctx, b.daemon, "simulate", "--customers", strconv.Itoa(customers),
		"--from", "2026-11-01", "--days", "30", "--json", "--config", file)
	c.Stderr = &log
	begin := time.Now()
	if out, err = c.Output(); err != nil {
		err = fmt.Errorf("simulate: %w: %s", err, log.String())
	}
	return out, time.Since(begin).Seconds(), err
}
