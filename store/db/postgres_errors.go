package db

import (
	"context"
	"crypto/tls"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
)

// Classes and codes of PostgreSQL's errors (appendix A of its manual).
const (
	classConnection = "08"
	classData       = "22" // a value that the column does not take
	classConstraint = "23"
	classResources  = "53" // disk full, out of memory, too many connections
	classOperator   = "57" // cancelled, shut down, starting up
	classSystem     = "58" // I/O

	codeSerialization   = "40001"
	codeDeadlock        = "40P01"
	codeLockTimeout     = "55P03"
	codeCancelled       = "57014"
	codeDiskFull        = "53100"
	codeTooMany         = "53300"
	codeReadOnly        = "25006"
	codeIdleTransaction = "25P03"
	codeNoRight         = "42501"
	codeNoTable         = "42P01"
	codeNoDatabase      = "3D000"
	codeWrongPassword   = "28P01"
	codeNotLetIn        = "28000"
	codeNoStatement     = "26000"
	codeStatementTwice  = "42P05"
)

// explainServer turns failures of the server that an operator can mend into what to do.
func explainServer(err error) error {
	var e *pgconn.PgError
	if !errors.As(err, &e) {
		return explainConnection(err)
	}
	var what string
	switch e.Code {
	case codeDiskFull:
		what = "the disk of the database server is full: free some space there, nothing was lost"
	case codeTooMany:
		what = "the database server has no connection left: raise max_connections, or let fewer programs connect; duewatch needs 6"
	case codeReadOnly:
		what = "the database server is a standby, which cannot be written: name the primary, " +
			"or several hosts and target_session_attrs=read-write"
	case codeNoRight:
		what = "the role may not do this: it must own the database, or have all rights on its tables (GRANT)"
	case codeNoDatabase:
		what = "there is no such database: CREATE DATABASE it, owned by the role"
	case codeWrongPassword:
		what = "the server does not take the password, or none was given: write store_password_file, or give the credential store_password"
	case codeNotLetIn:
		what = "the server does not let the role in: look at its pg_hba.conf, and whether there is such a role"
	case codeLockTimeout:
		what = "another program kept the store locked for " + busyTimeout.String()
	case codeCancelled:
		what = "the statement was cancelled at the server, and its transaction undone"
	case codeNoStatement, codeStatementTwice:
		what = "a pooler between duewatch and the server keeps no prepared statements: " +
			"add default_query_exec_mode=exec to the address, or set max_prepared_statements in the pooler"
	default:
		return err
	}
	return explained(what, err)
}

// explainConnection is explainServer for a server that was not reached, or not believed.
func explainConnection(err error) error {
	var connecting *pgconn.ConnectError
	if !errors.As(err, &connecting) {
		return err
	}
	what := "the database server cannot be reached: is it up, are host and port right, may this host connect, " +
		"and has it TLS where sslmode asks for it?"
	var certificate *tls.CertificateVerificationError
	if errors.As(err, &certificate) {
		what = "the certificate of the database server cannot be trusted: name that of its authority by sslrootcert=FILE in the address, " +
			"and the host as the certificate does"
	}
	return explained(what, err)
}

// explainedError is a failure with what to do about it, in one line: of a connection, the
// library writes a line for each host that it tried.
type explainedError struct {
	text string
	err  error
}

func explained(what string, err error) error {
	return &explainedError{what + " (" + strings.Join(strings.Fields(err.Error()), " ") + ")", err}
}

func (e *explainedError) Error() string { return e.text }
func (e *explainedError) Unwrap() error { return e.err }

// UnusableError is why a store cannot be used until somebody has changed its address, its
// server, the rights on it, or the config. To start again does not mend it.
type UnusableError struct{ Err error }

func (e *UnusableError) Error() string { return e.Err.Error() }

// Unwrap is for errors.Is.
func (e *UnusableError) Unwrap() error { return e.Err }

// notOpened says which database could not be opened, and whether to try again is of use.
func notOpened(address string, err error) error {
	err = fmt.Errorf("store %s: %w", Redacted(address), err)
	var certificate *tls.CertificateVerificationError
	lasts := errors.Is(err, ErrTooNew) || errors.Is(err, ErrTooOld) || errors.Is(err, errForeignTables) || errors.As(err, &certificate)
	if e := (*pgconn.PgError)(nil); errors.As(err, &e) {
		switch e.Code {
		case codeNoRight, codeNoDatabase, codeWrongPassword, codeNotLetIn, codeNoStatement, codeStatementTwice:
			lasts = true
		}
	}
	if lasts {
		return &UnusableError{err}
	}
	return err
}

// ConnectionLost is isConnectionLost for who reads.
func ConnectionLost(err error) bool { return isConnectionLost(err) }

// isConnectionLost reports whether a failure is of the connection, and so says nothing of
// what the server did.
func isConnectionLost(err error) bool {
	if err == nil {
		return false
	}
	if e := (*pgconn.PgError)(nil); errors.As(err, &e) {
		switch e.Code[:2] {
		case classConnection:
			return true
		case classOperator:
			return e.Code != codeCancelled
		}
		return e.Code == codeIdleTransaction
	}
	var network net.Error
	var connecting *pgconn.ConnectError
	return errors.Is(err, pgconn.ErrConnClosed) || errors.Is(err, driver.ErrBadConn) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) ||
		errors.Is(err, sql.ErrConnDone) || errors.As(err, &network) || errors.As(err, &connecting)
}

// isUndone reports whether a transaction failed for no fault of its own, and nothing of it
// is in the store: it may be run again. The COMMIT is not asked about by this.
func isUndone(err error) bool {
	if errors.Is(err, errEndUnknown) || errors.Is(err, ErrWentBack) {
		return false
	}
	// To connect has a time-out of its own.
	if connecting := (*pgconn.ConnectError)(nil); !errors.As(err, &connecting) &&
		(errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)) {
		return false
	}
	if errors.Is(err, errUnconfirmed) || errors.Is(err, errFormer) {
		return true
	}
	if e := (*pgconn.PgError)(nil); errors.As(err, &e) {
		switch e.Code {
		case codeSerialization, codeDeadlock, codeTooMany, codeReadOnly:
			return true
		}
	}
	return isConnectionLost(err)
}

// ofTheServer is ofTheMachine for a server.
func ofTheServer(err error) bool {
	if e := (*pgconn.PgError)(nil); errors.As(err, &e) {
		switch e.Code[:2] {
		case classResources, classOperator, classSystem:
			return true
		}
		return e.Code == codeLockTimeout || e.Code == codeReadOnly || isUndone(err)
	}
	return isConnectionLost(err)
}
