package scheduler

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"duewatch/reminder"
	"duewatch/store"
)

// What the scheduler makes of each answer that Twilio's contract knows, through
// the real notifier and the real store: what stands there of the text, of its
// reminder and of the phone, and whether a text leaves later.

// twilio stands in front of the sandbox and answers by hand what a test wants
// answered so; a handler that is nil leaves the call to the sandbox.
type twilio struct{ create, fetch http.HandlerFunc }

func (c twilio) inFront(w *world) {
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		switch sandbox := w.sandbox.Handler(); {
		case r.Method == http.MethodPost && c.create != nil:
			c.create(rw, r)
		case strings.Contains(r.URL.Path, "/Messages/") && c.fetch != nil:
			c.fetch(rw, r)
		default:
			sandbox.ServeHTTP(rw, r)
		}
	}))
	w.t.Cleanup(server.Close)
	w.provider = server.URL
}

// says answers with a status and a body, after the request was read.
func says(status int, kind, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", kind)
		w.Header().Set("Location", "/elsewhere")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

const asJSON, asHTML = "application/json", "text/html"

func twilioError(status, code int) string {
	return fmt.Sprintf(`{"code":%d,"message":"The number %s is wrong","status":%d}`, code, phone(1).E164(), status)
}

// refuses is a refusal in Twilio's own shape.
func refuses(status, code int) http.HandlerFunc {
	return says(status, asJSON, twilioError(status, code))
}

// once lets h answer the first call, and the sandbox the others.
func once(w *world, h http.HandlerFunc) http.HandlerFunc {
	first := true
	return func(rw http.ResponseWriter, r *http.Request) {
		if first {
			first = false
			h(rw, r)
			return
		}
		w.sandbox.Handler().ServeHTTP(rw, r)
	}
}

// optOuts are the phones that must not be texted, and why.
func (w *world) optOuts() []string {
	w.t.Helper()
	out := []string{}
	if err := w.Store.OptOuts(w.ctx, func(o store.OptOut) error {
		out = append(out, fmt.Sprintf("%s %s by %s", o.Phone, o.Reason, o.Source))
		return nil
	}); err != nil {
		w.t.Fatal(err)
	}
	return out
}

func (w *world) wantOptOuts(want ...string) {
	w.t.Helper()
	if diff := cmp.Diff(append([]string{}, want...), w.optOuts()); diff != "" {
		w.t.Errorf("opt-outs (-want +got):\n%s", diff)
	}
}

// the classes of refusals at create.
var refusals = map[string]struct {
	codes   []int
	reason  reminder.Reason
	skipped bool   // for good
	optOut  string // why the phone must not be texted
	sent    string // the text that leaves by itself later on, if the first answer was the only refusal
}{
	"the number is bad":  {[]int{21211, 21214, 21217, 21604, 21614, 21635}, reminder.BadNumber, true, "bad_number", ""},
	"opted out":          {[]int{21610}, reminder.OptedOut, true, "opted_out", ""},
	"this text is bad":   {[]int{21602, 21617, 21618, 21620}, reminder.TextRefused, true, "", "03-12 09:00 A1"},
	"slow down":          {[]int{20429, 21611, 14107, 63017}, reminder.Throttled, false, "", "03-09 09:01 A1"},
	"no more today":      {[]int{63038}, reminder.Throttled, false, "", "03-10 09:00 A1"},
	"a code of nobody's": {[]int{10000, 21999, 29999, 99999}, reminder.RefusalUnclear, false, "", "03-09 10:00 A1"},
}

func TestEveryRefusalEndsAsItsClassAsks(t *testing.T) {
	t.Parallel()
	for class, c := range refusals {
		for _, code := range c.codes {
			t.Run(fmt.Sprintf("%s/%d", class, code), func(t *testing.T) {
				t.Parallel()
				w := newWorld(t, func(w *world) { twilio{create: once(w, refuses(400, code))}.inFront(w) })
				w.watch("A1", "2026-03-12", phone(1))
				w.at("2026-03-09 09:00")
				_ = w.tryTick()
				w.wantStates("A1", "refused")
				outcome := reminder.Held
				if c.skipped {
					outcome = reminder.Skipped
				}
				w.wantStory("A1", fmt.Sprintf("3 days before: %s, %s", outcome, c.reason))
				var silenced []string
				if c.optOut != "" {
					silenced = []string{phone(1).String() + " " + c.optOut + " by provider"}
				}
				w.wantOptOuts(silenced...)
				if texts, err := w.Store.Texts(w.ctx, w.bill("A1").ID); err != nil || len(texts) != 1 || texts[0].Code != code {
					t.Errorf("the operator is shown %+v, %v: want the code", texts, err)
				}

				w.ticks(61*time.Minute, time.Minute)
				w.at("2026-03-10 08:59")
				w.ticks(2*time.Minute, time.Minute)
				if c.skipped {
					w.at("2026-03-12 09:00")
					w.tick()
				}
				var sent []string
				if c.sent != "" {
					sent = []string{c.sent}
				}
				w.wantTexts(sent...)
				w.wantOptOuts(silenced...)
			})
		}
	}
}

// What is wrong with the account or the sender is no customer's fault: nothing
// is marked as failed, and no other text is thrown after the first.
func TestAnAccountFaultMarksNothingFailedAndStopsThePass(t *testing.T) {
	t.Parallel()
	faults := map[string]http.HandlerFunc{
		"401, a page": says(401, asHTML, "<html>no</html>"), "401": refuses(401, 20003), "403": refuses(403, 20003),
		"404, no such account": refuses(404, 20404),
	}
	for _, code := range []int{20003, 20005, 10001, 21212, 21601, 21603, 21607, 21701, 21704, 21705} {
		faults[fmt.Sprint(code)] = refuses(400, code)
	}
	for name, answer := range faults {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, func(w *world) {
				w.senders = 1
				twilio{create: answer}.inFront(w)
			})
			accounts := []string{"A1", "A2", "A3"}
			for i, account := range accounts {
				w.watch(account, "2026-03-12", phone(i))
			}
			w.at("2026-03-09 09:00")
			_ = w.tryTick()
			if n := w.posted.Load(); n != 1 {
				t.Errorf("%d texts were posted in the pass, want the one that met the fault", n)
			}
			recorded := 0
			for _, account := range accounts {
				story := strings.Join(w.story(account), "; ")
				if strings.Contains(story, "held, account_fault") {
					recorded++
				}
				if strings.Contains(story, "skipped") || strings.Contains(story, "texted") {
					t.Errorf("%s is marked: %s", account, story)
				}
				if state := w.states(account); strings.Contains(state, "failed") || strings.Contains(state, "undelivered") {
					t.Errorf("the text of %s is %s", account, state)
				}
			}
			if recorded == 0 {
				t.Error("no reminder is held for account_fault")
			}
			w.wantOptOuts()
			w.wantTexts()
		})
	}
}

