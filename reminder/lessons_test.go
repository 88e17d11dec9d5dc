package reminder

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// The tests of this file are named after what went wrong in other systems that
// send reminders; docs/lessons.md has the list.

// owing is a world of one bill that stays unpaid.
func owing(p *Policy, due Date) *world {
	owed := MustMoney("2315.50")
	return steadyWorld(p, Bill{ID: 1, Account: "12345678", Phone: "+254710000001", State: BillActive, DueDate: due}, func(now time.Time) Answer {
		return Answer{At: now, DueDate: due, Balance: &owed}
	})
}

// left lists the texts as "day hour stage".
func (w *world) left() string {
	var out []string
	for _, x := range w.texts {
		out = append(out, shown(w.policy, x.at)+" "+x.stage.String())
	}
	return strings.Join(out, ", ")
}

// Elsewhere a due date was read as an instant, and was a day off for whoever
// lived east or west of the server. Here the instant may be written in any zone:
// the customer's day decides.
func TestADueDateIsTheSameDayOnEveryServer(t *testing.T) {
	servers := []string{"UTC", "Africa/Nairobi", "America/Los_Angeles", "Pacific/Auckland", "Asia/Kathmandu", "Pacific/Kiritimati", "Pacific/Pago_Pago"}
	for _, customer := range []string{"Africa/Nairobi", "Europe/Berlin", "Pacific/Auckland"} {
		p := shippedPolicy(t, func(p *Policy) { p.Zone = place(t, customer) })
		for _, hour := range []string{"2026-03-17 00:00", "2026-03-17 08:59:59", "2026-03-17 09:00", "2026-03-17 23:59:59", "2026-03-20 00:00", "2026-03-20 17:30", "2026-03-21 00:00"} {
			want := ""
			for i, server := range servers {
				s := ordinary(t)
				s.policy = p
				askedAt(hour[:16])(s)
				d := Decide(s.Case, p, s.to, on(t, p, hour).In(place(t, server)))
				got := verdict(p, d)
				if d.Text != nil {
					got += ": " + d.Text.Body
				}
				if i == 0 {
					want = got
				}
				if got != want {
					t.Errorf("%s in %s, on a server in %s: %s; in UTC: %s", hour, customer, server, got, want)
				}
			}
		}
	}
}

// Elsewhere reminders fired at two hours, or with the wrong number of days,
// where clocks are changed. Each minute of the days around the change is tried.
func TestAStageFiresAtOneHourWhereClocksChange(t *testing.T) {
	for name, c := range map[string]struct{ zone, due, from string }{
		"Nairobi, no change":            {"Africa/Nairobi", "2026-03-30", "2026-03-29 00:00"},
		"Berlin, an hour is left out":   {"Europe/Berlin", "2026-03-30", "2026-03-29 00:00"},
		"Berlin, an hour comes twice":   {"Europe/Berlin", "2026-10-26", "2026-10-25 00:00"},
		"New York, an hour is left out": {"America/New_York", "2026-03-09", "2026-03-08 00:00"},
		"New York, an hour comes twice": {"America/New_York", "2026-11-02", "2026-11-01 00:00"},
		"Auckland, an hour comes twice": {"Pacific/Auckland", "2026-04-06", "2026-04-05 00:00"},
	} {
		t.Run(name, func(t *testing.T) {
			p := shippedPolicy(t, func(p *Policy) { p.Zone, p.Stages, p.PerNumberDaily = place(t, c.zone), []Stage{-1, 0}, 9 })
			due := day(c.due)
			w := owing(p, due)
			now := on(t, p, c.from)
			w.ask(now)
			for end := due.AddDays(1).At(0, p.Zone); now.Before(end); now = now.Add(time.Minute) {
				w.remind(t, now)
			}
			want := fmt.Sprintf("%s 09:00 1 day before, %s 09:00 due day", due.AddDays(-1), due)
			if got := w.left(); got != want {
				t.Fatalf("texts %s, want %s", got, want)
			}
			if !strings.Contains(w.texts[0].body, "tomorrow") || !strings.Contains(w.texts[1].body, "today") {
				t.Errorf("the texts say %q and %q", w.texts[0].body, w.texts[1].body)
			}
		})
	}
}

