package store

import (
	"context"
	"database/sql"
	"maps"
	"slices"
	"strings"
	"time"

	"duewatch/reminder"
	"duewatch/store/db"
)

// smallTables do not grow with the bills: a preview copies them whole.
var smallTables = []string{
	"doubted_payments", "meta", "overrides", "pauses", "refused_destinations", "shrunk_lists", "stops", "usage", "warnings",
}

// copiedRows says which rows of the other tables a preview copies: of each batch of
// bills that is due, those that a decision about them rests on. %s are the ids of the
// bills, or their phones.
var copiedRows = map[string]struct {
	where string
	key   db.Type  // db.Integer for ids, db.Text for phones
	fixed int      // how many arguments stand before %s
	omit  []string // columns that get values of their own
}{
	"bills":      {where: "phone IN (SELECT phone FROM bills WHERE id IN (%s))", key: db.Integer},
	"due_remind": {where: "bill_id IN (%s)", key: db.Integer, omit: []string{"owner"}}, // nobody else is at work on the copy
	// Those of the present due date, and the texts of late that may have named another.
	// With ids of their own, or those to come would meet them.
	"reminders": {where: `bill_id IN (%s) AND (due_date = (SELECT due_date FROM bills WHERE bills.id = reminders.bill_id)
		OR outcome = 'texted' AND decided_at >= ?1)`, key: db.Integer, fixed: 1, omit: []string{"id"}},
	"foreign_messages": {where: "bill_id IN (%s)", key: db.Integer},
	"opt_outs":         {where: "phone IN (%s)", key: db.Text},
	"phones":           {where: "number IN (%s)", key: db.Text},
	// None that is older counts for today, or could be taken for one to come.
	"texts": {
		where: "phone_id IN (SELECT phone_id FROM phones WHERE number IN (%s)) AND created_at > ?1 AND id <= ?2",
		key:   db.Text, fixed: 2,
	},
}

// notCopied are the tables that no decision rests on.
var notCopied = []string{"answer_minutes", "due_recheck", "due_register", "events", "refused_bills", "rejections", "unattributed_messages"}

// tableCopy is how rows of a table come from the source into the scratch store.
type tableCopy struct {
	columns string
	read    *db.Batch // by ids or phones, where the table is not small
	write   *db.Batch
	row     []any // the one that is being read
	scan    []sql.Scanner
}

// tableCopies asks the scratch store for the columns of its tables: a source that a
// newer version has migrated may have more.
func tableCopies(ctx context.Context, scratch *Store) (map[string]*tableCopy, error) {
	all := map[string]*tableCopy{}
	for _, table := range slices.AppendSeq(slices.Clone(smallTables), maps.Keys(copiedRows)) {
		columns, err := db.Columns(scratch.read(ctx).Query("SELECT * FROM " + table + " WHERE 1 = 0"))
		if err != nil {
			return nil, err
		}
		all[table] = newTableCopy(table, columns)
	}
	return all, nil
}

func newTableCopy(table string, columns []string) *tableCopy {
	rule := copiedRows[table]
	columns = slices.DeleteFunc(columns, func(name string) bool { return slices.Contains(rule.omit, name) })
	c := &tableCopy{columns: strings.Join(columns, ", "), row: make([]any, len(columns))}
	for i := range c.row {
		c.scan = append(c.scan, db.AnyTo(&c.row[i]))
	}
	if rule.where != "" {
		c.read = db.NewBatch("SELECT "+c.columns+" FROM "+table+" WHERE "+rule.where, rule.fixed, rule.key)
	}
	// A row may be there already: a phone that two batches have, or one of the latest texts.
	write := "INSERT INTO " + table + " (" + c.columns + ") VALUES %s ON CONFLICT DO NOTHING"
	if table == "bills" {
		write += " RETURNING id, phone"
	}
	c.write = db.NewBatch(write, 0, make([]db.Type, len(columns))...) // SQLite needs no types
	return c
}

