package store

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"duewatch/store/db"
)

func TestASecondDaemonIsKeptAway(t *testing.T) {
	aboutFiles(t)
	path := filepath.Join(t.TempDir(), "duewatch.db")
	s, err := Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	_, err = Open(t.Context(), path)
	if !errors.Is(err, db.ErrLocked) {
		t.Fatalf("got %v, want ErrLocked", err)
	}
	if want := "process " + strconv.Itoa(os.Getpid()); !strings.Contains(err.Error(), want) {
		t.Errorf("%q does not say %q", err, want)
	}
	// The attempt must not have taken anything from the first.
	mustDo(t, s.SetMeta("key", "value"))
	mustDo(t, s.Close())
	openAt(t, path)
}

func TestACommandKnowsWhetherADaemonIsBeside(t *testing.T) {
	aboutFiles(t)
	s := openNew(t)
	w := openWriter(t, s)
	if !w.BesideDaemon(t.Context()) {
		t.Error("a daemon that runs is not noticed")
	}
	mustDo(t, s.Close())
	if w.BesideDaemon(t.Context()) {
		t.Error("a daemon that ended, and whose process lives, is taken for running")
	}
}

func TestASecondDaemonByAnotherNameIsKeptAway(t *testing.T) {
	aboutFiles(t)
	for name, link := range map[string]func(dir string) (other string, err error){
		"a link to the file": func(dir string) (string, error) {
			return filepath.Join(dir, "link.db"), os.Symlink("duewatch.db", filepath.Join(dir, "link.db"))
		},
		"a link to its folder": func(dir string) (string, error) {
			return filepath.Join(dir, "folder", "duewatch.db"), os.Symlink(dir, filepath.Join(dir, "folder"))
		},
		"a link to a link": func(dir string) (string, error) {
			err := errors.Join(os.Symlink(dir, filepath.Join(dir, "folder")), os.Symlink("folder/duewatch.db", filepath.Join(dir, "one.db")))
			return filepath.Join(dir, "two.db"), errors.Join(err, os.Symlink("one.db", filepath.Join(dir, "two.db")))
		},
	} {
		for _, first := range []string{"the file", "the link"} { // is opened first, and makes the store
			t.Run(name+"/"+first, func(t *testing.T) {
				dir := t.TempDir()
				other := must(link(dir))
				paths := []string{filepath.Join(dir, "duewatch.db"), other}
				if first == "the link" {
					paths[0], paths[1] = paths[1], paths[0]
				}
				openAt(t, paths[0])
				s, err := Open(t.Context(), paths[1])
				if err == nil {
					mustDo(t, s.Close())
				}
				if !errors.Is(err, db.ErrLocked) {
					t.Errorf("got %v, want ErrLocked", err)
				}
			})
		}
	}
}

// Who takes a lock file for a left-over and removes it does not get two daemons.
func TestASecondDaemonIsKeptAwayWhereTheLockFileWasRemoved(t *testing.T) {
	aboutFiles(t)
	path := filepath.Join(t.TempDir(), "duewatch.db")
	s := openAt(t, path)
	mustDo(t, s.SetMeta("key", "value"))
	mustDo(t, os.Remove(path+".lock"))
	second, err := Open(t.Context(), path)
	if err == nil {
		mustDo(t, second.Close())
	}
	if !errors.Is(err, db.ErrLocked) {
		t.Errorf("got %v, want ErrLocked", err)
	}
	mustDo(t, s.Close())
	openAt(t, path)
}

