package sandbox

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twilio/twilio-go/client"
)

// listener collects callbacks whose signature Twilio's own library finds right.
func listener(t *testing.T) (address string, got chan url.Values) {
	t.Helper()
	got = make(chan url.Values, 100)
	validator := client.NewRequestValidator(AuthToken)
	var server *httptest.Server
	server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil || !validator.ValidateBody(server.URL+r.URL.RequestURI(), body, r.Header.Get("X-Twilio-Signature")) {
			t.Errorf("a callback is not signed: %v", err)
			w.WriteHeader(http.StatusForbidden)
			return
		}
		form, err := url.ParseQuery(string(body))
		if err != nil {
			t.Error(err)
		}
		form.Set("path", r.URL.RequestURI())
		got <- form
	}))
	t.Cleanup(server.Close)
	return server.URL, got
}

func TestTheSandboxReportsEachStateOfATextByItself(t *testing.T) {
	t.Parallel()
	address, got := listener(t)
	s, err := New(Options{SentAfter: 20 * time.Millisecond, DeliverAfter: 40 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	for to, want := range map[string][]string{
		"+254710000001":           {"queued ", "sent ", "delivered "},
		PhoneUnreachable.E164():   {"queued ", "sent ", "undelivered 30003"},
		PhoneOptedOutLater.E164(): {"queued ", "failed 21610"},
		PhoneStaysSent.E164():     {"queued ", "sent "},
		PhoneNeverLeaves.E164():   {"queued "},
	} {
		form := url.Values{"To": {to}, "From": {From}, "Body": {"Hello"}, "StatusCallback": {address + "/twilio/status?text=7&sig=x-_1"}}
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, messagesPath+".json", strings.NewReader(form.Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.SetBasicAuth(AccountSID, AuthToken)
		w := httptest.NewRecorder()
		s.Handler().ServeHTTP(w, r)
		if w.Code != http.StatusCreated {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
		var states []string
		for range want {
			c := <-got
			states = append(states, c.Get("MessageStatus")+" "+c.Get("ErrorCode"))
			if c.Get("To") != to || c.Get("path") != "/twilio/status?text=7&sig=x-_1" || !strings.HasPrefix(c.Get("MessageSid"), "SM") {
				t.Errorf("callback %v", c)
			}
		}
		slices.Sort(states)
		slices.Sort(want)
		if diff := cmp.Diff(want, states); diff != "" {
			t.Errorf("states of a text to %s (-want +got):\n%s", to, diff)
		}
	}
	if len(got) != 0 {
		t.Errorf("%d callbacks more", len(got))
	}
}

func TestTheSandboxSendsTheMessageOfACustomer(t *testing.T) {
	t.Parallel()
	address, got := listener(t)
	s, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	send := func(body string) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		s.Handler().ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/inbound", bytes.NewBufferString(body)))
		return w
	}
	w := send(`{"from": "+254710000001", "body": "Acha", "url": "` + address + `/twilio/inbound"}`)
	if w.Code != http.StatusOK || !strings.Contains(w.Body.String(), `"status":200`) {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if c := <-got; c.Get("From") != "+254710000001" || c.Get("Body") != "Acha" || c.Get("path") != "/twilio/inbound" {
		t.Errorf("message %v", c)
	}
	for _, elsewhere := range []string{"https://example.com/x", "http://192.0.2.1/", "http://localhost.example.com/", "", "://"} {
		if w := send(`{"from": "+254710000001", "body": "Acha", "url": "` + elsewhere + `"}`); w.Code != http.StatusBadRequest {
			t.Errorf("%q: %d %s", elsewhere, w.Code, w.Body)
		}
	}
}
