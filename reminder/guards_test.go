package reminder

import (
	"testing"
	"time"
)

func TestGuardsHold(t *testing.T) {
	t.Parallel()
	overridden := func(r Reason) map[Reason]bool { return map[Reason]bool{r: true} }
	for name, tc := range map[string]struct {
		guards Guards
		at     GuardState
		want   string
	}{
		"none are set":                     {Guards{}, GuardState{Today: 1e6, Month: 1e6, Median: 1, Recent: 100, Failed: 100}, "texted"},
		"the last text of the day's limit": {Guards{MaxTextsPerDay: 10}, GuardState{Today: 9}, "texted"},
		"one over the day's limit":         {Guards{MaxTextsPerDay: 10}, GuardState{Today: 10}, "daily_limit until 2026-03-18 09:00"},
		"the day's limit is overridden":    {Guards{MaxTextsPerDay: 10}, GuardState{Today: 10, Overridden: overridden(DailyLimit)}, "texted"},
		"another guard is overridden":      {Guards{MaxTextsPerDay: 10}, GuardState{Today: 10, Overridden: overridden(Surge)}, "daily_limit until 2026-03-18 09:00"},
		"a surge":                          {Guards{Surge: 3, SurgeFrom: 20}, GuardState{Today: 30, Median: 10}, "surge until 2026-03-18 09:00"},
		"not yet a surge":                  {Guards{Surge: 3, SurgeFrom: 20}, GuardState{Today: 29, Median: 10}, "texted"},
		"too few texts for a surge":        {Guards{Surge: 3, SurgeFrom: 50}, GuardState{Today: 49, Median: 10}, "texted"},
		"no history, no surge":             {Guards{Surge: 3, SurgeFrom: 1}, GuardState{Today: 1e6}, "texted"},
		"the month's last segment":         {Guards{MonthlySegments: 100}, GuardState{Month: 99}, "texted"},
		"over the month's segments":        {Guards{MonthlySegments: 100}, GuardState{Month: 100}, "monthly_budget until 2026-03-20 09:00"},
		"half of them failed":              {Guards{MaxFailureRate: .5}, GuardState{Recent: 20, Failed: 10}, "texted"},
		"most of them failed":              {Guards{MaxFailureRate: .5}, GuardState{Recent: 20, Failed: 11}, "failure_rate until 2026-03-17 10:00"},
		"too few to judge":                 {Guards{MaxFailureRate: .5}, GuardState{Recent: 19, Failed: 19}, "texted"},
		"a stop":                           {Guards{}, GuardState{Stop: &Stop{Reason: CopiedStore}}, "copied_store until 2026-03-20 09:00"},
		"a stop that ends":                 {Guards{}, GuardState{Stop: &Stop{Reason: AccountFault, Until: time.Date(2026, 3, 17, 6, 5, 0, 0, time.UTC)}}, "account_fault until 2026-03-17 09:05"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := ordinary(t)
			s.policy.Guards, s.Guards = tc.guards, tc.at
			if got := outcomeAt(t, s, "2026-03-17 09:00"); got != tc.want {
				t.Errorf("got %s, want %s", got, tc.want)
			}
		})
	}
}

// outcomeAt words what is decided about the last stage of a scene.
func outcomeAt(t *testing.T, s *scene, at string) string {
	t.Helper()
	d := Decide(s.Case, s.policy, s.to, on(t, s.policy, at))
	if d.Ask || len(d.Records) == 0 {
		return "no decision"
	}
	r := d.Records[len(d.Records)-1]
	if r.Outcome == Texted {
		return "texted"
	}
	if r.Outcome == Skipped {
		return "skipped " + string(r.Reason)
	}
	return string(r.Reason) + " until " + d.Next.In(s.policy.Zone).Format("2006-01-02 15:04")
}

func TestABudgetCountsTheSegmentsOfThisText(t *testing.T) {
	t.Parallel()
	s := ordinary(t)
	s.policy.Guards.MonthlySegments, s.Guards.Month = 100, 99
	s.Bill.Customer = "王小明" // not in GSM-7: more than one segment
	if got := outcomeAt(t, s, "2026-03-17 09:00"); got != "monthly_budget until 2026-03-20 09:00" {
		t.Errorf("got %s", got)
	}
}

