package db

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"time"
)

// Daemons of several versions may work on one database: migrations add first, and drop one version
// later. One that an older daemon could not run on is not made while such a daemon lives.

// ErrOlderWorks means that daemons work on the store which could not go on with the tables of this
// version.
var ErrOlderWorks = errors.New("nothing was changed, since daemons of an older duewatch work on the store which could not go on with " +
	"the tables of this version")

// withoutKnows is the version that a daemon knows which has not said so: column knows came after it.
const withoutKnows = 14

// roomFor is how long a daemon that brings the tables up to date keeps others away.
const roomFor = 10 * time.Minute

// makeRoom refuses to bring the tables up to date while a daemon lives that could not go on with
// them, and keeps such daemons away meanwhile: this one is alone until it joins.
func (p *postgres) makeRoom(ctx context.Context, pool *sql.DB, schema Schema) error {
	switch oldest, err := oldestAllowed(ctx, pool); {
	case err != nil:
		return err
	case oldest >= schema.Oldest:
		return nil // whoever may work on them now may go on
	}
	err := p.alone(ctx, pool, func(conn *sql.Conn) error {
		if err := removeDead(ctx, conn); err != nil {
			return err
		}
		older, err := olderThan(ctx, conn, schema.Oldest)
		if err != nil {
			return err
		}
		if len(older) > 0 {
			return fmt.Errorf("%w: %s. Stop them, or upgrade duewatch on their hosts, and start this one again; systemd does so every 30 seconds",
				ErrOlderWorks, strings.Join(older, ", "))
		}
		_, err = conn.ExecContext(ctx, fmt.Sprintf(`INSERT INTO daemons
				(owner, host, place, pid, version, config, mode, decides, compared, since, seen_at, until_at, commits)
			VALUES ($1, $2, $3, $4, '', '', '`+exclusive+`', 0, '', %[1]s, %[1]s, %[1]s + $5, 0)`,
			serverNow), p.owner, hostname(), place(), os.Getpid(), roomFor.Milliseconds())
		return err
	})
	if err != nil {
		return fmt.Errorf("bring the store up to version %d: %w", schema.serverVersion(), err)
	}
	return nil
}

// olderThan are the daemons that live and know no version from that one on.
func olderThan(ctx context.Context, conn *sql.Conn, version int64) (all []string, err error) {
	// By way of JSON, since the column may not be there yet.
	rows, err := conn.QueryContext(ctx, `SELECT host, pid, version FROM daemons d
		WHERE coalesce((to_jsonb(d) ->> 'knows')::bigint, $1) < $2 ORDER BY since, owner`, withoutKnows, version)
	if err != nil {
		return nil, err
	}
	defer rows.Close() //nolint:errcheck // read to the end
	for rows.Next() {
		var host, binary string
		var pid int
		if err := rows.Scan(&host, &pid, &binary); err != nil {
			return nil, err
		}
		all = append(all, fmt.Sprintf("on %s process %d (%s)", host, pid, cmp.Or(binary, "of no version")))
	}
	return all, rows.Err()
}

// rowReader is a pool or a connection.
type rowReader interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// oldestAllowed is the version that a binary must know, at least, to work on the tables as they
// are; 0 = whichever.
func oldestAllowed(ctx context.Context, from rowReader) (version int64, err error) {
	var value string
	err = from.QueryRowContext(ctx, "SELECT value FROM meta WHERE key = '"+oldestVersion+"'").Scan(&value)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
	if err == nil {
		version, err = strconv.ParseInt(value, 10, 64)
	}
	if err != nil {
		return 0, fmt.Errorf("read the oldest version that may run on the store: %w", explain(err))
	}
	return version, nil
}

// stillFits refuses a daemon that found the tables fit before another one brought them to a version
// that this one cannot work with.
func (s Schema) stillFits(ctx context.Context, conn *sql.Conn) error {
	oldest, err := oldestAllowed(ctx, conn)
	if err == nil && oldest > s.serverVersion() {
		return ErrTooNew
	}
	return err
}

// serverVersion is the version that the migrations of a server lead to.
func (s Schema) serverVersion() (version int64) {
	names, err := fs.Glob(s.Postgres, "*.sql")
	if err != nil {
		panic(err) // the pattern is a constant
	}
	for _, name := range names {
		number, _, _ := strings.Cut(name, "_")
		if n, err := strconv.ParseInt(number, 10, 64); err == nil {
			version = max(version, n)
		}
	}
	return version
}
