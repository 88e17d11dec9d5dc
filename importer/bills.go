package importer

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"duewatch/reminder"
)

// BillsReader reads bills from a list, as people and spreadsheets write one: its
// columns in any order and under many names, below a title or not. It holds a few
// rows in memory, however long the list is; of a workbook the file and its texts too.
type BillsReader struct {
	name     string
	rows     lookahead
	columns  Columns
	fields   []field // of each column
	phones   *reminder.PhoneReader
	policies reminder.Policies
	declared map[identity]bool // under bills: in the config
	services serviceNames
	sheetBy  string // what chooses the sheet, for messages
	every    string // service of every row, "" when a column has it
	service  string // of the last row: most files have few
	twins    []twin
	standing []standing
	cells    cleaner
	notes    Notes
}

// BillRow is one row of a list.
type BillRow struct {
	Line     int // in which it starts, from 1
	Bill     reminder.Bill
	Problems []Problem // all that is wrong with it; nil when Bill can be used
}

// BillOptions say how a list of bills is read, and which bills it may hold.
type BillOptions struct {
	Name     string // of the file, for problems
	Phones   *reminder.PhoneReader
	Columns  ColumnChoice
	Policies reminder.Policies
	Declared []reminder.Bill // in the config: the file may not name them too
}

// ReadBills begins to read bills from a file. A column that is not known is
// refused, since a misspelt one would be a column lost. The error is a *FileError
// when the columns will not do.
func ReadBills(in io.Reader, o BillOptions) (*BillsReader, error) {
	r := &BillsReader{
		name: o.Name, phones: o.Phones, policies: o.Policies, services: namesOf(o.Policies),
		declared: make(map[identity]bool, len(o.Declared)), every: o.Columns.Service, cells: cleaner{asWritten: o.Columns.AsWritten},
		sheetBy: o.Columns.flagOrKey("--sheet", "bills_sheet"),
	}
	for _, b := range o.Declared {
		r.declared[identity{b.Service, b.Account}] = true
	}
	source, err := openSource(in, o.Columns)
	if fault, ok := errors.AsType[sourceError](err); ok {
		return nil, r.fault(0, string(fault))
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", o.Name, WithoutPath(err))
	}
	r.rows.rowSource = source
	if book, ok := source.(*workbookRows); ok {
		r.columns.Sheet, r.columns.Sheets = book.sheet, book.sheets
	}
	if err := r.header(o.Columns); err != nil {
		return nil, err
	}
	return r, nil
}

// Columns are what the columns of the file were taken for.
func (r *BillsReader) Columns() Columns { return r.columns }

// Notes are of the rows so far.
func (r *BillsReader) Notes() Notes { return r.notes }

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
			return BillRow{}, fmt.Errorf("read %s, from line %d: %w", r.name, line, WithoutPath(err))
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
	var values [fieldCount]string
	var faulty [fieldCount]bool
	values[service] = r.every
	r.cells.mended = 0
	for i, c := range cells {
		f := unnamed
		if i < len(r.fields) {
			f = r.fields[i]
		}
		switch {
		case f == leftOut:
		case f == unnamed:
			if trimOdd(c.text) != "" {
				row.bad(r.name, "", fmt.Sprintf(
					"has something in column %d, which has no name: put a text that holds the separator in quotation marks", i+1))
			}
		case f == service && c.text == r.service && c.fault == "":
			values[service] = r.service
		default:
			fault := c.fault
			if fault == "" {
				values[f], fault = r.value(c.text, f) //nolint:gosec // a field, of which there are as many
			}
			row.bad(r.name, fields[f].name, fault)
			faulty[f] = fault != "" //nolint:gosec // the same
		}
	}
	r.refuseDifferentTwins(cells, row)
	if values[phone] == "" && !faulty[phone] {
		switch filled := countFilled(cells); {
		case values[account] == "" && !faulty[account]:
			row.Problems = nil
			row.bad(r.name, "", "has no account and no phone, as a title or a total has none: leave the row out")
			return
		case filled == 1 && !faulty[account]:
			row.Problems = nil
			row.bad(r.name, "", "has one cell alone, as a title has: leave the row out")
			return
		case faulty[account] && row.isNoBill():
			return // a total needs no phone
		}
	}
	r.check(values, faulty, row)
	if row.Problems == nil {
		r.countGone(cells)
	}
}

