package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"strconv"

	"github.com/pressly/goose/v3"
)

// Schema is what is to stand in a store, as numbered migrations of goose, the last
// of which is the version that this binary works with. Each engine has its own, and their
// versions mean the same.
type Schema struct {
	SQLite, Postgres fs.FS
	Baseline         int64 // the oldest version that is brought up to date: there was no release before it
	Oldest           int64 // what the last version says of oldestVersion
	TooOld           error // what to do about an older one; is ErrTooOld
}

// oldestVersion is the fact in the table meta that says which version of the schema a
// binary must know, at least, to work on this store. Migrations add first and drop one version
// later, so that one binary may run on the schema of the next.
const oldestVersion = "oldest_version"

// bringUp brings a store up to the version that this binary knows. One that is newer is left
// as it is, where its schema says that this binary may work on it.
func (s Schema) bringUp(ctx context.Context, pool *sql.DB, p *goose.Provider) error {
	have, want, err := p.GetVersions(ctx)
	if err != nil {
		return fmt.Errorf("read the store's version: %w", explain(err))
	}
	switch {
	case have > want:
		return mayRunOn(ctx, pool, want)
	case have > 0 && have < s.Baseline:
		return s.TooOld
	}
	if _, err := p.Up(ctx); err != nil {
		return fmt.Errorf("bring the store up to date: %w", explain(err))
	}
	return nil
}

// check refuses a store whose schema this binary cannot work with.
func (s Schema) check(ctx context.Context, pool *sql.DB, p *goose.Provider) error {
	var have int64
	const latest = "SELECT coalesce(max(version_id), 0) FROM goose_db_version"
	if err := pool.QueryRowContext(ctx, latest).Scan(&have); err != nil {
		return fmt.Errorf("read the store's version: %w", explain(err))
	}
	sources := p.ListSources()
	switch want := sources[len(sources)-1].Version; {
	case have > want:
		return mayRunOn(ctx, pool, want)
	case have < s.Baseline:
		return s.TooOld
	case have < want:
		return ErrOldSchema
	}
	return nil
}

// mayRunOn reports whether a binary of a version may work on the schema of a newer one.
func mayRunOn(ctx context.Context, pool *sql.DB, version int64) error {
	var value string
	err := pool.QueryRowContext(ctx, "SELECT value FROM meta WHERE key = '"+oldestVersion+"'").Scan(&value)
	if errors.Is(err, sql.ErrNoRows) {
		return ErrTooNew
	}
	if err != nil {
		return fmt.Errorf("read the store's version: %w", explain(err))
	}
	oldest, err := strconv.ParseInt(value, 10, 64)
	if err != nil || oldest > version {
		return ErrTooNew
	}
	return nil
}
