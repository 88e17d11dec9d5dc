package almara

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"duewatch/reminder"
)

var testNow = time.Date(2026, 4, 1, 9, 0, 0, 0, time.UTC)

func TestRegisterSavesTheBillAndReadsTheAnswer(t *testing.T) {
	f := &fake{script: []http.HandlerFunc{reply200(seedSample)}}
	c := onServer(t, f, func(c *Config) { c.Now = func() time.Time { return testNow } })
	got, err := c.Register(t.Context(), testBill)
	if err != nil {
		t.Fatal(err)
	}
	want := reminder.Answer{
		At:       testNow,
		Customer: "LTD EXECUTIVE CONCEPTS",
		Balance:  money("231.56"),
		DueDate:  date(t, "2020-07-03"),
		Verified: new(true),
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(reminder.Date{})); diff != "" {
		t.Error(diff)
	}
	sent := f.bills[0]
	if sent.Method != http.MethodPost || sent.Path != "/v1/bill-numbers" || sent.Auth != "Bearer tok-1" || sent.ContentType != "application/json" {
		t.Errorf("sent %+v", sent)
	}
	wantBody := map[string]any{
		"serviceId":       "bc97d2b1-4828-f111-bc5a-0w7d952d79b7",
		"accountNumber":   "ACC 1/2",
		"phoneNumber":     "254710000003",
		"transactionDesc": "Rent",
		"RemindMeDueDate": true,
	}
	if diff := cmp.Diff(wantBody, jsonMap(t, sent.Body)); diff != "" {
		t.Error(diff)
	}
}

func TestOptionalFieldsAreLeftOut(t *testing.T) {
	f := &fake{script: []http.HandlerFunc{reply200(seedSample)}}
	c := onServer(t, f)
	if _, err := c.Register(t.Context(), reminder.Bill{Service: "12", Account: "1"}); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{"serviceId": json.Number("12"), "accountNumber": "1", "RemindMeDueDate": true}
	if diff := cmp.Diff(want, jsonMap(t, f.bills[0].Body)); diff != "" {
		t.Error(diff)
	}
}

func TestServiceIDIsWrittenAsInTheConfig(t *testing.T) {
	for id, want := range map[string]string{
		"0":                      `0`,
		"42":                     `42`,
		"123456789012345678":     `123456789012345678`,
		"1234567890123456789":    `"1234567890123456789"`,
		"007":                    `"007"`,
		"-1":                     `"-1"`,
		"1e3":                    `"1e3"`,
		"":                       `""`,
		"٣":                      `"٣"`,
		"bc97d2b1-4828-f111-0w7": `"bc97d2b1-4828-f111-0w7"`,
	} {
		t.Run(id, func(t *testing.T) {
			got, err := json.Marshal(jsonServiceID(id))
			if err != nil || string(got) != want {
				t.Errorf("got %s, %v; want %s", got, err, want)
			}
		})
	}
}

func TestRecheckAsksAsConfigured(t *testing.T) {
	flat := `{"serviceID": "x", "customerName": "Jane", "accountNumber": "ACC 1/2", "phoneNumber": "254710000003",
 "enabled": true, "verified": true, "dueDate": "2026-10-18 00:00", "dueAmount": 70.10}`
	f := &fake{script: []http.HandlerFunc{reply200(flat)}}
	c := onServer(t, f, func(c *Config) { c.RecheckWith = "lookup"; c.Now = func() time.Time { return testNow } })
	got, err := c.Recheck(t.Context(), testBill)
	if err != nil {
		t.Fatal(err)
	}
	want := reminder.Answer{At: testNow, Customer: "Jane", Balance: money("70.10"), DueDate: date(t, "2026-10-18"), Verified: new(true)}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(reminder.Date{})); diff != "" {
		t.Error(diff)
	}
	q, _ := url.ParseQuery(f.bills[0].Query)
	wantQuery := url.Values{"serviceId": {testBill.Service}, "accountNumber": {testBill.Account}}
	if diff := cmp.Diff(wantQuery, q); diff != "" || f.bills[0].Method != http.MethodGet || f.bills[0].Body != "" {
		t.Errorf("%s %+v", diff, f.bills[0])
	}

	f = &fake{script: []http.HandlerFunc{reply200(seedSample)}}
	if _, err := onServer(t, f).Recheck(t.Context(), testBill); err != nil || f.bills[0].Method != http.MethodPost {
		t.Errorf("%v %+v", err, f.bills)
	}
}

