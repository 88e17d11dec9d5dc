// Package notifier hands a text to Twilio and asks what became of it. It is
// the only user of twilio-go; the jobs of package scheduler call it.
//
// # The delivery contract
//
// [Notifier.Send] makes at most one POST. It never tries again by itself, not
// on a time-out, not on a dead connection, not on a redirect. Whether a text
// may be handed over once more is decided by the caller, on what Send reports:
//
//   - [Accepted]: Twilio has the text and gave it a sid. Never send it again.
//   - [Refused]: Twilio looked at the text and said no; no text exists there.
//     The [Class] says whose fault it is.
//   - [Throttled]: Twilio turned the request away before looking at it. It may
//     be sent again after a pause.
//   - [NotSent]: no byte of the text left this process, and none will. It may
//     be sent again, unless a Class says that it would fail the same way.
//   - [Unknown]: everything else. Twilio may have the text or not. Only its
//     message list ([Notifier.List]) can tell; sending again before asking may
//     text a customer twice.
//
// A certain answer is claimed only on proof. For NotSent the proof is that the
// transport never began to read the request's body, and can no longer do so.
// For Refused it is a Twilio error code. Whatever falls between two outcomes is
// Unknown: asking costs minutes, a second text cannot be taken back.
//
// # The caller's duties
//
// Commit the intent to send before the call and the outcome after it: what a
// crash leaves between the two is Unknown as well. Pass a context that a
// shutdown does not cancel (context.WithoutCancel): a context that ends while
// the answer is on its way turns an accepted text into an Unknown one. Send
// puts its own time-out on top.
//
// # What it never does
//
// It never texts a phone that [reminder.Delivery] does not let through, even
// when asked to. It keeps no state, reads no TWILIO_ variable of the
// environment, and lets no phone number, secret or wording of a text into an
// error or a log: what Twilio says in words is dropped, and its code explained
// in ours.
package notifier

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"
	"unicode/utf8"

	api "github.com/twilio/twilio-go/rest/api/v2010"

	"duewatch/reminder"
)

// Acceptance is what is known of a text after Send. The package comment says
// what may follow each.
type Acceptance string

// The outcomes.
const (
	Accepted  Acceptance = "accepted"
	Refused   Acceptance = "refused"
	Throttled Acceptance = "throttled"
	NotSent   Acceptance = "not_sent"
	Unknown   Acceptance = "unknown"
)

// Message is one text to hand over.
type Message struct {
	To   reminder.Phone
	Body string
	// Validity is how long Twilio may hold the text back before it drops it.
	// Fractions of a second are cut off, more than ten hours is ten hours, and
	// less than a second is refused: the window has closed.
	Validity time.Duration
	// WriteBy is until when the request must have begun to be written; zero =
	// the time-out of the call. What the text rests on was tested a moment ago,
	// and a connection may take its time: a text that is late by then is given
	// up unsent, as NotSent with ErrLate.
	WriteBy time.Time
}

// Format leaves out the body, which names the customer and the balance,
// whatever the verb.
func (m Message) Format(f fmt.State, _ rune) {
	_, _ = fmt.Fprintf(f, "text to %s, %d characters, valid %s", m.To, utf8.RuneCountInString(m.Body), m.Validity)
}

// LogValue is Format, for slog.
func (m Message) LogValue() slog.Value { return slog.StringValue(fmt.Sprint(m)) }

// MarshalJSON is Format, for JSON.
func (m Message) MarshalJSON() ([]byte, error) { return json.Marshal(fmt.Sprint(m)) }

// Result is what Send learned. Only Outcome is always set.
type Result struct {
	Outcome Acceptance
	// Class says why. It is set with Refused and Throttled, with NotSent when
	// the text itself is unfit (BadNumber, BadText), and with Unknown when the
	// answer was a wall's (Destination).
	Class      Class
	SID        string // Twilio's id of the text, when accepted
	Status     string // Twilio's word for its state, when accepted: queued, accepted, …
	Code       int    // Twilio's error code; 0 = none given
	HTTPStatus int    // 0 = there was no answer
	Segments   int    // as Twilio counts; 0 = not known yet
	RetryAfter time.Duration
	Err        error // a *Error; nil when accepted
}

// Notifier is safe for concurrent use.
type Notifier struct {
	accountSID          string
	user, password      string
	from                string
	messagingServiceSID string
	base                *url.URL
	timeout             time.Duration
	delivery            reminder.Delivery
	transport           http.RoundTripper
	log                 *slog.Logger
	onCall              func(op, outcome string, took time.Duration)
	onDate              func(date time.Time, err error)
}

// Format keeps the secrets in n from being printed, whatever the verb.
func (n Notifier) Format(f fmt.State, _ rune) { _, _ = fmt.Fprint(f, "notifier.Notifier{…}") }

