// Package store keeps what duewatch knows, and is the only place with SQL in it. How
// statements reach the engine is package db's, below it.
//
// It promises that what it reported as written survives a power cut, that a reminder
// has at most one text (a unique key), and that states only go forward (guarded
// UPDATEs). Each change writes its event in the same transaction. It never decides:
// which reminder is due, and whether it should be sent, is asked of package reminder.
//
// The scheduler's jobs write, the commands and the web page read.
package store

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"duewatch/store/db"
)

// ErrNotFound means that there is no such file, or nothing of that name.
var ErrNotFound = db.ErrNotFound

// ConnectionLost reports whether something failed since the connection to the database was lost. It
// says nothing about what failed; reading again waits until there is a connection.
func ConnectionLost(err error) bool { return db.ConnectionLost(err) }

// ErrNoBackup says how a store on PostgreSQL is backed up.
var ErrNoBackup = db.ErrNoBackup

// Store is one open store. It is safe for concurrent use.
type Store struct {
	db     *db.DB
	unsure atomic.Bool // the clock is not vouched for: see TrustClock

	rejections rejectionCount // of the writer
}

// Open opens the file for the daemon, creating it (mode 0600) and bringing its
// schema up to date as needed. One daemon at a time may have it open; a second
// one gets db.ErrLocked.
func Open(ctx context.Context, path string) (*Store, error) {
	return openedAt(ctx, path, db.OpenDaemon)
}

// OpenReader opens an existing file for reading only, whether or not a daemon
// is running on it. It returns ErrNotFound when there is no file yet.
func OpenReader(ctx context.Context, path string) (*Store, error) {
	return openedAt(ctx, path, db.OpenReader)
}

// OpenWriter opens an existing file for a command that changes something,
// whether or not a daemon is running on it: the two take turns, and the daemon
// sees the change in its next transaction.
func OpenWriter(ctx context.Context, path string) (*Store, error) {
	return openedAt(ctx, path, db.OpenWriter)
}

// OpenScratch opens or makes a file that is thrown away, for one process alone, or
// without a path an empty store in memory, of a gigabyte at most. What it has written
// does not survive a power cut.
func OpenScratch(ctx context.Context, path string) (*Store, error) {
	return opened(db.OpenScratch(ctx, path, schema))
}

// openedAt opens a store, unless it was moved elsewhere or is an unfinished copy.
func openedAt(ctx context.Context, at string, open func(context.Context, string, db.Schema) (*db.DB, error)) (*Store, error) {
	s, err := opened(open(ctx, at, schema))
	if err != nil {
		return nil, err
	}
	mark, err := markOf(s.read(ctx))
	if err == nil && mark != nil {
		err = mark.refuse(nameOf(at))
	}
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func opened(d *db.DB, err error) (*Store, error) {
	if err != nil {
		return nil, err
	}
	return &Store{db: d}, nil
}

// Close ends all work. It waits for writes under way.
func (s *Store) Close() error { return s.db.Close() }

// OthersWrote is a number that changes when another process has written to the
// store, and not by writes of this one.
func (s *Store) OthersWrote(ctx context.Context) (version int64, err error) {
	return s.db.OthersWrote(ctx)
}

// Lost reports since when there is no connection to the database, and why; zero = there
// is one, or the store is a file. Until it is back, what the daemon reads or writes waits.
func (s *Store) Lost() (since time.Time, why error) { return s.db.Lost() }

// Ended is closed when this daemon can work on the store no more, for the reason that
// EndedBy returns: another daemon has taken it, or it has lost commits. A file never ends.
func (s *Store) Ended() <-chan struct{} { return s.db.Ended() }

// EndedBy is why Ended is closed.
func (s *Store) EndedBy() error { return s.db.EndedBy() }

// IsUnusable reports whether a store cannot be opened until somebody has changed its
// address, its server or the rights on it: to start again does not mend it.
func IsUnusable(err error) bool {
	_, is := errors.AsType[*db.UnusableError](err)
	return is
}

// Check reads the whole store and reports damage. It costs time in proportion
// to its size.
func (s *Store) Check(ctx context.Context) error { return s.db.Check(ctx) }

// tx is a transaction, with what is done in one by subject.
type tx struct{ *db.Tx }

// do runs fn in a transaction, as db.DB.Write says.
func (s *Store) do(fn func(*tx) error) error {
	return s.db.Write(func(t *db.Tx) error { return fn(&tx{t}) })
}

// view runs fn on one connection that only reads.
func (s *Store) view(ctx context.Context, fn func(*tx) error) error {
	return s.db.View(ctx, func(t *db.Tx) error { return fn(&tx{t}) })
}

// read reads by the pool.
func (s *Store) read(ctx context.Context) db.Reader { return s.db.Reader(ctx) }
