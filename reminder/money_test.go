package reminder

import (
	"strings"
	"testing"
	"time"

	"github.com/shopspring/decimal"
)

func TestParseMoney(t *testing.T) {
	tests := map[string]struct{ in, text, format string }{
		"cents":              {"231.56", "231.56", "231.56"},
		"whole":              {"1250", "1250", "1,250.00"},
		"millions":           {"1234567.5", "1234567.5", "1,234,567.50"},
		"three digits":       {"999.99", "999.99", "999.99"},
		"credit":             {"-1000", "-1000", "-1,000.00"},
		"credit, three":      {"-100", "-100", "-100.00"},
		"nothing":            {"0.00", "0", "0.00"},
		"negative nothing":   {"-0", "0", "0.00"},
		"exponent":           {"1e3", "1000", "1,000.00"},
		"binary float":       {"2315.4999999999995", "2315.4999999999995", "2,315.50"},
		"half a cent":        {"0.005", "0.005", "0.005"},
		"half a cent credit": {"-0.005", "-0.005", "-0.005"},
		"less than a cent":   {"-0.001", "-0.001", "-0.001"},
		"float's noise":      {"-0.0000004", "-0.0000004", "0.00"},
		"largest":            {"999999999999999.99", "999999999999999.99", "999,999,999,999,999.99"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			m, err := ParseMoney(tt.in)
			if err != nil {
				t.Fatal(err)
			}
			if m.String() != tt.text || m.Format("KES") != tt.format {
				t.Errorf("ParseMoney(%q) is %s, %s; want %s, %s", tt.in, m, m.Format("KES"), tt.text, tt.format)
			}
		})
	}
}

func TestParseMoneyRefuses(t *testing.T) {
	for name, in := range map[string]string{
		"empty": "", "word": "ten", "grouped": "1,250.00", "currency": "KES 5", "space": " 5", "two points": "1.2.3",
		"infinity": "Inf", "not a number": "NaN", "hex": "0x10", "underscore": "1_000", "point": ".", "sign": "-",
		"gigabyte of digits": "1e999999999", "gigabyte of zeros": "1e-999999999", "sixteen digits": "1000000000000000",
		"just above the exponent": "1e19", "endless": strings.Repeat("9", 1<<16), "full width": "１２",
	} {
		t.Run(name, func(t *testing.T) {
			if m, err := ParseMoney(in); err == nil {
				t.Errorf("ParseMoney(%.40q) = %s, want an error", in, m)
			} else if len(err.Error()) > 200 {
				t.Errorf("error of %d bytes for a bad amount", len(err.Error()))
			}
		})
	}
}

func TestAnAmountHasTheDecimalsOfItsCurrency(t *testing.T) {
	for name, tt := range map[string]struct{ amount, currency, want string }{
		"three decimals":                {"1.255", "KWD", "1.255"},
		"three, padded":                 {"1250.5", "BHD", "1,250.500"},
		"three, whole":                  {"12", "TND", "12.000"},
		"none":                          {"1500", "UGX", "1,500"},
		"none, thousand":                {"1000000", "JPY", "1,000,000"},
		"none, nothing owed":            {"0", "XOF", "0"},
		"none, written with decimals":   {"1500.00", "UGX", "1,500"},
		"two":                           {"1500", "KES", "1,500.00"},
		"not known":                     {"1500", "", "1,500.00"},
		"finer than the currency":       {"1.255", "KES", "1.255"},
		"finer, never up":               {"0.999", "KES", "0.999"},
		"finer than a currency of none": {"2315.50", "UGX", "2,315.5"},
		"finer, credit":                 {"-1234.5678", "KES", "-1,234.5678"},
		"a binary float's noise":        {"2315.4999999999995", "KES", "2,315.50"},
		"noise of none":                 {"1499.9999999999998", "UGX", "1,500"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := MustMoney(tt.amount).Format(tt.currency); got != tt.want {
				t.Errorf("%s of %s is shown as %s, want %s", tt.amount, tt.currency, got, tt.want)
			}
		})
	}
}

// A text names the amount as the biller has it: neither with a cent more than is
// owed, nor with decimals that nobody can pay.
func TestATextNamesTheAmountInItsCurrency(t *testing.T) {
	for _, tt := range []struct{ amount, currency, want string }{
		{"1.255", "KWD", "KWD 1.255"}, {"1500", "UGX", "UGX 1,500."}, {"1.255", "KES", "KES 1.255"},
	} {
		p := shippedPolicy(t, func(p *Policy) { p.Currency = tt.currency })
		balance := MustMoney(tt.amount)
		b := Bill{Account: "14200331", Balance: &balance, DueDate: NewDate(2026, time.December, 5)}
		draft, err := p.Word(b, b.DueDate, true)
		if err != nil || !strings.Contains(draft.Body, tt.want) {
			t.Errorf("%q, %v; want %s", draft.Body, err, tt.want)
		}
	}
}

func TestMoneyOrder(t *testing.T) {
	ten, same, less := MustMoney("10"), MustMoney("10.00"), MustMoney("9.99")
	if !ten.Equal(same) || ten.Cmp(same) != 0 {
		t.Error("10 and 10.00 differ")
	}
	if less.Cmp(ten) >= 0 || ten.Cmp(less) <= 0 {
		t.Error("9.99 is not less than 10")
	}
	var zero Money
	if zero.Sign() != 0 || zero.String() != "0" || zero.Format("KES") != "0.00" {
		t.Errorf("the zero Money is %s", zero)
	}
	if MustMoney("-0.01").Sign() != -1 || less.Sign() != 1 {
		t.Error("wrong sign")
	}
}

func FuzzParseMoney(f *testing.F) {
	for _, s := range []string{"0", "-1", "231.56", "1e3", "1e-18", "1e999999999", "999999999999999.997", ".5", "5.", "+5", "1E+2", "１"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		m, err := ParseMoney(s)
		if err != nil {
			return
		}
		again, err := ParseMoney(m.String())
		if err != nil || !again.Equal(m) {
			t.Fatalf("%q is stored as %q, which reads %s, %v", s, m, again, err)
		}
		shown, err := decimal.NewFromString(strings.ReplaceAll(m.Format("KES"), ",", ""))
		if err != nil {
			t.Fatalf("%q is shown as %q: %v", s, m.Format("KES"), err)
		}
		if off := shown.Sub(m.d).Abs(); off.Cmp(MustMoney("0.0000005").d) > 0 {
			t.Fatalf("%q is shown as %q", s, m.Format("KES"))
		}
	})
}
