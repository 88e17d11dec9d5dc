package store

import (
	"testing"
	"time"

	"duewatch/reminder"
)

const aYear = 365 * 24 * time.Hour

// What was put off by a clock that was years ahead would wait for years.
func TestWhatAClockThatWasAheadPutOffIsDueNow(t *testing.T) {
	s, p := openNew(t), newPolicy()
	ready(t, s, p, billOf(1), billOf(2))
	ahead := firstStage.Add(2 * aYear)
	s.TrustClock(false)
	must(s.Declare("config", []reminder.Bill{billOf(1), billOf(2), billOf(3)}, ahead))
	must(s.RecordChecks(policiesOf(p), ahead, CheckResult{BillID: 1, Answer: answer(ahead, "10", due)}))
	if got := must(s.Seen(t.Context())); !got.Equal(firstStage) {
		t.Errorf("seen %s, want %s: a clock that is not vouched for has seen nothing", got, firstStage)
	}
	if got := must(s.Latest(t.Context())); !got.Equal(ahead) {
		t.Errorf("the latest instant is %s, want %s", got, ahead)
	}
	if n := len(toRegister(t, s, firstStage, 10)); n != 0 {
		t.Fatalf("%d bills are to be registered already", n)
	}
	s.TrustClock(true)
	if n := must(s.ClockSet(firstStage, firstStage)); n != 1 {
		t.Errorf("%d balances have an unknown age, want 1", n)
	}
	if n := len(toRegister(t, s, firstStage, 10)); n != 1 {
		t.Errorf("%d bills are to be registered, want 1", n)
	}
	if at := dueAt(t, s, dueRecheck, 1); at.After(firstStage) {
		t.Errorf("bill 1 is asked about at %s", at)
	}
	if got := must(s.Latest(t.Context())); got.After(firstStage) {
		t.Errorf("the latest instant is still %s", got)
	}
}

// Commands go on once the clock is right and before anybody vouches for it: what they
// write hides nothing that was written by the clock that was ahead.
func TestACommandByTheRightClockHidesNoneByTheWrongOne(t *testing.T) {
	s, p := openNew(t), newPolicy()
	ready(t, s, p, billOf(1), billOf(2))
	ahead := firstStage.Add(2 * aYear)
	s.TrustClock(false)
	moved := answer(ahead, "10", due)
	moved.DueDate = due.AddDays(1)
	must(s.RecordChecks(policiesOf(p), ahead, CheckResult{BillID: 1, Answer: moved}))
	if n := number(t, s, "SELECT count(*) FROM due_remind WHERE bill_id = 1"); n != 0 {
		t.Fatal("its stages are not over by the clock that is ahead")
	}
	must(s.Pause(t.Context(), actOn(Selector{Account: billOf(2).Account}, firstStage), Pause{Detail: "by desk"}))
	if got := must(s.Latest(t.Context())); !got.Equal(ahead) {
		t.Errorf("the latest instant is %s, want %s", got, ahead)
	}
	s.TrustClock(true)
	must(s.ClockSet(firstStage, firstStage))
	if at := dueAt(t, s, dueRemind, 1); at.After(firstStage) {
		t.Errorf("it is due again at %s", at)
	}
	if got := must(s.Latest(t.Context())); got.After(firstStage) {
		t.Errorf("the latest instant is still %s", got)
	}
}

// A claim of a dead process is not put off to an hour of a clock that is ahead.
func TestAClaimIsGivenBackByItsLeaseAtTheLatest(t *testing.T) {
	s, p := openNew(t), newPolicy()
	ready(t, s, p, billOf(1))
	p.MaxBalanceAge = 0 // so that it stays claimed, to be asked about
	if l := must(s.DecideDue(t.Context(), roundAt(p, firstStage.Add(time.Second)), 10)); len(l.Ask) != 1 {
		t.Fatalf("it was not claimed: %+v", l)
	}
	must(s.TakeOver(firstStage.Add(2*aYear), "another process", firstStage.Add(2*aYear)))
	if at := dueAt(t, s, dueRemind, 1); at.After(firstStage.Add(time.Hour)) {
		t.Errorf("it is due again at %s", at)
	}
}

// A text in doubt is not taken for not sent because the clock ran ahead between
// two look-ups in a list that runs behind.
func TestATextInDoubtIsLookedUpLaterAfterTheClockWasSet(t *testing.T) {
	s, p := openNew(t), newPolicy()
	ready(t, s, p, billOf(1))
	l := must(s.DecideDue(t.Context(), roundAt(p, firstStage), 10))
	mustDo(t, s.RecordOutcome(firstStage, SendOutcome{TextID: l.Texts[0].ID, State: Unknown, NextPollAt: firstStage.Add(2 * time.Minute)}))
	ahead := firstStage.Add(3 * time.Hour)
	must(s.ClockSet(ahead, ahead.Add(15*time.Minute)))
	if n := len(must(s.UnknownTexts(t.Context(), ahead.Add(14*time.Minute), 10))); n != 0 {
		t.Error("it is looked up too soon")
	}
	if n := len(must(s.UnknownTexts(t.Context(), ahead.Add(15*time.Minute), 10))); n != 1 {
		t.Error("it is not looked up")
	}
}

// A service is paused for a month. The clock of the machine is two years ahead when
// a bill of it is registered, and when another pause is entered.
func TestAPauseOutlivesAClockThatIsAhead(t *testing.T) {
	s, p := openNew(t), newPolicy()
	ready(t, s, p, billOf(1))
	whole := Selector{Service: billOf(1).Service}
	must(s.Pause(t.Context(), actOn(whole, firstStage), Pause{Until: firstStage.AddDate(0, 1, 0), Detail: "by desk"}))
	ahead := firstStage.Add(2 * aYear)
	s.TrustClock(false)
	must(s.Declare("config", []reminder.Bill{billOf(1), billOf(2)}, ahead))
	must(s.RecordChecks(policiesOf(p), ahead, CheckResult{BillID: billID(t, s, billOf(2)), Answer: answer(ahead, "10", due)}))
	if got := billState(t, s, billOf(2).Account); got != reminder.BillPaused {
		t.Errorf("the new bill is %s, and its service is paused", got)
	}
	must(s.Pause(t.Context(), actOn(Selector{Phone: phone(9)}, ahead), Pause{Detail: "by desk"}))
	if n := len(must(s.Pauses(t.Context(), firstStage))); n != 2 {
		t.Errorf("%d pauses stand, want 2", n)
	}
}
