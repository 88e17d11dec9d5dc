package reminder

import (
	"testing"
	"time"
)

// A date that moves there and back between two days must not have the customer
// hear now of one and now of the other.
func TestADueDateThatMovesByADayIsNotAnnouncedTwice(t *testing.T) {
	for name, tt := range map[string]struct {
		named, at string // the last text, about which date
		due       string
		stage     Stage
		now       string
		want      bool
	}{
		"from the 10th to the 11th, at once":          {"2026-06-10", "2026-06-07 09:00", "2026-06-11", -7, "2026-06-07 12:00", true},
		"from the 10th to the 11th, its own stage":    {"2026-06-10", "2026-06-07 09:00", "2026-06-11", -3, "2026-06-08 09:00", true},
		"late on the next day":                        {"2026-06-10", "2026-06-07 09:00", "2026-06-11", -3, "2026-06-08 23:59", true},
		"on the day after":                            {"2026-06-10", "2026-06-07 09:00", "2026-06-11", -3, "2026-06-09 00:00", false},
		"from the 11th to the 10th":                   {"2026-06-11", "2026-06-08 09:00", "2026-06-10", -3, "2026-06-08 10:00", true},
		"there and back again":                        {"2026-06-10", "2026-06-07 09:00", "2026-06-10", -3, "2026-06-08 09:00", false},
		"the due day":                                 {"2026-06-10", "2026-06-10 09:00", "2026-06-11", 0, "2026-06-11 09:00", false},
		"six days on":                                 {"2026-06-10", "2026-06-07 09:00", "2026-06-16", -7, "2026-06-08 09:00", true},
		"a week on: the next of weekly bills":         {"2026-06-10", "2026-06-09 09:00", "2026-06-17", -7, "2026-06-10 09:00", false},
		"a month on":                                  {"2026-06-10", "2026-06-10 09:00", "2026-07-10", -30, "2026-06-10 12:00", false},
		"a month back":                                {"2026-07-10", "2026-06-07 09:00", "2026-06-10", -3, "2026-06-07 12:00", false},
		"after the due date":                          {"2026-06-10", "2026-06-12 09:00", "2026-06-11", 2, "2026-06-13 09:00", true},
		"nothing was texted":                          {"", "2026-06-07 09:00", "2026-06-11", -3, "2026-06-08 09:00", false},
		"texted at an hour to come: a clock set back": {"2026-06-10", "2026-06-09 09:00", "2026-06-11", -3, "2026-06-08 09:00", false},
	} {
		t.Run(name, func(t *testing.T) {
			p := shippedPolicy(t)
			named := NamedDate{At: on(t, p, tt.at)}
			if tt.named != "" {
				named.DueDate = day(tt.named)
			}
			if got := named.movedLately(day(tt.due), tt.stage, p.Zone, on(t, p, tt.now)); got != tt.want {
				t.Errorf("got %v", got)
			}
		})
	}
}

// The whole story: what the customer gets while the date flickers each day.
func TestAFlickeringDueDateGivesNoTextsThatContradictEachOther(t *testing.T) {
	p := shippedPolicy(t)
	all := map[Date][]Reminder{}
	var texts []string
	var last []NamedDate
	for now := on(t, p, "2026-06-01 08:00"); now.Before(on(t, p, "2026-06-13 00:00")); now = now.Add(time.Hour) {
		due := day("2026-06-10").AddDays(DateOf(now.In(p.Zone)).Day() % 2) // the 11th on odd days
		sc := ordinary(t)
		sc.Bill.DueDate, sc.Done, sc.Bill.BalanceAt, sc.Bill.CheckedAt = due, all[due], now, now
		for _, named := range last {
			if named.DueDate != due {
				sc.Moved = named
			}
			if DateOf(named.At.In(p.Zone)) == DateOf(now.In(p.Zone)) {
				sc.TextsToday++
			}
		}
		d := Decide(sc.Case, p, sc.to, now)
		for _, r := range d.Records {
			if r.Outcome != Held {
				all[due] = append(all[due], Reminder{DueDate: due, Stage: r.Stage, Outcome: r.Outcome, Reason: r.Reason, DecidedAt: now})
			}
		}
		if d.Text != nil {
			last = append(last, NamedDate{now, due})
			texts = append(texts, shown(p, now)+" about "+due.String())
		}
	}
	for i := 1; i < len(last); i++ {
		if last[i].DueDate == DateOf(last[i].At.In(p.Zone)) {
			continue // the text of the due day is always sent
		}
		if days := DateOf(last[i].At.In(p.Zone)).Sub(DateOf(last[i-1].At.In(p.Zone))); days < 2 && last[i].DueDate != last[i-1].DueDate {
			t.Errorf("two texts with two dates within %d days: %v", days, texts)
		}
	}
	if len(texts) < 2 {
		t.Errorf("only %v", texts)
	}
}
