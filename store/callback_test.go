package store

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"duewatch/reminder"
)

// callbackFor is what the provider says by itself of the text of a test.
func callbackFor(x Text, state TextState) Receipt {
	return Receipt{TextID: x.ID, ProviderID: "SM1", State: state, ProviderStatus: string(state), NextPollAt: firstStage.Add(time.Hour)}
}

// called records a callback, and reports whether it said anything new.
func called(t *testing.T, s *Store, r Receipt) bool {
	t.Helper()
	return len(must(s.RecordReceipts(firstStage.Add(time.Minute), []Receipt{r}))) == 1
}

func TestACallbackSettlesATextInDoubt(t *testing.T) {
	for name, in := range map[string]func(t *testing.T) (*Store, *reminder.Policy, Text){"unknown": doubted, "sending": intended} {
		t.Run(name, func(t *testing.T) {
			s, _, x := in(t)
			moved := must(s.RecordReceipts(firstStage.Add(time.Minute), []Receipt{callbackFor(x, Delivered)}))
			if len(moved) != 1 || string(moved[0].Settled) != name {
				t.Errorf("moved: %+v", moved)
			}
			if got := stateOf(t, s, x.ID); got != Delivered {
				t.Errorf("state %s", got)
			}
			if diff := cmp.Diff([]string{"accepted, provider", "delivered, provider"}, trailEnd(t, s, 1, 2)); diff != "" {
				t.Errorf("trail (-want +got):\n%s", diff)
			}
			wantRecorded(t, s, 1, "3 days before, texted, on_schedule")
			if n := number(t, s, "SELECT count(*) FROM texts WHERE provider_id = 'SM1' AND accepted_at IS NOT NULL"); n != 1 {
				t.Error("the text does not have the provider's id and an instant")
			}
			// A look-up that was under way meanwhile changes nothing.
			if got := lookUp(t, s, LookUp{TextID: x.ID, Last: true, Resend: true}); got != Delivered {
				t.Errorf("the look-up made it %s", got)
			}
		})
	}
}

func TestACallbackThatOnlySaysQueuedSettlesADoubtToo(t *testing.T) {
	s, _, x := doubted(t)
	if !called(t, s, callbackFor(x, Accepted)) {
		t.Error("it said nothing new")
	}
	if got := stateOf(t, s, x.ID); got != Accepted {
		t.Errorf("state %s", got)
	}
}

