package store

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func tellNobody(string, int, int) {}

// A backup made in the middle of writes is whole, of one instant, and can be
// opened as a store.
func TestBackupWhileWriting(t *testing.T) {
	aboutFiles(t)
	s := openNew(t)
	must(s.Import(t.Context(), SourceImport, billsOf(5000), checkedAt, nil))
	file := filepath.Join(t.TempDir(), "b.db")
	wrote := 0
	copied := must(s.Backup(t.Context(), file, false, func(what string, done, of int) {
		if what == "copying" && done < of {
			must(s.Import(t.Context(), SourceImport, billsOf(6000)[5000+wrote:5001+wrote], checkedAt, nil))
			wrote++
		}
	}))
	if copied.Bytes == 0 {
		t.Error("it has no bytes")
	}
	copied.Bytes = 0
	if diff := cmp.Diff(Copied{Bills: 5000, Events: 5000}, copied); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	info := must(os.Stat(file))
	if info.Mode() != 0o600 {
		t.Errorf("its mode is %v", info.Mode())
	}
	r := must(OpenReader(t.Context(), file))
	defer r.Close() //nolint:errcheck // only read from
	mustDo(t, r.Check(t.Context()))
	if got := number(t, r, "SELECT count(*) FROM bills"); got != 5000 {
		t.Errorf("%d bills", got)
	}
}

// Whoever reads a backup leaves it alone in its folder; the one who writes to it
// has the log that the promise rests on.
func TestABackupIsReadWithoutATrace(t *testing.T) {
	aboutFiles(t)
	s, p := openNew(t), newPolicy()
	ready(t, s, p, billsOf(3)...)
	dir := t.TempDir()
	file := filepath.Join(dir, "b.db")
	must(s.Backup(t.Context(), file, false, tellNobody))
	before := must(os.ReadFile(file))
	alone := func(when string) {
		t.Helper()
		for _, e := range must(os.ReadDir(dir)) {
			if e.Name() != "b.db" {
				t.Errorf("%s there is %s", when, e.Name())
			}
		}
	}
	alone("after the backup")
	r := must(OpenReader(t.Context(), file))
	mustDo(t, r.Bills(t.Context(), BillFilter{}, func(Watched) error { return nil }))
	mustDo(t, r.Check(t.Context()))
	alone("while it is read")
	f := must(OpenPreview(t.Context(), file))
	must(f.CopyDue(t.Context(), firstStage, 10))
	mustDo(t, f.Close())
	mustDo(t, r.Close())
	alone("after it was read")
	if diff := cmp.Diff(before, must(os.ReadFile(file))); diff != "" {
		t.Error("it was changed")
	}

	// Restored, while a command still reads it.
	r = must(OpenReader(t.Context(), file))
	defer r.Close() //nolint:errcheck // only read from
	must(r.InUse(t.Context()))
	daemon := must(Open(t.Context(), file))
	defer daemon.Close() //nolint:errcheck // the test is over
	if mode := word(t, daemon, "SELECT journal_mode FROM pragma_journal_mode"); mode != "wal" {
		t.Errorf("the daemon writes in the mode %s", mode)
	}
	if l := must(daemon.DecideDue(t.Context(), roundAt(p, firstStage), 10)); len(l.Texts) != 3 {
		t.Errorf("the restored store texts %+v", l)
	}
	if n := number(t, r, "SELECT count(*) FROM texts"); n != 3 {
		t.Errorf("who reads sees %d texts", n)
	}
}

// A command that changes something in a backup sets the log as well.
func TestABackupIsWrittenWithALog(t *testing.T) {
	aboutFiles(t)
	s := openNew(t)
	file := filepath.Join(t.TempDir(), "b.db")
	must(s.Backup(t.Context(), file, false, tellNobody))
	w := must(OpenWriter(t.Context(), file))
	defer w.Close() //nolint:errcheck // the test is over
	must(w.Import(t.Context(), SourceImport, billsOf(3), checkedAt, nil))
	if mode := word(t, w, "SELECT journal_mode FROM pragma_journal_mode"); mode != "wal" {
		t.Errorf("it is written in the mode %s", mode)
	}
	if n := number(t, w, "SELECT count(*) FROM bills"); n != 3 {
		t.Errorf("%d bills", n)
	}
}

