package reminder

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"text/template"
	"text/template/parse"
)

// TemplateSource is one language's texts as written in the config, in the
// language of Go's text/template. What they may name is in Fields.
type TemplateSource struct {
	Before string // for texts before the due date and on it
	After  string // for texts after it
	Bundle string // for texts about several bills; "" = there are none in this language
}

// DefaultTemplates are the texts that duewatch ships: English and Swahili, one
// GSM-7 segment each with ordinary data, and nothing in them but the bill. One that
// ends with how to pay names the account there, where it is needed, and only there:
// else most Swahili texts would have no room for it.
// The caller may change the map.
func DefaultTemplates() map[string]TemplateSource {
	return map[string]TemplateSource{
		"en": {
			Before: "{{with .Customer}}Hello {{.}}, your{{else}}Your{{end}} {{.Service}} bill " +
				"{{if .PayIfRoom}}{{else}}(account {{.Account}}) {{end}}is due {{.When}}, on {{.DueDate}}. " +
				"{{with .Amount}}Amount due: {{.}}.{{else}}Please ignore if paid.{{end}}{{with .PayIfRoom}} Pay: {{.}}, account {{$.Account}}.{{end}}",
			After: "{{with .Customer}}Hello {{.}}, your{{else}}Your{{end}} {{.Service}} bill " +
				"{{if .PayIfRoom}}{{else}}(account {{.Account}}) {{end}}was due {{.When}}, on {{.DueDate}}. " +
				"{{with .Amount}}Unpaid: {{.}}. {{end}}" +
				"{{with .PayIfRoom}}If not paid yet: {{.}}, account {{$.Account}}.{{else}}Please ignore if paid.{{end}}",
			Bundle: "{{with .Customer}}Hello {{.}}, your{{else}}Your{{end}} {{.Count}} bills:{{range $i, $bill := .Bills}}{{if $i}};{{end}} " +
				"{{with .Service}}{{.}}{{else}}account{{end}} {{.Account}}:{{with .Amount}} {{.}},{{end}} due {{.When}}, {{.DueDate}}{{end}}. " +
				"{{with .Total}}Total: {{.}}.{{else}}Please ignore what is paid.{{end}}{{with .PayIfRoom}} Pay each account: {{.}}.{{end}}",
		},
		"sw": {
			Before: "{{with .Customer}}Habari {{.}}, mwisho{{else}}Mwisho{{end}} wa kulipa bili {{with .Service}}ya {{.}} {{end}}" +
				"{{if .PayIfRoom}}{{else}}(akaunti {{.Account}}) {{end}}ni {{.When}}, tarehe {{.DueDate}}. " +
				"{{with .Amount}}Kiasi: {{.}}.{{else}}Kama umelipa, asante.{{end}}{{with .PayIfRoom}} Lipa: {{.}}, akaunti {{$.Account}}.{{end}}",
			After: "{{with .Customer}}Habari {{.}}, bili{{else}}Bili{{end}} {{with .Service}}ya {{.}} {{end}}" +
				"{{if .PayIfRoom}}{{else}}(akaunti {{.Account}}) {{end}}ilipaswa kulipwa {{.When}}, {{.DueDate}}. " +
				"{{with .Amount}}Deni: {{.}}.{{else}}Kama umelipa, asante.{{end}}" +
				"{{with .PayIfRoom}} Lipa: {{.}}, akaunti {{$.Account}}.{{else}}{{if .Amount}} Asante.{{end}}{{end}}",
			Bundle: "{{with .Customer}}Habari {{.}}, bili{{else}}Bili{{end}} {{.Count}} za kulipa:{{range $i, $bill := .Bills}}{{if $i}};{{end}} " +
				"{{with .Service}}{{.}}{{else}}akaunti{{end}} {{.Account}}:{{with .Amount}} {{.}},{{end}} mwisho {{.When}}, {{.DueDate}}{{end}}. " +
				"{{with .Total}}Jumla: {{.}}.{{else}}Kama umelipa, asante.{{end}}{{with .PayIfRoom}} Lipa kila akaunti: {{.}}.{{end}}",
		},
	}
}

