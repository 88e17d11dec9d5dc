package reminder

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// scene is one call of Decide.
type scene struct {
	Case
	tb     testing.TB
	policy *Policy
	to     Delivery
}

// ordinary is the scene that every case starts from: a bill due on Friday 20
// March 2026, KES 2,315.50 owed when it was asked at 08:30 on the 17th, the
// stage of seven days before texted.
func ordinary(tb testing.TB) *scene {
	tb.Helper()
	p := shippedPolicy(tb)
	due, balance, asked := day("2026-03-20"), MustMoney("2315.50"), on(tb, p, "2026-03-17 08:30")
	return &scene{
		tb:     tb,
		policy: p,
		to:     Delivery{Mode: ModeLive},
		Case: Case{
			Bill: Bill{
				ID: 1, Service: "17", Account: "12345678", Phone: "+254710000001", State: BillActive, DueDate: due,
				Customer: "Jane Wanjiru", Balance: &balance, BalanceAt: asked, CheckedAt: asked, RegisteredAt: asked,
			},
			Done: []Reminder{{DueDate: due, Stage: -7, Outcome: Texted, Reason: OnSchedule}},
		},
	}
}

func owes(s string) func(*scene) {
	return func(sc *scene) { m := MustMoney(s); sc.Bill.Balance = &m }
}

func didBefore(due string, stage Stage, o Outcome, r Reason) func(*scene) {
	return func(sc *scene) {
		sc.Done = append(sc.Done, Reminder{DueDate: day(due), Stage: stage, Outcome: o, Reason: r})
	}
}

// notDeliveredAt is a text of three days before that came to nothing at an instant.
func notDeliveredAt(at string) func(*scene) {
	return func(sc *scene) {
		sc.Done = append(sc.Done, Reminder{DueDate: sc.Bill.DueDate, Stage: -3, Outcome: Held, Reason: NotDelivered, Tries: 1, DecidedAt: on(sc.tb, sc.policy, at)})
	}
}

func dueOn(s string) func(*scene) { return func(sc *scene) { sc.Bill.DueDate = day(s) } }

// namedDate is a text about the bill that named another due date.
func namedDate(due, at string) func(*scene) {
	return func(sc *scene) { sc.Moved = NamedDate{At: on(sc.tb, sc.policy, at), DueDate: day(due)} }
}

// feedFaultFrom is a span in which it is not believed that nothing is owed.
func feedFaultFrom(since, until string) func(*scene) {
	return func(sc *scene) {
		doubt := FeedFault{Since: on(sc.tb, sc.policy, since)}
		if until != "" {
			doubt.Until = on(sc.tb, sc.policy, until)
		}
		sc.Guards.FeedFaults = map[string]FeedFault{sc.Bill.Service: doubt}
	}
}

func mode(m Mode) func(*scene) { return func(sc *scene) { sc.to.Mode = m } }

// cannotSay is a decision for which Almara Pay was asked in vain.
func cannotSay(stale StalePolicy) func(*scene) {
	return func(sc *scene) {
		sc.Asked, sc.policy.StaleBalance = CouldNotSay, stale
		sc.Bill.BalanceAt = sc.Bill.BalanceAt.AddDate(0, 0, -4)
		sc.Bill.LastError = "503 Service Unavailable"
	}
}

// askedAt is a decision for which Almara Pay answered.
func askedAt(s string) func(*scene) {
	return func(sc *scene) {
		at, err := time.ParseInLocation("2006-01-02 15:04", s, sc.policy.Zone)
		if err != nil {
			panic(err)
		}
		sc.Asked, sc.Bill.BalanceAt, sc.Bill.CheckedAt = Answered, at, at
	}
}

func verdict(p *Policy, d Decision) string {
	if d.Ask {
		return "ask"
	}
	var parts []string
	for _, r := range d.Records {
		parts = append(parts, fmt.Sprintf("%s: %s, %s", r.Stage, r.Outcome, r.Reason))
	}
	if d.Text != nil {
		parts = append(parts, "to "+d.Text.To.E164())
	}
	return strings.Join(append(parts, "again "+shown(p, d.Next)), "; ")
}

