package store

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"duewatch/reminder"
)

// recorded lists the reminders of a bill as "stage outcome reason".
func recorded(t *testing.T, s *Store, billID int64) (all []string) {
	t.Helper()
	for _, r := range must(s.Reminders(t.Context(), billID)) {
		all = append(all, strings.Join([]string{r.Stage.String(), string(r.Outcome), string(r.Reason)}, ", "))
	}
	return all
}

func wantRecorded(t *testing.T, s *Store, billID int64, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, recorded(t, s, billID)); diff != "" {
		t.Errorf("reminders of bill %d (-want +got):\n%s", billID, diff)
	}
}

func TestAnIntentIsOnDiskBeforeItIsHandedOut(t *testing.T) {
	s, p := openNew(t), newPolicy()
	b := ready(t, s, p, billOf(1))[0]
	x := text(t, s, p, firstStage)
	owed := reminder.MustMoney("2315.50")
	want := Text{
		ID: 1, To: phone(1), Body: x.Body, Language: "en", Segments: 1, Decided: firstStage, NotAfter: due.At(p.Window.To, nairobi),
		Parts: []Part{{BillID: b.ID, Service: "water", Account: b.Account, Stage: -3, DueDate: due, Reason: reminder.OnSchedule, Planned: firstStage,
			Balance: &owed, BalanceAt: firstStage, WithAmount: true, Verified: new(true)}},
	}
	if diff := cmp.Diff(want, x, cmpTimes); diff != "" {
		t.Errorf("text (-want +got):\n%s", diff)
	}
	if !strings.Contains(x.Body, "KES 2,315.50") || !strings.Contains(x.Body, "in 3 days") {
		t.Errorf("body %q", x.Body)
	}
	other := must(OpenReader(t.Context(), pathOf(t, s)))
	defer other.Close() //nolint:errcheck // only read from
	n := number(t, other, `SELECT count(*) FROM texts x JOIN reminders r ON r.text_id = x.id JOIN events e ON e.text_id = x.id AND e.what = 'texted'
		WHERE x.id = 1 AND x.state = 'sending' AND x.owner = 'test' AND x.body = ?1 AND x.phone = ?2 AND x.created_at = ?3 AND x.lease_until = ?4`,
		x.Body, phone(1).E164(), firstStage.UnixMilli(), firstStage.Add(claimed.Lease).UnixMilli())
	if n != 1 {
		t.Error("another connection does not see the text, its reminder and its event")
	}
	wantRecorded(t, s, 1, "3 days before, texted, on_schedule")
	if got, want := dueAt(t, s, dueRemind, 1), due.At(p.SendAt, nairobi); !got.Equal(want) {
		t.Errorf("the next evaluation is at %s, want the next stage, %s", got, want)
	}
}

func TestATickRunAThousandTimesTextsOnce(t *testing.T) {
	s, p := openNew(t), newPolicy()
	ready(t, s, p, billsOf(3)...)
	for i, want := range []int{3, 0} {
		if got := len(must(s.DecideDue(t.Context(), roundAt(p, firstStage), 10)).Texts); got != want {
			t.Errorf("round %d: %d texts, want %d", i, got, want)
		}
	}
	quiet(t, s, func() {
		for range 1000 {
			must(s.DecideDue(t.Context(), roundAt(p, firstStage), 10))
		}
	})
	// Not even when the bill is put into the queue again.
	for range 100 {
		change(t, s, "UPDATE due_remind SET at = 0")
		l := must(s.DecideDue(t.Context(), roundAt(p, firstStage.Add(time.Hour)), 10))
		if l.Bills != 3 || len(l.Texts)+len(l.Ask)+len(l.Records) != 0 {
			t.Fatalf("decided again: %+v", l)
		}
	}
	if texts, events := number(t, s, "SELECT count(*) FROM texts"), number(t, s, "SELECT count(*) FROM events WHERE what = 'texted'"); texts != 3 || events != 3 {
		t.Errorf("%d texts and %d events, want 3 of each", texts, events)
	}
}

