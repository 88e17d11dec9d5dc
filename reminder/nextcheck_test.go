package reminder

import (
	"testing"
	"time"
)

func TestNextCheck(t *testing.T) {
	due := day("2026-03-20")
	tests := map[string]struct {
		now      string
		change   func(*Bill, *Policy)
		from, to string // it lies between
	}{
		"due date not known":             {"2026-03-01 12:00", func(b *Bill, _ *Policy) { b.DueDate = Date{} }, "2026-03-04 04:48", "2026-03-04 12:00"},
		"far ahead":                      {"2026-02-01 12:00", nil, "2026-02-12 07:12", "2026-02-13 12:00"},
		"years ahead":                    {"2026-02-01 12:00", func(b *Bill, _ *Policy) { b.DueDate = day("9999-12-31") }, "2026-02-12 07:12", "2026-02-13 12:00"},
		"shortly before the next stage":  {"2026-03-10 12:00", nil, "2026-03-13 08:12", "2026-03-13 08:48"},
		"after the check before a stage": {"2026-03-13 08:50", nil, "2026-03-17 08:12", "2026-03-17 08:48"},
		"before the due day's stage":     {"2026-03-17 09:00", nil, "2026-03-20 08:12", "2026-03-20 08:48"},
		"at most two hours before a stage, whatever age is allowed": {"2026-03-10 12:00", func(_ *Bill, p *Policy) { p.MaxBalanceAge = 7 * 24 * time.Hour },
			"2026-03-13 07:24", "2026-03-13 08:36"},
		"no age allowed: the remind job asks by itself": {"2026-03-10 12:00", func(_ *Bill, p *Policy) { p.MaxBalanceAge = 0 }, "2026-03-12 12:00", "2026-03-22 12:00"},
		"just passed":                  {"2026-03-21 12:00", nil, "2026-03-23 07:12", "2026-03-23 12:00"},
		"two weeks passed":             {"2026-04-03 12:00", nil, "2026-04-05 07:12", "2026-04-05 12:00"},
		"long passed":                  {"2026-04-04 12:00", nil, "2026-04-10 19:12", "2026-04-11 12:00"},
		"years passed":                 {"2026-04-04 12:00", func(b *Bill, _ *Policy) { b.DueDate = day("2020-07-03") }, "2026-04-10 19:12", "2026-04-11 12:00"},
		"one failure":                  {"2026-03-13 08:50", func(b *Bill, _ *Policy) { b.Failures = 1 }, "2026-03-13 08:50:45", "2026-03-13 08:51"},
		"many failures":                {"2026-03-13 08:50", func(b *Bill, _ *Policy) { b.Failures = 500 }, "2026-03-13 13:20", "2026-03-13 14:50"},
		"before a stage that is moved": {"2026-03-10 12:00", func(_ *Bill, p *Policy) { p.Holidays = closedFrom("2026-03-13", 1) }, "2026-03-12 08:12", "2026-03-12 08:48"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			for id := range int64(200) {
				p := shippedPolicy(t)
				b := Bill{ID: id, State: BillActive, DueDate: due}
				if tt.change != nil {
					tt.change(&b, p)
				}
				got := p.NextCheck(b, on(t, p, tt.now))
				if got.Before(on(t, p, tt.from)) || got.After(on(t, p, tt.to)) {
					t.Fatalf("bill %d: NextCheck = %s, want between %s and %s", id, shown(p, got), tt.from, tt.to)
				}
			}
		})
	}
}

// Each stage to come finds a balance that is young enough, from wherever the
// chain of checks begins.
func TestNextCheckComesBeforeEachStage(t *testing.T) {
	for seed := range uint64(1000) {
		r := chance(seed)
		p := randomPolicy(t, r)
		if p.MaxBalanceAge == 0 {
			p.MaxBalanceAge = time.Hour
		}
		b := Bill{ID: r.Int64(), State: BillActive, DueDate: day("2026-03-01").AddDays(r.IntN(300))}
		start := day("2026-01-10").At(Clock(r.IntN(1440)), p.Zone)
		var checks []time.Time
		for now := start; now.Before(start.AddDate(1, 2, 0)); {
			next := p.NextCheck(b, now)
			if !next.After(now) {
				t.Fatalf("seed %d: NextCheck(%s) = %s", seed, shown(p, now), shown(p, next))
			}
			now = next
			checks = append(checks, now)
		}
		for _, step := range p.Steps(b.DueDate) {
			fresh := false
			for _, c := range checks {
				fresh = fresh || c.Before(step.At) && !c.Before(step.At.Add(-p.MaxBalanceAge))
			}
			if !fresh {
				t.Fatalf("seed %d: no check in the %s before %s at %s", seed, p.MaxBalanceAge, step.Stage, shown(p, step.At))
			}
		}
	}
}

