package almara

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"duewatch/reminder"
)

// decode turns an answer about one bill into an Answer, a RejectedError, an
// UnclearError, a ForbiddenError, a RetryError or a StopError. The status comes first where it is clear; between
// a success and a fault of the bill the shape of the body decides, since the
// status of a failure is not documented.
func decode(what string, r reply, hide veil) (reminder.Answer, error) {
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
	a := b.answer(r.at)
	a.Problem = hide.clean(a.Problem, maxReason)
	return a, nil
}

// body is every field that is read of any known answer. encoding/json matches
// keys in any letter case and ignores the others; a raw field is empty when
// its key is missing.
type body struct {
	// An answer to saving a bill number (API reference, Save a Bill Number);
	// CustomerName is the former name of AccountCustomerName, and the one in
	// lookups.
	AccountCustomerName json.RawMessage
	CustomerName        json.RawMessage
	LastKnownBalance    json.RawMessage
	DueDate             json.RawMessage
	Verified            json.RawMessage

	// Balances under the names of sibling endpoints; a lookup's own is not
	// documented.
	Balance   json.RawMessage
	DueAmount json.RawMessage

	// Failures.
	Reason json.RawMessage
	Errors json.RawMessage

	Message json.RawMessage // all of the above once more, in a wrapped answer
	wrapped bool
}

func parseBody(text []byte) (body, error) {
	b, err := parseObject(trimBOM(text))
	if err != nil {
		return body{}, err
	}
	if inner, err := parseObject(b.Message); err == nil {
		inner.wrapped = true
		return inner, nil
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
	if reason := oneLine(text(b.Reason)); reason != "" {
		return reason
	}
	if status < 400 {
		return ""
	}
	var fields map[string]json.RawMessage
	if json.Unmarshal(b.Errors, &fields) != nil {
		return ""
	}
	var all []string
	for _, field := range slices.Sorted(maps.Keys(fields)) {
		var messages []string
		if json.Unmarshal(fields[field], &messages) != nil {
			messages = []string{text(fields[field])}
		}
		if joined := oneLine(strings.Join(messages, " ")); joined != "" {
			all = append(all, field+": "+joined)
		}
	}
	return strings.Join(all, "; ")
}

// isAnswer reports whether at least one field of a bill is there, be it as
// "not known". Anything else, such as {}, must not pass for a bill without
// data.
func (b body) isAnswer() bool {
	for _, raw := range []json.RawMessage{b.AccountCustomerName, b.CustomerName, b.LastKnownBalance, b.DueDate, b.Verified} {
		if len(raw) > 0 {
			return true
		}
	}
	return false
}

func (b body) answer(now time.Time) reminder.Answer {
	due, dueProblem := parseDueDate(b.DueDate, now)
	balance, balanceProblem := b.balance()
	problems := slices.DeleteFunc([]string{dueProblem, balanceProblem}, func(s string) bool { return s == "" })

	name := oneLine(text(b.AccountCustomerName))
	if name == "" {
		name = oneLine(text(b.CustomerName))
	}
	return reminder.Answer{
		At:       now,
		Customer: truncate(name, maxName),
		Balance:  balance,
		DueDate:  due,
		Verified: strings.EqualFold(strings.Trim(string(b.Verified), `"`), "true"),
		Problem:  strings.Join(problems, "; "),
	}
}

// dateAsWritten is a day with or without a time, which is not looked at: the
// due date is the day that is written, in whatever zone.
var dateAsWritten = regexp.MustCompile(`^(\d{4}-\d{2}-\d{2})(?:[Tt ]\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?(?: ?(?:[Zz]|[+-]\d{2}:?\d{2}))?)?$`)

// earliestYear is the first that is believed of a due date: what comes before
// is some program's zero, such as 1970 or 1900. A due date of past years is
// normal.
const earliestYear = 2000

// parseDueDate reads a due date; zero when it is not known. A day that is
// absurd or more than two years ahead is left out and named.
func parseDueDate(raw json.RawMessage, now time.Time) (due reminder.Date, problem string) {
	if isUnknown(raw) {
		return reminder.Date{}, ""
	}
	s := strings.TrimSpace(text(raw))
	if s == "" { // a number, a list, an object
		return reminder.Date{}, fmt.Sprintf("the due date %s is not a date", truncate(string(raw), 40))
	}
	if strings.HasPrefix(s, "0001-01-01") {
		return reminder.Date{}, ""
	}
	parts := dateAsWritten.FindStringSubmatch(s)
	if parts == nil {
		return reminder.Date{}, fmt.Sprintf("the due date %q is not a date", truncate(s, 40))
	}
	due, err := reminder.ParseDate(parts[1])
	switch {
	case err != nil:
		return reminder.Date{}, fmt.Sprintf("the due date %s is not a day of the calendar", parts[1])
	case due.Year() < earliestYear:
		return reminder.Date{}, fmt.Sprintf("the due date %s is before %d", due, earliestYear)
	case due.After(reminder.DateOf(now.AddDate(2, 0, 0))):
		return reminder.Date{}, fmt.Sprintf("the due date %s is more than two years ahead", due)
	}
	return due, ""
}

// balance reads what is owed, nil when it is not known. The documented field is
// lastKnownBalance, where a negative amount is credit. An answer that is not
// wrapped, thus a lookup, may have it under a name of sibling endpoints
// instead, where -1 is "not known".
func (b body) balance() (balance *reminder.Money, problem string) {
	raw := b.LastKnownBalance
	if isNull(raw) && !b.wrapped {
		for _, other := range []json.RawMessage{b.Balance, b.DueAmount} {
			if !isUnknown(other) {
				raw = other
				break
			}
		}
	}
	if isNull(raw) {
		return nil, ""
	}
	written := amountText(raw)
	m, err := reminder.ParseMoney(written)
	if err != nil {
		return nil, fmt.Sprintf("the balance %q is not a plausible amount", written)
	}
	return &m, ""
}

// amountText is a JSON number or string as written, so that no float comes
// between. What is too long for an amount ends in an ellipsis, which is none.
func amountText(raw json.RawMessage) string {
	s := string(raw)
	if strings.HasPrefix(s, `"`) {
		s = strings.TrimSpace(text(raw))
	}
	return truncate(s, 40)
}

// isNull reports whether a value is missing, null or an empty text.
func isNull(raw json.RawMessage) bool {
	s := string(raw)
	return s == "" || s == "null" || strings.HasPrefix(s, `"`) && strings.TrimSpace(text(raw)) == ""
}

// isUnknown is isNull, or -1 as a number or a text, which means "not known"
// everywhere but in lastKnownBalance.
func isUnknown(raw json.RawMessage) bool {
	if isNull(raw) {
		return true
	}
	s := amountText(raw)
	if !strings.HasPrefix(s, "-") { // most are dates and what is owed
		return false
	}
	m, err := reminder.ParseMoney(s)
	return err == nil && m.Equal(minusOne)
}

var minusOne = reminder.MustMoney("-1")

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
