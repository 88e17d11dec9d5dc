package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// commitOn ends the transaction of a connection. A warning is that a standby may not have it.
func commitOn(ctx context.Context, conn *sql.Conn) (warned bool, err error) {
	err = conn.Raw(func(c any) error {
		pg := pgxOf(c)
		tag, err := pg.Exec(ctx, "COMMIT")
		warned = takeWarning(pg.PgConn())
		if err == nil && tag.String() != "COMMIT" { // the server has rolled back, and calls that no error
			return errStatementFailed
		}
		return err
	})
	return warned, err
}

// commit commits. A daemon whose connection is lost at that, or which is warned, asks
// whether it has: nothing that the transaction intends may happen otherwise.
func (p *postgres) commit(ctx context.Context, conn *sql.Conn) error {
	warned, err := commitOn(ctx, conn)
	switch {
	case err == nil && !warned:
	case p.owner == "":
		if err == nil {
			err = errWarned
		}
		if isConnectionLost(err) {
			err = fmt.Errorf("%w: look whether the change was made before you repeat it (%w)", errEndUnknown, err)
		}
		return explain(err)
	case err != nil && !isConnectionLost(err):
		return explain(err) // the server says that it has not
	default:
		if err == nil {
			err = errWarned
		}
		if err := p.readBack(ctx, err); err != nil {
			return err
		}
	}
	p.commits.Add(1)
	return nil
}

// readBack asks whether the transaction that was about to end is committed, until the
// server says so: nil means that it is. The row of this daemon has the number of its last
// commit, and the transaction holds that row for as long as it is under way.
func (p *postgres) readBack(ctx context.Context, cause error) error {
	for wait := 100 * time.Millisecond; ; wait = min(2*wait, 2*time.Second) {
		commits, err := p.committed(ctx)
		p.noteConnection(isConnectionLost(err), err)
		switch {
		case errors.Is(err, sql.ErrNoRows):
			return p.superseded()
		case err == nil && commits == p.commits.Load()+1:
			return nil
		case err == nil && commits == p.commits.Load():
			return &undoneError{cause}
		case err == nil:
			return p.endWork(ErrWentBack, max(0, p.commits.Load()-commits))
		}
		select {
		case <-time.After(wait):
		case <-p.giveUp:
			return fmt.Errorf("%w: %w", errEndUnknown, err)
		}
	}
}

// committed is the number of the last commit of this daemon. It is believed once the transaction
// that reads it is committed itself, without a warning: what a standby must have, it has then. A
// COMMIT whose wait for the standby was cancelled can be read at once, and may be there alone.
func (p *postgres) committed(ctx context.Context) (n int64, err error) {
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	conn, err := p.apart.Conn(ctx)
	if err != nil {
		return 0, explain(err)
	}
	defer conn.Close() //nolint:errcheck // it goes back to the pool
	if _, err := conn.ExecContext(ctx, "BEGIN; "+writeSettings); err != nil {
		return 0, explain(err)
	}
	err = conn.QueryRowContext(ctx, "SELECT commits FROM daemons WHERE owner = $1 FOR UPDATE", p.owner).Scan(&n)
	if err != nil {
		_, rollback := conn.ExecContext(ctx, "ROLLBACK")
		return 0, explain(errors.Join(err, rollback))
	}
	warned, err := commitOn(ctx, conn)
	if err == nil && warned {
		err = errWarned
	}
	return n, explain(err)
}

// noteWarning keeps a warning of the server for takeWarning. Others, such as that a table
// is there already, say nothing of a commit.
func noteWarning(conn *pgconn.PgConn, n *pgconn.Notice) {
	if n.Code == "01000" || n.SeverityUnlocalized == "WARNING" {
		conn.CustomData()["warned"] = true
	}
}

func takeWarning(conn *pgconn.PgConn) bool {
	data := conn.CustomData()
	warned := data["warned"] != nil
	delete(data, "warned")
	return warned
}
