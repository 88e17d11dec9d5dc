package store

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"duewatch/reminder"
)

// whats lists what the trail of a bill says, oldest first.
func whats(t *testing.T, s *Store, billID int64) (all []string) {
	t.Helper()
	for _, e := range must(s.Events(t.Context(), billID)) {
		all = append(all, e.What)
	}
	return all
}

func recordCheck(t *testing.T, s *Store, p *reminder.Policy, now time.Time, l ...CheckResult) RecordedChecks {
	t.Helper()
	return must(s.RecordChecks(policiesOf(p), now, l...))
}

func TestAnAnswerIsRecorded(t *testing.T) {
	s, p := openNew(t), newPolicy()
	got := watch(t, s, p, billOf(1))[0]
	balance := reminder.MustMoney("2315.50")
	want := billOf(1)
	want.ID, want.Source, want.State = 1, "config", reminder.BillActive
	want.Customer, want.Balance, want.Usual, want.BalanceAt, want.DueDate, want.Verified = "Jane Wanjiru", &balance, &balance, checkedAt, due, new(true)
	want.RegisteredAt, want.CheckedAt = checkedAt, checkedAt
	if diff := cmp.Diff(want, got, cmpTimes); diff != "" {
		t.Errorf("returned (-want +got):\n%s", diff)
	}
	w := watched(t, s, 1)
	if diff := cmp.Diff(want, w.Bill, cmpTimes); diff != "" {
		t.Errorf("stored (-want +got):\n%s", diff)
	}
	if !w.NextRemind.Equal(firstStage) || !w.NextCheck.After(checkedAt) || !dueAt(t, s, dueRegister, 1).IsZero() {
		t.Errorf("next reminder %s, next check %s, registration %s", w.NextRemind, w.NextCheck, dueAt(t, s, dueRegister, 1))
	}
	if diff := cmp.Diff([]string{"added", "registered", "due_date", "balance", "customer"}, whats(t, s, 1)); diff != "" {
		t.Errorf("trail (-want +got):\n%s", diff)
	}
}

func TestTheSameAnswerAddsNoEvent(t *testing.T) {
	s, p := openNew(t), newPolicy()
	watch(t, s, p, billOf(1))
	before := whats(t, s, 1)
	for i := range 100 {
		now := checkedAt.Add(time.Duration(i) * time.Minute)
		recordCheck(t, s, p, now, CheckResult{BillID: 1, Answer: answer(now, "2315.5", due)})
	}
	if diff := cmp.Diff(before, whats(t, s, 1)); diff != "" {
		t.Errorf("trail (-want +got):\n%s", diff)
	}
}

func TestExtremeValuesAreStoredAsTheyAre(t *testing.T) {
	s, p := openNew(t), newPolicy()
	watch(t, s, p, billOf(1))
	for _, tt := range []struct {
		balance string
		due     reminder.Date
	}{
		{"-0.01", due},
		{"0", due},
		{"1e3", due},
		{"999999999999999", due},
		{"0.000000000000000001", due},
		{"100.10", reminder.NewDate(9999, time.December, 31)},
		{"100.10", reminder.NewDate(1, time.January, 1)},
		{"100.10", reminder.NewDate(2028, time.February, 29)},
	} {
		recordCheck(t, s, p, checkedAt, CheckResult{BillID: 1, Answer: answer(checkedAt, tt.balance, tt.due)})
		got := watched(t, s, 1)
		if !got.Balance.Equal(reminder.MustMoney(tt.balance)) || got.DueDate != tt.due {
			t.Errorf("recorded %s, %s; stored %s, %s", tt.balance, tt.due, got.Balance, got.DueDate)
		}
	}
}

func TestAResultRenewsThePlanWhenTheDueDateMoves(t *testing.T) {
	s, p := openNew(t), newPolicy()
	watch(t, s, p, billOf(1))
	l := recordCheck(t, s, p, checkedAt, CheckResult{BillID: 1, Answer: answer(checkedAt, "2315.50", due.AddDays(10))})
	if got, want := dueAt(t, s, dueRemind, 1), firstStage.AddDate(0, 0, 10); !got.Equal(want) || l.Due {
		t.Errorf("moved later: next reminder %s, want %s; due %v", got, want, l.Due)
	}
	l = recordCheck(t, s, p, checkedAt, CheckResult{BillID: 1, Answer: answer(checkedAt, "2315.50", due.AddDays(-7))})
	if got := dueAt(t, s, dueRemind, 1); !got.Equal(checkedAt) || !l.Due {
		t.Errorf("moved to tomorrow: next reminder %s, want now; due %v", got, l.Due)
	}
	l = recordCheck(t, s, p, checkedAt, CheckResult{BillID: 1, Answer: answer(checkedAt, "2315.50", due.AddDays(-300))})
	if got := dueAt(t, s, dueRemind, 1); !got.IsZero() || l.Due {
		t.Errorf("moved into the past: next reminder %s, want none; due %v", got, l.Due)
	}
}

