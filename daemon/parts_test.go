package daemon

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"duewatch/almara"
	"duewatch/config"
	"duewatch/reminder"
)

// almaraAnswering is the client that a config in the environment makes, of an
// Almara Pay with one answer; sent is the body of the last request.
func almaraAnswering(t *testing.T, answer string, environ ...string) (c *almara.Client, sent *string) {
	t.Helper()
	sent = new(string)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if r.URL.Path == "/v1/oauth/token" {
			_, _ = w.Write([]byte(`{"access_token": "x", "expires_in": 3600}`))
			return
		}
		var body bytes.Buffer
		_, _ = body.ReadFrom(r.Body)
		*sent = body.String()
		_, _ = w.Write([]byte(answer))
	}))
	t.Cleanup(server.Close)
	environ = append(environ, "DUEWATCH_ALMARA__CLIENT_ID=id", "DUEWATCH_ALMARA__CLIENT_SECRET=not-a-secret", "DUEWATCH_ALMARA__BASE_URL="+server.URL)
	cfg, err := config.Load("", config.Options{Environ: environ})
	if err == nil {
		c, err = Parts{Now: time.Now}.NewAlmara(cfg)
	}
	if err != nil {
		t.Fatal(err)
	}
	return c, sent
}

// Almara Pay may text the phones that it is given. Whether it is, the config
// says; that the due date is watched does not depend on it.
func TestThePhoneIsSharedAsConfigured(t *testing.T) {
	for _, tt := range []struct {
		environ []string
		want    bool
	}{{nil, true}, {[]string{"DUEWATCH_ALMARA__SHARE_PHONE=false"}, false}} {
		c, sent := almaraAnswering(t, `{"message": {"lastKnownBalance": 5}}`, tt.environ...)
		if _, err := c.Register(t.Context(), reminder.Bill{Service: "17", Account: "1", Phone: "+254710000001"}); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(*sent, `"phoneNumber":"254710000001"`) != tt.want || strings.Contains(*sent, "254710000001") != tt.want {
			t.Errorf("%v: %s", tt.environ, *sent)
		}
		if !strings.Contains(*sent, `"RemindMeDueDate":true`) {
			t.Errorf("%v: the due date is not watched: %s", tt.environ, *sent)
		}
	}
}

// Amounts and dates are read as the configured currency and country write them.
func TestAnswersAreReadByTheConfiguredCurrencyAndCountry(t *testing.T) {
	const answer = `{"message": {"lastKnownBalance": "Ksh 1,234.50", "dueDate": "05/12/2021"}}`
	c, _ := almaraAnswering(t, answer)
	a, err := c.Register(t.Context(), reminder.Bill{Service: "17", Account: "1"})
	if err != nil || a.Balance == nil || a.Balance.String() != "1234.5" || a.DueDate.String() != "2021-12-05" || a.Problem != "" {
		t.Errorf("by default: %+v, %v", a, err)
	}
	c, _ = almaraAnswering(t, answer, "DUEWATCH_CURRENCY=USD", "DUEWATCH_COUNTRY=US")
	a, err = c.Register(t.Context(), reminder.Bill{Service: "17", Account: "1"})
	const problem = `the due date "05/12/2021" may be 2021-12-05 or 2021-05-12; the balance "Ksh 1,234.50" is not in USD, the configured currency`
	if err != nil || a.Balance != nil || !a.DueDate.IsZero() || a.Problem != problem {
		t.Errorf("in the United States: %+v, %v", a, err)
	}
}