func TestBackupTakesNoOthersPlace(t *testing.T) {
	aboutFiles(t)
	s := openNew(t)
	dir := t.TempDir()
	file := filepath.Join(dir, "b.db")
	backup := func(file string, force bool) error {
		_, err := s.Backup(t.Context(), file, force, tellNobody)
		return err
	}
	mustDo(t, backup(file, false))
	mustDo(t, backup(file, true))
	mustDo(t, os.WriteFile(filepath.Join(dir, "used.db-wal"), nil, 0o600))
	mustDo(t, os.Symlink(pathOf(t, s), filepath.Join(dir, "link.db")))
	mustDo(t, os.Symlink("b.db", filepath.Join(dir, "old.db")))
	mustDo(t, os.Symlink("none", filepath.Join(dir, "next.db")))
	for _, tt := range []struct {
		name, file string
		force      bool
		want       string
	}{
		{"there already", file, false, "give --force"},
		{"a folder", dir, true, "is no file"},
		{"the store", pathOf(t, s), true, "belongs to the store itself"},
		{"the store by another name", filepath.Join(dir, "link.db"), true, "belongs to the store itself"},
		{"a link", filepath.Join(dir, "old.db"), true, "old.db is a symbolic link"},
		{"a link to nothing", filepath.Join(dir, "next.db"), false, "next.db is a symbolic link"},
		{"the store's journal", pathOf(t, s) + "-journal", true, "belongs to the store itself"},
		{"the store's lock", pathOf(t, s) + ".lock", true, "belongs to the store itself"},
		{"the store's log", pathOf(t, s) + "-wal", true, "belongs to the store itself"},
		{"a file with a log", filepath.Join(dir, "used.db"), true, "used.db-wal is there"},
		{"no folder", filepath.Join(dir, "x", "b.db"), false, "no such file"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if err := backup(tt.file, tt.force); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want %q", err, tt.want)
			}
		})
	}
	part := must(os.OpenFile(file+".part", os.O_RDWR|os.O_CREATE, 0o600)) // as another backup holds it
	mustDo(t, syscall.Flock(int(part.Fd()), syscall.LOCK_EX))
	if err := backup(file, true); err == nil || !strings.Contains(err.Error(), "another backup") {
		t.Errorf("error %v", err)
	}
	mustDo(t, part.Close())
	mustDo(t, backup(file, true)) // what a killed backup left is no hindrance
}

// The name in which the copy is made is no secret: what others have laid there is
// neither emptied nor given the store's phones.
func TestBackupFollowsNoLink(t *testing.T) {
	aboutFiles(t)
	s := openNew(t)
	for name, tt := range map[string]struct {
		lay  func(letter, part string) error
		want string
	}{
		"a symbolic link": {os.Symlink, "b.db.part is a symbolic link (it must have one name): remove the link"},
		"a symbolic link to nothing": {
			func(letter, part string) error { return os.Symlink(letter+".none", part) }, "b.db.part is a symbolic link",
		},
		"a hard link": {os.Link, "b.db.part has 2 names"},
		"a folder":    {func(_, part string) error { return os.Mkdir(part, 0o700) }, "b.db.part"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			letter, file := filepath.Join(dir, "letter"), filepath.Join(dir, "b.db")
			mustDo(t, os.WriteFile(letter, []byte("dear reader"), 0o600))
			mustDo(t, tt.lay(letter, file+".part"))
			_, err := s.Backup(t.Context(), file, false, tellNobody)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want %q", err, tt.want)
			}
			if got := must(os.ReadFile(letter)); string(got) != "dear reader" {
				t.Errorf("the file behind the link holds %d bytes", len(got))
			}
			for _, end := range []string{"", ".part"} {
				if info, err := os.Stat(file + end); err == nil && info.Size() > 4096 {
					t.Errorf("b.db%s was written", end)
				}
			}
			if _, err := os.Stat(letter + ".none"); err == nil {
				t.Error("a file was made where a link led")
			}
		})
	}
}