func TestARefusalAndAFailureAreRecorded(t *testing.T) {
	t.Run("refused while pending", func(t *testing.T) {
		s, p := openNew(t), newPolicy()
		must(s.Declare("config", billsOf(1), checkedAt))
		b := recordCheck(t, s, p, checkedAt, CheckResult{BillID: 1, Rejected: "no such account"}).Bills[0]
		if b.State != reminder.BillRejected || b.LastError != "no such account" {
			t.Errorf("%s, %q", b.State, b.LastError)
		}
		notDue(t, s, 1)
	})
	t.Run("refused while active", func(t *testing.T) {
		s, p := openNew(t), newPolicy()
		watch(t, s, p, billOf(1))
		recordCheck(t, s, p, checkedAt, CheckResult{BillID: 1, Rejected: "closed"})
		notDue(t, s, 1)
		if diff := cmp.Diff([]string{"added", "registered", "due_date", "balance", "customer", "rejected"}, whats(t, s, 1)); diff != "" {
			t.Errorf("trail (-want +got):\n%s", diff)
		}
		// A second word on it changes nothing.
		quiet(t, s, func() {
			recordCheck(t, s, p, checkedAt, CheckResult{BillID: 1, Rejected: "closed"})
			recordCheck(t, s, p, checkedAt, CheckResult{BillID: 1, Answer: answer(checkedAt, "1", due)})
		})
	})
	t.Run("failed while pending", func(t *testing.T) {
		s, p := openNew(t), newPolicy()
		must(s.Declare("config", billsOf(1), checkedAt))
		for n := 1; n <= 5; n++ {
			b := recordCheck(t, s, p, checkedAt, CheckResult{BillID: 1, Failed: "503"}).Bills[0]
			if b.State != reminder.BillPending || b.Failures != n {
				t.Errorf("%s with %d failures, want pending with %d", b.State, b.Failures, n)
			}
		}
		if at := dueAt(t, s, dueRegister, 1); !at.After(checkedAt.Add(8 * time.Minute)) {
			t.Errorf("after 5 failures it is tried again in %s", at.Sub(checkedAt))
		}
		if diff := cmp.Diff([]string{"added", "check_failed"}, whats(t, s, 1)); diff != "" {
			t.Errorf("trail (-want +got):\n%s", diff)
		}
	})
	t.Run("failed, and asked to wait", func(t *testing.T) {
		s, p := openNew(t), newPolicy()
		watch(t, s, p, billOf(1))
		recordCheck(t, s, p, checkedAt, CheckResult{BillID: 1, Failed: "429", After: 3 * time.Hour})
		if got := dueAt(t, s, dueRecheck, 1); got.Before(checkedAt.Add(3 * time.Hour)) {
			t.Errorf("it is asked again after %s, told to wait 3h", got.Sub(checkedAt))
		}
		if got := dueAt(t, s, dueRemind, 1); !got.Equal(firstStage) {
			t.Errorf("its reminder moved to %s", got)
		}
	})
	t.Run("nothing said", func(t *testing.T) {
		s, p := openNew(t), newPolicy()
		watch(t, s, p, billOf(1))
		quiet(t, s, func() { recordCheck(t, s, p, checkedAt, CheckResult{BillID: 1}) })
	})
}

func notDue(t *testing.T, s *Store, billID int64) {
	t.Helper()
	for _, q := range []queue{dueRegister, dueRecheck, dueRemind} {
		if at := dueAt(t, s, q, billID); !at.IsZero() {
			t.Errorf("it is still in %s, at %s", q, at)
		}
	}
}

func TestAResultOfABillThatWasRemovedMeanwhileChangesNothing(t *testing.T) {
	for name, result := range map[string]CheckResult{
		"answer":   {BillID: 1, Answer: answer(checkedAt, "7", due)},
		"rejected": {BillID: 1, Rejected: "no"},
		"failed":   {BillID: 1, Failed: "503"},
	} {
		t.Run(name, func(t *testing.T) {
			s, p := openNew(t), newPolicy()
			must(s.Declare("config", billsOf(1), checkedAt))
			must(s.Declare("config", nil, checkedAt))
			quiet(t, s, func() {
				l := recordCheck(t, s, p, checkedAt, result)
				if len(l.Bills) != 1 || l.Bills[0].State != reminder.BillRemoved || l.Due {
					t.Errorf("got %+v", l)
				}
			})
			notDue(t, s, 1)
		})
	}
}

