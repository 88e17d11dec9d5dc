package importer

import (
	"errors"
	"fmt"
	"io"
	"strings"
)

// ReadPhones reads a list of phones as people and spreadsheets write one: one a
// line, or followed by a service id, in every form in which bills are read.
// Empty lines and those that begin with # are passed over, and so is a first
// line that names the columns. do gets each line, and what is wrong with it, ""
// for nothing. The error is what kept the list from being read to its end.
func ReadPhones(in io.Reader, name string, do func(line int, phone, service, fault string)) error {
	text, fault, err := decoded(in)
	if err != nil {
		return fmt.Errorf("read %s: %w", name, WithoutPath(err))
	}
	if fault != "" {
		return errors.New(name + ": " + fault)
	}
	rows := newCSVRows(text, ',')
	var clean cleaner
	for first := true; ; {
		err := rows.separate()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil && rows.buf[rows.start] == '#' { // whatever it says
			rows.line++
			if err = rows.dropLine(); err == nil {
				continue
			}
		}
		var cells []cell
		var line int
		if err == nil {
			cells, line, err = rows.next()
		}
		if fault, ok := errors.AsType[rowFault](err); ok {
			do(line, "", "", string(fault))
			continue
		}
		if err != nil {
			return fmt.Errorf("read %s, from line %d: %w", name, rows.line, WithoutPath(err))
		}
		phone, service, fault := phoneAndService(&clean, cells)
		switch {
		case fault == "" && phone == "" && service == "":
			continue
		case first && strings.EqualFold(phone, "phone") && (service == "" || strings.EqualFold(service, "service")):
		default:
			do(line, phone, service, fault)
		}
		first = false
	}
}

// separate finds out how the cells of the row at the front are separated.
func (r *csvRows) separate() error {
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

func phoneAndService(c *cleaner, cells []cell) (phone, service, fault string) {
	for i, cell := range cells {
		switch {
		case i == 0:
			if phone, fault = c.clean(cell.text, cellPhone); fault != "" {
				return "", "", "the phone " + fault
			}
		case i == 1:
			if service, fault = c.clean(cell.text, cellNumber); fault != "" {
				return "", "", "the service " + fault
			}
		case trimOdd(cell.text) != "":
			return "", "", "has more than a phone and a service id: remove the rest"
		}
	}
	return phone, service, ""
}
