package almara

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// refusal is what is read of a client error whose form is not documented: the
// words in which programs usually say what is wrong (RFC 9457, RFC 6749, and
// plain habit).
type refusal struct {
	Title            json.RawMessage
	Detail           json.RawMessage
	Message          json.RawMessage // a text, or all of it once more
	ErrorDescription json.RawMessage `json:"error_description"`
	Error            json.RawMessage // a text, or all of it once more
}

// words are those of the refusal, each once, and without what only repeats the
// name of an error in another field.
func (f refusal) words(deep bool) (all []string) {
	for _, raw := range []json.RawMessage{f.Title, f.Detail, f.Message, f.ErrorDescription, f.Error} {
		said := oneLine(text(raw))
		if said != "" && !slices.Contains(all, said) {
			all = append(all, said)
		}
		var inner refusal
		if deep && said == "" && json.Unmarshal(raw, &inner) == nil {
			all = append(all, inner.words(false)...)
		}
	}
	return all
}

// said is what a client error says: the words that are found in it, or else the
// first ones of the page, and the status.
func (r reply) said(hide redactor) string {
	var f refusal
	said := ""
	if json.Unmarshal(trimBOM(r.body), &f) == nil {
		said = strings.Join(f.words(true), ": ")
	}
	if said == "" {
		return r.describe(hide)
	}
	status := fmt.Sprintf(" (status %d)", r.status)
	return hide.clean(said, maxReason-len(status)) + status // which stays whole where the words must be cut
}
