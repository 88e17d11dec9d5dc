package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
)

// tx is a write transaction, or a connection on which something is read for explain.
// Its statements are prepared once for each connection by the driver's statement
// cache.
type tx struct {
	ctx     context.Context // lives as long as the transaction; that of a write cannot be cancelled
	batched bool            // nothing stands under a savepoint: the first failure ends this try
	rows    []*sql.Rows     // that were asked for
	conn    *sql.Conn
	buffer  *argBuffer
}

// argBuffer is memory for the arguments of statements over many rows, one after the other.
type argBuffer struct {
	args  []any
	named []driver.NamedValue
}

// run makes a panic in a write an error: it must not take the daemon and the
// other writes with it.
func run(t *tx, do func(*tx) error) error {
	return safely(func() error { return do(t) })
}

// safely makes a panic an error.
func safely(do func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic in the store: %v\n%s", p, debug.Stack())
		}
	}()
	return do()
}

// batchedError is a failure that a second try, with savepoints, confines to
// the write it is of.
type batchedError struct{ err error }

func (e *batchedError) Error() string { return e.err.Error() }
func (e *batchedError) Unwrap() error { return e.err }

// batchSize is how many of n things that may fail are done together: all of them in
// a try that is batched, and then one by one.
func (t *tx) batchSize(n int) int {
	if t.batched {
		return max(n, 1)
	}
	return 1
}

// savepoint runs do, in a group or within a write, so that it is undone alone
// when it fails. own is do's failure, all is one of the transaction itself, or
// of a try that is batched.
func (t *tx) savepoint(do func(*tx) error) (own, all error) {
	if t.batched {
		if err := run(t, do); err != nil {
			return nil, &batchedError{err}
		}
		return nil, nil
	}
	if _, err := t.exec("SAVEPOINT one"); err != nil {
		return nil, err
	}
	if own = run(t, do); own != nil {
		if _, err := t.exec("ROLLBACK TO one"); err != nil {
			return own, errors.Join(own, err)
		}
	}
	if _, err := t.exec("RELEASE one"); err != nil {
		return own, errors.Join(own, err)
	}
	return own, nil
}

func (t *tx) exec(query string, args ...any) (sql.Result, error) {
	r, err := t.conn.ExecContext(t.ctx, query, args...)
	if err != nil {
		return nil, explain(err)
	}
	return r, nil
}

// execRows is exec for a statement over many rows, and returns how many it
// changed. The driver hands over all arguments in one call where rows are asked
// for, and otherwise each in a call of its own.
func (t *tx) execRows(query string, args []any) (changed int64, err error) {
	if err := t.queryRows(query, args, nil, nil); err != nil { // it has no rows
		return 0, err
	}
	err = t.row("SELECT changes()").Scan(&changed)
	return changed, explain(err)
}

// queryRows is query for many rows: of each the columns take the values, then
// each is called. The driver is asked directly: database/sql would copy each
// argument twice, and look at the type of each value anew.
func (t *tx) queryRows(query string, args []any, columns []sql.Scanner, each func() error) (err error) {
	named := t.buffer.named[:0]
	for i, v := range args {
		if !driver.IsValue(v) { // an int, or a string type of ours
			if v, err = driver.DefaultParameterConverter.ConvertValue(v); err != nil {
				return err
			}
		}
		named = append(named, driver.NamedValue{Ordinal: i + 1, Value: v})
	}
	t.buffer.named = named
	return explain(t.conn.Raw(func(c any) (err error) {
		rows, err := c.(driver.QueryerContext).QueryContext(t.ctx, query, named)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, rows.Close()) }()
		// A panic here would close the connection, and with it the other writes.
		return safely(func() error { return readAll(rows, columns, each) })
	}))
}

func readAll(rows driver.Rows, columns []sql.Scanner, each func() error) error {
	if has := len(rows.Columns()); has != len(columns) { // the driver relies on it
		return fmt.Errorf("a statement gives %d columns, and %d are read", has, len(columns))
	}
	values := make([]driver.Value, len(columns))
	for {
		if err := rows.Next(values); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		for i, to := range columns {
			if err := to.Scan(values[i]); err != nil {
				return fmt.Errorf("column %s: %w", rows.Columns()[i], err)
			}
		}
		if err := each(); err != nil {
			return err
		}
	}
}

// changed runs a statement and reports whether it changed a row.
func (t *tx) changed(query string, args ...any) (bool, error) {
	r, err := t.exec(query, args...)
	if err != nil {
		return false, err
	}
	n, err := r.RowsAffected()
	return n > 0, err
}

// QueryContext notes the rows, so that none can be left open: an sql.Tx closes
// its rows, a connection that is given back waits for them.
func (t *tx) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	rows, err := t.conn.QueryContext(ctx, query, args...)
	if err == nil {
		t.rows = append(t.rows, rows)
	}
	return rows, err
}

// closeRows closes what a panic, or a mistake, left open.
func (t *tx) closeRows() {
	for _, rows := range t.rows {
		_ = rows.Close()
	}
	t.rows = nil
}

func (t *tx) query(query string, args ...any) (*sql.Rows, error) {
	rows, err := t.QueryContext(t.ctx, query, args...)
	if err != nil {
		return nil, explain(err)
	}
	return rows, nil
}

func (t *tx) row(query string, args ...any) *sql.Row {
	return t.conn.QueryRowContext(t.ctx, query, args...)
}