// Every answer from which nobody can tell whether the text was taken leaves it
// in doubt: no refusal, no opt-out, no second POST.
func TestEveryUnclearAnswerLeavesTheTextInDoubt(t *testing.T) {
	t.Parallel()
	const sid = `{"sid":"SM00000000000000000000000000000abc","status":"queued","num_segments":"1"}`
	const page = "<html>Something went wrong</html>"
	answers := map[string]http.HandlerFunc{
		"200 without a sid": says(200, asJSON, "{}"), "200, a page": says(200, asHTML, page), "201 cut off": says(201, asJSON, sid[:50]),
		"201 with a sid of something else": says(201, asJSON, strings.Replace(sid, "SM", "CA", 1)), "204": says(204, asJSON, ""),
		"400 without JSON": says(400, asHTML, page), "400 cut off": says(400, asJSON, twilioError(400, 21211)[:12]), "404, a page": says(404, asHTML, page),
		"408": says(408, asHTML, page), "408 with a code": refuses(408, 21211), "409, a page": says(409, asHTML, page), "410, a page": says(410, asHTML, page),
	}
	for _, status := range []int{300, 301, 302, 303, 307, 308, 500, 501, 502, 503, 504, 599} {
		answers[fmt.Sprint(status)] = says(status, asHTML, page)
	}
	for _, status := range []int{302, 500, 503} {
		answers[fmt.Sprint(status, " with a code")] = refuses(status, 21211)
		answers[fmt.Sprint(status, " with a message")] = says(status, asJSON, sid)
	}
	for name, answer := range answers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, func(w *world) { twilio{create: answer}.inFront(w) })
			w.watch("A1", "2026-03-12", phone(1))
			w.at("2026-03-09 09:00")
			w.tick()
			w.wantStates("A1", "unknown")
			w.wantStory("A1", "3 days before: texted, on_schedule")
			w.wantOptOuts()
			w.ticks(time.Hour, 10*time.Minute)
			// The list does not have it, and in this world that is the operator's to judge.
			w.wantStates("A1", "not_found")
			w.wantStory("A1", "3 days before: held, in_doubt")
			if n := w.posted.Load(); n != 1 {
				t.Errorf("it was posted %d times", n)
			}
		})
	}
}

// The rest of what a proxy or Twilio may answer with, each with its one meaning.
func TestOtherAnswersAtCreate(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		answer        http.HandlerFunc
		states, story string
	}{
		"429, a page":          {says(429, asHTML, "<html>slow</html>"), "refused", "held, throttled"},
		"429, nothing":         {says(429, asJSON, ""), "refused", "held, throttled"},
		"429 with a bad code":  {refuses(429, 21211), "refused", "held, throttled"},
		"409 with a code":      {refuses(409, 21211), "refused", "skipped, bad_number"},
		"403 with an opt-out":  {refuses(403, 21610), "refused", "skipped, opted_out"},
		"422 with a bad text":  {refuses(422, 21617), "refused", "skipped, text_refused"},
		"422 with a new code":  {refuses(422, 29999), "refused", "held, refusal_unclear"},
		"403, a wall's page":   {says(403, asHTML, "<html>forbidden</html>"), "unknown", "texted, on_schedule"},
		"200 with a sid":       {says(200, asJSON, `{"sid":"SM00000000000000000000000000000abc"}`), "accepted", "texted, on_schedule"},
		"201 with a media sid": {says(201, asJSON, `{"sid":"MM00000000000000000000000000000abc"}`), "accepted", "texted, on_schedule"},
		"103, then a 201": {func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(http.StatusEarlyHints)
			says(201, asJSON, `{"sid":"SM00000000000000000000000000000abc"}`)(w, r)
		}, "accepted", "texted, on_schedule"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, func(w *world) { twilio{create: c.answer}.inFront(w) })
			w.watch("A1", "2026-03-12", phone(1))
			w.at("2026-03-09 09:00")
			_ = w.tryTick()
			w.wantStates("A1", c.states)
			w.wantStory("A1", "3 days before: "+c.story)
			if n := w.posted.Load(); n != 1 {
				t.Errorf("it was posted %d times", n)
			}
		})
	}
}

// formOf reads what was posted.
func formOf(body []byte) url.Values {
	form, _ := url.ParseQuery(string(body))
	return form
}
