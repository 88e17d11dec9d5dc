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

// health is what /healthz, systemd's watchdog and the alerts go by: the jobs keep their
// hours, and the store can be written.
type health struct {
	alive    bool
	ready    bool // each job has begun a pass
	jobs     []web.Job
	problems []Problem
	daemons  []web.Daemon // on the same database
}

func (h *health) add(key, text, outside string) {
	h.problems = append(h.problems, Problem{key, text, outside})
}

// page is what /healthz shows.
func (h health) page() web.Health {
	return web.Health{Alive: h.alive, Ready: h.ready, Problems: Sentences(h.problems), Jobs: h.jobs, Daemons: h.daemons}
}

func (d *daemon) health(ctx context.Context, s *scheduler.Scheduler) health {
	h := health{alive: true, ready: true}
	for _, j := range s.Health() {
		h.jobs = append(h.jobs, web.Job(j))
		h.ready = h.ready && !j.LastStarted.IsZero()
		if j.Late {
			h.alive = false
			h.add("late:"+j.Name, "the job "+j.Name+" is late", "")
		}
		if j.LastError != "" {
			failed := "the last pass of " + j.Name + " failed"
			h.add("failed:"+j.Name, failed+": "+j.LastError, failed+"; journalctl -u duewatch -p err says why")
		}
	}
	if why := d.refusedReload.Load(); why != nil {
		const refused = "the last reload was refused, so the config and the lists from before it stay in use"
		h.add("reload", refused+": "+shortened(*why), refused+"; duewatch check and the log say why")
	}
	if why := d.refusedList.Load(); why != nil {
		const refused = "bills_file was refused when this daemon came to lead, so the bills from before it stay in use"
		h.add("bills_file", refused+": "+shortened(*why), refused+"; duewatch check and the log say why")
	}
	return d.askStore(ctx, h, func(ctx context.Context, h health) health { return d.storeHealth(ctx, h, s) })
}

// storeHealth adds what is read from the store, and whether it can be written.
func (d *daemon) storeHealth(ctx context.Context, h health, s *scheduler.Scheduler) health {
	problems := Problems{Store: d.store, Policy: d.defaultPolicy.Load(), Now: d.Now}
	h.problems = append(h.problems, problems.Sending(ctx)...)
	provider, err := problems.Provider(ctx, s.ReconcileAfter, s.Policies.Name)
	if err != nil {
		provider = append(provider, unread(err))
	}
	h.problems = append(h.problems, provider...)
	members, err := d.store.Members(ctx)
	if err != nil {
		h.problems = append(h.problems, unread(err))
	}
	h.problems = append(h.problems, idleDaemons(members)...)
	for _, m := range members {
		h.daemons = append(h.daemons, web.Daemon{Host: m.Host, PID: m.PID, Version: m.Version, Config: m.Config, Mode: m.Mode,
			Works: m.Works, Leads: m.Leads, Self: m.Self, SeenAt: m.SeenAt})
	}
	if err := d.store.Writable(d.Now()); err != nil {
		h.alive = false
		h.add("store_write", "the store cannot be written: "+err.Error(), "")
	}
	h.problems = append(h.problems, d.alerts.problems()...)
	if ctx.Err() == nil { // else some are not problems, but could not be read in time
		d.lastAlive.Store(0)
		if h.alive {
			d.lastAlive.Store(1)
		}
		d.lastProblems.Store(int64(len(h.problems)))
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
		if h := d.health(ctx, s); h.alive {
			notifySystemd(log, systemd.SdNotifyWatchdog)
		} else {
			log.Error("not well, so systemd's watchdog is not fed", "problems", Sentences(h.problems))
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
