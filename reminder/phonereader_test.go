package reminder

import (
	"fmt"
	"math"
	"regexp"
	"regexp/syntax"
	"slices"
	"testing"

	"github.com/nyaruka/phonenumbers"
)

// What PhoneReader takes for granted of its countries stands in the tables of
// the library, which change with its versions.
func TestCountriesOfPhoneReader(t *testing.T) {
	all, err := phonenumbers.MetadataCollection()
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, m := range all.GetMetadata() {
		code, ok := zeroTrunk[m.GetId()]
		if !ok {
			continue
		}
		found++
		if regions := phonenumbers.GetRegionCodesForCountryCode(int(code)); m.GetCountryCode() != code || len(regions) != 1 {
			t.Errorf("%s: calling code %d is of %v", m.GetId(), code, regions)
		}
		if m.GetNationalPrefixForParsing() != "0" || m.GetNationalPrefixTransformRule() != "" {
			t.Errorf("%s: the trunk prefix is %q, %q", m.GetId(), m.GetNationalPrefixForParsing(), m.GetNationalPrefixTransformRule())
		}
		for _, d := range []*phonenumbers.PhoneNumberDesc{
			m.GetGeneralDesc(), m.GetMobile(), m.GetPremiumRate(), m.GetTollFree(), m.GetSharedCost(), m.GetVoip(),
			m.GetPersonalNumber(), m.GetPager(), m.GetUan(), m.GetVoicemail(),
		} {
			re, err := syntax.Parse(d.GetNationalNumberPattern(), syntax.Perl)
			if err != nil {
				t.Fatal(err)
			}
			if n := freeTail(re); n < freeDigits && re.String() != "NA" {
				t.Errorf("%s: %s looks at all but the last %d digits", m.GetId(), re, n)
			}
		}
		abroad := regexp.MustCompile("^(?:" + m.GetInternationalPrefix() + ")")
		for n := range 100_000 {
			// Every beginning of a number but those with two zeros.
			if start := fmt.Sprintf("%05d", n); n >= 1000 && abroad.MatchString(start) {
				t.Fatalf("%s: %s is the prefix of calls abroad", m.GetId(), start)
			}
		}
	}
	if found != len(zeroTrunk) {
		t.Errorf("%d of %d countries found", found, len(zeroTrunk))
	}
}

// freeTail is how many digits at the end of a number may be any, at least.
func freeTail(re *syntax.Regexp) int {
	switch re.Op {
	case syntax.OpCharClass:
		if slices.Equal(re.Rune, []rune{'0', '9'}) {
			return 1
		}
	case syntax.OpRepeat:
		return freeTail(re.Sub[0]) * re.Min
	case syntax.OpCapture:
		return freeTail(re.Sub[0])
	case syntax.OpAlternate:
		least := math.MaxInt
		for _, sub := range re.Sub {
			least = min(least, freeTail(sub))
		}
		return least
	case syntax.OpConcat: // what stands before its last part adds nothing that is needed
		return freeTail(re.Sub[len(re.Sub)-1])
	}
	return 0
}

func TestPhoneReaderReadsWhatParsePhoneReads(t *testing.T) {
	for _, country := range []string{"ET", "KE", "NG", "RW", "TZ", "UG", "US", "IT", "GB", ""} {
		r := NewPhoneReader(country)
		for n := 0; n < 2000; n += 7 {
			for _, form := range []string{"0%d00000%02d", "%d00000%02d", "+254%d00000%02d", "+256 %d00000%02d", "254%d00000%02d", "00255%d00000%02d", "+2540%d00000%02d", "%d000000%02d"} {
				same(t, r, fmt.Sprintf(form, n/2, n%100))
			}
		}
	}
}

// same compares the two on one number, printing it only when a test fails.
func same(t *testing.T, r *PhoneReader, s string) {
	t.Helper()
	want, wantErr := ParsePhone(s, r.country)
	got, err := r.Parse(s)
	if got != want || fmt.Sprint(err) != fmt.Sprint(wantErr) {
		t.Fatalf("Parse(%q) in %q = %q, %v; ParsePhone says %q, %v", s, r.country, got.E164(), err, want.E164(), wantErr)
	}
}

func FuzzPhoneReader(f *testing.F) {
	for _, s := range []string{"0710000003", "+254 (0)710-000.003", "00254710000003", "710000003", "254710000003", "020 2222222", "+2540", "0254710000003", "+", "0"} {
		f.Add(s, "KE")
		f.Add(s, "TZ")
	}
	f.Fuzz(func(t *testing.T, s, country string) { same(t, NewPhoneReader(country), s) })
}
