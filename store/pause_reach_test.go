package store

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"duewatch/reminder"
)

// aboveFirstPage makes a store with more bills of a service and a phone than one page
// of a pause takes, and returns those behind them, which are due.
func aboveFirstPage(t *testing.T, s *Store, p *reminder.Policy, n int) []reminder.Bill {
	t.Helper()
	bills := billsOf(selectorPage + n)
	for i := range bills[:selectorPage] {
		bills[i].Phone = phone(selectorPage) // that of the first one behind them
	}
	must(s.Declare("config", bills[:selectorPage], checkedAt))
	return ready(t, s, p, bills[selectorPage:]...)
}

// interrupted begins a pause whose command dies after its first page.
func interrupted(t *testing.T, s *Store, c Selector, at time.Time, p Pause) {
	t.Helper()
	ctx, die := context.WithCancel(t.Context())
	a := actOn(c, at)
	a.Progress = func(int) { die() }
	if _, err := s.Pause(ctx, a, p); !errors.Is(err, context.Canceled) {
		t.Fatalf("the pause was not interrupted: %v", err)
	}
}

func isUnfinished(t *testing.T, s *Store) bool {
	t.Helper()
	return number(t, s, "SELECT count(*) FROM pauses WHERE reached_id IS NOT NULL") > 0
}

func TestABillThatAPauseHasNotReachedYetIsNotTexted(t *testing.T) {
	until := due.AddDays(-1).At(0, nairobi)
	for name, choice := range map[string]Selector{
		"a service":               {Service: "water"},
		"a phone":                 {Phone: phone(selectorPage)},
		"a phone and its service": {Service: "water", Phone: phone(selectorPage)},
	} {
		t.Run(name+", before the decision", func(t *testing.T) {
			s, p := openNew(t), newPolicy()
			last := aboveFirstPage(t, s, p, 1)[0]
			interrupted(t, s, choice, firstStage, Pause{Until: until, Detail: "by desk"})
			if got := billState(t, s, last.Account); got != reminder.BillActive {
				t.Fatalf("the pause has reached the bill, which is %s", got)
			}
			if l := must(s.DecideDue(t.Context(), roundAt(p, firstStage), 10)); len(l.Texts)+len(l.Ask) > 0 || l.Bills == 0 {
				t.Errorf("decided %+v", l)
			}
			b := must(s.SelectedBills(t.Context(), Selector{Account: last.Account}, 1))[0]
			if b.State != reminder.BillPaused || !b.PausedUntil.Equal(until) {
				t.Errorf("it is %s until %s", b.State, b.PausedUntil)
			}
			quiet(t, s, func() { must(s.DecideDue(t.Context(), roundAt(p, firstStage.Add(time.Minute)), 10)) })
		})
		t.Run(name+", after the decision", func(t *testing.T) {
			s, p := openNew(t), newPolicy()
			aboveFirstPage(t, s, p, 1)
			intent := text(t, s, p, firstStage)
			later := firstStage.Add(time.Second)
			interrupted(t, s, choice, later, Pause{Until: until, Detail: "by desk"})
			if c := must(s.CheckIntents(t.Context(), later, []*Text{&intent})); !strings.Contains(c.Changed[intent.ID], "a pause") {
				t.Errorf("it may leave: %+v", c)
			}
			// It is given back, and its next decision pauses it: not given back again.
			mustDo(t, s.RecordOutcome(later, SendOutcome{TextID: intent.ID, State: Refused, Hold: reminder.ChangedMeanwhile, Until: later}))
			if l := must(s.DecideDue(t.Context(), roundAt(p, later), 10)); len(l.Texts) > 0 {
				t.Errorf("texted: %+v", l)
			}
			quiet(t, s, func() { must(s.DecideDue(t.Context(), roundAt(p, later.Add(time.Minute)), 10)) })
			// What ends by itself does so for it too.
			if c := must(s.CheckIntents(t.Context(), until, []*Text{&intent})); strings.Contains(c.Changed[intent.ID], "a pause of") {
				t.Errorf("the pause is over, and holds: %+v", c)
			}
		})
	}
}

func TestABillThatAPauseHasNotReachedYetIsInNoTextOfAnother(t *testing.T) {
	s, p := openNew(t), newPolicy()
	p.Bundle = true
	bills := billsOf(2)
	bills[1].Phone, bills[1].Service = bills[0].Phone, "rent"
	ready(t, s, p, bills...)
	begin := actOn(Selector{Service: "rent"}, firstStage)
	mustDo(t, s.do(func(t *tx) error { return t.writePauseRule(begin, Pause{Detail: "by desk"}) }))
	if x := text(t, s, p, firstStage); len(x.Parts) != 1 || x.Parts[0].Service != "water" {
		t.Errorf("the text is about %+v", x.Parts)
	}
}

