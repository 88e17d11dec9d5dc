package store

import (
	"fmt"
	"slices"
	"time"

	"duewatch/reminder"
	"duewatch/store/db"
)

// Declared counts what a declaration changed.
type Declared struct{ Added, Changed, Removed int }

// Declare makes the bills of one source be exactly the given ones: new ones
// await registration, changed ones are updated, and those no longer named are
// removed, their history kept. Bills of other sources are left alone, unless
// the same account is declared here: then this source takes it over.
//
// now is the instant of the change.
func (s *Store) Declare(source string, bills []reminder.Bill, now time.Time) (Declared, error) {
	var n Declared
	err := s.do(func(t *tx) error {
		n = Declared{}
		keep := make(map[int64]bool, len(bills))
		for some := range slices.Chunk(sourced(source, bills), 1000) {
			changes, err := t.declareAll(some, now, keep)
			if err != nil {
				return err
			}
			n.Count(changes)
		}
		return t.removeOthers(source, keep, now, &n)
	})
	if err != nil {
		return Declared{}, fmt.Errorf("declare bills: %w", err)
	}
	return n, nil
}

// sourced is a copy of the bills, with their source.
func sourced(source string, bills []reminder.Bill) []reminder.Bill {
	bills = slices.Clone(bills)
	for i := range bills {
		bills[i].Source = source
	}
	return bills
}

// Count adds what an import changed.
func (n *Declared) Count(changes []Change) {
	for _, c := range changes {
		switch c.Kind {
		case Added:
			n.Added++
		case Changed:
			n.Changed++
		case Same, OtherSource:
		}
	}
}

// declared and odd are the conditions of the indexes bills_declared and
// bills_inactive, to the letter, as inDoubt is of its own. What was imported is not
// removed by a declaration.
const (
	declared = "source <> 'import'"
	inactive = "state <> 'active'"
)

func (t *tx) removeOthers(source string, keep map[int64]bool, now time.Time, n *Declared) error {
	rows, err := t.Query("SELECT id FROM bills WHERE source = ?1 AND "+declared+" AND state <> 'removed'", source)
	if err != nil {
		return err
	}
	ids, err := db.Collect(rows, db.ScanID)
	if err != nil {
		return err
	}
	for _, id := range ids {
		if keep[id] {
			continue
		}
		removed, err := t.remove(source, id, now)
		if err != nil {
			return err
		}
		if removed {
			n.Removed++
		}
	}
	return nil
}

// saved are the columns that saveBills writes, after the id.
const saved = "state, customer, balance, balance_at, due_date, biller_verified, registered_at, checked_at, failures, last_error, usual"

var saveBills = db.NewBatch("WITH v (id, "+saved+`) AS (VALUES %s) UPDATE bills SET state = v.state, customer = v.customer, balance = v.balance,
	balance_at = v.balance_at, due_date = v.due_date, biller_verified = v.biller_verified, registered_at = v.registered_at, checked_at = v.checked_at,
	failures = v.failures, last_error = v.last_error, usual = v.usual FROM v WHERE bills.id = v.id`, 0,
	db.Integer, db.Text, db.Text, db.Text, db.Integer, db.Text, db.Integer, db.Integer, db.Integer, db.Integer, db.Text, db.Text)

// saveBills writes what Almara Pay said of bills, and their states. Each may be
// there only once.
func (t *tx) saveBills(bills []reminder.Bill) error {
	_, err := db.ExecBatch(t.Tx, saveBills, bills, func(args []any, b reminder.Bill) []any {
		return append(args, b.ID, string(b.State), b.Customer, money(b.Balance), millis(b.BalanceAt), day(b.DueDate), knownFlag(b.Verified),
			millis(b.RegisteredAt), millis(b.CheckedAt), int64(b.Failures), b.LastError, money(b.Usual))
	})
	return err
}

var billsByID = db.NewBatch("SELECT "+billColumns+" FROM bills WHERE id IN (%s)", 0, db.Integer)

// billsOf reads bills by their ids, many with each statement.
func (t *tx) billsOf(ids []int64) (map[int64]reminder.Bill, error) {
	all := make(map[int64]reminder.Bill, len(ids))
	var b reminder.Bill // each in turn
	columns := columnsOfBill(&b)
	err := db.QueryBatch(t.Tx, billsByID, ids, db.ID, columns, func() error {
		all[b.ID] = b
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read bills: %w", err)
	}
	return all, nil
}

// bill reads one bill by its id.
func (t *tx) bill(id int64) (reminder.Bill, error) {
	b, err := scanBill(t.Row("SELECT "+billColumns+" FROM bills WHERE id = ?1", id))
	if err != nil {
		return b, fmt.Errorf("read bill %d: %w", id, err)
	}
	return b, nil
}
