package holidays

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestDaysOfARule(t *testing.T) {
	opts := between(t, "2020-01-01", "2030-12-31")
	for _, tt := range []struct{ name, start, rule, want string }{
		{"every year, to the end", "20281212", "FREQ=YEARLY", "2028-12-12 2029-12-12 2030-12-12"},
		{"every year, since long ago", "19641212", "FREQ=YEARLY;UNTIL=20211212", "2020-12-12 2021-12-12"},
		{"every other year, three times", "20200101", "FREQ=YEARLY;INTERVAL=2;COUNT=3", "2020-01-01 2022-01-01 2024-01-01"},
		{"every other year, since long ago", "19650101", "FREQ=YEARLY;INTERVAL=2;UNTIL=20240101", "2021-01-01 2023-01-01"},
		{"an interval beyond all years", "20200101", "FREQ=YEARLY;INTERVAL=100000", "2020-01-01"},
		{"leap day", "20200229", "FREQ=YEARLY;COUNT=3", "2020-02-29 2024-02-29 2028-02-29"},
		{"the 31st, where there is one", "20300131", "FREQ=MONTHLY", "2030-01-31 2030-03-31 2030-05-31 2030-07-31 2030-08-31 2030-10-31 2030-12-31"},
		{"the last day of the month", "20300131", "FREQ=MONTHLY;BYMONTHDAY=-1;COUNT=3", "2030-01-31 2030-02-28 2030-03-31"},
		{"the last of February", "20200229", "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=-1;COUNT=3", "2020-02-29 2021-02-28 2022-02-28"},
		{"month and day", "20301212", "FREQ=YEARLY;BYMONTH=12;BYMONTHDAY=12;WKST=SU", "2030-12-12"},
		{"a month, and the day of the start", "20290110", "FREQ=YEARLY;BYMONTH=1,2", "2029-01-10 2029-02-10 2030-01-10 2030-02-10"},
		{"a month day of every month", "20301025", "FREQ=YEARLY;BYMONTHDAY=25", "2030-10-25 2030-11-25 2030-12-25"},
		{"the last Monday in May", "20260525", "FREQ=YEARLY;BYMONTH=5;BYDAY=-1MO;COUNT=3", "2026-05-25 2027-05-31 2028-05-29"},
		{"the second Sunday in May", "20260510", "FREQ=YEARLY;BYDAY=2SU;BYMONTH=5;COUNT=2", "2026-05-10 2027-05-09"},
		{"a fifth Friday, where there is one", "20260130", "FREQ=YEARLY;BYMONTH=1;BYDAY=5FR;COUNT=2", "2026-01-30 2027-01-29"},
		{"the first Friday and Saturday", "20301101", "FREQ=YEARLY;BYMONTH=11,12;BYDAY=1FR,1SA", "2030-11-01 2030-11-02 2030-12-06 2030-12-07"},
		{"the last Sunday and every Friday", "20301206", "FREQ=MONTHLY;BYDAY=-1SU,FR", "2030-12-06 2030-12-13 2030-12-20 2030-12-27 2030-12-29"},
		{"every Friday of a month", "20301206", "FREQ=YEARLY;BYMONTH=12;BYDAY=FR", "2030-12-06 2030-12-13 2030-12-20 2030-12-27"},
		{"the 20th Monday of the year", "20260518", "FREQ=YEARLY;BYDAY=20MO;COUNT=2", "2026-05-18 2027-05-17"},
		{"the last Monday of the year", "20261228", "FREQ=YEARLY;BYDAY=-1MO;COUNT=2", "2026-12-28 2027-12-27"},
		{"Friday the 13th", "20260213", "FREQ=MONTHLY;BYDAY=FR;BYMONTHDAY=13;COUNT=3", "2026-02-13 2026-03-13 2026-11-13"},
		{"the last Monday, by its position", "20260525", "FREQ=YEARLY;BYDAY=MO;BYMONTH=5;BYSETPOS=-1;COUNT=2", "2026-05-25 2027-05-31"},
		{"the first and last weekday of the month", "20301101", "FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=1,-1", "2030-11-01 2030-11-29 2030-12-02 2030-12-31"},
		{"every week", "20301220", "FREQ=WEEKLY", "2030-12-20 2030-12-27"},
		{"Mondays and Fridays of every other week", "20301202", "FREQ=WEEKLY;INTERVAL=2;BYDAY=FR,MO", "2030-12-02 2030-12-06 2030-12-16 2030-12-20 2030-12-30"},
		{"every other week from Tuesday, in weeks from Monday", "20300806", "FREQ=WEEKLY;INTERVAL=2;COUNT=4;BYDAY=TU,SU;WKST=MO", "2030-08-06 2030-08-11 2030-08-20 2030-08-25"},
		{"every other week from Tuesday, in weeks from Sunday", "20300806", "FREQ=WEEKLY;INTERVAL=2;COUNT=4;BYDAY=TU,SU;WKST=SU", "2030-08-06 2030-08-18 2030-08-20 2030-09-01"},
		{"every tenth day", "20301201", "FREQ=DAILY;INTERVAL=10", "2030-12-01 2030-12-11 2030-12-21 2030-12-31"},
		{"every day of a month", "20301230", "FREQ=DAILY;BYMONTH=12", "2030-12-30 2030-12-31"},
		{"every weekday", "20301227", "FREQ=DAILY;BYDAY=MO,TU,WE,TH,FR", "2030-12-27 2030-12-30 2030-12-31"},
		{"at one hour", "20301231T080000", "FREQ=DAILY;BYHOUR=8;BYMINUTE=0;BYSECOND=0", "2030-12-31"},
		{"counted from the past", "20180101", "FREQ=YEARLY;COUNT=4", "2020-01-01 2021-01-01"},
		{"counted and over", "20100101", "FREQ=YEARLY;COUNT=4", ""},
		{"noughts and signs in front", "20260525", "FREQ=YEARLY;INTERVAL=1;BYMONTH=05;BYDAY=+04MO,-01MO;COUNT=3", "2026-05-25 2027-05-24 2027-05-31"},
		{"small letters, spaces and a last semicolon", "20301220", "freq=weekly; byday=fr ;", "2030-12-20 2030-12-27"},

		// The first day counts, as programs show it, and is the first of COUNT.
		{"a rule of another day", "20281225", "FREQ=YEARLY;BYMONTH=12;BYMONTHDAY=24;COUNT=2", "2028-12-25 2029-12-24"},
		{"a rule of a day that never comes", "20281225", "FREQ=MONTHLY;BYMONTH=2;BYMONTHDAY=30", "2028-12-25"},

		{"until a day, which is part of it", "20260101T080000", "FREQ=YEARLY;UNTIL=20280101", "2026-01-01 2027-01-01 2028-01-01"},
		{"until the hour of the start", "20260101T080000", "FREQ=YEARLY;UNTIL=20280101T080000Z", "2026-01-01 2027-01-01 2028-01-01"},
		{"until the second before", "20260101T080000", "FREQ=YEARLY;UNTIL=20280101T075959Z", "2026-01-01 2027-01-01"},
		{"until an hour, of whole days", "20260101", "FREQ=YEARLY;UNTIL=20271231T210000Z", "2026-01-01 2027-01-01"},
		{"until midnight, of whole days", "20260101", "FREQ=YEARLY;UNTIL=20270101T000000Z", "2026-01-01 2027-01-01"},
		{"until before the start", "20260101", "FREQ=YEARLY;UNTIL=20250101", ""},

		// 21:00 in UTC is the day after in Nairobi; a rule speaks of the day in UTC.
		{"an instant", "20281231T210000Z", "FREQ=YEARLY", "2029-01-01 2030-01-01"},
		{"an instant, by its month and day", "20281224T210000Z", "FREQ=YEARLY;BYMONTH=12;BYMONTHDAY=24", "2028-12-25 2029-12-25 2030-12-25"},
		{"an instant, until another", "20281224T210000Z", "FREQ=YEARLY;UNTIL=20291224T210000Z", "2028-12-25 2029-12-25"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, days(vevent("DTSTART:"+tt.start, "RRULE:"+tt.rule), opts)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestDaysTakenFromARule(t *testing.T) {
	opts := between(t, "2020-01-01", "2030-12-31")
	const next = "END:VEVENT\nBEGIN:VEVENT"
	for _, tt := range []struct{ name, text, want string }{
		{"two days every year", vevent("DTSTART;VALUE=DATE:20291225", "DTEND;VALUE=DATE:20291227", "RRULE:FREQ=YEARLY"), "2029-12-25 2029-12-26 2030-12-25 2030-12-26"},
		{"over the new year", vevent("DTSTART;VALUE=DATE:20181231", "DTEND;VALUE=DATE:20190102", "RRULE:FREQ=YEARLY;COUNT=2"), "2020-01-01"},
		{"but for one, and one more", vevent("DTSTART;VALUE=DATE:20280101", "RRULE:FREQ=YEARLY;COUNT=3", "EXDATE;VALUE=DATE:20290101", "RDATE;VALUE=DATE:20290102,20290103"), "2028-01-01 2029-01-02 2029-01-03 2030-01-01"},
		{"but for the first", vevent("DTSTART:20280101", "RRULE:FREQ=YEARLY", "EXDATE:20280101"), "2029-01-01 2030-01-01"},
		{"an exception is known by its day", vevent("DTSTART;TZID=x:20280101T080000", "RRULE:FREQ=YEARLY", "EXDATE:20290101T050000Z", "EXDATE;TZID=y:20300101T000000"), "2028-01-01"},
		{"an exception of several days", vevent("DTSTART:20281225", "DURATION:P2D", "RRULE:FREQ=YEARLY", "EXDATE:20291225"), "2028-12-25 2028-12-26 2030-12-25 2030-12-26"},
		{"an exception of no day", vevent("DTSTART:20290101", "RRULE:FREQ=YEARLY", "EXDATE:20300102"), "2029-01-01 2030-01-01"},
		{"two rules", vevent("DTSTART:20301224", "RRULE:FREQ=YEARLY", "RRULE:FREQ=DAILY;COUNT=3"), "2030-12-24 2030-12-25 2030-12-26"},
		{"moved", vevent("UID:a", "DTSTART:20281010", "RRULE:FREQ=YEARLY", next, "UID:a", "RECURRENCE-ID:20291010", "DTSTART:20291011", "DTEND:20291013"), "2028-10-10 2029-10-11 2029-10-12 2030-10-10"},
		{"moved, in another form and before its event", vevent("UID:a", "RECURRENCE-ID;TZID=x:20291010T090000", "DTSTART:20291011", next, "UID:a", "DTSTART:20281009T220000Z", "RRULE:FREQ=YEARLY"), "2028-10-10 2029-10-11 2030-10-10"},
		{"moved to where it was", vevent("UID:a", "DTSTART:20281010", "RRULE:FREQ=YEARLY", next, "UID:a", "RECURRENCE-ID:20291010", "DTSTART:20291010"), "2028-10-10 2029-10-10 2030-10-10"},
		{"moved twice", vevent("UID:a", "DTSTART:20281010", "RRULE:FREQ=YEARLY", next, "UID:a", "RECURRENCE-ID:20291010", "DTSTART:20291011", next, "UID:a", "RECURRENCE-ID:20301010", "DTSTART:20301011"), "2028-10-10 2029-10-11 2030-10-11"},
		{"renamed, without a day", vevent("UID:a", "DTSTART:20281010", "RRULE:FREQ=YEARLY", next, "UID:a", "RECURRENCE-ID:20291010", "SUMMARY:b"), "2028-10-10 2029-10-10 2030-10-10"},
		{"called off for a year", vevent("UID:a", "DTSTART:20281010", "RRULE:FREQ=YEARLY", next, "UID:a", "RECURRENCE-ID:20291010", "DTSTART:20291010", "STATUS:CANCELLED"), "2028-10-10 2030-10-10"},
		{"called off without a start", vevent("UID:a", "DTSTART:20281010", "RRULE:FREQ=YEARLY", next, "UID:a", "RECURRENCE-ID:20291010", "STATUS:CANCELLED"), "2028-10-10 2030-10-10"},
		{"another event of that day stays", vevent("UID:a", "DTSTART:20291010", next, "UID:b", "RECURRENCE-ID:20291010", "STATUS:CANCELLED"), "2029-10-10"},
		{"nobody knows which event", vevent("DTSTART:20291010", next, "RECURRENCE-ID:20291010", "STATUS:CANCELLED"), "2029-10-10"},
		{"a change whose event is not there", vevent("UID:a", "RECURRENCE-ID:20291010", "DTSTART:20291011"), "2029-10-11"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, days(tt.text, opts)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
