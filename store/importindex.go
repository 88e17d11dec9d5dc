package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"duewatch/reminder"
)

// ImportIndex is the list of bills read from one file. It finds those that stand there
// twice however long the file is: it is a database of its own, in a file that
// SQLite makes in the temporary folder and that is gone with the process, with
// 32 MB of it in memory. It is safe for one goroutine at a time.
type ImportIndex struct {
	db    *sql.DB
	conn  *sql.Conn
	keeps bool
	// Of many rows, and of one.
	list, listOne, keep, keepOne *sql.Stmt
	find                         *sql.Stmt
}

var (
	rollTables = `BEGIN;
		CREATE TABLE listed (service TEXT NOT NULL, account TEXT NOT NULL, line INTEGER NOT NULL, PRIMARY KEY (service, account)) WITHOUT ROWID;
		CREATE TABLE kept (line INTEGER PRIMARY KEY, service TEXT NOT NULL, account TEXT NOT NULL, phone TEXT NOT NULL,
			language TEXT NOT NULL, description TEXT NOT NULL)`
	rollList = "INSERT INTO listed (service, account, line) VALUES %s ON CONFLICT DO NOTHING"
	rollKeep = "INSERT INTO kept (line, service, account, phone, language, description) VALUES %s"
	rollFind = "SELECT service, account, line FROM listed WHERE (service, account) IN (VALUES " + rowsOf("(?, ?)") + ")"
)

// NewImportIndex makes an empty list. One that keeps can give the bills back with Each.
func NewImportIndex(ctx context.Context, keeps bool) (_ *ImportIndex, err error) {
	r := &ImportIndex{db: sql.OpenDB(connector{"file:?_journal_mode=OFF&_synchronous=OFF&_cache_size=-32000"}), keeps: keeps}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("make a list in the temporary folder: %w", explain(err)), r.Close())
		}
	}()
	if r.conn, err = r.db.Conn(ctx); err != nil {
		return nil, err
	}
	if _, err := r.conn.ExecContext(ctx, rollTables); err != nil {
		return nil, err
	}
	for _, s := range []struct {
		to    **sql.Stmt
		query string
	}{
		{&r.list, fmt.Sprintf(rollList, rowsOf("(?, ?, ?)"))}, {&r.listOne, fmt.Sprintf(rollList, "(?1, ?2, ?3)")},
		{&r.keep, fmt.Sprintf(rollKeep, rowsOf("(?, ?, ?, ?, ?, ?)"))}, {&r.keepOne, fmt.Sprintf(rollKeep, "(?1, ?2, ?3, ?4, ?5, ?6)")},
		{&r.find, rollFind},
	} {
		if *s.to, err = r.conn.PrepareContext(ctx, s.query); err != nil { //nolint:sqlclosecheck // closed with its connection
			return nil, err
		}
	}
	return r, nil
}

// Close drops the list.
func (r *ImportIndex) Close() error {
	if r == nil {
		return nil
	}
	var errs []error
	if r.conn != nil {
		errs = append(errs, r.conn.Close())
	}
	return errors.Join(append(errs, r.db.Close())...)
}

