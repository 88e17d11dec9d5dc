package importer

import (
	"bytes"
	"errors"
	"fmt"
	"io"
)

// maxCSVRow is the longest row that is read, in bytes; it bounds the memory of
// a reader. A row seems longer when a quotation mark is never closed.
const maxCSVRow = 64 << 10

// csvRows splits a text into rows of cells, reading on as it goes. Rows end
// with LF, CRLF or CR; a cell in quotation marks may hold any of them. A fault
// costs the one line it is in: encoding/csv would read on from an open
// quotation mark to the end of the file, holding all of it.
type csvRows struct {
	in    io.Reader
	delim byte
	line  int // of the next row, from 1

	buf         []byte
	start, stop int // what is read and not yet taken
	ended       bool
	err         error    // what ended reading
	cells       [][]byte // of the row last split
	plain       []byte   // those of its cells that needed rewriting
	text        []byte   // of all its cells
	texts       []cell   // its cells, for whoever asked for them
}

func newCSVRows(in io.Reader, delim byte) *csvRows {
	return &csvRows{in: in, delim: delim, line: 1, buf: make([]byte, 2*maxCSVRow)}
}

// next is that of a rowSource. The cells of a row are parts of one string: a string
// for each would be most of what reading a row allocates.
func (r *csvRows) next() (cells []cell, line int, err error) {
	size, lines, fault, err := r.splitFront()
	if err != nil {
		return nil, r.line, err
	}
	line = r.line
	if fault != "" {
		r.line++
		if err := r.dropLine(); err != nil {
			return nil, line, err
		}
		return nil, line, rowFault(fault)
	}
	r.text, r.texts = r.text[:0], r.texts[:0]
	for _, raw := range r.cells {
		r.text = append(r.text, raw...)
	}
	row := string(r.text)
	for _, raw := range r.cells {
		r.texts = append(r.texts, cell{text: row[:len(raw)]})
		row = row[len(raw):]
	}
	r.start += size
	r.line += lines
	return r.texts, line, nil
}

// splitFront splits the row at the front without taking it.
func (r *csvRows) splitFront() (size, lines int, fault string, err error) {
	for {
		if data := r.buf[r.start:r.stop]; len(data) > 0 {
			size, lines, fault := r.split(data)
			switch {
			case size > 0 || fault != "":
				return size, lines, fault, nil
			case r.ended:
				return 0, 0, `has a quotation mark (") that is never closed: close it, or double it where it belongs to the text`, nil
			case len(data) >= maxCSVRow:
				return 0, 0, fmt.Sprintf(`is longer than %d KiB, as when a quotation mark (") is never closed: close it`, maxCSVRow>>10), nil
			}
		} else if r.ended {
			return 0, 0, "", io.EOF
		}
		if err := r.fill(); err != nil {
			return 0, 0, "", err
		}
	}
}

// front is the beginning of what was not taken yet, as far as a longest row goes.
func (r *csvRows) front() []byte {
	for r.stop-r.start < maxCSVRow && !r.ended && r.fill() == nil { // an error waits for whoever reads that far
	}
	return r.buf[r.start:r.stop]
}

// fill reads on. An error comes after what was read before it.
func (r *csvRows) fill() error {
	r.stop = copy(r.buf, r.buf[r.start:r.stop])
	r.start = 0
	for range 100 {
		if r.err != nil {
			return r.err
		}
		n, err := r.in.Read(r.buf[r.stop:])
		r.stop += n
		switch {
		case errors.Is(err, io.EOF):
			r.ended = true
			return nil
		case err != nil && n == 0:
			r.err = err
		case n > 0:
			r.err = err
			return nil
		}
	}
	return io.ErrNoProgress
}

// dropLine takes what remains of the line at the front, however long it is.
func (r *csvRows) dropLine() error {
	for {
		data := r.buf[r.start:r.stop]
		i := bytes.IndexAny(data, "\r\n")
		if i < 0 {
			i = len(data)
		}
		r.start += i
		if size := lineEnd(data[i:], r.ended); size > 0 {
			r.start += size
			return nil
		}
		if r.ended {
			return nil
		}
		if err := r.fill(); err != nil {
			return err
		}
	}
}

// lineEnd is the size of the line end at the front; 0 when there is none, or
// when only more data can tell.
func lineEnd(data []byte, ended bool) int {
	switch {
	case len(data) == 0:
		return 0
	case data[0] == '\n':
		return 1
	case data[0] != '\r':
		return 0
	case len(data) > 1 && data[1] == '\n':
		return 2
	case len(data) > 1 || ended:
		return 1
	default:
		return 0
	}
}

// split finds the cells of the row at the front. size 0 without a fault means
// that the data ends before the row does.
func (r *csvRows) split(data []byte) (size, lines int, fault string) {
	r.cells, r.plain = r.cells[:0], r.plain[:0]
	lines = 1
	for i := 0; ; {
		var cell []byte
		open := i
		for open < len(data) && r.blank(data[open]) {
			open++
		}
		if open < len(data) && data[open] == '"' {
			end := r.quoted(data, open+1)
			if end < 0 {
				return 0, 0, ""
			}
			cell = r.unquote(data[open+1 : end])
			lines += lineEnds(data[open+1 : end])
			for i = end + 1; i < len(data) && r.blank(data[i]); i++ {
			}
		} else {
			end := i
			for end < len(data) && data[end] != r.delim && data[end] != '\n' && data[end] != '\r' {
				end++
			}
			cell, i = data[i:end], end
		}
		r.cells = append(r.cells, cell)
		switch {
		case i < len(data) && data[i] == r.delim:
			i++
		case i == len(data) && r.ended:
			return i, lines, ""
		default:
			if n := lineEnd(data[i:], r.ended); n > 0 {
				return i + n, lines, ""
			}
			if i == len(data) || data[i] == '\r' {
				return 0, 0, ""
			}
			return 0, 0, fmt.Sprintf("has text behind the quotation mark that closes column %d: "+
				`double each quotation mark (") that belongs to the text`, len(r.cells))
		}
	}
}

func (r *csvRows) blank(c byte) bool { return c == ' ' || (c == '\t' && r.delim != '\t') }

// quoted is where the quotation mark stands that closes a cell, -1 when the
// data ends before it is clear.
func (r *csvRows) quoted(data []byte, from int) int {
	for i := from; ; i += 2 {
		n := bytes.IndexByte(data[i:], '"')
		if n < 0 {
			return -1
		}
		i += n
		if i+1 == len(data) && !r.ended {
			return -1
		}
		if i+1 == len(data) || data[i+1] != '"' {
			return i
		}
	}
}

// unquote makes doubled quotation marks single.
func (r *csvRows) unquote(cell []byte) []byte {
	if bytes.IndexByte(cell, '"') < 0 {
		return cell
	}
	from := len(r.plain)
	for i := 0; i < len(cell); i++ {
		r.plain = append(r.plain, cell[i])
		if cell[i] == '"' {
			i++
		}
	}
	return r.plain[from:]
}

// lineEnds counts the line ends in a cell.
func lineEnds(cell []byte) (n int) {
	n = bytes.Count(cell, []byte("\n"))
	for i, c := range cell {
		if c == '\r' && (i+1 == len(cell) || cell[i+1] != '\n') {
			n++
		}
	}
	return n
}
