package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"sync"
)

// ErrClosed means that the store was closed before the write began.
var ErrClosed = errors.New("the store is closed")

// ErrReadOnly means that the store was opened with OpenReader.
var ErrReadOnly = errors.New("the store was opened for reading only")

// maxGroup bounds how many writes share one commit, and so how much work a
// failing commit takes back.
const maxGroup = 256

// writer owns the one connection that writes. Writes that arrive while another
// commit is under way share the next one: a flush to disk costs far more than
// a statement, so many callers together are as durable as each alone, and
// much faster. A write that fails is undone alone; a commit that fails fails
// all its writes.
type writer struct {
	db    *sql.DB
	log   *checkpointer // nil = the log is carried over by the commits
	queue chan write
	room  room
	stop  sync.Once
	ended chan struct{}

	mu     sync.RWMutex // held for reading while a write is handed to the queue
	closed bool
}

type write struct {
	do   func(*tx) error
	done chan error
}

func newWriter(ctx context.Context, path string, cache int) (*writer, error) {
	db, err := openPool(ctx, path, "rwc", 1, cache)
	if err != nil {
		return nil, err
	}
	return startWriter(db), nil
}

// startWriter makes a writer of a pool of one connection.
func startWriter(db *sql.DB) *writer {
	w := &writer{db: db, queue: make(chan write, maxGroup), ended: make(chan struct{})}
	go w.run()
	return w
}

// do is writer.do for a store that may have been opened for reading only.
func (s *Store) do(fn func(*tx) error) error {
	if s.write == nil {
		return ErrReadOnly
	}
	return s.write.do(fn)
}

// do runs fn in a transaction and returns when its outcome is durable. It
// cannot be cancelled: a caller that stopped waiting would not know whether
// its write happened. fn must not keep the tx, and may be run a second time
// after what it did first was undone: what it gives its caller is set anew.
func (w *writer) do(fn func(*tx) error) error {
	job := write{fn, make(chan error, 1)}
	w.mu.RLock()
	if w.closed {
		w.mu.RUnlock()
		return ErrClosed
	}
	w.queue <- job
	w.mu.RUnlock()
	return <-job.done
}

func (w *writer) close() error {
	w.stop.Do(func() {
		w.mu.Lock()
		w.closed = true
		w.mu.Unlock()
		close(w.queue)
	})
	<-w.ended
	var err error
	if w.log != nil {
		err = w.log.close()
	}
	if err = errors.Join(err, w.db.Close()); err != nil {
		return fmt.Errorf("close store: %w", err)
	}
	return nil
}

func (w *writer) run() {
	defer close(w.ended)
	for job := range w.queue {
		group := []write{job}
	more:
		for len(group) < maxGroup {
			select {
			case next, ok := <-w.queue:
				if !ok {
					break more
				}
				group = append(group, next)
			default:
				break more
			}
		}
		w.commit(group)
	}
}

// commit runs a group in one transaction and tells each of its callers.
func (w *writer) commit(group []write) {
	errs := make([]error, len(group))
	if err := w.transact(group, errs); err != nil {
		for i := range errs {
			errs[i] = err
		}
	}
	for i, job := range group {
		job.done <- errs[i]
	}
}

// transact fills errs with what failed alone; the error it returns failed all.
// Failures are rare and savepoints dear (SQLite copies each page that is
// written under one), so the group is first run without; when anything fails,
// all is undone and run again, each write under its own savepoint.
func (w *writer) transact(group []write, errs []error) error {
	err := w.try(group, errs, true)
	if again := (*hurriedError)(nil); errors.As(err, &again) {
		err = w.try(group, errs, false)
	}
	return err
}

func (w *writer) try(group []write, errs []error, hurried bool) error {
	// Not the caller's context: half a group must not die with one caller.
	ctx := context.Background()
	conn, err := w.db.Conn(ctx)
	if err != nil {
		return fmt.Errorf("begin write: %w", explain(err))
	}
	defer conn.Close() //nolint:errcheck // it goes back to the pool
	// Not an sql.Tx: that starts a goroutine for each query of a transaction, to
	// cancel it, which nobody could.
	if _, err := conn.ExecContext(ctx, "BEGIN IMMEDIATE"); err != nil {
		return fmt.Errorf("begin write: %w", explain(err))
	}
	t := &tx{ctx: ctx, tx: conn, hurried: hurried, conn: conn, room: &w.room}
	if len(group) == 1 {
		err = run(t, group[0].do)
	}
	for i := 0; len(group) > 1 && err == nil && i < len(group); i++ {
		errs[i], err = t.isolated(group[i].do)
	}
	t.closeRows()
	if err == nil {
		if _, err = conn.ExecContext(ctx, "COMMIT"); err == nil {
			if w.log != nil {
				w.log.committed()
			}
			return nil
		}
		err = fmt.Errorf("commit: %w", explain(err))
	}
	// On some failures, such as a full disk, SQLite has rolled back by itself,
	// and says so here: what it was is in err.
	_, _ = conn.ExecContext(ctx, "ROLLBACK")
	return err
}

