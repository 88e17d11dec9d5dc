package scheduler

import (
	"context"
	"log/slog"
	"time"

	"duewatch/reminder"
)

// noticeEvery is how soon the daemon acts on what a command changed beside it.
// A look costs less than a tenth of a millisecond.
const noticeEvery = time.Second

// noticeCommands wakes the jobs when another process wrote to the store: what
// was imported, released or edited is taken up within a second or two, and not
// at the next tick of a job that may have hours between its ticks.
func (s *Scheduler) noticeCommands(ctx context.Context) {
	every := time.NewTicker(noticeEvery)
	defer every.Stop()
	seen, err := s.Store.OthersWrote(ctx)
	for {
		s.report(ctx, "notice commands", err)
		select {
		case <-ctx.Done():
			return
		case <-every.C:
		}
		var now int64
		if now, err = s.Store.OthersWrote(ctx); err == nil && now != seen {
			seen = now
			for _, name := range []string{jobRegister, jobRecheck, jobRemind} {
				s.wake(name)
			}
		}
	}
}

// logChangesEvery is how soon the log says that a stop, a guard or a warning begins or ends.
const logChangesEvery = 10 * time.Second

// logChanges looks for them until ctx ends.
func (s *Scheduler) logChanges(ctx context.Context) {
	every := time.NewTicker(logChangesEvery)
	defer every.Stop()
	var stand map[reminder.Reason]alarm
	for {
		stand = s.logChange(ctx, stand)
		select {
		case <-ctx.Done():
			return
		case <-every.C:
		}
	}
}

// logChange logs each stop, guard and warning that began or ended since a look, whichever
// process or job wrote it: whoever reads the log alone must learn why no text leaves. It
// returns those that stand now.
func (s *Scheduler) logChange(ctx context.Context, before map[reminder.Reason]alarm) map[reminder.Reason]alarm {
	now, err := s.alarms(ctx)
	if err != nil {
		s.report(ctx, "read what holds texts", err)
		return before
	}
	for reason, is := range now {
		if _, known := before[reason]; !known {
			s.Log.Log(ctx, is.level, reason.Info().Means, "reason", string(reason), "detail", is.detail)
		}
	}
	for reason := range before {
		if _, still := now[reason]; !still {
			s.Log.Info("over: "+reason.Info().Means, "reason", string(reason))
		}
	}
	return now
}

// alarm is a stop, a guard that holds texts, or a warning.
type alarm struct {
	level  slog.Level // error where nothing leaves until somebody acts
	detail string
}

// alarms are those that stand.
func (s *Scheduler) alarms(ctx context.Context) (map[reminder.Reason]alarm, error) {
	blockers, err := s.Store.Blockers(ctx, s.Policies.Default, s.Now())
	if err != nil {
		return nil, err
	}
	stand := make(map[reminder.Reason]alarm)
	for _, w := range blockers.Warnings {
		stand[w.Reason] = alarm{slog.LevelWarn, w.Detail}
	}
	if blockers.Guard != "" {
		stand[blockers.Guard] = alarm{slog.LevelWarn, blockers.Figures}
	}
	for _, stop := range blockers.Stops {
		level := slog.LevelError
		if !stop.Until.IsZero() {
			level = slog.LevelWarn
		}
		stand[stop.Reason] = alarm{level, stop.Detail}
	}
	return stand, nil
}
