package reminder

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestAmbiguousTemplatesAreNamed(t *testing.T) {
	const (
		lead     = "can give two texts of one phone the same words, so that one that was lost would pass for sent: "
		accounts = "for two accounts (name .Account in full)"
		dates    = "for two due dates (name .DueDate)"
		good     = "{{.Account}} {{.When}} {{.DueDate}}"
	)
	tests := map[string]struct {
		language      string
		before, after string // "" = good
		stages        []Stage
		want          []string // for example "en.before: for two accounts"
	}{
		"good":                        {stages: []Stage{-60, -7, -1, 0, 1, 60}},
		"every field":                 {before: "{{.Customer}} {{.Service}} {{.Account}} {{.Description}} {{.Amount}} {{.DueDate}} {{.When}} {{.Days}}"},
		"days in place of when":       {before: "{{.Account}} {{.Days}} {{.DueDate}}"},
		"day worded by the template":  {before: "{{.Account}} {{if eq .Days 7}}in a week{{else if .Days}}soon{{else}}now{{end}} {{.DueDate}}"},
		"not used":                    {after: "Pay!", stages: []Stage{-3, 0}},
		"none of both used":           {before: "Pay!", after: "Pay!", stages: []Stage{}},
		"one stage needs no day":      {before: "{{.Account}} {{.DueDate}}", stages: []Stage{-3}},
		"one stage each, other words": {before: "{{.Account}} {{.DueDate}}", after: "{{.Account}}: {{.DueDate}}", stages: []Stage{-3, 2}},
		"other language":              {language: "fr", before: "{{.Account}} {{.Days}} {{.DueDate}}", after: "{{.Account}}: {{.Days}} {{.DueDate}}"},

		"no account": {before: "{{.Customer}} {{.Amount}} {{.When}} {{.DueDate}}", want: []string{
			"en.before: " + accounts}},
		"end of the account": {before: "{{slice .Account 3}} {{.When}} {{.DueDate}}", want: []string{
			"en.before: " + accounts}},
		"start of the account": {before: "{{slice .Account 0 4}} {{.When}} {{.DueDate}}", want: []string{
			"en.before: " + accounts}},
		"account beside an amount only": {before: "{{with .Amount}}{{$.Account}}: {{.}}{{end}} {{.When}} {{.DueDate}}", want: []string{
			"en.before: for two accounts when .Amount is empty (name .Account in full)"}},
		"account for strangers only": {before: "{{if .Customer}}Hello{{else}}{{.Account}}{{end}} {{.When}} {{.DueDate}}", want: []string{
			"en.before: " + accounts}},
		"account unless nothing is known": {before: "{{if or .Customer .Amount .Description}}{{.Account}}{{end}} {{.When}} {{.DueDate}}", want: []string{
			"en.before: for two accounts when .Amount and .Customer and .Description are empty (name .Account in full)"}},
		"account on the due day only": {before: "{{if not .Days}}{{.Account}}{{end}} {{.When}} {{.DueDate}}", want: []string{
			"en.before: " + accounts}},

		"no day": {before: "{{.Account}} {{.DueDate}}", want: []string{
			"en.before: for the stages 7 days before and 3 days before (name .When or .Days)"}},
		"no day after": {after: "{{.Account}} {{.DueDate}} {{.Amount}}", want: []string{
			"en.after: for the stages 2 days after and 5 days after (name .When or .Days)"}},
		"no day in another language": {language: "fr", before: "{{.Account}} {{.DueDate}}", want: []string{
			"fr.before: for the stages 7 days before and 3 days before (name .Days)"}},
		"two of three days alike": {before: "{{.Account}} {{if gt .Days 3}}soon{{else}}now{{end}} {{.DueDate}}", want: []string{
			"en.before: for the stages 3 days before and due day (name .When or .Days)"}},
		"day beside an amount only": {before: "{{.Account}} {{with .Amount}}{{.}} {{$.When}}{{end}} {{.DueDate}}", want: []string{
			"en.before: for the stages 7 days before and 3 days before when .Amount is empty (name .When or .Days)"}},
		"before like after": {before: "{{.Account}} {{.DueDate}} {{.Days}}", after: "{{.Account}} {{.DueDate}} {{.Days}}", stages: []Stage{-3, 3}, want: []string{
			"en.after: for the stages 3 days before and 3 days after (word them differently)"}},

		"no due date": {before: "{{.Account}} {{.When}}", want: []string{
			"en.before: " + dates}},
		"day of the due date without its month": {before: "{{.Account}} {{.When}} {{slice .DueDate 0 2}}", want: []string{
			"en.before: " + dates}},
		"due date for strangers only": {before: "{{.Account}} {{.When}} {{if not .Customer}}{{.DueDate}}{{end}}", want: []string{
			"en.before: " + dates}},

		"nothing but the amount, in all texts": {before: "{{.Customer}}, pay {{.Amount}}", after: "{{.Customer}}, pay {{.Amount}} now", want: []string{
			"en.before: " + accounts + "; for the stages 7 days before and 3 days before (name .When or .Days); " + dates,
			"en.after: " + accounts + "; for the stages 2 days after and 5 days after (name .When or .Days); " + dates}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if tt.stages == nil {
				tt.stages = []Stage{-7, -3, 0, 2, 5}
			}
			language, src := "en", TemplateSource{Before: good, After: good + "!"}
			if tt.language != "" {
				language = tt.language
			}
			if tt.before != "" {
				src.Before = tt.before
			}
			if tt.after != "" {
				src.After = tt.after
			} else if language != "en" {
				src.After = "{{.Account}} {{.Days}} {{.DueDate}}!"
			}
			p := wordPolicy(t, map[string]TemplateSource{language: src})
			p.Stages = tt.stages
			var want []string
			for _, w := range tt.want {
				kind, fault, _ := strings.Cut(w, ": ")
				want = append(want, "template "+kind+": "+lead+fault)
			}
			if diff := cmp.Diff(want, ambiguousFaults(t, p)); diff != "" {
				t.Errorf("Alike (-want +got):\n%s", diff)
			}
		})
	}
}

