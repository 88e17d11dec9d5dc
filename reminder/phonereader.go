package reminder

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"unicode"

	"github.com/nyaruka/phonenumbers"
)

// PhoneReader reads numbers of one country as ParsePhone does, the usual spellings
// of many in a small part of its time. It is safe for concurrent use.
type PhoneReader struct {
	country string
	added   []string // beginnings of mobile numbers, such as "+254144", that the library need not know
	code    string   // calling code, "" where only ParsePhone will do
	number  int32    // the same
	own     string   // calling code with its plus, of any country
	// mobile holds what the library said of numbers: whether those of this
	// length and beginning are mobile ones.
	mobile sync.Map
}

// start is what tells mobile numbers of the countries of zeroTrunk from others:
// their length, and all digits but the last freeDigits.
type start struct {
	length int
	digits uint64
}

// No table of those countries looks at the last five digits. A test holds this
// against the library's own.
const (
	freeDigits = 5
	freeBase   = 100_000
)

// zeroTrunk are countries in which a mobile number is written +CODE N, 0N or N
// and nothing else can be meant by it: one country to a calling code, and 0 the
// only digit in front. A test holds this against the library's own tables.
var zeroTrunk = map[string]int32{"ET": 251, "KE": 254, "NG": 234, "RW": 250, "TZ": 255, "UG": 256}

// PhoneRange says who knows that a number is a mobile one.
type PhoneRange int

const (
	// KnownRange is a number that the library's tables have, or the operator.
	KnownRange PhoneRange = iota
	// NewRange is a number that no table has, and that is one by its length and
	// beginning: regulators open ranges sooner than libraries learn of them.
	NewRange
)

// newRange are the numbers that Kenya keeps for mobile phones: its tables named
// half of them when this was written, and 0144, 0145 and 018x were in use beside.
var newRange = regexp.MustCompile(`^\+254[17][0-9]{8}$`)

// NewPhoneReader makes a reader for national numbers of country (ISO 3166, two
// letters). Numbers that begin with one of added, such as "+254144", are mobile
// ones, whatever the library says.
func NewPhoneReader(country string, added ...string) *PhoneReader {
	r := &PhoneReader{country: country, number: zeroTrunk[country], own: CallingCodeOf(country), added: added}
	if r.number != 0 {
		r.code = strconv.Itoa(int(r.number))
	}
	return r
}

// Parse is Read for whoever takes a number of any range.
func (r *PhoneReader) Parse(s string) (Phone, error) {
	p, _, err := r.Read(s)
	return p, err
}

// Read reads one mobile number as people write it. The errors say what to write
// instead and never repeat the number.
func (r *PhoneReader) Read(s string) (Phone, PhoneRange, error) {
	if p := r.usual(s); p != "" {
		return p, KnownRange, nil
	}
	p, in, err := r.general(s)
	if err != nil && !errors.Is(err, ErrNotMobile) {
		if first := r.firstOfSeveral(s); first != "" {
			err = fmt.Errorf("holds several numbers: write one, such as the first, %s", first)
		}
	}
	return p, in, err
}

// ForeignCode is the calling code of a phone of another country than the reader's,
// "" for one of its own.
func (r *PhoneReader) ForeignCode(p Phone) string {
	if r.own != "" && strings.HasPrefix(string(p), r.own) {
		return ""
	}
	return p.CallingCode()
}

// general reads a number by the library.
func (r *PhoneReader) general(s string) (Phone, PhoneRange, error) {
	digits, err := bareNumber(strings.TrimSpace(s))
	if err != nil {
		return "", 0, err
	}
	n, err := phonenumbers.Parse(digits, r.country)
	if err != nil {
		// err is left out on purpose: it may repeat the number.
		return "", 0, errors.New("is not a phone number: write it with its country code, such as +254710000000")
	}
	e164 := phonenumbers.Format(n, phonenumbers.E164)
	in := KnownRange
	switch kind := phonenumbers.GetNumberType(n); {
	case kind == phonenumbers.MOBILE || kind == phonenumbers.FIXED_LINE_OR_MOBILE:
	case phonenumbers.IsPossibleNumber(n) && slices.ContainsFunc(r.added, func(start string) bool { return strings.HasPrefix(e164, start) }):
	case kind != phonenumbers.UNKNOWN: // just what phonenumbers.IsValidNumber calls invalid, for half the work
		return "", 0, ErrNotMobile
	case newRange.MatchString(e164):
		in = NewRange
	default:
		if e164, err = r.withoutPlus(digits); err != nil {
			return "", 0, err
		}
	}
	if len(e164) < minE164 || len(e164) > maxE164 {
		return "", 0, errors.New("is shorter or longer than numbers that can be texted")
	}
	return Phone(e164), in, nil
}

