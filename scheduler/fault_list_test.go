package scheduler

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"duewatch/notifier"
	"duewatch/reminder"
	"duewatch/sandbox"
	"duewatch/store"
)

// sentBy puts a message into the provider's list that is no text of this store, as
// another program on the account would.
func (w *world) sentBy(to reminder.Phone, body string) {
	w.t.Helper()
	w.others = append(w.others, body)
	if r := w.Notifier.Send(w.ctx, notifier.Message{To: to, Body: body, Validity: time.Hour}); r.Err != nil {
		w.t.Fatal(r.Err)
	}
}

// bodyOf are the words of the first text of a bill.
func (w *world) bodyOf(account string) string {
	w.t.Helper()
	texts, err := w.Store.Texts(w.ctx, w.bill(account).ID)
	if err != nil || len(texts) == 0 {
		w.t.Fatalf("texts of %s: %d, %v", account, len(texts), err)
	}
	return texts[0].Body
}

// A text in doubt, and what the provider's list shows of its phone: what cannot be
// told to be somebody else's is no proof that the text was not sent.
func TestNoEvidenceIsNoProofThatATextWasNotSent(t *testing.T) {
	t.Parallel()
	const otp = "Your code is 731955. Do not share it with anybody."
	for name, c := range map[string]struct {
		arrives bool // the provider takes our text
		hides   sandbox.FaultKind
		others  func(w *world, body string)
		posted  int64
		states  string
		story   string
	}{
		"nothing there":                          {false, "", nil, 2, "not_found delivered", "texted, on_schedule"},
		"ours":                                   {true, "", nil, 1, "delivered", "texted, on_schedule"},
		"ours, without words":                    {true, sandbox.Redact, nil, 1, "not_found", "held, in_doubt"},
		"ours, to a phone that is hidden":        {true, sandbox.Mask, nil, 1, "delivered", "texted, on_schedule"},
		"nothing, where words are taken out":     {false, sandbox.Redact, nil, 2, "not_found delivered", "texted, on_schedule"},
		"a one-time password":                    {false, "", func(w *world, _ string) { w.sentBy(phone(1), otp) }, 3, "not_found delivered", "texted, on_schedule"},
		"one to a phone that is hidden":          {false, sandbox.Mask, func(w *world, _ string) { w.sentBy(phone(1), otp) }, 3, "not_found delivered", "texted, on_schedule"},
		"a one-time password, without words":     {false, sandbox.Redact, func(w *world, _ string) { w.sentBy(phone(1), otp) }, 2, "not_found", "held, in_doubt"},
		"ours, with words before it":             {false, "", func(w *world, body string) { w.sentBy(phone(1), "Sent from a trial account - "+body) }, 2, "not_found", "held, in_doubt"},
		"the account, in other words":            {false, "", func(w *world, _ string) { w.sentBy(phone(1), "Pay bill A1 today.") }, 2, "not_found", "held, in_doubt"},
		"another account":                        {false, "", func(w *world, _ string) { w.sentBy(phone(1), "Pay bill A12 today.") }, 3, "not_found delivered", "texted, on_schedule"},
		"a one-time password of another's phone": {false, sandbox.Redact, func(w *world, _ string) { w.sentBy(phone(2), otp) }, 3, "not_found delivered", "texted, on_schedule"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, func(w *world) { w.resend = true })
			w.forgotten = true
			w.watch("A1", "2026-03-12", phone(1))
			w.at("2026-03-09 09:00")
			w.faults(sandbox.Fault{Where: sandbox.Send, What: sandbox.Drop, After: c.arrives, Times: 1})
			w.tick()
			w.wantStates("A1", "unknown")
			if c.hides != "" {
				w.faults(sandbox.Fault{Where: sandbox.List, What: c.hides})
			}
			if c.others != nil {
				w.clock.pass(time.Second)
				c.others(w, w.bodyOf("A1"))
			}
			w.ticks(2*time.Hour, time.Minute)
			if n := w.posted.Load(); n != c.posted {
				t.Errorf("%d texts were posted, with those of others, want %d", n, c.posted)
			}
			w.wantStates("A1", c.states)
			w.wantStory("A1", "3 days before: "+c.story)
		})
	}
}

