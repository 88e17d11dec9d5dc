package db

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// realPath is the one name of a file that has several by symbolic links: two
// daemons must meet at the same lock. The file need not be there yet: a link in
// its place leads to where it will be made.
func realPath(path string) string {
	path = filepath.Clean(path)
	const mostLinks = 40 // as many as the kernel follows
	for range mostLinks {
		if resolved, err := filepath.EvalSymlinks(path); err == nil {
			return resolved
		}
		if folder, err := filepath.EvalSymlinks(filepath.Dir(path)); err == nil {
			path = filepath.Join(folder, filepath.Base(path))
		}
		target, err := os.Readlink(path)
		if err != nil {
			return path
		}
		if !filepath.IsAbs(target) {
			target = filepath.Join(filepath.Dir(path), target)
		}
		path = target
	}
	return path
}

// errShared means that a file of the store is, or may be, reached by another
// name as well.
var errShared = errors.New("it must have one name")

// oneName refuses what is no plain file with one name: by a symbolic or a hard
// link, a write meant for this file would end in another.
func oneName(name string, info os.FileInfo) error {
	stat, ok := info.Sys().(*syscall.Stat_t)
	switch {
	case info.Mode().Type() == os.ModeSymlink:
		return fmt.Errorf("%s is a symbolic link (%w): remove the link", name, errShared)
	case info.IsDir():
		return fmt.Errorf("%s is a folder: name a file", name)
	case !info.Mode().IsRegular():
		return fmt.Errorf("%s is a device, a pipe or a socket: name a file", name)
	case ok && stat.Nlink > 1:
		return fmt.Errorf("%s has %d names, by hard links (%w): find / -samefile %s lists them; remove the others, or make a copy and use that",
			name, stat.Nlink, errShared, name)
	}
	return nil
}

// belongings are the files beside a store: SQLite makes all but the last, and
// would follow a link in the place of one.
var belongings = []string{"-wal", "-shm", "-journal", ".lock"}

// namedOnce refuses a store that has another name than this one, by a hard link.
// A second duewatch would find neither the lock nor the log beside that name,
// and the two would spoil the file.
func namedOnce(path string) error {
	for _, end := range append([]string{""}, belongings...) {
		info, err := os.Lstat(path + end)
		if err != nil {
			continue // it is not there, or whoever opens it says why it cannot be
		}
		if err := oneName(path+end, info); err != nil {
			return fmt.Errorf("store %s: %w", path, err)
		}
	}
	return nil
}

// openOwn opens or makes a file of the program's own, for its owner alone, and
// refuses one that is reached by several names. It is not changed by that.
func openOwn(name string) (*os.File, error) {
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|syscall.O_NOFOLLOW, 0o600) //nolint:gosec // the operator's own store or backup
	if errors.Is(err, syscall.ELOOP) {
		return nil, fmt.Errorf("%s is a symbolic link (%w): remove the link", name, errShared)
	}
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil {
		err = oneName(name, info)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// lock takes what keeps a second daemon away, and makes the store's file if it
// is not there. There are two locks, and the kernel frees both when the process
// ends, however it ends: one on a file beside the store, which holds the number
// of the process for the message of the second daemon and for commands that are
// considerate of one; and one on the store's file itself, which also holds where
// the other file was removed, or the store is mounted in two places. SQLite would
// create the store's file with the process's umask; its -wal and -shm files take
// the mode of the file.
func lock(path string) (unlock func(), err error) {
	pid, err := openOwn(path + ".lock")
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil, fmt.Errorf("store %s: the folder does not exist: make it, or change store", path)
	case errors.Is(err, errShared):
		return nil, fmt.Errorf("store %s: %w", path, err)
	case err != nil:
		return nil, fmt.Errorf("store %s: its folder cannot be written: %w", path, err)
	}
	if err := syscall.Flock(int(pid.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, errors.Join(lockedBy(path, pid, err), pid.Close())
	}
	file, err := openOwn(path)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open store %s: %w", path, err), pid.Close())
	}
	if err := lockFile(file); err != nil {
		return nil, errors.Join(lockedBy(path, pid, err), file.Close(), pid.Close())
	}
	// Failing to write it is harmless.
	_ = pid.Truncate(0)
	_, _ = pid.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	return func() {
		_ = pid.Truncate(0)
		// Last of all: closing any handle on the file drops the locks that SQLite
		// has on it in this process.
		_ = file.Close()
		_ = pid.Close()
	}, nil
}

// Where in the store's file its lock lies: far behind any page, so that SQLite,
// which locks bytes too, never meets it.
const lockedByte = 1 << 62

// openFileLock is F_OFD_SETLK of fcntl(2): a lock of bytes that belongs to the
// open file, and not to the process, which would lose it when SQLite closes one
// of its own handles.
const openFileLock = 37

func lockFile(f *os.File) error {
	err := syscall.FcntlFlock(f.Fd(), openFileLock, &syscall.Flock_t{Type: syscall.F_WRLCK, Whence: io.SeekStart, Start: lockedByte, Len: 1})
	if errors.Is(err, syscall.EINVAL) { // not known to this kernel: the file beside the store has to do
		return nil
	}
	return err
}

// lockedBy explains a lock that was not had.
func lockedBy(path string, pid io.Reader, err error) error {
	if !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EACCES) {
		return fmt.Errorf("lock store %s: %w", path, err)
	}
	number := make([]byte, 20)
	n, _ := pid.Read(number)
	who := path
	if s := strings.TrimSpace(string(number[:n])); s != "" { // else the file was removed, and is new
		who += ", process " + s
	}
	return fmt.Errorf("%w (%s): stop it first", ErrLocked, who)
}

// GiveWay waits for as long as a command held the file, when a daemon may want
// it: SQLite lets waiting programs look only now and then whether it is free. On
// PostgreSQL they take their turns in the order in which they came.
func (d *DB) GiveWay(ctx context.Context, held time.Duration) {
	if d.daemonLock == "" || !d.BesideDaemon(ctx) {
		return
	}
	wait := time.NewTimer(min(held, time.Second))
	defer wait.Stop()
	select {
	case <-wait.C:
	case <-ctx.Done():
	}
}

// BesideDaemon reports, to a command, whether a daemon works on the same store just now.
func (d *DB) BesideDaemon(ctx context.Context) bool {
	if _, ok := d.engine.(*postgres); ok {
		var lives bool
		err := d.read.QueryRowContext(ctx, "SELECT EXISTS (SELECT 1 FROM daemons WHERE until_at > "+serverNow+")").Scan(&lives)
		return err == nil && lives
	}
	return d.daemonLock != "" && running(d.daemonLock)
}

// running reports whether the process named in a lock file is there. It does
// not ask for the lock, which would turn away a daemon that starts just then;
// a number that another program has by now costs some speed only.
func running(lockFile string) bool {
	content, err := os.ReadFile(lockFile) //nolint:gosec // beside the operator's own store
	if err != nil {
		return false
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(content)))
	if err != nil || pid <= 0 {
		return false
	}
	err = syscall.Kill(pid, 0)
	return err == nil || errors.Is(err, syscall.EPERM)
}
