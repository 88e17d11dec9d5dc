package store

import (
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"testing"
)

func TestCloseWaitsForWritesUnderWay(t *testing.T) {
	path := filepath.Join(t.TempDir(), "duewatch.db")
	s := must(Open(t.Context(), path))
	release := hold(t, s)
	const n = 50
	errs := make(chan error, n)
	for i := range n {
		go func() { errs <- s.write.do(setMeta(fmt.Sprint(i))) }()
	}
	for len(s.write.queue) < n {
		runtime.Gosched()
	}
	closed := make(chan error, 2)
	for range 2 {
		go func() { closed <- s.Close() }()
	}
	for !s.write.isClosed() {
		runtime.Gosched()
	}
	select {
	case err := <-closed:
		t.Fatal("Close did not wait", err)
	default:
	}
	if err := s.SetMeta("late", "x"); !errors.Is(err, ErrClosed) {
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

func TestEveryWriteOfAClosedStoreSaysSo(t *testing.T) {
	s := must(Open(t.Context(), filepath.Join(t.TempDir(), "duewatch.db")))
	mustDo(t, s.Close())
	for name, err := range writes(t, s) {
		if !errors.Is(err, ErrClosed) {
			t.Errorf("%s: %v, want ErrClosed", name, err)
		}
	}
}

func TestAStoreOpenedForReadingRefusesWrites(t *testing.T) {
	path := filepath.Join(t.TempDir(), "duewatch.db")
	openAt(t, path)
	r := must(OpenReader(t.Context(), path))
	defer r.Close() //nolint:errcheck // only read from
	for name, err := range writes(t, r) {
		if err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// writes calls what changes the store and yields each error.
func writes(t *testing.T, s *Store) func(yield func(string, error) bool) {
	t.Helper()
	ctx := t.Context()
	calls := []struct {
		name string
		call func() error
	}{
		{"Declare", func() error { _, err := s.Declare("config", nil, learnedAt); return err }},
		{"Learn", func() error { _, err := s.RecordChecks(policiesOf(newPolicy()), learnedAt); return err }},
		{"RecordOutcome", func() error { return s.RecordOutcome(learnedAt, SendOutcome{State: Unknown}) }},
		{"RecordReceipts", func() error { _, err := s.RecordReceipts(learnedAt, nil); return err }},
		{"Orphans", func() error { _, err := s.Orphans(learnedAt, "x", learnedAt); return err }},
		{"AddOptOuts", func() error { _, err := s.AddOptOuts(); return err }},
		{"SetMeta", func() error { return s.SetMeta("key", "value") }},
		{"Trim", func() error { _, err := s.Trim(learnedAt, 1); return err }},
		{"Tidy", func() error { return s.Tidy(ctx) }},
	}
	return func(yield func(string, error) bool) {
		for _, c := range calls {
			if !yield(c.name, c.call()) {
				return
			}
		}
	}
}
