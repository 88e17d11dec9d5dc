package sandbox

import (
	"fmt"
	"testing"
	"time"

	"duewatch/reminder"
)

// live has a thousand customers through two months without a text, or with one
// for each bill on the day before it is due.
func live(t *testing.T, seed uint64, texted bool) (c *Customers, history string) {
	t.Helper()
	now := time.Date(2026, 1, 31, 0, 0, 0, 0, time.UTC)
	box, err := New(Options{Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	c = NewCustomers(box, seed)
	for i := range 1000 {
		if err := c.Add(reminder.Bill{Service: "1", Account: fmt.Sprintf("A%d", i), Phone: reminder.Phone(fmt.Sprintf("+254710%06d", i))}); err != nil {
			t.Fatal(err)
		}
	}
	for end := now.AddDate(0, 2, 0); now.Before(end); {
		next := c.Next()
		if day := now.Truncate(24*time.Hour).AddDate(0, 0, 1); day.Before(next) {
			next = day
		}
		now = next
		if err := c.Until(now); err != nil {
			t.Fatal(err)
		}
		if !texted || now.Hour() != 0 || now.Minute() != 0 {
			continue
		}
		for i, x := range c.bills {
			if x.due.Sub(reminder.DateOf(now)) == 1 {
				c.Texted(Text{To: reminder.Phone(fmt.Sprintf("+254710%06d", i)), Body: "account " + x.key.Account})
			}
		}
	}
	for _, x := range c.bills {
		b, _ := box.Bill(x.key.Service, x.key.Account)
		history += fmt.Sprintln(x.key.Account, b.Balance, b.DueDate, x.issues)
	}
	return c, history
}

func TestCustomersDoTheSameUnderTheSameSeed(t *testing.T) {
	_, one := live(t, 1, true)
	_, again := live(t, 1, true)
	_, other := live(t, 2, true)
	if one != again {
		t.Error("the same seed gives another history")
	}
	if one == other {
		t.Error("another seed gives the same history")
	}
}

// A seed gives the same history wherever it is thrown: the days of the customers
// are those of the sandbox's zone.
func TestCustomersDoTheSameOnAHostOfAnyZone(t *testing.T) {
	_, here := live(t, 1, true)
	host := time.Local
	defer func() { time.Local = host }()
	time.Local = time.FixedZone("Kathmandu", 20700)
	if _, there := live(t, 1, true); there != here {
		t.Error("where the host's clock is in another zone it is another history")
	}
}

func TestTextsMakePeoplePayInTime(t *testing.T) {
	c, _ := live(t, 1, false)
	all, inTime := c.Paid()
	d, _ := live(t, 1, true)
	allTexted, inTimeTexted := d.Paid()
	if all < 1000 || allTexted < all*9/10 {
		t.Errorf("%d bills were paid without texts, %d with them", all, allTexted)
	}
	if gain := float64(inTimeTexted) / float64(inTime); gain < 1.1 {
		t.Errorf("%d bills were paid by their due date without texts, %d with them", inTime, inTimeTexted)
	}
}

func TestADueDateStaysOnItsDayOfTheMonth(t *testing.T) {
	d := reminder.NewDate(2026, 1, 31)
	var got []string
	for range 4 {
		d = monthAfter(d, 31)
		got = append(got, d.String())
	}
	if want := "[2026-02-28 2026-03-31 2026-04-30 2026-05-31]"; fmt.Sprint(got) != want {
		t.Errorf("%v, want %s", got, want)
	}
}
