package importer

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"duewatch/reminder"
)

// The longest texts that are taken for an id and for a description, in
// characters. The config's own list keeps to them as well.
const (
	MaxID          = 100
	MaxDescription = 200
)

// LabelFault says what is wrong with a text of one line, "" for nothing. It
// does not repeat it: an account number may be a phone number.
func LabelFault(s string, longest int, needed bool) string {
	switch {
	case s == "" && needed:
		return "is empty: every bill needs one"
	case utf8.RuneCountInString(s) > longest:
		return fmt.Sprintf("is longer than %d characters: shorten it", longest)
	case strings.TrimSpace(s) != s:
		return "starts or ends with a space: remove it"
	case strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }):
		return "holds a line break or a character that cannot be seen: remove it"
	default:
		return ""
	}
}

// IDFault is LabelFault for a service or an account.
func IDFault(s string, needed bool) string { return cmp.Or(LabelFault(s, MaxID, needed), quoted(s)) }

// ServiceFault says that the name of a service stands where its id should, ""
// when it does not. Services need not be listed, so any other may be right.
func ServiceFault(policies reminder.Policies, service string) string {
	if _, known := policies.ByService[service]; known {
		return ""
	}
	for _, id := range slices.Sorted(maps.Keys(policies.ByService)) {
		if strings.EqualFold(policies.ByService[id].ServiceName, service) && service != "" {
			return "is the name of service " + id + ": write its id"
		}
	}
	return ""
}

// LanguageFault says what is wrong with the language of a bill, "" for nothing.
func LanguageFault(policies reminder.Policies, service, language, shown string) string {
	if language == "" {
		return ""
	}
	templates := policies.For(service).Templates
	if templates.Has(language) || len(templates.Languages()) == 0 {
		return ""
	}
	return fmt.Sprintf("%s has no templates: write %s, or add it under reminders.templates", shown, OrList(templates.Languages()))
}

// NeedsPhone is said of a bill without a phone.
const NeedsPhone = "every bill needs the number to text, such as +254710000000"

// identity tells bills apart.
type identity struct{ service, account string }
