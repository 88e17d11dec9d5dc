package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"strings"
	"syscall"
	"time"
)

var (
	// ErrSuperseded means that another daemon has taken the store, since this one was not
	// heard of for longer than its lease.
	ErrSuperseded = errors.New("another duewatch daemon has taken this store, since this one was not heard of for too long")
	// ErrWentBack means that the server has lost what it said to be committed: it is
	// another one, behind the former, or was restored.
	ErrWentBack = errors.New("the database has lost commits that it had confirmed: it is another server, behind the former, or a restored one")
	// errEndUnknown means that nobody was there to say whether a transaction was committed.
	errEndUnknown = errors.New("whether the last transaction was committed is not known")
)

// place tells this process from every other on the same boot of the machine: processes in
// containers have numbers of their own. "" = not known.
func place() string {
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	space, err2 := os.Readlink("/proc/self/ns/pid")
	if err != nil || err2 != nil {
		return ""
	}
	return strings.TrimSpace(string(boot)) + " " + space
}

// A daemon renews its lease this often.
const renewEvery = 5 * time.Second

// takeLease enters this daemon as the one that works on the store. It waits for the lease
// of one that is not heard of any more to run out, and returns ErrLocked beside one that lives.
func (p *postgres) takeLease(ctx context.Context, pool *sql.DB) error {
	var first *holder
	for {
		held, err := p.tryLease(ctx, pool)
		switch {
		case err != nil:
			return fmt.Errorf("take the store for this daemon: %w", err)
		case held == nil:
			return nil
		case held.lives || (first != nil && (held.owner != first.owner || held.seenAt != first.seenAt)):
			return fmt.Errorf("%w (on %s, process %d): stop it first", ErrLocked, held.host, held.pid)
		}
		if first == nil {
			first = held
		}
		select {
		case <-time.After(500 * time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// holder is a daemon that has a store.
type holder struct {
	owner, host, place string
	pid                int
	seenAt, untilAt    int64
	lives              bool // for certain
}

// tryLease enters this daemon, unless another has a lease.
func (p *postgres) tryLease(ctx context.Context, pool *sql.DB) (held *holder, err error) {
	conn, err := p.tryBegin(ctx, pool, reading)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	if _, err := conn.ExecContext(ctx, "ROLLBACK; BEGIN; "+settings+"SELECT id FROM write_lock FOR UPDATE"); err != nil {
		return nil, explain(err)
	}
	if held, err = p.lease(ctx, conn); err != nil || held != nil {
		_, _ = conn.ExecContext(ctx, "ROLLBACK") // the connection is closed otherwise
		return held, explain(err)
	}
	_, err = conn.ExecContext(ctx, "COMMIT")
	return nil, explain(err)
}

func (p *postgres) lease(ctx context.Context, conn *sql.Conn) (*holder, error) {
	var now int64
	var h holder
	err := conn.QueryRowContext(ctx, "SELECT "+serverNow).Scan(&now)
	if err == nil {
		err = conn.QueryRowContext(ctx, "SELECT owner, host, place, pid, seen_at, until_at FROM daemons ORDER BY until_at DESC LIMIT 1").
			Scan(&h.owner, &h.host, &h.place, &h.pid, &h.seenAt, &h.untilAt)
	}
	here := place()
	switch {
	case errors.Is(err, sql.ErrNoRows):
	case err != nil:
		return nil, err
	case here != "" && h.place == here:
		err := syscall.Kill(h.pid, 0)
		if h.lives = err == nil || errors.Is(err, syscall.EPERM); h.lives {
			return &h, nil
		}
	case h.untilAt > now:
		return &h, nil
	}
	host, err := os.Hostname()
	if err != nil {
		host = "an unknown host"
	}
	_, err = conn.ExecContext(ctx, "DELETE FROM daemons")
	if err == nil {
		_, err = conn.ExecContext(ctx, `INSERT INTO daemons (owner, host, place, pid, version, since, seen_at, until_at, commits)
			VALUES ($1, $2, $3, $4, $5, $6, $6, $7, 0)`, p.owner, host, here, os.Getpid(), version(), now, now+leaseFor.Milliseconds())
	}
	return nil, err
}

// version is that of this binary.
func version() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		return info.Main.Version
	}
	return ""
}

// renewLease renews the lease when it is time, and notices when the store is another
// daemon's by now. Each write renews it as well.
func (p *postgres) renewLease(ctx context.Context) error {
	if time.Since(p.renewedAt) < renewEvery {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, 2*renewEvery)
	defer cancel()
	r, err := p.apart.ExecContext(ctx, fmt.Sprintf("UPDATE daemons SET seen_at = %[1]s, until_at = %[1]s + %[2]d WHERE owner = $1",
		serverNow, leaseFor.Milliseconds()), p.owner)
	p.noteConnection(err)
	if err != nil {
		return explain(err)
	}
	p.renewedAt = time.Now()
	if n, err := r.RowsAffected(); err != nil || n > 0 {
		return err
	}
	return p.superseded()
}

// othersWrote is DB.OthersWrote, which a daemon calls every second: it renews its lease with
// that. A connection that is there again may have missed something.
func (p *postgres) othersWrote(ctx context.Context, pool *sql.DB) (version int64, err error) {
	if p.owner != "" {
		if err := p.renewLease(ctx); err != nil {
			return 0, fmt.Errorf("keep the store for this daemon: %w", err)
		}
	}
	err = pool.QueryRowContext(ctx, "SELECT commands FROM write_lock").Scan(&version)
	p.noteConnection(err)
	if err != nil {
		return 0, fmt.Errorf("look for changes of the store: %w", explain(err))
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return version + p.returns<<32, nil
}

// superseded ends this daemon's work on a store that is another daemon's by now.
func (p *postgres) superseded() error { return p.endWork(ErrSuperseded) }

// endWork ends this daemon's work on the store, for the reason that came first.
func (p *postgres) endWork(why error) error {
	p.end.Do(func() {
		p.endedBy = why
		close(p.ended)
	})
	return why
}

// giveUpLease lets another daemon begin at once.
func (p *postgres) giveUpLease() {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	_, _ = p.apart.ExecContext(ctx, "DELETE FROM daemons WHERE owner = $1", p.owner) // else it runs out
}

// readBack asks whether the transaction that was about to end is committed, until the
// server says so: nil means that it is. The row of this daemon has the number of its last
// commit, and the transaction holds that row for as long as it is under way.
func (p *postgres) readBack(ctx context.Context, cause error) error {
	for wait := 100 * time.Millisecond; ; wait = min(2*wait, 2*time.Second) {
		commits, err := p.committed(ctx)
		p.noteConnection(err)
		switch {
		case errors.Is(err, sql.ErrNoRows):
			return p.superseded()
		case err == nil && commits == p.commits+1:
			return nil
		case err == nil && commits == p.commits:
			return cause // undone
		case err == nil:
			return p.endWork(ErrWentBack)
		}
		select {
		case <-time.After(wait):
		case <-p.giveUp:
			return fmt.Errorf("%w: %w", errEndUnknown, err)
		}
	}
}

// committed is the number of the last commit of this daemon.
func (p *postgres) committed(ctx context.Context) (n int64, err error) {
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	conn, err := p.apart.Conn(ctx)
	if err != nil {
		return 0, explain(err)
	}
	defer conn.Close() //nolint:errcheck // it goes back to the pool
	if _, err := conn.ExecContext(ctx, "BEGIN; "+settings); err != nil {
		return 0, explain(err)
	}
	err = conn.QueryRowContext(ctx, "SELECT commits FROM daemons WHERE owner = $1 FOR UPDATE", p.owner).Scan(&n)
	_, rollback := conn.ExecContext(ctx, "ROLLBACK")
	return n, explain(errors.Join(err, rollback))
}

// noteConnection notes that there is a connection, or why there is none.
func (p *postgres) noteConnection(err error) {
	lost := isConnectionLost(err)
	if err != nil && !lost {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case lost && p.lostSince.IsZero():
		p.lostSince, p.lostBy = time.Now(), err
	case !lost && !p.lostSince.IsZero():
		p.lostSince, p.lostBy = time.Time{}, nil
		p.returns++
	}
}

// Lost reports since when there is no connection to the server, and why; zero = there is
// one, or the store is a file.
func (d *DB) Lost() (since time.Time, why error) {
	p, ok := d.engine.(*postgres)
	if !ok {
		return time.Time{}, nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.lostSince, p.lostBy
}

// Ended is closed when another daemon has taken the store, or the server has lost commits:
// this daemon can write no more, for the reason that EndedBy returns. A file never ends.
func (d *DB) Ended() <-chan struct{} {
	if p, ok := d.engine.(*postgres); ok {
		return p.ended
	}
	return nil
}

// EndedBy is why Ended is closed: ErrSuperseded or ErrWentBack.
func (d *DB) EndedBy() error {
	p, ok := d.engine.(*postgres)
	if !ok {
		return nil
	}
	select {
	case <-p.ended:
		return p.endedBy
	default:
		return nil
	}
}