// run makes a panic in a write an error: it must not take the daemon and the
// other writes with it.
func run(t *tx, do func(*tx) error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic in a write: %v\n%s", p, debug.Stack())
		}
	}()
	return do(t)
}

// tx is a write transaction. Its statements are prepared once for each
// connection by the driver's statement cache.
type tx struct {
	ctx context.Context //nolint:containedctx // lives as long as the transaction, and cannot be cancelled
	tx  interface {
		querier
		ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	}
	hurried bool        // nothing is isolated: the first failure ends this try
	rows    []*sql.Rows // that were asked for
	conn    *sql.Conn   // what tx is, of a transaction that writes
	room    *room
}

// room is memory for the arguments of statements over many rows, one after the other.
type room struct {
	args  []any
	named []driver.NamedValue
}

// hurriedError is a failure that a second try, with savepoints, confines to
// the write it is of.
type hurriedError struct{ err error }

func (e *hurriedError) Error() string { return e.err.Error() }
func (e *hurriedError) Unwrap() error { return e.err }

// atOnce is how many of n things that may fail are done together: all of them in
// a try that is hurried, and then one by one.
func (t *tx) atOnce(n int) int {
	if t.hurried {
		return max(n, 1)
	}
	return 1
}

// isolated runs do, in a group or within a write, so that it is undone alone
// when it fails. own is do's failure, all is one of the transaction itself, or
// of a try that is hurried.
func (t *tx) isolated(do func(*tx) error) (own, all error) {
	if t.hurried {
		if err := run(t, do); err != nil {
			return nil, &hurriedError{err}
		}
		return nil, nil
	}
	if _, err := t.exec("SAVEPOINT one"); err != nil {
		return nil, err
	}
	if own = run(t, do); own != nil {
		if _, err := t.exec("ROLLBACK TO one"); err != nil {
			return own, errors.Join(own, err)
		}
	}
	if _, err := t.exec("RELEASE one"); err != nil {
		return own, errors.Join(own, err)
	}
	return own, nil
}

func (t *tx) exec(query string, args ...any) (sql.Result, error) {
	r, err := t.tx.ExecContext(t.ctx, query, args...)
	if err != nil {
		return nil, explain(err)
	}
	return r, nil
}

// execMany is exec for a statement over many rows, and returns how many it
// changed. The driver hands over all arguments in one call where rows are asked
// for, and otherwise each in a call of its own; and it is asked directly, since
// database/sql would copy each argument twice.
func (t *tx) execMany(query string, args []any) (changed int64, err error) {
	named := t.room.named[:0]
	for i, v := range args {
		if !driver.IsValue(v) { // an int, or a string type of ours
			if v, err = driver.DefaultParameterConverter.ConvertValue(v); err != nil {
				return 0, err //nolint:wrapcheck // names the type
			}
		}
		named = append(named, driver.NamedValue{Ordinal: i + 1, Value: v})
	}
	t.room.named = named
	err = t.conn.Raw(func(c any) error {
		rows, err := c.(driver.QueryerContext).QueryContext(t.ctx, query, named)
		if err != nil {
			return err
		}
		if err = rows.Next(nil); err == nil {
			err = errors.New("it gives rows, which nobody reads")
		}
		if errors.Is(err, io.EOF) {
			err = nil
		}
		return errors.Join(err, rows.Close())
	})
	if err != nil {
		return 0, explain(err)
	}
	err = t.row("SELECT changes()").Scan(&changed)
	return changed, explain(err)
}

// changed runs a statement and reports whether it changed a row.
func (t *tx) changed(query string, args ...any) (bool, error) {
	r, err := t.exec(query, args...)
	if err != nil {
		return false, err
	}
	n, err := r.RowsAffected()
	return n > 0, err
}

// QueryContext notes the rows, so that none can be left open.
func (t *tx) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	rows, err := t.tx.QueryContext(ctx, query, args...)
	if err == nil {
		t.rows = append(t.rows, rows)
	}
	return rows, err //nolint:wrapcheck // a querier's, as it is
}

// closeRows closes what a panic, or a mistake, left open: the connection could
// not be given back for as long.
func (t *tx) closeRows() {
	for _, rows := range t.rows {
		_ = rows.Close()
	}
	t.rows = nil
}

func (t *tx) query(query string, args ...any) (*sql.Rows, error) {
	rows, err := t.QueryContext(t.ctx, query, args...)
	if err != nil {
		return nil, explain(err)
	}
	return rows, nil
}

// row is the first row of a query, as that of an sql.Row.
func (t *tx) row(query string, args ...any) firstRow {
	rows, err := t.QueryContext(t.ctx, query, args...) //nolint:rowserrcheck // by Scan
	return firstRow{rows, err}
}

type firstRow struct {
	rows *sql.Rows
	err  error
}

func (r firstRow) Scan(dest ...any) error {
	if r.err != nil {
		return r.err
	}
	if !r.rows.Next() {
		if err := r.rows.Err(); err != nil {
			return err //nolint:wrapcheck // as sql.Row
		}
		return sql.ErrNoRows
	}
	err := r.rows.Scan(dest...)
	return errors.Join(err, r.rows.Close())
}
