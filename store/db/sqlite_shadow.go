package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
)

// OpenShadow opens an existing file for reading, with room for temporary tables that
// shadow its own: one connection, which lasts.
func OpenShadow(ctx context.Context, path string) (*DB, error) {
	settings := url.Values{
		"mode": {"ro"}, "_foreign_keys": {"off"}, // the copy has not all that it refers to
		"_busy_timeout": {fmt.Sprint(busyTimeout.Milliseconds())}, "_stmt_cache_size": {"128"},
	}
	pool := sql.OpenDB(connector{"file:" + escapedPath(realPath(path)) + "?" + settings.Encode()})
	pool.SetMaxOpenConns(1)
	pool.SetMaxIdleConns(1)
	for _, setting := range []string{"PRAGMA temp.journal_mode = MEMORY", "PRAGMA temp.cache_size = -64000"} { // 64 MB, the rest in the file
		if _, err := pool.ExecContext(ctx, setting); err != nil {
			return nil, errors.Join(fmt.Errorf("look ahead: %w", explain(err)), pool.Close())
		}
	}
	return Of(pool, pool), nil
}