// What was in the list before the text was tried is not the text, but for an hour by
// which the provider's clock may be behind.
func TestAMessageFromBeforeTheAttemptIsNotTakenForATextInDoubt(t *testing.T) {
	t.Parallel()
	for before, states := range map[time.Duration]string{
		35 * time.Hour: "not_found delivered",
		reminder.ProviderClockBehind + time.Minute:   "not_found delivered",
		reminder.ProviderClockBehind - 5*time.Minute: "not_found",
	} {
		w := newWorld(t, func(w *world) { w.resend = true })
		w.forgotten = true
		w.watch("A1", "2026-03-12", phone(1))
		w.at("2026-03-09 09:00")
		w.clock.pass(-before)
		w.sentBy(phone(1), "Your code is 731955.")
		w.clock.pass(before)
		w.faults(sandbox.Fault{Where: sandbox.Send, What: sandbox.Drop, Times: 1})
		w.tick()
		w.faults(sandbox.Fault{Where: sandbox.List, What: sandbox.Redact})
		w.ticks(time.Hour, time.Minute)
		w.wantStates("A1", states)
		if t.Failed() {
			t.Fatalf("with a message %s before the text", before)
		}
	}
}

// The list has a message that another text of the phone has: it is no reason to
// hold this one.
func TestAKnownMessageWithoutWordsIsNotTakenForATextInDoubt(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(w *world) { w.resend, w.policy.PerNumberDaily = true, 5 })
	w.watch("A1", "2026-03-12", phone(1))
	w.watch("A2", "2026-03-12", phone(1))
	w.at("2026-03-09 09:00")
	w.faults(sandbox.Fault{Where: sandbox.Send, What: sandbox.Drop, Match: "A2", Times: 1}, sandbox.Fault{Where: sandbox.List, What: sandbox.Redact})
	w.tick()
	w.ticks(time.Hour, time.Minute)
	w.wantStates("A2", "not_found delivered")
}

// However few delays the config names, two lists are read before a text is sent
// once more.
func TestTwoListsAreReadBeforeATextIsSentOnceMore(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(w *world) { w.resend = true })
	w.ReconcileAfter = []time.Duration{2 * time.Minute}
	w.watch("A1", "2026-03-12", phone(1))
	w.at("2026-03-09 09:00")
	w.faults(sandbox.Fault{Where: sandbox.Send, What: sandbox.Drop, Times: 1})
	w.tick()
	before := w.sandbox.Calls()[sandbox.List]
	for w.posted.Load() < 2 && w.clock.now().Before(time.Date(2026, 3, 9, 12, 0, 0, 0, zone)) {
		w.ticks(time.Minute, time.Minute)
	}
	if n := w.sandbox.Calls()[sandbox.List] - before; n < 2 {
		t.Errorf("the list was read %d times before the text was sent once more", n)
	}
}

