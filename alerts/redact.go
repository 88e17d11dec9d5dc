package alerts

import (
	"errors"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// redactor takes the secrets of a URL out of an error: libraries put whole URLs into
// theirs, also those that they made of the one that was given, and servers repeat what
// they were sent.
type redactor struct {
	host   string   // that may be shown, "" = none
	tokens []string // the longest first
}

const (
	hidden = "[redacted]"
	// minToken is the shortest run of letters and digits that is hidden: a shorter one is
	// no secret, and words of an error would be lost by it.
	minToken = 4
	// maxError bounds an error, in bytes: a server may answer with a page.
	maxError = 200
)

var (
	runs   = regexp.MustCompile(`[\pL\pN]+`)
	anyURL = regexp.MustCompile(`[A-Za-z][A-Za-z0-9+.-]*://[^\s"'<>]+`)
)

// newRedactor hides all of a URL but its scheme and, where it may be shown, its host.
// Services split and join the parts of a URL in ways of their own, so every run of
// letters and digits counts by itself.
func newRedactor(raw, scheme, host string) redactor {
	text := raw[min(len(scheme), len(raw)):]
	if host != "" {
		text = strings.Replace(text, host, "", 1)
	}
	all := runs.FindAllString(text, -1)
	for _, unescape := range []func(string) (string, error){url.PathUnescape, url.QueryUnescape} {
		if plain, err := unescape(text); err == nil {
			all = append(all, runs.FindAllString(plain, -1)...)
			all = append(all, strings.FieldsFunc(plain, func(r rune) bool { return strings.ContainsRune("/?&=:@#", r) })...)
		}
	}
	r := redactor{host: host}
	for _, token := range all {
		if len(token) >= minToken {
			r.tokens = append(r.tokens, token)
		}
	}
	slices.SortFunc(r.tokens, func(a, b string) int { return len(b) - len(a) })
	r.tokens = slices.Compact(r.tokens)
	return r
}

// err is an error with no more than its words: what it wraps could be printed.
func (r redactor) err(err error) error {
	if err == nil {
		return nil
	}
	return errors.New(r.text(err.Error()))
}

func (r redactor) text(s string) string {
	const hostHere = "\x00" // so that a host which holds a token stays as it is
	s = strings.ReplaceAll(oneLine(s), hostHere, "")
	s = anyURL.ReplaceAllStringFunc(s, func(found string) string {
		u, err := url.Parse(found)
		if err != nil {
			return hidden
		}
		return u.Scheme + "://" + u.Host
	})
	if r.host != "" {
		s = strings.ReplaceAll(s, r.host, hostHere)
	}
	for _, token := range r.tokens {
		s = strings.ReplaceAll(s, token, hidden)
	}
	s = strings.ReplaceAll(s, hostHere, r.host)
	if len(s) > maxError {
		s = strings.ToValidUTF8(s[:maxError], "") + " ..."
	}
	return s
}
