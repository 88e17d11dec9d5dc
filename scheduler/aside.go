package scheduler

import (
	"context"
	"fmt"

	"duewatch/reminder"
)

// What one of several daemons finds may be true of its machine alone: that nobody vouches for the
// clock, or that the provider does not answer. It steps aside then, and the others do its work. Where
// none of them can, it is as with one daemon: sending is stopped in the store, and everybody sees why.

// stepAside has this daemon leave its work to the others, and reports whether there are any that
// can do it. Without a time (why.until) it is until stepBack.
func (s *Scheduler) stepAside(ctx context.Context, why *stoppedError) (others bool, err error) {
	s.aside.Store(why)
	return s.Store.StepAside(ctx, why.reason)
}

// stepBack has this daemon do its part again, if it does not for that reason.
func (s *Scheduler) stepBack(ctx context.Context, reason reminder.Reason) error {
	why := s.aside.Load()
	if why == nil || why.reason != reason {
		return nil
	}
	if err := s.Store.StepBack(ctx); err != nil {
		return err
	}
	s.aside.Store(nil)
	return nil
}

// isAside says why this daemon leaves its work to the others; nil = it does not, or not any more.
func (s *Scheduler) isAside(ctx context.Context) error {
	why := s.aside.Load()
	if why != nil && !why.until.IsZero() && !s.Now().Before(why.until) {
		return s.stepBack(ctx, why.reason)
	}
	portion, err := s.Store.Portion(ctx)
	switch {
	case err != nil:
		return err
	case why == nil && portion.Aside: // the database has lost that it stepped back
		return s.Store.StepBack(ctx)
	case why == nil || portion.Works: // the others are aside as well
		return nil
	}
	return leftToOthers(why)
}

func leftToOthers(why *stoppedError) error {
	return fmt.Errorf("this daemon leaves its work to the others: %w", why.err)
}