// The texts of a language, as they are called in the config.
const (
	kindBefore = "before"
	kindAfter  = "after"
	kindBundle = "bundle"
)

// TemplateError is a fault in one text of the config.
type TemplateError struct {
	Language string
	Kind     string // "before", "after" or "bundle"
	Err      error
}

func (e *TemplateError) Error() string {
	return fmt.Sprintf("template %s.%s: %v", e.Language, e.Kind, e.Err)
}

// Unwrap gives the fault.
func (e *TemplateError) Unwrap() error { return e.Err }

// Templates are compiled texts by language. They are read-only and may be used
// by many goroutines. The zero Templates has no language.
type Templates struct{ byLanguage map[string]texts }

type texts struct{ before, after, bundle *template.Template }

// Has reports whether there are texts in the language.
func (t Templates) Has(language string) bool {
	_, ok := t.byLanguage[language]
	return ok
}

// bundles reports whether several bills can be worded together in the language.
func (t Templates) bundles(language string) bool { return t.byLanguage[language].bundle != nil }

// Languages lists the languages that have texts, in order.
func (t Templates) Languages() []string { return slices.Sorted(maps.Keys(t.byLanguage)) }

// ParseTemplates compiles the texts of the config and tries each on sample
// records, so that none can fail later on a real one. All faults are reported
// together, each as a *TemplateError inside an errors.Join.
func ParseTemplates(src map[string]TemplateSource) (Templates, error) {
	t := Templates{byLanguage: make(map[string]texts, len(src))}
	var faults []error
	for _, language := range slices.Sorted(maps.Keys(src)) {
		compile := func(kind, source string) *template.Template {
			compiled, err := parseText(language, kind, source)
			switch {
			case err != nil:
			case kind == kindBundle:
				err = tryBundle(language, compiled)
			default:
				err = try(language, kind, compiled)
			}
			if err != nil {
				faults = append(faults, &TemplateError{language, kind, err})
			}
			return compiled
		}
		those := texts{
			before: compile(kindBefore, src[language].Before),
			after:  compile(kindAfter, src[language].After),
		}
		if bundle := src[language].Bundle; bundle != "" {
			those.bundle = compile(kindBundle, bundle)
		}
		t.byLanguage[language] = those
	}
	if len(faults) > 0 {
		return Templates{}, errors.Join(faults...)
	}
	return t, nil
}

func parseText(language, kind, source string) (*template.Template, error) {
	if strings.TrimSpace(source) == "" {
		return nil, errors.New("is empty: write the text, or leave the language out")
	}
	t, err := template.New("text").Option("missingkey=error").Parse(source)
	if err != nil {
		return nil, err
	}
	// Field names are looked up in the tree and not left to a trial: a trial
	// does not visit every branch.
	known := fieldNames(kind)
	var faults []error
	var used []string
	for _, part := range t.Templates() { // t itself, and what it defines
		used = usedFields(part.Root, used)
	}
	for _, name := range used {
		switch {
		case !slices.Contains(known, name):
			faults = append(faults, fmt.Errorf("names .%s, which does not exist: use .%s", name, strings.Join(known, ", .")))
		case name == "When" && !wordsWhen(language):
			faults = append(faults, errors.New("names .When, which is worded in en and sw only: use .Days or .DueDate"))
		}
	}
	return t, errors.Join(faults...)
}

// fieldNames are the names that a template may use, from Fields itself. In a
// bundle they stand inside a range over the bills, beside those of the whole.
func fieldNames(kind string) (names []string) {
	if kind == kindBundle {
		for f := range reflect.TypeFor[BundleFields]().Fields() {
			names = append(names, f.Name)
		}
	}
	for f := range reflect.TypeFor[Fields]().Fields() {
		if !slices.Contains(names, f.Name) {
			names = append(names, f.Name)
		}
	}
	return names
}

