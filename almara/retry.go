package almara

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"
)

const (
	// One call tries maxTries times. Between tries it waits for up to firstBackoff,
	// which doubles with each try up to maxBackoff, on top of what the server asks.
	maxTries     = 3
	firstBackoff = 500 * time.Millisecond
	maxBackoff   = 10 * time.Second

	// maxWaitInCall is the longest Retry-After that is waited for within the call,
	// which keeps its slot meanwhile. A longer one is the caller's to wait for.
	maxWaitInCall = 60 * time.Second

	// maxRetryAfter is the longest Retry-After that is obeyed: one answer must not
	// keep a bill from being checked for a day, nor a typing error there for years.
	maxRetryAfter = 10 * time.Minute
)

// retry calls try until it succeeds, fails in a way that is not transient, or has
// failed maxTries times. It returns the number of tries and the last error, or the
// error of ctx when that ended during a wait.
func retry(ctx context.Context, try func() error) (tries int, err error) {
	for tries = 1; ; tries++ {
		err = try()
		var failed *RetryError
		if !errors.As(err, &failed) || !failed.transient || tries == maxTries || failed.After > maxWaitInCall {
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
	return rand.N(min(firstBackoff<<(tries-1), maxBackoff)) + 1
}

// retryAfter reads Retry-After, as seconds or as a date (RFC 9110, 10.2.3),
// uncapped; 0 when there is none that can be read. A date is compared with the
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
