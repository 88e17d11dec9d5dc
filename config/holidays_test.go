package config

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"duewatch/holidays"
	"duewatch/reminder"
)

// vevent is a calendar of one event.
func vevent(lines ...string) string {
	return "BEGIN:VCALENDAR\nBEGIN:VEVENT\n" + strings.Join(lines, "\n") + "\nEND:VEVENT\nEND:VCALENDAR\n"
}

// onDay are options of a day on which the config is loaded.
func onDay(day string) Options {
	opts := sandbox()
	opts.Now = func() time.Time {
		t, err := time.Parse(time.DateOnly, day)
		if err != nil {
			panic(err)
		}
		return t
	}
	return opts
}

func datesOf(p *reminder.Policy) (days []string) {
	for _, d := range slices.SortedFunc(maps.Keys(p.Holidays), reminder.Date.Compare) {
		days = append(days, d.String())
	}
	return days
}

// besideConfig writes a config and a calendar into one folder, which is not the
// working directory.
func besideConfig(t *testing.T, yaml, calendar string) (path string) {
	t.Helper()
	dir := t.TempDir()
	path = filepath.Join(dir, "config.yaml")
	for name, text := range map[string]string{path: yaml, filepath.Join(dir, "h.ics"): calendar} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return path
}

func TestHolidaysFromCalendar(t *testing.T) {
	path := besideConfig(t, `
reminders: {holidays: [2026-12-12, h.ics]}
services:
  - {id: 1, name: A}
  - {id: 2, name: B, holidays: [2026-12-31]}
  - {id: 3, name: C, holidays: []}
`, vevent("DTSTART;VALUE=DATE:20261225", "DTEND;VALUE=DATE:20261227"))
	cfg, err := Load(path, onDay("2026-01-01"))
	if err != nil {
		t.Fatal(err)
	}
	for service, want := range map[string][]string{
		"":  {"2026-12-12", "2026-12-25", "2026-12-26"},
		"1": {"2026-12-12", "2026-12-25", "2026-12-26"},
		"2": {"2026-12-31"},
		"3": nil,
	} {
		if diff := cmp.Diff(want, datesOf(cfg.Policies.For(service))); diff != "" {
			t.Errorf("service %q (-want +got):\n%s", service, diff)
		}
	}

	// Another day in the file is another plan for all bills.
	was := cfg.Fingerprint()
	if err := os.WriteFile(filepath.Join(filepath.Dir(path), "h.ics"), []byte(vevent("DTSTART;VALUE=DATE:20261228")), 0o600); err != nil {
		t.Fatal(err)
	}
	if cfg, err = Load(path, onDay("2026-01-01")); err != nil || cfg.Fingerprint() == was {
		t.Errorf("changed file: %v, or the same fingerprint", err)
	}
}

