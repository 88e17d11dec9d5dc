package reminder

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// span is a stretch of time, from inclusive, to exclusive.
type span struct{ from, to time.Time }

func (s span) holds(t time.Time) bool { return !t.Before(s.from) && t.Before(s.to) }

// world is one bill and all around it: Almara Pay, the daemon with its records,
// and the provider. Its clock jumps from one thing to do to the next.
type world struct {
	*scene
	says       func(now time.Time) Answer // what Almara Pay answers
	almaraDown func(now time.Time) bool   // whether it cannot answer
	refuses    func(now time.Time) bool   // whether the provider says a definite no
	down       []span                     // when the daemon is not running
	setBack    map[int]time.Duration      // after how many steps the clock is set back, and by how much

	nextEval, check time.Time
	calls           int // of Almara Pay
	decisions       int
	texts           []sent
	known           []knownDue
}

// sent is a text that reached the provider.
type sent struct {
	at    time.Time
	due   Date
	stage Stage
	body  string
}

// knownDue is a stretch of time for which a due date was believed.
type knownDue struct {
	due Date
	span
}

// ask puts one question to Almara Pay and stores what it says.
func (w *world) ask(now time.Time) Asked {
	w.calls++
	before := w.Bill.DueDate
	asked := CouldNotSay
	if w.almaraDown(now) {
		w.Bill.Fail("503 Service Unavailable")
	} else {
		w.Bill.Apply(w.says(now), "KES")
		asked = Answered
	}
	w.check = w.policy.NextCheck(w.Bill, now)
	if w.Bill.DueDate != before {
		if n := len(w.known); n > 0 {
			w.known[n-1].to = now
		}
		w.known = append(w.known, knownDue{w.Bill.DueDate, span{from: now}})
		w.nextEval = w.policy.NextEval(w.Bill, w.Done, now)
	}
	return asked
}

func (w *world) decide(t *testing.T, now time.Time, asked Asked) Decision {
	t.Helper()
	w.Asked, w.TextsToday = asked, 0
	midnight := DateOf(now.In(w.policy.Zone)).At(0, w.policy.Zone)
	for _, x := range w.texts {
		if !x.at.Before(midnight) {
			w.TextsToday++
		}
	}
	d := Decide(w.Case, w.policy, w.to, now)
	if broken := brokenPromise(w.scene, now, d); broken != "" {
		t.Fatalf("due %s, at %s: %s; %s", w.Bill.DueDate, shown(w.policy, now), verdict(w.policy, d), broken)
	}
	return d
}

// remind is one evaluation of the remind job.
func (w *world) remind(t *testing.T, now time.Time) {
	t.Helper()
	w.decisions++
	d := w.decide(t, now, NotAsked)
	if d.Ask {
		d = w.decide(t, now, w.ask(now))
	}
	w.nextEval = d.Next
	for _, r := range d.Records {
		w.record(Reminder{DueDate: w.Bill.DueDate, Stage: r.Stage, Outcome: r.Outcome, Reason: r.Reason, DecidedAt: now})
	}
	if d.Text == nil {
		return
	}
	if w.refuses(now) {
		w.record(Reminder{DueDate: w.Bill.DueDate, Stage: d.Text.Stage, Outcome: Held, Reason: ProviderUnreachable, DecidedAt: now})
		w.nextEval = earliest(now.Add(time.Minute), d.Text.NotAfter)
		return
	}
	w.texts = append(w.texts, sent{now, w.Bill.DueDate, d.Text.Stage, d.Text.Body})
	// A second decision at the same instant finds nothing left to do.
	if again := w.decide(t, now, NotAsked); again.Text != nil || again.Ask || len(again.Records) > 0 {
		t.Fatalf("at %s, right after a text: %s", shown(w.policy, now), verdict(w.policy, again))
	}
}

func (w *world) record(m Reminder) {
	for i, r := range w.Done {
		if r.DueDate == m.DueDate && r.Stage == m.Stage {
			w.Done[i] = m
			return
		}
	}
	w.Done = append(w.Done, m)
}

// run lets the jobs do what is to do until the end: recheck every ten minutes
// and remind every minute, as the shipped schedule has it.
func (w *world) run(t *testing.T, now, end time.Time) {
	t.Helper()
	ceil := func(x time.Time, tick time.Duration) time.Time { return x.Add(tick - time.Nanosecond).Truncate(tick) }
	w.check = now
	for n := 0; ; n++ {
		if n > 50_000 {
			t.Fatalf("the jobs spin at %s", shown(w.policy, now))
		}
		next := ceil(w.check, 10*time.Minute)
		if !w.nextEval.IsZero() {
			next = earliest(next, ceil(w.nextEval, time.Minute))
		}
		if next.After(now) {
			now = next
		}
		for _, d := range w.down {
			if d.holds(now) {
				now = d.to
			}
		}
		now = now.Add(-w.setBack[n])
		if now.After(end) {
			return
		}
		if !w.check.After(now) {
			w.ask(now)
		}
		if !w.nextEval.IsZero() && !w.nextEval.After(now) {
			w.remind(t, now)
		}
	}
}

