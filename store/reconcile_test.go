package store

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"duewatch/reminder"
)

func TestOrphans(t *testing.T) {
	nextLook := firstStage.Add(2 * time.Minute)
	for _, tt := range []struct {
		name  string
		owner string
		now   time.Time
		want  int
	}{
		{"of a dead process", "successor", firstStage, 1},
		{"of this process, within its lease", "test", firstStage.Add(claimed.Lease), 0},
		{"of this process, past its lease", "test", firstStage.Add(claimed.Lease + time.Millisecond), 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, _, x := intended(t)
			if got := must(s.TakeOver(tt.now, tt.owner, nextLook)); got != tt.want {
				t.Errorf("%d, want %d", got, tt.want)
			}
			wantState := map[int]TextState{0: Sending, 1: Unknown}[tt.want]
			if got := stateOf(t, s, x.ID); got != wantState {
				t.Errorf("state %s, want %s", got, wantState)
			}
			wantRecorded(t, s, 1, "3 days before, texted, on_schedule") // and never blindly sent again
			quiet(t, s, func() { must(s.TakeOver(tt.now, tt.owner, nextLook)) })
			if tt.want == 0 {
				return
			}
			if got := lastEvent(t, s, 1); got != "unknown, provider" {
				t.Errorf("last event %q", got)
			}
			if d := must(s.InDoubt(t.Context())); d.Texts != 1 || !d.Oldest.Equal(firstStage) {
				t.Errorf("in doubt: %+v", d)
			}
			if got := must(s.UnknownTexts(t.Context(), nextLook.Add(-time.Millisecond), 10)); len(got) != 0 {
				t.Error("it is looked up too early")
			}
			want := []UnknownText{{ID: x.ID, Service: x.Parts[0].Service, Account: x.Parts[0].Account, SentTo: phone(1), Body: x.Body, CreatedAt: firstStage}}
			if diff := cmp.Diff(want, must(s.UnknownTexts(t.Context(), nextLook, 10)), cmpTimes); diff != "" {
				t.Errorf("to look up (-want +got):\n%s", diff)
			}
			if got := must(s.OpenTexts(t.Context(), nextLook, 10)); len(got) != 0 {
				t.Errorf("the provider is asked for receipts of %+v", got)
			}
		})
	}
}

// A late answer still settles what was taken for an orphan.
func TestAnOrphanMayStillBeAnswered(t *testing.T) {
	s, _, x := intended(t)
	must(s.TakeOver(firstStage, "successor", firstStage))
	record(t, s, SendOutcome{TextID: x.ID, State: Accepted, ProviderID: "SM1", NextPollAt: firstStage})
	if got := stateOf(t, s, x.ID); got != Accepted {
		t.Errorf("state %s", got)
	}
}

// doubted gives a store with one text in doubt.
func doubted(t *testing.T) (*Store, *reminder.Policy, Text) {
	t.Helper()
	s, p, x := intended(t)
	record(t, s, SendOutcome{TextID: x.ID, State: Unknown, Error: "time-out", NextPollAt: firstStage})
	return s, p, x
}

func lookUp(t *testing.T, s *Store, l LookUp) TextState {
	t.Helper()
	return must(s.RecordLookUp(firstStage.Add(time.Hour), l))
}

func TestALookUpThatFindsTheText(t *testing.T) {
	s, _, x := doubted(t)
	next := firstStage.Add(time.Hour)
	if got := lookUp(t, s, LookUp{TextID: x.ID, Found: []string{"SM1", "SM2"}, NextAt: next, Last: true, Resend: true}); got != Accepted {
		t.Errorf("state %s", got)
	}
	wantRecorded(t, s, 1, "3 days before, texted, on_schedule")
	open := must(s.OpenTexts(t.Context(), next, 10))
	want := []OpenText{{
		ID: x.ID, Service: x.Parts[0].Service, Account: x.Parts[0].Account, Bills: 1, ProviderID: "SM1", State: Accepted,
		SentTo: phone(1), CreatedAt: x.Decided, AcceptedAt: next,
	}}
	if diff := cmp.Diff(want, open, cmpTimes); diff != "" {
		t.Errorf("open (-want +got):\n%s", diff)
	}
	quiet(t, s, func() {
		if got := lookUp(t, s, LookUp{TextID: x.ID, Last: true, Resend: true, NextAt: next}); got != Accepted {
			t.Errorf("a second look-up returns %s, and the text is accepted", got)
		}
	})
}

