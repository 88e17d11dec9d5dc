package scheduler

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"duewatch/notifier"
	"duewatch/reminder"
	"duewatch/sandbox"
	"duewatch/store/db/pgtest"
)

// Where what became of a text is not known, it may or may not be there: the
// provider has it or has not, but never twice, whatever time and restarts come.
func TestTextOfUnknownOutcomeIsNeverSentBlindly(t *testing.T) {
	t.Parallel()
	send := func(f sandbox.Fault) sandbox.Fault {
		f.Where, f.Times = sandbox.Send, 1
		return f
	}
	for name, c := range map[string]struct {
		fault sandbox.Fault
		there int // texts at the provider
	}{
		"answer lost after acceptance":   {send(sandbox.Fault{What: sandbox.Drop, After: true}), 1},
		"connection lost before it":      {send(sandbox.Fault{What: sandbox.Drop}), 0},
		"500 after acceptance":           {send(sandbox.Fault{What: sandbox.Status, Status: 500, After: true}), 1},
		"503 without acceptance":         {send(sandbox.Fault{What: sandbox.Status, Status: 503}), 0},
		"truncated 201":                  {send(sandbox.Fault{What: sandbox.Truncate, After: true}), 1},
		"empty 201 after acceptance":     {send(sandbox.Fault{What: sandbox.Empty, After: true}), 1},
		"302":                            {send(sandbox.Fault{What: sandbox.Status, Status: 302}), 0},
		"page of a proxy, 502, after it": {send(sandbox.Fault{What: sandbox.HTML, After: true}), 1},
		"408":                            {send(sandbox.Fault{What: sandbox.Status, Status: 408}), 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.watch("A1", "2026-03-12", phone(1))
			w.at("2026-03-09 09:00")
			w.faults(c.fault)
			w.tick()
			w.wantStates("A1", "unknown")
			w.wantStory("A1", "3 days before: texted, on_schedule")
			w.wantLog("text in doubt")
			for range 4 {
				w.ticks(8*time.Minute, time.Minute)
				w.restart()
			}
			w.ticks(24*time.Hour, time.Hour)
			if n := w.posted.Load(); n != 1 {
				t.Errorf("the text was posted %d times", n)
			}
			if n := len(w.texts()); n != c.there {
				t.Errorf("%d texts at the provider, want %d", n, c.there)
			}
		})
	}
}

// A wall in front of the provider that takes offence at one text says nothing of the
// others; one that lets nobody through is known for it by three.
func TestWallInFrontOfTheProviderStopsThePass(t *testing.T) {
	t.Parallel()
	for _, times := range []int{1, 5} {
		t.Run(fmt.Sprint(times), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, func(w *world) { w.senders = 1 })
			const bills = 8
			for i := range bills {
				w.watch(fmt.Sprint("A", i), "2026-03-12", phone(i))
			}
			w.at("2026-03-09 09:00")
			w.faults(sandbox.Fault{Where: sandbox.Send, What: sandbox.HTML, Status: 403, After: true, Times: times})
			posts := int64(bills)
			if err := w.tryTick(); times > 1 {
				posts = reminder.EnoughWitnesses
				if err == nil {
					t.Error("the tick did not fail")
				}
			}
			if n := w.posted.Load(); n != posts {
				t.Errorf("%d texts were posted, want %d", n, posts)
			}
			w.ticks(10*time.Minute, time.Minute)
			if n := len(w.texts()); n != bills {
				t.Errorf("%d texts, want %d: %v", n, bills, w.texts())
			}
		})
	}
}

