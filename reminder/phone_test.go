package reminder

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"regexp"
	"strings"
	"testing"
)

func TestParsePhone(t *testing.T) {
	tests := map[string]struct{ in, country, want string }{
		"national":                   {"0710000003", "KE", "+254710000003"},
		"E.164":                      {"+254710000003", "KE", "+254710000003"},
		"country code, no plus":      {"254710000003", "KE", "+254710000003"},
		"leading 00":                 {"00254710000003", "KE", "+254710000003"},
		"leading zero lost in a CSV": {"710000003", "KE", "+254710000003"},
		"spaces":                     {" 0710 000 003 ", "KE", "+254710000003"},
		"dots":                       {"0710.000.003", "KE", "+254710000003"},
		"hyphens":                    {"0710-000-003", "KE", "+254710000003"},
		"parentheses":                {"(0710) 000 003", "KE", "+254710000003"},
		"code in parentheses":        {"(+254) 710 000 003", "KE", "+254710000003"},
		"trunk zero in parentheses":  {"+254 (0)710 000 003", "KE", "+254710000003"},
		"the newer 1xx range":        {"0110000000", "KE", "+254110000000"},
		"1xx in E.164":               {"+254110000000", "KE", "+254110000000"},
		"from another country":       {"+254710000003", "UG", "+254710000003"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := ParsePhone(tt.in, tt.country)
			if err != nil || got.E164() != tt.want {
				t.Errorf("ParsePhone(%q, %s) = %q, %v; want %q", tt.in, tt.country, got.E164(), err, tt.want)
			}
		})
	}
}

func TestParsePhoneRefuses(t *testing.T) {
	tests := map[string]struct{ in, want string }{
		"empty":                        {"  ", "is empty"},
		"letters for keypad digits":    {"0710FLOWER", `character 'F'`},
		"two numbers, semicolon":       {"0710000000;0722000000", "several numbers"},
		"two numbers, slash":           {"0710000000/0722000000", "several numbers"},
		"two numbers, comma":           {"0710000000,0722000000", "several numbers"},
		"two numbers, space":           {"0710000000 0710000001", "several numbers"},
		"extension":                    {"0710000000 x2", `character 'x'`},
		"Arabic digits":                {"٠٧١٠٠٠٠٠٠٣", `character '٠'`},
		"full-width digits":            {"０７１００００００３", `character '０'`},
		"no-break space":               {"0710\u00a0000003", `character '\u00a0'`},
		"plus inside":                  {"254+710000003", `character '+'`},
		"two pluses":                   {"++254710000003", `character '+'`},
		"spreadsheet exponent":         {"2.5471E+11", `character 'E'`},
		"spreadsheet decimal":          {"254710000003.0", "ends like an amount"},
		"decimal that would fit":       {"71000000.0", "ends like an amount"},
		"tel link":                     {"tel:+254710000003", `character 't'`},
		"a digit short":                {"071000000", "is not a valid number"},
		"a digit long":                 {"07100000031", "is not a valid number"},
		"plus and 00":                  {"+00254710000003", "is not a phone number"},
		"unknown country code":         {"+9990710000003", "is not a phone number"},
		"landline":                     {"020 2222222", "is not a mobile number"},
		"freephone":                    {"0800723253", "is not a mobile number"},
		"emergency":                    {"999", "is not a valid number"},
		"only separators":              {"(-)", "is not a phone number"},
		"one digit":                    {"1", "is not a phone number"},
		"thousands of digits":          {strings.Repeat("7", 5000), "too many digits"},
		"a newline and another number": {"0710000000\n0710000001", "several numbers"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := ParsePhone(tt.in, "KE")
			if err == nil {
				t.Fatalf("ParsePhone(%q) = %q, want an error", tt.in, got.E164())
			}
			if !strings.Contains(err.Error(), tt.want) {
				t.Errorf("ParsePhone(%q): %q does not say %q", tt.in, err, tt.want)
			}
			if got != "" {
				t.Errorf("ParsePhone(%q) gave %q beside its error", tt.in, got.E164())
			}
		})
	}
}

func TestPhoneIsMaskedWhereverItIsPrinted(t *testing.T) {
	p := Phone("+254710000003")
	const want = "+2547******03"
	asJSON, err := json.Marshal(struct{ Phone Phone }{p})
	if err != nil {
		t.Fatal(err)
	}
	var log strings.Builder
	slog.New(slog.NewTextHandler(&log, nil)).Info("m", "phone", p)
	for name, got := range map[string]string{
		"v": fmt.Sprintf("%v", p), "+v": fmt.Sprintf("%+v", struct{ P Phone }{p}), "map": fmt.Sprint(map[Phone]bool{p: true}), "#v": fmt.Sprintf("%#v", p),
		"s": fmt.Sprint(p), "q": fmt.Sprintf("%q", p), "json": string(asJSON), "slog": log.String(),
	} {
		if !strings.Contains(got, want) || strings.Contains(got, "710000003") {
			t.Errorf("%s: %s, want it masked as %s", name, got, want)
		}
	}
	if got := Phone("+25471").String(); got != "******" {
		t.Errorf("a short number is printed as %q", got)
	}
	if p.E164() != "+254710000003" || p.Digits() != "254710000003" {
		t.Errorf("E164 %q, Digits %q", p.E164(), p.Digits())
	}
}

var (
	e164Form  = regexp.MustCompile(`^\+[1-9][0-9]{7,14}$`)
	longDigit = regexp.MustCompile(`[0-9]{7,}`)
)

func FuzzParsePhone(f *testing.F) {
	for _, s := range []string{
		"0710000003", "+254 (0)710-000.003", "00254710000003", "0710FLOWER", "0710000000;0722000000",
		"٠٧١٠٠٠٠٠٠٣", "71000000.0", "+", "+12125550123", "020 2222222", "\xff", "+2540",
	} {
		f.Add(s, "KE")
		f.Add(s, "US")
	}
	f.Add("0710000003", "")
	f.Add("0710000003", "xx")
	f.Fuzz(func(t *testing.T, s, country string) {
		p, err := ParsePhone(s, country)
		if err != nil {
			message := strings.ReplaceAll(err.Error(), "+254710000000", "")
			message = strings.ReplaceAll(message, country, "")
			for _, run := range longDigit.FindAllString(message, -1) {
				if strings.Contains(s, run) {
					t.Fatalf("ParsePhone(%q): %q repeats the number", s, err)
				}
			}
			return
		}
		if !e164Form.MatchString(p.E164()) {
			t.Fatalf("ParsePhone(%q) = %q, not E.164", s, p.E164())
		}
		if again, err := ParsePhone(p.E164(), country); err != nil || again != p {
			t.Fatalf("ParsePhone(%q) = %q, read again %q, %v", s, p.E164(), again.E164(), err)
		}
	})
}

func TestCallingCode(t *testing.T) {
	for p, want := range map[Phone]string{"+254710000001": "+254", "+256712000001": "+256", "+12025550123": "+1", "": "", "no number": ""} {
		if got := p.CallingCode(); got != want {
			t.Errorf("%s: %q, want %q", p, got, want)
		}
	}
	for country, want := range map[string]string{"KE": "+254", "UG": "+256", "US": "+1", "CA": "+1", "": "", "XX": ""} {
		if got := CallingCodeOf(country); got != want {
			t.Errorf("%s: %q, want %q", country, got, want)
		}
	}
}
