package store

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"duewatch/reminder"
)

// answersOf are what Almara Pay says at an instant of the bills with ids from first to last.
func answersOf(first, last int64, at time.Time, balance string, due reminder.Date) (all []CheckResult) {
	for id := first; id <= last; id++ {
		all = append(all, CheckResult{BillID: id, Answer: answer(at, balance, due)})
	}
	return all
}

func warningOf(t *testing.T, s *Store, reason reminder.Reason) string {
	t.Helper()
	for _, w := range must(s.Warnings(t.Context())) {
		if w.Reason == reason {
			return w.Detail
		}
	}
	return ""
}

func paidReminders(t *testing.T, s *Store) (paid int) {
	t.Helper()
	period := Period{Since: checkedAt, Until: due.AddDays(9).At(0, nairobi), By: ByNothing, PaidWithin: 3 * 24 * time.Hour}
	mustDo(t, s.ReportReminders(t.Context(), period, due.AddDays(9).At(0, nairobi), func(c ReminderCount) error {
		paid += c.Paid
		return nil
	}))
	return paid
}

// The fault of a feed: 0 of everybody. Nobody was texted, and the report was proud of it.
func TestAFeedThatSaysZeroOfEverybodySilencesNobodyForGood(t *testing.T) {
	s, p := openNew(t), newPolicy()
	ready(t, s, p, billsOf(60)...)
	for range must(s.DecideDue(t.Context(), roundAt(p, firstStage), 100)).Texts { // all heard of it three days before
	}
	// On the morning of the due day, bill after bill owes nothing.
	morning := due.At(p.SendAt, nairobi)
	recordCheck(t, s, p, morning, answersOf(1, 20, morning, "0", due)...)
	if l := must(s.DecideDue(t.Context(), roundAt(p, morning), 20)); len(l.Texts) != 0 {
		t.Fatalf("texted %v", l.Texts)
	}
	wantRecorded(t, s, 1, "3 days before, texted, on_schedule", "due day, skipped, paid")
	if got := warningOf(t, s, reminder.MassPaid); got != "" {
		t.Errorf("twenty may have paid, but: %s", got)
	}
	next := morning.Add(5 * time.Minute)
	l := must(s.DecideAnswered(roundAt(p, next), answersOf(21, 60, next, "0", due)))
	if len(l.Texts) != 0 {
		t.Fatalf("texted %v", l.Texts)
	}
	if got := warningOf(t, s, reminder.MassPaid); !strings.Contains(got, "service water: of 60 bills that owed something, 60 turned to owing nothing; ask the biller") {
		t.Errorf("the warning is %q", got)
	}
	for _, id := range []int64{1, 21, 60} { // also what was skipped before it was too much
		wantRecorded(t, s, id, "3 days before, texted, on_schedule", "due day, held, mass_paid")
	}
	if got := paidReminders(t, s); got != 0 {
		t.Errorf("%d texts are taken to have helped", got)
	}

	// After hours the feed is right again. The others have paid in truth.
	later := morning.Add(3 * time.Hour)
	must(s.DecideDue(t.Context(), roundAt(p, later), 100))
	l = must(s.DecideAnswered(roundAt(p, later), append(answersOf(1, 45, later, "2315.50", due), answersOf(46, 60, later, "0", due)...)))
	if got := warningOf(t, s, reminder.MassPaid); got != "" {
		t.Errorf("the feed is right again, but: %s", got)
	}
	if len(l.Texts) != 45 {
		t.Errorf("%d are texted on the due day, want 45", len(l.Texts))
	}
	wantRecorded(t, s, 60, "3 days before, texted, on_schedule", "due day, skipped, paid")

	// Who pays later counts; what was said of him in the doubt does not stand in the way.
	evening := morning.Add(8 * time.Hour)
	recordCheck(t, s, p, evening, answersOf(1, 5, evening, "0", due)...)
	if got := paidReminders(t, s); got != 5 { // the texts of the due day; those before are more than three days old
		t.Errorf("%d texts are taken to have helped, want 5", got)
	}
}