// copyRows copies the rows that read finds in the source, some at a time: a phone may
// have very many bills. Where the writing statement returns columns, each is called
// for each row that is new.
func (c *tableCopy) copyRows(to *tx, read func(found func() error) error, returned []sql.Scanner, each func() error) error {
	const together = 64
	var rows [][]any
	write := func() error {
		err := db.QueryBatch(to.Tx, c.write, rows, func(args, row []any) []any { return append(args, row...) }, returned, each)
		rows = rows[:0]
		return err
	}
	err := read(func() error {
		rows = append(rows, slices.Clone(c.row))
		if len(rows) < together {
			return nil
		}
		return write()
	})
	if err != nil {
		return err
	}
	return write()
}

// copyAll copies what a query finds.
func (c *tableCopy) copyAll(from, to *tx, query string, args ...any) error {
	return c.copyRows(to, func(found func() error) error { return from.EachRow(query, args, c.scan, found) }, nil, nil)
}

// copyBy copies the rows that belong to bills, by their ids, or to phones.
func copyBy[K int64 | string](c *tableCopy, from, to *tx, keys []K, fixed ...any) error {
	return c.copyRows(to, func(found func() error) error {
		key := func(args []any, key K) []any { return append(args, key) }
		return db.QueryBatch(from.Tx, c.read, keys, key, c.scan, found, fixed...)
	}, nil, nil)
}

// copySmall copies the tables that are small, and the latest rows of two others:
// those of the preview are to be numbered after them, and the guard of failed texts
// counts the latest.
func (p *Preview) copySmall(from, to *tx) error {
	for _, table := range smallTables {
		c := p.copies[table]
		if err := c.copyAll(from, to, "SELECT "+c.columns+" FROM "+table); err != nil {
			return err
		}
	}
	texts, phones := p.copies["texts"], p.copies["phones"]
	err := texts.copyAll(from, to, "SELECT "+texts.columns+" FROM texts ORDER BY id DESC LIMIT ?1 + 0", int64(recentScanned))
	if err == nil {
		err = phones.copyAll(from, to, "SELECT "+phones.columns+" FROM phones ORDER BY phone_id DESC LIMIT 1")
	}
	if err != nil {
		return err
	}
	return to.Row("SELECT coalesce(max(id), 0) FROM texts").Scan(&p.lastText)
}

var copiedByIDSQL = db.NewBatch("SELECT id FROM bills WHERE id IN (%s)", 0, db.Integer)

// copyBills copies bills that are due, all others of their phones, and what
// decisions about them rest on. It returns the bills that were not there yet.
func (p *Preview) copyBills(from, to *tx, due []int64, now time.Time) (added []int64, err error) {
	has := make(map[int64]bool, len(due))
	var id int64
	err = db.QueryBatch(to.Tx, copiedByIDSQL, due, db.ID, []sql.Scanner{db.NumberTo(&id)}, func() error {
		has[id] = true
		return nil
	})
	if err != nil {
		return nil, err
	}
	due = slices.DeleteFunc(slices.Clone(due), func(id int64) bool { return has[id] })

	var phones []string
	var phone string
	bills := p.copies["bills"]
	err = bills.copyRows(to, func(found func() error) error {
		return db.QueryBatch(from.Tx, bills.read, due, db.ID, bills.scan, found)
	},
		[]sql.Scanner{db.NumberTo(&id), db.TextTo(&phone)}, func() error {
			added, phones = append(added, id), append(phones, phone)
			return nil
		})
	if err != nil {
		return nil, err
	}
	slices.Sort(phones)
	phones = slices.Compact(phones)
	late, named := now.Add(-sameBodyFor-24*time.Hour).UnixMilli(), now.AddDate(0, 0, -reminder.QuietDays-1).UnixMilli()
	for _, copyTable := range []func() error{
		func() error { return copyBy(p.copies["due_remind"], from, to, added) },
		func() error { return copyBy(p.copies["reminders"], from, to, added, named) },
		func() error { return copyBy(p.copies["foreign_messages"], from, to, added) },
		func() error { return copyBy(p.copies["opt_outs"], from, to, phones) },
		func() error { return copyBy(p.copies["phones"], from, to, phones) },
		func() error { return copyBy(p.copies["texts"], from, to, phones, late, p.lastText) },
	} {
		if err := copyTable(); err != nil {
			return nil, err
		}
	}
	return added, nil
}
