// Package db is how statements reach the engine that keeps the store: it opens it,
// groups writes into commits, writes statements over many rows, scans what comes
// back, and says what a failure means. It is the only user of a SQL driver, and
// knows no table: those are package store's.
//
// What is SQLite's own stands in sqlite*.go, and what is PostgreSQL's in postgres*.go.
// Statements are one text for both, with placeholders ?1 ?2. CROSS JOIN in them fixes the
// order of a join: SQLite reads the left table first, and does not choose by itself.
//
// All writes go through one connection and share its commits (writer.go); the log of
// SQLite is carried over into the file beside it (sqlite_checkpoint.go). Reads use a
// pool of their own and never wait for a write.
package db

import (
	"context"
	"database/sql"
	"errors"
)

// Errors that callers tell apart.
var (
	// ErrLocked means that another daemon works on the same file.
	ErrLocked = errors.New("another duewatch daemon is using this store")
	// ErrTooNew means that a newer duewatch has written the file.
	ErrTooNew = errors.New("the store was written by a newer duewatch: install that version, or restore the backup made before the upgrade")
	// ErrTooOld means that the file is of a version before the first release.
	ErrTooOld = errors.New("the store is of a version before the first release, which this duewatch cannot bring up to date")
	// ErrOldSchema means that the file awaits a migration, which the daemon does at its start.
	ErrOldSchema = errors.New("the store is of an older version: restart the daemon, which brings it up to date " +
		"(a copy is read by the duewatch that wrote it)")
	// ErrNotFound means that there is no such file.
	ErrNotFound = errors.New("not found")
	// ErrClosed means that the store was closed before the write began.
	ErrClosed   = errors.New("the store is closed")
	errReadOnly = errors.New("the store was opened for reading only")
)

// DB is one open store. It is safe for concurrent use.
type DB struct {
	engine      engine
	owner       string // names this daemon on what it claims; "" in a command
	read        *sql.DB
	write       *writer // nil when opened for reading
	releaseLock func()  // in a daemon: lets another one open the file; nil in a command
	daemonLock  string  // in a command: the lock file of the daemon that may run meanwhile; "" in a daemon
}

// engine is how transactions begin and end, and how a statement is worded, on SQLite
// or PostgreSQL.
type engine interface {
	// text is a statement as the engine reads it.
	text(query string) string
	// args are its arguments as the engine takes them.
	args(args []any) []any
	// begin takes a connection of the pool and begins a transaction of that kind on it.
	begin(ctx context.Context, pool *sql.DB, kind txKind) (*sql.Conn, error)
	// ask has a connection of the pool ask one statement, which reads the last commit. The
	// connection is the caller's until the rows are read.
	ask(ctx context.Context, pool *sql.DB, query func(context.Context, *sql.Conn) error) (*sql.Conn, error)
	// commit ends a transaction that writes. When it returns nil all of it is durable, and
	// otherwise nothing of it is.
	commit(ctx context.Context, conn *sql.Conn) error
}

// txKind is what a transaction is for.
type txKind int

const (
	writing      txKind = iota
	reading             // each statement reads the last commit
	atOneInstant        // all statements read the same commit
)

// endRead ends a transaction that reads. Nothing was written, so its failure takes nothing back.
func endRead(ctx context.Context, conn *sql.Conn, e engine, kind txKind) error {
	if _, file := e.(sqlite); file && kind == reading {
		return nil // each statement was a transaction of its own
	}
	_, err := conn.ExecContext(context.WithoutCancel(ctx), "ROLLBACK")
	return explain(err)
}

// FromPools is a DB of pools that are open already: of any number of connections to read
// by, and of one to write by, which may be the same.
func FromPools(read, write *sql.DB) *DB {
	return &DB{engine: sqlite{}, read: read, write: startWriter(sqlite{}, write)}
}

