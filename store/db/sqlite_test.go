package db

import (
	"database/sql"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/mattn/go-sqlite3"
)

func TestOpenReadsBackItsSettings(t *testing.T) {
	d := openNew(t)
	w := must(OpenWriter(t.Context(), pathOf(t, d), testSchema))
	defer w.Close() //nolint:errcheck // only read from
	for name, pool := range map[string]*sql.DB{"reading": d.read, "writing": w.write.db} {
		for pragma, want := range map[string]string{"journal_mode": "wal", "synchronous": "2", "foreign_keys": "1", "busy_timeout": "10000"} {
			var got string
			if err := pool.QueryRowContext(t.Context(), "PRAGMA "+pragma).Scan(&got); err != nil {
				t.Fatal(err)
			}
			if got != want {
				t.Errorf("%s connection: %s is %s, want %s", name, pragma, got, want)
			}
		}
	}
	if _, err := d.read.ExecContext(t.Context(), "DELETE FROM meta"); err == nil {
		t.Error("a reading connection can write")
	}
}

// Whoever meets a failure of SQLite is told what to do about it.
func TestExplain(t *testing.T) {
	for want, e := range map[string]sqlite3.Error{
		"the disk is full":                    {Code: sqlite3.ErrFull},
		"free some space":                     {Code: sqlite3.ErrIoErr, SystemErrno: syscall.ENOSPC},
		"raise its limit of open files":       {Code: sqlite3.ErrCantOpen, SystemErrno: syscall.EMFILE},
		"use sudo, or check owner and mode":   {Code: sqlite3.ErrCantOpen, SystemErrno: syscall.EACCES},
		"use sudo, or check owner and mode (": {Code: sqlite3.ErrReadonly},
		"restore the last backup":             {Code: sqlite3.ErrCorrupt},
	} {
		if got := explain(fmt.Errorf("read: %w", e)); !strings.Contains(got.Error(), want) || !errors.As(got, new(sqlite3.Error)) {
			t.Errorf("got %v, want %q and the cause", got, want)
		}
	}
}

func TestRunningDaemonIsFoundByItsLock(t *testing.T) {
	d := openNew(t)
	lockFile := pathOf(t, d) + ".lock"
	for content, want := range map[string]bool{
		fmt.Sprintf("%d\n", os.Getpid()): true, "4194999\n": false, "": false, "x": false, "-1": false, "0": false, "1\n": true,
	} {
		mustDo(t, os.WriteFile(lockFile, []byte(content), 0o600))
		if got := running(lockFile); got != want {
			t.Errorf("%q: %v, want %v", content, got, want)
		}
	}
	if running(lockFile + ".none") {
		t.Error("without a file")
	}
}

// Who deletes much has the log carried over just when it is to be shortened.
func TestTidyWaitsForTheLogToBeCarriedOver(t *testing.T) {
	d := openNew(t)
	wal := pathOf(t, d) + "-wal"
	long := strings.Repeat("x", 100*4096)
	for round := range 5 {
		for i := range carryEach/100 + 1 {
			mustDo(t, d.Write(set("key", long[round+i:])))
		}
		mustDo(t, d.Tidy(t.Context()))
		if info := must(os.Stat(wal)); info.Size() != 0 {
			t.Errorf("the log is %d bytes long", info.Size())
		}
	}
}

// A command that reads for long keeps the log from being shortened, and must
// not keep the daemon from writing meanwhile.
func TestTidyDoesNotHoldUpWrites(t *testing.T) {
	d := openNew(t)
	rows, err := d.read.QueryContext(t.Context(), "SELECT version_id FROM goose_db_version")
	if err != nil || !rows.Next() {
		t.Fatal(err)
	}
	defer rows.Close() //nolint:errcheck // only read from
	mustDo(t, d.Write(set("key", "one")))
	start := time.Now()
	mustDo(t, d.Tidy(t.Context()))
	if took := time.Since(start); took > busyTimeout/4 {
		t.Errorf("writes stood still for %s", took)
	}
	mustDo(t, d.Write(set("key", "two")))
	mustDo(t, rows.Err())
	var timeout int64
	mustDo(t, d.write.db.QueryRowContext(t.Context(), "PRAGMA busy_timeout").Scan(&timeout))
	if timeout != busyTimeout.Milliseconds() {
		t.Errorf("the busy timeout is %d ms after it", timeout)
	}
}