// steadyWorld is one in which nothing goes wrong.
func steadyWorld(p *Policy, b Bill, says func(time.Time) Answer) *world {
	never := func(time.Time) bool { return false }
	return &world{scene: &scene{policy: p, to: Delivery{Mode: ModeLive}, Case: Case{Bill: b}}, says: says, almaraDown: never, refuses: never}
}

func spans(r *rand.Rand, start time.Time, n int, longest time.Duration) []span {
	var out []span
	for range r.IntN(n + 1) {
		from := start.Add(time.Duration(r.Int64N(int64(40 * 24 * time.Hour))))
		out = append(out, span{from, from.Add(time.Duration(r.Int64N(int64(longest))))})
	}
	return out
}

func within(spans []span) func(time.Time) bool {
	return func(t time.Time) bool {
		for _, s := range spans {
			if s.holds(t) {
				return true
			}
		}
		return false
	}
}

// A month of one bill, whatever goes wrong: the daemon is down, Almara Pay is
// down, the provider refuses, the customer pays, the due date moves there and
// back, the clock is set back.
func TestAMonthOfInterruptions(t *testing.T) {
	texts, skipped := 0, 0
	for seed := range uint64(1500) {
		r := chance(seed)
		p := randomPolicy(t, r)
		start := day("2026-01-01").AddDays(r.IntN(700)).At(0, p.Zone).Add(time.Duration(r.IntN(1440)) * time.Minute)
		end := start.AddDate(0, 0, 75)
		first := DateOf(start.In(p.Zone)).AddDays(r.IntN(30))
		moved, moveAt, backAt := first, end, end
		if r.IntN(3) == 0 {
			moved = first.AddDays(r.IntN(25) - 10)
			moveAt = start.Add(time.Duration(r.Int64N(int64(30 * 24 * time.Hour))))
			backAt = moveAt.Add(time.Duration(r.Int64N(int64(20 * 24 * time.Hour))))
		}
		paidAt := end
		if r.IntN(2) == 0 {
			paidAt = start.Add(time.Duration(r.Int64N(int64(35 * 24 * time.Hour))))
		}
		owed, nothing := MustMoney("2315.50"), Money{}
		b := Bill{ID: int64(seed), Account: "12345678", Phone: "+254710000001", State: BillPending}
		w := steadyWorld(p, b, func(now time.Time) Answer {
			a := Answer{At: now, DueDate: first, Balance: &owed}
			if span := (span{moveAt, backAt}); span.holds(now) {
				a.DueDate = moved
			}
			if !now.Before(paidAt) {
				a.Balance = &nothing
			}
			return a
		})
		w.to.Mode = pick(r, ModeLive, ModeLive, ModeLive, ModeOff)
		w.almaraDown = within(spans(r, start, 4, 3*24*time.Hour))
		w.refuses = within(spans(r, start, 3, 12*time.Hour))
		w.down = spans(r, start, 3, 6*24*time.Hour)
		if r.IntN(4) == 0 {
			w.setBack = map[int]time.Duration{5 + r.IntN(10): time.Duration(1+r.IntN(26)) * time.Hour}
		}
		w.run(t, start, end)
		texts += len(w.texts)
		skipped += w.judge(t, seed, paidAt, end)
	}
	t.Logf("%d texts and %d skipped stages in 1500 months", texts, skipped)
}

// However often the job runs, it sends once: a tick a second for two hours
// around the stage, and a tick at the same instant a thousand times.
func TestAThousandDecisionsSendOnce(t *testing.T) {
	owed := MustMoney("2315.50")
	p := shippedPolicy(t, func(p *Policy) { p.PerNumberDaily = 20 })
	due := day("2026-03-20")
	w := steadyWorld(p, Bill{ID: 1, Account: "12345678", Phone: "+254710000001", State: BillActive, DueDate: due}, func(now time.Time) Answer {
		return Answer{At: now, DueDate: due, Balance: &owed}
	})
	w.Done = []Reminder{{DueDate: due, Stage: -7, Outcome: Texted}}
	for now := on(t, p, "2026-03-17 08:00"); now.Before(on(t, p, "2026-03-17 10:00")); now = now.Add(time.Second) {
		w.remind(t, now)
	}
	for range 1000 {
		w.remind(t, on(t, p, "2026-03-17 10:00"))
	}
	if len(w.texts) != 1 || w.texts[0].stage != -3 {
		t.Errorf("texts %+v, want one of three days before", w.texts)
	}
}

