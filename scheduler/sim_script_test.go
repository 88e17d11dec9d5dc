package scheduler

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
	_ "time/tzdata" // zones for machines that have none

	"duewatch/almara"
	"duewatch/reminder"
	"duewatch/sandbox"
)

// blow is something that befalls the run at an instant.
type blow struct {
	at   time.Time // true
	what string
	do   func()
}

const simDay = 24 * time.Hour

// pick is one of the choices; one named more than once is likelier.
func pick[T any](dice *rand.Rand, choices ...T) T { return choices[dice.IntN(len(choices))] }

// draw makes the run out of its seed: where and when, who owes what, and what
// will go wrong.
func (s *sim) draw() {
	dice := s.dice("world")
	begin := s.drawWhere(dice)
	// The bubble's clock begins on a whole minute.
	s.shift = begin.Truncate(time.Minute).Sub(time.Now().Truncate(time.Minute))
	s.begin = s.trueNow()
	for _, d := range s.daemons {
		d.booted = s.begin.Add(-time.Hour)
	}
	s.end = s.begin.Add(time.Duration(28+dice.IntN(8)) * simDay)
	s.drawSeveral()
	s.resend = dice.IntN(4) != 0
	s.senders, s.askers = 1+dice.IntN(3), 1+dice.IntN(4)
	s.wire.slow = pick(dice, 0, 0, 1, 5)
	s.wire.faults = pick(dice, 0, 0.02, 0.02, 0.05, 0.1, 0.3)
	s.policies = s.drawPolicies(dice)
	if dice.IntN(5) == 0 {
		s.sendNearClose(s.policies)
	}
	s.files = []reminder.Policies{s.policies}
	s.configs = []simConfig{{s.begin, s.policies}}
	s.drawBills(dice)
	s.drawBlows(dice)
	s.drawPauses()
	s.drawOperator(dice)
	slices.SortStableFunc(s.script, func(a, b blow) int { return a.at.Compare(b.at) })
}

// drawWhere is the zone, and a beginning that, where there is summer time, has
// its change in the middle of the run.
func (s *sim) drawWhere(dice *rand.Rand) time.Time {
	name, begin := "Africa/Nairobi", time.Date(2026, time.Month(1+dice.IntN(12)), 1+dice.IntN(28), 0, 0, 0, 0, time.UTC)
	if dice.IntN(5) < 2 {
		c := pick(dice,
			struct {
				name  string
				month time.Month
				day   int
			}{"Europe/Berlin", 3, 29}, struct {
				name  string
				month time.Month
				day   int
			}{"Europe/Berlin", 10, 25}, struct {
				name  string
				month time.Month
				day   int
			}{"America/New_York", 3, 8}, struct {
				name  string
				month time.Month
				day   int
			}{"America/New_York", 11, 1})
		s.met["summer time"]++
		name, begin = c.name, time.Date(2026, c.month, c.day, 0, 0, 0, 0, time.UTC).AddDate(0, 0, -10-dice.IntN(15))
	}
	var err error
	s.zone, err = time.LoadLocation(name)
	s.must(err)
	return begin.Add(time.Duration(dice.IntN(24*60)) * time.Minute)
}

