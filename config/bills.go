package config

import (
	"cmp"
	"errors"
	"io"

	"duewatch/importer"
)

// OpenBills begins to read a file of bills under this config. name is that of the
// file, columns says what its header does not, and doubles finds the bills that
// were read before. The error is an *Error when the columns of the file will not
// do.
func (c *Config) OpenBills(in io.Reader, name string, columns importer.ColumnChoice, doubles importer.Doubles) (*importer.Batches, error) {
	b, err := importer.ReadBatches(in, importer.BillOptions{
		Name: name, Phones: c.Phones, Columns: columns, Policies: c.Policies, Declared: c.Bills,
	}, doubles)
	if fault, ok := errors.AsType[*importer.FileError](err); ok {
		return nil, &Error{fault.Problems}
	}
	return b, err
}

// billsColumns reads what the config says of the columns of bills_file.
func (c *checker) billsColumns(v view, cfg *Config) importer.ColumnChoice {
	choice := importer.ColumnChoice{
		Of: map[string]string{}, Service: v.text("bills_service"), Sheet: v.text("bills_sheet"),
		AsWritten: v.flag("bills_as_written"), InConfig: true,
	}
	for _, name := range importer.CSVHeader() {
		if column := v.text(join("bills_columns", name)); column != "" {
			choice.Of[name] = column
		}
	}
	v.each("bills_ignore_columns", func(item string) string {
		choice.Ignore = append(choice.Ignore, item)
		if item == "" {
			return "is empty: write the header of a column as it stands in the file, or its number"
		}
		return ""
	})
	if fault := cmp.Or(importer.IDFault(choice.Service, false), importer.ServiceFault(cfg.Policies, choice.Service)); fault != "" {
		v.bad("bills_service", "%s", fault)
	}
	if choice.Service != "" && choice.Of["service"] != "" {
		v.bad("bills_service", "is given with bills_columns.service: keep one")
	}
	return choice
}
