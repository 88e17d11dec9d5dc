package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Whatever is linked into the program has a licence that this package knows: a new
// library that has none fails here, and not when the next package is built.
func TestEveryLinkedModuleHasItsLicence(t *testing.T) {
	// The go command reads them too, but where go test does not see it, and would show a result of
	// before the last change.
	for _, file := range []string{"../go.mod", "../go.sum"} {
		if _, err := os.ReadFile(file); err != nil {
			t.Fatal(err)
		}
	}
	parts, err := linked("duewatch")
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	if err := write(&out, parts, true); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n",
		"Go,?its?library?and?runtime@go1.", "golang.org/x/time@v", "SQLite?(in?github.com/mattn/go-sqlite3)@v",
		// Taken over by another module, with a licence of its own.
		"github.com/prometheus/client_golang/internal/github.com/golang/gddo@v",
		// Of a licence that names nobody: from a NOTICE, and from the sources.
		"2018 CoreOS, Inc", "Google Inc",
		// What comes with a licence and must be passed on.
		" PATENTS:\n", " NOTICE:\n",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the file does not say %q", want)
		}
	}
	var full strings.Builder
	if err := write(&full, parts, false); err != nil {
		t.Fatal(err)
	}
	const apache = "TERMS AND CONDITIONS FOR USE, REPRODUCTION, AND DISTRIBUTION"
	if strings.Contains(out.String(), apache) || !strings.Contains(full.String(), apache) {
		t.Error("the text of the Apache licence is in the file for Debian, which has it, or in no other")
	}
	for line := range strings.Lines(out.String()) {
		if field, _, ok := strings.Cut(line, ":"); line != "\n" && line[0] != ' ' && (!ok || strings.Contains(field, " ")) {
			t.Errorf("neither a field nor the rest of one: %q", line)
		}
	}
}

func TestALicenceThatIsNotKnownHasToBeReadFirst(t *testing.T) {
	for name, tt := range map[string]struct{ text, want string }{
		"none":         {"", "has no licence"},
		"a new one":    {"The Do As You Are Told License\n\nDo.", `begins with "The Do As You Are Told License" is not known`},
		"broken lines": {"Permission is hereby granted, free of charge,\nto any person obtaining a copy", ""},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if tt.text != "" {
				if err := os.WriteFile(filepath.Join(dir, "LICENSE"), []byte(tt.text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			p, err := read(dir, "example.org/thing", "v1.2.3")
			if tt.want == "" {
				if err != nil || p.license != "MIT" {
					t.Errorf("%q, %v", p.license, err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), "example.org/thing v1.2.3") {
				t.Errorf("%v", err)
			}
		})
	}
}
