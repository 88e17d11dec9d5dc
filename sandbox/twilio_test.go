package sandbox

import (
	"errors"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twilio/twilio-go/client"
	openapi "github.com/twilio/twilio-go/rest/api/v2010"

	"duewatch/reminder"
)

func TestSendAnswersAsDocumented(t *testing.T) {
	b := newTestServer(t, Options{})
	got := b.send("+254710000001", "Your bill is due.")
	var m struct {
		SID string `json:"sid"`
	}
	got.decode(t, &m)
	if got.status != 201 || !regexp.MustCompile(`^SM[0-9a-f]{32}$`).MatchString(m.SID) {
		t.Fatalf("got %d %s", got.status, got.body)
	}
	want := `{
  "body": "Your bill is due.",
  "num_segments": "1",
  "direction": "outbound-api",
  "from": "SANDBOX",
  "to": "+254710000001",
  "date_updated": "Mon, 04 May 2026 09:00:00 +0000",
  "price": null,
  "error_message": null,
  "uri": "` + messagesPath + "/" + m.SID + `.json",
  "account_sid": "` + AccountSID + `",
  "num_media": "0",
  "status": "queued",
  "messaging_service_sid": null,
  "sid": "` + m.SID + `",
  "date_sent": null,
  "date_created": "Mon, 04 May 2026 09:00:00 +0000",
  "error_code": null,
  "price_unit": "USD",
  "api_version": "2010-04-01",
  "subresource_uris": {
    "media": "` + messagesPath + "/" + m.SID + `/Media.json"
  }
}`
	if diff := cmp.Diff(want, indent(t, got.body)); diff != "" {
		t.Error(diff)
	}
}

func TestSendRefusals(t *testing.T) {
	ok := func(change func(url.Values)) url.Values {
		v := textForm("+254710000001", "hello")
		change(v)
		return v
	}
	for name, tc := range map[string]struct {
		form   url.Values
		status int
		code   string
	}{
		"no recipient":       {ok(func(v url.Values) { v.Del("To") }), 400, "21604"},
		"bad recipient":      {ok(func(v url.Values) { v.Set("To", "0710000001") }), 400, "21211"},
		"invalid number":     {textForm(PhoneInvalid, "hello"), 400, "21211"},
		"opted out":          {textForm(PhoneOptedOut, "hello"), 400, "21610"},
		"region":             {textForm(PhoneRegionRefused, "hello"), 403, "21408"},
		"no sender":          {ok(func(v url.Values) { v.Del("From") }), 400, "21603"},
		"sender too long":    {ok(func(v url.Values) { v.Set("From", "TWELVELETTER") }), 400, "21212"},
		"sender all digits":  {ok(func(v url.Values) { v.Set("From", "123") }), 400, "21212"},
		"bad service":        {ok(func(v url.Values) { v.Set("MessagingServiceSid", "MG1") }), 400, "21705"},
		"no body":            {ok(func(v url.Values) { v.Del("Body") }), 400, "21602"},
		"body of 1601":       {ok(func(v url.Values) { v.Set("Body", strings.Repeat("é", 1601)) }), 400, "21617"},
		"validity of 0":      {ok(func(v url.Values) { v.Set("ValidityPeriod", "0") }), 400, "21624"},
		"validity over 10 h": {ok(func(v url.Values) { v.Set("ValidityPeriod", "36001") }), 400, "21624"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newTestServer(t, Options{})
			got := b.do(b.sendRequest(tc.form))
			if got.status != tc.status || !strings.HasPrefix(got.body, `{"code":`+tc.code+`,"message":"`) {
				t.Errorf("got %d %s, want %d with code %s", got.status, got.body, tc.status, tc.code)
			}
			if n := len(b.Texts()); n != 0 {
				t.Errorf("%d texts were kept", n)
			}
		})
	}
	b := newTestServer(t, Options{})
	if got := b.do(b.sendRequest(ok(func(v url.Values) { v.Set("Body", strings.Repeat("a", 1600)); v.Set("ValidityPeriod", "36000") }))); got.status != 201 {
		t.Errorf("at the limits: %d %s", got.status, got.body)
	}
	if got := b.Texts()[0]; got.Segments != 11 || got.Validity != 10*time.Hour {
		t.Errorf("at the limits: %d segments, validity %s", got.Segments, got.Validity)
	}
}

