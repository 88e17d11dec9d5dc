package store

import (
	"context"
	"fmt"
	"time"

	"duewatch/reminder"
)

// Trim deletes what is older than the cutoff, at most n rows of each kind: the
// trail, the records of due dates before that day, and their texts unless they
// are in doubt. It returns how many rows went; call it until that is zero.
// Each table is written in the order of time, so only its old head is read.
func (s *Store) Trim(cutoff time.Time, n int) (deleted int64, err error) {
	oldest := reminder.DateOf(cutoff.UTC()).String()
	// What follows the first row that is younger than the cutoff is not read.
	head := func(table, column string) string {
		return "id < coalesce((SELECT id FROM " + table + " WHERE " + column + " >= ?1 ORDER BY id LIMIT 1), 9223372036854775807)"
	}
	statements := []struct {
		sql  string
		args []any
	}{
		{"DELETE FROM events WHERE id IN (SELECT id FROM events WHERE " + head("events", "at") + " ORDER BY id LIMIT ?2 + 0)", nil},
		{"DELETE FROM reminders WHERE id IN (SELECT id FROM reminders WHERE " + head("reminders", "decided_at") +
			" AND due_date < ?3 ORDER BY id LIMIT ?2 + 0)", []any{oldest}},
		{"DELETE FROM texts WHERE id IN (SELECT id FROM texts WHERE " + head("texts", "created_at") + ` AND state NOT IN ('sending', 'unknown')
			AND NOT EXISTS (SELECT 1 FROM reminders WHERE text_id = texts.id) ORDER BY id LIMIT ?2 + 0)`, nil},
	}
	err = s.do(func(t *tx) error {
		deleted = 0
		for _, st := range statements {
			r, err := t.Exec(st.sql, append([]any{cutoff.UnixMilli(), n}, st.args...)...)
			if err != nil {
				return err
			}
			rows, err := r.RowsAffected()
			if err != nil {
				return err
			}
			deleted += rows
		}
		if _, err := t.Exec("DELETE FROM doubted_payments WHERE until_at < ?1", cutoff.UnixMilli()); err != nil {
			return err
		}
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("trim: %w", err)
	}
	return deleted, nil
}

// Tidy keeps the write-ahead log short. It leaves it as it is when a command
// reads for so long that writes would have to wait.
//
// It gathers no statistics: every statement finds its index without them, and those
// of a young store make an engine read whole tables that have grown since.
func (s *Store) Tidy(ctx context.Context) error { return s.db.Tidy(ctx) }

// Writable proves that the store can be written, by a write as durable as any.
func (s *Store) Writable(now time.Time) error {
	return s.SetMeta("alive", now.UTC().Format(time.RFC3339))
}
