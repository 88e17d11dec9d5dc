package notifier

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"duewatch/reminder"
)

const (
	testAccount = "AC00000000000000000000000000000001"
	testToken   = "0123456789abcdefTOKENsecret"
	testSID     = "SM00000000000000000000000000000abc"
	testPhone   = reminder.Phone("+254710000003")
	testBody    = "Dear Achieng, KES 2,315.50 is due tomorrow."

	created = `{"sid":"` + testSID + `","status":"queued","num_segments":"1","error_code":null,"to":"+254710000003"}`
)

func testMessage() Message {
	return Message{To: testPhone, Body: testBody, Validity: time.Hour}
}

func testConfig(base string) Config {
	return Config{
		AccountSID: testAccount, AuthToken: testToken, From: "DUEWATCH", BaseURL: base,
		Timeout: 10 * time.Second, Delivery: reminder.Delivery{Mode: reminder.ModeLive},
	}
}

func newNotifier(tb testing.TB, c Config) *Notifier {
	tb.Helper()
	n, err := New(c)
	if err != nil {
		tb.Fatal(err)
	}
	return n
}

func serve(tb testing.TB, h http.HandlerFunc) string {
	tb.Helper()
	s := httptest.NewServer(h)
	tb.Cleanup(s.Close)
	return s.URL
}

// answer is a handler that reads the request and says one thing.
func answer(status int, contentType, body string, header ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", contentType)
		for i := 0; i+1 < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

// bare answers with a status that must have no body.
func bare(status int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }
}

func twilioError(status, code int) string {
	return fmt.Sprintf(`{"code":%d,"message":"The number +254710000003 is wrong; %s","more_info":"https://www.twilio.com/docs/errors/%d","status":%d}`, code, testBody, code, status)
}

// raw serves each connection by hand, for what no http.Handler can do.
func raw(tb testing.TB, serve func(net.Conn)) string {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close() //nolint:errcheck // the point is that it ends
				serve(conn)
			}()
		}
	}()
	return "http://" + l.Addr().String()
}

func reset(conn net.Conn) { _ = conn.(*net.TCPConn).SetLinger(0) }

// readRequest reads one whole request, so that the bytes are known to be out.
func readRequest(conn net.Conn) string {
	b := make([]byte, 0, 4096)
	for {
		n, err := conn.Read(b[len(b):cap(b)])
		b = b[:len(b)+n]
		head, body, ok := strings.Cut(string(b), "\r\n\r\n")
		if err != nil {
			return string(b)
		}
		if !ok {
			continue
		}
		_, rest, _ := strings.Cut(head, "Content-Length: ")
		length, _, _ := strings.Cut(rest, "\r\n")
		if want, _ := strconv.Atoi(length); len(body) >= want {
			return body
		}
	}
}

// ignoreErr compares what the caller acts on; the words are tested elsewhere.
var ignoreErr = cmpopts.IgnoreFields(Result{}, "Err")

