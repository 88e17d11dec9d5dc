package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"duewatch/config"
	"duewatch/daemon"
	"duewatch/reminder"
	"duewatch/sandbox"
	"duewatch/scheduler"
	"duewatch/store"
)

// madeUp is the made-up world of one simulation.
type madeUp struct {
	clock     *scheduler.VirtualClock
	box       *sandbox.Sandbox
	customers *sandbox.Customers
	bills     int
	calls     atomic.Int64    // answered by Almara Pay
	hours     map[int64]int64 // calls by hour, of one reader at a time
	store     *store.Store
	daemon    *scheduler.Scheduler
}

// simulateOne runs the jobs by one config, on the store at path, which is a copy
// or made up here.
func (a *app) simulateOne(
	ctx context.Context, cfg *config.Config, f simulateFlags, path string, begin time.Time, nth, of int,
) (_ *simulated, err error) {
	w := &madeUp{clock: scheduler.NewVirtualClock(begin), hours: map[int64]int64{}}
	// OpenScratch: after a power cut nobody asks for the end of a simulation.
	if w.store, err = store.OpenScratch(ctx, path); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, w.store.Close()) }()
	w.box, err = sandbox.New(sandbox.Options{
		Zone: cfg.Zone, Now: w.clock.Now, Seed: f.seed, AllReached: true, OnText: func(t sandbox.Text) { w.customers.Texted(t) },
	})
	if err != nil {
		return nil, fmt.Errorf("sandbox: %w", err)
	}
	w.customers = sandbox.NewCustomers(w.box, f.seed)
	if err := w.populate(ctx, cfg, f); err != nil {
		return nil, err
	}
	if err := w.build(cfg); err != nil {
		return nil, err
	}
	p := newDays(a.stderr, begin, f.days, nth, of)
	defer p.done()
	end := reminder.DateOf(begin.In(cfg.Zone)).AddDays(f.days).At(reminder.ClockOf(begin.In(cfg.Zone)), cfg.Zone)
	if err := w.run(ctx, end, p); err != nil {
		return nil, fmt.Errorf("simulate %s: %w", w.clock.Now().In(cfg.Zone).Format("2006-01-02 15:04"), err)
	}
	return w.result(ctx, cfg, f, begin, end)
}

// run lets the days pass: the clock jumps from one instant at which a job or a
// customer has something to do to the next.
func (w *madeUp) run(ctx context.Context, end time.Time, p *dayProgress) error {
	if err := w.daemon.Begin(ctx); err != nil {
		return err
	}
	for {
		next, err := w.daemon.Next(ctx)
		if err != nil {
			return err
		}
		if next.IsZero() || next.After(end) {
			next = end
		}
		for at := w.customers.Next(); !at.IsZero() && !at.After(next); at = w.customers.Next() {
			w.clock.Set(at)
			if err := w.customers.Until(at); err != nil {
				return err
			}
		}
		if !next.Before(end) {
			return nil
		}
		w.clock.Set(next)
		p.at(next)
		before := w.calls.Load()
		if err := w.daemon.Step(ctx); err != nil {
			return err
		}
		w.hours[next.Unix()/3600] += w.calls.Load() - before
	}
}

// build makes the daemon's parts, but for the two stand-ins, which take the
// place of the network: there is no socket, whatever the config says.
func (w *madeUp) build(cfg *config.Config) error {
	const sender = "the stand-in of a simulation"
	for key, value := range scheduler.RememberSender(sender) {
		if err := w.store.SetMeta(key, value); err != nil {
			return err
		}
	}
	const nowhere = "http://127.0.0.1"
	mine := *cfg
	mine.Almara.BaseURL, mine.Almara.TokenPath, mine.Almara.TokenEncoding = nowhere, "", ""
	mine.Almara.ClientID, mine.Almara.ClientSecret = sandbox.ClientID, config.Secret(sandbox.ClientSecret)
	mine.Notifier.Twilio = config.Twilio{
		AccountSID: sandbox.AccountSID, AuthToken: config.Secret(sandbox.AuthToken), From: sandbox.From, BaseURL: nowhere,
	}
	mine.Delivery = reminder.Delivery{Mode: reminder.ModeLive} // to the stand-in
	var err error
	w.daemon, err = daemon.Parts{
		Store: w.store, Owner: "simulation", Sender: sender,
		Log: slog.New(slog.DiscardHandler), Metrics: scheduler.NewMetrics(prometheus.NewRegistry()),
		Virtual: w.clock, Transport: w.box.Transport(),
		OnAlmara: func(op, outcome string, _ time.Duration) {
			if op != "token" && outcome != "retry" {
				w.calls.Add(1)
			}
		},
	}.Build(&mine)
	return err
}

// populate has a customer for each bill, and makes the bills up where they are
// not those of a copy.
func (w *madeUp) populate(ctx context.Context, cfg *config.Config, f simulateFlags) error {
	if f.customers > 0 {
		bills := audience(cfg, f.customers)
		if _, err := w.store.Declare(store.SourceConfig, bills, w.clock.Now()); err != nil {
			return err
		}
	}
	return w.store.Bills(ctx, store.BillFilter{}, func(b store.Watched) error {
		if b.State == reminder.BillRemoved || b.State == reminder.BillRejected {
			return nil
		}
		w.bills++
		return w.customers.Add(b.Bill)
	})
}

// audience makes customers up: of the services and languages of the config, one
// in ten with a second bill. The numbers are of a range for samples.
func audience(cfg *config.Config, customers int) []reminder.Bill {
	services := []string{"1"}
	if len(cfg.Services) > 0 {
		services = services[:0]
		for _, s := range cfg.Services {
			services = append(services, s.ID)
		}
	}
	bills := make([]reminder.Bill, 0, customers+customers/10+1)
	for i := range customers {
		b := reminder.Bill{
			Service: services[i%len(services)], Account: fmt.Sprintf("SIM-%07d", i), Phone: reminder.Phone(fmt.Sprintf("+254700%06d", i)),
		}
		bills = append(bills, b)
		if i%10 == 0 {
			b.Service, b.Account = services[(i/10+1)%len(services)], b.Account+"-B"
			bills = append(bills, b)
		}
	}
	return bills
}

// dayProgress tells which day it is: a terminal all the time, and others now and
// then.
type dayProgress struct {
	w     io.Writer
	tty   bool
	begin time.Time
	days  int
	what  string
	day   int
	next  time.Time // of the next line, elsewhere
}

func newDays(w io.Writer, begin time.Time, days, nth, of int) *dayProgress {
	p := &dayProgress{w: w, begin: begin, days: days, day: -1, next: time.Now().Add(lineEvery)}
	p.tty = terminal(w) != nil
	if of > 1 {
		p.what = fmt.Sprintf("config %d of %d, ", nth+1, of)
	}
	return p
}

func (p *dayProgress) at(now time.Time) {
	day := int(now.Sub(p.begin).Hours() / 24)
	if day == p.day {
		return
	}
	p.day = day
	switch line := fmt.Sprintf("%sday %d of %d", p.what, day+1, p.days); {
	case p.tty:
		fmt.Fprintf(p.w, "\r%s ", line)
	case time.Now().After(p.next):
		p.next = time.Now().Add(lineEvery)
		fmt.Fprintln(p.w, "simulating: "+line)
	}
}

func (p *dayProgress) done() {
	if p.tty {
		fmt.Fprintf(p.w, "\r%s\r", strings.Repeat(" ", 40))
	}
}
