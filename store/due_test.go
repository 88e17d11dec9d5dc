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

func TestClaims(t *testing.T) {
	s := openNew(t)
	later := func(m int) time.Time { return learnedAt.Add(time.Duration(m) * time.Minute) }
	// Bill 3 waits the longest, then 2, then 1; 4 is not due.
	for i, source := range []string{"a", "b", "c"} {
		must(s.Declare(t.Context(), source, []reminder.Bill{billOf(i + 1)}, later(2-i)))
	}
	must(s.Declare(t.Context(), "later", []reminder.Bill{billOf(4)}, later(60)))
	claim := func(now time.Time, n int) []int64 {
		t.Helper()
		return idsOf(must(s.ClaimRegister(t.Context(), now, claimed, n)))
	}
	if got := claim(later(5), 2); !slices.Equal(got, []int64{2, 3}) {
		t.Errorf("claimed %v, want the two that waited longest, 2 and 3", got)
	}
	if got := claim(later(5), 2); !slices.Equal(got, []int64{1}) {
		t.Errorf("claimed %v, want what is left, 1", got)
	}
	quiet(t, s, func() {
		if got := claim(later(5), 2); len(got) != 0 {
			t.Errorf("claimed %v a second time", got)
		}
		if got := claim(later(14), 9); len(got) != 0 {
			t.Errorf("claimed %v within the lease", got)
		}
	})
	if got := claim(later(15), 9); !slices.Equal(got, []int64{1, 2, 3}) {
		t.Errorf("claimed %v after the lease, want 1, 2 and 3", got)
	}
}

func TestOneClaimIsOneWorkersAmongMany(t *testing.T) {
	s := openNew(t)
	const n = 200
	many := make([]reminder.Bill, n)
	for i := range many {
		many[i] = billOf(i)
	}
	must(s.Declare(t.Context(), "config", many, learnedAt))
	found := make(chan []reminder.Bill)
	const workers = 8
	for range workers {
		go func() {
			var mine []reminder.Bill
			for {
				bills, err := s.ClaimRegister(t.Context(), learnedAt, claimed, 7)
				if err != nil {
					t.Error(err)
				}
				if len(bills) == 0 {
					found <- mine
					return
				}
				mine = append(mine, bills...)
			}
		}()
	}
	var all []reminder.Bill
	for range workers {
		all = append(all, <-found...)
	}
	if ids := idsOf(all); len(ids) != n || len(slices.Compact(ids)) != n {
		t.Errorf("%d claims of %d bills", len(all), n)
	}
}

func TestReclaimGivesBackWhatTheDeadHad(t *testing.T) {
	s, p := openNew(t), newPolicy()
	watch(t, s, p, billOf(1)) // due_recheck and due_remind
	must(s.Declare(t.Context(), "import", []reminder.Bill{billOf(2)}, learnedAt))
	dead, alive := Claim{Owner: "dead", Lease: time.Hour}, Claim{Owner: "alive", Lease: time.Hour}

	must(s.ClaimRegister(t.Context(), learnedAt, dead, 9))
	must(s.ClaimRecheck(t.Context(), firstStage, dead, 9))
	l := must(s.DecideDue(t.Context(), Round{Now: firstStage, Policies: policiesOf(p), Claim: dead}, 9))
	if len(l.Ask) != 1 {
		t.Fatalf("%d bills to ask about, want 1", len(l.Ask))
	}
	quiet(t, s, func() { mustDo(t, s.Reclaim(t.Context(), firstStage, "dead")) })
	mustDo(t, s.Reclaim(t.Context(), firstStage, "alive"))
	quiet(t, s, func() { mustDo(t, s.Reclaim(t.Context(), firstStage, "alive")) })

	if got := must(s.ClaimRegister(t.Context(), firstStage, alive, 9)); len(got) != 1 {
		t.Errorf("%d bills to register, want 1", len(got))
	}
	if got := must(s.ClaimRecheck(t.Context(), firstStage, alive, 9)); len(got) != 1 {
		t.Errorf("%d bills to ask about, want 1", len(got))
	}
	l = must(s.DecideDue(t.Context(), Round{Now: firstStage, Policies: policiesOf(p), Claim: alive}, 9))
	if l.Bills != 1 {
		t.Errorf("%d bills to decide about, want 1", l.Bills)
	}
	// What is at work now is not given to anybody else, and is not lost when
	// it ends: an answer frees it.
	quiet(t, s, func() { mustDo(t, s.Reclaim(t.Context(), firstStage, "alive")) })
	must(s.Learn(t.Context(), policiesOf(p), firstStage, Lesson{BillID: 2, Answer: answer(firstStage, "5", due)}))
	if got := number(t, s, "SELECT count(*) FROM due_register"); got != 0 {
		t.Errorf("%d bills still await registration", got)
	}
}

func TestNothingDueWritesNothing(t *testing.T) {
	s, p := openNew(t), newPolicy()
	watch(t, s, p, billsOf(10)...)
	now := learnedAt.Add(time.Minute)
	quiet(t, s, func() {
		for range 1000 {
			must(s.ClaimRegister(t.Context(), now, claimed, 100))
			must(s.ClaimRecheck(t.Context(), now, claimed, 100))
			must(s.DecideDue(t.Context(), roundAt(p, now), 100))
			must(s.Orphans(t.Context(), now, "test", now))
			must(s.Doubtful(t.Context(), now, 100))
			must(s.OpenTexts(t.Context(), now, 100))
			must(s.RecordReceipts(t.Context(), now, nil))
			must(s.Trim(t.Context(), now.AddDate(-1, 0, 0), 100))
		}
	})
}
