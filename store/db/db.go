// Package db is how statements reach the engine that keeps the store: it opens it,
// groups writes into commits, writes statements over many rows, scans what comes
// back, and says what a failure means. It is the only user of a SQL driver, and
// knows no table: those are package store's.
//
// What is SQLite's own stands in sqlite*.go. Statements are one text for every
// engine, with placeholders ?1 ?2. CROSS JOIN in them fixes the order of a join: SQLite
// reads the left table first, and does not choose by itself.
//
// All writes go through one connection and share its commits (writer.go); their
// log is carried over into the file beside it (sqlite_checkpoint.go). Reads use a
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
	read        *sql.DB
	write       *writer // nil when opened for reading
	releaseLock func()  // in a daemon: lets another one open the file; nil in a command
	daemonLock  string  // in a command: the lock file of the daemon that may run meanwhile; "" in a daemon
}

// FromPools is a DB of pools that are open already: of any number of connections to read
// by, and of one to write by, which may be the same.
func FromPools(read, write *sql.DB) *DB {
	return &DB{read: read, write: startWriter(write)}
}

// Close ends all work. It waits for writes under way.
func (d *DB) Close() error {
	var errs []error
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
func (d *DB) View(ctx context.Context, do func(*Tx) error) error {
	conn, err := d.read.Conn(ctx)
	if err != nil {
		return explain(err)
	}
	defer conn.Close() //nolint:errcheck // it goes back to the pool
	t := &Tx{ctx: ctx, conn: conn, buffer: new(argBuffer)}
	defer t.closeRows()
	return do(t)
}

// Snapshot is View within one read transaction: all of its statements read the same
// commit. The store's log grows for as long as it lasts.
func (d *DB) Snapshot(ctx context.Context, do func(*Tx) error) error {
	return d.View(ctx, func(t *Tx) (err error) {
		if _, err := t.Exec("BEGIN"); err != nil {
			return err
		}
		defer func() {
			t.closeRows()
			_, end := t.conn.ExecContext(context.WithoutCancel(ctx), "ROLLBACK") // nothing was written
			err = errors.Join(err, explain(end))
		}()
		return do(t)
	})
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
func (d *DB) Reader(ctx context.Context) Reader { return poolReader{ctx, d.read} }

type poolReader struct {
	ctx  context.Context
	pool *sql.DB
}

func (r poolReader) Query(query string, args ...any) Rows {
	rows, err := r.pool.QueryContext(r.ctx, query, args...) //nolint:rowserrcheck // Each does
	return Rows{rows, explain(err)}
}

func (r poolReader) Row(query string, args ...any) Row {
	return Row{r.pool.QueryRowContext(r.ctx, query, args...)}
}
