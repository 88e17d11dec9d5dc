package scheduler

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"duewatch/notifier"
	"duewatch/sandbox"
	"duewatch/store"
	"duewatch/web"
)

// publicURL is what a proxy leads to the server of a test. The sandbox never calls it, so
// that a test says itself what the provider says, and when.
const publicURL = "https://reminders.example.com"

// called is a world whose provider reports by itself, over HTTP.
type called struct {
	*world
	server  *httptest.Server
	metrics *prometheus.Registry
}

func newCalled(t *testing.T, change ...func(*world)) *called {
	t.Helper()
	c := &called{metrics: prometheus.NewRegistry()}
	c.world = newWorld(t, append(change, func(w *world) {
		w.callbacks = &Callbacks{StatusURL: web.CallbackURL(publicURL), Key: "key"}
	})...)
	metrics := web.NewCallbackMetrics(c.metrics)
	c.server = httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		web.CallbackHandler(web.CallbackConfig{
			PublicURL: publicURL, AuthToken: sandbox.AuthToken, Status: c.RecordCallback, Store: c.Store, Now: c.clock.now,
			Metrics: metrics, Log: c.log.logger(),
		}).ServeHTTP(rw, r)
	}))
	t.Cleanup(c.server.Close)
	return c
}

// text is the last text that the provider has.
func (c *called) text() sandbox.Text {
	c.t.Helper()
	all := c.sandbox.Texts()
	if len(all) == 0 {
		c.t.Fatal("the provider has no text")
	}
	return all[len(all)-1]
}

