package almara

import (
	"encoding/json"
	"html"
	"net/url"
	"regexp"
	"strings"
	"unicode"

	"duewatch/reminder"
)

// The longest texts of a server that are kept, in characters.
const (
	maxReason = 200
	maxWords  = 80
	maxName   = 100
)

// redactor removes from a server's words what must not appear in errors and logs: a
// server may repeat what it was sent.
type redactor struct {
	phone   reminder.Phone // "" = none
	secrets []string       // as they were sent
}

// clean makes a server's text safe for an error: one line, at most limit characters,
// without the secrets and with the phone masked.
func (r redactor) clean(text string, limit int) string {
	text = oneLine(text)
	if text == "" {
		return ""
	}
	for _, s := range r.secrets {
		if s == "" {
			continue
		}
		for _, form := range []string{s, url.QueryEscape(s), escapedJSON(s)} {
			text = strings.ReplaceAll(text, form, "[redacted]")
		}
	}
	if p := phonePattern(r.phone, text); p != nil {
		text = p.ReplaceAllLiteralString(text, r.phone.String())
	}
	return truncate(text, limit)
}

var markup = regexp.MustCompile(`(?is)<script.*?</script>|<style.*?</style>|<[^>]*>`)

// firstWords is clean for an HTML page: its first maxWords characters, without tags.
func (r redactor) firstWords(page []byte) string {
	return r.clean(html.UnescapeString(markup.ReplaceAllString(string(page), " ")), maxWords)
}

// localDigits is how many digits at the end make a number recognisable
// without its country code.
const localDigits = 9

// phonePattern matches p as people and servers write it: with or without plus,
// country code or leading zero, with or without spaces. It is nil where text has too
// few digits to contain it, since compiling it costs more than the rest of an answer.
func phonePattern(p reminder.Phone, text string) *regexp.Regexp {
	has := 0
	for _, c := range []byte(text) {
		if '0' <= c && c <= '9' {
			has++
		}
	}
	digits := p.Digits()
	if has < localDigits || len(digits) < localDigits || strings.Trim(digits, "0123456789") != "" {
		return nil
	}
	const gap = `[\s().\-]*`
	code, local := digits[:len(digits)-localDigits], digits[len(digits)-localDigits:]
	return regexp.MustCompile(`(?:(?:\+` + gap + `)?` + strings.Join(strings.Split(code, ""), gap) + gap + `|0` + gap + `)?` +
		strings.Join(strings.Split(local, ""), gap))
}

func escapedJSON(s string) string {
	b, _ := json.Marshal(s) // a string always marshals
	return strings.Trim(string(b), `"`)
}

// oneLine joins text with single spaces and drops what must not reach a terminal, a
// log or a text message: control and invisible format characters.
func oneLine(text string) string {
	return strings.Join(strings.FieldsFunc(strings.ToValidUTF8(text, "\uFFFD"), func(r rune) bool {
		return unicode.IsSpace(r) || unicode.Is(unicode.C, r)
	}), " ")
}

// entity is one character as HTML writes it. Without the semicolon it may be
// somebody's "Black&copper".
var entity = regexp.MustCompile(`&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});`)

// nameOf is the name of a person or company as a text can show it: one line without
// control characters; "" for a placeholder such as N/A. HTML entities are unescaped
// once, since some billers store names as a page showed them.
func nameOf(raw json.RawMessage) string {
	name := text(raw)
	if strings.Contains(name, "&") {
		name = entity.ReplaceAllStringFunc(name, func(written string) string {
			plain := html.UnescapeString(written)
			if strings.HasSuffix(plain, ";") { // not an entity as a whole
				return written
			}
			return plain
		})
	}
	name = oneLine(name)
	if reminder.IsNoName(name) {
		return ""
	}
	return truncate(name, maxName)
}

func truncate(text string, limit int) string {
	r := []rune(text)
	if len(r) <= limit {
		return text
	}
	return string(r[:limit-1]) + "…"
}
