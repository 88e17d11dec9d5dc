package pgtest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// StandbyName is by what a standby is named in synchronous_standby_names.
const StandbyName = "standby"

// NewStandby makes a standby of the server from a base backup and starts it: it streams what
// the server writes. through is the way on which it does; nil = the direct one. No commit
// waits for it before WaitForStandby.
func (s *Server) NewStandby(through *Gate) (_ *Server, err error) {
	dir, err := os.MkdirTemp("", "duewatch-postgres-")
	if err != nil {
		return nil, err
	}
	standby := &Server{Dir: filepath.Join(dir, "data"), bin: s.bin}
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
	primary := func(address string) (string, error) {
		host, port, err := net.SplitHostPort(address)
		return fmt.Sprintf("host=%s port=%s user=%s sslmode=disable application_name=%s", host, port, role, StandbyName), err
	}
	direct, err := primary(s.Host())
	if err != nil {
		return nil, err
	}
	backup := s.program("pg_basebackup", "-D", standby.Dir, "-d", direct, "-R", "-X", "stream", "-c", "fast", "--no-sync")
	if out, err := backup.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("pg_basebackup: %w: %s", err, out)
	}
	if standby.Port, err = freePort(); err != nil {
		return nil, err
	}
	follows := direct
	if through != nil {
		if follows, err = primary(through.Host()); err != nil {
			return nil, err
		}
	}
	// All the settings of the server hold here too, except where it is and whom it waits for.
	settings := append(s.settings(),
		fmt.Sprint("port=", standby.Port), "unix_socket_directories="+filepath.Dir(standby.Dir),
		"synchronous_standby_names=", "primary_conninfo="+follows, "wal_retrieve_retry_interval=100ms")
	err = standby.start(settings)
	return standby, err
}

// settings are those that the server was started with.
func (s *Server) settings() (all []string) {
	args := s.command.Args[1:]
	for i, arg := range args {
		if arg == "-c" {
			all = append(all, args[i+1])
		}
	}
	return all
}

// WaitForStandby has each commit wait for the standby from now on, once that has all there is;
// false = no commit waits any more.
func (s *Server) WaitForStandby(ctx context.Context, wait bool) error {
	names, state := "", "async"
	if wait {
		names, state = StandbyName, "sync"
	}
	if err := s.Exec(ctx, "ALTER SYSTEM SET synchronous_standby_names = '"+names+"'"); err != nil {
		return err
	}
	if err := s.Exec(ctx, "SELECT pg_reload_conf()"); err != nil || !wait {
		return err
	}
	return s.await(ctx, "SELECT EXISTS (SELECT 1 FROM pg_stat_replication WHERE sync_state = '"+state+"')")
}

// Promote has a standby become a server of its own, on a timeline of its own, and returns once it
// can be written.
func (s *Server) Promote(ctx context.Context) error {
	promote := s.program("pg_ctl", "promote", "-D", s.Dir, "-W")
	if out, err := promote.CombinedOutput(); err != nil {
		return fmt.Errorf("pg_ctl promote: %w: %s", err, strings.TrimSpace(string(out)))
	}
	return s.await(ctx, "SELECT NOT pg_is_in_recovery()")
}

// AwaitStandby returns once the standby has replayed all that the server has written.
func (s *Server) AwaitStandby(ctx context.Context) error {
	return s.await(ctx, "SELECT EXISTS (SELECT 1 FROM pg_stat_replication WHERE replay_lsn >= pg_current_wal_flush_lsn())")
}

// await returns once the server answers a question with yes.
func (s *Server) await(ctx context.Context, question string) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, s.URL("postgres"))
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx)) //nolint:errcheck // it was only read by
	for {
		var yes bool
		if err := conn.QueryRow(ctx, question).Scan(&yes); err != nil || yes {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s: %w", question, ctx.Err())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// OneOf is the address of a database that is on one of several servers: the one that can be
// written, the first of them before the others.
func OneOf(database string, hosts ...string) string {
	return fmt.Sprintf("postgres://%s@%s/%s?sslmode=disable&target_session_attrs=read-write", role, strings.Join(hosts, ","), database)
}

// Host is where the server listens.
func (s *Server) Host() string { return fmt.Sprintf("127.0.0.1:%d", s.Port) }

// Host is where the gate listens.
func (g *Gate) Host() string { return g.listener.Addr().String() }
