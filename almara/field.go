package almara

import (
	"bytes"
	"encoding/json"
	"strings"

	"duewatch/reminder"
)

// maxSpellings is how many different values of one key are compared. A key with more
// of them contradicts itself, whatever they mean.
const maxSpellings = 4

// field is one field of an answer with each different value that the answer gives
// it, in order. encoding/json calls UnmarshalJSON for every occurrence of a key, in
// any letter case. A plain RawMessage would keep only the last one: a balance of
// 1,500 and then of 0 would read as paid.
type field []json.RawMessage

// UnmarshalJSON adds a value, unless the field has it.
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

// contradiction is a pair of values that differ in meaning, as written; ok is false
// when there is none. 1500 and 1500.00 have the same meaning.
func (f field) contradiction(meaning func(json.RawMessage) string) (one, other string, ok bool) {
	if len(f) < 2 { // as in nearly every answer
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

// withKnown is f with the values of another field that has the same content. A
// value that means "not known" is left out, since it contradicts nothing.
func (f field) withKnown(other field) field {
	for _, value := range other {
		if !isUnknown(value) {
			f = append(f, value)
		}
	}
	return f
}

// written is a value as a problem shows it: a text without its quotes, cut to
// maxWritten characters.
func written(raw json.RawMessage) string {
	s := string(raw)
	if strings.HasPrefix(s, `"`) {
		s = oneLine(text(raw))
	}
	return truncate(s, maxWritten)
}

// maxWritten is how many characters of a value a problem shows.
const maxWritten = 40

// words is what a field that should hold a text says to people: a text, the texts of
// a list, or an object as it is written. A number or a boolean says nothing.
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

// saysSomething reports whether a field has a value that is not empty, zero or false.
// In an answer without a failure it has none.
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

// isNull reports whether a value is missing, null, or a text that means "not known".
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
	if !strings.HasPrefix(s, "-") { // spares most dates and amounts the parser
		return false
	}
	m, err := reminder.ParseMoney(s)
	return err == nil && m.Equal(minusOne)
}

var minusOne = reminder.MustMoney("-1")
