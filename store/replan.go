package store

import (
	"fmt"
	"time"

	"duewatch/reminder"
	"duewatch/store/db"
)

// Replan renews the next instants of up to n bills with ids above afterID, for
// a policy that changed. It returns the last id it saw, zero at the end. What
// is due already stays due, so that it ends with a record.
func (s *Store) Replan(policies reminder.Policies, now time.Time, afterID int64, n int) (last int64, err error) {
	err = s.do(func(t *tx) error {
		last = 0
		rows := t.Query("SELECT "+billColumns+" FROM bills WHERE id > ?1 ORDER BY id LIMIT ?2 + 0", afterID, n)
		bills, err := db.Collect(rows, scanBill)
		if err != nil {
			return err
		}
		for _, b := range bills {
			last = b.ID
			if b.State == reminder.BillActive {
				if err := t.replan(b, policies.For(b.Service), now); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("plan anew: %w", err)
	}
	return last, nil
}

func (t *tx) replan(b reminder.Bill, policy *reminder.Policy, now time.Time) error {
	done, err := t.recordsOf(b)
	if err != nil {
		return err
	}
	if next := policy.NextEval(b, done, now); next.IsZero() {
		_, err = t.Exec("DELETE FROM due_remind WHERE bill_id = ?1 AND at > ?2 AND owner IS NULL", b.ID, now.UnixMilli())
	} else {
		_, err = t.Exec(`INSERT INTO due_remind (bill_id, at) VALUES (?1, ?2)
			ON CONFLICT (bill_id) DO UPDATE SET at = excluded.at
				WHERE due_remind.at > ?3 AND due_remind.at <> excluded.at AND due_remind.owner IS NULL`,
			b.ID, next.UnixMilli(), now.UnixMilli())
	}
	if err != nil {
		return err
	}
	// Never later than planned before: a call too many is cheaper than a stale balance.
	_, err = t.Exec("UPDATE due_recheck SET at = ?2 WHERE bill_id = ?1 AND at > ?2", b.ID, policy.NextCheck(b, now).UnixMilli())
	return err
}

// planChecked schedules when the remind job next evaluates bills whose due dates or
// states are new, and are written.
func (t *tx) planChecked(w *checkBatch) error {
	done := make(map[int64][]reminder.Reminder)
	if err := t.readDone(w.mayHaveRecords, func(id int64, m reminder.Reminder) { done[id] = append(done[id], m) }); err != nil {
		return err
	}
	for _, b := range w.replan {
		next := w.policies.For(b.Service).NextEval(b, done[b.ID], w.now)
		w.schedule(dueRemind, b.ID, next)
		w.due = w.due || (!next.IsZero() && !next.After(w.now))
	}
	return nil
}
