package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"duewatch/config"
	"duewatch/daemon"
	"duewatch/reminder"
	"duewatch/store"
)

// simulateFlags are what is asked for.
type simulateFlags struct {
	days      int
	customers int
	seed      uint64
	from      string
	against   string
	json      bool
}

const (
	mostSimulated = 366
	mostCustomers = 1_000_000
	// mostInMemory is how many kB of a store are kept in memory: SQLite takes no
	// more than a gigabyte.
	mostInMemory = 800_000
)

// kilobytesAfter is more than the store holds of a customer after so many days, by
// the default policy: 2.7 kB after 30 days, 26 after a year.
func kilobytesAfter(days int) int { return 2 + days/10 }

func (a *app) simulateCommand() *cobra.Command {
	var f simulateFlags
	c := &cobra.Command{
		Use:   "simulate",
		Short: "Run weeks of the daemon in a minute, on a copy",
		Long: `Runs the daemon's own jobs by the present config on a virtual clock, on a copy
of the store in the temporary folder or, with --customers, on an audience that
is made up. Almara Pay and the provider are stand-ins in this process, whatever
the config says: no request leaves it, and nobody can be texted.

The customers are made up too. By habit a bill is paid early (25 %), when a text
asks for it (45 %), on the due date (10 %), late (15 %) or never; the next one
is issued a few days after a due date. It tells the texts of each day and stage,
what is not sent and why, how often Almara Pay is called, and the cost.

The same seed gives the same end. --against runs another config on the same
audience and tells the difference. What is printed is no forecast of your
customers: it shows what a config does.`,
		Example: "  duewatch simulate --customers 10000 --days 60\n  duewatch simulate --against new.yaml",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			switch {
			case f.days < 1 || f.days > mostSimulated:
				return fmt.Errorf("--days %d: write 1 to %d (%w)", f.days, mostSimulated, errUsage)
			case c.Flags().Changed("customers") && (f.customers < 1 || f.customers > mostCustomers):
				return fmt.Errorf("--customers %d: write 1 to %d (%w)", f.customers, mostCustomers, errUsage)
			case f.from != "" && f.customers == 0:
				return fmt.Errorf("--from is for --customers: a copy of the store begins now (%w)", errUsage)
			}
			return a.simulate(c.Context(), f)
		},
	}
	c.Flags().IntVar(&f.days, "days", 30, "how many days to run")
	c.Flags().IntVar(&f.customers, "customers", 0, "make up so many customers, without a store")
	c.Flags().Uint64Var(&f.seed, "seed", 1, "another number, other habits and amounts")
	c.Flags().StringVar(&f.from, "from", "", "with --customers: the day it begins, today if not given")
	c.Flags().StringVar(&f.against, "against", "", "another config file to compare with")
	c.Flags().BoolVar(&f.json, "json", false, "print JSON, one object for each config")
	return c
}

func (a *app) simulate(ctx context.Context, f simulateFlags) (err error) {
	daemon.SetGCPercent(300) // a tenth less time than with 150, and a third more memory: 1.3 GB for 100,000 customers
	cfgs := make([]*config.Config, 0, 2)
	for _, path := range []string{a.configPath, f.against} {
		if path == "" {
			continue
		}
		b := *a
		b.configPath = path
		cfg, err := b.load(true)
		if err != nil {
			return err
		}
		cfgs = append(cfgs, cfg)
	}
	dir, err := os.MkdirTemp("", "duewatch-simulate-")
	if err != nil {
		return fmt.Errorf("make a temporary folder: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()

	begin, err := a.beginning(f, cfgs[0].Zone)
	if err != nil {
		return err
	}
	var results []*simulated
	for i := range cfgs {
		cfg, err := cfgs[i].HolidaysAbout(reminder.DateOf(begin.In(cfgs[i].Zone)))
		if err != nil {
			return err
		}
		path := filepath.Join(dir, fmt.Sprintf("%d.db", i))
		switch {
		case f.customers > 0 && f.customers*kilobytesAfter(f.days) <= mostInMemory:
			path = ""
		case f.customers == 0:
			if err := a.copyOf(ctx, cfgs, i, path); err != nil {
				return err
			}
		}
		r, err := a.simulateOne(ctx, cfg, f, path, begin, i, len(cfgs))
		if err != nil {
			return err
		}
		r.Config = []string{a.configPath, f.against}[i]
		results = append(results, r)
	}
	return a.tellSimulated(f, cfgs, results)
}

// beginning is midnight of the first day of a made-up audience, and the present
// minute for a copy of the store.
func (a *app) beginning(f simulateFlags, zone *time.Location) (time.Time, error) {
	now := a.now()
	if f.customers == 0 {
		return now.Truncate(time.Minute).Add(time.Minute), nil
	}
	day := reminder.DateOf(now.In(zone))
	if f.from != "" {
		var err error
		if day, err = reminder.ParseDate(f.from); err != nil {
			return now, fmt.Errorf("--from: %w (%w)", err, errUsage)
		}
	}
	return day.At(0, zone), nil
}

// copyOf copies the store of the first config for the ith: both begin alike.
func (a *app) copyOf(ctx context.Context, cfgs []*config.Config, i int, path string) (err error) {
	s, err := store.OpenReader(ctx, cfgs[0].StoreAddress())
	if errors.Is(err, store.ErrNotFound) {
		return fmt.Errorf("%w Without a store, --customers makes an audience up", err)
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	if err := a.adaptToWorld(ctx, cfgs[i], s); err != nil {
		return err
	}
	if !config.StoreOnServer(cfgs[0].Store) {
		_, err = a.copyStore(ctx, s, path, false)
		return err
	}
	p := newPhases(a.stderr, "rows")
	defer p.done()
	return s.CopyToScratch(ctx, path, p.at)
}

func (a *app) tellSimulated(f simulateFlags, cfgs []*config.Config, results []*simulated) error {
	if f.json {
		enc := json.NewEncoder(a.stdout)
		for _, r := range results {
			if err := enc.Encode(r); err != nil {
				return err
			}
		}
		if len(results) == 2 {
			return enc.Encode(results[1].since(results[0]))
		}
		return nil
	}
	if len(results) == 1 {
		return results[0].tell(a.stdout, cfgs[0])
	}
	if err := results[0].tell(a.stdout, cfgs[0]); err != nil {
		return err
	}
	return results[1].since(results[0]).tell(a.stdout, f.against)
}