// Elsewhere three reminders were burnt on one weekend: all of them fell on days
// on which nobody read them, and none was left for Monday.
func TestAWeekendBurnsNoReminders(t *testing.T) {
	weekend := []time.Weekday{time.Saturday, time.Sunday}
	for name, c := range map[string]struct {
		due    string
		stages []Stage
		want   string
	}{
		"due on Monday: the weekend's go to Friday, as one": {"2026-03-23", []Stage{-2, -1, 0}, "2026-03-20 09:00 1 day before, 2026-03-23 09:00 due day"},
		"due on Sunday: all go to Friday, as one":           {"2026-03-22", []Stage{-2, -1, 0}, "2026-03-20 09:00 due day"},
		"due on Friday: those after it come on Monday":      {"2026-03-20", []Stage{0, 1, 2}, "2026-03-20 09:00 due day, 2026-03-23 09:00 2 days after"},
		"due on Wednesday: nothing is moved":                {"2026-03-18", []Stage{-2, -1, 0}, "2026-03-16 09:00 2 days before, 2026-03-17 09:00 1 day before, 2026-03-18 09:00 due day"},
	} {
		t.Run(name, func(t *testing.T) {
			p := shippedPolicy(t, func(p *Policy) { p.Stages, p.SkipWeekdays = c.stages, weekend })
			w := owing(p, day(c.due))
			start := on(t, p, "2026-03-09 10:00")
			w.nextEval = p.NextEval(w.Bill, w.Done, start)
			w.run(t, start, start.AddDate(0, 1, 0))
			if got := w.left(); got != c.want {
				t.Errorf("texts %s, want %s", got, c.want)
			}
			for _, stage := range c.stages {
				if r := recordOf(w.Done, day(c.due), stage); !r.Final() {
					t.Errorf("%s ended as %q", stage, r.Outcome)
				}
			}
		})
	}
}

// Elsewhere one curly quote turned a whole text into another alphabet and
// doubled its price, unseen. The quote may come from the template, the name or
// the service.
func TestACurlyQuoteDoesNotDoubleTheBill(t *testing.T) {
	const before = "Hello {{.Customer}}, don%st forget %s{{.Service}}%s: account {{.Account}} is due {{.When}}. Amount due: {{.Amount}}."
	word := func(t *testing.T, name, service, single, double string) Draft {
		t.Helper()
		p := wordPolicy(t, map[string]TemplateSource{"en": {Before: fmt.Sprintf(before, single, double, double), After: "Account {{.Account}} was due {{.When}}."}})
		p.ServiceName = service
		b := wordBill()
		b.Customer = name
		got, err := p.Word(b, b.DueDate.AddDays(-3), true)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	plain := word(t, "Mary Ng'ang'a", "Kenya Power", "'", `"`)
	if plain.Count.Encoding != "GSM-7" || plain.Count.Segments != 1 {
		t.Fatalf("the plain text costs %+v", plain.Count)
	}
	for name, got := range map[string]Draft{
		"in the template":  word(t, "Mary Ng'ang'a", "Kenya Power", "’", "”"),
		"in the name":      word(t, "Mary Ng’ang‘a", "Kenya Power", "'", `"`),
		"a hard space too": word(t, "Mary\u00a0Ng’ang’a", "Kenya\u00a0Power", "’", "“"),
	} {
		t.Run(name, func(t *testing.T) {
			if got.Body != plain.Body || got.Count != plain.Count {
				t.Errorf("%q costs %+v; plain it costs %+v", got.Body, got.Count, plain.Count)
			}
		})
	}
	// What has no plain likeness is counted at its price, and named.
	dear := word(t, "Mary Ng'ang'a", "Kenya Power", "✓", `"`)
	if dear.Count.Encoding != "UCS-2" || dear.Count.Forcing != '✓' || dear.Count.Segments != 2 {
		t.Errorf("a text with ✓ costs %+v", dear.Count)
	}
}
