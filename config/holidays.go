package config

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"duewatch/holidays"
	"duewatch/importer"
	"duewatch/reminder"
)

// Holidays are followed in a window about today. It holds every day that the
// plan of a bill asks about: the reminders of a due date of two years ahead, the
// latest that is taken, may be maxStage days behind it, and a year is how far
// planning looks for an open day. It reaches further by holidaysLast, since a
// daemon moves it no more often than that.
const (
	holidaysBefore = 2 * maxStage // days: stages of the past are planned too
	holidaysAfter  = 2*366 + maxStage + 366 + holidaysLast
	// holidaysLast is for how many days the holidays of a Config are complete.
	holidaysLast = 30
)

// HolidayList is the days without texts of one list of holidays:.
type HolidayList struct {
	// Days are those of the window, ascending, and all dates of the list
	// itself. A day stands there once for each of its names.
	Days []Holiday
	// Observances are the days that Google marks as no public holidays, where
	// they do not count.
	Observances []Holiday
	// Warnings are about events that do not count as they are written. They
	// keep nobody from running.
	Warnings []importer.Problem

	source holidaySource
	dates  map[reminder.Date]bool // the days as policies want them
}

// Holiday is a day without texts.
type Holiday struct {
	Date reminder.Date
	Name string // "" when it has none
	File string // the calendar or config file that lists it; a variable as $NAME
}

// holidaySource is what a list of holidays names.
type holidaySource struct {
	key         string // reminders.holidays
	dates       []Holiday
	files       []calendarFile
	observances bool
}

type calendarFile struct{ path, text string }

// mark is equal for sources that give the same days.
func (s holidaySource) mark() string {
	lines := []string{strconv.FormatBool(s.observances)}
	for _, d := range s.dates {
		lines = append(lines, d.Date.String())
	}
	for _, f := range s.files {
		lines = append(lines, fmt.Sprintf("%x", sha256.Sum256([]byte(f.text))))
	}
	slices.Sort(lines)
	return strings.Join(lines, " ")
}

// Names reports whether the list names anything, be it past.
func (l *HolidayList) Names() bool { return len(l.source.dates)+len(l.source.files) > 0 }

// Holidays is the list of holidays for the bills of a service. Services without
// a list of their own share one.
func (c *Config) Holidays(service string) *HolidayList {
	if own, ok := c.holidays[service]; ok {
		return own
	}
	return c.holidays[everyService]
}

// HolidayWarnings are those about the calendars of all lists, each once.
func (c *Config) HolidayWarnings() (out []string) {
	add := func(list *HolidayList) {
		for _, w := range list.Warnings {
			if text := w.String(); !slices.Contains(out, text) {
				out = append(out, text)
			}
		}
	}
	add(c.Holidays(everyService))
	for _, s := range c.Services {
		add(c.Holidays(s.ID))
	}
	return out
}

// HolidaysReach reports whether the holidays are those of a window about that
// day. When they are not, after weeks or because a clock was wrong, HolidaysAbout
// has them. Only calendars are read for a window: days that the config names reach always.
func (c *Config) HolidaysReach(today reminder.Date) bool {
	if !c.hasCalendars() {
		return true
	}
	apart := today.Sub(c.holidaysAbout)
	return -holidaysLast <= apart && apart <= holidaysLast
}

func (c *Config) hasCalendars() bool {
	for _, list := range c.holidays {
		if len(list.source.files) > 0 {
			return true
		}
	}
	return false
}

// HolidaysAbout is the Config with the holidays of the window about another
// day. It reads no file: the calendars are as they were when they were loaded.
func (c *Config) HolidaysAbout(today reminder.Date) (*Config, error) {
	read := newCalendars(c.Zone, today)
	renewed := map[*HolidayList]*HolidayList{}
	out := *c
	out.holidaysAbout = today
	out.holidays = make(map[string]*HolidayList, len(c.holidays))
	for service, list := range c.holidays {
		if renewed[list] == nil {
			again, err := read.list(list.source)
			if err != nil {
				return nil, err
			}
			renewed[list] = again
		}
		out.holidays[service] = renewed[list]
	}
	renew := func(service string, p *reminder.Policy) *reminder.Policy {
		q := *p
		q.Holidays = out.Holidays(service).dates
		return &q
	}
	out.Policies.Default = renew(everyService, c.Policies.Default)
	out.Policies.ByService = make(map[string]*reminder.Policy, len(c.Policies.ByService))
	for service, p := range c.Policies.ByService {
		out.Policies.ByService[service] = renew(service, p)
	}
	return &out, nil
}

// calendars reads calendars for one window, each once.
type calendars struct {
	opts  holidays.Options
	texts map[string]string       // by path
	read  map[string]calendarRead // by path and observances
}

type calendarRead struct {
	of  holidays.Calendar
	err error
}