var decideCases = []struct {
	name  string
	now   string
	given []func(*scene)
	want  string
}{
	// When.
	{"before the first stage", "2026-03-12 12:00", nil, "again 2026-03-13 09:00"},
	{"a second before the hour", "2026-03-17 08:59:59", nil, "again 2026-03-17 09:00"},
	{"on the hour", "2026-03-17 09:00", nil, "3 days before: texted, on_schedule; to +254710000001; again 2026-03-20 09:00"},
	{"two hours late is the queue", "2026-03-17 11:00", []func(*scene){askedAt("2026-03-17 11:00")},
		"3 days before: texted, on_schedule; to +254710000001; again 2026-03-20 09:00"},
	{"later is catching up", "2026-03-17 11:00:01", []func(*scene){askedAt("2026-03-17 11:00")},
		"3 days before: texted, catch_up; to +254710000001; again 2026-03-20 09:00"},
	{"the last stage leaves nothing to come", "2026-03-20 09:00", []func(*scene){askedAt("2026-03-20 08:40"), didBefore("2026-03-20", -3, Texted, OnSchedule)},
		"due day: texted, on_schedule; to +254710000001; again never"},
	{"decided again after the text", "2026-03-17 09:01", []func(*scene){didBefore("2026-03-20", -3, Texted, OnSchedule)}, "again 2026-03-20 09:00"},
	{"decided again after a skip", "2026-03-17 09:01", []func(*scene){didBefore("2026-03-20", -3, Skipped, Paid)}, "again 2026-03-20 09:00"},
	{"everything was done", "2026-03-20 12:00", []func(*scene){
		didBefore("2026-03-20", -3, Texted, OnSchedule), didBefore("2026-03-20", 0, Texted, OnSchedule)}, "again never"},
	{"held before, free now", "2026-03-18 08:00", []func(*scene){askedAt("2026-03-18 08:00"), didBefore("2026-03-20", -3, Held, OutsideWindow)},
		"3 days before: texted, catch_up; to +254710000001; again 2026-03-20 09:00"},

	// Catching up.
	{"first seen three days before: only the latest", "2026-03-17 12:00", []func(*scene){askedAt("2026-03-17 12:00"), func(s *scene) { s.Done = nil }},
		"7 days before: skipped, superseded; 3 days before: texted, catch_up; to +254710000001; again 2026-03-20 09:00"},
	{"first seen on the due day: only the latest", "2026-03-20 12:00", []func(*scene){askedAt("2026-03-20 12:00"), func(s *scene) { s.Done = nil }},
		"7 days before: skipped, superseded; 3 days before: skipped, superseded; due day: texted, catch_up; to +254710000001; again never"},
	{"a held stage gives way to the next", "2026-03-20 09:00", []func(*scene){askedAt("2026-03-20 09:00"), didBefore("2026-03-20", -3, Held, ModeIsOff)},
		"3 days before: skipped, superseded; due day: texted, on_schedule; to +254710000001; again never"},
	{"came back undelivered after the next one came early", "2026-03-19 09:30", []func(*scene){
		didBefore("2026-03-20", -3, Held, NotDelivered), didBefore("2026-03-20", 0, Texted, Bundled)},
		"3 days before: held, later_sent; again 2026-03-20 09:00"},
	{"came back undelivered, and so did the next one that came early", "2026-03-19 09:30", []func(*scene){askedAt("2026-03-19 09:00"),
		didBefore("2026-03-20", -3, Held, LaterSent), didBefore("2026-03-20", 0, Held, NotDelivered)},
		"3 days before: texted, catch_up; to +254710000001; again 2026-03-20 09:00"},
	{"missed, and the next one is due later today", "2026-03-20 08:30", nil, "3 days before: held, later_today; again 2026-03-20 09:00"},
	{"missed, and a holiday moves the next one to today", "2026-03-19 08:30", []func(*scene){func(s *scene) { s.policy.Holidays = closedFrom("2026-03-20", 1) }},
		"3 days before: held, later_today; again 2026-03-19 09:00"},
	{"left to a stage of today that is there no more", "2026-03-19 08:35", []func(*scene){askedAt("2026-03-19 08:30"), didBefore("2026-03-20", -3, Held, LaterToday)},
		"3 days before: texted, catch_up; to +254710000001; again 2026-03-20 09:00"},
	{"down for three weeks", "2026-04-07 09:00", nil, "3 days before: skipped, superseded; due day: skipped, expired; again never"},
	{"the due day's window just closed", "2026-03-20 18:00", []func(*scene){didBefore("2026-03-20", -3, Texted, OnSchedule)}, "due day: skipped, expired; again never"},
	{"too late for the provider to deliver", "2026-03-20 17:59:30", []func(*scene){didBefore("2026-03-20", -3, Texted, OnSchedule)}, "due day: skipped, expired; again never"},
	{"no day open before it ends", "2026-03-17 19:00", []func(*scene){func(s *scene) { s.policy.Holidays = closedFrom("2026-03-18", 3) }},
		"3 days before: skipped, superseded; due day: skipped, expired; again never"},
	{"what ended at midnight is not left to the stage of the morning", "2026-03-21 00:00", []func(*scene){didBefore("2026-03-20", 0, Held, BalanceStale), func(s *scene) {
		s.policy.Stages, s.policy.Window = []Stage{0, 1}, Window{0, endOfDay}
	}}, "due day: skipped, expired; again 2026-03-21 09:00"},
	{"after the due date, within its week", "2026-03-29 12:00", []func(*scene){askedAt("2026-03-29 12:00"), func(s *scene) { s.policy.Stages = []Stage{2} }},
		"2 days after: texted, catch_up; to +254710000001; again never"},
	{"after the due date, past its week", "2026-03-29 18:00", []func(*scene){func(s *scene) { s.policy.Stages = []Stage{2} }}, "2 days after: skipped, expired; again never"},
	{"in doubt waits for the operator", "2026-03-17 12:00", []func(*scene){didBefore("2026-03-20", -3, Held, InDoubt)},
		"3 days before: held, in_doubt; again 2026-03-20 09:00"},
	{"in doubt ends at last", "2026-03-20 18:00", []func(*scene){didBefore("2026-03-20", -3, Texted, OnSchedule), didBefore("2026-03-20", 0, Held, InDoubt)},
		"due day: skipped, expired; again never"},
	{"not delivered, and decided again for another reason", "2026-03-17 09:10", []func(*scene){notDeliveredAt("2026-03-17 09:05")},
		"3 days before: held, not_delivered; again 2026-03-17 09:35"},
	{"not delivered, half an hour ago", "2026-03-17 09:35", []func(*scene){notDeliveredAt("2026-03-17 09:05"), askedAt("2026-03-17 09:35")},
		"3 days before: texted, on_schedule; to +254710000001; again 2026-03-20 09:00"},

	// Due dates that move.
	{"forwards: the new stages apply", "2026-03-17 09:00", []func(*scene){dueOn("2026-04-20")}, "again 2026-04-13 09:00"},
	{"backwards: what is past is caught up once", "2026-03-17 09:00", []func(*scene){dueOn("2026-03-18")},
		"7 days before: skipped, superseded; 3 days before: texted, catch_up; to +254710000001; again 2026-03-18 09:00"},
	{"backwards into the past", "2026-03-17 09:00", []func(*scene){dueOn("2026-03-10")},
		"7 days before: skipped, superseded; 3 days before: skipped, superseded; due day: skipped, expired; again never"},
	{"there and back again: nothing is sent twice", "2026-03-17 09:05", []func(*scene){
		didBefore("2026-03-20", -3, Texted, OnSchedule), didBefore("2026-04-20", -7, Texted, OnSchedule)}, "again 2026-03-20 09:00"},
	{"a day back, the day after a text about the other date", "2026-03-18 10:00", []func(*scene){namedDate("2026-03-21", "2026-03-18 09:00")},
		"3 days before: skipped, date_moved; again 2026-03-20 09:00"},
	{"a day on, and the next stage is the day after the text", "2026-03-17 09:00", []func(*scene){namedDate("2026-03-19", "2026-03-16 09:00")},
		"3 days before: skipped, date_moved; again 2026-03-20 09:00"},
	{"moved at night, the day after a text", "2026-03-18 03:00", []func(*scene){namedDate("2026-03-21", "2026-03-17 17:00")},
		"3 days before: skipped, date_moved; again 2026-03-20 09:00"},
	{"moved two days after the text", "2026-03-18 10:00", []func(*scene){namedDate("2026-03-19", "2026-03-16 09:00"), askedAt("2026-03-18 09:50")},
		"3 days before: texted, catch_up; to +254710000001; again 2026-03-20 09:00"},
	{"moved by a month", "2026-03-17 09:00", []func(*scene){namedDate("2026-02-20", "2026-03-16 09:00")},
		"3 days before: texted, on_schedule; to +254710000001; again 2026-03-20 09:00"},
	{"moved by a week, as the next of weekly bills", "2026-03-17 09:00", []func(*scene){namedDate("2026-03-13", "2026-03-16 09:00")},
		"3 days before: texted, on_schedule; to +254710000001; again 2026-03-20 09:00"},
	{"moved to today", "2026-03-20 10:00", []func(*scene){namedDate("2026-03-22", "2026-03-19 09:00"), askedAt("2026-03-20 09:50"),
		didBefore("2026-03-20", -3, Skipped, DateMoved)}, "due day: texted, on_schedule; to +254710000001; again never"},
	{"moved to today, on the day of a text", "2026-03-20 10:00", []func(*scene){namedDate("2026-03-22", "2026-03-20 09:00"), func(s *scene) { s.TextsToday = 1 }},
		"3 days before: skipped, superseded; due day: held, daily_cap; again 2026-03-20 18:00"},
	{"of many stages, only that of the due day", "2026-03-19 09:00", []func(*scene){namedDate("2026-03-21", "2026-03-18 09:00"), func(s *scene) { s.policy.Stages = []Stage{-3, -2, -1, 0} }},
		"3 days before: skipped, superseded; 2 days before: skipped, superseded; 1 day before: skipped, date_moved; again 2026-03-20 09:00"},
	{"moved after a text that came after the due date", "2026-03-22 09:00", []func(*scene){namedDate("2026-03-19", "2026-03-21 09:00"), func(s *scene) { s.policy.Stages = []Stage{2} }},
		"2 days after: skipped, date_moved; again never"},
	{"month end", "2026-02-26 09:00", []func(*scene){dueOn("2026-03-01"), askedAt("2026-02-26 08:50"), didBefore("2026-03-01", -7, Texted, OnSchedule)},
		"3 days before: texted, on_schedule; to +254710000001; again 2026-03-01 09:00"},
	{"no due date", "2026-03-17 09:00", []func(*scene){func(s *scene) { s.Bill.DueDate = Date{} }}, "again never"},

	// The window.
	{"at night", "2026-03-18 03:03", nil, "3 days before: held, outside_window; again 2026-03-18 08:00"},
	{"in the evening", "2026-03-17 18:00", nil, "3 days before: held, outside_window; again 2026-03-18 08:00"},
	{"on a Sunday", "2026-03-15 12:00", []func(*scene){func(s *scene) { s.policy.SkipWeekdays, s.Done = []time.Weekday{time.Sunday}, nil }},
		"7 days before: held, outside_window; again 2026-03-16 08:00"},
	{"due on Sunday, texted on Saturday", "2026-03-21 09:00", []func(*scene){dueOn("2026-03-22"), askedAt("2026-03-21 09:00"), func(s *scene) {
		s.policy.Stages, s.policy.SkipWeekdays = []Stage{0}, []time.Weekday{time.Sunday}
	}}, "due day: texted, on_schedule; to +254710000001; again never"},
	{"on a holiday", "2026-03-17 12:00", []func(*scene){func(s *scene) { s.policy.Holidays = closedFrom("2026-03-17", 1) }},
		"3 days before: held, outside_window; again 2026-03-18 08:00"},
	{"all day, at night", "2026-03-18 03:03", []func(*scene){askedAt("2026-03-18 03:00"), func(s *scene) { s.policy.Window = Window{0, endOfDay} }},
		"3 days before: texted, catch_up; to +254710000001; again 2026-03-20 09:00"},
	{"to midnight, a minute before", "2026-03-20 23:59", []func(*scene){askedAt("2026-03-20 23:58"), didBefore("2026-03-20", -3, Texted, OnSchedule),
		func(s *scene) { s.policy.Window.To = endOfDay }}, "due day: texted, catch_up; to +254710000001; again never"},
	{"to midnight, at midnight", "2026-03-21 00:00", []func(*scene){didBefore("2026-03-20", -3, Texted, OnSchedule), func(s *scene) { s.policy.Window.To = endOfDay }},
		"due day: skipped, expired; again never"},

	// Who.
	{"opted out", "2026-03-17 09:00", []func(*scene){func(s *scene) { s.Suppressed = OptedOut }}, "3 days before: skipped, opted_out; again 2026-03-20 09:00"},
	{"opted out, at night too", "2026-03-18 03:03", []func(*scene){func(s *scene) { s.Suppressed = OptedOut }}, "3 days before: skipped, opted_out; again 2026-03-20 09:00"},
	{"bad number", "2026-03-17 09:00", []func(*scene){func(s *scene) { s.Suppressed = BadNumber }}, "3 days before: skipped, bad_number; again 2026-03-20 09:00"},
	{"the phone had its text today", "2026-03-17 09:00", []func(*scene){func(s *scene) { s.TextsToday = 1 }}, "3 days before: held, daily_cap; again 2026-03-18 09:00"},
	{"the phone had more than its texts", "2026-03-17 09:00", []func(*scene){func(s *scene) { s.TextsToday = 2000 }}, "3 days before: held, daily_cap; again 2026-03-18 09:00"},
	{"one of two texts today", "2026-03-17 09:00", []func(*scene){func(s *scene) { s.TextsToday, s.policy.PerNumberDaily = 1, 2 }},
		"3 days before: texted, on_schedule; to +254710000001; again 2026-03-20 09:00"},
	{"tomorrow is a Wednesday without texts", "2026-03-17 09:00", []func(*scene){func(s *scene) { s.TextsToday, s.policy.SkipWeekdays = 1, []time.Weekday{time.Wednesday} }},
		"3 days before: held, daily_cap; again 2026-03-19 08:00"},
	{"had its text, and tomorrow is too late", "2026-03-20 09:00", []func(*scene){didBefore("2026-03-20", -3, Texted, OnSchedule), func(s *scene) { s.TextsToday = 1 }},
		"due day: held, daily_cap; again 2026-03-20 18:00"},
	{"another bill has just said the same", "2026-03-17 09:00", []func(*scene){func(s *scene) {
		draft, _ := s.policy.Word(s.Bill, day("2026-03-17"), true)
		s.NotBody = draft.Body
	}}, "3 days before: held, same_words; again 2026-03-18 09:00"},
	{"another bill has just said something else", "2026-03-17 09:00", []func(*scene){func(s *scene) { s.NotBody = "Hello" }},
		"3 days before: texted, on_schedule; to +254710000001; again 2026-03-20 09:00"},
	{"paused", "2026-03-17 09:00", []func(*scene){func(s *scene) { s.Bill.State = BillPaused }}, "again never"},
	{"rejected", "2026-03-17 09:00", []func(*scene){func(s *scene) { s.Bill.State = BillRejected }}, "again never"},
	{"removed", "2026-03-17 09:00", []func(*scene){func(s *scene) { s.Bill.State = BillRemoved }}, "again never"},
	{"pending", "2026-03-17 09:00", []func(*scene){func(s *scene) { s.Bill.State = BillPending }}, "again never"},

	// What is owed.
	{"nothing", "2026-03-17 09:00", []func(*scene){owes("0.00")}, "3 days before: skipped, paid; again 2026-03-20 09:00"},
	{"less than nothing", "2026-03-17 09:00", []func(*scene){owes("-0.01")}, "3 days before: skipped, in_credit; again 2026-03-20 09:00"},
	{"a cent under the minimum", "2026-03-17 09:00", []func(*scene){owes("0.99")}, "3 days before: skipped, below_minimum; again 2026-03-20 09:00"},
	{"the minimum", "2026-03-17 09:00", []func(*scene){owes("1")}, "3 days before: texted, on_schedule; to +254710000001; again 2026-03-20 09:00"},
	{"no minimum, a cent", "2026-03-17 09:00", []func(*scene){owes("0.01"), func(s *scene) { s.policy.MinBalance = Money{} }},
		"3 days before: texted, on_schedule; to +254710000001; again 2026-03-20 09:00"},
	{"paid is not taken for expired", "2026-03-20 18:00", []func(*scene){owes("0"), didBefore("2026-03-20", -3, Texted, OnSchedule)}, "due day: skipped, expired; again never"},

	// How fresh.
	{"as old as allowed", "2026-03-17 09:30", nil, "3 days before: texted, on_schedule; to +254710000001; again 2026-03-20 09:00"},
	{"a second older", "2026-03-17 09:30:01", nil, "ask"},
	{"an old zero is asked about too", "2026-03-17 12:00", []func(*scene){owes("0")}, "ask"},
	{"never known", "2026-03-17 09:00", []func(*scene){func(s *scene) { s.Bill.Balance, s.Bill.BalanceAt = nil, time.Time{} }}, "ask"},
	{"asked in the future: the clock was set back", "2026-03-17 09:00", []func(*scene){func(s *scene) { s.Bill.BalanceAt = s.Bill.BalanceAt.AddDate(0, 0, 1) }}, "ask"},
	{"no age allowed: ask", "2026-03-17 09:00", []func(*scene){func(s *scene) { s.policy.MaxBalanceAge = 0 }}, "ask"},
	{"no age allowed: just answered", "2026-03-17 09:01", []func(*scene){askedAt("2026-03-17 09:00"), func(s *scene) { s.policy.MaxBalanceAge = 0 }},
		"3 days before: texted, on_schedule; to +254710000001; again 2026-03-20 09:00"},
	{"no age allowed: answered without a balance", "2026-03-17 09:01", []func(*scene){askedAt("2026-03-17 09:00"), func(s *scene) {
		s.policy.MaxBalanceAge, s.policy.StaleBalance, s.Bill.BalanceAt = 0, StaleSkip, s.Bill.BalanceAt.Add(-time.Minute)
	}}, "3 days before: skipped, balance_not_known; again 2026-03-20 09:00"},
	{"just answered, by a clock that is ahead", "2026-03-17 09:00", []func(*scene){askedAt("2026-03-17 09:01")},
		"3 days before: texted, on_schedule; to +254710000001; again 2026-03-20 09:00"},
	{"could not say, but the old answer is young enough", "2026-03-17 09:00", []func(*scene){func(s *scene) { s.Asked = CouldNotSay }},
		"3 days before: texted, on_schedule; to +254710000001; again 2026-03-20 09:00"},
	{"could not say: hold", "2026-03-17 09:00", []func(*scene){cannotSay(StaleHold)}, "3 days before: held, balance_stale; again 2026-03-17 09:10"},
	{"could not say: an unknown policy holds", "2026-03-17 09:00", []func(*scene){cannotSay("")}, "3 days before: held, balance_stale; again 2026-03-17 09:10"},
	{"could not say on the due day", "2026-03-20 12:00", []func(*scene){cannotSay(StaleHold), didBefore("2026-03-20", -3, Texted, OnSchedule)},
		"due day: held, balance_stale; again 2026-03-20 12:10"},
	{"could not say until it ends", "2026-03-20 17:55", []func(*scene){cannotSay(StaleHold), didBefore("2026-03-20", -3, Texted, OnSchedule)},
		"due day: held, balance_stale; again 2026-03-20 18:00"},
	{"could not say: skip", "2026-03-17 09:00", []func(*scene){cannotSay(StaleSkip)}, "3 days before: skipped, balance_not_known; again 2026-03-20 09:00"},
	{"could not say: without amount", "2026-03-17 09:00", []func(*scene){cannotSay(StaleWithoutAmount)},
		"3 days before: texted, on_schedule; to +254710000001; again 2026-03-20 09:00"},
	{"could not say: without amount, never known", "2026-03-17 09:00", []func(*scene){cannotSay(StaleWithoutAmount), func(s *scene) { s.Bill.Balance = nil }},
		"3 days before: texted, on_schedule; to +254710000001; again 2026-03-20 09:00"},
	{"could not say: without amount, but an old zero is believed", "2026-03-17 09:00", []func(*scene){cannotSay(StaleWithoutAmount), owes("0")},
		"3 days before: skipped, paid; again 2026-03-20 09:00"},

	{"nothing, as of very many at once", "2026-03-17 09:00", []func(*scene){owes("0"), feedFaultFrom("2026-03-17 08:00", "")},
		"3 days before: held, mass_paid; again 2026-03-17 12:00"},
	{"in credit, as very many at once", "2026-03-17 09:00", []func(*scene){owes("-5"), feedFaultFrom("2026-03-17 08:00", "")},
		"3 days before: held, mass_paid; again 2026-03-17 12:00"},
	{"nothing, since before very many did", "2026-03-17 09:00", []func(*scene){owes("0"), feedFaultFrom("2026-03-17 08:45", "")},
		"3 days before: skipped, paid; again 2026-03-20 09:00"},
	{"something, while very many owe nothing", "2026-03-17 09:00", []func(*scene){feedFaultFrom("2026-03-17 08:00", "")},
		"3 days before: texted, on_schedule; to +254710000001; again 2026-03-20 09:00"},
	{"nothing, as was said of very many: ask, since the feed is right again", "2026-03-17 09:00", []func(*scene){owes("0"),
		feedFaultFrom("2026-03-17 08:00", "2026-03-17 08:50")}, "ask"},
	{"nothing still, once the feed is right again", "2026-03-17 09:00", []func(*scene){owes("0"), askedAt("2026-03-17 09:00"),
		feedFaultFrom("2026-03-17 08:00", "2026-03-17 08:50")}, "3 days before: skipped, paid; again 2026-03-20 09:00"},
	{"nothing, as was said of very many, and now it cannot be said", "2026-03-17 09:00", []func(*scene){owes("0"),
		func(s *scene) { s.Asked, s.policy.StaleBalance = CouldNotSay, StaleWithoutAmount }, feedFaultFrom("2026-03-17 08:00", "2026-03-17 08:50")},
		"3 days before: held, mass_paid; again 2026-03-17 12:00"},

	// The words, and whether they may leave.
	{"no template", "2026-03-17 09:00", []func(*scene){func(s *scene) { s.policy.Templates = Templates{} }}, "3 days before: held, template_fails; again 2026-03-20 09:00"},
	{"longer than allowed", "2026-03-17 09:00", []func(*scene){func(s *scene) { s.Bill.Account = strings.Repeat("9", 400) }}, "3 days before: held, too_long; again 2026-03-20 09:00"},
	{"off", "2026-03-17 09:00", []func(*scene){mode(ModeOff)}, "3 days before: held, mode_off; again 2026-03-20 09:00"},
	{"off on the last stage", "2026-03-20 09:00", []func(*scene){mode(ModeOff), askedAt("2026-03-20 08:30"), didBefore("2026-03-20", -3, Texted, OnSchedule)},
		"due day: held, mode_off; again 2026-03-20 18:00"},
	{"not on the allowlist", "2026-03-17 09:00", []func(*scene){mode(ModeAllowlist)}, "3 days before: held, not_on_allowlist; again 2026-03-20 09:00"},
	{"on the allowlist", "2026-03-17 09:00", []func(*scene){mode(ModeAllowlist), func(s *scene) { s.to.Allowlist = map[Phone]bool{"+254710000001": true} }},
		"3 days before: texted, on_schedule; to +254710000001; again 2026-03-20 09:00"},
	{"redirected", "2026-03-17 09:00", []func(*scene){mode(ModeRedirect), func(s *scene) { s.to.RedirectTo = "+254710000099" }},
		"3 days before: texted, on_schedule; to +254710000099; again 2026-03-20 09:00"},
	{"the provider refused the phone", "2026-03-17 09:00", []func(*scene){func(s *scene) { s.RefusedUntil = on(s.tb, s.policy, "2026-03-17 10:00") }},
		"3 days before: held, destination_refused; again 2026-03-17 10:00"},
	{"the provider refused the phone long ago", "2026-03-17 09:00", []func(*scene){func(s *scene) { s.RefusedUntil = on(s.tb, s.policy, "2026-03-17 09:00") }},
		"3 days before: texted, on_schedule; to +254710000001; again 2026-03-20 09:00"},
	{"the provider has a text that the store does not know", "2026-03-17 09:00", []func(*scene){func(s *scene) { s.ForeignMessages = []time.Time{on(s.tb, s.policy, "2026-03-17 09:00")} }},
		"3 days before: skipped, sent_elsewhere; again 2026-03-20 09:00"},
	{"the store is a copy", "2026-03-17 09:00", []func(*scene){func(s *scene) { s.Guards.Stop = &Stop{Reason: CopiedStore} }},
		"3 days before: held, copied_store; again 2026-03-20 09:00"},
	{"the database has lost commits", "2026-03-17 09:00", []func(*scene){func(s *scene) { s.Guards.Stop = &Stop{Reason: StoreWentBack} }},
		"3 days before: held, store_went_back; again 2026-03-20 09:00"},
	{"many bills were rejected", "2026-03-17 09:00", []func(*scene){func(s *scene) { s.Guards.Stop = &Stop{Reason: MassRejected} }},
		"3 days before: held, mass_rejected; again 2026-03-20 09:00"},
	{"the sender is another", "2026-03-17 09:00", []func(*scene){func(s *scene) { s.Guards.Stop = &Stop{Reason: SenderChanged} }},
		"3 days before: held, sender_changed; again 2026-03-20 09:00"},
	{"nobody vouches for the clock", "2026-03-17 09:00", []func(*scene){func(s *scene) { s.Guards.Stop = &Stop{Reason: ClockUnsure} }},
		"3 days before: held, clock; again 2026-03-20 09:00"},
	{"the account was refused", "2026-03-17 09:00", []func(*scene){func(s *scene) {
		s.Guards.Stop = &Stop{Reason: AccountFault, Until: on(s.tb, s.policy, "2026-03-17 09:05")}
	}},
		"3 days before: held, account_fault; again 2026-03-17 09:05:20"},
	{"the day's limit", "2026-03-17 09:00", []func(*scene){func(s *scene) { s.policy.Guards.MaxTextsPerDay, s.Guards.Today = 5, 5 }},
		"3 days before: held, daily_limit; again 2026-03-18 09:00"},
	{"a surge", "2026-03-17 09:00", []func(*scene){func(s *scene) { s.policy.Guards.Surge, s.Guards.Median, s.Guards.Today = 2, 5, 10 }},
		"3 days before: held, surge; again 2026-03-18 09:00"},
	{"the month's budget", "2026-03-17 09:00", []func(*scene){func(s *scene) { s.policy.Guards.MonthlySegments, s.Guards.Month = 5, 5 }},
		"3 days before: held, monthly_budget; again 2026-03-20 09:00"},
	{"too many failures", "2026-03-17 09:00", []func(*scene){func(s *scene) { s.policy.Guards.MaxFailureRate, s.Guards.Recent, s.Guards.Failed = .5, 100, 60 }},
		"3 days before: held, failure_rate; again 2026-03-17 10:00"},
	{"far more is owed than ever", "2026-03-17 09:00", []func(*scene){func(s *scene) {
		usual := MustMoney("100")
		s.policy.Guards.ImplausibleBalance, s.Bill.Usual = 10, &usual
	}}, "3 days before: held, implausible_balance; again 2026-03-17 15:00"},
}