// The provider may speak of a text before the answer to its request is recorded.
func TestACallbackThatComesBeforeTheOutcome(t *testing.T) {
	for name, o := range map[string]SendOutcome{
		"accepted":                    {State: Accepted, ProviderID: "SM1", ProviderStatus: "queued", NextPollAt: firstStage.Add(time.Hour)},
		"accepted, with a price":      {State: Accepted, ProviderID: "SM1", Error: "not only accepted"},
		"its answer is lost":          {State: Unknown, Error: "time-out", NextPollAt: firstStage},
		"its answer cannot be parsed": {State: Unknown, Error: "no sid"},
	} {
		t.Run(name, func(t *testing.T) {
			s, p, x := intended(t)
			called(t, s, callbackFor(x, Delivered))
			o.TextID = x.ID
			quiet(t, s, func() { record(t, s, o) })
			if got := stateOf(t, s, x.ID); got != Delivered {
				t.Errorf("state %s", got)
			}
			wantRecorded(t, s, 1, "3 days before, texted, on_schedule")
			if n := number(t, s, "SELECT count(*) FROM events WHERE what = 'accepted'"); n != 1 {
				t.Errorf("%d times accepted", n)
			}
			later := firstStage.Add(10 * time.Minute)
			if l := must(s.DecideDue(t.Context(), roundAt(p, later), 10)); len(l.Texts) != 0 {
				t.Errorf("a second text: %+v", l.Texts)
			}
		})
	}
	t.Run("and the outcome says that it was refused", func(t *testing.T) {
		s, _, x := intended(t)
		called(t, s, callbackFor(x, Sent))
		err := s.RecordOutcome(firstStage, SendOutcome{TextID: x.ID, State: Refused, Hold: reminder.Throttled, Until: firstStage})
		if !errors.Is(err, errSettled) {
			t.Errorf("error %v", err)
		}
		wantRecorded(t, s, 1, "3 days before, texted, on_schedule")
	})
	t.Run("and the outcome names another message", func(t *testing.T) {
		s, _, x := intended(t)
		called(t, s, callbackFor(x, Sent))
		if err := s.RecordOutcome(firstStage, SendOutcome{TextID: x.ID, State: Accepted, ProviderID: "SM2"}); !errors.Is(err, errSettled) {
			t.Errorf("error %v", err)
		}
	})
	t.Run("among many", func(t *testing.T) {
		s, p := openNew(t), newPolicy()
		ready(t, s, p, billsOf(20)...)
		texts := must(s.DecideDue(t.Context(), roundAt(p, firstStage), 20)).Texts
		var outcomes []SendOutcome
		var callbacks []Receipt
		for i, x := range texts {
			sid := "SM" + x.Parts[0].Account
			outcomes = append(outcomes, SendOutcome{TextID: x.ID, State: Accepted, ProviderID: sid})
			if i%3 == 0 {
				callbacks = append(callbacks, Receipt{TextID: x.ID, ProviderID: sid, State: Delivered})
			}
		}
		must(s.RecordReceipts(firstStage, callbacks))
		mustDo(t, errors.Join(s.RecordOutcomes(firstStage, outcomes)...))
		for query, want := range map[string]int64{
			"SELECT count(*) FROM texts WHERE state = 'delivered'":  7,
			"SELECT count(*) FROM texts WHERE state = 'accepted'":   13,
			"SELECT count(*) FROM events WHERE what = 'accepted'":   20,
			"SELECT count(DISTINCT provider_id) FROM texts":         20,
			"SELECT count(*) FROM texts WHERE accepted_at IS NULL":  0,
			"SELECT count(*) FROM reminders WHERE outcome = 'held'": 0,
		} {
			if got := number(t, s, query); got != want {
				t.Errorf("%s: %d, want %d", query, got, want)
			}
		}
	})
}

// The callback of a failure may come before the answer, too: its reminder is sent once
// more when the failure may pass, and not because of the answer.
func TestAFailureThatComesBeforeTheOutcome(t *testing.T) {
	s, p, x := intended(t)
	retry := firstStage.Add(time.Hour)
	r := callbackFor(x, Undelivered)
	r.Code, r.Why, r.RetryAt, r.MaxRedeliveries = 30003, reminder.NotDelivered, retry, 3
	called(t, s, r)
	record(t, s, SendOutcome{TextID: x.ID, State: Accepted, ProviderID: "SM1"})
	wantRecorded(t, s, 1, "3 days before, held, not_delivered")
	if l := must(s.DecideDue(t.Context(), roundAt(p, retry.Add(-time.Minute)), 10)); len(l.Texts) != 0 {
		t.Errorf("sent again at once: %+v", l.Texts)
	}
	recordCheck(t, s, p, retry, CheckResult{BillID: 1, Answer: answer(retry, "2315.50", due)})
	second := text(t, s, p, retry)
	// What is said of the first from now on is nothing to the second.
	for _, state := range []TextState{Accepted, Sent, Undelivered, Delivered} {
		quiet(t, s, func() { called(t, s, callbackFor(x, state)) })
	}
	if got := stateOf(t, s, second.ID); got != Sending {
		t.Errorf("the second text is %s", got)
	}
}

func TestCallbacksOnlyGoForward(t *testing.T) {
	s, _, x := accepted(t)
	for _, tt := range []struct {
		says TextState
		is   TextState
		news bool
	}{
		{Accepted, Accepted, false}, {Sent, Sent, true}, {Sent, Sent, false}, {Accepted, Sent, false},
		{Delivered, Delivered, true}, {Sent, Delivered, false}, {Undelivered, Delivered, false}, {Delivered, Delivered, false},
	} {
		news := false
		say := func() { news = called(t, s, callbackFor(x, tt.says)) }
		if tt.news {
			say()
		} else {
			quiet(t, s, say)
		}
		if got := stateOf(t, s, x.ID); got != tt.is || news != tt.news {
			t.Errorf("after %s: %s, news %v; want %s, %v", tt.says, got, news, tt.is, tt.news)
		}
	}
	// A poll is still due: the price comes by that alone.
	if got := number(t, s, "SELECT count(*) FROM texts WHERE next_poll_at IS NOT NULL AND polls = 0"); got != 1 {
		t.Error("nobody asks for the price")
	}
}