// Links in the place of what SQLite makes beside the copy are removed, as what a
// killed backup has left there is.
func TestBackupWritesThroughNoLinkBesideItsCopy(t *testing.T) {
	aboutFiles(t)
	s := openNew(t)
	dir := t.TempDir()
	letter, file := filepath.Join(dir, "letter"), filepath.Join(dir, "b.db")
	mustDo(t, os.WriteFile(letter, []byte("dear reader"), 0o600))
	for _, end := range []string{"-wal", "-shm", "-journal"} {
		mustDo(t, os.Symlink(letter, file+".part"+end))
	}
	must(s.Backup(t.Context(), file, false, tellNobody))
	if got := must(os.ReadFile(letter)); string(got) != "dear reader" {
		t.Errorf("the file behind the link holds %d bytes", len(got))
	}
	mustDo(t, must(OpenReader(t.Context(), file)).Close())
}

// A store may be called what the copy of a backup would be.
func TestBackupIsNotMadeInTheStoreItself(t *testing.T) {
	aboutFiles(t)
	path := filepath.Join(t.TempDir(), "b.db.part")
	s := openAt(t, path)
	mustDo(t, s.SetMeta("key", "value"))
	_, err := s.Backup(t.Context(), strings.TrimSuffix(path, ".part"), false, tellNobody)
	if err == nil || !strings.Contains(err.Error(), "name another file") {
		t.Errorf("error %v", err)
	}
	mustDo(t, s.Check(t.Context()))
	if got := must(s.Meta(t.Context(), "key")); got != "value" {
		t.Errorf("the store says %q", got)
	}
}

// Who owns the file may read what is written to it, whatever its mode.
func TestBackupIsNotMadeInAFileOfSomebodyElse(t *testing.T) {
	aboutFiles(t)
	if os.Geteuid() != 0 {
		t.Skip("only root can give a file away")
	}
	s := openNew(t)
	file := filepath.Join(t.TempDir(), "b.db")
	mustDo(t, os.WriteFile(file+".part", nil, 0o666))
	mustDo(t, os.Chown(file+".part", 65534, 65534))
	if _, err := s.Backup(t.Context(), file, false, tellNobody); err == nil || !strings.Contains(err.Error(), "belongs to another user") {
		t.Errorf("error %v", err)
	}
	if got := must(os.ReadFile(file + ".part")); len(got) > 0 {
		t.Errorf("%d bytes were written for them to read", len(got))
	}
}

// A copy that is not like the store never gets its name.
func TestBackupThatFailsLeavesNothing(t *testing.T) {
	aboutFiles(t)
	s := openNew(t)
	must(s.Import(t.Context(), SourceImport, billsOf(5000), checkedAt, nil))
	for name, spoil := range map[string]func(part string) error{
		"damaged": func(part string) error {
			f, err := os.OpenFile(part, os.O_WRONLY, 0)
			if err != nil {
				return err
			}
			_, err = f.WriteAt(make([]byte, 300_000), 8192)
			return errors.Join(err, f.Close())
		},
		"cut off": func(part string) error { return os.Truncate(part, 200_000) },
		"empty":   func(part string) error { return os.Truncate(part, 0) },
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "b.db")
			_, err := s.Backup(t.Context(), file, false, func(what string, _, _ int) {
				if what != "copying" {
					mustDo(t, spoil(file+".part"))
				}
			})
			if err == nil {
				t.Error("no error")
			}
			left := must(os.ReadDir(filepath.Dir(file)))
			if len(left) != 0 {
				t.Errorf("it left %v", left)
			}
		})
	}
}
