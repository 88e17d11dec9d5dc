package db

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// A server that is lost has a successor: a standby that was promoted, or a backup that was
// restored to an instant. It may lack the last commits of the one before it. The server begins
// another timeline then, which is how a daemon notices. A daemon that lives knows how many
// commits it has made, and finds that number in its row, or a lower one. Of a daemon that is
// dead nobody knows it. So on another timeline nothing is written before each daemon that
// worked on the one before has confirmed that its own commits are there (confirm). When one of
// them does not, and its commits waited for no standby, they may be lost.

// Facts of the table meta, in JSON.
const (
	// FactTimeline is the timeline that was written last, as timelineFact. It is of the server, and
	// does not go along when a store is moved.
	FactTimeline = "timeline"
	// FactWentBack is that commits were lost, as WentBack.
	FactWentBack = "went_back"
)

// timeline is one history of a server.
type timeline struct {
	System string `json:"system"` // that of the cluster; "" = the server does not say
	Number int64  `json:"number"` // counts up with each promotion; 0 = the server does not say
}

// timelineFact says which timeline the store was last written on, and which daemons that worked
// on the one before have yet to confirm that their commits are there.
type timelineFact struct {
	timeline
	SinceMS  int64    `json:"since"` // when a daemon found it, by the server's clock
	WaitsFor []string `json:"waits_for"`
	// Synchronous is that a daemon had seen commits wait for a standby just before. What a daemon
	// that is dead had committed is there then.
	Synchronous bool `json:"synchronous"`
}

// nobody stands in WaitsFor where no daemon is left that could confirm anything.
const nobody = ""

// WentBack is that the server lost commits that it had confirmed.
type WentBack struct {
	AtMS    int64 `json:"at"`      // when it was found, by the server's clock
	Commits int64 `json:"commits"` // how many, of the daemons that knew; 0 = nobody is left who knows, or none may be lost
}

var (
	// errUnconfirmed means that the server is on another timeline, and that what it may lack is
	// not known yet. It is asked again.
	errUnconfirmed = errors.New("the database server is another one now, and the daemons have yet to see whether it has all of their commits")
	// errFormer means that a server can be written and must not be: another one was promoted.
	errFormer = errors.New("the server is a former primary, since another one was promoted: stop it, " +
		"and make it a standby of that one (pg_rewind, or a new base backup) before it starts again")
)

const (
	timelineNumber = "left(pg_walfile_name(pg_current_wal_lsn()), 8)"
	timelineSQL    = "SELECT system_identifier::text, " + timelineNumber + " FROM pg_control_system()"
	numberAloneSQL = "SELECT '', " + timelineNumber
)

func timelineOf(system, hex string) (timeline, error) {
	n, err := strconv.ParseInt(hex, 16, 64)
	return timeline{system, n}, err
}

// follows reports whether a timeline is a later one of the same cluster.
func (t timeline) follows(before timeline) bool {
	return t.System == before.System && t.Number > before.Number
}

// readTimeline asks the server of a connection that is in no transaction. Some services keep the
// functions to themselves: the daemons then rely on the numbers of their commits alone.
func readTimeline(ctx context.Context, pool *sql.DB) (timeline, error) {
	for _, query := range []string{timelineSQL, numberAloneSQL} {
		var system, hex string
		err := pool.QueryRowContext(ctx, query).Scan(&system, &hex)
		if refused := (*pgconn.PgError)(nil); errors.As(err, &refused) && !isConnectionLost(err) {
			continue
		}
		if err != nil {
			return timeline{}, explain(err)
		}
		return timelineOf(system, hex)
	}
	return timeline{}, nil
}

// condition is that of a statement that must not be run on a timeline that is not confirmed.
func (p *postgres) condition() string {
	if t := p.confirmed.Load(); t != nil {
		return t.condition()
	}
	return "false"
}

// condition holds on a timeline alone.
func (t timeline) condition() string {
	if t.Number == 0 {
		return "true"
	}
	return fmt.Sprintf("%s = '%08X'", timelineNumber, t.Number) // as the server writes it
}

