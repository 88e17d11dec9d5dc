package store

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"duewatch/reminder"
)

// intend gives a store with one text in state sending.
func intended(t *testing.T) (*Store, *reminder.Policy, Text) {
	t.Helper()
	s, p := openNew(t), newPolicy()
	ready(t, s, p, billOf(1))
	return s, p, text(t, s, p, firstStage)
}

func record(t *testing.T, s *Store, o SendOutcome) {
	t.Helper()
	mustDo(t, s.RecordOutcome(firstStage, o))
}

func stateOf(t *testing.T, s *Store, id int64) TextState {
	t.Helper()
	return TextState(word(t, s, "SELECT state FROM texts WHERE id = ?1", id))
}

// lastEvent is what the trail of the bill ends with.
func lastEvent(t *testing.T, s *Store, billID int64) string {
	t.Helper()
	all := must(s.Events(t.Context(), billID))
	e := all[len(all)-1]
	return e.What + ", " + e.Reason
}

func TestRecordOutcome(t *testing.T) {
	until := firstStage.Add(20 * time.Minute)
	for _, tt := range []struct {
		name     string
		o        SendOutcome
		reminder string
		event    string
		next     time.Time // of the bill
		tries    int64
		optOut   string
	}{
		{"accepted", SendOutcome{State: Accepted, ProviderID: "SM1", ProviderStatus: "queued", NextPollAt: until},
			"3 days before, texted, on_schedule", "accepted, provider", due.At(9*60, nairobi), 0, ""},
		{"unknown", SendOutcome{State: Unknown, Error: "time-out", NextPollAt: until},
			"3 days before, texted, on_schedule", "unknown, provider", due.At(9*60, nairobi), 0, ""},
		{"refused and held", SendOutcome{State: Refused, Code: 20429, Hold: reminder.Throttled, Until: until},
			"3 days before, held, throttled", "refused, throttled", until, 0, ""},
		{"refused and held, and counted", SendOutcome{State: Refused, Code: 30001, Hold: reminder.RefusalUnclear, Until: until, Tried: true},
			"3 days before, held, refusal_unclear", "refused, refusal_unclear", until, 1, ""},
		{"refused and held beyond the next stage", SendOutcome{State: Refused, Hold: reminder.AccountFault, Until: due.AddDays(9).At(0, nairobi)},
			"3 days before, held, account_fault", "refused, account_fault", due.At(9*60, nairobi), 0, ""},
		{"refused and skipped", SendOutcome{State: Refused, Code: 21617, Skip: reminder.TextRefused},
			"3 days before, skipped, text_refused", "refused, text_refused", due.At(9*60, nairobi), 0, ""},
		{"opted out", SendOutcome{State: Refused, Code: 21610, Skip: reminder.OptedOut, OptOut: reminder.OptedOut},
			"3 days before, skipped, opted_out", "refused, opted_out", due.At(9*60, nairobi), 0, "opted_out"},
		{"bad number", SendOutcome{State: Refused, Code: 21211, Skip: reminder.BadNumber, OptOut: reminder.BadNumber},
			"3 days before, skipped, bad_number", "refused, bad_number", due.At(9*60, nairobi), 0, "bad_number"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, _, x := intended(t)
			tt.o.TextID = x.ID
			record(t, s, tt.o)
			if got := stateOf(t, s, x.ID); got != tt.o.State {
				t.Errorf("state %s, want %s", got, tt.o.State)
			}
			wantRecorded(t, s, 1, tt.reminder)
			if got := lastEvent(t, s, 1); got != tt.event {
				t.Errorf("last event %q, want %q", got, tt.event)
			}
			if got := dueAt(t, s, dueRemind, 1); !got.Equal(tt.next) {
				t.Errorf("next evaluation at %s, want %s", got, tt.next)
			}
			if got := must(s.Reminders(t.Context(), 1))[0].Tries; int64(got) != tt.tries {
				t.Errorf("%d tries, want %d", got, tt.tries)
			}
			if got := word(t, s, "SELECT reason FROM opt_outs WHERE phone = ?1 AND service = ''", phone(1).E164()); got != tt.optOut {
				t.Errorf("opted out for %q, want %q", got, tt.optOut)
			}
			shown := must(s.Texts(t.Context(), 1))
			if len(shown) != 1 || shown[0].State != tt.o.State || shown[0].Code != tt.o.Code || shown[0].ProviderID != tt.o.ProviderID {
				t.Errorf("shown to the operator: %+v", shown)
			}
		})
	}
}

