package store

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"time"

	"duewatch/reminder"
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
	Elsewhere // declared by a source that this one does not take over from; left alone
)

// Fields is a set of columns.
type Fields uint8

// The columns that a declaration can change.
const (
	FieldPhone Fields = 1 << iota
	FieldLanguage
	FieldDescription
	FieldSource
	FieldState // it was removed or rejected, and awaits registration again
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
		return Change{Kind: Elsewhere, Source: old.source}
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
		f |= FieldState
	}
	if old.source != b.Source {
		f |= FieldSource
	}
	if f == 0 {
		return Change{}
	}
	return Change{Kind: Changed, Fields: f}
}

// together is how many rows one statement looks up. Fewer cost more calls into
// SQLite; more gained nothing.
const together = 50

// findBills is written once, for together rows, so that it is prepared once.
var findBills = `SELECT id, service, account, phone, language, description, source, state, due_date FROM bills
	WHERE (service, account) IN (VALUES ` + rowsOf("(?, ?)") + ")"

// rowsOf repeats the placeholders of one row, numbered through.
func rowsOf(row string) string {
	var b strings.Builder
	n := 0
	for i := range together {
		if i > 0 {
			b.WriteString(", ")
		}
		for _, c := range row {
			b.WriteRune(c)
			if c == '?' {
				n++
				fmt.Fprint(&b, n)
			}
		}
	}
	return b.String()
}

// find reads the bills of these identities that there are.
func find(ctx context.Context, q querier, bills []reminder.Bill) (map[identity]declaredBill, error) {
	found := make(map[identity]declaredBill, len(bills))
	args := make([]any, 0, 2*together)
	for len(bills) > 0 {
		args = args[:0]
		for i := range together {
			b := bills[min(i, len(bills)-1)] // the last one again, up to the number of the statement
			args = append(args, b.Service, b.Account)
		}
		bills = bills[min(together, len(bills)):]
		rows, err := q.QueryContext(ctx, findBills, args...)
		if err != nil {
			return nil, explain(err)
		}
		_, err = collect(rows, func(r row) (none struct{}, err error) {
			var id identity
			var b declaredBill
			err = r.Scan(&b.id, &id.service, &id.account, &b.phone, &b.language, &b.description, &b.source, &b.state, &b.dueDate)
			found[id] = b
			return none, err
		})
		if err != nil {
			return nil, err
		}
	}
	return found, nil
}

// declareAll adds and changes bills, each of which must name its source and may
// be there only once. keep, unless nil, collects the ids of those that are the
// source's own then. The changes are in the order of the bills.
//
// It adds first and looks only where something was there already: a large file
// is new as a rule, or is not at all.
func (t *tx) declareAll(bills []reminder.Bill, now time.Time, keep map[int64]bool) ([]Change, error) {
	var before int64 // the highest id of those that were there
	if err := t.row("SELECT coalesce(max(id), 0) FROM bills").Scan(&before); err != nil {
		return nil, explain(err)
	}
	changes, fresh := make([]Change, 0, len(bills)), int64(0)
	for some := range slices.Chunk(bills, together) {
		added, err := t.addMissing(some)
		if err != nil {
			return nil, err
		}
		fresh += added
		if added == int64(len(some)) && keep == nil {
			for range some {
				changes = append(changes, Change{Kind: Added})
			}
			continue
		}
		found, err := find(t.ctx, t, some)
		if err != nil {
			return nil, err
		}
		for _, b := range some {
			old := found[identity{b.Service, b.Account}]
			c := Change{Kind: Added}
			if old.id <= before {
				c = old.change(b)
			}
			if c.Kind == Changed {
				if err := t.changeBill(old, b, c.Fields, now); err != nil {
					return nil, err
				}
			}
			if keep != nil && c.Kind != Elsewhere {
				keep[old.id] = true
			}
			changes = append(changes, c)
		}
	}
	if fresh > 0 {
		return changes, t.begin(before, bills[0].Source, now)
	}
	return changes, nil
}

