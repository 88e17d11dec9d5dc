package scheduler

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// The library passes over an hour that a zone leaves out: a daily remind job did
// not run on that day, and what was due on it expired.
func TestADailyJobRunsOnceOnTheDayAZoneChangesItsClocks(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		expression, zone, from string
		want                   []string // the next runs, in the zone
	}{
		"New York leaves it out":         {"30 2 * * *", "America/New_York", "2026-03-07 12:00", []string{"2026-03-08 03:00 EDT", "2026-03-09 02:30 EDT"}},
		"New York, its beginning":        {"0 2 * * *", "America/New_York", "2026-03-07 12:00", []string{"2026-03-08 03:00 EDT", "2026-03-09 02:00 EDT"}},
		"New York, several left out":     {"*/20 2 * * *", "America/New_York", "2026-03-08 01:00", []string{"2026-03-08 03:00 EDT", "2026-03-09 02:00 EDT"}},
		"New York, before and in it":     {"30 1,2 * * *", "America/New_York", "2026-03-08 00:00", []string{"2026-03-08 01:30 EST", "2026-03-08 03:00 EDT", "2026-03-09 01:30 EDT"}},
		"New York, after it":             {"0 9 * * *", "America/New_York", "2026-03-07 12:00", []string{"2026-03-08 09:00 EDT", "2026-03-09 09:00 EDT"}},
		"New York repeats it":            {"30 1 * * *", "America/New_York", "2026-10-31 12:00", []string{"2026-11-01 01:30 EDT", "2026-11-02 01:30 EST"}},
		"London leaves it out":           {"15 1 * * *", "Europe/London", "2026-03-28 12:00", []string{"2026-03-29 02:00 BST", "2026-03-30 01:15 BST"}},
		"London repeats it":              {"15 1 * * *", "Europe/London", "2026-10-24 12:00", []string{"2026-10-25 01:15 BST", "2026-10-26 01:15 GMT"}},
		"Cairo leaves out midnight":      {"0 0 * * *", "Africa/Cairo", "2026-04-23 12:00", []string{"2026-04-24 01:00 EEST", "2026-04-25 00:00 EEST"}},
		"Cairo, on that day":             {"30 9 * * *", "Africa/Cairo", "2026-04-23 12:00", []string{"2026-04-24 09:30 EEST", "2026-04-25 09:30 EEST"}},
		"Cairo, only on that day":        {"0 0 24 4 *", "Africa/Cairo", "2026-04-23 12:00", []string{"2026-04-24 01:00 EEST", "2027-04-24 00:00 EET"}},
		"Cairo repeats 23:00":            {"30 23 * * *", "Africa/Cairo", "2026-10-29 12:00", []string{"2026-10-29 23:30 EEST", "2026-10-30 23:30 EET"}},
		"a zone of its own":              {"CRON_TZ=America/New_York 30 2 * * *", "Europe/London", "2026-03-07 12:00", []string{"2026-03-08 07:00 GMT", "2026-03-09 06:30 GMT"}},
		"every hour goes by time, left":  {"30 * * * *", "America/New_York", "2026-03-08 00:45", []string{"2026-03-08 01:30 EST", "2026-03-08 03:30 EDT"}},
		"every hour goes by time, twice": {"30 * * * *", "America/New_York", "2026-11-01 00:45", []string{"2026-11-01 01:30 EDT", "2026-11-01 01:30 EST", "2026-11-01 02:30 EST"}},
		"a zone without changes":         {"15 2 * * *", "Africa/Nairobi", "2026-03-07 12:00", []string{"2026-03-08 02:15 EAT", "2026-03-09 02:15 EAT"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			zone, err := time.LoadLocation(c.zone)
			if err != nil {
				t.Fatal(err)
			}
			schedule, err := parseExpression(c.expression)
			if err != nil {
				t.Fatal(err)
			}
			at, err := time.ParseInLocation("2006-01-02 15:04", c.from, zone)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for range c.want {
				at = schedule.Next(at)
				got = append(got, at.Format("2006-01-02 15:04 MST"))
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("runs (-want +got):\n%s", diff)
			}
		})
	}
}

// Where no clock changes, the library's own answers stand.
func TestAnExpressionMeansWhatTheLibraryMakesOfIt(t *testing.T) {
	t.Parallel()
	for _, expression := range []string{"0 0 * * *", "*/7 3,5 * * 1-5", "15 2 29 2 *", "59 23 31 * *", "0 12 1 */3 *", "0 0 30 2 *"} {
		schedule, err := parseExpression(expression)
		if err != nil {
			t.Fatal(err)
		}
		fixed, ok := schedule.(fixedHours)
		if !ok {
			t.Fatalf("%s is no expression of fixed hours", expression)
		}
		at := time.Date(2026, 1, 1, 0, 0, 0, 0, zone)
		for range 500 {
			want := fixed.fields.Next(at)
			if got := schedule.Next(at); !got.Equal(want) {
				t.Fatalf("%s after %s: %s, want %s", expression, at, got, want)
			}
			if at = want; at.IsZero() {
				break
			}
		}
	}
}

func TestTheLongestPauseOfAnExpression(t *testing.T) {
	t.Parallel()
	from := time.Date(2026, 3, 9, 8, 0, 0, 0, zone)
	for expression, want := range map[string]time.Duration{
		"* * * * *": time.Minute, "@every 5m": 5 * time.Minute, "0 * * * *": time.Hour, "30 2 * * *": 10 * time.Hour, "*/10 8-17 * * *": 10 * time.Minute,
		"0 8,12 * * *": 6 * time.Hour, "0 9 * * *": 9 * time.Hour,
	} {
		if got, err := LongestPause(expression, from, from.Add(10*time.Hour)); err != nil || got != want {
			t.Errorf("%s: %s, %v; want %s", expression, got, err, want)
		}
	}
}
