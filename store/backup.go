package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/mattn/go-sqlite3"
)

// Copied is what a backup holds.
type Copied struct {
	Bills, Reminders, Texts, OptOuts, Events int64
	Bytes                                    int64
}

// backupStep is how many pages are copied between two looks at the context.
const backupStep = 2000

// Backup writes a copy of the store, as it is at one instant, into a file that
// must not be there yet unless force is given. It never makes a daemon wait:
// one read transaction holds the instant, so that no write starts the copy
// over, and the write-ahead log grows until it is done.
//
// The copy is made in FILE.part, readable by its owner alone, flushed to disk
// and checked (every page and index, the version, the number of rows) before it
// gets its name: FILE is a whole backup or not there. tell is called now and
// then.
func (s *Store) Backup(ctx context.Context, file string, force bool, tell func(what string, done, of int)) (c Copied, err error) {
	if err := s.mayWriteTo(ctx, file, force); err != nil {
		return c, err
	}
	part, err := openPart(file + partEnd)
	if err != nil {
		return c, err
	}
	defer func() {
		err = errors.Join(err, part.Close())
		if err != nil {
			_ = os.Remove(part.Name()) // what is left is written over by the next backup
		}
	}()
	if c, err = s.copyTo(ctx, part.Name(), tell); err != nil {
		return c, fmt.Errorf("backup: %w", err)
	}
	if err := errors.Join(atRest(ctx, part.Name()), part.Sync()); err != nil {
		return c, fmt.Errorf("backup: %w", err)
	}
	tell("checking the copy", 0, 0)
	if err := verify(ctx, part.Name(), &c); err != nil {
		return c, fmt.Errorf("the copy was thrown away, it is not like the store: %w", err)
	}
	if err := s.mayWriteTo(ctx, file, force); err != nil {
		return c, err
	}
	if err := os.Rename(part.Name(), file); err != nil {
		return c, fmt.Errorf("backup: %w", err)
	}
	return c, syncFolder(filepath.Dir(file))
}

// partEnd is added to the name of a backup while it is made.
const partEnd = ".part"

// mayWriteTo refuses files that a backup must not take the place of. It is asked
// before the part is opened, which empties it.
func (s *Store) mayWriteTo(ctx context.Context, file string, force bool) error {
	var seq, name, own string
	if err := s.read.QueryRowContext(ctx, "PRAGMA database_list").Scan(&seq, &name, &own); err != nil {
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
func (s *Store) copyTo(ctx context.Context, file string, tell func(what string, done, of int)) (c Copied, err error) {
	from, err := s.read.Conn(ctx)
	if err != nil {
		return c, explain(err)
	}
	defer func() { err = errors.Join(err, from.Close()) }()
	if _, err := from.ExecContext(ctx, "BEGIN"); err != nil {
		return c, explain(err)
	}
	defer func() {
		_, end := from.ExecContext(context.WithoutCancel(ctx), "ROLLBACK")
		err = errors.Join(err, explain(end))
	}()
	if err := c.count(ctx, from); err != nil { // reads, and with that takes the instant
		return c, err
	}
	db := sql.OpenDB(connector{"file:" + escapedPath(file) + "?_journal_mode=OFF&_synchronous=OFF"})
	defer func() { err = errors.Join(err, db.Close()) }()
	to, err := db.Conn(ctx)
	if err != nil {
		return c, explain(err)
	}
	defer func() { err = errors.Join(err, to.Close()) }()
	return c, to.Raw(func(dst any) error {
		return from.Raw(func(src any) error {
			return copyPages(ctx, dst.(*sqlite3.SQLiteConn), src.(*sqlite3.SQLiteConn), tell) // of our connector
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

func copyPages(ctx context.Context, dst, src *sqlite3.SQLiteConn, tell func(what string, done, of int)) (err error) {
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
		tell("copying", b.PageCount()-b.Remaining(), b.PageCount())
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

// count fills in how many rows there are.
func (c *Copied) count(ctx context.Context, q interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}) error {
	for _, t := range []struct {
		name string
		n    *int64
	}{{"bills", &c.Bills}, {"reminders", &c.Reminders}, {"texts", &c.Texts}, {"opt_outs", &c.OptOuts}, {"events", &c.Events}} {
		if err := q.QueryRowContext(ctx, "SELECT count(*) AS all_of_them FROM "+t.name).Scan(t.n); err != nil {
			return explain(err)
		}
	}
	return nil
}

// verify reads a whole copy for damage, and fails when it is of another version
// or holds other numbers of rows than c says.
func verify(ctx context.Context, file string, c *Copied) (err error) {
	// Immutable: reading makes no files beside it.
	db := sql.OpenDB(connector{"file:" + escapedPath(file) + "?mode=ro&immutable=1"})
	defer func() { err = errors.Join(err, db.Close()) }()
	var first string
	if err := db.QueryRowContext(ctx, "PRAGMA integrity_check(1)").Scan(&first); err != nil {
		return explain(err)
	}
	if first != "ok" {
		return fmt.Errorf("it is damaged: %s; is the store sound (duewatch check), and the disk?", first)
	}
	if err := checkVersion(ctx, db); err != nil {
		return err
	}
	var have Copied
	if err := have.count(ctx, db); err != nil {
		return err
	}
	if have != *c {
		return fmt.Errorf("it holds %+v, and the store %+v", have, *c)
	}
	info, err := os.Stat(file)
	if err != nil {
		return err
	}
	c.Bytes = info.Size()
	return nil
}

// syncFolder makes a new name in a folder survive a power cut.
func syncFolder(dir string) error {
	d, err := os.Open(dir) //nolint:gosec // of the file that the operator named
	if err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	return errors.Join(d.Sync(), d.Close())
}
