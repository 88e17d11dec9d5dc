package scheduler

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"duewatch/notifier"
	"duewatch/reminder"
	"duewatch/sandbox"
	"duewatch/store"
)

// What each status and code of the contract speaks for, through the real client:
// what its answer says at create, and what the code says later on the message.
func TestOneAnswerSpeaksForWhatItSaysAndForNoMore(t *testing.T) {
	t.Parallel()
	wall := says(403, asHTML, "<html>forbidden</html>")
	create := map[scope]map[string]http.HandlerFunc{
		forAll:                 {"401, a page": says(401, asHTML, "<html></html>"), "429, a page": says(429, asHTML, ""), "403 with 20003": refuses(403, 20003)},
		forSenderIfOthersAgree: {"403, a page": wall, "403 with a code of nobody's": refuses(403, 29999)},
		forAllIfOthersAgree:    {"400 with a code of nobody's": refuses(400, 29999)},
		forItself: {
			"400, a page": says(400, asHTML, ""), "302": says(302, asJSON, "{}"), "500": says(500, asHTML, ""), "503 with a code": refuses(503, 20003),
			"201 without a sid": says(201, asJSON, "{}"), "408": says(408, asHTML, ""),
		},
	}
	for kind, codes := range map[scope][]int{
		forAll:                 {20003, 20005, 10001, 20404, 21603, 21701, 21704, 21705, 21212, 21601, 21607, 20429, 21611, 63017, 63038},
		forSenderIfOthersAgree: {21408, 21606, 21608, 21612, 21657, 21659, 21703},
		forPhone:               {21211, 21214, 21217, 21604, 21614, 21635, 21610, 14107},
		forItself:              {21602, 21617, 21618, 21620},
	} {
		if create[kind] == nil {
			create[kind] = map[string]http.HandlerFunc{}
		}
		for _, code := range codes {
			create[kind][fmt.Sprint(code)] = refuses(400, code)
		}
	}
	w := newWorld(t, func(w *world) {
		twilio{create: func(rw http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			kind, name, _ := strings.Cut(formOf(body).Get("Body"), ": ")
			create[scope(kind)][name](rw, r)
		}}.inFront(w)
	})
	for kind, answers := range create {
		for name := range answers {
			r := w.Notifier.Send(w.ctx, notifier.Message{To: phone(1), Body: fmt.Sprintf("%s: %s", kind, name), Validity: time.Hour})
			if got := twilioScope(r); got != kind {
				t.Errorf("at create, %s (%s, %s) speaks for %s, want %s", name, r.Outcome, r.Class, got, kind)
			}
		}
	}
	for kind, codes := range map[scope][]int{
		forAll:                 {30002, 30044},
		forSenderIfOthersAgree: {30018, 30032, 30034},
		forPhone:               {30005, 30006, 21610},
		forItself:              {30007, 30019, 30001, 30022, 30023, 30003, 30450, 30500, 30004, 30036, 30008, 30410, 39999, 0},
	} {
		for _, code := range codes {
			if got := twilioScopeLater(notifier.ClassOf(code)); got != kind {
				t.Errorf("later, %d speaks for %s, want %s", code, got, kind)
			}
		}
	}
	if got := twilioScope(notifier.Result{Outcome: notifier.NotSent}); got != forAll {
		t.Errorf("a provider that cannot be reached speaks for %s", got)
	}
}

// refusesTo refuses texts to some phones, and leaves the others to the sandbox.
func refusesTo(w *world, answer http.HandlerFunc, phones ...reminder.Phone) http.HandlerFunc {
	return func(rw http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		r.Body = io.NopCloser(strings.NewReader(string(body)))
		if slices.Contains(phones, reminder.Phone(formOf(body).Get("To"))) {
			answer(rw, r)
			return
		}
		w.sandbox.Handler().ServeHTTP(rw, r)
	}
}

// One phone that the provider refuses is held by itself, and comes behind all
// others, each time later.
func TestOneRefusedDestinationStopsNobodyElse(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]http.HandlerFunc{
		"21408": refuses(403, 21408), "21606": refuses(400, 21606), "21608": refuses(400, 21608), "21612": refuses(400, 21612),
		"21657": refuses(400, 21657), "21659": refuses(400, 21659), "21703": refuses(400, 21703), "403 of nobody's": refuses(403, 29999),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, func(w *world) {
				w.senders, w.policy.Stages = 1, []reminder.Stage{0}
				twilio{create: refusesTo(w, answer, phone(0))}.inFront(w)
			})
			for i := range 12 {
				w.watch(fmt.Sprintf("A%02d", i), "2026-03-09", phone(i))
			}
			w.at("2026-03-09 09:00")
			w.tick()
			w.wantStops()
			if n := len(w.texts()); n != 11 {
				t.Errorf("%d texts in the first pass, want all but the one that is refused", n)
			}
			w.wantStory("A00", "due day: held, destination_refused")
			w.wantLog(`account=A00`)
			refused, more, err := w.Store.RefusedDestinations(w.ctx, w.Now(), 5)
			if err != nil || more != 0 || len(refused) != 1 || refused[0].Phone != phone(0) || refused[0].Account != "A00" {
				t.Errorf("the operator is shown %+v and %d more, %v", refused, more, err)
			}
			w.ticks(8*time.Hour, time.Minute)
			if n := w.posted.Load(); n < 11+3 || n > 11+5 { // after one hour, two more, and four more
				t.Errorf("%d texts were posted: the refused one was tried %d times in a day", n, n-11)
			}
			w.wantStops()
		})
	}
}

