package reminder

import (
	"testing"
	"time"
)

// In the hour that a zone leaves out, what begins there begins when the clocks
// have gone on, and what lies there lies an hour later: a window as well as
// send_at, or the stage of that day could never be sent.
func TestAWindowInTheHourLeftOutMovesAsSendAtDoes(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		zone, day, window, sendAt string
		due                       string // when the stage of that day is sent, UTC
		last                      string // the last minute in which it may be
		closed                    []string
	}{
		"New York, all of the window": {"America/New_York", "2026-03-08", "02:00-03:00", "02:30", "2026-03-08 07:30", "2026-03-08 07:59", []string{"2026-03-08 06:59", "2026-03-08 08:00"}},
		"New York, its beginning":     {"America/New_York", "2026-03-08", "02:30-03:30", "02:30", "2026-03-08 07:30", "2026-03-08 07:59", []string{"2026-03-08 06:59", "2026-03-08 08:00"}},
		"New York, its end":           {"America/New_York", "2026-03-08", "01:00-02:30", "02:15", "2026-03-08 07:15", "2026-03-08 07:29", []string{"2026-03-08 05:59", "2026-03-08 07:30"}},
		"New York, in the middle":     {"America/New_York", "2026-03-08", "01:00-18:00", "02:30", "2026-03-08 07:30", "2026-03-08 21:59", []string{"2026-03-08 05:59", "2026-03-08 22:00"}},
		"New York, the day before":    {"America/New_York", "2026-03-07", "02:00-03:00", "02:30", "2026-03-07 07:30", "2026-03-07 07:59", []string{"2026-03-07 06:59", "2026-03-07 08:00"}},
		"New York, the day after":     {"America/New_York", "2026-03-09", "02:00-03:00", "02:30", "2026-03-09 06:30", "2026-03-09 06:59", []string{"2026-03-09 05:59", "2026-03-09 07:00"}},
		"London, all of the window":   {"Europe/London", "2026-03-29", "01:00-02:00", "01:30", "2026-03-29 01:30", "2026-03-29 01:59", []string{"2026-03-29 00:59", "2026-03-29 02:00"}},
		"London, by day":              {"Europe/London", "2026-03-29", "08:00-18:00", "09:00", "2026-03-29 08:00", "2026-03-29 16:59", []string{"2026-03-29 06:59", "2026-03-29 17:00"}},
		"London, an hour comes twice": {"Europe/London", "2026-10-25", "01:30-02:00", "01:30", "2026-10-25 01:30", "2026-10-25 01:59", []string{"2026-10-25 00:29", "2026-10-25 01:10", "2026-10-25 02:00"}},
		"Cairo, at midnight":          {"Africa/Cairo", "2026-04-24", "00:00-01:00", "00:00", "2026-04-23 22:00", "2026-04-23 22:59", []string{"2026-04-23 21:59", "2026-04-23 23:00"}},
		"Cairo, the day before":       {"Africa/Cairo", "2026-04-23", "08:00-24:00", "23:00", "2026-04-23 21:00", "2026-04-23 21:59", []string{"2026-04-23 05:59", "2026-04-23 22:00"}},
		"Cairo, by day":               {"Africa/Cairo", "2026-04-24", "08:00-18:00", "09:00", "2026-04-24 06:00", "2026-04-24 14:59", []string{"2026-04-24 04:59", "2026-04-24 15:00"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := shippedPolicy(t, func(p *Policy) {
				var err error
				p.Zone, p.Stages = place(t, c.zone), []Stage{0}
				if p.Window, err = ParseWindow(c.window); err != nil {
					t.Fatal(err)
				}
				if p.SendAt, err = ParseClock(c.sendAt); err != nil {
					t.Fatal(err)
				}
			})
			instant := func(s string) time.Time {
				at, err := time.Parse("2006-01-02 15:04", s)
				if err != nil {
					t.Fatal(err)
				}
				return at
			}
			step, last := p.Steps(day(c.day))[0], instant(c.last)
			if !step.At.Equal(instant(c.due)) {
				t.Errorf("is due at %s, want %s", step.At.UTC(), c.due)
			}
			if end := last.Add(time.Minute); !step.NotAfter.Equal(end) {
				t.Errorf("is useful until %s, want %s", step.NotAfter.UTC(), end)
			}
			for _, open := range []time.Time{step.At, last} {
				if !p.OpenAt(open) || !p.NextOpen(open).Equal(open) {
					t.Errorf("is closed at %s", open)
				}
				if v := p.Validity(open); v <= 0 || open.Add(v).After(step.NotAfter) {
					t.Errorf("a text of %s is valid for %s, beyond %s", open, v, step.NotAfter)
				}
			}
			for _, closed := range c.closed {
				if p.OpenAt(instant(closed)) {
					t.Errorf("is open at %s", closed)
				}
			}
		})
	}
}
