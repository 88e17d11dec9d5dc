package store

import (
	"context"
	"fmt"
	"slices"
	"time"

	"duewatch/reminder"
)

// OfOneBill are the reasons that are released bill by bill: somebody has looked
// at this one.
var OfOneBill = []reminder.Reason{reminder.InDoubt, reminder.ImplausibleBalance}

// Release lets what is held for the bill until somebody has looked be decided
// again. It returns how many reminders that was.
func (s *Store) Release(_ context.Context, now time.Time, billID int64, who string) (released int64, err error) {
	err = s.do(func(t *tx) error {
		released = 0
		for _, reason := range OfOneBill {
			n, err := t.release(now, billID, reason, who)
			if err != nil {
				return err
			}
			released += n
		}
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("release: %w", err)
	}
	return released, nil
}

// ReleaseAll is Release for every bill with a reminder that is held for the
// reason. A stop of that reason ends, and a guard is lifted until it would be
// back by itself. remember, when not empty, is written as facts about the
// store in the same transaction. Bills are released in batches: an
// interrupted release is completed by another.
func (s *Store) ReleaseAll(ctx context.Context, p *reminder.Policy, now time.Time, reason reminder.Reason, who string, remember map[string]string) (released int64, err error) {
	err = s.do(func(t *tx) error {
		if _, err := t.exec("DELETE FROM stops WHERE reason = ?1", reason); err != nil {
			return err
		}
		if until := p.LiftedUntil(reason, now); !until.IsZero() {
			if _, err := t.exec(`INSERT INTO lifts (guard, since, until_at, who) VALUES (?1, ?2, ?3, ?4)
				ON CONFLICT (guard) DO UPDATE SET since = excluded.since, until_at = excluded.until_at, who = excluded.who`,
				reason, now.UnixMilli(), until.UnixMilli(), who); err != nil {
				return err
			}
		}
		for key, value := range remember {
			if err := t.setMeta(key, value); err != nil {
				return err
			}
		}
		return t.event(Event{At: now, What: "released", Reason: "operator", Detail: string(reason) + ", by " + who})
	})
	const batch = 500
	for last := int64(0); err == nil && ctx.Err() == nil; {
		var bills []int64
		err = s.do(func(t *tx) error {
			rows, err := t.query("SELECT DISTINCT bill_id FROM reminders WHERE outcome = 'held' AND reason = ?1 AND bill_id > ?2 ORDER BY bill_id LIMIT ?3",
				reason, last, batch)
			if err != nil {
				return err
			}
			if bills, err = collect(rows, scanID); err != nil {
				return err
			}
			for _, id := range bills {
				n, err := t.release(now, id, reason, who)
				if err != nil {
					return err
				}
				released += n
			}
			return nil
		})
		if len(bills) < batch {
			break
		}
		last = bills[len(bills)-1]
	}
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return released, fmt.Errorf("release: %w", err)
	}
	return released, nil
}

func (t *tx) release(now time.Time, billID int64, reason reminder.Reason, who string) (int64, error) {
	r, err := t.exec(`UPDATE reminders SET reason = ?2, decided_at = ?3 WHERE bill_id = ?1 AND outcome = 'held' AND reason = ?4
		AND due_date = (SELECT due_date FROM bills WHERE id = ?1)`,
		billID, reminder.Released, now.UnixMilli(), reason)
	if err != nil {
		return 0, err
	}
	n, err := r.RowsAffected()
	if err != nil || n == 0 {
		return 0, explain(err)
	}
	if reason == reminder.ImplausibleBalance {
		// Somebody has looked at it: it is what such a bill can be.
		if _, err := t.exec("UPDATE bills SET usual = balance WHERE id = ?1", billID); err != nil {
			return 0, err
		}
	}
	if err := t.schedule(dueRemind, billID, now); err != nil {
		return 0, err
	}
	return n, t.event(Event{At: now, BillID: billID, What: "released", Reason: "operator", Detail: string(reason) + ", by " + who})
}

// HeldCount is how many reminders are held for a reason.
type HeldCount struct {
	Reason reminder.Reason
	Count  int
}

// Held counts the reminders that are held, by reason. It reads an index of
// those alone.
func (s *Store) Held(ctx context.Context) ([]HeldCount, error) {
	rows, err := s.read.QueryContext(ctx, "SELECT reason, count(*) FROM reminders WHERE outcome = 'held' GROUP BY reason")
	if err != nil {
		return nil, fmt.Errorf("count what is held: %w", explain(err))
	}
	held, err := collect(rows, func(r row) (h HeldCount, err error) {
		err = r.Scan(&h.Reason, &h.Count)
		return h, err //nolint:wrapcheck // names the column
	})
	slices.SortFunc(held, func(a, b HeldCount) int { return b.Count - a.Count })
	return held, err
}
