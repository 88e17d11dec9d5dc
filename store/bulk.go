package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"duewatch/reminder"
	"duewatch/store/db"
)

// Selector is which bills an operator means: those that match all of what is
// set, which must be something.
type Selector struct {
	Service string
	Account string
	Phone   reminder.Phone
}

// single reports whether the selector names one account, and no kind of bills.
func (c Selector) single() bool { return c.Account != "" }

// WholeService reports whether the selector means all bills of a service, which may
// be millions.
func (c Selector) WholeService() bool { return c.Account == "" && c.Phone == "" }

// BulkResult counts what became of the selected bills.
type BulkResult struct {
	Done int
	Left map[reminder.BillState]int // left as they were, by their state
}

// Bills is how many were selected.
func (a BulkResult) Bills() int {
	n := a.Done
	for _, left := range a.Left {
		n += left
	}
	return n
}

// BulkOp is one run of something that an operator does to bills.
type BulkOp struct {
	Selector Selector
	At       time.Time
	Who      string
	DryRun   bool      // count only
	Progress func(int) // called now and then with how many bills were read; nil = it is not shown
}

// selectorPage is how many bills one transaction of an operation takes.
const selectorPage = 500

// SelectedBills reads up to n of the selected bills, in no order that matters.
func (s *Store) SelectedBills(ctx context.Context, c Selector, n int) ([]reminder.Bill, error) {
	bills, err := selected(s.read(ctx), c, reminder.Bill{}, n)
	if err != nil {
		return nil, fmt.Errorf("read bills: %w", err)
	}
	return bills, nil
}

// selected reads n of the selected bills that come after one, in the order of the
// index that finds them.
func selected(q db.Reader, c Selector, after reminder.Bill, n int) ([]reminder.Bill, error) {
	var query string
	var args []any
	switch {
	case c.Account != "":
		query = " FROM bills WHERE " + ofAnyService + ` AND account = ?1 AND id > ?2
			AND (?3 = '' OR service = ?3) AND (?4 = '' OR phone = ?4) ORDER BY id LIMIT ?5 + 0`
		args = []any{c.Account, after.ID, c.Service, c.Phone.E164(), n}
	case c.Phone != "":
		query = " FROM bills WHERE phone = ?1 AND id > ?2 AND (?3 = '' OR service = ?3) ORDER BY id LIMIT ?4 + 0"
		args = []any{c.Phone.E164(), after.ID, c.Service, n}
	default:
		query = " FROM bills WHERE service = ?1 AND account > ?2 ORDER BY account LIMIT ?3 + 0"
		args = []any{c.Service, after.Account, n}
	}
	rows := q.Query("SELECT "+billColumns+query, args...)
	return db.Collect(rows, scanBill)
}

// bulkRule is what an operation writes about a kind of bills, beside what it does to each.
type bulkRule struct {
	begin func(*tx) error // together with the first page; nil = there is nothing to write
	// reached is called together with each page: for the last bill of the page before,
	// and of this one; done = no other page follows. nil = nobody needs to know.
	reached func(t *tx, before, last reminder.Bill, done bool) error
}

// bulk goes through the selected bills, a page in each transaction, and does
// what is to be done to those for which it is wanted. The rule for bills to
// come, if there is one, is written together with the first page: a bill that
// it caught in between would be counted as left alone, as one of a later page
// still may be. An operation that ends early is completed by the same one again.
func (s *Store) bulk(
	ctx context.Context, a BulkOp, rule bulkRule, wanted func(reminder.Bill) bool, do func(*tx, reminder.Bill) error,
) (n BulkResult, err error) {
	if a.DryRun && a.Selector.WholeService() {
		return s.countWanted(ctx, a.Selector.Service, wanted)
	}
	n.Left = make(map[reminder.BillState]int)
	for after := (reminder.Bill{}); err == nil; {
		var page []reminder.Bill
		began, done, stay := time.Now(), 0, 0
		each := func(q db.Reader, do func(reminder.Bill) error) (err error) {
			done, stay = 0, 0
			if page, err = selected(q, a.Selector, after, selectorPage); err != nil {
				return err
			}
			for _, b := range page {
				if !wanted(b) {
					continue
				}
				switch err := do(b); {
				case errors.Is(err, errStaysPaused):
					stay++
				case err != nil:
					return err
				default:
					done++
				}
			}
			return nil
		}
		if a.DryRun {
			err = each(s.read(ctx), func(reminder.Bill) error { return nil })
		} else {
			err = s.do(func(t *tx) error {
				if rule.begin != nil {
					if err := rule.begin(t); err != nil {
						return err
					}
				}
				if err := each(t, func(b reminder.Bill) error { return do(t, b) }); err != nil || rule.reached == nil {
					return err
				}
				last := after
				if len(page) > 0 {
					last = page[len(page)-1]
				}
				return rule.reached(t, after, last, len(page) < selectorPage)
			})
		}
		if err != nil {
			break
		}
		rule.begin = nil
		n.Done += done
		if stay > 0 {
			n.Left[reminder.BillPaused] += stay
		}
		for _, b := range page {
			if !wanted(b) {
				n.Left[b.State]++
			}
		}
		if a.Progress != nil {
			a.Progress(n.Bills())
		}
		if len(page) < selectorPage {
			return n, nil
		}
		after = page[selectorPage-1]
		if !a.DryRun && done > 0 {
			s.db.GiveWay(ctx, time.Since(began))
		}
		err = ctx.Err()
	}
	return n, err
}

