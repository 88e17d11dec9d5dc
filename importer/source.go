package importer

import (
	"bufio"
	"errors"
	"io"
	"slices"
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
	switch {
	case err != nil && !errors.Is(err, io.EOF):
		return nil, err
	case isZip(start):
		return newWorkbookRows(b, choice.Sheet)
	case isOLE(start):
		return nil, errOLE
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
