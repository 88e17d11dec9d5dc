package store

import (
	"database/sql"
	"fmt"
	"time"

	"duewatch/reminder"
)

// How our types stand in columns. Zero instants, unknown days and unknown
// money are NULL.

func millis(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UnixMilli()
}

// positive is a count or an id; 0 = none.
func positive[T int | int64](n T) any {
	if n <= 0 {
		return nil
	}
	return int64(n)
}

type instantColumn struct{ t *time.Time }

func (c instantColumn) Scan(v any) error {
	switch v := v.(type) {
	case int64:
		*c.t = time.UnixMilli(v)
	case nil:
		*c.t = time.Time{}
	default:
		return fmt.Errorf("stored instant: %T instead of a number", v)
	}
	return nil
}

// database/sql finds its way to types of ours, to an int and to a bool by
// reflection and by way of text; these are for what is read for each text.

type wordColumn[T ~string] struct{ to *T }

type textColumn = wordColumn[string]

func (c wordColumn[T]) Scan(v any) error {
	text, ok := v.(string)
	if !ok {
		return fmt.Errorf("%T instead of text", v)
	}
	*c.to = T(text)
	return nil
}

type numberColumn[T ~int | ~int64] struct{ to *T }

func (c numberColumn[T]) Scan(v any) error {
	n, ok := v.(int64)
	if !ok {
		return fmt.Errorf("%T instead of a number", v)
	}
	*c.to = T(n)
	return nil
}

type flagColumn struct{ to *bool }

func (c flagColumn) Scan(v any) error {
	n, ok := v.(int64)
	if !ok {
		return fmt.Errorf("%T instead of 0 or 1", v)
	}
	*c.to = n != 0
	return nil
}

// knownFlag is a flag that may not be known.
func knownFlag(b *bool) any {
	if b == nil {
		return nil
	}
	return *b
}

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

func day(d reminder.Date) any {
	if d.IsZero() {
		return nil
	}
	return d.String()
}

type dayColumn struct{ d *reminder.Date }

func (c dayColumn) Scan(v any) error {
	text, _, err := textOf(v)
	if err != nil {
		return fmt.Errorf("stored day: %w", err)
	}
	return c.d.UnmarshalText([]byte(text))
}

// textOf is what stands in a column of text, and whether anything does.
func textOf(v any) (text string, ok bool, err error) {
	switch v := v.(type) {
	case string:
		return v, true, nil
	case nil:
		return "", false, nil
	default:
		return "", false, fmt.Errorf("%T instead of text", v)
	}
}

func money(m *reminder.Money) any {
	if m == nil {
		return nil
	}
	return m.String()
}

type moneyColumn struct{ m **reminder.Money }

func (c moneyColumn) Scan(v any) error {
	*c.m = nil
	text, ok, err := textOf(v)
	if err == nil && ok {
		var m reminder.Money
		if m, err = reminder.ParseMoney(text); err == nil {
			*c.m = &m
		}
	}
	if err != nil {
		return fmt.Errorf("stored balance: %w", err)
	}
	return nil
}

const billColumns = `id, service, account, phone, language, description, source, state, customer,
	balance, balance_at, due_date, biller_verified, registered_at, checked_at, failures, last_error, usual,
	paused_at, paused_until`

// row is what *sql.Row and *sql.Rows have in common.
type row interface{ Scan(dest ...any) error }

// columnsOfBill is where the columns of a bill go.
func columnsOfBill(b *reminder.Bill) []sql.Scanner {
	return []sql.Scanner{
		numberColumn[int64]{&b.ID}, textColumn{&b.Service}, textColumn{&b.Account}, wordColumn[reminder.Phone]{&b.Phone}, textColumn{&b.Language}, textColumn{&b.Description}, textColumn{&b.Source},
		wordColumn[reminder.BillState]{&b.State}, textColumn{&b.Customer},
		moneyColumn{&b.Balance}, instantColumn{&b.BalanceAt}, dayColumn{&b.DueDate}, knownFlagColumn{&b.Verified},
		instantColumn{&b.RegisteredAt}, instantColumn{&b.CheckedAt}, numberColumn[int]{&b.Failures}, textColumn{&b.LastError}, moneyColumn{&b.Usual},
		instantColumn{&b.PausedAt}, instantColumn{&b.PausedUntil},
	}
}

// scan is r.Scan.
func scan(r row, columns []sql.Scanner) error {
	to := make([]any, len(columns))
	for i, c := range columns {
		to[i] = c
	}
	return r.Scan(to...)
}

func scanBill(r row) (b reminder.Bill, err error) {
	err = scan(r, columnsOfBill(&b))
	return b, err
}

// collect scans all rows and closes them.
func collect[T any](rows *sql.Rows, scan func(row) (T, error)) (all []T, err error) {
	defer rows.Close() //nolint:errcheck // Err reports what matters
	for rows.Next() {
		v, err := scan(rows)
		if err != nil {
			return nil, explain(err)
		}
		all = append(all, v)
	}
	return all, explain(rows.Err())
}

func scanID(r row) (id int64, err error) {
	err = r.Scan(&id)
	return id, err
}
