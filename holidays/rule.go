package holidays

import (
	"cmp"
	"regexp"
	"strconv"
	"strings"
	"time"

	"duewatch/reminder"
)

// rule is an RRULE (RFC 5545, 3.3.10). Its days are found by testing each day of the
// window.
type rule struct {
	frequency string
	interval  int // every nth period counts
	count     int // of occurrences, 0 = without end
	weekStart time.Weekday
	start     moment
	first     reminder.Date // of the start, as written
	until     time.Time     // the last moment, as written; zero = without end
	// What a day has to match, nil = anything; as written, but without leading zeros
	// and plus signs. Days, weekdays and positions may count from the end: -1 is the
	// last.
	months, monthDays, weekdays map[string]bool
	positions                   map[string]bool // among the matching days of a period
}

// weekdayNames has two letters for each time.Weekday, in its order.
const weekdayNames = "SUMOTUWETHFRSA"

func weekdayName(day reminder.Date) string {
	i := 2 * int(day.Weekday())
	return weekdayNames[i : i+2]
}

// ruleParts are the parts of a rule that are supported, with the form of their
// values. A single hour, minute or second does not change the day.
var ruleParts = map[string]*regexp.Regexp{
	"FREQ":       regexp.MustCompile(`^(YEARLY|MONTHLY|WEEKLY|DAILY)$`),
	"INTERVAL":   regexp.MustCompile(`^([1-9]\d{0,4}|100000)$`),
	"COUNT":      regexp.MustCompile(`^([1-9]\d{0,4}|100000)$`),
	"UNTIL":      regexp.MustCompile(`^\d{8}(T\d{6}Z?)?$`),
	"WKST":       regexp.MustCompile(`^(SU|MO|TU|WE|TH|FR|SA)$`),
	"BYMONTH":    listOf(`[1-9]|1[0-2]`),
	"BYMONTHDAY": listOf(`-?([1-9]|[12]\d|3[01])`),
	"BYDAY":      listOf(`(-?([1-9]|[1-4]\d|5[0-3]))?(SU|MO|TU|WE|TH|FR|SA)`),
	"BYSETPOS":   listOf(`-?[1-9]\d{0,2}`),
	"BYHOUR":     regexp.MustCompile(`^\d+$`),
	"BYMINUTE":   regexp.MustCompile(`^\d+$`),
	"BYSECOND":   regexp.MustCompile(`^\d+$`),
}

func listOf(item string) *regexp.Regexp {
	return regexp.MustCompile(`^(` + item + `)(,(` + item + `))*$`)
}

// leadingZeros matches those of 05 and -01MO.
var leadingZeros = regexp.MustCompile(`\b0+([1-9])`)

// parseRule reads an RRULE. A fault says what is not supported, and until the last
// day on which that could matter.
func parseRule(value string, start moment) (r rule, until reminder.Date, fault string) {
	parts := map[string]string{}
	for part := range strings.SplitSeq(strings.ToUpper(strings.ReplaceAll(value, " ", "")), ";") {
		name, value, _ := strings.Cut(part, "=")
		if strings.HasPrefix(name, "BY") {
			value = leadingZeros.ReplaceAllString(strings.ReplaceAll(value, "+", ""), "$1")
		}
		form, followed := ruleParts[name]
		switch {
		case part == "": // after the last ;
		case followed && parts[name] == "" && form.MatchString(value):
			parts[name] = value
		default:
			fault = cmp.Or(fault, "has "+shown(part)+", which is not supported")
		}
	}
	r = rule{
		start: start, first: reminder.DateOf(start.written),
		frequency: parts["FREQ"], weekStart: time.Weekday(strings.Index(weekdayNames, cmp.Or(parts["WKST"], "MO")) / 2),
		months: setOf(parts["BYMONTH"]), monthDays: setOf(parts["BYMONTHDAY"]),
		weekdays: setOf(parts["BYDAY"]), positions: setOf(parts["BYSETPOS"]),
	}
	r.interval, _ = strconv.Atoi(cmp.Or(parts["INTERVAL"], "1"))
	r.count, _ = strconv.Atoi(cmp.Or(parts["COUNT"], "0"))
	until = never
	if m, ok := parseMoment(parts["UNTIL"]); ok {
		until, r.until = reminder.DateOf(m.written), m.written
		if len(parts["UNTIL"]) == len("20261225") {
			r.until = r.until.AddDate(0, 0, 1).Add(-time.Second) // the whole day is included
		}
	} else if parts["UNTIL"] != "" {
		fault = cmp.Or(fault, "has "+shown("UNTIL="+parts["UNTIL"])+", which is no day")
	}
	switch {
	case r.frequency == "":
		fault = cmp.Or(fault, "has no FREQ")
	case (r.frequency == "WEEKLY" || r.frequency == "DAILY") && strings.ContainsAny(parts["BYDAY"], "123456789"):
		fault = cmp.Or(fault, "counts weekdays, but of no month or year")
	}
	r.complete()
	return r, until, fault
}

