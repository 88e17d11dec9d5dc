package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"time"
)

// Member is one of the daemons that work on a database.
type Member struct {
	Owner, Host, Version string
	PID                  int
	Config               string // a fingerprint of what it decides by; "" = it has not said
	Mode                 string // notifier.mode
	Decides              bool   // it works, and does not wait because others work by another config
	Aside                string // why it leaves its work to the others, as a reason; "" = it does not
	Works                bool   // it decides and lives, and none is less aside than it
	Leads                bool   // it does what one alone does
	Compared             string // the sender whose list at the provider it has compared; "" = none
	Self                 bool
	Since, SeenAt        time.Time // by the server's clock
	Lives                bool      // its lease has not run out
}

const membersSQL = `SELECT owner, host, pid, version, config, mode, decides, compared, aside, since, seen_at, until_at > ` + serverNow + `
	FROM daemons ORDER BY since, owner`

// membersOf reads the daemons, those that are there longest first. The first that works leads the
// others: so there is one whenever there is any, and who leads changes only when it is gone, or
// aside, or is there again.
func (p *postgres) membersOf(rows *sql.Rows, err error) (all []Member, _ error) {
	if err != nil {
		return nil, explain(err)
	}
	defer rows.Close() //nolint:errcheck // read to the end
	for rows.Next() {
		var m Member
		var since, seen int64
		err := rows.Scan(&m.Owner, &m.Host, &m.PID, &m.Version, &m.Config, &m.Mode, &m.Decides, &m.Compared, &m.Aside, &since, &seen, &m.Lives)
		if err != nil {
			return nil, explain(err)
		}
		m.Since, m.SeenAt = time.UnixMilli(since), time.UnixMilli(seen)
		m.Self = m.Owner == p.owner
		all = append(all, m)
	}
	shareWork(all)
	return all, explain(rows.Err())
}

// shareWork says who works and who leads: those that are least aside. Where all are aside for the
// same reason none is alone in what it found, and all work.
func shareWork(all []Member) {
	least, led := math.MaxInt, false
	for _, m := range all {
		if m.Decides && m.Lives {
			least = min(least, m.howFarAside())
		}
	}
	for i := range all {
		m := &all[i]
		m.Works = m.Decides && m.Lives && m.howFarAside() == least
		m.Leads = m.Works && !led
		led = led || m.Leads
	}
}

// howFarAside is 0 for a daemon that does its part. Whoever has a clock that nobody believes is
// farther aside than who does not reach the provider: that one goes on by itself within a minute.
func (m *Member) howFarAside() int {
	switch m.Aside {
	case "":
		return 0
	case clockUnsure:
		return 2
	}
	return 1
}

// clockUnsure is the reason of a daemon whose clock nobody believes.
const clockUnsure = "clock"

// Members are the daemons that work on the database. A file has one, which is not listed.
func (d *DB) Members(ctx context.Context) ([]Member, error) {
	p, ok := d.engine.(*postgres)
	if !ok {
		return nil, nil
	}
	// One statement of its own, which is planned without the settings of a transaction: all of
	// its few rows are read.
	all, err := p.membersOf(d.read.QueryContext(ctx, membersSQL))
	if !isConnectionLost(err) {
		return all, err
	}
	conn, err := p.begin(ctx, d.read, reading) // waits for the connection
	if err != nil {
		return nil, err
	}
	defer conn.Close() //nolint:errcheck // it goes back to the pool
	all, err = p.membersOf(conn.QueryContext(ctx, membersSQL))
	return all, errors.Join(err, endRead(ctx, conn, p, reading))
}

// AnyDead reports whether there was a daemon whose lease has run out, when OthersWrote was last
// asked.
func (d *DB) AnyDead() bool {
	p, ok := d.engine.(*postgres)
	return ok && p.anyDead.Load()
}

// TakeOver removes daemons whose leases have run out, and returns those that live; none of a
// file, which this process has alone. What others have claimed is nobody's any more.
func (t *Tx) TakeOver() (living []Member, err error) {
	p, ok := t.engine.(*postgres)
	if !ok {
		return nil, nil
	}
	if err := removeDead(t.ctx, t.conn); err != nil {
		return nil, explain(err)
	}
	return p.membersOf(t.conn.QueryContext(t.ctx, membersSQL))
}

// live is the notifier.mode that texts customers.
const live = "live"

