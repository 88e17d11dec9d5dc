package notifier

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"slices"
	"testing"
)

// answers is a notifier whose every call gets this answer.
func answers(t *testing.T, status int, body []byte, retryAfter string) *Notifier {
	t.Helper()
	c := testConfig("https://twilio.example")
	c.Transport = roundTrip(func(r *http.Request) (*http.Response, error) {
		if r.Body != nil {
			_, _ = io.Copy(io.Discard, r.Body)
		}
		return &http.Response{StatusCode: status, Header: http.Header{"Retry-After": {retryAfter}}, Body: io.NopCloser(bytes.NewReader(body)), Request: r}, nil
	})
	return newNotifier(t, c)
}

// Whatever is answered to a text, it is accepted only with a sid, and certainly
// not sent only with a code, or turned away unseen; all else is in doubt.
func FuzzSend(f *testing.F) {
	f.Add(201, []byte(created), "")
	f.Add(201, []byte(created[:60]), "")
	f.Add(400, []byte(twilioError(400, 21211)), "")
	f.Add(429, []byte("<html>"), "3")
	f.Add(503, []byte(twilioError(503, 20503)), "-9223372036854775808")
	f.Add(301, []byte("{}"), "Fri, 31 Dec 9999 23:59:59 GMT")
	f.Fuzz(func(t *testing.T, status int, body []byte, retryAfter string) {
		if status < 200 || status > 599 {
			t.Skip()
		}
		r := answers(t, status, body, retryAfter).Send(t.Context(), testMessage())
		possible := []Acceptance{Unknown}
		switch {
		case status < 300 && messageSIDForm.MatchString(r.SID):
			possible = []Acceptance{Accepted}
		case status == http.StatusTooManyRequests:
			possible = []Acceptance{Throttled}
		case status >= 400 && status < 500 && r.Code != 0:
			possible = []Acceptance{Refused, Throttled, Unknown}
		}
		if !slices.Contains(possible, r.Outcome) {
			t.Errorf("status %d, code %d, sid %q: %s, want one of %v", status, r.Code, r.SID, r.Outcome, possible)
		}
		if r.RetryAfter < 0 {
			t.Errorf("a pause of %s", r.RetryAfter)
		}
		if (r.Err == nil) != (r.Outcome == Accepted) {
			t.Errorf("%s with err %v", r.Outcome, r.Err)
		}
		if r.Err != nil && bytes.Contains([]byte(r.Err.Error()), []byte(testPhone.Digits())) {
			t.Errorf("the phone is given away: %v", r.Err)
		}
	})
}

// A receipt is of the text that was asked about, or none.
func FuzzFetch(f *testing.F) {
	f.Add(200, []byte(item(1, "")))
	f.Add(200, []byte(created))
	f.Add(404, []byte(twilioError(404, 20404)))
	f.Add(200, []byte(`{"sid":1,"price":"x","num_segments":"-1"}`))
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		if status < 200 || status > 599 {
			t.Skip()
		}
		r, err := answers(t, status, body, "").Fetch(t.Context(), testSID)
		switch {
		case err == nil && (r.SID != testSID || status > 299):
			t.Errorf("status %d gives a receipt of %q, asked for %q", status, r.SID, testSID)
		case err != nil && !errors.Is(err, ErrRetry) && !errors.Is(err, ErrStop) && !errors.Is(err, ErrNotFound):
			t.Errorf("err %v says neither to retry nor to stop", err)
		}
	})
}
