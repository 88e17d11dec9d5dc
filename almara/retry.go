package almara

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"
)

// How often, and how long apart, one call tries. A server that asks for more
// than maxWait gets it from the caller, who holds no slot meanwhile.
const (
	maxTries    = 3
	firstWait   = 500 * time.Millisecond
	longestWait = 10 * time.Second
	maxWait     = 60 * time.Second

	// maxAfter bounds what a server may ask: one answer must not silence a bill
	// for a day, or a typing error there for years.
	maxAfter = 10 * time.Minute
)

// retry calls try until it succeeds, fails for good, or has failed maxTries
// times, and returns how often it was called with its last error; or the
// error of ctx when that ended during a wait.
func retry(ctx context.Context, try func() error) (tries int, err error) {
	for tries = 1; ; tries++ {
		err = try()
		var failed *RetryError
		if !errors.As(err, &failed) || !failed.transient || tries == maxTries || failed.After > maxWait {
			return tries, err
		}
		wait := failed.After + jitter(tries)
		if end, ok := ctx.Deadline(); ok && time.Until(end) < wait {
			return tries, err
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return tries, ctx.Err()
		}
	}
}

// jitter is a random part of the capped exponential wait after the given
// number of tries ("full jitter"), so that callers who failed together do not
// come back together.
func jitter(tries int) time.Duration {
	return rand.N(min(firstWait<<(tries-1), longestWait)) + 1
}

// retryAfter reads Retry-After, as seconds or as a date (RFC 9110, 10.2.3),
// uncapped; 0 when there is none that makes sense. A date is compared with the
// server's own Date, so that a clock that is wrong here does not matter.
func retryAfter(h http.Header, now time.Time) time.Duration {
	text := h.Get("Retry-After")
	if n, err := strconv.ParseUint(text, 10, 31); err == nil {
		return time.Duration(n) * time.Second
	}
	at, err := http.ParseTime(text)
	if err != nil {
		return 0
	}
	if theirs, err := http.ParseTime(h.Get("Date")); err == nil {
		now = theirs
	}
	return max(0, at.Sub(now))
}
