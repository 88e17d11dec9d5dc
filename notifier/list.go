package notifier

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	api "github.com/twilio/twilio-go/rest/api/v2010"

	"duewatch/reminder"
)

// Listed is a text as it stands in Twilio's message list (Messaging API,
// Message resource): its receipt, and what it is recognised by when the sid is
// not known.
type Listed struct {
	Receipt
	To   reminder.Phone
	Body string // "" when Twilio keeps none, or shows none
	// Masked means that To is no number: the list hides it, in part or wholly,
	// so that nobody can say whose text this is by its phone.
	Masked bool
}

// Readable reports whether the body has words: an account may redact them.
func (l Listed) Readable() bool {
	return strings.ContainsFunc(l.Body, func(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) })
}

// Format leaves out the body, which names the customer and the balance,
// whatever the verb.
func (l Listed) Format(f fmt.State, _ rune) {
	_, _ = fmt.Fprintf(f, "text %s to %s, %d characters, %s", l.SID, l.To, utf8.RuneCountInString(l.Body), l.Status)
}

// LogValue is Format, for slog.
func (l Listed) LogValue() slog.Value { return slog.StringValue(fmt.Sprint(l)) }

// MarshalJSON is Format, for JSON.
func (l Listed) MarshalJSON() ([]byte, error) { return json.Marshal(fmt.Sprint(l)) }

// Query is what to look for in the message list.
type Query struct {
	To reminder.Phone // "" = any
	// Since leaves out what was created before it; zero = nothing. Twilio has
	// no such filter and promises no order, so it does not make the look-up
	// shorter: To, SentSince and MaxMessages do.
	Since time.Time
	// SentSince has Twilio leave out what was sent before it, and with that
	// whatever has not been sent yet; zero = no filter. It serves to read many
	// receipts at once, and never to find out whether a text exists.
	SentSince time.Time
	// MaxMessages is how far to read, rounded up to whole pages; 0 = 1000.
	MaxMessages int
	// SIDs are the texts that are looked for: no others are returned, and it is
	// read no further once all were met. nil = all texts. It serves to read many
	// receipts as well.
	SIDs map[string]bool
	// OnPage is called behind each page, as a sign of life; nil = nobody asks.
	OnPage func()
}

const (
	defaultMaxMessages = 1000
	pageOfOne          = 100 // messages of one phone: most lists are a single page
	pageOfAll          = 500 // Twilio allows 1000 (Messaging API, PageSize)

	// maxListed is what one message of a page can take: 1600 characters, each
	// escaped with up to twelve bytes, and the other fields.
	maxListed = 24 << 10
)

// List reads Twilio's message list (Messaging API, Read multiple Message
// resources), in no order, each text once and none that came in. A text whose
// date of creation cannot be read is kept, whatever Since says: to overlook it
// might be to send it again.
//
// complete says that a text created since Since which is not in found was not
// at Twilio, as far as its list knew at that moment; the list runs behind, so
// look again before believing it. It is false when MaxMessages was reached
// before the last page, and always with SentSince and SIDs: then absence proves
// nothing.
//
// Each page is one request with a time-out of its own. An error is always a
// *Error that matches [ErrStop] or [ErrRetry]; nothing is found then.
func (n *Notifier) List(ctx context.Context, q Query) (found []Listed, complete bool, err error) {
	var (
		limit = cmp.Or(max(q.MaxMessages, 0), defaultMaxMessages)
		size  = min(limit, pageOfAll)
		since = q.Since.Truncate(time.Second) // Twilio's dates have no fractions
		index = map[string]int{}              // of a sid in found
		at    cursor
	)
	if q.To != "" {
		size = min(size, pageOfOne)
	}
	// Pages are counted, not messages, so that empty ones come to an end too.
	for read := 0; read < limit; read += size {
		p, err := n.page(ctx, q, size, at)
		if err != nil {
			return nil, false, err
		}
		if q.OnPage != nil {
			q.OnPage()
		}
		for _, l := range p.texts {
			if !l.CreatedAt.IsZero() && l.CreatedAt.Before(since) || q.SIDs != nil && !q.SIDs[l.SID] {
				continue
			}
			// New texts push old ones onto the next page: there they are met
			// again, in their newer state.
			if i, again := index[l.SID]; again {
				found[i] = l
				continue
			}
			index[l.SID] = len(found)
			found = append(found, l)
		}
		if q.SIDs != nil && len(found) == len(q.SIDs) {
			break
		}
		if p.next == (cursor{}) {
			return found, q.SentSince.IsZero() && q.SIDs == nil, nil
		}
		at = p.next
	}
	return found, false, nil
}

