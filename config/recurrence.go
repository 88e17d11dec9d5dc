package config

import (
	"strconv"
	"strings"
	"time"

	"duewatch/reminder"
)

// yearly lists the days of an event that comes every year: on the day of its
// start, on another one of a month, or on a weekday such as the last Monday in
// May. Holidays that recur in another way are written out by their dates.
func (c *calendar) yearly(p property, first reminder.Date) (days []reminder.Date, ok bool) {
	bad := func(what string) {
		c.fault(p.line, "RRULE %s: only FREQ=YEARLY is read here, with INTERVAL, COUNT, UNTIL, and one BYMONTH with one BYMONTHDAY or one BYDAY such as -1MO; write the days out as events of their own", what)
	}
	parts := map[string]string{}
	for part := range strings.SplitSeq(strings.ToUpper(p.value), ";") {
		name, value, ok := strings.Cut(part, "=")
		if _, twice := parts[name]; !ok || twice {
			bad("has " + shown(part))
			return nil, false
		}
		parts[name] = value
	}
	rule := yearlyRule{every: 1, month: first.Month(), day: first.Day()}
	until := property{line: p.line, name: "UNTIL"}
	count := 0
	for name, value := range parts {
		n, err := strconv.Atoi(value)
		switch {
		case name == "FREQ" && value == "YEARLY", name == "WKST":
		case name == "INTERVAL" && err == nil && n > 0:
			rule.every = n
		case name == "COUNT" && err == nil && n > 0:
			count = n
		case name == "UNTIL":
			until.value = value
		case name == "BYMONTH" && err == nil && n >= 1 && n <= 12:
			rule.month = time.Month(n)
		case name == "BYMONTHDAY" && err == nil && n >= 1 && n <= 31 && parts["BYMONTH"] != "" && parts["BYDAY"] == "":
			rule.day = n
		case name == "BYDAY" && parts["BYMONTH"] != "" && rule.weekdayOf(value):
		default:
			bad("has " + shown(name+"="+value))
			return nil, false
		}
	}
	if parts["FREQ"] == "" {
		bad("has no FREQ")
		return nil, false
	}
	if d, ok := rule.in(first.Year()); !ok || d != first {
		bad("does not name the day of DTSTART")
		return nil, false
	}
	last := reminder.NewDate(lastHolidayYear, time.December, 31)
	if until.value != "" {
		d, ok := c.date(until, false)
		if !ok {
			return nil, false
		}
		if d.Before(last) {
			last = d
		}
	}
	for year := first.Year(); year <= lastHolidayYear; year += rule.every {
		d, ok := rule.in(year)
		if !ok {
			continue // the 29th of February, the fifth Monday
		}
		if d.After(last) || count > 0 && len(days) == count {
			break
		}
		days = append(days, d)
	}
	return days, true
}

// yearlyRule is a day of each year.
type yearlyRule struct {
	every int // years
	month time.Month
	day   int // of the month, unless nth is set
	// The nth of this weekday in the month, from the end when negative.
	nth     int
	weekday time.Weekday
}

// weekdayOf takes in a BYDAY such as 1MO or -1MO.
func (r *yearlyRule) weekdayOf(value string) bool {
	i := strings.Index(" SU MO TU WE TH FR SA", " "+value[max(len(value)-2, 0):])
	n, err := strconv.Atoi(value[:max(len(value)-2, 0)])
	if i < 0 || err != nil || n == 0 || n < -5 || n > 5 {
		return false
	}
	r.nth, r.weekday = n, time.Weekday(i/3)
	return true
}

// in is the day of the rule in a year that has one.
func (r *yearlyRule) in(year int) (reminder.Date, bool) {
	if r.nth == 0 {
		d := reminder.NewDate(year, r.month, r.day)
		return d, d.Day() == r.day && d.Month() == r.month
	}
	from, step := reminder.NewDate(year, r.month, 1), 7
	if r.nth < 0 {
		from, step = reminder.NewDate(year, r.month+1, 1).AddDays(-1), -7
	}
	for from.Weekday() != r.weekday {
		from = from.AddDays(step / 7)
	}
	d := from.AddDays(step * (max(r.nth, -r.nth) - 1))
	return d, d.Month() == r.month
}
