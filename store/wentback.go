package store

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"duewatch/reminder"
	"duewatch/store/db"
)

// metaLossStopped is the loss of commits that sending was stopped for last. When the operator has
// released that stop, the same loss brings it back no more.
const metaLossStopped = "went_back_stopped"

// Loss is that the database lost commits that it had confirmed.
type Loss struct {
	At      time.Time // when a daemon found it; zero = there was none
	Commits int64     // how many, of the daemons that knew; 0 = nobody is left who knows, and none may be lost
	Stopped bool      // sending was stopped for it
}

// Loss reads the last loss of commits. A file has none.
func (s *Store) Loss(ctx context.Context) (l Loss, err error) {
	found, err := s.Meta(ctx, db.FactWentBack)
	if err != nil || found == "" {
		return l, err
	}
	stopped, err := s.Meta(ctx, metaLossStopped)
	if err != nil {
		return l, err
	}
	var fact db.WentBack
	if err := json.Unmarshal([]byte(found), &fact); err != nil {
		return l, fmt.Errorf("read which commits were lost: %w", err)
	}
	return Loss{At: time.UnixMilli(fact.AtMS), Commits: fact.Commits, Stopped: stopped == found}, nil
}

// StopForLoss stops sending since commits were lost. When more of them come to light it says so.
func (s *Store) StopForLoss(now time.Time, detail string) error {
	stop := reminder.Stop{Reason: reminder.StoreWentBack, Detail: detail}
	err := s.do(func(t *tx) error {
		found, err := metaOf(t, db.FactWentBack)
		if err != nil {
			return err
		}
		if _, err := t.Exec("DELETE FROM stops WHERE reason = ?1", stop.Reason); err != nil {
			return err
		}
		if err := t.stopSending(now, stop); err != nil {
			return err
		}
		return t.setMeta(metaLossStopped, found)
	})
	if err != nil {
		return fmt.Errorf("stop sending: %w", err)
	}
	return nil
}