// A country that the account may not text is held as a whole once several of its
// phones were refused, and the own country is texted on.
func TestSeveralPhonesOfAForeignCountrySpeakForItAlone(t *testing.T) {
	t.Parallel()
	var abroad []reminder.Phone
	for i := range 8 {
		abroad = append(abroad, reminder.Phone(fmt.Sprintf("+2567120000%02d", i)))
	}
	w := newWorld(t, func(w *world) {
		w.senders, w.policy.Stages = 1, []reminder.Stage{0}
		w.round = 1
		twilio{create: refusesTo(w, refuses(403, 21408), abroad...)}.inFront(w)
	})
	for i, p := range abroad {
		w.watch(fmt.Sprint("U", i), "2026-03-09", p)
		w.watch(fmt.Sprint("K", i), "2026-03-09", phone(i))
	}
	w.at("2026-03-09 09:00")
	w.tick()
	w.wantStops()
	if n := len(w.texts()); n != len(abroad) {
		t.Errorf("%d texts to the own country, want %d", n, len(abroad))
	}
	if tried := w.posted.Load() - int64(len(abroad)); tried < reminder.EnoughWitnesses || tried > reminder.EnoughWitnesses+1 {
		t.Errorf("%d phones of the country were tried, want no more than speak for it", tried)
	}
	for i := range abroad {
		w.wantStory(fmt.Sprint("U", i), "due day: held, destination_refused")
	}
	refused, _, err := w.Store.RefusedDestinations(w.ctx, w.Now(), 20)
	if err != nil || len(refused) == 0 || refused[0].Country != "+256" {
		t.Errorf("the operator is shown %+v, %v: want the country first", refused, err)
	}
	// Once it is allowed, the first text that is taken ends all of that.
	w.restart(func(w *world) { w.provider = "" })
	w.releaseAll(reminder.DestinationRefused, int64(len(abroad)))
	w.ticks(2*time.Minute, time.Minute)
	if n := len(w.texts()); n != 2*len(abroad) {
		t.Errorf("%d texts, want all %d", n, 2*len(abroad))
	}
}

// Three different phones of the own country, and nothing accepted in between: it is
// the sender. What was the evidence is sent once the sender is mended.
func TestThreePhonesOfTheOwnCountrySpeakForTheSender(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]http.HandlerFunc{"21606": refuses(400, 21606), "403, a page": says(403, asHTML, "<html></html>")} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, func(w *world) {
				w.senders = 1
				twilio{create: answer}.inFront(w)
			})
			const bills = 9
			for i := range bills {
				w.watch(fmt.Sprint("A", i), "2026-03-12", phone(i))
			}
			w.at("2026-03-09 09:00")
			if err := w.tryTick(); err == nil {
				t.Error("the job does not fail")
			}
			w.wantStops(reminder.AccountFault)
			if n := w.posted.Load(); n != reminder.EnoughWitnesses {
				t.Errorf("%d texts were posted, want those that speak for the sender", n)
			}
			w.wantOptOuts()
			w.clock.pass(time.Minute)
			_ = w.tryTick()
			w.restart(func(w *world) { w.provider, w.resend = "", true })
			w.ticks(40*time.Minute, time.Minute)
			w.wantStops()
			if n := len(w.texts()); n != bills {
				t.Errorf("%d texts once the sender is mended, want all %d: %v", n, bills, w.texts())
			}
		})
	}
}

// Phones that are refused for good may be the first three of the day. They are the
// evidence once, and then come behind all others.
func TestThreeRefusedPhonesStopAllOthersOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(w *world) {
		w.senders, w.policy.Stages = 1, []reminder.Stage{0}
		twilio{create: refusesTo(w, refuses(400, 21608), phone(0), phone(1), phone(2))}.inFront(w)
	})
	for i := range 12 {
		w.watch(fmt.Sprintf("A%02d", i), "2026-03-09", phone(i))
	}
	w.at("2026-03-09 09:00")
	_ = w.tryTick()
	w.wantStops(reminder.AccountFault)
	w.ticks(8*time.Minute, time.Minute)
	w.wantStops()
	if n := len(w.texts()); n != 9 {
		t.Errorf("%d texts within ten minutes, want all 9 that are not refused", n)
	}
	for i := range 3 {
		w.wantStory(fmt.Sprintf("A%02d", i), "due day: held, destination_refused")
	}
}

