package scheduler

import (
	"fmt"
	"net/http"
	"path"
	"strings"
	"testing"
	"time"

	"duewatch/reminder"
)

// reports says of every message that it ended so.
func reports(status string, code int) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		sid := strings.TrimSuffix(path.Base(r.URL.Path), ".json")
		says(200, asJSON, fmt.Sprintf(`{"sid":%q,"status":%q,"error_code":%d,"num_segments":"1"}`, sid, status, code))(w, r)
	}
}

// What a code means when it comes on the message, after it was accepted: for
// the phone, for this reminder, and for the next one.
func TestEveryLateFailureEndsAsItsClassAsks(t *testing.T) {
	t.Parallel()
	const next = "due day: texted, on_schedule"
	for class, c := range map[string]struct {
		codes       []int
		least, most int64  // texts of the first stage in all
		optOut      string // why the phone must not be texted
		next        string // what becomes of the next stage
	}{
		"the number is bad":         {[]int{30005, 30006}, 1, 1, "bad_number", "due day: skipped, bad_number"},
		"opted out":                 {[]int{21610}, 1, 1, "opted_out", "due day: skipped, opted_out"},
		"this text is bad":          {[]int{30007, 30019}, 1, 1, "", next},
		"slow down, then go on":     {[]int{30001, 30022, 30023}, 2, 1 + maxRedeliveries, "", next},
		"later, a few times, anew":  {[]int{30003, 30036, 30450, 30500}, 2, 1 + maxRedeliveries, "", next},
		"the phone may have it":     {[]int{30008, 30410}, 1, 1, "", next},
		"later, once":               {[]int{30004}, 2, 2, "", next},
		"a code of nobody's":        {[]int{39999}, 1, 1, "", next},
		"no code at all":            {[]int{0}, 1, 1, "", next},
		"a number's code, but late": {[]int{21211, 21614}, 1, 1, "bad_number", "due day: skipped, bad_number"},
	} {
		for _, code := range c.codes {
			for _, status := range []string{"undelivered", "failed"} {
				t.Run(fmt.Sprintf("%s/%d %s", class, code, status), func(t *testing.T) {
					t.Parallel()
					w := newWorld(t, func(w *world) { twilio{fetch: reports(status, code)}.inFront(w) })
					w.watch("A1", "2026-03-12", phone(1))
					w.at("2026-03-09 09:00")
					w.tick()
					w.ticks(4*time.Hour, 12*time.Minute)
					if n := w.posted.Load(); n < c.least || n > c.most {
						t.Errorf("%d texts, want %d to %d", n, c.least, c.most)
					}
					for state := range strings.FieldsSeq(w.states("A1")) {
						if state != status {
							t.Errorf("a text is %s, and the provider says %s", state, status)
						}
					}
					// The customer was texted, as far as we could: it counts as that stage's text.
					if story := w.story("A1"); len(story) != 1 || !strings.HasPrefix(story[0], "3 days before: texted, ") {
						t.Errorf("story %v", story)
					}
					var silenced []string
					if c.optOut != "" {
						silenced = []string{phone(1).String() + " " + c.optOut + " by provider"}
					}
					w.wantOptOuts(silenced...)
					w.wantLog("text not delivered")

					w.at("2026-03-12 09:00")
					w.tick()
					if story := w.story("A1"); len(story) != 2 || story[1] != c.next {
						t.Errorf("the next stage: %v, want %s", story, c.next)
					}
					w.sandboxTextsAreTries("A1")
				})
			}
		}
	}
}

