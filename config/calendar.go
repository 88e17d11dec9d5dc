package config

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"duewatch/reminder"
)

// Bounds of a calendar file.
const (
	maxCalendar       = 1 << 20 // bytes
	maxEvents         = 5000
	maxHolidays       = 10_000 // days
	maxCalendarFaults = 10
	// Years in which a day can matter. A holiday that comes every year is
	// followed to the last of them.
	firstHolidayYear, lastHolidayYear = 2020, 2099
)

// calendar reads the days of the events in an iCalendar file (RFC 5545). It is
// a reader of our own, since the libraries that are kept up know no lines and
// leave out what they do not understand: here that is a fault, or customers
// would be texted on a holiday that the operator believes to be listed.
type calendar struct {
	zone   *time.Location
	days   map[reminder.Date]bool
	events int
	faults []calendarFault
}

type calendarFault struct {
	line int
	text string
}

// property is one content line: NAME;PARAM=value:VALUE.
type property struct {
	line        int
	name, value string
	params      map[string]string
}

func readCalendar(text string, zone *time.Location) *calendar {
	c := &calendar{zone: zone, days: map[reminder.Date]bool{}}
	var open []string // components, the innermost last
	var event map[string][]property
	started := 0
	for _, raw := range unfold(text) {
		p, ok := parseProperty(raw)
		switch inner := len(open) - 1; {
		case !ok || len(open) == 0 && (p.name != "BEGIN" || p.value != "VCALENDAR"):
			c.fault(raw.line, "is no line of an iCalendar file: export the calendar anew, as .ics")
			return c
		case p.name == "BEGIN":
			open = append(open, p.value)
			if p.value == "VEVENT" {
				event, started = map[string][]property{}, p.line
			}
		case p.name == "END" && p.value != open[inner]:
			c.fault(p.line, "ends %s, where %s is open: the file is damaged", shown(p.value), open[inner])
			return c
		case p.name == "END":
			open = open[:inner]
			if p.value == "VEVENT" {
				c.add(event, started)
			}
		case open[inner] == "VEVENT":
			event[p.name] = append(event[p.name], p)
		}
		if len(c.faults) == maxCalendarFaults || len(c.days) > maxHolidays || c.events > maxEvents {
			break
		}
	}
	switch {
	case len(c.days) > maxHolidays || c.events > maxEvents:
		c.fault(started, "is the event with which there are more than %d, or more than %d days: leave out those of past years", maxEvents, maxHolidays)
	case len(open) > 0 && len(c.faults) == 0:
		c.fault(1+strings.Count(text, "\n"), "the file ends in the middle of a %s: copy it again", open[len(open)-1])
	}
	return c
}

func (c *calendar) fault(line int, format string, args ...any) {
	c.faults = append(c.faults, calendarFault{line, fmt.Sprintf(format, args...)})
}

type rawLine struct {
	line int
	text string
}

// unfold joins what was folded (RFC 5545, 3.1) and drops empty lines.
func unfold(text string) []rawLine {
	var out []rawLine
	n := 0
	for line := range strings.Lines(strings.TrimPrefix(text, "\ufeff")) {
		n++
		line = strings.TrimRight(line, "\r\n")
		switch {
		case line == "":
		case (line[0] == ' ' || line[0] == '\t') && len(out) > 0:
			out[len(out)-1].text += line[1:]
		default:
			out = append(out, rawLine{n, line})
		}
	}
	return out
}

// parseProperty splits a content line. A colon or semicolon inside quotation
// marks belongs to the value of a parameter.
func parseProperty(raw rawLine) (p property, ok bool) {
	p = property{line: raw.line, params: map[string]string{}}
	quoted, start := false, 0
	for i, r := range raw.text {
		switch {
		case r == '"':
			quoted = !quoted
		case quoted || r != ':' && r != ';':
		default:
			part := raw.text[start:i]
			start = i + 1
			if p.name == "" {
				p.name = strings.ToUpper(part)
			} else if name, value, ok := strings.Cut(part, "="); ok {
				p.params[strings.ToUpper(name)] = strings.Trim(value, `"`)
			}
			if r == ':' {
				p.value = strings.TrimSpace(raw.text[start:])
				if p.name == "BEGIN" || p.name == "END" {
					p.value = strings.ToUpper(p.value)
				}
				return p, p.name != ""
			}
		}
	}
	return p, false
}

