package importer

import (
	"regexp"
	"slices"
	"strings"
	"unicode"
)

// cellKind is what a cell is meant to hold.
type cellKind int

const (
	cellText   cellKind = iota
	cellNumber          // an account or service: letters may be in it, and each zero counts
	cellPhone
	cellLanguage
)

// mend is what was untidy about a cell, and was put right without a doubt about
// what the biller means.
type mend uint

const (
	mendedSpaces mend = 1 << iota
	mendedLineBreaks
	mendedMarks
	mendedCase
	mendedEncoding
)

// mends name the kinds of mend for people, in the order of their bits.
var mends = [...]string{"spaces", "line breaks", `apostrophes and =""`, "capital letters of languages", "rows in Windows-1252"}

// cleaner takes off what spreadsheets and copying put around the values of one
// list. What they have spoilt is refused, with what to do about it, since
// 4.2317E+06 is no longer anybody's account.
type cleaner struct {
	encoding encoding
	mended   mend // since it was last looked at
}

func (c *cleaner) clean(raw string, kind cellKind) (value, fault string) {
	if !plainCell(raw) {
		if raw, fault = c.decode(raw); fault != "" {
			return "", fault
		}
	}
	if plainCell(raw) && kind != cellLanguage {
		return raw, spoilt(raw, kind)
	}
	s := trimOdd(raw)
	if s != raw && s != "" {
		c.mended |= mendedSpaces
	}
	if kind == cellText && strings.ContainsAny(s, "\r\n\t") {
		c.mended |= mendedLineBreaks
		lines := strings.FieldsFunc(s, func(r rune) bool { return strings.ContainsRune("\r\n\t", r) })
		for i, line := range lines {
			lines[i] = strings.TrimSpace(line)
		}
		s = strings.Join(lines, " ")
	}
	switch inner, formula := strings.CutPrefix(s, `="`); {
	case formula && strings.HasSuffix(inner, `"`):
		c.mended |= mendedMarks
		s = trimOdd(strings.ReplaceAll(inner[:len(inner)-1], `""`, `"`))
	case strings.HasPrefix(s, "="):
		return "", "is a formula: store its value instead"
	case strings.HasPrefix(s, "'") && (kind != cellText || guarded(s[1:])):
		c.mended |= mendedMarks
		s = trimOdd(s[1:])
		if fault = spoilt(s, kind); canBeMeant(fault) {
			fault = ""
		}
		return s, fault
	}
	switch kind {
	case cellPhone:
		s = strings.Map(func(r rune) rune {
			if unicode.Is(unicode.Cf, r) { // direction marks, from address books
				return -1
			}
			return r
		}, s)
	case cellLanguage:
		if lower := strings.ToLower(s); lower != s {
			c.mended |= mendedCase
			s = lower
		}
	case cellNumber, cellText:
	}
	return s, spoilt(s, kind)
}

func (c *cleaner) decode(raw string) (text, fault string) {
	text, fault = c.encoding.decode(raw)
	if text != raw && fault == "" {
		c.mended |= mendedEncoding
	}
	return text, fault
}

