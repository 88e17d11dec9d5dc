package store

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"duewatch/reminder"
)

func actOn(c Selector, at time.Time) BulkOp { return BulkOp{Selector: c, At: at, Who: "desk"} }

// queues lists when a bill is next due in each job.
func queues(t *testing.T, s *Store, billID int64) (all []string) {
	t.Helper()
	for _, q := range []queue{dueRegister, dueRecheck, dueRemind} {
		if at := dueAt(t, s, q, billID); !at.IsZero() {
			all = append(all, fmt.Sprint(q, " ", at.In(nairobi).Format("2 Jan 15:04")))
		}
	}
	return all
}

func billState(t *testing.T, s *Store, account string) reminder.BillState {
	t.Helper()
	return must(s.SelectedBills(t.Context(), Selector{Account: account}, 1))[0].State
}

func TestAPausedBillCostsNothing(t *testing.T) {
	s, p := openNew(t), newPolicy()
	ready(t, s, p, billOf(1), billOf(2))
	one := Selector{Account: billOf(1).Account}
	dry := actOn(one, checkedAt)
	dry.DryRun = true
	quiet(t, s, func() {
		if n := must(s.Pause(t.Context(), dry, Pause{})); n.Done != 1 {
			t.Errorf("a dry run counts %+v", n)
		}
	})
	if n := must(s.Pause(t.Context(), actOn(one, checkedAt), Pause{Detail: "by desk"})); n.Done != 1 {
		t.Errorf("paused %+v", n)
	}
	if got := queues(t, s, 1); got != nil {
		t.Errorf("it is still due in the jobs: %v", got)
	}
	l := must(s.DecideDue(t.Context(), roundAt(p, firstStage), 10))
	if l.Bills != 1 || len(l.Texts) != 1 || l.Texts[0].Parts[0].BillID != 2 {
		t.Errorf("the other bill alone should be texted: %+v", l)
	}
	if n := must(s.Pause(t.Context(), actOn(one, firstStage), Pause{Detail: "by desk"})); n.Done != 0 || n.Left[reminder.BillPaused] != 1 {
		t.Errorf("paused again: %+v", n)
	}
	// Neither an answer that was under way, nor an edit, nor another text's end wakes it.
	must(s.RecordChecks(policiesOf(p), firstStage, CheckResult{BillID: 1, Answer: answer(firstStage, "10", due.AddDays(1))}))
	edited := billOf(1)
	edited.Description = "another"
	must(s.Declare("config", []reminder.Bill{edited, billOf(2)}, firstStage))
	if got := billState(t, s, one.Account); got != reminder.BillPaused {
		t.Errorf("it is %s", got)
	}
	if l := must(s.DecideDue(t.Context(), roundAt(p, firstStage.Add(time.Hour)), 10)); len(l.Texts) != 0 {
		t.Errorf("texted: %+v", l)
	}
	if got := queues(t, s, 1); got != nil {
		t.Errorf("it is due in the jobs again: %v", got)
	}
}

func TestAPauseEndsByItself(t *testing.T) {
	until := due.AddDays(-2).At(0, nairobi) // in the night after the first stage's day
	for _, test := range []struct {
		name  string
		wakes time.Time // when the daemon runs again
		want  []string
	}{
		{"at its hour", until, []string{"3 days before, held, outside_window"}},
		{"late in the same night, still not at night", until.Add(5 * time.Hour), []string{"3 days before, held, outside_window"}},
		{"in the day, and catches up", until.Add(10 * time.Hour), nil},
		{"after the due date", due.AddDays(1).At(12*60, nairobi), []string{"3 days before, skipped, superseded", "due day, skipped, expired"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			s, p := openNew(t), newPolicy()
			ready(t, s, p, billOf(1))
			must(s.Pause(t.Context(), actOn(Selector{Account: billOf(1).Account}, checkedAt), Pause{Until: until, Detail: "by desk"}))
			if diff := cmp.Diff([]string{"due_remind 8 Mar 00:00"}, queues(t, s, 1)); diff != "" {
				t.Errorf("queues (-want +got):\n%s", diff)
			}
			quiet(t, s, func() { must(s.DecideDue(t.Context(), roundAt(p, until.Add(-time.Second)), 10)) })
			l := must(s.DecideDue(t.Context(), roundAt(p, test.wakes), 10))
			if got := billState(t, s, billOf(1).Account); got != reminder.BillActive {
				t.Errorf("it is %s", got)
			}
			wantRecorded(t, s, 1, test.want...)
			if test.want == nil && len(l.Ask) != 1 {
				t.Errorf("the balance is old, so Almara Pay should be asked: %+v", l)
			}
			if check := dueAt(t, s, dueRecheck, 1); check.Before(test.wakes) || check.After(test.wakes.Add(6*time.Hour)) {
				t.Errorf("asked again at %s", check)
			}
			events := must(s.Events(t.Context(), 1))
			if e := events[len(events)-1-len(test.want)]; e.What != "resumed" || e.Reason != "rule" {
				t.Errorf("event %+v", e)
			}
		})
	}
}

