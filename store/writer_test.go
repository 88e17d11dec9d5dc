package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/mattn/go-sqlite3"
)

// hold keeps the writer busy until release is called, so that what is written
// meanwhile shares one commit.
func hold(t *testing.T, s *Store) (release func()) {
	t.Helper()
	entered, leave := make(chan struct{}), make(chan struct{})
	done := make(chan error, 1)
	go func() {
		done <- s.write.do(func(*tx) error {
			close(entered)
			<-leave
			return nil
		})
	}()
	<-entered
	return sync.OnceFunc(func() {
		close(leave)
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// queued starts the writes as one group and returns their errors in order.
func queued(t *testing.T, s *Store, writes ...func(*tx) error) []error {
	t.Helper()
	release := hold(t, s)
	defer release()
	errs := make([]error, len(writes))
	var all sync.WaitGroup
	for i, fn := range writes {
		all.Go(func() { errs[i] = s.write.do(fn) })
		for len(s.write.queue) <= i {
			runtime.Gosched()
		}
	}
	release()
	all.Wait()
	return errs
}

func setMeta(key string) func(*tx) error {
	return func(t *tx) error {
		_, err := t.exec("INSERT INTO meta (key, value) VALUES (?1, 'written')", key)
		return err
	}
}

// onCommit calls hook at each commit of the writing connection. SQLite rolls
// back instead when it returns other than zero.
func onCommit(t *testing.T, s *Store, hook func() int) {
	t.Helper()
	c := must(s.write.db.Conn(t.Context()))
	mustDo(t, c.Raw(func(raw any) error {
		raw.(*sqlite3.SQLiteConn).RegisterCommitHook(hook)
		return nil
	}))
	mustDo(t, c.Close())
}

func TestConcurrentWritesShareCommits(t *testing.T) {
	s := openNew(t)
	var commits atomic.Int64
	onCommit(t, s, func() int { commits.Add(1); return 0 })
	const n = 200
	writes := make([]func(*tx) error, n)
	for i := range writes {
		writes[i] = setMeta(fmt.Sprint(i))
	}
	if err := errors.Join(queued(t, s, writes...)...); err != nil {
		t.Fatal(err)
	}
	if got := number(t, s, "SELECT count(*) FROM meta"); got != n {
		t.Errorf("%d of %d writes are there", got, n)
	}
	if got := commits.Load(); got != 2 { // that of hold, and theirs
		t.Errorf("%d writes took %d commits, want 1", n, got-1)
	}
}

func TestAFailingWriteIsUndoneAlone(t *testing.T) {
	sentinel := errors.New("half way")
	for _, tt := range []struct {
		name string
		fail func(*tx) error
		want string
	}{
		{"by its own error", func(x *tx) error { return errors.Join(setMeta("bad")(x), sentinel) }, "half way"},
		{"by a constraint", func(x *tx) error { return errors.Join(setMeta("bad")(x), setMeta("bad")(x)) }, "UNIQUE"},
		{"by a statement that cannot run", func(x *tx) error {
			_, err := x.exec("INSERT INTO absent VALUES (1)")
			return errors.Join(setMeta("bad")(x), err)
		}, "no such table"},
		{"with rows half read", func(x *tx) error {
			rows, err := x.query("SELECT key FROM meta")
			if err == nil {
				rows.Next()
				err = errors.Join(setMeta("bad")(x), rows.Close(), rows.Err(), sentinel)
			}
			return err
		}, "half way"},
		{"with rows left open", func(x *tx) error {
			rows, err := x.query("SELECT key FROM meta")
			if err == nil {
				rows.Next()
				err = errors.Join(setMeta("bad")(x), rows.Err(), sentinel)
			}
			return err
		}, "half way"},
		{"by a panic while it reads", func(x *tx) error {
			rows, err := x.query("SELECT key FROM meta")
			if err == nil && rows.Next() && rows.Err() == nil {
				panic("half way")
			}
			return errors.Join(err, sentinel)
		}, "half way"},
		{"by a panic at a row that is read directly, with rows left open", func(x *tx) error {
			rows, err := x.query("SELECT key FROM meta")
			if err == nil && rows.Next() && rows.Err() == nil {
				err = readKeys(x, new(string), func() error { panic("half way") })
			}
			return errors.Join(err, sentinel)
		}, "panic in the store: half way"},
		{"by reading more columns than there are", func(x *tx) error { return readKeys(x, new(string), nil, textColumn{new(string)}) }, "gives 1 columns, and 2 are read"},
		{"by a statement that gives rows nobody reads", func(x *tx) error {
			_, err := x.execRows("UPDATE meta SET value = 'bad' RETURNING key", nil)
			return err
		}, "gives 1 columns, and 0 are read"},
		{"by a number in the place of a text", func(x *tx) error {
			return x.queryRows("SELECT 7 AS word", nil, []sql.Scanner{textColumn{new(string)}}, nil)
		}, "column word: int64 instead of text"},
		{"by nothing in the place of a text", func(x *tx) error {
			return x.queryRows("SELECT NULL AS word", nil, []sql.Scanner{textColumn{new(string)}}, nil)
		}, "column word: <nil> instead of text"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := openNew(t)
			errs := queued(t, s, setMeta("a"), tt.fail, setMeta("b"))
			if errs[0] != nil || errs[2] != nil {
				t.Errorf("its neighbours failed too: %v", errs)
			}
			if errs[1] == nil || !strings.Contains(errs[1].Error(), tt.want) {
				t.Errorf("it got %v, want %q", errs[1], tt.want)
			}
			if got := number(t, s, "SELECT count(*) FROM meta"); got != 2 {
				t.Errorf("%d rows instead of its neighbours' 2", got)
			}
			// The same alone in its transaction, and the connection goes on working.
			if err := s.write.do(tt.fail); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("alone: %v, want %q", err, tt.want)
			}
			mustDo(t, s.write.do(setMeta("c")))
			if got := number(t, s, "SELECT count(*) FROM meta"); got != 3 {
				t.Errorf("%d rows instead of 3", got)
			}
		})
	}
}

func readKeys(x *tx, to *string, each func() error, more ...sql.Scanner) error {
	return x.queryRows("SELECT key FROM meta", nil, append([]sql.Scanner{textColumn{to}}, more...), each)
}

func TestAFailingCommitFailsAll(t *testing.T) {
	s := openNew(t)
	var refuse atomic.Int64
	onCommit(t, s, func() int { return int(refuse.Load()) })
	first := func(x *tx) error {
		refuse.Store(1) // not before: hold commits too
		return setMeta("a")(x)
	}
	for i, err := range queued(t, s, first, setMeta("b"), setMeta("c")) {
		if err == nil {
			t.Errorf("write %d was reported as done", i)
		}
	}
	if err := s.SetMeta("alone", "x"); err == nil {
		t.Error("a write alone was reported as done")
	}
	if got := number(t, s, "SELECT count(*) FROM meta"); got != 0 {
		t.Errorf("%d rows were written", got)
	}
	refuse.Store(0)
	mustDo(t, s.write.do(setMeta("a")))
}

// A disk that is full is tried with SQLite's own bound on the size of the file:
// it fails with the same code, at the same place.
func TestAFullDisk(t *testing.T) {
	fill := func(x *tx) error {
		_, err := x.exec("INSERT INTO meta (key, value) VALUES ('fill', ?1)", strings.Repeat("x", 1<<20))
		return err
	}
	full := func(t *testing.T) (*Store, func()) {
		s := openNew(t)
		var pages, limit int64
		mustDo(t, s.write.db.QueryRowContext(t.Context(), "PRAGMA page_count").Scan(&pages))
		mustDo(t, s.write.db.QueryRowContext(t.Context(), fmt.Sprintf("PRAGMA max_page_count = %d", pages+2)).Scan(&limit))
		return s, func() {
			mustDo(t, s.write.db.QueryRowContext(t.Context(), "PRAGMA max_page_count = 1000000").Scan(&limit))
			mustDo(t, s.write.do(setMeta("after")))
			mustDo(t, s.Check(t.Context()))
		}
	}
	t.Run("met by one write", func(t *testing.T) {
		s, freed := full(t)
		if err := s.write.do(fill); err == nil || !strings.Contains(err.Error(), "the disk is full") {
			t.Errorf("got %v, want an error that says that the disk is full", err)
		}
		freed()
		if got := number(t, s, "SELECT count(*) FROM meta"); got != 1 {
			t.Errorf("%d rows, want 1", got)
		}
	})
	t.Run("met by a group", func(t *testing.T) {
		s, freed := full(t)
		errs := queued(t, s, setMeta("a"), fill, setMeta("b"))
		if errs[1] == nil || !strings.Contains(errs[1].Error(), "the disk is full") {
			t.Errorf("got %v, want an error that says that the disk is full", errs[1])
		}
		freed()
		// Its neighbours may fail or not; what they were told must be true.
		for i, key := range []string{"a", "fill", "b"} {
			there := number(t, s, "SELECT count(*) FROM meta WHERE key = ?1", key) == 1
			if there != (errs[i] == nil) {
				t.Errorf("%s was told %v, and is there: %v", key, errs[i], there)
			}
		}
	})
	t.Run("SQLite rolls back by itself", func(t *testing.T) {
		s, _ := full(t)
		cause := errors.New("the cause")
		rolledBack := func(x *tx) error {
			_, err := x.exec("ROLLBACK")
			return errors.Join(cause, err)
		}
		if err := s.write.do(rolledBack); !errors.Is(err, cause) {
			t.Errorf("alone: got %v, want the cause", err)
		}
		for i, err := range queued(t, s, setMeta("a"), rolledBack, setMeta("b")) {
			if err == nil {
				t.Errorf("write %d of a group that is gone was reported as done", i)
			}
		}
		if got := number(t, s, "SELECT count(*) FROM meta"); got != 0 {
			t.Errorf("%d rows, want none", got)
		}
		mustDo(t, s.write.do(setMeta("after")))
	})
}

func TestAPanicInAWriteFailsThatWriteAlone(t *testing.T) {
	c := startChild(t, "panic", filepath.Join(t.TempDir(), "duewatch.db"))
	if got, _ := c.out.ReadString('\n'); got != "survived\n" {
		t.Errorf("the daemon died of it: %.100s", c.errors())
	}
}

// panicInWrite stands for a decision that meets a bill it was not written for.
func panicInWrite(ctx context.Context, path string) error {
	s, err := Open(ctx, path)
	if err != nil {
		return err
	}
	if err := s.write.do(func(*tx) error { panic("an unforeseen bill") }); err == nil {
		return errors.New("no error")
	}
	if err := s.SetMeta("key", "value"); err != nil {
		return err
	}
	fmt.Println("survived")
	return s.Close()
}

// Readers and writers at once: for the race detector, and since a pool that
// waits for the writer while the writer waits for the pool would never end.
func TestReadersDoNotWaitForWriters(t *testing.T) {
	s := openNew(t)
	watch(t, s, newPolicy(), billsOf(20)...)
	var all sync.WaitGroup
	for i := range 16 {
		all.Go(func() {
			for j := range 10 {
				if err := s.SetMeta(fmt.Sprint(i), fmt.Sprint(j)); err != nil {
					t.Error(err)
				}
			}
		})
		all.Go(func() {
			err := s.Bills(t.Context(), BillFilter{}, func(w Watched) error {
				_, err := s.Events(t.Context(), w.ID) // a read within a read
				return err
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	release := hold(t, s) // the writer is in a transaction, and stays there
	defer release()
	if _, err := s.Meta(t.Context(), "0"); err != nil {
		t.Error(err)
	}
	if _, _, err := s.ToRecheck(t.Context(), learnedAt, Place{}, 1); err != nil {
		t.Errorf("a sweep waits for the writer to find its bills: %v", err)
	}
}

func TestStatementsOverManyRows(t *testing.T) {
	s := openNew(t)
	add := func(rows ...any) (n int64, err error) {
		err = s.do(func(t *tx) (err error) {
			n, err = t.execRows("INSERT OR FAIL INTO meta (key, value) VALUES (?1, ?2), (?3, ?4) ON CONFLICT (key) DO NOTHING", rows)
			return err
		})
		return n, err
	}
	if n, err := add("a", "1", "b", "2"); n != 2 || err != nil {
		t.Errorf("%d rows were changed, %v", n, err)
	}
	if n, err := add("b", "3", "c", "4"); n != 1 || err != nil {
		t.Errorf("%d rows were changed where one is there already, %v", n, err)
	}
	if n, err := add("d", "5", "e", nil); n != 0 || err == nil || !strings.Contains(err.Error(), "NOT NULL") {
		t.Errorf("a row that may not be written: %d rows were changed, %v", n, err)
	}
	if got := word(t, s, "SELECT group_concat(key || value, ' ') FROM meta WHERE key IN ('a', 'b', 'c', 'd', 'e')"); got != "a1 b2 c4" {
		t.Errorf("there is %q", got)
	}
}
