package store

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"duewatch/reminder"
)

// bundling is newPolicy with bundles.
func bundling() *reminder.Policy {
	p := newPolicy()
	p.Bundle, p.BundleDays = true, 1
	return p
}

// ofOnePhone are n bills of one phone.
func ofOnePhone(n int) []reminder.Bill {
	bills := billsOf(n)
	for i := range bills {
		bills[i].Phone = phone(1)
	}
	return bills
}

func accounts(x Text) (all []string) {
	for _, part := range x.Parts {
		all = append(all, part.Account)
	}
	return all
}

func TestTwoBillsOfAPhoneShareAText(t *testing.T) {
	s, p := openNew(t), bundling()
	ready(t, s, p, ofOnePhone(2)...)
	x := text(t, s, p, firstStage)
	if len(x.Parts) != 2 || !strings.Contains(x.Body, "0000000") || !strings.Contains(x.Body, "0000001") || !strings.Contains(x.Body, "KES 4,631.00") {
		t.Fatalf("%+v", x)
	}
	for id := int64(1); id <= 2; id++ {
		wantRecorded(t, s, id, "3 days before, texted, on_schedule")
		if got, want := dueAt(t, s, dueRemind, id), due.At(p.SendAt, nairobi); !got.Equal(want) {
			t.Errorf("bill %d is next evaluated at %s, want the next stage, %s", id, got, want)
		}
		if got := must(s.Texts(t.Context(), id)); len(got) != 1 || got[0].ID != x.ID {
			t.Errorf("texts of bill %d: %+v", id, got)
		}
	}
	if n := number(t, s, "SELECT texts * 1000 + segments FROM usage"); n != 1000+int64(x.Segments) {
		t.Errorf("usage counts %d", n)
	}
	if l := must(s.DecideDue(t.Context(), roundAt(p, firstStage), 100)); l.Bills != 0 {
		t.Errorf("something is left: %+v", l)
	}
}

// The bills are asked about together, and the one that turns out paid is left
// out: its own record says so.
func TestWhoHasPaidIsLeftOutOfTheText(t *testing.T) {
	s, p := openNew(t), bundling()
	watch(t, s, p, ofOnePhone(3)...)
	l := must(s.DecideDue(t.Context(), roundAt(p, firstStage), 1)) // the other two are candidates only
	if len(l.Ask) != 3 || len(l.Texts) != 0 {
		t.Fatalf("%+v", l)
	}
	results := []CheckResult{
		{BillID: 1, Answer: answer(firstStage, "2315.50", due)},
		{BillID: 2, Answer: answer(firstStage, "0", due)},
		{BillID: 3, Failed: "503"},
	}
	l = must(s.DecideAnswered(roundAt(p, firstStage), results))
	if len(l.Texts) != 1 || len(l.Texts[0].Parts) != 1 || strings.Contains(l.Texts[0].Body, "bills") || len(l.Faults) > 0 {
		t.Fatalf("%+v", l)
	}
	wantRecorded(t, s, 1, "3 days before, texted, on_schedule")
	wantRecorded(t, s, 2, "3 days before, held, daily_cap") // tomorrow it is asked again, and found paid
	wantRecorded(t, s, 3, "3 days before, held, daily_cap")
}

// Results come in any order, and all are recorded before anything is decided.
func TestAllResultsAreRecordedBeforeATextIsDecided(t *testing.T) {
	for _, order := range [][]int64{{1, 2}, {2, 1}} {
		t.Run(fmt.Sprint(order), func(t *testing.T) {
			s, p := openNew(t), bundling()
			watch(t, s, p, ofOnePhone(2)...)
			if l := must(s.DecideDue(t.Context(), roundAt(p, firstStage), 10)); len(l.Ask) != 2 {
				t.Fatalf("asked about %d bills, want each once", len(l.Ask))
			}
			var results []CheckResult
			for _, id := range order {
				results = append(results, CheckResult{BillID: id, Answer: answer(firstStage, "5", due)})
			}
			l := must(s.DecideAnswered(roundAt(p, firstStage), results))
			if len(l.Texts) != 1 || len(l.Texts[0].Parts) != 2 {
				t.Fatalf("%+v", l)
			}
		})
	}
}

