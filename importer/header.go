package importer

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// maxAhead is how many rows are looked at to find the header: titles above one
// take a few lines.
const maxAhead = 20

// header finds the row that names the columns, and which column is which. The rows
// above it are passed over, unless one may be a bill.
func (r *BillsReader) header(choice ColumnChoice) error {
	const wanted = "the first line must name the columns, as in service,account,phone,description,language"
	const orNumbers = wanted + ", or each is chosen by its number"
	for _, name := range slices.Sorted(maps.Keys(choice.Of)) {
		if !slices.Contains(CSVHeader(), name) {
			return r.fault(0, "has a column chosen for "+ShownName(name)+": choose one for "+OrList(CSVHeader()))
		}
	}
	r.every = cmp.Or(r.services.id(r.every), r.every)
	if fault := cmp.Or(IDFault(r.every, false), r.everyFault()); fault != "" {
		return r.fault(0, "the service for every row "+fault)
	}
	ahead := r.rows.look(maxAhead)
	rows, last := headerCells(ahead, &r.cells.encoding), ahead[len(ahead)-1]
	at, l := findHeader(rows, choice)
	var fault rowFault
	switch {
	case at < 0 && errors.As(last.err, &fault):
		return r.fault(last.line, string(fault))
	case at < 0 && last.err != nil && !errors.Is(last.err, io.EOF):
		return fmt.Errorf("read %s: %w", r.name, WithoutPath(last.err))
	case !slices.ContainsFunc(rows, filled):
		return r.fault(1, "is empty: "+wanted)
	case choice.byNumber() && startsWithABill(rows, choice):
		return r.withoutHeader(rows, choice)
	case at < 0:
		at = slices.IndexFunc(rows, filled)
		if choice.byNumber() {
			l = lay(rows[at], choice)
			break
		}
		if len(rows[at]) == 1 || slices.ContainsFunc(rows[at], looksLikePhone) {
			texts := append([]string{"names no column that is known: " + orNumbers}, r.proposalByNumbers(rows, choice)...)
			return r.fault(ahead[at].line, texts...)
		}
		l = lay(rows[at], choice)
	}
	if column := l.of(phone); len(column) == 1 && looksLikePhone(rows[at][column[0]]) {
		const number = "has a number in the column of the phones, so that it names no columns: "
		return r.fault(ahead[at].line, append([]string{number + orNumbers}, r.proposalByNumbers(rows, choice)...)...)
	}
	for i, row := range rows[:at] {
		if slices.ContainsFunc(row, looksLikePhone) {
			where := fmt.Sprintf("stands above the header in line %d and may be a bill", ahead[at].line)
			return r.fault(ahead[i].line, where+": move it below, or remove it")
		}
		if filled(row) && !isSeparatorHint(row) {
			r.columns.Above++
		}
	}
	l.settle(rows[at+1:])
	if isStatement(l.headers) && (!l.chosen[account] || !l.chosen[phone]) {
		by := choice.flagOrKey("--columns", "bills_columns")
		return r.fault(ahead[at].line, "is a statement of M-PESA: it lists payments, with what each payer typed as the account, and no bills: "+
			"import the biller's own list of accounts and phones. To read this one, choose the columns of both, with "+by)
	}
	if faults := l.check(); faults != nil {
		answer := l.answer(r.name, rows[at+1:], r.services)
		return r.fault(ahead[at].line, slices.Concat(faults, answer)...)
	}
	r.rows.ahead = r.rows.ahead[at+1:]
	r.take(l)
	return nil
}

// everyFault is what is wrong with the service for every row.
func (r *BillsReader) everyFault() string {
	if r.every == "" {
		return ""
	}
	return r.services.fault(r.every)
}

// proposalByNumbers is what to write for a file whose first row is a bill.
func (r *BillsReader) proposalByNumbers(rows [][]string, choice ColumnChoice) []string {
	rows = slices.DeleteFunc(slices.Clone(rows), func(row []string) bool { return !filled(row) })
	choice.Of = nil
	l := lay(make([]string, len(rows[0])), choice)
	if l.guess(phone, rows, nil, mayHoldPhone) < 0 {
		return nil // no list at all
	}
	return l.proposal(r.name, rows, r.services)
}

