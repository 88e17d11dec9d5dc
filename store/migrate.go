package store

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"

	"github.com/pressly/goose/v3"
)

//go:embed migrations/*.sql
var migrations embed.FS

// baseline is the oldest version of the schema that is brought up to date. There
// was no release before it.
const baseline = 10

// migrate brings the schema up to the version this binary knows.
func migrate(ctx context.Context, path string) (err error) {
	db, err := openPool(ctx, path, "rwc", 1, commandCache)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	return bringUp(ctx, db)
}

// bringUp brings up to date what the one connection of db is open on.
func bringUp(ctx context.Context, db *sql.DB) error {
	// A table that others refer to is made anew without them noticing.
	if _, err := db.ExecContext(ctx, "PRAGMA foreign_keys = OFF"); err != nil {
		return fmt.Errorf("bring the store up to date: %w", explain(err))
	}
	p, err := provider(db)
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
	case have > 0 && have < baseline:
		return ErrTooOld
	}
	_, err = p.Up(ctx)
	if err == nil {
		_, err = db.ExecContext(ctx, "PRAGMA foreign_keys = ON")
	}
	if err != nil {
		return fmt.Errorf("bring the store up to date: %w", explain(err))
	}
	return nil
}

// checkVersion refuses a store whose schema is not the one this binary knows.
func checkVersion(ctx context.Context, db *sql.DB) error {
	p, err := provider(db)
	if err != nil {
		return err
	}
	var have int64
	const latest = "SELECT coalesce(max(version_id), 0) FROM goose_db_version"
	if err := db.QueryRowContext(ctx, latest).Scan(&have); err != nil {
		return fmt.Errorf("read the store's version: %w", explain(err))
	}
	sources := p.ListSources()
	switch want := sources[len(sources)-1].Version; {
	case have > want:
		return ErrTooNew
	case have < baseline:
		return ErrTooOld
	case have < want:
		return ErrOldSchema
	}
	return nil
}

func provider(db *sql.DB) (*goose.Provider, error) {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return nil, fmt.Errorf("read embedded migrations: %w", err)
	}
	p, err := goose.NewProvider(goose.DialectSQLite3, db, files)
	if err != nil {
		return nil, fmt.Errorf("read embedded migrations: %w", err)
	}
	return p, nil
}