func TestConcurrentRoundsTextOnce(t *testing.T) {
	s, p := openNew(t), newPolicy()
	ready(t, s, p, billsOf(60)...)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 20 {
				if _, err := s.DecideDue(t.Context(), roundAt(p, firstStage), 5); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	if got := number(t, s, "SELECT count(*) FROM texts"); got != 60 {
		t.Errorf("%d texts for 60 bills", got)
	}
	if got := number(t, s, "SELECT count(DISTINCT text_id) FROM reminders WHERE outcome = 'texted'"); got != 60 {
		t.Errorf("%d reminders are texted", got)
	}
}

// Even if a decision overlooked the opt-out, its text could not be written.
func TestNoTextToAnOptedOutPhoneCanBeWritten(t *testing.T) {
	for name, o := range map[string]OptOut{
		"of everything":  {Phone: phone(1), Reason: reminder.OptedOut},
		"of the service": {Phone: phone(1), Service: "water", Reason: reminder.OptedOut},
		"a bad number":   {Phone: phone(1), Reason: reminder.BadNumber},
	} {
		s, p := openNew(t), newPolicy()
		b := ready(t, s, p, billOf(1))[0]
		o.Since, o.Source = firstStage, "operator"
		must(s.AddOptOuts(o))
		err := s.do(func(x *tx) error {
			// Alone, and in a text about another one too; the first try gives the phone its number, 1.
			for phoneID, services := range [][]string{{b.Service}, {"power", b.Service}} {
				var items []reminder.BundleItem
				for _, b.Service = range services {
					items = append(items, reminder.BundleItem{Case: &reminder.Case{Bill: b}, Decision: reminder.Decision{Text: &reminder.TextOrder{}}})
				}
				_, err := (&decider{tx: x, Round: roundAt(p, firstStage)}).writeIntents([]decision{{phoneID: int64(phoneID), bundle: reminder.Bundle{Items: items, Text: &reminder.BundledText{Draft: reminder.Draft{Body: "Pay", Language: "en"}, To: phone(1)}}}})
				if !errors.Is(err, errNotSendable) {
					return fmt.Errorf("written: %w", err)
				}
			}
			return errNotSendable
		})
		if !errors.Is(err, errNotSendable) || number(t, s, "SELECT count(*) FROM texts") != 0 {
			t.Errorf("%s: a text was written, or err %v", name, err)
		}
	}
}

// Two services with one account number, and words that name neither: a text in
// doubt could be taken for the other. They leave on two days, and read
// differently then.
func TestNoTwoTextsOfOnePhoneHaveTheSameWords(t *testing.T) {
	s, p := openNew(t), newPolicy()
	p.PerNumberDaily = 5
	one, other := billOf(1), billOf(1)
	other.Service = "power"
	bills := ready(t, s, p, one, other)
	first := text(t, s, p, firstStage)
	wantRecorded(t, s, bills[0].ID, "3 days before, texted, on_schedule")
	wantRecorded(t, s, bills[1].ID, "3 days before, held, same_words")
	tomorrow := firstStage.AddDate(0, 0, 1)
	if got := dueAt(t, s, dueRemind, bills[1].ID); !got.Equal(tomorrow) {
		t.Errorf("the next evaluation is at %s, want %s", got, tomorrow)
	}
	must(s.RecordChecks(policiesOf(p), tomorrow, CheckResult{BillID: bills[1].ID, Answer: answer(tomorrow, "2315.50", due)}))
	second := text(t, s, p, tomorrow)
	if second.Parts[0].BillID != bills[1].ID || second.Body == first.Body {
		t.Errorf("bill %d was texted %q after %q", second.Parts[0].BillID, second.Body, first.Body)
	}
}

// What failed may be said again: it is how a text is tried again.
func TestTheWordsOfATextThatFailedMayBeRepeated(t *testing.T) {
	for _, state := range []TextState{Sending, Unknown, Accepted, Unconfirmed, Refused, NotFound, Failed, Undelivered, Canceled} {
		s, p := openNew(t), newPolicy()
		p.PerNumberDaily = 5
		one, other := billOf(1), billOf(1)
		other.Service = "power"
		bills := ready(t, s, p, one, other)
		first := text(t, s, p, firstStage)
		change(t, s, "UPDATE texts SET state = ?1, provider_id = 'SM1' WHERE id = ?2", state, first.ID)
		change(t, s, "UPDATE due_remind SET at = 0 WHERE bill_id = ?1", bills[1].ID)
		want := 0
		if nothing := []TextState{Refused, NotFound, Failed, Undelivered, Canceled}; slices.Contains(nothing, state) {
			want = 1
		}
		if got := len(must(s.DecideDue(t.Context(), roundAt(p, firstStage), 10)).Texts); got != want {
			t.Errorf("%d texts of the same words after one that is %s, want %d", got, state, want)
		}
	}
}

func TestTheDatabaseRefusesASecondText(t *testing.T) {
	s, p := openNew(t), newPolicy()
	b := ready(t, s, p, billOf(1))[0]
	text(t, s, p, firstStage)
	err := s.do(func(x *tx) error {
		again := reminder.BundleOfOne(reminder.BundleItem{Case: &reminder.Case{Bill: b}, Decision: reminder.Decision{Text: &reminder.TextOrder{
			Draft: reminder.Draft{Body: "again", Language: "en"}, Stage: -3, To: phone(1), Planned: firstStage, NotAfter: firstStage}}})
		second, err := (&decider{tx: x, Round: roundAt(p, firstStage)}).writeIntents([]decision{{phoneID: 1, bundle: again}})
		if err != nil {
			return err
		}
		return x.writeRecords([]stageRecord{{&b, b.DueDate.String(), reminder.StageDecision{Stage: -3, Outcome: reminder.Texted, Reason: reminder.OnSchedule}, second[0].ID}}, firstStage)
	})
	if !errors.Is(err, errSettledStage) {
		t.Errorf("got %v", err)
	}
	if got := number(t, s, "SELECT count(*) FROM texts"); got != 1 {
		t.Errorf("%d texts", got)
	}
	for name, statement := range map[string]string{
		"a second reminder of a stage":   "INSERT INTO reminders (bill_id, due_date, stage, outcome, reason, decided_at) SELECT bill_id, due_date, stage, 'held', 'x', 0 FROM reminders",
		"texted without a text":          "UPDATE reminders SET text_id = NULL",
		"a text that is not there":       "UPDATE reminders SET text_id = 99",
		"an unknown state":               "UPDATE texts SET state = 'lost'",
		"accepted without an id":         "UPDATE texts SET state = 'accepted'",
		"a text taken from its reminder": "DELETE FROM texts",
		"an unknown bill":                "INSERT INTO due_remind (bill_id, at) VALUES (99, 1)",
		"an empty reason":                "UPDATE reminders SET reason = ''",
		"an unknown outcome":             "UPDATE reminders SET outcome = 'lost', text_id = NULL",
	} {
		if err := tryChange(s, statement); err == nil {
			t.Errorf("the database takes %s", name)
		}
	}
}

func TestDecideSeesWhatWasRecordedAMomentBefore(t *testing.T) {
	t.Run("opt-out", func(t *testing.T) {
		s, p := openNew(t), newPolicy()
		ready(t, s, p, billOf(1))
		mustDo(t, s.do(func(x *tx) error { // as two writes of one commit
			_, err := x.Exec("INSERT INTO opt_outs (phone, service, reason, since, source, who) VALUES (?1, '', 'opted_out', 0, 'provider', 'x')", phone(1).E164())
			if err != nil {
				return err
			}
			d := &decider{tx: x, Round: roundAt(p, firstStage)}
			if err := d.readWhatHoldsForAll(); err != nil {
				return err
			}
			return d.decide([]int64{1})
		}))
		wantRecorded(t, s, 1, "3 days before, skipped, opted_out")
	})
	t.Run("opt-out while Almara Pay was asked", func(t *testing.T) {
		s, p := openNew(t), newPolicy()
		watch(t, s, p, billOf(1))
		if l := must(s.DecideDue(t.Context(), roundAt(p, firstStage), 1)); len(l.Ask) != 1 {
			t.Fatalf("it is not asked about: %+v", l)
		}
		must(s.AddOptOuts(OptOut{Phone: phone(1), Service: "water", Reason: reminder.OptedOut, Since: firstStage, Source: "operator", Who: "x"}))
		l := must(s.DecideAnswered(roundAt(p, firstStage), []CheckResult{{BillID: 1, Answer: answer(firstStage, "9", due)}}))
		if len(l.Texts) != 0 {
			t.Error("it was texted")
		}
		wantRecorded(t, s, 1, "3 days before, skipped, opted_out")
	})
	t.Run("opt-out of another service", func(t *testing.T) {
		s, p := openNew(t), newPolicy()
		ready(t, s, p, billOf(1))
		must(s.AddOptOuts(OptOut{Phone: phone(1), Service: "rent", Reason: reminder.OptedOut, Since: firstStage, Source: "operator", Who: "x"}))
		text(t, s, p, firstStage)
	})
	t.Run("an opt-out outweighs a bad number", func(t *testing.T) {
		s, p := openNew(t), newPolicy()
		ready(t, s, p, billOf(1))
		must(s.AddOptOuts(OptOut{Phone: phone(1), Service: "", Reason: reminder.BadNumber, Since: firstStage, Source: "provider", Who: "x"},
			OptOut{Phone: phone(1), Service: "water", Reason: reminder.OptedOut, Since: firstStage, Source: "operator", Who: "x"}))
		must(s.DecideDue(t.Context(), roundAt(p, firstStage), 1))
		wantRecorded(t, s, 1, "3 days before, skipped, opted_out")
	})
}

func TestTwoBillsOfOnePhoneInOneRound(t *testing.T) {
	s, p := openNew(t), newPolicy()
	p.PerNumberDaily = 2
	bills := billsOf(4)
	for i := range bills {
		bills[i].Phone = phone(7)
	}
	ready(t, s, p, bills...)
	l := must(s.DecideDue(t.Context(), roundAt(p, firstStage), 10))
	if len(l.Texts) != 2 {
		t.Errorf("%d texts to one phone, 2 allowed", len(l.Texts))
	}
	if got := number(t, s, "SELECT count(*) FROM reminders WHERE outcome = 'held' AND reason = 'daily_cap'"); got != 2 {
		t.Errorf("%d reminders are held for the cap, want 2", got)
	}
	// The day after, at the start of the window, the others have their turn.
	tomorrow := firstStage.AddDate(0, 0, 1)
	for i := range 4 {
		recordCheck(t, s, p, tomorrow, CheckResult{BillID: int64(i + 1), Answer: answer(tomorrow, "2315.50", due)})
	}
	if l := must(s.DecideDue(t.Context(), roundAt(p, tomorrow), 10)); len(l.Texts) != 2 {
		t.Errorf("%d texts the day after, want 2", len(l.Texts))
	}
	if l := must(s.DecideDue(t.Context(), roundAt(p, tomorrow), 10)); len(l.Texts) != 0 {
		t.Errorf("%d more texts", len(l.Texts))
	}
}

// The day of the cap begins at midnight where the customer lives.
func TestTheDailyCapCountsTheLocalDay(t *testing.T) {
	for _, tt := range []struct {
		name  string
		sent  time.Time
		state string
		want  int
	}{
		{"yesterday, a minute before midnight", firstStage.Add(-9*time.Hour - time.Minute), "delivered", 1},
		{"today at midnight", firstStage.Add(-9 * time.Hour), "delivered", 0},
		{"in doubt", firstStage.Add(-time.Hour), "unknown", 0},
		{"being handed over", firstStage.Add(-time.Hour), "sending", 0},
		{"refused", firstStage.Add(-time.Hour), "refused", 1},
		{"not found", firstStage.Add(-time.Hour), "not_found", 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, p := openNew(t), newPolicy()
			ready(t, s, p, billOf(1))
			change(t, s, "INSERT INTO phones (phone_id, number) VALUES (7, ?1)", phone(1).E164())
			change(t, s, `INSERT INTO texts (phone, phone_id, sent_to, body, language, segments, state, owner, lease_until, planned_at, not_after, created_at, provider_id)
				VALUES (?1, 7, ?1, 'x', 'en', 1, ?2, 'x', 0, 0, 0, ?3, 'SM1')`, phone(1).E164(), tt.state, tt.sent.UnixMilli())
			if l := must(s.DecideDue(t.Context(), roundAt(p, firstStage), 1)); len(l.Texts) != tt.want {
				t.Errorf("%d texts, want %d", len(l.Texts), tt.want)
			}
		})
	}
}

