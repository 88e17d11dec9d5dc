package importer

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
type rowFault string

func (f rowFault) Error() string { return string(f) }
