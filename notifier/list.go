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

// Listed is a text in Twilio's message list (Messaging API, Message resource): its
// receipt, and what it is recognised by when its sid is not known.
type Listed struct {
	Receipt
	To   reminder.Phone
	Body string // "" when Twilio keeps none, or shows none
	// Masked means that To is no number: the list hides it in part or wholly, so
	// that it does not show whose text this is.
	Masked bool
}

// Readable reports whether the list shows the body: an account may redact it.
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

// Query says which messages of the list to return.
type Query struct {
	To reminder.Phone // "" = any
	// Since leaves out what was created before it; zero = nothing. Twilio has no such
	// filter and promises no order, so it does not make the list shorter: To,
	// SentSince and MaxMessages do.
	Since time.Time
	// SentSince has Twilio leave out what was sent before it, and so also whatever
	// has not been sent yet; zero = no filter. Use it to read many receipts at once,
	// and never to find out whether a text exists.
	SentSince time.Time
	// MaxMessages is how far to read, rounded up to whole pages; 0 = 1000.
	MaxMessages int
	// SIDs are the only texts to return: reading ends once all were found. nil = all
	// texts. Use it, too, to read many receipts.
	SIDs map[string]bool
	// OnPage is called after each page, as a heartbeat; nil = nobody asks.
	OnPage func()
}

const (
	defaultMaxMessages = 1000
	pageOfOne          = 100 // messages to one phone: most such lists are a single page
	pageOfAll          = 500 // Twilio allows 1000 (Messaging API, PageSize)

	// maxListed is the most that one message of a page can take, in bytes: 1600
	// characters, each escaped with up to twelve bytes, and the other fields.
	maxListed = 24 << 10
)

// List reads Twilio's message list (Messaging API, Read multiple Message resources):
// in no order, each text once, and no incoming messages. A text whose date of
// creation cannot be read is kept, whatever Since says: to leave it out might be to
// send it again.
//
// The list is complete when a text that was created since Since and is not in found
// was not in Twilio's list at that moment. The list lags behind, so read it twice
// before relying on that. It is not complete when MaxMessages was reached before the
// last page, nor with SentSince or SIDs.
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
			// New texts push old ones onto the next page, where they come again, in
			// a newer state.
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

// cursor is where a page begins; zero = at the first message, or there is no page.
type cursor struct{ number, token string }

// page is one page of the list.
type page struct {
	texts []Listed
	next  cursor
}

func (n *Notifier) page(ctx context.Context, q Query, size int, at cursor) (page, error) {
	start := time.Now()
	p, err := n.fetchPage(ctx, q, size, at)
	outcome, took := askOutcome(err), time.Since(start)
	n.onCall("list", outcome, took)
	n.log.LogAttrs(ctx, slog.LevelDebug, "twilio list",
		slog.Any("to", q.To), slog.String("outcome", outcome), slog.Int("texts", len(p.texts)),
		slog.Bool("more", p.next != cursor{}), slog.Duration("took", took))
	return p, err
}

func (n *Notifier) fetchPage(ctx context.Context, q Query, size int, at cursor) (p page, err error) {
	if q.To != "" && !e164.MatchString(q.To.E164()) {
		return p, &Error{Op: "list", words: "the phone is not in international form", kind: ErrRetry}
	}
	params := new(api.ListMessageParams).SetPageSize(size)
	if q.To != "" {
		params.SetTo(q.To.E164())
	}
	if !q.SentSince.IsZero() {
		params.SetDateSentAfter(q.SentSince.UTC()) // "DateSent>=", inclusive
	}
	err = n.ask(ctx, "list", func(c *call) error {
		c.maxAnswer += int64(size) * maxListed
		answer, err := c.service().PageMessage(params, at.token, at.number)
		if err != nil {
			e := c.failed("list", err)
			if c.status == http.StatusNotFound && at != (cursor{}) {
				// The first page was there, so the account exists: this page is gone.
				e.words, e.kind, e.Code = "the next page is gone", ErrRetry, 0
			}
			return e
		}
		var fault string
		if p, fault = n.readPage(answer, q.To); fault != "" {
			return &Error{Op: "list", HTTPStatus: c.status, words: fault, kind: ErrRetry}
		}
		return nil
	})
	return p, err
}

// readPage reads a page only when all of it can be trusted, since a text that is not
// on it may be sent again; fault says why it cannot be. A missing list of messages is
// a fault, and not an empty list. A message whose phone is masked is kept: the caller
// decides what it proves.
func (n *Notifier) readPage(answer *api.ListMessageResponse, to reminder.Phone) (p page, fault string) {
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

// nextPage takes only the place of the next page from next_page_uri. The request for
// it is built from the configured address, account and filters, so that no answer
// can send the credentials elsewhere.
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
