package scheduler

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

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
		return nil, err //nolint:wrapcheck // the config names the key
	}
	return schedule, checkSteps(expression)
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