// Close ends all work. It waits for writes under way.
func (d *DB) Close() error {
	var errs []error
	if p, ok := d.engine.(*postgres); ok {
		p.stopWaiting()
	}
	// The last connection to close empties the log into the file, and only one
	// that may write can.
	if d.read != nil {
		errs = append(errs, d.read.Close())
	}
	if d.write != nil {
		errs = append(errs, d.write.close())
	}
	if d.releaseLock != nil {
		d.releaseLock()
	}
	return errors.Join(errs...)
}

// Write runs do in a transaction and returns when its outcome is durable. It
// cannot be cancelled: a caller that stopped waiting would not know whether its
// write happened. do must not keep the Tx, and may be run a second time after what
// it wrote first was undone: set results in it, never append to those of the first run.
func (d *DB) Write(do func(*Tx) error) error {
	if d.write == nil {
		return errReadOnly
	}
	return d.write.do(do)
}

// View runs do on one connection of those that only read, for statements over many
// rows. Each of its statements reads the last commit.
func (d *DB) View(ctx context.Context, do func(*Tx) error) error { return d.readIn(ctx, reading, do) }

// Snapshot is View within one read transaction: all of its statements read the same
// commit. The store's log grows for as long as it lasts.
func (d *DB) Snapshot(ctx context.Context, do func(*Tx) error) error {
	return d.readIn(ctx, atOneInstant, do)
}

func (d *DB) readIn(ctx context.Context, kind txKind, do func(*Tx) error) (err error) {
	conn, err := d.engine.begin(ctx, d.read, kind)
	if err != nil {
		return err
	}
	defer conn.Close() //nolint:errcheck // it goes back to the pool
	t := &Tx{ctx: ctx, engine: d.engine, conn: conn, buffer: new(argBuffer)}
	defer func() {
		t.closeRows()
		err = errors.Join(err, endRead(ctx, conn, d.engine, kind))
	}()
	return do(t)
}

// Reader reads: a transaction as it stands, the pool of a DB by the last commit.
//
// Each connection keeps its statements prepared. But SQLite prepares one anew where its
// plan may depend on a value that is bound, such as that of a LIMIT, or of a condition for
// which another index may do. It does not look at the value of an expression, so every
// LIMIT is written as the first of these, and conditions as the others where it mattered:
//
//	LIMIT ?1 + 0
//	column = ?1 + 0
//	column = ?1 || ''
//
// SQLite could be told so as a whole (SQLITE_DBCONFIG_ENABLE_QPSG), but not by this driver.
type Reader interface {
	// Query returns rows, for Collect, which fails when the query does.
	Query(query string, args ...any) Rows
	// Row returns one row; its Scan fails with sql.ErrNoRows when there is none.
	Row(query string, args ...any) Row
}

// Reader reads by the pool, until ctx ends.
func (d *DB) Reader(ctx context.Context) Reader { return poolReader{ctx, d} }

type poolReader struct {
	ctx context.Context
	db  *DB
}

func (r poolReader) Query(query string, args ...any) Rows {
	text, args := r.db.engine.text(query), r.db.engine.args(args)
	var rows *sql.Rows
	conn, err := r.db.engine.ask(r.ctx, r.db.read, func(ctx context.Context, conn *sql.Conn) (err error) {
		rows, err = conn.QueryContext(ctx, text, args...) //nolint:rowserrcheck,sqlclosecheck // Each does
		return err
	})
	if err != nil {
		return Rows{err: err}
	}
	return Rows{rows: rows, end: conn.Close}
}

func (r poolReader) Row(query string, args ...any) Row {
	text, args := r.db.engine.text(query), r.db.engine.args(args)
	var row *sql.Row
	conn, err := r.db.engine.ask(r.ctx, r.db.read, func(ctx context.Context, conn *sql.Conn) error {
		row = conn.QueryRowContext(ctx, text, args...)
		return row.Err()
	})
	if err != nil {
		return Row{err: err}
	}
	return Row{row: row, end: conn.Close}
}
