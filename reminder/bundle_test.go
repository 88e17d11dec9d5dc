package reminder

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// family is several bills of one phone: what may share a text.
type family struct {
	lead     *scene
	others   []Case
	policies Policies
}

// other is another bill of the phone of ordinary, of service 18, that owes KES
// 640.20 and has a fresh balance at the hour of the test.
func other(tb testing.TB, p *Policy, due, now string) Case {
	tb.Helper()
	balance, at := MustMoney("640.20"), on(tb, p, now).Add(-10*time.Minute)
	d := day(due)
	return Case{Bill: Bill{
		ID: 2, Service: "18", Account: "78-305", Phone: "+254710000001", State: BillActive, DueDate: d,
		Customer: "Jane Wanjiru", Balance: &balance, BalanceAt: at, CheckedAt: at, RegisteredAt: at,
	}}
}

// changes of the family's second bill.
func second(change func(*Case)) func(*family) { return func(f *family) { change(&f.others[0]) } }

func ofWater(change func(*Policy)) func(*family) {
	return func(f *family) { change(f.policies.ByService["18"]) }
}

func did(stage Stage, o Outcome, r Reason, at string) func(*Case) {
	return func(c *Case) {
		decided, err := time.ParseInLocation("2006-01-02 15:04", at, time.FixedZone("EAT", 3*3600))
		if err != nil {
			panic(err)
		}
		c.Done = append(c.Done, Reminder{DueDate: c.Bill.DueDate, Stage: stage, Outcome: o, Reason: r, DecidedAt: decided})
	}
}

func describe(p *Policy, j Bundle) string {
	var parts []string
	for _, b := range j.Ask {
		parts = append(parts, "ask "+b.Account)
	}
	for _, s := range j.Items {
		parts = append(parts, s.Bill.Account+" "+verdict(p, Decision{Records: s.Records, Next: s.Next}))
	}
	if j.Text != nil {
		parts = append(parts, "until "+shown(p, j.Text.NotAfter))
	}
	return strings.Join(parts, " | ")
}

