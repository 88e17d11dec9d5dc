package db

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
)

// Tx is a transaction, or a connection that reads (View). Its statements are prepared
// once for each connection by the driver's statement cache.
type Tx struct {
	ctx     context.Context // lives as long as the transaction; that of a write cannot be cancelled
	batched bool            // the first of two tries, without savepoints (see Together)
	engine  engine
	rows    []*sql.Rows // of its queries, open or read to the end
	conn    *sql.Conn
	buffer  *argBuffer
}

// onPostgres reports whether the engine is PostgreSQL, and not SQLite.
func (t *Tx) onPostgres() bool {
	_, is := t.engine.(*postgres)
	return is
}

// argBuffer is memory for the arguments of statements over many rows, one after the other.
type argBuffer struct {
	args   []any
	arrays []any
	named  []driver.NamedValue
}

// safely makes a panic an error: one in a write must not take the daemon and the
// other writes with it.
func safely(do func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic in the store: %v\n%s", p, debug.Stack())
		}
	}()
	return do()
}

// Exec runs a statement that returns no rows.
func (t *Tx) Exec(query string, args ...any) (sql.Result, error) {
	r, err := t.conn.ExecContext(t.ctx, t.engine.text(query), t.engine.args(args)...)
	if err != nil {
		return nil, explain(err)
	}
	return r, nil
}

// Changed runs a statement and reports whether it changed a row.
func (t *Tx) Changed(query string, args ...any) (bool, error) {
	r, err := t.Exec(query, args...)
	if err != nil {
		return false, err
	}
	n, err := r.RowsAffected()
	return n > 0, err
}

// Query is Reader's. The Tx notes the rows and closes those that are left open: an sql.Tx
// would, but a connection that is given back waits for them, and would wait for ever.
func (t *Tx) Query(query string, args ...any) Rows {
	rows, err := t.conn.QueryContext(t.ctx, t.engine.text(query), t.engine.args(args)...) //nolint:rowserrcheck // Each does
	if err == nil {
		t.rows = append(t.rows, rows)
	}
	return Rows{rows: rows, err: explain(err)}
}

// closeRows closes what a panic, or a mistake, left open.
func (t *Tx) closeRows() {
	for _, rows := range t.rows {
		_ = rows.Close()
	}
	t.rows = nil
}

// Row is Reader's.
func (t *Tx) Row(query string, args ...any) Row {
	return Row{row: t.conn.QueryRowContext(t.ctx, t.engine.text(query), t.engine.args(args)...)}
}

// EachRow runs a statement and calls each for every row that it returns, after columns
// have taken the values of that row. It is for many arguments or many rows, and asks the
// driver directly: database/sql would copy each argument twice, and find out the type of
// each value anew.
func (t *Tx) EachRow(query string, args []any, columns []sql.Scanner, each func() error) (err error) {
	named := t.buffer.named[:0]
	for i, v := range args {
		if _, array := v.(arrayArgument); !array && !driver.IsValue(v) { // an int, or a string type of ours
			if v, err = driver.DefaultParameterConverter.ConvertValue(v); err != nil {
				return err
			}
		}
		named = append(named, driver.NamedValue{Ordinal: i + 1, Value: v})
	}
	t.buffer.named = named
	return explain(t.conn.Raw(func(c any) (err error) {
		rows, err := c.(driver.QueryerContext).QueryContext(t.ctx, t.engine.text(query), named)
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

// ContinueIDs has further rows of a table numbered after those that are there: whoever has
// written rows with ids of their own calls it. SQLite does so by itself.
func (t *Tx) ContinueIDs(table, column string) error {
	if !t.onPostgres() {
		return nil
	}
	var next int64
	return t.Row(fmt.Sprintf("SELECT setval(pg_get_serial_sequence('%[1]s', '%[2]s'), (SELECT coalesce(max(%[2]s), 0) + 1 FROM %[1]s), false)",
		table, column)).Scan(&next)
}
