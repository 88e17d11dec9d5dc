package store

import (
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"duewatch/reminder"
	"duewatch/store/db/pgtest"
)

// toForget has one bill, imported, of phone 1, texted three days before its due date.
func toForget(t *testing.T) (*Store, *reminder.Policy, Text) {
	t.Helper()
	s, p := openNew(t), newPolicy()
	must(s.Import(t.Context(), SourceImport, []reminder.Bill{billOf(1), billOf(2)}, checkedAt, nil))
	for _, b := range []reminder.Bill{billOf(1), billOf(2)} {
		recordCheck(t, s, p, checkedAt, CheckResult{BillID: billID(t, s, b), Answer: answer(firstStage.Add(-time.Minute), "10", due)})
	}
	l := must(s.DecideDue(t.Context(), roundAt(p, firstStage), 10))
	if len(l.Texts) != 2 {
		t.Fatalf("%d texts, want 2", len(l.Texts))
	}
	for i, x := range l.Texts {
		record(t, s, SendOutcome{TextID: x.ID, State: Accepted, ProviderID: "SM" + string(rune('a'+i)), NextPollAt: firstStage.Add(time.Hour)})
	}
	return s, p, l.Texts[0]
}

var forgetDay = reminder.DateOf(firstStage)

func TestWhoIsForgottenIsInNoRow(t *testing.T) {
	s, _, text := toForget(t)
	p := must(s.Forget(t.Context(), phone(1), forgetDay, firstStage))
	if p.Bills != 1 || p.Texts != 1 || p.Kept != 1 || p.Events == 0 || p.Reminders != 0 {
		t.Errorf("erased %+v", p)
	}
	for _, column := range []string{
		"SELECT phone FROM bills", "SELECT account FROM bills", "SELECT customer FROM bills", "SELECT description FROM bills",
		"SELECT phone FROM texts", "SELECT sent_to FROM texts", "SELECT body FROM texts", "SELECT number FROM phones", "SELECT detail FROM events",
	} {
		if got := list(t, s, column); strings.Contains(got, phone(1).E164()) || strings.Contains(got, billOf(1).Account) || strings.Contains(got, text.Body) {
			t.Errorf("%s: %s", column, got)
		}
	}
	if got := number(t, s, "SELECT count(*) FROM events WHERE bill_id = 1"); got != 0 {
		t.Errorf("%d events are left", got)
	}
	if got := watched(t, s, 2); got.Phone != phone(2) || got.Customer == "" {
		t.Errorf("another person's bill: %+v", got)
	}
	if again := must(s.Forget(t.Context(), phone(1), forgetDay, firstStage)); !again.Nothing() {
		t.Errorf("erased a second time: %+v", again)
	}
}

func TestAFileHasNothingLeftOfWhoIsForgotten(t *testing.T) {
	if pgtest.Wanted() {
		t.Skip("this is about files")
	}
	s, _, _ := toForget(t)
	path := pathOf(t, s)
	mustDo(t, s.Tidy(t.Context()))
	if !strings.Contains(string(must(os.ReadFile(path))), phone(1).E164()) {
		t.Fatal("the phone is not in the file to begin with")
	}
	must(s.Forget(t.Context(), phone(1), forgetDay, firstStage))
	for _, end := range []string{"", "-wal"} {
		if strings.Contains(string(must(os.ReadFile(path+end))), phone(1).E164()) {
			t.Errorf("the phone still stands in the store's file%s", end)
		}
	}
}

func TestWhoIsForgottenAndImportedAgainIsNotTextedTwice(t *testing.T) {
	s, p, text := toForget(t)
	must(s.Forget(t.Context(), phone(1), forgetDay, firstStage))
	now := firstStage.Add(time.Hour)
	must(s.Import(t.Context(), SourceImport, []reminder.Bill{billOf(1)}, now, nil))
	id := billID(t, s, billOf(1))
	recordCheck(t, s, p, now, CheckResult{BillID: id, Answer: answer(now, "10", due)})
	if l := must(s.DecideDue(t.Context(), roundAt(p, now), 10)); len(l.Texts) != 0 {
		t.Errorf("texted again: %+v", l.Texts)
	}
	if !must(s.Knows(t.Context(), "SMa", phone(1), "whatever")) {
		t.Error("the text in the provider's list is a stranger's, which stops sending")
	}
	if got := must(s.Reminders(t.Context(), id)); len(got) != 1 || got[0].Outcome != reminder.Texted || got[0].TextID != text.ID {
		t.Errorf("its reminders are %+v", got)
	}
	// Another bill of the same phone: the text of this morning counts for its daily cap.
	other := billOf(3)
	other.Phone = phone(1)
	must(s.Import(t.Context(), SourceImport, []reminder.Bill{other}, now, nil))
	recordCheck(t, s, p, now, CheckResult{BillID: billID(t, s, other), Answer: answer(now, "10", due)})
	if l := must(s.DecideDue(t.Context(), roundAt(p, now), 10)); len(l.Texts) != 0 {
		t.Errorf("a second text to the phone on one day: %+v", l.Texts)
	}
}

