package almara

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestTokenRequestEncodings(t *testing.T) {
	f := &fake{script: []http.HandlerFunc{reply200(seedSample)}}
	if _, err := onServer(t, f, func(c *Config) { c.Scope = "bills" }).Register(t.Context(), testBill); err != nil {
		t.Fatal(err)
	}
	sent := f.tokens[0]
	want := map[string]any{"client_id": "client", "client_secret": testSecret, "grant_type": "client_credentials", "scope": "bills"}
	if diff := cmp.Diff(want, jsonMap(t, sent.Body)); diff != "" || sent.Path != "/v1/oauth/token" || sent.ContentType != "application/json" || sent.Auth != "" {
		t.Errorf("%s %+v", diff, sent)
	}

	f = &fake{script: []http.HandlerFunc{reply200(seedSample)}}
	form := func(c *Config) { c.TokenEncoding = "form"; c.TokenPath = "/connect/token" }
	if _, err := onServer(t, f, form).Register(t.Context(), testBill); err != nil {
		t.Fatal(err)
	}
	sent = f.tokens[0]
	got, _ := url.ParseQuery(sent.Body)
	wantForm := url.Values{"client_id": {"client"}, "client_secret": {testSecret}, "grant_type": {"client_credentials"}}
	if diff := cmp.Diff(wantForm, got); diff != "" || sent.Path != "/connect/token" || sent.ContentType != "application/x-www-form-urlencoded" {
		t.Errorf("%s %+v", diff, sent)
	}
}

func TestTokenIsKeptUntilShortlyBeforeItsEnd(t *testing.T) {
	for name, tc := range map[string]struct {
		expires string
		want    time.Duration
	}{
		"an hour":  {`3600`, 59 * time.Minute},
		"a text":   {`"3600"`, 59 * time.Minute},
		"short":    {`100`, 90 * time.Second},
		"not said": {`null`, 59 * time.Minute},
		"negative": {`-5`, 59 * time.Minute},
		"absurd":   {`1e300`, 24*time.Hour - time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := &fake{script: []http.HandlerFunc{reply200(seedSample)}}
				f.onToken = reply200(`{"access_token":"tok","expires_in":` + tc.expires + `}`)
				c := inMemory(t, f)
				ask := func(wantTokens int) {
					t.Helper()
					if _, err := c.Register(t.Context(), testBill); err != nil {
						t.Fatal(err)
					}
					if n, _ := f.counts(); n != wantTokens {
						t.Errorf("%d tokens were fetched, want %d", n, wantTokens)
					}
				}
				ask(1)
				<-time.After(tc.want - time.Second)
				ask(1)
				<-time.After(2 * time.Second)
				ask(2)
			})
		})
	}
}

func TestRefusedTokenIsRenewedOnce(t *testing.T) {
	f := &fake{script: []http.HandlerFunc{status(401), reply200(seedSample)}}
	var seen outcomes
	c := onServer(t, f, func(c *Config) { c.OnCall = seen.add })
	if _, err := c.Register(t.Context(), testBill); err != nil {
		t.Fatal(err)
	}
	if f.bills[1].Auth != "Bearer tok-2" {
		t.Errorf("repeated with %q", f.bills[1].Auth)
	}
	if diff := cmp.Diff([]string{"token ok", "register retry", "token ok", "register ok"}, seen.all); diff != "" {
		t.Error(diff)
	}
}

func TestTokenRefusedTwiceStops(t *testing.T) {
	f := &fake{script: []http.HandlerFunc{answer(401, "application/json", seedFailure)}}
	_, err := onServer(t, f).Register(t.Context(), testBill)
	var stop *StopError
	if !errors.As(err, &stop) {
		t.Errorf("%v", err)
	}
	if tokens, bills := f.counts(); tokens != 2 || bills != 2 {
		t.Errorf("%d token requests, %d bill requests", tokens, bills)
	}
}

// Many callers are refused at once: one renewal for all, also where the server
// answers with the same text again.
func TestCallersShareTheToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const callers = 8
		var mu sync.Mutex
		refused := 0
		f := &fake{
			onToken: func(w http.ResponseWriter, r *http.Request) {
				<-time.After(time.Second)
				reply200(`{"access_token":"same"}`)(w, r)
			},
			script: []http.HandlerFunc{func(w http.ResponseWriter, r *http.Request) {
				mu.Lock()
				refused++
				n := refused
				mu.Unlock()
				// Some are refused long after the others have renewed.
				<-time.After(time.Duration(n%3) * 10 * time.Second)
				if n <= callers {
					status(401)(w, r)
					return
				}
				reply200(seedSample)(w, r)
			}},
		}
		c := inMemory(t, f)
		var all sync.WaitGroup
		for range callers {
			all.Go(func() {
				if _, err := c.Register(t.Context(), testBill); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if tokens, bills := f.counts(); tokens != 2 || bills != 2*callers {
			t.Errorf("%d token requests, %d bill requests", tokens, bills)
		}
	})
}

func TestACallerWhoLeavesDoesNotFailTheOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{script: []http.HandlerFunc{reply200(seedSample)}}
		f.onToken = func(w http.ResponseWriter, r *http.Request) {
			select {
			case <-time.After(5 * time.Second):
				reply200(`{"access_token":"tok"}`)(w, r)
			case <-r.Context().Done():
			}
		}
		c := inMemory(t, f)
		ctx, leave := context.WithCancel(t.Context())
		first := make(chan error)
		go func() { _, err := c.Register(ctx, testBill); first <- err }()
		synctest.Wait()
		second := make(chan error)
		go func() { _, err := c.Register(t.Context(), testBill); second <- err }()
		synctest.Wait()
		leave()
		if err := <-first; !errors.Is(err, context.Canceled) {
			t.Errorf("who left got %v", err)
		}
		if err := <-second; err != nil {
			t.Errorf("who stayed got %v", err)
		}
		if n, _ := f.counts(); n != 1 {
			t.Errorf("%d token requests", n)
		}
	})
}

func TestTokenFailures(t *testing.T) {
	for name, tc := range map[string]struct {
		answer   http.HandlerFunc
		kind     string
		requests int
	}{
		"wrong secret":         {answer(400, "application/json", `{"error":"invalid_client"}`), "stop", 1},
		"401":                  {status(401), "stop", 1},
		"wrong path":           {answer(404, "text/html", "<p>not found</p>"), "stop", 1},
		"down":                 {status(503), "retry", maxTries},
		"slow down":            {status(429, "Retry-After", "7200"), "retry", 1},
		"page":                 {answer(200, "text/html", "<p>login</p>"), "retry", 1},
		"no token":             {reply200(`{"expires_in":3600}`), "retry", 1},
		"no text for a header": {reply200(`{"access_token":"a\nb"}`), "retry", 1},
		"JSON said to be HTML": {answer(200, "text/html", `{"access_token":"tok"}`), "retry", 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := &fake{onToken: tc.answer}
				_, err := inMemory(t, f).Register(t.Context(), testBill)
				if got := outcomeOf(err); got != tc.kind {
					t.Errorf("%s: %v", got, err)
				}
				if tokens, bills := f.counts(); tokens != tc.requests || bills != 0 {
					t.Errorf("%d token requests, %d bill requests", tokens, bills)
				}
				if strings.Contains(err.Error(), testSecret) {
					t.Errorf("the secret is in %v", err)
				}
			})
		})
	}
}
