package store

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
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
			ON CONFLICT (bill_id) DO UPDATE SET at = excluded.at, owner = NULL
			WHERE `+string(q)+".at <> excluded.at OR "+string(q)+".owner IS NOT NULL", billID, at.UnixMilli())
	}
	return err
}

// look is when a job next looks at a bill; zero = it need not.
type look struct {
	billID int64
	at     time.Time
}

var (
	dropLooks = inQueues("DELETE FROM QUEUE WHERE bill_id IN (%s)", 1)
	keepLooks = inQueues("INSERT INTO QUEUE (bill_id, at) VALUES %s ON CONFLICT (bill_id) DO UPDATE SET at = excluded.at, owner = NULL "+
		"WHERE QUEUE.at <> excluded.at OR QUEUE.owner IS NOT NULL", 2)
	claimLooks = manyRows("UPDATE due_remind SET at = ?1, owner = ?2 WHERE bill_id IN (%s)", 2, 1)
)

// inQueues is manyRows for each of the queues.
func inQueues(query string, columns int) map[queue]*many {
	all := map[queue]*many{}
	for _, q := range []queue{dueRegister, dueRecheck, dueRemind} {
		m := manyRows(strings.ReplaceAll(query, "QUEUE", string(q)), 0, columns)
		all[q] = &m
	}
	return all
}

// scheduleLooks is schedule for looks of the remind job at many bills.
func (t *tx) scheduleLooks(looks []look) error { return t.scheduleAll(dueRemind, looks) }

// scheduleAll is schedule for many bills, each of which is there once.
func (t *tx) scheduleAll(q queue, looks []look) error {
	var keep []look
	drop := make([]int64, 0, len(looks))
	for _, l := range looks {
		if l.at.IsZero() {
			drop = append(drop, l.billID)
		} else {
			keep = append(keep, l)
		}
	}
	if err := inMany(dropLooks[q], drop, func(query string, some []int64) error {
		_, err := t.exec(query, idsAfter(some)...)
		return err
	}); err != nil {
		return err
	}
	return inMany(keepLooks[q], keep, func(query string, some []look) error {
		args := make([]any, 0, 2*len(some))
		for _, l := range some {
			args = append(args, l.billID, l.at.UnixMilli())
		}
		_, err := t.exec(query, args...)
		return err
	})
}

// claimLooks takes bills that are due for a look.
func (t *tx) claimLooks(ids []int64, now time.Time, c Claim) error {
	return inMany(&claimLooks, ids, func(query string, some []int64) error {
		_, err := t.exec(query, idsAfter(some, now.Add(c.Lease).UnixMilli(), c.Owner)...)
		return err
	})
}

// Claim is who takes bills to work on, and for how long: a process that dies
// gives them back by itself when the lease ends, or at the next start.
type Claim struct {
	Owner string
	Lease time.Duration
}

// claim takes up to n bills whose hour has come, the longest waiting first.
func (t *tx) claim(q queue, now time.Time, c Claim, n int) ([]int64, error) {
	rows, err := t.query("UPDATE "+string(q)+" SET at = ?1, owner = ?2 WHERE bill_id IN (SELECT bill_id FROM "+string(q)+
		" WHERE at <= ?3 ORDER BY at LIMIT ?4) RETURNING bill_id", now.Add(c.Lease).UnixMilli(), c.Owner, now.UnixMilli(), n)
	if err != nil {
		return nil, err
	}
	return collect(rows, scanID)
}

// ClaimRegister takes up to n bills that await registration. They come back
// unless an answer or a failure is recorded with Learn.
func (s *Store) ClaimRegister(ctx context.Context, now time.Time, c Claim, n int) ([]reminder.Bill, error) {
	return s.claimBills(ctx, dueRegister, now, c, n)
}

// ClaimRecheck takes up to n bills that Almara Pay should be asked about.
func (s *Store) ClaimRecheck(ctx context.Context, now time.Time, c Claim, n int) ([]reminder.Bill, error) {
	return s.claimBills(ctx, dueRecheck, now, c, n)
}

func (s *Store) claimBills(ctx context.Context, q queue, now time.Time, c Claim, n int) ([]reminder.Bill, error) {
	// A tick with nothing due reads one index entry and writes nothing.
	if due, err := s.anyDue(ctx, q, now); err != nil || !due {
		return nil, err
	}
	var bills []reminder.Bill
	err := s.do(func(t *tx) error {
		ids, err := t.claim(q, now, c, n)
		if err != nil {
			return err
		}
		found, err := t.billsOf(ids)
		bills = make([]reminder.Bill, len(ids))
		for i, id := range ids {
			bills[i] = found[id] // a foreign key keeps it there
		}
		slices.SortFunc(bills, func(a, b reminder.Bill) int { return cmp.Compare(a.ID, b.ID) }) // neighbours share pages
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("claim from %s: %w", q, err)
	}
	return bills, nil
}

// UnclaimRegister gives back the bills that a pass of this owner had taken and
// did not come to.
func (s *Store) UnclaimRegister(now time.Time, owner string) error {
	return s.unclaim(dueRegister, now, owner)
}

// UnclaimRecheck is UnclaimRegister for bills taken by ClaimRecheck.
func (s *Store) UnclaimRecheck(now time.Time, owner string) error {
	return s.unclaim(dueRecheck, now, owner)
}

// UnclaimRemind is UnclaimRegister for bills taken by DecideDue.
func (s *Store) UnclaimRemind(now time.Time, owner string) error {
	return s.unclaim(dueRemind, now, owner)
}

func (s *Store) unclaim(q queue, now time.Time, owner string) error {
	err := s.do(func(t *tx) error {
		_, err := t.exec("UPDATE "+string(q)+" SET at = ?1, owner = NULL WHERE owner = ?2", now.UnixMilli(), owner)
		return err
	})
	if err != nil {
		return fmt.Errorf("give back claims: %w", err)
	}
	return nil
}

// Reclaim gives back what other processes had claimed. Call it at the start:
// whoever else had this file open is dead, since the file is locked.
func (s *Store) Reclaim(_ context.Context, now time.Time, owner string) error {
	err := s.do(func(t *tx) error {
		for _, q := range []queue{dueRegister, dueRecheck, dueRemind} {
			if _, err := t.exec("UPDATE "+string(q)+" SET at = ?1, owner = NULL WHERE owner IS NOT NULL AND owner <> ?2", now.UnixMilli(), owner); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("take over claims: %w", err)
	}
	return nil
}

func (s *Store) anyDue(ctx context.Context, q queue, now time.Time) (due bool, err error) {
	err = s.read.QueryRowContext(ctx, "SELECT EXISTS (SELECT 1 FROM "+string(q)+" WHERE at <= ?1)", now.UnixMilli()).Scan(&due)
	if err != nil {
		return false, fmt.Errorf("look into %s: %w", q, explain(err))
	}
	return due, nil
}
