// Package daemon is what `duewatch run` is: it builds the parts from the config,
// wires them, and runs them until it is stopped. It holds no rule of its own
// about who is texted when.
//
// It promises that a config which cannot be used never takes the place of one that
// can, that a store is opened by one daemon at a time and of one world only (the
// sandbox's or the real one), and that at the end each text under way gets its
// answer and its record.
//
// The command in cli calls Run. Simulations and benchmarks build the same parts
// (Parts); doctor and release print the same sentences about what keeps texts from
// leaving (Problems).
package daemon

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"runtime/debug"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"duewatch/alerts"
	"duewatch/config"
	"duewatch/reminder"
	"duewatch/sandbox"
	"duewatch/scheduler"
	"duewatch/store"
	"duewatch/web"
)

// Options are what the command line says, and what a test puts in place of the
// machine.
type Options struct {
	ConfigPath string
	Version    string // with the commit and the Go release, for the log
	Release    string // the number alone, for metrics and the daemons beside it
	// Sandbox puts stand-ins in the place of Almara Pay and Twilio; OnText is called
	// with each text that they take.
	Sandbox bool
	OnText  func(sandbox.Text)

	LogTo io.Writer
	Now   func() time.Time
}

// daemon is what outlives a reload of the config.
type daemon struct {
	Options

	store      *store.Store
	registry   *prometheus.Registry
	metrics    *scheduler.Metrics
	startedAt  time.Time
	reloads    int
	clockCheck *scheduler.ClockCheck // of this machine
	comparison *scheduler.Comparison // of the provider's list with the store, which a reload does not repeat
	standIns   *StandIns             // nil = the real endpoints are used

	// Declaring a list adds its bills to the store, and removes those of the same source
	// that it does not name. billsFile is read before the port is taken, and declared
	// after; nil = it is declared, or there is none.
	billsFile *BillsFile
	// heldLists lost too many bills at once: they are not declared, and the store keeps
	// the bills of the lists before them.
	heldLists []store.ShrunkList

	refusedReload atomic.Pointer[string]          // why the last reload was not taken; nil = it was
	refusedList   atomic.Pointer[string]          // why bills_file was not, when this daemon came to lead; nil = it was
	defaultPolicy atomic.Pointer[reminder.Policy] // of the present config, for /healthz and /metrics
	alerts        *alerting
	bills         *billCounts
	reloaded      *prometheus.CounterVec
	callbacks     *web.CallbackMetrics
	storePath     string
	// What health found last.
	lastAlive, lastProblems atomic.Int64
}

// Run runs the daemon until ctx ends. After a SIGHUP it builds its parts anew from
// the config as it is then; only the store stays open.
func Run(ctx context.Context, o Options) (err error) {
	cfg, err := LoadConfig(o.ConfigPath, o.Sandbox, o.Now)
	if err != nil {
		return err
	}
	SetGCPercent(GCPercent)
	// From here on a SIGHUP asks for a reload: by default it would end the process, in the
	// middle of a start that may take minutes.
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	defer signal.Stop(hangup)
	s, err := store.Open(ctx, cfg.StoreAddress())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(ignoreCancel(ctx, err), s.Close()) }()

	log := NewLog(o.LogTo, cfg.Log, cfg.Zone)
	d := newDaemon(ctx, o, cfg.Store, s, log)
	if o.Sandbox {
		if d.standIns, err = StartStandIns(ctx, cfg, o.Now, o.OnText, log); err != nil {
			return err
		}
		d.standIns.ReplaceIn(cfg)
	}
	if d.billsFile, err = d.readBillsFile(ctx, cfg, log); err != nil {
		return err
	}

	// A store of the other world is refused at once, beside whatever daemons.
	if world, err := World(ctx, s); err != nil || world != "" {
		if err := errors.Join(err, d.claimWorld(ctx, cfg.Store)); err != nil {
			return err
		}
	}
	for {
		if cfg, err = d.awaitOthers(ctx, cfg, hangup); err != nil || cfg == nil {
			return err
		}
		if err := d.claimWorld(ctx, cfg.Store); err != nil {
			return err
		}
		next, err := d.runConfig(ctx, cfg, hangup)
		if err != nil || next == nil || ctx.Err() != nil {
			return err
		}
		cfg = next
		d.reloads++
	}
}

// LoadConfig loads the config for the daemon or a command. For the sandbox it asks
// for no endpoints and no credentials.
func LoadConfig(path string, sandboxed bool, now func() time.Time) (*config.Config, error) {
	return config.Load(path, config.Options{
		Sandbox: sandboxed, CheckSchedule: scheduler.CheckExpression, Now: now,
		CheckAlertURL: func(url string) error { _, err := alerts.New(url); return err },
	})
}

func newDaemon(ctx context.Context, o Options, path string, s *store.Store, log *slog.Logger) *daemon {
	d := &daemon{
		Options: o, store: s, storePath: path, startedAt: o.Now(), registry: prometheus.NewRegistry(),
		clockCheck: scheduler.NewClockCheck(o.Now, scheduler.Uptime), comparison: new(scheduler.Comparison),
	}
	d.bills = &billCounts{store: s}
	d.registerMetrics(log)
	d.alerts = newAlerting(ctx, s, o.Sandbox, d.registry, log)
	return d
}

