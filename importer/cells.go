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
	cellLanguage
)

// mend is what was untidy about a cell, and was put right without a doubt about
// what the biller means.
type mend uint

const (
	mendedSpaces mend = 1 << iota
	mendedLineBreaks
	mendedMarks
	mendedLanguage
	mendedEncoding
	mendedPhoneWords
	mendedServiceName
)

// mends name the kinds of mend for people, in the order of their bits.
var mends = [...]string{
	"spaces", "line breaks", `apostrophes and =""`, "spelling of languages", "rows in Windows-1252",
	"words beside phones", "names of services",
}

// cleaner takes off what spreadsheets and copying put around the values of one
// list. What they have spoilt is refused, with what to do about it, since
// 4.2317E+06 is no longer anybody's account.
type cleaner struct {
	encoding  encoding
	mended    mend // since it was last looked at
	asWritten bool // the operator says that what can be meant is meant
}

func (c *cleaner) clean(raw string, kind cellKind) (value, fault string) {
	if !plainCell(raw) {
		if raw, fault = c.decode(raw); fault != "" {
			return "", fault
		}
	}
	if plainCell(raw) && kind != cellLanguage {
		return raw, c.spoilt(raw, kind)
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
			c.mended |= mendedLanguage
			s = lower
		}
	case cellNumber, cellText:
	}
	return s, c.spoilt(s, kind)
}

