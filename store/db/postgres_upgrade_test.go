package db

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"duewatch/store/db/pgtest"
)

// laterSchema is the store's with a version more, of which an older duewatch may run on the tables
// from the version oldest on.
func laterSchema(t *testing.T, version, oldest int64, statements string) Schema {
	t.Helper()
	files := fstest.MapFS{}
	names := must(fs.Glob(serverSchema.Postgres, "*.sql"))
	for _, name := range names {
		files[name] = &fstest.MapFile{Data: must(fs.ReadFile(serverSchema.Postgres, name))}
	}
	for v := serverSchema.serverVersion() + 1; v < version; v++ {
		files[fmt.Sprintf("%05d_between.sql", v)] = &fstest.MapFile{Data: []byte("-- +goose Up\nSELECT 1;\n")}
	}
	files[fmt.Sprintf("%05d_later.sql", version)] = &fstest.MapFile{Data: []byte("-- +goose Up\n" + statements +
		fmt.Sprintf("\nUPDATE meta SET value = '%d' WHERE key = 'oldest_version';\n", oldest))}
	s := serverSchema
	s.Postgres, s.Oldest = files, oldest
	return s
}

const latestVersion = "SELECT max(version_id) FROM goose_db_version"

// ownDatabase is a database of which no other is a copy: its migrations are no writes of a daemon,
// so nothing holds them to the lock of all that write.
func ownDatabase(t *testing.T) string {
	t.Helper()
	theServer(t)
	database := pgtest.Database(t, nil)
	mustDo(t, must(OpenDaemon(t.Context(), database, serverSchema)).Close())
	return database
}

// A version that a daemon which lives could not run on is not made, and the daemon goes on.
func TestTablesAreNotBroughtToAVersionThatALivingDaemonCannotRunOn(t *testing.T) {
	database := ownDatabase(t)
	now := serverSchema.serverVersion()
	later := laterSchema(t, now+1, now+1, "ALTER TABLE stops RENAME TO halts;")
	old := must(OpenDaemon(t.Context(), database, serverSchema))
	_, err := OpenDaemon(t.Context(), database, later)
	if !errors.Is(err, ErrOlderWorks) {
		t.Fatalf("the newer one is told %v, want ErrOlderWorks", err)
	}
	if unusable := (*UnusableError)(nil); errors.As(err, &unusable) {
		t.Error("it would not be started again, though it could work once the others have ended")
	}
	host := must(os.Hostname())
	for _, part := range []string{"on " + host, fmt.Sprintf("process %d", os.Getpid()), "Stop them", "nothing was changed"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q is not in %q", part, err)
		}
	}
	if v := askAside[int64](t, database, latestVersion); v != now {
		t.Errorf("the tables are of version %d, want %d", v, now)
	}
	if n := askAside[int64](t, database, "SELECT count(*) FROM daemons"); n != 1 {
		t.Errorf("%d daemons are listed, want the older one", n)
	}
	mustDo(t, old.Write(setMeta("a")))
	mustDo(t, old.Close())

	d := must(OpenDaemon(t.Context(), database, later))
	mustDo(t, d.Write(setMeta("b")))
	if _, err := OpenDaemon(t.Context(), database, serverSchema); !errors.Is(err, ErrTooNew) {
		t.Errorf("the older one is told %v, want ErrTooNew", err)
	}
	mustDo(t, d.Close())
}

// A version that only adds is made beside older daemons, and the next may drop what they alone
// need once they are gone.
func TestDaemonsAreUpgradedOneAfterTheOther(t *testing.T) {
	database := ownDatabase(t)
	now := serverSchema.serverVersion()
	adds := laterSchema(t, now+1, serverSchema.Oldest, "CREATE TABLE more (id BIGINT);")
	drops := laterSchema(t, now+2, now+1, "DROP TABLE foreign_messages;")
	old := must(OpenDaemon(t.Context(), database, serverSchema))
	second := must(OpenDaemon(t.Context(), database, adds))
	mustDo(t, old.Write(setMeta("a")))
	if _, err := OpenDaemon(t.Context(), database, drops); !errors.Is(err, ErrOlderWorks) {
		t.Errorf("beside the oldest: %v, want ErrOlderWorks", err)
	}
	mustDo(t, old.Close())
	third := must(OpenDaemon(t.Context(), database, drops))
	must(second.Decide(t.Context(), "0.1.0", "a config", "live", true))
	mustDo(t, second.Write(setMeta("b")))
	mustDo(t, second.Close())
	mustDo(t, third.Close())
}

// A daemon that starts while the tables are changed does not come to work on tables that it
// cannot run on.
func TestADaemonThatStartsDuringAnUpgradeIsRefused(t *testing.T) {
	database := ownDatabase(t)
	now := serverSchema.serverVersion()
	later := laterSchema(t, now+1, now+1, "SELECT pg_sleep(1.5);")
	upgraded := make(chan error)
	go func() {
		d, err := OpenDaemon(t.Context(), database, later)
		if err == nil {
			err = d.Close()
		}
		upgraded <- err
	}()
	for askAside[int64](t, database, "SELECT count(*) FROM daemons WHERE mode = 'exclusive'") == 0 {
		<-time.After(10 * time.Millisecond)
	}
	if _, err := OpenDaemon(t.Context(), database, serverSchema); !errors.Is(err, ErrTooNew) && !errors.Is(err, ErrLocked) {
		t.Errorf("the older one is told %v", err)
	}
	mustDo(t, <-upgraded)
}