// What adds a bill that is not there, for one row and for many. OR FAIL: a
// statement that fails takes its transaction with it in any case, so SQLite need
// not keep the old pages of each to undo it alone, which costs more than many
// rows in one call save. It is SQLite's own; PostgreSQL does without it.
const (
	addOne      = addBills + "(?1, ?2, ?3, ?4, ?5, ?6, 'pending')" + unlessThere
	addBills    = "INSERT OR FAIL INTO bills (service, account, phone, language, description, source, state) VALUES "
	unlessThere = " ON CONFLICT (service, account) DO NOTHING"
)

var addMany = addBills + rowsOf("(?, ?, ?, ?, ?, ?, 'pending')") + unlessThere

// addMissing adds those of at most together bills that are not there, and
// returns how many.
func (t *tx) addMissing(bills []reminder.Bill) (added int64, err error) {
	query, rows := addMany, together
	if len(bills) < together {
		query, rows = addOne, 1
	}
	args := make([]any, 0, 6*rows)
	for some := range slices.Chunk(bills, rows) {
		args = args[:0]
		for _, b := range some {
			args = append(args, b.Service, b.Account, b.Phone.E164(), b.Language, b.Description, b.Source)
		}
		n, err := t.execRows(query, args)
		if err != nil {
			return 0, err
		}
		added += n
	}
	return added, nil
}

// begin has the bills above an id, all of them new, registered.
func (t *tx) begin(above int64, source string, now time.Time) error {
	if _, err := t.exec("INSERT INTO due_register (bill_id, at) SELECT id, ?2 FROM bills WHERE id > ?1 ORDER BY id", above, now.UnixMilli()); err != nil {
		return err
	}
	_, err := t.exec(`INSERT INTO events (at, bill_id, text_id, what, reason, detail)
		SELECT ?2, id, NULL, 'added', 'declared', ?3 FROM bills WHERE id > ?1 ORDER BY id`, above, now.UnixMilli(), "by "+source)
	return err
}

// changeBill writes a declared change of a bill.
func (t *tx) changeBill(old declaredBill, b reminder.Bill, fields Fields, now time.Time) error {
	what, state := "changed", old.state
	if fields&FieldState != 0 {
		what, state = "declared_again", reminder.BillPending
	}
	// A bill is not known to be registered any more when it awaits that again.
	if _, err := t.exec(`UPDATE bills SET phone = ?2, language = ?3, description = ?4, source = ?5, state = ?6,
		registered_at = CASE ?6 WHEN 'pending' THEN NULL ELSE registered_at END, failures = 0, last_error = '' WHERE id = ?1`,
		old.id, b.Phone.E164(), b.Language, b.Description, b.Source, state); err != nil {
		return err
	}
	// An edit is meant to change something: what waits, or is held, is looked at now.
	err := t.forgetRefusals(old.id)
	if err != nil {
		return err
	}
	if state == reminder.BillPending {
		err = t.schedule(dueRegister, old.id, now)
	} else {
		_, err = t.exec(`UPDATE due_remind SET at = ?2 WHERE bill_id = ?1 AND at > ?2 AND owner IS NULL
			AND EXISTS (SELECT 1 FROM reminders WHERE bill_id = ?1 AND due_date = ?3 AND outcome = 'held')`,
			old.id, now.UnixMilli(), old.dueDate.String)
	}
	if err != nil {
		return err
	}
	if err := t.event(Event{At: now, BillID: old.id, What: what, Reason: "declared", Detail: "by " + b.Source}); err != nil {
		return err
	}
	if fields&FieldPhone != 0 && state == reminder.BillActive {
		_, err = t.pausedByRule(&reminder.Bill{ID: old.id, Service: b.Service, Phone: b.Phone, State: state}, now)
	}
	return err
}

// remove ends the watch over a bill that its source no longer names.
func (t *tx) remove(source string, id int64, now time.Time) (removed bool, err error) {
	removed, err = t.changed("UPDATE bills SET state = 'removed' WHERE id = ?1 AND source = ?2 AND state <> 'removed'", id, source)
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