func TestDecide(t *testing.T) {
	for _, tt := range decideCases {
		t.Run(tt.name, func(t *testing.T) {
			s := ordinary(t)
			for _, given := range tt.given {
				given(s)
			}
			now := on(t, s.policy, tt.now)
			d := Decide(s.Case, s.policy, s.to, now)
			if diff := cmp.Diff(tt.want, verdict(s.policy, d)); diff != "" {
				t.Errorf("at %s (-want +got):\n%s", tt.now, diff)
			}
			if broken := brokenPromise(s, now, d); broken != "" {
				t.Error(broken)
			}
		})
	}
}

// notDecides are the reasons that others give: Join, and the jobs, once a text
// met the provider.
var notDecides = []Reason{
	Bundled,
	MayHaveIt,
	TextRefused, Throttled, ProviderUnreachable, RefusalUnclear, ShuttingDown, NotHandedOver, ChangedMeanwhile, NotAtProvider, TryApart, Released, ClockSetBack,
}

// Every reason that Decide can give has a case above, so that a reason cannot
// be added, or cease to be given, unseen.
func TestDecideGivesEveryReason(t *testing.T) {
	given := map[Reason]bool{}
	for _, tt := range decideCases {
		s := ordinary(t)
		for _, change := range tt.given {
			change(s)
		}
		for _, r := range Decide(s.Case, s.policy, s.to, on(t, s.policy, tt.now)).Records {
			given[r.Reason] = true
		}
	}
	for _, info := range Reasons {
		switch others := slices.Contains(notDecides, info.Reason); {
		case !others && !given[info.Reason]:
			t.Errorf("no case for %q: add one, or put it with the reasons that others give", info.Reason)
		case others && given[info.Reason]:
			t.Errorf("Decide gives %q, which is listed as a reason that others give", info.Reason)
		}
		delete(given, info.Reason)
	}
	for r := range given {
		t.Errorf("Decide gives %q, which is not on the closed list", r)
	}
}

