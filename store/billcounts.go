package store

import (
	"context"
	"fmt"

	"duewatch/reminder"
	"duewatch/store/db"
)

// BillStates are the states that a bill can have.
var BillStates = []reminder.BillState{
	reminder.BillPending, reminder.BillActive, reminder.BillPaused, reminder.BillRejected, reminder.BillRemoved,
}

// BillsByState counts the bills in each state, also those with none. It reads the index of
// those that are not active: that takes a second for ten million bills that are all pending,
// and next to nothing later.
func (s *Store) BillsByState(ctx context.Context) (map[reminder.BillState]int, error) {
	type count struct {
		state reminder.BillState
		bills int
	}
	counts := make(map[reminder.BillState]int, len(BillStates))
	for _, state := range BillStates {
		counts[state] = 0
	}
	// Ids have no gaps, so the active ones need not be counted.
	rows := s.read(ctx).Query("SELECT 'active', (SELECT coalesce(max(id), 0) FROM bills) " +
		"UNION ALL SELECT state, count(*) FROM bills WHERE " + inactive + " GROUP BY state")
	all, err := db.Collect(rows, func(r db.Scanner) (c count, err error) {
		err = r.Scan(&c.state, &c.bills)
		return c, err
	})
	if err != nil {
		return nil, fmt.Errorf("count the bills: %w", err)
	}
	for _, c := range all {
		counts[c.state] += c.bills
		if c.state != reminder.BillActive {
			counts[reminder.BillActive] -= c.bills
		}
	}
	return counts, nil
}
