package config

import (
	"errors"
	"io"

	"duewatch/importer"
)

// OpenBills begins to read a file of bills under this config. name is that of the
// file, ignore are names of columns to leave out, and doubles finds the bills that
// were read before. The error is an *Error when the first line of the file will
// not do.
func (c *Config) OpenBills(in io.Reader, name string, ignore []string, doubles importer.Doubles) (*importer.Batches, error) {
	b, err := importer.ReadBatches(in, importer.BillOptions{
		Name: name, Country: c.Country, Ignore: ignore, Policies: c.Policies, Declared: c.Bills,
	}, doubles)
	if fault, ok := errors.AsType[*importer.FileError](err); ok {
		return nil, &Error{[]importer.Problem{fault.Problem}}
	}
	return b, err
}
