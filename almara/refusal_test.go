package almara

import (
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"duewatch/reminder"
)

// Refusals of unknown accounts as they were met: their words are kept, in one
// line, without the phone, and the call is made once.
func TestARefusalInAnUnknownFormKeepsItsWords(t *testing.T) {
	sample := func(name string) string {
		t.Helper()
		b, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	const asJSON = "application/json"
	for name, c := range map[string]struct {
		status     int
		kind, body string
		want       string
	}{
		"problem without errors": {404, "application/problem+json", sample("almara-404-problem-without-errors.json"), "Not Found (status 404)"},
		"message":                {400, asJSON, sample("almara-400-message-text.json"), "Account does not exist (status 400)"},
		"detail":                 {404, "application/problem+json", `{"title":"Not Found","detail":"No bill 77 at 0710 000 003"}`, "Not Found: No bill 77 at +2547******03 (status 404)"},
		"OAuth's form":           {400, asJSON, `{"error":"invalid_account","error_description":"no such\naccount"}`, "no such account: invalid_account (status 400)"},
		"nested":                 {404, asJSON, `{"error":{"code":17,"message":"unknown account"}}`, "unknown account (status 404)"},
		"said twice":             {404, asJSON, `{"title":"Not Found","message":"Not Found","detail":null,"error":7}`, "Not Found (status 404)"},
		"wrapped":                {404, asJSON, `{"message":{"title":"Not Found"}}`, "Not Found (status 404)"},
		"JSON as text":           {404, "text/plain", `{"message":"gone"}`, "gone (status 404)"},
		"page":                   {404, "text/html", "<title>404</title><h1>Not Found</h1>", "status 404 (404 Not Found)"},
		"nothing":                {410, "", "", "status 410"},
		"no object":              {400, asJSON, `["x"]`, `status 400 (["x"])`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := &fake{script: []http.HandlerFunc{answer(c.status, c.kind, c.body)}}
			_, err := onServer(t, f).Register(t.Context(), reminder.Bill{Service: "12", Account: "77", Phone: "+254710000003"})
			var unclear *UnclearError
			if !errors.As(err, &unclear) || unclear.Reason != c.want {
				t.Errorf("%v, want %q", err, c.want)
			}
			if _, n := f.counts(); n != 1 {
				t.Errorf("%d requests", n)
			}
		})
	}
}
