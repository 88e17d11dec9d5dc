package daemon

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"time"
)

const (
	// lookAtStore is how often the daemon asks whether it still has its store.
	lookAtStore = time.Second
	// storePatience is how long /healthz waits for the store to answer: longer than a
	// statement waits for a command that writes. It is over sooner when the connection to a
	// database is lost meanwhile.
	storePatience = 12 * time.Second
)

// watchStore logs when the connection to the database is lost and when it is back, and
// returns an error when this daemon can work on its store no more, or must not. Of a store that is a file
// there is nothing to watch.
func (d *daemon) watchStore(ctx context.Context, waits bool, log *slog.Logger) error {
	look := time.NewTicker(lookAtStore)
	defer look.Stop()
	var lostSince time.Time
	clockOff := false
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-d.store.Ended():
			return d.endedBy(nil)
		case <-look.C:
		}
		off := d.store.ClockAhead().Abs()
		if off > clockStops && !waits {
			return fmt.Errorf("the daemon ends, and waits once it is started again: %w", d.clockFits())
		}
		if off > clockWarns && !clockOff {
			log.Warn("the clock of this machine is not that of the database: set it, by NTP", "off", off.String())
		}
		clockOff = off > clockWarns
		since, why := d.store.Lost()
		switch {
		case since.Equal(lostSince):
		case since.IsZero():
			log.Info("the connection to the database is back", "after", time.Since(lostSince).Round(time.Second).String())
		case lostSince.IsZero():
			log.Error("the connection to the database is lost: jobs wait until it is back, and nothing is sent meanwhile", "err", why)
		}
		lostSince = since
	}
}

// endedBy is why this daemon can work on its store no more, in place of what failed by that; else err.
func (d *daemon) endedBy(err error) error {
	if by := d.store.EndedBy(); by != nil {
		return fmt.Errorf("the daemon ends: %w", by)
	}
	return err
}

// storeLost is the problem that the connection to the database is lost; "" when it is not.
func (d *daemon) storeLost() string {
	since, why := d.store.Lost()
	if since.IsZero() {
		return ""
	}
	return fmt.Sprintf("store_lost: the connection to the database is lost since %s, and jobs wait until it is back: %s",
		since.UTC().Format(time.RFC3339), shortened(oneLine(why)))
}

// askStore adds to h what the store says. The answer of a database may be long in coming:
// when the connection is lost, h says so instead. To start the daemon again would be of no use
// then, and jobs that are late because they wait are no reason to.
func (d *daemon) askStore(ctx context.Context, h health, ask func(context.Context, health) health) health {
	ctx, cancel := context.WithTimeout(ctx, storePatience)
	defer cancel()
	lost := func(problem string) health {
		h.alive = true
		h.add("store_lost", problem, "")
		return h
	}
	if problem := d.storeLost(); problem != "" {
		return lost(problem)
	}
	asked := h
	asked.problems = slices.Clone(h.problems)
	answer := make(chan health, 1)
	go func() { answer <- ask(ctx, asked) }()
	look := time.NewTicker(lookAtStore / 5)
	defer look.Stop()
	for {
		select {
		case h := <-answer:
			return h
		case <-look.C:
			if problem := d.storeLost(); problem != "" {
				return lost(problem)
			}
		case <-ctx.Done():
			h.alive = false
			h.add("store_slow", fmt.Sprintf("the store has not answered for %s", storePatience), "")
			return h
		}
	}
}