// A text accepted in between says that the sender is well.
func TestRefusedPhonesBetweenAcceptedOnesAreNoEvidence(t *testing.T) {
	t.Parallel()
	var bad []reminder.Phone
	for i := 0; i < 20; i += 2 {
		bad = append(bad, phone(i))
	}
	w := newWorld(t, func(w *world) {
		w.senders = 1
		twilio{create: refusesTo(w, refuses(400, 21606), bad...)}.inFront(w)
	})
	for i := range 20 {
		w.watch(fmt.Sprintf("A%02d", i), "2026-03-12", phone(i))
	}
	w.at("2026-03-09 09:00")
	w.tick()
	w.wantStops()
	if n := len(w.texts()); n != 10 {
		t.Errorf("%d texts, want 10", n)
	}
}

// All texts go to one phone of the operator's: when that is refused, no customer's
// phone is held for it, and nothing more is thrown after it.
func TestARefusedRedirectIsNoFaultOfACustomer(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(w *world) {
		w.senders, w.delivery = 1, reminder.Delivery{Mode: reminder.ModeRedirect, RedirectTo: phone(99)}
		twilio{create: refuses(400, 21608)}.inFront(w)
	})
	for i := range 4 {
		w.watch(fmt.Sprint("A", i), "2026-03-12", phone(i))
	}
	w.at("2026-03-09 09:00")
	_ = w.tryTick()
	w.wantStops(reminder.AccountFault)
	if n := w.posted.Load(); n != 1 {
		t.Errorf("%d texts were posted", n)
	}
	if refused, _, err := w.Store.RefusedDestinations(w.ctx, w.Now(), 5); err != nil || len(refused) > 0 {
		t.Errorf("held as refused: %+v, %v", refused, err)
	}
}

// Refusals for a reason that nobody knows: one bill that is tried again and again
// is no account.
func TestOneBillRefusedForAnUnknownReasonIsNoAccount(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(w *world) {
		w.policy.Stages = []reminder.Stage{0}
		twilio{create: refusesTo(w, refuses(400, 29999), phone(0))}.inFront(w)
	})
	w.watch("A0", "2026-03-09", phone(0))
	w.at("2026-03-09 09:00")
	for range 48 {
		w.ticks(10*time.Minute, 10*time.Minute)
		w.wantStops()
	}
	if n := w.posted.Load(); n < 6 {
		t.Errorf("tried %d times", n)
	}
	w.restart(func(w *world) { twilio{create: refuses(400, 29999)}.inFront(w) })
	for i := range 3 {
		w.watch(fmt.Sprint("B", i), "2026-03-10", phone(10+i))
	}
	w.at("2026-03-10 09:00")
	_ = w.tryTick()
	w.wantStops(reminder.RefusalUnclear)
}

// Texts that are taken and then fail for the sender: one phone is held by itself,
// three different ones stop all, and their reminders are not lost.
func TestLateRefusalsOfASenderNeedThreePhones(t *testing.T) {
	t.Parallel()
	for _, code := range []int{30018, 30032, 30034} {
		for _, phones := range []int{1, 2, 3, 7} {
			t.Run(fmt.Sprintf("%d of %d", code, phones), func(t *testing.T) {
				t.Parallel()
				w := newWorld(t, func(w *world) { twilio{fetch: reports("failed", code)}.inFront(w) })
				for i := range phones {
					w.watch(fmt.Sprint("A", i), "2026-03-12", phone(i))
					w.sandboxTextsAreTries(fmt.Sprint("A", i))
				}
				w.at("2026-03-09 09:00")
				w.tick()
				w.clock.pass(time.Minute)
				_ = w.tryTick()
				reason := "destination_refused"
				if phones < reminder.EnoughWitnesses {
					w.wantStops()
				} else {
					w.wantStops(reminder.AccountFault)
					reason = "account_fault"
				}
				for i := range phones {
					w.wantStory(fmt.Sprint("A", i), "3 days before: held, "+reason)
				}
				w.wantOptOuts()
				w.restart(func(w *world) { w.provider = "" })
				w.releaseAll(reminder.Reason(reason), int64(phones))
				w.ticks(10*time.Minute, time.Minute)
				for i := range phones {
					w.wantStory(fmt.Sprint("A", i), "3 days before: texted, on_schedule")
				}
			})
		}
	}
}

