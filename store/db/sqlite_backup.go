package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"github.com/mattn/go-sqlite3"
)

// backupStep is how many pages are copied between two looks at the context.
const backupStep = 2000

// Backup writes a copy of the store, as it is at one instant, into a file that
// must not be there yet unless force is given. It never makes a daemon wait:
// one read transaction holds the instant, so that no write starts the copy
// over, and the write-ahead log grows until it is done.
//
// The copy is made in FILE.part, readable by its owner alone, flushed to disk
// and checked (every page and index, the version, the number of rows) before it
// gets its name: FILE is a whole backup or not there. progress is called now and
// then. It returns the rows of these tables and the bytes that the backup holds.
func (d *DB) Backup(ctx context.Context, file string, force bool, schema Schema, tables []string,
	progress func(what string, done, of int),
) (rows []int64, bytes int64, err error) {
	if _, ok := d.engine.(*postgres); ok {
		return nil, 0, ErrNoBackup
	}
	if err := d.mayWriteTo(ctx, file, force); err != nil {
		return nil, 0, err
	}
	part, err := openPart(file + partEnd)
	if err != nil {
		return nil, 0, err
	}
	defer func() {
		err = errors.Join(err, part.Close())
		if err != nil {
			_ = os.Remove(part.Name()) // what is left is written over by the next backup
		}
	}()
	if rows, err = d.copyTo(ctx, part.Name(), tables, progress); err != nil {
		return nil, 0, fmt.Errorf("backup: %w", err)
	}
	if err := errors.Join(atRest(ctx, part.Name()), part.Sync()); err != nil {
		return nil, 0, fmt.Errorf("backup: %w", err)
	}
	progress("checking the copy", 0, 0)
	if bytes, err = verify(ctx, part.Name(), schema, tables, rows); err != nil {
		return nil, 0, fmt.Errorf("the copy was thrown away, it is not like the store: %w", err)
	}
	if err := d.mayWriteTo(ctx, file, force); err != nil {
		return nil, 0, err
	}
	if err := os.Rename(part.Name(), file); err != nil {
		return nil, 0, fmt.Errorf("backup: %w", err)
	}
	return rows, bytes, syncFolder(filepath.Dir(file))
}

// partEnd is added to the name of a backup while it is made.
const partEnd = ".part"

// mayWriteTo refuses files that a backup must not take the place of. It is asked
// before the part is opened, which empties it.
func (d *DB) mayWriteTo(ctx context.Context, file string, force bool) error {
	var seq, name, own string
	if err := d.read.QueryRowContext(ctx, "PRAGMA database_list").Scan(&seq, &name, &own); err != nil {
		return fmt.Errorf("backup: %w", explain(err))
	}
	abs, err := filepath.Abs(file)
	if err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	for _, end := range append([]string{""}, belongings...) {
		if to := realPath(abs); to == own+end || to+partEnd == own+end {
			return fmt.Errorf("backup: %s belongs to the store itself: name another file", file)
		}
	}
	// The log of another file of this name would be taken for the backup's own.
	if _, err := os.Lstat(file + "-wal"); err == nil {
		return fmt.Errorf("backup: %s-wal is there, so a program works on %s, or died with it: name another file", file, file)
	}
	info, err := os.Lstat(file)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("backup: %w", err)
	case info.Mode().Type() == os.ModeSymlink:
		return fmt.Errorf("backup: %s is a symbolic link: remove it, or name the file itself", file)
	case !info.Mode().IsRegular():
		return fmt.Errorf("backup: %s is no file: name the file to write", file)
	}
	if mine, err := os.Stat(own); err == nil && os.SameFile(info, mine) {
		return fmt.Errorf("backup: %s is the store itself: name another file", file)
	}
	if !force {
		return fmt.Errorf("backup: %s is there already: name another file, or give --force to replace it", file)
	}
	return nil
}

// openPart opens the file that a backup is made in, empty, and keeps a second
// backup out of it. What another backup of this user left there is used again.
// Its name is no secret, and its folder may be one that others write to: where
// they have laid a link or a file of their own, the backup would empty what the
// link leads to, or give them every phone.
func openPart(name string) (*os.File, error) {
	f, err := openOwn(name)
	if errors.Is(err, errShared) {
		return nil, fmt.Errorf("backup: the copy cannot be made, since %w", err)
	}
	if err != nil {
		return nil, fmt.Errorf("backup: %w", err)
	}
	if err := emptyPart(f); err != nil {
		return nil, errors.Join(fmt.Errorf("backup: %w", err), f.Close())
	}
	return f, nil
}

func emptyPart(f *os.File) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if stat, ok := info.Sys().(*syscall.Stat_t); ok && int(stat.Uid) != os.Geteuid() {
		return fmt.Errorf("%s belongs to another user, who could read the copy: remove it, or name another file", f.Name())
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return fmt.Errorf("%s is being written by another backup: wait for it (%w)", f.Name(), err)
	}
	// SQLite would write through a link in the place of its own files.
	for _, end := range belongings {
		if err := os.Remove(f.Name() + end); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return errors.Join(f.Truncate(0), f.Chmod(0o600))
}

