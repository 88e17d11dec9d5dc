package db

import (
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"testing"
)

func TestCloseWaitsForWritesUnderWay(t *testing.T) {
	path := filepath.Join(t.TempDir(), "duewatch.db")
	d := must(OpenDaemon(t.Context(), path, testSchema))
	release := hold(t, d)
	const n = 50
	errs := make(chan error, n)
	for i := range n {
		go func() { errs <- d.Write(setMeta(fmt.Sprint(i))) }()
	}
	for len(d.write.queue) < n {
		runtime.Gosched()
	}
	closed := make(chan error, 2)
	for range 2 {
		go func() { closed <- d.Close() }()
	}
	for !d.write.isClosed() {
		runtime.Gosched()
	}
	select {
	case err := <-closed:
		t.Fatal("Close did not wait", err)
	default:
	}
	if err := d.Write(setMeta("late")); !errors.Is(err, ErrClosed) {
		t.Errorf("a write after Close: %v, want ErrClosed", err)
	}
	release()
	for range n {
		if err := <-errs; err != nil {
			t.Errorf("a write before Close: %v", err)
		}
	}
	for range 2 {
		if err := <-closed; err != nil {
			t.Errorf("close: %v", err)
		}
	}
	if got := number(t, openAt(t, path), "SELECT count(*) FROM meta"); got != n {
		t.Errorf("%d of %d writes survived", got, n)
	}
}

func (w *writer) isClosed() bool {
	if !w.mu.TryRLock() {
		return false
	}
	defer w.mu.RUnlock()
	return w.closed
}
