package cli

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"duewatch/config"
	"duewatch/reminder"
)

// usedTexts are the languages in which each policy words the texts of some
// bill.
type usedTexts map[*reminder.Policy]map[string]bool

// add notes a bill; language is "" where it names none.
func (u usedTexts) add(cfg *config.Config, service, language string) {
	p := cfg.Policies.For(service)
	if !p.Templates.Has(language) {
		language = p.Language
	}
	if u[p] == nil {
		u[p] = map[string]bool{}
	}
	u[p][language] = true
}

// wording is one text at its longest.
type wording struct {
	Service  string `json:"service,omitempty"` // "" = of reminders:
	Language string `json:"language"`
	Which    string `json:"which"` // before, after or bundle
	Segments int    `json:"segments"`
	Encoding string `json:"encoding"`
	Forcing  string `json:"forcing_character,omitempty"` // what keeps it out of GSM-7
	Body     string `json:"body"`
	Problem  string `json:"problem,omitempty"`
}

// templates shows each text that some bill can get at its longest, and names
// the services and languages that are left out. Without any bill it shows what
// the first ones would get. It fails when such a text would be held for its
// length.
func (k *check) templates(used usedTexts) error {
	cfg := k.cfg
	var errs []error
	var shown, others []string
	show := func(service, name string, p *reminder.Policy) {
		languages := used[p]
		if len(used) == 0 {
			languages = map[string]bool{p.Language: true}
		}
		for _, s := range p.LongestSamples() {
			switch {
			case !languages[s.Language]:
				others = append(others, s.Language)
				continue
			case s.Kind == "after" && p.Stages[len(p.Stages)-1] <= 0:
				continue // no text is sent after the due date
			}
			shown = append(shown, s.Language)
			errs = append(errs, k.longestText(service, name, s))
		}
	}
	show("", "", cfg.Policies.Default)
	for _, id := range slices.Sorted(maps.Keys(cfg.Policies.ByService)) {
		p := cfg.Policies.ByService[id]
		if len(used) > 0 && used[p] == nil {
			k.Idle = append(k.Idle, id)
			continue
		}
		show(id, "of service "+id+", ", p)
	}
	others = slices.DeleteFunc(others, func(language string) bool { return slices.Contains(shown, language) })
	slices.Sort(others)
	if k.Unused = slices.Compact(others); len(k.Unused) > 0 {
		k.say("template  also there: %s\n", strings.Join(k.Unused, ", "))
	}
	if len(k.Idle) > 0 {
		k.printWrapped("template  ", "no bill is of service "+strings.Join(k.Idle, ", "))
	}
	return errors.Join(errs...)
}

func (k *check) longestText(service, name string, s reminder.LongestSample) error {
	n := s.Draft.Count
	w := wording{Service: service, Language: s.Language, Which: s.Kind, Segments: n.Segments, Encoding: n.Encoding, Body: s.Draft.Body}
	k.say("template  %s%s %s: %s of %s at its longest\n", name, s.Language, s.Kind, countOf(n.Segments, "segment"), n.Encoding)
	if n.Forcing != 0 {
		w.Forcing = string(n.Forcing)
		k.say("          the character %q is not in GSM-7 which more than doubles the price of the text\n", n.Forcing)
	}
	k.printWrapped("          ", s.Draft.Body)
	if s.Err != nil {
		w.Problem = s.Err.Error()
	}
	k.Templates = append(k.Templates, w)
	if s.Err != nil {
		return fmt.Errorf("template %s%s %s: %w", name, s.Language, s.Kind, s.Err)
	}
	return nil
}