// The shipped texts pass whatever the stages, and with a service or without.
func TestTheShippedTemplatesAreNotAmbiguous(t *testing.T) {
	p := wordPolicy(t, nil)
	p.Stages = nil
	for stage := Stage(-60); stage <= 60; stage++ {
		p.Stages = append(p.Stages, stage)
	}
	for _, service := range []string{"", "Kenya Power"} {
		p.ServiceName = service
		if err := p.Ambiguous(); err != nil {
			t.Errorf("service %q: %v", service, err)
		}
	}
}

// A text that cannot be worded on one of the days is a fault too.
func TestAmbiguousNamesATextThatCannotBeWorded(t *testing.T) {
	p := wordPolicy(t, map[string]TemplateSource{"en": {Before: `{{slice "abcdef" .Days}} {{.Account}} {{.DueDate}}`, After: "{{.Account}} {{.When}} {{.DueDate}}"}})
	faults := ambiguousFaults(t, p)
	if len(faults) != 1 || !strings.HasPrefix(faults[0], "template en.before: render template: ") {
		t.Errorf("faults %q", faults)
	}
}

// Two services may have the same account number.
func TestAmbiguousServices(t *testing.T) {
	const named, bare = "{{.Service}} {{.Account}} {{.When}} {{.DueDate}}", "{{.Account}} {{.When}} {{.DueDate}}"
	type service struct {
		name, before, after string
		stages              []Stage
	}
	tests := map[string]struct {
		services map[string]service
		want     []AmbiguousServices
	}{
		"named":                            {map[string]service{"1": {"Water", named, named + "!", nil}, "2": {"Power", named, named + "!", nil}}, nil},
		"one alone need not be named":      {map[string]service{"1": {"Water", bare, bare + "!", nil}}, nil},
		"one named and one not":            {map[string]service{"1": {"Water", named, named + "!", nil}, "2": {"Power", bare, bare + "!", nil}}, nil},
		"told apart by other words":        {map[string]service{"1": {"Water", "W " + bare, "-" + bare, nil}, "2": {"Power", "P " + bare, "!" + bare, nil}}, nil},
		"not named":                        {map[string]service{"1": {"Water", bare, named + "!", nil}, "2": {"Power", bare, named + "!", nil}}, []AmbiguousServices{{"2", "1", "en", "before"}}},
		"of one name":                      {map[string]service{"1": {"Water", named, named + "!", nil}, "2": {"Water", named, "2" + named, nil}}, []AmbiguousServices{{"2", "1", "en", "before"}, {"2", "1", "sw", "before"}, {"2", "1", "sw", "after"}}},
		"named beside an amount only":      {map[string]service{"1": {"Water", "{{if .Amount}}" + named + "{{else}}" + bare + "{{end}}", "1" + bare, nil}, "2": {"Power", "{{if .Amount}}" + named + "{{else}}" + bare + "{{end}}", "2" + bare, nil}}, []AmbiguousServices{{"2", "1", "en", "before"}}},
		"of stages that differ":            {map[string]service{"1": {"Water", bare, bare + "!", []Stage{-7}}, "2": {"Power", bare, bare + "!", []Stage{-3}}}, []AmbiguousServices{{"2", "1", "en", "before"}}},
		"not named where it is not used":   {map[string]service{"1": {"Water", named, bare, []Stage{-3, 2}}, "2": {"Power", named, bare, []Stage{-3}}}, nil},
		"after the due date, two of three": {map[string]service{"1": {"Water", named, bare, nil}, "2": {"Power", named, named + "!", nil}, "3": {"Rent", named, bare, nil}}, []AmbiguousServices{{"3", "1", "en", "after"}}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			p := Policies{ByService: map[string]*Policy{}}
			for id, s := range tt.services {
				q := wordPolicy(t, map[string]TemplateSource{"en": {Before: s.before, After: s.after}})
				q.ServiceName, q.Stages = s.name, s.stages
				if q.Stages == nil {
					q.Stages = []Stage{-3, 0, 2}
				}
				p.ByService[id] = q
			}
			if diff := cmp.Diff(tt.want, p.Ambiguous()); diff != "" {
				t.Errorf("Alike (-want +got):\n%s", diff)
			}
		})
	}
}