// withoutPlus reads a number of another country that lacks its plus, which is no
// number of the reader's country. It is taken where a calling code of two digits or
// three and a mobile number of just its length leave no doubt. A code of one digit,
// +1 or +7, may also be the beginning of a number at home with a digit too many.
func (r *PhoneReader) withoutPlus(digits string) (e164 string, err error) {
	invalid := fmt.Errorf("is not a valid number in country %s: write it with its country code, such as +254710000000", r.country)
	if digits == "" || digits[0] == '+' || digits[0] == '0' {
		return "", invalid
	}
	n, err := phonenumbers.Parse("+"+digits, "")
	if err != nil {
		return "", invalid
	}
	const oneDigit = 10 // codes below
	switch kind := phonenumbers.GetNumberType(n); {
	case kind == phonenumbers.UNKNOWN:
		return "", invalid
	case n.GetCountryCode() < oneDigit:
		const hint = "is not a valid number in country %s: write it with a + in front if it is one of +%d"
		return "", fmt.Errorf(hint, r.country, n.GetCountryCode())
	case kind != phonenumbers.MOBILE && kind != phonenumbers.FIXED_LINE_OR_MOBILE:
		return "", ErrNotMobile
	}
	return "+" + digits, nil
}

// firstOfSeveral is the first of several numbers in one text, "" when there are
// none or only one. Which of them is to be texted is not for us to say.
func (r *PhoneReader) firstOfSeveral(s string) Phone {
	const longest = 100 // of a text that is looked at: a few numbers and what is between them
	if len(s) > longest {
		return ""
	}
	for i, c := range s {
		if unicode.IsDigit(c) || countDigits(s[:i]) < len("710000000") || countDigits(s[i:]) < len("710000000") {
			continue
		}
		if p, _, err := r.general(s[:i]); err == nil {
			return p
		}
	}
	return ""
}

func countDigits(s string) (n int) {
	for _, c := range s {
		if unicode.IsDigit(c) {
			n++
		}
	}
	return n
}

// usual reads a number whose country code and trunk zero can be told without
// the library, which spends most of its time on them; "" when it is not so, or
// no mobile number.
func (r *PhoneReader) usual(s string) Phone {
	if r.code == "" {
		return ""
	}
	digits, err := bareNumber(strings.TrimSpace(s))
	if err != nil {
		return ""
	}
	national, international := strings.CutPrefix(digits, "+")
	if international {
		if national, international = strings.CutPrefix(national, r.code); !international {
			return ""
		}
	} else {
		var trunk bool
		national, trunk = strings.CutPrefix(national, "0")
		if !trunk && strings.HasPrefix(national, r.code) { // as good as with a plus, or not: the library knows
			return ""
		}
	}
	e164 := "+" + r.code + national
	n, err := strconv.ParseUint(national, 10, 64)
	if err != nil || national[0] == '0' || len(e164) < minE164 || len(e164) > maxE164 {
		return ""
	}
	if !r.isMobile(n, len(national)) {
		return ""
	}
	return Phone(e164)
}

// isMobile asks the library once for each beginning of numbers.
func (r *PhoneReader) isMobile(n uint64, length int) bool {
	key := start{length, n / freeBase}
	if known, ok := r.mobile.Load(key); ok {
		return known == true
	}
	kind := phonenumbers.GetNumberType(&phonenumbers.PhoneNumber{CountryCode: &r.number, NationalNumber: &n})
	is := kind == phonenumbers.MOBILE || kind == phonenumbers.FIXED_LINE_OR_MOBILE
	r.mobile.Store(key, is)
	return is
}
