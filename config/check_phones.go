package config

import (
	"regexp"
	"strings"

	"duewatch/reminder"
)

// mobilePrefix is the beginning of a number with its country code, or as it is
// dialled at home.
var mobilePrefix = regexp.MustCompile(`^(\+[1-9][0-9]{3,7}|0[1-9][0-9]{1,4})$`)

// phones reads how numbers are read, and the ranges that are new.
func (c *checker) phones(v view, country string) (*reminder.PhoneReader, []string) {
	var prefixes []string
	v.each("phones.mobile_prefixes", func(item string) string {
		// Not repeated: it may be somebody's number.
		const want = `write it with its country code, such as "+254144", or as it is dialled, such as "0144"`
		if !mobilePrefix.MatchString(item) {
			return "is not the beginning of phone numbers: " + want
		}
		if national, ok := strings.CutPrefix(item, "0"); ok {
			item = reminder.CallingCodeOf(country) + national
		}
		// Fewer digits would let in the landlines of half a country.
		if code := reminder.Phone(item + "000000").CallingCode(); code == "" || len(item) < len(code)+2 {
			return "is only a country's code: " + want
		}
		prefixes = append(prefixes, item)
		return ""
	})
	return reminder.NewPhoneReader(country, prefixes...), prefixes
}
