package sandbox

import (
	"context"
	"crypto/hmac"
	"crypto/sha1" // it is what Twilio signs with
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// What Twilio posts by itself: each state of a text to its StatusCallback, and messages
// of customers. It is best effort, as there: once each, in no order that is promised, and
// never again when it fails.

// callbackTimeout is how long Twilio waits for an answer.
const callbackTimeout = 15 * time.Second

// callbackSender posts callbacks. Its zero value is ready.
type callbackSender struct {
	mu     sync.Mutex
	latest string // the last StatusCallback that was given
}

// callbackClient follows no redirect: what is signed is signed for one address.
var callbackClient = &http.Client{
	Timeout:       callbackTimeout,
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	Transport:     &http.Transport{MaxIdleConnsPerHost: 64, MaxConnsPerHost: 128, IdleConnTimeout: time.Minute},
}

// follow posts the states of a text as they come.
func (c *callbackSender) follow(s *Sandbox, t *text) {
	if t.Callback == "" {
		return
	}
	if err := ofThisMachine(t.Callback); err != nil {
		s.log.Warn("no callbacks are sent", "err", err)
		return
	}
	c.mu.Lock()
	c.latest = t.Callback
	c.mu.Unlock()
	for _, after := range []time.Duration{0, s.sentAfter, s.deliverAfter} {
		time.AfterFunc(after, func() {
			then := t.Created.Add(after)
			at := s.stateOf(t, then)
			if after > 0 && s.stateOf(t, then.Add(-1)).outcome == at.outcome {
				return // nothing becomes of it at this age
			}
			if err := s.postStatus(t, at); err != nil {
				s.log.Debug("a callback was not taken", "sid", t.SID, "status", at.status, "err", err)
			}
		})
	}
}

// postStatus is one callback about a text.
func (s *Sandbox) postStatus(t *text, at textState) error {
	form := url.Values{
		"MessageSid": {t.SID}, "SmsSid": {t.SID}, "MessageStatus": {at.status}, "SmsStatus": {at.status},
		"To": {t.To}, "AccountSid": {AccountSID}, "ApiVersion": {"2010-04-01"},
	}
	if t.From != "" {
		form.Set("From", t.From)
	}
	if t.Service != "" {
		form.Set("MessagingServiceSid", t.Service)
	}
	if at.code != 0 {
		form.Set("ErrorCode", strconv.Itoa(at.code))
	}
	status, _, err := postSigned(context.Background(), t.Callback, form)
	if err == nil && status/100 != 2 {
		err = fmt.Errorf("it is answered with %d", status)
	}
	return err
}

// postSigned posts a form as Twilio does, and returns what is answered.
func postSigned(ctx context.Context, address string, form url.Values) (status int, answer string, err error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, address, strings.NewReader(form.Encode()))
	if err != nil {
		return 0, "", err
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=UTF-8")
	r.Header.Set("User-Agent", "TwilioProxy/1.1")
	r.Header.Set("X-Twilio-Signature", Signature(address, form))
	res, err := callbackClient.Do(r)
	if err != nil {
		return 0, "", err
	}
	defer res.Body.Close() //nolint:errcheck // it was only read
	b, err := io.ReadAll(io.LimitReader(res.Body, maxBody))
	return res.StatusCode, string(b), err
}

// Signature is Twilio's of a callback: over the address and all fields in the order of
// their names, by the auth token. (Security, "Validating requests are coming from Twilio")
func Signature(address string, form url.Values) string {
	mac := hmac.New(sha1.New, []byte(AuthToken))
	_, _ = io.WriteString(mac, address)
	for _, name := range slices.Sorted(maps.Keys(form)) {
		_, _ = io.WriteString(mac, name+form.Get(name))
	}
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// ofThisMachine refuses an address of another one: what the sandbox says is not true.
func ofThisMachine(address string) error {
	u, err := url.Parse(address)
	if err != nil || u.Hostname() == "" {
		return errors.New("the address of a callback cannot be read")
	}
	ip, err := netip.ParseAddr(u.Hostname())
	if u.Hostname() != "localhost" && (err != nil || !ip.IsLoopback()) {
		return fmt.Errorf("%s is another machine, which the sandbox never calls", u.Hostname())
	}
	return nil
}

// inbound is a message of a customer's. Without a URL it goes where StatusCallback last
// led, with inbound in the place of status.
type inbound struct {
	From string `json:"from"`
	Body string `json:"body"`
	URL  string `json:"url"`
	SID  string `json:"sid"` // the same one twice is one message that is delivered twice; "" = a new one
}

// postInbound has a customer send a message, and answers what the webhook has answered.
func (s *Sandbox) postInbound(w http.ResponseWriter, r *http.Request) {
	var m inbound
	if err := readJSON(w, r, &m); err != nil {
		ownError(w, http.StatusBadRequest, err)
		return
	}
	if m.URL == "" {
		s.callbacks.mu.Lock()
		address, _, _ := strings.Cut(s.callbacks.latest, "?")
		s.callbacks.mu.Unlock()
		m.URL = strings.TrimSuffix(address, "status") + "inbound"
		if address == "" {
			m.URL = ""
		}
	}
	if err := ofThisMachine(m.URL); err != nil {
		ownError(w, http.StatusBadRequest, err)
		return
	}
	if m.SID == "" {
		m.SID = fmt.Sprintf("SM%016x%016x", rand.Uint64(), rand.Uint64())
	}
	form := url.Values{
		"MessageSid": {m.SID}, "SmsSid": {m.SID}, "SmsMessageSid": {m.SID}, "SmsStatus": {"received"}, "From": {m.From}, "To": {From},
		"Body": {m.Body}, "NumMedia": {"0"}, "NumSegments": {"1"}, "AccountSid": {AccountSID}, "ApiVersion": {"2010-04-01"},
	}
	status, answer, err := postSigned(r.Context(), m.URL, form)
	if err != nil {
		ownError(w, http.StatusBadGateway, err)
		return
	}
	writeJSON(w, http.StatusOK, map[string]any{"status": status, "answer": answer, "sid": m.SID})
}