// New checks the whole of c and returns every fault in it at once, joined.
func New(c Config) (*Notifier, error) {
	base, err := c.check()
	if err != nil {
		return nil, err
	}
	n := &Notifier{
		accountSID:          c.AccountSID,
		user:                c.AccountSID,
		password:            c.AuthToken,
		from:                c.From,
		messagingServiceSID: c.MessagingServiceSID,
		base:                base,
		timeout:             c.Timeout,
		delivery:            c.Delivery,
		transport:           c.Transport,
		log:                 c.Log,
		onCall:              c.OnCall,
		onDate:              c.OnDate,
	}
	n.delivery.Allowlist = maps.Clone(c.Delivery.Allowlist)
	if c.APIKeySID != "" {
		n.user, n.password = c.APIKeySID, c.APIKeySecret
	}
	if n.timeout == 0 {
		n.timeout = DefaultTimeout
	}
	if n.transport == nil {
		n.transport = newTransport(c.Concurrency)
	}
	if n.log == nil {
		n.log = slog.New(slog.DiscardHandler)
	}
	if n.onCall == nil {
		n.onCall = func(string, string, time.Duration) {}
	}
	return n, nil
}

// Send hands m to Twilio with at most one POST (Messaging API, Create a
// Message). It does not return an error beside the Result, because what to do
// next hangs on the Outcome alone; Result.Err is for people. See the package
// comment for the contract and for the context to pass.
func (n *Notifier) Send(ctx context.Context, m Message) Result {
	start := time.Now()
	r := n.send(ctx, m)
	took := time.Since(start)
	n.onCall("send", string(r.Outcome), took)
	n.log.LogAttrs(ctx, slog.LevelDebug, "twilio send",
		slog.Any("to", m.To), slog.String("outcome", string(r.Outcome)), slog.String("class", string(r.Class)),
		slog.String("sid", r.SID), slog.Int("http_status", r.HTTPStatus), slog.Int("code", r.Code), slog.Duration("took", took))
	return r
}

func (n *Notifier) send(ctx context.Context, m Message) Result {
	if r, ok := n.validate(m); !ok {
		return r
	}
	ctx, cancel := context.WithTimeout(ctx, n.timeout)
	defer cancel()
	c := n.newCall(ctx)
	c.writeBy = m.WriteBy
	message, err := c.service().CreateMessage(n.params(m))
	return c.sent(message, err)
}

// params is the form that is posted. The stored body must be the body we
// sent, or a lost answer could not be found again in the message list: so no
// smart encoding, and nothing about content retention.
func (n *Notifier) params(m Message) *api.CreateMessageParams {
	p := new(api.CreateMessageParams).
		SetTo(m.To.E164()).
		SetBody(m.Body).
		SetSmartEncoded(false).
		SetValidityPeriod(int(min(m.Validity, maxValidity) / time.Second))
	if n.from != "" {
		p.SetFrom(n.from)
	}
	if n.messagingServiceSID != "" {
		p.SetMessagingServiceSid(n.messagingServiceSID)
	}
	return p
}

// Limits of a message (Messaging API, Create a Message: Body, ValidityPeriod).
const (
	maxBody     = 1600 // characters
	minValidity = time.Second
	maxValidity = 36000 * time.Second
)

var e164 = regexp.MustCompile(`^\+[1-9][0-9]{6,14}$`)

// validate refuses, before anything leaves, what must not or cannot be sent.
func (n *Notifier) validate(m Message) (Result, bool) {
	no := func(class Class, kind error, words string) (Result, bool) {
		return Result{Outcome: NotSent, Class: class, Err: &Error{Op: "send", words: words, kind: kind}}, false
	}
	if words := n.guard(m.To); words != "" {
		return no("", ErrGuard, words)
	}
	switch {
	case n.password == "":
		return no(Account, ErrStop, "no Twilio credentials are configured")
	case !e164.MatchString(m.To.E164()):
		return no(BadNumber, nil, "the phone is not in international form")
	case strings.TrimSpace(m.Body) == "":
		return no(BadText, nil, "the text is empty")
	case !utf8.ValidString(m.Body):
		return no(BadText, nil, "the text is not valid UTF-8")
	case utf8.RuneCountInString(m.Body) > maxBody:
		return no(BadText, nil, fmt.Sprintf("the text is longer than %d characters", maxBody))
	case !m.WriteBy.IsZero() && time.Now().After(m.WriteBy):
		return no("", ErrLate, "its turn had passed when it was handed over")
	case m.Validity < minValidity:
		return no("", nil, "the text would be valid for less than a second: the window has closed")
	}
	return Result{}, true
}

// guard is the last check against texting a real person from a trial; it
// answers "" when to may be texted. Whether a text is held, and to whom it is
// redirected, was decided long before: a text that is stopped here is a
// mistake in that decision. It asks the mode itself and not
// [reminder.Delivery.To], so that one mistake cannot be made in both places.
func (n *Notifier) guard(to reminder.Phone) string {
	switch n.delivery.Mode {
	case reminder.ModeLive:
		return ""
	case reminder.ModeAllowlist:
		if n.delivery.Allowlist[to] {
			return ""
		}
		return "the mode is allowlist and the phone is not on the list"
	case reminder.ModeRedirect:
		if to != "" && to == n.delivery.RedirectTo {
			return ""
		}
		return "the mode is redirect and the phone is not the one that texts are redirected to"
	case reminder.ModeOff:
		return "the mode is off"
	default:
		return "the mode is not known"
	}
}
