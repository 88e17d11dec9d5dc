package store

import (
	"context"
	"fmt"
	"time"

	"duewatch/reminder"
)

// How many bills, that Almara Pay had accepted, may be rejected within a day
// before no text leaves: a biller closes some accounts each day, but not many.
const (
	fewRejections  = 10
	rejectionShare = 20 // one in so many of the active bills
	rejectionsFor  = 24 * time.Hour
)

// countRejections notes that bills were rejected that had been accepted, and
// stops sending when they are too many for a usual day: a fault of Almara Pay's
// or of the biller's would end the watch over healthy bills. A bill that was
// never accepted, such as a wrong account of a new list, does not count: nothing
// that worked is lost with it.
func (t *tx) countRejections(bills []reminder.Bill, now time.Time) error {
	if len(bills) == 0 {
		return nil
	}
	for _, b := range bills { // they are few
		if _, err := t.exec(`INSERT INTO rejections (bill_id, at) VALUES (?1, ?2)
			ON CONFLICT (bill_id) DO UPDATE SET at = excluded.at`, b.ID, now.UnixMilli()); err != nil {
			return err
		}
	}
	var stands bool
	err := t.row("SELECT EXISTS (SELECT 1 FROM stops WHERE reason = ?1)", reminder.MassRejected).Scan(&stands)
	if err != nil || stands { // those that follow are kept for the release
		return explain(err)
	}
	if _, err := t.exec("DELETE FROM rejections WHERE at <= ?1", now.Add(-rejectionsFor).UnixMilli()); err != nil {
		return err
	}
	var rejected, active int
	if err := t.row("SELECT count(*) FROM rejections").Scan(&rejected); err != nil {
		return explain(err)
	}
	if rejected <= fewRejections {
		return nil
	}
	// Ids have no gaps, and most bills are active: the others are counted in an
	// index of their own.
	if err := t.row("SELECT (SELECT coalesce(max(id), 0) FROM bills) - (SELECT count(*) FROM bills WHERE " + odd + ")").Scan(&active); err != nil {
		return explain(err)
	}
	if rejected*rejectionShare <= active {
		return nil
	}
	b := bills[len(bills)-1]
	return t.stopSending(now, reminder.Stop{Reason: reminder.MassRejected, Detail: fmt.Sprintf(
		"within a day Almara Pay rejected %d bills that it had accepted, and %d are active; the last was account %s of service %s (%s); "+
			"look at duewatch bills --state rejected, and ask Almara Pay or the biller: a release has all of them registered again",
		rejected, active, b.Account, b.Service, b.LastError)})
}

// Rejections is how many bills a release of mass_rejected has registered again.
func (s *Store) Rejections(ctx context.Context) (n int, err error) {
	err = s.read.QueryRowContext(ctx, "SELECT count(*) FROM rejections CROSS JOIN bills ON id = bill_id AND state = 'rejected'").Scan(&n)
	if err != nil {
		return 0, fmt.Errorf("count rejections: %w", explain(err))
	}
	return n, nil
}

// registerRejected has the bills registered again that counted as rejected, a
// page in each transaction. None of them counts any more, and one that is
// rejected again without having been accepted does not count either.
func (s *Store) registerRejected(ctx context.Context, a BulkOp) error {
	for {
		var ids []int64
		began := time.Now()
		err := s.do(func(t *tx) error {
			rows, err := t.query("SELECT bill_id FROM rejections ORDER BY bill_id LIMIT +?1", selectorPage)
			if err != nil {
				return err
			}
			if ids, err = collect(rows, scanID); err != nil {
				return err
			}
			for _, id := range ids {
				b, err := t.bill(id)
				if err != nil {
					return err
				}
				if b.State == reminder.BillRejected {
					if err := t.retry(b, a); err != nil {
						return err
					}
				}
				if _, err := t.exec("DELETE FROM rejections WHERE bill_id = ?1", id); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil || len(ids) < selectorPage {
			return err
		}
		s.giveWay(ctx, time.Since(began))
		if err := ctx.Err(); err != nil {
			return err
		}
	}
}
