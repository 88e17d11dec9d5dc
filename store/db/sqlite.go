package db

import (
	"context"
	"crypto/rand"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/mattn/go-sqlite3"
)

// sqlite is the engine that keeps the store in a file.
type sqlite struct{}

func (sqlite) text(query string) string { return query }

func (sqlite) args(args []any) []any { return args }

func (sqlite) begin(ctx context.Context, pool *sql.DB, kind txKind) (*sql.Conn, error) {
	conn, err := pool.Conn(ctx)
	if err != nil {
		return nil, explain(err)
	}
	switch kind {
	case writing:
		_, err = conn.ExecContext(ctx, "BEGIN IMMEDIATE")
	case atOneInstant:
		_, err = conn.ExecContext(ctx, "BEGIN")
	case reading: // each statement is a transaction of its own
	}
	if err != nil {
		return nil, errors.Join(explain(err), conn.Close())
	}
	return conn, nil
}

func (s sqlite) ask(ctx context.Context, pool *sql.DB, query func(context.Context, *sql.Conn) error) (*sql.Conn, error) {
	conn, err := s.begin(ctx, pool, reading)
	if err != nil {
		return nil, err
	}
	if err := query(ctx, conn); err != nil {
		return nil, errors.Join(explain(err), conn.Close())
	}
	return conn, nil
}

func (sqlite) commit(ctx context.Context, conn *sql.Conn) error {
	_, err := conn.ExecContext(ctx, "COMMIT")
	return explain(err)
}

// busyTimeout is how long a statement waits for a command that writes beside
// the daemon.
const busyTimeout = 10 * time.Second

// openFileDaemon opens the file for the daemon, creating it (mode 0600) and bringing its
// schema up to date as needed. One daemon at a time may have it open; a second
// one gets ErrLocked.
func openFileDaemon(ctx context.Context, path string, schema Schema) (_ *DB, err error) {
	path = realPath(path)
	if err := namedOnce(path); err != nil {
		return nil, err
	}
	unlock, err := lock(path)
	if err != nil {
		return nil, err
	}
	d := &DB{engine: sqlite{}, releaseLock: unlock, owner: rand.Text()}
	defer func() {
		if err != nil {
			err = errors.Join(err, d.Close())
		}
	}()
	if err := schema.migrateFile(ctx, path); err != nil {
		return nil, err
	}
	pool, err := openPool(ctx, path, "rwc", 1, daemonCache)
	if err != nil {
		return nil, err
	}
	d.write = startWriter(sqlite{}, pool)
	d.write.log = startCheckpointer(path)
	if d.read, err = openPool(ctx, path, "ro", 4, 0); err != nil {
		return nil, err
	}
	return d, nil
}

// openFileReader opens an existing file for reading only, whether or not a daemon
// is running on it. It returns ErrNotFound when there is no file yet.
func openFileReader(ctx context.Context, path string, schema Schema) (*DB, error) {
	path = realPath(path)
	if info, err := os.Stat(path); errors.Is(err, os.ErrNotExist) || (err == nil && info.Size() == 0) {
		return nil, fmt.Errorf("store %s (named by store: in the config, or by DUEWATCH_STORE): %w: has the daemon run yet?", path, ErrNotFound)
	}
	if err := namedOnce(path); err != nil {
		return nil, err
	}
	pool, err := openPool(ctx, path, "ro", 4, 0)
	if err != nil {
		return nil, err
	}
	if err := schema.checkFile(ctx, pool); err != nil {
		return nil, errors.Join(err, pool.Close())
	}
	return &DB{engine: sqlite{}, read: pool}, nil
}

// openFileWriter opens an existing file for a command that changes something,
// whether or not a daemon is running on it: the two take turns, and the daemon
// sees the change in its next transaction.
func openFileWriter(ctx context.Context, path string, schema Schema) (*DB, error) {
	d, err := openFileReader(ctx, path, schema)
	if err != nil {
		return nil, err
	}
	pool, err := openPool(ctx, realPath(path), "rwc", 1, commandCache)
	if err != nil {
		return nil, errors.Join(err, d.Close())
	}
	d.write, d.daemonLock = startWriter(sqlite{}, pool), realPath(path)+".lock"
	return d, nil
}

// OthersWrote is a number that changes when another process has written to the
// file, and not by writes of this one.
func (d *DB) OthersWrote(ctx context.Context) (version int64, err error) {
	if p, ok := d.engine.(*postgres); ok {
		return p.othersWrote(ctx, d.read)
	}
	// Asked of the connection that writes, since any other would see its writes as foreign.
	err = d.write.db.QueryRowContext(context.WithoutCancel(ctx), "PRAGMA data_version").Scan(&version)
	if err != nil {
		return 0, fmt.Errorf("look for changes of the store: %w", explain(err))
	}
	return version, nil
}

// Check reads a whole file and reports damage. It costs time in proportion
// to the file's size. Of a database its server knows (data_checksums, pg_amcheck).
func (d *DB) Check(ctx context.Context) error {
	if _, ok := d.engine.(*postgres); ok {
		return nil
	}
	var first string
	if err := d.read.QueryRowContext(ctx, "PRAGMA quick_check(1)").Scan(&first); err != nil {
		return fmt.Errorf("check store: %w", explain(err))
	}
	if first != "ok" {
		return fmt.Errorf("the store is damaged (%s): stop the daemon and restore the last backup", first)
	}
	return nil
}

