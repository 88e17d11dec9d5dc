package db

import (
	"context"
	"database/sql"
	"errors"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
)

// OpenScratch opens or makes a file that is thrown away, for one process alone,
// or without a path an empty store in memory, of a gigabyte at most. What it has
// written does not survive a power cut (synchronous=OFF), since nobody would miss
// it; it has no log and no lock, so that a commit costs no more than its pages.
func OpenScratch(ctx context.Context, path string, schema Schema) (*DB, error) {
	settings := url.Values{
		"_synchronous": {"OFF"}, "_journal_mode": {"MEMORY"}, "_locking_mode": {"EXCLUSIVE"},
		"_foreign_keys": {"on"}, "_txlock": {"immediate"}, "_mutex": {"no"}, "_stmt_cache_size": {"128"},
		"_cache_size": {"-4000"}, // 4 MB: where a b-tree was balanced, a commit goes through all pages that are cached
	}
	file := "scratch"
	if path == "" {
		settings.Set("vfs", "memdb") // not :memory:, where all pages stay dirty and each commit goes through them
	} else {
		file = escapedPath(realPath(path))
	}
	// Reads and writes share the connection, since the file is locked by it.
	pool := oneConnection("file:" + file + "?" + settings.Encode())
	if err := schema.bringUpFile(ctx, pool); err != nil {
		return nil, errors.Join(err, pool.Close())
	}
	return FromPools(pool, pool), nil
}

// OpenNameless is OpenScratch for a file in the temporary folder that is gone with
// the process, however that ends: once it is open, nothing leads to it. Its rows may
// refer to others that it does not have.
func OpenNameless(ctx context.Context, schema Schema) (_ *DB, err error) {
	folder, err := os.MkdirTemp("", "duewatch-") // which no other user may enter
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	d, err := OpenScratch(ctx, filepath.Join(folder, "scratch.db"), schema)
	if err != nil {
		return nil, err
	}
	if _, err := d.write.db.ExecContext(ctx, "PRAGMA foreign_keys = OFF"); err != nil {
		return nil, errors.Join(explain(err), d.Close())
	}
	// The C library keeps memory for each thread: without this a goroutine that moves
	// from thread to thread takes 10 MB more.
	err = d.Write(func(*Tx) error {
		runtime.LockOSThread()
		return nil
	})
	return d, err
}

// Temporary is a database of one goroutine, in a file that SQLite makes in the
// temporary folder and that is gone with the process, with 32 MB of it in memory.
type Temporary struct {
	*Tx  // a transaction that is never committed: nobody else could see it
	pool *sql.DB
}

// OpenTemporary makes one with these tables. It lasts until it is closed, also when ctx
// has ended: each of its statements is short.
func OpenTemporary(ctx context.Context, tables string) (*Temporary, error) {
	pool := oneConnection("file:?_journal_mode=OFF&_synchronous=OFF&_cache_size=-32000")
	conn, err := pool.Conn(ctx)
	if err != nil {
		return nil, errors.Join(explain(err), pool.Close())
	}
	x := &Temporary{&Tx{ctx: context.WithoutCancel(ctx), engine: sqlite{}, conn: conn, buffer: new(argBuffer)}, pool}
	if _, err := x.Exec("BEGIN; " + tables); err != nil {
		return nil, errors.Join(err, x.Close())
	}
	return x, nil
}

// Close throws the database away.
func (x *Temporary) Close() error {
	x.closeRows()
	return errors.Join(x.conn.Close(), x.pool.Close())
}

func oneConnection(dsn string) *sql.DB {
	pool := sql.OpenDB(connector{dsn})
	pool.SetMaxOpenConns(1)
	pool.SetMaxIdleConns(1)
	return pool
}
