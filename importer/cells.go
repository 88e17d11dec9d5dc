package importer

import (
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// cellKind is what a cell is meant to hold.
type cellKind int

const (
	cellText   cellKind = iota
	cellNumber          // an account or service: letters may be in it, and each zero counts
	cellPhone
)

// cleanCell takes off what spreadsheets and copying put around a value: odd
// spaces, ="0042", a leading apostrophe. What they have spoilt is refused, with
// what to do about it, since 4.2317E+06 is no longer anybody's account.
func cleanCell(raw string, kind cellKind) (value, fault string) {
	if plainCell(raw) {
		return raw, spoilt(raw, kind)
	}
	if !utf8.ValidString(raw) {
		return "", "is not UTF-8 text: save the file as CSV UTF-8"
	}
	s := trimOdd(raw)
	if inner, ok := strings.CutPrefix(s, `="`); ok && strings.HasSuffix(inner, `"`) {
		s = trimOdd(strings.ReplaceAll(inner[:len(inner)-1], `""`, `"`))
	} else if strings.HasPrefix(s, "=") {
		return "", "is a formula: store its value instead"
	} else if rest, ok := strings.CutPrefix(s, "'"); ok && (kind != cellText || guarded(rest)) {
		return trimOdd(rest), spoilt(rest, kind)
	}
	if kind == cellPhone {
		s = strings.Map(func(r rune) rune {
			if unicode.Is(unicode.Cf, r) { // direction marks, from address books
				return -1
			}
			return r
		}, s)
	}
	return s, spoilt(s, kind)
}

// plainCell reports whether there is nothing to take off.
func plainCell(raw string) bool {
	if len(raw) == 0 {
		return true
	}
	switch raw[0] {
	case ' ', '=', '\'':
		return false
	}
	for _, c := range []byte(raw) {
		if c < ' ' || c > '~' {
			return false
		}
	}
	return raw[len(raw)-1] != ' '
}

// trimOdd makes every kind of space a plain one, and takes those at both ends
// off, with marks that cannot be seen.
func trimOdd(s string) string {
	if plainCell(s) {
		return s
	}
	s = strings.Map(func(r rune) rune {
		if unicode.Is(unicode.Zs, r) {
			return ' '
		}
		return r
	}, s)
	return strings.TrimFunc(s, func(r rune) bool { return unicode.IsSpace(r) || unicode.Is(unicode.Cf, r) })
}

// guarded reports whether a text would be taken for a formula without the
// apostrophe in front of it, as Guard puts it there.
func guarded(s string) bool { return s != "" && strings.ContainsRune("=+-@'\t\r", rune(s[0])) }

// GuardCell is a text as it should stand in a CSV file, so that a spreadsheet
// shows it and does not run it. A BillsReader takes the apostrophe off again.
func GuardCell(s string) string {
	if guarded(s) {
		return "'" + s
	}
	return s
}

var (
	// 4.2317E+06, or with a comma: always one digit in front, a sign and two
	// or more digits behind.
	scientific = regexp.MustCompile(`^[+-]?[0-9](?:[.,][0-9]+)?[eE][+-][0-9]{2,3}$`)
	asAmount   = regexp.MustCompile(`^[0-9]+\.0$`)
)

// spoilt says what a spreadsheet has made of a value, "" for nothing.
func spoilt(s string, kind cellKind) string {
	switch {
	case strings.HasPrefix(s, "#") && (strings.Trim(s, "#") == "" || strings.ContainsAny(s[len(s)-1:], "!?") || s == "#N/A"):
		return "is an error of the spreadsheet: look at its cell, and store a value"
	case kind == cellText:
		return ""
	case scientific.MatchString(s):
		return "was rounded by a spreadsheet, as in 4.2317E+06: format the column as text, and enter it anew"
	case kind == cellNumber && asAmount.MatchString(s):
		return "ends like an amount: format the column as text"
	default:
		return ""
	}
}