// What a phone was texted today counts, whosever bill it was about.
func TestTheDailyCapIsThePhones(t *testing.T) {
	s, p := openNew(t), newPolicy()
	p.PerNumberDaily = 1
	one, two := billOf(1), billOf(2)
	ready(t, s, p, one, two)
	if l := must(s.DecideDue(t.Context(), roundAt(p, firstStage), 1)); len(l.Texts) != 1 {
		t.Fatalf("%d texts", len(l.Texts))
	}
	one.Phone, two.Phone = phone(3), one.Phone
	declare(t, s, "config", Declared{Changed: 2}, one, two)
	l := must(s.DecideDue(t.Context(), roundAt(p, firstStage), 10))
	if len(l.Texts) != 0 || len(l.Records) != 1 || l.Records[0].Reason != reminder.PhoneDailyCap {
		t.Errorf("a second text of the day: %+v", l)
	}
}

func TestAskingKeepsTheClaim(t *testing.T) {
	s, p := openNew(t), newPolicy()
	watch(t, s, p, billOf(1))
	l := must(s.DecideDue(t.Context(), roundAt(p, firstStage), 1))
	if len(l.Ask) != 1 || l.Bills != 1 || len(l.Records)+len(l.Texts) != 0 {
		t.Fatalf("got %+v", l)
	}
	quiet(t, s, func() {
		if l := must(s.DecideDue(t.Context(), roundAt(p, firstStage.Add(9*time.Minute)), 1)); l.Bills != 0 {
			t.Error("another worker got it within the lease")
		}
	})
	if got := recorded(t, s, 1); len(got) != 0 {
		t.Errorf("recorded %v before the answer", got)
	}
	if l := must(s.DecideDue(t.Context(), roundAt(p, firstStage.Add(10*time.Minute)), 1)); len(l.Ask) != 1 {
		t.Error("it does not come back when the lease ends")
	}
	l = must(s.DecideAnswered(roundAt(p, firstStage.Add(10*time.Minute)), []CheckResult{{BillID: 1, Answer: answer(firstStage.Add(10*time.Minute), "8", due)}}))
	if len(l.Texts) != 1 || !strings.Contains(l.Texts[0].Body, "KES 8.00") {
		t.Errorf("after the answer: %+v", l)
	}
}