func TestSendByAnswer(t *testing.T) {
	const html = "<html><body>+254710000003</body></html>"
	tests := []struct {
		name   string
		answer http.HandlerFunc
		want   Result
	}{
		{"201 with a sid", answer(201, "application/json", created), Result{Outcome: Accepted, SID: testSID, Status: "queued", Segments: 1, HTTPStatus: 201}},
		{"200 with a sid", answer(200, "application/json", created), Result{Outcome: Accepted, SID: testSID, Status: "queued", Segments: 1, HTTPStatus: 200}},
		{"201 with the sid of a media message", answer(201, "application/json", strings.Replace(created, "SM", "MM", 1)), Result{Outcome: Accepted, SID: "MM" + testSID[2:], Status: "queued", Segments: 1, HTTPStatus: 201}},
		{"201 with segments not known", answer(201, "application/json", strings.Replace(created, `"1"`, `"0"`, 1)), Result{Outcome: Accepted, SID: testSID, Status: "queued", HTTPStatus: 201}},
		{"201 with a field of another type", answer(201, "application/json", strings.Replace(created, `"1"`, `1`, 1)), Result{Outcome: Accepted, SID: testSID, HTTPStatus: 201}},
		{"201 empty", answer(201, "application/json", ""), Result{Outcome: Unknown, HTTPStatus: 201}},
		{"201 with an empty object", answer(201, "application/json", "{}"), Result{Outcome: Unknown, HTTPStatus: 201}},
		{"201 with null", answer(201, "application/json", "null"), Result{Outcome: Unknown, HTTPStatus: 201}},
		{"201 truncated after the sid", answer(201, "application/json", created[:60]), Result{Outcome: Unknown, HTTPStatus: 201}},
		{"201 with a short sid", answer(201, "application/json", `{"sid":"SM123"}`), Result{Outcome: Unknown, HTTPStatus: 201}},
		{"201 with the sid of a call", answer(201, "application/json", strings.Replace(created, "SM", "CA", 1)), Result{Outcome: Unknown, HTTPStatus: 201}},
		{"201 in html", answer(201, "text/html", html), Result{Outcome: Unknown, HTTPStatus: 201}},
		{"201 without end", answer(201, "application/json", created+strings.Repeat(" ", maxAnswer)), Result{Outcome: Unknown, HTTPStatus: 201}},
		{"204", bare(http.StatusNoContent), Result{Outcome: Unknown, HTTPStatus: 204}},

		{"302", answer(302, "application/json", "{}", "Location", "/elsewhere"), Result{Outcome: Unknown, HTTPStatus: 302}},
		{"307", answer(307, "application/json", "{}", "Location", "/elsewhere"), Result{Outcome: Unknown, HTTPStatus: 307}},
		{"304", bare(http.StatusNotModified), Result{Outcome: Unknown, HTTPStatus: 304}},

		{"500 in html", answer(500, "text/html", html), Result{Outcome: Unknown, HTTPStatus: 500}},
		{"500 with a code", answer(500, "application/json", twilioError(500, 20500)), Result{Outcome: Unknown, HTTPStatus: 500, Code: 20500}},
		{"502", answer(502, "text/html", html), Result{Outcome: Unknown, HTTPStatus: 502}},
		{"503 with the code of a bad number", answer(503, "application/json", twilioError(503, 21211), "Retry-After", "7"), Result{Outcome: Unknown, HTTPStatus: 503, Code: 21211, RetryAfter: 7 * time.Second}},
		{"504", answer(504, "text/html", html), Result{Outcome: Unknown, HTTPStatus: 504}},

		{"429", answer(429, "application/json", twilioError(429, 20429), "Retry-After", "3"), Result{Outcome: Throttled, Class: SlowDown, HTTPStatus: 429, Code: 20429, RetryAfter: 3 * time.Second}},
		{"429 in html", answer(429, "text/html", html), Result{Outcome: Throttled, Class: SlowDown, HTTPStatus: 429}},
		{"429 with a code of another class", answer(429, "application/json", twilioError(429, 21211)), Result{Outcome: Throttled, Class: SlowDown, HTTPStatus: 429, Code: 21211}},
		{"429 for the day", answer(429, "application/json", twilioError(429, 63038)), Result{Outcome: Throttled, Class: UntilTomorrow, HTTPStatus: 429, Code: 63038}},

		{"401", answer(401, "application/json", twilioError(401, 20003)), Result{Outcome: Refused, Class: Account, HTTPStatus: 401, Code: 20003}},
		{"401 in html", answer(401, "text/html", html), Result{Outcome: Refused, Class: Account, HTTPStatus: 401}},
		{"403 with an unlisted code", answer(403, "application/json", twilioError(403, 29999)), Result{Outcome: Refused, Class: Destination, HTTPStatus: 403, Code: 29999}},
		{"403 in html", answer(403, "text/html", html), Result{Outcome: Unknown, Class: Destination, HTTPStatus: 403}},

		{"400 with an unlisted code", answer(400, "application/json", twilioError(400, 29999)), Result{Outcome: Refused, Class: Unlisted, HTTPStatus: 400, Code: 29999}},
		{"400 in html", answer(400, "text/html", html), Result{Outcome: Unknown, HTTPStatus: 400}},
		{"400 with the status as its code", answer(400, "application/json", `{"code":400}`), Result{Outcome: Unknown, HTTPStatus: 400}},
		{"400 with a code in words", answer(400, "application/json", `{"code":"21211"}`), Result{Outcome: Unknown, HTTPStatus: 400}},
		{"400 with a truncated code", answer(400, "application/json", `{"code":21211`), Result{Outcome: Unknown, HTTPStatus: 400}},
		{"400 with a list", answer(400, "application/json", `[21211]`), Result{Outcome: Unknown, HTTPStatus: 400}},
		{"404 in html", answer(404, "text/html", html), Result{Outcome: Unknown, HTTPStatus: 404}},
		{"404 with a code", answer(404, "application/json", twilioError(404, 20404)), Result{Outcome: Refused, Class: Account, HTTPStatus: 404, Code: 20404}},
		{"407", answer(407, "text/html", html), Result{Outcome: Unknown, HTTPStatus: 407}},
		{"408", answer(408, "text/html", html), Result{Outcome: Unknown, HTTPStatus: 408}},
		{"408 with a code", answer(408, "application/json", twilioError(408, 21211)), Result{Outcome: Unknown, HTTPStatus: 408, Code: 21211}},
		{"413", answer(413, "text/html", html), Result{Outcome: Unknown, HTTPStatus: 413}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var posts atomic.Int32
			n := newNotifier(t, testConfig(serve(t, func(w http.ResponseWriter, r *http.Request) {
				posts.Add(1)
				tt.answer(w, r)
			})))
			got := n.Send(t.Context(), testMessage())
			if diff := cmp.Diff(tt.want, got, ignoreErr); diff != "" {
				t.Errorf("result (-want +got):\n%s", diff)
			}
			if got, want := got.Err == nil, tt.want.Outcome == Accepted; got != want {
				t.Errorf("Err is nil: %t, want %t", got, want)
			}
			if errors.Is(got.Err, ErrStop) != (got.Class == Account) {
				t.Errorf("Err matches ErrStop: %t with class %q", errors.Is(got.Err, ErrStop), got.Class)
			}
			if got := posts.Load(); got != 1 {
				t.Errorf("%d requests were made, want exactly 1", got)
			}
			leaksNothing(t, got.Err, got)
		})
	}
}