func TestJoin(t *testing.T) {
	const (
		lead     = "12345678 3 days before: texted, on_schedule; again 2026-03-20 09:00"
		alone    = lead + " | until 2026-03-20 18:00"
		together = lead + " | 78-305 3 days before: texted, on_schedule; again 2026-03-20 09:00 | until 2026-03-20 18:00"
		early    = lead + " | 78-305 3 days before: texted, bundled; again 2026-03-21 09:00 | until 2026-03-20 18:00"
	)
	tests := []struct {
		name  string
		due   string // of the other bill; its stage of seven days before is done
		given []func(*family)
		want  string
	}{
		{"due the same day", "2026-03-20", nil, together},
		{"due the day after, so its stage is tomorrow", "2026-03-21", nil, early},
		{"due in two days more", "2026-03-22", nil, alone},
		{"due in two days more, and that many are allowed", "2026-03-22", []func(*family){ofWater(func(p *Policy) { p.BundleDays = 2 })},
			lead + " | 78-305 3 days before: texted, bundled; again 2026-03-22 09:00 | until 2026-03-20 18:00"},
		{"none may come early", "2026-03-21", []func(*family){ofWater(func(p *Policy) { p.BundleDays = 0 })}, alone},
		{"due today: it goes first", "2026-03-17", []func(*family){second(did(-3, Texted, OnSchedule, "2026-03-14 09:00"))},
			"78-305 due day: texted, on_schedule; again never | " + lead + " | until 2026-03-17 18:00"},
		{"due tomorrow", "2026-03-18", []func(*family){second(did(-3, Texted, OnSchedule, "2026-03-15 09:00"))},
			"78-305 due day: texted, bundled; again never | " + lead + " | until 2026-03-18 18:00"},
		{"what comes after the due date never comes early", "2026-03-16", []func(*family){
			ofWater(func(p *Policy) { p.Stages = []Stage{0, 2} }), second(did(0, Texted, OnSchedule, "2026-03-16 09:00"))}, alone},
		{"after the due date on its day", "2026-03-15", []func(*family){ofWater(func(p *Policy) { p.Stages = []Stage{0, 2} }), second(did(0, Texted, OnSchedule, "2026-03-15 09:00"))},
			"78-305 2 days after: texted, on_schedule; again never | " + lead + " | until 2026-03-20 18:00"},
		{"texted already", "2026-03-20", []func(*family){second(did(-3, Texted, OnSchedule, "2026-03-17 08:30"))}, alone},
		{"heard of today, with a stage tomorrow", "2026-03-18", []func(*family){second(did(-3, Texted, CatchUp, "2026-03-17 08:30"))}, alone},
		{"heard of another date yesterday, with its due day tomorrow", "2026-03-18", []func(*family){second(did(-3, Skipped, DateMoved, "2026-03-17 08:30")),
			second(func(c *Case) { c.Moved = NamedDate{At: c.Bill.BalanceAt.AddDate(0, 0, -1), DueDate: day("2026-03-19")} })}, alone},
		{"heard of another date yesterday, in another text than of its due day", "2026-03-20", []func(*family){second(func(c *Case) {
			c.Moved = NamedDate{At: c.Bill.BalanceAt.AddDate(0, 0, -1), DueDate: day("2026-03-19")}
		})}, alone},
		{"later today by its own hour", "2026-03-20", []func(*family){ofWater(func(p *Policy) { p.SendAt = 15 * 60 })},
			lead + " | 78-305 3 days before: texted, bundled; again 2026-03-20 15:00 | until 2026-03-20 18:00"},
		{"held for the daily cap", "2026-03-19", []func(*family){second(did(-3, Held, PhoneDailyCap, "2026-03-16 09:00"))},
			"78-305 3 days before: texted, catch_up; again 2026-03-19 09:00 | " + lead + " | until 2026-03-19 18:00"},
		{"cap reached by its own rule", "2026-03-20", []func(*family){second(func(c *Case) { c.TextsToday = 7 })}, together},

		{"its words may be why a text of several was refused", "2026-03-20", []func(*family){second(did(-3, Held, TryApart, "2026-03-17 09:00"))}, alone},
		{"the words of the lead may be", "2026-03-20", []func(*family){func(f *family) { did(-3, Held, TryApart, "2026-03-17 09:00")(&f.lead.Case) }}, alone},
		{"does not bundle", "2026-03-20", []func(*family){ofWater(func(p *Policy) { p.Bundle = false })}, alone},
		{"another language", "2026-03-20", []func(*family){second(func(c *Case) { c.Bill.Language = "sw" })}, alone},
		{"another phone", "2026-03-20", []func(*family){second(func(c *Case) { c.Bill.Phone = "+254710000002" })}, alone},
		{"paid", "2026-03-20", []func(*family){second(func(c *Case) { c.Bill.Balance = new(Money) })}, alone},
		{"too little", "2026-03-20", []func(*family){ofWater(func(p *Policy) { p.MinBalance = MustMoney("1000") })}, alone},
		{"opted out of that service", "2026-03-20", []func(*family){second(func(c *Case) { c.Suppressed = OptedOut })}, alone},
		{"paused", "2026-03-20", []func(*family){second(func(c *Case) { c.Bill.State = BillPaused })}, alone},
		{"in doubt", "2026-03-20", []func(*family){second(did(-3, Held, InDoubt, "2026-03-17 08:30"))}, alone},
		{"implausible", "2026-03-20", []func(*family){second(func(c *Case) { usual := MustMoney("6"); c.Bill.Usual = &usual }),
			ofWater(func(p *Policy) { p.Guards.ImplausibleBalance = 10 })}, alone},
		{"window closed", "2026-03-20", []func(*family){ofWater(func(p *Policy) { p.Window = Window{10 * 60, 18 * 60} })}, alone},
		{"no due date", "2026-03-20", []func(*family){second(func(c *Case) { c.Bill.DueDate = Date{} })}, alone},
		{"sent elsewhere", "2026-03-20", []func(*family){second(func(c *Case) { c.ForeignMessages = []time.Time{c.Bill.BalanceAt} })}, alone},
		{"sent elsewhere, ahead of its day", "2026-03-21", []func(*family){second(func(c *Case) { c.ForeignMessages = []time.Time{c.Bill.BalanceAt} })}, alone},

		{"old balance: both are asked", "2026-03-20", []func(*family){second(func(c *Case) { c.Bill.BalanceAt = c.Bill.BalanceAt.Add(-2 * time.Hour) })},
			"ask 12345678 | ask 78-305"},
		{"early and old: both are asked", "2026-03-21", []func(*family){second(func(c *Case) { c.Bill.BalanceAt = c.Bill.BalanceAt.Add(-2 * time.Hour) })},
			"ask 12345678 | ask 78-305"},
		{"the lead was asked, the other could not be", "2026-03-20", []func(*family){second(func(c *Case) { c.Asked, c.Bill.BalanceAt = CouldNotSay, time.Time{} }),
			func(f *family) { f.lead.Asked = Answered }}, alone},
		{"the lead was asked, the other became old meanwhile", "2026-03-20", []func(*family){second(func(c *Case) { c.Bill.BalanceAt = time.Time{} }),
			func(f *family) { f.lead.Asked = Answered }}, alone},
		{"could not be asked, and goes without its amount", "2026-03-20", []func(*family){second(func(c *Case) { c.Asked, c.Bill.BalanceAt = CouldNotSay, time.Time{} }),
			func(f *family) { f.lead.Asked = Answered }, ofWater(func(p *Policy) { p.StaleBalance = StaleWithoutAmount })}, together},

		{"no room for two", "2026-03-20", []func(*family){func(f *family) { f.policies.Default.MaxSegments = 1 }}, alone},
		{"no room in the budget", "2026-03-20", []func(*family){func(f *family) {
			f.policies.Default.Guards.MonthlySegments, f.lead.Guards.Month = 100, 99
		}}, alone},
		{"no words for several", "2026-03-20", []func(*family){func(f *family) {
			src := DefaultTemplates()
			en := src["en"]
			en.Bundle = ""
			src["en"] = en
			f.policies.Default.Templates, _ = ParseTemplates(src)
		}}, alone},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			const now = "2026-03-17 09:00"
			f := familyOf(t, tt.due, now)
			for _, change := range tt.given {
				change(f)
			}
			j := f.join(on(t, f.lead.policy, now))
			if diff := cmp.Diff(tt.want, describe(f.lead.policy, j)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func familyOf(tb testing.TB, due, now string) *family {
	tb.Helper()
	f := &family{lead: ordinary(tb)}
	p, water := f.lead.policy, shippedPolicy(tb)
	p.Bundle, p.BundleDays = true, 1
	water.Bundle, water.BundleDays, water.ServiceName = true, 1, "Nairobi Water"
	f.policies = Policies{Default: p, ByService: map[string]*Policy{"18": water}}
	c := other(tb, p, due, now)
	c.Done = []Reminder{{DueDate: c.Bill.DueDate, Stage: -7, Outcome: Texted, Reason: OnSchedule}}
	f.others = []Case{c}
	return f
}

func (f *family) join(now time.Time) Bundle {
	lead := BundleItem{&f.lead.Case, Decide(f.lead.Case, f.lead.policy, f.lead.to, now)}
	return Join(lead, f.others, f.policies, f.lead.to, now)
}

func TestBundleWords(t *testing.T) {
	now := "2026-03-17 09:00"
	tests := map[string]struct {
		given []func(*family)
		want  string
	}{
		"two": {nil, "Hello Jane Wanjiru, your 2 bills: Kenya Power 12345678: KES 2,315.50, due in 3 days, 20 March 2026; " +
			"Nairobi Water 78-305: KES 640.20, due in 3 days, 20 March 2026. Total: KES 2,955.70."},
		"other names": {[]func(*family){second(func(c *Case) { c.Bill.Customer = "John Wanjiru" })},
			"Your 2 bills: Kenya Power 12345678: KES 2,315.50, due in 3 days, 20 March 2026; " +
				"Nairobi Water 78-305: KES 640.20, due in 3 days, 20 March 2026. Total: KES 2,955.70."},
		"an amount that is not known": {[]func(*family){second(func(c *Case) { c.Asked, c.Bill.BalanceAt = CouldNotSay, time.Time{} }),
			func(f *family) { f.lead.Asked = Answered }, ofWater(func(p *Policy) { p.StaleBalance = StaleWithoutAmount })},
			"Hello Jane Wanjiru, your 2 bills: Kenya Power 12345678: KES 2,315.50, due in 3 days, 20 March 2026; " +
				"Nairobi Water 78-305: due in 3 days, 20 March 2026. Please ignore what is paid."},
		"Swahili": {[]func(*family){second(func(c *Case) { c.Bill.Language = "sw" }), func(f *family) { f.lead.Bill.Language = "sw" }},
			"Habari Jane Wanjiru, bili 2 za kulipa: Kenya Power 12345678: KES 2,315.50, mwisho baada ya siku 3, 20 Machi 2026; " +
				"Nairobi Water 78-305: KES 640.20, mwisho baada ya siku 3, 20 Machi 2026. Jumla: KES 2,955.70."},
		"a service without a name": {[]func(*family){ofWater(func(p *Policy) { p.ServiceName = "" })},
			"Hello Jane Wanjiru, your 2 bills: Kenya Power 12345678: KES 2,315.50, due in 3 days, 20 March 2026; " +
				"account 78-305: KES 640.20, due in 3 days, 20 March 2026. Total: KES 2,955.70."},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			f := familyOf(t, "2026-03-20", now)
			for _, change := range tt.given {
				change(f)
			}
			j := f.join(on(t, f.lead.policy, now))
			if diff := cmp.Diff(tt.want, j.Text.Body); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if j.Text.Count.Encoding != gsm7 || j.Text.Count.Segments > 2 {
				t.Errorf("%+v", j.Text.Count)
			}
			for _, b := range []Bill{f.lead.Bill, f.others[0].Bill} {
				if p := f.policies.For(b.Service); !p.MatchesReminder(b, j.Text.Body, day("2026-03-17")) {
					t.Errorf("it is not recognised as one about %s", b.Account)
				}
			}
		})
	}
}

// One phone with many bills: as many as there is room for, the soonest due
// first, and the lead is not among them if it is due later.
func TestABundleHoldsTheSoonestDue(t *testing.T) {
	for _, language := range []string{"en", "sw"} {
		f := familyOf(t, "2026-03-20", "2026-03-17 09:00")
		now := on(t, f.lead.policy, "2026-03-17 09:00")
		f.lead.Bill.Language = language
		f.others = nil
		for i := range MaxBundleCandidates {
			c := other(t, f.lead.policy, "2026-03-17", "2026-03-17 09:00")
			c.Bill.ID, c.Bill.Account, c.Bill.Language = int64(10+i), fmt.Sprintf("78-%03d", i), language
			if i%2 == 0 {
				c.Bill.DueDate = day("2026-03-18") // ahead of its day
				c.Done = []Reminder{{DueDate: c.Bill.DueDate, Stage: -3, Outcome: Texted}}
			}
			f.others = append(f.others, c)
		}
		j := f.join(now)
		var accounts []string
		for _, s := range j.Items {
			accounts = append(accounts, s.Bill.Account)
			if !strings.Contains(j.Text.Body, s.Bill.Account) {
				t.Errorf("%s is not in %q", s.Bill.Account, j.Text.Body)
			}
		}
		if diff := cmp.Diff([]string{"78-001", "78-003", "78-005"}, accounts[:3]); diff != "" || j.Text.Count.Segments > 2 {
			t.Errorf("%s, %d segments (-want +got):\n%s", language, j.Text.Count.Segments, diff)
		}
	}
}

// What is due today is useful until tonight; what is overdue, for days. When
// there is no room for all, the first goes first, also where it leads.
func TestABundleHoldsWhatCannotWait(t *testing.T) {
	f := familyOf(t, "2026-03-15", "2026-03-17 09:00")
	f.lead.Bill.DueDate = day("2026-03-17")
	water := f.policies.ByService["18"]
	water.Stages = []Stage{0, 2}
	overdue := f.others[0]
	overdue.Done = []Reminder{{DueDate: overdue.Bill.DueDate, Stage: 0, Outcome: Texted}}
	f.others = nil
	for i := range int64(5) {
		overdue.Bill.ID, overdue.Bill.Account = 10+i, fmt.Sprintf("78-%03d", i)
		f.others = append(f.others, overdue)
	}
	j := f.join(on(t, f.lead.policy, "2026-03-17 09:00"))
	if n := len(j.Items); n < 2 || n > 4 {
		t.Fatalf("%d bills share the text: the test wants less room than bills", n)
	}
	if !strings.Contains(j.Text.Body, f.lead.Bill.Account) {
		t.Errorf("%q leaves out what is due today", j.Text.Body)
	}
}
