package store

import (
	"testing"
	"time"

	"duewatch/reminder"
)

// The biller moved a date by a day on the day of a text about it, and moved it
// back: the customer was texted on the 7th, the 8th and the 10th, with two dates.
func TestADateThatMovesByADayIsNotTextedAboutOnTheNextDay(t *testing.T) {
	s, p := openNew(t), newPolicy()
	ready(t, s, p, billOf(1))
	text(t, s, p, firstStage)
	noon := firstStage.Add(3 * time.Hour)
	recordCheck(t, s, p, noon, CheckResult{BillID: 1, Answer: answer(noon, "2315.50", due.AddDays(1))})

	next := firstStage.AddDate(0, 0, 1)
	recordCheck(t, s, p, next, CheckResult{BillID: 1, Answer: answer(next, "2315.50", due.AddDays(1))})
	f := previewOf(t, s)
	must(f.CopyDue(t.Context(), next, 10))
	if l := must(f.DecideDue(t.Context(), roundAt(p, next), 10)); len(l.Texts) != 0 {
		t.Errorf("the preview promises %v", texted(l))
	}
	if l := must(s.DecideDue(t.Context(), roundAt(p, next), 10)); len(l.Texts) != 0 {
		t.Fatalf("texted about two dates within a day: %v", l.Texts)
	}
	wantRecorded(t, s, 1, "3 days before, texted, on_schedule", "3 days before, skipped, date_moved")

	back := next.Add(time.Hour)
	recordCheck(t, s, p, back, CheckResult{BillID: 1, Answer: answer(back, "2315.50", due)})
	onTheDay := due.At(p.SendAt, nairobi)
	if got := dueAt(t, s, dueRemind, 1); !got.Equal(onTheDay) {
		t.Errorf("the next evaluation is at %s, want the due day's", got)
	}
	recordCheck(t, s, p, onTheDay, CheckResult{BillID: 1, Answer: answer(onTheDay, "2315.50", due)})
	if x := text(t, s, p, onTheDay); x.Parts[0].Stage != reminder.Stage(0) {
		t.Errorf("on the due day: %+v", x)
	}
}

// A text that the customer never had contradicts nothing.
func TestATextThatFailedDoesNotKeepTheNextDateSilent(t *testing.T) {
	s, p := openNew(t), newPolicy()
	ready(t, s, p, billOf(1))
	x := text(t, s, p, firstStage)
	mustDo(t, s.RecordOutcome(firstStage, SendOutcome{TextID: x.ID, State: Accepted, ProviderID: "SM1", NextPollAt: firstStage}))
	must(s.RecordReceipts(firstStage.Add(time.Hour), []Receipt{{TextID: x.ID, State: Undelivered}}))
	next := firstStage.AddDate(0, 0, 1)
	recordCheck(t, s, p, next, CheckResult{BillID: 1, Answer: answer(next, "2315.50", due.AddDays(1))})
	if got := text(t, s, p, next); got.Parts[0].DueDate != due.AddDays(1) {
		t.Errorf("texted %+v", got)
	}
}

// The network reports a failure after which the phone may have the text all the same:
// the date that it named counts like that of a text that was delivered.
func TestATextThatMayHaveArrivedKeepsTheNextDateSilent(t *testing.T) {
	s, p := openNew(t), newPolicy()
	ready(t, s, p, billOf(1))
	x := text(t, s, p, firstStage)
	mustDo(t, s.RecordOutcome(firstStage, SendOutcome{TextID: x.ID, State: Accepted, ProviderID: "SM1", NextPollAt: firstStage}))
	must(s.RecordReceipts(firstStage.Add(time.Hour), []Receipt{{TextID: x.ID, State: Undelivered, Why: reminder.MayHaveIt}}))
	next := firstStage.AddDate(0, 0, 1)
	recordCheck(t, s, p, next, CheckResult{BillID: 1, Answer: answer(next, "2315.50", due.AddDays(1))})
	if l := must(s.DecideDue(t.Context(), roundAt(p, next), 10)); len(l.Texts) != 0 {
		t.Fatalf("texted about two dates within a day: %v", l.Texts)
	}
	wantRecorded(t, s, 1, "3 days before, texted, on_schedule", "3 days before, skipped, date_moved")
}
