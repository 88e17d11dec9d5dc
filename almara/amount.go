package almara

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"duewatch/reminder"
)

// locale says how amounts and dates are written in the country of the bills.
type locale struct {
	currency   string // ISO 4217, "" = not known
	monthFirst bool   // 02/12/2026 may mean the 12th of February
}

// currencySigns are written instead of a currency's code; here in capitals and
// without a point.
var currencySigns = map[string][]string{
	"KES": {"KSH", "KSHS", "SH", "SHS"},
	"TZS": {"TSH", "TSHS", "SH", "SHS"},
	"UGX": {"USH", "USHS", "SH", "SHS"},
}

var (
	// withUnit matches an amount with a word before or after it.
	withUnit = regexp.MustCompile(`^([+-]?)([A-Za-z]{2,4})\.?\s*([+-]?\d.*)$|^([+-]?\d.*?)\s*([A-Za-z]{2,4})\.?$`)
	// plainNumber matches what reminder.ParseMoney is given.
	plainNumber = regexp.MustCompile(`^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$`)
	// grouped matches digits in groups of three, with separators of one kind. A group
	// cannot start with a zero: 0,250 has a decimal comma.
	grouped = regexp.MustCompile(`^[+-]?[1-9]\d{0,2}(?:(?:,\d{3})+|(?:[ \x{a0}\x{202f}]\d{3})+)(\.\d+)?$`)
	// decimalOrGroup matches a single separator before three digits: 1,234 or 1.234.
	decimalOrGroup = regexp.MustCompile(`^[+-]?[1-9]\d{0,2}[.,]\d{3}$`)
)

// amount reads an amount that is not null, or says why it cannot. A JSON number is
// read as JSON defines it. In a text the currency may stand before or after the
// number, and thousands may be in groups of exactly three, separated by commas or
// spaces. A text with two readings is a problem: 1.234 where the currency has two
// decimals or none, and 1,234 where it has three. So are 1.234,50 and 1,23.
func (l locale) amount(raw json.RawMessage) (m reminder.Money, problem string) {
	s := string(raw)
	isText := strings.HasPrefix(s, `"`)
	if isText {
		s = strings.TrimSpace(text(raw))
	}
	shown := truncate(s, maxWritten)
	if len(s) > 2*maxWritten { // no amount is that long
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

// cutUnit separates an amount from the word before or after it. It also drops the
// sign for whole shillings: 1,500/=.
func (l locale) cutUnit(s string) (number, unit string) {
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
func (l locale) names(unit string) bool {
	unit = strings.ToUpper(unit)
	return unit == l.currency || slices.Contains(currencySigns[l.currency], unit)
}