func TestARealPayDayCountsOnceTheOperatorHasSaidSo(t *testing.T) {
	s, p := openNew(t), newPolicy()
	ready(t, s, p, billsOf(60)...)
	must(s.DecideDue(t.Context(), roundAt(p, firstStage), 100))
	morning := due.At(p.SendAt, nairobi)
	l := must(s.DecideAnswered(roundAt(p, morning), append(answersOf(1, 50, morning, "0", due), answersOf(51, 60, morning, "100", due)...)))
	if len(l.Texts) != 10 || warningOf(t, s, reminder.MassPaid) == "" {
		t.Errorf("%d texts; %q", len(l.Texts), warningOf(t, s, reminder.MassPaid))
	}
	if got := paidReminders(t, s); got != 0 {
		t.Errorf("%d texts are taken to have helped before somebody released them", got)
	}
	now := morning.Add(10 * time.Minute)
	if n := must(s.ReleaseAll(t.Context(), p, now, reminder.MassPaid, "somebody", nil)); n != 50 {
		t.Errorf("%d reminders released, want 50", n)
	}
	if got := paidReminders(t, s); got != 50 {
		t.Errorf("%d texts are taken to have helped, want 50", got)
	}
	must(s.DecideDue(t.Context(), roundAt(p, now), 100))
	wantRecorded(t, s, 1, "3 days before, texted, on_schedule", "due day, skipped, paid")
	// What was released raises no new warning.
	now = now.Add(10 * time.Minute)
	recordCheck(t, s, p, now, answersOf(51, 60, now, "0", due)...)
	if got := warningOf(t, s, reminder.MassPaid); got != "" {
		t.Errorf("warned again: %s", got)
	}
}

func TestBillsThatAreRegisteredPaidAreNoFaultOfTheFeed(t *testing.T) {
	s, p := openNew(t), newPolicy()
	must(s.Declare(SourceConfig, billsOf(60), checkedAt))
	recordCheck(t, s, p, checkedAt, answersOf(1, 60, checkedAt, "0", due)...)
	if got := must(s.Warnings(t.Context())); len(got) != 0 {
		t.Errorf("warnings %v", got)
	}
}

func TestAFormThatChangedIsNoticedAndMended(t *testing.T) {
	s, p := openNew(t), newPolicy()
	watch(t, s, p, billsOf(60)...)
	unread := func(first, last int64, at time.Time) []CheckResult {
		all := answersOf(first, last, at, "2315.50", reminder.Date{})
		for i := range all {
			all[i].Answer.Problem = `the due date "02.12.2026" is not a date`
		}
		return all
	}
	now := checkedAt.Add(24 * time.Hour)
	recordCheck(t, s, p, now, unread(1, 19, now)...)
	if got := warningOf(t, s, reminder.UnreadableAnswers); got != "" {
		t.Errorf("nineteen unreadable bills: %s", got)
	}
	now = now.Add(time.Minute)
	recordCheck(t, s, p, now, unread(20, 60, now)...)
	want := `service water: 60 of 60 answers within an hour could not be read, such as: the due date "02.12.2026" is not a date; what was known before stays in use`
	if diff := cmp.Diff(want, warningOf(t, s, reminder.UnreadableAnswers)); diff != "" {
		t.Errorf("warning (-want +got):\n%s", diff)
	}
	if got := watched(t, s, 1).DueDate; got != due {
		t.Errorf("the due date was forgotten: %s", got)
	}
	now = now.Add(2 * time.Hour) // nobody was asked for a while: that proves nothing
	recordCheck(t, s, p, now, answersOf(1, 19, now, "2315.50", due)...)
	if warningOf(t, s, reminder.UnreadableAnswers) == "" {
		t.Error("a few answers end the warning")
	}
	now = now.Add(time.Minute)
	recordCheck(t, s, p, now, answersOf(20, 60, now, "2315.50", due)...)
	if got := warningOf(t, s, reminder.UnreadableAnswers); got != "" {
		t.Errorf("all can be read again: %s", got)
	}
}

