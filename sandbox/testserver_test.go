package sandbox

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"duewatch/reminder"
)

// clock is a time tests set.
type clock struct {
	mu sync.Mutex
	t  time.Time
}

func newClock() *clock { return &clock{t: time.Date(2026, 5, 4, 9, 0, 0, 355_532_200, time.UTC)} }

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

// testServer is a sandbox behind a real server on loopback.
type testServer struct {
	*Sandbox
	t     *testing.T
	clock *clock
	url   string
	token string
}

func newTestServer(t *testing.T, o Options) *testServer {
	t.Helper()
	c := newClock()
	if o.Now == nil {
		o.Now = c.now
	}
	s, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(s.Handler())
	t.Cleanup(func() {
		s.ClearFaults()
		server.Close()
	})
	return &testServer{Sandbox: s, t: t, clock: c, url: server.URL}
}

type reply struct {
	status int
	header http.Header
	body   string
}

func (r reply) decode(t *testing.T, v any) {
	t.Helper()
	if err := json.Unmarshal([]byte(r.body), v); err != nil {
		t.Fatalf("decode %s: %v", r.body, err)
	}
}

func (b *testServer) do(req *http.Request) reply {
	b.t.Helper()
	r, err := try(req)
	if err != nil {
		b.t.Fatal(err)
	}
	return r
}

func try(req *http.Request) (reply, error) {
	res, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		return reply{}, err
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	return reply{res.StatusCode, res.Header, string(body)}, err
}

func (b *testServer) request(method, path, contentType, body string) *http.Request {
	b.t.Helper()
	req, err := http.NewRequestWithContext(b.t.Context(), method, b.url+path, strings.NewReader(body))
	if err != nil {
		b.t.Fatal(err)
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	return req
}

// bearer authorizes with a token asked for once.
func (b *testServer) bearer(req *http.Request) *http.Request {
	b.t.Helper()
	if b.token == "" {
		var out struct {
			AccessToken string `json:"access_token"`
		}
		form := url.Values{"client_id": {ClientID}, "client_secret": {ClientSecret}, "grant_type": {"client_credentials"}}
		b.do(b.request("POST", "/connect/token", "application/x-www-form-urlencoded", form.Encode())).decode(b.t, &out)
		b.token = out.AccessToken
	}
	req.Header.Set("Authorization", "Bearer "+b.token)
	return req
}

func (b *testServer) register(service, account string) reply {
	b.t.Helper()
	body, _ := json.Marshal(map[string]any{
		"serviceId": service, "accountNumber": account, "phoneNumber": "254710000001", "transactionDesc": "House 12", "RemindMeDueDate": true,
	})
	return b.do(b.bearer(b.request("POST", "/v1/bill-numbers", "application/json", string(body))))
}

func (b *testServer) sendRequest(form url.Values) *http.Request {
	b.t.Helper()
	req := b.request("POST", messagesPath+".json", "application/x-www-form-urlencoded", form.Encode())
	req.SetBasicAuth(AccountSID, AuthToken)
	return req
}

func (b *testServer) send(to reminder.Phone, body string) reply {
	b.t.Helper()
	return b.do(b.sendRequest(textForm(to, body)))
}

func textForm(to reminder.Phone, body string) url.Values {
	return url.Values{"To": {to.E164()}, "From": {From}, "Body": {body}}
}

func (b *testServer) getTwilio(path string) reply {
	b.t.Helper()
	req := b.request("GET", path, "", "")
	req.SetBasicAuth(AccountSID, AuthToken)
	return b.do(req)
}

func indent(t *testing.T, s string) string {
	t.Helper()
	var out bytes.Buffer
	if err := json.Indent(&out, []byte(s), "", "  "); err != nil {
		t.Fatalf("indent %s: %v", s, err)
	}
	return out.String()
}
