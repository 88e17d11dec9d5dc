package scheduler

import (
	"context"
	"fmt"
	"time"

	"duewatch/reminder"
	"duewatch/store"
)

// A database may lose commits that it had confirmed, such as when a standby that was behind takes
// over. Texts that they record may have left, and nobody here knows of them. So sending is stopped
// until the operator has looked into it, and the provider's list is compared with the store as for
// a restored one: not before the last delay of reconcile_after, since the list may lag behind.

// stopIfStoreWentBack stops sending for a loss that it was not stopped for yet.
func (s *Scheduler) stopIfStoreWentBack(ctx context.Context) error {
	loss, err := s.Store.Loss(ctx)
	if err != nil || loss.At.IsZero() || loss.Stopped {
		return err
	}
	what := "the database is another server now, or a restored one, and no daemon is left that could tell whether it lacks commits"
	if loss.Commits > 0 {
		commits := "1 commit"
		if loss.Commits > 1 {
			commits = fmt.Sprintf("%d commits", loss.Commits)
		}
		what = "the database has lost " + commits + " that it had confirmed: it is another server now, behind the former one, or a restored one"
	}
	detail := fmt.Sprintf("%s. From %s on the provider's list is compared with the store; before, nothing is sent in any case",
		what, s.comparableFrom(loss).In(s.Zone).Format("15:04:05"))
	s.Log.Error("sending is stopped: " + detail)
	return s.Store.StopForLoss(s.Now(), detail)
}

// comparableFrom is from when on the provider's list shows what was sent before a loss.
func (s *Scheduler) comparableFrom(loss store.Loss) time.Time {
	if loss.At.IsZero() || len(s.ReconcileAfter) == 0 {
		return loss.At
	}
	return loss.At.Add(s.ReconcileAfter[len(s.ReconcileAfter)-1])
}

// stopsForLoss reports whether a stop for a loss waits for the operator.
func (s *Scheduler) stopsForLoss(ctx context.Context, now time.Time) (bool, error) {
	stops, err := s.Store.Stops(ctx, now)
	for _, stop := range stops {
		if stop.Reason == reminder.StoreWentBack {
			return true, nil
		}
	}
	return false, err
}
