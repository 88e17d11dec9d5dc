package importer

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/transform"

	"duewatch/reminder"
)

// BillsReader reads bills from a CSV file, as people and spreadsheets write
// one: in UTF-8 or, with a byte order mark, UTF-16, cells separated by comma,
// semicolon or tab, columns in any order. It holds one row in memory, however
// long the file is.
type BillsReader struct {
	name     string
	rows     *csvRows
	columns  []int // of each cell, its place in csvColumns; or ignored, unnamed
	phones   *reminder.PhoneReader
	policies reminder.Policies
	declared map[identity]bool // under bills: in the config
	service  string            // of the last row: most files have few
}

// BillRow is one row of a CSV file.
type BillRow struct {
	Line     int // in which it starts, from 1
	Bill     reminder.Bill
	Problems []Problem // all that is wrong with it; nil when Bill can be used
}

type csvColumn struct {
	name   string
	kind   cellKind
	needed bool
}

// csvColumns are the columns there are.
var csvColumns = [...]csvColumn{
	{"service", cellNumber, true},
	{"account", cellNumber, true},
	{"phone", cellPhone, true},
	{"description", cellText, false},
	{"language", cellText, false},
}

// CSVHeader are the columns of a file that a BillsReader reads.
func CSVHeader() []string {
	names := make([]string, len(csvColumns))
	for i, c := range csvColumns {
		names[i] = c.name
	}
	return names
}

const (
	ignored = -1 - iota // a column that the operator leaves out
	unnamed             // one without a name, which must be empty
)

// BillOptions say how a file of bills is read, and which bills it may hold.
type BillOptions struct {
	Name     string   // of the file, for problems
	Country  string   // ISO 3166, of phones without a country code
	Ignore   []string // names of columns to leave out
	Policies reminder.Policies
	Declared []reminder.Bill // in the config: the file may not name them too
}

// ReadBills begins to read bills from a CSV file. Columns of the names in
// Ignore are left out; any other that is not known is refused, since a
// misspelt one would be a column lost. The error is a *FileError when the
// first line will not do.
func ReadBills(in io.Reader, o BillOptions) (*BillsReader, error) {
	r := &BillsReader{
		name: o.Name, phones: reminder.NewPhoneReader(o.Country), policies: o.Policies,
		declared: make(map[identity]bool, len(o.Declared)),
	}
	for _, b := range o.Declared {
		r.declared[identity{b.Service, b.Account}] = true
	}
	text, fault, err := decoded(in)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", o.Name, WithoutPath(err))
	}
	if fault == "" {
		r.rows = newCSVRows(text, ',')
		fault, err = r.header(o.Ignore)
	}
	switch {
	case fault != "":
		line := 0
		if r.rows != nil {
			line = max(r.rows.line-1, 1)
		}
		return nil, &FileError{Problem{File: o.Name, Line: line, Text: fault}}
	case err != nil:
		return nil, fmt.Errorf("read %s: %w", o.Name, WithoutPath(err))
	}
	return r, nil
}

// decoded is the file as UTF-8 without a byte order mark.
func decoded(in io.Reader) (text io.Reader, fault string, err error) {
	b := bufio.NewReader(in)
	start, err := b.Peek(4)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, "", err
	}
	const asCSV = "save the sheet as CSV UTF-8"
	switch {
	case bytes.HasPrefix(start, []byte("\xef\xbb\xbf")):
		_, err := b.Discard(3)
		return b, "", err
	case bytes.HasPrefix(start, []byte("\xff\xfe")), bytes.HasPrefix(start, []byte("\xfe\xff")):
		return transform.NewReader(b, unicode.UTF16(unicode.LittleEndian, unicode.UseBOM).NewDecoder()), "", nil
	case bytes.HasPrefix(start, []byte("PK\x03\x04")), len(start) == 4 && binary.BigEndian.Uint32(start) == 0xd0cf11e0:
		return nil, "is a workbook, not a CSV file: " + asCSV, nil
	case bytes.IndexByte(start, 0) >= 0:
		return nil, "is not UTF-8 text: " + asCSV, nil
	}
	return b, "", nil
}

// header finds out how cells are separated, and which column is which.
func (r *BillsReader) header(ignore []string) (fault string, err error) {
	const wanted = "the first line must name the columns, as in service,account,phone,description,language"
	var names []string
	for blank := true; blank; {
		r.rows.delim, err = r.delimiter()
		if errors.Is(err, io.EOF) {
			return "is empty: " + wanted, nil
		}
		if err != nil {
			return "", err
		}
		cells, _, err := r.rows.next()
		if fault, ok := errors.AsType[rowFault](err); ok {
			return string(fault), nil
		}
		if err != nil {
			return "", err
		}
		names = names[:0]
		for _, cell := range cells {
			name := strings.ToLower(trimOdd(cell.text))
			names = append(names, strings.NewReplacer(" ", "_", "-", "_").Replace(name))
			blank = blank && name == ""
		}
		// A hint that Excel writes and reads.
		if hint, ok := strings.CutPrefix(strings.Join(names, ""), "sep="); ok && len(hint) <= 1 {
			blank = true
		}
	}
	return r.nameColumns(names, ignore, wanted), nil
}

