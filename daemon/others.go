package daemon

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"time"

	systemd "github.com/coreos/go-systemd/v22/daemon"
	"golang.org/x/sync/errgroup"

	"duewatch/config"
	"duewatch/reminder"
	"duewatch/store"
	"duewatch/web"
)

// What one daemon has to do with the others that work on the same database.

// decidesBy is a fingerprint of what a config decides by: two daemons whose fingerprints differ
// would text other people, other words or at other hours.
func decidesBy(cfg *config.Config) string {
	a, n := cfg.Almara, cfg.Notifier
	sum := sha256.Sum256(fmt.Appendf(nil, "%s %s %s %s %v %v %v %v %v", cfg.Fingerprint(), Sender(cfg), a.BaseURL, a.ClientID, a.Rate,
		n.SegmentsPerSecond, n.ReconcileAfter, n.Unknown, n.Twilio.BaseURL))
	return hex.EncodeToString(sum[:6])
}

// askAgain is how often a daemon that waits asks whether it may work.
const askAgain = time.Second

// awaitOthers returns once this daemon may work by its config: at once, unless others work by
// another one. While it waits it only says so, in /healthz, the log and the alerts. A reload may bring it
// another config, with which it waits or goes on; nil = ctx has ended.
func (d *daemon) awaitOthers(ctx context.Context, cfg *config.Config, hangup <-chan os.Signal) (*config.Config, error) {
	log := NewLog(d.LogTo, cfg.Log, cfg.Zone)
	may, err := d.mayWork(ctx, cfg)
	if err != nil || may {
		return cfg, err
	}
	problem := d.whyItWaits(ctx)
	log.Error(problem.Text)
	if err := d.alerts.use(cfg, d.Now(), log); err != nil {
		return nil, err
	}
	page := web.Config{
		Listen: cfg.Web.Listen, Token: cfg.Web.Token.Reveal(), Metrics: d.registry, Log: log,
		Health: func(ctx context.Context) web.Health {
			return web.Health{Alive: true, Problems: []string{d.whyItWaits(ctx).keyed()}}
		},
	}
	listener, err := web.Listen(ctx, page)
	if err != nil {
		return nil, err
	}
	waiting, end := context.WithCancel(ctx)
	defer end()
	group, waiting := errgroup.WithContext(waiting)
	group.Go(func() error { return web.Serve(waiting, listener, page) })
	group.Go(func() error { return d.watchStore(waiting, true, log) })
	waitsBy, reloaded := cfg, false // a reload changes cfg
	group.Go(func() error {
		return repeat(waiting, func() { d.tellWaiting(waiting, waitsBy, []Problem{d.whyItWaits(waiting)}, log) })
	})
	group.Go(func() error {
		defer end()
		ask := time.NewTicker(askAgain)
		defer ask.Stop()
		for {
			notifySystemd(log, systemd.SdNotifyWatchdog)
			select {
			case <-waiting.Done():
				return nil
			case <-hangup:
				next, err := d.reload(ctx, cfg, log)
				if err == nil {
					cfg, reloaded = next, true
					return nil
				}
				log.Error("the new config cannot be used, so the old one stays in use", "err", err)
			case <-ask.C:
				_, _ = d.store.OthersWrote(waiting) // renews the lease; what fails is asked again
				if may, err := d.mayWork(waiting, cfg); err == nil && may {
					return nil
				}
			}
		}
	})
	notifySystemd(log, "READY=1\nSTATUS=waiting: "+problem.Text)
	if err := group.Wait(); err != nil || ctx.Err() != nil {
		return nil, err
	}
	if !reloaded { // the others may have taken a newer list while this daemon waited
		if cfg, err = d.withListsAnew(ctx, cfg, log); err != nil {
			return nil, err
		}
	}
	return d.awaitOthers(ctx, cfg, hangup)
}

// mayWork reports whether this daemon may work by its config, and has it work if so.
func (d *daemon) mayWork(ctx context.Context, cfg *config.Config) (bool, error) {
	return d.store.Decide(ctx, d.Release, decidesBy(cfg), cfg.Delivery.Mode, d.clockFits() == nil)
}

