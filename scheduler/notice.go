package scheduler

import (
	"context"
	"errors"
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

// logChangesEvery is how soon the log says that a stop or a warning begins or ends.
const logChangesEvery = 10 * time.Second

func (s *Scheduler) logChanges(ctx context.Context) {
	every := time.NewTicker(logChangesEvery)
	defer every.Stop()
	var stand map[reminder.Reason]string
	for {
		stand = s.logChange(ctx, stand)
		select {
		case <-ctx.Done():
			return
		case <-every.C:
		}
	}
}

// logChange logs each stop and each warning that began or ended since a look, whichever
// process or job wrote it: whoever reads the log alone must learn why no text leaves. It
// returns those that stand now.
func (s *Scheduler) logChange(ctx context.Context, before map[reminder.Reason]string) map[reminder.Reason]string {
	now, err := s.standing(ctx)
	if err != nil {
		s.report(ctx, "read stops and warnings", err)
		return before
	}
	for reason, detail := range now {
		if _, known := before[reason]; !known {
			s.Log.Error(reason.Info().Means, "reason", string(reason), "detail", detail)
		}
	}
	for reason := range before {
		if _, still := now[reason]; !still {
			s.Log.Info("over: "+reason.Info().Means, "reason", string(reason))
		}
	}
	return now
}

// standing are the stops and warnings that stand, with their details.
func (s *Scheduler) standing(ctx context.Context) (map[reminder.Reason]string, error) {
	stops, err := s.Store.Stops(ctx, s.Now())
	warnings, errWarnings := s.Store.Warnings(ctx)
	stand := make(map[reminder.Reason]string, len(stops)+len(warnings))
	for _, x := range stops {
		stand[x.Reason] = x.Detail
	}
	for _, x := range warnings {
		stand[x.Reason] = x.Detail
	}
	return stand, errors.Join(err, errWarnings)
}
