package cli

import (
	"testing"
	"time"

	"duewatch/reminder"
)

func TestADueDateThatHasPassedIsMarkedWhileSomethingIsOwed(t *testing.T) {
	today := reminder.DateOf(time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC))
	a := &app{now: func() time.Time { return today.At(12*60, time.UTC) }}
	money := func(s string) *reminder.Money {
		m, err := reminder.ParseMoney(s)
		if err != nil {
			t.Fatal(err)
		}
		return &m
	}
	for name, tt := range map[string]struct {
		bill reminder.Bill
		want string
	}{
		"to come":       {reminder.Bill{State: reminder.BillActive, DueDate: today.AddDays(1), Balance: money("1")}, "30 Nov"},
		"today":         {reminder.Bill{State: reminder.BillActive, DueDate: today, Balance: money("1")}, "29 Nov"},
		"past":          {reminder.Bill{State: reminder.BillActive, DueDate: today.AddDays(-1), Balance: money("1")}, "28 Nov !"},
		"not known":     {reminder.Bill{State: reminder.BillActive, DueDate: today.AddDays(-1)}, "28 Nov !"},
		"paid":          {reminder.Bill{State: reminder.BillActive, DueDate: today.AddDays(-1), Balance: money("0")}, "28 Nov"},
		"paused":        {reminder.Bill{State: reminder.BillPaused, DueDate: today.AddDays(-1), Balance: money("1")}, "28 Nov"},
		"no date known": {reminder.Bill{State: reminder.BillActive, Balance: money("1")}, "-"},
	} {
		got := a.dueCell(tt.bill, today, time.UTC)
		if got != tt.want {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
		if marked := billColour(4, got) == red; marked != (name == "past" || name == "not known") {
			t.Errorf("%s: in red: %v", name, marked)
		}
	}
}
