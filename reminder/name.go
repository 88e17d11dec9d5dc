package reminder

import (
	"strings"
	"unicode"
)

// notKnown are words that programs write where they know nothing, in lower case
// and without anything but letters.
var notKnown = map[string]bool{
	"na": true, "nan": true, "nil": true, "none": true, "null": true, "undefined": true, "unknown": true,
	"notapplicable": true, "notavailable": true, "notknown": true, "notset": true, "tba": true, "tbc": true, "tbd": true,
}

// noNames are words that stand for a name and are none: what forms and examples
// of APIs are filled with.
var noNames = map[string]bool{
	"accountname": true, "blank": true, "customer": true, "customername": true, "dummy": true, "firstnamelastname": true, "fullname": true,
	"name": true, "noname": true, "notfound": true, "string": true, "test": true, "testcustomer": true, "testtest": true, "testuser": true,
	"unnamed": true,
}

// MeansNotKnown reports whether a text from outside stands for nothing: it is
// empty, nothing but punctuation, or a word such as N/A, null or "not available".
func MeansNotKnown(s string) bool {
	letters, digits := lettersOf(s)
	return !digits && (letters == "" || notKnown[letters])
}

// IsNoName reports whether a text stands where a person's name belongs and is
// none: what means "not known", a placeholder such as "test" or "xxx", or a text
// without a letter. "Hello N/A" is worse than no name.
func IsNoName(s string) bool {
	letters, _ := lettersOf(s)
	return letters == "" || notKnown[letters] || noNames[letters] || len(letters) > 1 && strings.Trim(letters, "x") == ""
}

// lettersOf are the letters of s in lower case, and whether it has digits.
func lettersOf(s string) (letters string, digits bool) {
	var b strings.Builder
	for _, r := range s {
		switch {
		case unicode.IsDigit(r):
			digits = true
		case unicode.IsLetter(r):
			b.WriteRune(unicode.ToLower(r))
		}
	}
	return b.String(), digits
}
