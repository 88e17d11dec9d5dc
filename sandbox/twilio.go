package sandbox

import (
	"crypto/subtle"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"duewatch/reminder"
)

const (
	maxTextLength = 1600
	maxValidity   = 36000 // seconds, ten hours

	// price of a segment as Twilio writes it: a negative decimal as text
	priceFormat     = "-%.5f"
	pricePerSegment = 0.02
	priceUnit       = "USD"
)

var (
	e164             = regexp.MustCompile(`^\+[1-9]\d{6,14}$`)
	alphanumeric     = regexp.MustCompile(`^[A-Za-z0-9 ]{1,11}$`)
	hasLetter        = regexp.MustCompile(`[A-Za-z]`)
	messagingService = regexp.MustCompile(`^MG[0-9a-f]{32}$`)
)

// basic lets a request with the account's credentials, or its API key, through
// to its own account.
func (s *Sandbox) basic(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		user, secret, _ := r.BasicAuth()
		switch {
		case !same(user, AccountSID, secret, AuthToken) && !same(user, APIKeySID, secret, APIKeySecret):
			w.Header().Set("WWW-Authenticate", `Basic realm="Twilio API"`)
			twilioError(w, http.StatusUnauthorized, 20003, "Authenticate")
		case strings.TrimSuffix(r.PathValue("account"), ".json") != AccountSID:
			notFound(w, r)
		default:
			next(w, r)
		}
	}
}

func same(user, wantUser, secret, wantSecret string) bool {
	return user == wantUser && subtle.ConstantTimeCompare([]byte(secret), []byte(wantSecret)) == 1
}

// message is a Message resource (Messages resource, API version 2010-04-01).
type message struct {
	Body                string            `json:"body"`
	NumSegments         string            `json:"num_segments"`
	Direction           string            `json:"direction"`
	From                *string           `json:"from"`
	To                  string            `json:"to"`
	DateUpdated         string            `json:"date_updated"`
	Price               *string           `json:"price"`
	ErrorMessage        *string           `json:"error_message"`
	URI                 string            `json:"uri"`
	AccountSID          string            `json:"account_sid"`
	NumMedia            string            `json:"num_media"`
	Status              string            `json:"status"`
	MessagingServiceSID *string           `json:"messaging_service_sid"`
	SID                 string            `json:"sid"`
	DateSent            *string           `json:"date_sent"`
	DateCreated         string            `json:"date_created"`
	ErrorCode           *int              `json:"error_code"`
	PriceUnit           string            `json:"price_unit"`
	APIVersion          string            `json:"api_version"`
	SubresourceURIs     map[string]string `json:"subresource_uris"`
}

const messagesPath = "/2010-04-01/Accounts/" + AccountSID + "/Messages"

func (s *Sandbox) message(t *text, now time.Time) message {
	at := s.stateOf(t, now)
	m := message{
		Body:            t.Body,
		NumSegments:     strconv.Itoa(t.Segments),
		Direction:       "outbound-api",
		From:            &t.From,
		To:              t.To,
		DateUpdated:     rfc2822(at.since),
		URI:             messagesPath + "/" + t.SID + ".json",
		AccountSID:      AccountSID,
		NumMedia:        "0",
		Status:          at.status,
		SID:             t.SID,
		DateCreated:     rfc2822(t.Created),
		PriceUnit:       priceUnit,
		APIVersion:      "2010-04-01",
		SubresourceURIs: map[string]string{"media": messagesPath + "/" + t.SID + "/Media.json"},
	}
	if t.Service != "" {
		m.MessagingServiceSID = &t.Service
		if at.sent.IsZero() { // no sender chosen, so nothing counted yet
			m.From, m.NumSegments = nil, "0"
		} else {
			m.From = new(From)
		}
	}
	if !at.sent.IsZero() {
		m.DateSent = new(rfc2822(at.sent))
	}
	if at.status == statusDelivered || at.status == statusUndelivered {
		m.Price = new(fmt.Sprintf(priceFormat, pricePerSegment*float64(t.Segments)))
	}
	if at.code != 0 {
		m.ErrorCode, m.ErrorMessage = &at.code, new(errorMessage(at.code))
	}
	return m
}

// rfc2822 is a date as Twilio writes it, always in GMT, to the second.
func rfc2822(t time.Time) string { return t.UTC().Format(time.RFC1123Z) }

// errorMessage is what Twilio writes beside an error code.
func errorMessage(code int) string {
	switch code {
	case 21610:
		return "Attempt to send to unsubscribed recipient"
	case 30003:
		return "Unreachable destination handset"
	case 30005:
		return "Unknown destination handset"
	case 30007:
		return "Message filtered"
	default:
		return "Unknown error"
	}
}

