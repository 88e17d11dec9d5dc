package notifier_test

import (
	"net/url"
	"strings"
	"testing"
	"unicode/utf8"

	"duewatch/notifier"
)

func TestAStopWordIsTheWholeMessage(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]notifier.Word{
		"STOP": notifier.StopWord, "stop": notifier.StopWord, "Stop.": notifier.StopWord, "  stop !!\n": notifier.StopWord, "STOP…": notifier.StopWord,
		"StopAll": notifier.StopWord, "unsubscribe": notifier.StopWord, "Cancel": notifier.StopWord, "END": notifier.StopWord,
		"quit": notifier.StopWord, "REVOKE": notifier.StopWord, "optout": notifier.StopWord,
		"Acha": notifier.StopWord, "ACHA!": notifier.StopWord, "sitaki.": notifier.StopWord, " Sitaki ": notifier.StopWord,
		"Acha nilipe kesho": notifier.OtherWord, "Sitaki kukatiwa maji": notifier.OtherWord, "please stop": notifier.OtherWord,
		"STOP PLEASE": notifier.OtherWord, "opt out": notifier.OtherWord, "stopp": notifier.OtherWord, "-stop": notifier.OtherWord,
		"the end": notifier.OtherWord, "": notifier.OtherWord, "...": notifier.OtherWord, "stop\x00": notifier.OtherWord,
		"start": notifier.StartWord, "YES": notifier.StartWord, "Yes.": notifier.StartWord, "unstop": notifier.StartWord,
		"yes please": notifier.OtherWord, "not stop": notifier.OtherWord, "restart": notifier.OtherWord,
	} {
		if got := notifier.WordOf(body); got != want {
			t.Errorf("%q is %d, want %d", body, got, want)
		}
	}
}

const someSID = "SM0123456789abcdef0123456789abcdef"

func TestReadStatus(t *testing.T) {
	t.Parallel()
	form := url.Values{"MessageSid": {someSID}, "MessageStatus": {"undelivered"}, "ErrorCode": {"30003"}}
	got, err := notifier.ReadStatus(url.Values{"text": {"7"}}, form)
	if err != nil || got.SID != someSID || got.Status != "undelivered" || got.Code != 30003 || got.Query.Get("text") != "7" {
		t.Errorf("%+v %v", got, err)
	}
	for name, form := range map[string]url.Values{
		"nothing":         {},
		"no status":       {"MessageSid": {someSID}},
		"no sid":          {"MessageStatus": {"sent"}},
		"a sid of a call": {"MessageSid": {"CA" + someSID[2:]}, "MessageStatus": {"sent"}},
	} {
		if got, err := notifier.ReadStatus(nil, form); err == nil {
			t.Errorf("%s: %+v", name, got)
		}
	}
	for _, code := range []string{"", "none", "-3", "99999999999999999999"} {
		form.Set("ErrorCode", code)
		if got, err := notifier.ReadStatus(nil, form); err != nil || got.Code != 0 {
			t.Errorf("code %q: %d %v", code, got.Code, err)
		}
	}
}

func TestReadInbound(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		from, body string
		want       notifier.Inbound
	}{
		{"+254710000001", " Stop. ", notifier.Inbound{SID: someSID, From: "+254710000001", Word: notifier.StopWord, Body: "Stop."}},
		{"+254710000001", "YES", notifier.Inbound{SID: someSID, From: "+254710000001", Word: notifier.StartWord, Body: "YES"}},
		{"+254710000001", "When is it due?", notifier.Inbound{SID: someSID, From: "+254710000001"}},
		{"22141", "STOP", notifier.Inbound{SID: someSID}}, // a short code
		{"Safaricom", "STOP", notifier.Inbound{SID: someSID}},
		{"", "STOP", notifier.Inbound{SID: someSID}},
	} {
		got, err := notifier.ReadInbound(url.Values{"MessageSid": {someSID}, "From": {tt.from}, "Body": {tt.body}})
		if err != nil || got != tt.want {
			t.Errorf("%q from %q: %+v %v", tt.body, tt.from, got, err)
		}
	}
	if _, err := notifier.ReadInbound(url.Values{"From": {"+254710000001"}, "Body": {"STOP"}}); err == nil {
		t.Error("a message without a sid is read")
	}
}

// Twilio's own example (Security, "Validating requests are coming from Twilio").
func TestTheSignatureIsTwilios(t *testing.T) {
	t.Parallel()
	const (
		address   = "https://example.com/myapp.php?foo=1&bar=2"
		signature = "L/OH5YylLD5NRKLltdqwSvS0BnU="
		token     = "12345"
	)
	body := []byte("CallSid=CA1234567890ABCDE&Caller=%2B14158675310&Digits=1234&From=%2B14158675310&To=%2B18005551212")
	v := notifier.NewCallbackValidator(token)
	if !v.Valid(address, body, signature) {
		t.Error("Twilio's own example is not valid")
	}
	for name, valid := range map[string]bool{
		"another token":      notifier.NewCallbackValidator("12346").Valid(address, body, signature),
		"another path":       v.Valid("https://example.com/myapp?foo=1&bar=2", body, signature),
		"another query":      v.Valid("https://example.com/myapp.php?foo=1&bar=3", body, signature),
		"http":               v.Valid("http://example.com/myapp.php?foo=1&bar=2", body, signature),
		"another body":       v.Valid(address, append(body, '1'), signature),
		"a body of nonsense": v.Valid(address, []byte("%zz"), signature),
		"no signature":       v.Valid(address, body, ""),
	} {
		if valid {
			t.Errorf("%s is valid", name)
		}
	}
}

// Whatever is posted is read or refused, and an opt-out has its word as proof.
func FuzzCallback(f *testing.F) {
	for _, seed := range []string{
		"MessageSid=" + someSID + "&MessageStatus=sent&ErrorCode=30003", "From=%2B254710000001&Body=Stop.&MessageSid=" + someSID, "%zz", "Body=%00", "",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, body string) {
		form, err := url.ParseQuery(body)
		if err != nil {
			return
		}
		if c, err := notifier.ReadStatus(form, form); err == nil && (len(c.SID) != 34 || c.Status == "" || c.Code < 0) {
			t.Errorf("read as %+v", c)
		}
		m, err := notifier.ReadInbound(form)
		if err != nil {
			return
		}
		if understood := m.Word != notifier.OtherWord; understood != (m.Body != "") || understood != (m.Body != "" && strings.HasPrefix(m.From.E164(), "+")) {
			t.Errorf("a message of the word %d from %q keeps the body %q", m.Word, m.From.E164(), m.Body)
		}
		// Only punctuation and space are added to a word of at most eleven letters.
		if strings.Count(m.Body, " ") == 0 && utf8.RuneCountInString(strings.TrimRight(m.Body, ".,;:!?… \t\r\n")) > len("UNSUBSCRIBE") {
			t.Errorf("%q is one of the words", m.Body)
		}
	})
}