// noteTimeline notes, in a transaction with the lock of all that write, that the server is on a
// timeline. Where that is a new one it waits for the daemons that are entered, and gives each of
// them a lease anew: none could renew its own while there was no server.
func noteTimeline(ctx context.Context, conn *sql.Conn, now timeline) (f timelineFact, err error) {
	if err := readFact(ctx, conn, FactTimeline, &f); err != nil {
		return f, err
	}
	before := f.timeline
	if before == now {
		return f, nil
	}
	f = timelineFact{timeline: now}
	if before.Number > 0 && before.System == now.System { // else it is new, or a dump that was restored elsewhere
		if f.WaitsFor, err = working(ctx, conn); err != nil {
			return f, err
		}
		if len(f.WaitsFor) == 0 {
			f.WaitsFor = []string{nobody}
		}
		if _, err := conn.ExecContext(ctx, fmt.Sprintf("UPDATE daemons SET until_at = %s + %d", serverNow, leaseFor.Milliseconds())); err != nil {
			return f, err
		}
	}
	if err := conn.QueryRowContext(ctx, "SELECT "+serverNow).Scan(&f.SinceMS); err != nil {
		return f, err
	}
	return f, writeFact(ctx, conn, FactTimeline, f)
}

// working are the daemons that work, whether they live or not.
func working(ctx context.Context, conn *sql.Conn) (owners []string, err error) {
	rows, err := conn.QueryContext(ctx, "SELECT owner FROM daemons WHERE decides = 1 ORDER BY owner")
	if err != nil {
		return nil, err
	}
	defer rows.Close() //nolint:errcheck // read to the end
	for rows.Next() {
		var owner string
		if err := rows.Scan(&owner); err != nil {
			return nil, err
		}
		owners = append(owners, owner)
	}
	return owners, rows.Err()
}

// livingWait is for how long those that live are waited for where no commit of the dead can be lost.
const livingWait = 10 * time.Second

// confirm has this daemon write on the timeline that the server is on now, once nobody else has
// to be heard of it: nil = from now on; errUnconfirmed = not yet.
func (p *postgres) confirm(ctx context.Context) error {
	err := p.tryConfirm(ctx)
	if lost := (*lostError)(nil); errors.As(err, &lost) {
		return p.endWork(ErrWentBack, lost.commits)
	}
	return err
}

// confirmAtStart is confirm for a daemon that has just been entered, and has nothing to lose. What
// those before it may have lost is written down, and it goes on.
func (p *postgres) confirmAtStart(ctx context.Context) error {
	err := p.tryConfirm(ctx)
	if lost := (*lostError)(nil); errors.As(err, &lost) {
		if err := p.recordLoss(ctx, lost.commits, p.owner); err != nil {
			return err
		}
		err = p.tryConfirm(ctx)
	}
	if errors.Is(err, errUnconfirmed) {
		return nil // it waits before its first write
	}
	return err
}

func (p *postgres) tryConfirm(ctx context.Context) error {
	now, err := readTimeline(ctx, p.apart)
	if err != nil {
		return err
	}
	if newest := p.newest.Load(); newest != nil && newest.follows(now) {
		return errors.Join(errFormer, p.leave(ctx, p.apart))
	}
	var waits bool
	err = p.alone(ctx, p.apart, func(conn *sql.Conn) error {
		var same bool
		if err := conn.QueryRowContext(ctx, "SELECT "+now.condition()).Scan(&same); err != nil || !same {
			return errors.Join(errUnconfirmed, err) // the connection is another one
		}
		fact, err := noteTimeline(ctx, conn, now)
		if err != nil {
			return err
		}
		if err := p.ownCommits(ctx, conn, now); err != nil {
			return err
		}
		waits, err = p.othersConfirm(ctx, conn, fact)
		return err
	})
	if err != nil {
		return err
	}
	if waits {
		return errUnconfirmed
	}
	p.confirmed.Store(&now)
	p.noteNewest(now)
	return nil
}

// lostError is that so many commits are not there; 0 = nobody can tell how many.
type lostError struct{ commits int64 }

func (e *lostError) Error() string { return ErrWentBack.Error() }

