package notifier

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
)

// codesOf is Twilio's contract about error codes, written down apart from our
// table: each code that it documents for texts, by what it asks for. In the
// first list stand those that answer a create request, in the second those that
// a message gets later.
var codesOf = map[Class][2][]int{
	BadNumber:     {{21211, 21214, 21217, 21604, 21614, 21635}, {30005, 30006}},
	OptedOut:      {{21610}, {21610}},
	BadText:       {{21602, 21617, 21618, 21620}, {30007, 30019}},
	Account:       {{20003, 20005, 10001, 20404, 21603, 21701, 21704, 21705}, {30002, 30044}},
	Destination:   {{21408, 21606, 21608, 21612, 21657, 21659, 21703}, {30018, 30032, 30034}},
	SlowDown:      {{20429, 21611, 63017}, {30001, 30022, 30023}},
	SlowDownPhone: {{14107}, nil},
	UntilTomorrow: {{63038}, nil},
	TryLater:      {nil, {30003, 30036, 30450, 30500}},
	TryOnce:       {nil, {30004}},
	MaybeHasIt:    {nil, {30008, 30410}},
}

// besides are codes that the contract leaves open. Each is about the sender as
// such: one that is not valid, cannot send texts, or is not the trial account's.
var besides = []int{21212, 21601, 21607}

// Not one code of the contract is missing from our table or is in another
// class, and not one in our table is there unseen.
func TestEveryCodeOfTheContractIsInTheTable(t *testing.T) {
	known := map[int]bool{}
	for class, columns := range codesOf {
		for _, code := range append(columns[0], columns[1]...) {
			known[code] = true
			if got := ClassOf(code); got != class {
				t.Errorf("%d is %q, want %q", code, got, class)
			}
		}
	}
	for _, code := range besides {
		known[code] = true
		if got := ClassOf(code); got != Account {
			t.Errorf("%d is %q, want %q", code, got, Account)
		}
	}
	for code := range codes {
		if !known[code] {
			t.Errorf("%d is in the table and not in the contract", code)
		}
	}
}

// scripted is a provider whose next answer is set by the test.
type scripted struct {
	url  string
	next atomic.Pointer[http.HandlerFunc]
}

func newScripted(t *testing.T) *scripted {
	t.Helper()
	s := &scripted{}
	s.url = serve(t, func(w http.ResponseWriter, r *http.Request) { (*s.next.Load())(w, r) })
	return s
}

func (s *scripted) says(h http.HandlerFunc) { s.next.Store(&h) }

// Each code, answering a create request with the status that it comes with and
// with the plain 400.
func TestEveryCodeAtCreate(t *testing.T) {
	twilio := newScripted(t)
	n := newNotifier(t, testConfig(twilio.url))
	for class, columns := range codesOf {
		outcome := Refused
		if class == SlowDown || class == SlowDownPhone || class == UntilTomorrow {
			outcome = Throttled
		}
		for _, code := range columns[0] {
			for _, status := range []int{400, map[int]int{20003: 401, 21408: 403, 20429: 429, 63038: 429}[code]} {
				if status == 0 {
					continue
				}
				twilio.says(answer(status, "application/json", twilioError(status, code)))
				got := n.Send(t.Context(), testMessage())
				if got.Outcome != outcome || got.Class != class || got.Code != code {
					t.Errorf("%d with %d: %q, %q, code %d; want %q, %q", status, code, got.Outcome, got.Class, got.Code, outcome, class)
				}
				leaksNothing(t, got.Err)
			}
		}
	}
}

// promised is the contract about statuses in its own words: a 2xx needs a sid, a 429 was never processed, a 401 was not let in, the other 4xx
// need a code of Twilio's, and everything else is not known.
func promised(status int, sid, code bool) Acceptance {
	switch {
	case status >= 200 && status <= 299 && sid:
		return Accepted
	case status == 429:
		return Throttled
	case status == 401:
		return Refused
	case status >= 400 && status <= 499 && status != 408 && code:
		return Refused
	default:
		return Unknown
	}
}

// Every status there can be, with whatever body: nothing is taken for sent, or
// for not sent, without proof, and what is about the account says so.
func TestEveryStatusHasItsOutcome(t *testing.T) {
	const html = "<html><body>+254710000003</body></html>"
	twilio := newScripted(t)
	n := newNotifier(t, testConfig(twilio.url))
	for status := 200; status <= 999; status++ {
		if status > 620 && status < 980 {
			continue // as odd as their neighbours
		}
		noBody := status == http.StatusNoContent || status == http.StatusNotModified
		for name, body := range map[string]string{
			"a message": created, "half a message": created[:60], "an empty object": "{}", "nothing": "",
			"an error": twilioError(status, 21211), "half an error": twilioError(status, 21211)[:30], "a page": html,
		} {
			if noBody && body != "" {
				continue
			}
			kind := "application/json"
			if body == html {
				kind = "text/html"
			}
			if noBody {
				twilio.says(bare(status))
			} else {
				twilio.says(answer(status, kind, body, "Location", "/elsewhere"))
			}
			got := n.Send(t.Context(), testMessage())
			if want := promised(status, body == created, name == "an error"); got.Outcome != want {
				t.Errorf("%d with %s: %q, want %q", status, name, got.Outcome, want)
			}
			if stops := status == 401; stops != (got.Class == Account) {
				t.Errorf("%d with %s: class %q", status, name, got.Class)
			}
			if one := status == 403 && name != "an error"; one != (got.Class == Destination) {
				t.Errorf("%d with %s: class %q", status, name, got.Class)
			}
			leaksNothing(t, got.Err)
		}
	}
}

// A 1xx is no answer yet: the one that counts comes behind it, or never.
func TestOddStatusesBeforeTheAnswer(t *testing.T) {
	const good = "HTTP/1.1 201 Created\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n" + created
	tests := map[string]struct {
		says string
		want Acceptance
	}{
		"100, then 201":          {"HTTP/1.1 100 Continue\r\n\r\n" + good, Accepted},
		"102, then 201":          {"HTTP/1.1 102 Processing\r\n\r\n" + good, Accepted},
		"103, then 201":          {"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" + good, Accepted},
		"103, then 429":          {"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 429 Too Many\r\nContent-Length: 0\r\n\r\n", Throttled},
		"100 and nothing else":   {"HTTP/1.1 100 Continue\r\n\r\n", Unknown},
		"103 and half an answer": {"HTTP/1.1 103 Early Hints\r\n\r\n" + good[:90], Unknown},
		"forty 103, then 201":    {strings.Repeat("HTTP/1.1 103 Early Hints\r\n\r\n", 40) + good, Accepted},
		"103 without end":        {strings.Repeat("HTTP/1.1 103 Early Hints\r\n\r\n", 4*maxAnswer/28) + good, Unknown},
		"a status of two digits": {"HTTP/1.1 20 OK\r\n\r\n" + created, Unknown},
		"status 000":             {"HTTP/1.1 000 None\r\nContent-Length: 2\r\n\r\n{}", Unknown},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			var posts atomic.Int32
			n := newNotifier(t, testConfig(raw(t, func(c net.Conn) {
				if readRequest(c) == "" {
					return
				}
				posts.Add(1)
				_, _ = io.WriteString(c, tt.says)
			})))
			got := n.Send(t.Context(), testMessage())
			if got.Outcome != tt.want {
				t.Errorf("%q, want %q (%v)", got.Outcome, tt.want, got.Err)
			}
			if posts := posts.Load(); posts != 1 {
				t.Errorf("%d requests were made", posts)
			}
			leaksNothing(t, got.Err, fmt.Sprint(got))
		})
	}
}
