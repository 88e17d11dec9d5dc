package notifier

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/twilio/twilio-go/client"
	api "github.com/twilio/twilio-go/rest/api/v2010"
)

// maxAnswer is the longest answer about one message that is read, in bytes: more than
// fifty times a usual one.
const maxAnswer = 64 << 10

var (
	errTooLong  = errors.New("the answer is too long")
	errSealed   = errors.New("the request was given up")
	errTwice    = errors.New("one call makes one request")
	errJSONBody = errors.New("a JSON request body is not supported")
	errStatus   = errors.New("the answer is not a 2xx")
)

// newTransport keeps a connection for each caller: the default transport keeps two
// for each host, and opens a new one for every text beyond that. It speaks HTTP/1
// only, where a connection carries one request and net/http never sends a POST a
// second time by itself.
func newTransport(concurrency int) *http.Transport {
	concurrency = cmp.Or(concurrency, defaultConcurrency)
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	return &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DialContext:            (&net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		TLSHandshakeTimeout:    10 * time.Second,
		Protocols:              protocols,
		MaxIdleConns:           concurrency,
		MaxIdleConnsPerHost:    concurrency,
		IdleConnTimeout:        30 * time.Second, // sooner than Twilio closes it, so that few texts use a connection that is being closed
		DisableCompression:     true,             // an answer about one text is under 1 kB, and lists are rare
		MaxResponseHeaderBytes: maxAnswer,
	}
}

// call is one request to Twilio. twilio-go's own client has no context, loses
// the response's header and never closes the body of an error; call stands in
// its place, through the interface that the library offers for that. It is
// made anew for each request and makes one only.
type call struct {
	ctx  context.Context // of the request; twilio-go's functions take none
	n    *Notifier
	used bool

	maxAnswer int64     // in bytes; a longer answer is an error
	writeBy   time.Time // Message.WriteBy

	// The result.
	status     int // 0 = no answer
	retryAfter time.Duration
	body       []byte // of the answer
	err        error  // why there is no whole answer
	notSent    bool   // with err: no byte of the request's body left, nor will
	late       bool   // with notSent: writeBy had passed
}

var _ client.BaseClient = (*call)(nil)

func (n *Notifier) newCall(ctx context.Context) *call {
	return &call{ctx: ctx, n: n, maxAnswer: maxAnswer}
}

// service is twilio-go's API over c. The handler is built by hand because
// client.NewRequestHandler would read TWILIO_EDGE and TWILIO_REGION.
func (c *call) service() *api.ApiService {
	return api.NewApiService(&client.RequestHandler{Client: c})
}

// AccountSid names the account in the paths that twilio-go builds.
func (c *call) AccountSid() string { return c.n.accountSID }

// SetTimeout does nothing: the context carries the time-out.
func (c *call) SetTimeout(time.Duration) {}

// SetOauth does nothing: only basic authentication is used.
func (c *call) SetOauth(client.OAuth) {}

// OAuth is none: only basic authentication is used.
func (c *call) OAuth() client.OAuth { return nil }

// SendRequest makes the request that twilio-go asks for, and keeps the result in c.
func (c *call) SendRequest(method, rawURL string, data url.Values, headers map[string]any, body ...byte) (*http.Response, error) {
	if c.used {
		return nil, errTwice
	}
	c.used = true
	ctx, giveUp := context.WithCancel(c.ctx)
	defer giveUp()
	req, form, err := c.request(ctx, method, rawURL, data, headers, body)
	if err != nil {
		c.err, c.notSent = err, true
		return nil, err
	}
	if form != nil && !c.writeBy.IsZero() {
		form.writeBy = c.writeBy
		timer := time.AfterFunc(time.Until(c.writeBy), func() {
			if form.expire() { // else the request is being written
				giveUp()
			}
		})
		defer timer.Stop()
	}
	// An http.Client would follow redirects, and a text must not be posted to a
	// second address.
	res, err := c.n.transport.RoundTrip(req)
	c.n.reportDate(res, err)
	if err != nil {
		c.err = err
		c.notSent = form != nil && form.seal()
		c.late = c.notSent && form.late.Load()
		return nil, err
	}
	defer res.Body.Close() //nolint:errcheck // it was only read
	c.status = res.StatusCode
	c.retryAfter = retryAfter(res.Header.Get("Retry-After"))
	if c.status == http.StatusSwitchingProtocols {
		return nil, errStatus // a body without an end, and without a deadline
	}
	// Read to the end, so that the connection can be reused.
	c.body, c.err = io.ReadAll(io.LimitReader(res.Body, c.maxAnswer+1))
	switch {
	case c.err != nil:
		return nil, c.err
	case int64(len(c.body)) > c.maxAnswer:
		c.body, c.err = nil, errTooLong
		return nil, c.err
	case !c.succeeded():
		return nil, errStatus
	}
	return &http.Response{StatusCode: c.status, Header: res.Header, Body: io.NopCloser(bytes.NewReader(c.body))}, nil
}

// reportDate calls OnDate after one request.
func (n *Notifier) reportDate(res *http.Response, err error) {
	var date time.Time
	if err == nil {
		date, _ = http.ParseTime(res.Header.Get("Date"))
	}
	n.onDate(date, err)
}

