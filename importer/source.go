package importer

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"
)

// cell is one value of a row, as its file holds it.
type cell struct {
	text string
	// fault is what the file itself says against the value, with what to do about it,
	// such as of a number that a workbook holds rounded; "" for nothing. It refuses
	// the row, unless the cell is in a column that is left out.
	fault string
}

// rowSource gives the rows of a list one after another: the lines of a CSV file,
// or the rows of a sheet. Whatever reads bills or phones reads them from one, so
// that columns and cells mean the same in every kind of file.
type rowSource interface {
	// next returns the cells of a row, which are valid until the next call, and the
	// line or row that it starts in, from 1. A rowFault costs that row alone, and
	// the next call goes on behind it. After any other error there is nothing more
	// to read; io.EOF is the end.
	next() (cells []cell, line int, err error)
}

// rowFault is what is wrong with a row of which no cell can be read, and what to
// do about it.
type rowFault string //nolint:errname // called as the faults of cells and files are

func (f rowFault) Error() string { return string(f) }

// sourceError is what keeps a whole file from being read, and what to do about it.
type sourceError string

func (e sourceError) Error() string { return "the file " + string(e) }

// openSource tells by its first bytes what kind of file a list is. A sourceError is
// what is wrong with it, any other error what reading met.
func openSource(in io.Reader, choice ColumnChoice) (rowSource, error) {
	b := bufio.NewReader(in)
	start, err := b.Peek(4)
	if err == nil {
		start, err = b.Peek(min(b.Buffered(), 64)) // of what is read already
	}
	switch {
	case err != nil && !errors.Is(err, io.EOF):
		return nil, err
	case isZip(start):
		return newWorkbookRows(b, choice.Sheet)
	case isOLE(start):
		return nil, errOLE
	case bytes.HasPrefix(start, []byte("%PDF")):
		return nil, sourceError("is a PDF, of which the columns cannot be read: ask for the list as .xlsx or as CSV UTF-8")
	case isMarkup(start):
		return nil, sourceError("is a web page or XML, whatever its name says: open it in a spreadsheet, and save it as .xlsx or as CSV UTF-8")
	}
	text, fault, err := decoded(b)
	switch {
	case err != nil:
		return nil, err
	case fault != "":
		return nil, sourceError(fault)
	case choice.Sheet != "":
		return nil, sourceError("is no workbook, and has no sheets: leave out " + choice.flagOrKey("--sheet", "bills_sheet"))
	}
	rows := newCSVRows(text, ',')
	rows.delim = rows.likelyDelimiter(choice)
	return rows, nil
}

// ErrAddress is said where an address stands in the place of a list.
var ErrAddress = errors.New("is a web address, and only files are read: download it first, as .xlsx or as CSV, and name that file")

// IsAddress reports whether the name of a file is a web address.
func IsAddress(name string) bool { return strings.Contains(name, "://") }

// isMarkup reports whether a file begins as HTML or XML does: many programs save a
// table of HTML as .xls, and a link to a sheet may bring the page to log in.
func isMarkup(start []byte) bool {
	text := strings.ToLower(strings.TrimSpace(strings.TrimPrefix(string(start), "\ufeff")))
	return slices.ContainsFunc([]string{"<html", "<!doctype", "<table", "<?xml", "<meta", "<head"}, func(tag string) bool {
		return strings.HasPrefix(text, tag)
	})
}

// lookahead is a source of which the first rows can be looked at before they are
// read: the header of a list need not be its first row.
type lookahead struct {
	rowSource

	ahead []aheadRow
}

type aheadRow struct {
	cells []cell
	line  int
	err   error
}

// look reads on until n rows are known, the source ends or a row cannot be read.
func (l *lookahead) look(n int) []aheadRow {
	for len(l.ahead) < n {
		cells, line, err := l.rowSource.next()
		l.ahead = append(l.ahead, aheadRow{slices.Clone(cells), line, err})
		if err != nil {
			break
		}
	}
	return l.ahead
}

func (l *lookahead) next() (cells []cell, line int, err error) {
	if len(l.ahead) == 0 {
		return l.rowSource.next()
	}
	row := l.ahead[0]
	l.ahead = l.ahead[1:]
	return row.cells, row.line, row.err
}