func TestAnInterruptedPauseGoesOnWhenItIsTypedAgain(t *testing.T) {
	s, p := openNew(t), newPolicy()
	bills := aboveFirstPage(t, s, p, 3)
	water := Selector{Service: "water"}
	interrupted(t, s, water, firstStage, Pause{Detail: "by desk"})
	if !isUnfinished(t, s) || !must(s.Pauses(t.Context(), firstStage))[0].Unfinished {
		t.Error("the pause says that it has reached all bills")
	}
	if n := must(s.Pause(t.Context(), actOn(water, firstStage), Pause{Detail: "by desk"})); n.Done != 3 {
		t.Errorf("paused %+v", n)
	}
	if isUnfinished(t, s) || must(s.Pauses(t.Context(), firstStage))[0].Unfinished {
		t.Error("the pause says that it has not reached all bills")
	}
	// From then on a bill can be resumed alone, and stays so.
	one := Selector{Account: bills[1].Account}
	must(s.Resume(t.Context(), actOn(one, firstStage), policiesOf(p)))
	// Of another pause that is under way it hears nothing.
	begin := actOn(Selector{Service: "rent"}, firstStage)
	mustDo(t, s.do(func(t *tx) error { return t.writePauseRule(begin, Pause{}) }))
	at := dueAt(t, s, dueRemind, bills[1].ID)
	must(s.RecordChecks(policiesOf(p), at, CheckResult{BillID: bills[1].ID, Answer: answer(at, "2315.50", due)}))
	x := text(t, s, p, at)
	if c := must(s.CheckIntents(t.Context(), at, []*Text{&x})); len(x.Parts) != 1 || x.Parts[0].BillID != bills[1].ID || len(c.Changed) > 0 {
		t.Errorf("the text about %+v has changed: %v", x.Parts, c.Changed)
	}
}

func TestABillIsNotResumedAheadOfAPauseThatWouldReachIt(t *testing.T) {
	s, p := openNew(t), newPolicy()
	bills := aboveFirstPage(t, s, p, 2)
	one := actOn(Selector{Account: bills[1].Account}, firstStage)
	must(s.Pause(t.Context(), one, Pause{Detail: "by desk"}))
	interrupted(t, s, Selector{Service: "water"}, firstStage, Pause{Detail: "by desk"})
	_, err := s.Resume(t.Context(), one, policiesOf(p))
	if err == nil || !strings.Contains(err.Error(), "service water") || !strings.Contains(err.Error(), one.Selector.Account) {
		t.Errorf("resumed, only to be paused again: %v", err)
	}
	// With its service it is, and texted.
	must(s.Resume(t.Context(), actOn(Selector{Service: "water"}, firstStage), policiesOf(p)))
	if l := must(s.DecideDue(t.Context(), roundAt(p, firstStage), 10)); len(l.Texts) != 2 {
		t.Errorf("%d texts after the pause, want 2", len(l.Texts))
	}
}

func TestAPauseThatIsEndedWhileItGoesOnPausesNoMoreBills(t *testing.T) {
	for name, meanwhile := range map[string]func(s *Store, a BulkOp, p *reminder.Policy) error{
		"resumed": func(s *Store, a BulkOp, p *reminder.Policy) error {
			_, err := s.Resume(t.Context(), a, policiesOf(p))
			return err
		},
		"begun anew": func(s *Store, a BulkOp, _ *reminder.Policy) error {
			return s.do(func(t *tx) error { return t.writePauseRule(a, Pause{Until: firstStage.Add(time.Hour)}) })
		},
	} {
		t.Run(name, func(t *testing.T) {
			s, p := openNew(t), newPolicy()
			last := aboveFirstPage(t, s, p, 1)[0]
			a := actOn(Selector{Service: "water"}, firstStage)
			other := a
			written := false
			a.Progress = func(int) {
				if !written {
					written = true
					mustDo(t, meanwhile(s, other, p))
				}
			}
			if _, err := s.Pause(t.Context(), a, Pause{Detail: "by desk"}); !errors.Is(err, errPauseTaken) {
				t.Errorf("it went on: %v", err)
			}
			if got := billState(t, s, last.Account); got != reminder.BillActive {
				t.Errorf("it is %s", got)
			}
			if texts := len(must(s.DecideDue(t.Context(), roundAt(p, firstStage), 10)).Texts); texts != map[string]int{"resumed": 1}[name] {
				t.Errorf("%d texts", texts)
			}
		})
	}
}
