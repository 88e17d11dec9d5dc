package config

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	_ "time/tzdata" // zones for machines that have none

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"duewatch/reminder"
)

// compare compares configs as a reader would: zones by name, amounts by value,
// compiled templates by their languages, their sources by Config.wording.
var compare = cmp.Options{
	cmp.AllowUnexported(Config{}),
	cmpopts.IgnoreFields(Config{}, "settings", "holidays", "holidaysAbout"), // have the lines and names of the file
	cmp.Transformer("zone", func(z *time.Location) string { return z.String() }),
	cmp.Transformer("templates", func(t reminder.Templates) []string { return t.Languages() }),
	cmp.Comparer(func(a, b reminder.Money) bool { return a.Equal(b) }),
	cmp.Comparer(func(a, b *reminder.PhoneReader) bool { return true }), // made of Country and MobilePrefixes
	cmp.Comparer(func(a, b reminder.Date) bool { return a == b }),
	cmpopts.EquateEmpty(),
}

// sandbox are options under which nothing has to be set, with an environment
// that is not the test's own.
func sandbox(env ...string) Options {
	return Options{Sandbox: true, Environ: append([]string{}, env...)}
}

func mustLoad(t *testing.T, yaml string, opts Options) *Config {
	t.Helper()
	cfg, err := load("config.yaml", []byte(yaml), opts)
	if err != nil {
		t.Fatalf("load:\n%v", err)
	}
	return cfg
}

func TestShippedFileSaysTheDefaults(t *testing.T) {
	shipped, err := Load("../config.yaml", sandbox())
	if err != nil {
		t.Fatal(err)
	}
	none, err := Load("", sandbox())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(none, shipped, compare); diff != "" {
		t.Errorf("config.yaml differs from the defaults in code (-code +file):\n%s", diff)
	}
	if none.Fingerprint() != shipped.Fingerprint() {
		t.Error("the fingerprints differ")
	}
}

func TestShippedFileShowsEveryKey(t *testing.T) {
	b, err := os.ReadFile("../config.yaml")
	if err != nil {
		t.Fatal(err)
	}
	doc := &document{name: "config.yaml", problems: &problems{}, places: map[string]place{}}
	if _, err := doc.Unmarshal(b); err != nil {
		t.Fatal(err)
	}
	for _, path := range paths("", schema) {
		path = strings.Replace(path, "*", "sw", 1)
		// The keys of an entry are shown in an example, which is a comment.
		if list, _, inEntry := strings.Cut(path, "."); inEntry && (list == "services" || list == "bills") {
			continue
		}
		if _, shown := doc.places[path]; !shown {
			t.Errorf("config.yaml does not show %s", path)
		}
	}
}

