package notifier

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"duewatch/reminder"
)

const listPath = "/2010-04-01/Accounts/" + testAccount + "/Messages.json"

func sid(i int) string { return fmt.Sprintf("SM%032x", i) }

// item is a message of a page, to testPhone and of testBody.
func item(i int, fields string) string {
	if fields != "" {
		fields = "," + fields
	}
	return fmt.Sprintf(`{"sid":%q,"to":%q,"body":%q,"status":"queued","direction":"outbound-api"%s}`, sid(i), testPhone.E164(), testBody, fields)
}

func pageOf(next string, items ...string) string {
	uri := "null"
	if next != "" {
		uri = strconv.Quote(next)
	}
	return `{"messages":[` + strings.Join(items, ",") + `],"next_page_uri":` + uri + `,"page_size":50}`
}

// pages answers with one page after the other, and keeps the requests.
func pages(tb testing.TB, bodies ...string) (base string, requests *[]string) {
	tb.Helper()
	requests = new([]string)
	base = serve(tb, func(w http.ResponseWriter, r *http.Request) {
		query, err := url.QueryUnescape(r.URL.RawQuery)
		if err != nil {
			tb.Error(err)
		}
		*requests = append(*requests, r.Method+" "+r.URL.Path+"?"+query)
		i := min(len(*requests), len(bodies)) - 1
		answer(200, "application/json", bodies[i])(w, r)
	})
	return base, requests
}

func sids(found []Listed) []string {
	all := []string{}
	for _, l := range found {
		all = append(all, l.SID)
	}
	return all
}

