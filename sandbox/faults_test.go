package sandbox

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestFaults(t *testing.T) {
	for rule, tc := range map[string]struct {
		status int    // 0 = no answer
		has    string // of the answer's body
		broken bool   // reading the answer fails
		kept   int    // texts accepted in spite of it
	}{
		"send:status=503":                       {503, `"code":20503`, false, 0},
		"send:status-after=500":                 {500, `"code":20500`, false, 1},
		"send:status=400:code=21610":            {400, `"code":21610,`, false, 0},
		"send:status=429:retry-after=7":         {429, `"code":20429`, false, 0},
		"send:html":                             {502, "<h1>Bad Gateway</h1>", false, 0},
		"send:html-after=504":                   {504, "<h1>Gateway Timeout</h1>", false, 1},
		"send:empty":                            {201, "{}", false, 0},
		"send:empty-after":                      {201, "{}", false, 1},
		"send:truncate":                         {201, `{"body":"hello"`, true, 1},
		"send:drop":                             {0, "", true, 0},
		"send:drop-after":                       {0, "", true, 1},
		"any:drop-after:match=+254710000001":    {0, "", true, 1},
		"send:drop:match=+254710000002":         {201, `"sid":"SM`, false, 1},
		"list:drop":                             {201, `"sid":"SM`, false, 1},
		"send:delay=1ms,send:status=503":        {503, `"code":20503`, false, 0},
		"send:delay-after=1ms":                  {201, `"sid":"SM`, false, 1},
		"send:hold=1ms":                         {201, `"sid":"SM`, false, 1},
		"send:status=503,send:drop-after":       {503, `"code":20503`, false, 0},
		"send:drop:times=1:match=Body=goodbye,": {201, `"sid":"SM`, false, 1},
	} {
		t.Run(rule, func(t *testing.T) {
			faults, err := ParseFaults(rule)
			if err != nil {
				t.Fatal(err)
			}
			b := newTestServer(t, Options{Faults: faults})
			got, err := try(b.sendRequest(textForm("+254710000001", "hello")))
			if got.status != tc.status || !strings.Contains(got.body, tc.has) || (err != nil) != tc.broken {
				t.Errorf("got %d %s, error %v", got.status, got.body, err)
			}
			if n := len(b.Texts()); n != tc.kept {
				t.Errorf("%d texts were accepted, want %d", n, tc.kept)
			}
			if strings.Contains(rule, "retry-after") && got.header.Get("Retry-After") != "7" {
				t.Errorf("headers %v", got.header)
			}
		})
	}
}

// A list may be true and show too little: neither its texts' words nor their phones.
func TestAListThatHidesAPart(t *testing.T) {
	for rule, want := range map[string]string{
		"list:redact": `"body":"",`,
		"list:mask":   `"to":"+25471000XXXX"`,
	} {
		faults, err := ParseFaults(rule)
		if err != nil {
			t.Fatal(err)
		}
		b := newTestServer(t, Options{Faults: faults})
		b.do(b.sendRequest(textForm("+254710000001", "hello")))
		r := b.request("GET", messagesPath+".json", "", "")
		r.SetBasicAuth(AccountSID, AuthToken)
		got := b.do(r)
		if got.status != 200 || !strings.Contains(got.body, want) || !strings.Contains(got.body, `"sid":"SM`) {
			t.Errorf("%s: %d %s", rule, got.status, got.body)
		}
	}
	if _, err := ParseFaults("send:redact"); err == nil {
		t.Error("only a list can hide a part")
	}
}

func TestFaultsOfAlmaraPay(t *testing.T) {
	b := newTestServer(t, Options{})
	b.bearer(b.request("GET", "/", "", "")) // a token, before the faults
	for rule, want := range map[string]struct {
		status int
		has    string
	}{
		"register:status=503":         {503, `"title":`},
		"register:empty":              {200, "{}"},
		"register:status=403":         {403, `"status":403`},
		"register:html=500":           {500, "<html>"},
		"register:drop:match=OTHER-1": {200, `"message":`},
	} {
		faults, err := ParseFaults(rule)
		if err != nil {
			t.Fatal(err)
		}
		b.ClearFaults()
		if err := b.AddFaults(faults...); err != nil {
			t.Fatal(err)
		}
		if got := b.register("1042", "DUE+3-1"); got.status != want.status || !strings.Contains(got.body, want.has) {
			t.Errorf("%s: got %d %s", rule, got.status, got.body)
		}
	}
	if got := b.Calls()[Register]; got != 5 {
		t.Errorf("%d calls counted", got)
	}
}

func TestFaultAppliesAsOftenAsItSays(t *testing.T) {
	applied := func(f Fault) string {
		b := newTestServer(t, Options{Faults: []Fault{f}, Seed: 7})
		var out strings.Builder
		for range 20 {
			out.WriteByte("01"[b.send("+254710000001", "hello").status/500])
		}
		return out.String()
	}
	if got := applied(Fault{Where: Send, What: Status, Status: 500, Times: 2}); got != "11000000000000000000" {
		t.Errorf("twice: %s", got)
	}
	half := Fault{Where: Send, What: Status, Status: 500, Rate: 0.5}
	got := applied(half)
	if n := strings.Count(got, "1"); n < 4 || n > 16 {
		t.Errorf("half: %s", got)
	}
	if again := applied(half); again != got {
		t.Errorf("the same seed threw %s, then %s", got, again)
	}
}

