package store

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"duewatch/reminder"
	"duewatch/store/db"
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
		_, err := t.Exec("DELETE FROM doubted_payments WHERE until_at < ?1", cutoff.UnixMilli())
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("trim: %w", err)
	}
	return deleted, nil
}

// TrimForgotten removes what is of no more use of people who were forgotten.
func (s *Store) TrimForgotten(now time.Time) error {
	if err := s.do(func(t *tx) error { return t.trimForgotten(now) }); err != nil {
		return fmt.Errorf("trim what is left of forgotten people: %w", err)
	}
	return nil
}

// TrimWords removes the words of texts that are older than the cutoff, of up to n texts. It
// returns how many it has been through; call it until that is zero. Where the answer of the
// provider was lost, the text is found in its list by nothing but its words: they stay.
func (s *Store) TrimWords(cutoff time.Time, n int) (done int, err error) {
	const metaDone = "words_trimmed_to" // the id of the last text that it has been through
	err = s.do(func(t *tx) error {
		done = 0
		value, err := metaOf(t, metaDone)
		if err != nil {
			return err
		}
		from := int64(0)
		if value != "" {
			if from, err = strconv.ParseInt(value, 10, 64); err != nil {
				return err
			}
		}
		last, young := from, false
		rows := t.Query("SELECT id, created_at FROM texts WHERE id > ?1 ORDER BY id LIMIT ?2 + 0", from, n)
		if _, err := db.Collect(rows, func(r db.Scanner) (none struct{}, err error) {
			var id int64
			var created time.Time
			err = r.Scan(&id, db.InstantTo(&created))
			if young = young || !created.Before(cutoff); !young {
				last, done = id, done+1
			}
			return none, err
		}); err != nil || done == 0 {
			return err
		}
		if _, err := t.Exec("UPDATE texts SET body = '' WHERE id > ?1 AND id <= ?2 AND (provider_id IS NOT NULL OR state = 'refused')",
			from, last); err != nil {
			return err
		}
		return t.setMeta(metaDone, strconv.FormatInt(last, 10))
	})
	if err != nil {
		return 0, fmt.Errorf("trim the words of texts: %w", err)
	}
	return done, nil
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
