package db

import (
	"context"
	"net/url"
	"strings"
)

// OnServer reports whether a store is a database of a PostgreSQL server, by its address
// (postgres://…), and not a file, by its path.
func OnServer(store string) bool {
	return strings.HasPrefix(store, "postgres://") || strings.HasPrefix(store, "postgresql://")
}

// Redacted is the path or the address of a store as it may be printed: without a password.
func Redacted(store string) string {
	if !OnServer(store) {
		return store
	}
	u, err := url.Parse(store)
	if err != nil {
		return "postgres://…" // the error would quote it
	}
	query := u.Query()
	for _, secret := range []string{"password", "passfile", "sslpassword"} {
		query.Del(secret)
	}
	if u.User != nil {
		u.User = url.User(u.User.Username())
	}
	u.RawQuery = query.Encode()
	return u.String()
}

// OpenDaemon opens a store for the daemon, bringing its schema up to date as needed; a
// file is created (mode 0600), and a database has to be there. One daemon at a time may
// have a file open, and a second one gets ErrLocked; on a database there may be several.
func OpenDaemon(ctx context.Context, store string, schema Schema) (*DB, error) {
	if OnServer(store) {
		return openServerDaemon(ctx, store, schema, false)
	}
	return openFileDaemon(ctx, store, schema)
}

// OpenAlone is OpenDaemon for who must be alone on the store: ErrLocked beside any daemon.
func OpenAlone(ctx context.Context, store string, schema Schema) (*DB, error) {
	if OnServer(store) {
		return openServerDaemon(ctx, store, schema, true)
	}
	return openFileDaemon(ctx, store, schema)
}

// OpenReader opens an existing store for reading only, whether or not a daemon
// is running on it. It returns ErrNotFound when there is none yet.
func OpenReader(ctx context.Context, store string, schema Schema) (*DB, error) {
	if OnServer(store) {
		return openServer(ctx, store, schema, false)
	}
	return openFileReader(ctx, store, schema)
}

// OpenWriter opens an existing store for a command that changes something,
// whether or not a daemon is running on it: the two take turns, and the daemon
// sees the change in its next transaction.
func OpenWriter(ctx context.Context, store string, schema Schema) (*DB, error) {
	if OnServer(store) {
		return openServer(ctx, store, schema, true)
	}
	return openFileWriter(ctx, store, schema)
}