func TestDefiniteNoThatIsNotTheTextsFaultIsTriedAgain(t *testing.T) {
	t.Parallel()
	status := func(status, code, after int) sandbox.Fault {
		return sandbox.Fault{Where: sandbox.Send, What: sandbox.Status, Status: status, Code: code, RetryAfter: after}
	}
	for name, c := range map[string]struct {
		fault  sandbox.Fault
		reason reminder.Reason
		sent   string // when, if it is mended at 09:01
	}{
		"429":                       {status(429, 0, 0), reminder.Throttled, "03-09 09:02 A1"},
		"429 with a pause":          {status(429, 0, 300), reminder.Throttled, "03-09 09:05 A1"},
		"429 with a long pause":     {status(429, 0, 1200), reminder.Throttled, "03-09 09:10 A1"},
		"sender's queue is full":    {status(400, 21611, 0), reminder.Throttled, "03-09 09:02 A1"},
		"daily limit":               {status(429, 63038, 0), reminder.Throttled, "03-10 09:00 A1"},
		"401":                       {status(401, 0, 0), reminder.AccountFault, "03-09 09:05 A1"},
		"403":                       {status(403, 0, 0), reminder.AccountFault, "03-09 09:05 A1"},
		"400 with 20003":            {status(400, 20003, 0), reminder.AccountFault, "03-09 09:05 A1"},
		"sender not registered":     {status(400, 21657, 0), reminder.DestinationRefused, "03-09 10:00 A1"},
		"a code that is not listed": {status(400, 29999, 0), reminder.RefusalUnclear, "03-09 10:00 A1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.watch("A1", "2026-03-12", phone(1))
			w.at("2026-03-09 09:00")
			w.faults(c.fault)
			_ = w.tryTick()
			w.wantTexts()
			w.wantStory("A1", "3 days before: held, "+string(c.reason))
			w.wantStates("A1", "refused")
			w.sandbox.ClearFaults()
			w.ticks(90*time.Minute, time.Minute)
			w.at("2026-03-10 08:59")
			w.ticks(3*time.Minute, time.Minute)
			// A minute earlier or later is no matter.
			if texts := w.texts(); len(texts) != 1 || texts[0][:10] != c.sent[:10] {
				t.Errorf("texts %v, want %s", texts, c.sent)
			}
		})
	}
}

func TestAccountFaultHoldsAllAndMarksNothingFailed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	accounts := []string{"A1", "A2", "A3", "A4", "A5"}
	for i, account := range accounts {
		w.watch(account, "2026-03-12", phone(i))
	}
	w.restart(func(w *world) { w.authToken = "wrongtokenwrongtokenwrongtoken00" })
	w.at("2026-03-09 09:00")
	if err := w.tryTick(); err == nil {
		t.Error("the job does not fail")
	}
	if n := w.posted.Load(); n > 0 {
		t.Errorf("%d texts were posted to an account that is refused already at the comparison before the first text", n)
	}
	for _, account := range accounts {
		w.wantStory(account, "3 days before: held, account_fault")
		w.wantStates(account, "")
	}
	w.ticks(20*time.Minute, time.Minute)
	w.restart(func(w *world) { w.authToken = sandbox.AuthToken })
	w.ticks(10*time.Minute, time.Minute)
	if n := len(w.texts()); n != len(accounts) {
		t.Errorf("%d texts after the account was mended, want %d", n, len(accounts))
	}
	for _, account := range accounts {
		w.wantStory(account, "3 days before: texted, on_schedule")
	}
}

func TestRefusedPhoneIsNotTextedAgain(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		to     reminder.Phone
		reason string
	}{
		"21610": {sandbox.PhoneOptedOut, "opted_out"},
		"21211": {sandbox.PhoneInvalid, "bad_number"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.watch("A1", "2026-03-12", c.to)
			w.watch("A2", "2026-03-13", c.to)
			w.at("2026-03-09 09:00")
			w.tick()
			w.wantStory("A1", "3 days before: skipped, "+c.reason)
			w.ticks(4*24*time.Hour, time.Hour)
			w.wantStory("A1", "3 days before: skipped, "+c.reason, "due day: skipped, "+c.reason)
			w.wantStory("A2", "3 days before: skipped, "+c.reason, "due day: skipped, "+c.reason)
			if n := w.posted.Load(); n != 1 {
				t.Errorf("%d texts were posted", n)
			}
			w.wantTexts()
		})
	}
}

