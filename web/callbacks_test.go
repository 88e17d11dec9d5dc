package web_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"duewatch/notifier"
	"duewatch/reminder"
	"duewatch/sandbox"
	"duewatch/store"
	"duewatch/web"
)

const (
	publicURL = "https://reminders.example.com"
	aSID      = "SM0123456789abcdef0123456789abcdef"
)

// callbacks is a server of callbacks on a real store.
type callbacks struct {
	t        *testing.T
	url      string
	public   string
	store    *store.Store
	registry *prometheus.Registry
	log      *lockedBuffer

	mu    sync.Mutex
	said  []notifier.StatusCallback
	fails error // of Status
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func newCallbacks(t *testing.T, public string) *callbacks {
	t.Helper()
	s, err := store.Open(t.Context(), filepath.Join(t.TempDir(), "duewatch.db"))
	if err != nil {
		t.Fatal(err)
	}
	c := &callbacks{t: t, public: public, store: s, registry: prometheus.NewRegistry(), log: &lockedBuffer{}}
	config := web.CallbackConfig{
		Listen: "127.0.0.1:0", PublicURL: public, AuthToken: sandbox.AuthToken, Store: s, Now: time.Now,
		Metrics: web.NewCallbackMetrics(c.registry), Log: slog.New(slog.NewTextHandler(c.log, nil)),
		Status: func(_ context.Context, s notifier.StatusCallback) (store.CallbackOutcome, error) {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.said = append(c.said, s)
			return store.CallbackRecorded, c.fails
		},
	}
	listener, err := web.ListenForCallbacks(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	c.url = "http://" + listener.Addr().String()
	ctx, end := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- web.ServeCallbacks(ctx, listener, config) }()
	t.Cleanup(func() {
		end()
		if err := errors.Join(<-ended, s.Close()); err != nil {
			t.Error(err)
		}
	})
	return c
}

var client = &http.Client{Timeout: time.Minute}

// request is one to path, signed by Twilio for an address.
func (c *callbacks) request(path, address, body string) *http.Request {
	c.t.Helper()
	r, err := http.NewRequestWithContext(c.t.Context(), http.MethodPost, c.url+path, strings.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	form, err := url.ParseQuery(body)
	if err == nil {
		r.Header.Set("X-Twilio-Signature", sandbox.Signature(address, form))
	}
	return r
}

// send returns the status and the body of the answer.
func (c *callbacks) send(r *http.Request) (int, string) {
	c.t.Helper()
	res, err := client.Do(r)
	if err != nil {
		c.t.Fatal(err)
	}
	return res.StatusCode, body(c.t, res)
}

// counts are the results that were counted.
func (c *callbacks) counts() map[string]float64 {
	c.t.Helper()
	families, err := c.registry.Gather()
	if err != nil {
		c.t.Fatal(err)
	}
	counts := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if l := m.GetLabel(); len(l) == 2 && m.GetCounter().GetValue() > 0 {
				counts[l[0].GetValue()+" "+l[1].GetValue()] += m.GetCounter().GetValue()
			}
		}
	}
	return counts
}

func (c *callbacks) wantCounts(want map[string]float64) {
	c.t.Helper()
	if diff := cmp.Diff(want, c.counts()); diff != "" {
		c.t.Errorf("callbacks by result (-want +got):\n%s", diff)
	}
}

const aStatus = "MessageSid=" + aSID + "&MessageStatus=delivered&To=%2B254710000001&SmsSid=" + aSID

func TestWhatTwilioSignsIsTaken(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ public, path, signedFor string }{
		"as it is":                      {publicURL, "/twilio/status?text=7&sig=a-_b", publicURL + "/twilio/status?text=7&sig=a-_b"},
		"no query":                      {publicURL, "/twilio/status", publicURL + "/twilio/status"},
		"a port that Twilio adds":       {publicURL, "/twilio/status?text=7", publicURL + ":443/twilio/status?text=7"},
		"a port of its own":             {publicURL + ":8443", "/twilio/status?text=7", publicURL + ":8443/twilio/status?text=7"},
		"and Twilio leaves it out":      {publicURL + ":8443", "/twilio/status?text=7", publicURL + "/twilio/status?text=7"},
		"a path before ours":            {publicURL + "/due/watch", "/due/watch/twilio/status?text=7", publicURL + "/due/watch/twilio/status?text=7"},
		"and the proxy has stripped it": {publicURL + "/due/watch", "/twilio/status?text=7", publicURL + "/due/watch/twilio/status?text=7"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCallbacks(t, tt.public)
			status, said := c.send(c.request(tt.path, tt.signedFor, aStatus))
			if status != http.StatusOK || said != `<?xml version="1.0" encoding="UTF-8"?><Response></Response>` {
				t.Errorf("answered with %d %q", status, said)
			}
			if len(c.said) != 1 || c.said[0].SID != aSID || c.said[0].Status != "delivered" {
				t.Errorf("taken: %+v", c.said)
			}
			c.wantCounts(map[string]float64{"status recorded": 1})
		})
	}
}