func TestDecideSaysWhatTheTextRestsOn(t *testing.T) {
	tests := map[string]struct {
		given            []func(*scene)
		detail           string
		says, doesNotSay string
	}{
		"fresh": {nil, "balance KES 2,315.50, asked 30m0s ago", "KES 2,315.50", "ignore"},
		"could not say: the old amount is not named": {[]func(*scene){cannotSay(StaleWithoutAmount)},
			"balance KES 2,315.50, asked 96h30m0s ago", "Please ignore if paid", "KES"},
		"skipped as paid": {[]func(*scene){owes("0")}, "balance KES 0.00, asked 30m0s ago", "", ""},
		"could not say":   {[]func(*scene){cannotSay(StaleHold)}, "503 Service Unavailable", "", ""},
		"off: what was not sent": {[]func(*scene){mode(ModeOff)}, "would have been sent: Hello Jane Wanjiru, your Kenya Power bill (account 12345678) " +
			"is due in 3 days, on 20 March 2026. Amount due: KES 2,315.50.", "", ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			s := ordinary(t)
			for _, given := range tt.given {
				given(s)
			}
			d := Decide(s.Case, s.policy, s.to, on(t, s.policy, "2026-03-17 09:00"))
			if len(d.Records) != 1 || d.Records[0].Detail != tt.detail {
				t.Errorf("records %+v, want the detail %q", d.Records, tt.detail)
			}
			if (d.Text != nil) != (tt.says != "") {
				t.Fatalf("text %v", d.Text)
			}
			if d.Text == nil {
				return
			}
			if !strings.Contains(d.Text.Body, tt.says) || strings.Contains(d.Text.Body, tt.doesNotSay) {
				t.Errorf("the text %q should say %q and not %q", d.Text.Body, tt.says, tt.doesNotSay)
			}
			if got := shown(s.policy, d.Text.Planned) + " to " + shown(s.policy, d.Text.NotAfter); got != "2026-03-17 09:00 to 2026-03-20 18:00" {
				t.Errorf("planned %s", got)
			}
		})
	}
}

