package db

import (
	"strings"
	"testing"
	"time"
)

// The log is carried over while the store is open, and not by the commits, which
// would wait for the disk meanwhile: a commit does so at ten thousand pages only.
func TestTheLogIsCarriedOverBesideTheWriter(t *testing.T) {
	d := openNew(t)
	path := pathOf(t, d)
	other := must(OpenReader(t.Context(), path, testSchema))
	defer other.Close() //nolint:errcheck // only read from
	long := strings.Repeat("x", 100*4096)
	const writes = carryEach * 3 / 2 / 100 // of a hundred pages each
	for i := range writes {
		mustDo(t, d.Write(set("key", long[i:])))
	}
	give := time.After(time.Minute)
	for again := time.NewTicker(time.Millisecond); ; {
		log, carried, err := d.write.log.checkpoint("NOOP")
		mustDo(t, err)
		if log-carried < carryEach {
			again.Stop()
			break
		}
		select {
		case <-again.C:
		case <-give:
			t.Fatalf("of %d pages in the log %d were carried over", log, carried)
		}
	}
	if got := word(t, other, "SELECT value FROM meta WHERE key = 'key'"); got != long[writes-1:] {
		t.Errorf("%d bytes are read, want the last that were written", len(got))
	}
	mustDo(t, d.Close())
	mustDo(t, d.Close())
	again := openAt(t, path)
	if got := word(t, again, "SELECT value FROM meta WHERE key = 'key'"); got != long[writes-1:] {
		t.Errorf("%d bytes are read after a restart, want the last that were written", len(got))
	}
}

// A reader that does not end keeps what it may still read from being carried
// over, and holds up no commit.
func TestALongReaderHoldsUpNoCommit(t *testing.T) {
	d := openNew(t)
	other := must(OpenReader(t.Context(), pathOf(t, d), testSchema))
	defer other.Close() //nolint:errcheck // only read from
	tx := must(other.read.BeginTx(t.Context(), nil))
	defer tx.Rollback() //nolint:errcheck // only read from
	var before, after string
	const query = "SELECT count(*) FROM meta WHERE key LIKE 'k%'"
	mustDo(t, tx.QueryRowContext(t.Context(), query).Scan(&before))
	long, begin := strings.Repeat("x", 100*4096), time.Now()
	for i := range carryEach * 3 / 2 / 100 {
		mustDo(t, d.Write(set("k", long[i:])))
	}
	for i := range 200 { // by now the log is being carried over
		mustDo(t, d.Write(set("n", long[:i])))
	}
	if took := time.Since(begin); took > busyTimeout/3 {
		t.Errorf("the commits took %s: they waited for the reader", took)
	}
	d.write.log.carrying.Lock()
	defer d.write.log.carrying.Unlock()
	if _, carried, err := d.write.log.checkpoint("PASSIVE"); err != nil || carried < 0 || carried > 500 {
		t.Errorf("%d pages were carried over under the reader, %v", carried, err)
	}
	mustDo(t, tx.QueryRowContext(t.Context(), query).Scan(&after))
	if before != after {
		t.Errorf("the reader sees %s rows, and saw %s", after, before)
	}
}