// countWanted counts the bills of a service that are wanted, without reading
// them: most are active and are counted in an index, the others are found by
// another one. wanted may go by a bill's state, the end of its pause and
// whether calls failed.
func (s *Store) countWanted(ctx context.Context, service string, wanted func(reminder.Bill) bool) (n BulkResult, err error) {
	type kind struct {
		reminder.Bill
		bills int
	}
	// One statement, so that all is counted at one instant.
	query := `SELECT '' AS state, NULL AS paused_until, 0 AS failures, count(*) FROM bills WHERE service = ?1
		UNION ALL SELECT state, paused_until, CASE WHEN failures > 0 THEN 1 ELSE 0 END, count(*) FROM bills
			WHERE state IN ('pending', 'paused', 'rejected', 'removed') AND state <> 'active' AND service || '' = ?1 GROUP BY 1, 2, 3`
	active, failing := reminder.Bill{State: reminder.BillActive}, reminder.Bill{State: reminder.BillActive, Failures: 1}
	if wanted(active) != wanted(failing) { // those that fail are few, in an index of their own
		query += `
		UNION ALL SELECT state, NULL, 1, count(*) FROM bills WHERE service = ?1 AND state = 'active' AND failures > 0 GROUP BY 1`
	}
	rows := s.read(ctx).Query(query, service)
	kinds, err := db.Collect(rows, func(r db.Scanner) (k kind, err error) {
		err = r.Scan(&k.State, db.InstantTo(&k.PausedUntil), &k.Failures, &k.bills)
		return k, err
	})
	if err != nil {
		return n, err
	}
	usual := kind{Bill: active}
	for _, k := range kinds {
		if k.State == "" {
			usual.bills += k.bills // of all
		} else {
			usual.bills -= k.bills
		}
	}
	n.Left = make(map[reminder.BillState]int)
	for _, k := range append(kinds, usual) {
		switch {
		case k.State == "" || k.bills == 0:
		case wanted(k.Bill):
			n.Done += k.bills
		default:
			n.Left[k.State] += k.bills
		}
	}
	return n, nil
}

// Retry has those of the selected bills registered again that Almara Pay rejected,
// and those asked about at once that wait after calls that failed.
func (s *Store) Retry(ctx context.Context, a BulkOp) (BulkResult, error) {
	n, err := s.bulk(ctx, a, bulkRule{}, func(b reminder.Bill) bool {
		switch b.State {
		case reminder.BillRejected:
			return true
		case reminder.BillPending, reminder.BillActive:
			return b.Failures > 0
		case reminder.BillPaused, reminder.BillRemoved:
		}
		return false
	}, func(t *tx, b reminder.Bill) error { return t.retry(b, a) })
	if err != nil {
		return n, fmt.Errorf("retry: %w", err)
	}
	return n, nil
}

func (t *tx) retry(b reminder.Bill, a BulkOp) error {
	q, state := dueRegister, reminder.BillPending
	if b.State == reminder.BillActive {
		q, state = dueRecheck, reminder.BillActive
	}
	if _, err := t.Exec(`UPDATE bills SET state = ?2, failures = 0, last_error = '',
		registered_at = CASE ?2 WHEN 'pending' THEN NULL ELSE registered_at END WHERE id = ?1`, b.ID, state); err != nil {
		return err
	}
	if err := t.forgetRefusals(b.ID); err != nil {
		return err
	}
	if err := t.schedule(q, b.ID, a.At); err != nil {
		return err
	}
	// A reminder that is held may wait for the very answer.
	if _, err := t.Exec(`UPDATE due_remind SET at = ?2 WHERE bill_id = ?1 AND at > ?2 AND owner IS NULL
		AND EXISTS (SELECT 1 FROM reminders WHERE bill_id = ?1 AND due_date = ?3 AND outcome || '' = 'held')`,
		b.ID, a.At.UnixMilli(), b.DueDate.String()); err != nil {
		return err
	}
	return t.event(Event{At: a.At, BillID: b.ID, What: "retried", Reason: "operator", Detail: "by " + a.Who + afterWord(b.LastError)})
}

func afterWord(lastError string) string {
	if lastError == "" {
		return ""
	}
	return ", after: " + lastError
}
