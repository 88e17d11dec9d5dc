package store

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"duewatch/store/db"
	"duewatch/store/db/pgtest"
)

// openWriter opens the same file as a command does beside the daemon.
func openWriter(t *testing.T, s *Store) *Store {
	t.Helper()
	w, err := OpenWriter(t.Context(), pathOf(t, s))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { mustDo(t, w.Close()) })
	return w
}

func TestFilesArePrivateUnderALooseUmask(t *testing.T) {
	old := syscall.Umask(0)
	defer syscall.Umask(old)
	path := filepath.Join(t.TempDir(), "duewatch.db")
	s := openAt(t, path)
	mustDo(t, s.SetMeta("key", "value"))
	for _, suffix := range []string{"", "-wal", "-shm", ".lock"} {
		info, err := os.Stat(path + suffix)
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Mode().Perm(); got != 0o600 {
			t.Errorf("mode of duewatch.db%s is %o, want 600", suffix, got)
		}
	}
}

func TestPathsThatLookLikeURIs(t *testing.T) {
	for _, name := range []string{"due watch.db", "50%.db", "what?.db", "a#b.db", "a&mode=memory.db", "%3F.db", "a+b.db", "é:@;.db", "?mode=memory&cache=shared"} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), name)
			s := openAt(t, path)
			mustDo(t, s.SetMeta("key", "value"))
			if info, err := os.Stat(path); err != nil || info.Size() == 0 {
				t.Fatalf("nothing was written to the named file: %v", err)
			}
			r, err := OpenReader(t.Context(), path)
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close() //nolint:errcheck // only read from
			if got := must(r.Meta(t.Context(), "key")); got != "value" {
				t.Errorf("read %q", got)
			}
		})
	}
	t.Run("relative", func(t *testing.T) {
		t.Chdir(t.TempDir())
		openAt(t, "a b?.db")
		if _, err := os.Stat("a b?.db"); err != nil {
			t.Error(err)
		}
	})
	t.Run("two slashes", func(t *testing.T) {
		openAt(t, "/"+filepath.Join(t.TempDir(), "duewatch.db"))
	})
}

func TestSchemaOfAnotherVersion(t *testing.T) {
	version := func(t *testing.T, statements ...string) string {
		path := newPlace(t)
		s, err := Open(t.Context(), path)
		if err != nil {
			t.Fatal(err)
		}
		for _, statement := range statements {
			change(t, s, statement)
		}
		mustDo(t, s.Close())
		return path
	}
	t.Run("newer, and this version may work on it", func(t *testing.T) {
		path := version(t, "INSERT INTO goose_db_version (version_id, is_applied) VALUES (99, "+isTrue()+")")
		for name, open := range map[string]func(context.Context, string) (*Store, error){"daemon": Open, "reader": OpenReader, "command": OpenWriter} {
			s, err := open(t.Context(), path)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			mustDo(t, s.Close())
		}
	})
	t.Run("newer", func(t *testing.T) {
		path := version(t, "INSERT INTO goose_db_version (version_id, is_applied) VALUES (99, "+isTrue()+")",
			"UPDATE meta SET value = '99' WHERE key = 'oldest_version'")
		_, err := Open(t.Context(), path)
		_, readErr := OpenReader(t.Context(), path)
		_, writeErr := OpenWriter(t.Context(), path)
		for _, err := range []error{err, readErr, writeErr} {
			if !errors.Is(err, db.ErrTooNew) {
				t.Errorf("got %v, want ErrTooNew", err)
			}
		}
	})
	t.Run("older", func(t *testing.T) {
		aboutFiles(t) // there is no older one on PostgreSQL
		path := version(t, "DELETE FROM goose_db_version WHERE version_id > 10")
		if _, err := OpenReader(t.Context(), path); !errors.Is(err, db.ErrOldSchema) {
			t.Errorf("got %v, want ErrOldSchema", err)
		}
	})
	t.Run("a file that never was a store, read", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "duewatch.db")
		mustDo(t, os.WriteFile(path, nil, 0o600))
		_, err := OpenReader(t.Context(), path)
		if err == nil || strings.Contains(err.Error(), "local disk") {
			t.Errorf("a file that is still empty: %v", err)
		}
	})
}