// Add adds bills; of those of one identity the one that counts comes first. Those
// that were listed before are in doubles: the place in rows, and the line that named it first.
func (r *ImportIndex) Add(ctx context.Context, rows []reminder.ListedBill) (doubles map[int]int, err error) {
	for from := 0; from < len(rows) && err == nil; from += together {
		some := rows[from:min(from+together, len(rows))]
		var added int64
		if added, err = r.add(ctx, some); err == nil && added < int64(len(some)) {
			doubles, err = r.doubles(ctx, some, from, doubles)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("list bills in the temporary folder: %w", explain(err))
	}
	return doubles, nil
}

func (r *ImportIndex) add(ctx context.Context, some []reminder.ListedBill) (added int64, err error) {
	list := func(l reminder.ListedBill) []any { return []any{l.Bill.Service, l.Bill.Account, l.Line} }
	keep := func(l reminder.ListedBill) []any {
		b := l.Bill
		return []any{l.Line, b.Service, b.Account, b.Phone.E164(), b.Language, b.Description}
	}
	if added, err = fill(ctx, r.list, r.listOne, some, list); err != nil || !r.keeps {
		return added, err
	}
	_, err = fill(ctx, r.keep, r.keepOne, some, keep)
	return added, err
}

// fill runs a statement for all rows at once, or where they are too few for it
// that for one row on each.
func fill(ctx context.Context, many, one *sql.Stmt, rows []reminder.ListedBill, values func(reminder.ListedBill) []any) (n int64, err error) {
	args := make([]any, 0, 6*together)
	for i, l := range rows {
		args = append(args, values(l)...)
		s := one
		if len(rows) == together {
			if i < together-1 {
				continue
			}
			s = many
		}
		result, err := s.ExecContext(ctx, args...)
		if err != nil {
			return 0, err
		}
		added, err := result.RowsAffected()
		if err != nil {
			return 0, err
		}
		n, args = n+added, args[:0]
	}
	return n, nil
}

func (r *ImportIndex) doubles(ctx context.Context, some []reminder.ListedBill, from int, to map[int]int) (map[int]int, error) {
	lines, err := r.lines(ctx, len(some), func(i int) reminder.Bill { return some[i].Bill })
	if err != nil {
		return nil, err
	}
	if to == nil {
		to = map[int]int{}
	}
	for i, l := range some {
		if first := lines[identity{l.Bill.Service, l.Bill.Account}]; first != l.Line {
			to[from+i] = first
		}
	}
	return to, nil
}

// lines are where the first together of n bills are listed.
func (r *ImportIndex) lines(ctx context.Context, n int, bill func(i int) reminder.Bill) (map[identity]int, error) {
	args := make([]any, 0, 2*together)
	for i := range together {
		b := bill(min(i, n-1)) // the last one again, up to the number of the statement
		args = append(args, b.Service, b.Account)
	}
	rows, err := r.find.QueryContext(ctx, args...)
	if err != nil {
		return nil, err
	}
	lines := make(map[identity]int, n)
	_, err = collect(rows, func(r row) (none struct{}, err error) {
		var id identity
		var line int
		err = r.Scan(&id.service, &id.account, &line)
		lines[id] = line
		return none, err
	})
	return lines, err
}

// missing are those bills that are not listed: all of them when there is no
// list.
func (r *ImportIndex) missing(ctx context.Context, bills []reminder.Bill) (gone []reminder.Bill, err error) {
	if r == nil {
		return bills, nil
	}
	for len(bills) > 0 {
		some := bills[:min(together, len(bills))]
		bills = bills[len(some):]
		lines, err := r.lines(ctx, len(some), func(i int) reminder.Bill { return some[i] })
		if err != nil {
			return nil, fmt.Errorf("look bills up in the temporary folder: %w", explain(err))
		}
		for _, b := range some {
			if lines[identity{b.Service, b.Account}] == 0 {
				gone = append(gone, b)
			}
		}
	}
	return gone, nil
}

// Each calls do for all bills in the order of their lines, n at a time, and
// stops at its first error.
func (r *ImportIndex) Each(ctx context.Context, n int, do func([]reminder.ListedBill) error) error {
	for last := 0; ; {
		rows, err := r.conn.QueryContext(ctx, `SELECT line, service, account, phone, language, description FROM kept
			WHERE line > ?1 ORDER BY line LIMIT +?2`, last, n)
		if err != nil {
			return fmt.Errorf("read the list in the temporary folder: %w", explain(err))
		}
		some, err := collect(rows, func(r row) (l reminder.ListedBill, err error) {
			err = r.Scan(&l.Line, &l.Bill.Service, &l.Bill.Account, &l.Bill.Phone, &l.Bill.Language, &l.Bill.Description)
			return l, err
		})
		if err != nil {
			return fmt.Errorf("read the list in the temporary folder: %w", err)
		}
		if len(some) == 0 {
			return nil
		}
		last = some[len(some)-1].Line
		if err := do(some); err != nil { // which may sort them
			return err
		}
	}
}
