package store

import (
	"strings"
	"testing"
	"time"

	"duewatch/reminder"
)

// rejects has Almara Pay reject bills, a few in each batch.
func rejects(t *testing.T, s *Store, p *reminder.Policy, now time.Time, from, to int64) {
	t.Helper()
	for id := from; id <= to; id++ {
		recordCheck(t, s, p, now, CheckResult{BillID: id, Rejected: "closed"})
	}
}

func stopsNow(t *testing.T, s *Store, now time.Time) (reasons []string) {
	t.Helper()
	for _, stop := range must(s.Stops(t.Context(), now)) {
		reasons = append(reasons, string(stop.Reason)+": "+stop.Detail)
	}
	return reasons
}

func TestManyRejectionsInADayStopSending(t *testing.T) {
	s, p := openNew(t), newPolicy()
	watch(t, s, p, billsOf(300)...)
	now := firstStage
	rejects(t, s, p, now.Add(-25*time.Hour), 1, 10)
	rejects(t, s, p, now, 11, 23)
	if stops := stopsNow(t, s, now); len(stops) > 0 {
		t.Fatalf("stopped for 13 in a day, and 277 are active: %v", stops)
	}
	rejects(t, s, p, now, 24, 24)
	stops := stopsNow(t, s, now)
	if len(stops) != 1 || !strings.HasPrefix(stops[0], "mass_rejected: ") || !strings.Contains(stops[0], "rejected 14 bills") || !strings.Contains(stops[0], "account 0000023") {
		t.Fatalf("stops %v", stops)
	}
	rejects(t, s, p, now.Add(30*time.Hour), 25, 27) // while the stop stands
	later := now.Add(31 * time.Hour)
	if n := must(s.Rejections(t.Context())); n != 17 {
		t.Errorf("%d bills count, want 17", n)
	}
	must(s.ReleaseAll(t.Context(), p, later, reminder.MassRejected, "somebody", nil))
	if stops := stopsNow(t, s, later); len(stops) > 0 {
		t.Errorf("still stopped: %v", stops)
	}
	for id := int64(1); id <= 27; id++ {
		want := reminder.BillPending
		if id <= 10 { // long before
			want = reminder.BillRejected
		}
		if b := watched(t, s, id); b.State != want || (want == reminder.BillPending && !dueAt(t, s, dueRegister, id).Equal(later)) {
			t.Errorf("bill %d is %s, registered at %s", id, b.State, dueAt(t, s, dueRegister, id))
		}
	}
	// They are refused once more, and have not been accepted since: those count no more.
	rejects(t, s, p, later, 11, 27)
	rejects(t, s, p, later, 28, 38)
	if stops := stopsNow(t, s, later); len(stops) > 0 {
		t.Errorf("what was released counts again: %v", stops)
	}
	rejects(t, s, p, later, 39, 44)
	if stops := stopsNow(t, s, later); len(stops) != 1 {
		t.Errorf("17 new ones in a day do not stop sending: %v", stops)
	}
}

// On a bad day each batch has a rejection, and the bills that are not active may be
// millions: they are counted when it may have become too much, and not for each batch.
func TestABadDayDoesNotCountAllBillsWithEachRejection(t *testing.T) {
	s, heard := listened(t)
	p := newPolicy()
	watch(t, s, p, billsOf(1000)...)
	heard.runs = map[string]int{}
	now := firstStage
	rejects(t, s, p, now, 1, 47)
	if stops := stopsNow(t, s, now); len(stops) > 0 {
		t.Fatalf("stopped for 47 of 1000: %v", stops)
	}
	for query, runs := range heard.runs {
		counts := strings.Contains(query, "count(*) FROM bills") || strings.Contains(query, "count(*) FROM rejections")
		if counts && runs > 3 {
			t.Errorf("ran %d times for 47 rejections: %s", runs, query)
		}
	}
	rejects(t, s, p, now, 48, 48)
	if stops := stopsNow(t, s, now); len(stops) != 1 || !strings.Contains(stops[0], "rejected 48 bills that it had accepted, and 952 are active") {
		t.Errorf("stops %v", stops)
	}
}

