package store

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// lock takes the advisory lock that keeps a second daemon away. It is a file
// of its own: closing any handle on the database file would drop SQLite's own
// locks. The kernel frees it when the process ends, however it ends.
func lock(path string) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600) //nolint:gosec // beside the operator's own store
	switch name := strings.TrimSuffix(path, ".lock"); {
	case errors.Is(err, os.ErrNotExist):
		return nil, fmt.Errorf("store %s: the folder does not exist: make it, or change store", name)
	case err != nil:
		return nil, fmt.Errorf("store %s: its folder cannot be written: %w", name, err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		defer f.Close() //nolint:errcheck // only read from
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("lock store: %w", err)
		}
		pid := make([]byte, 20)
		n, _ := f.Read(pid)
		return nil, fmt.Errorf("%w (%s, process %s): stop it first", ErrLocked, strings.TrimSuffix(path, ".lock"), strings.TrimSpace(string(pid[:n])))
	}
	// For the message of the second daemon, and for commands that are considerate
	// of one: failing to write it is harmless.
	_ = f.Truncate(0)
	_, _ = f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	return func() {
		_ = f.Truncate(0)
		_ = f.Close()
	}, nil
}
