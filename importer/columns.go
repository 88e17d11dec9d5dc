package importer

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// ColumnChoice is what the operator says of the columns of a file whose own
// header does not say it.
type ColumnChoice struct {
	Of      map[string]string // by field: the header as it is written, or the number of the column, from 1
	Service string            // of every row, for a file without that column; "" for none
	Ignore  []string          // headers or numbers of columns to leave out
	Sheet   string            // of a workbook, by its name or its number, from 1; "" for the first that is not hidden
	// AsWritten says that accounts and phones stand as the biller wrote them, also
	// those that look like a date, an amount or a number for nobody.
	AsWritten bool
	// DryRun says that nothing is to be written, by the command that is proposed either.
	DryRun bool
	// InConfig says that the choice is made by keys of the config and not by flags,
	// so that a message can say what to write.
	InConfig bool
}

// flagOrKey is where the operator writes something.
func (c ColumnChoice) flagOrKey(flag, key string) string {
	if c.InConfig {
		return key
	}
	return flag
}

// Column is what one column of a file was taken for.
type Column struct {
	Number int    // from 1
	Header string // as it is written
	Field  string // service, account, phone, description or language; "" when it is left out
}

func (c Column) String() string {
	if c.Header == "" {
		return fmt.Sprintf("column %d", c.Number)
	}
	return fmt.Sprintf("%s (column %d)", shownHeader(c.Header), c.Number)
}

// Columns say how a file was read, for whoever has to see that it was read rightly.
type Columns struct {
	All     []Column
	Service string // of every row; "" when a column has it
	Sheet   string // of a workbook that was read, as it may be shown; "" for a CSV file
	Sheets  int    // that the workbook has
	Above   int    // rows above the header that were passed over, such as a title
	// Own is whether the header has the names that we write, and no others, and there
	// is one sheet at most, so that there is nothing to be said.
	Own bool
}

// String is one line: which column is which, and which are left out.
func (c Columns) String() string {
	var taken, left []string
	if c.Sheets > 1 {
		taken = append(taken, fmt.Sprintf("sheet %s of %d", c.Sheet, c.Sheets))
	}
	for _, f := range fields {
		for _, column := range c.All {
			if column.Field == f.name {
				taken = append(taken, f.name+" from "+column.String())
			}
		}
		if f.name == fields[service].name && c.Service != "" {
			taken = append(taken, "service "+c.Service+" for every row")
		}
	}
	for _, column := range c.All {
		if column.Field == "" && column.Header != "" {
			left = append(left, shownHeader(column.Header))
		}
	}
	const most = 12
	if n := len(left); n > most {
		left = append(left[:most:most], fmt.Sprintf("%d more", n-most))
	}
	s := strings.Join(taken, ", ")
	if left != nil {
		s += "; left out: " + strings.Join(left, ", ")
	}
	return s
}

// shownHeader is a header as it is written, for a message; without a header the
// first row of a list may be a customer's number.
func shownHeader(header string) string {
	digits := 0
	for _, c := range header {
		if unicode.IsDigit(c) {
			digits++
		}
	}
	if digits > 4 || utf8.RuneCountInString(header) > 40 || strings.ContainsFunc(header, func(c rune) bool { return !unicode.IsPrint(c) }) {
		return "(not a name)"
	}
	return strconv.Quote(header)
}

// layout is which column holds what.
type layout struct {
	choice  ColumnChoice
	headers []string
	fields  []field // of each column
	chosen  [fieldCount]bool
	numbers [fieldCount]bool // chosen by the number of its column
	faulty  [fieldCount]bool // by what stands in faults
	faults  []string
	rivals  [fieldCount][]int // columns of which each may be the field
	twins   []twin
}

// lay finds out what the columns of a header are.
func lay(headers []string, choice ColumnChoice) *layout {
	l := &layout{choice: choice, headers: headers, fields: make([]field, len(headers))}
	for i, header := range headers {
		l.fields[i] = unknown
		if header == "" {
			l.fields[i] = unnamed
		}
	}
	for _, name := range choice.Ignore {
		for _, i := range l.written(name) {
			l.fields[i] = leftOut
		}
	}
	l.choose()
	l.recognise()
	return l
}

// written finds the columns that a header or a number names: a header exactly as
// it stands first, then one that differs in case, spaces or punctuation, and a
// number last, since it may be a header too.
func (l *layout) written(name string) (columns []int) {
	name = trimOdd(name)
	for _, same := range []func(header string) bool{
		func(header string) bool { return header == name },
		func(header string) bool { return plainHeader(header) == plainHeader(name) && plainHeader(name) != "" },
	} {
		for i, header := range l.headers {
			if header != "" && same(header) {
				columns = append(columns, i)
			}
		}
		if columns != nil {
			return columns
		}
	}
	if n, err := strconv.Atoi(name); err == nil && n >= 1 && n <= len(l.headers) {
		return []int{n - 1}
	}
	return nil
}

// plainHeader is a header without what people write in different ways.
func plainHeader(header string) string {
	return strings.Map(func(c rune) rune {
		if unicode.IsLetter(c) || unicode.IsDigit(c) || c == '#' {
			return unicode.ToLower(c)
		}
		return -1
	}, header)
}

