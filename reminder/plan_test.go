package reminder

import (
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// shippedTemplates are compiled once: the properties build many policies.
var shippedTemplates = sync.OnceValues(func() (Templates, error) { return ParseTemplates(DefaultTemplates()) })

// shippedPolicy is the policy of the shipped config.yaml, with changes.
func shippedPolicy(tb testing.TB, changes ...func(*Policy)) *Policy {
	tb.Helper()
	templates, err := shippedTemplates()
	if err != nil {
		tb.Fatal(err)
	}
	p := &Policy{
		ServiceName: "Kenya Power", Zone: place(tb, "Africa/Nairobi"), Currency: "KES",
		Stages: []Stage{-7, -3, 0}, SendAt: 9 * 60, Window: Window{8 * 60, 18 * 60},
		MinBalance: MustMoney("1.00"), MaxBalanceAge: time.Hour, StaleBalance: StaleHold, PerNumberDaily: 1,
		Language: "en", Templates: templates, MaxSegments: 2,
	}
	for _, change := range changes {
		change(p)
	}
	return p
}

func place(tb testing.TB, name string) *time.Location {
	tb.Helper()
	z, err := time.LoadLocation(name)
	if err != nil {
		tb.Fatal(err)
	}
	return z
}

// on reads what a wall clock in the policy's zone shows, "2026-03-17 09:00",
// or an instant in full where that would be two instants or none.
func on(tb testing.TB, p *Policy, s string) time.Time {
	tb.Helper()
	for _, layout := range []string{"2006-01-02 15:04", "2006-01-02 15:04:05", time.RFC3339} {
		if t, err := time.ParseInLocation(layout, s, p.Zone); err == nil {
			return t
		}
	}
	tb.Fatalf("%q is not an instant", s)
	return time.Time{}
}

// shown is an instant as a wall clock in the policy's zone shows it.
func shown(p *Policy, t time.Time) string {
	switch {
	case t.IsZero():
		return "never"
	case t.Second() == 0:
		return t.In(p.Zone).Format("2006-01-02 15:04")
	default:
		return t.In(p.Zone).Format("2006-01-02 15:04:05")
	}
}

func day(s string) Date {
	d, err := ParseDate(s)
	if err != nil {
		panic(err)
	}
	return d
}

func closedFrom(first string, n int) map[Date]bool {
	closed := map[Date]bool{}
	for i := range n {
		closed[day(first).AddDays(i)] = true
	}
	return closed
}

func TestSteps(t *testing.T) {
	weekend := []time.Weekday{time.Saturday, time.Sunday}
	tests := map[string]struct {
		due    string
		change func(*Policy)
		want   string // each step: stage, when, until
	}{
		"unknown due date": {"", nil, ""},
		"no stages":        {"2026-03-20", func(p *Policy) { p.Stages = nil }, ""},
		"shipped policy": {"2026-03-20", nil,
			"-7: 2026-03-13 09:00 to 2026-03-20 18:00 | -3: 2026-03-17 09:00 to 2026-03-20 18:00 | 0: 2026-03-20 09:00 to 2026-03-20 18:00"},
		"after the due date: useful for a week": {"2026-03-20", func(p *Policy) { p.Stages = []Stage{2} },
			"2: 2026-03-22 09:00 to 2026-03-29 18:00"},
		"short month": {"2026-03-01", func(p *Policy) { p.Stages = []Stage{-3, -1} },
			"-3: 2026-02-26 09:00 to 2026-03-01 18:00 | -1: 2026-02-28 09:00 to 2026-03-01 18:00"},
		"leap day": {"2028-03-01", func(p *Policy) { p.Stages = []Stage{-1, 1} },
			"-1: 2028-02-29 09:00 to 2028-03-01 18:00 | 1: 2028-03-02 09:00 to 2028-03-09 18:00"},
		"31st, stage in the next year": {"2026-12-31", func(p *Policy) { p.Stages = []Stage{0, 1} },
			"0: 2026-12-31 09:00 to 2026-12-31 18:00 | 1: 2027-01-01 09:00 to 2027-01-08 18:00"},

		"weekend: before moves to Friday": {"2026-03-21", func(p *Policy) { p.Stages, p.SkipWeekdays = []Stage{-7, 0}, weekend },
			"-7: 2026-03-13 09:00 to 2026-03-21 18:00 | 0: 2026-03-20 09:00 to 2026-03-21 18:00"},
		"weekend: after moves to Monday, useful for a week from there": {"2026-03-20", func(p *Policy) { p.Stages, p.SkipWeekdays = []Stage{1}, weekend },
			"1: 2026-03-23 09:00 to 2026-03-30 18:00"},
		"after moves over nine holidays, and is of use then": {"2026-12-22", func(p *Policy) { p.Stages, p.Holidays = []Stage{2}, closedFrom("2026-12-24", 9) },
			"2: 2027-01-02 09:00 to 2027-01-09 18:00"},
		"holiday before a weekend: three days back": {"2026-03-22", func(p *Policy) {
			p.Stages, p.SkipWeekdays, p.Holidays = []Stage{0}, weekend, map[Date]bool{day("2026-03-20"): true}
		}, "0: 2026-03-19 09:00 to 2026-03-22 18:00"},
		"two stages on one open day": {"2026-03-22", func(p *Policy) { p.Stages, p.SkipWeekdays = []Stage{-2, -1, 0}, weekend },
			"-2: 2026-03-20 09:00 to 2026-03-22 18:00 | -1: 2026-03-20 09:00 to 2026-03-22 18:00 | 0: 2026-03-20 09:00 to 2026-03-22 18:00"},
		"due on a holiday: the day before": {"2026-12-12", func(p *Policy) { p.Stages, p.Holidays = []Stage{0}, closedFrom("2026-12-12", 1) },
			"0: 2026-12-11 09:00 to 2026-12-12 18:00"},
		"holidays around the due date: both sides stay their own": {"2026-12-26", func(p *Policy) { p.Stages, p.Holidays = []Stage{-3, 0, 1}, closedFrom("2026-12-24", 5) },
			"-3: 2026-12-23 09:00 to 2026-12-26 18:00 | 0: 2026-12-23 09:00 to 2026-12-26 18:00 | 1: 2026-12-29 09:00 to 2027-01-05 18:00"},
		"holidays over new year": {"2027-01-01", func(p *Policy) { p.Stages, p.Holidays = []Stage{-1, 0}, closedFrom("2026-12-24", 9) },
			"-1: 2026-12-23 09:00 to 2027-01-01 18:00 | 0: 2026-12-23 09:00 to 2027-01-01 18:00"},

		"all day": {"2026-03-20", func(p *Policy) { p.Stages, p.Window, p.SendAt = []Stage{0}, Window{0, 1440}, 0 },
			"0: 2026-03-20 00:00 to 2026-03-21 00:00"},
		"window to midnight": {"2026-03-20", func(p *Policy) { p.Stages, p.Window = []Stage{0}, Window{480, 1440} },
			"0: 2026-03-20 09:00 to 2026-03-21 00:00"},

		"Berlin: the same hour on both sides of the change": {"2026-03-30", func(p *Policy) { p.Zone, p.Stages = place(t, "Europe/Berlin"), []Stage{-2, -1, 0} },
			"-2: 2026-03-28 09:00 to 2026-03-30 18:00 | -1: 2026-03-29 09:00 to 2026-03-30 18:00 | 0: 2026-03-30 09:00 to 2026-03-30 18:00"},
		"Berlin: an hour that is left out": {"2026-03-29", func(p *Policy) {
			p.Zone, p.Stages, p.SendAt, p.Window = place(t, "Europe/Berlin"), []Stage{0}, 150, Window{0, 1440}
		}, "0: 2026-03-29 03:30 to 2026-03-30 00:00"},
		"Cairo: a midnight that is left out": {"2026-04-24", func(p *Policy) {
			p.Zone, p.Stages, p.SendAt, p.Window = place(t, "Africa/Cairo"), []Stage{-1, 0}, 0, Window{0, 1440}
		}, "-1: 2026-04-23 00:00 to 2026-04-25 00:00 | 0: 2026-04-24 01:00 to 2026-04-25 00:00"},
		"Santiago: the window ends at a midnight that is left out": {"2026-09-05", func(p *Policy) {
			p.Zone, p.Stages, p.Window = place(t, "America/Santiago"), []Stage{0}, Window{480, 1440}
		}, "0: 2026-09-05 09:00 to 2026-09-06 01:00"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			p := shippedPolicy(t)
			if tt.change != nil {
				tt.change(p)
			}
			var due Date
			if tt.due != "" {
				due = day(tt.due)
			}
			var got []string
			for _, s := range p.Steps(due) {
				got = append(got, strconv.Itoa(int(s.Stage))+": "+shown(p, s.At)+" to "+shown(p, s.NotAfter))
			}
			if diff := cmp.Diff(tt.want, strings.Join(got, " | ")); diff != "" {
				t.Errorf("Steps(%s) (-want +got):\n%s", due, diff)
			}
		})
	}
}