// add notes the days of one event.
func (c *calendar) add(event map[string][]property, line int) {
	c.events++
	for _, name := range []string{"DTSTART", "DTEND", "DURATION", "RRULE", "STATUS", "RECURRENCE-ID"} {
		if many := event[name]; len(many) > 1 {
			c.fault(many[1].line, "%s is there twice in one event: keep one", name)
			return
		}
	}
	if change := event["RECURRENCE-ID"]; change != nil {
		c.fault(change[0].line, "RECURRENCE-ID, a change to one day of a recurring event, is not read here: write EXDATE into that event, and the new day as an event of its own")
		return
	}
	if status := event["STATUS"]; len(status) == 1 && strings.EqualFold(status[0].value, "CANCELLED") {
		return
	}
	if event["DTSTART"] == nil {
		c.fault(line, "is an event without DTSTART: write its day, as in DTSTART;VALUE=DATE:20261225")
		return
	}
	first, ok := c.date(event["DTSTART"][0], false)
	if !ok {
		return
	}
	length, ok := c.length(event, first)
	if !ok {
		return
	}
	starts := []reminder.Date{first}
	if rule := event["RRULE"]; rule != nil {
		if starts, ok = c.yearly(rule[0], first); !ok {
			return
		}
	}
	more, ok := c.dates(event["RDATE"])
	if !ok {
		return
	}
	without, ok := c.dates(event["EXDATE"])
	if !ok {
		return
	}
	except := map[reminder.Date]bool{}
	for _, d := range without {
		except[d] = true
	}
	for _, d := range append(starts, more...) {
		if except[d] || d.Year() < firstHolidayYear-1 {
			continue
		}
		for i := range length {
			if day := d.AddDays(i); day.Year() >= firstHolidayYear && day.Year() <= lastHolidayYear {
				c.days[day] = true
			}
		}
	}
}

// length is for how many days an event lasts.
func (c *calendar) length(event map[string][]property, first reminder.Date) (days int, ok bool) {
	const longest = 366
	var p property
	switch {
	case event["DTEND"] != nil:
		p = event["DTEND"][0]
		last, ok := c.date(p, true)
		if !ok {
			return 0, false
		}
		days = last.Sub(first) + 1
		if days == 0 && p.value == event["DTSTART"][0].value {
			days = 1 // as some programs write a whole day
		}
	case event["DURATION"] != nil:
		p = event["DURATION"][0]
		n, err := strconv.Atoi(strings.Trim(p.value, "PDW"))
		switch {
		case err == nil && p.value == fmt.Sprintf("P%dD", n):
			days = n
		case err == nil && p.value == fmt.Sprintf("P%dW", n):
			days = 7 * n
		}
	default:
		return 1, true
	}
	if days < 1 || days > longest {
		c.fault(p.line, "%s %s is not 1 to %d whole days: write the day behind the last one, as in DTEND;VALUE=DATE:20261227", p.name, shown(p.value), longest)
		return 0, false
	}
	return days, true
}

// dates reads the lists of RDATE and EXDATE.
func (c *calendar) dates(lists []property) (out []reminder.Date, ok bool) {
	for _, p := range lists {
		for value := range strings.SplitSeq(p.value, ",") {
			p.value = value
			d, ok := c.date(p, false)
			if !ok {
				return nil, false
			}
			out = append(out, d)
		}
	}
	return out, true
}

// date is the day of a DATE, or of a DATE-TIME in the zone of the config. An
// end is exclusive: it is the day before, or that of the moment before.
func (c *calendar) date(p property, end bool) (d reminder.Date, ok bool) {
	if t, err := time.Parse("20060102", p.value); err == nil {
		if end {
			t = t.AddDate(0, 0, -1)
		}
		return reminder.DateOf(t), true
	}
	zone := c.zone
	if name := p.params["TZID"]; name != "" {
		var err error
		if zone, err = time.LoadLocation(name); err != nil || name == "Local" {
			c.fault(p.line, "%s is in the zone %s, which this system does not know: write the day alone, as in %s;VALUE=DATE:20261225", p.name, shown(name), p.name)
			return reminder.Date{}, false
		}
	}
	clock, utc := strings.CutSuffix(p.value, "Z")
	if utc {
		zone = time.UTC
	}
	t, err := time.ParseInLocation("20060102T150405", clock, zone)
	if err != nil {
		c.fault(p.line, "%s %s is not a day: write it as in %s;VALUE=DATE:20261225", p.name, shown(p.value), p.name)
		return reminder.Date{}, false
	}
	if end {
		t = t.Add(-time.Second)
	}
	return reminder.DateOf(t.In(c.zone)), true
}
