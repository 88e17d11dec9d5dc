package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
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
	db     *sql.DB
	log    *checkpointer // nil = the log is carried over by the commits
	queue  chan write
	buffer argBuffer
	stop   sync.Once
	ended  chan struct{}

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
	if again := (*batchedError)(nil); errors.As(err, &again) {
		err = w.try(group, errs, false)
	}
	return err
}

func (w *writer) try(group []write, errs []error, batched bool) error {
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
	t := &tx{ctx: ctx, batched: batched, conn: conn, buffer: &w.buffer}
	if len(group) == 1 {
		err = run(t, group[0].do)
	}
	for i := 0; len(group) > 1 && err == nil && i < len(group); i++ {
		errs[i], err = t.savepoint(group[i].do)
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
