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

// Format is the amount as people write it: two decimals, thousands grouped,
// such as "2,315.50". Fractions of a cent are rounded half away from zero.
func (m Money) Format() string {
	digits := m.d.StringFixed(2)
	out := make([]byte, 0, len(digits)+len(digits)/3)
	if digits[0] == '-' {
		out, digits = append(out, '-'), digits[1:]
	}
	whole := len(digits) - len(".00")
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
