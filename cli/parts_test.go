package cli

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"duewatch/config"
	"duewatch/reminder"
)

// Almara Pay may text the phones that it is given. Whether it is, the config
// says; that the due date is watched does not depend on it.
func TestThePhoneIsSharedAsConfigured(t *testing.T) {
	for _, share := range []bool{true, false} {
		var body string
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			if r.URL.Path == "/v1/oauth/token" {
				_, _ = w.Write([]byte(`{"access_token": "x", "expires_in": 3600}`))
				return
			}
			var sent bytes.Buffer
			_, _ = sent.ReadFrom(r.Body)
			body = sent.String()
			_, _ = w.Write([]byte(`{"message": {"lastKnownBalance": 5}}`))
		}))
		defer server.Close()
		environ := []string{"DUEWATCH_ALMARA__CLIENT_ID=id", "DUEWATCH_ALMARA__CLIENT_SECRET=not-a-secret", "DUEWATCH_ALMARA__BASE_URL=" + server.URL}
		if !share {
			environ = append(environ, "DUEWATCH_ALMARA__SHARE_PHONE=false")
		}
		cfg, err := config.Load("", config.Options{Environ: environ})
		if err != nil {
			t.Fatal(err)
		}
		c, err := Parts{Now: wallClock}.NewAlmara(cfg)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Register(t.Context(), reminder.Bill{Service: "17", Account: "1", Phone: "+254710000001"}); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(body, `"phoneNumber":"254710000001"`) != share || strings.Contains(body, "254710000001") != share {
			t.Errorf("share_phone %v: %s", share, body)
		}
		if !strings.Contains(body, `"RemindMeDueDate":true`) {
			t.Errorf("share_phone %v: the due date is not watched: %s", share, body)
		}
	}
}
