package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
)

// ServerReport is what an operator should know of the server of a database.
type ServerReport struct {
	Version           string // such as 15.4
	Standby           bool   // it cannot be written
	ReadOnly          bool   // default_transaction_read_only, of the server, the database or the role
	Fsync             bool
	FullPageWrites    bool
	SynchronousCommit string
	Standbys          int      // that are connected to it
	SynchronousWith   string   // synchronous_standby_names
	Confirming        int      // standbys that commits wait for; -1 = the role may not see which
	KnowsTimeline     bool     // the server says which timeline it is on
	Writable          []string // hosts of the address that can be written, where there are several

	MayCreate bool   // tables, as a migration does
	NoRight   string // a table on which the role lacks a right; "" = none
	NotOwned  string // a table that the role may not change, as a migration does; "" = none

	Connections, MostConnections int
	Bytes                        int64         // of the database
	ClockAhead                   time.Duration // by how much the server's clock is ahead of this machine's
	ClockWithin                  time.Duration // how precise that is
	Long                         []LongTransaction

	Pooler          bool // stands between
	KeepsStatements bool // the pooler keeps prepared statements, or there are none
}

// LongTransaction is one that has been open on the database for longer than a minute.
type LongTransaction struct {
	Pid         int
	Application string
	For         time.Duration
}

// mostLong is how many long transactions are named.
const mostLong = 3

// ReportServer asks the server of a database, whether or not there is a store in it.
func ReportServer(ctx context.Context, address string) (r ServerReport, err error) {
	p := new(postgres)
	p.lookAround(ctx, address)
	pool, err := p.connect(address)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, pool.Close()) }()
	conn, err := pool.Conn(ctx)
	if err != nil {
		return r, notOpened(address, explain(err))
	}
	defer conn.Close() //nolint:errcheck // only read from
	hosts := writableHosts(ctx, address)
	for _, h := range hosts {
		r.Writable = append(r.Writable, net.JoinHostPort(h.host, strconv.Itoa(int(h.port))))
	}
	for _, part := range []func(context.Context, *sql.Conn) error{
		r.readSettings, r.readTimeline, r.readRights, r.readLoad, r.readClock, r.readPooler,
	} {
		if err := part(ctx, conn); err != nil {
			return r, fmt.Errorf("ask the database server: %w", explain(err))
		}
	}
	return r, nil
}

func (r *ServerReport) readSettings(ctx context.Context, c *sql.Conn) error {
	return c.QueryRowContext(ctx, `SELECT split_part(current_setting('server_version'), ' ', 1), pg_is_in_recovery(),
		current_setting('default_transaction_read_only')::bool, current_setting('fsync')::bool,
		current_setting('full_page_writes')::bool, current_setting('synchronous_commit'),
		current_setting('synchronous_standby_names'), (SELECT count(*) FROM pg_stat_get_wal_senders()),
		CASE WHEN pg_has_role(current_user, 'pg_read_all_stats', 'USAGE')
			THEN (SELECT count(*) FROM pg_stat_get_wal_senders() WHERE sync_state IN ('sync', 'quorum')) ELSE -1 END`).
		Scan(&r.Version, &r.Standby, &r.ReadOnly, &r.Fsync, &r.FullPageWrites, &r.SynchronousCommit,
			&r.SynchronousWith, &r.Standbys, &r.Confirming)
}

// readTimeline asks whether the server says its timeline, as a standby and some services do not.
func (r *ServerReport) readTimeline(ctx context.Context, c *sql.Conn) error {
	return c.Raw(func(c any) error {
		_, err := timelineAt(ctx, pgxOf(c).PgConn())
		r.KnowsTimeline = err == nil
		return nil
	})
}

func (r *ServerReport) readRights(ctx context.Context, c *sql.Conn) error {
	return c.QueryRowContext(ctx, `WITH t AS (SELECT tablename, tableowner,
			format('%I.%I', schemaname, tablename) AS name FROM pg_tables WHERE schemaname = current_schema())
		SELECT coalesce(has_schema_privilege(current_schema(), 'CREATE'), false),
			coalesce((SELECT min(tablename) FROM t WHERE NOT (has_table_privilege(name, 'SELECT') AND has_table_privilege(name, 'INSERT')
				AND has_table_privilege(name, 'UPDATE') AND has_table_privilege(name, 'DELETE'))), ''),
			coalesce((SELECT min(tablename) FROM t WHERE NOT pg_has_role(tableowner, 'USAGE')), '')`).
		Scan(&r.MayCreate, &r.NoRight, &r.NotOwned)
}

func (r *ServerReport) readLoad(ctx context.Context, c *sql.Conn) error {
	err := c.QueryRowContext(ctx, `SELECT (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'),
		current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int,
		pg_database_size(current_database())`).Scan(&r.Connections, &r.MostConnections, &r.Bytes)
	if err != nil {
		return err
	}
	const long = `SELECT pid, application_name, extract(epoch FROM clock_timestamp() - xact_start)::bigint
		FROM pg_stat_activity WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid()
		AND xact_start < clock_timestamp() - interval '1 minute' ORDER BY xact_start LIMIT $1`
	rows, err := c.QueryContext(ctx, long, mostLong) //nolint:rowserrcheck // Collect does
	if err != nil {
		return err
	}
	r.Long, err = Collect(Rows{rows: rows}, func(row Scanner) (l LongTransaction, err error) {
		var seconds int64
		err = row.Scan(&l.Pid, &l.Application, &seconds)
		l.For = time.Duration(seconds) * time.Second
		return l, err
	})
	return err
}

// readClock compares the clocks by the quickest of three answers.
func (r *ServerReport) readClock(ctx context.Context, c *sql.Conn) error {
	for i := range 3 {
		var ms int64
		asked := time.Now()
		if err := c.QueryRowContext(ctx, "SELECT "+serverNow).Scan(&ms); err != nil {
			return err
		}
		took := time.Since(asked)
		if i == 0 || took/2 < r.ClockWithin {
			r.ClockWithin = took / 2
			r.ClockAhead = time.UnixMilli(ms).Sub(asked.Add(took / 2))
		}
	}
	return nil
}

// readPooler finds out whether a pooler stands between, which answers with a process number
// of its own, and whether it keeps prepared statements: one that does gives them other names.
func (r *ServerReport) readPooler(ctx context.Context, c *sql.Conn) error {
	const probe = "duewatch_probe"
	return c.Raw(func(c any) (err error) {
		pg := pgxOf(c)
		var pid uint32
		if err := pg.QueryRow(ctx, "SELECT pg_backend_pid()", pgx.QueryExecModeSimpleProtocol).Scan(&pid); err != nil {
			return err
		}
		r.Pooler, r.KeepsStatements = pid != pg.PgConn().PID(), true
		if mode := pg.Config().DefaultQueryExecMode; !r.Pooler || mode != pgx.QueryExecModeCacheStatement {
			return nil
		}
		if _, err := pg.Exec(ctx, "BEGIN"); err != nil { // on one connection of the server
			return err
		}
		defer func() {
			_, end := pg.Exec(ctx, "ROLLBACK")
			err = errors.Join(err, end)
		}()
		if _, err := pg.Prepare(ctx, probe, "SELECT 1"); err != nil {
			return err
		}
		err = pg.QueryRow(ctx, "SELECT NOT EXISTS (SELECT 1 FROM pg_prepared_statements WHERE name = '"+probe+"')",
			pgx.QueryExecModeSimpleProtocol).Scan(&r.KeepsStatements)
		return errors.Join(err, pg.Deallocate(ctx, probe))
	})
}
