package store

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"duewatch/reminder"
)

func receive(t *testing.T, s *Store, r Receipt) {
	t.Helper()
	must(s.RecordReceipts(firstStage.Add(time.Minute), []Receipt{r}))
}

// Every pair of states: what the text was, and what the provider says.
func TestReceiptsOnlyGoForward(t *testing.T) {
	every := []TextState{Sending, Unknown, NotFound, Refused, Accepted, Sent, Delivered, Undelivered, Failed, Canceled}
	forward := map[TextState][]TextState{
		Accepted: {Sent, Delivered, Undelivered, Failed, Canceled},
		Sent:     {Delivered, Undelivered, Failed, Canceled},
	}
	s, p := openNew(t), newPolicy()
	ready(t, s, p, billOf(1))
	x := text(t, s, p, firstStage)
	for _, from := range every {
		for _, to := range append(every, "", "read") {
			change(t, s, "UPDATE texts SET state = ?1, provider_id = 'SM1', provider_status = 'old', settled_at = NULL", from)
			events := number(t, s, "SELECT count(*) FROM events")
			receive(t, s, Receipt{TextID: x.ID, State: to, ProviderStatus: "new"})
			want, moves := from, false
			for _, f := range forward[from] {
				if f == to {
					want, moves = to, true
				}
			}
			if got := stateOf(t, s, x.ID); got != want {
				t.Errorf("%s, then %q: became %s, want %s", from, to, got, want)
			}
			added := number(t, s, "SELECT count(*) FROM events") - events
			if (added == 1) != moves || added > 1 {
				t.Errorf("%s, then %q: %d events", from, to, added)
			}
			if settled := number(t, s, "SELECT count(settled_at) FROM texts") == 1; settled != (moves && to.Final()) {
				t.Errorf("%s, then %q: settled %v", from, to, settled)
			}
			if status := word(t, s, "SELECT provider_status FROM texts"); (status == "new") != moves {
				t.Errorf("%s, then %q: the provider's status is the %s one", from, to, status)
			}
		}
	}
}

// Receipts that come together are recorded as each of them alone would be.
func TestReceiptsComeTogether(t *testing.T) {
	s, p := openNew(t), newPolicy()
	var bills []reminder.Bill
	for i := range 70 { // more than one statement takes
		bills = append(bills, billOf(i))
	}
	ready(t, s, p, bills...)
	texts := must(s.DecideDue(t.Context(), roundAt(p, firstStage), 100)).Texts
	var outcomes []SendOutcome
	for _, x := range texts {
		outcomes = append(outcomes, SendOutcome{TextID: x.ID, State: Accepted, ProviderID: "SM" + x.Parts[0].Account, NextPollAt: firstStage.Add(time.Minute)})
	}
	mustDo(t, errors.Join(s.RecordOutcomes(firstStage, outcomes)...))
	var receipts []Receipt
	for i, x := range texts {
		r := Receipt{TextID: x.ID, State: Delivered, ProviderStatus: "delivered", Price: "-0.02", PriceUnit: "USD", BilledSegments: 1}
		switch i {
		case 3:
			r = Receipt{TextID: x.ID, State: Accepted, NextPollAt: firstStage.Add(time.Hour)} // nothing new
		case 5:
			r = Receipt{TextID: x.ID, State: Undelivered, Why: reminder.NotDelivered}
		}
		receipts = append(receipts, r)
	}
	moved := must(s.RecordReceipts(firstStage.Add(time.Minute), receipts))
	if len(texts) != 70 || len(moved) != 69 {
		t.Fatalf("%d of %d texts moved, want 69 of 70", len(moved), len(texts))
	}
	for query, want := range map[string]int64{
		"SELECT count(*) FROM texts WHERE state = 'delivered' AND price = '-0.02' AND billed_segments = 1 AND settled_at IS NOT NULL AND next_poll_at IS NULL AND polls = 1": 68,
		"SELECT count(*) FROM texts WHERE state = 'accepted' AND next_poll_at IS NOT NULL AND polls = 1":                                                                     1,
		"SELECT count(*) FROM texts WHERE state = 'undelivered' AND refused_for = 'not_delivered' AND polls = 1":                                                             1,
		"SELECT count(*) FROM events WHERE what = 'delivered' AND reason = 'provider'":                                                                                       68,
		"SELECT count(*) FROM events WHERE what = 'undelivered'":                                                                                                             1,
	} {
		if got := number(t, s, query); got != want {
			t.Errorf("%s: %d, want %d", query, got, want)
		}
	}
	if again := must(s.RecordReceipts(firstStage.Add(time.Hour), receipts[:2])); len(again) != 0 {
		t.Errorf("moved a second time: %v", again)
	}
}

