package db

import (
	"errors"
	"fmt"
	"strings"
	"syscall"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/mattn/go-sqlite3"
)

// explain turns the failures of an engine that an operator can mend into what to do.
func explain(err error) error {
	e, ok := errors.AsType[sqlite3.Error](err)
	if !ok {
		return explainServer(err)
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
	var file sqlite3.Error
	var server *pgconn.PgError
	return (errors.As(err, &file) && file.Code == sqlite3.ErrConstraint) ||
		(errors.As(err, &server) && (strings.HasPrefix(server.Code, classConstraint) || strings.HasPrefix(server.Code, classData)))
}

// ofTheMachine reports a failure that any other write would have met as well:
// no space, no memory, no more files.
func ofTheMachine(err error) bool {
	var e sqlite3.Error
	if !errors.As(err, &e) {
		return ofTheServer(err)
	}
	switch e.Code {
	case sqlite3.ErrFull, sqlite3.ErrIoErr, sqlite3.ErrNomem, sqlite3.ErrCantOpen:
		return true
	default:
		return false
	}
}
