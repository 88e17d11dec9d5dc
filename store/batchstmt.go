package store

import (
	"fmt"
	"strconv"
	"strings"
)

// sizes are the numbers of rows for which a statement over many rows is
// written, so that each text is prepared once; any number is made up of them.
var sizes = [...]int{256, 64, 16, 4, 1}

// batchStmt is one statement over many rows, in a text for each of the sizes.
type batchStmt [len(sizes)]string

// newBatchStmt writes the texts. %s stands for the rows, whose placeholders are
// numbered after the fixed ones. Those that write many pages say OR FAIL: SQLite
// then keeps no copy of each page by which to undo a statement that fails
// half-way. The transaction is undone, or the savepoint (tx.savepoint).
func newBatchStmt(query string, fixed, columns int) (m batchStmt) {
	for i, size := range sizes {
		m[i] = fmt.Sprintf(query, valuesOf(size, fixed, columns))
	}
	return m
}

// valuesOf are placeholders for so many rows: (?2, ?3), (?4, ?5), or ?2, ?3 where
// a row has one column.
func valuesOf(rows, fixed, columns int) string {
	var b strings.Builder
	n := fixed
	for i := range rows {
		if i > 0 {
			b.WriteString(", ")
		}
		for j := range columns {
			n++
			switch {
			case columns > 1 && j == 0:
				b.WriteByte('(')
			case j > 0:
				b.WriteString(", ")
			}
			b.WriteByte('?')
			b.WriteString(strconv.Itoa(n))
		}
		if columns > 1 {
			b.WriteByte(')')
		}
	}
	return b.String()
}

// eachBatch calls do with all rows, some at a time, and the text for so many.
func eachBatch[T any](m *batchStmt, rows []T, do func(query string, some []T) error) error {
	for len(rows) > 0 {
		i := 0
		for sizes[i] > len(rows) {
			i++
		}
		if err := do(m[i], rows[:sizes[i]]); err != nil {
			return err
		}
		rows = rows[sizes[i]:]
	}
	return nil
}

// execBatch runs a statement over many rows, of each of which row appends the
// arguments; fixed stand before them. It returns how many rows were changed.
func execBatch[T any](t *tx, m *batchStmt, rows []T, row func(args []any, of T) []any, fixed ...any) (changed int64, err error) {
	err = eachBatch(m, rows, func(query string, some []T) error {
		args := t.buffer.args[:0]
		args = append(args, fixed...)
		for _, of := range some {
			args = row(args, of)
		}
		t.buffer.args = args
		n, err := t.execRows(query, args)
		changed += n
		return err
	})
	return changed, err
}

func ofID(args []any, id int64) []any { return append(args, id) }

// idsAfter are the arguments of a statement: the fixed ones, and a column of ids, or
// of phones.
func idsAfter[ID int64 | string](ids []ID, fixed ...any) []any {
	args := make([]any, 0, len(fixed)+len(ids))
	args = append(args, fixed...)
	for _, id := range ids {
		args = append(args, id)
	}
	return args
}
