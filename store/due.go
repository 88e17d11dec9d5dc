package store

import (
	"context"
	"fmt"
	"time"

	"duewatch/reminder"
)

// queue is one of the tables that say when a job next looks at a bill.
type queue string

const (
	dueRegister queue = "due_register"
	dueRecheck  queue = "due_recheck"
	dueRemind   queue = "due_remind"
)

// schedule sets when the job next looks at the bill; a zero instant means that
// it need not.
func (t *tx) schedule(q queue, billID int64, at time.Time) (err error) {
	if at.IsZero() {
		_, err = t.exec("DELETE FROM "+string(q)+" WHERE bill_id = ?1", billID)
	} else {
		_, err = t.exec("INSERT INTO "+string(q)+` (bill_id, at) VALUES (?1, ?2)
			ON CONFLICT (bill_id) DO UPDATE SET at = excluded.at WHERE `+string(q)+".at <> excluded.at", billID, at.UnixMilli())
	}
	return err
}

// claim takes up to n bills whose hour has come, the longest waiting first, by
// pushing their hour ahead by the lease: a worker that dies gives them back by
// itself.
func (t *tx) claim(q queue, now time.Time, lease time.Duration, n int) ([]int64, error) {
	rows, err := t.query("UPDATE "+string(q)+" SET at = ?1 WHERE bill_id IN (SELECT bill_id FROM "+string(q)+
		" WHERE at <= ?2 ORDER BY at LIMIT ?3) RETURNING bill_id", now.Add(lease).UnixMilli(), now.UnixMilli(), n)
	if err != nil {
		return nil, err
	}
	return collect(rows, scanID)
}

// ClaimRegister takes up to n bills that await registration. They come back
// after the lease unless an answer or a failure is recorded with Learn.
func (s *Store) ClaimRegister(ctx context.Context, now time.Time, lease time.Duration, n int) ([]reminder.Bill, error) {
	return s.claimBills(ctx, dueRegister, now, lease, n)
}

// ClaimRecheck takes up to n bills that Almara Pay should be asked about.
func (s *Store) ClaimRecheck(ctx context.Context, now time.Time, lease time.Duration, n int) ([]reminder.Bill, error) {
	return s.claimBills(ctx, dueRecheck, now, lease, n)
}

func (s *Store) claimBills(ctx context.Context, q queue, now time.Time, lease time.Duration, n int) ([]reminder.Bill, error) {
	// A tick with nothing due reads one index entry and writes nothing.
	if due, err := s.anyDue(ctx, q, now); err != nil || !due {
		return nil, err
	}
	var bills []reminder.Bill
	err := s.write.do(func(t *tx) error {
		ids, err := t.claim(q, now, lease, n)
		if err != nil {
			return err
		}
		bills = make([]reminder.Bill, len(ids))
		for i, id := range ids {
			if bills[i], err = t.bill(id); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("claim from %s: %w", q, err)
	}
	return bills, nil
}

func (s *Store) anyDue(ctx context.Context, q queue, now time.Time) (due bool, err error) {
	err = s.read.QueryRowContext(ctx, "SELECT EXISTS (SELECT 1 FROM "+string(q)+" WHERE at <= ?1)", now.UnixMilli()).Scan(&due)
	if err != nil {
		return false, fmt.Errorf("look into %s: %w", q, explain(err))
	}
	return due, nil
}
