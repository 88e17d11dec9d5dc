package db

import (
	"cmp"
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

// lossesAtMost is how many connections a statement may lose that answered just before.
const lossesAtMost = 3

// errLostAtEach means that the statement is what ends the connection.
var errLostAtEach = fmt.Errorf("the connection was lost at each of %d tries, though it answered before", lossesAtMost)

// ask asks again where the connection is lost: then only one that answers. So a server that is away is
// waited for, and a statement that is itself to blame is not asked for ever.
func (p *postgres) ask(ctx context.Context, pool *sql.DB, query func(context.Context, *sql.Conn) error) (*sql.Conn, error) {
	var losses int   // the first is of a connection that may have been lost before
	var failed error // with the server there
	conn, err := p.untilThere(ctx, func() (*sql.Conn, error) {
		conn, err := pool.Conn(ctx)
		if err != nil {
			return nil, explain(err)
		}
		if losses > 0 {
			if _, err := conn.ExecContext(ctx, "SELECT 1"); err != nil {
				_ = conn.Close() // says the same
				return nil, explain(err)
			}
		}
		err = query(context.WithValue(ctx, withSettings{}, true), conn)
		if err == nil {
			return conn, nil
		}
		_ = conn.Close()
		if ctx.Err() != nil {
			return nil, explain(err) // which says nothing of the connection
		}
		if !isConnectionLost(err) || !isUndone(err) {
			failed = explain(err)
			return nil, nil
		}
		if losses++; losses > lossesAtMost {
			failed = errors.Join(errLostAtEach, explain(err))
			return nil, nil
		}
		return nil, explain(err)
	})
	return conn, cmp.Or(failed, err)
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

// setForQuery are the settings of a statement that reads. The server plans it once for each connection,
// and each time behind a pooler that keeps no prepared statements.
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