func countFilled(cells []cell) (n int) {
	for _, c := range cells {
		if trimOdd(c.text) != "" {
			n++
		}
	}
	return n
}

// isNoBill reports whether the account of the row is a word where one should be.
func (row *BillRow) isNoBill() bool {
	return slices.ContainsFunc(row.Problems, func(p Problem) bool {
		return p.Key == fields[account].name && isWord(p.Text)
	})
}

// value cleans a cell of a column.
func (r *BillsReader) value(text string, f field) (value, fault string) {
	if f == service {
		if id := r.services.id(text); id != "" {
			r.cells.mended |= mendedServiceName
			return id, ""
		}
	}
	return r.cells.clean(text, fields[f].kind)
}

// check makes a bill of the values that are not faulty.
func (r *BillsReader) check(values [fieldCount]string, faulty [fieldCount]bool, row *BillRow) {
	check := func(f field, do func(s string) (fault string)) {
		if !faulty[f] {
			row.bad(r.name, fields[f].name, do(values[f]))
		}
	}
	b := &row.Bill
	b.Service, b.Account, b.Description = values[service], values[account], values[description]
	if b.Service == "" || b.Service != r.service {
		check(service, func(s string) string { return cmp.Or(IDFault(s, true), r.services.fault(s)) })
	}
	check(account, func(s string) string { return IDFault(s, true) })
	in := reminder.KnownRange
	check(phone, func(s string) (fault string) {
		b.Phone, in, fault = r.phone(s)
		return fault
	})
	check(description, func(s string) string { return LabelFault(s, MaxDescription, false) })
	check(language, func(s string) (fault string) {
		b.Language, fault = r.language(b.Service, s)
		return fault
	})
	if r.declared[identity{b.Service, b.Account}] {
		row.bad(r.name, fields[account].name, "this bill is declared under bills: in the config: take it out in one of the two")
	}
	if row.Problems == nil {
		r.service = b.Service
		r.notes.mended(r.cells.mended)
		r.notes.CountPhone(r.phones, b.Phone, in)
	}
}

func (r *BillsReader) phone(s string) (p reminder.Phone, in reminder.PhoneRange, fault string) {
	if !strings.ContainsAny(s, "0123456789") { // also of N/A and its like
		return "", in, NeedsPhone
	}
	p, in, err := r.phones.Read(s)
	if err != nil {
		number, words := numberAmongWords(s)
		if strings.Contains(s, "**") {
			return "", in, "is masked: write all of its digits"
		}
		if number == "" {
			return "", in, err.Error()
		}
		if speakAgainst(words) {
			return "", in, "has words beside it that may speak against the number: write the number alone, or leave the row out"
		}
		if p, in, err = r.phones.Read(number); err != nil {
			return "", in, err.Error()
		}
		r.cells.mended |= mendedPhoneWords
	}
	if !r.cells.asWritten && isPlaceholder(p) {
		return "", in, "is a number that people write where they have none, such as 07 with zeros behind it: " +
			"write the customer's, or leave the row out"
	}
	return p, in, ""
}

// language is the language that a cell means: a code as the templates have it, one
// with its country, as in en_US, or its name.
func (r *BillsReader) language(service, s string) (language, fault string) {
	fault = LanguageFault(r.policies, service, s, ShownName(s))
	if fault == "" {
		return s, ""
	}
	code, _, _ := strings.Cut(strings.ReplaceAll(s, "_", "-"), "-")
	if named, ok := languageNames[code]; ok {
		code = named
	}
	if LanguageFault(r.policies, service, code, "") != "" {
		return "", fault
	}
	r.cells.mended |= mendedLanguage
	return code, ""
}