func TestAGuardIsAskedBeforeAlmaraPay(t *testing.T) {
	t.Parallel()
	s := ordinary(t)
	s.policy.Guards.MaxTextsPerDay = 1
	s.Guards.Today = 1
	s.Bill.BalanceAt = s.Bill.BalanceAt.AddDate(0, 0, -1)
	if got := outcomeAt(t, s, "2026-03-17 09:00"); got != "daily_limit until 2026-03-18 09:00" {
		t.Errorf("got %s, want no question", got)
	}
}

func TestImplausibleBalance(t *testing.T) {
	t.Parallel()
	on := Guards{ImplausibleBalance: 10, ImplausibleFrom: MustMoney("10000")}
	for name, tc := range map[string]struct {
		guards     Guards
		usual, now string
		want       string
	}{
		"18 times as much":          {on, "894", "16765", "implausible_balance until 2026-03-17 15:00"},
		"ten times as much":         {on, "1500", "15000", "texted"},
		"much more, of little":      {on, "50", "9999.99", "texted"},
		"never owed anything":       {on, "", "16765", "texted"},
		"the guard is off":          {Guards{}, "894", "16765", "texted"},
		"less than ever":            {on, "16765", "894", "texted"},
		"paid, whatever was before": {on, "894", "0", "skipped paid"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := ordinary(t)
			s.policy.Guards = tc.guards
			owes(tc.now)(s)
			if tc.usual != "" {
				m := MustMoney(tc.usual)
				s.Bill.Usual = &m
			}
			if got := outcomeAt(t, s, "2026-03-17 09:00"); got != tc.want {
				t.Errorf("got %s, want %s", got, tc.want)
			}
		})
	}
}

// One customer was billed Sh16,765 after Sh894: what was implausible once must
// not become the measure of what is plausible.
func TestAnImplausibleBalanceIsNotBelieved(t *testing.T) {
	t.Parallel()
	g := Guards{ImplausibleBalance: 10, ImplausibleFrom: MustMoney("10000")}
	var b Bill
	for i, step := range []struct{ balance, usual string }{
		{"0", ""}, {"894", "894"}, {"0", "894"}, {"650.50", "894"}, {"16765", "894"}, {"16000", "894"}, {"8000", "8000"}, {"-20", "8000"}, {"16765", "16765"},
	} {
		m := MustMoney(step.balance)
		b.Balance = &m
		b.Believe(g)
		got := ""
		if b.Usual != nil {
			got = b.Usual.String()
		}
		if got != step.usual {
			t.Errorf("step %d: after %s the usual balance is %q, want %q", i, step.balance, got, step.usual)
		}
	}
}

func TestMedianDay(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		days []int
		want int
	}{
		"no history":                     {nil, 0},
		"rent, due on one day":           {[]int{0, 0, 5000, 0, 0, 0, 4900, 0, 0, 5000, 0, 0, 0, 0}, 0},
		"six days are too few":           {[]int{1, 2, 3, 4, 5, 6}, 0},
		"seven will do":                  {[]int{7, 1, 2, 3, 4, 5, 6}, 4},
		"silent days are no usual days":  {[]int{0, 10, 0, 10, 10, 0, 10, 10, 0, 10, 10, 0, 10, 400}, 10},
		"one day out of order is no use": {[]int{10, 11, 9, 10, 12, 10, 9000}, 10},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := MedianDay(tc.days); got != tc.want {
				t.Errorf("MedianDay(%v) = %d, want %d", tc.days, got, tc.want)
			}
		})
	}
}

func TestASentElsewhereTextIsNotSentAgain(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		elsewhere string
		want      string
	}{
		"sent at the hour of this stage":       {"2026-03-17 09:00", "skipped sent_elsewhere"},
		"sent by a clock that is behind":       {"2026-03-17 08:30", "skipped sent_elsewhere"},
		"sent at the stage before":             {"2026-03-13 09:00", "texted"},
		"sent after this stage ceased to help": {"2026-03-20 18:00", "texted"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := ordinary(t)
			s.ForeignMessages = []time.Time{on(t, s.policy, tc.elsewhere)}
			if got := outcomeAt(t, s, "2026-03-17 09:05"); got != tc.want {
				t.Errorf("got %s, want %s", got, tc.want)
			}
		})
	}
}