// A bill due a day later comes along, and its stage is done then.
func TestAStageOfTomorrowComesAlong(t *testing.T) {
	s, p := openNew(t), bundling()
	ready(t, s, p, ofOnePhone(2)...)
	must(s.RecordChecks(policiesOf(p), firstStage, CheckResult{BillID: 2, Answer: answer(firstStage, "9", due.AddDays(1))}))
	x := text(t, s, p, firstStage)
	if diff := cmp.Diff([]string{"0000000", "0000001"}, accounts(x)); diff != "" || !strings.Contains(x.Body, "in 4 days") {
		t.Fatalf("%q %s", x.Body, diff)
	}
	wantRecorded(t, s, 2, "3 days before, texted, bundled")
	tomorrow := firstStage.AddDate(0, 0, 1)
	if l := must(s.DecideDue(t.Context(), roundAt(p, tomorrow), 10)); len(l.Texts)+len(l.Ask)+len(l.Records) != 0 {
		t.Errorf("the next day: %+v", l)
	}
}

// Whatever becomes of the text becomes of all its reminders.
func TestATextGivesAllItsRemindersBack(t *testing.T) {
	next := firstStage.Add(reminder.RetryUndelivered)
	tests := map[string]struct {
		settle func(*testing.T, *Store, Text)
		want   string
		parts  int // of the text that follows; 0 = none
	}{
		"refused for now": {func(t *testing.T, s *Store, x Text) {
			mustDo(t, s.RecordOutcome(firstStage, SendOutcome{TextID: x.ID, State: Refused, Hold: reminder.Throttled, Until: next}))
		}, "3 days before, held, throttled", 2},
		"opted out": {func(t *testing.T, s *Store, x Text) {
			mustDo(t, s.RecordOutcome(firstStage, SendOutcome{TextID: x.ID, State: Refused, Skip: reminder.OptedOut, OptOut: reminder.OptedOut}))
		}, "3 days before, skipped, opted_out", 0},
		"not at the provider": {func(t *testing.T, s *Store, x Text) {
			mustDo(t, s.RecordOutcome(firstStage, SendOutcome{TextID: x.ID, State: Unknown, NextPollAt: firstStage}))
			must(s.RecordLookUp(firstStage, LookUp{TextID: x.ID, Last: true, Resend: true}))
		}, "3 days before, held, not_at_provider", 2},
		"not at the provider, and not to be sent again": {func(t *testing.T, s *Store, x Text) {
			mustDo(t, s.RecordOutcome(firstStage, SendOutcome{TextID: x.ID, State: Unknown, NextPollAt: firstStage}))
			must(s.RecordLookUp(firstStage, LookUp{TextID: x.ID, Last: true}))
		}, "3 days before, held, in_doubt", 0},
		"found at the provider": {func(t *testing.T, s *Store, x Text) {
			mustDo(t, s.RecordOutcome(firstStage, SendOutcome{TextID: x.ID, State: Unknown, NextPollAt: firstStage}))
			must(s.RecordLookUp(firstStage, LookUp{TextID: x.ID, Found: []string{"SM1"}, NextAt: next}))
		}, "3 days before, texted, on_schedule", 0},
		"not delivered": {func(t *testing.T, s *Store, x Text) {
			mustDo(t, s.RecordOutcome(firstStage, SendOutcome{TextID: x.ID, State: Accepted, ProviderID: "SM1", NextPollAt: firstStage}))
			must(s.RecordReceipts(firstStage, []Receipt{{TextID: x.ID, State: Undelivered, RetryAt: next, MaxRedeliveries: 3}}))
		}, "3 days before, held, not_delivered", 2},
		"left by a dead process": {func(t *testing.T, s *Store, x Text) {
			if n := must(s.TakeOver(firstStage, "successor", firstStage)); n != 1 {
				t.Fatalf("%d orphans", n)
			}
			d := must(s.UnknownTexts(t.Context(), firstStage, 10))
			if len(d) != 1 || d[0].Account != "0000000, 0000001" || d[0].Service != "water" {
				t.Fatalf("in doubt: %+v", d)
			}
			must(s.RecordLookUp(firstStage, LookUp{TextID: x.ID, Last: true, Resend: true}))
		}, "3 days before, held, not_at_provider", 2},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			s, p := openNew(t), bundling()
			ready(t, s, p, ofOnePhone(2)...)
			tt.settle(t, s, text(t, s, p, firstStage))
			for id := int64(1); id <= 2; id++ {
				wantRecorded(t, s, id, tt.want)
			}
			l := must(s.DecideDue(t.Context(), roundAt(p, next), 10))
			switch {
			case tt.parts == 0 && len(l.Texts) != 0, tt.parts > 0 && (len(l.Texts) != 1 || len(l.Texts[0].Parts) != tt.parts):
				t.Errorf("after that: %+v", l)
			}
		})
	}
}

