package importer

import (
	"fmt"
	"strings"
)

// Columns that may be the same field are rivals: two accounts, or a phone and a
// mobile. Nobody but the operator knows which one is meant, unless all their cells
// are equal.

// twin is a column that may be the same field as another one, and has had the same
// cells so far.
type twin struct{ column, of int }

// settle takes the first of several columns that may be the same field where all
// their cells in rows, the first ones, are equal. The others are watched.
func (l *layout) settle(rows [][]string) {
	for f, columns := range l.rivals {
		if columns == nil || !equalColumns(rows, columns) {
			continue
		}
		l.fields[columns[0]] = field(f)
		l.rivals[f] = nil
		for _, i := range columns[1:] {
			l.fields[i] = leftOut
			l.twins = append(l.twins, twin{i, columns[0]})
		}
	}
}

// equalColumns reports whether there is something in the columns, and the same in
// each.
func equalColumns(rows [][]string, columns []int) bool {
	some := false
	for _, row := range rows {
		at := func(i int) string {
			if i < len(row) {
				return row[i]
			}
			return ""
		}
		first := at(columns[0])
		some = some || first != ""
		for _, i := range columns[1:] {
			if at(i) != first {
				return false
			}
		}
	}
	return some
}

// refuseDifferentTwins refuses a row in which a column that may be the account (or
// the phone) differs from the one that was taken for it.
func (r *BillsReader) refuseDifferentTwins(cells []cell, row *BillRow) {
	for _, t := range r.twins {
		at := func(i int) string {
			if i < len(cells) {
				return strings.Join(strings.Fields(trimOdd(cells[i].text)), " ")
			}
			return ""
		}
		if at(t.column) != at(t.of) {
			f := fields[r.fields[t.of]].name
			other := r.columns.All[t.column]
			row.bad(r.name, f, fmt.Sprintf("differs from %s, which may be the %s too: choose one of the columns", other, f))
		}
	}
}
