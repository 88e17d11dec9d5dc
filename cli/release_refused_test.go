package cli

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"duewatch/config"
	"duewatch/daemon"
	"duewatch/reminder"
	"duewatch/store"
)

// Whoever looks, in the morning, finds which bills are refused, in which words, and
// what to do; and lets go what stopped sending.
func TestRefusedBillsAreNamedWithWhatToDo(t *testing.T) {
	path := filepath.Join(t.TempDir(), "config.yaml")
	text := "store: " + filepath.Join(filepath.Dir(path), "duewatch.db") + "\nservices: [{id: \"1042\", name: Nairobi Water}]\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := config.Load(path, config.Options{Sandbox: true})
	if err != nil {
		t.Fatal(err)
	}
	s, err := store.Open(t.Context(), cfg.Store)
	if err != nil {
		t.Fatal(err)
	}
	var bills []reminder.Bill
	for i := range 30 {
		bills = append(bills, reminder.Bill{Service: "1042", Account: fmt.Sprintf("A%02d", i), Phone: "+254710000001"})
	}
	now := time.Now()
	learn := func(from, to int, l store.CheckResult) {
		t.Helper()
		for id := from; id <= to; id++ {
			l.BillID = int64(id)
			if _, err := s.RecordChecks(cfg.Policies, now, l); err != nil {
				t.Fatal(err)
			}
		}
	}
	if _, err = s.Declare("config", bills, now); err != nil {
		t.Fatal(err)
	}
	learn(1, 20, store.CheckResult{Answer: &reminder.Answer{At: now}})
	learn(1, 11, store.CheckResult{Rejected: "Account closed."})
	learn(21, 22, store.CheckResult{Failed: "Not Found (status 404)", Refused: store.Unclear})
	learn(23, 23, store.CheckResult{Failed: "almara pay: register: status 403", Refused: store.Forbidden})

	problems := strings.Join(daemon.Sentences((&app{now: wallClock}).problems(cfg, s).Sending(t.Context())), "\n")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	run := func(args ...string) string {
		t.Helper()
		var out bytes.Buffer
		if status := Run(t.Context(), append(args, "--config", path), &out, &out); status != 0 {
			t.Fatalf("%v: status %d: %s", args, status, out.String())
		}
		return out.String()
	}
	held := strings.Join(strings.Fields(run("release")), " ")
	for where, said := range map[string]string{"health": problems, "release": held} {
		for _, want := range []string{
			"mass_rejected: within a day Almara Pay rejected 11 bills that it had accepted, and 9 are active; the last was account A10 of service 1042 (Account closed.); look at duewatch bills",
			"Almara Pay refuses 2 bills in a form that is not known, such as account A20 of service 1042 since ", ": Not Found (status 404); ",
			"Almara Pay gives no right to 1 bill, such as account A22 of service 1042 since ", "duewatch release --reason mass_rejected",
		} {
			if !strings.Contains(said, want) {
				t.Errorf("%s does not say %q:\n%s", where, want, said)
			}
		}
	}
	for _, want := range []string{"WHY", "A03 ", "rejected  Account closed."} {
		if said := run("bills", "--state", "rejected"); !strings.Contains(said, want) {
			t.Errorf("bills does not say %q:\n%s", want, said)
		}
	}
	if said := run("release", "--reason", "mass_rejected"); !strings.Contains(said, "register again: 11\n") || !strings.Contains(said, "no longer holds texts back") {
		t.Errorf("the release says %s", said)
	}
	if said := run("bills", "--state", "pending"); strings.Count(said, "pending") != 21 || !strings.Contains(said, "Not Found (status 404)") {
		t.Errorf("after the release: %s", said)
	}
}
