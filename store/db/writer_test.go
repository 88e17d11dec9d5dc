package db

import (
	"database/sql"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/mattn/go-sqlite3"
)

// hold keeps the writer busy until release is called, so that what is written
// meanwhile shares one commit.
func hold(t *testing.T, d *DB) (release func()) {
	t.Helper()
	entered, leave := make(chan struct{}), make(chan struct{})
	done := make(chan error, 1)
	go func() {
		done <- d.Write(func(*Tx) error {
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
func queued(t *testing.T, d *DB, writes ...func(*Tx) error) []error {
	t.Helper()
	release := hold(t, d)
	defer release()
	errs := make([]error, len(writes))
	var all sync.WaitGroup
	for i, fn := range writes {
		all.Go(func() { errs[i] = d.Write(fn) })
		for len(d.write.queue) <= i {
			runtime.Gosched()
		}
	}
	release()
	all.Wait()
	return errs
}

func setMeta(key string) func(*Tx) error {
	return func(t *Tx) error {
		_, err := t.Exec("INSERT INTO meta (key, value) VALUES (?1, 'written')", key)
		return err
	}
}

// onCommit calls hook at each commit of the writing connection. SQLite rolls
// back instead when it returns other than zero.
func onCommit(t *testing.T, d *DB, hook func() int) {
	t.Helper()
	c := must(d.write.db.Conn(t.Context()))
	mustDo(t, c.Raw(func(raw any) error {
		raw.(*sqlite3.SQLiteConn).RegisterCommitHook(hook)
		return nil
	}))
	mustDo(t, c.Close())
}

func TestConcurrentWritesShareCommits(t *testing.T) {
	d := openNew(t)
	var commits atomic.Int64
	onCommit(t, d, func() int { commits.Add(1); return 0 })
	const n = 200
	writes := make([]func(*Tx) error, n)
	for i := range writes {
		writes[i] = setMeta(fmt.Sprint(i))
	}
	if err := errors.Join(queued(t, d, writes...)...); err != nil {
		t.Fatal(err)
	}
	if got := number(t, d, "SELECT count(*) FROM meta"); got != n {
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
		fail func(*Tx) error
		want string
	}{
		{"by its own error", func(x *Tx) error { return errors.Join(setMeta("bad")(x), sentinel) }, "half way"},
		{"by a constraint", func(x *Tx) error { return errors.Join(setMeta("bad")(x), setMeta("bad")(x)) }, "UNIQUE"},
		{"by a statement that cannot run", func(x *Tx) error {
			_, err := x.Exec("INSERT INTO absent VALUES (1)")
			return errors.Join(setMeta("bad")(x), err)
		}, "no such table"},
		{"with rows half read", func(x *Tx) error {
			rows := x.Query("SELECT key FROM meta")
			if rows.err != nil {
				return rows.err
			}
			rows.rows.Next()
			return errors.Join(setMeta("bad")(x), rows.rows.Close(), rows.rows.Err(), sentinel)
		}, "half way"},
		{"with rows left open", func(x *Tx) error {
			rows := x.Query("SELECT key FROM meta")
			if rows.err != nil {
				return rows.err
			}
			rows.rows.Next()
			return errors.Join(setMeta("bad")(x), rows.rows.Err(), sentinel)
		}, "half way"},
		{"by a panic while it reads", func(x *Tx) error {
			rows := x.Query("SELECT key FROM meta")
			if rows.err == nil && rows.rows.Next() && rows.rows.Err() == nil {
				panic("half way")
			}
			return errors.Join(rows.err, sentinel)
		}, "half way"},
		{"by a panic at a row that is read directly, with rows left open", func(x *Tx) error {
			rows := x.Query("SELECT key FROM meta")
			err := rows.err
			if err == nil && rows.rows.Next() && rows.rows.Err() == nil {
				err = readKeys(x, new(string), func() error { panic("half way") })
			}
			return errors.Join(err, sentinel)
		}, "panic in the store: half way"},
		{"by reading more columns than there are", func(x *Tx) error { return readKeys(x, new(string), nil, TextTo(new(string))) }, "gives 1 columns, and 2 are read"},
		{"by a statement that gives rows nobody reads", func(x *Tx) error {
			_, err := x.execRows("UPDATE meta SET value = 'bad' RETURNING key", nil)
			return err
		}, "gives 1 columns, and 0 are read"},
		{"by a number in the place of a text", func(x *Tx) error {
			return x.EachRow("SELECT 7 AS word", nil, []sql.Scanner{TextTo(new(string))}, nil)
		}, "column word: int64 instead of text"},
		{"by nothing in the place of a text", func(x *Tx) error {
			return x.EachRow("SELECT NULL AS word", nil, []sql.Scanner{TextTo(new(string))}, nil)
		}, "column word: <nil> instead of text"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := openNew(t)
			errs := queued(t, d, setMeta("a"), tt.fail, setMeta("b"))
			if errs[0] != nil || errs[2] != nil {
				t.Errorf("its neighbours failed too: %v", errs)
			}
			if errs[1] == nil || !strings.Contains(errs[1].Error(), tt.want) {
				t.Errorf("it got %v, want %q", errs[1], tt.want)
			}
			if got := number(t, d, "SELECT count(*) FROM meta"); got != 2 {
				t.Errorf("%d rows instead of its neighbours' 2", got)
			}
			// The same alone in its transaction, and the connection goes on working.
			if err := d.Write(tt.fail); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("alone: %v, want %q", err, tt.want)
			}
			mustDo(t, d.Write(setMeta("c")))
			if got := number(t, d, "SELECT count(*) FROM meta"); got != 3 {
				t.Errorf("%d rows instead of 3", got)
			}
		})
	}
}

func readKeys(x *Tx, to *string, each func() error, more ...sql.Scanner) error {
	return x.EachRow("SELECT key FROM meta", nil, append([]sql.Scanner{TextTo(to)}, more...), each)
}

func TestAFailingCommitFailsAll(t *testing.T) {
	d := openNew(t)
	var refuse atomic.Int64
	onCommit(t, d, func() int { return int(refuse.Load()) })
	first := func(x *Tx) error {
		refuse.Store(1) // not before: hold commits too
		return setMeta("a")(x)
	}
	for i, err := range queued(t, d, first, setMeta("b"), setMeta("c")) {
		if err == nil {
			t.Errorf("write %d was reported as done", i)
		}
	}
	if err := d.Write(setMeta("alone")); err == nil {
		t.Error("a write alone was reported as done")
	}
	if got := number(t, d, "SELECT count(*) FROM meta"); got != 0 {
		t.Errorf("%d rows were written", got)
	}
	refuse.Store(0)
	mustDo(t, d.Write(setMeta("a")))
}

// A disk that is full is tried with SQLite's own bound on the size of the file:
// it fails with the same code, at the same place.
func TestAFullDisk(t *testing.T) {
	fill := func(x *Tx) error {
		_, err := x.Exec("INSERT INTO meta (key, value) VALUES ('fill', ?1)", strings.Repeat("x", 1<<20))
		return err
	}
	full := func(t *testing.T) (*DB, func()) {
		d := openNew(t)
		var pages, limit int64
		mustDo(t, d.write.db.QueryRowContext(t.Context(), "PRAGMA page_count").Scan(&pages))
		mustDo(t, d.write.db.QueryRowContext(t.Context(), fmt.Sprintf("PRAGMA max_page_count = %d", pages+2)).Scan(&limit))
		return d, func() {
			mustDo(t, d.write.db.QueryRowContext(t.Context(), "PRAGMA max_page_count = 1000000").Scan(&limit))
			mustDo(t, d.Write(setMeta("after")))
			mustDo(t, d.Check(t.Context()))
		}
	}
	t.Run("met by one write", func(t *testing.T) {
		d, freed := full(t)
		if err := d.Write(fill); err == nil || !strings.Contains(err.Error(), "the disk is full") {
			t.Errorf("got %v, want an error that says that the disk is full", err)
		}
		freed()
		if got := number(t, d, "SELECT count(*) FROM meta"); got != 1 {
			t.Errorf("%d rows, want 1", got)
		}
	})
	t.Run("met by a group", func(t *testing.T) {
		d, freed := full(t)
		errs := queued(t, d, setMeta("a"), fill, setMeta("b"))
		if errs[1] == nil || !strings.Contains(errs[1].Error(), "the disk is full") {
			t.Errorf("got %v, want an error that says that the disk is full", errs[1])
		}
		freed()
		// Its neighbours may fail or not; what they were told must be true.
		for i, key := range []string{"a", "fill", "b"} {
			there := number(t, d, "SELECT count(*) FROM meta WHERE key = ?1", key) == 1
			if there != (errs[i] == nil) {
				t.Errorf("%s was told %v, and is there: %v", key, errs[i], there)
			}
		}
	})
	t.Run("SQLite rolls back by itself", func(t *testing.T) {
		d, _ := full(t)
		cause := errors.New("the cause")
		rolledBack := func(x *Tx) error {
			_, err := x.Exec("ROLLBACK")
			return errors.Join(cause, err)
		}
		if err := d.Write(rolledBack); !errors.Is(err, cause) {
			t.Errorf("alone: got %v, want the cause", err)
		}
		for i, err := range queued(t, d, setMeta("a"), rolledBack, setMeta("b")) {
			if err == nil {
				t.Errorf("write %d of a group that is gone was reported as done", i)
			}
		}
		if got := number(t, d, "SELECT count(*) FROM meta"); got != 0 {
			t.Errorf("%d rows, want none", got)
		}
		mustDo(t, d.Write(setMeta("after")))
	})
}

func TestAPanicInAWriteFailsThatWriteAlone(t *testing.T) {
	d := openNew(t)
	if err := d.Write(func(*Tx) error { panic("an unforeseen bill") }); err == nil || !strings.Contains(err.Error(), "an unforeseen bill") {
		t.Errorf("it got %v", err)
	}
	mustDo(t, d.Write(setMeta("after")))
}
