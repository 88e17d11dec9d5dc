package store

import (
	"context"
	"fmt"
	"time"

	"duewatch/reminder"
	"duewatch/store/db"
)

// EachReminder calls each for all stages that were acted on since, with their
// bills' ids, in the order of their first record.
func (s *Store) EachReminder(ctx context.Context, since time.Time, each func(billID int64, r reminder.Reminder)) error {
	type ofBill struct {
		id, bill int64
		reminder.Reminder
	}
	const query = "SELECT " + reminderColumns + ", id, bill_id FROM reminders WHERE id > ?1 ORDER BY id LIMIT ?2 + 0"
	scan := func(r db.Scanner) (x ofBill, err error) {
		x.Reminder, err = scanReminder(withMore{r, []any{&x.id, &x.bill}})
		return x, err
	}
	return pages(ctx, s, query, scan, func(x ofBill) int64 {
		if !x.DecidedAt.Before(since) {
			each(x.bill, x.Reminder)
		}
		return x.id
	})
}

// TextTo is a text by whom it was for.
type TextTo struct {
	ID       int64
	Phone    reminder.Phone
	Language string
	State    TextState
	Segments int
	At       time.Time
	Planned  time.Time
}

// EachText calls each for all texts that were handed over since, in their
// order.
func (s *Store) EachText(ctx context.Context, since time.Time, each func(TextTo)) error {
	const query = `SELECT id, phone, language, state, segments, created_at, planned_at FROM texts
		WHERE id > ?1 ORDER BY id LIMIT ?2 + 0`
	scan := func(r db.Scanner) (x TextTo, err error) {
		err = r.Scan(&x.ID, &x.Phone, &x.Language, &x.State, &x.Segments, db.InstantTo(&x.At), db.InstantTo(&x.Planned))
		return x, err
	}
	return pages(ctx, s, query, scan, func(x TextTo) int64 {
		if !x.At.Before(since) && x.State != Refused && x.State != NotFound {
			each(x)
		}
		return x.ID
	})
}

// pages reads all rows of a query that goes on after an id, ?1, with up to ?2
// rows. each returns the row's id.
func pages[T any](ctx context.Context, s *Store, query string, scan func(db.Scanner) (T, error), each func(T) int64) error {
	const page = 1000
	for last := int64(0); ; {
		rows := s.read(ctx).Query(query, last, page)
		some, err := db.Collect(rows, scan)
		if err != nil {
			return fmt.Errorf("read all: %w", err)
		}
		for _, x := range some {
			last = each(x)
		}
		if len(some) < page {
			return nil
		}
	}
}