func TestALookUpNeverTakesTheMessageOfAnotherText(t *testing.T) {
	s, p := openNew(t), newPolicy()
	p.PerNumberDaily = 9
	bills := billsOf(3)
	for i := range bills {
		bills[i].Phone = phone(7)
	}
	ready(t, s, p, bills...)
	x := must(s.DecideDue(t.Context(), roundAt(p, firstStage), 10)).Texts
	record(t, s, SendOutcome{TextID: x[0].ID, State: Accepted, ProviderID: "SM1"})
	record(t, s, SendOutcome{TextID: x[1].ID, State: Unknown, NextPollAt: firstStage})
	record(t, s, SendOutcome{TextID: x[2].ID, State: Unknown, NextPollAt: firstStage})
	if got := lookUp(t, s, LookUp{TextID: x[1].ID, Found: []string{"SM1"}, NextAt: firstStage}); got != Unknown {
		t.Errorf("state %s", got)
	}
	// Nor does such a message keep the text in doubt for ever.
	if got := lookUp(t, s, LookUp{TextID: x[1].ID, CompleteLists: 1, Found: []string{"SM1"}, NextAt: firstStage, Last: true}); got != NotFound {
		t.Errorf("state %s", got)
	}
	if got := lookUp(t, s, LookUp{TextID: x[2].ID, Found: []string{"SM1", "SM2"}, NextAt: firstStage}); got != Accepted {
		t.Errorf("state %s", got)
	}
	if got := word(t, s, "SELECT provider_id FROM texts WHERE id = ?1", x[2].ID); got != "SM2" {
		t.Errorf("it took %s", got)
	}
}

// In mode redirect the texts of all customers go to one phone.
func TestALookUpNeverTakesTheMessageOfAnotherCustomer(t *testing.T) {
	s, p := openNew(t), newPolicy()
	ready(t, s, p, billsOf(2)...)
	r := roundAt(p, firstStage)
	r.Delivery = reminder.Delivery{Mode: reminder.ModeRedirect, RedirectTo: phone(99)}
	x := must(s.DecideDue(t.Context(), r, 10)).Texts
	record(t, s, SendOutcome{TextID: x[0].ID, State: Accepted, ProviderID: "SM1"})
	record(t, s, SendOutcome{TextID: x[1].ID, State: Unknown, NextPollAt: firstStage})
	if got := lookUp(t, s, LookUp{TextID: x[1].ID, Found: []string{"SM1"}, NextAt: firstStage}); got != Unknown {
		t.Errorf("state %s", got)
	}
	if known := must(s.Knows(t.Context(), "SM1", phone(99), "other words")); !known {
		t.Error("a message that was redirected is not known by its id")
	}
}

