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
	"github.com/jackc/pgx/v5/stdlib"
)

// ask asks a single statement, as often as the connection is lost.
func (p *postgres) ask(ctx context.Context, pool *sql.DB, query func(*sql.Conn) error) (*sql.Conn, error) {
	return p.untilThere(ctx, func() (*sql.Conn, error) {
		conn, err := pool.Conn(ctx)
		if err != nil {
			return nil, explain(err)
		}
		if err := query(conn); err != nil {
			return nil, errors.Join(explain(err), conn.Close())
		}
		return conn, nil
	})
}

// pgxConn is a connection of the driver.
type pgxConn = stdlib.Conn

// pgxOf is a connection of one of our pools, as sql.Conn.Raw has it.
func pgxOf(c any) *pgx.Conn { return c.(interface{ Conn() *pgx.Conn }).Conn() }

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

// readConn asks a statement that stands outside a transaction together with the settings of
// one. The server takes both as a transaction, and answers both at once: BEGIN, the settings, the
// statement and ROLLBACK wait for three answers.
type readConn struct{ *pgxConn }

// setForQuery is settings as a statement that the server plans once for each connection.
var setForQuery = func() string {
	var set []string
	for _, s := range planSettings {
		set = append(set, fmt.Sprintf("set_config('%s', '%s', true)", s.name, s.value))
	}
	return "SELECT " + strings.Join(set, ", ")
}()

// QueryContext is the driver's.
func (c *readConn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	conn := c.Conn()
	const outside = 'I' // of ReadyForQuery, see the message formats of the protocol
	if conn.IsClosed() || conn.PgConn().TxStatus() != outside {
		return c.pgxConn.QueryContext(ctx, query, args)
	}
	values := make([]any, len(args))
	for i, a := range args {
		values[i] = a.Value
	}
	var batch pgx.Batch
	batch.Queue(setForQuery)
	batch.Queue(query, values...)
	r := &readRows{results: conn.SendBatch(ctx, &batch), conn: conn}
	if _, err := r.results.Exec(); err != nil {
		return nil, r.failed(err)
	}
	r.rows, _ = r.results.Query() // its error is that of the rows
	// Before the first row the columns are not known.
	r.first = r.rows.Next()
	if err := r.rows.Err(); err != nil {
		return nil, r.failed(err)
	}
	return r, nil
}

// readRows are the rows of one statement.
type readRows struct {
	results pgx.BatchResults
	rows    pgx.Rows
	conn    *pgx.Conn
	first   bool // there is one, which Next has not returned yet
	columns []string
}

// failed ends what has failed.
func (r *readRows) failed(err error) error {
	_ = r.results.Close() // says the same
	if pgconn.SafeToRetry(err) {
		return driver.ErrBadConn
	}
	return err
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