// What passed before the pause is not recorded as missed through it.
func TestAPauseAfterTheLastStageLeavesNoRecords(t *testing.T) {
	s, p := openNew(t), newPolicy()
	p.Stages = []reminder.Stage{0}
	watch(t, s, p, billOf(1))
	long := due.AddDays(40).At(12*60, nairobi)
	one := actOn(Selector{Account: billOf(1).Account}, long)
	must(s.Pause(t.Context(), one, Pause{Detail: "by desk"}))
	one.At = long.Add(time.Hour)
	must(s.Resume(t.Context(), one, policiesOf(p)))
	wantRecorded(t, s, 1)
	if diff := cmp.Diff([]string{"due_recheck 19 Apr 13:00"}, queues(t, s, 1)); diff != "" {
		t.Errorf("queues (-want +got):\n%s", diff)
	}
}

func TestAPausedServiceCoversLaterBills(t *testing.T) {
	s, p := openNew(t), newPolicy()
	other := billOf(3)
	other.Service = "rent"
	ready(t, s, p, billOf(1), other)
	must(s.Declare("import", []reminder.Bill{billOf(2)}, checkedAt)) // awaits registration
	service := actOn(Selector{Service: "water"}, checkedAt)
	if n := must(s.Pause(t.Context(), service, Pause{Until: due.At(0, nairobi), Detail: "by desk"})); n.Done != 2 {
		t.Errorf("%+v", n)
	}
	register := func(source string, b reminder.Bill) {
		t.Helper()
		must(s.Declare(source, []reminder.Bill{b}, checkedAt))
		for _, b := range toRegister(t, s, checkedAt, 10) {
			must(s.RecordChecks(policiesOf(p), checkedAt, CheckResult{BillID: b.ID, Answer: answer(checkedAt, "10", due)}))
		}
	}
	register("later", billOf(4))
	for account, want := range map[string]reminder.BillState{
		billOf(1).Account: reminder.BillPaused, billOf(2).Account: reminder.BillPaused, billOf(3).Account: reminder.BillActive, billOf(4).Account: reminder.BillPaused,
	} {
		if got := billState(t, s, account); got != want {
			t.Errorf("%s is %s, want %s", account, got, want)
		}
	}
	if got := must(s.Pauses(t.Context(), checkedAt)); len(got) != 1 || got[0].Service != "water" {
		t.Errorf("%+v", got)
	}
	if l := must(s.DecideDue(t.Context(), roundAt(p, firstStage), 10)); len(l.Texts) != 1 || l.Texts[0].Parts[0].Service != "rent" {
		t.Errorf("texts %+v", l.Texts)
	}
	if n := must(s.Resume(t.Context(), service, policiesOf(p))); n.Done != 3 {
		t.Errorf("resumed %+v", n)
	}
	if got := billState(t, s, billOf(2).Account); got != reminder.BillPending {
		t.Errorf("what awaited registration is %s", got)
	}
	if got := must(s.Pauses(t.Context(), checkedAt)); len(got) != 0 {
		t.Errorf("%+v", got)
	}
	register("last", billOf(5))
	if got := billState(t, s, billOf(5).Account); got != reminder.BillActive {
		t.Errorf("a bill after the end is %s", got)
	}
}

// A bill that the rule alone caught, as it was registered, would be counted as
// left alone. And a pause that failed must not go on for bills to come.
func TestARuleIsWrittenWithItsFirstBills(t *testing.T) {
	s, p := openNew(t), newPolicy()
	watch(t, s, p, billOf(1))
	restore := refuse(t, s, "UPDATE OF state", "bills", "NEW.id > 0")
	service := actOn(Selector{Service: "water"}, checkedAt)
	if n, err := s.Pause(t.Context(), service, Pause{Detail: "by desk"}); err == nil {
		t.Errorf("paused: %+v", n)
	}
	if got := must(s.Pauses(t.Context(), checkedAt)); len(got) != 0 {
		t.Errorf("the rule stands: %+v", got)
	}
	restore()
	if n := must(s.Pause(t.Context(), service, Pause{Detail: "by desk"})); n.Done != 1 || len(n.Left) != 0 {
		t.Errorf("paused: %+v", n)
	}
	refuse(t, s, "UPDATE OF state", "bills", "NEW.id > 0")
	if n, err := s.Resume(t.Context(), service, policiesOf(p)); err == nil {
		t.Errorf("resumed: %+v", n)
	}
	if got := must(s.Pauses(t.Context(), checkedAt)); len(got) != 1 {
		t.Errorf("the rule has ended: %+v", got)
	}
}

