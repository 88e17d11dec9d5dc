package store

import (
	"context"
	"fmt"
	"time"

	"duewatch/reminder"
)

// Trim deletes what is older than the cutoff, at most n rows of each kind: the
// trail, the records of due dates before that day, and their texts unless they
// are in doubt. It returns how many rows went; call it until that is zero. Each
// table is written in the order of time, so only its head is read.
func (s *Store) Trim(_ context.Context, cutoff time.Time, n int) (deleted int64, err error) {
	oldest := reminder.DateOf(cutoff.UTC()).String()
	statements := []struct {
		sql  string
		args []any
	}{
		{`DELETE FROM events WHERE at < ?1 AND id IN (SELECT id FROM events ORDER BY id LIMIT ?2)`, []any{cutoff.UnixMilli(), n}},
		{`DELETE FROM reminders WHERE due_date < ?1 AND decided_at < ?2 AND id IN (SELECT id FROM reminders ORDER BY id LIMIT ?3)`,
			[]any{oldest, cutoff.UnixMilli(), n}},
		{`DELETE FROM texts WHERE created_at < ?1 AND state NOT IN ('sending', 'unknown') AND id IN (SELECT id FROM texts ORDER BY id LIMIT ?2)
			AND NOT EXISTS (SELECT 1 FROM reminders WHERE text_id = texts.id)`, []any{cutoff.UnixMilli(), n}},
	}
	err = s.write.do(func(t *tx) error {
		deleted = 0
		for _, st := range statements {
			r, err := t.exec(st.sql, st.args...)
			if err != nil {
				return err
			}
			rows, err := r.RowsAffected()
			if err != nil {
				return explain(err)
			}
			deleted += rows
		}
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("trim: %w", err)
	}
	return deleted, nil
}

// Tidy keeps queries fast and the write-ahead log short.
func (s *Store) Tidy(ctx context.Context) error {
	for _, pragma := range []string{"PRAGMA optimize", "PRAGMA wal_checkpoint(TRUNCATE)"} {
		if _, err := s.write.db.ExecContext(ctx, pragma); err != nil {
			return fmt.Errorf("tidy store: %w", explain(err))
		}
	}
	return nil
}

// Writable proves that the store can be written, by a write as durable as any.
func (s *Store) Writable(ctx context.Context, now time.Time) error {
	return s.SetMeta(ctx, "alive", now.UTC().Format(time.RFC3339))
}
