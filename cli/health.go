package cli

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"time"

	systemd "github.com/coreos/go-systemd/v22/daemon"

	"duewatch/reminder"
	"duewatch/scheduler"
	"duewatch/store"
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
	if why := d.refused.Load(); why != nil {
		h.Problems = append(h.Problems, "the last reload was refused, so the config and the lists from before it stay in use: "+shortened(*why))
	}
	h.Problems = append(h.Problems, d.sendingProblems(ctx)...)
	said, err := d.app.providerSentences(ctx, d.store, s.ReconcileAfter, s.Policies.Name, d.policy.Load().Zone)
	if err != nil {
		said = append(said, err.Error())
	}
	h.Problems = append(h.Problems, said...)
	if err := d.store.Writable(d.app.now()); err != nil {
		h.Alive = false
		h.Problems = append(h.Problems, "the store cannot be written: "+err.Error())
	}
	return h
}

// mostOfReload is how much of the faults of a refused reload /healthz repeats, in
// bytes: the log has them all.
const mostOfReload = 500

func shortened(s string) string {
	if len(s) > mostOfReload {
		s = strings.ToValidUTF8(s[:mostOfReload], "") + " …; the log has all"
	}
	return s
}

// manyFiltered of the last texts kept back for their words are no accident.
const manyFiltered = 5

// sendingProblems says what keeps texts from leaving, and what to do about it.
func (d *daemon) sendingProblems(ctx context.Context) (problems []string) {
	now, policy := d.app.now(), d.policy.Load()
	blockers, err := d.store.Blockers(ctx, policy, now)
	if err != nil {
		return []string{err.Error()}
	}
	for _, s := range blockers.Stops {
		problems = append(problems, "sending is stopped since "+d.app.shortTime(s.Since, policy.Zone)+": "+d.app.stopSentence(s, policy.Zone))
	}
	for _, w := range blockers.Warnings {
		problems = append(problems, d.app.warningSentence(w, policy.Zone))
	}
	refused, err := d.app.refusedSentences(ctx, d.store, policy.Zone)
	if err != nil {
		return append(problems, err.Error())
	}
	problems = append(problems, refused...)
	if guard := blockers.Guard; guard != "" {
		problems = append(problems, fmt.Sprintf("texts are held by a guard, %s: %s; after a look, duewatch release --reason %s lets them go",
			guard, blockers.Figures, guard))
	}
	if filtered, recent := blockers.State.Filtered, blockers.State.Recent; filtered >= manyFiltered {
		problems = append(problems, fmt.Sprintf("%d of the last %d texts were kept back for their words: carriers take them for advertising", filtered, recent))
	}
	return problems
}

// stopSentence is a stop, why, and how it ends.
func (a *app) stopSentence(s store.Stopped, zone *time.Location) string {
	release := "duewatch release --reason " + string(s.Reason)
	end := "; " + release + " lets it go on"
	if !s.Until.IsZero() {
		end = "; it is tried again at " + a.hour(s.Until, zone) + ", or by " + release
	}
	return string(s.Reason) + ": " + s.Detail + end
}

// warningSentence is a warning, and how it ends.
func (a *app) warningSentence(w store.Warning, zone *time.Location) string {
	says := fmt.Sprintf("%s since %s: %s", w.Reason, a.shortTime(w.Since, zone), w.Detail)
	if w.Reason == reminder.ListShrank {
		return says // it says itself how it ends
	}
	return says + fmt.Sprintf("; after a look, duewatch release --reason %s ends this warning", w.Reason)
}

// feedWatchdog tells systemd that the daemon is alive, as long as it is. A
// daemon that is not is restarted by systemd.
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

// notifySystemd tells systemd about the daemon's state; without systemd it
// does nothing.
func notifySystemd(log *slog.Logger, state string) {
	if _, err := systemd.SdNotify(false, state); err != nil {
		log.Warn("systemd cannot be told", "state", state, "err", err)
	}
}