// What is held expires with the reason for which it was held, since that is
// what the operator wants to know.
func TestDecideRecordsWhyItExpired(t *testing.T) {
	s := ordinary(t)
	didBefore("2026-03-20", -3, Texted, OnSchedule)(s)
	didBefore("2026-03-20", 0, Held, ModeIsOff)(s)
	d := Decide(s.Case, s.policy, s.to, on(t, s.policy, "2026-03-20 18:00"))
	want := []StageDecision{{0, Skipped, Expired, "was held: notifier.mode is off"}}
	if diff := cmp.Diff(want, d.Records); diff != "" {
		t.Errorf("records (-want +got):\n%s", diff)
	}
}

// A stage that was missed is not made up for on the day on which the next one
// is due: both texts would say the same, an hour apart, or the second would
// fall to the daily cap and never leave.
func TestDecideLeavesAMissedStageToTheOneLaterToday(t *testing.T) {
	for name, perDay := range map[string]int{"one text a day": 1, "two texts a day": 2} {
		t.Run(name, func(t *testing.T) {
			s := ordinary(t)
			s.policy.PerNumberDaily = perDay
			askedAt("2026-03-20 08:00")(s)
			early := Decide(s.Case, s.policy, s.to, on(t, s.policy, "2026-03-20 08:00"))
			if early.Text != nil {
				t.Errorf("at 08:00: %s", verdict(s.policy, early))
			}
			if got := shown(s.policy, early.Next); got != "2026-03-20 09:00" {
				t.Errorf("decided again at %s", got)
			}
			late := Decide(s.Case, s.policy, s.to, on(t, s.policy, "2026-03-20 09:00"))
			if late.Text == nil || late.Text.Stage != 0 {
				t.Errorf("at 09:00: %s", verdict(s.policy, late))
			}
		})
	}
}

