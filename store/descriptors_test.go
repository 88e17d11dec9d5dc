package store

import (
	"strings"
	"sync"
	"syscall"
	"testing"
)

// withoutFiles runs fn while no file can be opened; what is open stays so.
func withoutFiles(t *testing.T, fn func()) {
	t.Helper()
	var usual syscall.Rlimit
	mustDo(t, syscall.Getrlimit(syscall.RLIMIT_NOFILE, &usual))
	restore := sync.OnceValue(func() error { return syscall.Setrlimit(syscall.RLIMIT_NOFILE, &usual) })
	defer restore() //nolint:errcheck // compared below
	mustDo(t, syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: 3, Max: usual.Max}))
	fn()
	mustDo(t, restore())
}

// A store that may open no more files says that, and not that its file has a
// wrong owner; what it has open goes on, and nothing is wrong afterwards.
func TestAStoreOutOfFileDescriptorsSaysSo(t *testing.T) {
	aboutFiles(t)
	s := openNew(t)
	path := pathOf(t, s)
	var read, opened, written error
	mustDo(t, s.view(t.Context(), func(*tx) error { // has the one connection that is open: the next must be made
		withoutFiles(t, func() {
			_, read = s.Meta(t.Context(), "key")
			_, opened = OpenReader(t.Context(), path)
			written = s.SetMeta("key", "value")
		})
		return nil
	}))
	for what, err := range map[string]error{"a read": read, "another process": opened} {
		if err == nil {
			t.Errorf("%s needed no file: the test tries nothing", what)
			continue
		}
		if !strings.Contains(err.Error(), "raise its limit of open files") || strings.Contains(err.Error(), "owner and mode") {
			t.Errorf("%s says %q", what, err)
		}
	}
	if written != nil {
		t.Errorf("a write needs no new file, and says %v", written)
	}
	if got := must(s.Meta(t.Context(), "key")); got != "value" {
		t.Errorf("afterwards it reads %q", got)
	}
}

// SQLite would like a temporary file in the middle of a round of decisions, and
// has to keep in memory what it would put there: a round that began can be
// finished, and no bill is blamed and left until its claim ends.
func TestARoundNeedsNoMoreFileDescriptors(t *testing.T) {
	aboutFiles(t)
	const bills = 300
	s, p := openNew(t), newPolicy()
	p.PerNumberDaily = bills
	ready(t, s, p, billsOf(bills)...)
	must(s.DecideDue(t.Context(), roundAt(p, firstStage), bills/2)) // pages enough for the next round

	var l RoundResult
	var err error
	withoutFiles(t, func() { l, err = s.DecideDue(t.Context(), roundAt(p, firstStage), bills) })
	if err != nil || len(l.Texts) != bills/2 || len(l.Faults) > 0 {
		t.Errorf("%d texts, want %d; faults %v, error %v", len(l.Texts), bills/2, l.Faults, err)
	}
}
