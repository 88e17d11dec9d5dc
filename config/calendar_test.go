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

	"duewatch/reminder"
)

// event is a calendar of one event.
func event(lines ...string) string {
	return "BEGIN:VCALENDAR\nBEGIN:VEVENT\n" + strings.Join(lines, "\n") + "\nEND:VEVENT\nEND:VCALENDAR\n"
}

func nairobi(t testing.TB) *time.Location {
	t.Helper()
	zone, err := time.LoadLocation("Africa/Nairobi")
	if err != nil {
		t.Fatal(err)
	}
	return zone
}

// daysOf lists the days of a calendar up to the end of 2030, or what is wrong.
func daysOf(t testing.TB, text string) string {
	t.Helper()
	c := readCalendar(text, nairobi(t))
	var out []string
	for _, d := range slices.SortedFunc(maps.Keys(c.days), reminder.Date.Compare) {
		if d.Year() <= 2030 {
			out = append(out, d.String())
		}
	}
	for _, f := range c.faults {
		out = append(out, fmt.Sprintf("%d: %s", f.line, f.text))
	}
	return strings.Join(out, " ")
}

func TestCalendarDays(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{"a day", event("DTSTART;VALUE=DATE:20261225"), "2026-12-25"},
		{"a day without VALUE", event("DTSTART:20261225"), "2026-12-25"},
		{"small letters", "begin:vcalendar\nbegin:vevent\ndtstart;value=date:20261225\nend:vevent\nend:vcalendar\n", "2026-12-25"},
		{"CRLF, a mark of UTF-8 and no line end", "\ufeff" + strings.TrimSpace(strings.ReplaceAll(event("DTSTART:20261225"), "\n", "\r\n")), "2026-12-25"},
		{"folded", event("SUM\n MARY:Chri\n\tstmas", "DTST\n ART;VALUE=DATE:2026\n 1225"), "2026-12-25"},
		{"a colon in quotation marks", event(`DTSTART;X-A="a:b;c";VALUE=DATE:20261225`), "2026-12-25"},
		{"the end is the day behind the last", event("DTSTART;VALUE=DATE:20261225", "DTEND;VALUE=DATE:20261228"), "2026-12-25 2026-12-26 2026-12-27"},
		{"an end that is the start", event("DTSTART;VALUE=DATE:20261225", "DTEND;VALUE=DATE:20261225"), "2026-12-25"},
		{"a length", event("DTSTART;VALUE=DATE:20261225", "DURATION:P2D"), "2026-12-25 2026-12-26"},
		{"a week", event("DTSTART;VALUE=DATE:20261225", "DURATION:P1W"), "2026-12-25 2026-12-26 2026-12-27 2026-12-28 2026-12-29 2026-12-30 2026-12-31"},
		{"an hour of UTC that is the next day here", event("DTSTART:20261224T210000Z", "DTEND:20261225T210000Z"), "2026-12-25"},
		{"an hour of its own zone", event("DTSTART;TZID=America/New_York:20261224T170000"), "2026-12-25"},
		{"an hour of no zone", event("DTSTART:20261225T080000", "DTEND:20261226T080000"), "2026-12-25 2026-12-26"},
		{"called off", event("DTSTART:20261225", "STATUS:CANCELLED"), ""},
		{"confirmed", event("DTSTART:20261225", "STATUS:CONFIRMED"), "2026-12-25"},
		{"other components", "BEGIN:VCALENDAR\nBEGIN:VTIMEZONE\nTZID:x\nBEGIN:STANDARD\nDTSTART:19700101T000000\nRRULE:FREQ=MONTHLY\nEND:STANDARD\nEND:VTIMEZONE\nBEGIN:VTODO\nDTSTART:20260101\nEND:VTODO\n" +
			"BEGIN:VEVENT\nDTSTART:20261225\nBEGIN:VALARM\nDURATION:PT1H\nTRIGGER:-PT1H\nEND:VALARM\nEND:VEVENT\nEND:VCALENDAR\n", "2026-12-25"},
		{"days of the past are dropped", event("DTSTART:20191231", "DTEND:20200102"), "2020-01-01"},

		{"every year, to the end", event("DTSTART;VALUE=DATE:20281212", "RRULE:FREQ=YEARLY"), "2028-12-12 2029-12-12 2030-12-12"},
		{"every year, since long ago", event("DTSTART;VALUE=DATE:19641212", "RRULE:FREQ=YEARLY;UNTIL=20211212"), "2020-12-12 2021-12-12"},
		{"two days every year", event("DTSTART;VALUE=DATE:20291225", "DTEND;VALUE=DATE:20291227", "RRULE:FREQ=YEARLY"), "2029-12-25 2029-12-26 2030-12-25 2030-12-26"},
		{"every other year, three times", event("DTSTART;VALUE=DATE:20200101", "RRULE:FREQ=YEARLY;INTERVAL=2;COUNT=3"), "2020-01-01 2022-01-01 2024-01-01"},
		{"until a moment", event("DTSTART;VALUE=DATE:20260101", "RRULE:FREQ=YEARLY;UNTIL=20271231T210000Z"), "2026-01-01 2027-01-01 2028-01-01"},
		{"leap day", event("DTSTART;VALUE=DATE:20200229", "RRULE:FREQ=YEARLY;COUNT=3"), "2020-02-29 2024-02-29 2028-02-29"},
		{"month and day", event("DTSTART;VALUE=DATE:20301212", "RRULE:FREQ=YEARLY;BYMONTH=12;BYMONTHDAY=12;WKST=SU"), "2030-12-12"},
		{"the last Monday in May", event("DTSTART;VALUE=DATE:20260525", "RRULE:FREQ=YEARLY;BYMONTH=5;BYDAY=-1MO;COUNT=3"), "2026-05-25 2027-05-31 2028-05-29"},
		{"the second Sunday in May", event("DTSTART;VALUE=DATE:20260510", "RRULE:FREQ=YEARLY;BYDAY=2SU;BYMONTH=5;COUNT=2"), "2026-05-10 2027-05-09"},
		{"a fifth Friday, where there is one", event("DTSTART;VALUE=DATE:20260130", "RRULE:FREQ=YEARLY;BYMONTH=1;BYDAY=5FR;COUNT=2"), "2026-01-30 2027-01-29"},
		{"but for one, and one more", event("DTSTART;VALUE=DATE:20280101", "RRULE:FREQ=YEARLY;COUNT=3", "EXDATE;VALUE=DATE:20290101", "RDATE;VALUE=DATE:20290102,20290103"), "2028-01-01 2029-01-02 2029-01-03 2030-01-01"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, daysOf(t, tt.text)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestCalendarFaults(t *testing.T) {
	const (
		only  = ": only FREQ=YEARLY is read here, with INTERVAL, COUNT, UNTIL, and one BYMONTH with one BYMONTHDAY or one BYDAY such as -1MO; write the days out as events of their own"
		line  = "is no line of an iCalendar file: export the calendar anew, as .ics"
		whole = " is not 1 to 366 whole days: write the day behind the last one, as in DTEND;VALUE=DATE:20261227"
	)
	for _, tt := range []struct{ name, text, want string }{
		{"a web page", "<html>\n", "1: " + line},
		{"a list of dates", "2026-12-25\n2026-12-26\n", "1: " + line},
		{"an event outside", "BEGIN:VEVENT\nDTSTART:20261225\nEND:VEVENT\n", "1: " + line},
		{"a line without a colon", event("DTSTART:20261225", "SUMMARY"), "4: " + line},
		{"cut short", "BEGIN:VCALENDAR\nBEGIN:VEVENT\nDTSTART:20261225\n", "4: the file ends in the middle of a VEVENT: copy it again"},
		{"crossed", "BEGIN:VCALENDAR\nBEGIN:VEVENT\nEND:VCALENDAR\n", `3: ends "VCALENDAR", where VEVENT is open: the file is damaged`},
		{"no start", event("SUMMARY:Christmas"), "2: is an event without DTSTART: write its day, as in DTSTART;VALUE=DATE:20261225"},
		{"no day", event("DTSTART:25.12.2026"), `3: DTSTART "25.12.2026" is not a day: write it as in DTSTART;VALUE=DATE:20261225`},
		{"a day that is none", event("DTSTART:20260230"), `3: DTSTART "20260230" is not a day: write it as in DTSTART;VALUE=DATE:20261225`},
		{"a zone of Windows", event("DTSTART;TZID=E. Africa Standard Time:20261225T000000"), `3: DTSTART is in the zone "E. Africa Standard Time", which this system does not know: write the day alone, as in DTSTART;VALUE=DATE:20261225`},
		{"an end before the start", event("DTSTART:20261225", "DTEND:20261224"), `4: DTEND "20261224"` + whole},
		{"a length in hours", event("DTSTART:20261225", "DURATION:PT24H"), `4: DURATION "PT24H"` + whole},
		{"an endless one", event("DTSTART:20261225", "DTEND:20290101"), `4: DTEND "20290101"` + whole},
		{"two starts", event("DTSTART:20261225", "DTSTART:20261226"), "4: DTSTART is there twice in one event: keep one"},
		{"every month", event("DTSTART:20261225", "RRULE:FREQ=MONTHLY"), `4: RRULE has "FREQ=MONTHLY"` + only},
		{"no frequency", event("DTSTART:20261225", "RRULE:COUNT=2"), "4: RRULE has no FREQ" + only},
		{"a month day of every month", event("DTSTART:20261225", "RRULE:FREQ=YEARLY;BYMONTHDAY=25"), `4: RRULE has "BYMONTHDAY=25"` + only},
		{"several weekdays", event("DTSTART:20261225", "RRULE:FREQ=YEARLY;BYMONTH=12;BYDAY=1FR,1SA"), `4: RRULE has "BYDAY=1FR,1SA"` + only},
		{"every Friday of a month", event("DTSTART:20261225", "RRULE:FREQ=YEARLY;BYMONTH=12;BYDAY=FR"), `4: RRULE has "BYDAY=FR"` + only},
		{"a rule of another day", event("DTSTART:20261225", "RRULE:FREQ=YEARLY;BYMONTH=12;BYMONTHDAY=24"), "4: RRULE does not name the day of DTSTART" + only},
		{"Easter", event("DTSTART:20260405", "RRULE:FREQ=YEARLY;BYEASTER=0"), `4: RRULE has "BYEASTER=0"` + only},
		{"one day changed", event("DTSTART:20261226", "RECURRENCE-ID:20261225"), "4: RECURRENCE-ID, a change to one day of a recurring event, is not read here: write EXDATE into that event, and the new day as an event of its own"},
		{"a period", event("DTSTART:20261225", "RDATE;VALUE=PERIOD:20261226T000000Z/PT1H"), `4: RDATE "20261226T000000Z/PT1H" is not a day: write it as in RDATE;VALUE=DATE:20261225`},
		{"a good event behind a bad one", strings.Replace(event("DTSTART:x"), "END:VCALENDAR", "BEGIN:VEVENT\nDTSTART:20261226\nEND:VEVENT\nEND:VCALENDAR", 1), `2026-12-26 3: DTSTART "x" is not a day: write it as in DTSTART;VALUE=DATE:20261225`},
		{"too many days", event("DTSTART:20200101", "DTEND:20210101", "RRULE:FREQ=YEARLY"), ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.want == "" {
				if c := readCalendar(tt.text, nairobi(t)); len(c.faults) != 1 || !strings.Contains(c.faults[0].text, "more than 10000 days") {
					t.Errorf("%+v", c.faults)
				}
				return
			}
			if diff := cmp.Diff(tt.want, daysOf(t, tt.text)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestKenyaHolidays(t *testing.T) {
	text, err := os.ReadFile("../docs/kenya-holidays.ics")
	if err != nil {
		t.Fatal(err)
	}
	got := strings.Fields(daysOf(t, string(text)))
	want := strings.Fields("2030-01-01 2030-05-01 2030-06-01 2030-10-10 2030-10-20 2030-12-12 2030-12-25 2030-12-26")
	if diff := cmp.Diff(want, got[max(len(got)-len(want), 0):]); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if len(got) != 5*len(want) {
		t.Errorf("%d days from 2026 to 2030", len(got))
	}
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
`, event("DTSTART;VALUE=DATE:20261225", "DTEND;VALUE=DATE:20261227"))
	cfg, err := Load(path, sandbox())
	if err != nil {
		t.Fatal(err)
	}
	list := func(p *reminder.Policy) (days []string) {
		for _, d := range slices.SortedFunc(maps.Keys(p.Holidays), reminder.Date.Compare) {
			days = append(days, d.String())
		}
		return days
	}
	for service, want := range map[string][]string{
		"":  {"2026-12-12", "2026-12-25", "2026-12-26"},
		"1": {"2026-12-12", "2026-12-25", "2026-12-26"},
		"2": {"2026-12-31"},
		"3": nil,
	} {
		if diff := cmp.Diff(want, list(cfg.Policies.For(service))); diff != "" {
			t.Errorf("service %q (-want +got):\n%s", service, diff)
		}
	}

	// Another day in the file is another plan for all bills.
	was := cfg.Fingerprint()
	if err := os.WriteFile(filepath.Join(filepath.Dir(path), "h.ics"), []byte(event("DTSTART;VALUE=DATE:20261228")), 0o600); err != nil {
		t.Fatal(err)
	}
	if cfg, err = Load(path, sandbox()); err != nil || cfg.Fingerprint() == was {
		t.Errorf("changed file: %v, or the same fingerprint", err)
	}
}

func TestHolidaysFromBadCalendar(t *testing.T) {
	const inherited = "reminders:\n  holidays: [h.ics]\nservices:\n- {id: 1, name: A}\n"
	for _, tt := range []struct {
		name, yaml, calendar string
		want                 []string
	}{
		{"faults in it, once", inherited, event("DTSTART:x", "RRULE:FREQ=YEARLY"), []string{
			`DIR/h.ics:3: reminders.holidays: DTSTART "x" is not a day: write it as in DTSTART;VALUE=DATE:20261225`}},
		{"none there", "reminders:\n  holidays: [none.ics]\n", "", []string{
			`DIR/config.yaml:2: reminders.holidays[0]: "DIR/none.ics" cannot be read: no such file or directory`}},
		{"a folder", "reminders:\n  holidays: [../folder.ics]\n", "", []string{
			`DIR/config.yaml:2: reminders.holidays[0]: "UP/folder.ics" is not a file`}},
		{"no event in it", inherited, "BEGIN:VCALENDAR\nEND:VCALENDAR\n", []string{
			`DIR/config.yaml:2: reminders.holidays[0]: "DIR/h.ics" lists no event: export the calendar anew`}},
		{"empty", inherited, "", []string{
			`DIR/config.yaml:2: reminders.holidays[0]: "DIR/h.ics" lists no event: export the calendar anew`}},
		{"too large", inherited, strings.Repeat(" ", maxCalendar+1), []string{
			`DIR/config.yaml:2: reminders.holidays[0]: "DIR/h.ics" is larger than 1024 KiB: leave out the events of past years`}},
		{"named twice, and no more than named", "reminders:\n  holidays: [h.ics, h.ics, h.txt]\n", event("DTSTART:20261225"), []string{
			`DIR/config.yaml:2: reminders.holidays[1]: "h.ics" is on the list twice: keep one`,
			`DIR/config.yaml:2: reminders.holidays[2]: "h.txt" is neither a date nor a calendar: write YYYY-MM-DD, such as 2026-12-25, or the path of a file that ends in .ics`}},
		{"a whole year", inherited, event("DTSTART:20260101", "DTEND:20270101"), nil},
		{"more than a year", inherited, event("DTSTART:20260101", "DTEND:20270101", "RDATE:20270101"), []string{
			`DIR/config.yaml:2: reminders.holidays: leave no day open for a year from 2026-01-01 on: no reminder could be sent; remove some`}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := besideConfig(t, tt.yaml, tt.calendar)
			up := filepath.Dir(filepath.Dir(path))
			if err := os.Mkdir(filepath.Join(up, "folder.ics"), 0o700); err != nil {
				t.Fatal(err)
			}
			_, err := Load(path, sandbox())
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

// FuzzCalendar: whatever the file holds, reading ends, with days that can
// matter, and with faults that name a line of the file.
func FuzzCalendar(f *testing.F) {
	kenya, err := os.ReadFile("../docs/kenya-holidays.ics")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(string(kenya))
	f.Add(event("DTSTART;TZID=UTC:20260101T000000", "DTEND:20260102T000000Z", "RRULE:FREQ=YEARLY;BYMONTH=1;BYDAY=1TH;UNTIL=2030", "EXDATE:20270101,x"))
	f.Add(event("DTSTART:00010101", "DURATION:P9W", "RRULE:FREQ=YEARLY;INTERVAL=9999999999;COUNT=0"))
	f.Add("BEGIN:VCALENDAR\r\n \r\nEND:\r\nEND:VCALENDAR")
	f.Fuzz(func(t *testing.T, text string) {
		c := readCalendar(text, nairobi(t))
		for d := range c.days {
			if d.Year() < firstHolidayYear || d.Year() > lastHolidayYear {
				t.Errorf("the day %s", d)
			}
		}
		if len(c.faults) > maxCalendarFaults+1 {
			t.Errorf("%d faults", len(c.faults))
		}
		for _, fault := range c.faults {
			if fault.line < 1 || fault.line > 1+strings.Count(text, "\n") || fault.text == "" {
				t.Errorf("%+v in a text of %d lines", fault, strings.Count(text, "\n"))
			}
		}
	})
}
