package cli

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"duewatch/config"
	"duewatch/reminder"
	"duewatch/scheduler"
	"duewatch/store"
	"duewatch/web"
)

func (a *app) runCommand() *cobra.Command {
	var useSandbox bool
	c := &cobra.Command{
		Use:   "run",
		Short: "Run the daemon",
		Long: `Runs the daemon until SIGINT or SIGTERM: texts that are being handed over are
finished and recorded, no new ones begin. SIGHUP reads the config again and
takes it only if all of it is right.

--sandbox runs the same daemon against stand-ins for Almara Pay and Twilio on
this machine: no account is needed, and nobody is texted.`,
		Example: "  duewatch run --config /etc/duewatch/config.yaml\n  duewatch run --sandbox",
		Args:    cobra.NoArgs,
		RunE:    func(c *cobra.Command, _ []string) error { return a.run(c.Context(), useSandbox) },
	}
	c.Flags().BoolVar(&useSandbox, "sandbox", false, "use the stand-ins for Almara Pay and Twilio")
	return c
}

// daemon is what outlives a reload of the config.
type daemon struct {
	app      *app
	store    *store.Store
	registry *prometheus.Registry
	metrics  *scheduler.Metrics
	process  string                // names this process on the claims and intents it writes
	clock    *scheduler.ClockCheck // of this machine
	compared *scheduler.Comparison // of the provider's list with the store
	reloads  int
	sandbox  *embedded
	file     *billsFile                      // what bills_file lists, until it is declared; nil = no list is to be declared
	held     []store.ShrunkList              // declared lists that lost too many bills at once: those stay
	refused  atomic.Pointer[string]          // why the last reload was not taken; nil = it was
	policy   atomic.Pointer[reminder.Policy] // the present one of bills whose service has none of its own
}

// gcPercent has memory collected two and a half times less often than by default: the
// daemon holds little, and collecting took a sixth of its time while it sends.
// The unit's GOMEMLIMIT holds all the same.
const gcPercent = 250

func collectSeldom(percent int) {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(percent)
	}
}

// run builds the parts from the config and runs them until ctx ends; after a
// SIGHUP it builds them anew.
func (a *app) run(ctx context.Context, useSandbox bool) (err error) {
	cfg, err := a.load(useSandbox)
	if err != nil {
		return err
	}
	collectSeldom(gcPercent)
	log := NewLog(a.stderr, cfg.Log, cfg.Zone)
	s, err := store.Open(ctx, cfg.Store)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()

	d := &daemon{app: a, store: s, registry: prometheus.NewRegistry(), process: fmt.Sprintf("%d-%s", os.Getpid(), rand.Text()[:8])}
	d.clock, d.compared = scheduler.NewClockCheck(a.now, scheduler.Uptime), new(scheduler.Comparison)
	d.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), web.NewDoubt(s, a.now, log), web.NewSending(s, d.policy.Load, a.now, log))
	d.metrics = scheduler.NewMetrics(d.registry)
	if err := d.keepApart(ctx, cfg.Store, useSandbox); err != nil {
		return err
	}
	if useSandbox {
		if d.sandbox, err = a.embedSandbox(ctx, cfg, log); err != nil {
			return err
		}
		d.sandbox.swap(cfg)
	}
	if d.file, err = d.readBillsFile(ctx, cfg, log); err != nil {
		return endOf(ctx, err)
	}

	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	defer signal.Stop(hangup)
	for {
		next, err := d.serve(ctx, cfg, hangup)
		if err != nil || next == nil {
			return endOf(ctx, err)
		}
		cfg = next
		d.reloads++
	}
}

// Which world a store belongs to, from its first start on.
const (
	metaWorld    = "world"
	worldSandbox = "sandbox"
	worldReal    = "real"
)

