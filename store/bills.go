package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"duewatch/reminder"
)

// Declared counts what a declaration changed.
type Declared struct{ Added, Changed, Removed int }

// Declare makes the bills of one source be exactly the given ones: new ones
// await registration, changed ones are updated, and those no longer named are
// removed, their history kept. Bills of other sources are left alone, unless
// the same account is declared here: then this source takes it over.
//
// now is the instant of the change.
func (s *Store) Declare(_ context.Context, source string, bills []reminder.Bill, now time.Time) (Declared, error) {
	var n Declared
	err := s.do(func(t *tx) error {
		n = Declared{}
		keep := make(map[int64]bool, len(bills))
		for _, b := range bills {
			b.Source = source
			id, err := t.declare(b, now, &n)
			if err != nil {
				return err
			}
			keep[id] = true
		}
		return t.removeOthers(source, keep, now, &n)
	})
	if err != nil {
		return Declared{}, fmt.Errorf("declare bills: %w", err)
	}
	return n, nil
}

func (t *tx) declare(b reminder.Bill, now time.Time, n *Declared) (int64, error) {
	old, err := scanBill(t.row("SELECT "+billColumns+" FROM bills WHERE service = ?1 AND account = ?2", b.Service, b.Account))
	if errors.Is(err, sql.ErrNoRows) {
		n.Added++
		return t.addBill(b, now)
	}
	if err != nil {
		return 0, explain(err)
	}
	same := old.Phone == b.Phone && old.Language == b.Language && old.Description == b.Description
	if same && old.Source == b.Source && old.State != reminder.BillRemoved {
		return old.ID, nil
	}
	n.Changed++
	what, state := "changed", old.State
	// What was rejected may be right after an edit, and what was removed may
	// have been forgotten by Almara Pay: both are registered anew.
	again := old.State == reminder.BillRemoved || (old.State == reminder.BillRejected && !same)
	if again {
		what, state = "declared_again", reminder.BillPending
	}
	if _, err := t.exec(`UPDATE bills SET phone = ?2, language = ?3, description = ?4, source = ?5, state = ?6,
		failures = 0, last_error = '' WHERE id = ?1`,
		old.ID, b.Phone.E164(), b.Language, b.Description, b.Source, state); err != nil {
		return 0, err
	}
	// An edit is meant to change something: what waits, or is held, is looked at now.
	if state == reminder.BillPending {
		err = t.schedule(dueRegister, old.ID, now)
	} else {
		_, err = t.exec(`UPDATE due_remind SET at = ?2 WHERE bill_id = ?1 AND at > ?2 AND owner IS NULL
			AND EXISTS (SELECT 1 FROM reminders WHERE bill_id = ?1 AND due_date = ?3 AND outcome = 'held')`,
			old.ID, now.UnixMilli(), old.DueDate.String())
	}
	if err != nil {
		return 0, err
	}
	return old.ID, t.event(Event{At: now, BillID: old.ID, What: what, Reason: "declared", Detail: "by " + b.Source})
}

func (t *tx) addBill(b reminder.Bill, now time.Time) (int64, error) {
	var id int64
	if err := t.row(`INSERT INTO bills (service, account, phone, language, description, source, state)
		VALUES (?1, ?2, ?3, ?4, ?5, ?6, 'pending') RETURNING id`,
		b.Service, b.Account, b.Phone.E164(), b.Language, b.Description, b.Source).Scan(&id); err != nil {
		return 0, explain(err)
	}
	if err := t.schedule(dueRegister, id, now); err != nil {
		return 0, err
	}
	return id, t.event(Event{At: now, BillID: id, What: "added", Reason: "declared", Detail: "by " + b.Source})
}

func (t *tx) removeOthers(source string, keep map[int64]bool, now time.Time, n *Declared) error {
	rows, err := t.query("SELECT id FROM bills WHERE source = ?1 AND state <> 'removed'", source)
	if err != nil {
		return err
	}
	ids, err := collect(rows, scanID)
	if err != nil {
		return err
	}
	for _, id := range ids {
		if keep[id] {
			continue
		}
		n.Removed++
		if _, err := t.exec("UPDATE bills SET state = 'removed' WHERE id = ?1", id); err != nil {
			return err
		}
		for _, q := range []queue{dueRegister, dueRecheck, dueRemind} {
			if err := t.schedule(q, id, time.Time{}); err != nil {
				return err
			}
		}
		if err := t.event(Event{At: now, BillID: id, What: "removed", Reason: "not_declared", Detail: "no longer named by " + source}); err != nil {
			return err
		}
	}
	return nil
}

// saveBill writes what Almara Pay said of a bill, and its state.
func (t *tx) saveBill(b reminder.Bill) error {
	_, err := t.exec(`UPDATE bills SET state = ?2, customer = ?3, balance = ?4, balance_at = ?5, due_date = ?6, verified = ?7,
		registered_at = ?8, checked_at = ?9, failures = ?10, last_error = ?11, usual = ?12 WHERE id = ?1`,
		b.ID, b.State, b.Customer, money(b.Balance), millis(b.BalanceAt), day(b.DueDate), b.Verified,
		millis(b.RegisteredAt), millis(b.CheckedAt), b.Failures, b.LastError, money(b.Usual))
	return err
}

// bill reads one bill by its id.
func (t *tx) bill(id int64) (reminder.Bill, error) {
	b, err := scanBill(t.row("SELECT "+billColumns+" FROM bills WHERE id = ?1", id))
	if err != nil {
		return b, fmt.Errorf("read bill %d: %w", id, explain(err))
	}
	return b, nil
}
