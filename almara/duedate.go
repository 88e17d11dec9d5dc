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

// timeAsWritten may stand behind a day. It is not looked at: the due date is
// the day that is written, in whatever zone.
const timeAsWritten = `(?:[Tt ]\d{1,2}:\d{2}(?::\d{2}(?:\.\d+)?)?(?: ?([AaPp][Mm]))?(?: ?(?:[Zz]|[+-]\d{2}:?\d{2}))?)?$`

// The forms in which a day is read.
var (
	yearFirst = regexp.MustCompile(`^(\d{4})-(\d{2})-(\d{2})` + timeAsWritten)
	yearAhead = regexp.MustCompile(`^(?:(\d{4})/(\d{1,2})/(\d{1,2})|(\d{4})\.(\d{1,2})\.(\d{1,2}))` + timeAsWritten)
	numbers   = regexp.MustCompile(`^(?:(\d{1,2})/(\d{1,2})/(\d{4})|(\d{1,2})-(\d{1,2})-(\d{4})|(\d{1,2})\.(\d{1,2})\.(\d{4}))` + timeAsWritten)
	dayNamed  = regexp.MustCompile(`^(\d{1,2})(?:st|nd|rd|th)?[ -]([A-Za-z]{3,9})[ ,-] ?(\d{4})` + timeAsWritten)
	monthThen = regexp.MustCompile(`^([A-Za-z]{3,9})[ -](\d{1,2})(?:st|nd|rd|th)?(?:, ?|[ -])(\d{4})` + timeAsWritten)
)

// monthFirst are the countries in which 02/12/2026 may be meant as the 12th of
// February: the United States and what writes as they do, and those that write
// both ways (Unicode CLDR, short date patterns by region). Kenya and all others
// write the day first.
var monthFirst = map[string]bool{
	"US": true, "AS": true, "GU": true, "MP": true, "PR": true, "UM": true, "VI": true, "FM": true, "MH": true, "PW": true, "PH": true, "CA": true,
}

// earliestYear is the first that is believed of a due date: what comes before
// is some program's zero, such as 1970 or 1900. A due date of past years is
// normal.
const earliestYear = 2000

// dueDate reads a due date; zero when it is not known. What is no date, absurd
// or more than two years ahead is left out and named.
//
// 02/12/2026, 2-12-2026 and 02.12.2026 have the day first, as Kenya writes
// them. There is no other reading where the first number is above 12 or both
// are the same. Else the month-first reading would be a day too, and the day
// comes first unless something speaks against it: a country that writes the
// month first, or a time with AM or PM behind the date, which programs set to
// the United States write. Such a date is left out, with both readings named. So
// is 12/13/2026, which only the month-first reading knows: a biller who writes so
// shows it on three days of five, and that is a problem on those bills, not a
// text on a wrong day. Years of two digits are not read.
func (l local) dueDate(raw json.RawMessage, now time.Time) (due reminder.Date, problem string) {
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
func (l local) day(s string) (due reminder.Date, problem string) {
	if m := yearFirst.FindStringSubmatch(s); m != nil {
		return dayOf(s, m[1], m[2], m[3])
	}
	if m := matched(yearAhead, s); m != nil {
		return dayOf(s, m[0], m[1], m[2])
	}
	if m := matched(dayNamed, s); m != nil {
		return dayOf(s, m[2], monthNumber(m[1]), m[0])
	}
	if m := matched(monthThen, s); m != nil {
		return dayOf(s, m[2], monthNumber(m[0]), m[1])
	}
	m := matched(numbers, s)
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

// matched are the groups of a form that have something in them; nil when s is
// not in that form.
func matched(form *regexp.Regexp, s string) (groups []string) {
	for i, group := range form.FindStringSubmatch(s) {
		if i > 0 && group != "" {
			groups = append(groups, group)
		}
	}
	return groups
}

// dayOf is a day given by its numbers, if the calendar has it.
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
