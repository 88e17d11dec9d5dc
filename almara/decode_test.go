package almara

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/google/go-cmp/cmp"

	"duewatch/reminder"
)

func decodeJSON(status int, body string, now time.Time) (reminder.Answer, error) {
	h := http.Header{"Content-Type": {"application/json"}}
	return decode("register", reply{status, h, []byte(body), now}, redactor{phone: testBill.Phone}, locale{currency: "KES"})
}

func TestDecodeAnswers(t *testing.T) {
	for name, tc := range map[string]struct {
		body string
		want reminder.Answer
	}{
		"former name": {
			`{"message":{"appDomainName":"LIVE","remarks":"Bill Number submission accepted","customerName":"JANE  DOE\n","lastKnownBalance":"1250.50","dueDate":"2021-10-18T00:00:00"}}`,
			reminder.Answer{Customer: "JANE DOE", Balance: money("1250.50"), DueDate: date(t, "2021-10-18")},
		},
		"other letter case": {
			`{"Message":{"ACCOUNTCUSTOMERNAME":"A","LastKnownBalance":1,"duedate":"2026-05-01","Verified":true}}`,
			reminder.Answer{Customer: "A", Balance: money("1"), DueDate: date(t, "2026-05-01"), Verified: new(true)},
		},
		"nothing known": {
			`{"message":{"accountCustomerName":null,"lastKnownBalance":null,"dueDate":null,"verified":null}}`,
			reminder.Answer{},
		},
		"fields missing":             {`{"message":{"verified":false}}`, reminder.Answer{Verified: new(false)}},
		"credit":                     {`{"message":{"lastKnownBalance":-1}}`, reminder.Answer{Balance: money("-1")}},
		"no dueAmount":               {`{"dueDate":"-1","dueAmount":-1.0}`, reminder.Answer{}},
		"flat balance":               {`{"dueDate":"","balance":"12.10","dueAmount":-1}`, reminder.Answer{Balance: money("12.10")}},
		"alternates only in lookups": {`{"message":{"dueDate":null,"dueAmount":5}}`, reminder.Answer{}},
		"exact digits": {
			`{"message":{"lastKnownBalance":1234567890.123456789}}`, reminder.Answer{Balance: money("1234567890.123456789")},
		},
		"not an amount": {
			`{"message":{"lastKnownBalance":"1,25","dueDate":"2026-05-01"}}`,
			reminder.Answer{DueDate: date(t, "2026-05-01"), Problem: `the balance "1,25" is not a plausible amount`},
		},
		"absurd amount": {
			`{"message":{"lastKnownBalance":1e18}}`, reminder.Answer{Problem: `the balance "1e18" is not a plausible amount`},
		},
		"both absurd": {
			`{"message":{"lastKnownBalance":true,"dueDate":"9999-12-31"}}`,
			reminder.Answer{Problem: `the due date 9999-12-31 is more than two years ahead; the balance "true" is not a plausible amount`},
		},
		"byte order mark": {"\uFEFF" + `{"message":{"lastKnownBalance":1}}`, reminder.Answer{Balance: money("1")}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := decodeJSON(200, tc.body, testNow)
			if err != nil {
				t.Fatal(err)
			}
			tc.want.At = testNow
			if diff := cmp.Diff(tc.want, got, cmp.AllowUnexported(reminder.Date{})); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestDecodeDueDates(t *testing.T) {
	for raw, want := range map[string]string{
		`"2020-07-03"`:                         "2020-07-03",
		`"2021-10-18T00:00:00"`:                "2021-10-18",
		`"2021-10-18 00:00"`:                   "2021-10-18",
		`"2021-10-18T23:59:59.9999999Z"`:       "2021-10-18",
		`"2021-10-18T23:00:00-11:00"`:          "2021-10-18",
		`"2021-10-18T00:30:00.1234567+0300"`:   "2021-10-18",
		`"2021-10-18T00:30:00 +03:00"`:         "2021-10-18",
		`" 2021-10-18 "`:                       "2021-10-18",
		`"2028-04-01"`:                         "2028-04-01",
		`"2024-02-29"`:                         "2024-02-29",
		`"-1"`:                                 "",
		`-1`:                                   "",
		`-1.0`:                                 "",
		`null`:                                 "",
		`""`:                                   "",
		`"0001-01-01"`:                         "",
		`"0001-01-01T00:00:00"`:                "",
		`"2028-04-02"`:                         "problem: more than two years ahead",
		`"9999-12-31T23:59:59"`:                "problem: more than two years ahead",
		`"1970-01-01"`:                         "problem: before 2000",
		`"2025-02-29"`:                         "problem: not a day of the calendar",
		`"2025-13-01"`:                         "problem: not a day of the calendar",
		`"2021-10-18T"`:                        "problem: not a date",
		`"soon"`:                               "problem: not a date",
		`1634515200`:                           "problem: not a date",
		`{"year":2021}`:                        "problem: not a date",
		`"` + strings.Repeat("é", 500) + `"`:   "problem: not a date",
		`"call +254 710 000003 for your date"`: "problem: not a date",
	} {
		t.Run(raw, func(t *testing.T) {
			a, err := decodeJSON(200, `{"message":{"lastKnownBalance":1,"dueDate":`+raw+`}}`, testNow)
			if err != nil {
				t.Fatal(err)
			}
			problem, isProblem := strings.CutPrefix(want, "problem: ")
			if isProblem {
				if !a.DueDate.IsZero() || !strings.Contains(a.Problem, problem) || strings.Contains(a.Problem, "000003") || len(a.Problem) > 2*maxReason {
					t.Errorf("%v, %q", a.DueDate, a.Problem)
				}
			} else if a.DueDate.String() != want || a.Problem != "" {
				t.Errorf("%v, %q", a.DueDate, a.Problem)
			}
			if a.Balance == nil {
				t.Error("the balance beside it is lost")
			}
		})
	}
}

// The short way through plain texts reads what encoding/json reads.
func TestText(t *testing.T) {
	for _, raw := range []string{
		`"JANE DOE"`, `"2026-05-01"`, `""`, `" "`, `"a\"b"`, `"\u0041"`, `"a\\"`, `"Mũthoni"`, "\"bad \xff\"", "\"tab\there\"", `"`, `"open`, `12`, `null`, ``, `["a"]`, `"a","b"`,
	} {
		var want string
		if json.Unmarshal([]byte(raw), &want) != nil {
			want = ""
		}
		if got := text(json.RawMessage(raw)); got != want {
			t.Errorf("text(%s) = %q, want %q", raw, got, want)
		}
	}
}

// Whatever arrives: no panic; exactly one of answer and error; never a due
// date that is not believable; a balance that the store can keep.
func FuzzDecode(f *testing.F) {
	for _, s := range []string{
		seedSample, seedFailure, seedProblem, `{}`, `[]`, ``, `{"message":null}`,
		`{"dueDate":"2021-10-18 00:00","dueAmount":-1.0,"balance":"1e3"}`,
		`{"message":{"lastKnownBalance":"1e999999999","dueDate":"9999-12-31"}}`,
		`{"lastKnownBalance":12345678901234567890e18}`, `{"dueDate":"0001-01-01T00:00:00Z"}`,
		`{"message":{"lastKnownBalance":"KES 1,234.50","dueDate":"13/12/2026","remarks":"failed"},"reason":["a"]}`,
		`{"message":{"lastKnownBalance":1,"LASTKNOWNBALANCE":"1.00"},"MESSAGE":{}}`,
	} {
		f.Add(200, s, int64(1775034000))
		f.Add(400, s, int64(0))
	}
	for _, s := range fieldFiles(f) {
		f.Add(200, s, int64(1796000000))
	}
	f.Fuzz(func(t *testing.T, status int, body string, unix int64) {
		now := time.Unix(unix%(1<<34), 0).UTC()
		a, err := decodeJSON(status, body, now)
		if err != nil {
			if kind := outcomeOf(err); kind == "ok" || kind == "" || strings.Contains(err.Error(), "\n") {
				t.Errorf("%q", err)
			}
			if a != (reminder.Answer{}) {
				t.Errorf("both %+v and %v", a, err)
			}
			return
		}
		if status >= 300 {
			t.Errorf("status %d became %+v", status, a)
		}
		if a.DueDate.After(reminder.DateOf(now.AddDate(2, 0, 0))) || !a.DueDate.IsZero() && a.DueDate.Year() < earliestYear {
			t.Errorf("due %v, asked %v", a.DueDate, now)
		}
		if a.Balance != nil {
			again, err := reminder.ParseMoney(a.Balance.String())
			if err != nil || !again.Equal(*a.Balance) {
				t.Errorf("%v became %v: %v", a.Balance, again, err)
			}
		}
		if strings.ContainsFunc(a.Customer+a.Problem, unicode.IsControl) || a.Customer != "" && reminder.IsNoName(a.Customer) {
			t.Errorf("%+v", a)
		}
	})
}
