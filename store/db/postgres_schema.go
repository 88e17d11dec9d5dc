package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/pressly/goose/v3"
	gooselock "github.com/pressly/goose/v3/lock"
)

// errForeignTables means that the database is another program's.
var errForeignTables = errors.New("the database holds tables that are not duewatch's: name an empty one (CREATE DATABASE duewatch)")

// wrongAddress says what is wrong with an address, without quoting what may hold a password.
func wrongAddress(address string, err error) error {
	why := err.Error()
	if u, parseErr := url.Parse(address); parseErr == nil {
		if password, has := u.User.Password(); has {
			why = strings.ReplaceAll(why, password, "…")
		}
	} else {
		why = "it cannot be read"
	}
	return &UnusableError{fmt.Errorf("store %s: %s: write postgres://ROLE@HOST:5432/DATABASE?sslmode=verify-full", Redacted(address), why)}
}

// serverFacts are what an engine needs of a server.
type serverFacts struct {
	version    int // as server_version_num: 150004 is 15.4
	recovering bool
	readOnly   bool
	schema     string // that new tables come into; "" = none
	mayCreate  bool
}

// oldestServer is the first version that duewatch is tested on.
const oldestServer = 14

// checkServer refuses a server that the store cannot be on.
func checkServer(ctx context.Context, pool *sql.DB, writes bool) error {
	var f serverFacts
	err := pool.QueryRowContext(ctx, `SELECT current_setting('server_version_num')::int, pg_is_in_recovery(),
		current_setting('transaction_read_only')::bool, coalesce(current_schema(), ''),
		coalesce(has_schema_privilege(current_schema(), 'CREATE'), false)`).
		Scan(&f.version, &f.recovering, &f.readOnly, &f.schema, &f.mayCreate)
	if err != nil {
		return explain(err)
	}
	return f.check(writes)
}

func (f serverFacts) check(writes bool) error {
	switch {
	case f.version < oldestServer*10_000:
		return &UnusableError{fmt.Errorf("the database server is PostgreSQL %d.%d: duewatch needs %d or later",
			f.version/10_000, f.version%10_000, oldestServer)}
	case writes && f.recovering:
		return errors.New("the database server is a standby, which cannot be written: name the primary, " +
			"or several hosts and target_session_attrs=read-write")
	case writes && f.readOnly:
		return &UnusableError{errors.New("the role or the database may only read (default_transaction_read_only): ALTER it, or name another")}
	case f.schema == "":
		return &UnusableError{errors.New("the role has no schema that it may use: GRANT USAGE, CREATE ON SCHEMA public TO it")}
	}
	return nil
}

// migrateServer brings the schema of a database up to date. Daemons that start together
// take turns.
func (s Schema) migrateServer(ctx context.Context, pool *sql.DB) error {
	if err := s.ours(ctx, pool); err != nil && !errors.Is(err, ErrNotFound) {
		return err
	}
	pool.SetMaxOpenConns(3) // the lock of migrations has connections of its own
	defer pool.SetMaxOpenConns(1)
	locker, err := gooselock.NewPostgresTableLocker()
	if err != nil {
		return fmt.Errorf("bring the store up to date: %w", err)
	}
	p, err := goose.NewProvider(goose.DialectPostgres, pool, s.Postgres, goose.WithLocker(locker))
	if err != nil {
		return fmt.Errorf("read embedded migrations: %w", err)
	}
	return s.bringUp(ctx, pool, p)
}

// ours refuses a database that is another program's; ErrNotFound = it is empty.
func (s Schema) ours(ctx context.Context, pool *sql.DB) error {
	var versions, bills bool
	var tables int
	err := pool.QueryRowContext(ctx, `SELECT to_regclass('goose_db_version') IS NOT NULL, to_regclass('due_remind') IS NOT NULL,
		(SELECT count(*) FROM pg_tables WHERE schemaname = current_schema() AND tablename NOT LIKE 'goose%')`).Scan(&versions, &bills, &tables)
	switch {
	case err != nil:
		return explain(err)
	case tables == 0:
		return fmt.Errorf("the database is empty: %w: has the daemon run yet?", ErrNotFound)
	case !versions || !bills:
		return errForeignTables
	}
	return nil
}

// checkServer refuses a database whose schema this binary cannot work with.
func (s Schema) checkServer(ctx context.Context, pool *sql.DB) error {
	if err := s.ours(ctx, pool); err != nil {
		return err
	}
	p, err := goose.NewProvider(goose.DialectPostgres, pool, s.Postgres)
	if err != nil {
		return fmt.Errorf("read embedded migrations: %w", err)
	}
	return s.check(ctx, pool, p)
}