// ambiguousFaults are what Alike reports, each checked to be a *TemplateError.
func ambiguousFaults(t *testing.T, p *Policy) []string {
	t.Helper()
	err := p.Ambiguous()
	if err == nil {
		return nil
	}
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		t.Fatalf("%T is not joined errors: %v", err, err)
	}
	var out []string
	for _, e := range joined.Unwrap() {
		if _, ok := errors.AsType[*TemplateError](e); !ok {
			t.Errorf("%T is not a *TemplateError: %v", e, e)
		}
		out = append(out, e.Error())
	}
	return out
}

// Whether a template names each account in full is first looked for in its
// words; what stands there by itself is not taken for an account.
func TestAmbiguousBundlesNameTheirAccounts(t *testing.T) {
	const dates = `{{range .Bills}}{{.DueDate}} in {{.Days}} days {{end}}`
	for name, tt := range map[string]struct {
		bundle string
		sound  bool
	}{
		"each in full":                             {`{{range .Bills}}{{.Account}}, {{end}}` + dates, true},
		"each in full, and a number":               {`call 1234561 or 8234561: {{range .Bills}}{{.Account}}, {{end}}` + dates, true},
		"each in two parts":                        {`{{range .Bills}}{{slice .Account 0 3}}-{{slice .Account 3}}, {{end}}` + dates, true},
		"a number that is no account, for each":    {`call 1234561, 1234562, 1234563: ` + dates, false},
		"the last digits of each":                  {`{{range .Bills}}{{slice .Account 4}}, {{end}}` + dates, false},
		"the first digits of each, and the number": {`call 1234561, 1234562, 1234563: {{range .Bills}}{{slice .Account 0 6}}, {{end}}` + dates, false},
		"the first one's only":                     {`{{with index .Bills 0}}{{.Account}}{{end}} ` + dates, false},
		"all but the second one's":                 {`{{range $i, $b := .Bills}}{{if ne $i 1}}{{$b.Account}} {{end}}{{end}}` + dates, false},
	} {
		t.Run(name, func(t *testing.T) {
			templates, err := ParseTemplates(map[string]TemplateSource{"en": {
				Before: "{{.Account}} {{.DueDate}} in {{.Days}}", After: "{{.Account}} {{.DueDate}} past {{.Days}}", Bundle: tt.bundle,
			}})
			if err != nil {
				t.Fatal(err)
			}
			p := &Policy{ServiceName: "Water", Currency: "KES", Language: "en", Stages: []Stage{-3, 0}, Templates: templates, Bundle: true, MaxSegments: 2}
			err = p.Ambiguous()
			if tt.sound && err != nil {
				t.Error(err)
			}
			if !tt.sound && (err == nil || !strings.Contains(err.Error(), "two accounts")) {
				t.Errorf("the fault is not found: %v", err)
			}
		})
	}
}
