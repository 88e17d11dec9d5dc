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
				if took := time.Since(began); took < tc.min || took > tc.min+firstBackoff+1 {
					t.Errorf("waited %v, want %v and a little", took, tc.min)
				}
			})
		})
	}
}

func TestOneAnswerCannotAskForADayOfSilence(t *testing.T) {
	now := time.Date(2026, 4, 1, 0, 0, 0, 0, time.UTC)
	for text, want := range map[string]time.Duration{
		"2147483647":                    maxRetryAfter,
		"86399":                         maxRetryAfter,
		"99999999999999999999":          0,
		"Wed, 01 Apr 2099 00:00:00 GMT": maxRetryAfter,
		"120":                           2 * time.Minute,
	} {
		var failed *RetryError
		r := reply{status: 429, header: http.Header{"Retry-After": {text}}, at: now}
		if err := r.transientError("register", redactor{}); !errors.As(err, &failed) || failed.After != want {
			t.Errorf("%s: %v, want %v", text, err, want)
		}
	}
}

func TestJitterStaysUnderItsCap(t *testing.T) {
	for tries := 1; tries < 30; tries++ {
		for range 100 {
			if d := jitter(tries); d <= 0 || d > maxBackoff || tries == 1 && d > firstBackoff {
				t.Fatalf("after %d tries: %v", tries, d)
			}
		}
	}
}