// The due date that follows is known soon, whichever stage was the last.
func TestNextCheckComesSoonAfterTheDueDate(t *testing.T) {
	tests := map[string]func(*Policy){
		"shipped policy":           nil,
		"two weeks before only":    func(p *Policy) { p.Stages = []Stage{-14} },
		"after the due date":       func(p *Policy) { p.Stages = []Stage{0, 2} },
		"balance asked every time": func(p *Policy) { p.MaxBalanceAge = 0 },
	}
	for name, change := range tests {
		t.Run(name, func(t *testing.T) {
			p := shippedPolicy(t)
			if change != nil {
				change(p)
			}
			due := day("2026-03-20")
			for id := range int64(300) {
				b := Bill{ID: id, State: BillActive, DueDate: due}
				now := on(t, p, "2026-02-20 12:00")
				for DateOf(now.In(p.Zone)).Sub(due) <= 0 {
					now = p.NextCheck(b, now)
				}
				if late := DateOf(now.In(p.Zone)).Sub(due); late > 3 {
					t.Fatalf("bill %d: the first check after the due date comes %d days late, on %s", id, late, shown(p, now))
				}
			}
		})
	}
}

// biller gives a bill a new due date every so many days, lag days after the
// last one, and says nothing of the balance if it is nil.
func biller(first Date, every, lag int, balance *Money, zone *time.Location) func(time.Time) Answer {
	return func(now time.Time) Answer {
		due := first
		for DateOf(now.In(zone)).Sub(due) >= lag {
			due = due.AddDays(every)
		}
		return Answer{At: now, DueDate: due, Balance: balance}
	}
}

// The aim is few calls: this counts all of them, of the recheck job and of the
// remind job, over a year of a bill that is due every 30 days.
func TestCallsAMonth(t *testing.T) {
	owed := MustMoney("2315.50")
	tests := []struct {
		name    string
		every   int // days from one due date to the next
		lag     int // days after a due date at which the next one appears
		balance *Money
		down    bool
		most    float64 // calls in 30 days
	}{
		{"the next bill appears at once", 30, 1, &owed, false, 8},
		{"the next bill appears after five days", 30, 5, &owed, false, 8},
		{"the next bill appears after ten days", 30, 10, &owed, false, 10},
		{"the next bill appears two weeks before it is due", 30, 16, &owed, false, 12},
		{"no next bill", 10_000, 1, &owed, false, 8},
		{"Almara Pay never knows the balance", 30, 5, nil, false, 60},
		{"Almara Pay never answers", 30, 5, nil, true, 240},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			const bills, months = 20, 12
			calls, texts, possible := 0, 0, 0
			for id := range int64(bills) {
				p := shippedPolicy(t)
				first := day("2026-01-15").AddDays(int(id))
				w := steadyWorld(p, Bill{ID: id, Account: "12345678", Phone: "+254710000001", State: BillActive, DueDate: first},
					biller(first, tt.every, tt.lag, tt.balance, p.Zone))
				w.almaraDown = func(time.Time) bool { return tt.down }
				start := on(t, p, "2026-01-05 10:00")
				w.nextEval = p.NextEval(w.Bill, nil, start)
				w.run(t, start, start.AddDate(0, 0, 30*months))
				calls += w.calls
				texts += len(w.texts)
				possible += len(w.Done)
			}
			got := float64(calls) / bills / months
			t.Logf("%.1f calls a month; %d of %d stages texted", got, texts, possible)
			if got > tt.most {
				t.Errorf("%.1f calls in 30 days for one bill, want at most %.0f", got, tt.most)
			}
		})
	}
}

// A bill with a short cycle must not miss the stages of its next due date
// because nobody asked.
func TestAWeeklyBillHasAllItsStages(t *testing.T) {
	owed := MustMoney("300")
	p := shippedPolicy(t, func(p *Policy) { p.Stages = []Stage{-3, 0} })
	first := day("2026-03-06")
	w := steadyWorld(p, Bill{ID: 7, Account: "12345678", Phone: "+254710000001", State: BillActive, DueDate: first}, biller(first, 7, 1, &owed, p.Zone))
	start := on(t, p, "2026-03-01 10:00")
	w.nextEval = p.NextEval(w.Bill, nil, start)
	w.run(t, start, on(t, p, "2026-05-29 23:00")) // 13 due dates
	if len(w.texts) != 2*13 {
		t.Errorf("%d texts for 13 due dates, want 26", len(w.texts))
	}
}

// Bills that were imported together drift apart, and those that failed
// together do not come back together.
func TestChecksSpread(t *testing.T) {
	p := shippedPolicy(t)
	now := on(t, p, "2026-03-10 12:00")
	tests := map[string]Bill{
		"before a stage":   {DueDate: day("2026-03-20")},
		"far from a stage": {DueDate: day("2026-06-20")},
		"after a due date": {DueDate: day("2026-03-05")},
		"no due date":      {},
		"after failures":   {DueDate: day("2026-03-20"), Failures: 9},
	}
	for name, b := range tests {
		t.Run(name, func(t *testing.T) {
			const bills = 10_000
			minutes := map[string]int{}
			for b.ID = range int64(bills) {
				minutes[shown(p, p.NextCheck(b, now).Truncate(time.Minute))]++
			}
			for minute, n := range minutes {
				if n > bills/20 {
					t.Errorf("%d of %d bills are checked at %s", n, bills, minute)
				}
			}
		})
	}
}