func TestDecideAnswered(t *testing.T) {
	for _, tt := range []struct {
		name   string
		result CheckResult
		before func(*testing.T, *Store)
		want   []string
	}{
		{"paid meanwhile", CheckResult{BillID: 1, Answer: answer(firstStage, "0", due)}, nil, []string{"3 days before, skipped, paid"}},
		{"due date moved meanwhile", CheckResult{BillID: 1, Answer: answer(firstStage, "5", due.AddDays(9))}, nil, nil},
		{"rejected", CheckResult{BillID: 1, Rejected: "closed"}, nil, nil},
		{"failed", CheckResult{BillID: 1, Failed: "503"}, nil, []string{"3 days before, held, balance_stale"}},
		{"not asked", CheckResult{BillID: 1}, nil, []string{"3 days before, held, balance_stale"}},
		{"removed meanwhile", CheckResult{BillID: 1, Answer: answer(firstStage, "5", due)}, func(_ *testing.T, s *Store) {
			must(s.Declare("config", nil, firstStage))
		}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, p := openNew(t), newPolicy()
			watch(t, s, p, billOf(1))
			must(s.DecideDue(t.Context(), roundAt(p, firstStage), 1))
			if tt.before != nil {
				tt.before(t, s)
			}
			l := must(s.DecideAnswered(roundAt(p, firstStage), []CheckResult{tt.result}))
			if len(l.Texts) != 0 || len(l.Ask) != 0 {
				t.Errorf("got %+v", l)
			}
			wantRecorded(t, s, 1, tt.want...)
			if got := number(t, s, "SELECT count(*) FROM due_remind WHERE owner IS NOT NULL"); got != 0 {
				t.Error("it is still claimed")
			}
		})
	}
}

