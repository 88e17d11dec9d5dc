package store

import (
	"database/sql"
	"fmt"
	"slices"
	"time"

	"duewatch/reminder"
	"duewatch/store/db"
)

// Who declares bills. A bill has one source: the last that named it, except
// that an import does not take over what the config or its file names.
const (
	SourceConfig = "config" // bills: in the config
	SourceFile   = "file"   // bills_file: in the config
	SourceImport = "import" // duewatch import
)

// Change is what a declaration does to one bill.
type Change struct {
	Kind   ChangeKind
	Fields Fields // of Changed: what differs
	Source string // of Elsewhere: who declares it
}

// ChangeKind is how a declared bill stands to the store.
type ChangeKind int

// The kinds of Change.
const (
	Same ChangeKind = iota
	Added
	Changed
	OtherSource // declared by a source that this one does not take over from; left alone
)

// Fields is a set of columns.
type Fields uint8

// The columns that a declaration can change.
const (
	fieldPhone Fields = 1 << iota
	fieldLanguage
	fieldDescription
	fieldSource
	fieldState // it was removed or rejected, and awaits registration again
)

// FieldNames are the names of all columns in Fields, the lowest bit first.
var FieldNames = []string{"phone", "language", "description", "source", "state"}

// Names lists the columns of the set.
func (f Fields) Names() (names []string) {
	for i, name := range FieldNames {
		if f&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	return names
}

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
		for batch := range slices.Chunk(sourced(source, bills), 1000) {
			changes, err := t.declareAll(batch, now, keep)
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

func (t *tx) removeOthers(source string, keep map[int64]bool, now time.Time, n *Declared) error {
	rows := t.Query("SELECT id FROM bills WHERE source = ?1 AND "+declared+" AND state <> 'removed'", source)
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

// declaredBill is what a declaration is compared with.
type declaredBill struct {
	id                                   int64
	phone, language, description, source string
	state                                reminder.BillState
	dueDate                              sql.NullString
}

// identity tells bills apart.
type identity struct{ service, account string }

// change compares a declared bill with the one that is there.
func (old declaredBill) change(b reminder.Bill) Change {
	if b.Source == SourceImport && (old.source == SourceConfig || old.source == SourceFile) && old.state != reminder.BillRemoved {
		return Change{Kind: OtherSource, Source: old.source}
	}
	var f Fields
	for i, differs := range []bool{old.phone != b.Phone.E164(), old.language != b.Language, old.description != b.Description} {
		if differs {
			f |= 1 << i
		}
	}
	// What was rejected may be right after an edit, and what was removed may
	// have been forgotten by Almara Pay: both are registered anew.
	if old.state == reminder.BillRemoved || (old.state == reminder.BillRejected && f != 0) {
		f |= fieldState
	}
	if old.source != b.Source {
		f |= fieldSource
	}
	if f == 0 {
		return Change{}
	}
	return Change{Kind: Changed, Fields: f}
}

var findBillsSQL = db.NewBatch(`SELECT id, service, account, phone, language, description, source, state, due_date FROM bills
	WHERE (service, account) IN (VALUES %s)`, 0, db.Text, db.Text)

// find reads the bills of these identities that there are.
func (t *tx) find(bills []reminder.Bill) (map[identity]declaredBill, error) {
	found := make(map[identity]declaredBill, len(bills))
	var id identity // each in turn
	var b declaredBill
	columns := []sql.Scanner{
		db.NumberTo(&b.id), db.TextTo(&id.service), db.TextTo(&id.account),
		db.TextTo(&b.phone), db.TextTo(&b.language), db.TextTo(&b.description), db.TextTo(&b.source), db.TextTo(&b.state), &b.dueDate,
	}
	return found, db.QueryBatch(t.Tx, findBillsSQL, bills, ofIdentity, columns, func() error {
		found[id] = b
		return nil
	})
}

func ofIdentity(args []any, b reminder.Bill) []any { return append(args, b.Service, b.Account) }

// declareAll adds and changes bills, each of which must name its source and may
// be there only once. keep, unless nil, collects the ids of those that are the
// source's own then. The changes are in the order of the bills.
//
// It adds first and compares only where something was there already: a large file
// is new as a rule, or is not at all.
func (t *tx) declareAll(bills []reminder.Bill, now time.Time, keep map[int64]bool) ([]Change, error) {
	changes := make([]Change, 0, len(bills))
	for batch := range slices.Chunk(bills, declaredTogether) {
		added, err := t.addMissing(batch, now)
		if err != nil {
			return nil, err
		}
		if len(added) > 0 {
			if err := t.recallForgotten(batch); err != nil {
				return nil, err
			}
		}
		if len(added) == len(batch) && keep == nil {
			for range batch {
				changes = append(changes, Change{Kind: Added})
			}
			continue
		}
		found, err := t.find(batch)
		if err != nil {
			return nil, err
		}
		for _, b := range batch {
			old := found[identity{b.Service, b.Account}]
			c := Change{Kind: Added}
			if _, isNew := slices.BinarySearch(added, old.id); !isNew {
				c = old.change(b)
			}
			if c.Kind == Changed {
				if err := t.changeBill(old, b, c.Fields, now); err != nil {
					return nil, err
				}
			}
			if keep != nil && c.Kind != OtherSource {
				keep[old.id] = true
			}
			changes = append(changes, c)
		}
	}
	return changes, nil
}

// declaredTogether is how many bills are added, and looked up, at a time. A server is
// waited for once for all of them.
const declaredTogether = 2048

var (
	addBillsSQL = db.NewBatch(`INSERT INTO bills (service, account, phone, language, description, source, state) VALUES %s
		ON CONFLICT (service, account) DO NOTHING`, 0, db.Text, db.Text, db.Text, db.Text, db.Text, db.Text, db.Text)
	queueNewSQL = db.NewBatch("WITH v (id) AS (VALUES %s) INSERT INTO due_register (bill_id, at) SELECT v.id, ?1 FROM v", 1, db.Integer)
	addedNewSQL = db.NewBatch(`WITH v (id) AS (VALUES %s) INSERT INTO events (at, bill_id, text_id, what, reason, detail)
		SELECT ?1, v.id, NULL, 'added', 'declared', ?2 FROM v`, 2, db.Integer)
)

// addMissing adds those bills that are not there, and has them registered. It
// returns their ids, in order. All are of one source.
func (t *tx) addMissing(bills []reminder.Bill, now time.Time) (added []int64, err error) {
	added, err = db.InsertBatch(t.Tx, addBillsSQL, bills, func(args []any, b reminder.Bill) []any {
		return append(args, b.Service, b.Account, b.Phone.E164(), b.Language, b.Description, b.Source, string(reminder.BillPending))
	})
	if err != nil {
		return nil, err
	}
	if err := t.countBills(int64(len(added))); err != nil {
		return nil, err
	}
	if _, err := db.ExecBatch(t.Tx, queueNewSQL, added, db.ID, now.UnixMilli()); err != nil {
		return nil, err
	}
	_, err = db.ExecBatch(t.Tx, addedNewSQL, added, db.ID, now.UnixMilli(), "by "+bills[0].Source)
	return added, err
}

// changeBill writes a declared change of a bill.
func (t *tx) changeBill(old declaredBill, b reminder.Bill, fields Fields, now time.Time) error {
	what, state := "changed", old.state
	if fields&fieldState != 0 {
		what, state = "declared_again", reminder.BillPending
	}
	// A bill is not known to be registered any more when it awaits that again.
	if _, err := t.Exec(`UPDATE bills SET phone = ?2, language = ?3, description = ?4, source = ?5, state = ?6,
		registered_at = CASE ?6 WHEN 'pending' THEN NULL ELSE registered_at END, failures = 0, last_error = '' WHERE id = ?1`,
		old.id, b.Phone.E164(), b.Language, b.Description, b.Source, state); err != nil {
		return err
	}
	if fields&fieldPhone != 0 {
		if err := t.recallPhone(b.Phone); err != nil {
			return err
		}
	}
	// An edit is meant to change something: what waits, or is held, is evaluated now.
	err := t.forgetRefusals(old.id)
	if err != nil {
		return err
	}
	if state == reminder.BillPending {
		err = t.schedule(dueRegister, old.id, now)
	} else {
		_, err = t.Exec(`UPDATE due_remind SET at = ?2 WHERE bill_id = ?1 AND at > ?2 AND owner IS NULL
			AND EXISTS (SELECT 1 FROM reminders WHERE bill_id = ?1 AND due_date = ?3 AND outcome || '' = 'held')`,
			old.id, now.UnixMilli(), old.dueDate.String)
	}
	if err != nil {
		return err
	}
	if err := t.event(Event{At: now, BillID: old.id, What: what, Reason: "declared", Detail: "by " + b.Source}); err != nil {
		return err
	}
	if fields&fieldPhone != 0 && state == reminder.BillActive {
		_, err = t.pausedByRule(&reminder.Bill{ID: old.id, Service: b.Service, Phone: b.Phone, State: state}, now)
	}
	return err
}

// remove ends the watch over a bill that its source no longer names.
func (t *tx) remove(source string, id int64, now time.Time) (removed bool, err error) {
	removed, err = t.Changed("UPDATE bills SET state = 'removed' WHERE id = ?1 AND source = ?2 AND state <> 'removed'", id, source)
	if err != nil || !removed {
		return false, err
	}
	for _, q := range []queue{dueRegister, dueRecheck, dueRemind} {
		if err := t.schedule(q, id, time.Time{}); err != nil {
			return false, err
		}
	}
	return true, t.event(Event{At: now, BillID: id, What: "removed", Reason: "not_declared", Detail: "no longer named by " + source})
}
