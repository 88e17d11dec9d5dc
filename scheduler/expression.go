package scheduler

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/robfig/cron/v3"
)

// CheckExpression reports what is wrong with a cron expression.
func CheckExpression(expression string) error {
	_, err := parseExpression(expression)
	return err
}

func parseExpression(expression string) (cron.Schedule, error) {
	// The library panics on a zone with nothing behind it.
	if strings.Contains(expression, "TZ=") && len(strings.Fields(expression)) < 2 {
		return nil, errors.New("there is nothing behind the zone")
	}
	schedule, err := cron.ParseStandard(expression)
	if err != nil {
		return nil, err
	}
	if err := checkSteps(expression); err != nil {
		return nil, err
	}
	if fields, ok := schedule.(*cron.SpecSchedule); ok && fields.Hour&everyHour != everyHour {
		schedule = fixedHours{fields}
	}
	return schedule, nil
}

// everyHour has a bit for each hour of a day, as the library keeps them.
const everyHour = 1<<24 - 1

// fixedHours is an expression that names hours. The library passes over an hour
// that a change to summer time leaves out, and runs twice in one that is
// repeated: a daily job would not run on the one day, and twice on the other.
// Here such a run comes at the first instant after the gap, and only in the first
// of two equal hours. An expression for every hour needs none of this: it goes
// by the time that passes.
type fixedHours struct{ fields *cron.SpecSchedule }

// Next is the first run after t.
func (f fixedHours) Next(t time.Time) time.Time {
	zone := f.fields.Location
	if zone == time.Local { // the library's word for an expression without a zone
		zone = t.Location()
	}
	// What a wall clock shows is counted in UTC, where no hour is left out or
	// comes twice, and then looked up in the zone.
	wall := *f.fields
	wall.Location = time.UTC
	for shown := shownIn(t, zone); ; {
		if shown = wall.Next(shown); shown.IsZero() {
			return time.Time{} // such as on 30 February
		}
		if at := firstShown(shown, zone); at.After(t) {
			return at.In(t.Location())
		}
	}
}

// shownIn is what a wall clock in the zone shows at t, as a time in UTC.
func shownIn(t time.Time, zone *time.Location) time.Time {
	_, offset := t.In(zone).Zone()
	return t.UTC().Add(time.Duration(offset) * time.Second)
}

// firstShown is the first instant at which a wall clock in the zone shows that
// time, or, when it leaves it out, the first after the gap.
func firstShown(shown time.Time, zone *time.Location) time.Time {
	at := time.Date(shown.Year(), shown.Month(), shown.Day(), shown.Hour(), shown.Minute(), shown.Second(), 0, zone)
	change, next := at.ZoneBounds()
	switch got := shownIn(at, zone); {
	case got.After(shown): // carried forward: the gap ended before
		return change
	case got.Before(shown): // carried back: the gap is to come
		return next
	case change.IsZero():
		return at
	}
	_, now := at.Zone()
	_, before := change.Add(-time.Second).Zone()
	if first := at.Add(time.Duration(now-before) * time.Second); now < before && first.Before(change) {
		return first
	}
	return at
}

// LongestPause is the longest time from one instant to another in which an
// expression gives no run, where one at the beginning counts.
func LongestPause(expression string, from, until time.Time) (longest time.Duration, err error) {
	schedule, err := parseExpression(expression)
	if err != nil {
		return 0, err
	}
	for last, at := from, firstTick(schedule, from, from); ; last, at = at, schedule.Next(at) {
		if at.IsZero() || at.After(until) {
			return max(longest, until.Sub(last)), nil
		}
		longest = max(longest, at.Sub(last))
	}
}

// cronFields are the fields of an expression: how many values each has.
var cronFields = [...]struct {
	values int
	words  string
	unit   string // of a duration; "" = it has none
}{
	{60, "60 minutes of an hour", "m"},
	{24, "24 hours of a day", "h"},
	{31, "31 days of a month", ""},
	{12, "12 months of a year", ""},
	{7, "7 days of a week", ""},
}

// checkSteps refuses a step that is longer than what it goes through. The
// library takes it: */70 in the minutes would be every hour, silently, and not
// every 70 minutes. The expression is one that the library has parsed.
func checkSteps(expression string) error {
	fields := strings.Fields(expression)
	if len(fields) > 0 && strings.Contains(fields[0], "TZ=") {
		fields = fields[1:]
	}
	if len(fields) != len(cronFields) {
		return nil // @every and its like
	}
	for i, field := range fields {
		for part := range strings.SplitSeq(field, ",") {
			over, step, stepped := strings.Cut(part, "/")
			if !stepped {
				continue
			}
			n, _ := strconv.Atoi(step)
			from, to, isRange := strings.Cut(over, "-")
			least, errFrom := strconv.Atoi(from)
			most, errTo := strconv.Atoi(to)
			switch f := cronFields[i]; {
			case n > f.values && f.unit != "":
				return fmt.Errorf("the step of %s is longer than the %s, with which it starts anew; \"@every %d%s\" does not", part, f.words, n, f.unit)
			case n > f.values:
				return fmt.Errorf("the step of %s is longer than the %s, with which it starts anew", part, f.words)
			case isRange && errFrom == nil && errTo == nil && n > most-least+1:
				return fmt.Errorf("the step of %s is longer than its range", part)
			}
		}
	}
	return nil
}