// cursor says where a page begins; zero = the first page, or no next one.
type cursor struct{ number, token string }

// page is one page of the list.
type page struct {
	texts []Listed
	next  cursor
}

func (n *Notifier) page(ctx context.Context, q Query, size int, at cursor) (page, error) {
	start := time.Now()
	p, err := n.askPage(ctx, q, size, at)
	outcome, took := questionOutcome(err), time.Since(start)
	n.onCall("list", outcome, took)
	n.log.LogAttrs(ctx, slog.LevelDebug, "twilio list",
		slog.Any("to", q.To), slog.String("outcome", outcome), slog.Int("texts", len(p.texts)), slog.Bool("more", p.next != cursor{}), slog.Duration("took", took))
	return p, err
}

func (n *Notifier) askPage(ctx context.Context, q Query, size int, at cursor) (page, error) {
	switch {
	case n.password == "":
		return page{}, &Error{Op: "list", words: "no Twilio credentials are configured", kind: ErrStop}
	case q.To != "" && !e164.MatchString(q.To.E164()):
		return page{}, &Error{Op: "list", words: "the phone is not in international form", kind: ErrRetry}
	}
	params := new(api.ListMessageParams).SetPageSize(size)
	if q.To != "" {
		params.SetTo(q.To.E164())
	}
	if !q.SentSince.IsZero() {
		params.SetDateSentAfter(q.SentSince.UTC()) // "DateSent>=", inclusive
	}
	ctx, cancel := context.WithTimeout(ctx, n.timeout)
	defer cancel()
	c := n.newCall(ctx)
	c.maxAnswer += int64(size) * maxListed
	answer, err := c.service().PageMessage(params, at.token, at.number)
	if err != nil {
		e := c.failed("list", err)
		if c.status == http.StatusNotFound && at != (cursor{}) {
			// The first page was there, so the account is: its place was lost.
			e.words, e.kind, e.Code = "the next page is gone", ErrRetry, 0
		}
		return page{}, e
	}
	p, words := n.readPage(answer, q.To)
	if words != "" {
		return page{}, &Error{Op: "list", HTTPStatus: c.status, words: words, kind: ErrRetry}
	}
	return p, nil
}

// readPage takes an answer for a page only if it can be trusted as a whole,
// since what is not on it may be sent again; words says why not, and is "" if
// so. No list of messages is not an empty one. A message whose phone is masked
// is kept: what it is worth, the caller says of that message alone.
func (n *Notifier) readPage(answer *api.ListMessageResponse, to reminder.Phone) (p page, words string) {
	if answer.Messages == nil {
		return page{}, "the answer holds no list of messages"
	}
	for i := range answer.Messages {
		m := &answer.Messages[i]
		l := Listed{Receipt: receipt(m), To: reminder.Phone(value(m.To)), Body: value(m.Body)}
		l.Masked = !e164.MatchString(l.To.E164())
		switch {
		case !messageSIDForm.MatchString(l.SID):
			return page{}, "the answer lists a message without a sid"
		case to != "" && l.To != to && !l.Masked:
			return page{}, "the answer is about another phone"
		case value(m.Direction) == "inbound":
			continue
		}
		p.texts = append(p.texts, l)
	}
	next, ok := n.nextPage(value(answer.NextPageUri))
	if !ok {
		return page{}, "the answer's next page is not one of this list"
	}
	p.next = next
	return p, ""
}

// nextPage takes from next_page_uri where the next page begins, and nothing
// else: the request for it is built anew from the configured address, account
// and filters, so that no answer can lead the credentials elsewhere.
func (n *Notifier) nextPage(uri string) (cursor, bool) {
	if uri == "" {
		return cursor{}, true
	}
	u, err := url.Parse(uri)
	if err != nil || !strings.HasSuffix(u.Path, "/Accounts/"+n.accountSID+"/Messages.json") {
		return cursor{}, false
	}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return cursor{}, false
	}
	next := cursor{number: query.Get("Page"), token: query.Get("PageToken")}
	return next, next != cursor{}
}