// The kind of error says whose fault a failure is.
func TestFailures(t *testing.T) {
	html := "<html><head><style>p{}</style><title>502 Bad\nGateway</title></head><body>nginx</body></html>"
	for name, tc := range map[string]struct {
		answer http.HandlerFunc
		kind   string
		says   string
	}{
		"reason with 200":          {reply200(seedFailure), "rejected", "Account number number is invalid."},
		"reason with 404":          {answer(404, "application/json", seedFailure), "rejected", "Account number number is invalid."},
		"reason wrapped":           {reply200(`{"message":` + seedFailure + `}`), "rejected", "Account number number is invalid."},
		"reason over several rows": {reply200(`{"Reason":"a\r\nb\u0000 c"}`), "rejected", "rejects the bill: a b c"},
		"problem 400":              {answer(400, "application/problem+json; charset=utf-8", seedProblem), "rejected", "AccountNumber: The AccountNumber field is required."},
		"problem of several fields": {answer(400, "application/problem+json", `{"errors":{"B":["x","y"],"A":"z"}}`),
			"rejected", "A: z; B: x y"},
		"400 of another shape":  {answer(400, "application/json", `{"title":"Bad request"}`), "unclear", "Bad request (status 400)"},
		"400 page":              {answer(400, "text/html", html), "unclear", "status 400 (502 Bad Gateway nginx)"},
		"404 page":              {answer(404, "text/html", html), "unclear", "status 404 (502 Bad Gateway nginx)"},
		"404 without a word":    {answer(404, "", ""), "unclear", "refuses the bill: status 404"},
		"404, cut JSON":         {answer(404, "application/json", seedFailure[:40]), "unclear", "status 404"},
		"405":                   {answer(405, "text/plain", "no"), "unclear", "status 405 (no)"},
		"422, a list of errors": {answer(422, "application/json", `{"errors":["x"],"detail":"No such\r\naccount"}`), "unclear", "No such account (status 422)"},
		"200 page":              {answer(200, "text/html", html), "retry", "status 200 (502 Bad Gateway nginx)"},
		"reason in a page":      {answer(400, "text/html", seedFailure), "unclear", "status 400"},
		"403":                   {answer(403, "application/json", seedFailure), "forbidden", "no right"},
		"redirect":              {answer(302, "", "", "Location", "https://elsewhere.example.test/"), "retry", "redirect"},
		"empty object":          {reply200(`{}`), "retry", "none of the expected fields"},
		"empty message":         {reply200(`{"message":{}}`), "retry", "none of the expected fields"},
		"a text for message":    {reply200(`{"message":"ok"}`), "retry", "none of the expected fields"},
		"empty body":            {answer(204, "", ""), "retry", "not JSON"},
		"null":                  {reply200(`null`), "retry", "JSON object"},
		"list":                  {reply200(`[]`), "retry", "JSON object"},
		"truncated JSON":        {reply200(seedSample[:150]), "retry", "cannot be read as a JSON object"},
		"oversize":              {reply200(`{"dueDate":"` + strings.Repeat("1", maxBody) + `"}`), "retry", "longer than"},
		"long Retry-After":      {status(429, "Retry-After", "600"), "retry", "asks to wait 10m0s)"},
		"Retry-After of a day":  {status(429, "Retry-After", "86399"), "retry", "(asks to wait 23h59m59s; duewatch waits 10m0s)"},
		"the same of a 503":     {status(503, "Retry-After", "86399"), "retry", "(asks to wait 23h59m59s; duewatch waits 10m0s)"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := &fake{script: []http.HandlerFunc{tc.answer}}
			var seen outcomes
			c := onServer(t, f, func(c *Config) { c.OnCall = seen.add })
			a, err := c.Register(t.Context(), testBill)
			if err == nil {
				t.Fatalf("no error but %+v", a)
			}
			if got := outcomeOf(err); got != tc.kind || !strings.Contains(err.Error(), tc.says) {
				t.Errorf("%s: %v; want %s: …%s…", got, err, tc.kind, tc.says)
			}
			if _, n := f.counts(); n != 1 {
				t.Errorf("%d requests, want 1", n)
			}
			if diff := cmp.Diff([]string{"token ok", "register " + tc.kind}, seen.all); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestErrorsAreFoundByType(t *testing.T) {
	c := onServer(t, &fake{script: []http.HandlerFunc{status(429, "Retry-After", "600")}})
	_, err := c.Register(t.Context(), testBill)
	var failed *RetryError
	if !errors.As(err, &failed) || failed.After != 10*time.Minute {
		t.Errorf("%#v", err)
	}
	c = onServer(t, &fake{script: []http.HandlerFunc{reply200(seedFailure)}})
	_, err = c.Register(t.Context(), testBill)
	var rejected *RejectedError
	if !errors.As(err, &rejected) || rejected.Reason != "Account number number is invalid." {
		t.Errorf("%#v", err)
	}
}

func TestARedirectIsNotFollowed(t *testing.T) {
	elsewhere := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		t.Errorf("followed to %s with %q", r.URL, r.Header.Get("Authorization"))
	}))
	defer elsewhere.Close()
	for _, code := range []int{301, 302, 307, 308} {
		c := onServer(t, &fake{script: []http.HandlerFunc{status(code, "Location", elsewhere.URL)}})
		if _, err := c.Register(t.Context(), testBill); outcomeOf(err) != "retry" {
			t.Errorf("%d: %v", code, err)
		}
		c = onServer(t, &fake{onToken: status(code, "Location", elsewhere.URL)})
		if _, err := c.Register(t.Context(), testBill); outcomeOf(err) != "retry" {
			t.Errorf("token %d: %v", code, err)
		}
	}
}

