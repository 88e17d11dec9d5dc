package config

import (
	"reflect"
	"testing"

	"duewatch/reminder"
)

func TestFingerprint(t *testing.T) {
	const base = `
notifier: {mode: allowlist, allowlist: [0710000001], redirect_to: 0710000011}
services: [{id: 1, name: Water}]
`
	was := mustLoad(t, base, sandbox()).Fingerprint()
	if again := mustLoad(t, base, sandbox()).Fingerprint(); again != was {
		t.Error("two loads of one file differ")
	}
	for env, changes := range map[string]bool{
		"DUEWATCH_TIMEZONE=UTC":                                                         true,
		"DUEWATCH_NOTIFIER__MODE=live":                                                  true,
		"DUEWATCH_NOTIFIER__ALLOWLIST=0710000002":                                       true, // masked like the first
		"DUEWATCH_NOTIFIER__REDIRECT_TO=0710000021":                                     true,
		"DUEWATCH_NOTIFIER__MAX_SEGMENTS=3":                                             true,
		"DUEWATCH_REMINDERS__DAYS_BEFORE=7,3":                                           true,
		"DUEWATCH_REMINDERS__DAYS_AFTER=1":                                              true,
		"DUEWATCH_REMINDERS__SEND_AT=09:01":                                             true,
		"DUEWATCH_REMINDERS__WINDOW=08:00-18:01":                                        true,
		"DUEWATCH_REMINDERS__SKIP_WEEKDAYS=sun":                                         true,
		"DUEWATCH_REMINDERS__HOLIDAYS=2026-12-25":                                       true,
		"DUEWATCH_REMINDERS__MIN_BALANCE=2":                                             true,
		"DUEWATCH_REMINDERS__MAX_BALANCE_AGE=2h":                                        true,
		"DUEWATCH_REMINDERS__STALE_BALANCE=skip":                                        true,
		"DUEWATCH_REMINDERS__PER_NUMBER_DAILY=2":                                        true,
		"DUEWATCH_REMINDERS__BUNDLE=false":                                              true,
		"DUEWATCH_REMINDERS__BUNDLE_DAYS=3":                                             true,
		"DUEWATCH_REMINDERS__LANGUAGE=sw":                                               true,
		"DUEWATCH_REMINDERS__TEMPLATES__EN__BEFORE={{.Account}} {{.When}} {{.DueDate}}": true,
		"DUEWATCH_GUARDS__MAX_TEXTS_PER_DAY=5000":                                       true,
		"DUEWATCH_GUARDS__SURGE=5":                                                      true,
		"DUEWATCH_GUARDS__SURGE_FROM=500":                                               true,
		"DUEWATCH_GUARDS__IMPLAUSIBLE_BALANCE=5":                                        true,
		"DUEWATCH_GUARDS__IMPLAUSIBLE_FROM=5000":                                        true,
		"DUEWATCH_GUARDS__MONTHLY_SEGMENTS=90000":                                       true,
		"DUEWATCH_GUARDS__MAX_FAILURE_RATE=20%":                                         true,
		"DUEWATCH_REMINDERS__MIN_BALANCE=1":                                             false,
		"DUEWATCH_GUARDS__SURGE=10.0":                                                   false,
		"DUEWATCH_GUARDS__IMPLAUSIBLE_FROM=10000":                                       false,
		"DUEWATCH_REMINDERS__DAYS_BEFORE=0,3,7":                                         false,
		"DUEWATCH_ALMARA__RATE=1":                                                       false,
		"DUEWATCH_SCHEDULE__REMIND=@every 5m":                                           false,
		"DUEWATCH_LOG__LEVEL=debug":                                                     false,
	} {
		if changed := mustLoad(t, base, sandbox(env)).Fingerprint() != was; changed != changes {
			t.Errorf("%s: changed is %v, want %v", env, changed, changes)
		}
	}

	// The sandbox writes into a loaded config.
	cfg := mustLoad(t, base, sandbox())
	cfg.Policies.ByService["1"].Window = reminder.Window{From: 0, To: 24 * 60}
	if cfg.Fingerprint() == was {
		t.Error("does not follow a change to the Config")
	}
}

// A field that is new in Policy has to be encoded by Fingerprint, or left out
// on purpose.
func TestFingerprintKnowsEveryFieldOfPolicy(t *testing.T) {
	const known = 19
	if n := reflect.TypeFor[reminder.Policy]().NumField(); n != known {
		t.Errorf("Policy has %d fields, Fingerprint was written for %d: see that JSON tells their values apart", n, known)
	}
}
