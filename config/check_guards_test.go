package config

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"duewatch/reminder"
)

// Every policy has the guards: they count over all services.
func TestGuards(t *testing.T) {
	cfg := mustLoad(t, `
guards:
  max_texts_per_day: 10000000
  surge: 2.5
  surge_from: 1
  implausible_balance: 0
  implausible_from: 99.90
  monthly_segments: 1000000000
  max_failure_rate: 12.5%
  max_removed: 35%
services: [{id: 1, name: Water, days_before: [1]}]
`, sandbox("DUEWATCH_GUARDS__SURGE_FROM=50"))
	want := reminder.Guards{
		MaxTextsPerDay: 10_000_000, Surge: 2.5, SurgeFrom: 50,
		ImplausibleFrom: reminder.MustMoney("99.9"),
		MonthlySegments: 1_000_000_000, MaxFailureRate: 0.125,
	}
	for name, got := range map[string]reminder.Guards{"config": cfg.Guards, "default": cfg.Policies.Default.Guards, "service": cfg.Policies.For("1").Guards} {
		if diff := cmp.Diff(want, got, compare); diff != "" {
			t.Errorf("guards of %s (-want +got):\n%s", name, diff)
		}
	}
	if cfg.MaxRemoved != .35 {
		t.Errorf("max_removed is %v", cfg.MaxRemoved)
	}
	off := mustLoad(t, "guards: {surge: 0, implausible_balance: 0, implausible_from: 0, max_failure_rate: 0%, max_removed: 0%}\n", sandbox())
	if off.MaxRemoved != 0 {
		t.Errorf("max_removed is off, and %v", off.MaxRemoved)
	}
	if diff := cmp.Diff(reminder.Guards{SurgeFrom: 1000}, off.Guards, compare); diff != "" {
		t.Errorf("all off (-want +got):\n%s", diff)
	}
}

func TestGuardProblems(t *testing.T) {
	for _, tc := range []problemCase{
		{name: "wrong", yaml: "guards:\n  max_texts_per_day: -1\n  surge: 1.5\n  surge_from: 0\n  implausible_balance: ten\n  implausible_from: KES 5\n  monthly_segments: 1e6\n  max_failure_rate: 0.5\n  max_removed: 0.2\n", want: []string{
			`config.yaml:2: guards.max_texts_per_day: "-1" is out of range: write a number from 0 to 10000000`,
			`config.yaml:3: guards.surge: "1.5" is out of range: write 0 for off, or a number from 2 to 1000`,
			`config.yaml:4: guards.surge_from: "0" is out of range: write a number from 1 to 10000000`,
			`config.yaml:5: guards.implausible_balance: "ten" is not a number: write 0 for off, or one from 2 to 1000`,
			`config.yaml:6: guards.implausible_from: "KES 5" is not an amount: write digits with a decimal point, such as 1250.50`,
			`config.yaml:7: guards.monthly_segments: "1e6" is not a whole number: write one from 0 to 1000000000`,
			`config.yaml:8: guards.max_failure_rate: "0.5" is not a percentage: write 0% for off, or a percentage from 1% to 100%`,
			`config.yaml:9: guards.max_removed: "0.2" is not a percentage: write 0% for off, or a percentage from 1% to 100%`}},
		{name: "out of range", yaml: "guards:\n  max_texts_per_day: 10000001\n  surge: 1001\n  surge_from: 10000001\n  implausible_balance: -10\n  implausible_from: -1\n  monthly_segments: 1000000001\n  max_failure_rate: 0.5%\n", want: []string{
			`config.yaml:2: guards.max_texts_per_day: "10000001" is out of range: write a number from 0 to 10000000`,
			`config.yaml:3: guards.surge: "1001" is out of range: write 0 for off, or a number from 2 to 1000`,
			`config.yaml:4: guards.surge_from: "10000001" is out of range: write a number from 1 to 10000000`,
			`config.yaml:5: guards.implausible_balance: "-10" is not a number: write 0 for off, or one from 2 to 1000`,
			`config.yaml:6: guards.implausible_from: "-1" is negative: write 0 or more`,
			`config.yaml:7: guards.monthly_segments: "1000000001" is out of range: write a number from 0 to 1000000000`,
			`config.yaml:8: guards.max_failure_rate: "0.5%" is out of range: write 0% for off, or a percentage from 1% to 100%`}},
		{name: "percentages", yaml: "guards: {max_failure_rate: 101%}\n", env: []string{"DUEWATCH_GUARDS__MAX_FAILURE_RATE=NaN%"}, want: []string{
			`$DUEWATCH_GUARDS__MAX_FAILURE_RATE: guards.max_failure_rate: "NaN%" is not a percentage: write 0% for off, or a percentage from 1% to 100%`}},
		{name: "misspelt, or in the wrong place", yaml: "guards:\n  surges: 3\n  surge: [3]\nreminders: {monthly_segments: 1}\nservices: [{id: 1, name: A, guards: {surge: 3}}]\n", want: []string{
			"config.yaml:2: guards.surges: unknown key, did you mean surge?",
			"config.yaml:3: guards.surge: is a list or a group of keys: write one value",
			"config.yaml:4: reminders.monthly_segments: unknown key, did you mean guards.monthly_segments? Look at the indent",
			"config.yaml:5: services[0].guards: unknown key, did you mean guards? Look at the indent"}},
	} {
		tc.run(t)
	}
}