// whyItWaits says why this daemon waits.
func (d *daemon) whyItWaits(ctx context.Context) Problem {
	if err := d.clockFits(); err != nil {
		return Problem{Key: "clock_off", Text: "this daemon waits, and texts nobody: " + err.Error()}
	}
	members, err := d.store.Members(ctx)
	if err != nil {
		return unread(err)
	}
	for _, m := range members {
		if m.Decides && m.Lives && !m.Self {
			return Problem{Key: "config_differs", Text: fmt.Sprintf("this daemon waits, and texts nobody: its config differs from that of "+
				"the daemon on %s (process %d, mode %s). It goes on when that one and its like are stopped or have the same config; "+
				"duewatch release --reason config_differs has it work at once, and those wait", m.Host, m.PID, m.Mode)}
		}
	}
	return Problem{Key: "config_differs", Text: "this daemon is about to work"}
}

// idleDaemons are the problems that others wait, and that this daemon or another leaves its work to
// the others.
func idleDaemons(members []store.Member) (all []Problem) {
	for _, m := range members {
		if m.Decides && m.Lives && !m.Works {
			all = append(all, Problem{Key: "daemon_aside", Text: fmt.Sprintf("the daemon on %s (process %d) leaves its work to the others: %s: %s",
				m.Host, m.PID, m.Aside, meaningOf(m.Aside))})
		}
		if !m.Decides && m.Lives && m.Config != "" && !m.Self {
			all = append(all, Problem{Key: "config_differs", Text: fmt.Sprintf("the daemon on %s (process %d, mode %s) waits, since its config "+
				"differs from that of those that work: give all the same config, or duewatch release --reason config_differs "+
				"has it work and the others wait", m.Host, m.PID, m.Mode)})
		}
	}
	return all
}

// meaningOf is what stands behind a reason to leave the work to others.
func meaningOf(aside string) string {
	return strings.TrimPrefix(reminder.Reason(aside).Info().Means, "sending is stopped: ")
}

// Clocks of several machines differ. Beyond clockWarns it is said; beyond clockStops this daemon
// ends, and waits until it is right: to the others its balances would be old, or be fresh for too
// long, and whoever leads them must work.
const (
	clockWarns = time.Second
	clockStops = 5 * time.Second
)

// clockFits says why this daemon must not work: its clock is not that of the database.
func (d *daemon) clockFits() error {
	if off := d.store.ClockAhead(); off.Abs() > clockStops {
		return fmt.Errorf("the clock of this machine is %s off that of the database: set it, by NTP",
			off.Abs().Round(time.Second))
	}
	return nil
}

// withListsAnew is the config to go on with for a daemon whose lists count from now on, and did not
// before: the same, with its lists read anew. A bills_file with a fault is refused as by a reload, and
// the bills stay that the others had: who leads next would end by the same file.
func (d *daemon) withListsAnew(ctx context.Context, cfg *config.Config, log *slog.Logger) (*config.Config, error) {
	if err := d.billsFile.Close(); err != nil {
		return nil, err
	}
	var err error
	d.billsFile, err = d.readBillsFile(ctx, cfg, log)
	if _, isFault := errors.AsType[*config.Error](err); isFault {
		d.refusedList.Store(new(oneLine(err)))
		log.Error("bills_file cannot be used, so the bills from before stay", "err", err)
		return cfg, nil
	}
	if err == nil {
		d.refusedList.Store(nil)
	}
	return cfg, err
}

// awaitLead returns true once this daemon leads the others, and false when ctx ends.
func (d *daemon) awaitLead(ctx context.Context, log *slog.Logger) bool {
	look := time.NewTicker(lookAtStore)
	defer look.Stop()
	for {
		select {
		case <-ctx.Done():
			return false
		case <-look.C:
		}
		if leads, err := d.store.Leads(ctx); err == nil && leads {
			log.Info("this daemon leads the others now")
			return true
		}
	}
}
