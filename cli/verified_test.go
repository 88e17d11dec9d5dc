package cli

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"duewatch/config"
	"duewatch/reminder"
	"duewatch/store"
)

// verifiedStore is a store of three bills, due tomorrow: the biller has confirmed
// the first account and not the second, and of the third nothing is said.
func verifiedStore(t *testing.T) (cfg *config.Config, path string) {
	t.Helper()
	dir := t.TempDir()
	path = filepath.Join(dir, "config.yaml")
	yaml := "store: " + filepath.Join(dir, "x.db") + `
almara: {base_url: "https://api.example.com", client_id: id, client_secret: not-a-secret}
reminders: {days_before: [1], window: "00:00-24:00", send_at: "23:59"}
`
	if err := os.WriteFile(path, []byte(yaml), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := config.Load(path, config.Options{Environ: []string{}})
	if err != nil {
		t.Fatal(err)
	}
	s, err := store.Open(t.Context(), cfg.Store)
	if err != nil {
		t.Fatal(err)
	}
	var bills []reminder.Bill
	for _, account := range []string{"confirmed", "not-confirmed", "not-said"} {
		phone := reminder.Phone("+2547100000" + []string{"01", "02", "03"}[len(bills)])
		bills = append(bills, reminder.Bill{Service: "17", Account: account, Phone: phone})
	}
	now := wallClock()
	if _, err := s.Import(t.Context(), "import", bills, now, func(int) {}); err != nil {
		t.Fatal(err)
	}
	owed, due := reminder.MustMoney("1500"), reminder.DateOf(now.In(cfg.Zone)).AddDays(2)
	watched := map[string]int64{}
	if err := s.Bills(t.Context(), store.BillFilter{}, func(w store.Watched) error {
		watched[w.Account] = w.ID
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	for account, verified := range map[string]*bool{"confirmed": new(true), "not-confirmed": new(false), "not-said": nil} {
		answer := &reminder.Answer{At: now, Balance: &owed, DueDate: due, Verified: verified}
		if _, err := s.RecordChecks(cfg.Policies, now, store.CheckResult{BillID: watched[account], Answer: answer}); err != nil {
			t.Fatal(err)
		}
	}
	// What is not said the next time is not forgotten.
	answer := &reminder.Answer{At: now.Add(time.Millisecond), Balance: &owed, DueDate: due}
	if _, err := s.RecordChecks(cfg.Policies, now, store.CheckResult{BillID: watched["not-confirmed"], Answer: answer}); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return cfg, path
}

// An account that the biller has not confirmed may be nobody's: wherever an
// operator looks at the bill it is said, and told from an account of which
// nothing was said.
func TestAnAccountThatIsNotVerifiedIsShown(t *testing.T) {
	cfg, path := verifiedStore(t)
	run := func(args ...string) string {
		t.Helper()
		var out, errs bytes.Buffer
		if status := Run(t.Context(), append(args, "--config", path), &out, &errs); status != 0 {
			t.Fatalf("%v: status %d\n%s", args, status, errs.String())
		}
		return out.String()
	}
	lineOf := func(out, account string) string {
		t.Helper()
		for line := range strings.Lines(out) {
			if strings.Contains(line, account) {
				return line
			}
		}
		t.Fatalf("nothing on %s in\n%s", account, out)
		return ""
	}

	table := run("bills")
	for account, want := range map[string]bool{" confirmed": false, " not-confirmed": true, " not-said": false} {
		if got := strings.Contains(lineOf(table, account), "active, not verified"); got != want {
			t.Errorf("bills marks%s: %v", account, got)
		}
	}
	asJSON := run("bills", "--json")
	for account, want := range map[string]string{`"confirmed"`: "true", `"not-confirmed"`: "false", `"not-said"`: "null"} {
		if line := lineOf(asJSON, account); !strings.Contains(line, `"verified":`+want) {
			t.Errorf("want verified %s in %s", want, line)
		}
	}
	const sentence = "the biller has not confirmed the account"
	for account, want := range map[string]bool{"confirmed": false, "not-confirmed": true, "not-said": false} {
		told := strings.Join(strings.Fields(run("explain", account)), " ")
		if got := strings.Count(told, sentence); (got == 2) != want || (got == 0) == want { // as it stands, and in the trail
			t.Errorf("explain %s says so %d times:\n%s", account, got, told)
		}
	}

	preview := run("preview")
	if got := strings.Count(preview, "not verified by the biller"); got != 1 || !strings.Contains(preview, "3 texts") {
		t.Errorf("preview marks %d of the three texts:\n%s", got, preview)
	}
	for line := range strings.Lines(run("preview", "--json")) {
		var text struct {
			Kind  string
			Bills []struct {
				Account  string
				Verified *bool
			}
		}
		if err := json.Unmarshal([]byte(line), &text); err != nil {
			t.Fatal(err)
		}
		for _, b := range text.Bills {
			if (b.Verified == nil) != (b.Account == "not-said") || b.Verified != nil && *b.Verified != (b.Account == "confirmed") {
				t.Errorf("preview says of %s: %v", b.Account, b.Verified)
			}
		}
	}

	r, err := store.OpenReader(t.Context(), cfg.Store)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close() //nolint:errcheck // only read
	got := (&doctor{app: &app{now: wallClock}, cfg: cfg, store: r}).verified(t.Context())
	if len(got) != 1 || got[0].Level != levelNote || !strings.HasPrefix(got[0].Text, "1 bill not verified") {
		t.Errorf("doctor says %+v", got)
	}
}
