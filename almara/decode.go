package almara

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"duewatch/reminder"
)

// decode turns an answer about one bill into an Answer, a RejectedError, an
// UnclearError, a ForbiddenError, a RetryError or a StopError. The status comes first where it is clear; between
// a success and a fault of the bill the shape of the body decides, since the
// status of a failure is not documented.
func decode(what string, r reply, hide redactor, in local) (reminder.Answer, error) {
	switch {
	case r.status == http.StatusUnauthorized:
		return reminder.Answer{}, &StopError{fmt.Errorf("%s: %w although it is new: check almara.client_id, client_secret and scope", what, errUnauthorized)}
	case r.status == http.StatusForbidden:
		return reminder.Answer{}, &ForbiddenError{fmt.Errorf("%s: %s: this client has no right to it: ask Almara Pay, or check almara.scope and base_url", what, r.said(hide))}
	case passing(r.status):
		return reminder.Answer{}, r.passingError(what, hide)
	case r.status >= 300 && r.status < 400:
		return reminder.Answer{}, r.redirectError(what)
	}

	unusable := func(why string) (reminder.Answer, error) {
		if r.status >= 400 {
			return reminder.Answer{}, &UnclearError{r.said(hide)}
		}
		return reminder.Answer{}, &RetryError{Err: fmt.Errorf("%s: %s: %s", what, why, r.describe(hide))}
	}
	if !r.isJSON() {
		return unusable("the answer is not JSON")
	}
	b, err := parseBody(r.body)
	if err != nil {
		return unusable("the answer cannot be read as a JSON object")
	}
	if reason := b.rejection(r.status); reason != "" {
		return reminder.Answer{}, &RejectedError{hide.clean(reason, maxReason)}
	}
	if r.status >= 400 {
		return unusable("the failure gives no reason in a known form")
	}
	if !b.isAnswer() {
		return unusable("the answer has none of the expected fields")
	}
	a := b.answer(r.at, in)
	a.Problem = hide.clean(a.Problem, maxReason)
	return a, nil
}

// body is every field that is read of any known answer, with each value that it
// was given. encoding/json matches keys in any letter case and ignores the
// others.
type body struct {
	// An answer to saving a bill number (API reference, Save a Bill Number);
	// CustomerName is the former name of AccountCustomerName, and the one in
	// lookups.
	AccountCustomerName field
	CustomerName        field
	LastKnownBalance    field
	DueDate             field
	Verified            field

	// Balances under the names of sibling endpoints; a lookup's own is not
	// documented.
	Balance   field
	DueAmount field

	// What may say that the fields above are a program's zeros.
	Remarks field
	Status  field

	// Failures.
	Reason field
	Errors field

	Message field // all of the above once more, in a wrapped answer
	wrapped bool
	// doubt is why nothing of the answer is learned, "" when it may be.
	doubt string
}

// parseBody reads an answer. What stands beside a wrapped message is believed
// where it is a failure, and where it contradicts the message.
func parseBody(text []byte) (body, error) {
	outer, err := parseObject(trimBOM(text))
	if err != nil {
		return body{}, err
	}
	var wrapped []body
	for _, message := range outer.Message {
		if b, err := parseObject(message); err == nil {
			wrapped = append(wrapped, b)
		}
	}
	if len(wrapped) == 0 {
		return outer, nil
	}
	b := wrapped[0]
	b.wrapped = true
	for _, other := range append(wrapped[1:], outer) {
		b.Reason = append(b.Reason, other.Reason...)
		b.Errors = append(b.Errors, other.Errors...)
	}
	if len(outer.Message) > 1 {
		b.doubt = "the answer has two messages that differ"
	}
	b.Remarks, b.Status = b.Remarks.alsoKnown(outer.Remarks), b.Status.alsoKnown(outer.Status)
	for _, same := range []struct {
		inside *field
		beside field
	}{
		{&b.AccountCustomerName, outer.AccountCustomerName}, {&b.CustomerName, outer.CustomerName},
		{&b.LastKnownBalance, outer.LastKnownBalance}, {&b.DueDate, outer.DueDate}, {&b.Verified, outer.Verified},
	} {
		if len(*same.inside) > 0 {
			*same.inside = same.inside.alsoKnown(same.beside)
		}
	}
	return b, nil
}

func parseObject(text []byte) (b body, err error) {
	if !bytes.HasPrefix(bytes.TrimLeft(text, " \t\r\n"), []byte("{")) {
		return body{}, errors.New("not a JSON object")
	}
	err = json.Unmarshal(text, &b)
	return b, err
}

// rejection is the reason why the bill was refused, or "". Two shapes are
// documented: a reason, and a validation problem (RFC 7231), which counts only
// with a client error's status. A reason is believed even with a success's
// status and beside other fields: those may be a program's zeros, and a bill
// that seems paid would be silent, while a rejected one is shown.
func (b body) rejection(status int) string {
	if reason := b.Reason.words(); reason != "" {
		return reason
	}
	if status < 400 {
		return ""
	}
	var all []string
	for _, raw := range b.Errors {
		var fields map[string]json.RawMessage
		if json.Unmarshal(raw, &fields) != nil {
			continue
		}
		for _, name := range slices.Sorted(maps.Keys(fields)) {
			var messages []string
			if json.Unmarshal(fields[name], &messages) != nil {
				messages = []string{text(fields[name])}
			}
			if joined := oneLine(strings.Join(messages, " ")); joined != "" {
				all = append(all, name+": "+joined)
			}
		}
	}
	return strings.Join(all, "; ")
}

// text is a JSON string, or "" for anything else.
func text(raw json.RawMessage) string {
	if isASCIIText(raw) {
		return string(raw[1 : len(raw)-1])
	}
	var s string
	if json.Unmarshal(raw, &s) != nil {
		return ""
	}
	return s
}

// isASCIIText reports whether a JSON value is a string of nothing but plain
// characters, which mean themselves: json.Unmarshal would take ten times as long.
func isASCIIText(raw json.RawMessage) bool {
	if len(raw) < 2 || raw[0] != '"' || raw[len(raw)-1] != '"' {
		return false
	}
	for _, c := range raw[1 : len(raw)-1] {
		if c < ' ' || c > '~' || c == '\\' || c == '"' {
			return false
		}
	}
	return true
}
