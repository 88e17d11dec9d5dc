package notifier

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/mail"
	"regexp"
	"strconv"
	"time"

	api "github.com/twilio/twilio-go/rest/api/v2010"
)

// messageSIDForm is Twilio's id of a text (SM) or a media message (MM).
var messageSIDForm = regexp.MustCompile(`^(SM|MM)[0-9a-f]{32}$`)

// Receipt is the state of a text that Twilio accepted (Messaging API, Message
// resource). It holds neither the phone nor the words.
type Receipt struct {
	SID    string
	Status string // accepted, scheduled, queued, sending, sent, delivered, undelivered, failed, canceled, read
	Code   int    // why it was not delivered; 0 = no error. ClassOf and Describe explain it
	// Segments is 0 while Twilio does not know them.
	Segments int
	// Price is a decimal, negative for what was charged; "" while not known,
	// which may be long after delivery. PriceUnit is its currency, such as USD.
	Price, PriceUnit string
	// Zero where Twilio gave none, as for SentAt while the text is queued.
	CreatedAt, SentAt, UpdatedAt time.Time
}

// Fetch asks what became of the text sid (Messaging API, Fetch a Message). An
// error is always a *Error that matches [ErrNotFound], [ErrStop] or [ErrRetry].
// It matches ErrNotFound only when the answer is Twilio's own, not a proxy's page.
func (n *Notifier) Fetch(ctx context.Context, sid string) (Receipt, error) {
	start := time.Now()
	r, err := n.fetch(ctx, sid)
	outcome, took := askOutcome(err), time.Since(start)
	n.onCall("fetch", outcome, took)
	n.log.LogAttrs(ctx, slog.LevelDebug, "twilio fetch",
		slog.String("sid", sid), slog.String("outcome", outcome),
		slog.String("status", r.Status), slog.Int("code", r.Code), slog.Duration("took", took))
	return r, err
}

func (n *Notifier) fetch(ctx context.Context, sid string) (r Receipt, err error) {
	if !messageSIDForm.MatchString(sid) {
		return r, &Error{Op: "fetch", words: "that is not the sid of a message", kind: ErrNotFound}
	}
	err = n.ask(ctx, "fetch", func(c *call) error {
		message, err := c.service().FetchMessage(sid, nil)
		switch {
		case err != nil:
			return c.failed("fetch", err)
		case value(message.Sid) != sid:
			return &Error{Op: "fetch", HTTPStatus: c.status, words: "the answer is about another message", kind: ErrRetry}
		}
		r = receipt(message)
		return nil
	})
	return r, err
}

// failed is the error of a question that got no usable answer.
func (c *call) failed(op string, err error) *Error {
	code, aboutTexts := c.code(), op == "fetch" || op == "list"
	e := &Error{Op: op, HTTPStatus: c.status, Code: code, RetryAfter: c.retryAfter, kind: ErrRetry}
	switch {
	case c.status == 0:
		e.words, e.ctxErr = noAnswer(err)
	case c.succeeded() && c.err != nil:
		e.words, e.ctxErr = noAnswer(c.err)
	case c.succeeded():
		e.words = "the answer cannot be read"
	case c.status == http.StatusForbidden && aboutTexts && ClassOf(code) != Account:
		// It may be about this question alone, as of a firewall that blocks a number.
		e.words = "this question is refused"
	case c.status == http.StatusUnauthorized, c.status == http.StatusForbidden:
		e.words, e.kind = "the account is refused", ErrStop
	case op == "fetch" && c.status == http.StatusNotFound && code != 0:
		// Elsewhere 20404 is "no such account"; here the path names a message,
		// and the credentials were accepted.
		e.words, e.kind, e.Code = "there is no such message", ErrNotFound, 0
	case !aboutTexts && c.status == http.StatusNotFound:
		e.words, e.kind, e.Code = "there is no such account", ErrStop, 0
	case c.status >= 400 && c.status <= 499 && ClassOf(code) == Account:
		e.words, e.kind = Describe(code), ErrStop
	case c.status == http.StatusTooManyRequests:
		e.words = "turned away, slow down"
	default:
		e.words = "no usable answer"
	}
	return e
}

// CallOutcomes are the values that OnCall is given: the outcomes of each op.
func CallOutcomes() map[string][]string {
	asked := []string{"ok", "not_found", "stop", "retry"}
	sent := make([]string, 0, len(outcomes))
	for _, o := range outcomes {
		sent = append(sent, string(o))
	}
	return map[string][]string{"send": sent, "fetch": asked, "list": asked}
}

// askOutcome is the label of a question's error in metrics.
func askOutcome(err error) string {
	switch {
	case err == nil:
		return "ok"
	case errors.Is(err, ErrNotFound):
		return "not_found"
	case errors.Is(err, ErrStop):
		return "stop"
	default:
		return "retry"
	}
}

func receipt(m *api.ApiV2010Message) Receipt {
	return Receipt{
		SID:       value(m.Sid),
		Status:    value(m.Status),
		Code:      value(m.ErrorCode),
		Segments:  number(m.NumSegments),
		Price:     value(m.Price),
		PriceUnit: value(m.PriceUnit),
		CreatedAt: instant(m.DateCreated),
		SentAt:    instant(m.DateSent),
		UpdatedAt: instant(m.DateUpdated),
	}
}

// value is *p, or zero where Twilio left out the field or gave null.
func value[T any](p *T) T {
	if p == nil {
		var zero T
		return zero
	}
	return *p
}

// number reads a count, which Twilio gives as a string; 0 when it cannot.
func number(s *string) int {
	i, err := strconv.Atoi(value(s))
	if err != nil || i < 0 {
		return 0
	}
	return i
}

// instant reads an RFC 2822 time; zero when there is none. The form that Twilio
// writes is tried first: to read it takes a fifth of the time of mail.ParseDate.
func instant(s *string) time.Time {
	if s == nil {
		return time.Time{}
	}
	t, err := time.Parse(time.RFC1123Z, *s)
	if err != nil {
		t, err = mail.ParseDate(*s)
	}
	if err != nil {
		return time.Time{}
	}
	return t.UTC()
}