// plainCell reports whether there is nothing to take off.
func plainCell(raw string) bool {
	if raw == "" {
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

// GuardID is GuardCell for an account or a service, which a BillsReader would
// refuse without the apostrophe where it looks like what a spreadsheet has spoilt.
func GuardID(s string) string {
	if guarded(s) || spoilt(s, cellNumber) != "" {
		return "'" + s
	}
	return s
}

// What spreadsheets make of an account, each with what to do about it.
const (
	rounded  = "was rounded by a spreadsheet, as in 4.2317E+06: format the column as text, and enter it anew"
	isAmount = "looks like an amount: format the column as text, or write ' in front of what is meant as it stands"
	isDate   = "looks like a date, which spreadsheets make of numbers with strokes: format the column as text, and enter it anew, or write ' in front of what is meant as it stands"
	isNone   = "is a word for nothing: leave the row out, or write ' in front of what is meant as it stands"
	hasQuote = "has a quotation mark around it: remove it"
	wasLost  = "holds a character (\ufffd) that was lost when the file was saved: enter it anew"
	isError  = "is an error of the spreadsheet: look at its cell, and store a value"
)

var (
	// 4.2317E+06, or with a comma: always one digit in front, a sign and two
	// or more digits behind. Without a sign, a house 4E10 must be left alone.
	scientific = regexp.MustCompile(`^[+-]?[0-9](?:(?:[.,][0-9]+)?[eE][+-][0-9]{2,3}|[.,][0-9]+[eE][0-9]{1,3})$`)
	// 42317.00, 42,317, -42317 and (42317), the last two as accountants write a
	// debt. A number with a stroke or dots inside may be anybody's account.
	asAmount = regexp.MustCompile(`^-?(?:[0-9]+[.,]0{1,2}|[0-9]{1,3}(?:,[0-9]{3})+(?:\.[0-9]+)?|[0-9]{1,3}(?:\.[0-9]{3})+,[0-9]+)$|^-[0-9]+(?:[.,][0-9]+)?$|^\([0-9.,]+\)$`)
	// 12-Mar, Mar-26, 12/03/2026, 2026-03-12 and a time behind them.
	asDate = regexp.MustCompile(`(?i)^(?:[0-9]{1,2}[- /]` + month + `(?:[- /][0-9]{2,4})?|` + month + `[- /][0-9]{2,4}|` +
		`(?:0?[1-9]|[12][0-9]|3[01])([/.-])(?:0?[1-9]|[12][0-9]|3[01])[/.-](?:19|20)[0-9]{2}|(?:19|20)[0-9]{2}[/.-](?:0?[1-9]|1[0-2])[/.-](?:0?[1-9]|[12][0-9]|3[01]))` +
		`(?:[ T][0-9]{1,2}:[0-9]{2}.*)?$`)
)

const month = `(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)`

// noValues are how people and programs write that there is none, in small letters.
var noValues = []string{"n/a", "na", "#n/a", "null", "nil", "none", "nan", "undefined", "-", "--", "?", ".", "tba", "true", "false", "hakuna"}

// canBeMeant reports whether an account that looks spoilt can be meant as it
// stands, which an apostrophe in front says: it is the mark of spreadsheets for
// what was typed as a text.
func canBeMeant(fault string) bool { return fault == isAmount || fault == isDate || fault == isNone }

// spoilt says what a spreadsheet has made of a value, "" for nothing.
func spoilt(s string, kind cellKind) string {
	if strings.Trim(s, "0123456789") == "" {
		return "" // as most are: a zero that was lost in front leaves no trace
	}
	switch {
	case strings.ContainsRune(s, '\ufffd'):
		return wasLost
	case strings.HasPrefix(s, "#") && (strings.Trim(s, "#") == "" || strings.ContainsAny(s[len(s)-1:], "!?") || s == "#N/A" || s == "#NV"):
		return isError
	case kind == cellText || kind == cellLanguage:
		return ""
	case scientific.MatchString(s):
		return rounded
	case kind == cellNumber:
		return spoiltNumber(s)
	default:
		return ""
	}
}

// spoiltNumber is spoilt for an account or a service.
func spoiltNumber(s string) string {
	switch {
	case asAmount.MatchString(s):
		return isAmount
	case asDate.MatchString(s):
		return isDate
	case slices.Contains(noValues, strings.ToLower(s)):
		return isNone
	default:
		return quoted(s)
	}
}

// quoted refuses an account with a quotation mark of any kind at either end. In
// the middle one may belong to it.
func quoted(s string) string {
	const marks = "\"'`´“”„‟‘’‚‛«»‹›″′"
	if strings.Trim(s, marks) != s {
		return hasQuote
	}
	return ""
}
