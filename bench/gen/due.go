package gen

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"time"
)

// Due is which bills of a store shall be due for a text at one instant: n of
// them, step apart, the first with the id from.
type Due struct {
	From, Step, N int
	At            time.Time
}

// MakeDue lets bills owe something that was asked about just before, and have
// their due date on that day.
func MakeDue(ctx context.Context, path string, d Due) (err error) {
	return change(ctx, path, func(c *sql.Conn) error {
		_, err := c.ExecContext(ctx, `UPDATE bills SET state = 'active', balance = '1250.50', usual = '1250.50', balance_at = ?4,
			due_date = ?5, customer = 'Wanjiku Kamau', verified = 1 `+chosen,
			d.From, d.Step, d.N, d.At.Add(-time.Minute).UnixMilli(), d.At.Format(time.DateOnly))
		if err != nil {
			return fmt.Errorf("make bills due: %w", err)
		}
		return setDue(ctx, c, "due_remind", d, d.At)
	})
}

// MakeTexted has bills of MakeDue texted and the texts delivered so many days
// before, each in a stage of its own.
func MakeTexted(ctx context.Context, path string, d Due, daysBefore ...int) error {
	return change(ctx, path, func(c *sql.Conn) error {
		var texts int64
		if err := c.QueryRowContext(ctx, "SELECT coalesce(max(id), 0) FROM texts").Scan(&texts); err != nil {
			return err
		}
		_, err := c.ExecContext(ctx, "INSERT INTO phones (number) SELECT phone FROM bills "+chosen+" ORDER BY id ON CONFLICT DO NOTHING",
			d.From, d.Step, d.N)
		if err != nil {
			return fmt.Errorf("make bills texted: %w", err)
		}
		for i, days := range daysBefore {
			at := d.At.AddDate(0, 0, -days).UnixMilli()
			first := texts + int64(i*d.From+i*d.Step*d.N) // of the text of a bill it is this and the id of the bill
			for _, s := range []string{
				`INSERT INTO texts (id, phone, phone_id, sent_to, body, language, segments, state, owner, lease_until, planned_at,
					not_after, created_at, accepted_at, settled_at, provider_id, provider_status)
				SELECT ?4 + id, phone, (SELECT phone_id FROM phones WHERE number = phone), phone,
					'Hello Wanjiku Kamau, your Nairobi Water bill (account ' || account || ') is due in ' || -?6 ||
					' days. Amount due: KES 1,250.50.',
					'en', 1, 'delivered', 'bench', ?5, ?5, ?5, ?5, ?5, ?5, 'SM' || printf('%032x', ?4 + id), 'delivered' FROM bills ` + chosen,
				`INSERT INTO reminders (bill_id, due_date, stage, outcome, reason, text_id, decided_at)
				SELECT id, due_date, ?6, 'texted', 'on_schedule', ?4 + id, ?5 FROM bills ` + chosen,
				`INSERT INTO events (at, bill_id, text_id, what, reason, detail)
				SELECT ?5, id, ?4 + id, 'texted', 'on_schedule',
					-?6 || ' days before, due ' || due_date || ': balance KES 1,250.50, asked 1m0s ago' FROM bills ` + chosen,
				`INSERT INTO events (at, bill_id, text_id, what, reason, detail)
				SELECT ?5, id, ?4 + id, 'accepted', 'provider', 'the provider took it as SM' || printf('%032x', ?4 + id) FROM bills ` + chosen,
			} {
				if _, err := c.ExecContext(ctx, s, d.From, d.Step, d.N, first, at, -days); err != nil {
					return fmt.Errorf("make bills texted: %w", err)
				}
			}
		}
		return nil
	})
}

// MakeRecheckDue lets bills be due for a question to Almara Pay.
func MakeRecheckDue(ctx context.Context, path string, d Due) error {
	return change(ctx, path, func(c *sql.Conn) error {
		return setDue(ctx, c, "due_recheck", d, d.At)
	})
}