// setOf is nil for an empty list.
func setOf(list string) map[string]bool {
	if list == "" {
		return nil
	}
	set := map[string]bool{}
	for item := range strings.SplitSeq(list, ",") {
		set[item] = true
	}
	return set
}

// complete fills in what the rule takes from its first day.
func (r *rule) complete() {
	if r.monthDays != nil || r.weekdays != nil {
		return
	}
	switch r.frequency {
	case "WEEKLY":
		r.weekdays = setOf(weekdayName(r.first))
	case "MONTHLY", "YEARLY":
		r.monthDays = setOf(strconv.Itoa(r.first.Day()))
		if r.frequency == "YEARLY" && r.months == nil {
			r.months = setOf(strconv.Itoa(int(r.first.Month())))
		}
	}
}

// walk calls do for the days of the rule between two days, as written. Each day that
// it tests is a step; beyond maxSteps it stops. The first day counts even if it does
// not match the rule, as calendar programs show it.
func (r *rule) walk(from, to reminder.Date, steps *int, do func(reminder.Date)) {
	if r.ended(r.first, 0) {
		return
	}
	do(r.first)
	n, found := 0, 1
	if r.count == 0 {
		n = r.periodBefore(from) // with a COUNT, all days from the first on are counted
	}
	for ; *steps <= maxSteps; n++ {
		begin, end := r.period(n)
		if begin.After(to) {
			return
		}
		for _, day := range r.daysIn(begin, end, steps) {
			switch {
			case !day.After(r.first):
			case day.After(to) || r.ended(day, found):
				return
			default:
				found++
				do(day)
			}
		}
	}
}

// ended reports whether the rule ends before a day, after it had found days.
func (r *rule) ended(day reminder.Date, found int) bool {
	return r.count > 0 && found >= r.count || !r.until.IsZero() && r.start.on(day).written.After(r.until)
}

// period is the nth period of the rule, where 0 is that of its first day: from the
// first day of the period to the day after its last.
func (r *rule) period(n int) (begin, end reminder.Date) {
	n *= r.interval
	switch r.frequency {
	case "YEARLY":
		return reminder.NewDate(r.first.Year()+n, time.January, 1), reminder.NewDate(r.first.Year()+n+1, time.January, 1)
	case "MONTHLY":
		month := r.first.Month() + time.Month(n)
		return reminder.NewDate(r.first.Year(), month, 1), reminder.NewDate(r.first.Year(), month+1, 1)
	case "WEEKLY":
		begin = r.first.AddDays(7*n - int(r.first.Weekday()-r.weekStart+7)%7)
		return begin, begin.AddDays(7)
	default:
		return r.first.AddDays(n), r.first.AddDays(n + 1)
	}
}

// periodBefore is the number of a period that ends no later than the period of a
// day.
func (r *rule) periodBefore(day reminder.Date) int {
	n := day.Sub(r.first)
	switch r.frequency {
	case "YEARLY":
		n = day.Year() - r.first.Year()
	case "MONTHLY":
		n = 12*(day.Year()-r.first.Year()) + int(day.Month()-r.first.Month())
	case "WEEKLY":
		n /= 7
	}
	return max(n/r.interval, 0)
}

// daysIn lists the matching days of a period, or those of them at BYSETPOS.
func (r *rule) daysIn(begin, end reminder.Date, steps *int) []reminder.Date {
	var days []reminder.Date
	for day := begin; day.Before(end); {
		*steps++
		if r.months != nil && !r.months[strconv.Itoa(int(day.Month()))] {
			day = reminder.NewDate(day.Year(), day.Month()+1, 1)
			continue
		}
		if r.matches(day) {
			days = append(days, day)
		}
		day = day.AddDays(1)
	}
	if r.positions == nil {
		return days
	}
	all := len(days)
	chosen := make([]reminder.Date, 0, all)
	for i, day := range days {
		if r.positions[strconv.Itoa(i+1)] || r.positions[strconv.Itoa(i-all)] {
			chosen = append(chosen, day)
		}
	}
	return chosen
}

// matches reports whether the rule has a day, of a month that it has.
func (r *rule) matches(day reminder.Date) bool {
	if r.monthDays == nil && r.weekdays == nil {
		return true
	}
	first, next := reminder.NewDate(day.Year(), day.Month(), 1), reminder.NewDate(day.Year(), day.Month()+1, 1)
	if r.monthDays != nil && !r.monthDays[strconv.Itoa(day.Day())] && !r.monthDays[strconv.Itoa(-next.Sub(day))] {
		return false
	}
	weekday := weekdayName(day)
	if r.weekdays == nil || r.weekdays[weekday] {
		return true
	}
	if r.frequency == "YEARLY" && r.months == nil { // the nth of the year
		first, next = reminder.NewDate(day.Year(), time.January, 1), reminder.NewDate(day.Year()+1, time.January, 1)
	}
	return r.weekdays[strconv.Itoa(day.Sub(first)/7+1)+weekday] || r.weekdays[strconv.Itoa(-(next.Sub(day)+6)/7)+weekday]
}
