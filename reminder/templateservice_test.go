package reminder

import "testing"

func TestJudgesService(t *testing.T) {
	shipped, err := ParseTemplates(DefaultTemplates())
	if err != nil {
		t.Fatal(err)
	}
	if shipped.JudgesService() {
		t.Error("the shipped texts are worded by service")
	}
	for name, tt := range map[string]struct {
		text string
		want bool
	}{
		"names it":                   {"{{.Service}} {{.Account}}", false},
		"names it if there is one":   {"{{with .Service}}of {{.}} {{else}}yours {{end}}{{.Account}}{{if .Service}}!{{end}}", false},
		"by another field":           {"{{.Account}}{{if eq .Days 3}} {{.Service}}{{end}}", false},
		"compared":                   {`{{if eq .Service "Rent"}}rent{{else}}{{.Account}}{{end}}`, true},
		"compared through a pipe":    {`{{if .Service | eq "Rent"}}rent{{else}}{{.Account}}{{end}}`, true},
		"compared in brackets":       {`{{if and true (eq (.Service) "Rent")}}rent{{else}}{{.Account}}{{end}}`, true},
		"compared as the dot":        {`{{with .Service}}{{if eq . "Rent"}}rent{{end}}{{end}}{{.Account}}`, true},
		"compared as a variable":     {`{{$s := .Service}}{{if ne $s "Rent"}}{{.Account}}{{end}}`, true},
		"compared from the whole":    {`{{with .Account}}{{if ne $.Service "Rent"}}{{.}}{{end}}{{end}}`, true},
		"measured":                   {`{{if gt (len .Service) 4}}{{.Account}}{{end}}`, true},
		"cut":                        {`{{slice .Service 0 1}}{{.Account}}`, true},
		"compared in another's text": {`{{define "x"}}{{if eq . "Rent"}}rent{{end}}{{end}}{{template "x" .Service}}{{.Account}}`, true},
		"named in another's text":    {`{{define "x"}}{{.}}{{end}}{{template "x" .Service}}{{.Account}}`, false},
	} {
		t.Run(name, func(t *testing.T) {
			plain := "{{.Account}} {{.DueDate}} {{.Days}}"
			for _, src := range []TemplateSource{{Before: tt.text, After: plain}, {Before: plain, After: tt.text}, {Before: plain, After: plain, Bundle: "{{range .Bills}}" + tt.text + "{{end}}"}} {
				if name == "compared from the whole" && src.Bundle != "" || src.Bundle != "" && len(tt.text) > 8 && tt.text[:8] == "{{define" {
					continue // not to be written there
				}
				texts, err := ParseTemplates(map[string]TemplateSource{"en": src})
				if err != nil {
					t.Fatal(err)
				}
				if got := texts.JudgesService(); got != tt.want {
					t.Errorf("%+v: %t", src, got)
				}
			}
		})
	}
}