func TestListReadsAMessage(t *testing.T) {
	base, _ := pages(t, pageOf("",
		item(1, `"num_segments":"2","price":"-0.04000","price_unit":"USD","error_code":30005,
			"date_created":"Fri, 24 May 2019 17:18:27 +0000","date_sent":"Fri, 24 May 2019 20:18:28 +0300","date_updated":"Fri, 24 May 2019 17:18:30 +0000"`),
		item(2, `"num_segments":"0","price":null,"error_code":null,"date_sent":null,"date_created":"Fri, 24 May 2019 17:18:27 +0000"`)))
	at := func(second int) time.Time { return time.Date(2019, 5, 24, 17, 18, second, 0, time.UTC) }
	got, complete, err := newNotifier(t, testConfig(base)).List(t.Context(), Query{To: testPhone})
	if err != nil || !complete {
		t.Fatalf("complete %t, err %v", complete, err)
	}
	want := []Listed{
		{To: testPhone, Body: testBody, Receipt: Receipt{SID: sid(1), Status: "queued", Code: 30005, Segments: 2, Price: "-0.04000", PriceUnit: "USD", CreatedAt: at(27), SentAt: at(28), UpdatedAt: at(30)}},
		{To: testPhone, Body: testBody, Receipt: Receipt{SID: sid(2), Status: "queued", CreatedAt: at(27)}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("found (-want +got):\n%s", diff)
	}
	leaksNothing(t, got, got[0], &got[0])
}

// One message whose phone is hidden says nothing against the others of its page.
func TestAMaskedPhoneSpoilsNoPage(t *testing.T) {
	hidden := func(i int, to string) string {
		return fmt.Sprintf(`{"sid":%q,"to":%s,"body":"","status":"delivered","direction":"outbound-api"}`, sid(i), to)
	}
	base, _ := pages(t, pageOf("", item(1, ""), hidden(2, `"+2547******03"`), hidden(3, `"+25471000XXXX"`), hidden(4, "null"), item(5, "")))
	got, complete, err := newNotifier(t, testConfig(base)).List(t.Context(), Query{To: testPhone})
	if err != nil || !complete || len(got) != 5 {
		t.Fatalf("%d messages, complete %t, err %v; want all 5", len(got), complete, err)
	}
	for i, m := range got {
		if want := i >= 1 && i <= 3; m.Masked != want {
			t.Errorf("message %d: masked %t, want %t", i+1, m.Masked, want)
		}
	}
}

func TestListRequests(t *testing.T) {
	next := listPath + "?To=%2B254710000003&PageSize=50&Page=1&PageToken=PASM1"
	sent := time.Date(2026, 5, 4, 2, 30, 0, 0, time.FixedZone("EAT", 3*3600))
	tests := []struct {
		name  string
		query Query
		next  string
		want  []string
	}{
		{"one phone", Query{To: testPhone}, "", []string{"?PageSize=100&To=+254710000003"}},
		{"anyone", Query{}, "", []string{"?PageSize=500"}},
		{"Since is no filter of Twilio's", Query{To: testPhone, Since: sent}, "", []string{"?PageSize=100&To=+254710000003"}},
		{"SentSince is, in GMT", Query{SentSince: sent}, "", []string{"?DateSent>=2026-05-03T23:30:00Z&PageSize=500"}},
		{"few", Query{MaxMessages: 7}, "", []string{"?PageSize=7"}},
		{"a second page, with our own filters", Query{To: testPhone}, next,
			[]string{"?PageSize=100&To=+254710000003", "?Page=1&PageSize=100&PageToken=PASM1&To=+254710000003"}},
		{"a next page that forgot the filters", Query{To: testPhone, SentSince: sent}, listPath + "?PageToken=PASM1",
			[]string{"?DateSent>=2026-05-03T23:30:00Z&PageSize=100&To=+254710000003", "?DateSent>=2026-05-03T23:30:00Z&PageSize=100&PageToken=PASM1&To=+254710000003"}},
		{"a next page behind a proxy's path", Query{}, "/proxy" + listPath + "?Page=1", []string{"?PageSize=500", "?Page=1&PageSize=500"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			base, requests := pages(t, pageOf(tt.next, item(1, "")), pageOf("", item(2, "")))
			if _, _, err := newNotifier(t, testConfig(base)).List(t.Context(), tt.query); err != nil {
				t.Fatal(err)
			}
			for i := range tt.want {
				tt.want[i] = "GET " + listPath + tt.want[i]
			}
			if diff := cmp.Diff(tt.want, *requests); diff != "" {
				t.Errorf("requests (-want +got):\n%s", diff)
			}
		})
	}
}

// What is claimed to be absent may be sent again, so each of these is a text
// that a customer might get twice.
func TestListSaysWhatAbsenceIsWorth(t *testing.T) {
	since := time.Date(2026, 5, 4, 9, 0, 0, 900_000_000, time.UTC)
	created := func(i, second int) string {
		return item(i, `"date_created":"`+time.Date(2026, 5, 4, 9, 0, second, 0, time.UTC).Format(time.RFC1123Z)+`"`)
	}
	next := listPath + "?PageToken=PASM1"
	tests := []struct {
		name     string
		query    Query
		pages    []string
		want     []int
		complete bool
	}{
		{"nothing", Query{To: testPhone}, []string{pageOf("")}, nil, true},
		{"the last page was reached", Query{To: testPhone}, []string{pageOf(next, item(1, "")), pageOf("", item(2, ""))}, []int{1, 2}, true},
		{"the bound was reached", Query{To: testPhone, MaxMessages: 1}, []string{pageOf(next, item(1, "")), pageOf("", item(2, ""))}, []int{1}, false},
		{"the bound and the last page", Query{To: testPhone, MaxMessages: 1}, []string{pageOf("", item(1, ""))}, []int{1}, true},
		{"empty pages without end", Query{To: testPhone}, []string{pageOf(next)}, nil, false},
		{"an empty page before the one that counts", Query{To: testPhone}, []string{pageOf(next), pageOf("", item(1, ""))}, []int{1}, true},
		{"pages without order", Query{To: testPhone, Since: since}, []string{pageOf(next, created(1, -9), created(2, -8)), pageOf("", created(3, 1))}, []int{3}, true},
		{"the second of Since counts whole", Query{To: testPhone, Since: since}, []string{pageOf("", created(1, -1), created(2, 0), created(3, 1))}, []int{2, 3}, true},
		{"a date that is missing or odd hides nothing", Query{To: testPhone, Since: since}, []string{pageOf("", item(1, ""), item(2, `"date_created":"yesterday"`))}, []int{1, 2}, true},
		{"a text met again on the next page", Query{To: testPhone}, []string{pageOf(next, item(1, ""), item(2, "")), pageOf("", item(2, ""), item(3, ""))}, []int{1, 2, 3}, true},
		{"sent texts only", Query{SentSince: since}, []string{pageOf("", item(1, ""))}, []int{1}, false},
		{"those looked for, and no page more", Query{SIDs: map[string]bool{sid(2): true, sid(3): true}},
			[]string{pageOf(next, item(1, ""), item(2, "")), pageOf(next, item(3, "")), pageOf("", "not a message")}, []int{2, 3}, false},
		{"one looked for that is missing", Query{SIDs: map[string]bool{sid(2): true, sid(3): true}}, []string{pageOf(next, item(1, "")), pageOf("", item(3, ""))}, []int{3}, false},
		{"an incoming message", Query{}, []string{pageOf("", strings.Replace(item(1, ""), "outbound-api", "inbound", 1), item(2, ""))}, []int{2}, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			base, _ := pages(t, tt.pages...)
			got, complete, err := newNotifier(t, testConfig(base)).List(t.Context(), tt.query)
			if err != nil {
				t.Fatal(err)
			}
			want := []string{}
			for _, i := range tt.want {
				want = append(want, sid(i))
			}
			if diff := cmp.Diff(want, sids(got)); diff != "" || complete != tt.complete {
				t.Errorf("complete %t, want %t; found (-want +got):\n%s", complete, tt.complete, diff)
			}
		})
	}
	t.Run("a text met again is in its newer state", func(t *testing.T) {
		base, _ := pages(t, pageOf(next, item(1, "")), pageOf("", strings.Replace(item(1, ""), "queued", "delivered", 1)))
		got, _, err := newNotifier(t, testConfig(base)).List(t.Context(), Query{To: testPhone})
		if err != nil || len(got) != 1 || got[0].Status != "delivered" {
			t.Errorf("found %v, err %v; want one text, delivered", got, err)
		}
	})
}

