package holidays

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"duewatch/reminder"
)

// event is what is understood of a VEVENT.
type event struct {
	line       int
	uid, name  string
	observance bool // it is an observance, which does not count
	change     bool // it changes one day of a recurring event
	start      moment
	days       int // of each occurrence
	rules      []rule
	added      []reminder.Date // RDATE
	excepted   []reminder.Date // EXDATE
	// faults are what is not understood; mattersTo is the last day on which that can
	// make a difference.
	faults    []fault
	mattersTo reminder.Date
}

type fault struct {
	line int
	text string
}

// never is later than any day that a calendar can contain.
var never = reminder.NewDate(9999, time.December, 31)

func (e *event) fault(line int, mattersTo reminder.Date, format string, args ...any) {
	e.faults = append(e.faults, fault{line, fmt.Sprintf(format, args...)})
	if mattersTo.After(e.mattersTo) {
		e.mattersTo = mattersTo
	}
}

// title is the name of the event for the operator.
func (e *event) title() string {
	name := strconv.Quote(e.name)
	if e.name == "" {
		name = "an event without SUMMARY"
	}
	if e.start.written.IsZero() {
		return name
	}
	return name + ", " + reminder.DateOf(e.start.written).String()
}

// parse reads a VEVENT; ok is false when the event has no days.
func (r *reader) parse(c component) (e event, ok bool) {
	e = event{line: c.line, uid: c.first("UID").value, name: plain(c.first("SUMMARY").value), days: 1}
	e.observance = !r.Observances && strings.HasPrefix(strings.ToLower(c.first("DESCRIPTION").value), "observance")
	start := c.first("DTSTART")
	if id := c.first("RECURRENCE-ID"); id.value != "" {
		r.noteChange(&e, id)
		if start.value == "" {
			start = id // only the words are changed
		}
	}
	if strings.EqualFold(c.first("STATUS").value, "CANCELLED") {
		r.warn(&e)
		return e, false
	}
	if e.start, ok = parseMoment(start.value); !ok {
		mattersTo := r.mattersTo(start.value)
		if len(c.properties["RRULE"])+len(c.properties["RDATE"]) > 0 {
			mattersTo = never
		}
		e.fault(start.line, mattersTo, "does not count, since its DTSTART %s is not a day: write it as in DTSTART;VALUE=DATE:20261225",
			shown(start.value))
		r.warn(&e)
		return e, false
	}
	first := reminder.DateOf(e.start.wall(r.Zone))
	for _, name := range []string{"DTSTART", "DTEND", "DURATION"} {
		if many := c.properties[name]; len(many) > 1 && many[1].value != many[0].value {
			e.fault(many[1].line, first.AddDays(maxEventDays), "has %s twice, and the first counts: keep one", name)
		}
	}
	r.setLength(&e, c, first)
	for _, p := range c.properties["RRULE"] {
		rule, until, text := parseRule(p.value, e.start)
		if text != "" {
			e.fault(p.line, until, "counts only on its first day, since its RRULE %s: "+
				"write its other days out as events of their own", text)
			e.rules = nil
			break
		}
		e.rules = append(e.rules, rule)
	}
	if old := c.properties["EXRULE"]; len(old) > 0 {
		e.fault(old[0].line, first, "has an EXRULE, which is not supported: "+
			"write the days without it as EXDATE;VALUE=DATE:20261225")
	}
	e.added = r.dates(&e, c.properties["RDATE"])
	e.excepted = r.dates(&e, c.properties["EXDATE"])
	return e, true
}

// noteChange records that an event changes one day of a recurring one.
func (r *reader) noteChange(e *event, id property) {
	m, ok := parseMoment(id.value)
	if !ok {
		e.fault(id.line, r.mattersTo(id.value), "changes a day of a recurring event, but its RECURRENCE-ID %s is not a day, so that both count: "+
			"write it as in RECURRENCE-ID;VALUE=DATE:20261225", shown(id.value))
		return
	}
	e.change = true
	day := reminder.DateOf(m.wall(r.Zone))
	if e.uid != "" { // without a UID it is not known which event is meant
		if r.replaced[e.uid] == nil {
			r.replaced[e.uid] = map[reminder.Date]bool{}
		}
		r.replaced[e.uid][day] = true
	}
	if strings.Contains(id.parameters, "RANGE=THISANDFUTURE") {
		e.fault(id.line, never, "changes all later days of a recurring event (RANGE=THISANDFUTURE), which is supported for one day only: "+
			"write the later days as an event of their own")
	}
}

