// Package pgtest runs a PostgreSQL server of its own for tests and benchmarks: in a folder
// that is thrown away, on a free port of the loopback, without a password. It needs
// PostgreSQL's programs (Debian: postgresql), and no rights: as root it runs them as
// another user, since the server refuses root.
package pgtest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

// ErrNotInstalled means that PostgreSQL's programs are not on this machine.
var ErrNotInstalled = errors.New("PostgreSQL is not installed (Debian: sudo apt install postgresql)")

// Server is a server that runs.
type Server struct {
	Dir  string // its data
	Port int

	bin     string
	command *exec.Cmd
	ended   chan error
}

// role owns the databases.
const role = "duewatch"

// Throwaway are the settings of a server whose data nobody misses after a power cut.
var Throwaway = []string{
	"fsync=off", "synchronous_commit=off", "full_page_writes=off", "wal_level=minimal", "max_wal_senders=0", "max_wal_size=512MB",
	"autovacuum=off",
}

// New makes a server with these settings (name=value) in a new temporary folder and starts it.
func New(settings ...string) (*Server, error) { return newIn("", settings) }

// NewIn is New in a folder of the caller's.
func NewIn(folder string, settings ...string) (*Server, error) { return newIn(folder, settings) }

// memoryFolder is a folder in memory with room for the databases of many tests, where the
// machine has one: of each database the server makes some three hundred files, and removes them
// at the end of its test. "" = there is none.
func memoryFolder() string {
	const folder, tmpfs, enough = "/dev/shm", 0x01021994, 4 << 30 // statfs(2)
	var fs syscall.Statfs_t
	if err := syscall.Statfs(folder, &fs); err == nil && fs.Type == tmpfs && fs.Bavail*uint64(fs.Bsize) >= enough { //nolint:gosec // > 0
		return folder
	}
	return ""
}

// newIn is New in a folder; "" = that for temporary files.
func newIn(parent string, settings []string) (_ *Server, err error) {
	bin, err := programs()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(parent, "duewatch-postgres-")
	if err != nil {
		return nil, err
	}
	s := &Server{Dir: filepath.Join(dir, "data"), bin: bin}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(dir))
		}
	}()
	if who := otherUser(); who != nil {
		if err := os.Chown(dir, int(who.Uid), int(who.Gid)); err != nil {
			return nil, err
		}
	}
	initdb := s.program("initdb", "-D", s.Dir, "-A", "trust", "-U", role, "-E", "UTF8", "--no-locale", "--no-sync")
	if out, err := initdb.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("initdb: %w: %s", err, out)
	}
	if s.Port, err = freePort(); err != nil {
		return nil, err
	}
	settings = append([]string{
		"listen_addresses=127.0.0.1", "port=" + strconv.Itoa(s.Port), "unix_socket_directories=" + filepath.Dir(s.Dir), "max_connections=200",
		"shared_buffers=256MB", "log_min_messages=fatal", "dynamic_shared_memory_type=mmap",
	}, settings...)
	err = s.start(settings)
	return s, err
}

// start starts the program with settings, which stay for further starts.
func (s *Server) start(settings []string) error {
	args := []string{"-D", s.Dir}
	for _, setting := range settings {
		args = append(args, "-c", setting)
	}
	s.command = s.program("postgres", args...)
	return s.run()
}

// Restart starts a server that was stopped or killed, as it was. What a killed one leaves
// running takes a moment to notice its end.
func (s *Server) Restart() error {
	for tries := 1; ; tries++ {
		if err := s.run(); err == nil || tries == 50 {
			return err
		}
		<-time.After(100 * time.Millisecond)
	}
}

// run starts the program once.
func (s *Server) run() error {
	command := s.program("postgres", s.command.Args[1:]...)
	command.SysProcAttr.Pdeathsig = syscall.SIGQUIT // it must not outlive the tests
	s.command, s.ended = command, make(chan error, 1)
	started := make(chan error)
	go func() {
		// The signal comes when the thread ends that started it.
		runtime.LockOSThread()
		err := command.Start()
		started <- err
		if err == nil {
			s.ended <- command.Wait()
		}
	}()
	if err := <-started; err != nil {
		return fmt.Errorf("start PostgreSQL: %w", err)
	}
	return s.waitUntilReady()
}

