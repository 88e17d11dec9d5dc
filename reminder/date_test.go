package reminder

import (
	"encoding/json"
	"testing"
	"time"
	_ "time/tzdata" // zones for machines that have none

	"github.com/google/go-cmp/cmp"
)

func TestParseDate(t *testing.T) {
	for name, in := range map[string]string{"ordinary": "2026-03-03", "leap day": "2028-02-29", "year 9999": "9999-12-31"} {
		t.Run(name, func(t *testing.T) {
			d, err := ParseDate(in)
			if err != nil || d.String() != in {
				t.Errorf("ParseDate(%q) = %s, %v", in, d, err)
			}
		})
	}
	for name, in := range map[string]string{
		"empty": "", "no leap day": "2026-02-29", "month 13": "2026-13-01", "day 0": "2026-01-00", "one digit": "2026-3-3",
		"slashes": "2026/03/03", "day first": "03-03-2026", "with time": "2026-03-03T00:00:00Z", "space": " 2026-03-03", "sign": "-026-03-03",
	} {
		t.Run(name, func(t *testing.T) {
			if d, err := ParseDate(in); err == nil {
				t.Errorf("ParseDate(%q) = %s, want an error", in, d)
			}
		})
	}
}

func TestDateArithmetic(t *testing.T) {
	tests := map[string]struct {
		from, to string
		days     int
	}{
		"same":           {"2026-03-03", "2026-03-03", 0},
		"across a month": {"2026-02-27", "2026-03-02", 3},
		"leap year":      {"2028-02-28", "2028-03-01", 2},
		"back":           {"2026-01-01", "2025-12-31", -1},
		"to year 9999":   {"2026-01-01", "9999-12-31", 2912442},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			from, to := mustDate(t, tt.from), mustDate(t, tt.to)
			if got := to.Sub(from); got != tt.days {
				t.Errorf("%s - %s = %d days, want %d", to, from, got, tt.days)
			}
			if got := from.AddDays(tt.days); got != to {
				t.Errorf("%s + %d days = %s, want %s", from, tt.days, got, to)
			}
			if from.Before(to) != (tt.days > 0) || from.After(to) != (tt.days < 0) {
				t.Errorf("%s and %s are in the wrong order", from, to)
			}
		})
	}
}

// A due date is the same day wherever the server stands, and the day of an
// instant is that of its own zone.
func TestDateOfUsesTheZoneOfTheInstant(t *testing.T) {
	nairobi := zone(t, "Africa/Nairobi")
	late := time.Date(2026, 3, 2, 21, 30, 0, 0, time.UTC)
	if got := DateOf(late.In(nairobi)); got != mustDate(t, "2026-03-03") {
		t.Errorf("21:30 UTC in Nairobi is %s", got)
	}
	if got := DateOf(late); got != mustDate(t, "2026-03-02") {
		t.Errorf("21:30 UTC is %s", got)
	}
}

func TestDateAt(t *testing.T) {
	tests := map[string]struct{ zone, date, clock, want string }{
		"Nairobi":                       {"Africa/Nairobi", "2026-03-03", "09:00", "2026-03-03T09:00:00+03:00"},
		"24:00 is the next midnight":    {"Africa/Nairobi", "2026-03-03", "24:00", "2026-03-04T00:00:00+03:00"},
		"before the change":             {"Europe/Berlin", "2026-03-28", "09:00", "2026-03-28T09:00:00+01:00"},
		"after the change":              {"Europe/Berlin", "2026-03-29", "09:00", "2026-03-29T09:00:00+02:00"},
		"left out, east of Greenwich":   {"Europe/Berlin", "2026-03-29", "02:30", "2026-03-29T03:30:00+02:00"},
		"left out, west of Greenwich":   {"America/New_York", "2026-03-08", "02:30", "2026-03-08T03:30:00-04:00"},
		"midnight left out, Cairo":      {"Africa/Cairo", "2026-04-24", "00:00", "2026-04-24T01:00:00+03:00"},
		"midnight left out, Santiago":   {"America/Santiago", "2026-09-06", "00:00", "2026-09-06T01:00:00-03:00"},
		"24:00 left out the next night": {"America/Santiago", "2026-09-05", "24:00", "2026-09-06T01:00:00-03:00"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			c, err := ParseClock(tt.clock)
			if err != nil {
				t.Fatal(err)
			}
			if got := mustDate(t, tt.date).At(c, zone(t, tt.zone)).Format(time.RFC3339); got != tt.want {
				t.Errorf("%s %s in %s is %s, want %s", tt.date, tt.clock, tt.zone, got, tt.want)
			}
		})
	}
}

