// Package holidays reads the days of an iCalendar file (RFC 5545) as programs and
// web sites write it. It promises three things:
//   - A day is the day that is written, whatever zone stands beside it; only an
//     instant in UTC is converted to the zone of the config.
//   - An event that cannot be understood affects no other: it counts on its first
//     day, and a warning names it where it could still matter.
//   - A file of MaxBytes is read within a second or two: the work is bounded.
//
// It does no I/O and has no clock. The config loader calls it. Read calendar.go
// first, then lines.go (the text), event.go (one event), rule.go (recurring days).
package holidays

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"duewatch/reminder"
)

// Bounds of a file. They are far above any real calendar, and low enough that a file
// at all of them is read within a second or two.
const (
	MaxBytes     = 1 << 20
	maxEvents    = 5000
	maxEventDays = 366       // of one occurrence
	maxSteps     = 2_000_000 // days that are tried or listed
	maxWarnings  = 20        // listed one by one; the rest is counted
)

// Options say for whom and for which days a calendar is read.
type Options struct {
	Zone        *time.Location // to which an instant in UTC is converted
	From, To    reminder.Date  // the window: days outside it are not listed
	Today       reminder.Date  // events that ended before it raise no warning
	Observances bool           // whether days that Google marks as no public holidays count
}

// Calendar is what a file says about the window.
type Calendar struct {
	Days        []Day // ascending; a day with two names comes twice
	Observances []Day // those that do not count, in the same order
	Warnings    []Warning
}

// Day is a day of an event.
type Day struct {
	Date reminder.Date
	Name string // the event's SUMMARY in one line, "" when it has none
}

// Warning is about an event that does not count as it is written, or not fully.
type Warning struct {
	Line int
	Text string // names the event, what is wrong, and what to write instead
}

// Error is why a file as a whole cannot be used.
type Error struct {
	Line int    // from 1; 0 when it is about the whole file
	Text string // what is wrong and what to do, to follow the name of the file
}

// Error is the text alone: the caller names the file.
func (e *Error) Error() string { return e.Text }

// reader is one call of Read.
type reader struct {
	Options
	out   Calendar
	steps int
	// replaced holds, by UID, the days of recurring events that a change to one day
	// replaces.
	replaced map[string]map[reminder.Date]bool
	unlisted int // how many warnings are beyond maxWarnings
}

// Read lists the days of a calendar. Its error is always an *Error.
func Read(text string, opts Options) (Calendar, error) {
	components, err := split(text)
	if err != nil {
		return Calendar{}, err
	}
	r := &reader{Options: opts, replaced: map[string]map[reminder.Date]bool{}}
	var events []event
	for _, c := range components {
		if e, ok := r.parse(c); ok {
			events = append(events, e)
		}
	}
	// Changes to one day may stand before the event that they change.
	for i := range events {
		if err := r.collect(&events[i]); err != nil {
			return Calendar{}, err
		}
	}
	for _, days := range []*[]Day{&r.out.Days, &r.out.Observances} {
		slices.SortFunc(*days, func(a, b Day) int { return cmp.Or(a.Date.Compare(b.Date), strings.Compare(a.Name, b.Name)) })
		*days = slices.Compact(*days)
	}
	slices.SortStableFunc(r.out.Warnings, func(a, b Warning) int { return cmp.Compare(a.Line, b.Line) })
	if r.unlisted > 0 {
		r.out.Warnings = append(r.out.Warnings, Warning{1, fmt.Sprintf("and %d more events that do not count as they are written", r.unlisted)})
	}
	return r.out, nil
}

