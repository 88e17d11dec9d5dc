package store

import (
	"context"
	"fmt"
	"time"

	"duewatch/reminder"
	"duewatch/store/db"
)

// How many bills, that Almara Pay had accepted, may be rejected within a day
// before no text leaves: a biller closes some accounts each day, but not many.
const (
	fewRejections  = 10
	rejectionShare = 20 // one in so many of the active bills
	rejectionsFor  = 24 * time.Hour
)

// countBillsEvery is how soon bills that stopped being active for another reason, such as a
// pause, count: all bills that are not active are counted anew then, which may be millions.
const countBillsEvery = time.Minute

// rejectionCount is what the last count of the active bills has said. It belongs to the one
// writer. One that is lost or out of step with the store has the bills counted too early.
type rejectionCount struct {
	at      time.Time // when they were counted; zero = not yet
	missing int       // how many more rejections were not too many
	since   int       // rejections since
}

// due takes n more rejections in, and reports whether the bills have to be counted.
func (c *rejectionCount) due(n int, now time.Time) bool {
	c.since += n
	return c.at.IsZero() || now.Sub(c.at).Abs() >= countBillsEvery || c.since > c.missing
}

// counted keeps what was counted. A bill that is rejected is one active bill less, too.
func (c *rejectionCount) counted(rejected, active int, now time.Time) {
	*c = rejectionCount{at: now, missing: max(0, active-rejected*rejectionShare) / (rejectionShare + 1)}
}

// countRejections notes that bills were rejected that had been accepted, and
// stops sending when they are too many for a usual day: a fault of Almara Pay's
// or of the biller's would end the watch over healthy bills. A bill that was
// never accepted, such as a wrong account of a new list, does not count: nothing
// that worked is lost with it.
//
// By a clock that nobody vouches for they count as well: that an account is closed is no
// matter of the hour, and the bill is rejected for good. Only nothing is forgotten by it.
func (t *tx) countRejections(w *checkBatch) error {
	bills, now := w.rejected, w.now
	if len(bills) == 0 {
		return nil
	}
	for _, b := range bills { // they are few
		if _, err := t.Exec(`INSERT INTO rejections (bill_id, at) VALUES (?1, ?2)
			ON CONFLICT (bill_id) DO UPDATE SET at = excluded.at`, b.ID, now.UnixMilli()); err != nil {
			return err
		}
	}
	stopped, err := t.stopped(reminder.MassRejected)
	if err != nil || stopped { // those that follow are kept for the release
		return err
	}
	from := now.Add(-rejectionsFor).UnixMilli()
	if !w.unsure {
		if _, err := t.Exec("DELETE FROM rejections WHERE at <= ?1", from); err != nil {
			return err
		}
	}
	var rejected, active int
	err = t.Row("SELECT count(*) FROM (SELECT 1 FROM rejections WHERE at > ?1 LIMIT ?2 + 0) AS found", from, fewRejections+1).Scan(&rejected)
	if err != nil || rejected <= fewRejections || !w.rejections.due(len(bills), now) {
		return err
	}
	if err := t.Row("SELECT count(*) FROM rejections WHERE at > ?1", from).Scan(&rejected); err != nil {
		return err
	}
	// Most bills are active: the others are counted in an index of their own.
	const countActive = "SELECT " + totalBills + " - (SELECT count(*) FROM bills WHERE " + inactive + ")"
	if err := t.Row(countActive).Scan(&active); err != nil {
		return err
	}
	w.rejections.counted(rejected, active, now)
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
	err = s.read(ctx).Row("SELECT count(*) FROM rejections CROSS JOIN bills WHERE id = bill_id AND state = 'rejected'").Scan(&n)
	if err != nil {
		return 0, fmt.Errorf("count rejections: %w", err)
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
			rows := t.Query("SELECT bill_id FROM rejections ORDER BY bill_id LIMIT ?1 + 0", selectorPage)
			var err error
			if ids, err = db.Collect(rows, db.ScanID); err != nil {
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
				if _, err := t.Exec("DELETE FROM rejections WHERE bill_id = ?1", id); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil || len(ids) < selectorPage {
			return err
		}
		s.db.GiveWay(ctx, time.Since(began))
		if err := ctx.Err(); err != nil {
			return err
		}
	}
}