// The examples in comments are what operators copy first.
func TestShippedExamplesLoad(t *testing.T) {
	b, err := os.ReadFile("../config.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var example strings.Builder
	inside := false
	for line := range strings.Lines(string(b)) {
		inside = inside && strings.HasPrefix(line, "#") || line == "# services:\n" || line == "# bills:\n"
		if inside {
			example.WriteString(strings.TrimPrefix(line, "# "))
		}
	}
	cfg := mustLoad(t, example.String(), sandbox())
	if len(cfg.Services) != 1 || len(cfg.Bills) != 1 {
		t.Fatalf("%d services and %d bills, want one of each, from:\n%s", len(cfg.Services), len(cfg.Bills), example.String())
	}
	for _, key := range []string{"service", "account", "phone", "description", "language"} {
		if !strings.Contains(example.String(), key+": ") {
			t.Errorf("the example of bills does not show %s", key)
		}
	}
}

func TestDefaults(t *testing.T) {
	cfg, err := Load("", sandbox())
	if err != nil {
		t.Fatal(err)
	}
	if cfg.Zone.String() != "Africa/Nairobi" || cfg.Currency != "KES" || cfg.Country != "KE" || cfg.Store != "duewatch.db" {
		t.Errorf("top level: %v %v %v %v", cfg.Zone, cfg.Currency, cfg.Country, cfg.Store)
	}
	want := &reminder.Policy{
		Zone: cfg.Zone, Currency: "KES",
		Stages: []reminder.Stage{-7, -3, 0},
		SendAt: 9 * 60, Window: reminder.Window{From: 8 * 60, To: 18 * 60},
		MinBalance: reminder.MustMoney("1"), MaxBalanceAge: time.Hour, StaleBalance: reminder.StaleHold,
		PerNumberDaily: 1, Bundle: true, BundleDays: 1, Language: "en", MaxSegments: 2,
		Templates: cfg.Policies.Default.Templates,
		Guards: reminder.Guards{
			Surge: 10, SurgeFrom: 1000,
			ImplausibleBalance: 10, ImplausibleFrom: reminder.MustMoney("10000"),
			MaxFailureRate: 0.5,
		},
	}
	if diff := cmp.Diff(want, cfg.Policies.Default, compare); diff != "" {
		t.Errorf("policy (-want +got):\n%s", diff)
	}
	if cfg.Delivery.Mode != reminder.ModeOff {
		t.Errorf("mode %q", cfg.Delivery.Mode)
	}
	if diff := cmp.Diff([]time.Duration{2 * time.Minute, 15 * time.Minute}, cfg.Notifier.ReconcileAfter); diff != "" {
		t.Error(diff)
	}
	if cfg.MaxRemoved != 0.2 {
		t.Errorf("guards.max_removed %v", cfg.MaxRemoved)
	}
	if cfg.Retention != 400*24*time.Hour || cfg.Log.Level != slog.LevelInfo || cfg.Almara.Rate != 20 {
		t.Errorf("retention %v, level %v, rate %v", cfg.Retention, cfg.Log.Level, cfg.Almara.Rate)
	}
}

// Losing a zero would register somebody else's account.
func TestTextIsKeptAsWritten(t *testing.T) {
	cfg := mustLoad(t, `
services:
  - {id: 007, name: Yes}
bills:
  - {service: 007, account: 0123, phone: 0710000001, description: 1_000}
  - {service: 007, account: 1e3, phone: 254710000002}
  - {service: 8, account: 0x1F, phone: +254710000003, description: off}
  - {service: "8", account: "12345678901234567890", phone: "+254 710 000004"}
`, sandbox())
	want := []reminder.Bill{
		{Service: "007", Account: "0123", Phone: "+254710000001", Description: "1_000"},
		{Service: "007", Account: "1e3", Phone: "+254710000002"},
		{Service: "8", Account: "0x1F", Phone: "+254710000003", Description: "off"},
		{Service: "8", Account: "12345678901234567890", Phone: "+254710000004"},
	}
	if diff := cmp.Diff(want, cfg.Bills, cmp.Comparer(func(a, b reminder.Date) bool { return a == b })); diff != "" {
		t.Errorf("bills (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]Service{{"007", "Yes"}}, cfg.Services); diff != "" {
		t.Errorf("services (-want +got):\n%s", diff)
	}
}

func TestServiceOverridesKeysAndReplacesLists(t *testing.T) {
	cfg := mustLoad(t, `
reminders:
  days_before: [5, 1]
  holidays: [2026-12-25]
  min_balance: 50
  templates: {fr: {before: "{{.Service}} {{.Account}}: {{.Days}} j, {{.DueDate}}", after: "{{.Account}}: {{.DueDate}}"}}
services:
  - id: water
    name: Nairobi Water
    days_before: [2]
    days_after: [1]
    skip_weekdays: [Sunday, sat]
    max_balance_age: 0s
    window: "00:00-24:00"
    language: sw
    templates: {sw: {before: "Lipa {{.Amount}}, {{.Account}}, {{.DueDate}}"}}
  - id: power
    name: Power
`, sandbox())
	def, water, power := cfg.Policies.Default, cfg.Policies.For("water"), cfg.Policies.For("power")
	want := *def
	want.ServiceName = "Power"
	if diff := cmp.Diff(&want, power, compare); diff != "" {
		t.Errorf("power inherits everything (-want +got):\n%s", diff)
	}
	want.ServiceName = "Nairobi Water"
	want.Stages = []reminder.Stage{-2, 1}
	want.SkipWeekdays = []time.Weekday{time.Sunday, time.Saturday}
	want.MaxBalanceAge = 0
	want.Window = reminder.Window{From: 0, To: 24 * 60}
	want.Language = "sw"
	if diff := cmp.Diff(&want, water, compare); diff != "" {
		t.Errorf("water (-want +got):\n%s", diff)
	}
	if got := water.Templates.Languages(); !cmp.Equal(got, []string{"en", "fr", "sw"}) {
		t.Errorf("languages %v", got)
	}
	bill := reminder.Bill{Service: "water", Account: "1", DueDate: reminder.NewDate(2026, 3, 3)}
	balance := reminder.MustMoney("20")
	bill.Balance = &balance
	draft, err := water.Word(bill, bill.DueDate, true)
	if err != nil || draft.Body != "Lipa KES 20.00, 1, 3 Machi 2026" {
		t.Errorf("water says %q, %v", draft.Body, err)
	}
	if draft, err := power.Word(bill, bill.DueDate, true); err != nil || strings.HasPrefix(draft.Body, "Lipa") {
		t.Errorf("the text of water reached power: %q, %v", draft.Body, err)
	}
}

func TestEnvironmentWinsOverFile(t *testing.T) {
	cfg := mustLoad(t, "store: file.db\nnotifier: {mode: live}\nreminders: {days_before: [9], days_after: [9]}\n", sandbox(
		"HOME=/root",
		"DUEWATCH_STORE=env.db",
		"DUEWATCH_NOTIFIER__MODE=allowlist",
		"DUEWATCH_NOTIFIER__ALLOWLIST=0710000001, +254710000002",
		"DUEWATCH_REMINDERS__DAYS_BEFORE=5,1",
		"DUEWATCH_REMINDERS__DAYS_AFTER=",
		"DUEWATCH_REMINDERS__TEMPLATES__SW__BEFORE=Lipa {{.Account}} {{.When}} {{.DueDate}}",
		"DUEWATCH_ALMARA__RATE=0.5",
	))
	if cfg.Store != "env.db" || cfg.Almara.Rate != 0.5 {
		t.Errorf("store %q, rate %v", cfg.Store, cfg.Almara.Rate)
	}
	want := reminder.Delivery{Mode: reminder.ModeAllowlist, Allowlist: map[reminder.Phone]bool{"+254710000001": true, "+254710000002": true}}
	if diff := cmp.Diff(want, cfg.Delivery); diff != "" {
		t.Errorf("delivery (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]reminder.Stage{-5, -1}, cfg.Policies.Default.Stages); diff != "" {
		t.Errorf("stages (-want +got):\n%s", diff)
	}
}

func TestWholeDaemonConfig(t *testing.T) {
	secret := filepath.Join(t.TempDir(), "almara")
	if err := os.WriteFile(secret, []byte("s3cret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg := mustLoad(t, `
almara: {base_url: https://api.example.com/, client_id: 0042, client_secret_file: `+secret+`}
notifier:
  mode: live
  twilio: {account_sid: AC00000000000000000000000000000001, auth_token: abc123, from: Nairobi H2O}
`, Options{Environ: []string{}})
	if a := cfg.Almara; a.BaseURL != "https://api.example.com" || a.ClientID != "0042" || a.ClientSecret.Reveal() != "s3cret" {
		t.Errorf("almara: %+v, secret %q", a, a.ClientSecret.Reveal())
	}
	if tw := cfg.Notifier.Twilio; tw.From != "Nairobi H2O" || tw.AuthToken.Reveal() != "abc123" {
		t.Errorf("twilio: %+v", tw)
	}
}