// post posts what the provider says to an address that it was given, signed by it, and
// returns the status of the answer.
func (c *called) post(address string, form url.Values) (int, error) {
	r, err := http.NewRequestWithContext(c.ctx, http.MethodPost, c.server.URL+strings.TrimPrefix(address, publicURL), strings.NewReader(form.Encode()))
	if err != nil {
		return 0, err
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("X-Twilio-Signature", sandbox.Signature(address, form))
	res, err := c.server.Client().Do(r)
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	_, err = io.Copy(io.Discard, res.Body)
	return res.StatusCode, err
}

// says has the provider report a state of a text, and wants what becomes of that.
func (c *called) says(text sandbox.Text, status string, code int, result store.CallbackOutcome) {
	c.t.Helper()
	before := c.results(result)
	form := url.Values{"MessageSid": {text.SID}, "MessageStatus": {status}}
	if code != 0 {
		form.Set("ErrorCode", fmt.Sprint(code))
	}
	got, err := c.post(text.Callback, form)
	if err != nil || got != http.StatusOK {
		c.t.Errorf("%s is answered with %d %v", status, got, err)
	}
	if n := c.results(result) - before; n != 1 {
		c.t.Errorf("%s is counted %v times as %s", status, n, result)
	}
}

// results is how many callbacks about texts had a result.
func (c *called) results(result store.CallbackOutcome) (n float64) {
	c.t.Helper()
	families, err := c.metrics.Gather()
	if err != nil {
		c.t.Error(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if labels := m.GetLabel(); len(labels) == 2 && labels[0].GetValue() == "status" && labels[1].GetValue() == string(result) {
				n += m.GetCounter().GetValue()
			}
		}
	}
	return n
}

// sendOne has one text sent at nine.
func (c *called) sendOne() sandbox.Text {
	c.t.Helper()
	c.watch("A1", "2026-03-12", phone(1))
	c.at("2026-03-09 09:00")
	c.tick()
	return c.text()
}

func TestATextIsReportedByItselfAndHardlyPolled(t *testing.T) {
	t.Parallel()
	c := newCalled(t)
	text := c.sendOne()
	if !strings.HasPrefix(text.Callback, publicURL+"/twilio/status?text=1&sig=") {
		t.Errorf("the status callback is %q", text.Callback)
	}
	c.says(text, "queued", 0, store.CallbackOld)
	c.says(text, "sent", 0, store.CallbackRecorded)
	c.wantStates("A1", "sent")
	c.says(text, "delivered", 0, store.CallbackRecorded)
	for _, late := range []string{"delivered", "sent", "queued", "undelivered", "a state to come"} {
		c.says(text, late, 0, store.CallbackOld)
	}
	c.wantStates("A1", "delivered")
	polls := func() int64 { return c.sandbox.Calls()[sandbox.Fetch] }
	c.ticks(5*time.Hour, 30*time.Minute)
	if n := polls(); n != 0 {
		t.Errorf("it was polled %d times within five hours", n)
	}
	c.ticks(2*time.Hour, 30*time.Minute) // for its price, which no callback says
	if n := polls(); n != 1 {
		t.Errorf("its price was asked for %d times", n)
	}
	if n := c.counted("duewatch_texts_total", "delivered"); n != 1 {
		t.Errorf("%v texts are counted as delivered", n)
	}
	if n := c.counted("duewatch_texts_total", "accepted"); n != 1 {
		t.Errorf("%v texts are counted as accepted", n)
	}
}

// Callbacks are best effort: what has none is polled.
func TestATextWithoutCallbacksIsPolledAfterAnHour(t *testing.T) {
	t.Parallel()
	c := newCalled(t)
	c.sendOne()
	c.ticks(55*time.Minute, 5*time.Minute)
	c.wantStates("A1", "accepted")
	c.ticks(10*time.Minute, 5*time.Minute)
	c.wantStates("A1", "delivered")
}

func TestAFailureThatIsReportedIsTriedAgainOnce(t *testing.T) {
	t.Parallel()
	c := newCalled(t)
	text := c.sendOne()
	for range 3 { // said three times, it counts once
		form := url.Values{"MessageSid": {text.SID}, "MessageStatus": {"undelivered"}, "ErrorCode": {"30003"}}
		if got, err := c.post(text.Callback, form); err != nil || got != http.StatusOK {
			t.Errorf("%d %v", got, err)
		}
	}
	c.wantStory("A1", "3 days before: held, not_delivered")
	c.sandboxTextsAreTries("A1")
	c.ticks(40*time.Minute, 5*time.Minute)
	c.wantStory("A1", "3 days before: texted, on_schedule")
	c.wantStates("A1", "undelivered accepted")
	c.says(text, "delivered", 0, store.CallbackOld) // of the first, too late
	c.says(c.text(), "delivered", 0, store.CallbackRecorded)
	c.wantStates("A1", "undelivered delivered")
}

// The provider may be quicker with its callback than with its answer.
func TestACallbackComesBeforeTheAnswer(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		status string
		code   int
		fault  []sandbox.Fault // of the answer
		states string
		story  string
	}{
		"and the answer comes": {"delivered", 0, nil, "delivered", "3 days before: texted, on_schedule"},
		"and is lost": {"sent", 0, []sandbox.Fault{{Where: sandbox.Send, What: sandbox.Drop, After: true, Times: 1}},
			"sent", "3 days before: texted, on_schedule"},
		"of a failure": {"undelivered", 30003, nil, "undelivered", "3 days before: held, not_delivered"},
		"of an opt-out": {"failed", 21610, []sandbox.Fault{{Where: sandbox.Send, What: sandbox.Drop, After: true, Times: 1}},
			"failed", "3 days before: texted, on_schedule"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCalled(t)
			c.watch("A1", "2026-03-12", phone(1))
			c.faults(tt.fault...)
			if tt.code == 30003 { // not delivered, so that another text will be right
				c.sandboxTextsAreTries("A1")
			}
			var once sync.Once
			// The answer is on its way, or lost, and the daemon does not know yet.
			calls := &callingBefore{next: c.toProvider.next, posted: func() {
				once.Do(func() { c.says(c.text(), tt.status, tt.code, store.CallbackRecorded) })
			}}
			c.toProvider.next = calls
			c.at("2026-03-09 09:00")
			if err := c.tryTick(); err != nil {
				t.Error(err)
			}
			c.wantStates("A1", tt.states)
			c.wantStory("A1", tt.story)
			c.ticks(20*time.Minute, time.Minute) // past both look-ups
			c.wantStates("A1", tt.states)
			if n := len(c.texts()); n != 1 {
				t.Errorf("%d texts", n)
			}
		})
	}
}

// callingBefore is a transport that calls posted once the provider has answered a text,
// or failed to, and before its caller knows.
type callingBefore struct {
	next   http.RoundTripper
	posted func()
}

func (c *callingBefore) RoundTrip(r *http.Request) (*http.Response, error) {
	res, err := c.next.RoundTrip(r)
	if r.Method == http.MethodPost {
		c.posted()
	}
	return res, err
}

// A process died between its request and the answer. The callback is the surest evidence
// that there is, and needs no look-up.
func TestACallbackSettlesWhatADeadProcessLeft(t *testing.T) {
	t.Parallel()
	for name, restarted := range map[string]bool{"before the restart": false, "after the restart": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCalled(t)
			c.watch("A1", "2026-03-12", phone(1))
			c.faults(sandbox.Fault{Where: sandbox.Send, What: sandbox.Drop, After: true, Times: 1})
			c.at("2026-03-09 09:00")
			_ = c.tryTick()
			c.wantStates("A1", "unknown")
			if restarted {
				c.restart()
			}
			c.says(c.text(), "delivered", 0, store.CallbackRecorded)
			c.wantStates("A1", "delivered")
			c.wantLog("text in doubt was settled by its callback")
			lists := c.sandbox.Calls()[sandbox.List]
			c.ticks(20*time.Minute, time.Minute)
			if n := c.sandbox.Calls()[sandbox.List] - lists; n > 1 { // one is that of a start
				t.Errorf("the provider's list was read %d times", n)
			}
			c.wantTexts("03-09 09:00 A1")
		})
	}
}

