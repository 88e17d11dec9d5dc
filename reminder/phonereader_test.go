package reminder

import (
	"fmt"
	"math"
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"
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

func TestPhoneReaderReadsWhatTheLibraryReads(t *testing.T) {
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
	want, _, wantErr := r.general(s)
	got, err := r.Parse(s)
	if several := err != nil && strings.HasPrefix(err.Error(), "holds several"); several && wantErr != nil {
		return
	}
	if got != want || fmt.Sprint(err) != fmt.Sprint(wantErr) {
		t.Fatalf("Parse(%q) in %q = %q, %v; the library says %q, %v", s, r.country, got.E164(), err, want.E164(), wantErr)
	}
}

func FuzzPhoneReader(f *testing.F) {
	for _, s := range []string{"0710000003", "+254 (0)710-000.003", "00254710000003", "710000003", "254710000003", "020 2222222", "+2540", "0254710000003", "+", "0"} {
		f.Add(s, "KE")
		f.Add(s, "TZ")
	}
	f.Fuzz(func(t *testing.T, s, country string) { same(t, NewPhoneReader(country), s) })
}

func TestNewRangesOfKenyaAreTakenAndSaid(t *testing.T) {
	for _, tt := range []struct {
		in, want string
		of       PhoneRange
		added    string
	}{
		{in: "0710000003", want: "+254710000003"},
		{in: "0180000001", want: "+254180000001", of: NewRange},
		{in: "+254 144 000 001", want: "+254144000001", of: NewRange},
		{in: "145000001", want: "+254145000001", of: NewRange},
		{in: "0144000001", want: "+254144000001", added: "+254144"},
		{in: "0145000001", want: "+254145000001", of: NewRange, added: "+254144"},
		{in: "020 2222222", want: "+254202222222", added: "+25420"}, // the operator knows
		{in: "018000000"},
		{in: "01800000011"},
		{in: "+255180000001"}, // Tanzania's are not ours to know
		{in: "0144", added: "+254144"},
	} {
		r := NewPhoneReader("KE")
		if tt.added != "" {
			r = NewPhoneReader("KE", tt.added)
		}
		got, of, err := r.Read(tt.in)
		if got.E164() != tt.want || of != tt.of || (err == nil) != (tt.want != "") {
			t.Errorf("Read(%q) with %q = %q, %v, %v; want %q, %v", tt.in, tt.added, got.E164(), of, err, tt.want, tt.of)
		}
	}
}

func TestSeveralNumbersAreRefusedWithTheFirst(t *testing.T) {
	r := NewPhoneReader("KE")
	for _, s := range []string{
		"0710000003/0710000004", "0710000003 / 0710000004", "0710000003,0710000004", "0710000003;0710000004", "0710000003\n0710000004", "0710000003 or 0710000004",
		"0710 000 003 0710 000 004", "+254710000003 +254710000004", "0710000003 (0710000004)", "0710000003 au 0710000004 au 0710000005", "0710000003-0710000004",
	} {
		_, err := r.Parse(s)
		if want := "holds several numbers: write one, such as the first, +2547******03"; err == nil || err.Error() != want {
			t.Errorf("Parse(%q): %v", s, err)
		}
	}
}

// A number with its country code and no plus is taken where it can be nothing else.
func TestForeignNumbersWithoutAPlus(t *testing.T) {
	const notValid = "is not a valid number in country KE: write it with its country code, such as +254710000000"
	r := NewPhoneReader("KE")
	for number, want := range map[string]string{
		"256710000003":    "+256710000003",
		"255 710 000 003": "+255710000003",
		"447911123456":    "+447911123456",
		"919810000003":    "+919810000003",
		"12025550123":     "is not a valid number in country KE: write it with a + in front if it is one of +1",
		"79161234567":     "is not a valid number in country KE: write it with a + in front if it is one of +7",
		"256414000003":    ErrNotMobile.Error(),
		"2547100000031":   notValid,
		"25671000000":     notValid,
		"0256710000003":   notValid,
		"999710000003":    notValid,
	} {
		p, in, err := r.Read(number)
		got := p.E164()
		if err != nil {
			got = err.Error()
		}
		if got != want || in != KnownRange {
			t.Errorf("%s: %s (range %d), want %s", number, got, in, want)
		}
	}
}