func (s *sim) drawPolicies(dice *rand.Rand) reminder.Policies {
	templates, err := simWordings()
	s.must(err)
	hours := pick(dice,
		[2]string{"09:00", "08:00-18:00"}, [2]string{"09:00", "08:00-18:00"}, [2]string{"10:30", "08:00-12:00"}, [2]string{"00:00", "00:00-24:00"},
		[2]string{"02:30", "00:00-24:00"}, [2]string{"23:30", "00:00-24:00"}, [2]string{"17:45", "07:00-18:00"}, [2]string{"08:00", "08:00-08:30"}, [2]string{"17:57", "08:00-18:00"})
	window, err := reminder.ParseWindow(hours[1])
	s.must(err)
	at, err := reminder.ParseClock(hours[0])
	s.must(err)
	stages := func() []reminder.Stage {
		return pick(dice, []reminder.Stage{-7, -3, 0}, []reminder.Stage{-7, -3, 0}, []reminder.Stage{-3, 0}, []reminder.Stage{-10, -5, -1, 0, 2},
			[]reminder.Stage{-2, -1, 0, 1, 2}, []reminder.Stage{0}, []reminder.Stage{-3, 0, 2, 7})
	}
	p := &reminder.Policy{
		ServiceName: "Nairobi Water", Zone: s.zone, Currency: "KES", Stages: stages(), SendAt: at, Window: window,
		SkipWeekdays: pick(dice, nil, nil, []time.Weekday{time.Sunday}, []time.Weekday{time.Saturday, time.Sunday}),
		Holidays:     map[reminder.Date]bool{}, MinBalance: reminder.MustMoney(pick(dice, "1", "1", "50")),
		MaxBalanceAge:  pick(dice, time.Hour, time.Hour, 0, 15*time.Minute, 6*time.Hour),
		StaleBalance:   pick(dice, reminder.StaleHold, reminder.StaleHold, reminder.StaleHold, reminder.StaleSkip, reminder.StaleWithoutAmount),
		PerNumberDaily: 1 + dice.IntN(3), Language: "en", Templates: pick(dice, templates[:]...), MaxSegments: 2, Guards: drawGuards(dice),
		Bundle: dice.IntN(3) != 0, BundleDays: pick(dice, 0, 2, 2, 5),
	}
	for range dice.IntN(4) {
		p.Holidays[reminder.DateOf(s.begin).AddDays(dice.IntN(40))] = true
	}
	other := *p
	other.ServiceName, other.Stages = "Kenya Power", stages()
	return reminder.Policies{Default: p, ByService: map[string]*reminder.Policy{sandbox.ServiceElectricity: &other}}
}

// sendNearClose makes texts leave shortly before the window closes, one after the
// other and slowly, so that it closes on some of them.
func (s *sim) sendNearClose(policies reminder.Policies) {
	s.nearClose, s.senders, s.wire.slow = true, 1, 5
	for _, p := range []*reminder.Policy{policies.Default, policies.ByService[sandbox.ServiceElectricity]} {
		p.SendAt, p.Window = 17*60+58, reminder.Window{From: 8 * 60, To: 18 * 60}
	}
}

func (s *sim) recheckWith() string {
	return pick(s.dice("recheck"), almara.RecheckRegister, almara.RecheckRegister, almara.RecheckLookup)
}

// drawBills makes 6 to 12 bills, some of which share a phone, and what their
// customers and billers do in these weeks.
func (s *sim) drawBills(dice *rand.Rand) {
	odd := []reminder.Phone{
		sandbox.PhoneStaysSent, sandbox.PhoneUnreachable, sandbox.PhoneOptedOut, sandbox.PhoneInvalid,
		sandbox.PhoneUnknown, sandbox.PhoneOptedOutLater, sandbox.PhoneFiltered, sandbox.PhoneNeverLeaves, sandbox.PhoneRegionRefused,
	}
	span := s.span()
	n, common := 6+dice.IntN(7), 5+dice.IntN(span-10)
	phones := pick(dice, n, n, n/3)
	crowd := dice.IntN(12) == 0 // so many on one day that a share of them means something
	if crowd {
		n += 20
		s.policies.Default.Guards.MaxFailureRate, s.policies.ByService[sandbox.ServiceElectricity].Guards.MaxFailureRate = 0.1, 0.1
	}
	for i := range n {
		to := phone(10 + dice.IntN(phones))
		if crowd {
			to = phone(10 + i)
		}
		if dice.IntN(6) == 0 {
			to = pick(dice, odd...)
		}
		b := &simBill{Bill: reminder.Bill{
			Service: pick(dice, water, water, sandbox.ServiceElectricity), Account: fmt.Sprintf("B%02d", i), Phone: to,
			Language: pick(dice, "", "", "sw", "en", "fr"), Description: pick(dice, "", "House 4"), Source: "config",
		}}
		s.bills = append(s.bills, b)
		s.owes(b, pick(dice, "1250.50", "90000", "320", "50", "0.40", "0", "-20", "777.77", "1250", "61.90", "4000"))
		today := reminder.DateOf(s.begin.In(s.zone))
		due := today.AddDays(pick(dice, dice.IntN(span)-3, dice.IntN(span)-3, common))
		if crowd || s.nearClose && dice.IntN(3) > 0 {
			due = today.AddDays(common)
		}
		s.due(b, due)
		if dice.IntN(5) == 0 {
			s.at(s.begin.Add(time.Duration(dice.IntN(2*span/3*24*60))*time.Minute), "declare "+b.Account, func() { s.redeclare(b, true) })
		} else {
			s.declared[b.Account] = true
		}
		s.drawLife(dice, b, due)
	}
}

