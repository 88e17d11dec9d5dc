package config

import (
	"errors"
	"os"
	"testing"
	"unicode"
)

// Whatever the file holds, Load ends, with a config that can be used or with
// problems of which each names its line.
func FuzzLoad(f *testing.F) {
	shipped, err := os.ReadFile("../config.yaml")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(shipped)
	for _, seed := range []string{
		"", "a: b", "- x", "store: [a", "store: &a b\nlog: *a", "? [x]\n: y", "---\n---\n", "\xff\xfe", "<<: {a: b}",
		"reminders: {window: 00:00-24:00, send_at: 23:59, holidays: [2026-01-01]}",
		"services: [{id: 1, name: x, templates: {sw: {before: '{{.When}}'}}}]",
		"bills: [{service: 1, account: 0123, phone: 0710000001}]",
		"notifier: {reconcile_after: [1m, 2m], allowlist: [+254710000001]}",
		"guards: {surge: 1e3, implausible_from: 1e3, max_failure_rate: 1e1%}",
		"retention: 106751d1h", "almara: {timeout: 1e9}", "log:\n\tlevel: x",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		cfg, err := load("config.yaml", b, sandbox())
		if err == nil {
			if cfg.Fingerprint() == "" || cfg.Zone == nil || cfg.Policies.Default == nil {
				t.Error("a config without its parts")
			}
			return
		}
		all, ok := errors.AsType[*Error](err)
		if !ok || len(all.Problems) == 0 {
			t.Fatalf("%T without problems: %v", err, err)
		}
		for _, p := range all.Problems {
			if p.Line < 1 || p.Text == "" {
				t.Errorf("no line or no text: %+v", p)
			}
			for _, r := range p.String() {
				if unicode.IsControl(r) {
					t.Errorf("control character in %q", p.String())
				}
			}
		}
	})
}
