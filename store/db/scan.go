package db

import (
	"database/sql"
	"fmt"
	"time"
)

// Scanner is a row as it is scanned.
type Scanner interface{ Scan(dest ...any) error }

// Row is one row that was asked for, or none.
type Row struct {
	row *sql.Row
	err error        // it could not be asked for
	end func() error // gives back what it was read by; nil = that is kept
}

// Scan reads the row; sql.ErrNoRows means that there is none. It is called once.
func (r Row) Scan(dest ...any) error {
	if r.err != nil {
		return r.err
	}
	err := explain(r.row.Scan(dest...))
	if r.end == nil {
		return err
	}
	if endErr := r.end(); err == nil {
		err = endErr
	}
	return err
}

// Rows are rows that were asked for, or why there are none: whoever reads them learns it,
// as of a Row.
type Rows struct {
	rows *sql.Rows
	err  error
	end  func() error // as in Row
}

// close ends the reading. What matters of its failure rows.Err has reported.
func (r Rows) close() {
	_ = r.rows.Close()
	if r.end != nil {
		_ = r.end()
	}
}

// Columns are the names of the columns of a query, which is not run to its end.
func Columns(rows Rows) ([]string, error) {
	if rows.err != nil {
		return nil, rows.err
	}
	defer rows.close()
	return rows.rows.Columns()
}

// Column is a column of a table.
type Column struct {
	Name string
	Type Type
}

// TypedColumns is Columns with the types of the columns, which are whole numbers or text on
// every engine.
func TypedColumns(rows Rows) ([]Column, error) {
	if rows.err != nil {
		return nil, rows.err
	}
	defer rows.close()
	types, err := rows.rows.ColumnTypes()
	if err != nil {
		return nil, err
	}
	columns := make([]Column, len(types))
	for i, t := range types {
		columns[i] = Column{t.Name(), Integer}
		if t.DatabaseTypeName() == "TEXT" {
			columns[i].Type = Text
		}
	}
	return columns, nil
}

// Each calls do for each of the rows, as it is read, and stops at its first error. It
// closes the rows.
func Each[T any](rows Rows, scan func(Scanner) (T, error), do func(T) error) error {
	if rows.err != nil {
		return rows.err
	}
	defer rows.close()
	for rows.rows.Next() {
		v, err := scan(rows.rows)
		if err != nil {
			return explain(err)
		}
		if err := do(v); err != nil {
			return err
		}
	}
	return explain(rows.rows.Err())
}

// Collect scans all rows and closes them.
func Collect[T any](rows Rows, scan func(Scanner) (T, error)) (all []T, err error) {
	err = Each(rows, scan, func(v T) error {
		all = append(all, v)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return all, nil
}

// ScanTo is r.Scan for columns.
func ScanTo(r Scanner, columns []sql.Scanner) error {
	to := make([]any, len(columns))
	for i, c := range columns {
		to[i] = c
	}
	return r.Scan(to...)
}

// ScanID scans a row of one id.
func ScanID(r Scanner) (id int64, err error) {
	err = r.Scan(&id)
	return id, err
}

// database/sql finds its way to types of ours, to an int and to a bool by
// reflection and by way of text; these are for what is read for each text.

// AnyTo takes a value as the driver gives it.
func AnyTo(to *any) sql.Scanner { return anyColumn{to} }

type anyColumn struct{ to *any }

func (c anyColumn) Scan(v any) error {
	*c.to = v
	return nil
}

// TextTo scans a column of text that is never NULL.
func TextTo[T ~string](to *T) sql.Scanner { return textColumn[T]{to} }

type textColumn[T ~string] struct{ to *T }

func (c textColumn[T]) Scan(v any) error {
	text, ok := v.(string)
	if !ok {
		return fmt.Errorf("%T instead of text", v)
	}
	*c.to = T(text)
	return nil
}

// NumberTo scans a column of whole numbers that is never NULL.
func NumberTo[T ~int | ~int64](to *T) sql.Scanner { return numberColumn[T]{to} }

type numberColumn[T ~int | ~int64] struct{ to *T }

func (c numberColumn[T]) Scan(v any) error {
	n, ok := v.(int64)
	if !ok {
		return fmt.Errorf("%T instead of a number", v)
	}
	*c.to = T(n)
	return nil
}

// FlagTo scans 0 or 1.
func FlagTo(to *bool) sql.Scanner { return flagColumn{to} }

type flagColumn struct{ to *bool }

func (c flagColumn) Scan(v any) error {
	switch v := v.(type) {
	case int64:
		*c.to = v != 0
	case bool: // a condition, as PostgreSQL gives it
		*c.to = v
	default:
		return fmt.Errorf("%T instead of 0 or 1", v)
	}
	return nil
}

// KnownFlagTo scans a flag that may not be known, which is NULL and becomes nil.
func KnownFlagTo(to **bool) sql.Scanner { return knownFlagColumn{to} }

type knownFlagColumn struct{ to **bool }

func (c knownFlagColumn) Scan(v any) error {
	*c.to = nil
	if v == nil {
		return nil
	}
	is := false
	*c.to = &is
	return flagColumn{&is}.Scan(v)
}

// InstantTo scans milliseconds since 1970; NULL becomes the zero time.
func InstantTo(to *time.Time) sql.Scanner { return instantColumn{to} }

type instantColumn struct{ to *time.Time }

func (c instantColumn) Scan(v any) error {
	switch v := v.(type) {
	case int64:
		*c.to = time.UnixMilli(v)
	case nil:
		*c.to = time.Time{}
	default:
		return fmt.Errorf("stored instant: %T instead of a number", v)
	}
	return nil
}