func TestACallbackOfAnotherMessageChangesNothing(t *testing.T) {
	s, _, x := accepted(t)
	other := callbackFor(x, Failed)
	other.ProviderID = "SM2"
	absent := callbackFor(Text{ID: 99}, Delivered)
	quiet(t, s, func() {
		for _, r := range []Receipt{other, absent} {
			if called(t, s, r) {
				t.Errorf("%+v moved a text", r)
			}
		}
	})
}

// Two lists did not show the text, and then the provider speaks of it: its reminder must
// not be sent a second time.
func TestACallbackForATextThatWasNotFound(t *testing.T) {
	s, p, x := doubted(t)
	usage := number(t, s, "SELECT texts * 1000 + segments FROM usage")
	lookUp(t, s, LookUp{TextID: x.ID, Last: true, Resend: true})
	wantRecorded(t, s, 1, "3 days before, held, not_at_provider")
	if !called(t, s, callbackFor(x, Sent)) {
		t.Error("it said nothing new")
	}
	if got := stateOf(t, s, x.ID); got != Sent {
		t.Errorf("state %s", got)
	}
	wantRecorded(t, s, 1, "3 days before, texted, on_schedule")
	if got := number(t, s, "SELECT texts * 1000 + segments FROM usage"); got != usage {
		t.Errorf("%d texts and segments are counted for the day, want %d", got, usage)
	}
	now := firstStage.Add(2 * time.Hour)
	recordCheck(t, s, p, now, CheckResult{BillID: 1, Answer: answer(now, "2315.50", due)})
	if l := must(s.DecideDue(t.Context(), roundAt(p, now), 10)); len(l.Texts) != 0 {
		t.Errorf("a second text: %+v", l.Texts)
	}
	// The next stage has its own text all the same.
	now = due.At(9*60, nairobi)
	recordCheck(t, s, p, now, CheckResult{BillID: 1, Answer: answer(now, "2315.50", due)})
	text(t, s, p, now)
}

// As above, while the operator is asked about the text; and the callback says that it was
// not delivered, which is a definite no.
func TestACallbackForATextThatWaitsForTheOperator(t *testing.T) {
	s, _, x := doubted(t)
	lookUp(t, s, LookUp{TextID: x.ID, Last: true})
	wantRecorded(t, s, 1, "3 days before, held, in_doubt")
	r := callbackFor(x, Failed)
	r.Code, r.Why, r.RetryAt, r.MaxRedeliveries = 30003, reminder.NotDelivered, firstStage.Add(time.Hour), 3
	called(t, s, r)
	wantRecorded(t, s, 1, "3 days before, held, not_delivered")
}

// The text was sent again before the provider spoke of the first: both have their own
// messages, and the reminder stays with the second.
func TestACallbackForATextThatWasSentAgain(t *testing.T) {
	s, p, x := doubted(t)
	lookUp(t, s, LookUp{TextID: x.ID, Last: true, Resend: true})
	now := firstStage.Add(2 * time.Hour)
	recordCheck(t, s, p, now, CheckResult{BillID: 1, Answer: answer(now, "2315.50", due)})
	second := text(t, s, p, now)
	called(t, s, callbackFor(x, Delivered))
	if first, again := stateOf(t, s, x.ID), stateOf(t, s, second.ID); first != Delivered || again != Sending {
		t.Errorf("the first is %s, the second %s", first, again)
	}
	if got := number(t, s, "SELECT text_id FROM reminders WHERE outcome = 'texted'"); got != second.ID {
		t.Errorf("the reminder is linked to text %d", got)
	}
	mustDo(t, s.RecordOutcome(now, SendOutcome{TextID: second.ID, State: Accepted, ProviderID: "SM2"}))
}