func TestWhatIsForgedIsRefused(t *testing.T) {
	t.Parallel()
	const path, address = "/twilio/status?text=7&sig=x", publicURL + "/twilio/status?text=7&sig=x"
	for name, forge := range map[string]func(r *http.Request){
		"no signature":           func(r *http.Request) { r.Header.Del("X-Twilio-Signature") },
		"an empty signature":     func(r *http.Request) { r.Header.Set("X-Twilio-Signature", "") },
		"another signature":      func(r *http.Request) { r.Header.Set("X-Twilio-Signature", "AAAAAAAAAAAAAAAAAAAAAAAAAAA=") },
		"no base64":              func(r *http.Request) { r.Header.Set("X-Twilio-Signature", "%%%") },
		"another text":           func(r *http.Request) { r.URL.RawQuery = "text=8&sig=x" },
		"a field more":           func(r *http.Request) { r.URL.RawQuery = "text=7&sig=x&more=1" },
		"a hash of another body": func(r *http.Request) { r.URL.RawQuery = "text=7&sig=x&bodySHA256=0" },
		"another path":           func(r *http.Request) { r.URL.Path = "/twilio/inbound" },
		"another body": func(r *http.Request) {
			r.Body, r.ContentLength = io.NopCloser(strings.NewReader(aStatus+"0")), int64(len(aStatus)+1)
		},
		"no body": func(r *http.Request) { r.Body, r.ContentLength = http.NoBody, 0 },
		"no form": func(r *http.Request) {
			r.Body, r.ContentLength = io.NopCloser(strings.NewReader("%zz")), 3
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCallbacks(t, publicURL)
			r := c.request(path, address, aStatus)
			forge(r)
			if status, said := c.send(r); status != http.StatusForbidden || strings.Contains(said, "sign") {
				t.Errorf("answered with %d %q", status, said)
			}
			if len(c.said) != 0 {
				t.Errorf("taken: %+v", c.said)
			}
			kind := "status"
			if r.URL.Path == "/twilio/inbound" {
				kind = "inbound"
			}
			c.wantCounts(map[string]float64{kind + " forged": 1})
		})
	}
}

// A wrong public URL has every callback refused, and whoever tries addresses must not
// fill the log with it.
func TestForgedCallbacksAreLoggedOnceAMinute(t *testing.T) {
	t.Parallel()
	c := newCallbacks(t, publicURL)
	for range 20 {
		c.send(c.request("/twilio/status", "https://elsewhere.example.com/twilio/status", aStatus))
	}
	if n := strings.Count(c.log.String(), "callbacks are refused"); n != 1 {
		t.Errorf("logged %d times:\n%s", n, c.log)
	}
	c.wantCounts(map[string]float64{"status forged": 20})
}

func TestLargeBodiesAreRefused(t *testing.T) {
	t.Parallel()
	const mega = 1 << 20
	for name, tt := range map[string]struct {
		size    int
		chunked bool // without a length
		status  int
	}{
		"64 KB":                  {64 << 10, false, http.StatusOK},
		"64 KB, in chunks":       {64 << 10, true, http.StatusOK},
		"a byte more":            {64<<10 + 1, false, http.StatusRequestEntityTooLarge},
		"a byte more, in chunks": {64<<10 + 1, true, http.StatusRequestEntityTooLarge},
		"1 MB":                   {mega, false, http.StatusRequestEntityTooLarge},
		"1 MB, in chunks":        {mega, true, http.StatusRequestEntityTooLarge},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCallbacks(t, publicURL)
			body := aStatus + "&Body="
			body += strings.Repeat("a", tt.size-len(body))
			r := c.request("/twilio/status", publicURL+"/twilio/status", body)
			if tt.chunked {
				r.ContentLength, r.Body = -1, io.NopCloser(io.MultiReader(strings.NewReader(body)))
			}
			res, err := client.Do(r)
			if err != nil {
				t.Skipf("the server hung up before the client had read its answer: %v", err)
			}
			defer res.Body.Close()
			if res.StatusCode != tt.status {
				t.Errorf("answered with %d, want %d", res.StatusCode, tt.status)
			}
		})
	}
}