func TestTwilioAuthentication(t *testing.T) {
	b := newTestServer(t, Options{})
	for name, tc := range map[string]struct {
		user, secret, path string
		status             int
		code               string
	}{
		"token":         {AccountSID, AuthToken, messagesPath + ".json", 200, ""},
		"api key":       {APIKeySID, APIKeySecret, messagesPath + ".json", 200, ""},
		"wrong token":   {AccountSID, "guess", messagesPath + ".json", 401, `"code":20003`},
		"crossed":       {AccountSID, APIKeySecret, messagesPath + ".json", 401, `"code":20003`},
		"none":          {"", "", messagesPath + ".json", 401, `"code":20003`},
		"other account": {AccountSID, AuthToken, "/2010-04-01/Accounts/AC" + strings.Repeat("0", 32) + "/Messages.json", 404, `"code":20404`},
		"no such text":  {AccountSID, AuthToken, messagesPath + "/SM" + strings.Repeat("0", 32) + ".json", 404, `"code":20404`},
		"no such sid":   {AccountSID, AuthToken, messagesPath + "/nonsense.json", 404, `"code":20404`},
	} {
		t.Run(name, func(t *testing.T) {
			req := b.request("GET", tc.path, "", "")
			req.SetBasicAuth(tc.user, tc.secret)
			if got := b.do(req); got.status != tc.status || !strings.Contains(got.body, tc.code) {
				t.Errorf("got %d %s", got.status, got.body)
			}
		})
	}
}

