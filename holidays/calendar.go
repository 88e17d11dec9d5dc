// Package holidays reads the days of an iCalendar file (RFC 5545) as programs
// and web sites write it. It promises three things. A day is a day as it is
// written: no zone is looked up, and only an instant in UTC is turned into the
// zone of the config. An event that cannot be understood costs itself alone: it
// counts on the day it began, and a warning names it where it could still
// matter. And no file of MaxBytes keeps it busy: its work is bounded in steps.
//
// It does no I/O and has no clock. The config loader calls it.
package holidays

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"duewatch/reminder"
)

// Bounds of a file. They are far beyond any real calendar, and low enough that
// one at all of them is read within a second or two.
const (
	MaxBytes     = 1 << 20
	maxEvents    = 5000
	maxEventDays = 366       // of one occurrence
	maxSteps     = 2_000_000 // days that are tried or listed
	maxWarnings  = 20        // more help nobody; the rest is counted
)

// Options are what surrounds a calendar.
type Options struct {
	Zone        *time.Location // in which an instant in UTC has its day
	From, To    reminder.Date  // the window: days outside it are not listed
	Today       reminder.Date  // events that ended before it are not warned of
	Observances bool           // whether days that Google marks as no public holidays count
}

// Calendar is what a file says of the window.
type Calendar struct {
	Days        []Day // ascending; a day stands once for each of its names
	Observances []Day // those left out, likewise
	Warnings    []Warning
}

// Day is a day of an event.
type Day struct {
	Date reminder.Date
	Name string // the event's SUMMARY in one line, "" when it has none
}

// Warning is about an event that does not count as it is written.
type Warning struct {
	Line int
	Text string // names the event, what is wrong, and what to write instead
}

// Error is why a file as a whole cannot be used.
type Error struct {
	Line int    // from 1; 0 when it is about the whole file
	Text string // what is wrong and what to do, to be put behind the name of the file
}

// Error is the text alone: the caller names the file.
func (e *Error) Error() string { return e.Text }

// reader is one call of Read.
type reader struct {
	Options
	out   Calendar
	steps int
	// replaced are, by UID, the days of recurring events that a change to one
	// day takes from them.
	replaced map[string]map[reminder.Date]bool
	unnamed  int // warnings beyond maxWarnings
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
		if err := r.list(&events[i]); err != nil {
			return Calendar{}, err
		}
	}
	for _, days := range []*[]Day{&r.out.Days, &r.out.Observances} {
		slices.SortFunc(*days, func(a, b Day) int { return cmp.Or(a.Date.Compare(b.Date), strings.Compare(a.Name, b.Name)) })
		*days = slices.Compact(*days)
	}
	slices.SortStableFunc(r.out.Warnings, func(a, b Warning) int { return cmp.Compare(a.Line, b.Line) })
	if r.unnamed > 0 {
		r.out.Warnings = append(r.out.Warnings, Warning{1, fmt.Sprintf("and %d more events that do not count as they are written", r.unnamed)})
	}
	return r.out, nil
}

// split finds the events of a file, of all calendars in it. What stands outside
// of a calendar is passed over.
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

// list adds the days of one event that lie in the window.
func (r *reader) list(e *event) error {
	starts := r.starts(e)
	for _, start := range starts {
		for i := range e.days {
			day := start.AddDays(i)
			r.steps++
			switch {
			case r.steps > maxSteps:
			case day.Before(r.From) || day.After(r.To):
			case e.leftOut:
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
	for _, day := range e.more {
		add(day)
	}
	for _, day := range e.except {
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

// warn names the first fault of an event, unless it makes no difference.
func (r *reader) warn(e *event) {
	switch {
	case len(e.faults) == 0 || e.leftOut || e.mattersTo.Before(r.Today):
	case len(r.out.Warnings) == maxWarnings:
		r.unnamed++
	default:
		r.out.Warnings = append(r.out.Warnings, Warning{e.faults[0].line, e.title() + ": " + e.faults[0].text})
	}
}