func TestHolidaysFromBadCalendar(t *testing.T) {
	const inherited = "reminders:\n  holidays: [h.ics]\nservices:\n- {id: 1, name: A}\n"
	for _, tt := range []struct {
		name, yaml, calendar string
		want                 []string
	}{
		{"damage in it, once", inherited, "BEGIN:VCALENDAR\nEND:VEVENT\n", []string{
			`DIR/h.ics:2: reminders.holidays: ends "VEVENT", where "VCALENDAR" is open: the file is damaged; download or export it again`}},
		{"no calendar", inherited, "<html>", []string{
			`DIR/config.yaml:2: reminders.holidays[0]: "DIR/h.ics" is a web page, not a calendar: download the calendar itself, as .ics`}},
		{"an address", "reminders:\n  holidays: ['https://example.com/private-123/basic.ics', 'webcal://example.com/x']\n", "", []string{
			`DIR/config.yaml:2: reminders.holidays[0]: is a web address, and only files are read: download it first, as with curl -o holidays.ics URL, and write holidays.ics here`,
			`DIR/config.yaml:2: reminders.holidays[1]: is a web address, and only files are read: download it first, as with curl -o holidays.ics URL, and write holidays.ics here`}},
		{"a wrong word", "reminders:\n  holidays_observances: maybe\n", "", []string{
			`DIR/config.yaml:2: reminders.holidays_observances: "maybe" is none of the choices: write false or true`}},
		{"an event that cannot be understood", inherited, vevent("DTSTART:x"), nil},
		{"none there", "reminders:\n  holidays: [none.ics]\n", "", []string{
			`DIR/config.yaml:2: reminders.holidays[0]: "DIR/none.ics" cannot be read: no such file or directory`}},
		{"a folder", "reminders:\n  holidays: [../folder.ics]\n", "", []string{
			`DIR/config.yaml:2: reminders.holidays[0]: "UP/folder.ics" is not a file`}},
		{"no event in it", inherited, "BEGIN:VCALENDAR\nEND:VCALENDAR\n", []string{
			`DIR/config.yaml:2: reminders.holidays[0]: "DIR/h.ics" lists no event: export the calendar anew`}},
		{"empty", inherited, "", []string{
			`DIR/config.yaml:2: reminders.holidays[0]: "DIR/h.ics" lists no event: export the calendar anew`}},
		{"too large", inherited, strings.Repeat(" ", holidays.MaxBytes+1), []string{
			`DIR/config.yaml:2: reminders.holidays[0]: "DIR/h.ics" is larger than 1024 KiB: leave out the events of past years`}},
		{"named twice, and no more than named", "reminders:\n  holidays: [h.ics, ./h.ics, h.txt]\n", vevent("DTSTART:20261225"), []string{
			`DIR/config.yaml:2: reminders.holidays[1]: "./h.ics" is on the list twice: keep one`,
			`DIR/config.yaml:2: reminders.holidays[2]: "h.txt" is neither a date nor a calendar: write YYYY-MM-DD, such as 2026-12-25, or the path of a file that ends in .ics`}},
		{"a whole year", inherited, vevent("DTSTART:20260101", "DTEND:20270101"), nil},
		{"more than a year", inherited, vevent("DTSTART:20260101", "DTEND:20270101", "RDATE:20270101"), []string{
			`DIR/config.yaml:2: reminders.holidays: leave no day open for a year from 2026-01-01 on: no reminder could be sent; remove some`}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := besideConfig(t, tt.yaml, tt.calendar)
			up := filepath.Dir(filepath.Dir(path))
			if err := os.Mkdir(filepath.Join(up, "folder.ics"), 0o700); err != nil {
				t.Fatal(err)
			}
			_, err := Load(path, onDay("2026-01-01"))
			var got []string
			for _, p := range problemsOf(t, err) {
				got = append(got, strings.NewReplacer(filepath.Dir(path), "DIR", up, "UP").Replace(p))
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// A list of days needs no window: the daemon would begin anew each month for nothing.
func TestDaysOfTheConfigReachAlways(t *testing.T) {
	for _, text := range []string{"timezone: UTC\n", "reminders: {holidays: [2030-12-31]}\n"} {
		cfg, err := Load(besideConfig(t, text, ""), onDay("2026-03-01"))
		if err != nil {
			t.Fatal(err)
		}
		if !cfg.HolidaysReach(reminder.NewDate(2036, time.March, 1)) {
			t.Errorf("the window of %q has to move on", text)
		}
	}
}

// The plan of a bill asks about days around its due date, which may be two
// years ahead: all of them are in the window, until it is moved.
func TestHolidaysOfTheLatestDueDate(t *testing.T) {
	path := besideConfig(t, "reminders: {holidays: [h.ics]}\n", vevent("DTSTART:20000101", "RRULE:FREQ=DAILY;BYMONTHDAY=31"))
	cfg, err := Load(path, onDay("2026-03-01"))
	if err != nil {
		t.Fatal(err)
	}
	loaded, _ := reminder.ParseDate("2026-03-01")
	last := loaded.AddDays(holidaysLast)
	for day := loaded.AddDays(-maxStage); !day.After(reminder.NewDate(last.Year()+2, last.Month(), last.Day()).AddDays(maxStage + 366)); day = day.AddDays(1) {
		if cfg.Policies.Default.Holidays[day] != (day.Day() == 31) {
			t.Fatalf("%s is taken for a holiday: %v", day, day.Day() != 31)
		}
	}
}

func TestWindowOfHolidaysMovesWithTheDay(t *testing.T) {
	path := besideConfig(t, `
reminders: {holidays: [2030-12-31, h.ics]}
services:
  - {id: 1, name: A}
  - {id: 2, name: B, holidays: [2026-12-31]}
`, vevent("DTSTART:20001225", "RRULE:FREQ=YEARLY"))
	cfg, err := Load(path, onDay("2026-03-01"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(filepath.Dir(path), "h.ics")); err != nil {
		t.Fatal(err)
	}
	was := datesOf(cfg.Policies.Default)
	for day, reached := range map[string]bool{"2026-01-29": false, "2026-01-30": true, "2026-03-31": true, "2026-04-01": false} {
		if today, err := reminder.ParseDate(day); err != nil || cfg.HolidaysReach(today) != reached {
			t.Errorf("reaches %s: %v, %v", day, !reached, err)
		}
	}
	next, err := cfg.HolidaysAbout(reminder.NewDate(2028, time.March, 1))
	if err != nil {
		t.Fatal(err)
	}
	for service, want := range map[string][]string{
		"":  {"2027-12-25", "2028-12-25", "2029-12-25", "2030-12-25", "2030-12-31"},
		"1": {"2027-12-25", "2028-12-25", "2029-12-25", "2030-12-25", "2030-12-31"},
		"2": {"2026-12-31"},
	} {
		if diff := cmp.Diff(want, datesOf(next.Policies.For(service))); diff != "" {
			t.Errorf("service %q (-want +got):\n%s", service, diff)
		}
	}
	if next.Fingerprint() != cfg.Fingerprint() {
		t.Error("the fingerprints differ: all bills would be planned anew at each start")
	}
	if next.Policies.For("1").ServiceName != "A" || next.Policies.Default == cfg.Policies.Default {
		t.Error("the policies are not copies of those before")
	}
	if diff := cmp.Diff(was, datesOf(cfg.Policies.Default)); diff != "" {
		t.Errorf("the Config of before has changed:\n%s", diff)
	}
}

func TestHolidaysHaveTheirNamesFilesAndWarnings(t *testing.T) {
	path := besideConfig(t, `
reminders: {holidays: [2026-12-12, h.ics]}
services:
  - {id: 1, name: A, holidays_observances: true}
`, vevent("DTSTART:20261224", "SUMMARY:Eve", "DESCRIPTION:Observance", "END:VEVENT", "BEGIN:VEVENT", "DTSTART:20261225", "SUMMARY:Day", "DURATION:x"))
	cfg, err := Load(path, onDay("2026-03-01"))
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(filepath.Dir(path), "h.ics")
	for service, want := range map[string][]string{
		"":  {"2026-12-12 CONFIG", "2026-12-25 Day FILE", "left out: 2026-12-24 Eve FILE", `FILE:10: "Day", 2026-12-25: counts for one day only, since its DURATION "x" is not an end: write the day after the last one, as in DTEND;VALUE=DATE:20261227`},
		"1": {"2026-12-12 CONFIG", "2026-12-24 Eve FILE", "2026-12-25 Day FILE", `FILE:10: "Day", 2026-12-25: counts for one day only, since its DURATION "x" is not an end: write the day after the last one, as in DTEND;VALUE=DATE:20261227`},
	} {
		var got []string
		list := cfg.Holidays(service)
		say := func(before string, days []Holiday) {
			for _, d := range days {
				got = append(got, before+strings.Join(strings.Fields(fmt.Sprint(d.Date, " ", d.Name, " ", d.File)), " "))
			}
		}
		say("", list.Days)
		say("left out: ", list.Observances)
		for _, w := range list.Warnings {
			got = append(got, w.String())
		}
		for i := range got {
			got[i] = strings.NewReplacer(file, "FILE", path, "CONFIG").Replace(got[i])
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("service %q (-want +got):\n%s", service, diff)
		}
	}
	if cfg.Holidays("17") != cfg.Holidays("") {
		t.Error("a service that the config does not name has another list")
	}
}