// copyTo copies all pages of one instant, and counts what that instant holds.
func (d *DB) copyTo(ctx context.Context, file string, tables []string, progress func(what string, done, of int)) (rows []int64, err error) {
	from, err := d.read.Conn(ctx)
	if err != nil {
		return nil, explain(err)
	}
	defer func() { err = errors.Join(err, from.Close()) }()
	if _, err := from.ExecContext(ctx, "BEGIN"); err != nil {
		return nil, explain(err)
	}
	defer func() {
		_, end := from.ExecContext(context.WithoutCancel(ctx), "ROLLBACK")
		err = errors.Join(err, explain(end))
	}()
	if rows, err = count(ctx, from, tables); err != nil { // reads, and with that takes the instant
		return nil, err
	}
	pool := sql.OpenDB(connector{"file:" + escapedPath(file) + "?_journal_mode=OFF&_synchronous=OFF"})
	defer func() { err = errors.Join(err, pool.Close()) }()
	to, err := pool.Conn(ctx)
	if err != nil {
		return nil, explain(err)
	}
	defer func() { err = errors.Join(err, to.Close()) }()
	return rows, to.Raw(func(dst any) error {
		return from.Raw(func(src any) error {
			return copyPages(ctx, dst.(*sqlite3.SQLiteConn), src.(*sqlite3.SQLiteConn), progress) // of our connector
		})
	})
}

// atRest takes a copy out of the mode with a write-ahead log, so that whoever
// reads it leaves no files beside it. Whoever writes to it, as the daemon does
// when it is restored, sets that mode again.
func atRest(ctx context.Context, file string) (err error) {
	db := sql.OpenDB(connector{"file:" + escapedPath(file) + "?_synchronous=OFF"}) // Backup flushes it
	defer func() { err = errors.Join(err, db.Close()) }()
	var mode string
	if err := db.QueryRowContext(ctx, "PRAGMA journal_mode = DELETE").Scan(&mode); err != nil {
		return explain(err)
	}
	if mode != "delete" {
		return fmt.Errorf("the copy stays in the mode %s", mode)
	}
	return nil
}

func copyPages(ctx context.Context, dst, src *sqlite3.SQLiteConn, progress func(what string, done, of int)) (err error) {
	b, err := dst.Backup("main", src, "main")
	if err != nil {
		return explain(err)
	}
	defer func() { err = errors.Join(err, explain(b.Finish())) }()
	for left := -1; ; {
		done, err := b.Step(backupStep)
		if err != nil {
			return explain(err)
		}
		progress("copying", b.PageCount()-b.Remaining(), b.PageCount())
		switch {
		case done:
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		case b.Remaining() == left: // the file was busy for a moment
			select {
			case <-ctx.Done():
			case <-time.After(10 * time.Millisecond):
			}
		}
		left = b.Remaining()
	}
}

// count counts the rows of tables.
func count(ctx context.Context, q interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}, tables []string) (rows []int64, err error) {
	rows = make([]int64, len(tables))
	for i, table := range tables {
		if err := q.QueryRowContext(ctx, "SELECT count(*) AS all_of_them FROM "+table).Scan(&rows[i]); err != nil {
			return nil, explain(err)
		}
	}
	return rows, nil
}

// verify reads a whole copy for damage, and fails when it is of another version
// or holds other numbers of rows than want. It returns its bytes.
func verify(ctx context.Context, file string, schema Schema, tables []string, want []int64) (bytes int64, err error) {
	// Immutable: reading makes no files beside it.
	pool := sql.OpenDB(connector{"file:" + escapedPath(file) + "?mode=ro&immutable=1"})
	defer func() { err = errors.Join(err, pool.Close()) }()
	var first string
	if err := pool.QueryRowContext(ctx, "PRAGMA integrity_check(1)").Scan(&first); err != nil {
		return 0, explain(err)
	}
	if first != "ok" {
		return 0, fmt.Errorf("it is damaged: %s; is the store sound (duewatch check), and the disk?", first)
	}
	if err := schema.checkFile(ctx, pool); err != nil {
		return 0, err
	}
	have, err := count(ctx, pool, tables)
	if err != nil {
		return 0, err
	}
	if !slices.Equal(have, want) {
		return 0, fmt.Errorf("of %v it holds %d rows, and the store %d", tables, have, want)
	}
	info, err := os.Stat(file)
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

// syncFolder makes a new name in a folder survive a power cut.
func syncFolder(dir string) error {
	d, err := os.Open(dir) //nolint:gosec // of the file that the operator named
	if err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	return errors.Join(d.Sync(), d.Close())
}