// choose gives the columns that the operator names their fields.
func (l *layout) choose() {
	for i, f := range fields {
		name, chosen := l.choice.Of[f.name]
		if !chosen {
			continue
		}
		l.chosen[i] = true
		switch found := l.written(name); {
		case len(found) == 0:
			l.fault(field(i), "has no column %s, which is chosen for %s", shownHeader(name), f.name)
		case len(found) > 1:
			l.fault(field(i), "has %d columns %s: choose one for %s by its number", len(found), shownHeader(name), f.name)
		case l.fields[found[0]] >= 0:
			other := fields[l.fields[found[0]]].name
			l.fault(field(i), "has one column %s, which is chosen for %s and for %s", shownHeader(name), other, f.name)
		default:
			l.fields[found[0]] = field(i)
			_, err := strconv.Atoi(trimOdd(name))
			l.numbers[i] = err == nil && l.headers[found[0]] != trimOdd(name)
		}
	}
}

// recognise gives the other columns the fields that their headers stand for.
func (l *layout) recognise() {
	known := make([][]candidate, len(l.headers))
	for i, header := range l.headers {
		if l.fields[i] == unknown {
			known[i] = meanings(header)
		}
	}
	own := l.ownHeaders()
	for f := range field(fieldCount) {
		if l.chosen[f] || slices.Contains(l.fields, f) {
			continue
		}
		var best []int
		rank := 0
		for i := range l.headers {
			if l.fields[i] != unknown {
				continue
			}
			for _, c := range known[i] {
				if own && l.headers[i] == fields[f].name {
					c.rank = ownRank
				}
				switch {
				case c.field != f:
				case best == nil || c.rank < rank:
					best, rank = []int{i}, c.rank
				case c.rank == rank:
					best = append(best, i)
				}
			}
		}
		switch {
		case len(best) == 1:
			l.fields[best[0]] = f
		case len(best) > 1 && fields[f].needed:
			l.rivals[f] = best
		}
	}
	for i := range l.headers {
		if l.fields[i] == unknown && known[i] != nil {
			l.fields[i] = leftOut
		}
	}
}

// ownHeaders reports whether the header has service, account and phone once each,
// just as export writes them: they mean themselves, whatever stands beside them.
func (l *layout) ownHeaders() bool {
	for _, f := range fields {
		n := 0
		for _, header := range l.headers {
			if header == f.name {
				n++
			}
		}
		if n > 1 || (n == 0 && f.needed) {
			return false
		}
	}
	return true
}

// ignored reports whether the operator leaves the column out.
func (l *layout) ignored(i int) bool {
	return slices.ContainsFunc(l.choice.Ignore, func(name string) bool { return slices.Contains(l.written(name), i) })
}

// mayBe are the fields that a column is not taken for while others may be them too.
func (l *layout) mayBe(i int) string {
	var names []string
	for _, c := range meanings(l.headers[i]) {
		if c.field >= 0 && fields[c.field].needed && l.of(c.field) == nil {
			names = append(names, fields[c.field].name)
		}
	}
	return strings.Join(names, " or ")
}

// fault notes what is wrong with the columns for a field.
func (l *layout) fault(f field, format string, args ...any) {
	l.faulty[f] = true
	l.faults = append(l.faults, fmt.Sprintf(format, args...))
}

// list is "Phone" (column 3) and its like.
func (l *layout) list(columns []int) string {
	var all []string
	for _, i := range columns {
		all = append(all, l.column(i).String())
	}
	return strings.Join(all, ", ")
}

func (l *layout) column(i int) Column {
	c := Column{Number: i + 1, Header: l.headers[i]}
	if f := l.fields[i]; f >= 0 {
		c.Field = fields[f].name
	}
	return c
}

// of are the columns that are that.
func (l *layout) of(f field) (columns []int) {
	for i := range l.fields {
		if l.fields[i] == f {
			columns = append(columns, i)
		}
	}
	return columns
}

// score is how much a row looks like a header: a field counts more than a column
// that is known for something else, and a column that is named by its number says
// nothing, since every row has it.
func (l *layout) score() (score int) {
	for f := range field(fieldCount) {
		if (l.of(f) != nil || l.rivals[f] != nil) && !l.numbers[f] {
			score += wholeField
		}
	}
	for i, header := range l.headers {
		if l.fields[i] == leftOut || (l.fields[i] == unknown && meanings(header) != nil) {
			score++
		}
	}
	return score
}

const wholeField = 100

// check says what keeps the file from being read by this layout.
func (l *layout) check() []string {
	faults := l.faults
	for i, f := range fields {
		if rivals := l.rivals[i]; rivals != nil {
			faults = append(faults, fmt.Sprintf("has %d columns that may be the %s, %s: choose one", len(rivals), f.name, l.list(rivals)))
			continue
		}
		has := l.of(field(i)) != nil
		if field(i) == service && l.choice.Service != "" {
			if has {
				column := l.list(l.of(service))
				faults = append(faults, "has a column for service, "+column+": leave it out, or give no service for every row")
			}
			continue
		}
		if f.needed && !has && !l.faulty[i] {
			faults = append(faults, "has no column that is known as "+f.name)
		}
	}
	open := slices.ContainsFunc(l.rivals[:], func(rivals []int) bool { return rivals != nil })
	if columns := l.of(unknown); columns != nil && l.faults == nil && !open {
		faults = append(faults, "has columns that are not known: "+l.list(columns))
	}
	return faults
}

// byNumber reports whether the choice names all columns that are needed by their
// number, so that a file needs no header.
func (c ColumnChoice) byNumber() bool {
	for i, f := range fields {
		_, err := strconv.Atoi(cmp.Or(c.Of[f.name], "none"))
		if f.needed && err != nil && (field(i) != service || c.Service == "") {
			return false
		}
	}
	return true
}