// By the other name of a hard link there is neither the lock nor the log of the
// first: nobody may work on such a store, by either name.
func TestAStoreWithTwoNamesIsRefused(t *testing.T) {
	aboutFiles(t)
	dir := t.TempDir()
	path, other := filepath.Join(dir, "duewatch.db"), filepath.Join(dir, "other.db")
	mustDo(t, openAt(t, path).Close())
	mustDo(t, os.Link(path, other))
	before := must(os.ReadFile(path))
	for _, name := range []string{path, other} {
		opens := map[string]func(context.Context, string) (*Store, error){"daemon": Open, "reader": OpenReader, "command": OpenWriter}
		for who, open := range opens {
			s, err := open(t.Context(), name)
			if err == nil {
				mustDo(t, s.Close())
			}
			if err == nil || !strings.Contains(err.Error(), "has 2 names") || !strings.Contains(err.Error(), "find / -samefile "+name) {
				t.Errorf("the %s opens %s: %v", who, name, err)
			}
		}
	}
	if after := must(os.ReadFile(path)); !bytes.Equal(before, after) {
		t.Error("the file was written")
	}
	mustDo(t, os.Remove(other))
	openAt(t, path)
}

// What lies beside the store under a name that everybody knows is written to: a
// link there would have another file written, or emptied.
func TestNoLinkBesideTheStoreIsFollowed(t *testing.T) {
	aboutFiles(t)
	for _, end := range []string{".lock", "-wal", "-shm", "-journal"} {
		for kind, link := range map[string]func(from, to string) error{"symbolic": os.Symlink, "hard": os.Link} {
			t.Run(end+"/"+kind, func(t *testing.T) {
				dir := t.TempDir()
				path, letter := filepath.Join(dir, "duewatch.db"), filepath.Join(dir, "letter")
				mustDo(t, os.WriteFile(letter, []byte("dear reader"), 0o600))
				mustDo(t, link(letter, path+end))
				s, err := Open(t.Context(), path)
				if err == nil {
					mustDo(t, s.SetMeta("key", "value"))
					mustDo(t, s.Close())
				}
				if err == nil || !strings.Contains(err.Error(), "duewatch.db"+end) || !strings.Contains(err.Error(), "remove the ") {
					t.Errorf("error %v", err)
				}
				if got := must(os.ReadFile(letter)); string(got) != "dear reader" {
					t.Errorf("the file behind the link holds %d bytes: %.20q", len(got), got)
				}
			})
		}
	}
}

func TestTheLockDiesWithItsProcess(t *testing.T) {
	aboutFiles(t)
	path := filepath.Join(t.TempDir(), "duewatch.db")
	c := startChild(t, "hold", path)
	if got, _ := c.out.ReadString('\n'); got != "open\n" {
		t.Fatalf("the child said %q: %s", got, c.errors())
	}
	_, err := Open(t.Context(), path)
	if want := "process " + strconv.Itoa(c.cmd.Process.Pid); !errors.Is(err, db.ErrLocked) || !strings.Contains(err.Error(), want) {
		t.Errorf("got %v, want ErrLocked with %q", err, want)
	}
	c.kill()
	openAt(t, path)
}

// holdOpen is a daemon that waits to be killed.
func holdOpen(ctx context.Context, path string) error {
	if _, err := Open(ctx, path); err != nil {
		return err
	}
	fmt.Println("open")
	_, err := io.Copy(io.Discard, os.Stdin) // until the parent is gone
	return err
}

// child is this test binary in another role.
type child struct {
	t    testing.TB
	cmd  *exec.Cmd
	out  *bufio.Reader
	fail *strings.Builder
}

func startChild(t testing.TB, role, path string) *child {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), roleEnv+"="+role, pathEnv+"="+path)
	var fail strings.Builder
	cmd.Stderr = &fail
	out, err := cmd.StdoutPipe()
	if err == nil {
		// Held open by the parent, so that the child ends when the parent does.
		_, err = cmd.StdinPipe()
	}
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	return &child{t, cmd, bufio.NewReader(out), &fail}
}

// kill ends the child with SIGKILL and returns what it had still said.
func (c *child) kill() string {
	c.t.Helper()
	if err := c.cmd.Process.Kill(); err != nil {
		c.t.Fatal(err)
	}
	rest, err := io.ReadAll(c.out)
	if err != nil {
		c.t.Fatal(err)
	}
	_ = c.cmd.Wait() // says that it was killed
	return string(rest)
}

// errors waits for the child's end and returns what it complained of.
func (c *child) errors() string {
	_ = c.cmd.Wait()
	return c.fail.String()
}