func TestWhatIsSignedAndOfNoFormIsRefused(t *testing.T) {
	t.Parallel()
	c := newCallbacks(t, publicURL)
	for _, body := range []string{"", "a=b", "MessageStatus=sent", "MessageSid=" + aSID, "MessageSid=CA0123&MessageStatus=sent"} {
		if status, _ := c.send(c.request("/twilio/status", publicURL+"/twilio/status", body)); status != http.StatusBadRequest {
			t.Errorf("%q is answered with %d", body, status)
		}
	}
	if status, _ := c.send(c.request("/twilio/inbound", publicURL+"/twilio/inbound", "From=%2B254710000001&Body=STOP")); status != http.StatusBadRequest {
		t.Errorf("a message without an id is answered with %d", status)
	}
	c.wantCounts(map[string]float64{"status malformed": 5, "inbound malformed": 1})
}

func TestWhatIsNotRecordedIsNotConfirmed(t *testing.T) {
	t.Parallel()
	c := newCallbacks(t, publicURL)
	c.fails = errors.New("the disk is full")
	if status, said := c.send(c.request("/twilio/status", publicURL+"/twilio/status", aStatus)); status != http.StatusServiceUnavailable || strings.Contains(said, "disk") {
		t.Errorf("answered with %d %q", status, said)
	}
	c.wantCounts(map[string]float64{"status failed": 1})
}

func TestNothingElseIsAnsweredWhereCallbacksAre(t *testing.T) {
	t.Parallel()
	c := newCallbacks(t, publicURL+"/x")
	for request, want := range map[string]int{
		"GET /twilio/status": http.StatusMethodNotAllowed, "PUT /twilio/status": http.StatusMethodNotAllowed,
		"GET /x/twilio/inbound": http.StatusMethodNotAllowed,
		"GET /healthz":          http.StatusNotFound, "GET /metrics": http.StatusNotFound, "GET /": http.StatusNotFound,
		"POST /": http.StatusNotFound, "POST /twilio/": http.StatusNotFound, "POST /twilio/status/": http.StatusNotFound, "POST /y/twilio/status": http.StatusNotFound,
	} {
		method, path, _ := strings.Cut(request, " ")
		r := c.request(path, publicURL+path, aStatus)
		r.Method = method
		if status, _ := c.send(r); status != want {
			t.Errorf("%s is answered with %d, want %d", request, status, want)
		}
	}
	c.wantCounts(map[string]float64{})
}

