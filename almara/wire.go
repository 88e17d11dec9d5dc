package almara

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// maxBody is the longest answer that is read, in bytes; real ones have a few
// hundred.
const maxBody = 1 << 20

// wire makes single requests, without retries or a rate limit. It calls the
// transport itself: an http.Client would follow a redirect, and carry the token or
// the secret to another host.
type wire struct {
	transport http.RoundTripper
	timeout   time.Duration
	now       func() time.Time
	onCall    func(op, outcome string, took time.Duration)
	onDate    func(date time.Time, err error)
}

type request struct {
	method      string
	url         *url.URL
	contentType string // "" = no body
	body        []byte
	token       string // "" = none
}

// reply is a complete answer.
type reply struct {
	status int
	header http.Header
	body   []byte
	at     time.Time // when it arrived
}

// send makes one request and reads the whole answer, so that the connection can be
// reused. Errors keep nothing that hide knows: that of ctx, or a RetryError.
func (w *wire) send(ctx context.Context, r request, hide redactor) (reply, error) {
	limited, cancel := context.WithTimeout(ctx, w.timeout)
	defer cancel()
	answer, err := w.roundTrip(limited, r)
	switch {
	case err == nil:
		return answer, nil
	case ctx.Err() != nil:
		return reply{}, ctx.Err()
	case limited.Err() != nil:
		return reply{}, &RetryError{Err: fmt.Errorf("no answer within %v", w.timeout), transient: true}
	case errors.Is(err, errTooLong):
		return reply{}, &RetryError{Err: err}
	}
	// The error is not wrapped: a time-out of package net matches
	// context.DeadlineExceeded, which the caller would take for its own.
	return reply{}, &RetryError{Err: errors.New(hide.clean(err.Error(), maxReason)), transient: true}
}

var errTooLong = fmt.Errorf("the answer is longer than %d bytes", maxBody)

func (w *wire) roundTrip(ctx context.Context, r request) (reply, error) {
	req, err := http.NewRequestWithContext(ctx, r.method, r.url.String(), bytes.NewReader(r.body))
	if err != nil {
		return reply{}, err
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", "duewatch")
	if r.contentType != "" {
		req.Header.Set("Content-Type", r.contentType)
	}
	if r.token != "" {
		req.Header.Set("Authorization", "Bearer "+r.token)
	}
	resp, err := w.transport.RoundTrip(req)
	if err != nil {
		w.onDate(time.Time{}, err)
		return reply{}, err
	}
	date, _ := http.ParseTime(resp.Header.Get("Date"))
	w.onDate(date, nil)
	defer func() { _ = resp.Body.Close() }() // the body was only read
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxBody+1))
	if err != nil {
		return reply{}, fmt.Errorf("reading the answer: %w", err)
	}
	if len(body) > maxBody {
		return reply{}, errTooLong
	}
	return reply{resp.StatusCode, resp.Header, body, w.now()}, nil
}

// report calls OnCall about one request.
func (w *wire) report(op string, err error, took time.Duration) {
	if outcome := outcomeOf(err); outcome != "" {
		w.onCall(op, outcome, took)
	}
}

// CallOutcomes are the values that OnCall is given: the outcomes of each op.
func CallOutcomes() map[string][]string {
	all := map[string][]string{}
	for _, op := range []string{"token", "register", "lookup", "services"} {
		all[op] = []string{"ok", "rejected", "unclear", "forbidden", "retry", "stop", "breaker"}
	}
	return all
}

// outcomeOf is the label of an error in metrics; "" when the caller gave up.
func outcomeOf(err error) string {
	var (
		rejected  *RejectedError
		unclear   *UnclearError
		forbidden *ForbiddenError
		failed    *RetryError
		stop      *StopError
	)
	switch {
	case err == nil:
		return "ok"
	case errors.As(err, &rejected):
		return "rejected"
	case errors.As(err, &unclear):
		return "unclear"
	case errors.As(err, &forbidden):
		return "forbidden"
	case errors.As(err, &failed):
		return "retry"
	case errors.As(err, &stop):
		return "stop"
	case errors.Is(err, ErrBreakerOpen):
		return "breaker"
	default:
		return ""
	}
}

// isTransient reports whether the same request may succeed in a moment, by the
// status of the answer.
func isTransient(status int) bool {
	return status >= 500 || status == http.StatusTooManyRequests || status == http.StatusRequestTimeout
}

func (r reply) transientError(op string, hide redactor) error {
	asked := retryAfter(r.header, r.at)
	return &RetryError{
		After:     min(asked, maxRetryAfter),
		asked:     asked,
		Err:       fmt.Errorf("%s: %s", op, r.describe(hide)),
		transient: true,
	}
}

func (r reply) redirectError(op string) error {
	return &RetryError{Err: fmt.Errorf("%s: status %d, a redirect, which is not followed: check almara.base_url and token_path",
		op, r.status)}
}

// describe is the answer in short, for an error: status and first words.
func (r reply) describe(hide redactor) string {
	text := fmt.Sprintf("status %d", r.status)
	if words := hide.firstWords(r.body); words != "" {
		text += fmt.Sprintf(" (%s)", words)
	}
	return text
}

// isJSON reports whether the answer may be read as JSON: by its Content-Type, or,
// where that is missing or text/plain, by its first character. An HTML page is never
// JSON.
func (r reply) isJSON() bool {
	switch kind, _, _ := mime.ParseMediaType(r.header.Get("Content-Type")); {
	case kind == "application/json", kind == "text/json", strings.HasSuffix(kind, "+json"):
		return true
	case kind == "", kind == "text/plain":
		body := bytes.TrimSpace(trimBOM(r.body))
		return bytes.HasPrefix(body, []byte("{")) || bytes.HasPrefix(body, []byte("["))
	default:
		return false
	}
}

// trimBOM drops the byte order mark that some servers put before UTF-8.
func trimBOM(b []byte) []byte { return bytes.TrimPrefix(b, []byte("\uFEFF")) }