func TestAPausedPhoneEndsWithItsHour(t *testing.T) {
	s, p := openNew(t), newPolicy()
	watch(t, s, p, billOf(1))
	must(s.Pause(t.Context(), actOn(Selector{Phone: phone(1)}, checkedAt), Pause{Until: checkedAt.Add(time.Hour), Detail: "by desk"}))
	if got := must(s.Pauses(t.Context(), checkedAt.Add(time.Hour))); len(got) != 0 {
		t.Errorf("it stands after its end: %+v", got)
	}
	if got := must(s.Pauses(t.Context(), checkedAt)); len(got) != 1 || got[0].Phone != phone(1) {
		t.Errorf("%+v", got)
	}
}

func TestManyBillsArePausedInBatches(t *testing.T) {
	s := openNew(t)
	bills := make([]reminder.Bill, 2*selectorPage+1)
	for i := range bills {
		bills[i] = billOf(i)
	}
	must(s.Declare("config", bills, checkedAt))
	var progress []int
	a := actOn(Selector{Service: "water"}, checkedAt)
	a.Progress = func(n int) { progress = append(progress, n) }
	if n := must(s.Pause(t.Context(), a, Pause{Detail: "by desk"})); n.Done != len(bills) {
		t.Errorf("%+v", n)
	}
	if diff := cmp.Diff([]int{selectorPage, 2 * selectorPage, len(bills)}, progress); diff != "" {
		t.Errorf("progress (-want +got):\n%s", diff)
	}
	if n := number(t, s, "SELECT count(*) FROM due_register"); n != 0 {
		t.Errorf("%d bills are still to be registered", n)
	}
}

func TestRetryAsksAgainAtOnce(t *testing.T) {
	s, p := openNew(t), newPolicy()
	watch(t, s, p, billsOf(4)...)
	results := []CheckResult{{BillID: 1, Rejected: "no such account"}, {BillID: 2, Failed: "503"}, {BillID: 3, Rejected: "no such account"}}
	must(s.RecordChecks(policiesOf(p), checkedAt, results...))
	must(s.AddOptOuts(OptOut{Phone: phone(0), Reason: reminder.BadNumber, Since: checkedAt, Source: "provider", Who: "x"}))
	now := checkedAt.Add(time.Second)
	if n := must(s.Retry(t.Context(), actOn(Selector{Service: "water"}, now))); n.Done != 3 || n.Left[reminder.BillActive] != 1 {
		t.Errorf("%+v", n)
	}
	for id, want := range map[int64]string{1: "due_register", 2: "due_recheck", 3: "due_register"} {
		if got := queues(t, s, id)[0]; got != want+" 2 Mar 12:00" {
			t.Errorf("bill %d: %s", id, got)
		}
	}
	if n := number(t, s, "SELECT count(*) FROM bills WHERE failures > 0 OR last_error <> '' OR state = 'rejected'"); n != 0 {
		t.Errorf("%d bills still stand as failed", n)
	}
	if n := number(t, s, "SELECT count(*) FROM opt_outs WHERE reason = 'bad_number'"); n != 1 {
		t.Error("the bad number may be texted again")
	}
	if n := must(s.Retry(t.Context(), actOn(Selector{Service: "water"}, now))); n.Done != 0 {
		t.Errorf("again: %+v", n)
	}
}

func TestReleaseOfAChoice(t *testing.T) {
	s, p := openNew(t), newPolicy()
	ready(t, s, p, billsOf(3)...)
	change(t, s, `INSERT INTO reminders (bill_id, due_date, stage, outcome, reason, decided_at)
		SELECT id, due_date, -3, 'held', 'in_doubt', 0 FROM bills`)
	a := actOn(Selector{Phone: phone(1)}, firstStage)
	a.DryRun = true
	quiet(t, s, func() {
		if n := must(s.Release(t.Context(), a, OfOneBill...)); n != 1 {
			t.Errorf("a dry run counts %d", n)
		}
	})
	for _, test := range []struct {
		choice Selector
		want   int64
	}{
		{Selector{Phone: phone(1)}, 1}, {Selector{Service: "rent"}, 0}, {Selector{Service: "water", Account: billOf(0).Account}, 1}, {Selector{Service: "water"}, 1},
	} {
		if n := must(s.Release(t.Context(), actOn(test.choice, firstStage), OfOneBill...)); n != test.want {
			t.Errorf("%+v: %d released, want %d", test.choice, n, test.want)
		}
	}
}

