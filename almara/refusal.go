package almara

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// refusal is a client error whose form is not documented: the fields in which
// programs usually say what is wrong (RFC 9457, RFC 6749, and common habit). Any
// value but a text may be an object with the same fields.
type refusal struct {
	Title            json.RawMessage
	Detail           json.RawMessage
	Message          json.RawMessage
	ErrorDescription json.RawMessage `json:"error_description"`
	Error            json.RawMessage
}

func (f refusal) fields() []json.RawMessage {
	return []json.RawMessage{f.Title, f.Detail, f.Message, f.ErrorDescription, f.Error}
}

// texts lists the texts of the fields, and of the objects in them, each once.
func (f refusal) texts() (all []string) {
	add := func(raw json.RawMessage) {
		if s := oneLine(text(raw)); s != "" && !slices.Contains(all, s) {
			all = append(all, s)
		}
	}
	for _, raw := range f.fields() {
		add(raw)
		var inner refusal
		if json.Unmarshal(raw, &inner) == nil {
			for _, raw := range inner.fields() {
				add(raw)
			}
		}
	}
	return all
}

// refusalText is what a client error says: the texts that are found in it, or else
// the first words of the page, and the status.
func (r reply) refusalText(hide redactor) string {
	var f refusal
	said := ""
	if json.Unmarshal(trimBOM(r.body), &f) == nil {
		said = strings.Join(f.texts(), ": ")
	}
	if said == "" {
		return r.describe(hide)
	}
	status := fmt.Sprintf(" (status %d)", r.status)
	return hide.clean(said, maxReason-len(status)) + status // the words are cut, never the status
}
