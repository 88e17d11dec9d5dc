package reminder

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseTemplatesShipped(t *testing.T) {
	templates, err := ParseTemplates(DefaultTemplates())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"en", "sw"}, templates.Languages()); diff != "" {
		t.Errorf("Languages (-want +got):\n%s", diff)
	}
	if !templates.Has("sw") || templates.Has("fr") || templates.Has("") || (Templates{}).Has("en") {
		t.Error("Has is wrong")
	}
}

func TestParseTemplatesRefuses(t *testing.T) {
	tests := map[string]struct{ language, before, says string }{
		"empty":                         {"en", "", "is empty"},
		"only space":                    {"en", " \n ", "is empty"},
		"only a comment":                {"en", "{{/* later */}}", "empty text"},
		"only a definition":             {"en", `{{define "x"}}a{{end}}`, "empty text"},
		"empty without an amount":       {"en", "{{with .Amount}}Pay {{.}}{{end}}", "empty text"},
		"empty without a name":          {"en", "{{.Customer}}", "empty text"},
		"only control characters":       {"en", "\u200b\u00ad", "empty text"},
		"not closed":                    {"en", "Due {{.When", "unclosed action"},
		"unknown function":              {"en", `{{env "HOME"}}`, "not defined"},
		"unknown field":                 {"en", "Due {{.Due}}", "names .Due, which does not exist: use .Customer, .Service, .Account, .Description, .Amount, .DueDate, .When, .Days"},
		"unknown field in a branch":     {"en", "a{{if gt .Days 900}}{{.Foo}}{{end}}", "names .Foo"},
		"unknown field in an else":      {"en", "a{{with .Account}}{{.}}{{else}}{{$.Foo}}{{end}}", "names .Foo"},
		"unknown field in a pipe":       {"en", `a{{printf "%s" .Foo}}{{(len .Bar)}}`, "names .Bar"},
		"unknown field in a definition": {"en", `{{define "x"}}{{.Foo}}{{end}}a`, "names .Foo"},
		"a field of a field":            {"en", "a{{if gt .Days 900}}{{.Customer.Name}}{{end}}", "names .Customer.Name"},
		"fails when rendered":           {"en", "a{{index .Customer 99}}", "out of range"},
		"days left in French":           {"fr", "Facture {{.When}}", "names .When, which is worded in en and sw only: use .Days or .DueDate"},
		"days left in French, by $":     {"fr", "Facture{{with .Amount}} {{$.When}}{{end}}", "names .When"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			for _, kind := range []string{"before", "after"} {
				src := TemplateSource{Before: "ok", After: "ok"}
				if kind == "before" {
					src.Before = tt.before
				} else {
					src.After = tt.before
				}
				templates, err := ParseTemplates(map[string]TemplateSource{tt.language: src})
				var fault *TemplateError
				if !errors.As(err, &fault) {
					t.Fatalf("%s: error %v, want a *TemplateError", kind, err)
				}
				if fault.Language != tt.language || fault.Kind != kind || !strings.Contains(fault.Err.Error(), tt.says) {
					t.Errorf("%s: %q does not say %q", kind, err, tt.says)
				}
				if len(templates.Languages()) != 0 {
					t.Errorf("%s: templates beside the error", kind)
				}
			}
		})
	}
}

func TestParseTemplatesReportsEveryFault(t *testing.T) {
	_, err := ParseTemplates(map[string]TemplateSource{
		"sw": {Before: "{{.Foo}} {{.Bar}}", After: "ok"},
		"en": {Before: "{{", After: ""},
	})
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		t.Fatalf("error %v is not a join", err)
	}
	var places []string
	for _, e := range joined.Unwrap() {
		var fault *TemplateError
		if !errors.As(e, &fault) {
			t.Fatalf("%v is not a *TemplateError", e)
		}
		places = append(places, fault.Language+"."+fault.Kind)
	}
	if want := []string{"en.before", "en.after", "sw.before"}; !slices.Equal(places, want) {
		t.Errorf("faults in %v, want %v", places, want)
	}
	if !strings.Contains(err.Error(), ".Foo") || !strings.Contains(err.Error(), ".Bar") {
		t.Errorf("%q does not name both fields", err)
	}
}

func TestParseTemplatesTakesWhatTextTemplateOffers(t *testing.T) {
	for name, source := range map[string]string{
		"variables": `{{$n := .Days}}{{if eq $n 0}}today{{else}}{{$n}} days{{end}}`,
		"functions": `{{printf "%.10s" .Service}} {{len .Account}} {{slice .Account 0 3}}`,
		"nested":    `{{if and .Customer (gt .Days 1)}}{{.Customer}}{{else if .Amount}}{{.Amount}}{{else}}x{{end}}`,
		"trimmed":   "a {{- with .Description}} ({{.}}){{end -}}\n b",
		"partial":   `{{define "who"}}{{or .Customer "customer"}}{{end}}Dear {{template "who" .}}`,
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := ParseTemplates(map[string]TemplateSource{"en": {Before: source, After: source}}); err != nil {
				t.Error(err)
			}
		})
	}
}