// Where the network cannot say whether the phone has a text, the text counts as had,
// and the trail says why it is not sent again.
func TestATextThatThePhoneMayHaveIsNotSentAgain(t *testing.T) {
	t.Parallel()
	for _, code := range []int{30008, 30410} {
		t.Run(fmt.Sprint(code), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, func(w *world) { twilio{fetch: reports("undelivered", code)}.inFront(w) })
			w.watch("A1", "2026-03-12", phone(1))
			w.watch("A2", "2026-03-13", phone(1))
			w.at("2026-03-09 09:00")
			w.tick()
			w.ticks(2*time.Hour, 10*time.Minute)
			if n := w.posted.Load(); n != 1 {
				t.Errorf("%d texts were posted", n)
			}
			w.wantStory("A1", "3 days before: texted, on_schedule")
			events, err := w.Store.Events(w.ctx, w.bill("A1").ID)
			if err != nil || len(events) == 0 {
				t.Fatal(err)
			}
			if last := events[len(events)-1]; last.What != "undelivered" || last.Reason != string(reminder.MayHaveIt) || !strings.Contains(last.Detail, "may have it") {
				t.Errorf("the trail ends with %+v", last)
			}
			// It is one of the phone's texts of the day.
			w.watch("A3", "2026-03-12", phone(1))
			w.ticks(10*time.Minute, time.Minute)
			w.wantStory("A3", "3 days before: held, daily_cap")
		})
	}
}

// A fault of the account that comes on the message is no customer's either.
func TestALateAccountFaultIsNotHeldAgainstTheCustomer(t *testing.T) {
	t.Parallel()
	for _, code := range []int{30002, 30044} {
		t.Run(fmt.Sprint(code), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, func(w *world) { twilio{fetch: reports("failed", code)}.inFront(w) })
			w.watch("A1", "2026-03-12", phone(1))
			w.at("2026-03-09 09:00")
			w.tick()
			w.clock.pass(time.Minute)
			_ = w.tryTick()
			if state := w.states("A1"); !strings.HasPrefix(state, "failed") {
				t.Errorf("the text is %s", state)
			}
			w.wantOptOuts()
			w.wantLog("text not delivered")
			w.sandboxTextsAreTries("A1")
		})
	}
}

// Each word of Twilio's for where a message stands, as the first thing that is
// heard of it.
func TestEveryStatusOfAMessageHasItsState(t *testing.T) {
	t.Parallel()
	for word, state := range map[string]string{
		"accepted": "accepted", "scheduled": "accepted", "queued": "accepted", "sending": "accepted", "sent": "sent",
		"delivered": "delivered", "read": "delivered", "undelivered": "undelivered", "failed": "failed", "canceled": "canceled",
		"a word to come": "accepted", "": "accepted",
	} {
		t.Run(fmt.Sprintf("%q", word), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, func(w *world) { twilio{fetch: reports(word, 0)}.inFront(w) })
			w.watch("A1", "2026-03-12", phone(1))
			w.at("2026-03-09 09:00")
			w.tick()
			w.clock.pass(time.Minute)
			w.tick()
			w.wantStates("A1", state)
			w.wantStory("A1", "3 days before: texted, "+string(reminder.OnSchedule))
			w.wantOptOuts()
		})
	}
}

// What is no answer about the message leaves it where it is, however it looks,
// and it is asked about again.
func TestReceiptsThatCannotBeReadChangeNothing(t *testing.T) {
	t.Parallel()
	const failed = `{"sid":"SM00000000000000000000000000000abc","status":"failed","error_code":21610}`
	for name, answer := range map[string]http.HandlerFunc{
		"200, a page": says(200, asHTML, "<html>failed</html>"), "200, empty": says(200, asJSON, "{}"), "200, about another message": says(200, asJSON, failed),
		"302": says(302, asJSON, "{}"), "400 with a code": refuses(400, 20001), "401": refuses(401, 20003), "403": says(403, asHTML, "<html></html>"),
		"404": refuses(404, 20404), "404, a page": says(404, asHTML, "<html></html>"), "409": says(409, asHTML, ""), "408": says(408, asHTML, ""),
		"429": refuses(429, 20429), "500": says(500, asHTML, ""), "503 with a message": says(503, asJSON, failed), "504": says(504, asHTML, ""),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, func(w *world) { twilio{fetch: answer}.inFront(w) })
			w.watch("A1", "2026-03-12", phone(1))
			w.at("2026-03-09 09:00")
			w.tick()
			w.ticks(2*time.Hour, 10*time.Minute)
			w.wantStates("A1", "accepted")
			w.wantOptOuts()
			w.restart(func(w *world) { w.provider = "" })
			w.ticks(7*time.Hour, 30*time.Minute)
			w.wantStates("A1", "delivered")
			if n := w.posted.Load(); n != 1 {
				t.Errorf("it was posted %d times", n)
			}
		})
	}
}
