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

// Lengths, in characters, of what is kept of a server's words.
const (
	maxReason = 200
	maxWords  = 80
	maxName   = 100
)

// redactor knows what must not appear in errors and logs, although a server may
// repeat it.
type redactor struct {
	phone   reminder.Phone // "" = none
	secrets []string       // whole, as they were sent
}

// clean makes a server's text fit for an error: one line, at most limit
// characters, without the secrets and with the phone masked.
func (v redactor) clean(text string, limit int) string {
	text = oneLine(text)
	if text == "" {
		return ""
	}
	for _, s := range v.secrets {
		if s == "" {
			continue
		}
		for _, form := range []string{s, url.QueryEscape(s), escapedJSON(s)} {
			text = strings.ReplaceAll(text, form, "[redacted]")
		}
	}
	if p := phonePattern(v.phone, text); p != nil {
		text = p.ReplaceAllLiteralString(text, v.phone.String())
	}
	return truncate(text, limit)
}

var markup = regexp.MustCompile(`(?is)<script.*?</script>|<style.*?</style>|<[^>]*>`)

// words is clean for a page that was written for a browser: its first words,
// without tags.
func (v redactor) words(page []byte) string {
	return v.clean(html.UnescapeString(markup.ReplaceAllString(string(page), " ")), maxWords)
}

// localDigits is how many digits at the end make a number recognisable
// without its country code.
const localDigits = 9

// phonePattern finds p as people and servers write it: with or without plus,
// country code or leading zero, spaced or in one. It is nil where text cannot
// have it: making it takes longer than the rest of an answer.
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

// oneLine joins text with single spaces and drops what a terminal, a log or a
// text message should not be sent: controls and invisible format characters.
func oneLine(text string) string {
	return strings.Join(strings.FieldsFunc(strings.ToValidUTF8(text, "\uFFFD"), func(r rune) bool {
		return unicode.IsSpace(r) || unicode.Is(unicode.C, r)
	}), " ")
}

// entity is one character as HTML writes it. Without the semicolon it may be
// somebody's "Black&copper".
var entity = regexp.MustCompile(`&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});`)

// nameOf is a person's or company's name as a text can repeat it: entities of
// HTML unescaped, once, since billers keep names as a page showed them; one line
// without control characters; "" for what is no name, such as N/A.
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