// usedFields appends the names of the fields that n and the nodes below it
// read, each once.
func usedFields(n parse.Node, names []string) []string {
	add := func(name string) {
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	branch := func(b parse.BranchNode) {
		names = usedFields(b.Pipe, names)
		names = usedFields(b.List, names)
		if b.ElseList != nil {
			names = usedFields(b.ElseList, names)
		}
	}
	switch n := n.(type) {
	case *parse.ListNode:
		for _, c := range n.Nodes {
			names = usedFields(c, names)
		}
	case *parse.ActionNode:
		names = usedFields(n.Pipe, names)
	case *parse.PipeNode:
		for _, c := range n.Cmds {
			names = usedFields(c, names)
		}
	case *parse.CommandNode:
		for _, c := range n.Args {
			names = usedFields(c, names)
		}
	case *parse.IfNode:
		branch(n.BranchNode)
	case *parse.WithNode:
		branch(n.BranchNode)
	case *parse.RangeNode:
		branch(n.BranchNode)
	case *parse.TemplateNode:
		if n.Pipe != nil {
			names = usedFields(n.Pipe, names)
		}
	case *parse.FieldNode:
		add(strings.Join(n.Ident, "."))
	case *parse.VariableNode:
		if n.Ident[0] == "$" && len(n.Ident) > 1 {
			add(strings.Join(n.Ident[1:], "."))
		}
	case *parse.ChainNode:
		names = usedFields(n.Node, names)
	}
	return names
}

// try renders the text for sample records: with and without what a bill may
// lack, on the days that are worded differently.
func try(language, kind string, t *template.Template) error {
	p := Policy{ServiceName: "Water", Currency: "KES", Language: language}
	p.Templates.byLanguage = map[string]texts{language: {before: t, after: t}}
	for _, p.Pay = range []string{"", samplePay} {
		for _, s := range sampleBills(language, p.Pay) {
			for _, away := range []int{0, 1, 2} {
				day := s.bill.DueDate.AddDays(-away)
				if kind == kindAfter {
					day = s.bill.DueDate.AddDays(1 + away)
				}
				if _, err := p.draftWith(s.bill, day, true, s.payIfRoom); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// render fills in the text and makes it ready to be sent.
func (t Templates) render(language string, after bool, fields *Fields) (string, error) {
	text := t.byLanguage[language].before
	if after {
		text = t.byLanguage[language].after
	}
	return execute(text, language, fields)
}

// renderBundle is render for several bills.
func (t Templates) renderBundle(language string, fields *BundleFields) (string, error) {
	return execute(t.byLanguage[language].bundle, language, fields)
}

func execute(text *template.Template, language string, fields any) (string, error) {
	if text == nil {
		return "", fmt.Errorf("there is no template in language %q", language)
	}
	var b strings.Builder
	b.Grow(typicalText)
	if err := text.Execute(&b, fields); err != nil {
		return "", fmt.Errorf("render template: %w", err)
	}
	body := tidy(normalize(b.String()))
	if body == "" {
		return "", errors.New("the template gives an empty text")
	}
	return body, nil
}

// typicalText is the room for a text and a little more, in bytes.
const typicalText = 192

// tidy trims a text and makes one space of each run of spaces, or one newline
// of a run with a newline in it.
func tidy(s string) string {
	s = strings.Trim(s, " \n")
	i := 1
	for i < len(s) && !(isBlank(s[i]) && isBlank(s[i-1])) {
		i++
	}
	if i >= len(s) {
		return s
	}
	out := make([]byte, i, len(s))
	copy(out, s)
	for ; i < len(s); i++ {
		last := &out[len(out)-1]
		switch {
		case !isBlank(s[i]) || !isBlank(*last):
			out = append(out, s[i])
		case s[i] == '\n':
			*last = '\n'
		}
	}
	return string(out)
}

func isBlank(c byte) bool { return c == ' ' || c == '\n' }