// The list never shows the text, and when it is about to be sent again the provider
// speaks of it.
func TestACallbackKeepsATextFromBeingSentAgain(t *testing.T) {
	t.Parallel()
	for name, resend := range map[string]bool{"it would be sent again": true, "the operator would be asked": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCalled(t, func(w *world) { w.resend = resend })
			c.watch("A1", "2026-03-12", phone(1))
			c.faults(sandbox.Fault{Where: sandbox.Send, What: sandbox.Drop, After: true, Times: 1})
			c.toProvider.next = emptyLists{c.toProvider.next}
			c.at("2026-03-09 09:00")
			_ = c.tryTick()
			for range 16 { // the look-ups alone, so that nothing is decided in between
				c.clock.pass(time.Minute)
				c.job(jobReceipts).pass(c.ctx, c.Scheduler)
			}
			c.wantStates("A1", "not_found")
			c.says(c.text(), "sent", 0, store.CallbackRecorded)
			c.wantStates("A1", "sent")
			c.wantStory("A1", "3 days before: texted, on_schedule")
			c.wantLog("text was taken as not sent, and its callback says that the provider has it")
			c.ticks(30*time.Minute, time.Minute)
			c.wantTexts("03-09 09:00 A1")
		})
	}
}

// emptyLists is a provider whose list lags behind for hours.
type emptyLists struct{ next http.RoundTripper }

func (e emptyLists) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Method != http.MethodGet || !strings.HasSuffix(r.URL.Path, "/Messages.json") {
		return e.next.RoundTrip(r)
	}
	return &http.Response{
		StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}}, Request: r,
		Body: io.NopCloser(strings.NewReader(`{"messages": [], "page": 0, "page_size": 50, "next_page_uri": null}`)),
	}, nil
}

func TestOnlyTheAddressThatATextWasSentWithNamesIt(t *testing.T) {
	t.Parallel()
	c := newCalled(t)
	text := c.sendOne()
	c.watch("A2", "2026-03-12", phone(2))
	c.tick()
	other := c.text()
	c.faults(sandbox.Fault{Where: sandbox.Send, What: sandbox.Drop, Times: 1})
	c.owes("A3", "2026-03-12", "1250.50")
	c.declare("A3", phone(3)) // its text is in doubt, and could be settled by mistake
	_ = c.tryTick()
	_ = c.tryTick()
	_, signature, _ := strings.Cut(text.Callback, "&sig=")
	signature = "&sig=" + signature
	for name, address := range map[string]string{
		"no text":                    publicURL + "/twilio/status",
		"no signature":               publicURL + "/twilio/status?text=1",
		"another signature":          strings.TrimSuffix(text.Callback, signature) + "&sig=AAAAAAAAAAAAAAAAAAAAAA",
		"the signature of another":   publicURL + "/twilio/status?text=3" + signature,
		"a text that there is not":   publicURL + "/twilio/status?text=99" + signature,
		"no number":                  publicURL + "/twilio/status?text=1e0" + signature,
		"a huge number":              publicURL + "/twilio/status?text=99999999999999999999" + signature,
		"a negative number":          publicURL + "/twilio/status?text=-1" + signature,
		"the address of another one": other.Callback, // with this text's message
	} {
		before := c.results(store.CallbackUnknown)
		got, err := c.post(address, url.Values{"MessageSid": {text.SID}, "MessageStatus": {"delivered"}})
		if err != nil || got != http.StatusOK {
			t.Errorf("%s is answered with %d %v", name, got, err)
		}
		if n := c.results(store.CallbackUnknown) - before; n != 1 {
			t.Errorf("%s is counted %v times as unknown", name, n)
		}
	}
	c.wantStates("A1", "accepted")
	c.wantStates("A2", "accepted")
	c.wantStates("A3", "unknown")
	// In a restored store another text has the id, and another instant.
	if c.Callbacks.sign(1, c.clock.now()) == c.Callbacks.sign(1, c.clock.now().Add(time.Millisecond)) {
		t.Error("the instant of a text is not signed")
	}
}

