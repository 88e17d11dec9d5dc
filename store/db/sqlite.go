package db

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"net/url"
	"os"
	"regexp"
	"strings"
	"syscall"
	"time"

	"github.com/mattn/go-sqlite3"
)

// busyTimeout is how long a statement waits for a command that writes beside
// the daemon.
const busyTimeout = 10 * time.Second

// OpenDaemon opens the file for the daemon, creating it (mode 0600) and bringing its
// schema up to date as needed. One daemon at a time may have it open; a second
// one gets ErrLocked.
func OpenDaemon(ctx context.Context, path string, schema Schema) (_ *DB, err error) {
	path = realPath(path)
	if err := namedOnce(path); err != nil {
		return nil, err
	}
	unlock, err := lock(path)
	if err != nil {
		return nil, err
	}
	d := &DB{unlock: unlock}
	defer func() {
		if err != nil {
			err = errors.Join(err, d.Close())
		}
	}()
	if err := schema.migrate(ctx, path); err != nil {
		return nil, err
	}
	pool, err := openPool(ctx, path, "rwc", 1, daemonCache)
	if err != nil {
		return nil, err
	}
	d.write = startWriter(pool)
	d.write.log = startCheckpointer(path)
	if d.read, err = openPool(ctx, path, "ro", 4, 0); err != nil {
		return nil, err
	}
	return d, nil
}

// OpenReader opens an existing file for reading only, whether or not a daemon
// is running on it. It returns ErrNotFound when there is no file yet.
func OpenReader(ctx context.Context, path string, schema Schema) (*DB, error) {
	path = realPath(path)
	if info, err := os.Stat(path); errors.Is(err, os.ErrNotExist) || (err == nil && info.Size() == 0) {
		return nil, notFound(path)
	}
	if err := namedOnce(path); err != nil {
		return nil, err
	}
	pool, err := openPool(ctx, path, "ro", 4, 0)
	if err != nil {
		return nil, err
	}
	if err := schema.check(ctx, pool); err != nil {
		return nil, errors.Join(err, pool.Close())
	}
	return &DB{read: pool}, nil
}

// OpenWriter opens an existing file for a command that changes something,
// whether or not a daemon is running on it: the two take turns, and the daemon
// sees the change in its next transaction.
func OpenWriter(ctx context.Context, path string, schema Schema) (*DB, error) {
	d, err := OpenReader(ctx, path, schema)
	if err != nil {
		return nil, err
	}
	pool, err := openPool(ctx, realPath(path), "rwc", 1, commandCache)
	if err != nil {
		return nil, errors.Join(err, d.Close())
	}
	d.write, d.beside = startWriter(pool), realPath(path)+".lock"
	return d, nil
}

// OpenScratch opens or makes a file that is thrown away, for one process alone,
// or without a path an empty store in memory, of a gigabyte at most. What it has
// written does not survive a power cut (synchronous=OFF), since nobody would miss
// it; it has no log and no lock, so that a commit costs no more than its pages.
func OpenScratch(ctx context.Context, path string, schema Schema) (*DB, error) {
	// Not :memory:, where all pages stay dirty and each commit goes through them.
	file, vfs := "scratch", "memdb"
	if path != "" {
		made, err := OpenDaemon(ctx, path, schema) // with its schema
		if err != nil {
			return nil, err
		}
		if err := made.Close(); err != nil {
			return nil, err
		}
		file, vfs = escapedPath(realPath(path)), ""
	}
	settings := url.Values{
		"_synchronous": {"OFF"}, "_journal_mode": {"MEMORY"}, "_locking_mode": {"EXCLUSIVE"}, "_foreign_keys": {"on"}, "_txlock": {"immediate"}, "_mutex": {"no"},
		"_stmt_cache_size": {"128"}, "_cache_size": {"-8000"}, // 8 MB: where a b-tree was balanced, a commit goes through all pages that are cached
	}
	if vfs != "" {
		settings.Set("vfs", vfs)
	}
	// Reads and writes share the connection, since the file is locked by it.
	pool := oneConnection("file:" + file + "?" + settings.Encode())
	if path == "" {
		if err := schema.bringUp(ctx, pool); err != nil {
			return nil, errors.Join(err, pool.Close())
		}
	}
	return Of(pool, pool), nil
}

// Temporary is a database of one goroutine, in a file that SQLite makes in the
// temporary folder and that is gone with the process, with 32 MB of it in memory.
type Temporary struct {
	*Tx  // a transaction that is never committed: nobody else could see it
	pool *sql.DB
}

// OpenTemporary makes one with these tables. It works until ctx ends.
func OpenTemporary(ctx context.Context, tables string) (*Temporary, error) {
	pool := oneConnection("file:?_journal_mode=OFF&_synchronous=OFF&_cache_size=-32000")
	conn, err := pool.Conn(ctx)
	if err != nil {
		return nil, errors.Join(explain(err), pool.Close())
	}
	x := &Temporary{&Tx{ctx: ctx, conn: conn, buffer: new(argBuffer)}, pool}
	if _, err := x.Exec("BEGIN; " + tables); err != nil {
		return nil, errors.Join(err, x.Close())
	}
	return x, nil
}