// request builds the request, and its form if it is a POST. It sets no GetBody and no
// Idempotency-Key: with either, net/http would send the request again by itself.
func (c *call) request(
	ctx context.Context, method, rawURL string, data url.Values, headers map[string]any, body []byte,
) (*http.Request, *formBody, error) {
	if len(body) > 0 {
		return nil, nil, errJSONBody
	}
	u, err := url.Parse(rawURL)
	if err != nil {
		return nil, nil, err
	}
	base := c.n.base
	u.Scheme, u.Host, u.Path = base.Scheme, base.Host, base.Path+u.Path
	if method == http.MethodGet && len(data) > 0 {
		u.RawQuery = data.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, method, u.String(), nil)
	if err != nil {
		return nil, nil, err
	}
	var form *formBody
	if method == http.MethodPost {
		form = newForm(data.Encode())
		req.Body, req.ContentLength = form, int64(form.r.Len())
		if t, ok := headers["Content-Type"].(string); ok {
			req.Header.Set("Content-Type", t)
		}
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", "duewatch")
	req.SetBasicAuth(c.n.user, c.n.password)
	return req, form, nil
}

// sendResult is the Result of a create request, from what twilio-go returned.
func (c *call) sendResult(message *api.ApiV2010Message, err error) Result {
	r := Result{HTTPStatus: c.status, RetryAfter: c.retryAfter}
	switch {
	case c.status == 0:
		e := &Error{Op: "send"}
		e.words, e.ctxErr = noAnswer(cmp.Or(c.err, err))
		r.Outcome = Unknown
		if c.notSent || !c.used {
			r.Outcome = NotSent
		}
		if c.late {
			e.words, e.kind, e.ctxErr = "no connection was ready in time, so nothing was written", ErrLate, nil
		}
		r.Err = e
		return r
	case c.succeeded():
		if err != nil {
			message = nil
		}
		if m := c.accepted(message); m != nil {
			r.Outcome, r.SID = Accepted, *m.Sid
			r.Status, r.Code, r.Segments = value(m.Status), value(m.ErrorCode), number(m.NumSegments)
			return r
		}
		r.Outcome = Unknown
		e := &Error{Op: "send", HTTPStatus: c.status, words: "the answer names no message"}
		if c.err != nil {
			e.words, e.ctxErr = noAnswer(c.err)
		}
		r.Err = e
		return r
	}
	r.Code = c.code()
	r.Outcome, r.Class = classify(c.status, r.Code)
	e := &Error{Op: "send", HTTPStatus: c.status, Code: r.Code, RetryAfter: r.RetryAfter, words: explain(r.Outcome, r.Code)}
	if r.Class == Account {
		e.kind = ErrStop
	}
	r.Err = e
	return r
}

// accepted is the message of a 2xx answer, nil when it names none. twilio-go returns
// no message at all when one field has an unexpected type. A sid in a complete answer
// is proof enough by itself, and to call that text unknown would risk a second one.
func (c *call) accepted(message *api.ApiV2010Message) *api.ApiV2010Message {
	if message == nil {
		var only struct {
			SID string `json:"sid"`
		}
		if c.err != nil || json.Unmarshal(c.body, &only) != nil {
			return nil
		}
		message = &api.ApiV2010Message{Sid: &only.SID}
	}
	if !messageSIDForm.MatchString(value(message.Sid)) {
		return nil
	}
	return message
}

func (c *call) succeeded() bool { return c.status >= 200 && c.status <= 299 }

// minCode is the smallest error code that is taken for Twilio's. A proxy with an error
// page in JSON tends to repeat the HTTP status as a "code".
const minCode = 10000

// code is Twilio's error code in the answer, 0 when there is none.
func (c *call) code() int {
	var e struct {
		Code int `json:"code"`
	}
	if c.err != nil || json.Unmarshal(c.body, &e) != nil || e.Code < minCode {
		return 0
	}
	return e.Code
}

// retryAfter reads a Retry-After header, seconds or a date (RFC 9110, section
// 10.2.3); 0 when it cannot be read or is longer than a day.
func retryAfter(s string) time.Duration {
	if s == "" {
		return 0
	}
	var d time.Duration
	if seconds, err := strconv.Atoi(s); err == nil {
		d = time.Duration(min(seconds, 2*24*3600)) * time.Second
	} else if t, err := http.ParseTime(s); err == nil {
		d = time.Until(t)
	}
	if d < 0 || d > 24*time.Hour {
		return 0
	}
	return d
}

// formBody is a request body that records whether the transport began to read it.
// Before that no byte of the text can have left, whatever the transport or proxy.
// Once it is sealed none can leave later either, from a goroutine that outlives the
// call.
type formBody struct {
	r       *strings.Reader
	writeBy time.Time // it must not be begun later; zero = at any time
	state   atomic.Int32
	late    atomic.Bool // it was sealed for that
}

const (
	formUntouched = iota
	formBeingRead
	formSealed
)

func newForm(s string) *formBody { return &formBody{r: strings.NewReader(s)} }

// Read marks the form as being read, unless it is too late to begin. It does not rely on a
// timer for that: in a process that stood still, the timer and the request go on together. A
// machine that was suspended shows it by the hour alone.
func (f *formBody) Read(p []byte) (int, error) {
	now := time.Now()
	if !f.writeBy.IsZero() && (now.After(f.writeBy) || now.Round(0).After(f.writeBy.Round(0))) {
		f.expire()
	}
	if !f.state.CompareAndSwap(formUntouched, formBeingRead) && f.state.Load() == formSealed {
		return 0, errSealed
	}
	return f.r.Read(p)
}

// expire seals a form that was not begun in time, and reports whether it was not begun.
func (f *formBody) expire() bool {
	sealed := f.seal()
	if sealed {
		f.late.Store(true)
	}
	return sealed
}

// Close does nothing.
func (f *formBody) Close() error { return nil }

// seal keeps the form from being read from now on, and reports whether it never was.
func (f *formBody) seal() bool {
	return f.state.CompareAndSwap(formUntouched, formSealed) || f.state.Load() == formSealed
}
