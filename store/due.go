package store

import (
	"context"
	"fmt"
	"strings"
	"time"

	"duewatch/reminder"
	"duewatch/store/db"
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
	return t.scheduleAll(q, []queueEntry{{billID, at}})
}

// queueEntry is when a job next looks at a bill; zero = it need not.
type queueEntry struct {
	billID int64
	at     time.Time
}

var (
	removeEntries = inQueues("DELETE FROM QUEUE WHERE bill_id IN (%s)", db.Integer)
	writeEntries  = inQueues("INSERT INTO QUEUE (bill_id, at) VALUES %s ON CONFLICT (bill_id) DO UPDATE SET at = excluded.at FREE "+
		"WHERE QUEUE.at <> excluded.at BUSY", db.Integer, db.Integer)
	claimBills = db.NewBatch("UPDATE due_remind SET at = ?1, owner = ?2 WHERE bill_id IN (%s)", 2, db.Integer)
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

// scheduleEvals is schedule for looks of the remind job at many bills.
func (t *tx) scheduleEvals(looks []queueEntry) error { return t.scheduleAll(dueRemind, looks) }

// scheduleAll is schedule for many bills, each of which is there once.
func (t *tx) scheduleAll(q queue, looks []queueEntry) error {
	var keep []queueEntry
	drop := make([]int64, 0, len(looks))
	for _, l := range looks {
		if l.at.IsZero() {
			drop = append(drop, l.billID)
		} else {
			keep = append(keep, l)
		}
	}
	if _, err := db.ExecBatch(t.Tx, removeEntries[q], drop, db.ID); err != nil {
		return err
	}
	_, err := db.ExecBatch(t.Tx, writeEntries[q], keep, func(args []any, l queueEntry) []any { return append(args, l.billID, l.at.UnixMilli()) })
	return err
}

// claimBills takes bills that are due for a look.
func (t *tx) claimBills(ids []int64, now time.Time, c Claim) error {
	_, err := db.ExecBatch(t.Tx, claimBills, ids, db.ID, now.Add(c.Lease).UnixMilli(), c.Owner)
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
// with Learn: whoever goes on from the place meets none of them twice, and a
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
	return s.free("owner = ?2", now, owner)
}

// Reclaim gives back what other processes had claimed. Call it at the start:
// whoever else had this file open is dead, since the file is locked.
func (s *Store) Reclaim(now time.Time, owner string) error {
	return s.free("owner IS NOT NULL AND owner <> ?2", now, owner)
}

func (s *Store) free(whose string, now time.Time, owner string) error {
	err := s.do(func(t *tx) error {
		// Not later than their claims end: the clock may be years ahead.
		_, err := t.Exec("UPDATE due_remind SET at = CASE WHEN at < ?1 THEN at ELSE ?1 END, owner = NULL WHERE "+whose, now.UnixMilli(), owner)
		return err
	})
	if err != nil {
		return fmt.Errorf("give back claims: %w", err)
	}
	return nil
}

// anyToRemind reports whether a bill is due for a look of the remind job: a tick
// with nothing due reads one index entry and writes nothing.
func (s *Store) anyToRemind(ctx context.Context, now time.Time) (due bool, err error) {
	err = s.read(ctx).Row("SELECT EXISTS (SELECT 1 FROM due_remind WHERE at <= ?1)", now.UnixMilli()).Scan(&due)
	if err != nil {
		return false, fmt.Errorf("look into the queue of reminders: %w", err)
	}
	return due, nil
}
