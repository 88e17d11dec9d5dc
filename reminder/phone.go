package reminder

import (
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"

	"github.com/nyaruka/phonenumbers"
)

// Phone is a mobile number in E.164 form ("+254710000000"). It prints itself
// masked, so that a log line, an error or a %v cannot give a number away; E164
// is the one way to the digits. Beware of it as the key of a map that becomes
// JSON: encoding/json asks no method of a string's for keys.
type Phone string

// E164 is the number in full, for the provider and the store.
func (p Phone) E164() string { return string(p) }

// Digits is the number in full without its plus, the form Almara Pay takes
// (API reference, Save a Bill Number, phoneNumber).
func (p Phone) Digits() string { return strings.TrimPrefix(string(p), "+") }

// String is the number masked: "+2547******03".
func (p Phone) String() string {
	const head, tail = 5, 2
	if len(p) <= head+tail {
		return strings.Repeat("*", len(p))
	}
	return string(p[:head]) + strings.Repeat("*", len(p)-head-tail) + string(p[len(p)-tail:])
}

// GoString is String, for %#v.
func (p Phone) GoString() string { return p.String() }

// LogValue is String, for slog.
func (p Phone) LogValue() slog.Value { return slog.StringValue(p.String()) }

// MarshalText is String: JSON output is masked unless a command asks for E164.
func (p Phone) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// ErrNotMobile is a number that is right, and that nobody can text.
var ErrNotMobile = errors.New("is not a mobile number, so it cannot be texted")

// ParsePhone reads one mobile number as people write it, national numbers in
// the given country (ISO 3166, two letters). Spaces, dots, hyphens and
// parentheses may separate its digits. The errors say what to write instead
// and never repeat the number.
func ParsePhone(s, country string) (Phone, error) { return NewPhoneReader(country).Parse(s) }

// CallingCode is the calling code of the phone's country with its plus, such as
// "+254"; "" when the number has none.
func (p Phone) CallingCode() string {
	n, err := phonenumbers.Parse(string(p), "")
	if err != nil {
		return ""
	}
	return "+" + strconv.Itoa(int(n.GetCountryCode()))
}

// Prefix is the beginning of a Kenyan number as it is dialled, such as "0144": what
// tells the ranges of its operators apart, and nobody's phone from another's. Of
// other numbers it is the calling code.
func (p Phone) Prefix() string {
	const code, digits = "+254", 3
	if national, ok := strings.CutPrefix(string(p), code); ok && len(national) > digits {
		return "0" + national[:digits]
	}
	return p.CallingCode()
}

// CallingCodeOf is the calling code of a country (ISO 3166, two letters) with
// its plus; "" when it has none.
func CallingCodeOf(country string) string {
	code := phonenumbers.GetCountryCodeForRegion(country)
	if code == 0 {
		return ""
	}
	return "+" + strconv.Itoa(code)
}

// The length of an E.164 number with its plus: at most 15 digits (ITU-T
// E.164), and no mobile number that a provider reaches has fewer than 8.
const (
	minE164 = 1 + 8
	maxE164 = 1 + 15
)

// bareNumber leaves a number's digits, after a plus when the country code is
// among them. phonenumbers reads letters as keypad digits ("0710FLOWER") and
// "a;b" as a number with an extension: what is not plainly one number is
// refused before it is asked.
func bareNumber(s string) (string, error) {
	if s == "" {
		return "", errors.New("is empty: write a number such as +254710000000")
	}
	bare := make([]byte, 0, maxE164+2)
	for i, r := range s {
		switch {
		case '0' <= r && r <= '9', r == '+' && len(bare) == 0:
			if len(bare) == cap(bare) {
				return "", errors.New("has too many digits: write one number, such as +254710000000")
			}
			bare = append(bare, s[i])
		case strings.ContainsRune(" ().-", r):
		default:
			return "", fmt.Errorf("has the character %q: write one number, digits only, such as +254710000000", r)
		}
	}
	// A spreadsheet that takes numbers for amounts writes ".0" behind them;
	// read as a digit it could make a short number somebody else's.
	if i := strings.LastIndexByte(s, '.'); i >= 0 && len(s)-i <= len(".0") {
		return "", errors.New("ends like an amount: store the column as text, and write a number such as +254710000000")
	}
	number := string(bare)
	if rest, ok := strings.CutPrefix(number, "00"); ok {
		number = "+" + rest
	}
	return number, nil
}