// A pause loses nothing that is still useful, and repeats nothing.
func TestPauseAndResume(t *testing.T) {
	owed := MustMoney("2315.50")
	tests := map[string]struct{ from, to, want string }{
		"over a stage":                {"2026-03-16 12:00", "2026-03-18 12:00", "7 days before on 2026-03-13, 3 days before on 2026-03-18, due day on 2026-03-20"},
		"between stages":              {"2026-03-14 12:00", "2026-03-15 12:00", "7 days before on 2026-03-13, 3 days before on 2026-03-17, due day on 2026-03-20"},
		"over all but the due day":    {"2026-03-01 12:00", "2026-03-20 12:00", "due day on 2026-03-20"},
		"until nothing is of use now": {"2026-03-14 12:00", "2026-03-25 12:00", "7 days before on 2026-03-13"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			p := shippedPolicy(t)
			due := day("2026-03-20")
			w := steadyWorld(p, Bill{ID: 1, Account: "12345678", Phone: "+254710000001", State: BillActive, DueDate: due}, func(now time.Time) Answer {
				return Answer{At: now, DueDate: due, Balance: &owed}
			})
			start, pause, resume := on(t, p, "2026-03-01 10:00"), on(t, p, tt.from), on(t, p, tt.to)
			w.nextEval = p.NextEval(w.Bill, w.Done, start)
			w.run(t, start, pause)
			w.Bill.State = BillPaused
			w.run(t, pause, resume)
			w.Bill.State = BillActive
			w.nextEval = p.NextEval(w.Bill, w.Done, resume)
			w.run(t, resume, resume.AddDate(0, 1, 0))
			var got []string
			for _, x := range w.texts {
				got = append(got, x.stage.String()+" on "+DateOf(x.at.In(p.Zone)).String())
			}
			if diff := cmp.Diff(tt.want, strings.Join(got, ", ")); diff != "" {
				t.Errorf("texts (-want +got):\n%s", diff)
			}
		})
	}
}

// judge reads the month like an operator would, and counts what was skipped.
func (w *world) judge(t *testing.T, seed uint64, paidAt, end time.Time) (skipped int) {
	t.Helper()
	fail := func(format string, args ...any) {
		t.Helper()
		var story strings.Builder
		for _, x := range w.texts {
			fmt.Fprintf(&story, "\n  %s: %s of %s: %s", shown(w.policy, x.at), x.stage, x.due, x.body)
		}
		t.Fatalf("seed %d: %s%s", seed, fmt.Sprintf(format, args...), story.String())
	}
	type key struct {
		due   Date
		stage Stage
	}
	type occasion struct{ due, day Date }
	once, daily := map[key]bool{}, map[occasion]bool{}
	for _, x := range w.texts {
		on := occasion{x.due, DateOf(x.at.In(w.policy.Zone))}
		switch {
		case once[key{x.due, x.stage}]:
			fail("%s of %s was texted twice", x.stage, x.due)
		case daily[on]:
			fail("two stages of %s were texted on %s", x.due, on.day)
		case w.setBack == nil && strings.Contains(x.body, "KES") && x.at.Add(-w.policy.MaxBalanceAge).After(paidAt):
			fail("a text about an amount that was paid %s before", x.at.Sub(paidAt))
		}
		once[key{x.due, x.stage}], daily[on] = true, true
	}
	for _, k := range w.known {
		until := end.AddDate(0, 0, -10)
		if !k.to.IsZero() {
			until = k.to
		}
		for _, step := range w.policy.Steps(k.due) {
			record := recordOf(w.Done, k.due, step.Stage)
			if record.Outcome == Skipped {
				skipped++
			}
			useful := step.At.Before(step.NotAfter) && k.from.Before(step.NotAfter)
			if w.setBack == nil && useful && step.NotAfter.Before(until) && !record.Final() {
				// Down until the due date was replaced: nobody was there to end it.
				if back := w.upAgain(step.NotAfter); back.Before(until) {
					fail("%s of %s ended as %q, known since %s", step.Stage, k.due, record.Outcome, shown(w.policy, k.from))
				}
			}
		}
	}
	return skipped
}

// upAgain is when the daemon first runs at or after t.
func (w *world) upAgain(t time.Time) time.Time {
	t = t.Add(time.Minute)
	for range w.down {
		for _, d := range w.down {
			if d.holds(t) {
				t = d.to.Add(time.Minute)
			}
		}
	}
	return t
}