func newCalendars(zone *time.Location, today reminder.Date) *calendars {
	return &calendars{
		opts:  holidays.Options{Zone: zone, Today: today, From: today.AddDays(-holidaysBefore), To: today.AddDays(holidaysAfter)},
		texts: map[string]string{}, read: map[string]calendarRead{},
	}
}

// calendar reads one file. Its error is a *holidays.Error.
func (c *calendars) calendar(f calendarFile, observances bool) (holidays.Calendar, error) {
	key := strconv.FormatBool(observances) + f.path
	if _, known := c.read[key]; !known {
		opts := c.opts
		opts.Observances = observances
		of, err := holidays.Read(f.text, opts)
		c.read[key] = calendarRead{of, err}
	}
	return c.read[key].of, c.read[key].err
}

// list joins the dates of a list with the days of its calendars.
func (c *calendars) list(s holidaySource) (*HolidayList, error) {
	list := &HolidayList{source: s, Days: slices.Clone(s.dates), dates: map[reminder.Date]bool{}}
	for _, f := range s.files {
		of, err := c.calendar(f, s.observances)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", f.path, err)
		}
		for _, d := range of.Days {
			list.Days = append(list.Days, Holiday{d.Date, d.Name, f.path})
		}
		for _, d := range of.Observances {
			list.Observances = append(list.Observances, Holiday{d.Date, d.Name, f.path})
		}
		for _, w := range of.Warnings {
			list.Warnings = append(list.Warnings, importer.Problem{File: f.path, Line: w.Line, Text: w.Text})
		}
	}
	for _, days := range [][]Holiday{list.Days, list.Observances} {
		slices.SortStableFunc(days, func(a, b Holiday) int { return a.Date.Compare(b.Date) })
	}
	for _, d := range list.Days {
		list.dates[d.Date] = true
	}
	return list, nil
}

// holidays reads the list of holidays that v has, with the calendars it names.
func (c *checker) holidays(v view) *HolidayList {
	at, path := v.where("holidays")
	_, observancesPath := v.where("holidays_observances")
	shared := path + " " + observancesPath
	if same, ok := c.holidaysAt[shared]; ok {
		return same // of a service that has no list of its own
	}
	s := holidaySource{key: path, observances: v.flag("holidays_observances")}
	from := at.file
	if at.env != "" {
		from = variable(at.env)
	}
	v.each("holidays", func(item string) string {
		if address := strings.ToLower(item); strings.Contains(address, "://") {
			// Not repeated: the address of a private calendar opens it.
			return "is a web address, and only files are read: download it first, as with curl -o holidays.ics URL, and write holidays.ics here"
		}
		if strings.HasSuffix(strings.ToLower(item), ".ics") {
			return c.calendar(&s, item)
		}
		d, err := reminder.ParseDate(item)
		switch {
		case err != nil:
			return shown(item) + " is neither a date nor a calendar: write YYYY-MM-DD, such as 2026-12-25, or the path of a file that ends in .ics"
		case slices.ContainsFunc(s.dates, func(h Holiday) bool { return h.Date == d }):
			return shown(item) + " is on the list twice: keep one"
		}
		s.dates = append(s.dates, Holiday{Date: d, File: from})
		return ""
	})
	list, err := c.calendars.list(s)
	if err != nil {
		list = &HolidayList{source: s} // a problem has said so
	}
	c.holidaysAt[shared] = list
	return list
}

// calendar reads an iCalendar file, which stands beside the config file unless
// its path says otherwise. Fault is what is wrong with the file as a whole; what
// has a line is reported there.
func (c *checker) calendar(s *holidaySource, name string) (fault string) {
	path := name
	if !filepath.IsAbs(path) {
		path = filepath.Join(filepath.Dir(c.doc.name), path)
	}
	if slices.ContainsFunc(s.files, func(f calendarFile) bool { return f.path == path }) {
		return shown(name) + " is on the list twice: keep one"
	}
	file := strconv.Quote(path)
	text, known := c.calendars.texts[path]
	if !known {
		switch info, err := os.Stat(path); {
		case err != nil:
			return file + " cannot be read: " + importer.WithoutPath(err).Error()
		case !info.Mode().IsRegular():
			return file + " is not a file"
		case info.Size() > holidays.MaxBytes:
			return fmt.Sprintf("%s is larger than %d KiB: leave out the events of past years", file, holidays.MaxBytes>>10)
		}
		b, err := os.ReadFile(path) //nolint:gosec // the operator names the file
		if err != nil {
			return file + " cannot be read: " + importer.WithoutPath(err).Error()
		}
		text = string(b)
		c.calendars.texts[path] = text
	}
	f := calendarFile{path, text}
	s.files = append(s.files, f)
	_, err := c.calendars.calendar(f, s.observances)
	refused, ok := errors.AsType[*holidays.Error](err)
	switch {
	case !ok:
		return ""
	case refused.Line > 0:
		c.problems.add(place{file: path, line: refused.Line}, s.key, "%s", refused.Text)
		return ""
	default:
		return file + " " + refused.Text
	}
}
