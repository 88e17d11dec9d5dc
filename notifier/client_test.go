package notifier

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestTheRequestAsSent(t *testing.T) {
	type request struct {
		Method, Path, Body, ContentType, User, Password string
		Idempotency                                     []string
	}
	apiKey := func(c *Config) {
		c.APIKeySID, c.APIKeySecret = "SK00000000000000000000000000000002", "key+secret/with=signs"
	}
	tests := []struct {
		name    string
		config  func(*Config)
		message func(*Message)
		want    func(*request)
	}{
		{name: "plain"},
		{name: "the words, to the byte",
			message: func(m *Message) { m.Body = "Habari Ọla & co: 50% = KES 1+1 “tomorrow” 🙂\nend" },
			want: func(r *request) {
				r.Body = "Body=" + url.QueryEscape("Habari Ọla & co: 50% = KES 1+1 “tomorrow” 🙂\nend") + "&From=DUEWATCH&SmartEncoded=false&To=%2B254710000003&ValidityPeriod=3600"
			}},
		{name: "validity is cut to whole seconds",
			message: func(m *Message) { m.Validity = 90*time.Second + 999*time.Millisecond },
			want:    func(r *request) { r.Body = strings.Replace(r.Body, "=3600", "=90", 1) }},
		{name: "validity is at most ten hours",
			message: func(m *Message) { m.Validity = 11 * time.Hour },
			want:    func(r *request) { r.Body = strings.Replace(r.Body, "=3600", "=36000", 1) }},
		{name: "an API key stands in for the token", config: apiKey,
			want: func(r *request) {
				r.User, r.Password = "SK00000000000000000000000000000002", "key+secret/with=signs"
			}},
		{name: "a messaging service",
			config: func(c *Config) { c.From, c.MessagingServiceSID = "", "MG00000000000000000000000000000003" },
			want: func(r *request) {
				r.Body = "Body=Dear+Achieng%2C+KES+2%2C315.50+is+due+tomorrow.&MessagingServiceSid=MG00000000000000000000000000000003&SmartEncoded=false&To=%2B254710000003&ValidityPeriod=3600"
			}},
		{name: "a base address with a path", config: func(c *Config) { c.BaseURL += "/proxy/" },
			want: func(r *request) { r.Path = "/proxy" + r.Path }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			// twilio-go listens to these; we must not.
			t.Setenv("TWILIO_EDGE", "dublin")
			t.Setenv("TWILIO_REGION", "ie1")
			t.Setenv("TWILIO_ACCOUNT_SID", "ACffffffffffffffffffffffffffffffff")
			t.Setenv("TWILIO_AUTH_TOKEN", "wrong")

			var got request
			c := testConfig(serve(t, func(w http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				user, password, _ := r.BasicAuth()
				got = request{r.Method, r.URL.String(), string(body), r.Header.Get("Content-Type"), user, password, r.Header.Values("Idempotency-Key")}
				answer(201, "application/json", created)(w, r)
			}))
			m := testMessage()
			want := request{
				Method: "POST", Path: "/2010-04-01/Accounts/" + testAccount + "/Messages.json",
				Body:        "Body=Dear+Achieng%2C+KES+2%2C315.50+is+due+tomorrow.&From=DUEWATCH&SmartEncoded=false&To=%2B254710000003&ValidityPeriod=3600",
				ContentType: "application/x-www-form-urlencoded", User: testAccount, Password: testToken,
			}
			if tt.config != nil {
				tt.config(&c)
			}
			if tt.message != nil {
				tt.message(&m)
			}
			if tt.want != nil {
				tt.want(&want)
			}
			if r := newNotifier(t, c).Send(t.Context(), m); r.Outcome != Accepted {
				t.Fatalf("outcome %q: %v", r.Outcome, r.Err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("request (-want +got):\n%s", diff)
			}
		})
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestTheEnvironmentDoesNotMoveTheHost(t *testing.T) {
	t.Setenv("TWILIO_EDGE", "dublin")
	t.Setenv("TWILIO_REGION", "ie1")
	c := testConfig("")
	var host string
	c.Transport = roundTrip(func(r *http.Request) (*http.Response, error) {
		host = r.URL.Scheme + "://" + r.URL.Host
		return nil, errors.New("far enough")
	})
	newNotifier(t, c).Send(t.Context(), testMessage())
	if host != "https://api.twilio.com" {
		t.Errorf("the request went to %q", host)
	}
}

func TestNothingCanReplayAPost(t *testing.T) {
	c := testConfig("")
	c.Transport = roundTrip(func(r *http.Request) (*http.Response, error) {
		if r.GetBody != nil {
			t.Error("GetBody is set: net/http may send the request again")
		}
		if r.Header.Get("Idempotency-Key") != "" || r.Header.Get("X-Idempotency-Key") != "" {
			t.Error("an idempotency key is set: net/http may send the request again")
		}
		return nil, io.EOF
	})
	newNotifier(t, c).Send(t.Context(), testMessage())
}

func TestNotSentIsFinal(t *testing.T) {
	t.Run("a transport that fails without reading", func(t *testing.T) {
		var late io.Reader
		c := testConfig("")
		c.Transport = roundTrip(func(r *http.Request) (*http.Response, error) {
			late = r.Body
			return nil, errors.New("no route")
		})
		got := newNotifier(t, c).Send(t.Context(), testMessage())
		if got.Outcome != NotSent {
			t.Fatalf("outcome %q, want not_sent", got.Outcome)
		}
		if b, err := io.ReadAll(late); len(b) != 0 || err == nil {
			t.Errorf("after the call %d bytes of the text could still be read, err %v", len(b), err)
		}
	})
	t.Run("a transport that fails after one byte", func(t *testing.T) {
		c := testConfig("")
		c.Transport = roundTrip(func(r *http.Request) (*http.Response, error) {
			_, _ = r.Body.Read(make([]byte, 1))
			return nil, errors.New("no route")
		})
		if got := newNotifier(t, c).Send(t.Context(), testMessage()); got.Outcome != Unknown {
			t.Errorf("outcome %q, want unknown", got.Outcome)
		}
	})
}

// A server that hangs up on idle connections is where net/http would send a
// request twice if it could. Every text must arrive at most once, and one
// that is said not to have left must not arrive at all.
func TestDyingConnectionsDoNotDoublePosts(t *testing.T) {
	const texts = 300
	var mu sync.Mutex
	arrived := map[string]int{}
	base := raw(t, func(conn net.Conn) {
		body := readRequest(conn)
		mu.Lock()
		arrived[body]++
		mu.Unlock()
		// Keep-alive is promised, and not kept.
		_, _ = io.WriteString(conn, "HTTP/1.1 201 Created\r\nContent-Length: "+strconv.Itoa(len(created))+"\r\n\r\n"+created)
	})
	n := newNotifier(t, testConfig(base))
	outcomes := map[Acceptance]int{}
	for i := range texts {
		m := testMessage()
		m.Body = "text " + strings.Repeat("x", i)
		r := n.Send(t.Context(), m)
		outcomes[r.Outcome]++
		mu.Lock()
		for body, times := range arrived {
			if times > 1 {
				t.Errorf("a text arrived %d times", times)
			}
			if r.Outcome == NotSent && strings.HasPrefix(body, url.Values{"Body": {m.Body}}.Encode()+"&") {
				t.Error("a text arrived that was said not to have left")
			}
		}
		mu.Unlock()
	}
	t.Log(outcomes)
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	for _, status := range []int{301, 302, 303, 307, 308} {
		var elsewhere atomic.Int32
		other := serve(t, func(http.ResponseWriter, *http.Request) { elsewhere.Add(1) })
		n := newNotifier(t, testConfig(serve(t, answer(status, "text/html", "", "Location", other))))
		if got := n.Send(t.Context(), testMessage()); got.Outcome != Unknown || elsewhere.Load() != 0 {
			t.Errorf("%d: outcome %q, followed %d times; want unknown, not followed", status, got.Outcome, elsewhere.Load())
		}
		if _, err := n.Fetch(t.Context(), testSID); !errors.Is(err, ErrRetry) || elsewhere.Load() != 0 {
			t.Errorf("%d: fetch: err %v, followed %d times; want retry, not followed", status, err, elsewhere.Load())
		}
	}
}

// twilio-go leaves the bodies of errors open: each one holds a connection and
// two goroutines.
func TestErrorAnswersAreReadAndClosed(t *testing.T) {
	var connections atomic.Int32
	s := httptest.NewUnstartedServer(answer(429, "application/json", twilioError(429, 20429)))
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			connections.Add(1)
		}
	}
	s.Start()
	defer s.Close()
	n := newNotifier(t, testConfig(s.URL))
	before := runtime.NumGoroutine()
	for range 200 {
		if r := n.Send(t.Context(), testMessage()); r.Outcome != Throttled {
			t.Fatalf("outcome %q: %v", r.Outcome, r.Err)
		}
	}
	if got := connections.Load(); got > 2 {
		t.Errorf("200 answers took %d connections: their bodies were not read to the end", got)
	}
	if got := runtime.NumGoroutine() - before; got > 10 {
		t.Errorf("200 answers left %d goroutines", got)
	}
}