// A batch of results is one write, but a bill of which nothing can be recorded
// holds up no other.
func TestAFaultOfOneResultIsConfined(t *testing.T) {
	s, p := openNew(t), newPolicy()
	must(s.Declare("config", billsOf(3), checkedAt))
	refuse(t, s, "INSERT", "events", "NEW.bill_id = 2 AND NEW.what <> 'added'")
	l := recordCheck(t, s, p, checkedAt, CheckResult{BillID: 1, Answer: answer(checkedAt, "7", due)}, CheckResult{BillID: 2, Answer: answer(checkedAt, "7", due)},
		CheckResult{BillID: 99, Failed: "x"}, CheckResult{BillID: 3, Answer: answer(checkedAt, "7", due)})
	if got := idsOf(l.Bills); !slices.Equal(got, []int64{1, 3}) || len(l.Checks) != 2 || l.Checks[1].BillID != 3 {
		t.Errorf("recorded of %v, %+v, want 1 and 3", got, l.Checks)
	}
	if len(l.Faults) != 2 || !strings.HasPrefix(l.Faults[0].Error(), "bill 2: ") || !errors.Is(l.Faults[1], ErrNotFound) {
		t.Errorf("faults %v, want those of 2 and 99", l.Faults)
	}
	for id, want := range map[int64]reminder.BillState{1: reminder.BillActive, 2: reminder.BillPending, 3: reminder.BillActive} {
		if got := watched(t, s, id).State; got != want {
			t.Errorf("bill %d is %s, want %s", id, got, want)
		}
	}
	if got := idsOf(toRegister(t, s, checkedAt, 9)); !slices.Equal(got, []int64{2}) {
		t.Errorf("%v await registration, want 2", got)
	}
}

func TestReplan(t *testing.T) {
	s, p := openNew(t), newPolicy()
	watch(t, s, p, billsOf(5)...)
	must(s.Declare("import", []reminder.Bill{billOf(8)}, checkedAt)) // pending
	// Bill 2 is due and unclaimed, bill 3 is being worked on.
	due2 := firstStage.Add(-time.Hour)
	change(t, s, "UPDATE due_remind SET at = ?1 WHERE bill_id = 2", due2.UnixMilli())
	change(t, s, "UPDATE due_remind SET owner = 'test' WHERE bill_id = 3")

	later := newPolicy()
	later.Stages = []reminder.Stage{-1}
	now := firstStage.Add(-time.Minute)
	var pages []int64
	for last := int64(0); ; {
		last = must(s.Replan(policiesOf(later), now, last, 2))
		pages = append(pages, last)
		if last == 0 {
			break
		}
	}
	if diff := cmp.Diff([]int64{2, 4, 6, 0}, pages); diff != "" {
		t.Errorf("pages (-want +got):\n%s", diff)
	}
	moved := due.AddDays(-1).At(later.SendAt, nairobi)
	for id, want := range map[int64]time.Time{1: moved, 2: due2, 3: firstStage, 4: moved, 5: moved, 6: {}} {
		if got := dueAt(t, s, dueRemind, id); !got.Equal(want) {
			t.Errorf("bill %d is due at %s, want %s", id, got, want)
		}
	}
	none := newPolicy()
	none.Stages = nil
	must(s.Replan(policiesOf(none), now, 0, 100))
	if got := number(t, s, "SELECT count(*) FROM due_remind"); got != 2 {
		t.Errorf("without stages %d bills are due, want those that are due or at work, 2", got)
	}
	must(s.Replan(policiesOf(none), now, 0, 100))
	quiet(t, s, func() { must(s.Replan(policiesOf(none), now, 0, 100)) })
}

// The remind job asks, the recheck job asks a little later and hears that
// nothing is owed, and records it first.
func TestAnOlderAnswerTeachesNothing(t *testing.T) {
	s, p := openNew(t), newPolicy()
	watch(t, s, p, billOf(1))
	if l := must(s.DecideDue(t.Context(), roundAt(p, firstStage), 10)); len(l.Ask) != 1 {
		t.Fatalf("Almara Pay should be asked: %+v", l)
	}
	later := firstStage.Add(2 * time.Minute)
	must(s.RecordChecks(policiesOf(p), later, CheckResult{BillID: 1, Answer: answer(later, "0", due)}))
	l := must(s.DecideAnswered(roundAt(p, firstStage.Add(3*time.Minute)), []CheckResult{{BillID: 1, Answer: answer(firstStage.Add(time.Minute), "2315.50", due)}}))
	if len(l.Texts) != 0 {
		t.Errorf("texted after paying: %+v", l.Texts)
	}
	wantRecorded(t, s, 1, "3 days before, skipped, paid")
}
