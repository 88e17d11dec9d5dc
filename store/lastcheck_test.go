package store

import (
	"strings"
	"testing"
	"time"

	"duewatch/reminder"
)

// What another process commits between the intent and the call is seen, as what
// this one does.
func TestAnIntentIsTestedOnceMore(t *testing.T) {
	later := firstStage.Add(3 * time.Second)
	for _, tt := range []struct {
		name   string
		commit func(t *testing.T, s *Store, p *reminder.Policy)
		why    string // "" = it may leave
		stop   reminder.Reason
	}{
		{name: "nothing", commit: func(*testing.T, *Store, *reminder.Policy) {}},
		{name: "the same balance again", commit: func(_ *testing.T, s *Store, p *reminder.Policy) {
			must(s.RecordChecks(policiesOf(p), later, CheckResult{BillID: 1, Answer: answer(later, "2315.50", due)}))
		}},
		{name: "a payment", commit: func(_ *testing.T, s *Store, p *reminder.Policy) {
			must(s.RecordChecks(policiesOf(p), later, CheckResult{BillID: 1, Answer: answer(later, "0", due)}))
		}, why: "the balance has changed"},
		{name: "a payment that was answered before the decision and recorded after it", commit: func(_ *testing.T, s *Store, p *reminder.Policy) {
			at := firstStage.Add(time.Millisecond)
			must(s.RecordChecks(policiesOf(p), later, CheckResult{BillID: 1, Answer: answer(at, "0", due)}))
		}, why: "the balance has changed"},
		{name: "another due date", commit: func(_ *testing.T, s *Store, p *reminder.Policy) {
			must(s.RecordChecks(policiesOf(p), later, CheckResult{BillID: 1, Answer: answer(later, "2315.50", due.AddDays(7))}))
		}, why: "the due date has moved"},
		{name: "an opt-out", commit: func(_ *testing.T, s *Store, _ *reminder.Policy) {
			must(s.AddOptOuts(OptOut{Phone: phone(0), Reason: reminder.OptedOut, Since: later, Source: "import"}))
		}, why: "must not be texted"},
		{name: "an opt-out from the service", commit: func(_ *testing.T, s *Store, _ *reminder.Policy) {
			must(s.AddOptOuts(OptOut{Phone: phone(0), Service: "water", Reason: reminder.OptedOut, Since: later, Source: "import"}))
		}, why: "must not be texted"},
		{name: "an opt-out from another service", commit: func(_ *testing.T, s *Store, _ *reminder.Policy) {
			must(s.AddOptOuts(OptOut{Phone: phone(0), Service: "rent", Reason: reminder.OptedOut, Since: later, Source: "import"}))
		}},
		{name: "a pause", commit: func(t *testing.T, s *Store, _ *reminder.Policy) {
			must(s.Pause(t.Context(), BulkOp{Selector: Selector{Account: billOf(0).Account}, At: later, Who: "test"}, Pause{}))
		}, why: "the bill is paused"},
		{name: "a list without the bill", commit: func(_ *testing.T, s *Store, _ *reminder.Policy) {
			must(s.Declare(SourceConfig, []reminder.Bill{billOf(5)}, later))
		}, why: "the bill is removed"},
		{name: "another phone", commit: func(_ *testing.T, s *Store, _ *reminder.Policy) {
			b := billOf(0)
			b.Phone = phone(9)
			must(s.Declare(SourceConfig, []reminder.Bill{b}, later))
		}, why: "another phone"},
		{name: "a stop", commit: func(t *testing.T, s *Store, _ *reminder.Policy) {
			mustDo(t, s.StopSending(later, reminder.Stop{Reason: reminder.AccountFault, Until: later.Add(time.Hour)}))
		}, stop: reminder.AccountFault},
		{name: "a daemon that takes this one for dead", commit: func(_ *testing.T, s *Store, _ *reminder.Policy) {
			must(s.TakeOver(later, "another", later))
		}, why: "taken for that of a dead process"},
		{name: "a daemon that takes this one for dead, and does not find its text", commit: func(t *testing.T, s *Store, _ *reminder.Policy) {
			must(s.TakeOver(later, "another", later))
			id := number(t, s, "SELECT id FROM texts")
			if got := must(s.RecordLookUp(later, LookUp{TextID: id, Last: true})); got != NotFound {
				t.Fatalf("after the look-up, the text is %s", got)
			}
		}, why: "taken for that of a dead process"},
		{name: "a server that lacks the intent", commit: func(t *testing.T, s *Store, _ *reminder.Policy) {
			for _, table := range []string{"events", "reminders", "texts"} {
				mustDo(t, tryChange(s, "DELETE FROM "+table))
			}
		}, why: "its intent was given back"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, p := openNew(t), newPolicy()
			ready(t, s, p, billOf(0))
			intent := text(t, s, p, firstStage)
			other := must(OpenWriter(t.Context(), pathOf(t, s)))
			defer other.Close() //nolint:errcheck // nothing is written any more
			tt.commit(t, other, p)
			c := must(s.CheckIntents(t.Context(), later, []*Text{&intent}))
			switch why := c.Changed[intent.ID]; {
			case tt.stop != "" && (c.Stop == nil || c.Stop.Reason != tt.stop):
				t.Errorf("stop %+v, want %s", c.Stop, tt.stop)
			case tt.stop == "" && c.Stop != nil:
				t.Errorf("it is stopped: %+v", c.Stop)
			case (why == "") != (tt.why == "") || !strings.Contains(why, tt.why):
				t.Errorf("changed: %q, want %q", why, tt.why)
			}
		})
	}
}

// A text about several bills is tested for each of them.
func TestEachBillOfAnIntentIsTestedOnceMore(t *testing.T) {
	s, p := openNew(t), newPolicy()
	p.Bundle = true
	bills := billsOf(3)
	for i := range bills {
		bills[i].Phone = phone(0)
	}
	ready(t, s, p, bills...)
	intent := text(t, s, p, firstStage)
	if len(intent.Parts) != len(bills) {
		t.Fatalf("%d parts", len(intent.Parts))
	}
	must(s.RecordChecks(policiesOf(p), firstStage, CheckResult{BillID: intent.Parts[2].BillID, Answer: answer(firstStage.Add(time.Second), "0", due)}))
	if c := must(s.CheckIntents(t.Context(), firstStage, []*Text{&intent})); c.Changed[intent.ID] == "" {
		t.Error("the last of its bills is paid, and it may leave")
	}
}
