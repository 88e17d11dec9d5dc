package almara

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"duewatch/reminder"
)

// isAnswer reports whether at least one field of a bill is there, even if its value
// means "not known". Anything else, such as {}, must not pass for a bill without
// data.
func (b body) isAnswer() bool {
	for _, f := range []field{b.AccountCustomerName, b.CustomerName, b.LastKnownBalance, b.DueDate, b.Verified} {
		if len(f) > 0 {
			return true
		}
	}
	return false
}

// answer is what the fields say at the instant now. A field with an absurd value, or
// with two different ones, is left out and named in Problem; the bill keeps its
// earlier value.
func (b body) answer(now time.Time, in locale) reminder.Answer {
	switch {
	case b.problem != "":
	case b.Reason.saysSomething():
		b.problem = "the answer gives a reason that has no words: " + written(b.Reason.raw())
	case b.Errors.saysSomething():
		b.problem = "the answer gives errors beside its fields: " + written(b.Errors.raw())
	}
	if b.problem != "" {
		return reminder.Answer{At: now, Problem: b.problem}
	}
	a := reminder.Answer{At: now}
	var problems [4]string
	a.DueDate, problems[0] = b.dueDate(now, in)
	a.Balance, problems[1] = b.balance(in)
	a.Customer, problems[2] = b.customer()
	a.Verified, problems[3] = b.verified()
	a.Problem = strings.Join(slices.DeleteFunc(problems[:], func(s string) bool { return s == "" }), "; ")
	return a
}

// givenTwice is the problem of a field with two different values.
func givenTwice(what, one, other string) string {
	return fmt.Sprintf("%s is given twice, as %q and as %q", what, one, other)
}

func (b body) dueDate(now time.Time, in locale) (due reminder.Date, problem string) {
	if one, other, ok := b.DueDate.contradiction(func(raw json.RawMessage) string {
		due, problem := in.dueDate(raw, now)
		return due.String() + problem
	}); ok {
		return reminder.Date{}, givenTwice("the due date", one, other)
	}
	return in.dueDate(b.DueDate.raw(), now)
}

// balance is what is owed, nil = not known. The documented field is lastKnownBalance,
// where a negative amount is credit. An answer that is not wrapped is a lookup, which
// may have it under the names of other endpoints too; there -1 means "not known".
func (b body) balance(in locale) (balance *reminder.Money, problem string) {
	f := b.LastKnownBalance
	if !b.wrapped {
		for _, sibling := range []field{b.Balance, b.DueAmount} {
			if len(f) == 1 && isNull(f[0]) {
				f = nil // a null contradicts no value under another name
			}
			f = f.withKnown(sibling)
		}
	}
	if one, other, ok := f.contradiction(func(raw json.RawMessage) string {
		if isNull(raw) {
			return ""
		}
		m, problem := in.amount(raw)
		return m.String() + problem
	}); ok {
		return nil, givenTwice("the balance", one, other)
	}
	if isNull(f.raw()) {
		return nil, ""
	}
	m, problem := in.amount(f.raw())
	if problem != "" {
		return nil, problem
	}
	if m.Sign() <= 0 {
		if said := b.failure(); said != "" {
			return nil, fmt.Sprintf("the balance %s is not used, since the answer says %q", m, said)
		}
	}
	return &m, ""
}

// failureWords are the words with which a program reports a failure beside the zeros
// of an answer that it could not give.
var failureWords = regexp.MustCompile(`(?i)\b(not (found|valid|registered|recogni[sz]ed|available|allowed)|` +
	`no such|(do|does) not exist|doesn't exist|invalid|unknown|failed|failure|error|rejected|declined|denied|unable|could not)\b`)

// failure is what the answer says of a failure beside its fields, or "". It matters
// where nothing seems to be owed, since such a bill would not be reminded of.
func (b body) failure() string {
	for _, f := range []field{b.Remarks, b.Status, b.Message} {
		for _, raw := range f {
			said := oneLine(text(raw))
			status, err := strconv.Atoi(strings.Trim(string(raw), `"`))
			switch {
			case err == nil && status >= 400:
				return "status " + strconv.Itoa(status)
			case failureWords.MatchString(said):
				return truncate(said, maxWritten)
			}
		}
	}
	return ""
}

// customer is the name of the account's holder at the biller, "" = not known.
func (b body) customer() (name, problem string) {
	f := b.AccountCustomerName
	if len(f) == 0 || len(f) == 1 && nameOf(f[0]) == "" {
		f = b.CustomerName
	} else {
		f = f.withKnown(b.CustomerName)
	}
	if one, other, ok := f.contradiction(func(raw json.RawMessage) string { return strings.ToLower(nameOf(raw)) }); ok {
		return "", givenTwice("the customer's name", one, other)
	}
	return nameOf(f.raw()), ""
}

// verified is whether the biller has confirmed the account; nil = the answer does
// not say.
func (b body) verified() (verified *bool, problem string) {
	if one, other, ok := b.Verified.contradiction(func(raw json.RawMessage) string { return strings.ToLower(written(raw)) }); ok {
		return nil, givenTwice("verified", one, other)
	}
	switch strings.ToLower(written(b.Verified.raw())) {
	case "true", "yes", "1":
		return new(true), ""
	case "false", "no", "0":
		return new(false), ""
	}
	return nil, ""
}