func TestHeldAndSupersededAreRecordedOnChangeOnly(t *testing.T) {
	s, p := openNew(t), newPolicy()
	watch(t, s, p, billOf(1))
	evaluate := func(now time.Time) (noted int) {
		t.Helper()
		change(t, s, "UPDATE due_remind SET at = 0")
		l := must(s.DecideDue(t.Context(), roundAt(p, now), 1))
		noted = len(l.Records)
		if len(l.Ask) == 1 {
			noted += len(must(s.DecideAnswered(roundAt(p, now), []CheckResult{{BillID: 1, Failed: "503"}})).Records)
		}
		return noted
	}
	for i := range 20 {
		want := 0
		if i == 0 {
			want = 1
		}
		if got := evaluate(firstStage.Add(time.Duration(i) * time.Minute)); got != want {
			t.Errorf("evaluation %d noted %d records, want %d", i, got, want)
		}
	}
	evening := firstStage.Add(10 * time.Hour)
	for i, want := range []int{1, 0} {
		if got := evaluate(evening); got != want { // held for another reason
			t.Errorf("evaluation %d in the evening noted %d records, want %d", i, got, want)
		}
	}
	for i, want := range []int{2, 0} { // the due day: the first stage is superseded, the second held
		if got := evaluate(due.At(p.SendAt, nairobi)); got != want {
			t.Errorf("evaluation %d on the due day noted %d records, want %d", i, got, want)
		}
	}
	wantRecorded(t, s, 1, "3 days before, skipped, superseded", "due day, held, balance_stale")
	var trail []string
	for _, e := range must(s.Events(t.Context(), 1)) {
		if e.What == "held" || e.What == "skipped" {
			trail = append(trail, e.What+" "+e.Reason)
		}
	}
	if diff := cmp.Diff([]string{"held balance_stale", "held outside_window", "skipped superseded", "held balance_stale"}, trail); diff != "" {
		t.Errorf("trail (-want +got):\n%s", diff)
	}
}

func TestRedirectKeepsTheCustomersPhoneOnTheText(t *testing.T) {
	s, p := openNew(t), newPolicy()
	ready(t, s, p, billOf(1))
	r := roundAt(p, firstStage)
	r.Delivery = reminder.Delivery{Mode: reminder.ModeRedirect, RedirectTo: phone(99)}
	l := must(s.DecideDue(t.Context(), r, 1))
	if len(l.Texts) != 1 || l.Texts[0].To != phone(99) {
		t.Fatalf("got %+v", l.Texts)
	}
	if got := word(t, s, "SELECT phone || ' ' || sent_to FROM texts"); got != phone(1).E164()+" "+phone(99).E164() {
		t.Errorf("stored %s", got)
	}
}
