package store

import (
	"context"
	"fmt"
	"slices"
	"time"

	"duewatch/reminder"
	"duewatch/store/db"
)

// OfOneBill are the reasons that are released bill by bill: somebody has checked
// this one.
var OfOneBill = []reminder.Reason{reminder.InDoubt, reminder.ImplausibleBalance}

// Release lets what is held for these reasons, of the selected bills, be
// decided again. It returns how many reminders that was. Bills are released in
// batches: an interrupted release is completed by another.
func (s *Store) Release(ctx context.Context, a BulkOp, reasons ...reminder.Reason) (released int64, err error) {
	for _, reason := range reasons {
		var n int64
		if a.DryRun {
			n, err = s.countHeld(ctx, a.Selector, reason)
		} else {
			n, err = s.release(ctx, a, reason)
		}
		released += n
		if err != nil {
			return released, fmt.Errorf("release: %w", err)
		}
	}
	return released, nil
}

// ReleaseAll is Release for every bill with a reminder that is held for the
// reason. A stop or a warning of that reason ends, and a guard is overridden until it
// would be back by itself. The bills that mass_rejected is about are registered
// again. remember, when not empty, is written as facts about the
// store in the same transaction. Bills are released in batches: an
// interrupted release is completed by another.
func (s *Store) ReleaseAll(
	ctx context.Context, p *reminder.Policy, now time.Time, reason reminder.Reason, who string, remember map[string]string,
) (released int64, err error) {
	if reason == reminder.MassRejected {
		if err := s.registerRejected(ctx, BulkOp{At: now, Who: who}); err != nil {
			return 0, fmt.Errorf("release: %w", err)
		}
	}
	err = s.do(func(t *tx) error {
		if _, err := t.Exec("DELETE FROM stops WHERE reason = ?1", reason); err != nil {
			return err
		}
		if err := t.endWarning(reason); err != nil {
			return err
		}
		if reason == reminder.DestinationRefused {
			if _, err := t.Exec("DELETE FROM refused_destinations"); err != nil {
				return err
			}
		}
		if err := t.releasedAt(reason, now); err != nil {
			return err
		}
		switch reason {
		case reminder.ListShrank:
			err = t.agreeToLists(now)
		case reminder.MassPaid:
			err = t.acceptPayments()
		default:
		}
		if err != nil {
			return err
		}
		if until := p.OverriddenUntil(reason, now); !until.IsZero() {
			if _, err := t.Exec(`INSERT INTO overrides (guard, since, until_at, who) VALUES (?1, ?2, ?3, ?4)
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
	if err == nil {
		released, err = s.release(ctx, BulkOp{At: now, Who: who}, reason)
	}
	if err != nil {
		return released, fmt.Errorf("release: %w", err)
	}
	return released, nil
}

// heldOf are the reminders that are held for the reason ?1, of the bills that
// match what is set of ?2 to ?4. What is held for one reason is read, and no
// more of the bills than those.
const heldOf = ` FROM reminders r CROSS JOIN bills b WHERE b.id = r.bill_id AND r.outcome = 'held' AND r.reason = ?1
	AND r.due_date = b.due_date AND (?2 = '' OR b.service = ?2) AND (?3 = '' OR b.account = ?3) AND (?4 = '' OR b.phone = ?4)`

func (s *Store) countHeld(ctx context.Context, c Selector, reason reminder.Reason) (n int64, err error) {
	err = s.read(ctx).Row("SELECT count(*)"+heldOf, reason, c.Service, c.Account, c.Phone.E164()).Scan(&n)
	return n, err
}

// release goes through the bills with such a reminder, an empty selector is all
// of them, a page in each transaction.
func (s *Store) release(ctx context.Context, a BulkOp, reason reminder.Reason) (released int64, err error) {
	for last := int64(0); ; {
		var bills []int64
		var inPage int64
		began := time.Now()
		err = s.do(func(t *tx) error {
			inPage = 0
			rows := t.Query("SELECT DISTINCT r.bill_id"+heldOf+" AND r.bill_id > ?5 ORDER BY r.bill_id LIMIT ?6 + 0",
				reason, a.Selector.Service, a.Selector.Account, a.Selector.Phone.E164(), last, selectorPage)
			var err error
			if bills, err = db.Collect(rows, db.ScanID); err != nil {
				return err
			}
			for _, id := range bills {
				n, err := t.release(a.At, id, reason, a.Who)
				if err != nil {
					return err
				}
				inPage += n
			}
			return nil
		})
		if err != nil {
			return released, err
		}
		released += inPage
		if len(bills) < selectorPage {
			return released, nil
		}
		last = bills[selectorPage-1]
		s.db.GiveWay(ctx, time.Since(began))
		if err := ctx.Err(); err != nil {
			return released, err
		}
	}
}

func (t *tx) release(now time.Time, billID int64, reason reminder.Reason, who string) (int64, error) {
	r, err := t.Exec(`UPDATE reminders SET reason = ?2, decided_at = ?3 WHERE bill_id = ?1 AND outcome = 'held' AND reason = ?4
		AND due_date = (SELECT due_date FROM bills WHERE id = ?1)`,
		billID, reminder.Released, now.UnixMilli(), reason)
	if err != nil {
		return 0, err
	}
	n, err := r.RowsAffected()
	if err != nil || n == 0 {
		return 0, err
	}
	if reason == reminder.ImplausibleBalance {
		// Somebody has checked it: it is what such a bill can be.
		if _, err := t.Exec("UPDATE bills SET usual = balance WHERE id = ?1", billID); err != nil {
			return 0, err
		}
	}
	// In the past, and so at once, but not in the order in which they were refused.
	if err := t.schedule(dueRemind, billID, reminder.Scatter(billID, now.Add(-reminder.ScatterFor), reminder.ScatterFor)); err != nil {
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
	rows := s.read(ctx).Query(`SELECT r.reason, count(*) FROM reminders r CROSS JOIN bills b
		WHERE r.outcome = 'held' AND b.id = r.bill_id AND b.state IN ('active', 'paused') AND b.due_date = r.due_date GROUP BY r.reason`)
	held, err := db.Collect(rows, func(r db.Scanner) (h HeldCount, err error) {
		err = r.Scan(&h.Reason, &h.Count)
		return h, err
	})
	if err != nil {
		return nil, fmt.Errorf("count what is held: %w", err)
	}
	slices.SortFunc(held, func(a, b HeldCount) int { return b.Count - a.Count })
	return held, nil
}