func TestDateText(t *testing.T) {
	type doc struct{ Due Date }
	for _, d := range []doc{{}, {NewDate(2026, time.March, 3)}} {
		raw, err := json.Marshal(d)
		if err != nil {
			t.Fatal(err)
		}
		back := doc{NewDate(2000, time.January, 1)}
		if err := json.Unmarshal(raw, &back); err != nil {
			t.Fatal(err)
		}
		if back != d {
			t.Errorf("%s came back as %s", raw, back.Due)
		}
	}
	if got := (Date{}).String(); got != "" {
		t.Errorf("the unknown day is %q", got)
	}
}

func TestParseClock(t *testing.T) {
	for in, want := range map[string]Clock{"00:00": 0, "09:05": 545, "23:59": 1439, "24:00": 1440} {
		if got, err := ParseClock(in); err != nil || got != want || got.String() != in {
			t.Errorf("ParseClock(%q) = %d (%s), %v; want %d", in, got, got, err, want)
		}
	}
	for _, in := range []string{"", "9:00", "09:0", "24:01", "25:00", "09:60", "09", "09:00:00", "-9:00", "+9:00", "0९:00", " 09:00", "09.00"} {
		if got, err := ParseClock(in); err == nil {
			t.Errorf("ParseClock(%q) = %s, want an error", in, got)
		}
	}
}

func TestParseWindow(t *testing.T) {
	day := Window{8 * 60, 18 * 60}
	for in, want := range map[string]Window{"08:00-18:00": day, "08:00 - 18:00": day, "00:00-24:00": {0, 1440}} {
		got, err := ParseWindow(in)
		if err != nil {
			t.Errorf("ParseWindow(%q): %v", in, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("ParseWindow(%q) (-want +got):\n%s", in, diff)
		}
	}
	for _, in := range []string{"", "08:00", "08:00-", "18:00-08:00", "08:00-08:00", "22:00-06:00", "08:00-18:00-20:00", "8-18"} {
		if got, err := ParseWindow(in); err == nil {
			t.Errorf("ParseWindow(%q) = %s, want an error", in, got)
		}
	}
	if !day.Contains(8*60) || day.Contains(18*60) || day.Contains(8*60-1) {
		t.Error("a window is open from its first minute to before its last")
	}
}

func FuzzParseDate(f *testing.F) {
	for _, s := range []string{"2026-03-03", "2028-02-29", "0000-01-01", "9999-12-31", "2026-3-3", ""} {
		f.Add(s, 7)
	}
	f.Fuzz(func(t *testing.T, s string, n int) {
		d, err := ParseDate(s)
		if err != nil {
			return
		}
		if d.IsZero() || d.String() != s {
			t.Fatalf("ParseDate(%q) is %q", s, d)
		}
		n %= 100_000
		if got := d.AddDays(n).Sub(d); got != n {
			t.Fatalf("%s and %d days is %d days later", d, n, got)
		}
	})
}

func mustDate(t *testing.T, s string) Date {
	t.Helper()
	d, err := ParseDate(s)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func zone(t *testing.T, name string) *time.Location {
	t.Helper()
	z, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return z
}
