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

// maxBody is the longest answer that is read; real ones have a few hundred
// bytes.
const maxBody = 1 << 20

// wire makes single requests: no retry, no limit of rate. It asks the transport
// itself, since an http.Client follows redirects, with which a token or the
// secret could reach another host.
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

// reply is an answer that has arrived whole.
type reply struct {
	status int
	header http.Header
	body   []byte
	at     time.Time
}

// send makes one request and reads the whole answer, so that the connection
// can be used again. Errors: that of ctx, or a RetryError.
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
	// The chain is left out: the net package's time-outs claim to be
	// context.DeadlineExceeded, which to the caller means its own.
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
	defer func() { _ = resp.Body.Close() }() // its error says nothing: the body has been read
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxBody+1))
	if err != nil {
		return reply{}, fmt.Errorf("reading the answer: %w", err)
	}
	if len(body) > maxBody {
		return reply{}, errTooLong
	}
	return reply{resp.StatusCode, resp.Header, body, w.now()}, nil
}

// observe tells OnCall of one request.
func (w *wire) observe(op string, err error, took time.Duration) {
	if outcome := outcomeOf(err); outcome != "" {
		w.onCall(op, outcome, took)
	}
}

// outcomeOf is the metric's word for an error; "" when the caller gave up.
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

// passing reports whether a status says that the same request may succeed in
// a moment.
func passing(status int) bool {
	return status >= 500 || status == http.StatusTooManyRequests || status == http.StatusRequestTimeout
}

func (r reply) passingError(what string, hide redactor) error {
	asked := retryAfter(r.header, r.at)
	return &RetryError{
		After:     min(asked, maxAfter),
		asked:     asked,
		Err:       fmt.Errorf("%s: %s", what, r.describe(hide)),
		transient: true,
	}
}

func (r reply) redirectError(what string) error {
	return &RetryError{Err: fmt.Errorf("%s: status %d, a redirect, which is not followed: check almara.base_url and token_path", what, r.status)}
}

// describe is the answer in short, for an error: status and first words.
func (r reply) describe(hide redactor) string {
	text := fmt.Sprintf("status %d", r.status)
	if words := hide.words(r.body); words != "" {
		text += fmt.Sprintf(" (%s)", words)
	}
	return text
}

// isJSON reports whether the answer may be read as JSON: it says so, or says
// nothing to the contrary and looks like it. An HTML page never passes.
func (r reply) isJSON() bool {
	switch kind, _, _ := mime.ParseMediaType(r.header.Get("Content-Type")); {
	case kind == "application/json", kind == "text/json", strings.HasSuffix(kind, "+json"):
		return true
	case kind == "", kind == "text/plain":
		return bytes.HasPrefix(bytes.TrimSpace(trimBOM(r.body)), []byte("{"))
	default:
		return false
	}
}

// trimBOM drops the mark that some servers put before UTF-8.
func trimBOM(b []byte) []byte { return bytes.TrimPrefix(b, []byte("\uFEFF")) }
