package db

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// asksAtMost is how often a statement is asked whose connection is lost at that. Some of the times
// may be due to connections that were lost before, of which the pool has four.
const asksAtMost = 6

// errLostAtEach means that the statement is what ends the connection.
var errLostAtEach = fmt.Errorf("the connection was lost at each of %d tries", asksAtMost)

// ask asks again where the connection is lost.
func (p *postgres) ask(ctx context.Context, pool *sql.DB, query func(context.Context, *sql.Conn) error) (*sql.Conn, error) {
	asked := 0
	return p.untilThere(ctx, func() (*sql.Conn, error) {
		conn, err := pool.Conn(ctx)
		if err != nil {
			return nil, explain(err)
		}
		err = query(context.WithValue(ctx, withSettings{}, true), conn)
		if err == nil {
			return conn, nil
		}
		if asked++; asked == asksAtMost && isUndone(err) {
			err = errors.Join(errLostAtEach, err)
		}
		return nil, errors.Join(explain(err), conn.Close())
	})
}

// withSettings is the key in the context of a statement that stands outside a transaction, and is to
// be asked with the settings of one.
type withSettings struct{}

// readConnector opens the connections that read.
type readConnector struct{ driver.Connector }

// Connect is the driver's.
func (c readConnector) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := c.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	return &readConn{conn.(*pgxConn)}, nil
}

// readConn asks a statement together with its settings (withSettings). The server takes both as a
// transaction, and answers both at once: BEGIN, the settings, the statement and ROLLBACK wait for
// three answers.
type readConn struct{ *pgxConn }

// setForQuery are the settings of a statement that reads, as one that the server plans once for each
// connection.
var setForQuery = func() string {
	set := "SELECT set_config('transaction_read_only', 'on', true)"
	for _, s := range planSettings {
		set += fmt.Sprintf(", set_config('%s', '%s', true)", s.name, s.value)
	}
	return set
}()

// QueryContext is the driver's.
func (c *readConn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	conn := c.Conn()
	if ctx.Value(withSettings{}) == nil || conn.IsClosed() {
		return c.pgxConn.QueryContext(ctx, query, args)
	}
	values := make([]any, len(args))
	for i, a := range args {
		values[i] = a.Value
	}
	var batch pgx.Batch
	batch.Queue(setForQuery)
	batch.Queue(query, values...)
	results := conn.SendBatch(ctx, &batch)
	if _, err := results.Exec(); err != nil {
		return nil, closeFailed(results, err)
	}
	rows, err := results.Query()
	if err != nil {
		return nil, closeFailed(results, err)
	}
	first := rows.Next() // before it the columns are not known
	if err := rows.Err(); err != nil {
		return nil, closeFailed(results, err)
	}
	return &readRows{results: results, rows: rows, conn: conn, first: first}, nil
}

// closeFailed ends what has failed, and says by what.
func closeFailed(results pgx.BatchResults, err error) error {
	_ = results.Close() // says the same
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err // the connection is not to blame
	}
	if pgconn.SafeToRetry(err) {
		return driver.ErrBadConn
	}
	return err
}

// readRows are the rows of one statement: numbers, text and instants, as all of ours.
type readRows struct {
	results pgx.BatchResults
	rows    pgx.Rows
	conn    *pgx.Conn
	first   bool // there is one, which Next has not returned yet
	columns []string
}

// Columns is the driver's.
func (r *readRows) Columns() []string {
	if r.columns == nil {
		for _, f := range r.rows.FieldDescriptions() {
			r.columns = append(r.columns, f.Name)
		}
	}
	return r.columns
}

// ColumnTypeDatabaseTypeName is the driver's.
func (r *readRows) ColumnTypeDatabaseTypeName(i int) string {
	if t, ok := r.conn.TypeMap().TypeForOID(r.rows.FieldDescriptions()[i].DataTypeOID); ok {
		return strings.ToUpper(t.Name)
	}
	return ""
}

// Next is the driver's.
func (r *readRows) Next(to []driver.Value) error {
	if more := r.first || r.rows.Next(); !more {
		if err := r.rows.Err(); err != nil {
			return err
		}
		return io.EOF
	}
	r.first = false
	values, err := r.rows.Values()
	if err != nil {
		return err
	}
	for i, v := range values {
		if to[i], err = driver.DefaultParameterConverter.ConvertValue(v); err != nil {
			return fmt.Errorf("column %s: %w", r.Columns()[i], err)
		}
	}
	return nil
}

// Close is the driver's.
func (r *readRows) Close() error {
	r.rows.Close()
	return r.results.Close()
}
