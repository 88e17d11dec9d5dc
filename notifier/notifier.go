// Package notifier hands a text to Twilio and asks what became of it. It is
// the only user of twilio-go; the jobs of package scheduler call it.
//
// # The delivery contract
//
// [Notifier.Send] makes at most one POST. It never tries again by itself, not
// after a time-out, a dead connection or a redirect. The caller decides whether
// to hand the text over once more, by the Outcome of the [Result]:
//
//   - [Accepted]: Twilio has the text and gave it a sid. Never send it again.
//   - [Refused]: Twilio checked the text and refused it, so no text exists there.
//     The [Class] says why.
//   - [Throttled]: Twilio turned the request away before it checked the text. It
//     may be sent again after a pause.
//   - [NotSent]: no byte of the text left this process, and none will. It may
//     be sent again, unless a Class says that it would fail the same way.
//   - [Unknown]: everything else. Twilio may or may not have the text. Only its
//     message list ([Notifier.List]) shows which; sending again before reading it
//     may text a customer twice.
//
// An outcome other than Unknown needs proof. For NotSent the proof is that the
// transport never began to read the request's body, and can no longer do so.
// For Refused it is an error code of Twilio's. Whatever is in between is Unknown:
// to ask costs minutes, and a second text cannot be taken back.
//
// # The caller's duties
//
// Commit the intent to send before the call and the outcome after it: a text that
// a crash leaves between the two is Unknown as well. Pass a context that a
// shutdown does not cancel (context.WithoutCancel): when it ends while the answer
// is on its way, an accepted text becomes Unknown. Send adds its own time-out.
//
// # What it never does
//
// It never texts a phone that [reminder.Delivery] does not allow, even when asked
// to. It keeps no state and reads no TWILIO_ variable of the environment. No error
// or log of it holds a phone number, a secret or the words of a text: Twilio's own
// messages are dropped, and its error codes explained in ours.
//
// Read notifier.go (Send) first, then client.go (one request), classify.go (what
// an error code means), receipt.go and list.go (what became of a text), callback.go (what
// Twilio says by itself). Comments
// name the pages of Twilio's documentation: Messaging API (Create a Message, Fetch a
// Message, Read multiple Message resources, Message resource), Account resource,
// IncomingPhoneNumber resource, Error and Warning Dictionary.
package notifier

import (
	"cmp"
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

var outcomes = [...]Acceptance{Accepted, Refused, Throttled, NotSent, Unknown}

// Message is one text to hand over.
type Message struct {
	To   reminder.Phone
	Body string
	// Validity is how long Twilio may wait before it drops the text instead of
	// sending it. Fractions of a second are cut off, and more than ten hours counts
	// as ten. Less than a second is refused: the window has closed.
	Validity time.Duration
	// WriteBy is the instant by which the transport must have begun to write the
	// request; zero = the time-out of the call. A new connection may take seconds,
	// in which the check before the request grows old. A text that is late is given
	// up, as NotSent with ErrLate.
	WriteBy time.Time
	// StatusCallback is where Twilio says by itself what becomes of the text; "" = it does
	// not.
	StatusCallback string
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

// Result is what Send reports. Only Outcome is always set.
type Result struct {
	Outcome Acceptance
	// Class says why. It is set with Refused and Throttled, with NotSent when the
	// text itself cannot be sent (BadNumber, BadText), and with Unknown when the
	// answer came from a firewall on the way (Destination).
	Class      Class
	SID        string        // Twilio's id of the text, when accepted
	Status     string        // Twilio's word for its state, when accepted: queued, accepted, …
	Code       int           // Twilio's error code; 0 = none given
	HTTPStatus int           // 0 = there was no answer
	Segments   int           // as Twilio counts; 0 = not known yet
	RetryAfter time.Duration // the pause that was asked for; 0 = none
	Err        error         // a *Error; nil when accepted
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

// New returns a Notifier, or one error that joins everything wrong with c.
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
		timeout:             cmp.Or(c.Timeout, defaultTimeout),
		delivery:            c.Delivery,
		transport:           c.Transport,
		log:                 cmp.Or(c.Log, slog.New(slog.DiscardHandler)),
		onCall:              c.OnCall,
		onDate:              c.OnDate,
	}
	n.delivery.Allowlist = maps.Clone(c.Delivery.Allowlist)
	if c.APIKeySID != "" {
		n.user, n.password = c.APIKeySID, c.APIKeySecret
	}
	if n.transport == nil {
		n.transport = newTransport(c.Concurrency)
	}
	if n.onCall == nil {
		n.onCall = func(string, string, time.Duration) {}
	}
	if n.onDate == nil {
		n.onDate = func(time.Time, error) {}
	}
	return n, nil
}

// Send hands m to Twilio with at most one POST (Messaging API, Create a
// Message). It returns no error beside the Result, because the Outcome alone
// decides what to do next; Result.Err is for people. The package comment has the
// contract, and says which context to pass.
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
	return c.sendResult(message, err)
}

// params is the form that is posted. Twilio must keep the body as we sent it, or a
// text whose answer was lost could not be found in the message list: so there is no
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
	if m.StatusCallback != "" {
		p.SetStatusCallback(m.StatusCallback)
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

// validate refuses what must not or cannot be sent, before any request.
func (n *Notifier) validate(m Message) (Result, bool) {
	refuse := func(class Class, kind error, words string) (Result, bool) {
		return Result{Outcome: NotSent, Class: class, Err: &Error{Op: "send", words: words, kind: kind}}, false
	}
	if words := n.modeRefusal(m.To); words != "" {
		return refuse("", ErrMode, words)
	}
	switch {
	case n.password == "":
		return refuse(Account, ErrStop, notConfigured)
	case !e164.MatchString(m.To.E164()):
		return refuse(BadNumber, nil, "the phone is not in international form")
	case strings.TrimSpace(m.Body) == "":
		return refuse(BadText, nil, "the text is empty")
	case !utf8.ValidString(m.Body):
		return refuse(BadText, nil, "the text is not valid UTF-8")
	case utf8.RuneCountInString(m.Body) > maxBody:
		return refuse(BadText, nil, fmt.Sprintf("the text is longer than %d characters", maxBody))
	case !m.WriteBy.IsZero() && time.Now().After(m.WriteBy):
		return refuse("", ErrLate, "it was handed over after Message.WriteBy")
	case m.Validity < minValidity:
		return refuse("", nil, "the text would be valid for less than a second: the window has closed")
	}
	return Result{}, true
}

// modeRefusal says why the delivery mode does not allow a text to this phone, "" =
// it does. It is the last check against texting a real person from a trial. The
// decision to hold or redirect a text was made long before, so a text that is
// refused here shows a fault in that decision. The check repeats the rules of
// [reminder.Delivery.To] instead of calling it, so that one fault there cannot let a
// text through twice.
func (n *Notifier) modeRefusal(to reminder.Phone) string {
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
