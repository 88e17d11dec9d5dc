package store

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"duewatch/reminder"
	"duewatch/store/db"
)

// Warning is a problem that an operator must know of although texts go on.
type Warning struct {
	Reason reminder.Reason
	Since  time.Time
	Detail string // in one line, without phones and names
}

// Warn keeps a warning until its cause ends (EndWarning) or the operator
// releases it. One that stands already keeps its instant, and takes the new
// detail.
func (s *Store) Warn(now time.Time, reason reminder.Reason, detail string) error {
	if err := s.do(func(t *tx) error { return t.warn(now, reason, detail) }); err != nil {
		return fmt.Errorf("write warning: %w", err)
	}
	return nil
}

func (t *tx) warn(now time.Time, reason reminder.Reason, detail string) error {
	isNew, err := t.Changed("INSERT INTO warnings (reason, since, detail) VALUES (?1, ?2, ?3) ON CONFLICT (reason) DO NOTHING",
		reason, now.UnixMilli(), detail)
	if err != nil {
		return err
	}
	if !isNew {
		_, err := t.Exec("UPDATE warnings SET detail = ?2 WHERE reason = ?1 AND detail <> ?2", reason, detail)
		return err
	}
	return t.event(Event{At: now, What: "warning", Reason: string(reason), Detail: detail})
}

// EndWarning ends the warning of that reason, whose cause has ended.
func (s *Store) EndWarning(reason reminder.Reason) error {
	if err := s.do(func(t *tx) error { return t.endWarning(reason) }); err != nil {
		return fmt.Errorf("end warning: %w", err)
	}
	return nil
}

func (t *tx) endWarning(reason reminder.Reason) error {
	_, err := t.Exec("DELETE FROM warnings WHERE reason = ?1", reason)
	return err
}

// warned reports whether there is a warning of that reason.
func (t *tx) warned(reason reminder.Reason) (found bool, err error) {
	err = t.Row("SELECT EXISTS (SELECT 1 FROM warnings WHERE reason = ?1)", reason).Scan(&found)
	return found, err
}

// Warnings reads those that stand, the oldest first.
func (s *Store) Warnings(ctx context.Context) ([]Warning, error) {
	rows := s.read(ctx).Query("SELECT reason, since, detail FROM warnings ORDER BY since, reason")
	all, err := db.Collect(rows, func(r db.Scanner) (w Warning, err error) {
		err = r.Scan(&w.Reason, db.InstantTo(&w.Since), &w.Detail)
		return w, err
	})
	if err != nil {
		return nil, fmt.Errorf("read warnings: %w", err)
	}
	return all, nil
}

// metaReleased is the prefix of the facts that say when the operator last
// released a reason, in milliseconds.
const metaReleased = "released:"

func (t *tx) releasedAt(reason reminder.Reason, now time.Time) error {
	return t.setMeta(metaReleased+string(reason), strconv.FormatInt(now.UnixMilli(), 10))
}
