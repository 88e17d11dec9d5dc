package almara

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"

	"duewatch/reminder"
)

// local is how amounts and dates are written where the bills are.
type local struct {
	currency   string // ISO 4217, "" = not known
	monthFirst bool   // 02/12/2026 may be the 12th of February
}

// currencySigns are what is written instead of a currency's code, in capitals
// and without a point.
var currencySigns = map[string][]string{
	"KES": {"KSH", "KSHS", "SH", "SHS"},
	"TZS": {"TSH", "TSHS", "SH", "SHS"},
	"UGX": {"USH", "USHS", "SH", "SHS"},
}

var (
	// withUnit is an amount with a word before or behind it.
	withUnit = regexp.MustCompile(`^([+-]?)([A-Za-z]{2,4})\.?\s*([+-]?\d.*)$|^([+-]?\d.*?)\s*([A-Za-z]{2,4})\.?$`)
	// plainNumber is what reminder.ParseMoney may read.
	plainNumber = regexp.MustCompile(`^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$`)
	// grouped has separators in front of each three digits, all of one kind. A
	// leading zero is none of a group: 0,250 is a decimal comma.
	grouped = regexp.MustCompile(`^[+-]?[1-9]\d{0,2}(?:(?:,\d{3})+|(?:[ \x{a0}\x{202f}]\d{3})+)(\.\d+)?$`)
	// decimalOrGroup is one separator before three digits: 1,234 or 1.234.
	decimalOrGroup = regexp.MustCompile(`^[+-]?[1-9]\d{0,2}[.,]\d{3}$`)
)

// amount reads an amount that is not null. A JSON number is what JSON says. In a
// text the currency may stand before or behind it, and thousands may be set apart
// in groups of exactly three, by commas or spaces. What could be meant in two
// ways is left out and named: 1.234 where the currency has two decimals or none,
// and 1,234 where it has three. 1.234,50 and 1,23 are not read at all.
func (l local) amount(raw json.RawMessage) (m reminder.Money, problem string) {
	s := string(raw)
	isText := strings.HasPrefix(s, `"`)
	if isText {
		s = strings.TrimSpace(text(raw))
	}
	shown := truncate(s, maxWritten)
	if len(s) > 2*maxWritten { // no amount, and not worth a look
		return m, fmt.Sprintf("the balance %q is not a plausible amount", shown)
	}
	if isText {
		number, unit := l.cutUnit(s)
		if unit != "" && !l.names(unit) {
			return m, fmt.Sprintf("the balance %q is not in %s, the configured currency", shown, l.currency)
		}
		s = number
		three := reminder.MinorDigits(l.currency) == 3
		if decimalOrGroup.MatchString(s) && strings.Contains(s, ",") == three {
			return m, fmt.Sprintf("the balance %q may have decimals or thousands", shown)
		}
		if grouped.MatchString(s) {
			s = ungroup.Replace(s)
		}
	}
	if !plainNumber.MatchString(s) {
		return m, fmt.Sprintf("the balance %q is not a plausible amount", shown)
	}
	m, err := reminder.ParseMoney(s)
	if err != nil {
		return m, fmt.Sprintf("the balance %q is not a plausible amount", shown)
	}
	return m, ""
}

var ungroup = strings.NewReplacer(",", "", " ", "", "\u00a0", "", "\u202f", "")

// cutUnit is an amount without the word that stands before or behind it, or the
// sign for whole shillings: 1,500/=.
func (l local) cutUnit(s string) (number, unit string) {
	if len(currencySigns[l.currency]) > 0 {
		s = strings.TrimSuffix(strings.TrimSuffix(s, "/="), "/-")
	}
	m := withUnit.FindStringSubmatch(s)
	switch {
	case m == nil:
		return s, ""
	case m[2] != "" && m[1] != "" && strings.ContainsAny(m[3][:1], "+-"): // two signs
		return s, ""
	case m[2] != "":
		return m[1] + m[3], m[2]
	default:
		return m[4], m[5]
	}
}

// names reports whether a word means the configured currency.
func (l local) names(unit string) bool {
	unit = strings.ToUpper(unit)
	if unit == l.currency {
		return true
	}
	for _, sign := range currencySigns[l.currency] {
		if unit == sign {
			return true
		}
	}
	return false
}