// setLength finds out how many days each occurrence lasts.
func (r *reader) setLength(e *event, c component, first reminder.Date) {
	start := e.start.wall(r.Zone)
	end, p := start, c.first("DTEND")
	ok := true
	if p.value != "" {
		var m moment
		m, ok = parseMoment(p.value)
		end = m.wall(r.Zone)
	} else if p = c.first("DURATION"); p.value != "" {
		end, ok = addDuration(start, p.value)
	}
	if !ok || end.Before(start) {
		e.fault(p.line, first.AddDays(maxEventDays), "counts for one day only, since its %s %s is not an end: "+
			"write the day after the last one, as in DTEND;VALUE=DATE:20261227", p.name, shown(p.value))
		return
	}
	if !end.After(start) {
		return // as some programs write a whole day
	}
	// The end is not part of the event: it lasts to the moment before.
	last := reminder.DateOf(end.Add(-time.Second))
	if days := last.Sub(first) + 1; days <= maxEventDays {
		e.days = days
		return
	}
	e.fault(p.line, last, "counts for one day only, since it would last longer than %d days: split it", maxEventDays)
}

// durationForm is a length of weeks, or of days, hours, minutes and seconds.
// Seven digits are more than any event needs.
var durationForm = regexp.MustCompile(`^\+?P(?:(\d{1,7})W)?(?:(\d{1,7})D)?(?:T(?:(\d{1,7})H)?(?:(\d{1,7})M)?(?:(\d{1,7})S)?)?$`)

func addDuration(start time.Time, value string) (end time.Time, ok bool) {
	parts := durationForm.FindStringSubmatch(strings.ToUpper(value))
	if parts == nil {
		return start, false
	}
	var n [6]int
	for i, part := range parts[1:] {
		n[i], _ = strconv.Atoi(part) // digits or nothing
	}
	return start.AddDate(0, 0, 7*n[0]+n[1]).Add(time.Duration((n[2]*60+n[3])*60+n[4]) * time.Second), true
}

// dates reads the lists of RDATE and EXDATE. A period counts on its first day.
func (r *reader) dates(e *event, lists []property) (out []reminder.Date) {
	for _, p := range lists {
		for value := range strings.SplitSeq(p.value, ",") {
			value, _, _ = strings.Cut(strings.TrimSpace(value), "/")
			m, ok := parseMoment(value)
			if ok {
				out = append(out, reminder.DateOf(m.wall(r.Zone)))
				continue
			}
			e.fault(p.line, r.mattersTo(value), "counts without its %s %s, which is not a day: write it as in %[1]s;VALUE=DATE:20261225",
				p.name, shown(value))
		}
	}
	return out
}

// mattersTo is the last day on which a value that is no day could matter: one that
// begins with a past year does not any more.
func (r *reader) mattersTo(value string) reminder.Date {
	year, err := strconv.Atoi(value[:min(len(value), 4)])
	if err == nil && year < r.Today.Year()-1 {
		return reminder.Date{}
	}
	return never
}

// moment is a day, or an hour of one, as a calendar writes it.
type moment struct {
	written time.Time // the digits; its location means nothing
	instant bool      // in UTC: a Z follows the digits
}

// parseMoment reads a DATE or a DATE-TIME. It ignores what is before a colon: the
// rest of a zone such as (UTC+03:00) Nairobi without quotation marks.
func parseMoment(value string) (m moment, ok bool) {
	value = strings.ToUpper(value[strings.LastIndexByte(value, ':')+1:])
	digits, instant := strings.CutSuffix(value, "Z")
	layout := "20060102T150405"
	if len(digits) == len("20060102") {
		layout, instant = "20060102", false // a day has no zone
	}
	t, err := time.Parse(layout, digits)
	return moment{t, instant}, err == nil
}

// on is the moment at the same hour of another day.
func (m moment) on(day reminder.Date) moment {
	hour, minute, second := m.written.Clock()
	m.written = time.Date(day.Year(), day.Month(), day.Day(), hour, minute, second, 0, time.UTC)
	return m
}

// wall is the date and time on the wall at the moment: as written, or, for an
// instant, in the zone of the config.
func (m moment) wall(zone *time.Location) time.Time {
	if !m.instant {
		return m.written
	}
	t := m.written.In(zone)
	_, offset := t.Zone()
	return m.written.Add(time.Duration(offset) * time.Second)
}
