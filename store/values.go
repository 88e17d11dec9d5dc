package store

import (
	"database/sql"
	"fmt"
	"time"

	"duewatch/reminder"
	"duewatch/store/db"
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

// knownFlag is a flag that may not be known.
func knownFlag(b *bool) any {
	if b == nil {
		return nil
	}
	if *b {
		return int64(1)
	}
	return int64(0)
}

func nullable(s string) any {
	if s == "" {
		return nil
	}
	return s
}

func laterOf(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

func orNow(at, now time.Time) time.Time {
	if at.IsZero() {
		return now
	}
	return at
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

// columnsOfBill is where the columns of a bill go.
func columnsOfBill(b *reminder.Bill) []sql.Scanner {
	return []sql.Scanner{
		db.NumberTo(&b.ID), db.TextTo(&b.Service), db.TextTo(&b.Account), db.TextTo(&b.Phone), db.TextTo(&b.Language),
		db.TextTo(&b.Description), db.TextTo(&b.Source), db.TextTo(&b.State), db.TextTo(&b.Customer),
		moneyColumn{&b.Balance}, db.InstantTo(&b.BalanceAt), dayColumn{&b.DueDate}, db.KnownFlagTo(&b.Verified),
		db.InstantTo(&b.RegisteredAt), db.InstantTo(&b.CheckedAt), db.NumberTo(&b.Failures), db.TextTo(&b.LastError), moneyColumn{&b.Usual},
		db.InstantTo(&b.PausedAt), db.InstantTo(&b.PausedUntil),
	}
}

func scanBill(r db.Scanner) (b reminder.Bill, err error) {
	err = db.ScanTo(r, columnsOfBill(&b))
	return b, err
}
