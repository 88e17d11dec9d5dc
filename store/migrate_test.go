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
	aboutFiles(t)
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

// What the tables of an older schema hold is found under the names of this one.
func TestWhatHasANewNameIsFoundUnderIt(t *testing.T) {
	aboutFiles(t)
	path := oldStore(t)
	old := must(sql.Open("sqlite3", path))
	for _, statement := range []string{
		"INSERT INTO strangers (provider_id, bill_id, at) SELECT 'SM1', min(id), 1000 FROM bills",
		"INSERT INTO events (at, bill_id, what, reason, detail) SELECT 1000, min(id), 'stranger', 'copied_store', '' FROM bills",
		"INSERT INTO lifts (guard, since, until_at, who) VALUES ('daily_limit', 1000, 9000, 'asha')",
		"UPDATE texts SET next_look_at = 7000, looks = 3 WHERE id = (SELECT min(id) FROM texts WHERE provider_id IS NOT NULL)",
	} {
		must(old.ExecContext(t.Context(), statement))
	}
	mustDo(t, old.Close())
	s := openAt(t, path)
	messages, more, err := s.ForeignMessages(t.Context(), 10)
	if mustDo(t, err); len(messages) != 1 || more != 0 || messages[0].ProviderID != "SM1" {
		t.Errorf("foreign messages: %+v and %d more", messages, more)
	}
	events := must(s.Events(t.Context(), messages[0].BillID))
	if last := events[len(events)-1]; last.What != "foreign_message" {
		t.Errorf("the event of it: %+v", last)
	}
	if st := must(s.GuardState(t.Context(), newPolicy(), time.UnixMilli(2000))); !st.Overridden[reminder.DailyLimit] {
		t.Errorf("what the operator has overridden: %v", st.Overridden)
	}
	open := must(s.OpenTexts(t.Context(), time.UnixMilli(8000), 10))
	if len(open) != 1 || open[0].Polls != 3 {
		t.Errorf("texts to poll: %+v", open)
	}
}

func TestAStoreFromBeforeSchema10IsRefused(t *testing.T) {
	aboutFiles(t)
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
