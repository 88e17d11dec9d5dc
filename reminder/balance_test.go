package reminder

import (
	"testing"
	"time"
)

func TestPaid(t *testing.T) {
	due := NewDate(2026, time.March, 10)
	p := &Policy{MinBalance: MustMoney("50")}
	bill := func(balance string, due Date) Bill {
		b := Bill{DueDate: due}
		if balance != "" {
			m := MustMoney(balance)
			b.Balance = &m
		}
		return b
	}
	for _, test := range []struct {
		name          string
		before, after Bill
		want          bool
	}{
		{"to zero", bill("100", due), bill("0", due), true},
		{"to credit", bill("100", due), bill("-5", due), true},
		{"to less than is worth a text", bill("100", due), bill("49.99", due), true},
		{"a part of it", bill("100", due), bill("50", due), false},
		{"nothing was owed", bill("0", due), bill("0", due), false},
		{"too little was owed", bill("20", due), bill("0", due), false},
		{"it was not known", bill("", due), bill("0", due), false},
		{"it is not known", bill("100", due), bill("", due), false},
		{"the same for the next month", bill("100", due), bill("100", due.AddDays(31)), true},
		{"arrears for the next month", bill("100", due), bill("200", due.AddDays(31)), false},
		{"a delay", bill("100", due), bill("100", due.AddDays(14)), false},
		{"a due date for the first time", bill("100", Date{}), bill("100", due), false},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := p.TakenAsPaid(test.before, test.after); got != test.want {
				t.Errorf("got %v", got)
			}
		})
	}
}
