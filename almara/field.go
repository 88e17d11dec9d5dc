package almara

import (
	"bytes"
	"encoding/json"
	"strings"

	"duewatch/reminder"
)

// maxSpellings is how many different values of one key are kept. A key that has
// more contradicts itself, whatever they mean.
const maxSpellings = 4

// field is one field of an answer with each different value that it was given,
// in their order. encoding/json calls UnmarshalJSON for every occurrence of a
// key, in any letter case, where a plain RawMessage would keep the last alone: a
// balance of 1,500 and then of 0 would read as paid.
type field []json.RawMessage

// UnmarshalJSON adds a value that is not there yet.
func (f *field) UnmarshalJSON(value []byte) error {
	if len(*f) > maxSpellings {
		return nil
	}
	for _, known := range *f {
		if bytes.Equal(known, value) {
			return nil
		}
	}
	*f = append(*f, bytes.Clone(value))
	return nil
}

// raw is the first value, empty when the field is missing.
func (f field) raw() json.RawMessage {
	if len(f) == 0 {
		return nil
	}
	return f[0]
}

// contradiction is a pair of values that do not mean the same, as written; ok
// is false when there is none. 1500 and 1500.00 are one value.
func (f field) contradiction(meaning func(json.RawMessage) string) (one, other string, ok bool) {
	if len(f) < 2 { // nearly always
		return "", "", false
	}
	first := meaning(f[0])
	for i, value := range f[1:] {
		if i+1 == maxSpellings || meaning(value) != first {
			return written(f[0]), written(value), true
		}
	}
	return "", "", false
}

// alsoKnown is f with the known values of another field that says the same.
// What the other does not know contradicts nothing.
func (f field) alsoKnown(other field) field {
	for _, value := range other {
		if !isUnknown(value) {
			f = append(f, value)
		}
	}
	return f
}

// written is a value for a message: a text without its quotes, cut short.
func written(raw json.RawMessage) string {
	s := string(raw)
	if strings.HasPrefix(s, `"`) {
		s = oneLine(text(raw))
	}
	return truncate(s, maxWritten)
}

// maxWritten is how many characters of a value are repeated in a message.
const maxWritten = 40

// words is what is said for people in a field that should hold a text: a text,
// the texts of a list, or an object as it is written. A number or a boolean
// says nothing.
func (f field) words() string {
	for _, raw := range f {
		var list []string
		switch said := oneLine(text(raw)); {
		case said != "":
			return said
		case json.Unmarshal(raw, &list) == nil:
			if said := oneLine(strings.Join(list, " ")); said != "" {
				return said
			}
		case len(raw) > len("{}") && raw[0] == '{':
			return oneLine(string(raw))
		}
	}
	return ""
}

// saysSomething reports whether a field that is empty, zero or false in a good
// answer is none of that.
func (f field) saysSomething() bool {
	for _, raw := range f {
		switch string(bytes.Join(bytes.Fields(raw), nil)) {
		case "null", "false", "0", `""`, "[]", "{}":
		default:
			if text(raw) == "" || oneLine(text(raw)) != "" {
				return true
			}
		}
	}
	return false
}

// isNull reports whether a value is missing, null, or a text that means as much.
func isNull(raw json.RawMessage) bool {
	s := string(raw)
	return s == "" || s == "null" || strings.HasPrefix(s, `"`) && reminder.MeansNotKnown(text(raw))
}

// isUnknown is isNull, or -1 as a number or a text, which means "not known"
// everywhere but in lastKnownBalance.
func isUnknown(raw json.RawMessage) bool {
	if isNull(raw) {
		return true
	}
	s := written(raw)
	if !strings.HasPrefix(s, "-") { // most are dates and what is owed
		return false
	}
	m, err := reminder.ParseMoney(s)
	return err == nil && m.Equal(minusOne)
}

var minusOne = reminder.MustMoney("-1")