// A balance that Almara Pay failed to give is asked for again soon. One that
// it does not know, it will not know ten minutes later either: asking on at
// that pace would be hundreds of calls for one bill and month.
func TestDecideAsksAgainInGoodTime(t *testing.T) {
	tests := map[string]struct {
		asked       Asked
		failures    int
		least, most time.Duration
	}{
		"a call that failed":        {CouldNotSay, 1, time.Minute, 10 * time.Minute},
		"an outage that goes on":    {CouldNotSay, 12, 30 * time.Minute, 2 * time.Hour},
		"others that failed":        {NotReached, 0, 2 * time.Minute, 4 * time.Minute},
		"an answer that names none": {Answered, 0, time.Hour, 6 * time.Hour},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			s := ordinary(t)
			now := on(t, s.policy, "2026-03-17 09:00")
			s.Bill.Balance, s.Bill.BalanceAt, s.Bill.CheckedAt = nil, time.Time{}, now
			s.Asked, s.Bill.Failures = tt.asked, tt.failures
			d := Decide(s.Case, s.policy, s.to, now)
			if broken := brokenPromise(s, now, d); broken != "" || d.Text != nil {
				t.Fatalf("%s; %s", verdict(s.policy, d), broken)
			}
			if wait := d.Next.Sub(now); wait < tt.least || wait > tt.most {
				t.Errorf("asks again after %s, want %s to %s", wait, tt.least, tt.most)
			}
		})
	}
}

