package daemon

import (
	"context"
	"log/slog"
	"strings"
	"time"

	systemd "github.com/coreos/go-systemd/v22/daemon"

	"duewatch/scheduler"
	"duewatch/web"
)

// health is what /healthz and systemd's watchdog go by: the jobs keep their
// hours, and the store can be written.
func (d *daemon) health(ctx context.Context, s *scheduler.Scheduler) web.Health {
	h := web.Health{Alive: true, Problems: []string{}}
	for _, j := range s.Health() {
		h.Jobs = append(h.Jobs, web.Job(j))
		if j.Late {
			h.Alive = false
			h.Problems = append(h.Problems, "the job "+j.Name+" is late")
		}
		if j.LastError != "" {
			h.Problems = append(h.Problems, "the last pass of "+j.Name+" failed: "+j.LastError)
		}
	}
	if why := d.refusedReload.Load(); why != nil {
		h.Problems = append(h.Problems, "the last reload was refused, so the config and the lists from before it stay in use: "+shortened(*why))
	}
	return d.askStore(ctx, h, func(ctx context.Context, h web.Health) web.Health { return d.storeHealth(ctx, h, s) })
}

// storeHealth adds what is read from the store, and whether it can be written.
func (d *daemon) storeHealth(ctx context.Context, h web.Health, s *scheduler.Scheduler) web.Health {
	problems := Problems{Store: d.store, Policy: d.defaultPolicy.Load(), Now: d.Now}
	h.Problems = append(h.Problems, problems.Sending(ctx)...)
	provider, err := problems.Provider(ctx, s.ReconcileAfter, s.Policies.Name)
	if err != nil {
		provider = append(provider, err.Error())
	}
	h.Problems = append(h.Problems, provider...)
	if err := d.store.Writable(d.Now()); err != nil {
		h.Alive = false
		h.Problems = append(h.Problems, "the store cannot be written: "+err.Error())
	}
	return h
}

// maxReloadFault is how much of the faults of a refused reload /healthz repeats, in
// bytes: the log has them all.
const maxReloadFault = 500

func shortened(s string) string {
	if len(s) > maxReloadFault {
		s = strings.ToValidUTF8(s[:maxReloadFault], "") + " …; the log has all"
	}
	return s
}

// feedWatchdog assures systemd that the daemon is alive, as long as it is. A daemon
// that is not is restarted by systemd.
func (d *daemon) feedWatchdog(ctx context.Context, s *scheduler.Scheduler, log *slog.Logger) {
	interval, err := systemd.SdWatchdogEnabled(false)
	if err != nil || interval == 0 {
		return
	}
	tick := time.NewTicker(interval / 3)
	defer tick.Stop()
	for {
		if h := d.health(ctx, s); h.Alive {
			notifySystemd(log, systemd.SdNotifyWatchdog)
		} else {
			log.Error("not well, so systemd's watchdog is not fed", "problems", h.Problems)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// notifySystemd sends systemd the daemon's state; without systemd it
// does nothing.
func notifySystemd(log *slog.Logger, state string) {
	if _, err := systemd.SdNotify(false, state); err != nil {
		log.Warn("systemd cannot be notified", "state", state, "err", err)
	}
}
