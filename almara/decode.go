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

// decode turns an answer about one bill into an Answer, or into one of the errors of
// errors.go. The status decides where it is clear. Between a success and a fault of
// the bill the shape of the body decides, since the status of a failure is not
// documented. The op is register or lookup.
func decode(op string, r reply, hide redactor, in locale) (reminder.Answer, error) {
	if err := r.clearFailure(op, hide); err != nil {
		return reminder.Answer{}, err
	}
	unusable := func(why string) (reminder.Answer, error) {
		if r.status >= 400 {
			return reminder.Answer{}, &UnclearError{Reason: r.refusalText(hide)}
		}
		return reminder.Answer{}, &RetryError{Err: fmt.Errorf("%s: %s: %s", op, why, r.describe(hide))}
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

// clearFailure is the failure of which the status says where the fault is, whatever was
// asked for; nil when it does not.
func (r reply) clearFailure(op string, hide redactor) error {
	switch {
	case r.status == http.StatusUnauthorized:
		return &StopError{
			fmt.Errorf("%s: %w although it is new: check almara.client_id, client_secret and scope", op, errUnauthorized)}
	case r.status == http.StatusForbidden:
		return &ForbiddenError{
			fmt.Errorf("%s: %s: this client has no right to it: ask Almara Pay, or check almara.scope and base_url", op, r.refusalText(hide))}
	case isTransient(r.status):
		return r.transientError(op, hide)
	case r.status >= 300 && r.status < 400:
		return r.redirectError(op)
	}
	return nil
}

// body has every field that is read from any known answer, each with all values
// that the answer gives it. encoding/json matches keys in any letter case and
// ignores the others.
type body struct {
	// The answer to a saved bill number (API reference, Save a Bill Number).
	// CustomerName is the former name of AccountCustomerName, and its name in lookups
	// (Get Bill Number).
	AccountCustomerName field
	CustomerName        field
	LastKnownBalance    field
	DueDate             field
	Verified            field

	// The balance under the names of other endpoints: the field of a lookup is not
	// documented.
	Balance   field
	DueAmount field

	// What may say that the zeros above stand for a failure.
	Remarks field
	Status  field

	// What a failure says.
	Reason field
	Errors field

	Message field  // an object with the fields above, in an answer that is wrapped
	wrapped bool   // the fields were in Message
	problem string // why no field of the answer can be used, "" = they can
}

// parseBody reads an answer. In one that is wrapped, the fields beside the message
// count where they report a failure or contradict the message.
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
		b.problem = "the answer has two messages that differ"
	}
	b.Remarks, b.Status = b.Remarks.withKnown(outer.Remarks), b.Status.withKnown(outer.Status)
	for _, same := range []struct {
		inside *field
		beside field
	}{
		{&b.AccountCustomerName, outer.AccountCustomerName}, {&b.CustomerName, outer.CustomerName},
		{&b.LastKnownBalance, outer.LastKnownBalance}, {&b.DueDate, outer.DueDate}, {&b.Verified, outer.Verified},
	} {
		if len(*same.inside) > 0 {
			*same.inside = same.inside.withKnown(same.beside)
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

// rejection is the reason why the bill was refused, or "". Two forms are documented:
// a reason, and a validation problem (RFC 7231), which counts only with the status of
// a client error. A reason counts also with the status of a success and beside other
// fields. Those fields may be zeros that a program filled in, and a bill that seems
// paid is not reminded of, while a rejected one is shown to the operator.
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

// isASCIIText reports whether a JSON value is a string of printable ASCII without
// escapes, which needs no decoding: json.Unmarshal would take ten times as long.
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
