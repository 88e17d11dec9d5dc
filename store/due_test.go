package store

import (
	"slices"
	"testing"
	"time"

	"duewatch/reminder"
)

func idsOf(bills []reminder.Bill) []int64 {
	ids := make([]int64, len(bills))
	for i, b := range bills {
		ids[i] = b.ID
	}
	slices.Sort(ids)
	return ids
}

func TestTurns(t *testing.T) {
	s := openNew(t)
	later := func(m int) time.Time { return learnedAt.Add(time.Duration(m) * time.Minute) }
	// Bill 3 waits the longest, then 2 and 1; 4 is not due.
	for i, source := range []string{"a", "b", "c"} {
		must(s.Declare(source, []reminder.Bill{billOf(i + 1)}, later(1-i/2)))
	}
	must(s.Declare("later", []reminder.Bill{billOf(4)}, later(60)))
	var place Place
	for _, want := range [][]int64{{1, 3}, {2}, {}} {
		quiet(t, s, func() {
			bills, next, err := s.ToRegister(t.Context(), later(5), place, 2)
			mustDo(t, err)
			if got := idsOf(bills); !slices.Equal(got, want) {
				t.Errorf("after %v came %v, want %v", place, got, want)
			}
			place = next
		})
	}
	// What awaits registration since, is behind the place; what was left before
	// it comes with the next pass.
	must(s.Declare("new", []reminder.Bill{billOf(5)}, later(5)))
	bills, _, err := s.ToRegister(t.Context(), later(5), place, 9)
	mustDo(t, err)
	if got := idsOf(bills); !slices.Equal(got, []int64{5}) {
		t.Errorf("after a bill was declared came %v, want 5", got)
	}
	if got := idsOf(toRegister(t, s, later(5), 9)); !slices.Equal(got, []int64{1, 2, 3, 5}) {
		t.Errorf("the next pass meets %v, want 1, 2, 3 and 5", got)
	}
}

func TestReclaimGivesBackWhatTheDeadHad(t *testing.T) {
	s, p := openNew(t), newPolicy()
	watch(t, s, p, billOf(1))
	dead, alive := Claim{Owner: "dead", Lease: time.Hour}, Claim{Owner: "alive", Lease: time.Hour}

	l := must(s.DecideDue(t.Context(), Round{Now: firstStage, Policies: policiesOf(p), Claim: dead}, 9))
	if len(l.Ask) != 1 {
		t.Fatalf("%d bills to ask about, want 1", len(l.Ask))
	}
	quiet(t, s, func() { mustDo(t, s.Reclaim(firstStage, "dead")) })
	mustDo(t, s.Reclaim(firstStage, "alive"))
	quiet(t, s, func() { mustDo(t, s.Reclaim(firstStage, "alive")) })

	l = must(s.DecideDue(t.Context(), Round{Now: firstStage, Policies: policiesOf(p), Claim: alive}, 9))
	if l.Bills != 1 {
		t.Errorf("%d bills to decide about, want 1", l.Bills)
	}
	// What is at work now is not given to anybody else.
	quiet(t, s, func() { mustDo(t, s.Reclaim(firstStage, "alive")) })
}

func TestNothingDueWritesNothing(t *testing.T) {
	s, p := openNew(t), newPolicy()
	watch(t, s, p, billsOf(10)...)
	now := learnedAt.Add(time.Minute)
	quiet(t, s, func() {
		for range 1000 {
			if got := toRegister(t, s, now, 100); len(got) != 0 {
				t.Errorf("%d bills await registration", len(got))
			}
			if got, _, err := s.ToRecheck(t.Context(), now, Place{}, 100); err != nil || len(got) != 0 {
				t.Errorf("%d bills to ask about, %v", len(got), err)
			}
			must(s.DecideDue(t.Context(), roundAt(p, now), 100))
			must(s.MarkOrphans(now, "test", now))
			must(s.UnknownTexts(t.Context(), now, 100))
			must(s.OpenTexts(t.Context(), now, 100))
			must(s.RecordReceipts(now, nil))
			must(s.Trim(now.AddDate(-1, 0, 0), 100))
		}
	})
}