func TestAnOutcomeIsRecordedOnce(t *testing.T) {
	outcomes := map[TextState]SendOutcome{
		Accepted: {State: Accepted, ProviderID: "SM2"},
		Unknown:  {State: Unknown},
		Refused:  {State: Refused, Hold: reminder.Throttled, Until: firstStage},
	}
	s, _, x := intended(t)
	for _, from := range []TextState{Accepted, Sent, Delivered, Undelivered, Failed, Canceled, Refused, NotFound} {
		change(t, s, "UPDATE texts SET state = ?1, provider_id = 'SM1'", from)
		for to, o := range outcomes {
			o.TextID = x.ID
			quiet(t, s, func() {
				err := s.RecordOutcome(firstStage, o)
				if nothingNew := to == Unknown; (err == nil) != nothingNew { // the provider's id says more
					t.Errorf("%s, then %s: error %v", from, to, err)
				}
			})
		}
	}
}

func TestAnOutcomeThatSaysTooLittleIsRefused(t *testing.T) {
	for name, o := range map[string]SendOutcome{
		"accepted without an id":                   {State: Accepted},
		"refused, and its reminder left as texted": {State: Refused},
		"a state that is no outcome":               {State: Delivered, ProviderID: "SM1"},
		"back to sending":                          {State: Sending},
		"no such text":                             {TextID: 99, State: Unknown},
	} {
		t.Run(name, func(t *testing.T) {
			s, _, x := intended(t)
			if o.TextID == 0 {
				o.TextID = x.ID
			}
			quiet(t, s, func() {
				if err := s.RecordOutcome(firstStage, o); err == nil {
					t.Error("no error")
				}
			})
		})
	}
}

func TestUnknownTwiceIsOneEvent(t *testing.T) {
	s, _, x := intended(t)
	for range 3 {
		_ = s.RecordOutcome(firstStage, SendOutcome{TextID: x.ID, State: Unknown}) // an error would do as well
	}
	if got := number(t, s, "SELECT count(*) FROM events WHERE what = 'unknown'"); got != 1 {
		t.Errorf("%d events for one change", got)
	}
}

func TestARefusalFindsItsBillChanged(t *testing.T) {
	refusal := SendOutcome{TextID: 1, State: Refused, Code: 21211, Skip: reminder.BadNumber, OptOut: reminder.BadNumber}
	t.Run("the phone was corrected meanwhile", func(t *testing.T) {
		s, _, _ := intended(t)
		corrected := billOf(1)
		corrected.Phone = phone(55)
		must(s.Declare("config", []reminder.Bill{corrected}, firstStage))
		record(t, s, refusal)
		if got := list(t, s, "SELECT phone FROM opt_outs"); got != phone(1).E164() {
			t.Errorf("opted out %s, want the phone that was texted, %s", got, phone(1).E164())
		}
	})
	t.Run("removed meanwhile", func(t *testing.T) {
		s, p, _ := intended(t)
		must(s.Declare("config", nil, firstStage))
		record(t, s, SendOutcome{TextID: 1, State: Refused, Hold: reminder.Throttled, Until: firstStage})
		for range 2 {
			if l := must(s.DecideDue(t.Context(), roundAt(p, firstStage), 10)); len(l.Texts)+len(l.Records) != 0 {
				t.Errorf("decided about a removed bill: %+v", l)
			}
		}
		notDue(t, s, 1)
	})
	t.Run("due date moved meanwhile", func(t *testing.T) {
		s, p, _ := intended(t)
		recordCheck(t, s, p, firstStage, CheckResult{BillID: 1, Answer: answer(firstStage, "2315.50", due.AddDays(30))})
		record(t, s, SendOutcome{TextID: 1, State: Refused, Hold: reminder.Throttled, Until: firstStage})
		if l := must(s.DecideDue(t.Context(), roundAt(p, firstStage), 10)); len(l.Texts)+len(l.Records) != 0 {
			t.Errorf("decided about the old due date: %+v", l)
		}
		if got, want := dueAt(t, s, dueRemind, 1), firstStage.AddDate(0, 0, 30); !got.Equal(want) {
			t.Errorf("next evaluation at %s, want the new plan's, %s", got, want)
		}
	})
	t.Run("being decided about meanwhile", func(t *testing.T) {
		s, p, _ := intended(t)
		change(t, s, "UPDATE due_remind SET at = ?1, owner = 'other'", firstStage.Add(time.Minute).UnixMilli())
		record(t, s, SendOutcome{TextID: 1, State: Refused, Hold: reminder.Throttled, Until: firstStage})
		l := must(s.DecideAnswered(roundAt(p, firstStage), []CheckResult{{BillID: 1}}))
		if len(l.Texts) != 1 {
			t.Errorf("what was given back is not sent: %+v", l)
		}
	})
}