func TestPhoneThatFailsAfterAcceptanceIsNotTextedAgain(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		to     reminder.Phone
		reason string
	}{
		"30005 not in service":       {sandbox.PhoneUnknown, "bad_number"},
		"21610 known by the carrier": {sandbox.PhoneOptedOutLater, "opted_out"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.watch("A1", "2026-03-12", c.to)
			w.at("2026-03-09 09:00")
			w.tick()
			w.ticks(10*time.Minute, time.Minute)
			w.wantStates("A1", "failed")
			w.at("2026-03-12 09:00")
			w.tick()
			w.wantStory("A1", "3 days before: texted, on_schedule", "due day: skipped, "+c.reason)
		})
	}
}

func TestUndeliveredTextIsTriedAFewTimes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.policy.Stages = []reminder.Stage{0}
	w.watch("A1", "2026-03-09", sandbox.PhoneUnreachable)
	w.at("2026-03-09 09:00")
	w.tick()
	w.ticks(8*time.Hour, time.Minute)
	if n := len(w.sandbox.Texts()); n < 2 || n > 1+maxRedeliveries {
		t.Errorf("%d texts to a phone that is off", n)
	}
	w.at("2026-03-10 09:00")
	w.tick()
	w.sandboxTextsAreTries("A1")
}

func TestTextRefusedForItsWordsIsSkipped(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.watch("A1", "2026-03-12", phone(1))
	w.at("2026-03-09 09:00")
	w.faults(sandbox.Fault{Where: sandbox.Send, What: sandbox.Status, Status: 400, Code: 21617, Times: 1})
	w.tick()
	w.wantStory("A1", "3 days before: skipped, text_refused")
	w.at("2026-03-12 09:00")
	w.tick()
	w.wantTexts("03-12 09:00 A1")
}

// One bill whose words will not do takes none of the others of its phone with
// it, whether the provider says so at once or later.
func TestARefusedTextOfSeveralBillsIsTriedApart(t *testing.T) {
	t.Parallel()
	bad := func(r *http.Request) bool { return strings.Contains(r.PostFormValue("Body"), "A2") }
	for name, given := range map[string]struct {
		front func(*world) twilio
		a2    string
	}{
		"at once": {func(w *world) twilio {
			return twilio{create: func(rw http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				r.Body = io.NopCloser(bytes.NewReader(body))
				refused := bad(r)
				r.Body = io.NopCloser(bytes.NewReader(body))
				if refused {
					refuses(400, 21617)(rw, r)
					return
				}
				w.sandbox.Handler().ServeHTTP(rw, r)
			}}
		}, "3 days before: skipped, text_refused"},
		"later": {func(w *world) twilio {
			return twilio{fetch: func(rw http.ResponseWriter, r *http.Request) {
				for _, x := range w.sandbox.Texts() {
					if strings.Contains(r.URL.Path, x.SID) && strings.Contains(x.Body, "A2") {
						reports("undelivered", 30007)(rw, r)
						return
					}
				}
				w.sandbox.Handler().ServeHTTP(rw, r)
			}}
		}, "3 days before: texted, on_schedule"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, func(w *world) {
				w.policy.Bundle, w.policy.PerNumberDaily = true, 2
				given.front(w).inFront(w)
			})
			w.watch("A1", "2026-03-12", phone(1))
			w.watch("A2", "2026-03-12", phone(1))
			w.at("2026-03-09 09:00")
			w.tick()
			w.ticks(4*time.Hour, 10*time.Minute)
			if n := w.posted.Load(); n != 3 {
				t.Errorf("%d texts were handed over, want one for both, and one for each", n)
			}
			if state := w.states("A1"); !strings.HasSuffix(state, "delivered") || strings.HasSuffix(state, "undelivered") {
				t.Errorf("A1 had its text: %s", state)
			}
			if story := w.story("A2"); len(story) != 1 || story[0] != given.a2 {
				t.Errorf("A2: %v, want %s", story, given.a2)
			}
			w.sandboxTextsAreTries("A1")
			w.sandboxTextsAreTries("A2")
		})
	}
}

