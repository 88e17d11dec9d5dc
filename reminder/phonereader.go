package reminder

import (
	"strconv"
	"strings"
	"sync"

	"github.com/nyaruka/phonenumbers"
)

// PhoneReader reads many numbers of one country: what ParsePhone reads, in
// a small part of its time for the usual spellings. It is safe for concurrent
// use.
type PhoneReader struct {
	country string
	code    string // calling code, "" where only ParsePhone will do
	number  int32  // the same
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

// NewPhoneReader makes a reader for national numbers of country (ISO 3166, two
// letters).
func NewPhoneReader(country string) *PhoneReader {
	r := &PhoneReader{country: country, number: zeroTrunk[country]}
	if r.number != 0 {
		r.code = strconv.Itoa(int(r.number))
	}
	return r
}

// Parse is ParsePhone.
func (r *PhoneReader) Parse(s string) (Phone, error) {
	if p := r.usual(s); p != "" {
		return p, nil
	}
	return ParsePhone(s, r.country)
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
