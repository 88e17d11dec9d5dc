package almara

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

func TestDueDatesOfKenyanForms(t *testing.T) {
	now := time.Date(2026, 11, 29, 9, 0, 0, 0, time.UTC)
	for written, want := range map[string]string{
		"05/12/2026":                    "2026-12-05",
		"02/12/2026":                    "2026-12-02",
		"13/12/2026":                    "2026-12-13",
		"12/12/2026":                    "2026-12-12",
		"2/1/2027":                      "2027-01-02",
		"2-12-2026":                     "2026-12-02",
		"02.12.2026":                    "2026-12-02",
		"02/12/2026 00:00:00":           "2026-12-02",
		"02/12/2026T00:00":              "2026-12-02",
		"13/12/2026 12:00:00 AM":        "2026-12-13",
		"2026/12/02":                    "2026-12-02",
		"2026.12.2":                     "2026-12-02",
		"2 Dec 2026":                    "2026-12-02",
		"02-Dec-2026":                   "2026-12-02",
		"2nd December 2026":             "2026-12-02",
		"2 December, 2026":              "2026-12-02",
		"December 2, 2026":              "2026-12-02",
		"dec 02 2026":                   "2026-12-02",
		"Sept 1, 2026":                  "2026-09-01",
		"1 SEPTEMBER 2026":              "2026-09-01",
		"2 Dec 2026 00:00":              "2026-12-02",
		"N/A":                           "",
		"-":                             "",
		"12/13/2026":                    "problem: has the month first",
		"5/12/2026 12:00:00 AM":         `problem: "5/12/2026 12:00:00 AM" may be 2026-12-05 or 2026-05-12`,
		"31/02/2026":                    "problem: not a day of the calendar",
		"31/11/2026":                    "problem: not a day of the calendar",
		"00/12/2026":                    "problem: not a day of the calendar",
		"02/12/26":                      "problem: not a date",
		"2 Dec 26":                      "problem: not a date",
		"02/12-2026":                    "problem: not a date",
		"02/12":                         "problem: not a date",
		"02122026":                      "problem: not a date",
		"20261202":                      "problem: not a date",
		"2 Desemba 2026":                "problem: not a day of the calendar",
		"32 Dec 2026":                   "problem: not a day of the calendar",
		"02/12/2029":                    "problem: more than two years ahead",
		"02/12/1999":                    "problem: before 2000",
		"02/12/2026 or later":           "problem: not a date",
		"02 12 2026":                    "problem: not a date",
		strings.Repeat("1", 1000) + "/": "problem: not a date",
	} {
		t.Run(written, func(t *testing.T) {
			raw, _ := json.Marshal(written)
			due, problem := locale{currency: "KES"}.dueDate(raw, now)
			if wanted, ok := strings.CutPrefix(want, "problem: "); ok {
				if !due.IsZero() || !strings.Contains(problem, wanted) || len(problem) > maxReason {
					t.Errorf("read as %v, %q", due, problem)
				}
			} else if due.String() != want || problem != "" {
				t.Errorf("read as %v, %q", due, problem)
			}
		})
	}
}

// Where the month may come first, a date that can be read in two ways is left
// out: the customer would be texted on a wrong day, and nobody would notice.
func TestADateOfTwoReadingsIsLeftOutWhereTheMonthMayComeFirst(t *testing.T) {
	now := time.Date(2026, 11, 29, 9, 0, 0, 0, time.UTC)
	for written, want := range map[string]string{
		"05/12/2026": `the due date "05/12/2026" may be 2026-12-05 or 2026-05-12`,
		"13/12/2026": "", "12/12/2026": "", "2026-12-05": "", "5 Dec 2026": "",
		"12/13/2026": "the due date 12/13/2026 has the month first: only the day first is read",
	} {
		raw, _ := json.Marshal(written)
		due, problem := locale{monthFirst: monthFirst["US"]}.dueDate(raw, now)
		if problem != want || due.IsZero() != (want != "") {
			t.Errorf("%s is read as %v, %q", written, due, problem)
		}
	}
}