func TestStatusesOnlyGoForward(t *testing.T) {
	type step struct {
		Status, Code, Price string
		Sent                bool
	}
	for name, tc := range map[string]struct {
		to   reminder.Phone
		want []step // at once, after 1 s, after 3 s, after 3 days
	}{
		"delivered":   {"+254710000001", []step{{"queued", "", "", false}, {"sent", "", "", true}, {"delivered", "", "-0.04000", true}, {"delivered", "", "-0.04000", true}}},
		"undelivered": {PhoneUnreachable, []step{{"queued", "", "", false}, {"sent", "", "", true}, {"undelivered", "30003", "-0.04000", true}, {"undelivered", "30003", "-0.04000", true}}},
		"failed":      {PhoneUnknown, []step{{"queued", "", "", false}, {"failed", "30005", "", true}, {"failed", "30005", "", true}, {"failed", "30005", "", true}}},
		"stays sent":  {PhoneStaysSent, []step{{"queued", "", "", false}, {"sent", "", "", true}, {"sent", "", "", true}, {"sent", "", "", true}}},
		"stays":       {PhoneNeverLeaves, []step{{"queued", "", "", false}, {"queued", "", "", false}, {"queued", "", "", false}, {"queued", "", "", false}}},
	} {
		t.Run(name, func(t *testing.T) {
			b := newTestServer(t, Options{})
			b.send(tc.to, strings.Repeat("a", 161))
			var got []step
			for _, d := range []time.Duration{0, time.Second, 2 * time.Second, 72 * time.Hour} {
				b.clock.pass(d)
				var m struct {
					Status string  `json:"status"`
					Code   *int    `json:"error_code"`
					Price  *string `json:"price"`
					Sent   *string `json:"date_sent"`
				}
				b.getTwilio(messagesPath+"/"+b.Texts()[0].SID+".json").decode(t, &m)
				at := step{Status: m.Status, Sent: m.Sent != nil}
				if m.Code != nil {
					at.Code = strconv.Itoa(*m.Code)
				}
				if m.Price != nil {
					at.Price = *m.Price
				}
				got = append(got, at)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestMessagingServiceChoosesItsSenderLater(t *testing.T) {
	b := newTestServer(t, Options{})
	form := textForm("+254710000001", "hello")
	form.Del("From")
	form.Set("MessagingServiceSid", "MG"+strings.Repeat("0", 32))
	if got := b.do(b.sendRequest(form)); !strings.Contains(got.body, `"num_segments":"0"`) ||
		!strings.Contains(got.body, `"from":null`) || !strings.Contains(got.body, `"status":"accepted"`) {
		t.Error(got.body)
	}
	b.clock.pass(time.Second)
	if got := b.getTwilio(messagesPath + ".json"); !strings.Contains(got.body, `"num_segments":"1"`) || !strings.Contains(got.body, `"from":"SANDBOX"`) {
		t.Error(got.body)
	}
}

func TestListFilters(t *testing.T) {
	b := newTestServer(t, Options{})
	b.send("+254710000001", "one")
	b.send("+254710000002", "two")
	b.clock.pass(24 * time.Hour)
	b.send("+254710000001", "three")
	b.clock.pass(5 * time.Second)
	b.send("+254710000001", "four, still queued")
	for query, want := range map[string][]string{
		"":                                {"four, still queued", "three", "two", "one"},
		"To=%2B254710000001":              {"four, still queued", "three", "one"},
		"To=%2B254710000003":              {},
		"From=SANDBOX&To=%2B254710000002": {"two"},
		"From=OTHER":                      {},
		"DateSent=2026-05-04":             {"two", "one"},
		"DateSent=2026-05-04T23:00:00Z":   {"two", "one"},
		"DateSent%3E=2026-05-05":          {"three"},
		"DateSent%3E=2026-05-04":          {"three", "two", "one"},
		"DateSent%3C=2026-05-04":          {"two", "one"},
		"DateSent%3C=2026-05-03":          {},
		"DateSent%3E=2026-05-05T09:00:01Z&DateSent%3C=2026-05-05T09:00:01Z": {"three"},
		"DateSent%3E=2026-05-05T09:00:02Z":                                  {},
		"PageSize=1&Page=1":                                                 {"three"},
	} {
		var p struct {
			Messages []struct {
				Body string `json:"body"`
			} `json:"messages"`
		}
		b.getTwilio(messagesPath+".json?"+query).decode(t, &p)
		got := []string{}
		for _, m := range p.Messages {
			got = append(got, m.Body)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", query, diff)
		}
	}
	for _, query := range []string{"PageSize=0", "PageSize=x", "Page=-1", "DateSent=yesterday", "PageToken=next"} {
		if got := b.getTwilio(messagesPath + ".json?" + query); got.status != 400 {
			t.Errorf("%s: %d %s", query, got.status, got.body)
		}
	}
}

func TestPagesDoNotShiftWhenTextsArrive(t *testing.T) {
	b := newTestServer(t, Options{})
	for _, body := range []string{"a", "b", "c", "d", "e"} {
		b.send("+254710000001", body)
	}
	var got []string
	for path := messagesPath + ".json?PageSize=2"; path != ""; {
		var p struct {
			Next     *string `json:"next_page_uri"`
			Messages []struct {
				Body string `json:"body"`
			} `json:"messages"`
		}
		b.getTwilio(path).decode(t, &p)
		for _, m := range p.Messages {
			got = append(got, m.Body)
		}
		path = ""
		if p.Next != nil {
			path = *p.Next
		}
		b.send("+254710000001", "new")
	}
	if diff := cmp.Diff([]string{"e", "d", "c", "b", "a"}, got); diff != "" {
		t.Error(diff)
	}
}

func TestOnTextIsCalledOnceForEachAcceptedText(t *testing.T) {
	var got []Text
	b := newTestServer(t, Options{OnText: func(x Text) { got = append(got, x) }})
	b.send("+254710000001", "hello")
	b.send(PhoneInvalid, "refused")
	if len(got) != 1 || got[0].Body != "hello" || got[0].Status != "queued" {
		t.Errorf("got %v", got)
	}
}

func TestOldTextsAreForgotten(t *testing.T) {
	b := newTestServer(t, Options{MaxTexts: 20})
	for range 50 {
		b.send("+254710000001", "hello")
	}
	texts := b.Texts()
	if n := len(texts); n > 20 || n < 17 {
		t.Errorf("%d texts are kept", n)
	}
	if got := b.getTwilio(messagesPath + "/" + texts[0].SID + ".json"); got.status != 200 {
		t.Errorf("the oldest kept: %d", got.status)
	}
	var p page
	b.getTwilio(messagesPath+".json?To=%2B254710000001").decode(t, &p)
	if len(p.Messages) != len(texts) {
		t.Errorf("%d listed of %d", len(p.Messages), len(texts))
	}
}

// toSandbox is the network between twilio-go, which knows one host only, and
// the sandbox.
type toSandbox struct{ host string }

func (n toSandbox) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.URL.Scheme, r.URL.Host = "http", n.host
	return http.DefaultTransport.RoundTrip(r)
}

func TestTwilioGoUnderstandsTheSandbox(t *testing.T) {
	t.Setenv("TWILIO_EDGE", "")
	t.Setenv("TWILIO_REGION", "")
	b := newTestServer(t, Options{})
	host := strings.TrimPrefix(b.url, "http://")
	dial := func(secret string) *openapi.ApiService {
		c := &client.Client{Credentials: client.NewCredentials(AccountSID, secret), HTTPClient: &http.Client{Transport: toSandbox{host}}}
		c.SetAccountSid(AccountSID)
		return openapi.NewApiServiceWithClient(c)
	}
	api := dial(AuthToken)

	params := new(openapi.CreateMessageParams).SetTo("+254710000001").SetFrom(From).SetBody("Habari ✓").
		SetValidityPeriod(600).SetSmartEncoded(false).SetStatusCallback("http://127.0.0.1:8750/twilio?text=7")
	first, err := api.CreateMessage(params)
	if err != nil {
		t.Fatal(err)
	}
	if got := b.Texts()[0]; got.SID != *first.Sid || got.Body != "Habari ✓" || got.Validity != 10*time.Minute || got.Callback == "" {
		t.Errorf("kept %+v", got)
	}
	for range 4 {
		if _, err := api.CreateMessage(params); err != nil {
			t.Fatal(err)
		}
	}
	b.clock.pass(time.Minute)

	m, err := api.FetchMessage(*first.Sid, nil)
	if err != nil {
		t.Fatal(err)
	}
	sent, err := time.Parse(time.RFC1123Z, *m.DateSent)
	if err != nil || *m.Status != "delivered" || *m.Price != "-0.02000" || *m.NumSegments != "1" || m.ErrorCode != nil {
		t.Errorf("fetched %+v, sent %s, %v", *m, sent, err)
	}

	list, err := api.ListMessage(new(openapi.ListMessageParams).SetTo("+254710000001").SetPageSize(2).SetLimit(10))
	if err != nil || len(list) != 5 || *list[4].Sid != *first.Sid {
		t.Errorf("listed %d, %v", len(list), err)
	}
	none, err := api.PageMessage(new(openapi.ListMessageParams).SetDateSentAfter(b.clock.now().Add(time.Hour)), "", "")
	if err != nil || len(none.Messages) != 0 || none.NextPageUri != nil {
		t.Errorf("listed %+v, %v", none, err)
	}

	var refused *client.TwilioRestError
	if _, err := api.CreateMessage(params.SetTo(PhoneOptedOut.E164())); !errors.As(err, &refused) || refused.Code != 21610 || refused.Status != 400 {
		t.Errorf("to who opted out: %v", err)
	}
	if _, err := dial("guess").FetchMessage(*first.Sid, nil); !errors.As(err, &refused) || refused.Code != 20003 || refused.Status != 401 {
		t.Errorf("with a wrong token: %v", err)
	}
}
