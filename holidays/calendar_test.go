package holidays

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"duewatch/reminder"
)

// vevent is a calendar of one event.
func vevent(lines ...string) string {
	return "BEGIN:VCALENDAR\nBEGIN:VEVENT\n" + strings.Join(lines, "\n") + "\nEND:VEVENT\nEND:VCALENDAR\n"
}

// between are options for a window in Nairobi. Today is its first day.
func between(t testing.TB, from, to string) Options {
	t.Helper()
	zone, err := time.LoadLocation("Africa/Nairobi")
	if err != nil {
		t.Fatal(err)
	}
	day := func(s string) reminder.Date {
		d, err := reminder.ParseDate(s)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	return Options{Zone: zone, From: day(from), To: day(to), Today: day(from)}
}

// days are the days of a calendar without their names, and its warnings or why
// it is refused.
func days(text string, opts Options) string {
	c, err := Read(text, opts)
	var out []string
	if refused, ok := errors.AsType[*Error](err); ok {
		return fmt.Sprintf("refused %d: %s", refused.Line, refused.Text)
	}
	for i, d := range c.Days {
		if i == 0 || c.Days[i-1].Date != d.Date {
			out = append(out, d.Date.String())
		}
	}
	for _, w := range c.Warnings {
		out = append(out, fmt.Sprintf("%d: %s", w.Line, w.Text))
	}
	return strings.Join(out, " ")
}

func TestDaysOfAnEvent(t *testing.T) {
	opts := between(t, "2020-01-01", "2030-12-31")
	for _, tt := range []struct{ name, text, want string }{
		{"a day", vevent("DTSTART;VALUE=DATE:20261225"), "2026-12-25"},
		{"a day without VALUE", vevent("DTSTART:20261225"), "2026-12-25"},
		{"small letters", "begin:vcalendar\nbegin:vevent\ndtstart;value=date:20261225\nend:vevent\nend:vcalendar\n", "2026-12-25"},
		{"CRLF, a mark of UTF-8 and no line end", "\ufeff" + strings.TrimSpace(strings.ReplaceAll(vevent("DTSTART:20261225"), "\n", "\r\n")), "2026-12-25"},
		{"CR alone", strings.ReplaceAll(vevent("DTSTART:20261225"), "\n", "\r"), "2026-12-25"},
		{"folded", vevent("SUM\n MARY:Chri\n\tstmas", "DTST\n ART;VALUE=DATE:2026\n 1225"), "2026-12-25"},
		{"folded inside a character", vevent("SUMMARY:caf\xc3\n \xa9", "DTSTART:20261225"), "2026-12-25"},
		{"a colon in quotation marks", vevent(`DTSTART;X-A="a:b;c";VALUE=DATE:20261225`), "2026-12-25"},
		{"a line broken without a fold", vevent("DESCRIPTION:one", "two", "\\n three", "DTSTART:20261225"), "2026-12-25"},
		{"a list broken without a fold", vevent("DTSTART:20261225", "RDATE:20261226,", "20261227"), "2026-12-25 2026-12-26 2026-12-27"},
		{"the end is the day after the last", vevent("DTSTART;VALUE=DATE:20261225", "DTEND;VALUE=DATE:20261228"), "2026-12-25 2026-12-26 2026-12-27"},
		{"an end that is the start", vevent("DTSTART;VALUE=DATE:20261225", "DTEND;VALUE=DATE:20261225"), "2026-12-25"},
		{"a length", vevent("DTSTART;VALUE=DATE:20261225", "DURATION:P2D"), "2026-12-25 2026-12-26"},
		{"a length of hours", vevent("DTSTART:20261225T000000", "DURATION:PT24H"), "2026-12-25"},
		{"a length of a second more", vevent("DTSTART:20261225T000000", "DURATION:P1DT1S"), "2026-12-25 2026-12-26"},
		{"no length", vevent("DTSTART:20261225T000000", "DURATION:PT0S"), "2026-12-25"},
		{"a week", vevent("DTSTART;VALUE=DATE:20261225", "DURATION:P1W"), "2026-12-25 2026-12-26 2026-12-27 2026-12-28 2026-12-29 2026-12-30 2026-12-31"},
		{"a whole year", vevent("DTSTART:20261225", "DURATION:P366D", "RRULE:FREQ=YEARLY;COUNT=1", "EXDATE:20261225"), ""},
		{"an hour of UTC that is the next day here", vevent("DTSTART:20261224T210000Z", "DTEND:20261225T210000Z"), "2026-12-25"},
		{"an hour of UTC and a length", vevent("DTSTART:20261224T210000Z", "DURATION:PT24H"), "2026-12-25"},
		{"an hour of a zone is on the day that is written", vevent("DTSTART;TZID=America/New_York:20261224T170000"), "2026-12-24"},
		{"a zone of any name", vevent("DTSTART;TZID=/freeassociation/No Such Zone:20261225T000000", "DTEND;TZID=x:20261226T000000"), "2026-12-25"},
		{"a zone with a colon, without quotation marks", vevent("DTSTART;TZID=(UTC+03:00) Nairobi:20261225T000000", "RDATE;TZID=(UTC+03:00) Nairobi:20261226T000000,20261227T000000"), "2026-12-25 2026-12-26 2026-12-27"},
		{"a quotation mark that is not closed", vevent(`DTSTART;TZID="x:20261225T000000`), "2026-12-25"},
		{"an hour of no zone", vevent("DTSTART:20261225T080000", "DTEND:20261226T080000"), "2026-12-25 2026-12-26"},
		{"an end at midnight is not of the day", vevent("DTSTART:20261225T180000", "DTEND:20261226T000000"), "2026-12-25"},
		{"called off", vevent("DTSTART:20261225", "STATUS:CANCELLED"), ""},
		{"confirmed", vevent("DTSTART:20261225", "STATUS:CONFIRMED"), "2026-12-25"},
		{"free or busy makes no difference", vevent("DTSTART:20261225", "TRANSP:TRANSPARENT", "X-MICROSOFT-CDO-BUSYSTATUS:FREE"), "2026-12-25"},
		{"other components", "BEGIN:VCALENDAR\nBEGIN:VTIMEZONE\nTZID:x\nBEGIN:STANDARD\nDTSTART:19700101T000000\nRRULE:FREQ=MONTHLY\nEND:STANDARD\nEND:VTIMEZONE\nBEGIN:VTODO\nDTSTART:20260101\nEND:VTODO\n" +
			"BEGIN:VEVENT\nDTSTART:20261225\nBEGIN:VALARM\nDURATION:PT1H\nTRIGGER:-PT1H\nEND:VALARM\nEND:VEVENT\nEND:VCALENDAR\n", "2026-12-25"},
		{"several calendars, with something between them", vevent("DTSTART:20261225") + "\n--\n\ufeff" + vevent("DTSTART:20261226") + "\x1a", "2026-12-25 2026-12-26"},
		{"days before the window are dropped", vevent("DTSTART:20191231", "DTEND:20200102"), "2020-01-01"},
		{"days behind it too", vevent("DTSTART:20301231", "DTEND:20310102"), "2030-12-31"},
		{"one more, in a list of days", vevent("DTSTART:20261225", "RDATE:20261227,20261226T000000Z/PT1H", "RDATE:20261229"), "2026-12-25 2026-12-26 2026-12-27 2026-12-29"},
		{"two events of one day", vevent("DTSTART:20261225", "END:VEVENT", "BEGIN:VEVENT", "DTSTART:20261225"), "2026-12-25"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, days(tt.text, opts)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestWhatIsNotUnderstoodCostsItsEventAlone(t *testing.T) {
	const (
		startAs = ` is not a day: write it as in DTSTART;VALUE=DATE:20261225`
		endAs   = ` is not an end: write the day after the last one, as in DTEND;VALUE=DATE:20261227`
		others  = ", which is not supported: write its other days out as events of their own"
		title   = `an event without SUMMARY, 2026-12-25: `
		oneDay  = "2026-12-25 3: " + title
	)
	opts := between(t, "2026-11-29", "2029-11-29")
	for _, tt := range []struct{ name, text, want string }{
		{"no start", vevent("SUMMARY:Christmas"), `2: "Christmas": does not count, since its DTSTART ""` + startAs},
		{"no day", vevent("SUMMARY:A\\, b", "DTSTART:25.12.2026"), `4: "A, b": does not count, since its DTSTART "25.12.2026"` + startAs},
		{"a day that is none", vevent("DTSTART:20270230"), `3: an event without SUMMARY: does not count, since its DTSTART "20270230"` + startAs},
		{"an end before the start", vevent("DTEND:20261224", "DTSTART:20261225"), oneDay + `counts for one day only, since its DTEND "20261224"` + endAs},
		{"a length that is none", vevent("DURATION:P1X", "DTSTART:20261225"), oneDay + `counts for one day only, since its DURATION "P1X"` + endAs},
		{"a length backwards", vevent("DURATION:-P1D", "DTSTART:20261225"), oneDay + `counts for one day only, since its DURATION "-P1D"` + endAs},
		{"an endless one", vevent("DTEND:20290101", "DTSTART:20261225"), oneDay + "counts for one day only, since it would last longer than 366 days: split it"},
		{"an endless length", vevent("DURATION:P9999999W", "DTSTART:20261225"), oneDay + "counts for one day only, since it would last longer than 366 days: split it"},
		{"two starts", vevent("DTSTART:20261225", "DTSTART:20261226"), `2026-12-25 4: ` + title + `has DTSTART twice, and the first counts: keep one`},
		{"every hour", vevent("RRULE:FREQ=HOURLY;INTERVAL=24;BYHOUR=5", "DTSTART:20261225"), oneDay + `counts only on its first day, since its RRULE has "FREQ=HOURLY"` + others},
		{"no frequency", vevent("RRULE:COUNT=2", "DTSTART:20261225"), oneDay + "counts only on its first day, since its RRULE has no FREQ: write its other days out as events of their own"},
		{"a week of the year", vevent("RRULE:FREQ=YEARLY;BYWEEKNO=52", "DTSTART:20261225"), oneDay + `counts only on its first day, since its RRULE has "BYWEEKNO=52"` + others},
		{"a count of nothing", vevent("RRULE:FREQ=YEARLY;COUNT=0", "DTSTART:20261225"), oneDay + `counts only on its first day, since its RRULE has "COUNT=0"` + others},
		{"a huge interval", vevent("RRULE:FREQ=MONTHLY;INTERVAL=100001", "DTSTART:20261225"), oneDay + `counts only on its first day, since its RRULE has "INTERVAL=100001"` + others},
		{"a number that is none", vevent("RRULE:FREQ=MONTHLY;INTERVAL=99999999999999999999", "DTSTART:20261225"), oneDay + `counts only on its first day, since its RRULE has "INTERVAL=99999999999999999999"` + others},
		{"a part twice", vevent("RRULE:FREQ=YEARLY;BYDAY=MO;BYDAY=TU", "DTSTART:20261225"), oneDay + `counts only on its first day, since its RRULE has "BYDAY=TU"` + others},
		{"a weekday that is none", vevent("RRULE:FREQ=YEARLY;BYDAY=U ", "DTSTART:20261225"), oneDay + `counts only on its first day, since its RRULE has "BYDAY=U"` + others},
		{"no Monday at all", vevent("RRULE:FREQ=MONTHLY;BYDAY=0MO", "DTSTART:20261225"), oneDay + `counts only on its first day, since its RRULE has "BYDAY=0MO"` + others},
		{"until a day that is none", vevent("RRULE:FREQ=YEARLY;UNTIL=20270230", "DTSTART:20261225"), oneDay + `counts only on its first day, since its RRULE has "UNTIL=20270230", which is no day: write its other days out as events of their own`},
		{"a second Monday of a week", vevent("RRULE:FREQ=WEEKLY;BYDAY=2MO", "DTSTART:20261225"), oneDay + "counts only on its first day, since its RRULE counts weekdays, but of no month or year: write its other days out as events of their own"},
		{"Easter", vevent("RRULE:FREQ=YEARLY;BYEASTER=0", "DTSTART:20261225"), oneDay + `counts only on its first day, since its RRULE has "BYEASTER=0"` + others},
		{"another calendar", vevent("RRULE:RSCALE=CHINESE;FREQ=YEARLY", "DTSTART:20261225"), oneDay + `counts only on its first day, since its RRULE has "RSCALE=CHINESE"` + others},
		{"an exception by a rule", vevent("EXRULE:FREQ=YEARLY", "DTSTART:20261225"), oneDay + `has an EXRULE, which is not supported: write the days without it as EXDATE;VALUE=DATE:20261225`},
		{"a day more that is none", vevent("RDATE:x,20261226", "DTSTART:20261225"), `2026-12-25 2026-12-26 3: ` + title + `counts without its RDATE "x", which is not a day: write it as in RDATE;VALUE=DATE:20261225`},
		{"a change to a day that is none", vevent("RECURRENCE-ID:x", "DTSTART:20261225"), oneDay + `changes a day of a recurring event, but its RECURRENCE-ID "x" is not a day, so that both count: write it as in RECURRENCE-ID;VALUE=DATE:20261225`},
		{"a day that nobody can read is called off", vevent("RECURRENCE-ID:x", "STATUS:CANCELLED"), `3: an event without SUMMARY: changes a day of a recurring event, but its RECURRENCE-ID "x" is not a day, so that both count: write it as in RECURRENCE-ID;VALUE=DATE:20261225`},
		{"a change to all later days", vevent("RECURRENCE-ID;RANGE=THISANDFUTURE:20261224", "DTSTART:20261225"), oneDay + `changes all later days of a recurring event (RANGE=THISANDFUTURE), which is supported for one day only: write the later days as an event of their own`},
		{"a good event behind a bad one", vevent("DTSTART:x", "END:VEVENT", "BEGIN:VEVENT", "DTSTART:20261226"), `2026-12-26 3: an event without SUMMARY: does not count, since its DTSTART "x"` + startAs},
		{"a name that a terminal would obey", vevent("SUMMARY:a\x1b[2J\xff\tb\\nc", "DTSTART:"), `4: "a [2J? b c": does not count, since its DTSTART ""` + startAs},

		// What is over can do no harm.
		{"a day that was none", vevent("DTSTART:20190230"), ""},
		{"an end that was none", vevent("DTSTART:20191225", "DTEND:x"), ""},
		{"an endless one that has ended", vevent("DTSTART:20191225", "DTEND:20210101"), ""},
		{"an endless one that goes on", vevent("DTSTART:20251225", "DTEND:20270101"), "4: an event without SUMMARY, 2025-12-25: counts for one day only, since it would last longer than 366 days: split it"},
		{"every hour, of a past year", vevent("DTSTART:20190101T000000", "RRULE:FREQ=HOURLY;UNTIL=20190102T000000Z"), ""},
		{"every hour, for ever", vevent("DTSTART:20190101T000000", "RRULE:FREQ=HOURLY"), `4: an event without SUMMARY, 2019-01-01: counts only on its first day, since its RRULE has "FREQ=HOURLY"` + others},
		{"an exception that was none", vevent("DTSTART:20191225", "RRULE:FREQ=YEARLY;COUNT=3", "EXDATE:2019"), ""},
		{"a change that was none", vevent("RECURRENCE-ID:20190230", "DTSTART:20190301"), ""},
		{"an observance that does not count", vevent("DTSTART:x", "DESCRIPTION:Observance"), ""},
		{"a day more that was none", vevent("DTSTART:20191225", "RDATE:20190230"), ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, days(tt.text, opts)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestFilesThatAreRefused(t *testing.T) {
	opts := between(t, "2026-11-29", "2029-11-29")
	const none = "refused 0: is no iCalendar file, since it has no line BEGIN:VCALENDAR: export the calendar as .ics"
	many := func(n int, lines ...string) string {
		return vevent("SUMMARY:first", "DTSTART:20190101"+strings.Repeat("\nEND:VEVENT\nBEGIN:VEVENT\nSUMMARY:next\n"+strings.Join(lines, "\n"), n))
	}
	for _, tt := range []struct{ name, text, want string }{
		{"a web page", "\n<!DOCTYPE html>\n<html>\n", "refused 0: is a web page, not a calendar: download the calendar itself, as .ics"},
		{"a list of dates", "2026-12-25\n2026-12-26\n", none},
		{"an event outside", "BEGIN:VEVENT\nDTSTART:20261225\nEND:VEVENT\n", none},
		{"cut short", "BEGIN:VCALENDAR\nBEGIN:VEVENT\nDTSTART:20261225\n", `refused 3: ends in the middle of a "VEVENT": the file was cut short; download or export it again`},
		{"crossed", "BEGIN:VCALENDAR\nBEGIN:VEVENT\nEND:VCALENDAR\n", `refused 3: ends "VCALENDAR", where "VEVENT" is open: the file is damaged; download or export it again`},
		{"no event", "BEGIN:VCALENDAR\nEND:VCALENDAR\n", "refused 0: lists no event: export the calendar anew"},
		{"empty", "", "refused 0: lists no event: export the calendar anew"},
		{"UTF-16", "\xff\xfeB\x00E\x00G\x00I\x00N\x00", "refused 0: is UTF-16 text: save it as UTF-8, as with iconv -f UTF-16 -t UTF-8 OLD.ics > NEW.ics"},
		{"UTF-16 without its mark", "\x00B\x00E\x00G\x00I\x00N", "refused 0: is UTF-16 text: save it as UTF-8, as with iconv -f UTF-16 -t UTF-8 OLD.ics > NEW.ics"},
		{"too many events", many(5000, "DTSTART:20190101"), "refused 20002: begins event 5001 of the file, and 5000 are read at most: leave out those of past years"},
		{"as many events as may be", many(4999, "DTSTART:20261225", "RRULE:FREQ=YEARLY;COUNT=1"), "2026-12-25"},
		{"too many steps in counting", many(99, "DTSTART:19000101", "RRULE:FREQ=DAILY;COUNT=100000"), `refused 211: "next", 1900-01-01: up to this event the file asks for more than 2000000 days to be tried: leave out events of past years, or split the file`},
		{"too many days", many(1, "DTSTART:20190101", "RDATE:"+strings.Repeat("20270101,", 9)+"20270101", "DURATION:P366D", "RRULE:FREQ=DAILY", "END:VEVENT\nBEGIN:VEVENT\nSUMMARY:third", "DTSTART:20190101", "DURATION:P366D", "RRULE:FREQ=DAILY", "END:VEVENT\nBEGIN:VEVENT\nSUMMARY:fourth", "DTSTART:20190101", "DURATION:P366D", "RRULE:FREQ=DAILY", "END:VEVENT\nBEGIN:VEVENT\nSUMMARY:fifth", "DTSTART:20190101", "DURATION:P366D", "RRULE:FREQ=DAILY", "END:VEVENT\nBEGIN:VEVENT\nSUMMARY:sixth", "DTSTART:20190101", "DURATION:P366D", "RRULE:FREQ=DAILY"),
			`refused 25: "fifth", 2019-01-01: up to this event the file asks for more than 2000000 days to be tried: leave out events of past years, or split the file`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, days(tt.text, opts)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestManyWarningsAreCounted(t *testing.T) {
	c, err := Read(vevent("DTSTART:x"+strings.Repeat("\nEND:VEVENT\nBEGIN:VEVENT\nDTSTART:x", 99)), between(t, "2026-11-29", "2029-11-29"))
	if err != nil {
		t.Fatal(err)
	}
	if n := len(c.Warnings); n != maxWarnings+1 || c.Warnings[n-1].Text != "and 80 more events that do not count as they are written" {
		t.Errorf("%d warnings, the last %+v", n, c.Warnings[n-1])
	}
}

func TestObservancesAreLeftOutUnlessAskedFor(t *testing.T) {
	text := vevent("DTSTART:20261224", "SUMMARY:Christmas Eve", "DESCRIPTION:Observance\\nTo hide observances\\, go to settings",
		"END:VEVENT", "BEGIN:VEVENT", "DTSTART:20261225", "SUMMARY:Christmas\\, the day", "DESCRIPTION:Public holiday")
	opts := between(t, "2026-11-29", "2029-11-29")
	eve, day := Day{opts.From.AddDays(25), "Christmas Eve"}, Day{opts.From.AddDays(26), "Christmas, the day"}
	for asked, want := range map[bool]Calendar{
		false: {Days: []Day{day}, Observances: []Day{eve}},
		true:  {Days: []Day{eve, day}},
	} {
		opts.Observances = asked
		got, err := Read(text, opts)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b reminder.Date) bool { return a == b })); diff != "" {
			t.Errorf("asked for: %v (-want +got):\n%s", asked, diff)
		}
	}
}

func TestKenyaHolidays(t *testing.T) {
	text, err := os.ReadFile("../docs/kenya-holidays.ics")
	if err != nil {
		t.Fatal(err)
	}
	got := strings.Fields(days(string(text), between(t, "2026-01-01", "2030-12-31")))
	want := strings.Fields("2030-01-01 2030-05-01 2030-06-01 2030-10-10 2030-10-20 2030-12-12 2030-12-25 2030-12-26")
	if diff := cmp.Diff(want, got[max(len(got)-len(want), 0):]); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if len(got) != 5*len(want) {
		t.Errorf("%d days from 2026 to 2030", len(got))
	}
}

func TestFilesFromTheField(t *testing.T) {
	want := map[string]string{
		"cancelled-day":                     "2026-10-10",
		"daily-count":                       "2026-12-25 2026-12-26",
		"duration-pt24h":                    "2026-12-25",
		"line-without-colon-in-description": "2026-12-25",
		"monthly-interval-12":               "2026-10-12 2027-10-11",
		"moved-day":                         "2026-10-12 2027-10-18",
		"observance":                        "2026-12-25",
		"past-event-not-understood":         "2026-12-25",
		"rrule-trailing-semicolon":          "2026-12-25 2027-12-25",
		"until-is-an-instant":               "2024-12-25 2025-12-25",
		"weekday-in-range":                  "2026-06-19 2027-06-25",
		"windows-zone-name":                 "2026-12-25",
		"zone-defined-in-file":              "2026-12-25",
	}
	files, err := filepath.Glob("testdata/ics-*.ics")
	if err != nil || len(files) != len(want) {
		t.Fatalf("%d files, %d wanted, %v", len(files), len(want), err)
	}
	opts := between(t, "2024-01-01", "2027-12-31")
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		name := strings.TrimSuffix(strings.TrimPrefix(filepath.Base(file), "ics-"), ".ics")
		if diff := cmp.Diff(want[name], days(string(text), opts)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// FuzzRead: whatever the file holds, reading ends, with days of the window and
// warnings that name a line of the file, or with a line of the file that is at
// fault.
func FuzzRead(f *testing.F) {
	files, err := filepath.Glob("testdata/*.ics")
	if err != nil || len(files) == 0 {
		f.Fatal("no calendars to begin with", err)
	}
	for _, file := range append(files, "../docs/kenya-holidays.ics") {
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(text))
	}
	f.Add(vevent("DTSTART;TZID=UTC:20260101T000000", "DTEND:20260102T000000Z", "RRULE:FREQ=YEARLY;BYMONTH=1;BYDAY=1TH;UNTIL=2030", "EXDATE:20270101,x"))
	f.Add(vevent("DTSTART:00010101", "DURATION:P9W", "RRULE:FREQ=YEARLY;INTERVAL=9999999999;COUNT=0"))
	f.Add(vevent("UID:a", "DTSTART:00000101T000000Z", "RRULE:FREQ=WEEKLY;INTERVAL=100000;WKST=TH;BYDAY=MO,-1FR;BYSETPOS=-1,2;COUNT=100000", "RDATE:99991231,20270101/P1D"))
	f.Add(vevent("UID:a", "RECURRENCE-ID;RANGE=THISANDFUTURE:20270101", "DTSTART:99991231", "DURATION:P366D", "RRULE:FREQ=MONTHLY;BYMONTHDAY=-31"))
	f.Add("BEGIN:VCALENDAR\r\n \r\nEND:\r\nEND:VCALENDAR")
	opts := between(f, "2026-08-01", "2030-02-01")
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) > MaxBytes {
			return
		}
		last := lineCount(text)
		c, err := Read(text, opts)
		if err != nil {
			refused, ok := errors.AsType[*Error](err)
			if !ok || refused.Text == "" || refused.Line < 0 || refused.Line > last {
				t.Errorf("%+v in a text of %d lines", err, last)
			}
			return
		}
		for _, d := range append(c.Days, c.Observances...) {
			if d.Date.Before(opts.From) || d.Date.After(opts.To) {
				t.Errorf("the day %s", d.Date)
			}
		}
		if len(c.Warnings) > maxWarnings+1 {
			t.Errorf("%d warnings", len(c.Warnings))
		}
		for _, w := range c.Warnings {
			if w.Line < 1 || w.Line > last || w.Text == "" {
				t.Errorf("%+v in a text of %d lines", w, last)
			}
		}
	})
}
