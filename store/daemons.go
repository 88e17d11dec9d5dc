package store

import (
	"context"
	"fmt"
	"time"

	"duewatch/store/db"
)

// Daemon is a daemon that works on a store of a server.
type Daemon struct {
	Host    string
	Process int
	Version string
	Since   time.Time
	SeenAt  time.Time // by the server's clock
}

// Daemons are those that work on this store, the first one first. A file has one at most,
// which its lock keeps, and none is returned.
func (s *Store) Daemons(ctx context.Context) ([]Daemon, error) {
	if s.Ended() == nil { // a file
		return nil, nil
	}
	rows := s.read(ctx).Query("SELECT host, pid, version, since, seen_at FROM daemons ORDER BY since, owner")
	all, err := db.Collect(rows, func(r db.Scanner) (d Daemon, err error) {
		err = r.Scan(&d.Host, &d.Process, &d.Version, db.InstantTo(&d.Since), db.InstantTo(&d.SeenAt))
		return d, err
	})
	if err != nil {
		return nil, fmt.Errorf("read the daemons of the store: %w", err)
	}
	return all, nil
}