// spoilt is what is wrong with a value, unless it is meant as it stands.
func (c *cleaner) spoilt(s string, kind cellKind) string {
	fault := spoilt(s, kind)
	if c.asWritten && looksSpoilt(fault) {
		return ""
	}
	return fault
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

// What spreadsheets and people make of an account, each with what to do about it.
const (
	asMeant  = ", or write ' in front of what is meant as it stands"
	rounded  = "was rounded by a spreadsheet, as in 4.2317E+06: format the column as text, and enter it anew"
	isPower  = "may be a number that was shortened, as 12E4 is 120000: format the column as text, and enter it anew" + asMeant
	isAmount = "looks like an amount: format the column as text" + asMeant
	isDate   = "looks like a date or a time, which spreadsheets make of numbers with strokes or colons: " +
		"format the column as text, and enter it anew" + asMeant
	isNone    = "is a word for nothing: leave the row out" + asMeant
	isTotal   = "is a word of totals and balances, which are no bills: leave the row out" + asMeant
	isVacant  = "says that nobody is there: leave the row out" + asMeant
	isDitto   = "repeats the row above: write it in full" + asMeant
	hasLabel  = "has a word such as A/C in front of it: write the account alone" + asMeant
	isSeveral = "may hold several accounts: write a row for each" + asMeant
	hasQuote  = "has a quotation mark around it: remove it"
	wasLost   = "holds a character (\ufffd) that was lost when the file was saved: enter it anew"
	isError   = "is an error of the spreadsheet: look at its cell, and store a value"
)

var (
	// 4.2317E+06, or with a comma: always one digit in front, a sign and two
	// or more digits behind.
	scientific = regexp.MustCompile(`^[+-]?[0-9](?:(?:[.,][0-9]+)?[eE][+-][0-9]{2,3}|[.,][0-9]+[eE][0-9]{1,3})$`)
	// 12E4 and 12e+3: programs write numbers so, and some houses have such names.
	power = regexp.MustCompile(`^[+-]?[0-9]+(?:[.,][0-9]+)?[eE][+-]?[0-9]{1,3}$`)
	// 42317.00, 42,317, -42317 and (42317), the last two as accountants write a
	// debt, and 1500/= and KES 1500. A number with a stroke or dots inside may be
	// anybody's account.
	asAmount = regexp.MustCompile(`(?i)^-?(?:[0-9]+[.,]0{1,2}|` + thousands + `)$|^-[0-9]+(?:[.,][0-9]+)?$|^\([0-9.,]+\)$|` +
		`^(?:(?:kes|kshs?)[. ]*)?[0-9.,]+/[=-]$|^(?:kes|kshs?)[. ]*[0-9.,]+$`)
	// 12-Mar, Mar-26, Jan 5, 5/12, 12/2026, 12/03/2026, 2026-03-12 and a time behind
	// them, or a time alone. 12-3 and 12/34 are left alone: no spreadsheet writes a
	// date so by itself.
	asDate = regexp.MustCompile(`(?i)^(?:(?:` + day + `(?:st|nd|rd|th)?[- /.]` + month + `(?:[- /.,]+[0-9]{2,4})?|` +
		month + `[- /.][0-9]{1,4}(?:,? +[0-9]{4})?|` + day + `/` + monthNumber + `|` + monthNumber + `/` + day + `|` +
		monthNumber + `[/-]` + year + `|` + year + `[/-]` + monthNumber + `|` +
		day + `[/.-]` + day + `[/.-](?:` + year + `|[0-9]{2})|` + year + `[/.-]` + day + `[/.-]` + day +
		`)(?:[ T][0-9]{1,2}:[0-9]{2}.*)?|[0-9]{1,3}:[0-9]{2}(?::[0-9]{2})?(?:\.[0-9]+)?(?: ?[ap]m)?)$`)
	// A/C 00134, Acc No. 134 and Account: 134. ACC-134 and ACC 134 may be accounts.
	labelled = regexp.MustCompile(`(?i)^(?:(?:a/c|account|akaunti|mita|meter)\b|(?:acc|acct)[. ]+(?:no|number|num)\b|acct?:)[^0-9a-z]*` +
		`(?:(?:no|number|num|ya)\b[^0-9a-z]*)?[a-z-]*[0-9]`)
	// 00134 / 00135, 134 & 135, A1, A2: texts with a digit each, and between them what
	// separates entries. A stroke without spaces separates only two long numbers.
	several = regexp.MustCompile(`(?i)^[^,;&+|]*[0-9][^,;&+|]*(?: / | and | na |[,;&+|])[^,;&+|]*[0-9]|^([0-9]{5,})/[0-9]{5,}$`)
)

// The parts of amounts and dates. The number of a month may be any that a day has,
// since half of the world writes the month first.
const (
	thousands   = `[0-9]{1,3}(?:,[0-9]{3})+(?:\.[0-9]+)?|[0-9]{1,3}(?:\.[0-9]{3})+,[0-9]+`
	day         = `(?:0?[1-9]|[12][0-9]|3[01])`
	monthNumber = `(?:0?[1-9]|1[0-2])`
	year        = `(?:19|20)[0-9]{2}`
	month       = `(?:jan(?:uary|uari)?|feb(?:ruary|ruari)?|mar(?:ch)?|mac(?:hi)?|apr(?:il|ili)?|may|mei|june?|juni|july?|julai|` +
		`aug(?:ust)?|ago(?:sti)?|sept?(?:ember|emba)?|oct(?:ober)?|okt(?:oba)?|nov(?:ember|emba)?|dec(?:ember)?|des(?:emba)?)`
)

// noAccounts are what people and programs write where there is no account, in small
// letters and without a colon or full stop behind it, in English and Swahili.
var noAccounts = func() map[string]string {
	faults := map[string]string{}
	for fault, words := range map[string]string{
		isNone: "n/a,na,null,nil,none,nan,undefined,-,--,---,?,??,.,tba,tbc,true,false,hakuna,unknown,not applicable," +
			"not available,no account,no meter,missing,pending,new,xxx,xxxx,xxxxx",
		isTotal: "total,totals,grand total,grand totals,sub total,sub totals,subtotal,subtotals,sub-total,sum,balance,jumla,jumla kuu," +
			"b/f,c/f,b/d,c/d,bal b/f,bal c/f,balance b/f,balance c/f,balance b/d,balance c/d,brought forward,carried forward," +
			"balance brought forward,balance carried forward,opening balance,closing balance,salio",
		isVacant: "vacant,vacated,vacant house,vacant unit,empty,unoccupied,no tenant,moved out,closed,wazi,tupu,amehama",
		isDitto:  "ditto,-do-,- do -,do,same,same as above,as above,see above,idem,\u3003",
	} {
		for _, w := range strings.Split(words, ",") {
			faults[w] = fault
		}
	}
	return faults
}()

// canBeMeant reports whether an account that looks spoilt can be meant as it
// stands, which an apostrophe in front says: it is the mark of spreadsheets for
// what was typed as a text.
func canBeMeant(fault string) bool { return strings.HasSuffix(fault, asMeant) }

// looksSpoilt reports whether an account that looks spoilt can be meant, and so can
// others of its list: a word such as TOTAL seldom is.
func looksSpoilt(fault string) bool { return canBeMeant(fault) && !isWord(fault) }

// isWord reports whether a fault is that of a word where an account should be.
func isWord(fault string) bool {
	return fault == isNone || fault == isTotal || fault == isVacant || fault == isDitto
}

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
	case strings.ContainsAny(s, "eE") && scientific.MatchString(s):
		return rounded
	case kind == cellNumber:
		return spoiltNumber(s)
	default:
		return ""
	}
}