func TestAMessageOfACustomer(t *testing.T) {
	t.Parallel()
	c := newCallbacks(t, publicURL)
	say := func(sid int, from, body string) {
		t.Helper()
		form := url.Values{"MessageSid": {fmt.Sprintf("SM%032x", sid)}, "From": {from}, "To": {"+254710000099"}, "Body": {body}}
		status, said := c.send(c.request("/twilio/inbound", publicURL+"/twilio/inbound", form.Encode()))
		if status != http.StatusOK || !strings.Contains(said, "<Response></Response>") {
			t.Errorf("%q is answered with %d %q", body, status, said)
		}
	}
	optOuts := func() (all []string) {
		t.Helper()
		err := c.store.OptOuts(t.Context(), func(o store.OptOut) error {
			all = append(all, fmt.Sprintf("%s %s %s, by %s", o.Phone.E164(), o.Reason, o.Source, o.Who))
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return all
	}
	if _, err := c.store.AddOptOuts(store.OptOut{Phone: "+254710000003", Reason: reminder.OptedOut, Since: time.Now(), Source: "operator", Who: "desk"}); err != nil {
		t.Fatal(err)
	}
	say(1, "+254710000001", " Stop. ")
	say(1, "+254710000001", " Stop. ") // delivered twice
	say(2, "+254710000002", "ACHA"+strings.Repeat("!", 500))
	say(3, "+254710000004", "Acha nilipe kesho")
	say(4, "22141", "STOP")
	say(5, "+254710000003", "START") // the operator's word stands
	want := []string{
		`+254710000001 opted_out message, by their message "Stop." (SM00000000000000000000000000000001)`,
		`+254710000002 opted_out message, by their message "ACHA` + strings.Repeat("!", 36) + `…" (SM00000000000000000000000000000002)`,
		"+254710000003 opted_out operator, by desk",
	}
	if diff := cmp.Diff(want, optOuts()); diff != "" {
		t.Errorf("opt-outs (-want +got):\n%s", diff)
	}
	say(6, "+254710000001", "yes")
	say(7, "+254710000001", "stop")
	say(6, "+254710000001", "yes") // delivered late, once more
	if all := optOuts(); len(all) != 3 {
		t.Errorf("opt-outs: %q", all)
	}
	c.wantCounts(map[string]float64{"inbound opt_out": 4, "inbound opt_in": 3, "inbound no_command": 2})
	log := c.log.String()
	if strings.Contains(log, "+2547100000") || strings.Contains(log, "kesho") || strings.Contains(log, sandbox.AuthToken) {
		t.Errorf("the log says too much:\n%s", log)
	}
}

// A client that is slow with its request is hung up on, and others are served meanwhile.
func TestASlowCallbackHoldsUpNoOther(t *testing.T) {
	t.Parallel()
	c := newCallbacks(t, publicURL)
	address := strings.TrimPrefix(c.url, "http://")
	var slow []net.Conn
	for _, begun := range []string{
		"", "POST /twilio/status HTTP/1.1\r\nHost:", "POST /twilio/status HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nMessageSid=",
	} {
		for range 20 {
			conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", address)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = conn.Close() })
			if _, err := io.WriteString(conn, begun); err != nil {
				t.Fatal(err)
			}
			slow = append(slow, conn)
		}
	}
	if status, _ := c.send(c.request("/twilio/status", publicURL+"/twilio/status", aStatus)); status != http.StatusOK {
		t.Errorf("another is answered with %d", status)
	}
	for _, conn := range slow {
		if err := conn.SetReadDeadline(time.Now().Add(25 * time.Second)); err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, conn); err != nil {
			t.Fatalf("a slow one still stands: %v", err)
		}
	}
}

// Nothing that is posted, signed by Twilio or not, brings the handler down.
func FuzzCallbackHandler(f *testing.F) {
	s, err := store.Open(f.Context(), filepath.Join(f.TempDir(), "duewatch.db"))
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = s.Close() })
	handler := web.CallbackHandler(web.CallbackConfig{
		PublicURL: publicURL, AuthToken: sandbox.AuthToken, Store: s, Now: time.Now,
		Metrics: web.NewCallbackMetrics(prometheus.NewRegistry()), Log: slog.New(slog.DiscardHandler),
		Status: func(context.Context, notifier.StatusCallback) (store.CallbackOutcome, error) {
			return store.CallbackUnknown, nil
		},
	})
	f.Add("text=7&sig=x", aStatus, true)
	f.Add("", "MessageSid="+aSID+"&From=%2B254710000001&Body=Stop.", true)
	f.Add("bodySHA256=0", "%zz", false)
	f.Fuzz(func(t *testing.T, query, body string, signed bool) {
		for _, path := range []string{web.StatusPath, web.InboundPath} {
			r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, path, strings.NewReader(body))
			r.URL.RawQuery = query
			if form, err := url.ParseQuery(body); err == nil && signed {
				r.Header.Set("X-Twilio-Signature", sandbox.Signature(publicURL+path+"?"+query, form))
			}
			w := httptest.NewRecorder()
			handler.ServeHTTP(w, r)
			switch w.Code {
			case http.StatusOK, http.StatusBadRequest, http.StatusForbidden, http.StatusRequestEntityTooLarge:
			default:
				t.Errorf("answered with %d", w.Code)
			}
			if w.Code != http.StatusForbidden && !signed && len(body) <= 64<<10 {
				t.Errorf("what nobody signed is answered with %d", w.Code)
			}
		}
	})
}
