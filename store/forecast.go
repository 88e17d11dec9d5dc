package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"duewatch/reminder"
	"duewatch/store/db"
)

// Forecast is a store to look ahead in. Whatever is decided in it is decided by
// the statements and rules of Store itself, on a copy that grows with what is
// looked at: temporary tables of the same names, which SQLite finds before those
// of the file. The file is read a few bills at a time and never written, and no
// read lasts, so that a daemon beside it is held up by nothing. The copy is in a
// file of SQLite's own in the temporary folder, gone with the process.
type Forecast struct {
	*Store

	// How far the queue of the file has been walked, and the latest text of the
	// file when it was opened: those of the forecast come after it.
	at, bill, lastText int64

	// The bills planned anew; nil = as the file has them. The queue to walk is
	// then temp.plan.
	plan *plan
}

// OpenForecast opens an existing file to look ahead from it. It returns
// ErrNotFound when there is no file yet.
func OpenForecast(ctx context.Context, path string) (*Forecast, error) {
	file, err := OpenReader(ctx, path) // says what is wrong with it
	if err != nil {
		return nil, err
	}
	if err := file.Close(); err != nil {
		return nil, err
	}
	s, err := opened(db.OpenShadow(ctx, path))
	if err != nil {
		return nil, err
	}
	f := &Forecast{Store: s, at: -1 << 62}
	if err := f.do(func(t *tx) error { return f.begin(t) }); err != nil {
		return nil, errors.Join(fmt.Errorf("look ahead (in the temporary folder %s): %w", os.TempDir(), err), f.Close())
	}
	return f, nil
}

// What of a table is copied. A table that is not named here is small and copied
// as a whole.
var copied = map[string]string{
	"bills":                 "with their phone",
	"due_remind":            "with their bill",
	"reminders":             "with their bill, of its due date, and its last texts",
	"foreign_messages":      "with their bill",
	"opt_outs":              "with their phone",
	"phones":                "with their bills; and the last of all, after which those to come are counted",
	"texts":                 "with their phone, those of late; and the latest of all",
	"unattributed_messages": "not at all",
	"answer_minutes":        "not at all",
	"due_register":          "not at all",
	"due_recheck":           "not at all",
	"refused_bills":         "not at all",
	"rejections":            "not at all",
	"events":                "not at all",
}

// begin makes the empty copy, and fills the tables that are copied as a whole.
func (f *Forecast) begin(t *tx) error {
	rows, err := t.Query(`SELECT type, name, sql FROM main.sqlite_master
		WHERE sql IS NOT NULL AND tbl_name <> 'goose_db_version' AND name NOT LIKE 'sqlite_%' ORDER BY type = 'index'`)
	if err != nil {
		return err
	}
	type part struct{ kind, name, sql string }
	parts, err := db.Collect(rows, func(r db.Scanner) (p part, err error) {
		err = r.Scan(&p.kind, &p.name, &p.sql)
		return p, err
	})
	if err != nil {
		return err
	}
	for _, p := range parts {
		statement := strings.NewReplacer("CREATE TABLE ", "CREATE TEMP TABLE ", "CREATE INDEX ", "CREATE INDEX temp.",
			"CREATE UNIQUE INDEX ", "CREATE UNIQUE INDEX temp.").Replace(p.sql)
		if _, err := t.Exec(statement); err != nil {
			return fmt.Errorf("copy %s %s: %w", p.kind, p.name, err)
		}
		if _, partly := copied[p.name]; p.kind == "table" && !partly {
			if _, err := t.Exec("INSERT INTO temp." + p.name + " SELECT * FROM main." + p.name); err != nil {
				return err
			}
		}
	}
	for _, statement := range []string{
		"CREATE TEMP TABLE came (bill_id INTEGER PRIMARY KEY, phone TEXT NOT NULL)", // since the last copying
		"INSERT INTO temp.phones SELECT * FROM main.phones WHERE phone_id = (SELECT max(phone_id) FROM main.phones)",
		fmt.Sprintf("INSERT INTO temp.texts SELECT * FROM main.texts ORDER BY id DESC LIMIT %d", recentScanned),
	} {
		if _, err := t.Exec(statement); err != nil {
			return err
		}
	}
	return t.Row("SELECT coalesce(max(id), 0) FROM temp.texts").Scan(&f.lastText)
}

