package reminder

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Date is a calendar day without a zone. A due date is a Date, never an
// instant: "due on the 3rd" is the 3rd wherever the server stands. The zero
// Date means "not known".
type Date struct {
	year  int
	month time.Month
	day   int
}

// NewDate returns the given day; days and months out of range are carried
// over as time.Date does.
func NewDate(year int, month time.Month, day int) Date {
	return DateOf(time.Date(year, month, day, 0, 0, 0, 0, time.UTC))
}

// DateOf returns the calendar day of t in t's own location. The zero time has
// a day too, in the year 1: it is not the unknown Date.
func DateOf(t time.Time) Date {
	y, m, d := t.Date()
	return Date{y, m, d}
}

// ParseDate reads YYYY-MM-DD and nothing else.
func ParseDate(s string) (Date, error) {
	t, err := time.Parse(time.DateOnly, s)
	if err != nil {
		return Date{}, fmt.Errorf("%q is not a date: write YYYY-MM-DD", truncate(s, 20))
	}
	return DateOf(t), nil
}

// IsZero reports whether the day is not known.
func (d Date) IsZero() bool { return d == Date{} }

// String is YYYY-MM-DD, or "" when the day is not known.
func (d Date) String() string {
	if d.IsZero() {
		return ""
	}
	return d.midnight().Format(time.DateOnly)
}

// MarshalText is String.
func (d Date) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads YYYY-MM-DD; an empty text is the unknown day.
func (d *Date) UnmarshalText(b []byte) (err error) {
	if len(b) == 0 {
		*d = Date{}
		return nil
	}
	*d, err = ParseDate(string(b))
	return err
}

// AddDays returns the day n days later (earlier when n is negative).
func (d Date) AddDays(n int) Date { return DateOf(d.midnight().AddDate(0, 0, n)) }

// Sub returns the number of days from e to d, negative when d comes first. It
// counts in seconds and not in a time.Duration, which ends at 292 years: a
// biller's "no due date" may be the year 9999.
func (d Date) Sub(e Date) int {
	const day = 24 * 60 * 60
	return int((d.midnight().Unix() - e.midnight().Unix()) / day)
}

// Compare is negative when d comes before e, zero when they are the same day.
func (d Date) Compare(e Date) int {
	return cmp.Or(cmp.Compare(d.year, e.year), cmp.Compare(d.month, e.month), cmp.Compare(d.day, e.day))
}

// Before reports whether d comes before e.
func (d Date) Before(e Date) bool { return d.Compare(e) < 0 }

// After reports whether d comes after e.
func (d Date) After(e Date) bool { return d.Compare(e) > 0 }

// Weekday is the day of the week.
func (d Date) Weekday() time.Weekday { return d.midnight().Weekday() }

// Month of the year, for wording.
func (d Date) Month() time.Month { return d.month }

// Day of the month, from 1.
func (d Date) Day() int { return d.day }

// Year of the day.
func (d Date) Year() int { return d.year }

// At is the instant at which a wall clock in zone shows c on this day. A time
// that a change to summer time leaves out is carried forward by as much as the
// clocks were; of a time that comes twice it is one of the two.
func (d Date) At(c Clock, zone *time.Location) time.Time {
	t := time.Date(d.year, d.month, d.day, 0, int(c), 0, 0, zone)
	// time.Date does not say to which side it carries a time left out. To the
	// earlier side, it would be outside a window that opens at c, or on the
	// day before.
	_, offset := t.Zone()
	shown := t.Unix() + int64(offset)
	if missing := d.midnight().Unix() + int64(c)*60 - shown; missing > 0 {
		t = t.Add(time.Duration(missing) * time.Second)
	}
	return t
}

func (d Date) midnight() time.Time {
	return time.Date(d.year, d.month, d.day, 0, 0, 0, 0, time.UTC)
}

// Clock is a time of day in minutes after midnight, 0 to 1440 (24:00).
type Clock int

const endOfDay Clock = 24 * 60

// ClockOf is what a wall clock shows at t, in t's own location.
func ClockOf(t time.Time) Clock { return Clock(t.Hour()*60 + t.Minute()) }

// ParseClock reads HH:MM, 00:00 to 24:00.
func ParseClock(s string) (Clock, error) {
	h, m, ok := strings.Cut(s, ":")
	hours, errH := strconv.ParseUint(h, 10, 8)
	minutes, errM := strconv.ParseUint(m, 10, 8)
	c := Clock(hours*60 + minutes)
	if !ok || len(h) != 2 || len(m) != 2 || errH != nil || errM != nil || minutes > 59 || c > endOfDay {
		return 0, fmt.Errorf("%q is not a time of day: write HH:MM, 00:00 to 24:00", truncate(s, 20))
	}
	return c, nil
}

// String is HH:MM.
func (c Clock) String() string { return fmt.Sprintf("%02d:%02d", int(c)/60, int(c)%60) }

// Window is the part of each day in which texts may leave: From inclusive, To
// exclusive, both on the same day.
type Window struct{ From, To Clock }

// ParseWindow reads HH:MM-HH:MM. A window that crosses midnight is refused:
// no operator wants one, and one typed by mistake texts people at night.
func ParseWindow(s string) (Window, error) {
	from, to, ok := strings.Cut(s, "-")
	if !ok {
		return Window{}, fmt.Errorf("%q is not a window: write HH:MM-HH:MM", truncate(s, 20))
	}
	f, err := ParseClock(strings.TrimSpace(from))
	if err != nil {
		return Window{}, err
	}
	t, err := ParseClock(strings.TrimSpace(to))
	if err != nil {
		return Window{}, err
	}
	if f >= t {
		return Window{}, fmt.Errorf("%q ends before it begins: write the earlier time first, both on one day", s)
	}
	return Window{f, t}, nil
}

// AllDay reports whether the window never closes.
func (w Window) AllDay() bool { return w.From == 0 && w.To == endOfDay }

// Contains reports whether the window is open at time of day c.
func (w Window) Contains(c Clock) bool { return w.From <= c && c < w.To }

// String is HH:MM-HH:MM.
func (w Window) String() string { return w.From.String() + "-" + w.To.String() }