// leaksNothing fails when a value, printed in any way, gives away the phone,
// the text or a secret.
func leaksNothing(t *testing.T, values ...any) {
	t.Helper()
	var b strings.Builder
	log := slog.New(slog.NewJSONHandler(&b, nil))
	for _, v := range values {
		fmt.Fprintf(&b, "%v %+v %#v %s %q %d\n", v, v, v, v, v, v)
		log.Info("x", "v", v)
		_ = json.NewEncoder(&b).Encode(v) // what cannot be encoded gives nothing away
	}
	for line := range strings.Lines(b.String()) {
		for _, secret := range []string{"710000003", testToken, "Achieng", "2,315"} {
			if strings.Contains(line, secret) {
				t.Errorf("%q is given away by %s", secret, line)
			}
		}
	}
}

func TestSendWhenThereIsNoConnection(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	untrusted := httptest.NewUnstartedServer(answer(201, "application/json", created))
	untrusted.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, 0)
	untrusted.StartTLS()
	defer untrusted.Close()
	plain := serve(t, answer(201, "application/json", created))

	for name, base := range map[string]string{
		"no one listens":                     "http://" + l.Addr().String(),
		"the host has no address":            "https://no-such-host.invalid",
		"the certificate is not trusted":     untrusted.URL,
		"https to a server that speaks http": strings.Replace(plain, "http:", "https:", 1),
	} {
		t.Run(name, func(t *testing.T) {
			got := newNotifier(t, testConfig(base)).Send(t.Context(), testMessage())
			if got.Outcome != NotSent || got.HTTPStatus != 0 || got.Err == nil {
				t.Errorf("outcome %q, http status %d, err %v; want not_sent, 0 and an error", got.Outcome, got.HTTPStatus, got.Err)
			}
			leaksNothing(t, got.Err)
		})
	}
}

