package reminder

import (
	"strings"
	"testing"
)

// Whether a template names each account in full is first looked for in its
// words; what stands there by itself is not taken for an account.
func TestAlikeBundlesFindAccounts(t *testing.T) {
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
