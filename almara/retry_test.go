package almara

import (
	"errors"
	"net/http"
	"testing"
	"testing/synctest"
	"time"
)

func TestRetryAfterIsHonoured(t *testing.T) {
	for name, tc := range map[string]struct {
		header []string
		min    time.Duration
	}{
		"seconds":            {[]string{"Retry-After", "20"}, 20 * time.Second},
		"date":               {[]string{"Retry-After", "Sat, 01 Jan 2000 00:00:20 GMT"}, 20 * time.Second},
		"a server's own day": {[]string{"Retry-After", "Tue, 01 Jan 2030 00:00:20 GMT", "Date", "Tue, 01 Jan 2030 00:00:00 GMT"}, 20 * time.Second},
		"date gone by":       {[]string{"Retry-After", "Fri, 31 Dec 1999 00:00:00 GMT"}, 0},
		"nonsense":           {[]string{"Retry-After", "soon"}, 0},
		"negative":           {[]string{"Retry-After", "-5"}, 0},
		"absent":             {nil, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { // the clock begins at 2000-01-01 00:00 UTC
				f := &fake{script: []http.HandlerFunc{status(429, tc.header...), reply200(seedSample)}}
				began := time.Now()
				if _, err := inMemory(t, f).Register(t.Context(), testBill); err != nil {
					t.Fatal(err)
				}
				if took := time.Since(began); took < tc.min || took > tc.min+firstWait+1 {
					t.Errorf("waited %v, want %v and a little", took, tc.min)
				}
			})
		})
	}
}

func TestRetryAfterIsBounded(t *testing.T) {
	now := time.Date(2026, 4, 1, 0, 0, 0, 0, time.UTC)
	for text, want := range map[string]time.Duration{
		"2147483647":                    maxAfter,
		"99999999999999999999":          0,
		"Wed, 01 Apr 2099 00:00:00 GMT": maxAfter,
		"120":                           2 * time.Minute,
	} {
		if got := retryAfter(http.Header{"Retry-After": {text}}, now); got != want {
			t.Errorf("%s: %v, want %v", text, got, want)
		}
	}
}

func TestJitterStaysUnderItsCap(t *testing.T) {
	for tries := 1; tries < 30; tries++ {
		for range 100 {
			if d := jitter(tries); d <= 0 || d > longestWait || tries == 1 && d > firstWait {
				t.Fatalf("after %d tries: %v", tries, d)
			}
		}
	}
}

func TestBreaker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		down := true
		f := &fake{script: []http.HandlerFunc{func(w http.ResponseWriter, r *http.Request) {
			if down {
				status(302)(w, r) // fails at once, without another try
				return
			}
			answer(200, "application/json", seedFailure)(w, r)
		}}}
		var seen outcomes
		c := inMemory(t, f, func(c *Config) { c.OnCall = seen.add })
		ask := func(wantRequests int, want string) {
			t.Helper()
			_, before := f.counts()
			_, err := c.Register(t.Context(), testBill)
			_, after := f.counts()
			if outcomeOf(err) != want || after-before != wantRequests {
				t.Errorf("%d requests, %v; want %d, %s", after-before, err, wantRequests, want)
			}
		}
		for range breakerFailures {
			ask(1, "retry")
		}
		ask(0, "breaker")
		if got := seen.all[len(seen.all)-1]; got != "register breaker" {
			t.Errorf("told %q", got)
		}
		_, err := c.Register(t.Context(), testBill)
		if !errors.Is(err, ErrBreakerOpen) {
			t.Error(err)
		}
		<-time.After(breakerPause)
		ask(1, "retry") // the probe
		ask(0, "breaker")
		<-time.After(breakerPause)
		down = false
		ask(1, "rejected") // a rejection is an answer: the server is back
		ask(1, "rejected")
		down = true
		for range breakerFailures - 1 {
			ask(1, "retry")
		}
		down = false
		ask(1, "rejected") // it breaks the row
		down = true
		ask(1, "retry")
		ask(1, "retry")
	})
}

// While the probe is under way the others wait for what it finds.
func TestBreakerProbesAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		changes := 0
		b := &breaker{onChange: func(bool) { changes++ }}
		for range breakerFailures {
			probe, err := b.enter(t.Context())
			if probe || err != nil {
				t.Fatal(probe, err)
			}
			b.leave(probe, serverDown)
		}
		<-time.After(breakerPause)
		if probe, err := b.enter(t.Context()); !probe || err != nil {
			t.Fatal(probe, err)
		}
		entered := make(chan bool)
		go func() {
			probe, err := b.enter(t.Context())
			if err != nil {
				t.Error(err)
			}
			entered <- probe
		}()
		synctest.Wait()
		b.leave(false, serverDown) // one that began before the breaker opened
		select {
		case <-entered:
			t.Fatal("went ahead beside the probe")
		default:
		}
		b.leave(true, noVerdict) // its caller gave up: another probes
		if !<-entered {
			t.Fatal("nobody probes")
		}
		b.leave(true, serverUp)
		if probe, err := b.enter(t.Context()); probe || err != nil {
			t.Fatal(probe, err)
		}
		if changes != 2 {
			t.Errorf("%d changes were told", changes)
		}
	})
}
