package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"duewatch/reminder"
	"duewatch/store/db"
)

// queue is one of the tables that say when a bill is next due in a job.
type queue string

const (
	dueRegister queue = "due_register"
	dueRecheck  queue = "due_recheck"
	dueRemind   queue = "due_remind"
)

// schedule sets when the bill is next due in the job; a zero instant means that it
// is not.
func (t *tx) schedule(q queue, billID int64, at time.Time) (err error) {
	return t.scheduleAll(q, []queueEntry{{billID, at}})
}

// queueEntry is when a bill is next due in a job; zero = it is not.
type queueEntry struct {
	billID int64
	at     time.Time
}

var (
	removeEntries = inQueues("DELETE FROM QUEUE WHERE bill_id IN (%s)", db.Integer)
	writeEntries  = inQueues("INSERT INTO QUEUE (bill_id, at) VALUES %s ON CONFLICT (bill_id) DO UPDATE SET at = excluded.at FREE "+
		"WHERE QUEUE.at <> excluded.at BUSY", db.Integer, db.Integer)
	claimBillsSQL = db.NewBatch("UPDATE due_remind SET at = ?1, owner = ?2 WHERE bill_id IN (%s)", 2, db.Integer)
)

// inQueues is db.NewBatch for each of the queues. Only the remind job claims bills,
// and what moves a bill in its queue frees it.
func inQueues(query string, columns ...db.Type) map[queue]*db.Batch {
	all := map[queue]*db.Batch{}
	for q, claims := range map[queue][2]string{dueRegister: {}, dueRecheck: {}, dueRemind: {", owner = NULL", "OR QUEUE.owner IS NOT NULL"}} {
		text := strings.NewReplacer("FREE", claims[0], "BUSY", claims[1]).Replace(query)
		all[q] = db.NewBatch(strings.ReplaceAll(text, "QUEUE", string(q)), 0, columns...)
	}
	return all
}

// scheduleAll is schedule for many bills, each of which is there once.
func (t *tx) scheduleAll(q queue, entries []queueEntry) error {
	var write []queueEntry
	remove := make([]int64, 0, len(entries))
	for _, e := range entries {
		if e.at.IsZero() {
			remove = append(remove, e.billID)
		} else {
			write = append(write, e)
		}
	}
	if _, err := db.ExecBatch(t.Tx, removeEntries[q], remove, db.ID); err != nil {
		return err
	}
	_, err := db.ExecBatch(t.Tx, writeEntries[q], write, func(args []any, e queueEntry) []any {
		return append(args, e.billID, e.at.UnixMilli())
	})
	return err
}

// claimBills takes bills that are due in the remind job.
func (t *tx) claimBills(ids []int64, now time.Time, c Claim) error {
	_, err := db.ExecBatch(t.Tx, claimBillsSQL, ids, db.ID, now.Add(c.Lease).UnixMilli(), c.Owner)
	return err
}

// Claim is who takes bills of the remind job to work on, and for how long: a
// process that dies gives them back by itself when the lease ends, or at the next
// start.
type Claim struct {
	Owner string
	Lease time.Duration
}

// ToRegister reads up to n bills that await registration and come after a place
// in the queue, those that have waited longest first, and the place of the last.
// Of each there is what a question about it says: id, service, account, phone and
// description. They stay where they are until an answer or a failure is recorded
// with RecordChecks: whoever goes on from the place meets none of them twice, and a
// process that dies leaves nothing to be given back. From a place that goes
// Backwards, they come in the opposite order. With n = 0 the place is only found, as PlaceAt needs it.
func (s *Store) ToRegister(ctx context.Context, now time.Time, after Place, n int) ([]reminder.Bill, Place, error) {
	return s.turns(ctx, dueRegister, now, after, n)
}

// ToRecheck is ToRegister for bills that Almara Pay should be asked about again.
func (s *Store) ToRecheck(ctx context.Context, now time.Time, after Place, n int) ([]reminder.Bill, Place, error) {
	return s.turns(ctx, dueRecheck, now, after, n)
}

