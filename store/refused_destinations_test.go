package store

import (
	"testing"
	"time"

	"duewatch/reminder"
)

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
			t.Errorf("after refusal %d it is due again at %s, want %s later", try+1, got, wait)
		}
		if l := must(s.DecideDue(t.Context(), roundAt(p, now.Add(wait-time.Minute)), 1)); len(l.Texts) > 0 {
			t.Error("it was tried too early")
		}
		now = now.Add(wait)
		recordCheck(t, s, p, now, CheckResult{BillID: 1, Answer: answer(now, "2315.50", due)})
		x = text(t, s, p, now)
		if try < 2 {
			refuse(x, phone(1).E164(), "+254")
		}
	}
	record(t, s, SendOutcome{TextID: x.ID, State: Accepted, ProviderID: "SM1"})
	if got := number(t, s, "SELECT count(*) FROM refused_destinations"); got != 0 {
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
		_, err := t.refuseDestinations(firstStage, []string{"+256"}, 21408, "no")
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
