package config

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"duewatch/reminder"
)

// overrides are, for each key of reminders:, what a service may say instead.
// With it every part of the key's way is tried: it reaches the policy of that
// service and of no other, changes the fingerprint, so that bills are planned
// anew, and is shown to the operator with its line.
var overrides = map[string]string{
	"days_before":          "[5, 1]",
	"days_after":           "[2]",
	"send_at":              "10:30",
	"window":               "09:00-17:00",
	"skip_weekdays":        "[sun]",
	"holidays":             "[2026-12-12]",
	"holidays_observances": "true",
	"min_balance":          "50.00",
	"max_balance_age":      "2h",
	"stale_balance":        "skip",
	"per_number_daily":     "3",
	"bundle":               "false",
	"bundle_days":          "3",
	"language":             "sw",
	"templates":            "{en: {before: 'Account {{.Account}}: {{.When}}, {{.DueDate}}'}}",
}

func TestServiceOverridesEveryKey(t *testing.T) {
	const base = "reminders: {holidays: [testdata/observance.ics]}\nservices:\n- {id: 2, name: B}\n- id: 1\n  name: A\n"
	was := mustLoad(t, base, sandbox())
	for _, k := range reminderKeys {
		t.Run(k.name, func(t *testing.T) {
			value, known := overrides[k.name]
			if !known {
				t.Fatal("say in overrides what a service may write for it")
			}
			cfg, err := load("config.yaml", []byte(base+"  "+k.name+": "+value+"\n"), sandbox())
			if err != nil {
				t.Fatal(err)
			}
			if cfg.Fingerprint() == was.Fingerprint() {
				t.Error("the fingerprint is the same: no bill would be planned anew")
			}
			for _, service := range []string{"", "2"} {
				if diff := cmp.Diff(was.Policies.For(service), cfg.Policies.For(service), compare); diff != "" {
					t.Errorf("service %q has it too:\n%s", service, diff)
				}
			}
			if k.shape != byLanguage && cmp.Equal(was.Policies.For("1"), cfg.Policies.For("1"), compare) {
				t.Error("the policy of the service is the same")
			}
			var changed []Setting
			for i, s := range cfg.Settings("1") {
				if s != was.Settings("1")[i] {
					changed = append(changed, s)
				}
			}
			want := Setting{Key: k.name, Value: strings.Trim(value, "[]"), Layer: LayerService, Line: 6}
			if k.shape == byLanguage {
				want.Key, want.Value = "templates.en.before", "Account {{.Account}}: {{.When}}, {{.DueDate}}"
			}
			if diff := cmp.Diff([]Setting{want}, changed); diff != "" {
				t.Errorf("settings (-want +got):\n%s", diff)
			}
		})
	}
}

func TestSettingsSayWhereFrom(t *testing.T) {
	cfg := mustLoad(t, `reminders:
  days_before: [5]
  send_at: "10:00"
  min_balance: 20
  templates:
    en:
      after: "{{.Account}} {{.DueDate}}"
services:
- id: 17
  name: Water
  min_balance: 30
  send_at: "11:00"
  holidays: []
  templates: {sw: {before: "{{.Account}} {{.DueDate}}"}}
`, sandbox("DUEWATCH_REMINDERS__SEND_AT=12:00", "DUEWATCH_REMINDERS__SKIP_WEEKDAYS=sat,sun"))
	say := func(service string) (out []string) {
		for _, s := range cfg.Settings(service) {
			if s.Layer != LayerDefault || slices.Contains([]string{"holidays", "window", "templates.sw.after"}, s.Key) {
				out = append(out, fmt.Sprintf("%s = %s: %s %d%s", s.Key, s.Value, s.Layer, s.Line, s.Variable))
			}
		}
		return out
	}
	rest := []string{"window = 08:00-18:00: default 0", "skip_weekdays = sat, sun: environment 0DUEWATCH_REMINDERS__SKIP_WEEKDAYS"}
	swAfter := reminder.DefaultTemplates()["sw"].After
	for service, want := range map[string][]string{
		"17": slices.Concat([]string{"days_before = 5: reminders 2", "send_at = 11:00: service 12"}, rest, []string{
			"holidays = : service 13", "min_balance = 30: service 11", "templates.en.after = {{.Account}} {{.DueDate}}: reminders 7",
			"templates.sw.before = {{.Account}} {{.DueDate}}: service 14", "templates.sw.after = " + swAfter + ": default 0",
		}),
		"no such": slices.Concat([]string{"days_before = 5: reminders 2", "send_at = 12:00: environment 0DUEWATCH_REMINDERS__SEND_AT"}, rest, []string{
			"holidays = : default 0", "min_balance = 20: reminders 4", "templates.en.after = {{.Account}} {{.DueDate}}: reminders 7", "templates.sw.after = " + swAfter + ": default 0",
		}),
	} {
		if diff := cmp.Diff(want, say(service)); diff != "" {
			t.Errorf("service %s (-want +got):\n%s", service, diff)
		}
	}
	if !reflect.DeepEqual(cfg.Settings("no such"), cfg.Settings("neither")) {
		t.Error("two services without an entry differ")
	}
}

// How a service is paid is its own, and no key of reminders:.
func TestAServiceSaysHowItIsPaid(t *testing.T) {
	const base = "services:\n- {id: 2, name: B}\n- id: 1\n  name: A\n"
	was := mustLoad(t, base, sandbox())
	cfg := mustLoad(t, base+"  pay: Paybill 888880\n", sandbox())
	if got := cfg.Policies.For("1").Pay; got != "Paybill 888880" || cfg.Services[1].Pay != got {
		t.Errorf("it is paid by %q and %q", got, cfg.Services[1].Pay)
	}
	if cfg.Policies.For("2").Pay != "" || cfg.Policies.Default.Pay != "" {
		t.Error("others have it too")
	}
	if cfg.Fingerprint() == was.Fingerprint() {
		t.Error("the fingerprint is the same")
	}
	for id, want := range map[string]Setting{
		"1": {Key: "pay", Value: "Paybill 888880", Layer: LayerService, Line: 5},
		"2": {Key: "pay", Layer: LayerDefault},
	} {
		all := cfg.Settings(id)
		if diff := cmp.Diff(want, all[len(all)-1]); diff != "" {
			t.Errorf("service %s (-want +got):\n%s", id, diff)
		}
	}
}
