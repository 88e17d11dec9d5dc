package cli_test

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"duewatch/cli"
)

// Whatever a config says, a simulation calls nobody: neither Almara Pay nor the
// provider of a config that is live sees a request.
func TestASimulationCallsNobody(t *testing.T) {
	t.Parallel()
	var calls atomic.Int64
	outside := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		calls.Add(1)
		w.WriteHeader(http.StatusTeapot)
	}))
	t.Cleanup(outside.Close)
	path := filepath.Join(t.TempDir(), "live.yaml")
	live := fmt.Sprintf(`
almara: {base_url: %[1]q, client_id: id, client_secret: not-a-secret}
notifier:
  mode: live
  twilio: {base_url: %[1]q, account_sid: AC5a0db0c05a0db0c05a0db0c05a0db0c0, auth_token: notasecret, from: "+254710000000"}
`, outside.URL)
	if err := os.WriteFile(path, []byte(live), 0o600); err != nil {
		t.Fatal(err)
	}
	var out, problems bytes.Buffer
	args := []string{"simulate", "--customers", "40", "--days", "8", "--config", path}
	if status := cli.Run(context.Background(), args, &out, &problems); status != 0 {
		t.Fatalf("status %d: %s", status, problems.String())
	}
	if n := calls.Load(); n != 0 {
		t.Errorf("%d requests left the process", n)
	}
	if !bytes.Contains(out.Bytes(), []byte("texts to ")) || bytes.Contains(out.Bytes(), []byte("\n0 texts")) {
		t.Errorf("nothing was simulated:\n%s", out.String())
	}
}

// A simulation of far-off weeks knows the holidays of those weeks.
func TestASimulationKeepsTheHolidaysOfItsOwnDays(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "config.yaml")
	for name, text := range map[string]string{
		path:                               "reminders: {holidays: [december.ics]}\n",
		filepath.Join(dir, "december.ics"): "BEGIN:VCALENDAR\nBEGIN:VEVENT\nDTSTART:20001201\nRRULE:FREQ=DAILY;BYMONTH=12\nEND:VEVENT\nEND:VCALENDAR\n",
	} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for from, silent := range map[string]bool{"2045-12-02": true, "2045-10-02": false} {
		var out, problems bytes.Buffer
		args := []string{"simulate", "--customers", "30", "--from", from, "--days", "20", "--json", "--config", path}
		if status := cli.Run(context.Background(), args, &out, &problems); status != 0 {
			t.Fatalf("status %d: %s", status, problems.String())
		}
		if got := bytes.Contains(out.Bytes(), []byte(`"texts":0,`)); got != silent {
			t.Errorf("from %s, no text is sent: %v", from, got)
		}
	}
}