// GCPercent has memory collected two and a half times less often than by default: the
// daemon holds little, and collecting took a sixth of its time while it sends.
// The unit's GOMEMLIMIT holds all the same.
const GCPercent = 250

// SetGCPercent sets how often memory is collected, unless the environment does.
func SetGCPercent(percent int) {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(percent)
	}
}

// runConfig runs the daemon by one config. It returns the config to go on with
// after a reload, or nil at the end.
func (d *daemon) runConfig(ctx context.Context, cfg *config.Config, hangup <-chan os.Signal) (next *config.Config, err error) {
	log := NewLog(d.LogTo, cfg.Log, cfg.Zone)
	d.defaultPolicy.Store(cfg.Policies.Default)
	// Listening comes first: a port that is taken must leave the lists as they were.
	callbacks, err := d.listenForCallbacks(ctx, cfg)
	if err != nil {
		return nil, err
	}
	closeCallbacks := func() error {
		if callbacks == nil {
			return nil
		}
		return callbacks.Close()
	}
	s, err := d.buildScheduler(cfg, log)
	if err != nil {
		return nil, errors.Join(err, closeCallbacks())
	}
	page := d.newPage(cfg, s, log)
	webConfig := web.Config{
		Listen: cfg.Web.Listen, Token: cfg.Web.Token.Reveal(), Metrics: d.registry, Page: page.show, Log: log,
		Health: func(ctx context.Context) web.Health { return d.health(ctx, s).page() },
	}
	listener, err := web.Listen(ctx, webConfig)
	if err != nil {
		return nil, errors.Join(err, closeCallbacks())
	}
	leads, err := d.store.Leads(ctx)
	if err == nil && leads { // of several daemons, this one's lists count
		err = d.declareBills(ctx, cfg, log)
	}
	if err != nil {
		return nil, errors.Join(err, listener.Close(), closeCallbacks())
	}
	if err := d.alerts.use(cfg, d.Now(), log); err != nil {
		return nil, errors.Join(err, listener.Close(), closeCallbacks())
	}
	d.logStart(cfg, log)
	log.Info("the page is at " + pageURL(listener.Addr()))

	// The notice is logged when ctx ends; an end by an error or a reload cancels it.
	noticeLogged := make(chan struct{})
	cancelNotice := context.AfterFunc(ctx, func() {
		defer close(noticeLogged)
		notifySystemd(log, "STOPPING=1\nSTATUS=stopping: calls under way get their answer, no new text begins")
		log.Info("stopping: calls under way get their answer, no new text begins")
	})
	defer cancelNotice()

	// The parts end together: at the end of ctx, at the first error, or for a reload.
	running, end := context.WithCancel(ctx)
	defer end()
	group, groupCtx := errgroup.WithContext(running)
	group.Go(func() error { return s.Run(groupCtx) })
	group.Go(func() error { return web.Serve(groupCtx, listener, webConfig) })
	group.Go(func() error { return page.run(groupCtx) })
	if callbacks != nil {
		group.Go(func() error { return d.serveCallbacks(groupCtx, callbacks, cfg, s, log) })
	}
	group.Go(func() error { return d.watchStore(groupCtx, false, log) })
	group.Go(func() error { d.feedWatchdog(groupCtx, s, log); return nil })
	group.Go(func() error { return repeat(groupCtx, func() { d.beat(groupCtx, s, cfg, log) }) })
	group.Go(func() error { return repeat(groupCtx, func() { d.tell(groupCtx, s, cfg, log) }) })
	group.Go(func() error {
		next = d.awaitReload(groupCtx, cfg, log, hangup)
		end()
		return nil
	})
	var leadsNow bool
	if !leads {
		group.Go(func() error {
			if leadsNow = d.awaitLead(groupCtx, log); leadsNow {
				end()
			}
			return nil
		})
	}
	notifySystemd(log, "READY=1")
	err = d.endedBy(group.Wait())
	if err == nil && next == nil && leadsNow && ctx.Err() == nil {
		next, err = d.withListsAnew(ctx, cfg, log)
	}
	if next == nil || ctx.Err() != nil {
		if noticeBegan := !cancelNotice(); noticeBegan {
			<-noticeLogged // so that "stopped" is the last line
		}
		log.Info("stopped")
	}
	return next, err
}

// logStart says in one line how far texts may go, which is the first thing to look
// for after an unexpected silence, and names the events of calendars that do not
// count as they are written.
func (d *daemon) logStart(cfg *config.Config, log *slog.Logger) {
	p := cfg.Policies.Default
	line := log.With("mode", string(cfg.Delivery.Mode), "window", p.Window.String(), "send_at", p.SendAt.String(),
		"zone", cfg.Zone.String(), "web", cfg.Web.Listen)
	if cfg.Web.PublicURL != "" {
		line = line.With("callbacks", cfg.Web.CallbacksListen, "public_url", cfg.Web.PublicURL)
	}
	if cfg.Delivery.Mode == reminder.ModeOff && d.standIns == nil {
		line.Warn(d.Version + " is up; notifier.mode is off, so nobody is texted")
	} else {
		line.Info(d.Version + " is up")
	}
	for _, w := range cfg.HolidayWarnings() {
		log.Warn("an event of a calendar of holidays does not count as it is written", "event", w)
	}
}

// ignoreCancel is nil for work that was cut short by the end of the daemon.
func ignoreCancel(ctx context.Context, err error) error {
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}
