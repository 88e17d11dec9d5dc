package almara

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"duewatch/reminder"
)

// timeAsWritten may follow a day. It is ignored: the due date is the day that is
// written, in whatever zone.
const timeAsWritten = `(?:[Tt ]\d{1,2}:\d{2}(?::\d{2}(?:\.\d+)?)?(?: ?([AaPp][Mm]))?(?: ?(?:[Zz]|[+-]\d{2}:?\d{2}))?)?$`

// The forms in which a day is read.
var (
	isoDay    = regexp.MustCompile(`^(\d{4})-(\d{2})-(\d{2})` + timeAsWritten)
	yearFirst = regexp.MustCompile(`^(?:(\d{4})/(\d{1,2})/(\d{1,2})|(\d{4})\.(\d{1,2})\.(\d{1,2}))` + timeAsWritten)
	dayFirst  = regexp.MustCompile(`^(?:(\d{1,2})/(\d{1,2})/(\d{4})|(\d{1,2})-(\d{1,2})-(\d{4})|` +
		`(\d{1,2})\.(\d{1,2})\.(\d{4}))` + timeAsWritten)
	dayMonthName = regexp.MustCompile(`^(\d{1,2})(?:st|nd|rd|th)?[ -]([A-Za-z]{3,9})[ ,-] ?(\d{4})` + timeAsWritten)
	monthNameDay = regexp.MustCompile(`^([A-Za-z]{3,9})[ -](\d{1,2})(?:st|nd|rd|th)?(?:, ?|[ -])(\d{4})` + timeAsWritten)
)

// monthFirst lists the countries where 02/12/2026 may mean the 12th of February: the
// United States, those that write dates like it, and those that write them both ways
// (Unicode CLDR, short date patterns by region). Kenya and all others write the day
// first.
var monthFirst = map[string]bool{
	"US": true, "AS": true, "GU": true, "MP": true, "PR": true, "UM": true, "VI": true, "FM": true, "MH": true, "PW": true,
	"PH": true, "CA": true,
}

// earliestYear is the first year that a due date may have: earlier ones, such as 1970
// or 1900, are the zero of some program. A due date some years ago is normal.
const earliestYear = 2000

// dueDate reads a due date, zero = not known, or says why it cannot. A due date
// before earliestYear or more than two years after now is a problem too.
//
// 02/12/2026, 2-12-2026 and 02.12.2026 have the day first, as Kenya writes them. Two
// things make such a date a problem, with both readings named, where the month-first
// reading would be another day of the calendar: a country that writes the month
// first, and a time with AM or PM after the date, which programs set to the United
// States write. 12/13/2026, which has only the month-first reading, is a problem
// everywhere: a biller who writes the month first does so on three dates of five,
// and a problem on those bills is better than a text on a wrong day. Years of two
// digits are not read.
func (l locale) dueDate(raw json.RawMessage, now time.Time) (due reminder.Date, problem string) {
	if isUnknown(raw) {
		return reminder.Date{}, ""
	}
	s := strings.TrimSpace(text(raw))
	if s == "" { // a number, a list, an object
		return reminder.Date{}, fmt.Sprintf("the due date %s is not a date", written(raw))
	}
	if strings.HasPrefix(s, "0001-01-01") {
		return reminder.Date{}, ""
	}
	due, problem = l.day(s)
	switch {
	case problem != "":
		return reminder.Date{}, problem
	case due.Year() < earliestYear:
		return reminder.Date{}, fmt.Sprintf("the due date %s is before %d", due, earliestYear)
	case due.After(reminder.DateOf(now.AddDate(2, 0, 0))):
		return reminder.Date{}, fmt.Sprintf("the due date %s is more than two years ahead", due)
	}
	return due, ""
}

// day reads the day that s is.
func (l locale) day(s string) (due reminder.Date, problem string) {
	if m := isoDay.FindStringSubmatch(s); m != nil {
		return dayOf(s, m[1], m[2], m[3])
	}
	if m := groupsOf(yearFirst, s); m != nil {
		return dayOf(s, m[0], m[1], m[2])
	}
	if m := groupsOf(dayMonthName, s); m != nil {
		return dayOf(s, m[2], monthNumber(m[1]), m[0])
	}
	if m := groupsOf(monthNameDay, s); m != nil {
		return dayOf(s, m[2], monthNumber(m[0]), m[1])
	}
	m := groupsOf(dayFirst, s)
	if m == nil {
		return reminder.Date{}, fmt.Sprintf("the due date %q is not a date", truncate(s, maxWritten))
	}
	due, problem = dayOf(s, m[2], m[1], m[0])
	other, otherProblem := dayOf(s, m[2], m[0], m[1])
	twelveHours := len(m) > 3
	switch {
	case problem != "" && otherProblem == "":
		return reminder.Date{}, fmt.Sprintf("the due date %s has the month first: only the day first is read", truncate(s, maxWritten))
	case problem == "" && otherProblem == "" && due != other && (l.monthFirst || twelveHours):
		return reminder.Date{}, fmt.Sprintf("the due date %q may be %s or %s", truncate(s, maxWritten), due, other)
	}
	return due, problem
}

// groupsOf lists the groups of a form that are not empty in s; nil when s does not
// have that form.
func groupsOf(form *regexp.Regexp, s string) (groups []string) {
	for i, group := range form.FindStringSubmatch(s) {
		if i > 0 && group != "" {
			groups = append(groups, group)
		}
	}
	return groups
}

// dayOf is the day with these numbers, if the calendar has it.
func dayOf(s, year, month, day string) (due reminder.Date, problem string) {
	pad := func(n string) string { return strings.Repeat("0", max(0, 2-len(n))) + n }
	due, err := reminder.ParseDate(year + "-" + pad(month) + "-" + pad(day))
	if err != nil {
		return reminder.Date{}, fmt.Sprintf("the due date %s is not a day of the calendar", truncate(s, maxWritten))
	}
	return due, ""
}

// monthNumber is the number of an English month, in full or in its first three
// letters; "0" for another word.
func monthNumber(name string) string {
	if strings.EqualFold(name, "sept") {
		return "9"
	}
	for m := time.January; m <= time.December; m++ {
		if strings.EqualFold(name, m.String()) || strings.EqualFold(name, m.String()[:3]) {
			return strconv.Itoa(int(m))
		}
	}
	return "0"
}