func TestSendWhenTheConnectionBreaks(t *testing.T) {
	// say reads the request, and answers with what is to come before the end.
	say := func(s string) func(net.Conn) {
		return func(c net.Conn) { readRequest(c); _, _ = io.WriteString(c, s) }
	}
	tests := []struct {
		name  string
		serve func(net.Conn)
		want  Acceptance
		http  int
	}{
		{"reset after the request was read", func(c net.Conn) { readRequest(c); reset(c) }, Unknown, 0},
		{"closed after the request was read", say(""), Unknown, 0},
		{"closed in the middle of the status line", say("HTTP/1.1 20"), Unknown, 0},
		{"closed in the middle of the answer", say("HTTP/1.1 201 Created\r\nContent-Length: 500\r\n\r\n" + created), Unknown, 201},
		{"400 closed in the middle of the answer", say("HTTP/1.1 400 Bad\r\nContent-Length: 500\r\n\r\n" + twilioError(400, 21211)), Unknown, 400},
		{"429 closed in the middle of the answer", say("HTTP/1.1 429 Too Many\r\nContent-Length: 500\r\n\r\n{"), Throttled, 429},
		{"an answer that is not http and quotes the request", func(c net.Conn) { _, _ = io.WriteString(c, readRequest(c)+"\r\n\r\n") }, Unknown, 0},
		{"another protocol, without end", func(c net.Conn) {
			say("HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n")(c)
			readRequest(c) // until the other side hangs up
		}, Unknown, 101},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := newNotifier(t, testConfig(raw(t, tt.serve))).Send(t.Context(), testMessage())
			if got.Outcome != tt.want || got.HTTPStatus != tt.http || got.Err == nil {
				t.Errorf("outcome %q, http status %d, err %v; want %q, %d and an error", got.Outcome, got.HTTPStatus, got.Err, tt.want, tt.http)
			}
			leaksNothing(t, got.Err)
		})
	}
}

func TestSendTimesOut(t *testing.T) {
	release := make(chan struct{})
	url := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		<-release
	})
	defer close(release)
	c := testConfig(url)
	c.Timeout = 50 * time.Millisecond
	got := newNotifier(t, c).Send(t.Context(), testMessage())
	if got.Outcome != Unknown || !errors.Is(got.Err, context.DeadlineExceeded) {
		t.Errorf("outcome %q, err %v; want unknown, and the deadline", got.Outcome, got.Err)
	}
}

func TestSendWhenTheContextEnds(t *testing.T) {
	t.Run("before the call", func(t *testing.T) {
		n := newNotifier(t, testConfig(serve(t, func(http.ResponseWriter, *http.Request) { t.Error("a request was made") })))
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		got := n.Send(ctx, testMessage())
		if got.Outcome != NotSent || !errors.Is(got.Err, context.Canceled) {
			t.Errorf("outcome %q, err %v; want not_sent, and the cancellation", got.Outcome, got.Err)
		}
	})
	t.Run("while Twilio has the text", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		release := make(chan struct{})
		defer close(release)
		n := newNotifier(t, testConfig(serve(t, func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			cancel()
			<-release
		})))
		got := n.Send(ctx, testMessage())
		if got.Outcome != Unknown || !errors.Is(got.Err, context.Canceled) {
			t.Errorf("outcome %q, err %v; want unknown, and the cancellation", got.Outcome, got.Err)
		}
	})
}