// isStatement reports whether the headers are those of a statement of M-PESA.
func isStatement(headers []string) bool {
	has := map[string]bool{}
	for _, h := range headers {
		has[plainHeader(h)] = true
	}
	return has["receiptno"] && (has["completiontime"] || has["initiationtime"]) && (has["paidin"] || has["withdrawn"])
}

// findHeader is the row that names the columns: the first that names two fields
// or more, else the one that names most. -1 when no row names any.
func findHeader(rows [][]string, choice ColumnChoice) (best int, l *layout) {
	best = -1
	most := 0
	for i, row := range rows {
		at := lay(row, choice)
		score := at.score()
		if score > most {
			best, most, l = i, score, at
		}
		if most >= 2*wholeField {
			break
		}
	}
	return best, l
}

// startsWithABill reports whether the first row has digits and no letter in the
// column of the phones, so that it names no columns.
func startsWithABill(rows [][]string, choice ColumnChoice) bool {
	row := rows[slices.IndexFunc(rows, filled)]
	column, err := strconv.Atoi(choice.Of[fields[phone].name])
	if err != nil || column < 1 || column > len(row) {
		return false
	}
	return strings.ContainsAny(row[column-1], "0123456789") && !strings.ContainsFunc(row[column-1], unicode.IsLetter)
}

// withoutHeader reads a file of which each column is named by its number, and
// whose rows are bills from the first on.
func (r *BillsReader) withoutHeader(rows [][]string, choice ColumnChoice) error {
	l := lay(make([]string, len(rows[slices.IndexFunc(rows, filled)])), choice)
	if faults := l.check(); faults != nil {
		return r.fault(1, faults...)
	}
	for i := range l.fields {
		if l.fields[i] == unnamed {
			l.fields[i] = leftOut
		}
	}
	r.take(l)
	return nil
}

// take goes by a layout from here on.
func (r *BillsReader) take(l *layout) {
	r.fields, r.twins, r.standing = l.fields, l.twins, l.standings()
	r.columns.Service = r.every
	r.columns.Own = r.every == "" && r.columns.Above == 0 && r.columns.Sheets <= 1
	for i, header := range l.headers {
		c := l.column(i)
		r.columns.All = append(r.columns.All, c)
		r.columns.Own = r.columns.Own && (header == "" || strings.EqualFold(header, c.Field) || l.ignored(i))
	}
}

// fault is what is wrong with the whole file, in one line or several.
func (r *BillsReader) fault(line int, texts ...string) error {
	if r.columns.Sheets > 1 && line > 0 {
		const which = "sheet %s of %d was read: if another is meant, choose it with %s"
		texts = append([]string{fmt.Sprintf(which, r.columns.Sheet, r.columns.Sheets, r.sheetBy)}, texts...)
	}
	return fileFault(r.name, line, texts...)
}

// headerCells are the cells of rows as a header has them.
func headerCells(ahead []aheadRow, e *encoding) (rows [][]string) {
	for _, row := range ahead {
		if row.err != nil {
			break
		}
		cells := make([]string, len(row.cells))
		for i, c := range row.cells {
			text, fault := e.decode(c.text)
			if fault != "" {
				text = c.text
			}
			cells[i] = strings.Join(strings.Fields(trimOdd(text)), " ")
		}
		rows = append(rows, cells)
	}
	return rows
}

func filled(row []string) bool {
	return slices.ContainsFunc(row, func(s string) bool { return s != "" })
}

// isSeparatorHint reports whether a row is the hint sep=; that Excel writes and
// reads.
func isSeparatorHint(row []string) bool {
	hint, ok := strings.CutPrefix(strings.ToLower(strings.Join(row, "")), "sep=")
	return ok && len(hint) <= 1
}

// likelyDelimiter is the one by which the file has the best header, or the most
// columns where none is known.
func (r *csvRows) likelyDelimiter(choice ColumnChoice) (best byte) {
	front := r.front()
	most, widest := -1, 0
	for _, delim := range []byte{',', ';', '\t', '|'} {
		rows := lookahead{rowSource: newCSVRows(bytes.NewReader(front), delim)}
		cells := headerCells(rows.look(maxAhead), &encoding{})
		score, width := 0, 0
		if _, l := findHeader(cells, choice); l != nil {
			score = l.score()
		}
		if i := slices.IndexFunc(cells, filled); i >= 0 {
			width = len(cells[i])
		}
		if score > most || (score == most && width > widest) {
			best, most, widest = delim, score, width
		}
	}
	return best
}