// One phone whose list gets no answer is put off by itself.
func TestOneLookUpWithoutAnswerHoldsUpNoOther(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]sandbox.Fault{
		"500":       {What: sandbox.Status, Status: 500},
		"a 403":     {What: sandbox.HTML, Status: 403},
		"a page":    {What: sandbox.HTML, Status: 200},
		"truncated": {What: sandbox.Truncate},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, func(w *world) { w.senders, w.resend = 1, true })
			const bills = 12
			for i := range bills {
				w.watch(fmt.Sprintf("A%02d", i), "2026-03-12", phone(i))
			}
			w.at("2026-03-09 09:00")
			fault.Where, fault.Match = sandbox.List, "To="+phone(0).E164()
			w.faults(fault, sandbox.Fault{Where: sandbox.Send, What: sandbox.Drop, After: true, Times: bills})
			w.tick()
			w.ticks(DoubtTooLong(w.ReconcileAfter)+time.Minute, time.Minute)
			for i := range bills {
				account, want := fmt.Sprintf("A%02d", i), "delivered"
				if i == 0 {
					want = "unknown"
				}
				w.wantStates(account, want)
			}
			long, err := w.Store.LongInDoubt(w.ctx, w.Now().Add(-DoubtTooLong(w.ReconcileAfter)))
			if err != nil || long.Texts != 1 || long.Account != "A00" {
				t.Errorf("the operator is shown %+v, %v", long, err)
			}
			if n := w.posted.Load(); n != bills {
				t.Errorf("%d texts were posted", n)
			}
			w.sandbox.ClearFaults()
			w.ticks(time.Hour, time.Minute)
			w.wantStates("A00", "delivered")
		})
	}
}

// While the list is down as a whole, a pass asks about a few phones only, and the
// next one about others. Where all texts go to one phone, it counts bills.
func TestAListThatIsDownIsAskedAboutOtherTextsInTheNextPass(t *testing.T) {
	t.Parallel()
	for name, delivery := range map[string]reminder.Delivery{
		"live":     {Mode: reminder.ModeLive},
		"redirect": {Mode: reminder.ModeRedirect, RedirectTo: phone(99)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, func(w *world) { w.delivery = delivery })
			const bills = 9
			for i := range bills {
				w.watch(account(i), "2026-03-12", phone(i))
			}
			w.at("2026-03-09 09:00")
			w.faults(sandbox.Fault{Where: sandbox.Send, What: sandbox.Drop, After: true, Times: bills})
			w.tick()
			w.faults(sandbox.Fault{Where: sandbox.List, What: sandbox.Status, Status: 503})
			asked, phones := 0, map[string]bool{}
			w.toProvider.hooks(func(r *http.Request) error {
				if strings.HasSuffix(r.URL.Path, "/Messages.json") && r.URL.Query().Get("To") != "" {
					asked++
					phones[r.URL.Query().Get("To")] = true
				}
				return nil
			}, nil)
			w.clock.pass(2 * time.Minute)
			for pass := 1; pass <= 3; pass++ {
				w.job(jobReceipts).pass(w.ctx, w.Scheduler)
				if asked != 3*pass {
					t.Errorf("after pass %d, the list was asked %d times", pass, asked)
				}
				if delivery.Mode == reminder.ModeLive && len(phones) != asked {
					t.Errorf("after pass %d, only %d phones were asked about", pass, len(phones))
				}
				w.clock.pass(time.Second)
			}
			w.toProvider.hooks(nil, nil)
			w.sandbox.ClearFaults()
			w.ticks(time.Hour, time.Minute)
			for i := range bills {
				w.wantStates(account(i), "delivered")
			}
		})
	}
}

// The provider keeps no words: a backup of the evening before is restored, and what
// was texted since cannot be recognised. Nobody is texted twice all the same.
func TestARestoredBackupTextsNobodyAgainThoughTheListShowsNoWords(t *testing.T) {
	t.Parallel()
	for name, hides := range map[string]sandbox.FaultKind{"no words": sandbox.Redact, "no phones": sandbox.Mask} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, func(w *world) { w.resend = true })
			w.forgotten = true
			const bills = 40
			for i := range bills {
				w.watch(fmt.Sprintf("A%02d", i), "2026-03-12", phone(i))
			}
			backup := w.snapshot()
			w.at("2026-03-09 09:00")
			w.tick()
			w.at("2026-03-09 09:30")
			w.faults(sandbox.Fault{Where: sandbox.List, What: hides})
			w.restart(func(w *world) { w.path = backup })
			w.watch("B1", "2026-03-12", phone(50)) // of whom the provider knows nothing
			w.ticks(time.Hour, 10*time.Minute)
			w.wantStops(reminder.CopiedStore)
			if n := len(w.texts()); n != bills {
				t.Errorf("%d texts, want the %d of before", n, bills)
			}
			w.releaseAll(reminder.CopiedStore, 1)
			for range 3 {
				w.restart() // what was released once stops it never again
				w.ticks(30*time.Minute, 10*time.Minute)
				w.wantStops()
			}
			had := map[string]int{}
			for _, x := range w.sandbox.Texts() {
				had[accountsIn(x.Body)[0]]++
			}
			for account, n := range had {
				if n != 1 {
					t.Errorf("%s had %d texts", account, n)
				}
			}
			if len(had) != bills+1 {
				t.Errorf("%d of %d had a text", len(had), bills+1)
			}
		})
	}
}