func TestHoldUntilReleased(t *testing.T) {
	b := newTestServer(t, Options{Faults: []Fault{{Where: Send, What: Hold, After: true}}})
	answered := make(chan reply, 1)
	req := b.sendRequest(textForm("+254710000001", "hello"))
	go func() {
		got, _ := try(req)
		answered <- got
	}()
	got := b.do(b.request("GET", "/faults?holding=1", "", "")) // answers once the call is held
	if !strings.Contains(got.body, `"matched":1,"holding":1}],"holding":1}`) || len(b.Texts()) != 1 {
		t.Errorf("while held: %s", got.body)
	}
	if got := b.do(b.request("DELETE", "/faults", "", "")); got.status != 204 {
		t.Errorf("clearing: %d", got.status)
	}
	if got := <-answered; got.status != 201 {
		t.Errorf("after the release: %d", got.status)
	}
}

func TestHeldCallOfADeadCallerIsNeverProcessed(t *testing.T) {
	s, err := New(Options{Faults: []Fault{{Where: Send, What: Hold}}})
	if err != nil {
		t.Fatal(err)
	}
	processed := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer close(processed)
		s.Handler().ServeHTTP(w, r)
	}))
	defer server.Close()
	b := &testServer{Sandbox: s, t: t, url: server.URL}

	ctx, kill := context.WithCancel(t.Context())
	gone := make(chan error, 1)
	req := b.sendRequest(textForm("+254710000001", "hello")).WithContext(ctx)
	go func() {
		_, err := try(req)
		gone <- err
	}()
	if err := s.AwaitHolding(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	kill()
	if err := <-gone; !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	<-processed
	if n := len(s.Texts()); n != 0 || s.Faults()[0].Holding != 0 {
		t.Errorf("%d texts, %d held", n, s.Faults()[0].Holding)
	}
}

func TestDelayedCallIsProcessedThoughTheCallerGaveUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, err := New(Options{Faults: []Fault{{Where: Send, What: Delay, Seconds: 40}}})
		if err != nil {
			t.Fatal(err)
		}
		// Without a network, which synctest cannot see: the handler itself.
		ctx, cancel := context.WithTimeout(t.Context(), 35*time.Second)
		defer cancel()
		b := &testServer{Sandbox: s, t: t}
		req := b.sendRequest(textForm("+254710000001", "hello")).WithContext(ctx)
		begun := time.Now()
		s.Handler().ServeHTTP(&bufferedResponse{}, req)
		if took := time.Since(begun); took != 40*time.Second || ctx.Err() == nil || len(s.Texts()) != 1 {
			t.Errorf("after %s (%v): %d texts", took, ctx.Err(), len(s.Texts()))
		}
	})
}

func TestFaultsOverHTTP(t *testing.T) {
	b := newTestServer(t, Options{})
	for body, want := range map[string]int{
		`{"where":"send","what":"drop","after":true,"times":1}`: 200,
		`[{"where":"list","what":"delay","seconds":0.01}]`:      200,
		`{"where":"sent","what":"drop"}`:                        400,
		`{"where":"send","what":"drop","when":"after"}`:         400,
		`{"where":"send","what":"status"}`:                      400,
		`[{"where":"send","what":"delay"}]`:                     400,
		`{"where":"send","what":"drop","rate":2}`:               400,
		`nonsense`: 400,
	} {
		got := b.do(b.request("POST", "/faults", "application/json", body))
		if got.status != want {
			t.Errorf("%s: %d %s", body, got.status, got.body)
		}
	}
	if n := len(b.Faults()); n != 2 {
		t.Errorf("%d faults in force", n)
	}
}

func TestParseFaults(t *testing.T) {
	got, err := ParseFaults("send:drop-after:times=1, register:status=503:rate=0.1:retry-after=5,send:delay=50ms,list:hold-after=30s,token:html,")
	if err != nil {
		t.Fatal(err)
	}
	want := []Fault{
		{Where: Send, What: Drop, After: true, Times: 1},
		{Where: Register, What: Status, Status: 503, Rate: 0.1, RetryAfter: 5},
		{Where: Send, What: Delay, Seconds: 0.05},
		{Where: List, What: Hold, After: true, Seconds: 30},
		{Where: Token, What: HTML},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	for _, bad := range []string{
		"send", "post:drop", "send:explode", "send:status", "send:status=99", "send:delay", "send:delay=5", "send:drop=1",
		"send:drop:times=often", "send:drop:often=1", "send:drop:rate=1.5", "send:drop:rate=NaN", "send:delay=25h", "send:hold=-1s", "send:drop:times=-1",
	} {
		if _, err := ParseFaults(bad); err == nil || !strings.Contains(err.Error(), bad) {
			t.Errorf("%s: error %v", bad, err)
		}
	}
}

func FuzzParseFaults(f *testing.F) {
	f.Add("send:drop-after:times=1,register:status=503:rate=0.1")
	f.Fuzz(func(t *testing.T, s string) {
		list, err := ParseFaults(s)
		if err != nil {
			return
		}
		if _, err := New(Options{Faults: list}); err != nil {
			t.Errorf("%q was parsed and then refused: %v", s, err)
		}
	})
}

func TestAnyOtherPathIsNotFound(t *testing.T) {
	b := newTestServer(t, Options{})
	if got := b.do(b.request("GET", "/v1/bill-payments", "", "")); got.status != http.StatusNotFound {
		t.Errorf("got %d", got.status)
	}
	if got := b.do(b.request("GET", "/?"+url.Values{"a": {"b"}}.Encode(), "", "")); got.header.Get("Location") != "/inbox" {
		t.Errorf("got %d %v", got.status, got.header)
	}
}
