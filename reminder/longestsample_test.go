package reminder

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestLongestSamples(t *testing.T) {
	p := wordPolicy(t, map[string]TemplateSource{"fr": {Before: "Facture {{.Account}} – ⚡ {{.DueDate}}", After: strings.Repeat("Facture ", 40) + "{{.Customer}}"}})
	type row struct {
		Language, Which string
		Forcing         rune
		TooLong         bool
	}
	var got []row
	for _, s := range p.LongestSamples() {
		got = append(got, row{s.Language, s.Kind, s.Draft.Count.Forcing, errors.Is(s.Err, ErrTooLong)})
		if s.Draft.Body == "" || s.Draft.Language != s.Language {
			t.Errorf("%s.%s: %+v", s.Language, s.Kind, s.Draft)
		}
		if s.Language == "en" && !strings.Contains(s.Draft.Body, "Company Ltd") {
			t.Errorf("%s.%s has not the whole name: %q", s.Language, s.Kind, s.Draft.Body)
		}
	}
	want := []row{
		{"en", "before", 0, false}, {"en", "after", 0, false},
		{"fr", "before", '⚡', false}, {"fr", "after", 0, true},
		{"sw", "before", 0, false}, {"sw", "after", 0, false},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Specimens (-want +got):\n%s", diff)
	}
}
