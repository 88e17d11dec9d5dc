package almara

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"

	"duewatch/reminder"
)

// A server may repeat in its answer whatever it was sent; none of it may reach
// an error or the log.
func TestNothingSecretLeaks(t *testing.T) {
	const phone = "254710000003"
	secretEcho := testSecret + " " + url.QueryEscape(testSecret) + " " + escapedJSON(testSecret)
	echo := phone + " +254 710 000 003, 0710000003, 710-000-003 tok-1 Bearer tok-1 " + secretEcho
	quoted, _ := json.Marshal(echo)
	answers := map[string]http.HandlerFunc{
		"reason":        reply200(`{"reason":` + string(quoted) + `}`),
		"problem":       answer(400, "application/problem+json", `{"errors":{"PhoneNumber":[`+string(quoted)+`]}}`),
		"forbidden":     answer(403, "text/plain", echo),
		"refused":       answer(401, "text/plain", echo),
		"page":          answer(502, "text/html", "<p>"+echo+"</p>"),
		"broken JSON":   answer(200, "application/json", "{"+echo),
		"due date":      reply200(`{"message":{"verified":true,"dueDate":` + string(quoted) + `}}`),
		"token page":    nil,
		"dropped":       drop,
		"redirect":      status(302, "Location", "https://example.test/?"+url.QueryEscape(echo)),
		"bad redirect":  status(302, "Location", "::"+url.QueryEscape(echo)),
		"bad encoding":  answer(200, "application/json", echo, "Content-Encoding", "gzip"),
		"several times": answer(503, "text/plain", strings.Repeat(echo, 100)),
	}
	for name, h := range answers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := &fake{script: []http.HandlerFunc{h}, onToken: reply200(`{"access_token":"tok-1"}`)}
			if h == nil { // the token's server knows nothing but the secret
				f.onToken = answer(400, "text/html", secretEcho)
			}
			var log bytes.Buffer
			c := onServer(t, f, func(c *Config) {
				c.RecheckWith = "lookup"
				c.Log = slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
			})
			bill := testBill
			bill.Account = phone // some billers' accounts are phone numbers
			for range 2 {
				a, err := c.Recheck(t.Context(), bill)
				slog.New(slog.NewTextHandler(&log, nil)).Info("caller", "err", err, "problem", a.Problem, "client", fmt.Sprintf("%+v %#v", c, err))
			}
			for _, bad := range []string{phone, "710000003", "710 000 003", "710-000-003", "tok-1", testSecret, url.QueryEscape(testSecret), escapedJSON(testSecret), "s3cr"} {
				if strings.Contains(log.String(), bad) {
					t.Errorf("%q is in %s", bad, log.String())
				}
			}
		})
	}
}

func TestPausesAreLoggedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		c := inMemory(t, &fake{script: []http.HandlerFunc{status(302)}}, func(c *Config) { c.Log = slog.New(slog.NewTextHandler(&log, nil)) })
		for i := range 3 * breakerFailures {
			bill := testBill
			bill.Account = fmt.Sprint(i)
			if i == breakerFailures-1 {
				bill.Account = "0710000003" // some billers' accounts are phone numbers
			}
			_, _ = c.Register(t.Context(), bill)
		}
		if n := strings.Count(log.String(), "\n"); n != 1 || !strings.Contains(log.String(), "paused") || !strings.Contains(log.String(), "account +2547******03 of service") {
			t.Errorf("%d lines: %s", n, &log)
		}
	})
}