// In mode redirect the provider judges the operator's phone, not the customer's.
func TestARefusalOfTheRedirectSparesTheCustomer(t *testing.T) {
	redirected := func(t *testing.T) *Store {
		s, p := openNew(t), newPolicy()
		ready(t, s, p, billOf(1))
		r := roundAt(p, firstStage)
		r.Delivery = reminder.Delivery{Mode: reminder.ModeRedirect, RedirectTo: phone(99)}
		must(s.DecideDue(t.Context(), r, 1))
		return s
	}
	spared := func(t *testing.T, s *Store) {
		t.Helper()
		if got := number(t, s, "SELECT count(*) FROM opt_outs WHERE phone = ?1", phone(1).E164()); got != 0 {
			t.Error("the customer is never texted again")
		}
	}
	t.Run("at once", func(t *testing.T) {
		s := redirected(t)
		record(t, s, SendOutcome{TextID: 1, State: Refused, Code: 21610, Skip: reminder.OptedOut, OptOut: reminder.OptedOut})
		spared(t, s)
	})
	t.Run("later", func(t *testing.T) {
		s := redirected(t)
		record(t, s, SendOutcome{TextID: 1, State: Accepted, ProviderID: "SM1"})
		must(s.RecordReceipts(firstStage, []Receipt{{TextID: 1, State: Failed, Code: 30006, OptOut: reminder.BadNumber}}))
		spared(t, s)
	})
}

// STOP is the customer's word: it must not hide behind a number fault that the
// operator may end one day.
func TestAnOptOutReplacesABadNumber(t *testing.T) {
	bad := OptOut{Phone: phone(1), Reason: reminder.BadNumber, Since: checkedAt, Source: "provider", Who: "twilio"}
	stop := OptOut{Phone: phone(1), Reason: reminder.OptedOut, Since: firstStage, Source: "operator", Who: "desk"}
	reason := func(s *Store) string { return word(t, s, "SELECT reason FROM opt_outs") }
	t.Run("by the provider", func(t *testing.T) {
		s, _, _ := intended(t)
		must(s.AddOptOuts(bad))
		record(t, s, SendOutcome{TextID: 1, State: Refused, Skip: reminder.OptedOut, OptOut: reminder.OptedOut})
		if got := reason(s); got != "opted_out" {
			t.Errorf("it stands as %s", got)
		}
	})
	t.Run("by the operator", func(t *testing.T) {
		s := openNew(t)
		must(s.AddOptOuts(bad))
		must(s.AddOptOuts(stop))
		if got := reason(s); got != "opted_out" {
			t.Errorf("it stands as %s", got)
		}
	})
	t.Run("never the other way", func(t *testing.T) {
		s, _, _ := intended(t)
		must(s.AddOptOuts(stop))
		must(s.AddOptOuts(bad))
		record(t, s, SendOutcome{TextID: 1, State: Refused, Skip: reminder.BadNumber, OptOut: reminder.BadNumber})
		if got := reason(s); got != "opted_out" {
			t.Errorf("it stands as %s", got)
		}
	})
}

func TestOptOuts(t *testing.T) {
	s, p := openNew(t), newPolicy()
	watch(t, s, p, billOf(1), billOf(2))
	all := []OptOut{
		{Phone: phone(1), Service: "", Reason: reminder.OptedOut, Since: checkedAt, Source: "operator", Who: "desk"},
		{Phone: phone(2), Service: "water", Reason: reminder.OptedOut, Since: checkedAt, Source: "import", Who: "file"},
	}
	if got := must(s.AddOptOuts(all...)); got != 2 {
		t.Errorf("%d added, want 2", got)
	}
	quiet(t, s, func() {
		if got := must(s.AddOptOuts(all...)); got != 0 {
			t.Errorf("%d added again", got)
		}
	})
	var read []OptOut
	mustDo(t, s.OptOuts(t.Context(), func(o OptOut) error { read = append(read, o); return nil }))
	if diff := cmp.Diff(all, read, cmpTimes); diff != "" {
		t.Errorf("opt-outs (-want +got):\n%s", diff)
	}
	if err := s.RemoveOptOut(OptOut{Phone: phone(2)}); err == nil {
		t.Error("removed an opt-out of every service that is not there")
	}
	mustDo(t, s.RemoveOptOut(all[1]))
	if diff := cmp.Diff([]string{"opted_out, import", "opt_out_removed, import"}, trailEnd(t, s, 2, 2)); diff != "" {
		t.Errorf("trail (-want +got):\n%s", diff)
	}
}

func trailEnd(t *testing.T, s *Store, billID int64, n int) (end []string) {
	t.Helper()
	all := must(s.Events(t.Context(), billID))
	for _, e := range all[max(0, len(all)-n):] {
		end = append(end, e.What+", "+e.Reason)
	}
	return end
}