func TestUnreachableProviderIsTriedAgainLater(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed := "http://" + l.Addr().String()
	_ = l.Close()
	w := newWorld(t)
	w.watch("A1", "2026-03-12", phone(1))
	w.restart(func(w *world) { w.provider = closed })
	w.at("2026-03-09 09:00")
	for range 30 {
		w.clock.pass(time.Minute)
		if err := w.tryTick(); err == nil {
			t.Fatal("the job does not fail")
		}
	}
	w.wantStory("A1", "3 days before: held, provider_unreachable")
	w.restart(func(w *world) { w.provider = "" })
	w.ticks(2*time.Minute, time.Minute)
	if n := len(w.texts()); n != 1 {
		t.Errorf("%d texts once the provider is back, want 1", n)
	}
}

func TestReminderCountsAsTextedOnceItsTextWasHandedOver(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.watch("A1", "2026-03-12", phone(1))
	w.at("2026-03-09 09:00")
	w.faults(sandbox.Fault{Where: sandbox.Send, What: sandbox.Status, Status: 429, Times: 3})
	for _, want := range []float64{0, 0, 0, 1, 1} {
		_ = w.tryTick()
		if got := w.counted("duewatch_reminders_total", "texted", string(reminder.OnSchedule)); got != want {
			t.Errorf("%v reminders are counted as texted, want %v", got, want)
		}
		w.clock.pass(time.Minute)
	}
}

func TestAFaultOfTheProviderEndsByItselfWhenItIsNoLongerUseful(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.watch("A1", "2026-03-12", phone(1))
	w.faults(sandbox.Fault{Where: sandbox.Send, What: sandbox.Status, Status: 429, RetryAfter: 80000})
	w.at("2026-03-12 09:00")
	_ = w.tryTick()
	w.at("2026-03-12 18:00")
	w.tick()
	w.wantStory("A1", "3 days before: skipped, superseded", "due day: skipped, expired")
	w.sandbox.ClearFaults()
	w.ticks(24*time.Hour, time.Hour)
	w.wantTexts()
}

func TestReceiptsAreCounted(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.watch("A1", "2026-03-12", phone(1))
	w.watch("A2", "2026-03-12", sandbox.PhoneFiltered)
	w.at("2026-03-09 09:00")
	w.tick()
	w.ticks(10*time.Minute, time.Minute)
	for state, want := range map[string]float64{"accepted": 2, "delivered": 1, "undelivered": 1} {
		if got := w.counted("duewatch_texts_total", state); got != want {
			t.Errorf("%v texts counted as %s, want %v", got, state, want)
		}
	}
}

func TestFailedDeliveryIsLoggedOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.watch("A1", "2026-03-12", phone(1))
	w.watch("A2", "2026-03-12", sandbox.PhoneFiltered)
	w.at("2026-03-09 09:00")
	w.tick()
	w.ticks(10*time.Minute, time.Minute)
	w.wantStates("A1", "delivered")
	w.wantStates("A2", "undelivered")
	w.wantLog("text not delivered")
	if n := strings.Count(w.log.String(), `"text not delivered"`); n != 2 { // once in each format
		t.Errorf("logged %d times in two formats that a text was not delivered", n)
	}
}

func TestEveryOutcomeOfTheProviderHasItsEnd(t *testing.T) {
	t.Parallel()
	policy := prepare(t).policy
	now := time.Date(2026, 3, 9, 9, 0, 0, 0, zone)
	classes := []notifier.Class{
		"", "a class to come", notifier.BadNumber, notifier.OptedOut, notifier.BadText, notifier.Account, notifier.SlowDown,
		notifier.UntilTomorrow, notifier.TryLater, notifier.TryOnce, notifier.Unlisted, notifier.Destination, notifier.SlowDownPhone, notifier.MaybeHasIt,
	}
	for _, outcome := range []notifier.Acceptance{notifier.Refused, notifier.Throttled, notifier.NotSent} {
		for _, class := range classes {
			err := &notifier.Error{Op: "send"}
			o := outcomeOf(notifier.Result{Outcome: outcome, Class: class, Err: err}, 1, policy, time.Minute, time.Minute, now)
			if (o.Hold == "") == (o.Skip == "") {
				t.Errorf("%s, %q: hold %q and skip %q", outcome, class, o.Hold, o.Skip)
			}
			if o.Hold != "" && !o.Until.After(now) {
				t.Errorf("%s, %q: is decided again at once, which would spin", outcome, class)
			}
		}
	}
}