func TestListErrors(t *testing.T) {
	const html = "<html>+254710000003</html>"
	other := strings.Replace(item(1, ""), "710000003", "710000009", 1)
	tests := []struct {
		name   string
		answer http.HandlerFunc
		want   error
		pause  time.Duration
	}{
		{"401", answer(401, "application/json", twilioError(401, 20003)), ErrStop, 0},
		{"403 of a firewall", answer(403, "text/html", html), ErrRetry, 0},
		{"403 of a closed account", answer(403, "application/json", twilioError(403, 20005)), ErrStop, 0},
		{"400 with an inactive account", answer(400, "application/json", twilioError(400, 20005)), ErrStop, 0},
		{"404: no such account", answer(404, "application/json", twilioError(404, 20404)), ErrStop, 0},
		{"404 of a proxy", answer(404, "text/html", html), ErrRetry, 0},
		{"429", answer(429, "application/json", twilioError(429, 20429), "Retry-After", "9"), ErrRetry, 9 * time.Second},
		{"400", answer(400, "application/json", twilioError(400, 20001)), ErrRetry, 0},
		{"503", answer(503, "text/html", html), ErrRetry, 0},
		{"302", answer(302, "application/json", pageOf(""), "Location", "/elsewhere"), ErrRetry, 0},
		{"200 empty", answer(200, "application/json", ""), ErrRetry, 0},
		{"200 in html", answer(200, "text/html", html), ErrRetry, 0},
		{"200 with an empty object", answer(200, "application/json", "{}"), ErrRetry, 0},
		{"200 with null", answer(200, "application/json", "null"), ErrRetry, 0},
		{"200 with no messages", answer(200, "application/json", `{"messages":null,"next_page_uri":null}`), ErrRetry, 0},
		{"200 cut off", answer(200, "application/json", pageOf("", item(1, ""))[:60]), ErrRetry, 0},
		{"200 with a message without a sid", answer(200, "application/json", pageOf("", `{"to":"+254710000003"}`)), ErrRetry, 0},
		{"200 about another phone", answer(200, "application/json", pageOf("", other)), ErrRetry, 0},
		{"200 without end", answer(200, "application/json", pageOf("")+strings.Repeat(" ", maxAnswer+pageOfOne*maxListed)), ErrRetry, 0},
		{"a next page of another account", answer(200, "application/json", pageOf(strings.Replace(listPath, "AC0", "AC1", 1)+"?Page=1")), ErrRetry, 0},
		{"a next page of another list", answer(200, "application/json", pageOf("/2010-04-01/Accounts/"+testAccount+"/Calls.json?Page=1")), ErrRetry, 0},
		{"a next page without a place", answer(200, "application/json", pageOf(listPath+"?PageSize=50")), ErrRetry, 0},
		{"a next page that is no address", answer(200, "application/json", pageOf(":// +254710000003")), ErrRetry, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var asked atomic.Int32
			n := newNotifier(t, testConfig(serve(t, func(w http.ResponseWriter, r *http.Request) {
				asked.Add(1)
				tt.answer(w, r)
			})))
			found, complete, err := n.List(t.Context(), Query{To: testPhone})
			expect(t, err, tt.want)
			var e *Error
			if !errors.As(err, &e) || e.Op != "list" || e.RetryAfter != tt.pause {
				t.Errorf("err %#v, want a *Error of list with a pause of %s", err, tt.pause)
			}
			if found != nil || complete || asked.Load() != 1 {
				t.Errorf("found %v, complete %t after %d requests; want nothing after one", found, complete, asked.Load())
			}
		})
	}
	t.Run("the second page fails", func(t *testing.T) {
		for status, body := range map[int]string{404: twilioError(404, 20404), 500: html} {
			first := true
			n := newNotifier(t, testConfig(serve(t, func(w http.ResponseWriter, r *http.Request) {
				if first {
					first = false
					answer(200, "application/json", pageOf(listPath+"?Page=1", item(1, "")))(w, r)
					return
				}
				answer(status, "application/json", body)(w, r)
			})))
			found, complete, err := n.List(t.Context(), Query{To: testPhone})
			expect(t, err, ErrRetry)
			if found != nil || complete {
				t.Errorf("%d: found %v, complete %t; want nothing", status, found, complete)
			}
		}
	})
	t.Run("closed in the middle", func(t *testing.T) {
		n := newNotifier(t, testConfig(raw(t, func(c net.Conn) {
			readRequest(c)
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n"+pageOf(""))
		})))
		_, complete, err := n.List(t.Context(), Query{To: testPhone})
		expect(t, err, ErrRetry)
		if complete {
			t.Error("half an answer is called complete")
		}
	})
	t.Run("cancelled", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, _, err := newNotifier(t, testConfig("http://127.0.0.1:1")).List(ctx, Query{To: testPhone})
		expect(t, err, ErrRetry)
		if !errors.Is(err, context.Canceled) {
			t.Errorf("err %v does not match the cancellation", err)
		}
	})
	t.Run("not a phone", func(t *testing.T) {
		n := newNotifier(t, testConfig(serve(t, func(http.ResponseWriter, *http.Request) { t.Error("a request was made") })))
		_, _, err := n.List(t.Context(), Query{To: "0710000003"})
		expect(t, err, ErrRetry)
	})
	t.Run("no credentials", func(t *testing.T) {
		_, _, err := newNotifier(t, Config{Delivery: reminder.Delivery{Mode: reminder.ModeOff}}).List(t.Context(), Query{To: testPhone})
		expect(t, err, ErrStop)
	})
}