func TestFilesThatCannotBeUsedSayWhatToDo(t *testing.T) {
	readers := map[string]func(context.Context, string) (*Store, error){"daemon": Open, "reader": OpenReader}
	for name, open := range readers {
		for _, tt := range []struct {
			name string
			make func(t *testing.T, path string)
			want string
		}{
			{"not a database", func(t *testing.T, path string) {
				mustDo(t, os.WriteFile(path, []byte(strings.Repeat("timezone: Africa/Nairobi\n", 200)), 0o600))
			}, "restore the last backup"},
			{"header overwritten", func(t *testing.T, path string) {
				mustDo(t, openAt(t, path).Close())
				damage(t, path, 0, 100)
			}, "restore the last backup"},
			{"schema overwritten", func(t *testing.T, path string) {
				mustDo(t, openAt(t, path).Close())
				damage(t, path, 100, 4096)
			}, "restore the last backup"},
		} {
			t.Run(name+"/"+tt.name, func(t *testing.T) {
				path := filepath.Join(t.TempDir(), "duewatch.db")
				tt.make(t, path)
				before := must(os.ReadFile(path))
				s, err := open(t.Context(), path)
				if err == nil {
					mustDo(t, s.Close())
					t.Fatal("it was opened")
				}
				if !strings.Contains(err.Error(), tt.want) {
					t.Errorf("%q does not say %q", err, tt.want)
				}
				if after := must(os.ReadFile(path)); !bytes.Equal(before, after) {
					t.Error("the file was written")
				}
			})
		}
	}
	t.Run("no file yet", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "duewatch.db")
		if _, err := OpenReader(t.Context(), path); !errors.Is(err, ErrNotFound) {
			t.Errorf("got %v, want ErrNotFound", err)
		}
		if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("a reader made the file: %v", err)
		}
	})
}

func damage(t *testing.T, path string, from, to int) {
	t.Helper()
	b := must(os.ReadFile(path))
	for i := from; i < to; i++ {
		b[i] = 0xa5
	}
	mustDo(t, os.WriteFile(path, b, 0o600))
}

func TestCheckFindsDamage(t *testing.T) {
	path := filepath.Join(t.TempDir(), "duewatch.db")
	s := openAt(t, path)
	mustDo(t, s.Check(t.Context()))
	bills := make([]int, 300)
	for i := range bills {
		must(s.Declare(strconv.Itoa(i), billsOf(300)[i:i+1], checkedAt))
	}
	mustDo(t, s.Tidy(t.Context()))
	mustDo(t, s.Close())
	info := must(os.Stat(path))
	damage(t, path, int(info.Size())-3*4096, int(info.Size())-2*4096)
	r, err := OpenReader(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close() //nolint:errcheck // only read from
	if err := r.Check(t.Context()); err == nil || !strings.Contains(err.Error(), "restore the last backup") {
		t.Errorf("a damaged page: %v", err)
	}
}

func TestAFolderThatCannotBeWritten(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("root may write everywhere")
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "duewatch.db")
	s := openAt(t, path)
	mustDo(t, s.SetMeta("key", "value"))
	mustDo(t, s.Close())
	mustDo(t, os.Remove(path+".lock"))
	mustDo(t, os.Chmod(dir, 0o500))
	defer os.Chmod(dir, 0o700) //nolint:errcheck // so that it can be removed
	for name, open := range map[string]func(context.Context, string) (*Store, error){"daemon": Open, "reader": OpenReader} {
		s, err := open(t.Context(), path)
		if err == nil {
			mustDo(t, s.Close())
		}
		if err == nil || !strings.Contains(err.Error(), "cannot be written") && !strings.Contains(err.Error(), "permission denied") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Whoever copies the file of a daemon that was stopped expects it to be whole.
func TestCloseLeavesEverythingInOneFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "duewatch.db")
	s := must(Open(t.Context(), path))
	mustDo(t, s.SetMeta("key", "value"))
	must(s.Meta(t.Context(), "key")) // a reading connection is open too
	mustDo(t, s.Close())
	if info, err := os.Stat(path + "-wal"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a log of %d bytes is left behind", info.Size())
	}
}

func TestOpenIsCancelled(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Nanosecond)
	defer cancel()
	<-ctx.Done()
	path := filepath.Join(t.TempDir(), "duewatch.db")
	if _, err := Open(ctx, path); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want the context's error", err)
	}
	openAt(t, path) // nothing was left locked
}

// isTrue is how goose writes a flag on the engine.
func isTrue() string {
	if pgtest.Wanted() {
		return "TRUE"
	}
	return "1"
}