// Nothing that the calendar does moves a stage across the due date, changes
// the order of stages, or puts one on a day without texts.
func TestStepsKeepTheirOrderAndSide(t *testing.T) {
	for seed := range uint64(2000) {
		r := chance(seed)
		p := randomPolicy(t, r)
		due := day("2026-01-01").AddDays(r.IntN(800))
		steps := p.Steps(due)
		if !slices.IsSortedFunc(steps, func(a, b Step) int { return a.At.Compare(b.At) }) {
			t.Fatalf("seed %d: steps of %s out of order: %v", seed, due, steps)
		}
		for i, s := range steps {
			on := DateOf(s.At.In(p.Zone))
			switch {
			case s.Stage != p.Stages[i]:
				t.Fatalf("seed %d: step %d is %s", seed, i, s.Stage)
			case p.Holidays[on] || slices.Contains(p.SkipWeekdays, on.Weekday()):
				t.Fatalf("seed %d: %s of %s is on %s, a day without texts", seed, s.Stage, due, on)
			case s.Stage <= 0 && on.After(due.AddDays(int(s.Stage))):
				t.Fatalf("seed %d: %s of %s moved forward to %s", seed, s.Stage, due, on)
			case s.Stage > 0 && on.Before(due.AddDays(int(s.Stage))):
				t.Fatalf("seed %d: %s of %s moved back to %s", seed, s.Stage, due, on)
			}
		}
	}
}

