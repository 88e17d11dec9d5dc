package reminder

import (
	"fmt"
	"strings"

	"github.com/shopspring/decimal"
)

// Money is an exact decimal amount in the configured currency. Amounts are
// never floats. A negative amount is credit. The zero Money is 0.
type Money struct{ d decimal.Decimal }

// Bounds on what is read from outside. "1e999999999" is a short text that
// would become a gigabyte of digits, and no bill has sixteen digits. Within
// them, ParseMoney reads back whatever String writes.
const (
	maxMoneyText     = 40 // bytes
	maxMoneyExponent = 18 // powers of ten either way
)

var maxMoney = decimal.New(1, 15)

// ParseMoney reads a plain or exponent decimal such as "231.56", "-1" or
// "1e3". Amounts of 10^15 and more, and finer than 10^-18, are refused.
func ParseMoney(s string) (Money, error) {
	// Length first: parsing a long number takes more than linear time.
	if len(s) > maxMoneyText {
		return Money{}, fmt.Errorf("%q is too long for an amount", truncate(s, maxMoneyText))
	}
	d, err := decimal.NewFromString(s)
	if err != nil {
		return Money{}, fmt.Errorf("%q is not an amount: write digits with a decimal point, such as 1250.50", s)
	}
	if e := d.Exponent(); e > maxMoneyExponent || e < -maxMoneyExponent || d.Abs().Cmp(maxMoney) >= 0 {
		return Money{}, fmt.Errorf("%q is not a plausible amount", s)
	}
	return Money{d}, nil
}

// MustMoney is ParseMoney for constants in code; it panics on a bad one.
func MustMoney(s string) Money {
	m, err := ParseMoney(s)
	if err != nil {
		panic(err)
	}
	return m
}

// String is the plain decimal, as stored: no grouping, no currency.
func (m Money) String() string { return m.d.String() }

// minorDigits are the currencies whose smallest unit is not a hundredth, with
// the decimals that it has, by ISO 4217, list one (SIX, "current currency &
// funds"). The tables of Unicode CLDR, which golang.org/x/text/currency has, say
// what is usual in shops instead: none for IQD, where a bill has three.
var minorDigits = map[string]int{
	"BIF": 0, "CLP": 0, "DJF": 0, "GNF": 0, "ISK": 0, "JPY": 0, "KMF": 0, "KRW": 0, "PYG": 0, "RWF": 0, "UGX": 0, "UYI": 0, "VND": 0, "VUV": 0,
	"XAF": 0, "XOF": 0, "XPF": 0,
	"BHD": 3, "IQD": 3, "JOD": 3, "KWD": 3, "LYD": 3, "OMR": 3, "TND": 3,
	"CLF": 4, "UYW": 4,
}

// MinorDigits is how many decimals amounts of a currency have, two where it is
// not known.
func MinorDigits(currency string) int {
	if n, ok := minorDigits[currency]; ok {
		return n
	}
	return 2
}

// shownDecimals is as fine as an amount is ever shown. What is finer than a
// millionth is the noise of a program that counts in binary floats, such as
// 2315.4999999999995.
const shownDecimals = 6

// Format is the amount as people write it, with the decimals of its currency
// and thousands grouped: "2,315.50" of KES, "2,315" of UGX, "2,315.500" of KWD. An amount that has
// more decimals than its currency is shown with all of them, 1.255 of KES as
// "1.255": rounded up it would ask for more than is owed, without a word.
// Millionths are rounded half away from zero.
func (m Money) Format(currency string) string {
	minor := int32(MinorDigits(currency)) //nolint:gosec // 0 to 4
	d := m.d.Round(shownDecimals)
	digits := d.StringFixed(minor)
	if !d.Equal(d.Round(minor)) {
		digits = d.String() // with no zeros at its end
	}
	out := make([]byte, 0, len(digits)+len(digits)/3)
	if digits[0] == '-' {
		out, digits = append(out, '-'), digits[1:]
	}
	whole := len(digits)
	if point := strings.IndexByte(digits, '.'); point >= 0 {
		whole = point
	}
	for i := range len(digits) {
		if i > 0 && i < whole && (whole-i)%3 == 0 {
			out = append(out, ',')
		}
		out = append(out, digits[i])
	}
	return string(out)
}

// MarshalText is String.
func (m Money) MarshalText() ([]byte, error) { return []byte(m.String()), nil }

// UnmarshalText is ParseMoney.
func (m *Money) UnmarshalText(b []byte) (err error) {
	*m, err = ParseMoney(string(b))
	return err
}

// Cmp is negative when m is less than n, zero when they are equal.
func (m Money) Cmp(n Money) int { return m.d.Cmp(n.d) }

// Equal reports whether both are the same amount, whatever their notation.
func (m Money) Equal(n Money) bool { return m.d.Equal(n.d) }

// Plus is the sum.
func (m Money) Plus(n Money) Money { return Money{m.d.Add(n.d)} }

// Times is n times the amount.
func (m Money) Times(n float64) Money { return Money{m.d.Mul(decimal.NewFromFloat(n))} }

// Minus is the amount less n.
func (m Money) Minus(n Money) Money { return Money{m.d.Sub(n.d)} }

// Sign is -1 for credit, 0 for nothing owed, 1 for something owed.
func (m Money) Sign() int { return m.d.Sign() }

func truncate(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n], "") + "…"
}