// besideAnother leaves a test out where there can be no other daemon.
func besideAnother(t *testing.T) {
	t.Helper()
	if !pgtest.Wanted() {
		t.Skip("several daemons need PostgreSQL")
	}
	t.Parallel()
}

// joinedByAnother has another daemon work on the same database, elsewhere.
func (w *world) joinedByAnother() {
	w.t.Helper()
	if err := pgtest.Exec(w.t.Context(), w.path, `INSERT INTO daemons
			(owner, host, place, pid, version, config, mode, decides, compared, since, seen_at, until_at, commits)
		SELECT 'another', 'elsewhere', 'another boot', 1, '', '', 'live', 1, '', since + 1, seen_at, until_at + 3600000, 0 FROM daemons`); err != nil {
		w.t.Fatal(err)
	}
}

// anotherIs says why the other daemon leaves its work to this one; "" = it does not.
func (w *world) anotherIs(aside reminder.Reason) {
	w.t.Helper()
	if err := pgtest.Exec(w.t.Context(), w.path, "UPDATE daemons SET aside = '"+string(aside)+"' WHERE owner = 'another'"); err != nil {
		w.t.Fatal(err)
	}
}

// One of several daemons that does not reach the provider speaks for itself alone: it leaves the
// work to the others for a while, and stops nobody.
func TestADaemonThatIsCutOffFromTheProviderStopsNoOther(t *testing.T) {
	besideAnother(t)
	w := newWorld(t, func(w *world) { w.toProvider.before = unreachable })
	w.joinedByAnother()
	for i := range 2 * reminder.EnoughWitnesses {
		w.owes(account(i), "2026-03-12", "500")
		w.declare(account(i), phone(i))
	}
	for range 2 { // each daemon asks about its own bills
		_ = w.tryTick()
	}
	w.at("2026-03-09 09:00")
	_ = w.tryTick()
	tried := w.posted.Load()
	if tried == 0 {
		t.Fatal("nothing was tried")
	}
	w.wantStops()
	if due, err := w.Store.NextDue(w.ctx); err != nil || due[jobRemind].After(w.Now()) {
		t.Errorf("its texts are due at %s, %v: the other one may send them at once", due[jobRemind], err)
	}
	w.clock.pass(retryUnreachable / 2)
	if err := w.Pass(w.ctx, jobRemind); err == nil || w.posted.Load() != tried {
		t.Errorf("it ends by %v after %d tries more: it has to wait, and say why", err, w.posted.Load()-tried)
	}
	w.toProvider.before = nil
	w.clock.pass(2 * retryUnreachable)
	if err := w.Pass(w.ctx, jobRemind); err != nil {
		t.Error(err)
	}
	if len(w.texts()) == 0 {
		t.Error("nobody is texted once it reaches the provider")
	}
}

// When the provider is down for all, none may wait for the others to send.
func TestAProviderThatNoneOfSeveralDaemonsReachesStopsThemAll(t *testing.T) {
	besideAnother(t)
	w := newWorld(t, func(w *world) { w.toProvider.before = unreachable })
	w.joinedByAnother()
	w.anotherIs(reminder.ProviderUnreachable)
	for i := range 2 * reminder.EnoughWitnesses {
		w.owes(account(i), "2026-03-12", "500")
		w.declare(account(i), phone(i))
	}
	_ = w.tryTick()
	w.at("2026-03-09 09:00")
	_ = w.tryTick()
	w.wantStops(reminder.ProviderUnreachable)
	w.toProvider.before = nil
	w.clock.pass(2 * retryUnreachable)
	if err := w.Pass(w.ctx, jobRemind); err != nil {
		t.Error(err)
	}
	if len(w.texts()) == 0 {
		t.Error("nobody is texted once it is reached")
	}
}
