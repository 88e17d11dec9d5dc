package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"duewatch/reminder"
)

// OpenScratch opens or makes a file that is thrown away, for one process alone,
// or without a path an empty store in memory, of a gigabyte at most. What it has
// written does not survive a power cut (synchronous=OFF), since nobody would miss
// it; it has no log and no lock, so that a commit costs no more than its pages.
func OpenScratch(ctx context.Context, path string) (*Store, error) {
	settings := url.Values{
		"_synchronous": {"OFF"}, "_journal_mode": {"MEMORY"}, "_locking_mode": {"EXCLUSIVE"}, "_foreign_keys": {"on"}, "_txlock": {"immediate"}, "_mutex": {"no"},
		"_stmt_cache_size": {"128"}, "_cache_size": {"-4000"}, // 8 MB: where a b-tree was balanced, a commit goes through all pages that are cached
	}
	file := "scratch"
	if path == "" {
		settings.Set("vfs", "memdb") // not :memory:, where all pages stay dirty and each commit goes through them
	} else {
		file = escapedPath(realPath(path))
	}
	db := sql.OpenDB(connector{"file:" + file + "?" + settings.Encode()})
	// Reads and writes share the connection, since the file is locked by it.
	db.SetMaxOpenConns(1)
	db.SetMaxIdleConns(1)
	if err := bringUp(ctx, db); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return &Store{read: db, write: startWriter(db)}, nil
}

// openTemporary is OpenScratch for a file in the temporary folder that is gone with
// the process, however that ends: once it is open, nothing leads to it. Its rows may
// refer to others that it does not have.
func openTemporary(ctx context.Context) (_ *Store, err error) {
	folder, err := os.MkdirTemp("", "duewatch-") // which no other user may enter
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	s, err := OpenScratch(ctx, filepath.Join(folder, "scratch.db"))
	if err != nil {
		return nil, err
	}
	if _, err := s.write.db.ExecContext(ctx, "PRAGMA foreign_keys = OFF"); err != nil {
		return nil, errors.Join(explain(err), s.Close())
	}
	// The C library keeps memory for each thread: without this a goroutine that moves
	// from thread to thread takes 10 MB more.
	err = s.do(func(*tx) error {
		runtime.LockOSThread()
		return nil
	})
	return s, err
}

// EachReminder calls each for all stages that were acted on since, with their
// bills' ids, in the order of their first record.
func (s *Store) EachReminder(ctx context.Context, since time.Time, each func(billID int64, r reminder.Reminder)) error {
	type ofBill struct {
		id, bill int64
		reminder.Reminder
	}
	return pages(ctx, s, "SELECT "+reminderColumns+", id, bill_id FROM reminders WHERE id > ?1 ORDER BY id LIMIT +?2", func(r row) (x ofBill, err error) {
		x.Reminder, err = scanReminder(withMore{r, []any{&x.id, &x.bill}})
		return x, err
	}, func(x ofBill) int64 {
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
	return pages(ctx, s, "SELECT id, phone, language, state, segments, created_at, planned_at FROM texts WHERE id > ?1 ORDER BY id LIMIT +?2", func(r row) (x TextTo, err error) {
		err = r.Scan(&x.ID, &x.Phone, &x.Language, &x.State, &x.Segments, instantColumn{&x.At}, instantColumn{&x.Planned})
		return x, err
	}, func(x TextTo) int64 {
		if !x.At.Before(since) && x.State != Refused && x.State != NotFound {
			each(x)
		}
		return x.ID
	})
}

// pages reads all rows of a query that goes on after an id, ?1, with up to ?2
// rows. each returns the row's id.
func pages[T any](ctx context.Context, s *Store, query string, scan func(row) (T, error), each func(T) int64) error {
	const page = 1000
	for last := int64(0); ; {
		rows, err := s.read.QueryContext(ctx, query, last, page)
		if err != nil {
			return fmt.Errorf("read all: %w", explain(err))
		}
		some, err := collect(rows, scan)
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
