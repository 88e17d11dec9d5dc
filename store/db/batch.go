package db

import (
	"database/sql"
	"fmt"
	"strconv"
	"strings"
)

// Type is that of a column of a Batch. SQLite reads none of them, since it finds the type
// in the value; other engines have to be told, since a value that is NULL has none.
type Type string

// The types of columns.
const (
	Integer Type = "bigint" // numbers, ids, flags, and instants as milliseconds since 1970
	Text    Type = "text"   // words, days and money
)

// sizes are the numbers of rows for which a statement over many rows is
// written, so that each text is prepared once; any number is made up of them.
var sizes = [...]int{256, 64, 16, 4, 1}

// Batch is one statement over many rows.
type Batch struct {
	columns []Type
	byRow   [len(sizes)]string // with a placeholder for each value, in a text for each of the sizes
	byArray string             // with an array for each column, for any number of rows (PostgreSQL)
}

// NewBatch writes such a statement. In query, %s stands for the rows, each of which has
// these columns: VALUES %s, IN (VALUES %s), or IN (%s) for one column. The placeholders of
// the rows are numbered after those that stand in query itself: ?1 to as many as fixed says,
// the same for all rows.
//
// On SQLite an INSERT or UPDATE becomes OR FAIL: a batch that fails leaves part of its
// rows, and its transaction or savepoint has to be undone, as Write and Together do.
func NewBatch(query string, fixed int, columns ...Type) *Batch {
	b := Batch{columns: columns, byArray: withArrays(query, fixed, columns)}
	query = withoutStatementUndo(query)
	for i, size := range sizes {
		b.byRow[i] = fmt.Sprintf(query, placeholders(size, fixed, len(columns)))
	}
	return &b
}

// placeholders are those of so many rows, of so many columns: (?2, ?3), (?4, ?5).
func placeholders(rows, fixed, columns int) string {
	var b strings.Builder
	n := fixed
	for i := range rows {
		if i > 0 {
			b.WriteString(", ")
		}
		for j := range columns {
			n++
			b.WriteString([]string{"(?", ", ?"}[min(j, 1)] + strconv.Itoa(n))
		}
		b.WriteByte(')')
	}
	return b.String()
}

// ExecBatch runs a batch that returns no rows, and returns how many rows of tables it
// changed. row appends the arguments of one row. The fixed ones come last in the call,
// since most have none, but are numbered first.
func ExecBatch[T any](t *Tx, b *Batch, rows []T, row func(args []any, of T) []any, fixed ...any) (changed int64, err error) {
	err = each(t, b, rows, row, fixed, func(query string, args []any) error {
		n, err := t.execRows(query, args)
		changed += n
		return err
	})
	return changed, err
}

// InsertBatch runs a batch that inserts into a table with an id, and returns the ids of
// the rows that are newly inserted: some may have been there.
func InsertBatch[T any](t *Tx, b *Batch, rows []T, row func(args []any, of T) []any) (added []int64, err error) {
	added = make([]int64, 0, len(rows))
	err = each(t, b, rows, row, nil, func(query string, args []any) error {
		added, err = t.insertRows(query, args, added)
		return err
	})
	return added, err
}

// QueryBatch runs a batch that returns rows: of each the columns take the values, then
// found is called. row and fixed are those of ExecBatch.
func QueryBatch[T any](
	t *Tx, b *Batch, rows []T, row func(args []any, of T) []any, columns []sql.Scanner, found func() error, fixed ...any,
) error {
	return each(t, b, rows, row, fixed, func(query string, args []any) error {
		return t.EachRow(query, args, columns, found)
	})
}

// each calls do for a part of the rows at a time: as many as the largest statement takes
// that is no larger than what is left.
func each[T any](t *Tx, b *Batch, rows []T, row func(args []any, of T) []any, fixed []any, do func(query string, args []any) error) error {
	for len(rows) > 0 {
		query, size := b.part(t, len(rows))
		args := t.buffer.args[:0]
		args = append(args, fixed...)
		for _, of := range rows[:size] {
			args = row(args, of)
		}
		t.buffer.args = args
		if t.onPostgres() {
			var err error
			if args, err = t.buffer.inArrays(args, len(fixed), b.columns); err != nil {
				return err
			}
		}
		if err := do(query, args); err != nil {
			return err
		}
		rows = rows[size:]
	}
	return nil
}

// part is the text of a statement for so many rows or fewer, and for how many.
func (b *Batch) part(t *Tx, rows int) (query string, size int) {
	if t.onPostgres() {
		return b.byArray, min(rows, mostInArrays)
	}
	i := 0
	for sizes[i] > rows {
		i++
	}
	return b.byRow[i], sizes[i]
}

// insertRows runs an INSERT of many rows and appends the ids that it gave to them.
func (t *Tx) insertRows(query string, args []any, ids []int64) ([]int64, error) {
	if !t.onPostgres() {
		return t.insertRowsSQLite(query, args, ids)
	}
	var id int64
	err := t.EachRow(query+" RETURNING id", args, []sql.Scanner{NumberTo(&id)}, func() error {
		ids = append(ids, id)
		return nil
	})
	return ids, err
}

// execRows runs a statement over many rows that returns none, and returns how many it
// changed.
func (t *Tx) execRows(query string, args []any) (changed int64, err error) {
	if !t.onPostgres() {
		return t.execRowsSQLite(query, args)
	}
	r, err := t.Exec(query, args...)
	if err != nil {
		return 0, err
	}
	return r.RowsAffected()
}

// ID is the row of a batch over ids.
func ID(args []any, id int64) []any { return append(args, id) }