func (s *Server) waitUntilReady() error {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	for {
		conn, err := pgx.Connect(ctx, s.URL("postgres"))
		if err == nil {
			return conn.Close(ctx)
		}
		select {
		case ended := <-s.ended:
			s.ended <- ended
			return fmt.Errorf("PostgreSQL ended at its start: %w", ended)
		case <-ctx.Done():
			return fmt.Errorf("PostgreSQL does not start: %w", err)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// URL is the address of a database.
func (s *Server) URL(database string) string {
	return fmt.Sprintf("postgres://%s@127.0.0.1:%d/%s?sslmode=disable", role, s.Port, database)
}

// socket is where the server listens beside its port.
func (s *Server) socket() string {
	return filepath.Join(filepath.Dir(s.Dir), fmt.Sprint(".s.PGSQL.", s.Port))
}

// Create makes a database like the template, which nobody may be connected to; "" = empty.
// It returns its address.
func (s *Server) Create(ctx context.Context, name, template string) (string, error) {
	if template == "" {
		template = "template1"
	}
	return s.URL(name), s.Exec(ctx, fmt.Sprintf("CREATE DATABASE %s TEMPLATE %s", name, template))
}

// Drop removes a database, and ends the connections to it.
func (s *Server) Drop(ctx context.Context, name string) error {
	return s.Exec(ctx, fmt.Sprintf("DROP DATABASE IF EXISTS %s WITH (FORCE)", name))
}

// Exec runs a statement in the database postgres.
func (s *Server) Exec(ctx context.Context, statement string) error {
	return Exec(ctx, s.URL("postgres"), statement)
}

// Pid is the number of the server's first process.
func (s *Server) Pid() int { return s.command.Process.Pid }

// Kill ends the server by a signal (SIGINT = orderly and at once, SIGQUIT = as in a crash) and
// waits for its end. Its data stay.
func (s *Server) Kill(signal syscall.Signal) error {
	if err := s.command.Process.Signal(signal); err != nil {
		return err
	}
	select {
	case err := <-s.ended:
		s.ended <- err
		return nil
	case <-time.After(30 * time.Second):
		return errors.New("PostgreSQL does not end")
	}
}

// Close ends the server, and removes its data.
func (s *Server) Close() error {
	_ = s.command.Process.Signal(syscall.SIGQUIT) // it may have ended
	err := <-s.ended
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		err = nil // by that signal
	}
	return errors.Join(err, os.RemoveAll(filepath.Dir(s.Dir)))
}

func (s *Server) program(name string, args ...string) *exec.Cmd {
	command := exec.Command(filepath.Join(s.bin, name), args...) //nolint:gosec,noctx // PostgreSQL's own, which outlives its starter
	command.SysProcAttr = &syscall.SysProcAttr{Credential: otherUser()}
	command.Dir = "/"
	return command
}

// programs finds the folder with the server's programs, which Debian keeps off the PATH.
func programs() (string, error) {
	folders, err := filepath.Glob("/usr/lib/postgresql/*/bin")
	if err != nil {
		return "", err
	}
	slices.SortFunc(folders, func(a, b string) int { return versionOf(b) - versionOf(a) })
	for _, folder := range folders {
		if _, err := os.Stat(filepath.Join(folder, "initdb")); err == nil {
			return folder, nil
		}
	}
	if path, err := exec.LookPath("initdb"); err == nil {
		return filepath.Dir(path), nil
	}
	return "", ErrNotInstalled
}

func versionOf(folder string) int {
	n, err := strconv.Atoi(filepath.Base(filepath.Dir(folder)))
	if err != nil {
		return 0
	}
	return n
}

// otherUser is whom the server runs as: nil = this user, who is not root.
func otherUser() *syscall.Credential {
	if os.Geteuid() != 0 {
		return nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		who, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err := strconv.ParseUint(who.Uid, 10, 32)
		gid, err2 := strconv.ParseUint(who.Gid, 10, 32)
		if err == nil && err2 == nil {
			return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
		}
	}
	return nil
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // it is closed at once
	if err != nil {
		return 0, err
	}
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		return 0, errors.Join(err, l.Close())
	}
	n, err := strconv.Atoi(strings.TrimSpace(port))
	return n, errors.Join(err, l.Close())
}
