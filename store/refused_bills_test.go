package store

import (
	"testing"
	"time"

	"duewatch/reminder"
)

func unclear(id int64) CheckResult {
	return CheckResult{BillID: id, Failed: "Not Found (status 404)", Refused: Unclear}
}

func TestARefusalInNoKnownFormRejectsOnAnotherDayOnly(t *testing.T) {
	evening := time.Date(2026, 3, 9, 23, 50, 0, 0, nairobi)
	night := evening.Add(refusedApart) // another day in Nairobi
	midnight := evening.Add(20 * time.Minute)
	for name, c := range map[string]struct {
		between func(*testing.T, *Store, *reminder.Policy)
		second  time.Time
		result  CheckResult
		state   reminder.BillState
	}{
		"others were answered between":      {answeredAt(evening.Add(time.Minute), 2), night, unclear(1), reminder.BillRejected},
		"a fault that passes over midnight": {answeredAt(evening.Add(time.Minute), 2), midnight, unclear(1), reminder.BillPending},
		"the same day":                      {answeredAt(evening.Add(time.Minute), 2), evening.Add(9 * time.Minute), unclear(1), reminder.BillPending},
		"nobody was answered between":       {answeredAt(evening.Add(-time.Minute), 2), night, unclear(1), reminder.BillPending},
		"a 503 on the second day":           {answeredAt(evening.Add(time.Minute), 2), night, CheckResult{BillID: 1, Failed: "503"}, reminder.BillPending},
		"a 403 on the second day":           {answeredAt(evening.Add(time.Minute), 2), night, CheckResult{BillID: 1, Failed: "403", Refused: Forbidden}, reminder.BillPending},
		"it was retried between": {func(t *testing.T, s *Store, p *reminder.Policy) {
			answeredAt(evening.Add(time.Minute), 2)(t, s, p)
			must(s.Retry(t.Context(), BulkOp{Selector: Selector{Account: billOf(0).Account}, At: evening, Who: "x"}))
			recordCheck(t, s, p, evening, CheckResult{BillID: 1, Failed: "503"})
		}, night, unclear(1), reminder.BillPending},
		"it was edited between": {func(t *testing.T, s *Store, p *reminder.Policy) {
			answeredAt(evening.Add(time.Minute), 2)(t, s, p)
			b := billOf(0)
			b.Phone = phone(50)
			must(s.Declare("config", append([]reminder.Bill{b}, billsOf(3)[1:]...), evening))
			recordCheck(t, s, p, evening, CheckResult{BillID: 1, Failed: "503"})
		}, night, unclear(1), reminder.BillPending},
		"it was answered itself between": {answeredAt(evening.Add(time.Minute), 1), night, unclear(1), reminder.BillActive},
	} {
		t.Run(name, func(t *testing.T) {
			s, p := openNew(t), newPolicy()
			must(s.Declare("config", billsOf(3), checkedAt))
			recordCheck(t, s, p, evening, unclear(1))
			c.between(t, s, p)
			l := recordCheck(t, s, p, c.second, c.result)
			if b := watched(t, s, 1); b.State != c.state {
				t.Errorf("the bill is %s, want %s", b.State, c.state)
			}
			if c.state != reminder.BillRejected {
				return
			}
			if got := l.Checks[0].Rejected; got != "Not Found (status 404)" || l.Bills[0].LastError != got {
				t.Errorf("rejected for %q, %q", got, l.Bills[0].LastError)
			}
			if r := must(s.RefusedBills(t.Context(), Unclear)); r.Bills != 0 {
				t.Errorf("a rejected bill counts as refused: %+v", r)
			}
		})
	}
}

// answeredAt has Almara Pay answer well about a bill.
func answeredAt(at time.Time, id int64) func(*testing.T, *Store, *reminder.Policy) {
	return func(t *testing.T, s *Store, p *reminder.Policy) {
		t.Helper()
		recordCheck(t, s, p, at, CheckResult{BillID: id, Answer: answer(at, "10", due)})
	}
}

func TestNobodyAnsweredIsAWarningUntilSomebodyIs(t *testing.T) {
	s, p := openNew(t), newPolicy()
	must(s.Declare("config", billsOf(9), checkedAt))
	warnings := func(want int) {
		t.Helper()
		if got := must(s.Warnings(t.Context())); len(got) != want {
			t.Errorf("warnings %v, want %d", got, want)
		}
	}
	now := firstStage
	at := func(minutes int) time.Time { return now.Add(time.Duration(minutes) * time.Minute) }
	recordCheck(t, s, p, at(0), unclear(1))
	recordCheck(t, s, p, at(1), unclear(1))
	recordCheck(t, s, p, at(2), unclear(2))
	warnings(0) // two may be at fault themselves
	recordCheck(t, s, p, at(3), unclear(3), CheckResult{BillID: 4, Answer: answer(at(3), "1", due)})
	warnings(0)
	recordCheck(t, s, p, at(4), unclear(1), unclear(2), unclear(3))
	warnings(0) // they were refused before somebody was answered
	recordCheck(t, s, p, at(5), unclear(5), unclear(6), unclear(7))
	warnings(1)
	if r := must(s.RefusedBills(t.Context(), Unclear)); r.Bills != 6 || r.Account != billOf(0).Account || r.Said != "Not Found (status 404)" {
		t.Errorf("%+v", r)
	}
	recordCheck(t, s, p, at(6), CheckResult{BillID: 4, Answer: answer(at(6), "1", due)})
	warnings(0)
	recordCheck(t, s, p, at(7), unclear(8))
	must(s.ReleaseAll(t.Context(), p, at(8), reminder.NobodyAnswered, "x", nil))
	recordCheck(t, s, p, at(9), unclear(9))
	warnings(0) // what was counted before the release counts no more
}

func TestABillThatIsForbiddenIsKnown(t *testing.T) {
	s, p := openNew(t), newPolicy()
	must(s.Declare("config", billsOf(2), checkedAt))
	recordCheck(t, s, p, firstStage, CheckResult{BillID: 1, Failed: "403", Refused: Forbidden}, unclear(2))
	if !must(s.Forbidden(t.Context(), 1)) || must(s.Forbidden(t.Context(), 2)) {
		t.Error("not the first alone is known")
	}
	if r := must(s.RefusedBills(t.Context(), Forbidden)); r.Bills != 1 || r.Account != billOf(0).Account {
		t.Errorf("%+v", r)
	}
	recordCheck(t, s, p, firstStage, CheckResult{BillID: 1, Answer: answer(firstStage, "1", due)})
	if must(s.Forbidden(t.Context(), 1)) {
		t.Error("it was let in, and is still known")
	}
}