// Of a bundle, one bill's reminder may have gone another way since.
func TestACallbackForABundleThatWasNotFound(t *testing.T) {
	s, p := openNew(t), bundling()
	ready(t, s, p, ofOnePhone(2)...)
	x := text(t, s, p, firstStage)
	record(t, s, SendOutcome{TextID: x.ID, State: Unknown, NextPollAt: firstStage})
	lookUp(t, s, LookUp{TextID: x.ID, Last: true, Resend: true})
	change(t, s, "UPDATE reminders SET outcome = 'skipped', reason = 'paid' WHERE bill_id = 2")
	called(t, s, callbackFor(x, Delivered))
	wantRecorded(t, s, 1, "3 days before, texted, on_schedule")
	wantRecorded(t, s, 2, "3 days before, skipped, paid")
}

func TestTheCallbackKeyIsMadeOnceAndStays(t *testing.T) {
	place := newPlace(t)
	s := openAt(t, place)
	key := must(s.CallbackKey())
	if len(key) < 20 || must(s.CallbackKey()) != key {
		t.Errorf("key %q, then %q", key, must(s.CallbackKey()))
	}
	if other := must(openNew(t).CallbackKey()); other == key {
		t.Error("two stores have one key")
	}
}

func TestTextsByIDLeavesOutThoseThatAreForgotten(t *testing.T) {
	s, texts := acceptedTexts(t, 3)
	change(t, s, "UPDATE texts SET sent_to = 'forgotten:x' WHERE id = ?1", texts[1].ID)
	got := must(s.TextsByID(t.Context(), []int64{texts[0].ID, texts[1].ID, 99, texts[0].ID}))
	want := map[int64]OpenText{texts[0].ID: {
		ID: texts[0].ID, Service: "water", Account: texts[0].Parts[0].Account, Bills: 1, ProviderID: "SMa", State: Accepted,
		SentTo: texts[0].To, CreatedAt: firstStage, AcceptedAt: firstStage,
	}}
	if diff := cmp.Diff(want, got, cmpTimes); diff != "" {
		t.Errorf("texts (-want +got):\n%s", diff)
	}
}

func TestAMessageEndsOnlyOptOutsThatCameByOne(t *testing.T) {
	stop := OptOut{Phone: phone(1), Reason: reminder.OptedOut, Since: checkedAt, Source: SourceMessage, Who: `their message "Stop."`}
	start := OptOut{Phone: phone(1), Since: firstStage, Who: `their message "START"`}
	for source, ends := range map[string]bool{SourceMessage: true, "provider": false, "operator": false, "import": false} {
		t.Run(source, func(t *testing.T) {
			s := openNew(t)
			watch(t, s, newPolicy(), billOf(1))
			first := stop
			first.Source = source
			must(s.AddOptOuts(first))
			must(s.AddOptOuts(stop)) // said once more, it changes nothing
			if ended := must(s.EndOptOutByMessage(start, "SM1")); ended != ends {
				t.Errorf("ended %v, want %v", ended, ends)
			}
			if left := len(must(s.OptOutsOf(t.Context(), phone(1)))); (left == 0) != ends {
				t.Errorf("%d opt-outs are left", left)
			}
			if ends && lastEvent(t, s, 1) != "opt_out_removed, message" {
				t.Errorf("the trail ends with %q", lastEvent(t, s, 1))
			}
		})
	}
	t.Run("a START that comes twice does not end a later STOP", func(t *testing.T) {
		s := openNew(t)
		must(s.AddOptOuts(stop))
		must(s.EndOptOutByMessage(start, "SM1"))
		must(s.AddOptOuts(stop))
		for range keptOptIns / 2 {
			if must(s.EndOptOutByMessage(start, "SM1")) {
				t.Fatal("it ended the opt-out that came after it")
			}
		}
		if !must(s.EndOptOutByMessage(start, "SM2")) {
			t.Error("another START does not end it")
		}
	})
	t.Run("what is remembered is bounded", func(t *testing.T) {
		s := openNew(t)
		for i := range keptOptIns + 20 {
			must(s.EndOptOutByMessage(start, "SM"+string(rune('a'+i))))
		}
		if n := len(word(t, s, "SELECT value FROM meta WHERE key = 'opt_in_messages'")); n > 6*keptOptIns {
			t.Errorf("%d bytes are kept", n)
		}
	})
}
