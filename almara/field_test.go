package almara

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"duewatch/reminder"
)

// fieldFiles are answers as they came, by their file names.
func fieldFiles(t testing.TB) map[string]string {
	t.Helper()
	names, err := filepath.Glob("testdata/almara-200-*.json")
	if err != nil || len(names) == 0 {
		t.Fatal(names, err)
	}
	files := map[string]string{}
	for _, name := range names {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		files[filepath.Base(name)] = string(b)
	}
	return files
}

func TestAnswersOfTheField(t *testing.T) {
	now := time.Date(2026, 11, 29, 9, 0, 0, 0, time.UTC)
	due := date(t, "2026-12-05")
	wants := map[string]reminder.Answer{
		"almara-200-balance-twice.json":    {Customer: "A", DueDate: due, Problem: `the balance is given twice, as "1500" and as "0"`},
		"almara-200-kenyan-forms.json":     {Customer: "A", DueDate: due, Balance: money("1234.50")},
		"almara-200-name-html.json":        {Customer: "O'Brien & Sons", DueDate: due, Balance: money("1500")},
		"almara-200-name-placeholder.json": {DueDate: due, Balance: money("1500")},
	}
	for name, body := range fieldFiles(t) {
		t.Run(name, func(t *testing.T) {
			got, err := decodeJSON(200, body, now)
			if name == "almara-200-reason-beside-message.json" {
				if rejected := (*RejectedError)(nil); !errors.As(err, &rejected) || rejected.Reason != "Account number is invalid." {
					t.Errorf("%+v, %v", got, err)
				}
				return
			}
			want, ok := wants[name]
			if !ok || err != nil {
				t.Fatal(name, err)
			}
			want.At = now
			if diff := cmp.Diff(want, got, cmp.AllowUnexported(reminder.Date{})); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// A reason is believed wherever it stands: the fields beside it are zeros.
func TestAReasonIsBelievedWrappedOrNot(t *testing.T) {
	for name, tc := range map[string]struct{ body, want string }{
		"inside":               {`{"message":{"reason":"No such account","lastKnownBalance":0}}`, "No such account"},
		"beside":               {`{"message":{"lastKnownBalance":0},"reason":"No such account"}`, "No such account"},
		"beside, another case": {`{"REASON":"No such account","Message":{"lastKnownBalance":0}}`, "No such account"},
		"beside, inside null":  {`{"reason":"No such account","message":{"reason":null,"lastKnownBalance":0}}`, "No such account"},
		"twice, first empty":   {`{"message":{"reason":"","reason":"No such account","lastKnownBalance":0}}`, "No such account"},
		"in the second message": {
			`{"message":{"lastKnownBalance":0},"message":{"reason":"No such account"}}`, "No such account",
		},
		"a list":    {`{"reason":["No such account","Try again"],"message":{"lastKnownBalance":0}}`, "No such account Try again"},
		"an object": {`{"reason":{"code":7},"message":{"lastKnownBalance":0}}`, `{"code":7}`},
	} {
		t.Run(name, func(t *testing.T) {
			a, err := decodeJSON(200, tc.body, testNow)
			if rejected := (*RejectedError)(nil); !errors.As(err, &rejected) || rejected.Reason != tc.want {
				t.Errorf("%+v, %v", a, err)
			}
		})
	}
	for _, empty := range []string{`null`, `""`, `" "`, `[]`, `{}`, `false`, `0`, `[ ]`} {
		if a, err := decodeJSON(200, `{"reason":`+empty+`,"message":{"lastKnownBalance":5}}`, testNow); err != nil || a.Balance == nil || a.Problem != "" {
			t.Errorf("reason %s: %+v, %v", empty, a, err)
		}
	}
}

// What an answer says beside its fields can take the belief from them, so that
// the zeros of a failure do not read as paid.
func TestZerosBesideAFailureAreNotPaid(t *testing.T) {
	for name, body := range map[string]string{
		"reason without words":    `{"reason":404,"message":{"lastKnownBalance":0,"dueDate":"2026-05-01"}}`,
		"errors beside":           `{"errors":{"AccountNumber":["unknown"]},"message":{"lastKnownBalance":0,"dueDate":"2026-05-01"}}`,
		"errors inside":           `{"message":{"errors":["unknown"],"lastKnownBalance":0}}`,
		"messages that differ":    `{"message":{"lastKnownBalance":1500},"Message":{"lastKnownBalance":0}}`,
		"message and text":        `{"message":"Account does not exist","message":{"lastKnownBalance":0}}`,
		"remarks of a failure":    `{"message":{"remarks":"Account not found","lastKnownBalance":"0.00"}}`,
		"remarks beside":          `{"remarks":"Bill Number submission FAILED","message":{"lastKnownBalance":0}}`,
		"text message of failure": `{"message":"Account does not exist","lastKnownBalance":0,"status":"FAILED"}`,
		"status of a failure":     `{"status":404,"lastKnownBalance":0}`,
		"status as a text":        `{"status":"500","lastKnownBalance":0}`,
		"credit beside a failure": `{"message":{"remarks":"invalid account","lastKnownBalance":-1.0}}`,
	} {
		t.Run(name, func(t *testing.T) {
			a, err := decodeJSON(200, body, testNow)
			if err != nil || a.Balance != nil || a.Problem == "" {
				t.Errorf("%+v, %v", a, err)
			}
		})
	}
	for name, body := range map[string]string{
		"accepted":      `{"message":{"remarks":"Bill Number submission accepted","lastKnownBalance":0}}`,
		"null errors":   `{"errors":null,"message":{"errors":{},"lastKnownBalance":0}}`,
		"status of 200": `{"status":200,"lastKnownBalance":0}`,
	} {
		if a, err := decodeJSON(200, body, testNow); err != nil || a.Balance == nil || a.Problem != "" {
			t.Errorf("%s: %+v, %v", name, a, err)
		}
	}
	if a, err := decodeJSON(200, `{"message":{"remarks":"token invalid, renewed","lastKnownBalance":1500}}`, testNow); err != nil || a.Balance == nil {
		t.Errorf("what is owed is believed: %+v, %v", a, err)
	}
}

// encoding/json takes the last of two values, which made 1,500 and then 0 paid.
func TestAFieldWithTwoValuesIsNotLearned(t *testing.T) {
	owed := `"dueDate":"2026-05-01","accountCustomerName":"Jane"`
	for name, tc := range map[string]struct{ body, problem string }{
		"balance":                    {`{"message":{` + owed + `,"lastKnownBalance":1500,"lastKnownBalance":0}}`, `the balance is given twice, as "1500" and as "0"`},
		"balance, the other way":     {`{"message":{` + owed + `,"lastKnownBalance":0,"LastKnownBalance":"1,500.00"}}`, `the balance is given twice, as "0" and as "1,500.00"`},
		"a known one and null":       {`{"message":{` + owed + `,"lastKnownBalance":1500,"lastKnownBalance":null}}`, `the balance is given twice, as "1500" and as "null"`},
		"the third differs":          {`{"message":{` + owed + `,"lastKnownBalance":1500,"lastKnownBalance":"1500.0","lastKnownBalance":0}}`, `the balance is given twice, as "1500" and as "0"`},
		"a fifth spelling":           {`{"message":{` + owed + `,"lastKnownBalance":1,"lastKnownBalance":1.0,"lastKnownBalance":1.00,"lastKnownBalance":1.000,"lastKnownBalance":1e0,"lastKnownBalance":0}}`, `the balance is given twice, as "1" and as "1e0"`},
		"inside and beside":          {`{"lastKnownBalance":1500,"message":{` + owed + `,"lastKnownBalance":0}}`, `the balance is given twice, as "0" and as "1500"`},
		"under sibling names":        {`{` + owed + `,"lastKnownBalance":0,"dueAmount":5}`, `the balance is given twice, as "0" and as "5"`},
		"sibling names alone":        {`{` + owed + `,"balance":"12.10","dueAmount":0}`, `the balance is given twice, as "12.10" and as "0"`},
		"one sibling twice":          {`{` + owed + `,"lastKnownBalance":null,"balance":5,"Balance":0}`, `the balance is given twice, as "5" and as "0"`},
		"one value cannot be read":   {`{"message":{` + owed + `,"lastKnownBalance":1500,"lastKnownBalance":"zero"}}`, `the balance is given twice, as "1500" and as "zero"`},
		"both values cannot be read": {`{"message":{` + owed + `,"lastKnownBalance":"x1","lastKnownBalance":"x2"}}`, `the balance is given twice, as "x1" and as "x2"`},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := decodeJSON(200, tc.body, testNow)
			want := reminder.Answer{At: testNow, Customer: "Jane", DueDate: date(t, "2026-05-01"), Problem: tc.problem}
			if diff := cmp.Diff(want, got, cmp.AllowUnexported(reminder.Date{})); diff != "" || err != nil {
				t.Error(diff, err)
			}
		})
	}
	got, err := decodeJSON(200, `{"message":{"dueDate":"2026-05-01","DueDate":"02/05/2026","accountCustomerName":"Jane","ACCOUNTCUSTOMERNAME":"John",
		"verified":true,"Verified":false,"lastKnownBalance":5}}`, testNow)
	want := reminder.Answer{At: testNow, Balance: money("5"), Problem: `the due date is given twice, as "2026-05-01" and as "02/05/2026"; ` +
		`the customer's name is given twice, as "Jane" and as "John"; verified is given twice, as "true" and as "false"`}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(reminder.Date{})); diff != "" || err != nil {
		t.Error(diff, err)
	}
	got, err = decodeJSON(200, `{"accountCustomerName":"Jane","customerName":"John"}`, testNow)
	if want := `the customer's name is given twice, as "Jane" and as "John"`; err != nil || got.Customer != "" || got.Problem != want {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestAFieldWithOneValueTwiceIsLearned(t *testing.T) {
	for name, body := range map[string]string{
		"the same":          `{"message":{"lastKnownBalance":1500,"lastKnownBalance":1500,"dueDate":"2026-05-01","dueDate":"2026-05-01","accountCustomerName":"Jane"}}`,
		"in other words":    `{"message":{"lastKnownBalance":1500,"LastKnownBalance":"KES 1,500.00","dueDate":"2026-05-01","DueDate":"01/05/2026 00:00","customerName":"JANE","accountCustomerName":"Jane"}}`,
		"message twice":     `{"message":{"lastKnownBalance":1500,"dueDate":"2026-05-01","customerName":"Jane"},"Message":{"lastKnownBalance":1500,"dueDate":"2026-05-01","customerName":"Jane"}}`,
		"beside, not known": `{"lastKnownBalance":null,"dueDate":"-1","customerName":"","message":{"lastKnownBalance":1500,"dueDate":"2026-05-01","customerName":"Jane"}}`,
		"siblings":          `{"lastKnownBalance":1500,"balance":"1500.00","dueAmount":-1.0,"dueDate":"2026-05-01","accountCustomerName":"N/A","customerName":"Jane"}`,
	} {
		t.Run(name, func(t *testing.T) {
			got, err := decodeJSON(200, body, testNow)
			want := reminder.Answer{At: testNow, Customer: "Jane", Balance: money("1500"), DueDate: date(t, "2026-05-01")}
			if diff := cmp.Diff(want, got, cmp.AllowUnexported(reminder.Date{})); diff != "" || err != nil {
				t.Error(diff, err)
			}
		})
	}
}

func TestNames(t *testing.T) {
	for written, want := range map[string]string{
		`"JANE  DOE\n"`:                        "JANE DOE",
		`"O&#39;Brien &amp; Sons"`:             "O'Brien & Sons",
		`"O&#x27;Brien"`:                       "O'Brien",
		`"Smith &amp;amp; Co"`:                 "Smith &amp; Co", // once
		`"Black&copper Ltd"`:                   "Black&copper Ltd",
		`"Black &copper; Ltd"`:                 "Black &copper; Ltd",
		`"A &amp B"`:                           "A &amp B",
		`"Jane&nbsp;Doe"`:                      "Jane Doe",
		`"Jane&#10;Doe&#0;&#27;[2J"`:           "Jane Doe\uFFFD [2J",
		`"&#x202e;Jane"`:                       "Jane",
		`"M&#361;thoni"`:                       "Mũthoni",
		`"N/A"`:                                "",
		`"N&#47;A"`:                            "",
		`"&nbsp;"`:                             "",
		`"null"`:                               "",
		`null`:                                 "",
		`"-"`:                                  "",
		`14200331`:                             "",
		`["Jane"]`:                             "",
		`"` + strings.Repeat("ab ", 100) + `"`: strings.Repeat("ab ", 33) + "…",
	} {
		if got := nameOf([]byte(written)); got != want {
			t.Errorf("%s is read as %q, want %q", written, got, want)
		}
	}
}

func TestVerifiedIsTrueFalseOrNotSaid(t *testing.T) {
	for raw, want := range map[string]string{
		`true`: "true", `"true"`: "true", `"Yes"`: "true", `1`: "true", `false`: "false", `"False"`: "false", `"no"`: "false", `0`: "false",
		`null`: "nil", `""`: "nil", `"maybe"`: "nil", `2`: "nil", `[]`: "nil", `{}`: "nil",
	} {
		a, err := decodeJSON(200, `{"message":{"lastKnownBalance":1,"verified":`+raw+`}}`, testNow)
		got := "nil"
		if a.Verified != nil {
			got = fmt.Sprint(*a.Verified)
		}
		if err != nil || got != want || a.Problem != "" {
			t.Errorf("%s is read as %s: %+v, %v", raw, got, a, err)
		}
	}
	if a, err := decodeJSON(200, `{"message":{"lastKnownBalance":1}}`, testNow); err != nil || a.Verified != nil {
		t.Errorf("a missing one is %v, %v", a.Verified, err)
	}
}

// FuzzTwoValues gives the balance twice: what is read is what each of the two means
// by itself.
func FuzzTwoValues(f *testing.F) {
	for _, pair := range [][2]string{{`1500`, `0`}, {`1500`, `"1,500.00"`}, {`null`, `0`}, {`"KES 1"`, `1e0`}, {`-1`, `-1.0`}, {`""`, `"x"`}} {
		f.Add(pair[0], pair[1], `1500`)
	}
	alone := func(t *testing.T, value string) (a reminder.Answer, ok bool) {
		a, err := decodeJSON(200, `{"message":{"lastKnownBalance":`+value+`}}`, testNow)
		if strings.ContainsAny(value, "{}") || err != nil { // not one value
			t.Skip()
		}
		return a, a.Balance != nil
	}
	f.Fuzz(func(t *testing.T, one, two, three string) {
		a, err := decodeJSON(200, `{"message":{"lastKnownBalance":`+one+`,"LastKnownBalance":`+two+`,"lastknownbalance":`+three+`}}`, testNow)
		if err != nil {
			t.Skip()
		}
		first, known := alone(t, one)
		for _, value := range []string{two, three} {
			other, otherKnown := alone(t, value)
			same := known == otherKnown && (!known || first.Balance.Equal(*other.Balance))
			if a.Balance != nil && !same {
				t.Fatalf("%s, %s and %s became %v", one, two, three, a.Balance)
			}
		}
		if a.Balance != nil && !a.Balance.Equal(*first.Balance) {
			t.Fatalf("%s became %v", one, a.Balance)
		}
	})
}