// acceptedTexts gives a store with one text that the provider took.
func accepted(t *testing.T) (*Store, *reminder.Policy, Text) {
	t.Helper()
	s, p, x := intended(t)
	record(t, s, SendOutcome{TextID: x.ID, State: Accepted, ProviderID: "SM1", NextPollAt: firstStage.Add(time.Minute)})
	return s, p, x
}

func TestReceiptsKeepPriceAndSegments(t *testing.T) {
	s, _, x := accepted(t)
	bill := func() string {
		return word(t, s, "SELECT coalesce(CAST(billed_segments AS TEXT), '-') || ' ' || coalesce(price, '-') || ' ' || coalesce(price_unit, '-') FROM texts")
	}
	for _, tt := range []struct {
		r    Receipt
		want string
	}{
		{Receipt{State: Sent}, "- - -"},
		{Receipt{State: Delivered, BilledSegments: 2}, "2 - -"},
		// The price comes last, when the state is final already.
		{Receipt{State: Delivered, Price: "-0.00750", PriceUnit: "USD"}, "2 -0.00750 USD"},
		{Receipt{State: Sent}, "2 -0.00750 USD"},
		{Receipt{}, "2 -0.00750 USD"},
	} {
		tt.r.TextID = x.ID
		receive(t, s, tt.r)
		if got := bill(); got != tt.want {
			t.Errorf("after %+v: %s, want %s", tt.r, got, tt.want)
		}
	}
	if diff := cmp.Diff([]string{"accepted, provider", "sent, provider", "delivered, provider"}, trailEnd(t, s, 1, 3)); diff != "" {
		t.Errorf("trail (-want +got):\n%s", diff)
	}
}

func TestOpenTextsAreReadWhenTheirPollIsDue(t *testing.T) {
	s, p := openNew(t), newPolicy()
	ready(t, s, p, billsOf(4)...)
	l := must(s.DecideDue(t.Context(), roundAt(p, firstStage), 10))
	for i, x := range l.Texts { // the later the text, the earlier its poll
		record(t, s, SendOutcome{TextID: x.ID, State: Accepted, ProviderID: "SM" + string(rune('0'+i)), NextPollAt: firstStage.Add(time.Duration(10-i) * time.Minute)})
	}
	ids := func(now time.Time, n int) (all []int64) {
		for _, o := range must(s.OpenTexts(t.Context(), now, n)) {
			all = append(all, o.ID)
		}
		return all
	}
	if diff := cmp.Diff([]int64{4, 3}, ids(firstStage.Add(8*time.Minute), 9)); diff != "" {
		t.Errorf("due after 8 minutes (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]int64{4, 3, 2}, ids(firstStage.Add(time.Hour), 3)); diff != "" {
		t.Errorf("the first 3 (-want +got):\n%s", diff)
	}
	receive(t, s, Receipt{TextID: 4, State: Delivered})                                       // no more
	receive(t, s, Receipt{TextID: 3, State: Sent, NextPollAt: firstStage.Add(5 * time.Hour)}) // later
	receive(t, s, Receipt{TextID: 2, NextPollAt: firstStage.Add(2 * time.Minute)})            // no answer
	if diff := cmp.Diff([]int64{2, 1}, ids(firstStage.Add(time.Hour), 9)); diff != "" {
		t.Errorf("after three receipts (-want +got):\n%s", diff)
	}
	if o := must(s.OpenTexts(t.Context(), firstStage.Add(time.Hour), 1))[0]; o.Polls != 1 || o.State != Accepted || !o.AcceptedAt.Equal(firstStage) {
		t.Errorf("got %+v", o)
	}
}

// One faulty row must not keep all others from being asked about.
func TestATextWithoutAnIDDoesNotBlockTheOthers(t *testing.T) {
	s, _, x := intended(t)
	receive(t, s, Receipt{TextID: x.ID, State: Sent, NextPollAt: firstStage}) // it is still being handed over
	if _, err := s.OpenTexts(t.Context(), firstStage, 10); err != nil {
		t.Error(err)
	}
}

func TestAFailureAfterAcceptance(t *testing.T) {
	retry := firstStage.Add(time.Hour)
	for _, tt := range []struct {
		name     string
		r        Receipt
		tries    int // before
		reminder string
		next     time.Time
		after    int // tries
	}{
		{"for good", Receipt{State: Undelivered, Code: 30007}, 0, "3 days before, texted, on_schedule", due.At(9*60, nairobi), 0},
		{"for now", Receipt{State: Undelivered, Code: 30003, RetryAt: retry, MaxRedeliveries: 3}, 0, "3 days before, held, not_delivered", retry, 1},
		{"for now, the third time", Receipt{State: Failed, Code: 30003, RetryAt: retry, MaxRedeliveries: 3}, 2, "3 days before, held, not_delivered", retry, 3},
		{"for now, once too often", Receipt{State: Undelivered, Code: 30003, RetryAt: retry, MaxRedeliveries: 3}, 3, "3 days before, texted, on_schedule", due.At(9*60, nairobi), 3},
		{"when it is no longer useful", Receipt{State: Undelivered, RetryAt: due.At(18*60, nairobi), MaxRedeliveries: 3}, 0, "3 days before, texted, on_schedule", due.At(9*60, nairobi), 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, p, x := accepted(t)
			change(t, s, "UPDATE reminders SET tries = ?1", tt.tries)
			tt.r.TextID = x.ID
			for range 3 { // said three times, it counts once
				receive(t, s, tt.r)
			}
			wantRecorded(t, s, 1, tt.reminder)
			if got := dueAt(t, s, dueRemind, 1); !got.Equal(tt.next) {
				t.Errorf("next evaluation at %s, want %s", got, tt.next)
			}
			if got := must(s.Reminders(t.Context(), 1))[0].Tries; got != tt.after {
				t.Errorf("%d tries, want %d", got, tt.after)
			}
			if tt.next.Equal(retry) {
				recordCheck(t, s, p, retry, CheckResult{BillID: 1, Answer: answer(retry, "2315.50", due)})
				text(t, s, p, retry)
			}
		})
	}
	t.Run("suppresses the phone", func(t *testing.T) {
		s, _, x := accepted(t)
		receive(t, s, Receipt{TextID: x.ID, State: Undelivered, Code: 30005, OptOut: reminder.BadNumber})
		if got := word(t, s, "SELECT phone || ' ' || reason FROM opt_outs"); got != phone(1).E164()+" bad_number" {
			t.Errorf("opted out for %q", got)
		}
	})
}

