package store

import (
	"testing"
	"time"

	"duewatch/reminder"
)

// accepted gives a store with texts that the provider took, to a phone each.
func acceptedTexts(t *testing.T, n int) (*Store, []Text) {
	t.Helper()
	s, p := openNew(t), newPolicy()
	ready(t, s, p, billsOf(n)...)
	texts := must(s.DecideDue(t.Context(), roundAt(p, firstStage), n)).Texts
	for i, x := range texts {
		record(t, s, SendOutcome{TextID: x.ID, State: Accepted, ProviderID: "SM" + string(rune('a'+i)), NextPollAt: firstStage})
	}
	return s, texts
}

func TestOneReceiptThatCannotBeWrittenHoldsUpNoOther(t *testing.T) {
	s, texts := acceptedTexts(t, 5)
	change(t, s, `CREATE TEMP TRIGGER odd BEFORE UPDATE OF state ON main.texts WHEN new.id = `+word(t, s, "SELECT min(id) FROM texts")+`
		BEGIN SELECT RAISE(ABORT, 'odd'); END`)
	receipts := make([]Receipt, 0, len(texts))
	for _, x := range texts {
		receipts = append(receipts, Receipt{TextID: x.ID, State: Delivered})
	}
	moved, err := s.RecordReceipts(firstStage, receipts)
	if err == nil {
		t.Error("nobody is told of the one that cannot be written")
	}
	if len(moved) != len(texts)-1 {
		t.Errorf("%d receipts were written, want all but one of %d", len(moved), len(texts))
	}
	if got := number(t, s, "SELECT count(*) FROM texts WHERE state = 'delivered'"); got != int64(len(texts)-1) {
		t.Errorf("%d texts are delivered", got)
	}
}

// A list that was cut off is no look: however often it is read, it does not make up
// for a complete one.
func TestAListThatWasCutOffIsNoLook(t *testing.T) {
	s, _, x := doubted(t)
	for range 3 {
		lookUp(t, s, LookUp{TextID: x.ID, Cut: true, NextAt: firstStage.Add(time.Minute)})
	}
	if d := must(s.Doubtful(t.Context(), firstStage.Add(time.Minute), 1)); len(d) != 1 || d[0].Looks != 0 {
		t.Errorf("after three lists that were cut off: %+v", d)
	}
}

// What the provider refuses waits longer each time, and a text that is taken ends
// that.
func TestARefusedDestinationWaitsLongerEachTime(t *testing.T) {
	s, p, x := intended(t)
	now := firstStage
	refuse := func(x Text, scopes ...string) {
		t.Helper()
		mustDo(t, s.RecordOutcome(now, SendOutcome{
			TextID: x.ID, State: Refused, Code: 21608, Error: "no", Hold: reminder.DestinationRefused, Until: now, Destinations: scopes,
		}))
	}
	refuse(x, phone(1).E164(), "+254")
	for try, wait := range []time.Duration{time.Hour, 2 * time.Hour, 4 * time.Hour} {
		wantRecorded(t, s, 1, "3 days before, held, destination_refused")
		if got := dueAt(t, s, dueRemind, 1); !got.Equal(now.Add(wait)) {
			t.Errorf("after refusal %d it is looked at again at %s, want %s later", try+1, got, wait)
		}
		if l := must(s.DecideDue(t.Context(), roundAt(p, now.Add(wait-time.Minute)), 1)); len(l.Texts) > 0 {
			t.Error("it was tried too early")
		}
		now = now.Add(wait)
		learn(t, s, p, now, CheckResult{BillID: 1, Answer: answer(now, "2315.50", due)})
		x = text(t, s, p, now)
		if try < 2 {
			refuse(x, phone(1).E164(), "+254")
		}
	}
	record(t, s, SendOutcome{TextID: x.ID, State: Accepted, ProviderID: "SM1"})
	if got := number(t, s, "SELECT count(*) FROM destinations"); got != 0 {
		t.Errorf("%d destinations wait after a text was taken", got)
	}
}

// A country that waits holds the bills of its phones, and of no others.
func TestACountryThatIsRefusedHoldsItsOwnPhones(t *testing.T) {
	s, p := openNew(t), newPolicy()
	bills := billsOf(3)
	bills[1].Phone, bills[2].Phone = "+256712000001", "+256712000002"
	ready(t, s, p, bills...)
	mustDo(t, s.do(func(t *tx) error {
		_, err := t.refuse(firstStage, []string{"+256"}, 21408, "no")
		return err
	}))
	if l := must(s.DecideDue(t.Context(), roundAt(p, firstStage), 3)); len(l.Texts) != 1 || l.Texts[0].To != bills[0].Phone {
		t.Errorf("%d texts", len(l.Texts))
	}
	for _, id := range []int64{2, 3} {
		wantRecorded(t, s, id, "3 days before, held, destination_refused")
	}
	must(s.ReleaseAll(t.Context(), p, firstStage, reminder.DestinationRefused, "test", nil))
	if l := must(s.DecideDue(t.Context(), roundAt(p, firstStage), 3)); len(l.Texts) != 2 {
		t.Errorf("%d texts after the release, want 2", len(l.Texts))
	}
}
