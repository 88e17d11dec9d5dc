package store

import (
	"bufio"
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
)

func TestASecondDaemonIsKeptAway(t *testing.T) {
	path := filepath.Join(t.TempDir(), "duewatch.db")
	s, err := Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	_, err = Open(t.Context(), path)
	if !errors.Is(err, ErrLocked) {
		t.Fatalf("got %v, want ErrLocked", err)
	}
	if want := "process " + strconv.Itoa(os.Getpid()); !strings.Contains(err.Error(), want) {
		t.Errorf("%q does not say %q", err, want)
	}
	// The attempt must not have taken anything from the first.
	mustDo(t, s.SetMeta(t.Context(), "key", "value"))
	mustDo(t, s.Close())
	openAt(t, path)
}

func TestACommandKnowsWhetherADaemonIsBeside(t *testing.T) {
	s := openNew(t)
	w := openWriter(t, s)
	if !w.BesideDaemon() {
		t.Error("a daemon that runs is not noticed")
	}
	mustDo(t, s.Close())
	if w.BesideDaemon() {
		t.Error("a daemon that ended, and whose process lives, is taken for running")
	}
}

func TestASecondDaemonByAnotherNameIsKeptAway(t *testing.T) {
	dir := t.TempDir()
	openAt(t, filepath.Join(dir, "duewatch.db"))
	link := filepath.Join(dir, "link.db")
	mustDo(t, os.Symlink("duewatch.db", link))
	s, err := Open(t.Context(), link)
	if err == nil {
		mustDo(t, s.Close())
	}
	if !errors.Is(err, ErrLocked) {
		t.Errorf("opened by a symbolic link: got %v, want ErrLocked", err)
	}
}

func TestTheLockDiesWithItsProcess(t *testing.T) {
	path := filepath.Join(t.TempDir(), "duewatch.db")
	c := startChild(t, "hold", path)
	if got, _ := c.out.ReadString('\n'); got != "open\n" {
		t.Fatalf("the child said %q: %s", got, c.errors())
	}
	_, err := Open(t.Context(), path)
	if want := "process " + strconv.Itoa(c.cmd.Process.Pid); !errors.Is(err, ErrLocked) || !strings.Contains(err.Error(), want) {
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
