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

// metaBills is how many bills there are: to count the rows of millions takes too long for
// what is read each minute, and their ids have gaps.
const metaBills = "bills"

const totalBills = "(SELECT coalesce((SELECT CAST(value AS BIGINT) FROM meta WHERE key = '" + metaBills + "'), 0))"

// countBills notes that bills were added or, with a negative number, deleted.
func (t *tx) countBills(added int64) error {
	if added == 0 {
		return nil
	}
	_, err := t.Exec(`INSERT INTO meta (key, value) VALUES (?1, CAST(?2 + 0 AS TEXT))
		ON CONFLICT (key) DO UPDATE SET value = CAST(CAST(meta.value AS BIGINT) + ?2 + 0 AS TEXT)`, metaBills, added)
	return err
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
	rows := s.read(ctx).Query("SELECT 'active', " + totalBills +
		" UNION ALL SELECT state, count(*) FROM bills WHERE " + inactive + " GROUP BY state")
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