// keepApart refuses to mix a store of the sandbox with a real one: what was
// texted in one is no text in the other.
func (d *daemon) keepApart(ctx context.Context, path string, useSandbox bool) error {
	want, advice := worldReal, "it was made with --sandbox: name another file in store"
	if useSandbox {
		want, advice = worldSandbox, "it belongs to the real daemon: name another file, as in DUEWATCH_STORE=sandbox.db duewatch run --sandbox"
	}
	have, err := d.store.Meta(ctx, metaWorld)
	switch {
	case err != nil:
		return err
	case have == "":
		return d.store.SetMeta(metaWorld, want)
	case have != want:
		return fmt.Errorf("the store %s cannot be used here: %s", path, advice)
	}
	return nil
}

// serve runs one generation of the daemon. It returns the next config after a
// reload, or nil at the end.
func (d *daemon) serve(ctx context.Context, cfg *config.Config, hangup <-chan os.Signal) (next *config.Config, err error) {
	log := NewLog(d.app.stderr, cfg.Log, cfg.Zone)
	d.policy.Store(cfg.Policies.Default)
	s, err := d.build(cfg, log)
	if err != nil {
		return nil, err
	}
	page := web.Config{
		Listen: cfg.Web.Listen, Token: cfg.Web.Token.Reveal(), Metrics: d.registry, Log: log,
		Health: func(ctx context.Context) web.Health { return d.health(ctx, s) },
	}
	listener, err := web.Listen(ctx, page)
	if err != nil {
		return nil, err
	}
	if err := d.declare(ctx, cfg, log); err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	announce(cfg, log, d.sandbox != nil)
	warnOfHolidays(cfg, log)
	told := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(told)
		notifySystemd(log, "STOPPING=1")
		log.Info("stopping: calls under way get their answer, no new text begins")
	})
	defer stop()

	generation, end := context.WithCancel(ctx)
	defer end()
	group, groupCtx := errgroup.WithContext(generation)
	group.Go(func() error { return s.Run(groupCtx) })
	group.Go(func() error { return web.Serve(groupCtx, listener, page) })
	group.Go(func() error { d.feedWatchdog(groupCtx, s, log); return nil })
	group.Go(func() error {
		next = d.awaitReload(groupCtx, cfg, log, hangup)
		end()
		return nil
	})
	notifySystemd(log, "READY=1")
	err = group.Wait()
	if next == nil {
		if !stop() {
			<-told // that it is stopping
		}
		log.Info("stopped")
	}
	return next, err
}

// checkHolidays is how often the daemon asks whether its holidays still reach:
// soon after a clock that was wrong at the start is set right.
const checkHolidays = time.Minute

// awaitReload returns the config to go on with after a SIGHUP, or when the
// window of its holidays has to move on, or the same one when the operator has let
// go a list that it declares; nil when ctx ends. When only the holidays move on, no list
// is declared: a list that is held stays held, whatever the operator agrees to meanwhile.
func (d *daemon) awaitReload(ctx context.Context, cfg *config.Config, log *slog.Logger, hangup <-chan os.Signal) *config.Config {
	check := time.NewTicker(checkHolidays)
	defer check.Stop()
	var look <-chan time.Time
	if len(d.held) > 0 {
		every := time.NewTicker(lookForRelease)
		defer every.Stop()
		look = every.C
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-look:
			again, err := d.agreedLists(ctx, cfg, log)
			switch {
			case ctx.Err() != nil:
				return nil
			case err != nil:
				d.holdAgain(err, log)
			case again:
				log.Info("the operator has let a list go that had shrunk")
				return cfg
			}
			continue
		case <-check.C:
			next, err := d.followHolidays(cfg, log)
			if err != nil {
				log.Error("the holidays cannot be followed further: leave out events of past years, and reload", "err", err)
				check.Stop()
			}
			if next != nil {
				return next
			}
			continue
		case <-hangup:
		}
		next, err := d.next(ctx, cfg, log)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			why := reason(err)
			d.refused.Store(&why)
			log.Error("the new config cannot be used, so the old one stays in use", "err", err)
			continue
		}
		d.refused.Store(nil)
		log.Info("the config was read again")
		return next
	}
}