func TestWhatIsHeldForTheSameReasonIsNoNews(t *testing.T) {
	due := NewDate(2026, time.March, 20)
	held := Reminder{DueDate: due, Stage: -3, Outcome: Held, Reason: PhoneDailyCap}
	for name, tt := range map[string]struct {
		done   []Reminder
		record StageDecision
		want   bool
	}{
		"never acted on":          {nil, StageDecision{Stage: -3, Outcome: Held, Reason: PhoneDailyCap}, false},
		"held for it":             {[]Reminder{held}, StageDecision{Stage: -3, Outcome: Held, Reason: PhoneDailyCap, Detail: "other figures"}, true},
		"held for another reason": {[]Reminder{held}, StageDecision{Stage: -3, Outcome: Held, Reason: OutsideWindow}, false},
		"another stage":           {[]Reminder{held}, StageDecision{Stage: 0, Outcome: Held, Reason: PhoneDailyCap}, false},
		"skipped now":             {[]Reminder{held}, StageDecision{Stage: -3, Outcome: Skipped, Reason: PhoneDailyCap}, false},
		"of another due date":     {[]Reminder{{DueDate: due.AddDays(1), Stage: -3, Outcome: Held, Reason: PhoneDailyCap}}, StageDecision{Stage: -3, Outcome: Held, Reason: PhoneDailyCap}, false},
		"skipped, and held now":   {[]Reminder{{DueDate: due, Stage: -3, Outcome: Skipped, Reason: PhoneDailyCap}}, StageDecision{Stage: -3, Outcome: Held, Reason: PhoneDailyCap}, false},
	} {
		if got := (Case{Bill: Bill{DueDate: due}, Done: tt.done}).Knows(tt.record); got != tt.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