// What is heard of once the sender is known to be at fault speaks against no phone.
func TestALateRefusalWaitsForTheFaultOfTheSenderThatStands(t *testing.T) {
	t.Parallel()
	known := 6 // phones whose text is known to have failed
	fails := func(p reminder.Phone) bool { return p < phone(known) }
	w := newWorld(t, func(w *world) {
		twilio{fetch: reportsByPhone(w, fails, reports("failed", 30034), reports("queued", 0))}.inFront(w)
	})
	for i := range 7 {
		w.watch(fmt.Sprint("A", i), "2026-03-12", phone(i))
		w.sandboxTextsAreTries(fmt.Sprint("A", i))
	}
	w.at("2026-03-09 09:00")
	w.tick()
	w.clock.pass(time.Minute)
	_ = w.tryTick()
	w.wantStops(reminder.AccountFault)
	known = 7
	w.clock.pass(5 * time.Minute)
	_ = w.tryTick()
	w.wantStory("A6", "3 days before: held, account_fault")
	if refused, _, err := w.Store.RefusedDestinations(w.ctx, w.clock.now(), 10); err != nil || len(refused) > 0 {
		t.Errorf("%d destinations are said to be refused (%v)", len(refused), err)
	}
	w.restart(func(w *world) { w.provider = "" })
	w.releaseAll(reminder.AccountFault, 7)
	w.ticks(10*time.Minute, time.Minute)
	w.wantStory("A6", "3 days before: texted, on_schedule")
}

// An operator's own country is judged by its own phones: a text abroad that is taken
// does not speak for the sender there.
func TestATextAbroadDoesNotSpeakForTheSenderAtHome(t *testing.T) {
	t.Parallel()
	e := newSenderEvidence("KE")
	for i := range reminder.EnoughWitnesses {
		e.accepted("+256712000001")
		_, against := e.destinationRefused(phone(i))
		if last := i == reminder.EnoughWitnesses-1; (against != nil) != last {
			t.Errorf("phone %d: %d phones speak against the sender", i, len(against))
		}
	}
	for i := range 2 * reminder.EnoughWitnesses {
		e.accepted(phone(20))
		if _, against := e.destinationRefused(phone(i)); against != nil {
			t.Errorf("phone %d speaks against the sender just after a text was taken", i)
		}
	}
}

// Also with several senders at work, whose refusals are recorded in any order, none
// of those that were the evidence waits longer than the stop.
func TestNobodyIsPunishedForBeingEvidence(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(w *world) {
		w.senders = 4
		twilio{create: refuses(400, 21606)}.inFront(w)
	})
	for i := range 8 {
		w.watch(fmt.Sprint("A", i), "2026-03-12", phone(i))
	}
	w.at("2026-03-09 09:00")
	_ = w.tryTick()
	if refused, _, err := w.Store.RefusedDestinations(w.ctx, w.Now(), 9); err != nil || len(refused) > 0 {
		t.Errorf("%d destinations wait by themselves, %v", len(refused), err)
	}
	for i := range 8 {
		w.wantStory(fmt.Sprint("A", i), "3 days before: held, account_fault")
	}
}

// One answer that asks for a day's silence does not get it.
func TestOneAnswerDoesNotSilenceADay(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.watch("A1", "2026-03-12", phone(1))
	w.watch("A2", "2026-03-12", phone(2))
	w.at("2026-03-09 09:00")
	w.faults(sandbox.Fault{Where: sandbox.Send, What: sandbox.Status, Status: 429, RetryAfter: 86399, Times: 1})
	_ = w.tryTick()
	w.wantStops(reminder.Throttled)
	w.wantLog("it asks for a pause of 23h59m59s, and is tried again after 10m0s")
	w.ticks(11*time.Minute, time.Minute)
	w.wantStops()
	if n := len(w.texts()); n != 2 {
		t.Errorf("%d texts after 11 minutes, want 2", n)
	}
}

// What is about one pair of numbers slows down nobody else.
func TestTooManyTextsToOnePhoneSlowDownNobodyElse(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(w *world) {
		w.senders = 1
		twilio{create: refusesTo(w, refuses(429, 14107), phone(0))}.inFront(w)
	})
	for i := range 4 {
		w.watch(fmt.Sprint("A", i), "2026-03-12", phone(i))
	}
	w.at("2026-03-09 09:00")
	w.tick()
	w.wantStops()
	if n := len(w.texts()); n != 3 {
		t.Errorf("%d texts, want 3", n)
	}
	w.wantStory("A0", "3 days before: held, throttled")
	if state := w.states("A0"); !strings.HasPrefix(state, string(store.Refused)) {
		t.Errorf("texts %s", state)
	}
}
