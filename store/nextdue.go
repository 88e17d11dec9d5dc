package store

import (
	"context"
	"fmt"
	"time"

	"duewatch/store/db"
)

// NextDue is when the queue of each job has its next entry, by the name of the
// job; zero when it is empty.
func (s *Store) NextDue(ctx context.Context) (map[string]time.Time, error) {
	var register, recheck, remind, receipts time.Time
	err := s.read(ctx).Row(`SELECT (SELECT min(at) FROM due_register), (SELECT min(at) FROM due_recheck),
		(SELECT min(at) FROM due_remind), (SELECT min(next_poll_at) FROM texts WHERE next_poll_at IS NOT NULL)`).
		Scan(db.InstantTo(&register), db.InstantTo(&recheck), db.InstantTo(&remind), db.InstantTo(&receipts))
	if err != nil {
		return nil, fmt.Errorf("look into the queues: %w", err)
	}
	return map[string]time.Time{"register": register, "recheck": recheck, "remind": remind, "receipts": receipts}, nil
}
