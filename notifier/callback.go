package notifier

import (
	"errors"
	"net/url"
	"strconv"
	"strings"

	"github.com/twilio/twilio-go/client"

	"duewatch/reminder"
)

// CallbackValidator checks that a callback is Twilio's own: its X-Twilio-Signature is over
// the address that Twilio called and the fields that it sent, by the account's primary
// auth token. (Security, "Validating requests are coming from Twilio")
type CallbackValidator struct{ validator client.RequestValidator }

// NewCallbackValidator returns one for the account of an auth token.
func NewCallbackValidator(authToken string) *CallbackValidator {
	return &CallbackValidator{client.NewRequestValidator(authToken)}
}

// Valid reports whether a callback to an address, as Twilio saw it, with a body of form
// fields is signed so.
func (v *CallbackValidator) Valid(address string, body []byte, signature string) bool {
	return signature != "" && v.validator.ValidateBody(address, body, signature)
}

// errCallback marks a callback that lacks what Twilio always sends.
var errCallback = errors.New("the callback cannot be read")

// StatusCallback is what Twilio says by itself of a text. (Messaging, "Track the message
// status of outbound messages")
type StatusCallback struct {
	Receipt
	// Query is that of the address, by which the text gave itself to be known.
	Query url.Values
}

// ReadStatus reads the fields of a callback about a text. A status that is not known is
// left to the caller, as of a Receipt.
func ReadStatus(query, form url.Values) (StatusCallback, error) {
	c := StatusCallback{Query: query, Receipt: Receipt{SID: form.Get("MessageSid"), Status: form.Get("MessageStatus")}}
	if !messageSIDForm.MatchString(c.SID) || c.Status == "" {
		return StatusCallback{}, errCallback
	}
	// Without an error there is no code, or an empty one.
	if code, err := strconv.Atoi(form.Get("ErrorCode")); err == nil && code > 0 {
		c.Code = code
	}
	return c, nil
}

// Word is what a message of a customer asks for.
type Word int

// The words that are understood.
const (
	OtherWord Word = iota // and any message that is more than one word
	StopWord
	StartWord
)

// stopWords are Twilio's (Help Center, "Twilio support for opt-out keywords"; REVOKE and
// OPTOUT since May 2025), and what customers write in Swahili: "stop" and "I do not want".
// A word of Twilio's also has Twilio refuse the phone (21610).
var stopWords = map[string]bool{
	"STOP": true, "STOPALL": true, "UNSUBSCRIBE": true, "CANCEL": true, "END": true, "QUIT": true, "REVOKE": true, "OPTOUT": true,
	"ACHA": true, "SITAKI": true,
}

// startWords are Twilio's for the opposite.
var startWords = map[string]bool{"START": true, "YES": true, "UNSTOP": true}

// WordOf is what a message asks for, if it is one word and nothing else: "Acha nilipe
// kesho" asks to wait until tomorrow. Any case, space around it and punctuation at its end
// are the same to a customer.
func WordOf(body string) Word {
	word := strings.ToUpper(strings.TrimSpace(strings.TrimRight(strings.TrimSpace(body), " \t\r\n.,;:!?…")))
	switch {
	case stopWords[word]:
		return StopWord
	case startWords[word]:
		return StartWord
	default:
		return OtherWord
	}
}

// Inbound is a message of a customer's.
type Inbound struct {
	SID  string
	From reminder.Phone
	Word Word
	// Body is kept for a word that is understood alone, as proof.
	Body string
}

// ReadInbound reads the fields of a message that came in. One that is not from a phone,
// such as from a short code, is none.
func ReadInbound(form url.Values) (Inbound, error) {
	m := Inbound{SID: form.Get("MessageSid"), From: reminder.Phone(form.Get("From")), Word: WordOf(form.Get("Body"))}
	if !messageSIDForm.MatchString(m.SID) {
		return Inbound{}, errCallback
	}
	if !e164.MatchString(m.From.E164()) {
		m.From, m.Word = "", OtherWord
	}
	if m.Word != OtherWord {
		m.Body = strings.TrimSpace(form.Get("Body"))
	}
	return m, nil
}