// Each bill of a text has its own count of texts that failed.
func TestABundleNotFoundTwiceIsInDoubtForWhomItIsTheSecond(t *testing.T) {
	s, p := openNew(t), bundling()
	ready(t, s, p, ofOnePhone(2)...)
	change(t, s, `INSERT INTO reminders (bill_id, due_date, stage, outcome, reason, tries, decided_at)
		VALUES (1, ?1, -3, 'held', 'not_at_provider', 1, 0)`, due.String())
	x := text(t, s, p, firstStage)
	mustDo(t, s.RecordOutcome(firstStage, SendOutcome{TextID: x.ID, State: Unknown, NextPollAt: firstStage}))
	must(s.RecordLookUp(firstStage, LookUp{TextID: x.ID, Last: true, Resend: true}))
	wantRecorded(t, s, 1, "3 days before, held, in_doubt")
	wantRecorded(t, s, 2, "3 days before, held, not_at_provider")
	if again := text(t, s, p, firstStage.Add(time.Minute)); len(again.Parts) != 1 || again.Parts[0].BillID != 2 {
		t.Errorf("%+v", again)
	}
}

// Ten thousand bills of one phone make one text a day and hold up nobody.
func TestAPhoneOfManyBillsHoldsUpNoOther(t *testing.T) {
	s, p := openNew(t), bundling()
	const many = 1000
	bills := ofOnePhone(many)
	bills = append(bills, reminder.Bill{Service: "water", Account: "9999999", Phone: phone(2)})
	ready(t, s, p, bills...)
	var texts []Text
	for {
		l := must(s.DecideDue(t.Context(), roundAt(p, firstStage), 250))
		if l.Bills == 0 {
			break
		}
		texts = append(texts, l.Texts...)
	}
	if len(texts) != 2 || len(texts[0].Parts) < 3 || texts[0].Segments > 2 {
		t.Errorf("%d texts, the first of %d bills", len(texts), len(texts[0].Parts))
	}
	if n := number(t, s, "SELECT count(*) FROM reminders WHERE outcome = 'held' AND reason = 'daily_cap'"); n != many+1-int64(len(texts[0].Parts))-1 {
		t.Errorf("%d bills wait for the next day", n)
	}
}

// A bill that cannot be read is left out, and holds up no other of its phone.
func TestABrokenCompanionIsLeftOut(t *testing.T) {
	s, p := openNew(t), bundling()
	ready(t, s, p, ofOnePhone(3)...)
	change(t, s, "UPDATE bills SET balance = 'rubbish' WHERE id = 2")
	l := must(s.DecideDue(t.Context(), roundAt(p, firstStage), 10))
	if len(l.Texts) != 1 || len(l.Faults) != 1 {
		t.Fatalf("%+v", l)
	}
	if diff := cmp.Diff([]string{"0000000", "0000002"}, accounts(l.Texts[0])); diff != "" {
		t.Error(diff)
	}
}

// A decision that meets a mistake of ours is the fault of its own bill, also
// when that one only would share the text of another.
func TestACompanionOnWhichADecisionPanicsIsLeftOut(t *testing.T) {
	s, p := openNew(t), bundling()
	bills := ofOnePhone(2)
	bills[1].Service = "power"
	ready(t, s, p, bills...)
	broken := *p
	broken.Zone = nil
	r := roundAt(p, firstStage)
	r.Policies.ByService = map[string]*reminder.Policy{"power": &broken}
	l := must(s.DecideDue(t.Context(), r, 1)) // the other is a candidate only
	if len(l.Texts) != 1 || len(l.Texts[0].Parts) != 1 || len(l.Faults) != 0 || l.Bills != 1 {
		t.Fatalf("%+v", l)
	}
	l = must(s.DecideDue(t.Context(), r, 1))
	if len(l.Texts) != 0 || len(l.Faults) != 1 || !strings.Contains(l.Faults[0].Error(), "bill 2") {
		t.Errorf("%+v", l)
	}
}
