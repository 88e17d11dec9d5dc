package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"

	"github.com/pressly/goose/v3"
)

// Schema is what is to stand in a store, as numbered migrations of goose, the last
// of which is the version that this binary works with.
type Schema struct {
	Migrations fs.FS
	Baseline   int64 // the oldest version that is brought up to date: there was no release before it
	TooOld     error // what to do about an older one; is ErrTooOld
}

// migrate brings the schema up to the version this binary knows.
func (s Schema) migrate(ctx context.Context, path string) (err error) {
	pool, err := openPool(ctx, path, "rwc", 1, commandCache)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, pool.Close()) }()
	return s.bringUp(ctx, pool)
}

// bringUp brings up to date what the one connection of the pool is open on.
func (s Schema) bringUp(ctx context.Context, pool *sql.DB) error {
	// A table that others refer to is made anew without them noticing.
	if _, err := pool.ExecContext(ctx, "PRAGMA foreign_keys = OFF"); err != nil {
		return fmt.Errorf("bring the store up to date: %w", explain(err))
	}
	p, err := s.provider(pool)
	if err != nil {
		return err
	}
	have, want, err := p.GetVersions(ctx)
	if err != nil {
		return fmt.Errorf("read the store's version: %w", explain(err))
	}
	switch {
	case have > want:
		return ErrTooNew
	case have > 0 && have < s.Baseline:
		return s.TooOld
	}
	_, err = p.Up(ctx)
	if err == nil {
		_, err = pool.ExecContext(ctx, "PRAGMA foreign_keys = ON")
	}
	if err != nil {
		return fmt.Errorf("bring the store up to date: %w", explain(err))
	}
	return nil
}

// check refuses a store whose schema is not the one this binary knows.
func (s Schema) check(ctx context.Context, pool *sql.DB) error {
	p, err := s.provider(pool)
	if err != nil {
		return err
	}
	var have int64
	const latest = "SELECT coalesce(max(version_id), 0) FROM goose_db_version"
	if err := pool.QueryRowContext(ctx, latest).Scan(&have); err != nil {
		return fmt.Errorf("read the store's version: %w", explain(err))
	}
	sources := p.ListSources()
	switch want := sources[len(sources)-1].Version; {
	case have > want:
		return ErrTooNew
	case have < s.Baseline:
		return s.TooOld
	case have < want:
		return ErrOldSchema
	}
	return nil
}

func (s Schema) provider(pool *sql.DB) (*goose.Provider, error) {
	p, err := goose.NewProvider(goose.DialectSQLite3, pool, s.Migrations)
	if err != nil {
		return nil, fmt.Errorf("read embedded migrations: %w", err)
	}
	return p, nil
}