// followHolidays returns the config with the holidays of a window that has moved on, or nil
// while the present one reaches. It leaves the declared lists alone.
func (d *daemon) followHolidays(cfg *config.Config, log *slog.Logger) (*config.Config, error) {
	today := reminder.DateOf(d.app.now().In(cfg.Zone))
	if cfg.HolidaysReach(today) {
		return nil, nil //nolint:nilnil // nothing to go on to
	}
	next, err := cfg.HolidaysAbout(today)
	if err != nil {
		return nil, err
	}
	log.Info("the holidays are followed further", "from", today.String())
	return next, nil
}

// next reads the config again and tries all of it that can be tried while the
// old one is in use.
func (d *daemon) next(ctx context.Context, cfg *config.Config, log *slog.Logger) (*config.Config, error) {
	next, err := d.app.load(d.sandbox != nil)
	if err != nil {
		return nil, err
	}
	if d.sandbox != nil {
		d.sandbox.swap(next)
	}
	if next.Store != cfg.Store {
		return nil, errors.New("store cannot change while the daemon runs: restart it")
	}
	if _, err := d.build(next, log); err != nil {
		return nil, err
	}
	if next.Web.Listen != cfg.Web.Listen {
		l, err := new(net.ListenConfig).Listen(ctx, "tcp", next.Web.Listen)
		if err != nil {
			return nil, web.ListenError(err)
		}
		if err := l.Close(); err != nil {
			return nil, fmt.Errorf("web.listen: %w", err)
		}
	}
	if d.file, err = d.readBillsFile(ctx, next, log); err != nil {
		return nil, err
	}
	return next, nil
}

// build makes the parts of one generation.
func (d *daemon) build(cfg *config.Config, log *slog.Logger) (*scheduler.Scheduler, error) {
	return Parts{
		Store: d.store, Owner: fmt.Sprintf("%s-%d", d.process, d.reloads), Log: log, Metrics: d.metrics, Now: d.app.now,
		ClockCheck: d.clock, Comparison: d.compared,
		OnAlmara: func(op, outcome string, took time.Duration) { d.metrics.Call("almara", op, outcome, took) },
		OnTwilio: func(op, outcome string, took time.Duration) { d.metrics.Call("twilio", op, outcome, took) },
	}.Build(cfg)
}

// senderOf names by whom texts leave, and how far they may go: what a store
// belongs to.
func senderOf(cfg *config.Config) string {
	t := cfg.Notifier.Twilio
	from := t.MessagingServiceSID
	switch {
	case strings.HasPrefix(t.From, "+"):
		from = reminder.Phone(t.From).String()
	case t.From != "":
		from = t.From
	}
	return fmt.Sprintf("account %s, sender %s, mode %s", t.AccountSID, from, cfg.Delivery.Mode)
}

// announce says in one line how far texts may go: the first thing to look for
// after an unexpected silence.
func announce(cfg *config.Config, log *slog.Logger, sandboxed bool) {
	p := cfg.Policies.Default
	line := log.With("mode", string(cfg.Delivery.Mode), "window", p.Window.String(), "send_at", p.SendAt.String(), "zone", cfg.Zone.String(), "web", cfg.Web.Listen)
	if cfg.Delivery.Mode == reminder.ModeOff && !sandboxed {
		line.Warn(version() + " is up; notifier.mode is off, so nobody is texted")
		return
	}
	line.Info(version() + " is up")
}

// warnOfHolidays names the events of calendars that do not count as they are
// written.
func warnOfHolidays(cfg *config.Config, log *slog.Logger) {
	for _, w := range holidayWarnings(cfg) {
		log.Warn("an event of a calendar of holidays does not count as it is written", "event", w)
	}
}
