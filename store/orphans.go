package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"duewatch/reminder"
	"duewatch/store/db"
)

// inDoubt is the condition of the index texts_in_doubt, to the letter: SQLite
// uses a partial index only where it finds its condition again.
const inDoubt = "state IN ('sending', 'unknown')"

// Orphans turns the texts that another process, which must be dead, or this
// one, past its lease, left in state sending into unknown: whether they
// reached the provider cannot be told from here. They are looked up there at
// nextLook. It returns how many.
func (s *Store) Orphans(now time.Time, owner string, nextLook time.Time) (n int, err error) {
	err = s.do(func(t *tx) error {
		rows, err := t.Query("SELECT id FROM texts WHERE "+inDoubt+" AND state = 'sending' AND (owner <> ?1 OR lease_until < ?2)", owner, now.UnixMilli())
		if err != nil {
			return err
		}
		ids, err := db.Collect(rows, db.ScanID)
		if err != nil {
			return err
		}
		n = len(ids)
		for _, id := range ids {
			const why = "duewatch ended while the provider was being called"
			if _, err := t.Exec("UPDATE texts SET state = 'unknown', error = ?2, next_look_at = ?3, refused_for = ?4 WHERE id = ?1 AND state = 'sending'",
				id, why, nextLook.UnixMilli(), reminder.ShuttingDown); err != nil {
				return err
			}
			if err := t.settleReminders(now, id, always(SendOutcome{TextID: id, State: Unknown, Error: why})); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("find texts in doubt: %w", err)
	}
	return n, nil
}

// GiveBack gives back the texts in state sending of a process that knows that it
// never handed them over: all but those that it names. Their intents were
// committed although the commit seemed to fail, or nothing more could be written
// since. They are decided again at once. It returns how many there were.
func (s *Store) GiveBack(ctx context.Context, now time.Time, owner string, but map[int64]bool) (n int, err error) {
	const why = "it was never handed over: a fault of the store came first"
	rows, err := s.read(ctx).Query("SELECT id FROM texts WHERE "+inDoubt+" AND state = 'sending' AND owner = ?1", owner)
	if err != nil {
		return 0, fmt.Errorf("find texts that were not handed over: %w", err)
	}
	ids, err := db.Collect(rows, db.ScanID)
	if err != nil {
		return 0, fmt.Errorf("find texts that were not handed over: %w", err)
	}
	var all []SendOutcome
	for _, id := range ids {
		if !but[id] {
			all = append(all, SendOutcome{TextID: id, State: Refused, Hold: reminder.NotHandedOver, Until: now, Error: why})
		}
	}
	if len(all) == 0 {
		return 0, nil
	}
	errs := s.RecordOutcomes(now, all)
	for _, err := range errs {
		if err == nil {
			n++
		}
	}
	return n, errors.Join(errs...)
}