// Callbacks of many texts come at once, each state three times and in no order.
func TestManyCallbacksAtOnce(t *testing.T) {
	t.Parallel()
	c := newCalled(t)
	const texts = 40
	for i := range texts {
		c.watch(fmt.Sprintf("A%02d", i), "2026-03-12", phone(i))
	}
	c.at("2026-03-09 09:00")
	c.tick()
	type saying struct {
		text   sandbox.Text
		status string
	}
	var all []saying
	for _, text := range c.sandbox.Texts() {
		for _, status := range []string{"queued", "sent", "delivered"} {
			all = append(all, saying{text, status}, saying{text, status}, saying{text, status})
		}
	}
	rand.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	var group sync.WaitGroup
	for part := range 12 {
		group.Go(func() {
			for i := part; i < len(all); i += 12 {
				got, err := c.post(all[i].text.Callback, url.Values{"MessageSid": {all[i].text.SID}, "MessageStatus": {all[i].status}})
				if err != nil || got != http.StatusOK {
					t.Errorf("%d %v", got, err)
				}
			}
		})
	}
	group.Wait()
	for i := range texts {
		c.wantStates(fmt.Sprintf("A%02d", i), "delivered")
	}
	if n := c.counted("duewatch_texts_total", "delivered"); n != texts {
		t.Errorf("%v texts are counted as delivered", n)
	}
}

// What is not on disk is not answered with a 2xx.
func TestACallbackThatCannotBeWrittenIsRefused(t *testing.T) {
	t.Parallel()
	c := newCalled(t)
	text := c.sendOne()
	if err := c.Store.Close(); err != nil {
		t.Fatal(err)
	}
	got, err := c.post(text.Callback, url.Values{"MessageSid": {text.SID}, "MessageStatus": {"delivered"}})
	if err != nil || got != http.StatusServiceUnavailable {
		t.Errorf("it is answered with %d %v", got, err)
	}
	form := url.Values{"MessageSid": {text.SID}, "From": {phone(1).E164()}, "Body": {"STOP"}}
	if got, err := c.post(publicURL+"/twilio/inbound", form); err != nil || got != http.StatusServiceUnavailable {
		t.Errorf("an opt-out is answered with %d %v", got, err)
	}
	c.start()
	c.wantStates("A1", "accepted")
}

// By a clock that nobody vouches for no failure is judged: the text is polled later.
func TestACallbackWaitsForTheClock(t *testing.T) {
	t.Parallel()
	c := newCalled(t)
	text := c.sendOne()
	check := NewClockCheck(c.clock.now, func() time.Duration { return time.Hour })
	c.ClockCheck = check
	address, err := url.Parse(text.Callback)
	if err != nil {
		t.Fatal(err)
	}
	delivered := notifier.StatusCallback{Query: address.Query(), Receipt: notifier.Receipt{SID: text.SID, Status: "delivered"}}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.RecordCallback(ctx, delivered); !errors.Is(err, ErrNotNow) {
		t.Errorf("error %v", err)
	}
	c.wantStates("A1", "accepted")
	done := make(chan store.CallbackOutcome)
	go func() {
		outcome, err := c.RecordCallback(t.Context(), delivered)
		if err != nil {
			t.Error(err)
		}
		done <- outcome
	}()
	check.OnDate(PeerProvider)(c.clock.now(), nil)
	if diff := cmp.Diff(store.CallbackRecorded, <-done); diff != "" {
		t.Error(diff)
	}
	c.ClockCheck = nil
}

// A customer says STOP while a text to them waits for its turn.
func TestAStopWordHoldsTheNextText(t *testing.T) {
	t.Parallel()
	c := newCalled(t)
	c.sendOne()
	inbound := func(sid, body string) {
		t.Helper()
		form := url.Values{"MessageSid": {"SM" + strings.Repeat(sid, 32)}, "From": {phone(1).E164()}, "Body": {body}}
		if got, err := c.post(publicURL+"/twilio/inbound", form); err != nil || got != http.StatusOK {
			t.Errorf("%q is answered with %d %v", body, got, err)
		}
	}
	inbound("a", "Acha nilipe kesho")
	if n, err := c.Store.PhonesOptedOut(c.ctx); err != nil || n != 0 {
		t.Errorf("%d phones are opted out, %v", n, err)
	}
	inbound("b", "Sitaki.")
	all, err := c.Store.OptOutsOf(c.ctx, phone(1))
	if err != nil || len(all) != 1 || all[0].Source != store.SourceMessage || !strings.Contains(all[0].Who, `"Sitaki."`) {
		t.Errorf("opt-outs %+v %v", all, err)
	}
	c.at("2026-03-12 09:00")
	c.tick()
	c.wantStory("A1", "3 days before: texted, on_schedule", "due day: skipped, opted_out")
	inbound("c", "Start")
	if n, err := c.Store.PhonesOptedOut(c.ctx); err != nil || n != 0 {
		t.Errorf("%d phones are opted out after START, %v", n, err)
	}
	inbound("b", "Sitaki.")
	inbound("c", "Start") // the first one, delivered once more
	if n, err := c.Store.PhonesOptedOut(c.ctx); err != nil || n != 1 {
		t.Errorf("%d phones are opted out, %v", n, err)
	}
	if strings.Contains(c.log.String(), "Sitaki") {
		t.Error("the log repeats what a customer writes")
	}
}