// split finds the events of all calendars in a file. It ignores what is outside of
// a calendar.
func split(text string) ([]component, error) {
	if isUTF16(text) {
		return nil, &Error{Text: "is UTF-16 text: save it as UTF-8, as with iconv -f UTF-16 -t UTF-8 OLD.ics > NEW.ics"}
	}
	var events []component
	var open []string // components, the innermost last
	calendars := 0
	for _, p := range properties(text) {
		inner := len(open) - 1
		switch kind := strings.ToUpper(p.value); {
		case inner < 0 && (p.name != "BEGIN" || kind != "VCALENDAR"):
		case p.name == "BEGIN":
			open = append(open, kind)
			if kind == "VCALENDAR" {
				calendars++
			}
			if kind == "VEVENT" {
				events = append(events, component{line: p.line, properties: map[string][]property{}})
			}
		case p.name == "END" && kind != open[inner]:
			return nil, &Error{p.line, fmt.Sprintf("ends %s, where %s is open: the file is damaged; download or export it again",
				shown(kind), shown(open[inner]))}
		case p.name == "END":
			open = open[:inner]
		case open[inner] == "VEVENT":
			of := events[len(events)-1].properties
			of[p.name] = append(of[p.name], p)
		}
		if len(events) > maxEvents {
			return nil, &Error{p.line, fmt.Sprintf("begins event %d of the file, and %d are read at most: leave out those of past years",
				len(events), maxEvents)}
		}
	}
	switch {
	case calendars == 0 && strings.HasPrefix(strings.TrimSpace(text), "<"):
		return nil, &Error{Text: "is a web page, not a calendar: download the calendar itself, as .ics"}
	case len(open) > 0:
		return nil, &Error{lineCount(text), fmt.Sprintf("ends in the middle of a %s: the file was cut short; download or export it again",
			shown(open[len(open)-1]))}
	case strings.TrimSpace(text) != "" && calendars == 0:
		return nil, &Error{Text: "is no iCalendar file, since it has no line BEGIN:VCALENDAR: export the calendar as .ics"}
	case len(events) == 0:
		return nil, &Error{Text: "lists no event: export the calendar anew"}
	}
	return events, nil
}

// collect adds the days of one event that are in the window.
func (r *reader) collect(e *event) error {
	starts := r.starts(e)
	for _, start := range starts {
		for i := range e.days {
			day := start.AddDays(i)
			r.steps++
			switch {
			case r.steps > maxSteps:
			case day.Before(r.From) || day.After(r.To):
			case e.observance:
				r.out.Observances = append(r.out.Observances, Day{day, e.name})
			default:
				r.out.Days = append(r.out.Days, Day{day, e.name})
			}
			if day.After(e.mattersTo) {
				e.mattersTo = day
			}
		}
	}
	if r.steps > maxSteps {
		return &Error{e.line, fmt.Sprintf("%s: up to this event the file asks for more than %d days to be tried: "+
			"leave out events of past years, or split the file", e.title(), maxSteps)}
	}
	r.warn(e)
	return nil
}

// starts are the first days of the occurrences that reach into the window.
func (r *reader) starts(e *event) []reminder.Date {
	from := r.From.AddDays(-e.days)
	listed := map[reminder.Date]bool{}
	add := func(day reminder.Date) {
		if !day.Before(from) && !day.After(r.To) {
			listed[day] = true
		}
	}
	if len(e.rules) == 0 {
		add(reminder.DateOf(e.start.wall(r.Zone)))
	}
	for i := range e.rules {
		// An instant may fall on the day before or after the one written.
		e.rules[i].walk(from.AddDays(-1), r.To.AddDays(1), &r.steps, func(day reminder.Date) {
			add(reminder.DateOf(e.start.on(day).wall(r.Zone)))
		})
	}
	for _, day := range e.added {
		add(day)
	}
	for _, day := range e.excepted {
		delete(listed, day)
	}
	if !e.change {
		for day := range r.replaced[e.uid] {
			delete(listed, day)
		}
	}
	starts := make([]reminder.Date, 0, len(listed))
	for day := range listed {
		starts = append(starts, day)
	}
	slices.SortFunc(starts, reminder.Date.Compare)
	return starts
}

// warn adds a warning of the first fault of an event, if the fault matters.
func (r *reader) warn(e *event) {
	switch {
	case len(e.faults) == 0 || e.observance || e.mattersTo.Before(r.Today):
	case len(r.out.Warnings) == maxWarnings:
		r.unlisted++
	default:
		r.out.Warnings = append(r.out.Warnings, Warning{e.faults[0].line, e.title() + ": " + e.faults[0].text})
	}
}