// A batch costs one row, however many answers it has.
func TestAnswersAreCountedByTheMinute(t *testing.T) {
	s, p := openNew(t), newPolicy()
	watch(t, s, p, billsOf(30)...)
	for i := range 30 {
		now := checkedAt.Add(time.Hour + time.Duration(i)*time.Second)
		recordCheck(t, s, p, now, answersOf(1, 30, now, "2315.50", due)...)
	}
	if n := number(t, s, "SELECT count(*) FROM answer_minutes"); n != 2 {
		t.Errorf("%d rows, want those of two minutes", n)
	}
	if n := number(t, s, "SELECT sum(answers) FROM answer_minutes"); n != 31*30 {
		t.Errorf("%d answers counted", n)
	}
	later := checkedAt.Add(8 * 24 * time.Hour)
	recordCheck(t, s, p, later, answersOf(1, 1, later, "2315.50", due)...)
	if n := number(t, s, "SELECT count(*) FROM answer_minutes"); n != 1 {
		t.Errorf("%d rows after a week, want the last one", n)
	}
}

// A fault over a weekend: the answers since it began are summed once, in one row, and not
// added up from every minute of it each time.
func TestADoubtThatLastsForDaysIsSummedAndNotCountedAnew(t *testing.T) {
	s, p := openNew(t), newPolicy()
	later := due.AddDays(30)
	all := billsOf(60)
	watch(t, s, p, all...)
	began := checkedAt.Add(24 * time.Hour)
	recordCheck(t, s, p, began, answersOf(1, 60, began, "2315.50", later)...)
	began = began.Add(2 * time.Hour)
	recordCheck(t, s, p, began, answersOf(1, 60, began, "0", later)...)
	now := began
	for now.Before(began.Add(72 * time.Hour)) {
		now = now.Add(30 * time.Minute)
		recordCheck(t, s, p, now, answersOf(1, 20, now, "0", later)...)
	}
	if n := number(t, s, "SELECT count(*) FROM answer_minutes"); n > 3 {
		t.Errorf("%d minutes are kept of the last hour", n)
	}
	now = now.Add(time.Minute)
	recordCheck(t, s, p, now, answersOf(1, 29, now, "2315.50", later)...)
	if got := warningOf(t, s, reminder.MassPaid); !strings.Contains(got, "of 60 bills that owed something, 60 turned to owing nothing, of which 29 owe again") {
		t.Errorf("the warning is %q", got)
	}
	now = now.Add(time.Minute)
	recordCheck(t, s, p, now, answersOf(30, 30, now, "2315.50", later)...)
	now = now.Add(time.Minute)
	recordCheck(t, s, p, now, answersOf(30, 30, now, "2315.50", later)...)
	if got := warningOf(t, s, reminder.MassPaid); got != "" {
		t.Errorf("half of the bills owe again, but: %s", got)
	}
}

// A biller may say the due date with its first answer alone: the earlier date stays, so
// nobody is silenced by it, and nobody has paid.
func TestABillerThatSaysTheDueDateOnceIsNoFaultOfTheFeed(t *testing.T) {
	s, p := openNew(t), newPolicy()
	ready(t, s, p, billsOf(60)...)
	morning := due.At(p.SendAt, nairobi)
	recordCheck(t, s, p, morning, answersOf(1, 60, morning, "2315.50", reminder.Date{})...)
	if got := warningOf(t, s, reminder.MassPaid); got != "" {
		t.Errorf("warned: %s", got)
	}
	if l := must(s.DecideDue(t.Context(), roundAt(p, morning), 100)); len(l.Texts) != 60 {
		t.Errorf("%d are texted, want 60", len(l.Texts))
	}
}