// setDue gives bills the next instant of a job, whose queue the table is.
func setDue(ctx context.Context, c *sql.Conn, table string, d Due, at time.Time) error {
	_, err := c.ExecContext(ctx, "INSERT OR REPLACE INTO "+table+" (bill_id, at) SELECT id, ?4 FROM bills "+chosen,
		d.From, d.Step, d.N, at.UnixMilli())
	if err != nil {
		return fmt.Errorf("fill %s: %w", table, err)
	}
	return nil
}

// SetFact changes one of the facts that a store was made with.
func SetFact(ctx context.Context, path, key, value string) error {
	return change(ctx, path, func(c *sql.Conn) error {
		_, err := c.ExecContext(ctx, "UPDATE meta SET value = ?2 WHERE key = ?1", key, value)
		return err
	})
}

// Reported counts the receipts that moved a text.
func Reported(ctx context.Context, path string) (n int, err error) {
	err = change(ctx, path, func(c *sql.Conn) error {
		return c.QueryRowContext(ctx, "SELECT count(*) FROM events WHERE what IN ('sent', 'delivered')").Scan(&n)
	})
	return n, err
}

// MakeIdle takes bills out of the sight of all jobs for years.
func MakeIdle(ctx context.Context, path string, d Due) error {
	return change(ctx, path, func(c *sql.Conn) error {
		for _, table := range []string{"due_remind", "due_recheck"} {
			if err := setDue(ctx, c, table, d, d.At.AddDate(5, 0, 0)); err != nil {
				return err
			}
		}
		return nil
	})
}

// Clean forgets what was texted.
func Clean(ctx context.Context, path string) error {
	return change(ctx, path, func(c *sql.Conn) error {
		for _, table := range []string{"reminders", "texts", "phones", "events", "usage", "stops", "foreign_messages"} {
			if _, err := c.ExecContext(ctx, "DELETE FROM "+table); err != nil {
				return err
			}
		}
		return nil
	})
}

// chosen is the condition by which ?3 bills are taken, ?2 apart, from ?1 on.
const chosen = "WHERE id IN (WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < ?3) SELECT ?1 + i * ?2 FROM n)"

// Bytes is how much of the file holds something.
func Bytes(ctx context.Context, path string) (n int64, err error) {
	err = change(ctx, path, func(c *sql.Conn) error {
		var pages, free, size int64
		for pragma, to := range map[string]*int64{"page_count": &pages, "freelist_count": &free, "page_size": &size} {
			if err := c.QueryRowContext(ctx, "PRAGMA "+pragma).Scan(to); err != nil {
				return err
			}
		}
		n = (pages - free) * size
		return nil
	})
	return n, err
}

func change(ctx context.Context, path string, do func(*sql.Conn) error) (err error) {
	db, err := sql.Open("sqlite3", "file:"+path+"?_synchronous=OFF&_cache_size=-100000")
	if err != nil {
		return err
	}
	c, err := db.Conn(ctx)
	if err != nil {
		return errors.Join(err, db.Close())
	}
	err = do(c)
	// The log is emptied into the file: the one who measures begins with an empty one.
	if _, failed := c.ExecContext(ctx, "PRAGMA wal_checkpoint(TRUNCATE)"); failed != nil {
		err = errors.Join(err, failed)
	}
	return errors.Join(err, c.Close(), db.Close(), flush(path))
}

// flush waits until a file is on disk: what it was made by must not be paid for by
// the one who measures and flushes it first.
func flush(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// AcceptedAt is when the provider took each text, in milliseconds, the first one first. It
// only reads, beside a daemon.
func AcceptedAt(ctx context.Context, path string) (at []int64, err error) {
	db, err := sql.Open("sqlite3", "file:"+path+"?mode=ro&_busy_timeout=5000")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	rows, err := db.QueryContext(ctx, "SELECT accepted_at FROM texts WHERE accepted_at IS NOT NULL ORDER BY accepted_at")
	if err != nil {
		return nil, fmt.Errorf("read the texts: %w", err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var ms int64
		if err := rows.Scan(&ms); err != nil {
			return nil, err
		}
		at = append(at, ms)
	}
	return at, rows.Err()
}