// ownCommits says that commits of this daemon are missing.
func (p *postgres) ownCommits(ctx context.Context, conn *sql.Conn, now timeline) error {
	had, has := p.commits.Load(), int64(0)
	err := conn.QueryRowContext(ctx, "SELECT commits FROM daemons WHERE owner = $1", p.owner).Scan(&has)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		if known := p.confirmed.Load(); p.synchronous.Load() || known != nil && *known == now {
			return p.superseded()
		}
		return &lostError{had} // it was removed, or its entry is among what is missing
	case err == nil && has < had:
		return &lostError{had - has}
	}
	return err
}

// othersConfirm takes this daemon off those that are waited for, and reports whether there are
// others. When none of them can be heard of any more, their commits may be lost.
func (p *postgres) othersConfirm(ctx context.Context, conn *sql.Conn, f timelineFact) (waits bool, err error) {
	if len(f.WaitsFor) == 0 {
		return false, nil
	}
	f.WaitsFor = slices.DeleteFunc(f.WaitsFor, func(owner string) bool { return owner == p.owner })
	f.Synchronous = f.Synchronous || p.synchronous.Load()
	living, elapsed := 0, int64(0)
	for _, owner := range f.WaitsFor {
		var lives bool
		const ask = "SELECT EXISTS (SELECT 1 FROM daemons WHERE owner = $1 AND until_at > " + serverNow + "), " + serverNow + " - $2"
		err := conn.QueryRowContext(ctx, ask, owner, f.SinceMS).Scan(&lives, &elapsed)
		if err != nil {
			return false, err
		}
		if lives {
			living++
		}
	}
	switch {
	case f.Synchronous && (living == 0 || elapsed > livingWait.Milliseconds()):
		f.WaitsFor = nil
	case len(f.WaitsFor) > 0 && living == 0:
		return false, &lostError{}
	}
	return len(f.WaitsFor) > 0, writeFact(ctx, conn, FactTimeline, f)
}

// recordLoss writes down that commits were lost, and has all daemons end their work and begin
// anew: none of them may know what they were, and each compares the list of the provider with
// the store before its first text. except is a daemon that has just begun; "" = none.
func (p *postgres) recordLoss(ctx context.Context, commits int64, except string) error {
	return p.alone(ctx, p.apart, func(conn *sql.Conn) error {
		var loss WentBack
		if err := readFact(ctx, conn, FactWentBack, &loss); err != nil {
			return err
		}
		var now int64
		if err := conn.QueryRowContext(ctx, "SELECT "+serverNow).Scan(&now); err != nil {
			return err
		}
		const sameLoss = 10 * time.Minute
		if now-loss.AtMS > sameLoss.Milliseconds() {
			loss.Commits = 0
		}
		loss = WentBack{AtMS: now, Commits: loss.Commits + commits}
		if err := writeFact(ctx, conn, FactWentBack, loss); err != nil {
			return err
		}
		var f timelineFact
		if err := readFact(ctx, conn, FactTimeline, &f); err != nil {
			return err
		}
		if f.WaitsFor = nil; f.Number > 0 {
			if err := writeFact(ctx, conn, FactTimeline, f); err != nil {
				return err
			}
		}
		_, err := conn.ExecContext(ctx, "UPDATE daemons SET decides = 0, compared = '' WHERE owner <> $1", except)
		return err
	})
}

func readFact(ctx context.Context, conn *sql.Conn, key string, to any) error {
	var value string
	err := conn.QueryRowContext(ctx, "SELECT value FROM meta WHERE key = $1", key).Scan(&value)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := json.Unmarshal([]byte(value), to); err != nil {
		return fmt.Errorf("the fact %s of the store cannot be read: %w", key, err)
	}
	return nil
}

func writeFact(ctx context.Context, conn *sql.Conn, key string, fact any) error {
	value, err := json.Marshal(fact)
	if err != nil {
		return err
	}
	const upsert = "INSERT INTO meta (key, value) VALUES ($1, $2) ON CONFLICT (key) DO UPDATE SET value = excluded.value"
	_, err = conn.ExecContext(ctx, upsert, key, string(value))
	return err
}

// leave closes a connection of a pool, so that the next one may be to another host.
func (p *postgres) leave(ctx context.Context, pool *sql.DB) error {
	conn, err := pool.Conn(ctx)
	if err != nil {
		return explain(err)
	}
	_ = conn.Raw(func(any) error { return driver.ErrBadConn }) // that is what closes it
	_ = conn.Close()                                           // and it is closed
	return nil
}