func TestTheLogAndTheObserverSayNoSecret(t *testing.T) {
	var log bytes.Buffer
	type seen struct{ Op, Outcome string }
	var calls []seen
	c := testConfig(serve(t, answer(400, "application/json", twilioError(400, 21211))))
	c.Log = slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	c.OnCall = func(op, outcome string, took time.Duration) {
		calls = append(calls, seen{op, outcome})
		if took <= 0 {
			t.Errorf("%s took %s", op, took)
		}
	}
	n := newNotifier(t, c)
	n.Send(t.Context(), testMessage())
	_, _ = n.Fetch(t.Context(), testSID)
	leaksNothing(t, log.String(), n, *n, c, &c, testMessage())
	if diff := cmp.Diff([]seen{{"send", "refused"}, {"fetch", "retry"}}, calls); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
	if !strings.Contains(log.String(), `"code":21211`) {
		t.Errorf("the log does not name the code:\n%s", log.String())
	}
}

func TestRetryAfter(t *testing.T) {
	tests := map[string]time.Duration{
		"": 0, "0": 0, "5": 5 * time.Second, "-5": 0, "soon": 0, "1.5": 0, "999999999999999999": 0, "172800": 0, "86400": 24 * time.Hour,
		"Mon, 02 Jan 2006 15:04:05 GMT": 0,
	}
	for s, want := range tests {
		if got := retryAfter(s); got != want {
			t.Errorf("%q: %s, want %s", s, got, want)
		}
	}
	if got := retryAfter(time.Now().Add(time.Minute).UTC().Format(http.TimeFormat)); got < 50*time.Second || got > time.Minute {
		t.Errorf("a minute from now: %s", got)
	}
}

// BenchmarkSend compares a text through twilio-go and this package with the
// same bytes through net/http alone.
func BenchmarkSend(b *testing.B) {
	base := serve(b, answer(201, "application/json", created))
	const form = "Body=Dear+Achieng%2C+KES+2%2C315.50+is+due+tomorrow.&From=DUEWATCH&SmartEncoded=false&To=%2B254710000003&ValidityPeriod=3600"
	b.Run("notifier", func(b *testing.B) {
		c := testConfig(base)
		c.Concurrency = 64
		n := newNotifier(b, c)
		b.SetParallelism(32)
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				if r := n.Send(b.Context(), testMessage()); r.Outcome != Accepted {
					b.Error(r.Err)
				}
			}
		})
	})
	b.Run("net/http", func(b *testing.B) {
		client := &http.Client{Transport: newTransport(64)}
		b.SetParallelism(32)
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				res, err := client.Post(base, "application/x-www-form-urlencoded", strings.NewReader(form))
				if err != nil {
					b.Error(err)
					continue
				}
				_, _ = io.Copy(io.Discard, res.Body)
				_ = res.Body.Close()
			}
		})
	})
}