// Whatever pauses a bill, and in whatever order it was said: as long as one of
// them lasts, nobody is texted.
func TestTheLongerPauseHolds(t *testing.T) {
	until := Pause{Until: checkedAt.Add(time.Hour), Detail: "outage"}
	account, service, mobile := Selector{Account: billOf(1).Account}, Selector{Service: billOf(1).Service}, Selector{Phone: phone(1)}
	for name, said := range map[string]func(*Store){
		"a bill, then for a while its service": func(s *Store) {
			must(s.Pause(t.Context(), actOn(account, checkedAt), Pause{Detail: "dispute"}))
			must(s.Pause(t.Context(), actOn(service, checkedAt), until))
		},
		"a phone, then for a while the service": func(s *Store) {
			must(s.Pause(t.Context(), actOn(mobile, checkedAt), Pause{Detail: "dispute"}))
			must(s.Pause(t.Context(), actOn(service, checkedAt), until))
		},
		"a service, then for a while one bill": func(s *Store) {
			must(s.Pause(t.Context(), actOn(service, checkedAt), Pause{Detail: "dispute"}))
			must(s.Pause(t.Context(), actOn(account, checkedAt), until))
		},
		"a phone that the bill comes to later": func(s *Store) {
			must(s.Pause(t.Context(), actOn(Selector{Phone: phone(7)}, checkedAt), Pause{Detail: "dispute"}))
			moved := billOf(1)
			moved.Phone = phone(7)
			must(s.Declare("config", []reminder.Bill{moved}, checkedAt))
		},
	} {
		t.Run(name, func(t *testing.T) {
			s, p := openNew(t), newPolicy()
			ready(t, s, p, billOf(1))
			said(s)
			l := must(s.DecideDue(t.Context(), roundAt(p, firstStage), 10))
			if state := billState(t, s, billOf(1).Account); len(l.Texts)+len(l.Ask) != 0 || state != reminder.BillPaused {
				t.Errorf("it is %s, and the evaluation made %+v", state, l)
			}
			if got := queues(t, s, 1); got != nil {
				t.Errorf("it is due in the jobs again: %v", got)
			}
		})
	}
}

// A phone is paused, and then the pause of a service ends that its bill is of, or none
// of that service stood at all: the bill stays under the pause of its phone.
func TestTheEndOfOnePauseEndsNoOther(t *testing.T) {
	service, mobile := Selector{Service: billOf(1).Service}, Selector{Phone: phone(1)}
	for name, tt := range map[string]struct {
		first, ends Selector
		also        bool // the one that ends stood
	}{
		"a phone's stays when its service's ends":     {mobile, service, true},
		"a phone's stays when no other stood":         {mobile, service, false},
		"a service's stays when that of a phone ends": {service, mobile, true},
	} {
		t.Run(name, func(t *testing.T) {
			s, p := openNew(t), newPolicy()
			ready(t, s, p, billOf(1), billOf(2))
			must(s.Pause(t.Context(), actOn(tt.first, checkedAt), Pause{Until: checkedAt.AddDate(0, 2, 0), Detail: "dispute"}))
			if tt.also {
				must(s.Pause(t.Context(), actOn(tt.ends, checkedAt), Pause{Detail: "outage"}))
			}
			n := must(s.Resume(t.Context(), actOn(tt.ends, checkedAt), policiesOf(p)))
			if billState(t, s, billOf(1).Account) != reminder.BillPaused || n.Left[reminder.BillPaused] == 0 {
				t.Errorf("the bill is %s, and %+v is said", billState(t, s, billOf(1).Account), n)
			}
			for _, x := range must(s.DecideDue(t.Context(), roundAt(p, firstStage), 10)).Texts {
				if x.To == phone(1) {
					t.Error("it is texted")
				}
			}
			n = must(s.Resume(t.Context(), actOn(tt.first, checkedAt), policiesOf(p)))
			if billState(t, s, billOf(1).Account) != reminder.BillActive || n.Done == 0 {
				t.Errorf("none holds it any more, and it is %s, and %+v is said", billState(t, s, billOf(1).Account), n)
			}
		})
	}
}