func TestALookUpThatDoesNotFindTheText(t *testing.T) {
	t.Run("not the last", func(t *testing.T) {
		s, _, x := doubted(t)
		events := len(must(s.Events(t.Context(), 1)))
		for i := range 3 {
			// Two daemons look it up at once: one of the lists counts.
			for range 2 {
				if got := lookUp(t, s, LookUp{TextID: x.ID, CompleteLists: i, NextAt: firstStage.Add(time.Minute)}); got != Unknown {
					t.Errorf("state %s", got)
				}
			}
			if d := must(s.UnknownTexts(t.Context(), firstStage.Add(time.Minute), 1)); len(d) != 1 || d[0].CompleteLists != i+1 {
				t.Errorf("after look-up %d: %+v", i+1, d)
			}
		}
		if got := len(must(s.Events(t.Context(), 1))); got != events {
			t.Errorf("%d events for nothing new", got-events)
		}
	})
	t.Run("the last: sent once more, and only once", func(t *testing.T) {
		s, p, x := doubted(t)
		now := firstStage.Add(time.Hour)
		if got := lookUp(t, s, LookUp{TextID: x.ID, Last: true, Resend: true}); got != NotFound {
			t.Errorf("state %s", got)
		}
		wantRecorded(t, s, 1, "3 days before, held, not_at_provider")
		second := text(t, s, p, now)
		if second.ID == x.ID {
			t.Error("the same text was used again")
		}
		record(t, s, SendOutcome{TextID: second.ID, State: Unknown, NextPollAt: now})
		lookUp(t, s, LookUp{TextID: second.ID, Last: true, Resend: true})
		wantRecorded(t, s, 1, "3 days before, held, in_doubt")
		if got := must(s.Reminders(t.Context(), 1))[0].Tries; got != 2 {
			t.Errorf("%d tries, want 2", got)
		}
		for _, at := range []time.Time{now, now.Add(24 * time.Hour)} {
			change(t, s, "UPDATE due_remind SET at = 0")
			recordCheck(t, s, p, at, CheckResult{BillID: 1, Answer: answer(at, "2315.50", due)})
			if l := must(s.DecideDue(t.Context(), roundAt(p, at), 1)); len(l.Texts) != 0 {
				t.Error("it was sent a third time")
			}
		}
		if got := len(must(s.Texts(t.Context(), 1))); got != 2 {
			t.Errorf("the operator is shown %d texts, want 2", got)
		}
	})
	t.Run("the last: held for the operator", func(t *testing.T) {
		s, p, x := doubted(t)
		if got := lookUp(t, s, LookUp{TextID: x.ID, Last: true}); got != NotFound {
			t.Errorf("state %s", got)
		}
		wantRecorded(t, s, 1, "3 days before, held, in_doubt")
		change(t, s, "UPDATE due_remind SET at = 0")
		if l := must(s.DecideDue(t.Context(), roundAt(p, firstStage.Add(time.Hour)), 1)); len(l.Texts) != 0 {
			t.Error("it was sent again")
		}
		// Until the operator lets it go, once.
		now := firstStage.Add(2 * time.Hour)
		recordCheck(t, s, p, now, CheckResult{BillID: 1, Answer: answer(now, "2315.50", due)})
		if got := must(s.Release(t.Context(), BulkOp{Selector: Selector{Account: billOf(1).Account}, At: now, Who: "desk"}, OfOneBill...)); got != 1 {
			t.Errorf("%d released", got)
		}
		quiet(t, s, func() {
			if got := must(s.Release(t.Context(), BulkOp{Selector: Selector{Account: billOf(1).Account}, At: now, Who: "desk"}, OfOneBill...)); got != 0 {
				t.Errorf("%d released again", got)
			}
		})
		if second := text(t, s, p, now); second.ID == x.ID {
			t.Error("the same text was used again")
		}
		wantRecorded(t, s, 1, "3 days before, texted, on_schedule")
	})
	t.Run("an answer after all comes too late", func(t *testing.T) {
		s, _, x := doubted(t)
		lookUp(t, s, LookUp{TextID: x.ID, Last: true, Resend: true})
		if err := s.RecordOutcome(firstStage, SendOutcome{TextID: x.ID, State: Accepted, ProviderID: "SM1"}); err == nil {
			t.Error("no error: its reminder may have another text by now")
		}
	})
	t.Run("a text that is not there", func(t *testing.T) {
		s := openNew(t)
		if state, err := s.RecordLookUp(firstStage, LookUp{TextID: 99, Last: true}); err == nil {
			t.Errorf("state %s and no error", state)
		}
	})
}

// A list that was cut off is no look-up: however often it is read, it does not make up
// for a complete one.
func TestAListThatWasCutOffIsNoLookUp(t *testing.T) {
	s, _, x := doubted(t)
	for range 3 {
		lookUp(t, s, LookUp{TextID: x.ID, Incomplete: true, NextAt: firstStage.Add(time.Minute)})
	}
	if d := must(s.UnknownTexts(t.Context(), firstStage.Add(time.Minute), 1)); len(d) != 1 || d[0].CompleteLists != 0 {
		t.Errorf("after three lists that were cut off: %+v", d)
	}
}