// Decide has this daemon work by a config, and reports whether it may: not while others work by
// another one. It waits then, writes nothing, and asks again. One that texts customers waits for
// none that does not: those wait for it. A daemon that is not able to work waits as well. A file
// has one daemon, which may. version is that of duewatch, for people.
func (d *DB) Decide(ctx context.Context, version, config, mode string, able bool) (may bool, err error) {
	p, ok := d.engine.(*postgres)
	if !ok {
		return able, nil
	}
	err = p.alone(ctx, p.apart, func(conn *sql.Conn) error {
		others := "owner <> $1 AND decides = 1 AND config <> $2"
		if mode == live && able {
			displace := "UPDATE daemons SET decides = 0 WHERE " + others + " AND mode NOT IN ('live', '')"
			if _, err := conn.ExecContext(ctx, displace, p.owner, config); err != nil {
				return err
			}
		}
		none := "SELECT NOT EXISTS (SELECT 1 FROM daemons WHERE " + others + " AND until_at > " + serverNow + ")"
		if err := conn.QueryRowContext(ctx, none, p.owner, config).Scan(&may); err != nil {
			return err
		}
		may = may && able
		decides := 0
		if may {
			decides = 1
		}
		r, err := conn.ExecContext(ctx, "UPDATE daemons SET config = $2, mode = $3, decides = $4, version = $5 WHERE owner = $1",
			p.owner, config, mode, decides, version)
		if err != nil {
			return err
		}
		if n, err := r.RowsAffected(); err != nil || n == 0 {
			return errors.Join(err, p.superseded())
		}
		return nil
	})
	p.noteConnection(isConnectionLost(err), err)
	if err == nil {
		p.decides.Store(may)
	}
	if err != nil {
		return false, fmt.Errorf("ask whether this config may decide: %w", err)
	}
	return may, nil
}

// StepAside has this daemon leave its work to the others, for a reason, and reports whether there
// are any that are less aside. A file has one daemon.
func (d *DB) StepAside(ctx context.Context, reason string) (others bool, err error) {
	if err := d.setAside(ctx, reason); err != nil {
		return false, err
	}
	all, err := d.Members(ctx)
	for _, m := range all {
		if m.Works && m.Self {
			return false, err
		}
		others = others || m.Works
	}
	return others, err
}

// StepBack ends StepAside.
func (d *DB) StepBack(ctx context.Context) error { return d.setAside(ctx, "") }

func (d *DB) setAside(ctx context.Context, reason string) error {
	p, ok := d.engine.(*postgres)
	if !ok {
		return nil
	}
	_, err := p.apart.ExecContext(ctx, "UPDATE daemons SET aside = $2 WHERE owner = $1 AND aside <> $2", p.owner, reason)
	return explain(err)
}

// Compared notes that this daemon has compared the provider's list of a sender with the store.
func (d *DB) Compared(ctx context.Context, sender string) error {
	p, ok := d.engine.(*postgres)
	if !ok {
		return nil
	}
	_, err := p.apart.ExecContext(ctx, "UPDATE daemons SET compared = $2 WHERE owner = $1", p.owner, sender)
	return explain(err)
}

// Displace has the daemons of one config work, and all others wait.
func (t *Tx) Displace(config string) error {
	_, err := t.Exec("UPDATE daemons SET decides = CASE WHEN config = ?1 THEN 1 ELSE 0 END", config)
	return err
}

// farthestTurn is how far ahead a turn may lie: a text that would wait longer is decided
// anew. What lies farther ahead was reserved by a clock of the server that was set back since.
const farthestTurn = 5 * time.Minute

// paceLead is how far ahead a turn lies at least, so that it has not passed when the intent is
// on disk. Where a hundred segments leave in less time, it is that: nothing waits there.
func paceLead(perSecond float64) time.Duration {
	const most = 100 * time.Millisecond
	return min(most, time.Duration(100/perSecond*float64(time.Second)))
}

// ReservePace reserves, for texts of so many segments, the next free time at the provider's
// rate, which all daemons share. It returns when that is by this machine's clock, which is read
// with the answer of the server: how long the commit takes then moves no turn into those
// of others. A file has one daemon, which keeps to the rate by itself.
func (t *Tx) ReservePace(segments int, perSecond float64) (turn time.Time, reserved bool, err error) {
	if !t.onPostgres() || perSecond <= 0 { // without a rate there is nothing to share
		return time.Time{}, false, nil
	}
	takes := int64(math.Ceil(float64(segments) / perSecond * 1e6))
	var wait int64 // in microseconds
	err = t.Row(`WITH clock (now) AS MATERIALIZED (SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint)
		UPDATE write_lock SET paced_to = ?1 + CASE WHEN paced_to > now + ?2 THEN now + ?3 ELSE greatest(paced_to, now + ?3) END
		FROM clock RETURNING paced_to - ?1 - now`,
		takes, farthestTurn.Microseconds(), paceLead(perSecond).Microseconds()).Scan(&wait)
	return time.Now().Add(time.Duration(wait) * time.Microsecond), true, err
}

// Owner names this daemon; "" in a command.
func (d *DB) Owner() string { return d.owner }

// ClockAhead is by how much the server's clock is ahead of this machine's, as of the last time
// the lease was renewed; 0 for a file.
func (d *DB) ClockAhead() time.Duration {
	if p, ok := d.engine.(*postgres); ok {
		return time.Duration(p.clockAhead.Load())
	}
	return 0
}