// OverwriteDeleted has SQLite overwrite what is deleted from now on, in pages that are used
// again later. On PostgreSQL a VACUUM of its own does.
func (d *DB) OverwriteDeleted(ctx context.Context) error {
	if _, ok := d.engine.(*postgres); ok || d.write == nil {
		return nil
	}
	_, err := d.write.db.ExecContext(ctx, "PRAGMA secure_delete = ON")
	return explain(err)
}

// Tidy keeps the write-ahead log short. It leaves it as it is when a command
// reads for so long that writes would have to wait.
//
// It does not gather statistics (PRAGMA optimize): every statement finds its
// index without them, and those of a young store make SQLite read whole tables
// that have grown since.
func (d *DB) Tidy(ctx context.Context) (err error) {
	// A write of nothing finds out whether the store can be written at all.
	if err := d.Write(func(*Tx) error { return nil }); err != nil {
		return fmt.Errorf("tidy store: %w", err)
	}
	if _, ok := d.engine.(*postgres); ok {
		return nil // its server keeps its log short
	}
	if log := d.write.log; log != nil {
		log.carrying.Lock()
		defer log.carrying.Unlock()
	}
	c, err := d.write.db.Conn(ctx)
	if err != nil {
		return fmt.Errorf("tidy store: %w", explain(err))
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	patience := func(d time.Duration) error {
		_, err := c.ExecContext(context.WithoutCancel(ctx), fmt.Sprintf("PRAGMA busy_timeout = %d", d.Milliseconds()))
		return err
	}
	if err := patience(100 * time.Millisecond); err != nil {
		return fmt.Errorf("tidy store: %w", explain(err))
	}
	_, err = c.ExecContext(ctx, "PRAGMA wal_checkpoint(TRUNCATE)")
	if err = errors.Join(err, patience(busyTimeout)); err != nil {
		return fmt.Errorf("tidy store: %w", explain(err))
	}
	return nil
}

// How many bytes of pages a connection that writes keeps at most. The daemon has
// to fit into small machines, and reads a page again at the cost of a copy from
// the system's cache. What a command such as a large import changes all over its
// indexes is written once for each commit while it fits.
const (
	daemonCache  = 8 << 20
	commandCache = 64 << 20
)

// openPool opens a pool of connections and reads back the settings that the
// promise rests on.
func openPool(ctx context.Context, path, mode string, conns, cache int) (*sql.DB, error) {
	settings := url.Values{
		"mode":             {mode},
		"_synchronous":     {"FULL"},
		"_foreign_keys":    {"on"},
		"_busy_timeout":    {fmt.Sprint(busyTimeout.Milliseconds())},
		"_txlock":          {"immediate"},
		"_stmt_cache_size": {"128"},
	}
	if mode != "ro" {
		settings.Set("_journal_mode", "WAL")
		settings.Set("_cache_size", fmt.Sprint(-cache/1024))
		settings.Set("_mutex", "no") // database/sql lets one goroutine at a time use a connection, and SQLite would lock it for each argument
	}
	dsn := "file:" + escapedPath(path) + "?" + settings.Encode()
	db := sql.OpenDB(connector{dsn})
	db.SetMaxOpenConns(conns)
	db.SetMaxIdleConns(conns)
	if err := readBack(ctx, db, mode); err != nil {
		return nil, errors.Join(fmt.Errorf("open store %s: %w", path, err), db.Close())
	}
	return db, nil
}

// escapedPath is a path as it stands in a DSN.
func escapedPath(path string) string { return (&url.URL{Path: path}).EscapedPath() }

// readBack checks that SQLite took the settings of the DSN: a misspelt one is
// ignored without a word.
func readBack(ctx context.Context, db *sql.DB, mode string) error {
	for pragma, want := range map[string]string{"synchronous": "2", "foreign_keys": "1", "journal_mode": "wal"} {
		var got string
		if err := db.QueryRowContext(ctx, "PRAGMA "+pragma).Scan(&got); err != nil {
			return fmt.Errorf("read setting %s: %w", pragma, explain(err))
		}
		if mode == "ro" && got == "delete" {
			continue // a backup at rest, which is only read
		}
		if !strings.EqualFold(got, want) {
			return fmt.Errorf("setting %s is %s instead of %s: is the file on a local disk?", pragma, got, want)
		}
	}
	return nil
}

// connector opens connections without registering a driver name for the whole
// process.
type connector struct{ dsn string }

func (c connector) Connect(ctx context.Context) (driver.Conn, error) {
	raw, err := c.Driver().Open(c.dsn)
	if err != nil {
		return nil, err
	}
	// No key of the DSN sets these: what undoes a statement is kept in memory
	// and not in a file, and the log is emptied ten times less often.
	if conn, ok := raw.(driver.ExecerContext); ok {
		_, err = conn.ExecContext(ctx, fmt.Sprintf("PRAGMA temp_store = MEMORY; PRAGMA wal_autocheckpoint = %d", mostLog), nil)
	}
	if err != nil {
		return nil, errors.Join(err, raw.Close())
	}
	return raw, nil
}

func (c connector) Driver() driver.Driver { return &sqlite3.SQLiteDriver{} }