func TestNextEval(t *testing.T) {
	due := day("2026-03-20")
	done := func(stage Stage, o Outcome) Reminder { return Reminder{DueDate: due, Stage: stage, Outcome: o} }
	tests := map[string]struct {
		now    string
		done   []Reminder
		change func(*Bill)
		want   string
	}{
		"before the first stage":                {"2026-03-01 12:00", nil, nil, "2026-03-13 09:00"},
		"at the very instant of a stage":        {"2026-03-13 09:00", nil, nil, "2026-03-13 09:00"},
		"known late, still useful":              {"2026-03-19 23:00", nil, nil, "2026-03-19 23:00"},
		"done, the next one is to come":         {"2026-03-13 09:01", []Reminder{done(-7, Texted)}, nil, "2026-03-17 09:00"},
		"skipped is done":                       {"2026-03-13 09:01", []Reminder{done(-7, Skipped)}, nil, "2026-03-17 09:00"},
		"held is decided again":                 {"2026-03-14 09:00", []Reminder{done(-7, Held)}, nil, "2026-03-14 09:00"},
		"the last one is done":                  {"2026-03-20 09:01", []Reminder{done(0, Texted)}, nil, "never"},
		"known when nothing is useful any more": {"2026-03-20 18:00", nil, nil, "never"},
		"held past its end: to end it":          {"2026-04-20 18:00", []Reminder{done(0, Held)}, nil, "2026-04-20 18:00"},
		"a due date of years ago":               {"2026-03-20 12:00", nil, func(b *Bill) { b.DueDate = day("2020-07-03") }, "never"},
		"no due date":                           {"2026-03-20 12:00", nil, func(b *Bill) { b.DueDate = Date{} }, "never"},
		"paused":                                {"2026-03-14 12:00", nil, func(b *Bill) { b.State = BillPaused }, "never"},
		"pending":                               {"2026-03-14 12:00", nil, func(b *Bill) { b.State = BillPending }, "never"},
		"records of another due date count for nothing": {"2026-03-13 09:01",
			[]Reminder{{DueDate: day("2026-02-20"), Stage: -7, Outcome: Texted}}, nil, "2026-03-13 09:01"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			p := shippedPolicy(t)
			b := Bill{ID: 1, State: BillActive, DueDate: due}
			if tt.change != nil {
				tt.change(&b)
			}
			if got := shown(p, p.NextEval(b, tt.done, on(t, p, tt.now))); got != tt.want {
				t.Errorf("NextLook = %s, want %s", got, tt.want)
			}
		})
	}
}
