package pgtest

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

var (
	// ErrNoPooler means that the tests with a pooler are left out.
	ErrNoPooler = errors.New("PgBouncer is not installed (Debian: sudo apt install pgbouncer)")
	// ErrOldPooler means that the pooler does not know a setting.
	ErrOldPooler = errors.New("PgBouncer is too old to keep prepared statements (1.21 can)")
)

// Pooler runs a PgBouncer in transaction mode before the server of a database, until the test
// ends, and returns the address of the database through it. prepared is how many prepared
// statements it keeps for a client.
func Pooler(t testing.TB, address string, prepared int) (string, error) {
	t.Helper()
	program, err := exec.LookPath("pgbouncer")
	if err != nil {
		if program, err = exec.LookPath("/usr/sbin/pgbouncer"); err != nil {
			return "", ErrNoPooler
		}
	}
	version, err := exec.CommandContext(t.Context(), program, "--version").Output() //nolint:gosec // PgBouncer
	if err != nil {
		return "", err
	}
	var major, minor int
	if _, err := fmt.Sscanf(string(version), "PgBouncer %d.%d", &major, &minor); err != nil {
		return "", fmt.Errorf("%q says its version as %q: %w", program, version, err)
	}
	setting := fmt.Sprint("max_prepared_statements = ", prepared)
	if major == 1 && minor < 21 {
		if setting = ""; prepared > 0 {
			return "", ErrOldPooler
		}
	}
	u, err := url.Parse(address)
	if err != nil {
		return "", err
	}
	port, err := freePort()
	if err != nil {
		return "", err
	}
	dir, err := os.MkdirTemp("", "duewatch-pooler-") //nolint:usetesting // another user reads it
	if err != nil {
		return "", err
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	file := filepath.Join(dir, "pgbouncer.ini")
	text := fmt.Sprintf("[databases]\n%s = host=%s port=%s user=%s\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = %d\n"+
		"unix_socket_dir =\nauth_type = any\npool_mode = transaction\ndefault_pool_size = 3\n%s\n",
		strings.TrimPrefix(u.Path, "/"), u.Hostname(), u.Port(), role, port, setting)
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil { //nolint:gosec // another user reads it
		return "", err
	}
	if err := os.Chmod(dir, 0o755); err != nil { //nolint:gosec // so does it the folder
		return "", err
	}
	command := exec.Command(program, "-q", file) //nolint:gosec,noctx // it is ended below
	command.SysProcAttr = &syscall.SysProcAttr{Credential: otherUser()}
	if err := command.Start(); err != nil {
		return "", err
	}
	t.Cleanup(func() {
		_ = command.Process.Kill() // it may have ended
		_ = command.Wait()         // killed: its status says so
	})
	u.Host = fmt.Sprintf("127.0.0.1:%d", port)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for {
		conn, err := pgx.Connect(ctx, u.String()+"&default_query_exec_mode=exec")
		if err == nil {
			return u.String(), conn.Close(ctx)
		}
		if ctx.Err() != nil {
			return "", fmt.Errorf("PgBouncer does not start: %w", err)
		}
		runtime.Gosched()
	}
}
