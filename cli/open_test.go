package cli

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"duewatch/config"
	"duewatch/store"
)

// A store that root makes is the daemon's: it belongs to the owner of its folder, with all
// that is beside it.
func TestRootMakesTheStoreForTheOwnerOfItsFolder(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can make a file for somebody else")
	}
	const somebody = 65534
	dir := filepath.Join(t.TempDir(), "state")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(dir, somebody, somebody); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "duewatch.db")
	if err := makeStore(t.Context(), &config.Config{Store: path}); err != nil {
		t.Fatal(err)
	}
	s, err := store.OpenWriter(t.Context(), path) // as the command does then
	if err != nil {
		t.Fatal(err)
	}
	if err := s.SetMeta("test", "x"); err != nil {
		t.Fatal(err)
	}
	defer s.Close() //nolint:errcheck // of a test
	files, err := os.ReadDir(dir)
	if err != nil || len(files) < 4 { // the store, its lock, and what SQLite has beside one in use
		t.Fatalf("%v, %v", files, err)
	}
	for _, file := range files {
		info, err := file.Info()
		if err != nil {
			t.Fatal(err)
		}
		if is, ok := info.Sys().(*syscall.Stat_t); !ok || is.Uid != somebody || is.Gid != somebody || info.Mode() != 0o600 {
			t.Errorf("%s: owner %d:%d, mode %v", file.Name(), is.Uid, is.Gid, info.Mode())
		}
	}
}

func TestAnotherFileInPlaceOfTheStoreIsNotGivenAway(t *testing.T) {
	dir := t.TempDir()
	link := filepath.Join(dir, "duewatch.db")
	if err := os.Symlink("/etc/passwd", link); err != nil {
		t.Fatal(err)
	}
	if err := giveTo(link, os.Getuid(), os.Getgid()); err == nil {
		t.Error("the owner of the file behind the link was changed")
	}
}