// delimiter is the one that tells most columns of the row at the front apart.
func (r *BillsReader) delimiter() (best byte, err error) {
	most := -1
	for _, delim := range []byte{',', ';', '\t'} {
		r.rows.delim = delim
		_, _, fault, err := r.rows.splitFront()
		if err != nil {
			return 0, err
		}
		known := 0
		for _, cell := range r.rows.cells {
			if fault == "" && columnOf(strings.ToLower(trimOdd(string(cell)))) >= 0 {
				known++
			}
		}
		if known > most {
			best, most = delim, known
		}
	}
	return best, nil
}

func columnOf(name string) int {
	return slices.IndexFunc(csvColumns[:], func(c csvColumn) bool { return c.name == name })
}

func (r *BillsReader) nameColumns(names, ignore []string, wanted string) (fault string) {
	var unknown []string
	known := false
	for i, name := range names {
		column := columnOf(name)
		switch {
		case name == "":
			column = unnamed
		case slices.ContainsFunc(ignore, func(s string) bool { return strings.EqualFold(strings.TrimSpace(s), name) }):
			column = ignored
		case column < 0:
			unknown = append(unknown, fmt.Sprintf("%s (column %d)", ShownName(name), i+1))
		case slices.Contains(r.columns, column):
			return fmt.Sprintf("has two columns %s: keep one", name)
		default:
			known = true
		}
		r.columns = append(r.columns, column)
	}
	if !known {
		return "names no column that is known: " + wanted
	}
	if unknown != nil {
		return fmt.Sprintf("has columns that are not known: %s; the known ones are %s", strings.Join(unknown, ", "), strings.Join(CSVHeader(), ", "))
	}
	for i, c := range csvColumns {
		if c.needed && !slices.Contains(r.columns, i) {
			return fmt.Sprintf("has no column %s: %s", c.name, wanted)
		}
	}
	return ""
}

// Next reads one row, passing over empty ones. The error is io.EOF at the end,
// or what kept it from reading on.
func (r *BillsReader) Next() (BillRow, error) {
	for {
		cells, line, err := r.rows.next()
		row := BillRow{Line: line}
		if fault, ok := errors.AsType[rowFault](err); ok {
			row.bad(r.name, "", string(fault))
			return row, nil
		}
		switch {
		case errors.Is(err, io.EOF):
			return BillRow{}, io.EOF
		case err != nil:
			return BillRow{}, fmt.Errorf("read %s, from line %d: %w", r.name, r.rows.line, WithoutPath(err))
		}
		if !slices.ContainsFunc(cells, func(c cell) bool { return trimOdd(c.text) != "" }) {
			continue
		}
		r.read(cells, &row)
		return row, nil
	}
}

// bad notes what is wrong with a column of the row.
func (row *BillRow) bad(file, column, fault string) {
	if fault != "" {
		row.Problems = append(row.Problems, Problem{File: file, Line: row.Line, Key: column, Text: fault})
	}
}

// read makes a bill of the cells and notes every fault of them.
func (r *BillsReader) read(cells []cell, row *BillRow) {
	var values [len(csvColumns)]string
	var faulty [len(csvColumns)]bool
	for i, cell := range cells {
		column := unnamed
		if i < len(r.columns) {
			column = r.columns[i]
		}
		switch column {
		case ignored:
		case unnamed:
			if trimOdd(cell.text) != "" {
				row.bad(r.name, "", fmt.Sprintf("has something in column %d, which has no name: put a text that holds the separator in quotation marks", i+1))
			}
		default:
			var fault string
			if column == 0 && cell.text == r.service {
				values[0] = r.service
				continue
			}
			values[column], fault = cleanCell(cell.text, csvColumns[column].kind) //nolint:gosec // column is a place in csvColumns, of which there are as many
			row.bad(r.name, csvColumns[column].name, fault)
			faulty[column] = fault != "" //nolint:gosec // the same
		}
	}
	check := func(column int, do func(s string) (fault string)) {
		if !faulty[column] {
			row.bad(r.name, csvColumns[column].name, do(values[column]))
		}
	}
	b := &row.Bill
	b.Service, b.Account, b.Description, b.Language = values[0], values[1], values[3], values[4]
	if values[0] == "" || values[0] != r.service {
		check(0, func(s string) string { return cmp.Or(LabelFault(s, MaxID, true), ServiceFault(r.policies, s)) })
	}
	check(1, func(s string) string { return LabelFault(s, MaxID, true) })
	check(2, func(s string) string { return r.phone(s, &b.Phone) })
	check(3, func(s string) string { return LabelFault(s, MaxDescription, false) })
	check(4, func(s string) string { return LanguageFault(r.policies, b.Service, s, ShownName(s)) })
	if r.declared[identity{b.Service, b.Account}] {
		row.bad(r.name, "account", "this bill is declared under bills: in the config: take it out in one of the two")
	}
	if row.Problems == nil {
		r.service = b.Service
	}
}

func (r *BillsReader) phone(s string, to *reminder.Phone) (fault string) {
	if s == "" {
		return NeedsPhone
	}
	p, err := r.phones.Parse(s)
	if err != nil {
		return err.Error()
	}
	*to = p
	return ""
}
