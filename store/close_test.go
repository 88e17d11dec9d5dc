package store

import (
	"errors"
	"path/filepath"
	"testing"

	"duewatch/store/db"
)

func TestEveryWriteOfAClosedStoreSaysSo(t *testing.T) {
	s := must(Open(t.Context(), filepath.Join(t.TempDir(), "duewatch.db")))
	mustDo(t, s.Close())
	for name, err := range writes(t, s) {
		if !errors.Is(err, db.ErrClosed) {
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
		{"Declare", func() error { _, err := s.Declare("config", nil, checkedAt); return err }},
		{"Learn", func() error { _, err := s.RecordChecks(policiesOf(newPolicy()), checkedAt); return err }},
		{"RecordOutcome", func() error { return s.RecordOutcome(checkedAt, SendOutcome{State: Unknown}) }},
		{"RecordReceipts", func() error { _, err := s.RecordReceipts(checkedAt, nil); return err }},
		{"TakeOver", func() error { _, err := s.TakeOver(checkedAt, "x", checkedAt); return err }},
		{"AddOptOuts", func() error { _, err := s.AddOptOuts(); return err }},
		{"SetMeta", func() error { return s.SetMeta("key", "value") }},
		{"Trim", func() error { _, err := s.Trim(checkedAt, 1); return err }},
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
