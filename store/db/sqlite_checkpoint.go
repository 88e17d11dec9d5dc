package db

import (
	"context"
	"database/sql"
	"net/url"
	"sync"
)

// carryEach is how many pages of the log are carried over into the file at a
// time.
const carryEach = 4000

// mostLog is how many pages the log may have before a commit carries it over, and
// then begins anew: under steady writing this connection never gets to its end.
const mostLog = 10_000

// checkpointer carries the log over into the file beside the writer, on a
// connection of its own: the pages lie far apart in a large file, and writers
// would wait for the flush of all of them. It only ever takes what is committed
// and what no reader needs, and whatever it leaves, or cannot do, stays in the
// log: the writer carries the rest over when the log has grown to mostLog, and
// whoever closes the file last carries over all.
type checkpointer struct {
	db    *sql.DB
	more  chan struct{} // there was a commit
	stop  sync.Once
	ended chan struct{}

	carrying sync.Mutex // only one may carry the log over, and another gives up at once
}

func startCheckpointer(path string) *checkpointer {
	settings := url.Values{"mode": {"rw"}, "_synchronous": {"FULL"}}
	c := &checkpointer{
		db:    sql.OpenDB(connector{"file:" + escapedPath(path) + "?" + settings.Encode()}),
		more:  make(chan struct{}, 1),
		ended: make(chan struct{}),
	}
	c.db.SetMaxOpenConns(1)
	go c.run()
	return c
}

// committed tells of a commit. It never waits.
func (c *checkpointer) committed() {
	select {
	case c.more <- struct{}{}:
	default: // it is about to look
	}
}

// close waits for the carrying under way. There must be no more commits.
func (c *checkpointer) close() error {
	c.stop.Do(func() { close(c.more) })
	<-c.ended
	return c.db.Close()
}

func (c *checkpointer) run() {
	defer close(c.ended)
	for range c.more {
		c.carrying.Lock()
		if log, carried, err := c.checkpoint("NOOP"); err == nil && log-carried >= carryEach && log < mostLog {
			_, _, _ = c.checkpoint("PASSIVE")
		}
		c.carrying.Unlock()
	}
}

// checkpoint returns how many pages the log has, and how many of them are
// carried over. PASSIVE waits for nobody, NOOP carries none.
func (c *checkpointer) checkpoint(how string) (log, carried int, err error) {
	var busy int
	err = c.db.QueryRowContext(context.Background(), "PRAGMA wal_checkpoint("+how+")").Scan(&busy, &log, &carried)
	return log, carried, err
}
