package store

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"duewatch/reminder"
)

// fared makes a store in which texts of the first stage fared in several ways.
func fared(t *testing.T, s *Store, p *reminder.Policy) {
	t.Helper()
	bills := billsOf(8)
	bills[7].Service = "rent"
	ready(t, s, p, bills...)
	for i, x := range must(s.DecideDue(t.Context(), roundAt(p, firstStage), 100)).Texts {
		o := SendOutcome{TextID: x.ID, State: Accepted, ProviderID: fmt.Sprint("SM", i)}
		switch i {
		case 0:
			continue // in doubt
		case 1:
			o = SendOutcome{TextID: x.ID, State: Refused, Skip: reminder.BadNumber, Code: 21211}
		}
		mustDo(t, s.RecordOutcome(firstStage, o))
	}
	must(s.RecordReceipts(firstStage, []Receipt{
		{TextID: 3, State: Delivered, BilledSegments: 1, Price: "-0.0075", PriceUnit: "USD"},
		{TextID: 4, State: Delivered, BilledSegments: 2, Price: "-0.0150", PriceUnit: "USD"},
		{TextID: 5, State: Failed, Code: 30007},
		{TextID: 6, State: Undelivered, Code: 30003, RetryAt: firstStage.Add(time.Hour), MaxRedeliveries: 3, Why: reminder.NotDelivered},
		{TextID: 7, State: Sent},
		{TextID: 8, State: Delivered},
	}))
}

func (c TextCount) words() string {
	return fmt.Sprintf("%s/%d/%s/%v %s %d%s %s%s: %d, segments %d, billed %d of %d", c.Service, c.Stage, wordAt(c.At), c.Linked,
		c.State, c.Code, c.RefusedFor, c.Price, c.PriceUnit, c.Texts, c.Segments, c.Billed, c.BilledOf)
}

func (c ReminderCount) words() string {
	return fmt.Sprintf("%s/%d/%s %s %s: %d, not failed %d, too early %d, paid %d", c.Service, c.Stage, wordAt(c.At), c.Outcome, c.Reason, c.Reminders, c.NotFailed, c.TooEarly, c.Paid)
}

func wordAt(at time.Time) string {
	if at.IsZero() {
		return ""
	}
	return at.In(nairobi).Format("2 Jan 15:04")
}

func textReport(t *testing.T, s *Store, p Period) map[string]bool {
	t.Helper()
	all := map[string]bool{}
	mustDo(t, s.ReportTexts(t.Context(), p, func(c TextCount) error { all[c.words()] = true; return nil }))
	return all
}

func reminderReport(t *testing.T, s *Store, p Period, now time.Time) map[string]bool {
	t.Helper()
	all := map[string]bool{}
	mustDo(t, s.ReportReminders(t.Context(), p, now, func(c ReminderCount) error { all[c.words()] = true; return nil }))
	return all
}

