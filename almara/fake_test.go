package almara

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"duewatch/reminder"
)

const (
	testSecret = `s3cr&t/"+value`
	seedSample = `{"message": {"appDomainName": "TEST", "remarks": "Bill Number submission accepted", "serviceCode": null,
 "accountCustomerName": "LTD EXECUTIVE CONCEPTS", "systemConversationId": "01100000-0017-0a00-1eb8-08de8fec6193",
 "lastKnownBalance": 231.56, "dueDate": "2020-07-03", "verified": true,
 "timestamp": "2026-04-01T12:44:16.3555322Z"}}`
	seedFailure = `{"appDomainName": "LIVE", "timestamp": "2021-10-18T07:14:53.1362329Z", "reason": "Account number number is invalid."}`
	seedProblem = `{"errors": {"AccountNumber": ["The AccountNumber field is required."]}, "type": "https://tools.ietf.org/html/rfc7231#section-6.5.1",
 "title": "One or more validation errors occurred.", "status": 400, "traceId": "00-1"}`
)

var testBill = reminder.Bill{
	ID:          7,
	Service:     "bc97d2b1-4828-f111-bc5a-0w7d952d79b7",
	Account:     "ACC 1/2",
	Phone:       "+254710000003",
	Description: "Rent",
}

// arrived is one request as the server saw it.
type arrived struct {
	Method, Path, Query, Auth, ContentType, Body string
}

// fake is an Almara Pay whose answers are scripted. Token requests are
// answered with tok-1, tok-2, … unless onToken is set; the bill-number
// requests with script in turn, the last one for good.
type fake struct {
	onToken http.HandlerFunc
	script  []http.HandlerFunc

	mu     sync.Mutex
	tokens []arrived
	bills  []arrived
}

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	a := arrived{r.Method, r.URL.Path, r.URL.RawQuery, r.Header.Get("Authorization"), r.Header.Get("Content-Type"), string(body)}
	f.mu.Lock()
	var next http.HandlerFunc
	if strings.Contains(r.URL.Path, "token") {
		f.tokens = append(f.tokens, a)
		next = f.onToken
		if next == nil {
			next = reply200(`{"access_token": "tok-` + string(rune('0'+len(f.tokens))) + `", "expires_in": 3600, "token_type": "Bearer"}`)
		}
	} else {
		f.bills = append(f.bills, a)
		next = f.script[min(len(f.bills), len(f.script))-1]
	}
	f.mu.Unlock()
	next(w, r)
}

func (f *fake) counts() (tokens, bills int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.tokens), len(f.bills)
}

// RoundTrip answers in memory, for tests on a fake clock.
func (f *fake) RoundTrip(r *http.Request) (*http.Response, error) {
	rec := httptest.NewRecorder()
	f.ServeHTTP(rec, r)
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	return rec.Result(), nil
}

func answer(status int, contentType, body string, header ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentType)
		for i := 0; i+1 < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

func reply200(body string) http.HandlerFunc { return answer(200, "application/json", body) }

func status(code int, header ...string) http.HandlerFunc {
	return answer(code, "application/json", "", header...)
}

// hang answers only when the caller has gone.
func hang(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }

// drop ends the connection in the middle.
func drop(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }

// outcomes collects the calls of OnCall.
type outcomes struct {
	mu  sync.Mutex
	all []string
}

func (o *outcomes) add(op, outcome string, _ time.Duration) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.all = append(o.all, op+" "+outcome)
}

// onServer returns a client of f behind a real server.
func onServer(t *testing.T, f *fake, change ...func(*Config)) *Client {
	t.Helper()
	srv := httptest.NewServer(f)
	t.Cleanup(srv.Close)
	return newClient(t, append([]func(*Config){func(c *Config) { c.BaseURL = srv.URL }}, change...)...)
}

// inMemory returns a client of f without a network, for synctest.
func inMemory(t *testing.T, f *fake, change ...func(*Config)) *Client {
	t.Helper()
	return newClient(t, append([]func(*Config){func(c *Config) { c.Transport = f }}, change...)...)
}

func newClient(t *testing.T, change ...func(*Config)) *Client {
	t.Helper()
	cfg := Config{BaseURL: "https://api.example.test", ClientID: "client", ClientSecret: testSecret, Rate: 1e6}
	for _, f := range change {
		f(&cfg)
	}
	c, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func date(t *testing.T, s string) reminder.Date {
	t.Helper()
	d, err := reminder.ParseDate(s)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func money(s string) *reminder.Money {
	m := reminder.MustMoney(s)
	return &m
}

func jsonMap(t *testing.T, s string) map[string]any {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(s))
	d.UseNumber()
	m := make(map[string]any)
	if err := d.Decode(&m); err != nil {
		t.Fatalf("%v in %q", err, s)
	}
	return m
}