func TestListStaysOnItsHost(t *testing.T) {
	var elsewhere atomic.Int32
	other := serve(t, func(http.ResponseWriter, *http.Request) { elsewhere.Add(1) })
	for _, next := range []string{other + listPath, strings.TrimPrefix(other, "http:") + listPath, "http://user:pw@" + strings.TrimPrefix(other, "http://") + listPath} {
		base, requests := pages(t, pageOf(next+"?PageToken=PASM1", item(1, "")), pageOf("", item(2, "")))
		found, _, err := newNotifier(t, testConfig(base)).List(t.Context(), Query{To: testPhone})
		if err != nil || len(found) != 2 || len(*requests) != 2 || elsewhere.Load() != 0 {
			t.Errorf("%s: %d texts, %d requests here, %d elsewhere, err %v", next, len(found), len(*requests), elsewhere.Load(), err)
		}
	}
}

// A page of the longest texts in the widest escapes is within the bound.
func TestListTakesTheLongestPage(t *testing.T) {
	body := strings.Repeat(`\ud83d\ude42`, maxBody)
	items := make([]string, pageOfOne)
	for i := range items {
		items[i] = strings.Replace(item(i, `"error_message":"`+strings.Repeat("x", 1000)+`"`), testBody, body, 1)
	}
	base, _ := pages(t, pageOf("", items...))
	found, complete, err := newNotifier(t, testConfig(base)).List(t.Context(), Query{To: testPhone})
	if err != nil || !complete || len(found) != pageOfOne {
		t.Fatalf("%d texts, complete %t, err %v", len(found), complete, err)
	}
	if found[0].Body != strings.Repeat("🙂", maxBody) {
		t.Error("the body is not what was listed")
	}
}

