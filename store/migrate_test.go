package store

import (
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"duewatch/reminder"
	"duewatch/store/db"
)

// oldStore makes a store of schema 10, as the last duewatch before it was brought
// forward had left it in its sandbox: thirteen bills, and the texts of one day.
func oldStore(t *testing.T) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "duewatch.db")
	dump := must(os.ReadFile("testdata/store-of-schema-10.sql"))
	old := must(sql.Open("sqlite3", path))
	must(old.ExecContext(t.Context(), strings.ReplaceAll(string(dump), "PRAGMA foreign_keys=OFF;", "")))
	mustDo(t, old.Close())
	return path
}

// A store of the schema before goes on as it is: nobody is texted again, and all
// that was known is there.
func TestAStoreOfSchema10GoesOn(t *testing.T) {
	path := oldStore(t)
	if _, err := OpenReader(t.Context(), path); !errors.Is(err, db.ErrOldSchema) {
		t.Errorf("a command opens it before the daemon has brought it up to date: %v", err)
	}
	s := openAt(t, path)
	for what, want := range map[string]int64{
		"SELECT count(*) FROM bills":                                                                   13,
		"SELECT count(*) FROM bills WHERE state = 'active'":                                            12,
		"SELECT count(*) FROM texts WHERE state = 'accepted' OR state = 'delivered' OR state = 'sent'": 6,
		"SELECT count(*) FROM reminders WHERE outcome = 'texted'":                                      7,
		"SELECT count(*) FROM texts JOIN phones USING (phone_id) WHERE number <> phone":                0,
		"SELECT count(*) FROM pragma_foreign_key_check":                                                0,
	} {
		if got := number(t, s, what); got != want {
			t.Errorf("%s: %d, want %d", what, got, want)
		}
	}
	if got := word(t, s, "SELECT integrity_check FROM pragma_integrity_check"); got != "ok" {
		t.Errorf("integrity check: %s", got)
	}
	last := number(t, s, "SELECT max(decided_at) FROM reminders")
	p := newPolicy()
	p.Stages, p.PerNumberDaily = []reminder.Stage{-7, -3, 0}, 100
	l := must(s.DecideDue(t.Context(), roundAt(p, time.UnixMilli(last).Add(time.Second)), 100))
	if len(l.Texts) > 0 {
		t.Errorf("%d texts are sent again", len(l.Texts))
	}
}

func TestAStoreFromBeforeSchema10IsRefused(t *testing.T) {
	path := oldStore(t)
	old := must(sql.Open("sqlite3", path))
	must(old.ExecContext(t.Context(), "DELETE FROM goose_db_version WHERE version_id = 10"))
	mustDo(t, old.Close())
	if _, err := Open(t.Context(), path); !errors.Is(err, db.ErrTooOld) {
		t.Errorf("the daemon opens it: %v", err)
	}
	if _, err := OpenReader(t.Context(), path); !errors.Is(err, db.ErrTooOld) {
		t.Errorf("a command opens it: %v", err)
	}
}
