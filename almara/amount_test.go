package almara

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestAmountsInTexts(t *testing.T) {
	for _, tc := range []struct{ currency, written, want string }{
		{"KES", "1,234.50", "1234.5"},
		{"KES", "1,234", "1234"},
		{"KES", "12,345,678.90", "12345678.9"},
		{"KES", "-1,234.50", "-1234.5"},
		{"KES", "1 234.50", "1234.5"},
		{"KES", "1\u00a0234.50", "1234.5"},
		{"KES", "KES 1,234.50", "1234.5"},
		{"KES", "KES1234.50", "1234.5"},
		{"KES", "kes -1,234.50", "-1234.5"},
		{"KES", "-KES 1,234.50", "-1234.5"},
		{"KES", "Ksh 1,234.50", "1234.5"},
		{"KES", "Ksh. 1,234.50", "1234.5"},
		{"KES", "KShs.1,234", "1234"},
		{"KES", "1,234.50 KES", "1234.5"},
		{"KES", "1,500/=", "1500"},
		{"KES", "Sh 1,500/-", "1500"},
		{"UGX", "UGX 1,500", "1500"},
		{"UGX", "USh 1,500", "1500"},
		{"KWD", "1.234", "1.234"},
		{"KWD", "1,234.500", "1234.5"},
		{"KWD", "KWD 1,234,567", "1234567"},
		{"KES", "1500.0000", "1500"},
		{"KES", "1500.000", "1500"},
		{"KES", "0.000", "0"},
		{"KES", "1e3", "1000"},
		{"KES", ".5", "0.5"},
		{"KES", "-0", "0"},
		{"KES", "-0.00", "0"},
		{"", "1,234.50", "1234.5"},
		{"KES", "1.234,50", "problem"},
		{"KES", "1,23", "problem"},
		{"KES", "1,2345", "problem"},
		{"KES", "12,34,567.00", "problem"},
		{"KES", "1,234,56.00", "problem"},
		{"KES", "1 234,50", "problem"},
		{"KES", "1,234 567", "problem"},
		{"KES", "0,250", "problem"},
		{"KES", "1234,500", "problem"},
		{"KES", "1.234", "problem"},
		{"KES", "231.560", "problem"},
		{"UGX", "1.500", "problem"},
		{"KWD", "1,234", "problem"},
		{"KES", "USD 12.50", "problem"},
		{"KES", "12.50 EUR", "problem"},
		{"TZS", "Ksh 12.50", "problem"},
		{"", "KES 12.50", "problem"},
		{"KES", "(1,234.50)", "problem"},
		{"KES", "1,234.50-", "problem"},
		{"KES", "1,234.50 CR", "problem"},
		{"KES", "-KES -5", "problem"},
		{"KES", "1'234.50", "problem"},
		{"KES", "1_234", "problem"},
		{"KES", "0x10", "problem"},
		{"KES", "1e30", "problem"},
		{"KES", "paid", "problem"},
		{"KES", "１２", "problem"},
		{"KES", "1,234." + strings.Repeat("0", 200), "problem"},
	} {
		t.Run(tc.currency+" "+tc.written, func(t *testing.T) {
			raw, _ := json.Marshal(tc.written)
			m, problem := locale{currency: tc.currency}.amount(raw)
			if tc.want == "problem" {
				if problem == "" || len(problem) > maxReason {
					t.Errorf("read as %s, %q", m, problem)
				}
			} else if m.String() != tc.want || problem != "" {
				t.Errorf("read as %s, %q", m, problem)
			}
		})
	}
}

// What stands in place of an amount is never taken for nothing owed.
func TestWhatIsNoAmountIsNotTakenForZero(t *testing.T) {
	for _, raw := range []string{
		`false`, `true`, `[]`, `{}`, `[0]`, `{"amount":0}`, `"0 0"`, `"zero"`, `1e30`, `null`, `""`, `" "`, `"null"`, `"N/A"`, `"-"`, `"--"`, `"."`, `"none"`,
	} {
		a, err := decodeJSON(200, `{"message":{"lastKnownBalance":`+raw+`,"dueDate":"2026-12-05"}}`, testNow)
		if err != nil || a.Balance != nil || a.DueDate.IsZero() {
			t.Errorf("%s is read as %v, %v", raw, a, err)
		}
	}
}