func TestListTellsLogAndObserverOfEachPage(t *testing.T) {
	var log bytes.Buffer
	type seen struct{ Op, Outcome string }
	var calls []seen
	base, _ := pages(t, pageOf(listPath+"?Page=1", item(1, "")), "{}")
	c := testConfig(base)
	c.Log = slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	c.OnCall = func(op, outcome string, _ time.Duration) { calls = append(calls, seen{op, outcome}) }
	_, _, _ = newNotifier(t, c).List(t.Context(), Query{To: testPhone})
	leaksNothing(t, log.String())
	if diff := cmp.Diff([]seen{{"list", "ok"}, {"list", "retry"}}, calls); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
	if got := strings.Count(log.String(), `"twilio list"`); got != 2 {
		t.Errorf("%d lines in the log, want 2:\n%s", got, log.String())
	}
}

// Whatever a page says, List comes to an end, asks its own account only, and
// finds nothing that was not asked for.
func FuzzList(f *testing.F) {
	f.Add([]byte(pageOf("", item(1, ""))))
	f.Add([]byte(pageOf(listPath+"?Page=1&PageToken=PA", item(1, `"date_created":"Fri, 24 May 2019 17:18:27 +0000"`), item(1, ""))))
	f.Add([]byte(pageOf("//elsewhere.example" + listPath + "?Page=1")))
	f.Add([]byte(`{"messages":[{"sid":null,"to":1}]}`))
	f.Add([]byte(`{}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		asked := 0
		c := testConfig("https://twilio.example")
		c.Transport = roundTrip(func(r *http.Request) (*http.Response, error) {
			asked++
			if r.URL.Scheme != "https" || r.URL.Host != "twilio.example" || r.URL.Path != listPath || r.URL.Query().Get("To") != testPhone.E164() {
				t.Error("a request left for another place, or without its filter")
			}
			return &http.Response{StatusCode: 200, Body: io.NopCloser(bytes.NewReader(data))}, nil
		})
		found, complete, err := newNotifier(t, c).List(t.Context(), Query{To: testPhone, MaxMessages: 3})
		if asked != 1 {
			t.Errorf("%d requests for 3 messages", asked)
		}
		if err != nil {
			if found != nil || complete || !errors.Is(err, ErrRetry) {
				t.Errorf("found %v, complete %t beside err %v", found, complete, err)
			}
			return
		}
		if complete && !bytes.Contains(bytes.ToLower(data), []byte("messages")) {
			t.Error("complete without a list of messages")
		}
		known := map[string]bool{}
		for _, l := range found {
			if l.To != testPhone || !messageSIDForm.MatchString(l.SID) || known[l.SID] {
				t.Errorf("found %v", l)
			}
			known[l.SID] = true
			if b, err := json.Marshal(l); err != nil || bytes.Contains(b, []byte(testPhone.Digits())) {
				t.Errorf("the phone is given away, or err %v", err)
			}
		}
	})
}
