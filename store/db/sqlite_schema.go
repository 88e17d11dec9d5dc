package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/pressly/goose/v3"
)

// migrateFile brings the schema of a file up to date.
func (s Schema) migrateFile(ctx context.Context, path string) (err error) {
	pool, err := openPool(ctx, path, "rwc", 1, commandCache)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, pool.Close()) }()
	return s.bringUpFile(ctx, pool)
}

// bringUpFile brings up to date what the one connection of the pool is open on.
func (s Schema) bringUpFile(ctx context.Context, pool *sql.DB) error {
	// A table that others refer to is made anew without them noticing.
	if _, err := pool.ExecContext(ctx, "PRAGMA foreign_keys = OFF"); err != nil {
		return fmt.Errorf("bring the store up to date: %w", explain(err))
	}
	p, err := s.fileProvider(pool)
	if err != nil {
		return err
	}
	if err := s.bringUp(ctx, pool, p); err != nil {
		return err
	}
	if _, err := pool.ExecContext(ctx, "PRAGMA foreign_keys = ON"); err != nil {
		return fmt.Errorf("bring the store up to date: %w", explain(err))
	}
	return nil
}

// checkFile refuses a file whose schema this binary cannot work with.
func (s Schema) checkFile(ctx context.Context, pool *sql.DB) error {
	p, err := s.fileProvider(pool)
	if err != nil {
		return err
	}
	return s.check(ctx, pool, p)
}

func (s Schema) fileProvider(pool *sql.DB) (*goose.Provider, error) {
	p, err := goose.NewProvider(goose.DialectSQLite3, pool, s.SQLite)
	if err != nil {
		return nil, fmt.Errorf("read embedded migrations: %w", err)
	}
	return p, nil
}