// drawLife is what becomes of one bill: it is paid, in part or in full, when
// and as often as its customer likes; a new one follows; its due date moves,
// forth and back.
func (s *sim) drawLife(dice *rand.Rand, b *simBill, due reminder.Date) {
	anytime := func() time.Time {
		return s.begin.Add(time.Duration(dice.Int64N(int64(s.end.Sub(s.begin))))).Truncate(time.Minute)
	}
	for range dice.IntN(3) {
		owed := pick(dice, "0", "0", "0", "-5", "0.50", "200", "45", "1250.49")
		s.at(anytime(), fmt.Sprintf("%s now owes %s", b.Account, owed), func() { s.owes(b, owed) })
	}
	// Most pay about when they are reminded, which is the hardest to get right.
	if dice.IntN(3) == 0 {
		at := due.AddDays(pick(dice, -7, -3, -1, 0)).At(9*60, s.zone).Add(time.Duration(dice.IntN(240)-120) * time.Minute)
		s.at(at, b.Account+" pays", func() { s.owes(b, "0") })
	}
	for range dice.IntN(3) {
		at, by := anytime(), pick(dice, -5, -2, -1, 1, 3, 9)
		var before reminder.Date
		s.at(at, fmt.Sprintf("due date of %s moves by %d", b.Account, by), func() {
			before = b.dueNow()
			s.due(b, before.AddDays(by))
		})
		if dice.IntN(2) == 0 {
			s.at(at.Add(time.Duration(dice.IntN(5*24*60))*time.Minute), "due date of "+b.Account+" moves back", func() { s.due(b, before) })
		}
	}
	for next := due; next.Before(reminder.DateOf(s.end)); {
		at := next.AddDays(dice.IntN(4)).At(reminder.Clock(dice.IntN(24*60)), s.zone)
		next = next.AddDays(pick(dice, 7, 14, 30, 31))
		to, owed := next, pick(dice, "1500", "640.20", "99999.99", "880", "0", "30")
		s.at(at, fmt.Sprintf("new bill of %s: %s, due %s", b.Account, owed, to), func() {
			s.owes(b, owed)
			s.due(b, to)
		})
	}
	if dice.IntN(8) == 0 {
		at := anytime()
		s.at(at, "remove "+b.Account, func() { s.redeclare(b, false) })
		s.at(at.Add(time.Duration(dice.IntN(10*24))*time.Hour), "declare again "+b.Account, func() { s.redeclare(b, true) })
	}
}

func (s *sim) at(at time.Time, what string, do func()) {
	s.script = append(s.script, blow{at, what, do})
}

// later adds a blow to a run under way.
func (s *sim) later(at time.Time, what string, do func()) {
	i, _ := slices.BinarySearchFunc(s.script, at, func(b blow, at time.Time) int { return cmp.Or(b.at.Compare(at), -1) })
	s.script = slices.Insert(s.script, i, blow{at, what, do})
}

// befall lets happen what has come.
func (s *sim) befall() {
	for len(s.script) > 0 && !s.script[0].at.After(s.trueNow()) {
		b := s.script[0]
		s.script = s.script[1:]
		s.turnToAny()
		if b.what != "" {
			s.say("-- %s", b.what)
		}
		b.do()
		s.known.fresh = false
	}
}

func (s *sim) owes(b *simBill, amount string) {
	owed := reminder.MustMoney(amount)
	b.balances = append(b.balances, simBalance{s.trueNow(), &owed})
	if s.sandbox != nil {
		s.must(s.sandbox.Pay(b.Service, b.Account, owed))
	}
}

func (s *sim) due(b *simBill, due reminder.Date) {
	b.dues = append(b.dues, simDue{s.trueNow(), due})
	if s.sandbox != nil {
		s.must(s.sandbox.Move(b.Service, b.Account, due))
	}
}

func (b *simBill) dueNow() reminder.Date { return b.dues[len(b.dues)-1].due }

func (s *sim) settings() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s, %d bills, faults %v, resend %t, %d senders, %d askers\n", s.zone, len(s.bills), s.wire.faults, s.resend, s.senders, s.askers)
	for _, p := range []*reminder.Policy{s.policies.Default, s.policies.ByService[sandbox.ServiceElectricity]} {
		fmt.Fprintf(&b, "%s: stages %d at %s in %s, not on %v, balance of %s or %s, %d a day\n", p.ServiceName, p.Stages, p.SendAt, p.Window, p.SkipWeekdays, p.MaxBalanceAge, p.StaleBalance, p.PerNumberDaily)
	}
	return b.String()
}
