package store

import (
	"embed"
	"fmt"
	"io/fs"

	"duewatch/store/db"
)

//go:embed migrations/*/*.sql
var migrations embed.FS

// baseline is the oldest version of the schema that is brought up to date.
const baseline = 10

// oldest is the oldest version of the schema whose duewatch may run on this one. A migration that
// raises oldest_version raises it.
const oldest = 14

var schema = db.Schema{
	SQLite:   migrationsOf("sqlite"),
	Postgres: migrationsOf("postgres"),
	Baseline: baseline,
	Oldest:   oldest,
	TooOld: fmt.Errorf("%w (it is of before version %d of the schema): "+
		"start the duewatch of 29 November 2026 on it once, which can, and then this one", db.ErrTooOld, baseline),
}

func migrationsOf(engine string) fs.FS {
	files, err := fs.Sub(migrations, "migrations/"+engine)
	if err != nil {
		panic(err) // the name is not a valid path: it is a constant
	}
	return files
}
