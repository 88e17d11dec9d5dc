package holidays

import (
	"cmp"
	"regexp"
	"strconv"
	"strings"
	"time"

	"duewatch/reminder"
)

// rule is an RRULE. Its days are found by walking the days of the window and
// asking of each whether it fits.
type rule struct {
	frequency string
	interval  int // of so many periods one counts
	count     int // of occurrences, 0 = without end
	weekStart time.Weekday
	start     moment
	first     reminder.Date // of the start, as written
	until     time.Time     // the last moment, as written; zero = without end
	// What a day has to be, each nil for anything; as written, but without
	// noughts and plus signs in front. Days, weekdays and positions may be
	// counted from the end: -1 is the last.
	months, monthDays, weekdays map[string]bool
	positions                   map[string]bool // among the days of a period that fit
}

// weekdayNames are those of time.Weekday, in two letters each.
const weekdayNames = "SUMOTUWETHFRSA"

func weekdayName(day reminder.Date) string {
	i := 2 * int(day.Weekday())
	return weekdayNames[i : i+2]
}

// ruleParts are the parts of a rule that are followed, and what they may hold.
// One hour, minute and second change nothing about the day.
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

// leadingNoughts are those of 05 and -01MO.
var leadingNoughts = regexp.MustCompile(`\b0+([1-9])`)

// parseRule reads an RRULE. Fault is what is not followed; until then says to
// which day the rule could have mattered.
func parseRule(value string, start moment) (r rule, until reminder.Date, fault string) {
	parts := map[string]string{}
	for part := range strings.SplitSeq(strings.ToUpper(strings.ReplaceAll(value, " ", "")), ";") {
		name, value, _ := strings.Cut(part, "=")
		if strings.HasPrefix(name, "BY") {
			value = leadingNoughts.ReplaceAllString(strings.ReplaceAll(value, "+", ""), "$1")
		}
		form, followed := ruleParts[name]
		switch {
		case part == "": // behind the last ;
		case followed && parts[name] == "" && form.MatchString(value):
			parts[name] = value
		default:
			fault = cmp.Or(fault, "has "+shown(part)+", which is not followed")
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
			r.until = r.until.AddDate(0, 0, 1).Add(-time.Second) // the day is part of it
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

// complete fills in what a rule leaves to its first day.
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

// walk calls do for the days of the rule from one day to another, as they are
// written. Each day that it tries is a step; beyond maxSteps it gives up. The
// first day belongs to a rule also where it does not fit: so programs show it.
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
		for _, day := range r.chosen(begin, end, steps) {
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

// ended reports whether a day comes too late for the rule, of which some days
// were found.
func (r *rule) ended(day reminder.Date, found int) bool {
	return r.count > 0 && found >= r.count || !r.until.IsZero() && r.start.on(day).written.After(r.until)
}

// period is the nth stretch of days of which the rule counts, that of its first
// day being 0: from its first day to the one behind its last.
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

// periodBefore is the number of a period that ends no later than the one which
// a day lies in.
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

// chosen are the days of a period that fit, those at BYSETPOS where it is given.
func (r *rule) chosen(begin, end reminder.Date, steps *int) []reminder.Date {
	var days []reminder.Date
	for day := begin; day.Before(end); {
		*steps++
		if r.months != nil && !r.months[strconv.Itoa(int(day.Month()))] {
			day = reminder.NewDate(day.Year(), day.Month()+1, 1)
			continue
		}
		if r.fits(day) {
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

// fits reports whether a day, of a month that fits, is one of the rule.
func (r *rule) fits(day reminder.Date) bool {
	if r.monthDays == nil && r.weekdays == nil {
		return true
	}
	first, behind := reminder.NewDate(day.Year(), day.Month(), 1), reminder.NewDate(day.Year(), day.Month()+1, 1)
	if r.monthDays != nil && !r.monthDays[strconv.Itoa(day.Day())] && !r.monthDays[strconv.Itoa(-behind.Sub(day))] {
		return false
	}
	weekday := weekdayName(day)
	if r.weekdays == nil || r.weekdays[weekday] {
		return true
	}
	if r.frequency == "YEARLY" && r.months == nil { // the nth of the year
		first, behind = reminder.NewDate(day.Year(), time.January, 1), reminder.NewDate(day.Year()+1, time.January, 1)
	}
	return r.weekdays[strconv.Itoa(day.Sub(first)/7+1)+weekday] || r.weekdays[strconv.Itoa(-(behind.Sub(day)+6)/7)+weekday]
}
