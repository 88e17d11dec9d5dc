package scheduler

import (
	"context"
	"time"
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