// What may pass in a moment is tried again: 5xx, a dropped connection, an
// answer that breaks off, a slow server.
func TestPassingFailuresAreTriedAgain(t *testing.T) {
	for name, first := range map[string]http.HandlerFunc{
		"503":     answer(503, "text/html", "<h1>down</h1>"),
		"408":     status(408),
		"dropped": drop,
		"broken off": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1000")
			_, _ = w.Write([]byte(`{"mess`))
		},
		"slow": hang,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := &fake{script: []http.HandlerFunc{first, reply200(seedSample)}}
			var seen outcomes
			c := onServer(t, f, func(c *Config) { c.OnCall = seen.add; c.Timeout = 300 * time.Millisecond })
			if _, err := c.Register(t.Context(), testBill); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff([]string{"token ok", "register retry", "register ok"}, seen.all); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestTheServerThatNeverAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{script: []http.HandlerFunc{hang}}
		c := inMemory(t, f)
		began := time.Now()
		_, err := c.Register(t.Context(), testBill)
		if outcomeOf(err) != "retry" || !strings.Contains(err.Error(), "no answer within 30s") {
			t.Errorf("%v", err)
		}
		if errors.Is(err, context.DeadlineExceeded) {
			t.Error("reads as if the caller's own time were over")
		}
		if _, n := f.counts(); n != maxTries {
			t.Errorf("%d tries", n)
		}
		if took := time.Since(began); took < 90*time.Second || took > 92*time.Second {
			t.Errorf("took %v", took)
		}
	})
}

func TestTheCallersEndComesBackAsSuch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for name, f := range map[string]*fake{
			"in the request":       {script: []http.HandlerFunc{hang}},
			"in the token request": {onToken: hang},
			"between tries":        {script: []http.HandlerFunc{status(429, "Retry-After", "50")}},
		} {
			ctx, cancel := context.WithCancel(t.Context())
			time.AfterFunc(time.Second, cancel)
			_, err := inMemory(t, f).Register(ctx, testBill)
			if !errors.Is(err, context.Canceled) || outcomeOf(err) != "" {
				t.Errorf("%s: %v", name, err)
			}
		}
		// A retry that would come too late is not waited for.
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		began := time.Now()
		_, err := inMemory(t, &fake{script: []http.HandlerFunc{status(429, "Retry-After", "50")}}).Register(ctx, testBill)
		if outcomeOf(err) != "retry" || time.Since(began) > 0 {
			t.Errorf("after %v: %v", time.Since(began), err)
		}
		<-time.After(5 * time.Minute) // the shared token request outlives its callers
	})
}

func TestRateAndConcurrencyAreKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var under, most atomic.Int64
		busy := func(w http.ResponseWriter, r *http.Request) {
			n := under.Add(1)
			defer under.Add(-1)
			for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
			}
			<-time.After(time.Second)
			reply200(seedSample)(w, r)
		}
		c := inMemory(t, &fake{script: []http.HandlerFunc{busy}}, func(c *Config) { c.Rate = 10; c.Concurrency = 4 })
		began := time.Now()
		var all sync.WaitGroup
		for range 20 {
			all.Go(func() {
				if _, err := c.Register(t.Context(), testBill); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if most.Load() != 4 {
			t.Errorf("%d at once, want 4", most.Load())
		}
		if took := time.Since(began); took < 5*time.Second || took > 7*time.Second {
			t.Errorf("20 calls of 1 s, 4 at once, took %v", took)
		}

		c = inMemory(t, &fake{script: []http.HandlerFunc{reply200(seedSample)}}, func(c *Config) { c.Rate = 10 })
		began = time.Now()
		for range 21 {
			if _, err := c.Register(t.Context(), testBill); err != nil {
				t.Error(err)
			}
		}
		if took := time.Since(began).Round(time.Millisecond); took != 2*time.Second {
			t.Errorf("21 calls at 10 a second took %v", took)
		}
	})
}

func TestConnectionsAreUsedAgain(t *testing.T) {
	f := &fake{script: []http.HandlerFunc{
		answer(400, "application/json", seedProblem),
		reply200(`{}`),
		answer(403, "text/html", "<p>no</p>"),
		status(301, "Location", "/x"),
		reply200(seedSample),
	}}
	var dialed atomic.Int64
	srv := httptest.NewUnstartedServer(f)
	srv.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			dialed.Add(1)
		}
	}
	srv.Start()
	defer srv.Close()
	c := newClient(t, func(c *Config) { c.BaseURL = srv.URL })
	for range 5 {
		_, _ = c.Register(t.Context(), testBill) // other tests check the failures
	}
	if _, n := f.counts(); n != 5 || dialed.Load() != 1 {
		t.Errorf("%d requests over %d connections", n, dialed.Load())
	}
}