// A text of two bills could not be delivered in the last minutes of one of
// them: the other has days left, and is texted about once more.
func TestAnUndeliveredBundleIsUsefulForTheOther(t *testing.T) {
	s, p := openNew(t), bundling()
	ready(t, s, p, ofOnePhone(2)...)
	day := due.At(9*60, nairobi)
	must(s.RecordChecks(policiesOf(p), day, CheckResult{BillID: 1, Answer: answer(day, "9", due)}, CheckResult{BillID: 2, Answer: answer(day, "9", due.AddDays(3))}))
	x := text(t, s, p, day)
	if len(x.Parts) != 2 {
		t.Fatalf("not one text for both: %v", accounts(x))
	}
	mustDo(t, s.RecordOutcome(day, SendOutcome{TextID: x.ID, State: Accepted, ProviderID: "SM1"}))
	late := day.Add(8*time.Hour + 45*time.Minute)
	must(s.RecordReceipts(late, []Receipt{{TextID: x.ID, State: Undelivered, Why: reminder.NotDelivered, RetryAt: late.Add(30 * time.Minute), MaxRedeliveries: 3}}))
	must(s.DecideDue(t.Context(), roundAt(p, late.Add(30*time.Minute)), 10))
	const latest = "SELECT outcome || ' ' || reason FROM reminders WHERE bill_id = ?1 ORDER BY stage DESC LIMIT 1"
	for bill, want := range map[int64]string{1: "skipped expired", 2: "held outside_window"} {
		var got string
		if err := s.read(t.Context()).Row(latest, bill).Scan(&got); err != nil || got != want {
			t.Errorf("bill %d: %q %v, want %q", bill, got, err, want)
		}
	}
}

// acceptedTexts gives a store with texts that the provider took, to a phone each.
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
	refuse(t, s, "UPDATE OF state", "texts", "NEW.id = "+word(t, s, "SELECT CAST(min(id) AS TEXT) FROM texts"))
	receipts := make([]Receipt, 0, len(texts))
	for _, x := range texts {
		receipts = append(receipts, Receipt{TextID: x.ID, State: Delivered})
	}
	moved, err := s.RecordReceipts(firstStage, receipts)
	if err == nil {
		t.Error("no error names the one that cannot be written")
	}
	if len(moved) != len(texts)-1 {
		t.Errorf("%d receipts were written, want all but one of %d", len(moved), len(texts))
	}
	if got := number(t, s, "SELECT count(*) FROM texts WHERE state = 'delivered'"); got != int64(len(texts)-1) {
		t.Errorf("%d texts are delivered", got)
	}
}