func TestConfigPrintsWithoutItsSecret(t *testing.T) {
	cfg := Config{BaseURL: "https://api.example.test", ClientID: "client", ClientSecret: testSecret}
	outer := struct {
		Almara  Config
		Pointer *Config
	}{cfg, &cfg}
	var all bytes.Buffer
	for _, v := range []any{cfg, &cfg, outer, []Config{cfg}} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%d", "%x"} {
			fmt.Fprintf(&all, verb+"\n", v)
		}
		b, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		all.Write(b)
		slog.New(slog.NewJSONHandler(&all, nil)).Info("", "v", v)
		slog.New(slog.NewTextHandler(&all, nil)).Info("", "v", v)
	}
	if s := all.String(); strings.Contains(s, "s3cr") || strings.Contains(s, fmt.Sprintf("%x", testSecret)) {
		t.Error(s)
	}
	if !strings.Contains(all.String(), "almara.Config{[redacted]}") {
		t.Error("it prints nothing")
	}
}

func TestConfigFaultsAreListedTogether(t *testing.T) {
	_, err := New(Config{
		BaseURL: "http://api.example.test", TokenPath: "token", TokenEncoding: "xml", RecheckWith: "ask", Timeout: -1, Rate: -1, Concurrency: -1,
	})
	if err == nil {
		t.Fatal("no error")
	}
	for _, key := range []string{"base_url", "token_path", "token_encoding", "recheck_with", "client_id", "client_secret", "timeout", "rate", "concurrency"} {
		if !strings.Contains(err.Error(), "almara."+key+" ") {
			t.Errorf("%s is not named in %v", key, err)
		}
	}
}

func TestEndpoints(t *testing.T) {
	for name, tc := range map[string]struct {
		base, tokenPath  string
		bills, token, no string
	}{
		"plain":           {"https://a.test", "", "https://a.test/v1/bill-numbers", "https://a.test/v1/oauth/token", ""},
		"slash":           {"https://a.test/", "", "https://a.test/v1/bill-numbers", "https://a.test/v1/oauth/token", ""},
		"below a path":    {"https://a.test/pay", "/connect/token", "https://a.test/pay/v1/bill-numbers", "https://a.test/pay/connect/token", ""},
		"this machine":    {"http://127.0.0.1:8080", "", "http://127.0.0.1:8080/v1/bill-numbers", "http://127.0.0.1:8080/v1/oauth/token", ""},
		"localhost":       {"http://localhost:8080", "", "http://localhost:8080/v1/bill-numbers", "http://localhost:8080/v1/oauth/token", ""},
		"a token address": {"https://a.test", "https://id.test/token", "", "", "token_path"},
		"clear":           {"http://a.test", "", "", "", "base_url"},
		"with a password": {"https://u:s3cr@a.test", "", "", "", "base_url"},
		"with a query":    {"https://a.test?x=1", "", "", "", "base_url"},
		"version twice":   {"https://a.test/v1/", "", "", "", "base_url"},
		"no host":         {"https://", "", "", "", "base_url"},
		"garbage":         {"https://a b\x7f", "", "", "", "base_url"},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := New(Config{BaseURL: tc.base, TokenPath: tc.tokenPath, ClientID: "c", ClientSecret: "s"})
			if tc.no != "" {
				if err == nil || !strings.Contains(err.Error(), "almara."+tc.no) || strings.Contains(err.Error(), "s3cr") {
					t.Errorf("%v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if c.billNumbers.String() != tc.bills || c.tokens.url.String() != tc.token {
				t.Errorf("%v, %v", c.billNumbers, c.tokens.url)
			}
		})
	}
}

func TestCleanKeepsWhatIsHarmless(t *testing.T) {
	hide := redactor{phone: "+254710000003"}
	for in, want := range map[string]string{
		"account 12345 254710000003 is bad": "account 12345 +2547******03 is bad",
		"(+254) 710.000.003":                "(+2547******03",
		"account 88254710000009":            "account 88254710000009",
		"a\u202eb\u200bc":                   "a b c",
		strings.Repeat("x", 300):            strings.Repeat("x", maxReason-1) + "…",
	} {
		if got := hide.clean(in, maxReason); got != want {
			t.Errorf("%q became %q, want %q", in, got, want)
		}
	}
	if got := (redactor{phone: reminder.Phone("")}).clean("254710000003", 50); got != "254710000003" {
		t.Errorf("%q", got)
	}
}
