package scheduler

import (
	"context"
	"time"
)

// housekeeping forgets what is older than the retention and keeps the store
// quick. By a clock that nobody vouches for nothing is old.
func (s *Scheduler) housekeeping(ctx context.Context, j *job) error {
	const batch = 1000
	if leads, err := s.Store.Leads(ctx); err != nil || !leads {
		return err
	}
	now := s.Now()
	cutoff := now.Add(-s.Retention)
	if s.ClockCheck.stateNow().sure {
		if err := s.trimPersonal(ctx, j, now, batch); err != nil {
			return err
		}
	}
	for total := int64(0); ctx.Err() == nil; {
		j.heartbeat()
		if !s.ClockCheck.stateNow().sure { // after the hour was read
			return s.Store.Tidy(ctx)
		}
		n, err := s.Store.Trim(cutoff, batch)
		if err != nil {
			return err
		}
		total += n
		if n == 0 {
			if total > 0 {
				s.Log.Info("history older than the retention is gone", "rows", total, "retention", s.Retention.String())
			}
			return s.Store.Tidy(ctx)
		}
	}
	return nil
}

// trimPersonal removes the words of old texts, and what is of no more use of people who were
// forgotten.
func (s *Scheduler) trimPersonal(ctx context.Context, j *job, now time.Time, batch int) error {
	if err := s.Store.TrimForgotten(now); err != nil {
		return err
	}
	if s.WordsRetention == 0 {
		return nil
	}
	for done := batch; done > 0 && ctx.Err() == nil; {
		j.heartbeat()
		var err error
		if done, err = s.Store.TrimWords(now.Add(-s.WordsRetention), batch); err != nil {
			return err
		}
	}
	return nil
}