// A pause of many bills makes rejections many that were few among them: a minute later.
func TestRejectionsAreHeldAgainstTheBillsThatAreStillActive(t *testing.T) {
	s, p := openNew(t), newPolicy()
	bills := billsOf(1000)
	for i := range bills[:600] {
		bills[i].Service = "rent"
	}
	watch(t, s, p, bills...)
	now := firstStage
	rejects(t, s, p, now, 970, 990)
	must(s.Pause(t.Context(), BulkOp{Selector: Selector{Service: "rent"}, At: now, Who: "x"}, Pause{Detail: "by x"}))
	if stops := stopsNow(t, s, now); len(stops) > 0 {
		t.Fatalf("stopped for 21 of 1000: %v", stops)
	}
	now = now.Add(time.Minute)
	rejects(t, s, p, now, 991, 991)
	if stops := stopsNow(t, s, now); len(stops) != 1 {
		t.Errorf("22 of 400 do not stop sending: %v", stops)
	}
}

// That an account is closed is no matter of the hour: a rejection takes effect while nobody
// vouches for the clock, so it counts as well.
func TestRejectionsCountWhileNobodyVouchesForTheClock(t *testing.T) {
	for name, wrong := range map[string]time.Duration{"right": 0, "years ahead": 3 * 365 * 24 * time.Hour, "hours behind": -5 * time.Hour} {
		t.Run(name, func(t *testing.T) {
			s, p := openNew(t), newPolicy()
			watch(t, s, p, billsOf(60)...)
			now := firstStage
			rejects(t, s, p, now, 1, 5)
			s.TrustClock(false)
			rejects(t, s, p, now.Add(wrong), 6, 10)
			if n := must(s.Rejections(t.Context())); n != 10 {
				t.Errorf("%d count, want 10: nothing is forgotten by such a clock", n)
			}
			mustDo(t, s.BelieveClock(now))
			must(s.ClockSet(now, now))
			now = now.Add(time.Hour)
			rejects(t, s, p, now, 11, 11)
			if stops := stopsNow(t, s, now); len(stops) != 1 || !strings.Contains(stops[0], "rejected 11 bills") {
				t.Errorf("stops %v", stops)
			}
		})
	}
	t.Run("enough of them stop sending", func(t *testing.T) {
		s, p := openNew(t), newPolicy()
		watch(t, s, p, billsOf(60)...)
		s.TrustClock(false)
		rejects(t, s, p, firstStage, 1, 11)
		if stops := stopsNow(t, s, firstStage); len(stops) != 1 {
			t.Errorf("stops %v", stops)
		}
	})
}

// A new list with many wrong accounts is no reason to silence those who were
// registered long ago.
func TestWrongAccountsOfANewListDoNotStopSending(t *testing.T) {
	s, p := openNew(t), newPolicy()
	watch(t, s, p, billsOf(20)...)
	list := make([]reminder.Bill, 200)
	for i := range list {
		list[i] = billOf(1000 + i)
	}
	must(s.Import(t.Context(), SourceImport, list, firstStage, nil))
	rejects(t, s, p, firstStage, 21, 220)
	if stops := stopsNow(t, s, firstStage); len(stops) > 0 {
		t.Errorf("stopped: %v", stops)
	}
}

func TestAStopThatAnAnswerBeginsHoldsTheTextsOfTheSameRound(t *testing.T) {
	s, p := openNew(t), newPolicy()
	ready(t, s, p, billsOf(12)...)
	old := firstStage.Add(2 * time.Hour)
	l := must(s.DecideDue(t.Context(), roundAt(p, old), 100))
	if len(l.Ask) != 12 {
		t.Fatalf("%d bills to ask about", len(l.Ask))
	}
	results := []CheckResult{{BillID: 12, Answer: answer(old, "2315.50", due)}}
	for id := int64(1); id <= 11; id++ {
		results = append(results, CheckResult{BillID: id, Rejected: "closed"})
	}
	l = must(s.DecideAnswered(roundAt(p, old), results))
	if len(l.Texts) > 0 || len(l.Rejected) != 11 {
		t.Errorf("%d texts, %d rejected", len(l.Texts), len(l.Rejected))
	}
}
