package notifier

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"duewatch/reminder"
)

func TestFetch(t *testing.T) {
	const delivered = `{"sid":"` + testSID + `","status":"delivered","num_segments":"2","price":"-0.09000","price_unit":"USD","error_code":null,
		"date_created":"Fri, 24 May 2019 17:18:27 +0000","date_sent":"Fri, 24 May 2019 20:18:28 +0300","date_updated":"Fri, 24 May 2019 17:18:30 +0000","to":"+254710000003","body":"x"}`
	at := func(second int) time.Time { return time.Date(2019, 5, 24, 17, 18, second, 0, time.UTC) }
	tests := []struct {
		name, answer string
		want         Receipt
	}{
		{"delivered", delivered, Receipt{SID: testSID, Status: "delivered", Segments: 2, Price: "-0.09000", PriceUnit: "USD", CreatedAt: at(27), SentAt: at(28), UpdatedAt: at(30)}},
		{"queued, little known", `{"sid":"` + testSID + `","status":"queued","num_segments":"0","price":null,"date_sent":null}`, Receipt{SID: testSID, Status: "queued"}},
		{"undelivered", `{"sid":"` + testSID + `","status":"undelivered","error_code":30005}`, Receipt{SID: testSID, Status: "undelivered", Code: 30005}},
		{"odd values", `{"sid":"` + testSID + `","status":"sent","num_segments":"many","date_sent":"yesterday"}`, Receipt{SID: testSID, Status: "sent"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var path, user string
			n := newNotifier(t, testConfig(serve(t, func(w http.ResponseWriter, r *http.Request) {
				path = r.Method + " " + r.URL.String()
				user, _, _ = r.BasicAuth()
				answer(200, "application/json", tt.answer)(w, r)
			})))
			got, err := n.Fetch(t.Context(), testSID)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("receipt (-want +got):\n%s", diff)
			}
			if want := "GET /2010-04-01/Accounts/" + testAccount + "/Messages/" + testSID + ".json"; path != want || user != testAccount {
				t.Errorf("%s as %s, want %s as %s", path, user, want, testAccount)
			}
		})
	}
}

func TestFetchErrors(t *testing.T) {
	const html = "<html>+254710000003</html>"
	tests := []struct {
		name   string
		answer http.HandlerFunc
		want   error
		pause  time.Duration
	}{
		{"404", answer(404, "application/json", twilioError(404, 20404)), ErrNotFound, 0},
		{"404 of a proxy", answer(404, "text/html", html), ErrRetry, 0},
		{"401", answer(401, "application/json", twilioError(401, 20003)), ErrStop, 0},
		{"403 of a firewall", answer(403, "text/html", html), ErrRetry, 0},
		{"403 of a closed account", answer(403, "application/json", twilioError(403, 20005)), ErrStop, 0},
		{"400 with an inactive account", answer(400, "application/json", twilioError(400, 20005)), ErrStop, 0},
		{"429", answer(429, "application/json", twilioError(429, 20429), "Retry-After", "9"), ErrRetry, 9 * time.Second},
		{"400", answer(400, "application/json", twilioError(400, 20001)), ErrRetry, 0},
		{"500", answer(500, "text/html", html), ErrRetry, 0},
		{"302", answer(302, "application/json", "{}"), ErrRetry, 0},
		{"200 empty", answer(200, "application/json", ""), ErrRetry, 0},
		{"200 with an empty object", answer(200, "application/json", "{}"), ErrRetry, 0},
		{"200 in html", answer(200, "text/html", html), ErrRetry, 0},
		{"200 about another message", answer(200, "application/json", strings.Replace(created, "abc", "abd", 1)), ErrRetry, 0},
		{"200 without end", answer(200, "application/json", created+strings.Repeat(" ", maxAnswer)), ErrRetry, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := newNotifier(t, testConfig(serve(t, tt.answer))).Fetch(t.Context(), testSID)
			expect(t, err, tt.want)
			var e *Error
			if !errors.As(err, &e) || e.RetryAfter != tt.pause {
				t.Errorf("err %#v, want a *Error with a pause of %s", err, tt.pause)
			}
		})
	}
	t.Run("closed in the middle", func(t *testing.T) {
		n := newNotifier(t, testConfig(raw(t, func(c net.Conn) {
			readRequest(c)
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n"+created)
		})))
		_, err := n.Fetch(t.Context(), testSID)
		expect(t, err, ErrRetry)
	})
	t.Run("no one listens", func(t *testing.T) {
		_, err := newNotifier(t, testConfig("http://127.0.0.1:1")).Fetch(t.Context(), testSID)
		expect(t, err, ErrRetry)
	})
	t.Run("cancelled", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := newNotifier(t, testConfig("http://127.0.0.1:1")).Fetch(ctx, testSID)
		expect(t, err, ErrRetry)
		if !errors.Is(err, context.Canceled) {
			t.Errorf("err %v does not match the cancellation", err)
		}
	})
	t.Run("not a sid", func(t *testing.T) {
		for _, sid := range []string{"", "SM1", "../Calls", testSID + "/x"} {
			_, err := newNotifier(t, testConfig("http://127.0.0.1:1")).Fetch(t.Context(), sid)
			expect(t, err, ErrNotFound)
		}
	})
	t.Run("no credentials", func(t *testing.T) {
		n := newNotifier(t, Config{Delivery: reminder.Delivery{Mode: reminder.ModeOff}})
		_, err := n.Fetch(t.Context(), testSID)
		expect(t, err, ErrStop)
	})
}

func expect(t *testing.T, err, want error) {
	t.Helper()
	for _, kind := range []error{ErrNotFound, ErrStop, ErrRetry} {
		if errors.Is(err, kind) != errors.Is(want, kind) {
			t.Errorf("err %v matches %q: %t", err, kind, errors.Is(err, kind))
		}
	}
	leaksNothing(t, err)
}