// Walk copies the next n bills or so that the remind job will look at by the
// instant, each with all other bills of its phone. It returns how many bills it
// went through; zero at the end.
func (f *Forecast) Walk(ctx context.Context, until time.Time, n int) (walked int, err error) {
	for {
		walked, err = f.walk(until, n)
		if err != nil || walked > 0 || f.plan == nil || f.plan.whole() || until.UnixMilli() < f.plan.first {
			return walked, err
		}
		if err := f.plan.more(f); err != nil {
			return 0, err
		}
		if err := ctx.Err(); err != nil {
			return 0, err
		}
	}
}

// walk is Walk through what is planned already.
func (f *Forecast) walk(until time.Time, n int) (walked int, err error) {
	queue, latest := "main.due_remind", until.UnixMilli()
	if f.plan != nil {
		queue = "temp.plan"
		if !f.plan.whole() {
			latest = min(latest, f.plan.first) // later ones wait until all are planned
		}
	}
	err = f.do(func(t *tx) error {
		rows, err := t.Query("SELECT at, bill_id FROM "+queue+`
			WHERE (at, bill_id) > (?1, ?2) AND at <= ?3 ORDER BY at, bill_id LIMIT +?4`, f.at, f.bill, latest, n)
		if err != nil {
			return err
		}
		var at int64
		ids, err := db.Collect(rows, func(r db.Scanner) (id int64, err error) {
			err = r.Scan(&at, &id)
			return id, err
		})
		if err != nil {
			return err
		}
		for _, id := range ids {
			if _, err := t.Exec(`INSERT INTO temp.came SELECT b.id, b.phone FROM main.bills p CROSS JOIN main.bills b ON b.phone = p.phone
				WHERE p.id = ?1 AND NOT EXISTS (SELECT 1 FROM temp.bills WHERE id = b.id) ON CONFLICT DO NOTHING`, id); err != nil {
				return err
			}
		}
		if walked = len(ids); walked > 0 {
			f.at, f.bill = at, ids[walked-1]
		}
		if f.plan != nil {
			if ids, err = f.came(t); err != nil {
				return err
			}
		}
		if err := f.copyCame(t, until); err != nil || f.plan == nil {
			return err
		}
		for _, id := range ids {
			b, err := t.bill(id)
			if err != nil {
				return err
			}
			if err := t.replan(b, f.plan.policies.For(b.Service), until); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("look ahead: %w", err)
	}
	return walked, nil
}

// copyCame copies the bills that came, and what decisions about them rest on.
// Records get numbers of their own, or those to come would meet them.
func (f *Forecast) copyCame(t *tx, now time.Time) error {
	for _, c := range []struct {
		statement string
		args      []any
	}{
		{"INSERT INTO temp.bills SELECT b.* FROM temp.came c CROSS JOIN main.bills b ON b.id = c.bill_id", nil},
		{"INSERT INTO temp.due_remind (bill_id, at) SELECT d.bill_id, d.at FROM temp.came c CROSS JOIN main.due_remind d ON d.bill_id = c.bill_id", nil},
		{`INSERT INTO temp.reminders (bill_id, due_date, stage, outcome, reason, text_id, tries, decided_at)
			SELECT r.bill_id, r.due_date, r.stage, r.outcome, r.reason, r.text_id, r.tries, r.decided_at
			FROM temp.came c CROSS JOIN main.bills b ON b.id = c.bill_id CROSS JOIN main.reminders r ON r.bill_id = b.id
				AND (r.due_date = b.due_date OR r.outcome = 'texted' AND r.decided_at >= ?1)`, []any{now.AddDate(0, 0, -reminder.QuietDays-1).UnixMilli()}},
		{"INSERT INTO temp.foreign_messages SELECT s.* FROM temp.came c CROSS JOIN main.foreign_messages s ON s.bill_id = c.bill_id", nil},
		{"INSERT INTO temp.opt_outs SELECT o.* FROM temp.came c CROSS JOIN main.opt_outs o ON o.phone = c.phone WHERE true ON CONFLICT DO NOTHING", nil},
		{"INSERT INTO temp.phones SELECT p.* FROM temp.came c CROSS JOIN main.phones p ON p.number = c.phone WHERE true ON CONFLICT DO NOTHING", nil},
		// None that is older counts for today, or could be taken for one to come.
		{`INSERT INTO temp.texts SELECT x.* FROM temp.came c CROSS JOIN main.phones p ON p.number = c.phone
			CROSS JOIN main.texts x ON x.phone_id = p.phone_id AND x.created_at > ?1
			WHERE x.id <= ?2 ON CONFLICT DO NOTHING`, []any{now.Add(-sameBodyFor - 24*time.Hour).UnixMilli(), f.lastText}},
		{"DELETE FROM temp.came", nil},
	} {
		if _, err := t.Exec(c.statement, c.args...); err != nil {
			return err
		}
	}
	return nil
}

// NextEval is the next instant at which the remind job looks at a bill, copied
// or not, when Walk has come to its end; zero when there is none.
func (f *Forecast) NextEval(ctx context.Context) (next time.Time, err error) {
	err = f.read(ctx).Row("SELECT min(at) FROM temp.due_remind").Scan(db.InstantTo(&next))
	var further time.Time
	switch {
	case err != nil:
	case f.plan != nil && !f.plan.whole():
		further = time.UnixMilli(f.plan.first)
	default:
		queue := "main.due_remind"
		if f.plan != nil {
			queue = "temp.plan"
		}
		err = f.read(ctx).Row("SELECT at FROM "+queue+" WHERE (at, bill_id) > (?1, ?2) ORDER BY at, bill_id LIMIT 1",
			f.at, f.bill).Scan(db.InstantTo(&further))
		if errors.Is(err, sql.ErrNoRows) {
			err = nil
		}
	}
	if err != nil {
		return next, fmt.Errorf("look ahead: %w", err)
	}
	if next.IsZero() || (!further.IsZero() && further.Before(next)) {
		next = further
	}
	return next, nil
}

// Ended counts reminders by what became of them in the forecast.
type Ended struct {
	Outcome reminder.Outcome
	Reason  reminder.Reason
	Count   int
}

// Ended counts what was texted and skipped since from, and what is held at the
// end.
func (f *Forecast) Ended(ctx context.Context, from time.Time) ([]Ended, error) {
	rows, err := f.read(ctx).Query(`SELECT outcome, reason, count(*) FROM temp.reminders
		WHERE decided_at >= ?1 OR outcome = 'held' GROUP BY outcome, reason ORDER BY outcome DESC, count(*) DESC, reason`, from.UnixMilli())
	if err != nil {
		return nil, fmt.Errorf("look ahead: %w", err)
	}
	return db.Collect(rows, func(r db.Scanner) (e Ended, err error) {
		err = r.Scan(&e.Outcome, &e.Reason, &e.Count)
		return e, err
	})
}

// Idle counts bills of the file that have no texts to come: those that await
// their registration, of which nobody knows yet when they are due, and those
// that are paused until after the instant, or without an end.
func (f *Forecast) Idle(ctx context.Context, until time.Time) (unregistered, paused int, err error) {
	err = f.read(ctx).Row("SELECT count(*) FROM main.due_register").Scan(&unregistered)
	if err == nil {
		err = f.read(ctx).Row(`SELECT count(*) FROM main.bills WHERE state = 'paused' AND `+inactive+`
			AND NOT EXISTS (SELECT 1 FROM main.due_remind WHERE bill_id = main.bills.id AND at < ?1)`, until.UnixMilli()).Scan(&paused)
	}
	if err != nil {
		return 0, 0, fmt.Errorf("look ahead: %w", err)
	}
	return unregistered, paused, nil
}