// spoiltNumber is spoilt for an account or a service. Most accounts are told from
// what is spoilt by the kinds of characters in them alone.
func spoiltNumber(s string) string {
	digits, letters, marks := 0, 0, 0
	for _, c := range []byte(s) {
		switch {
		case c >= '0' && c <= '9':
			digits++
		case c|' ' >= 'a' && c|' ' <= 'z' || c >= utf8.RuneSelf:
			letters++
		default:
			marks++
		}
	}
	switch {
	case digits == 0 || startsAsTotal(s):
		if fault := noAccount(s); fault != "" {
			return fault
		}
	case letters <= len("kshs") && (marks > 0 || s[0]|' ' == 'k') && asAmount.MatchString(s):
		return isAmount
	case letters >= len("vacant") && (containsWord(strings.ToLower(s), "vacant") || containsWord(strings.ToLower(s), "vacated")):
		return isVacant
	case marks > 0 && (letters <= len("am") || namesMonth(s)) && asDate.MatchString(s):
		return isDate
	case letters == 1 && power.MatchString(s):
		return isPower
	case marks > 0 && letters > 1 && startsAsLabel(s) && labelled.MatchString(s):
		return hasLabel
	case marks > 0 && separates(s, letters) && several.MatchString(s):
		return isSeveral
	}
	return quoted(s)
}

// namesMonth reports whether a word of a text begins as the name of a month does.
// It spares most accounts the look for a date.
func namesMonth(s string) bool {
	var begin [3]byte
	letters := 0
	for _, c := range []byte(s) {
		if c |= ' '; c < 'a' || c > 'z' {
			letters = 0
			continue
		}
		if letters < len(begin) {
			begin[letters] = c
		}
		if letters++; letters == len(begin) && monthBegins[string(begin[:])] {
			return true
		}
	}
	return false
}

var monthBegins = words("jan feb mar mac apr may mei jun jul aug ago sep oct okt nov dec des")

// startsAsLabel spares most accounts the look for a label.
func startsAsLabel(s string) bool { return strings.IndexByte("aAmM", s[0]) >= 0 }

// separates reports whether a text holds what may stand between two accounts.
func separates(s string, letters int) bool {
	return strings.ContainsAny(s, ",;&+|") || strings.Count(s, " ") > 1 || (letters == 0 && strings.Contains(s, "/"))
}

// noAccount says that a text is a word where an account should be, "" when it is
// not.
func noAccount(s string) string {
	s = strings.Join(strings.Fields(strings.ToLower(s)), " ")
	if fault, ok := noAccounts[s]; ok {
		return fault
	}
	if fault, ok := noAccounts[strings.TrimRight(s, ":.= ")]; ok {
		return fault
	}
	if !strings.ContainsFunc(s, func(c rune) bool { return unicode.IsLetter(c) || unicode.IsDigit(c) }) && quoted(s) == "" {
		return isNone
	}
	if startsAsTotal(s) || strings.HasSuffix(s, " total") || strings.HasSuffix(s, " totals") {
		return isTotal
	}
	return ""
}

// startsAsTotal reports whether the first word is that of a total, as in "Total
// 2026" and "Jumla ya Novemba".
func startsAsTotal(s string) bool {
	first, _, more := strings.Cut(s, " ")
	return more && (strings.EqualFold(first, "total") || strings.EqualFold(first, "totals") || strings.EqualFold(first, "jumla"))
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
