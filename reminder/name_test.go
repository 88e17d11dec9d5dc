package reminder

import (
	"strings"
	"testing"
)

func TestAPlaceholderIsNoName(t *testing.T) {
	for _, s := range []string{
		"", "N/A", "n/a", "NA", "N.A.", "null", "NULL", "(null)", "nil", "none", "NONE", "-", "--", "---", ".", "...", "*", "?", "unknown", "Unknown",
		"Not Available", "not-available", "not applicable", "undefined", "NaN", "test", "TEST", "Test Customer", "xxx", "XX", "XXXX XXXX", "x x", "string",
		"customer name", "TBD", "0", "14200331", "254-710", "firstname lastname",
	} {
		if !IsNoName(s) {
			t.Errorf("%q is taken for a name", s)
		}
	}
	for _, s := range []string{
		"Jane Wanjiru", "X", "Nash", "Nana", "Nil Kumar", "Naomi N/A Otieno", "Max", "Test & Sons", "3M", "O'Brien", "Ng", "王", "Ünal", "Dr. No",
		strings.Repeat("x", 40) + "a", "Customer Care Ltd", "Unknown Pleasures Bar",
	} {
		if IsNoName(s) {
			t.Errorf("%q is taken for no name", s)
		}
	}
}

func TestANumberIsNotUnknown(t *testing.T) {
	for s, want := range map[string]bool{
		"": true, " ": true, "N/A": true, "-": true, "none": true, "not available": true, "0": false, "-1": false, "1,234.50": false,
		"test": false, "05/12/2026": false, "2 Dec 2026": false, "paid": false, "NA 0": false,
	} {
		if got := MeansNotKnown(s); got != want {
			t.Errorf("MeansNotKnown(%q) = %v", s, got)
		}
	}
}
