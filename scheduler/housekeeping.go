package scheduler

import "context"

// housekeeping forgets what is older than the retention and keeps the store
// quick. By a clock that nobody vouches for nothing is old.
func (s *Scheduler) housekeeping(ctx context.Context, j *job) error {
	const batch = 1000
	cutoff := s.Now().Add(-s.Retention)
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
