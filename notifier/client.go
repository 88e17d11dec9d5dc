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

// maxAnswer is more than fifty times what Twilio answers about one message.
const maxAnswer = 64 << 10

var (
	errTooLong  = errors.New("the answer is too long")
	errSealed   = errors.New("the request was given up")
	errTwice    = errors.New("one call makes one request")
	errJSONBody = errors.New("a JSON request body is not supported")
	errStatus   = errors.New("the answer is not a 2xx")
)

// newTransport keeps a connection for each caller: the default transport
// keeps two for each host, and dials again for every text beyond that. HTTP/1
// only, where a connection carries one request and net/http never sends a
// POST a second time by itself.
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
		IdleConnTimeout:        30 * time.Second, // sooner than the other side hangs up, so that few texts meet a dying connection
		DisableCompression:     true,             // an answer about one text is under 1 kB, and lists are rare
		MaxResponseHeaderBytes: maxAnswer,
	}
}

// call is one request to Twilio. twilio-go's own client has no context, loses
// the response's header and never closes the body of an error; call stands in
// its place, through the interface that the library offers for that. It is
// made anew for each request and makes one only.
type call struct {
	ctx  context.Context // twilio-go's calls take no context: this is how one reaches the request
	n    *Notifier
	used bool

	maxAnswer int64     // in bytes; what is longer is no answer
	writeBy   time.Time // as in Message

	// What came of it.
	status     int // 0 = no answer
	retryAfter time.Duration
	body       []byte // of the answer
	err        error  // why there is no whole answer
	notSent    bool   // with err: no byte of the request's body left, nor will
	late       bool   // with notSent: writeBy had come
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

// SendRequest does what twilio-go asks for and keeps what came of it in c.
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
	var late atomic.Bool
	if form != nil && !c.writeBy.IsZero() {
		timer := time.AfterFunc(time.Until(c.writeBy), func() {
			if form.seal() { // else it is on its way
				late.Store(true)
				giveUp()
			}
		})
		defer timer.Stop()
	}
	// Not through an http.Client: it would follow redirects, and a text must
	// not be posted to a second place.
	res, err := c.n.transport.RoundTrip(req)
	c.n.tellDate(res, err)
	if err != nil {
		c.err = err
		c.notSent = form != nil && form.seal()
		c.late = late.Load()
		return nil, err
	}
	defer res.Body.Close() //nolint:errcheck // it was only read
	c.status = res.StatusCode
	c.retryAfter = retryAfter(res.Header.Get("Retry-After"))
	if c.status == http.StatusSwitchingProtocols {
		return nil, errStatus // what follows has no end, and no deadline either
	}
	// Read to the end, or the connection could not be used again.
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

// tellDate tells OnDate of one request.
func (n *Notifier) tellDate(res *http.Response, err error) {
	var date time.Time
	if err == nil {
		date, _ = http.ParseTime(res.Header.Get("Date"))
	}
	if n.onDate != nil {
		n.onDate(date, err)
	}
}

// request builds the request, and its body unless it has none. It has no
// GetBody and no Idempotency-Key: either would let net/http send it again.
func (c *call) request(ctx context.Context, method, rawURL string, data url.Values, headers map[string]any, body []byte) (*http.Request, *formBody, error) {
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

// sent turns what came of a create request into a Result.
func (c *call) sent(message *api.ApiV2010Message, err error) Result {
	r := Result{HTTPStatus: c.status, RetryAfter: c.retryAfter}
	switch {
	case c.status == 0:
		e := &Error{Op: "send"}
		e.words, e.ended = noAnswer(cmp.Or(c.err, err))
		r.Outcome = Unknown
		if c.notSent || !c.used {
			r.Outcome = NotSent
		}
		if c.late {
			e.words, e.kind, e.ended = "no connection was ready in time, so nothing was written", ErrLate, nil
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
			e.words, e.ended = noAnswer(c.err)
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

// accepted returns the message of a 2xx answer if it names one. twilio-go
// gives up on a field of an unexpected type; a sid in a complete answer is
// proof enough by itself, and calling that text unknown would risk a second.
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

// minCode is the smallest error code of Twilio's that says anything. A proxy
// with an error page in JSON tends to repeat the status as a "code".
const minCode = 10000

// code is Twilio's error code in the answer, 0 when it is not Twilio's.
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
// 10.2.3). What cannot be read, or is longer than a day, is no advice.
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

// formBody is a request body that knows whether anyone began to read it. Until
// then no byte of the text can have left, over whatever transport or proxy;
// and once it is sealed none can leave later, from a goroutine that outlived
// the call.
type formBody struct {
	r     *strings.Reader
	state atomic.Int32
}

const (
	formUntouched = iota
	formTaken
	formSealed
)

func newForm(s string) *formBody { return &formBody{r: strings.NewReader(s)} }

// Read marks the form as taken.
func (f *formBody) Read(p []byte) (int, error) {
	if !f.state.CompareAndSwap(formUntouched, formTaken) && f.state.Load() == formSealed {
		return 0, errSealed
	}
	return f.r.Read(p)
}

// Close does nothing.
func (f *formBody) Close() error { return nil }

// seal reports whether no one has read the form, and keeps it so.
func (f *formBody) seal() bool {
	return f.state.CompareAndSwap(formUntouched, formSealed) || f.state.Load() == formSealed
}
