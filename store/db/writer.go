package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
)

// maxGroup bounds how many writes share one commit, and so how much work a
// failing commit takes back.
const maxGroup = 256

// writer owns the one connection that writes. Writes that arrive while another
// commit is under way share the next one: a flush to disk costs far more than
// a statement, so many callers together are as durable as each alone, and
// much faster. A write that fails is undone alone; a commit that fails fails
// all its writes.
type writer struct {
	engine engine
	db     *sql.DB
	log    *checkpointer // carries the write-ahead log (WAL) over into the file; nil = the commits do
	queue  chan write
	buffer argBuffer
	stop   sync.Once
	ended  chan struct{}

	mu     sync.RWMutex // held for reading while a write is handed to the queue
	closed bool
}

type write struct {
	do   func(*Tx) error
	done chan error
}

// startWriter makes a writer of a pool of one connection.
func startWriter(e engine, db *sql.DB) *writer {
	w := &writer{engine: e, db: db, queue: make(chan write, maxGroup), ended: make(chan struct{})}
	go w.run()
	return w
}

// do is DB.Write.
func (w *writer) do(fn func(*Tx) error) error {
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
		group := []grouped{{write: job}}
	more:
		for len(group) < maxGroup {
			select {
			case next, ok := <-w.queue:
				if !ok {
					break more
				}
				group = append(group, grouped{write: next})
			default:
				break more
			}
		}
		w.commit(group)
	}
}

// commit runs a group in one transaction and answers each of its callers. A batched try
// that failed is undone, and run again with savepoints (Together).
func (w *writer) commit(group []grouped) {
	var err error
	batched := true
	for range mostTries {
		err = w.try(group, batched)
		if undone := (*undoneError)(nil); errors.As(err, &undone) {
			batched = true
			continue
		}
		if failed := (*batchedError)(nil); !errors.As(err, &failed) {
			break
		}
		batched = false
	}
	for _, g := range group {
		if err != nil {
			g.err = err // what failed as a whole failed for each
		}
		g.done <- g.err
	}
}

// mostTries is how often a transaction is run that is undone again and again.
const mostTries = 10

// undoneError is a failure of a transaction that no write of it is to blame for, such as
// a lost connection. Nothing of it is in the store, and it is run again.
type undoneError struct{ err error }

func (e *undoneError) Error() string { return e.err.Error() }
func (e *undoneError) Unwrap() error { return e.err }

// grouped is a write of a group, and its own failure.
type grouped struct {
	write
	err error
}

// try runs a group in one transaction: batched at first and, when anything fails, all
// of it again with each write under a savepoint of its own, as Together says.
func (w *writer) try(group []grouped, batched bool) error {
	// Not the caller's context: half a group must not die with one caller.
	ctx := context.Background()
	// Not an sql.Tx: that starts a goroutine for each query of a transaction, to
	// cancel it, which nobody could.
	conn, err := w.engine.begin(ctx, w.db, writing)
	if err != nil {
		return fmt.Errorf("begin write: %w", err)
	}
	defer conn.Close() //nolint:errcheck // it goes back to the pool
	t := &Tx{ctx: ctx, engine: w.engine, batched: batched, conn: conn, buffer: &w.buffer}
	if len(group) == 1 { // there is nothing to confine its failure from
		err = safely(func() error { return group[0].do(t) })
	} else {
		err = t.doEach(group)
	}
	t.closeRows()
	if err == nil {
		if err = w.engine.commit(ctx, conn); err == nil {
			if w.log != nil {
				w.log.committed()
			}
			return nil
		}
		err = fmt.Errorf("commit: %w", err)
	}
	// On some failures, such as a full disk, SQLite has rolled back by itself,
	// and says so here: what it was is in err.
	_, _ = conn.ExecContext(ctx, "ROLLBACK")
	if isUndone(err) {
		return &undoneError{err}
	}
	return err
}

// doEach runs each write of a group, confined to itself. It stops at the first failure of
// the transaction.
func (t *Tx) doEach(group []grouped) error {
	for i := range group {
		writeErr, txErr := t.confined(func() error { return group[i].do(t) })
		group[i].err = writeErr
		if txErr != nil {
			return txErr
		}
	}
	return nil
}