func wantSet(t *testing.T, got map[string]bool, want ...string) {
	t.Helper()
	set := map[string]bool{}
	for _, w := range want {
		set[w] = true
	}
	if diff := cmp.Diff(set, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestReportOfTexts(t *testing.T) {
	s, p := openNew(t), newPolicy()
	fared(t, s, p)
	period := Period{Since: firstStage.Add(-time.Hour), Until: firstStage.Add(time.Hour)}
	wantSet(t, textReport(t, s, period),
		"/0//true sending 0 : 1, segments 1, billed 0 of 0",
		"/0//true refused 21211bad_number : 1, segments 1, billed 0 of 0",
		"/0//true delivered 0 -0.0075USD: 1, segments 1, billed 1 of 1",
		"/0//true delivered 0 -0.0150USD: 1, segments 1, billed 2 of 1",
		"/0//true delivered 0 : 1, segments 1, billed 0 of 0",
		"/0//true failed 30007 : 1, segments 1, billed 0 of 0",
		"/0//true undelivered 30003not_delivered : 1, segments 1, billed 0 of 0",
		"/0//true sent 0 : 1, segments 1, billed 0 of 0",
	)
	period.By = ByService
	byService := textReport(t, s, period)
	for _, want := range []string{"rent/0//true delivered 0 : 1, segments 1, billed 0 of 0", "water/0//true sent 0 : 1, segments 1, billed 0 of 0",
		"/0//false refused 21211bad_number : 1, segments 1, billed 0 of 0"} {
		if !byService[want] {
			t.Errorf("by service there is no %q:\n%v", want, byService)
		}
	}
	period.By = ByStage
	if want := "/-3//true sent 0 : 1, segments 1, billed 0 of 0"; !textReport(t, s, period)[want] {
		t.Errorf("by stage there is no %q", want)
	}
	period.By = ByDay
	if want := "/0/7 Mar 09:00/true sent 0 : 1, segments 1, billed 0 of 0"; !textReport(t, s, period)[want] {
		t.Errorf("by day there is no %q: %v", want, textReport(t, s, period))
	}
	for _, other := range []Period{
		{Since: firstStage.Add(time.Millisecond), Until: firstStage.Add(time.Hour)}, {Since: firstStage.Add(-time.Hour), Until: firstStage},
	} {
		wantSet(t, textReport(t, s, other))
	}
}

func TestReportOfReminders(t *testing.T) {
	s, p := openNew(t), newPolicy()
	fared(t, s, p)
	recordCheck := func(id int64, at time.Time, balance string) {
		t.Helper()
		must(s.RecordChecks(policiesOf(p), at, CheckResult{BillID: id, Answer: answer(at, balance, due)}))
	}
	paidAt := firstStage.Add(40 * time.Hour)
	recordCheck(3, paidAt, "0")    // in time
	recordCheck(4, paidAt, "1000") // a part
	recordCheck(7, paidAt.Add(40*time.Hour), "-5")
	period := Period{Since: firstStage, Until: firstStage.Add(time.Hour), HeldMost: 30 * 24 * time.Hour, PaidWithin: 72 * time.Hour}
	late := firstStage.Add(30 * 24 * time.Hour)
	wantSet(t, reminderReport(t, s, period, late),
		"/0/ texted : 6, not failed 5, too early 0, paid 1",
		"/0/ skipped bad_number: 1, not failed 0, too early 0, paid 0",
	)
	period.By = ByService
	early := reminderReport(t, s, period, firstStage.Add(time.Hour))
	if want := "rent/0/ texted : 1, not failed 1, too early 1, paid 0"; !early[want] {
		t.Errorf("there is no %q: %v", want, early)
	}
	held := must(s.HeldNow(t.Context(), ByStage))
	if len(held) != 1 || held[0].words() != "/-3/ held not_delivered: 1, not failed 0, too early 0, paid 0" {
		t.Errorf("held %+v", held)
	}
	events := must(s.Events(t.Context(), 3))
	if e := events[len(events)-1]; e.What != "paid" || e.Detail != "2,315.50 was owed; reminders of this due date that were texted: 1" {
		t.Errorf("event %+v", e)
	}
	// Paid a second time is paid once.
	recordCheck(3, late, "10")
	recordCheck(3, late.Add(time.Hour), "0")
	if n := number(t, s, "SELECT paid_at FROM reminders WHERE bill_id = 3"); n != paidAt.UnixMilli() {
		t.Errorf("paid at %d", n)
	}
}

// A report finds its first row by halving, and must miss none: rows that were
// changed since say a later instant, and ids have gaps.
func TestReportFindsItsFirstRow(t *testing.T) {
	s := openNew(t)
	change(t, s, "INSERT INTO bills (id, service, account, phone, language, description, source, state) VALUES (1, 's', 'a', 'p', '', '', '', 'active')")
	for i := range 200 {
		if i%7 == 3 {
			continue // trimmed
		}
		at := int64(i * 1000)
		if i%11 == 5 {
			at = 1 << 40 // held until now
		}
		change(t, s, `INSERT INTO reminders (id, bill_id, due_date, stage, outcome, reason, decided_at)
			VALUES (?1, 1, '2026-01-01', ?2, 'skipped', 'paid', ?3)`, i+1, i+1, at)
	}
	for since := range 220 {
		n := 0
		p := Period{Since: time.UnixMilli(int64(since * 1000)), Until: time.UnixMilli(1 << 50)}
		mustDo(t, s.ReportReminders(t.Context(), p, p.Until, func(c ReminderCount) error { n += c.Reminders; return nil }))
		want := number(t, s, "SELECT count(*) FROM reminders WHERE decided_at >= ?1 AND (decided_at < 1000000 OR id > ?2)", p.Since.UnixMilli(), since)
		if int64(n) < want {
			t.Errorf("since %d: %d reminders, want at least %d", since, n, want)
		}
	}
}