// postMessage accepts a text, or says which of Twilio's rules it breaks.
func (s *Sandbox) postMessage(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	if err := r.ParseForm(); err != nil {
		twilioError(w, http.StatusBadRequest, 20001, "The form cannot be read.")
		return
	}
	t := &text{
		To: r.PostForm.Get("To"), From: r.PostForm.Get("From"), Service: r.PostForm.Get("MessagingServiceSid"),
		Body: r.PostForm.Get("Body"), Callback: r.PostForm.Get("StatusCallback"),
	}
	validity := r.PostForm.Get("ValidityPeriod")
	if code, why := s.firstFault(t, validity); code != 0 {
		status := http.StatusBadRequest
		if code == 21408 {
			status = http.StatusForbidden
		}
		twilioError(w, status, code, why)
		return
	}
	t.Validity, _ = strconv.Atoi(validity) // checked above; "" is 0
	size := reminder.Count(t.Body)
	t.Encoding, t.Segments = size.Encoding, size.Segments

	now := s.now()
	if err := s.save(s.accept(t, now)); err != nil {
		s.log.ErrorContext(r.Context(), "a text was accepted but not saved", "error", err)
		twilioError(w, http.StatusInternalServerError, 20500, "An internal server error has occurred")
		return
	}
	if s.onText != nil {
		s.onText(s.public(t, now))
	}
	s.callbacks.follow(s, t)
	writeJSON(w, http.StatusCreated, s.message(t, now))
}

func (s *Sandbox) accept(t *text, now time.Time) uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	t.SID, t.Created = s.texts.nextSID(), now.UTC()
	s.texts.add(t)
	return s.state.changed()
}

// firstFault is the first of Twilio's rules that the text breaks: its error code
// and Twilio's words, which may repeat the number; 0 = none.
func (s *Sandbox) firstFault(t *text, validity string) (int, string) {
	to := reminder.Phone(t.To)
	if s.allReached {
		to = "" // like any other
	}
	switch {
	case t.To == "":
		return 21604, "A 'To' phone number is required."
	case !e164.MatchString(t.To) || to == PhoneInvalid:
		return 21211, "Invalid 'To' Phone Number: " + t.To
	case t.From == "" && t.Service == "":
		return 21603, "A 'From' phone number is required."
	case t.Service != "" && !messagingService.MatchString(t.Service):
		return 21705, "The Messaging Service Sid " + t.Service + " is invalid."
	case t.Service == "" && t.From == NumberNotOwned:
		return 21606, "The From phone number " + t.From + " is not a valid, SMS-capable inbound phone number for your account."
	case t.Service == "" && !validSender(t.From):
		return 21212, "Invalid 'From' Number: " + t.From
	case t.Body == "":
		return 21602, "Message body is required."
	case utf8.RuneCountInString(t.Body) > maxTextLength:
		return 21617, "The concatenated message body exceeds the 1600 character limit"
	case to == PhoneOptedOut:
		return 21610, errorMessage(21610)
	case to == PhoneRegionRefused:
		return 21408, "Permission to send an SMS has not been enabled for the region indicated by the 'To' number: " + t.To
	}
	if validity != "" {
		if n, err := strconv.Atoi(validity); err != nil || n < 1 || n > maxValidity {
			return 21624, "Invalid validity period value"
		}
	}
	return 0, ""
}

func validSender(from string) bool {
	return e164.MatchString(from) || alphanumeric.MatchString(from) && hasLetter.MatchString(from)
}

// getMessage answers one text.
func (s *Sandbox) getMessage(w http.ResponseWriter, r *http.Request) {
	sid, ok := strings.CutSuffix(r.PathValue("sid"), ".json")
	s.mu.Lock()
	t, found := s.texts.get(sid)
	s.mu.Unlock()
	if !ok || !found {
		notFound(w, r)
		return
	}
	writeJSON(w, http.StatusOK, s.message(t, s.now()))
}

func notFound(w http.ResponseWriter, r *http.Request) {
	twilioError(w, http.StatusNotFound, 20404, "The requested resource "+r.URL.Path+" was not found")
}

// twilioError answers Twilio's error shape.
func twilioError(w http.ResponseWriter, status, code int, why string) {
	writeJSON(w, status, struct {
		Code     int    `json:"code"`
		Message  string `json:"message"`
		MoreInfo string `json:"more_info"`
		Status   int    `json:"status"`
	}{code, why, "https://www.twilio.com/docs/errors/" + strconv.Itoa(code), status})
}

// NumberNotOwned is the one number that is not the account's: Twilio's own magic
// number for that (Test credentials). Every other number is its own.
const NumberNotOwned = "+15005550007"

// getAccount answers the account itself (Account resource, API version
// 2010-04-01).
func (s *Sandbox) getAccount(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, map[string]string{
		"sid": AccountSID, "owner_account_sid": AccountSID, "friendly_name": "duewatch sandbox", "status": "active", "type": "Full",
		"uri": "/2010-04-01/Accounts/" + AccountSID + ".json",
	})
}

// getNumbers answers whether the account has the number that is asked for
// (IncomingPhoneNumber resource, filter PhoneNumber).
func (s *Sandbox) getNumbers(w http.ResponseWriter, r *http.Request) {
	type number struct {
		PhoneNumber  string          `json:"phone_number"`
		Capabilities map[string]bool `json:"capabilities"`
	}
	found := []number{}
	if asked := r.URL.Query().Get("PhoneNumber"); e164.MatchString(asked) && asked != NumberNotOwned {
		found = append(found, number{asked, map[string]bool{"sms": true, "voice": true}})
	}
	writeJSON(w, http.StatusOK, map[string]any{"incoming_phone_numbers": found, "page": 0, "page_size": 50})
}
