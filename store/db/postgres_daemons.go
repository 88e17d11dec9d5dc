package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"time"
)

var (
	// ErrSuperseded means that the other daemons took this one for dead, since it was not
	// heard of for longer than its lease.
	ErrSuperseded = errors.New("the other daemons have taken this one for dead, since it was not heard of for too long: it starts again")
	// ErrDisplaced means that daemons of another config work on this store now.
	ErrDisplaced = errors.New("daemons of another config work on this store now: this one starts again, and waits")
	// ErrWentBack means that the server has lost what it said to be committed: it is
	// another one, behind the former, or was restored.
	ErrWentBack = errors.New("the database has lost commits that it had confirmed: it is another server, behind the former, or a restored one")
	// errEndUnknown means that nobody was there to say whether a transaction was committed.
	errEndUnknown = errors.New("the connection to the server was lost, and whether the last transaction was committed is not known")
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

// commitsWait is that a commit of this role is confirmed once a standby has it, too.
const commitsWait = "current_setting('synchronous_standby_names') <> '' AND current_setting('synchronous_commit') NOT IN ('off', 'local')"

// A daemon renews its lease this often.
const renewEvery = 5 * time.Second

// exclusive is in place of notifier.mode for who wants to be alone on the store.
const exclusive = "exclusive"

// join enters this daemon among those that work on the store. One that finds no other works
// at once; beside others it waits until Decide lets it. Who wants to be alone gets ErrLocked
// beside another, and the others beside it.
func (p *postgres) join(ctx context.Context, pool *sql.DB, schema Schema, exclusively bool) error {
	mode := ""
	if exclusively {
		mode = exclusive
	}
	now, err := readTimeline(ctx, pool)
	if err != nil {
		return err
	}
	err = p.alone(ctx, pool, func(conn *sql.Conn) error {
		host := hostname()
		if now.Number > 0 {
			if _, err := noteTimeline(ctx, conn, now); err != nil {
				return err
			}
		}
		if err := removeDead(ctx, conn); err != nil {
			return err
		}
		// The row by which makeRoom kept others away.
		if _, err := conn.ExecContext(ctx, "DELETE FROM daemons WHERE owner = $1", p.owner); err != nil {
			return err
		}
		if err := schema.stillFits(ctx, conn); err != nil {
			return err
		}
		var otherHost string
		var otherPID int
		err := conn.QueryRowContext(ctx, "SELECT host, pid FROM daemons WHERE $1 OR mode = '"+exclusive+"' LIMIT 1", exclusively).
			Scan(&otherHost, &otherPID)
		if err == nil {
			return fmt.Errorf("%w (on %s, process %d): stop it first", ErrLocked, otherHost, otherPID)
		} else if !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		_, err = conn.ExecContext(ctx, fmt.Sprintf(`INSERT INTO daemons
				(owner, host, place, pid, version, config, mode, decides, compared, since, seen_at, until_at, commits, knows)
			VALUES ($1, $2, $3, $4, '', '', $6, CASE WHEN EXISTS (SELECT 1 FROM daemons) THEN 0 ELSE 1 END, '', %[1]s, %[1]s, %[1]s + $5, 0, $7)`,
			serverNow), p.owner, host, place(), os.Getpid(), leaseFor.Milliseconds(), mode, schema.serverVersion())
		return err
	})
	if err != nil {
		return fmt.Errorf("enter this daemon in the store: %w", err)
	}
	return nil
}

// alone runs do in a transaction that holds the lock of all that write, and is none of this
// daemon's numbered ones.
func (p *postgres) alone(ctx context.Context, pool *sql.DB, do func(*sql.Conn) error) (err error) {
	conn, err := p.tryBegin(ctx, pool, reading)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	if _, err := conn.ExecContext(ctx, "ROLLBACK; BEGIN; "+writeSettings+"SELECT id FROM write_lock FOR UPDATE"); err != nil {
		return explain(err)
	}
	if err := do(conn); err != nil {
		_, _ = conn.ExecContext(ctx, "ROLLBACK") // the connection is closed otherwise
		return explain(err)
	}
	_, err = conn.ExecContext(ctx, "COMMIT")
	return explain(err)
}

// removeDead removes the daemons whose leases have run out, and those of this machine whose
// processes are gone: none of them can commit anything more.
func removeDead(ctx context.Context, conn *sql.Conn) error {
	if _, err := conn.ExecContext(ctx, "DELETE FROM daemons WHERE until_at <= "+serverNow); err != nil {
		return err
	}
	here := place()
	if here == "" {
		return nil
	}
	rows, err := conn.QueryContext(ctx, "SELECT owner, pid FROM daemons WHERE place = $1", here)
	if err != nil {
		return err
	}
	defer rows.Close() //nolint:errcheck // read to the end
	var dead []string
	for rows.Next() {
		var owner string
		var pid int
		if err := rows.Scan(&owner, &pid); err != nil {
			return err
		}
		if err := syscall.Kill(pid, 0); err != nil && !errors.Is(err, syscall.EPERM) {
			dead = append(dead, owner)
		}
	}
	if err := rows.Err(); err != nil {
		return err
	}
	for _, owner := range dead {
		if _, err := conn.ExecContext(ctx, "DELETE FROM daemons WHERE owner = $1", owner); err != nil {
			return err
		}
	}
	return nil
}

func hostname() string {
	host, err := os.Hostname()
	if err != nil {
		return "an unknown host"
	}
	return host
}

// renewLease renews the lease when it is time, and notices when the store is another
// daemon's by now. Each write renews it as well.
func (p *postgres) renewLease(ctx context.Context) error {
	p.renewing.Lock()
	defer p.renewing.Unlock()
	if time.Since(p.renewedAt) < renewEvery {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, 2*renewEvery)
	defer cancel()
	began := time.Now()
	var seen int64
	var confirmed, synchronous bool
	err := p.apart.QueryRowContext(ctx, fmt.Sprintf(`UPDATE daemons SET seen_at = %[1]s, until_at = %[1]s + %[2]d
		WHERE owner = $1 RETURNING seen_at, %[3]s, %[4]s`, serverNow, leaseFor.Milliseconds(), p.condition(), commitsWait), p.owner).
		Scan(&seen, &confirmed, &synchronous)
	if errors.Is(err, sql.ErrNoRows) {
		// Where the server is another one, the row may be among what it lacks.
		if err := p.confirm(ctx); err != nil {
			return err
		}
		return p.superseded()
	}
	p.noteConnection(isConnectionLost(err), err)
	if err != nil {
		return explain(err)
	}
	p.renewedAt = time.Now()
	if confirmed {
		p.synchronous.Store(synchronous)
	} else if err := p.confirm(ctx); err != nil && !errors.Is(err, errUnconfirmed) {
		return err
	}
	// What a slow answer says of the clocks is not precise enough.
	if took := p.renewedAt.Sub(began); took < time.Second {
		p.clockAhead.Store(int64(time.UnixMilli(seen).Sub(began.Add(took / 2)).Round(time.Millisecond)))
	}
	return nil
}

// othersWrote is DB.OthersWrote, which a daemon calls every second: it renews its lease with
// that. A connection that is there again may have missed something.
func (p *postgres) othersWrote(ctx context.Context, pool *sql.DB) (version int64, err error) {
	if p.owner != "" {
		if err := p.renewLease(ctx); err != nil {
			return 0, fmt.Errorf("keep the store for this daemon: %w", err)
		}
	}
	var dead, displaced bool
	had, has := p.commits.Load(), int64(0)
	err = pool.QueryRowContext(ctx, "SELECT commands, EXISTS (SELECT 1 FROM daemons WHERE until_at <= "+serverNow+`),
		EXISTS (SELECT 1 FROM daemons WHERE owner = $1 AND decides = 0), coalesce((SELECT commits FROM daemons WHERE owner = $1), $2)
		FROM write_lock`, p.owner, had).Scan(&version, &dead, &displaced, &has)
	p.noteConnection(isConnectionLost(err), err)
	if err != nil {
		return 0, fmt.Errorf("look for changes of the store: %w", explain(err))
	}
	p.anyDead.Store(dead)
	switch {
	case p.owner != "" && has < had:
		return 0, p.endWork(ErrWentBack, had-has)
	case displaced && p.decides.Load():
		return 0, p.endWork(ErrDisplaced, 0)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return version + p.returns<<32, nil
}

// superseded ends this daemon's work, since the others have removed its row.
func (p *postgres) superseded() error { return p.endWork(ErrSuperseded, 0) }

// endWork ends this daemon's work on the store, for the reason that came first. Of ErrWentBack,
// lost is how many commits of this daemon are missing; 0 = nobody knows. It ends once that is
// written down: a process that is started anew would know nothing of it.
func (p *postgres) endWork(why error, lost int64) error {
	p.end.Do(func() {
		if errors.Is(why, ErrWentBack) {
			p.untilWritten(func(ctx context.Context) error { return p.recordLoss(ctx, lost, "") })
		}
		p.endedBy = why
		close(p.ended)
	})
	return why
}

// untilWritten writes until it is written, or nobody waits for a connection any more.
func (p *postgres) untilWritten(write func(context.Context) error) {
	for wait := 100 * time.Millisecond; ; wait = min(2*wait, 2*time.Second) {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		err := write(ctx)
		cancel()
		p.noteConnection(isConnectionLost(err), err)
		if err == nil {
			return
		}
		select {
		case <-time.After(wait):
		case <-p.giveUp:
			return
		}
	}
}

// giveUpLease lets another daemon begin at once.
func (p *postgres) giveUpLease() {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	// Without arguments, so that it gets through a pooler that keeps no prepared statements.
	_, _ = p.apart.ExecContext(ctx, fmt.Sprintf("DELETE FROM daemons WHERE owner = '%s'", p.owner)) // else it runs out
}

// noteConnection notes that there is a connection, or by which error there is none.
func (p *postgres) noteConnection(lost bool, err error) {
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