// PutOff has a bill that is due to be asked about wait behind all others that are,
// also those that became due at this very instant.
func (s *Store) PutOff(now time.Time, billID int64) error {
	err := s.do(func(t *tx) error {
		for _, q := range []queue{dueRegister, dueRecheck} {
			if _, err := t.Exec("UPDATE "+string(q)+" SET at = ?2 WHERE bill_id = ?1 AND at < ?2", billID, now.UnixMilli()+1); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("put off: %w", err)
	}
	return nil
}

// Unclaim gives back the bills that DecideDue had claimed for an owner and that
// its pass did not come to.
func (s *Store) Unclaim(now time.Time, owner string) error {
	err := s.do(func(t *tx) error {
		_, err := t.Exec(freeClaims+"owner = ?2", now.UnixMilli(), owner)
		return err
	})
	if err != nil {
		return fmt.Errorf("give back claims: %w", err)
	}
	return nil
}

// freeClaims gives bills back to the queue, and not later than their claims end: the clock may
// be years ahead.
const freeClaims = "UPDATE due_remind SET at = CASE WHEN at < ?1 THEN at ELSE ?1 END, owner = NULL WHERE "

// dueToRemind reads up to n bills that are due in the remind job, those that have
// waited longest first.
func (t *tx) dueToRemind(now time.Time, n int) ([]int64, error) {
	rows := t.Query("SELECT bill_id FROM due_remind WHERE at <= ?1 ORDER BY at, bill_id LIMIT ?2 + 0", now.UnixMilli(), n)
	return db.Collect(rows, db.ScanID)
}

// anyToRemind reports whether a bill is due in the remind job: a tick
// with nothing due reads one index entry and writes nothing.
func (s *Store) anyToRemind(ctx context.Context, now time.Time) (due bool, err error) {
	err = s.read(ctx).Row("SELECT EXISTS (SELECT 1 FROM due_remind WHERE at <= ?1)", now.UnixMilli()).Scan(&due)
	if err != nil {
		return false, fmt.Errorf("read the queue of reminders: %w", err)
	}
	return due, nil
}

// NextDue is when the queue of each job has its next entry, by the name of the
// job; zero when it is empty.
func (s *Store) NextDue(ctx context.Context) (map[string]time.Time, error) {
	var register, recheck, remind, receipts time.Time
	err := s.read(ctx).Row(`SELECT (SELECT at FROM due_register ORDER BY at LIMIT 1), (SELECT at FROM due_recheck ORDER BY at LIMIT 1),
		(SELECT at FROM due_remind ORDER BY at LIMIT 1),
		(SELECT next_poll_at FROM texts WHERE next_poll_at IS NOT NULL ORDER BY next_poll_at LIMIT 1)`).
		Scan(db.InstantTo(&register), db.InstantTo(&recheck), db.InstantTo(&remind), db.InstantTo(&receipts))
	if err != nil {
		return nil, fmt.Errorf("read the queues: %w", err)
	}
	return map[string]time.Time{"register": register, "recheck": recheck, "remind": remind, "receipts": receipts}, nil
}

// Place is how far a pass has come in a queue, and which way it goes; the zero
// Place is its beginning.
type Place struct {
	at, billID int64
	back       bool
	share      float64 // not found yet: as PlaceAt says
	until      *Place  // the bill there, and what follows, is another's
	portion    Portion // only these bills
}

// In is the place for a pass that leaves out bills of other daemons.
func (p Place) In(portion Portion) Place {
	p.portion = portion
	return p
}

// PlaceAfter is behind the bills of a queue that were due at an instant.
func PlaceAfter(at time.Time) Place { return Place{at: at.UnixMilli(), billID: math.MaxInt64} }

// Backwards is the same place, from which a pass goes back to those that have
// waited longer.
func (p Place) Backwards() Place {
	p.back = true
	return p
}

// PlaceAt is somewhere in a queue, other for each share above 0 and below 1:
// whichever bills lie side by side, others of these places are outside them.
func PlaceAt(share float64) Place { return Place{share: share} }

// IsZero reports whether the place is the beginning of a queue; what PlaceAt finds
// is, where nothing is due.
func (p Place) IsZero() bool { return p == Place{} }

// Until is the place with an end: the pass stops where another one, that stands
// at q or came to it, has been or will be.
func (p Place) Until(q Place) Place {
	q.until = nil
	p.until = &q
	return p
}

// ends reports whether a bill's place is at the end of the pass or beyond it.
func (p Place) ends(at, billID int64) bool {
	if p.until == nil {
		return false
	}
	u := *p.until
	if p.back {
		return at < u.at || at == u.at && billID <= u.billID
	}
	// What stands at u was taken by a pass that goes back, or is left to the one
	// that begins behind it.
	return at > u.at || at == u.at && (billID > u.billID || u.back && billID == u.billID)
}

// onwards and backwards read by two ranges of the index, since SQLite would go
// through all that are due at the instant of the place for (at, bill_id) > (?1, ?2). Each
// range has a limit of its own: PostgreSQL would read both to their ends, and sort them.
// QUEUE is the queue, and MINE the condition for a daemon's own portion of it.
const (
	onwards = `SELECT id, service, account, phone, description, at FROM (
			SELECT * FROM (SELECT at, bill_id FROM QUEUE WHERE at = ?1 + 0 AND bill_id > ?2 MINE ORDER BY at, bill_id LIMIT ?4 + 0) AS same
			UNION ALL
			SELECT * FROM (SELECT at, bill_id FROM QUEUE WHERE at > ?1 AND at <= ?3 MINE ORDER BY at, bill_id LIMIT ?4 + 0) AS later
			ORDER BY at, bill_id LIMIT ?4 + 0) AS queued
		CROSS JOIN bills WHERE id = bill_id ORDER BY at, bill_id`
	backwards = `SELECT id, service, account, phone, description, at FROM (
			SELECT * FROM (SELECT at, bill_id FROM QUEUE WHERE at = ?1 + 0 AND bill_id < ?2 MINE
				ORDER BY at DESC, bill_id DESC LIMIT ?4 + 0) AS same
			UNION ALL
			SELECT * FROM (SELECT at, bill_id FROM QUEUE WHERE at < ?1 AND at <= ?3 MINE
				ORDER BY at DESC, bill_id DESC LIMIT ?4 + 0) AS later
			ORDER BY at DESC, bill_id DESC LIMIT ?4 + 0) AS queued
		CROSS JOIN bills WHERE id = bill_id ORDER BY at DESC, bill_id DESC`
)

func (s *Store) turns(ctx context.Context, q queue, now time.Time, after Place, n int) (bills []reminder.Bill, last Place, err error) {
	if after.share > 0 {
		after, err = s.findPlace(ctx, q, now, after.share)
	}
	last = after
	if err != nil || n == 0 {
		return nil, last, err
	}
	query := onwards
	if after.back {
		query = backwards
	}
	args := []any{after.at, after.billID, now.UnixMilli(), n}
	if p := after.portion; p.Of > 1 {
		query = strings.ReplaceAll(query, "MINE", "AND bill_id % ?5 = ?6")
		args = append(args, p.Of, p.Index)
	}
	rows := s.read(ctx).Query(strings.NewReplacer("QUEUE", string(q), "MINE", "").Replace(query), args...)
	ended := false
	_, err = db.Collect(rows, func(r db.Scanner) (none struct{}, err error) {
		var b reminder.Bill
		var at int64
		err = r.Scan(&b.ID, &b.Service, &b.Account, &b.Phone, &b.Description, &at)
		if ended = ended || after.ends(at, b.ID); !ended {
			bills = append(bills, b)
			last.at, last.billID = at, b.ID
		}
		return none, err
	})
	if err != nil {
		return nil, after, fmt.Errorf("read %s: %w", q, err)
	}
	return bills, last, nil
}

// findPlace finds the place in front of a bill that is due. The lower half of
// the shares are of the bills that have waited longest: an import gives all of
// them one instant, and they lie by their ids. The upper half are of the time
// that the longest and the shortest wait are apart.
func (s *Store) findPlace(ctx context.Context, q queue, now time.Time, share float64) (p Place, err error) {
	var first, last, firstID, lastID int64
	row := func(query string, args ...any) db.Row {
		return s.read(ctx).Row(strings.NewReplacer("QUEUE", string(q), "MINE", "").Replace(query), args...)
	}
	err = row("SELECT at, bill_id FROM QUEUE WHERE at <= ?1 ORDER BY at, bill_id LIMIT 1", now.UnixMilli()).Scan(&first, &firstID)
	if err == nil {
		err = row(`SELECT coalesce((SELECT max(bill_id) FROM QUEUE WHERE at = ?1), ?3), coalesce((SELECT max(at) FROM QUEUE WHERE at <= ?2), ?1)`,
			first, now.UnixMilli(), firstID).
			Scan(&lastID, &last)
	}
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return p, nil
	case err != nil:
		return p, fmt.Errorf("read %s: %w", q, err)
	case share < 0.5 || first == last:
		if first != last {
			share *= 2
		}
		return Place{at: first, billID: firstID - 1 + int64(share*float64(lastID-firstID+1))}, nil
	}
	return Place{at: first + int64((2*share-1)*float64(last-first+1)), billID: -1}, nil
}
