package scheduler

import (
	"context"
	"database/sql/driver" //nolint:depguard // see simPeek
	"errors"
	"io"
	"net/url"
	"time"

	"github.com/jackc/pgx/v5/stdlib" //nolint:depguard // see simPeek
	"github.com/mattn/go-sqlite3"    //nolint:depguard // see simPeek

	"duewatch/reminder"
)

// simPeek reads, beside a running daemon, what the simulation asks the store
// after every wake: whether anything was written, and when the next row is due.
// It is a connection of its own with two statements, since through the store's
// own functions, which read whole bills, these questions cost more than the
// daemon's answers.
type simPeek struct {
	conn                driver.Conn
	version, due, bills driver.Stmt
	row                 [6]driver.Value
}

// never is past every run.
var never = time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC)

// simDueRows is what the jobs select by; of the texts in state sending only
// that there are any.
const simDueRows = `SELECT (SELECT min(at) FROM due_remind), (SELECT min(at) FROM due_register), (SELECT min(at) FROM due_recheck),
	(SELECT min(next_poll_at) FROM texts WHERE next_poll_at IS NOT NULL AND (provider_id IS NOT NULL OR state = 'unknown')),
	(SELECT count(*) FROM texts WHERE state IN ('sending', 'unknown') AND state = 'sending'), (SELECT count(*) FROM opt_outs)`

const simBillRows = "SELECT id, account, state, coalesce(due_date, ''), at FROM bills LEFT JOIN due_remind ON bill_id = id ORDER BY id"

// nextDue is when the jobs next have work.
type nextDue struct {
	remind, register, recheck, receipts time.Time
	sending                             bool  // a text is in state sending
	optOuts                             int64 // how many there are
}

func openPeek(path string) (p *simPeek, err error) {
	conn, err := (&sqlite3.SQLiteDriver{}).Open("file:" + (&url.URL{Path: path}).EscapedPath() + "?mode=ro&_busy_timeout=10000")
	if err != nil {
		return nil, err
	}
	return newPeek(conn, "PRAGMA data_version")
}

// openServerPeek reads by a way on which nothing is cut. The commits of the daemons are not added up:
// where one is gone and others have written, the sum may be that of before.
func openServerPeek(address string) (p *simPeek, err error) {
	conn, err := stdlib.GetDefaultDriver().Open(address)
	if err != nil {
		return nil, err
	}
	return newPeek(conn, `SELECT hashtextextended(commands ||
		coalesce((SELECT string_agg(owner || commits, ' ' ORDER BY owner) FROM daemons), ''), 0) FROM write_lock`)
}

func newPeek(conn driver.Conn, version string) (p *simPeek, err error) {
	p = &simPeek{conn: conn}
	for query, s := range map[string]*driver.Stmt{version: &p.version, simDueRows: &p.due, simBillRows: &p.bills} {
		if *s, err = p.conn.Prepare(query); err != nil {
			return nil, errors.Join(err, p.close())
		}
	}
	return p, nil
}

func (p *simPeek) close() error {
	var errs []error
	for _, c := range []io.Closer{p.version, p.due, p.bills, p.conn} {
		if c != nil {
			errs = append(errs, c.Close())
		}
	}
	return errors.Join(errs...)
}

// watched is a bill as the store has it.
type watched struct {
	id         int64
	account    string
	active     bool
	due        string    // YYYY-MM-DD, "" = unknown
	nextRemind time.Time // or never
}

// each calls do for each row, with it in p.row.
func (p *simPeek) each(s driver.Stmt, columns int, do func()) error {
	rows, err := s.(driver.StmtQueryContext).QueryContext(context.Background(), nil)
	if err != nil {
		return err
	}
	for {
		if err = rows.Next(p.row[:columns]); err != nil {
			break
		}
		do()
	}
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return errors.Join(err, rows.Close())
}

func instantOf(v driver.Value) time.Time {
	if ms, ok := v.(int64); ok {
		return time.UnixMilli(ms)
	}
	return never
}

// dataVersion is another number whenever somebody has written.
func (p *simPeek) dataVersion() (n int64, err error) {
	err = p.each(p.version, 1, func() { n, _ = p.row[0].(int64) })
	return n, err
}

func (p *simPeek) nextDue() (d nextDue, err error) {
	err = p.each(p.due, 6, func() {
		sending, _ := p.row[4].(int64)
		optOuts, _ := p.row[5].(int64)
		d = nextDue{instantOf(p.row[0]), instantOf(p.row[1]), instantOf(p.row[2]), instantOf(p.row[3]), sending > 0, optOuts}
	})
	return d, err
}

func (p *simPeek) watched() (all []watched, err error) {
	err = p.each(p.bills, 5, func() {
		w := watched{nextRemind: instantOf(p.row[4])}
		w.id, _ = p.row[0].(int64)
		w.account, _ = p.row[1].(string)
		w.active = p.row[2] == string(reminder.BillActive)
		w.due, _ = p.row[3].(string)
		all = append(all, w)
	})
	return all, err
}

// knowledge is what was last read from the store; nil = not read since
// somebody wrote.
type knowledge struct {
	fresh   bool // nothing was done since version was read
	version int64
	due     *nextDue
	bills   []watched
}

// refresh forgets what somebody has written over.
func (s *sim) refresh() *knowledge {
	k := &s.known
	if k.fresh {
		return k
	}
	version, err := s.peek.dataVersion()
	s.must(err)
	if version != k.version {
		*k = knowledge{version: version}
	}
	k.fresh = true
	return k
}

func (s *sim) nextDue() nextDue {
	k := s.refresh()
	if k.due == nil {
		due, err := s.peek.nextDue()
		s.must(err)
		k.due = &due
	}
	return *k.due
}

// watched are all bills as the store has them.
func (s *sim) watched() []watched {
	k := s.refresh()
	if k.bills == nil {
		var err error
		k.bills, err = s.peek.watched()
		s.must(err)
	}
	return k.bills
}