// An account that is shared with another program, and its one-time passwords: what
// can be read, or came when no reminder was near, is no reason to stop.
func TestMessagesOfAnotherProgramAreNoReminders(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		hides sandbox.FaultKind
		to    reminder.Phone
		due   string
		stops []reminder.Reason
	}{
		"readable, to a customer":                        {"", phone(1), "2026-03-12", nil},
		"without words, to nobody's phone":               {sandbox.Redact, phone(60), "2026-03-12", nil},
		"without words, to a customer whose day is far":  {sandbox.Redact, phone(1), "2026-03-28", nil},
		"without words, to a customer on a stage's day":  {sandbox.Redact, phone(1), "2026-03-12", []reminder.Reason{reminder.CopiedStore}},
		"readable, to a hidden phone":                    {sandbox.Mask, phone(1), "2026-03-12", nil},
		"without words, after the last stage of the day": {sandbox.Redact, phone(1), "2026-03-06", nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.watch("A1", c.due, phone(1))
			w.at("2026-03-09 08:30")
			w.sentBy(c.to, "Your code is 731955.")
			if c.hides != "" {
				w.faults(sandbox.Fault{Where: sandbox.List, What: c.hides})
			}
			w.restart()
			w.forgotten = true
			w.tick()
			w.wantStops(c.stops...)
			if len(c.stops) > 0 {
				w.releaseAll(c.stops[0], 0)
				w.restart()
				w.tick()
				w.wantStops()
			}
		})
	}
}

// A text of ours whose answer was lost is in the list without its words: that is no
// copy of the store, and reconciling settles it.
func TestATextInDoubtWithoutWordsIsNoForeignMessage(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(w *world) { w.resend = true })
	w.watch("A1", "2026-03-12", phone(1))
	w.at("2026-03-09 09:00")
	w.faults(sandbox.Fault{Where: sandbox.Send, What: sandbox.Drop, After: true, Times: 1}, sandbox.Fault{Where: sandbox.List, What: sandbox.Redact})
	w.tick()
	w.restart(func(w *world) { w.resend = true })
	w.ticks(time.Hour, time.Minute)
	w.wantStops()
	w.wantStory("A1", "3 days before: held, in_doubt")
	// A second message to the phone is not its own.
	w.sentBy(phone(1), w.bodyOf("A1"))
	w.restart()
	w.tick()
	w.wantStops(reminder.CopiedStore)
	w.forgotten = true
}

// hiding shows neither words nor phones in any list.
type hiding struct{ next http.RoundTripper }

var shown = regexp.MustCompile(`"(body|to)":"[^"]*"`)

func (h hiding) RoundTrip(r *http.Request) (*http.Response, error) {
	res, err := h.next.RoundTrip(r)
	if err != nil || r.Method != http.MethodGet {
		return res, err
	}
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return nil, err
	}
	body = shown.ReplaceAll(body, []byte(`"$1":""`))
	res.Body, res.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	return res, nil
}

