// Package store keeps what duewatch knows in one SQLite file, and is the only
// place with SQL in it.
//
// It promises that what it reported as written survives a power cut
// (synchronous=FULL), that a reminder has at most one text (a unique key), and
// that states only go forward (guarded UPDATEs). Each change writes its event
// in the same transaction. It never decides: which reminder is due, and
// whether it should be sent, is asked of package reminder.
//
// All writes go through one connection and share its commits (writer.go), and
// their log is carried over into the file beside it (checkpoint.go); reads use a
// pool of their own and never wait for a write. The scheduler's jobs write, the
// commands and the web page read.
package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/mattn/go-sqlite3"
)

// Errors that callers tell apart.
var (
	// ErrLocked means that another daemon works on the same file.
	ErrLocked = errors.New("another duewatch daemon is using this store")
	// ErrTooNew means that a newer duewatch has written the file.
	ErrTooNew = errors.New("the store was written by a newer duewatch: install that version, or restore the backup made before the upgrade")
	// ErrTooOld means that the file is of a version before the first release.
	ErrTooOld = fmt.Errorf("the store is of a version before %d of the schema, which this duewatch cannot bring up to date: "+
		"start the duewatch of 29 November 2026 on it once, which can, and then this one", baseline)
	// ErrNotFound means that there is no such file, or nothing of that name.
	ErrNotFound = errors.New("not found")
	// ErrOldSchema means that the file awaits a migration, which the daemon does at its start.
	ErrOldSchema = errors.New("the store is of an older version: restart the daemon, which brings it up to date (a copy is read by the duewatch that wrote it)")
)

// Store is one open SQLite file. It is safe for concurrent use.
type Store struct {
	read   *sql.DB
	write  *writer // nil when opened for reading
	unlock func()
	daemon string      // the lock file of the daemon that may run beside; "" in the daemon itself
	unsure atomic.Bool // the clock is not vouched for: see TrustClock

	rejections rejectionCount // of the writer
}

// busyTimeout is how long a statement waits for a command that writes beside
// the daemon.
const busyTimeout = 10 * time.Second

// Open opens the file for the daemon, creating it (mode 0600) and bringing its
// schema up to date as needed. One daemon at a time may have it open; a second
// one gets ErrLocked.
func Open(ctx context.Context, path string) (_ *Store, err error) {
	path = realPath(path)
	if err := namedOnce(path); err != nil {
		return nil, err
	}
	unlock, err := lock(path)
	if err != nil {
		return nil, err
	}
	s := &Store{unlock: unlock}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close())
		}
	}()
	if err := migrate(ctx, path); err != nil {
		return nil, err
	}
	if s.write, err = newWriter(ctx, path, daemonCache); err != nil {
		return nil, err
	}
	s.write.log = startCheckpointer(path)
	if s.read, err = openPool(ctx, path, "ro", 4, 0); err != nil {
		return nil, err
	}
	return s, nil
}

// OpenReader opens an existing file for reading only, whether or not a daemon
// is running on it. It returns ErrNotFound when there is no file yet.
func OpenReader(ctx context.Context, path string) (*Store, error) {
	path = realPath(path)
	if info, err := os.Stat(path); errors.Is(err, os.ErrNotExist) || (err == nil && info.Size() == 0) {
		return nil, fmt.Errorf("store %s (named by store: in the config, or by DUEWATCH_STORE): %w: has the daemon run yet?", path, ErrNotFound)
	}
	if err := namedOnce(path); err != nil {
		return nil, err
	}
	db, err := openPool(ctx, path, "ro", 4, 0)
	if err != nil {
		return nil, err
	}
	s := &Store{read: db}
	if err := checkVersion(ctx, db); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// OpenWriter opens an existing file for a command that changes something,
// whether or not a daemon is running on it: the two take turns, and the daemon
// sees the change in its next transaction.
func OpenWriter(ctx context.Context, path string) (_ *Store, err error) {
	s, err := OpenReader(ctx, path)
	if err != nil {
		return nil, err
	}
	if s.write, err = newWriter(ctx, realPath(path), commandCache); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	s.daemon = realPath(path) + ".lock"
	return s, nil
}

// Close ends all work on the file. It waits for writes under way.
func (s *Store) Close() error {
	var errs []error
	// The last connection to close empties the log into the file, and only one
	// that may write can.
	if s.read != nil {
		errs = append(errs, s.read.Close())
	}
	if s.write != nil {
		errs = append(errs, s.write.close())
	}
	if s.unlock != nil {
		s.unlock()
	}
	return errors.Join(errs...)
}

// OthersWrote is a number that changes when another process has written to the
// file, and not by writes of this one.
func (s *Store) OthersWrote(ctx context.Context) (version int64, err error) {
	// Asked of the connection that writes, since any other would see its writes as foreign.
	err = s.write.db.QueryRowContext(context.WithoutCancel(ctx), "PRAGMA data_version").Scan(&version)
	if err != nil {
		return 0, fmt.Errorf("look for changes of the store: %w", explain(err))
	}
	return version, nil
}

// Check reads the whole file and reports damage. It costs time in proportion
// to the file's size.
func (s *Store) Check(ctx context.Context) error {
	var first string
	if err := s.read.QueryRowContext(ctx, "PRAGMA quick_check(1)").Scan(&first); err != nil {
		return fmt.Errorf("check store: %w", err)
	}
	if first != "ok" {
		return fmt.Errorf("the store is damaged (%s): stop the daemon and restore the last backup", first)
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

// ofTheRow reports a failure of what was to be written: a rule of the schema
// speaks against it.
func ofTheRow(err error) bool {
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