func TestForgettingIsRefused(t *testing.T) {
	t.Run("while a list names a bill", func(t *testing.T) {
		s := openNew(t)
		declare(t, s, "config", Declared{Added: 1}, billOf(1))
		listed := (*StillListedError)(nil)
		if _, err := s.Forget(t.Context(), phone(1), forgetDay, firstStage); !errors.As(err, &listed) || len(listed.Bills) != 1 {
			t.Errorf("error %v", err)
		}
	})
	t.Run("while a text is in doubt", func(t *testing.T) {
		s, p := openNew(t), newPolicy()
		must(s.Import(t.Context(), SourceImport, []reminder.Bill{billOf(1)}, checkedAt, nil))
		recordCheck(t, s, p, checkedAt, CheckResult{BillID: 1, Answer: answer(firstStage.Add(-time.Minute), "10", due)})
		must(s.DecideDue(t.Context(), roundAt(p, firstStage), 10))
		if _, err := s.Forget(t.Context(), phone(1), forgetDay, firstStage); !errors.Is(err, ErrInDoubt) {
			t.Errorf("error %v", err)
		}
		if got := watched(t, s, 1); got.Phone != phone(1) {
			t.Errorf("half of it was erased: %+v", got)
		}
	})
}

func TestWhatIsLeftOfTheForgottenEndsWithItsUse(t *testing.T) {
	s, _, _ := toForget(t)
	must(s.Forget(t.Context(), phone(1), forgetDay, firstStage))
	mustDo(t, s.TrimForgotten(firstStage.AddDate(0, 0, 2)))
	if n := number(t, s, "SELECT count(*) FROM reminders"); n != 2 {
		t.Errorf("%d reminders before the due date, want 2", n)
	}
	mustDo(t, s.TrimForgotten(due.At(12*60, nairobi).AddDate(0, 0, 3)))
	if n := number(t, s, "SELECT count(*) FROM reminders"); n != 1 {
		t.Errorf("%d reminders after the due date, want the other person's", n)
	}
	mustDo(t, s.TrimForgotten(due.At(12*60, nairobi).AddDate(0, 0, 3)))
	if n := number(t, s, "SELECT count(*) FROM bills"); n != 1 {
		t.Errorf("%d bills, want the other person's", n)
	}
	if got := list(t, s, "SELECT provider_id FROM texts ORDER BY id"); got != "SMa,SMb" {
		t.Errorf("the provider's ids after days: %s", got)
	}
	mustDo(t, s.TrimForgotten(firstStage.AddDate(0, 0, 71)))
	if got := list(t, s, "SELECT provider_id FROM texts ORDER BY id"); got != ",SMb" {
		t.Errorf("the provider's ids after 71 days: %s", got)
	}
	if got := list(t, s, "SELECT number FROM phones ORDER BY phone_id"); strings.Contains(got, forgotten) {
		t.Errorf("phones: %s", got)
	}
}

func TestWordsOfTextsEndBeforeTheTexts(t *testing.T) {
	s, p := openNew(t), newPolicy()
	ready(t, s, p, billsOf(4)...)
	texts := must(s.DecideDue(t.Context(), roundAt(p, firstStage), 10)).Texts
	record(t, s, SendOutcome{TextID: texts[0].ID, State: Accepted, ProviderID: "SMa", NextPollAt: firstStage})
	record(t, s, SendOutcome{TextID: texts[1].ID, State: Accepted, ProviderID: "SMb", NextPollAt: firstStage})
	record(t, s, SendOutcome{TextID: texts[2].ID, State: Unknown, NextPollAt: firstStage})
	if n := must(s.TrimWords(firstStage, 2)); n != 0 {
		t.Errorf("went through %d texts that are not old enough", n)
	}
	if n := must(s.TrimWords(firstStage.Add(time.Second), 1)); n != 1 {
		t.Errorf("went through %d, want 1", n)
	}
	if n := must(s.TrimWords(firstStage.Add(time.Second), 10)); n != 3 {
		t.Errorf("went through %d, want 3", n)
	}
	if n := must(s.TrimWords(firstStage.Add(time.Second), 10)); n != 0 {
		t.Errorf("went through %d again", n)
	}
	if got := number(t, s, "SELECT count(*) FROM texts WHERE body = '' AND provider_id IS NOT NULL"); got != 2 {
		t.Errorf("%d texts lost their words, want the two that the provider has", got)
	}
	if got := number(t, s, "SELECT count(*) FROM texts WHERE body <> ''"); got != 2 {
		t.Errorf("%d texts have words, want the two in doubt", got)
	}
}
