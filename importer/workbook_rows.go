package importer

import (
	"encoding/xml"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// A sheet has at most so many rows. Nobody's list has so many columns, but a row
// can name one, and the cells before it are then empty ones of the row.
const (
	maxSheetRows    = 1 << 20
	maxSheetColumns = 256
)

// workbookRows reads the rows of a sheet one after the other.
//
// A cell is read as a spreadsheet would save it as CSV, where that is what the
// biller wrote: texts as they stand, and whole numbers of up to 15 digits with the
// zeros that their format shows. Everything else a spreadsheet makes of an account or
// a phone is a fault of its cell. Hidden and filtered rows are rows like others.
// Of merged cells the first holds the value, and the others are empty. Rows and
// cells without content may be missing in the file, and are empty.
type workbookRows struct {
	sheet  string // as it may be shown
	sheets int    // that the workbook has
	packed int64  // bytes of the workbook
	whole  uint64 // bytes of the sheet, as the zip says
	part   *part
	shared sharedTexts
	styles styles
	row    int    // the one last read, from 1
	cells  []cell // of that row
	text   []byte // of the cell that is being read
}

// newWorkbookRows opens a workbook and one of its sheets, by name or number; the
// first visible one for "".
func newWorkbookRows(in io.Reader, wanted string) (*workbookRows, error) {
	w, err := openWorkbook(in)
	if err != nil {
		return nil, err
	}
	sheets, relations, err := w.sheets()
	if err != nil {
		return nil, err
	}
	picked, err := pickSheet(sheets, wanted)
	if err != nil {
		return nil, err
	}
	r := &workbookRows{sheet: shownHeader(picked.Name), sheets: len(sheets), packed: w.packed}
	if name := target(relations, "styles"); name != "" {
		if err := w.decode(name, &r.styles); err != nil {
			return nil, err
		}
	}
	if name := target(relations, "sharedStrings"); name != "" {
		if r.shared, err = w.sharedTexts(name); err != nil {
			return nil, err
		}
	}
	if r.part, err = w.open(picked.part, maxUnpacked); err != nil {
		return nil, err
	}
	r.whole = w.parts[picked.part].UncompressedSize64
	return r, nil
}

// position is how much of the workbook the rows so far are, in bytes of the file.
func (r *workbookRows) position() int64 {
	part := float64(maxUnpacked-r.part.left) / max(float64(r.whole), 1)
	return int64(min(part, 1) * float64(r.packed))
}

// next returns a row that has a cell with content, and its number; io.EOF comes at
// the end of a sheet that was read completely alone, since half a sheet is no list.
func (r *workbookRows) next() (cells []cell, line int, err error) {
	for {
		t, err := r.part.next()
		if err != nil {
			return nil, r.row, err
		}
		tag, ok := t.(xml.StartElement)
		if !ok || tag.Name.Local != "row" {
			continue
		}
		if err := r.readRow(tag); err != nil {
			return nil, r.row, err
		}
		if len(r.cells) > 0 {
			return r.cells, r.row, nil
		}
	}
}

func (r *workbookRows) readRow(tag xml.StartElement) error {
	number := r.row + 1
	if s := attribute(tag, "r"); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil || n < number {
			return errDamaged
		}
		number = n
	}
	if number > maxSheetRows {
		return errTooLarge
	}
	r.row, r.cells = number, r.cells[:0]
	column, size, depth := 0, 0, r.part.depth
	for {
		t, err := r.part.next()
		if err != nil {
			return err
		}
		if r.part.depth < depth {
			break
		}
		tag, ok := t.(xml.StartElement)
		if !ok || tag.Name.Local != "c" {
			continue
		}
		if column, err = r.columnBehind(column, attribute(tag, "r")); err != nil {
			return err
		}
		c, err := r.readCell(tag)
		if err != nil {
			return err
		}
		if c == (cell{}) {
			continue
		}
		if size += len(c.text); size > maxCSVRow || column > maxSheetColumns {
			size = maxCSVRow + 1
			continue
		}
		if c.fault != "" {
			c.fault = refusal(c.fault, column, r.row)
		}
		for len(r.cells) < column-1 {
			r.cells = append(r.cells, cell{})
		}
		r.cells = append(r.cells, c)
	}
	if size > maxCSVRow {
		const long = "is longer than %d KiB or %d columns: remove what does not belong to the list"
		return rowFault(fmt.Sprintf(long, maxCSVRow>>10, maxSheetColumns))
	}
	return nil
}

// columnBehind is the column, from 1, of a cell that stands behind another one. A
// cell that does not say where it stands is the next one.
func (r *workbookRows) columnBehind(last int, ref string) (int, error) {
	if ref == "" {
		return last + 1, nil
	}
	column, letters := 0, 0
	for letters < min(len(ref), 3) && ref[letters] >= 'A' && ref[letters] <= 'Z' {
		column = column*26 + int(ref[letters]-'A') + 1
		letters++
	}
	if column <= last || ref[letters:] != strconv.Itoa(r.row) {
		return 0, errDamaged
	}
	return column, nil
}

// columnName is the letters of a column.
func columnName(column int) (name string) {
	for ; column > 0; column = (column - 1) / 26 {
		name = string(rune('A'+(column-1)%26)) + name
	}
	return name
}

// readCell reads the cell behind its tag. Its fault is without the cell's name. A
// value that cannot be taken stays beside the fault: a cell of the header, or of a
// column that is left out, is not empty.
func (r *workbookRows) readCell(tag xml.StartElement) (cell, error) {
	formula, valued, err := r.part.content(&r.text)
	if err != nil {
		return cell{}, err
	}
	kind := attribute(tag, "t")
	switch {
	case formula && (!valued || len(r.text) == 0 && kind != "str"):
		return cell{text: "=", fault: formulaCell}, nil
	case !valued, len(r.text) == 0:
		return cell{}, nil
	}
	c := cell{text: string(r.text)}
	switch kind {
	case "s":
		i, err := strconv.Atoi(strings.TrimSpace(c.text))
		if err != nil || i < 0 || i >= r.shared.count() {
			return cell{}, errDamaged
		}
		c.text = r.shared.at(i)
	case "inlineStr", "str":
		c.text = unescaped(c.text)
	case "e":
		c.fault = "is an error of the spreadsheet"
	case "b":
		c.fault = "is TRUE or FALSE"
	case "d":
		c.fault = dateCell
	case "", "n":
		style, err := strconv.Atoi(attribute(tag, "s"))
		if err != nil {
			style = 0
		}
		number, fault := wholeNumber(c.text, r.styles.format(style))
		if c.fault = fault; fault == "" {
			c.text = number
		}
	default:
		c.fault = "is of a kind that is not known"
	}
	return c, nil
}
