package db

import (
	"context"
	"errors"
	"os"
	"testing"

	"github.com/jackc/pgx/v5"

	"duewatch/store/db/pgtest"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Main(m)) }

// serverSchema is that of the store, of which the engine needs some tables itself.
var serverSchema = Schema{Postgres: os.DirFS("../migrations/postgres"), Baseline: 10, Oldest: 14, TooOld: ErrTooOld}

// theServer is the one that tests share. It is missing where PostgreSQL is not installed.
func theServer(t testing.TB) *pgtest.Server {
	t.Helper()
	server, err := pgtest.Shared()
	if errors.Is(err, pgtest.ErrNotInstalled) {
		t.Skip(err)
	}
	mustDo(t, err)
	return server
}

// newDatabase is one that a daemon has brought up to date.
func newDatabase(t testing.TB) (address string) {
	t.Helper()
	theServer(t)
	return pgtest.Database(t, func(address string) error {
		d, err := OpenDaemon(context.Background(), address, serverSchema)
		if err != nil {
			return err
		}
		return d.Close()
	})
}

// daemonAt opens a database as a daemon does, and closes it when the test ends.
func daemonAt(t testing.TB, address string) *DB {
	t.Helper()
	return closedAtEnd(t, must(OpenDaemon(t.Context(), address, serverSchema)))
}

func closedAtEnd(t testing.TB, d *DB) *DB {
	t.Helper()
	t.Cleanup(func() { mustDo(t, d.Close()) })
	return d
}

// aside runs statements as somebody else, on a connection of their own.
func aside(t testing.TB, address, statements string) {
	t.Helper()
	mustDo(t, pgtest.Exec(context.WithoutCancel(t.Context()), address, statements))
}

// askAside is one value that somebody else reads.
func askAside[T any](t testing.TB, address, query string) (v T) {
	t.Helper()
	conn := must(pgx.Connect(t.Context(), address))
	defer conn.Close(t.Context()) //nolint:errcheck // it was only read by
	if err := conn.QueryRow(t.Context(), query).Scan(&v); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return v
}

// gated is a way to a database on which connections can be cut.
func gated(t testing.TB, address string) (gate *pgtest.Gate, through string) {
	t.Helper()
	gate = must(theServer(t).NewGate())
	t.Cleanup(func() { mustDo(t, gate.Close()) })
	through = gate.Via(address)
	return gate, through
}