// Close throws the database away.
func (x *Temporary) Close() error {
	x.closeRows()
	return errors.Join(x.conn.Close(), x.pool.Close())
}

func oneConnection(dsn string) *sql.DB {
	pool := sql.OpenDB(connector{dsn})
	pool.SetMaxOpenConns(1)
	pool.SetMaxIdleConns(1)
	return pool
}

// OthersWrote is a number that changes when another process has written to the
// file, and not by writes of this one.
func (d *DB) OthersWrote(ctx context.Context) (version int64, err error) {
	// Asked of the connection that writes, since any other would see its writes as foreign.
	err = d.write.db.QueryRowContext(context.WithoutCancel(ctx), "PRAGMA data_version").Scan(&version)
	if err != nil {
		return 0, fmt.Errorf("look for changes of the store: %w", explain(err))
	}
	return version, nil
}

// Check reads the whole file and reports damage. It costs time in proportion
// to the file's size.
func (d *DB) Check(ctx context.Context) error {
	var first string
	if err := d.read.QueryRowContext(ctx, "PRAGMA quick_check(1)").Scan(&first); err != nil {
		return fmt.Errorf("check store: %w", explain(err))
	}
	if first != "ok" {
		return fmt.Errorf("the store is damaged (%s): stop the daemon and restore the last backup", first)
	}
	return nil
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

// orFail has the statements of a batch not undone alone: a statement that fails takes
// its transaction or its savepoint with it in any case, so SQLite need not keep the
// old pages of each, which costs more than many rows in one call save.
func orFail(query string) string {
	return writesTable.ReplaceAllStringFunc(query, func(verb string) string {
		switch verb {
		case "INSERT INTO ":
			return "INSERT OR FAIL INTO "
		case "UPDATE ":
			return "UPDATE OR FAIL "
		}
		return verb // DO UPDATE, of an upsert
	})
}

var writesTable = regexp.MustCompile(`INSERT INTO |(?:DO )?UPDATE `)

// insertRows runs an INSERT of many rows and appends the ids that it gave to them: the
// next ones in a row, since nobody else writes meanwhile.
func (t *Tx) insertRows(query string, args []any, ids []int64) ([]int64, error) {
	changed, err := t.execRows(query, args)
	if err != nil || changed == 0 {
		return ids, err
	}
	var last int64
	if err := t.Row("SELECT last_insert_rowid()").Scan(&last); err != nil {
		return nil, err
	}
	for id := last - changed + 1; id <= last; id++ {
		ids = append(ids, id)
	}
	return ids, nil
}

// execRows runs a statement with many arguments that returns no rows, and returns
// how many it changed. The driver hands over all arguments in one call where rows are
// asked for, and otherwise each in a call of its own.
func (t *Tx) execRows(query string, args []any) (changed int64, err error) {
	if err := t.queryRows(query, args, nil, nil); err != nil {
		return 0, err
	}
	err = t.Row("SELECT changes()").Scan(&changed)
	return changed, err
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

// explain turns the SQLite failures that an operator can mend into what to do.
func explain(err error) error {
	var e sqlite3.Error
	if !errors.As(err, &e) {
		return err
	}
	code := e.Code
	// SQLite's own words for these are "unable to open" and "disk I/O error".
	switch errno := e.SystemErrno; {
	case errno == syscall.EMFILE || errno == syscall.ENFILE:
		return fmt.Errorf("duewatch may open no more files: raise its limit of open files (LimitNOFILE, ulimit -n), nothing was lost (%w)", err)
	case errno == syscall.EACCES:
		return fmt.Errorf("the file or its folder is not open to this user: use sudo, or check owner and mode (%w)", err)
	case errno == syscall.ENOSPC || errno == syscall.EDQUOT:
		code = sqlite3.ErrFull
	}
	switch code {
	case sqlite3.ErrNotADB, sqlite3.ErrCorrupt:
		return fmt.Errorf("the file is damaged or not a duewatch store: restore the last backup (%w)", err)
	case sqlite3.ErrFull:
		return fmt.Errorf("the disk is full: free some space, nothing was lost (%w)", err)
	case sqlite3.ErrReadonly, sqlite3.ErrPerm, sqlite3.ErrCantOpen:
		return fmt.Errorf("the file or its folder cannot be written: use sudo, or check owner and mode (%w)", err)
	case sqlite3.ErrBusy, sqlite3.ErrLocked:
		return fmt.Errorf("another program kept the store locked for %s (%w)", busyTimeout, err)
	default:
		return err
	}
}

// OfTheRow reports a failure of what was to be written: a rule of the schema
// speaks against it.
func OfTheRow(err error) bool {
	var e sqlite3.Error
	return errors.As(err, &e) && e.Code == sqlite3.ErrConstraint
}

// ofTheMachine reports a failure that any other write would have met as well:
// no space, no memory, no more files.
func ofTheMachine(err error) bool {
	var e sqlite3.Error
	if !errors.As(err, &e) {
		return false
	}
	switch e.Code {
	case sqlite3.ErrFull, sqlite3.ErrIoErr, sqlite3.ErrNomem, sqlite3.ErrCantOpen:
		return true
	default:
		return false
	}
}