// Messages that show neither words nor phone may be about anybody: sending stops for
// them, once, and those of the store are known by their ids.
func TestMessagesThatShowNothingStopOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.toProvider.next = hiding{w.toProvider.next}
	w.watch("A1", "2026-03-12", phone(1))
	w.at("2026-03-09 09:00")
	w.tick()
	w.restart()
	w.tick()
	w.wantStops()
	w.sentBy(phone(2), "Your code is 731955.")
	w.restart()
	w.tick()
	w.wantStops(reminder.CopiedStore)
	w.releaseAll(reminder.CopiedStore, 0)
	w.restart()
	w.tick()
	w.wantStops()
}

// A process that ran on through a reload cannot have become a copy meanwhile, so what
// other programs sent since its start is nothing to it.
func TestAReloadDoesNotStopSendingForAPasswordOfAnotherProgram(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.forgotten = true
	w.toProvider.next = hiding{w.toProvider.next}
	w.watch("A1", "2026-03-12", phone(1))
	w.at("2026-03-09 09:00")
	w.tick()
	for n := range 3 {
		w.clock.pass(time.Hour)
		w.sentBy(phone(60+n), "Your code is 731955.")
		w.reload()
		w.tick()
		w.wantStops()
	}
	w.restart() // a new process may be a copy
	w.tick()
	w.wantStops(reminder.CopiedStore)
}

// Another account has another list, and a clock that was set between two generations may
// be that of a copy which was resumed.
func TestAReloadComparesTheListOfAnotherSenderAndByAnotherClock(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*world, *comparedBy){
		"another sender": func(w *world, _ *comparedBy) { w.sender = "account AC2" },
		"another clock":  func(_ *world, by *comparedBy) { by.sets++ },
		"nothing":        nil,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.forgotten = true
			w.toProvider.next = hiding{w.toProvider.next}
			w.watch("A1", "2026-03-12", phone(1))
			w.sentBy(phone(60), "Your code is 731955.")
			if change != nil {
				change(w, w.Comparison.done)
			}
			w.reload()
			w.tick()
			if change == nil {
				w.wantStops()
			} else {
				w.wantStops(reminder.CopiedStore)
			}
		})
	}
}

// The backup does not know of the due date that came after it, and so of no
// stage near the messages that the list shows without words.
func TestARestoredBackupWhoseDueDateComesLaterTextsNobodyAgain(t *testing.T) {
	t.Parallel()
	const bills = 12
	w := newWorld(t, func(w *world) { w.resend, w.policy.Stages = true, []reminder.Stage{-3} })
	w.forgotten = true
	for i := range bills {
		w.watch(fmt.Sprintf("A%02d", i), "2026-02-20", phone(i))
	}
	backup := w.snapshot()
	recordDueDates := func() {
		owed, due := reminder.MustMoney("1250.50"), reminder.NewDate(2026, time.March, 12)
		for i := range bills {
			account := fmt.Sprintf("A%02d", i)
			w.owes(account, "2026-03-12", "1250.50")
			answer := &reminder.Answer{At: w.clock.now(), Balance: &owed, DueDate: due}
			if _, err := w.Store.RecordChecks(w.Policies, w.clock.now(), store.CheckResult{BillID: w.bill(account).ID, Answer: answer}); err != nil {
				t.Fatal(err)
			}
		}
		w.ticks(time.Hour, 10*time.Minute)
	}
	w.at("2026-03-09 09:00")
	recordDueDates()
	if n := len(w.texts()); n != bills {
		t.Fatalf("%d texts of %d bills", n, bills)
	}
	w.faults(sandbox.Fault{Where: sandbox.List, What: sandbox.Redact})
	w.restart(func(w *world) { w.path = backup })
	w.tick() // the list is compared before the due date is known
	recordDueDates()
	w.wantStops()
	if n := len(w.texts()); n != bills {
		t.Errorf("%d texts, want the %d of before", n, bills)
	}
	w.wantStory("A00", "3 days before: skipped, sent_elsewhere")
}
