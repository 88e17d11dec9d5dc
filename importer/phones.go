package importer

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
)

// PhoneRow is one row of a list of phones.
type PhoneRow struct {
	Line    int    // in which it starts, from 1
	Phone   string // as it is written, without words beside it
	Service string // "" for every one
	Fault   string // what is wrong with the row, with what to do about it; "" for nothing
}

// PhonesReader reads a list of phones as people and spreadsheets write one: one a
// line, or followed by a service id; or a table in which a header, or the operator,
// says which column holds the phones and which the services. Other columns of a
// table do not matter. Empty lines are passed over, and so are those of a text that
// begin with #.
type PhonesReader struct {
	name    string
	rows    lookahead
	columns Columns
	fields  []field // of each column; nil for a plain list
	cells   cleaner
}

// ReadPhones begins to read a list of phones. Its choice may name columns for phone
// and service, or the service of every row. The error is a *FileError when the file
// will not do.
func ReadPhones(in io.Reader, name string, choice ColumnChoice) (*PhonesReader, error) {
	r := &PhonesReader{name: name}
	source, err := openSource(in, choice)
	if fault, ok := errors.AsType[sourceError](err); ok {
		return nil, fileFault(name, 0, string(fault))
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, WithoutPath(err))
	}
	var ahead []aheadRow
	switch source := source.(type) {
	case *csvRows: // looked at in a copy, since a plain list is separated otherwise
		front := newCSVRows(bytes.NewReader(source.front()), source.delim)
		ahead = (&lookahead{rowSource: &phoneLines{front, true}}).look(maxAhead)
		r.rows.rowSource = &phoneLines{csvRows: source}
	case *workbookRows:
		r.columns.Sheet, r.columns.Sheets = source.sheet, source.sheets
		r.rows.rowSource = source
		ahead = r.rows.look(maxAhead)
	}
	if err := r.header(ahead, choice); err != nil {
		return nil, err
	}
	return r, nil
}

// Columns are what the columns of the file were taken for.
func (r *PhonesReader) Columns() Columns { return r.columns }

// header finds the row that names the columns, if there is one.
func (r *PhonesReader) header(ahead []aheadRow, choice ColumnChoice) error {
	for _, name := range []field{account, description, language} {
		if _, chosen := choice.Of[fields[name].name]; chosen {
			return fileFault(r.name, 0, "is a list of phones: choose columns for phone and service alone")
		}
	}
	rows := headerCells(ahead, &r.cells.encoding)
	at, l := findHeader(rows, choice)
	named := at >= 0 && (l.of(phone) != nil || l.rivals[phone] != nil) && !slices.ContainsFunc(rows[:at+1], hasPhone)
	switch first := slices.IndexFunc(rows, filled); {
	case named:
	case first < 0 || len(choice.Of) == 0:
		return nil
	case hasPhone(rows[first]):
		at, l = first-1, lay(make([]string, len(rows[first])), choice)
	default:
		at, l = first, lay(rows[first], choice)
	}
	l.settle(rows[at+1:])
	faults := l.faults
	if rivals := l.rivals[phone]; rivals != nil {
		faults = append(faults, fmt.Sprintf("has %d columns that may be the phone, %s: choose one, as in --columns phone=%s; "+
			"import the list once for each to add both", len(rivals), l.list(rivals), strconv.Itoa(rivals[0]+1)))
	}
	if faults != nil {
		return fileFault(r.name, ahead[max(at, 0)].line, faults...)
	}
	r.fields = l.fields
	for i := range l.headers {
		if f := r.fields[i]; f != phone && f != service {
			r.fields[i] = leftOut
		}
		r.columns.All = append(r.columns.All, l.column(i))
	}
	if lines, ok := r.rows.rowSource.(*phoneLines); ok {
		lines.fixed = true
	}
	r.rows.look(at + 1)
	r.rows.ahead = r.rows.ahead[at+1:]
	return nil
}

func hasPhone(row []string) bool { return slices.ContainsFunc(row, looksLikePhone) }

// Next reads one row, passing over empty ones. The error is io.EOF at the end, or
// what kept the list from being read on.
func (r *PhonesReader) Next() (PhoneRow, error) {
	for {
		cells, line, err := r.rows.next()
		row := PhoneRow{Line: line}
		if fault, ok := errors.AsType[rowFault](err); ok {
			row.Fault = string(fault)
			return row, nil
		}
		switch {
		case errors.Is(err, io.EOF):
			return row, io.EOF
		case err != nil:
			return row, fmt.Errorf("read %s, from line %d: %w", r.name, line, WithoutPath(err))
		}
		if !slices.ContainsFunc(cells, func(c cell) bool { return trimOdd(c.text) != "" }) {
			continue
		}
		r.read(cells, &row)
		switch empty := row.Phone == "" && row.Service == "" && row.Fault == ""; {
		case empty && r.fields == nil:
			continue // an apostrophe, or a space in Windows-1252
		case empty:
			row.Fault = "has no phone: write one, or leave the row out"
		}
		return row, nil
	}
}

// read finds the phone and the service among the cells.
func (r *PhonesReader) read(cells []cell, row *PhoneRow) {
	plain := []field{phone, service}
	for i, c := range cells {
		f := leftOut
		switch {
		case r.fields == nil && i < len(plain):
			f = plain[i]
		case r.fields == nil && trimOdd(c.text) != "":
			row.Fault = "has more than a phone and a service id: remove the rest, or name the columns in the first line"
		case i < len(r.fields):
			f = r.fields[i]
		}
		if f == leftOut {
			continue
		}
		value, fault := "", c.fault
		if fault == "" {
			value, fault = r.cells.clean(c.text, fields[f].kind)
		}
		switch {
		case fault != "" && row.Fault == "":
			row.Fault = "the " + fields[f].name + " " + fault
		case f == phone:
			row.Phone = value
			if number, _ := numberAmongWords(value); number != "" {
				row.Phone = number
			}
		case f == service:
			row.Service = value
		}
	}
}

// phoneLines are the rows of a text. Lines that begin with # are passed over,
// whatever they say. Of a plain list each row has separators of its own.
type phoneLines struct {
	*csvRows

	fixed bool // the separator is that of the header
}

func (r *phoneLines) next() (cells []cell, line int, err error) {
	for {
		if err := r.separate(); err != nil {
			return nil, r.line, err
		}
		if r.buf[r.start] != '#' {
			return r.csvRows.next()
		}
		r.line++
		if err := r.dropLine(); err != nil {
			return nil, r.line, err
		}
	}
}

// separate finds out how the cells of the row at the front are separated.
func (r *phoneLines) separate() error {
	if r.fixed {
		_, _, _, err := r.splitFront()
		return err
	}
	for _, r.delim = range []byte{';', '\t', ','} {
		if _, _, _, err := r.splitFront(); err != nil {
			return err
		}
		if len(r.cells) > 1 {
			return nil
		}
	}
	return nil
}

// fileFault is what is wrong with a whole file, in one line or several.
func fileFault(name string, line int, texts ...string) error {
	e := &FileError{}
	for _, text := range texts {
		e.Problems = append(e.Problems, Problem{File: name, Line: line, Text: text})
	}
	return e
}
