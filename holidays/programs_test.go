package holidays

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// program is what a program writes around its events.
var program = map[string]string{
	"google":         "PRODID:-//Google Inc//Google Calendar 70.9054//EN\nVERSION:2.0\nCALSCALE:GREGORIAN\nMETHOD:PUBLISH\nX-WR-CALNAME:Holidays in Kenya\nX-WR-TIMEZONE:UTC\n",
	"apple":          "VERSION:2.0\nPRODID:-//Apple Inc.//macOS 14.5//EN\nCALSCALE:GREGORIAN\nX-APPLE-CALENDAR-COLOR:#1BADF8\n",
	"outlook":        "PRODID:-//Microsoft Corporation//Outlook 16.0 MIMEDIR//EN\nVERSION:2.0\nMETHOD:PUBLISH\nX-MS-OLK-FORCEINSPECTOROPEN:TRUE\n",
	"exchange":       "METHOD:PUBLISH\nPRODID:Microsoft Exchange Server 2010\nVERSION:2.0\nX-WR-CALNAME:Calendar\n",
	"thunderbird":    "PRODID:-//Mozilla.org/NONSGML Mozilla Calendar V1.1//EN\nVERSION:2.0\n",
	"officeholidays": "PRODID:-//www.officeholidays.com//iCal4j 1.0//EN\nVERSION:2.0\nX-WR-CALNAME:Kenya Holidays\nX-PUBLISHED-TTL:PT48H\n",
	"nextcloud":      "VERSION:2.0\nPRODID:-//IDN nextcloud.com//Calendar app 4.7.6//EN\nCALSCALE:GREGORIAN\n",
	"php":            "VERSION:2.0\nPRODID:-//hacksw/handcal//NONSGML v1.0//EN\n",
}

const (
	windowsZone = "BEGIN:VTIMEZONE\nTZID:E. Africa Standard Time\nBEGIN:STANDARD\nDTSTART:16010101T000000\nTZOFFSETFROM:+0300\nTZOFFSETTO:+0300\nEND:STANDARD\nEND:VTIMEZONE\n"
	londonZone  = "BEGIN:VTIMEZONE\nTZID:Europe/London\nBEGIN:DAYLIGHT\nTZOFFSETFROM:+0000\nTZOFFSETTO:+0100\nRRULE:FREQ=YEARLY;BYMONTH=3;BYDAY=-1SU\nDTSTART:19810329T010000\nTZNAME:BST\nEND:DAYLIGHT\n" +
		"BEGIN:STANDARD\nTZOFFSETFROM:+0100\nTZOFFSETTO:+0000\nRRULE:FREQ=YEARLY;BYMONTH=10;BYDAY=-1SU\nDTSTART:19961027T020000\nTZNAME:GMT\nEND:STANDARD\nEND:VTIMEZONE\n"
	alarm = "\nBEGIN:VALARM\nACTION:DISPLAY\nDESCRIPTION:Observance\nTRIGGER;RELATED=START:-PT15M\nDURATION:PT5M\nREPEAT:2\nEND:VALARM"
)

// Small calendars in the manner of programs and sites, each with the days that
// an operator sees in it. All stand for 2026 and 2027.
func TestCalendarsOfPrograms(t *testing.T) {
	opts := between(t, "2026-01-01", "2027-12-31")
	for _, tt := range []struct{ program, name, want, events string }{
		{"google", "a public holiday", "2026-12-12", "DTSTART;VALUE=DATE:20261212\nDTEND;VALUE=DATE:20261213\nDTSTAMP:20260301T101112Z\nUID:20261212_abc@google.com\nCLASS:PUBLIC\nDESCRIPTION:Public holiday\nSEQUENCE:0\nSTATUS:CONFIRMED\nSUMMARY:Jamhuri Day\nTRANSP:TRANSPARENT"},
		{"google", "an observance", "", "DTSTART;VALUE=DATE:20261224\nDTEND;VALUE=DATE:20261225\nDESCRIPTION:Observance\\nTo hide observances\\, go to Google Calendar Settings > Ho\n lidays in Kenya\nSUMMARY:Christmas Eve\nTRANSP:TRANSPARENT"},
		{"google", "a tentative day", "2026-03-20", "DTSTART;VALUE=DATE:20260320\nDTEND;VALUE=DATE:20260321\nDESCRIPTION:Public holiday\\nDate is tentative and may change.\nSTATUS:TENTATIVE\nSUMMARY:Idd ul-Fitr (tentative)"},
		{"google", "a day off every other Friday", "2026-01-02 2026-01-16 2026-01-30", "DTSTART;VALUE=DATE:20260102\nDTEND;VALUE=DATE:20260103\nRRULE:FREQ=WEEKLY;WKST=MO;UNTIL=20260212;INTERVAL=2;BYDAY=FR\nSUMMARY:Off"},
		{"google", "an hour, until an instant", "2026-12-28 2026-12-29 2026-12-30", "DTSTART;TZID=Africa/Nairobi:20261228T080000\nDTEND;TZID=Africa/Nairobi:20261228T170000\nRRULE:FREQ=DAILY;UNTIL=20261230T205959Z\nSUMMARY:Closed"},
		{"google", "one day moved by hand", "2026-10-12 2027-10-18", "DTSTART;VALUE=DATE:20251013\nDTEND;VALUE=DATE:20251014\nRRULE:FREQ=YEARLY;BYMONTH=10;BYDAY=2MO\nUID:m@google.com\nSUMMARY:Day\nEND:VEVENT\nBEGIN:VEVENT\nDTSTART;VALUE=DATE:20271018\nDTEND;VALUE=DATE:20271019\nUID:m@google.com\nRECURRENCE-ID;VALUE=DATE:20271011\nSUMMARY:Day"},
		{"google", "one day deleted", "2026-10-10", "DTSTART;VALUE=DATE:20251010\nDTEND;VALUE=DATE:20251011\nRRULE:FREQ=YEARLY\nEXDATE;VALUE=DATE:20271010\nUID:x@google.com\nSUMMARY:Day"},
		{"google", "a day in UTC", "2026-12-26", "DTSTART:20261225T213000Z\nDTEND:20261225T223000Z\nSUMMARY:Night"},
		{"google", "from a day on until the day before a change", "2026-05-01", "DTSTART;VALUE=DATE:20150501\nDTEND;VALUE=DATE:20150502\nRRULE:FREQ=YEARLY;UNTIL=20270430\nSUMMARY:Labour Day"},

		{"apple", "every year", "2026-06-01 2027-06-01", "CREATED:20200101T000000Z\nUID:5F3A\nRRULE:FREQ=YEARLY;INTERVAL=1\nDTEND;VALUE=DATE:20200602\nTRANSP:TRANSPARENT\nX-APPLE-TRAVEL-ADVISORY-BEHAVIOR:AUTOMATIC\nSUMMARY:Madaraka Day\nDTSTART;VALUE=DATE:20200601\nDTSTAMP:20200101T000000Z\nSEQUENCE:0"},
		{"apple", "the last Monday of August", "2026-08-31 2027-08-30", "UID:a\nRRULE:FREQ=YEARLY;INTERVAL=1;BYMONTH=8;BYDAY=-1MO\nDTSTART;VALUE=DATE:20200831\nDTEND;VALUE=DATE:20200901\nSUMMARY;LANGUAGE=en:Summer Bank Holiday"},
		{"apple", "a length instead of an end", "2026-12-25 2026-12-26", "UID:b\nDTSTART;VALUE=DATE:20261225\nDURATION:P2D\nSUMMARY:Christmas"},
		{"apple", "an alarm of its own", "2026-12-25", "UID:c\nDTSTART;VALUE=DATE:20261225\nDTEND;VALUE=DATE:20261226\nSUMMARY:Christmas" + alarm},
		{"apple", "a rule of its own names", "2026-11-26 2027-11-25", "UID:d\nRRULE:FREQ=YEARLY;BYDAY=4TH;BYMONTH=11\nDTSTART;VALUE=DATE:20181122\nDURATION:P1D\nX-APPLE-UNIVERSAL-ID:1\nSUMMARY:Thanksgiving"},
		{"apple", "exceptions in one line", "2027-02-01", "UID:e\nDTSTART;VALUE=DATE:20261201\nRRULE:FREQ=MONTHLY;COUNT=4\nEXDATE;VALUE=DATE:20261201,20270101\nEXDATE;VALUE=DATE:20270301\nSUMMARY:Stocktaking"},
		{"apple", "an hour with an exception in UTC", "2027-10-10", "UID:f\nDTSTART;TZID=Africa/Nairobi:20251010T080000\nDTEND;TZID=Africa/Nairobi:20251010T090000\nRRULE:FREQ=YEARLY\nEXDATE:20261010T050000Z\nSUMMARY:Day"},

		{"outlook", "an all-day event in a zone of Windows", "2026-12-25", windowsZone + "CLASS:PUBLIC\nDTSTART;TZID=\"E. Africa Standard Time\":20261225T000000\nDTEND;TZID=\"E. Africa Standard Time\":20261226T000000\nSUMMARY;LANGUAGE=en-gb:Christmas Day\nX-MICROSOFT-CDO-ALLDAYEVENT:TRUE\nX-MICROSOFT-CDO-BUSYSTATUS:OOF"},
		{"outlook", "a holiday of its own list", "2026-05-25 2027-05-31", "DTSTART;VALUE=DATE:20260525\nDTEND;VALUE=DATE:20260526\nRRULE:FREQ=YEARLY;INTERVAL=1;BYDAY=MO;BYMONTH=5;BYSETPOS=-1\nCATEGORIES:Holiday\nLOCATION:United States\nSUMMARY;LANGUAGE=en-us:Memorial Day\nX-MICROSOFT-CDO-IMPORTANCE:1"},
		{"outlook", "every year by months", "2026-10-20 2027-10-20", windowsZone + "DTSTART;TZID=\"E. Africa Standard Time\":20251020T000000\nDTEND;TZID=\"E. Africa Standard Time\":20251021T000000\nRRULE:FREQ=MONTHLY;INTERVAL=12;BYMONTHDAY=20\nSUMMARY:Mashujaa Day"},
		{"outlook", "the first weekday of a month", "2026-01-01 2026-02-02 2026-03-02", "DTSTART;VALUE=DATE:20260101\nDTEND;VALUE=DATE:20260102\nRRULE:FREQ=MONTHLY;COUNT=3;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=1\nSUMMARY:Closing"},
		{"outlook", "the end of the year", "2026-12-24 2026-12-25 2026-12-26 2026-12-27 2026-12-28 2026-12-29 2026-12-30 2026-12-31 2027-01-01", "DTSTART;VALUE=DATE:20261224\nDTEND;VALUE=DATE:20270102\nSUMMARY:Office closed\nX-ALT-DESC;FMTTYPE=text/html:<html>\\n<body>: closed</body></html>"},
		{"outlook", "a half day", "2026-12-24", windowsZone + "DTSTART;TZID=\"E. Africa Standard Time\":20261224T130000\nDTEND;TZID=\"E. Africa Standard Time\":20261224T170000\nSUMMARY:Half day\nX-MICROSOFT-CDO-ALLDAYEVENT:FALSE"},
		{"exchange", "a zone with an address for a name", "2026-04-06", "BEGIN:VTIMEZONE\nTZID:(UTC+03:00) Nairobi\nBEGIN:STANDARD\nDTSTART:16010101T000000\nTZOFFSETFROM:+0300\nTZOFFSETTO:+0300\nEND:STANDARD\nEND:VTIMEZONE\nBEGIN:VEVENT\nSUMMARY:Easter Monday\nDTSTART;TZID=(UTC+03:00) Nairobi:20260406T000000\nDTEND;TZID=(UTC+03:00) Nairobi:20260407T000000\nUID:040000008200E00074C5B7101A82E008\nCLASS:PUBLIC\nX-MICROSOFT-CDO-INTENDEDSTATUS:BUSY"},
		{"exchange", "one day of a series called off", "2026-10-10", "UID:0400\nSUMMARY:Day\nDTSTART;TZID=Customized Time Zone:20251010T000000\nDTEND;TZID=Customized Time Zone:20251011T000000\nRRULE:FREQ=YEARLY;INTERVAL=1;BYMONTHDAY=10;BYMONTH=10\nEND:VEVENT\nBEGIN:VEVENT\nUID:0400\nRECURRENCE-ID;TZID=Customized Time Zone:20271010T000000\nSUMMARY:Canceled: Day\nDTSTART;TZID=Customized Time Zone:20271010T000000\nDTEND;TZID=Customized Time Zone:20271011T000000\nSTATUS:CANCELLED"},
		{"exchange", "called off as a whole", "", "UID:0401\nSUMMARY:Canceled: party\nDTSTART;VALUE=DATE:20261218\nDTEND;VALUE=DATE:20261219\nSTATUS:CANCELLED"},

		{"thunderbird", "every year", "2026-10-10 2027-10-10", "CREATED:20200101T000000Z\nLAST-MODIFIED:20200101T000000Z\nDTSTAMP:20200101T000000Z\nUID:0c1\nSUMMARY:Mazingira Day\nRRULE:FREQ=YEARLY\nCATEGORIES:Public Holiday\nDTSTART;VALUE=DATE:20101010\nDTEND;VALUE=DATE:20101011\nTRANSP:TRANSPARENT\nX-MOZ-GENERATION:1"},
		{"thunderbird", "a summer zone", "2026-05-04 2027-05-03", londonZone + "UID:0c2\nSUMMARY:May Day\nRRULE:FREQ=YEARLY;BYDAY=1MO;BYMONTH=5\nDTSTART;TZID=Europe/London:20200504T000000\nDTEND;TZID=Europe/London:20200505T000000"},
		{"thunderbird", "the last day of each quarter", "2026-03-31 2026-06-30 2026-09-30 2026-12-31", "UID:0c3\nSUMMARY:Books\nRRULE:FREQ=MONTHLY;UNTIL=20261231;BYMONTH=3,6,9,12;BYMONTHDAY=-1\nDTSTART;VALUE=DATE:20260331\nDTEND;VALUE=DATE:20260401"},
		{"thunderbird", "two days of a week", "2026-12-22 2026-12-24 2026-12-29 2026-12-31", "UID:0c4\nSUMMARY:Off\nRRULE:FREQ=WEEKLY;COUNT=4;BYDAY=TU,TH\nDTSTART;VALUE=DATE:20261222\nDTEND;VALUE=DATE:20261223"},
		{"thunderbird", "other kinds of entries", "2026-12-25", "UID:0c5\nDTSTART;VALUE=DATE:20261225\nEND:VEVENT\nBEGIN:VTODO\nUID:0c6\nDTSTART;VALUE=DATE:20261226\nDUE;VALUE=DATE:20261227\nEND:VTODO\nBEGIN:VJOURNAL\nDTSTART;VALUE=DATE:20261227\nEND:VJOURNAL\nBEGIN:VEVENT\nSUMMARY:b\nDTSTART;VALUE=DATE:20261225"},

		{"officeholidays", "a public holiday", "2026-04-03", "CLASS:PUBLIC\nUID:2026-04-03KE1@www.officeholidays.com\nCREATED:20251010T000000Z\nDESCRIPTION: Good Friday is the Friday before Easter\\n\\nInformation provided by www.officeholidays.com\nURL:https://www.officeholidays.com/holidays/kenya/good-friday\nDTSTART;VALUE=DATE:20260403\nDTEND;VALUE=DATE:20260404\nLOCATION:Kenya\nPRIORITY:5\nSUMMARY;LANGUAGE=en-us:Kenya: Good Friday\nTRANSP:OPAQUE"},
		{"officeholidays", "a description broken without a fold", "2026-10-20", "UID:2026-10-20KE@www.officeholidays.com\nDESCRIPTION: Heroes are remembered\n\\n\\nInformation provided by a web site\n(regional): see there\nDTSTART;VALUE=DATE:20261020\nDTEND;VALUE=DATE:20261021\nSUMMARY:Kenya: Mashujaa Day"},
		{"officeholidays", "a day and the day after it in lieu", "2027-12-25 2027-12-26 2027-12-27", "UID:1\nDTSTART;VALUE=DATE:20271225\nDTEND;VALUE=DATE:20271226\nSUMMARY:Christmas\nEND:VEVENT\nBEGIN:VEVENT\nUID:2\nDTSTART;VALUE=DATE:20271226\nDTEND;VALUE=DATE:20271227\nSUMMARY:Utamaduni Day\nEND:VEVENT\nBEGIN:VEVENT\nUID:3\nDTSTART;VALUE=DATE:20271227\nDTEND;VALUE=DATE:20271228\nSUMMARY:Utamaduni Day (in lieu)"},
		{"officeholidays", "the same event twice", "2026-05-01", "UID:1\nDTSTART;VALUE=DATE:20260501\nDTEND;VALUE=DATE:20260502\nSUMMARY:Labour Day\nEND:VEVENT\nBEGIN:VEVENT\nUID:1\nDTSTART;VALUE=DATE:20260501\nDTEND;VALUE=DATE:20260502\nSUMMARY:Labour Day"},

		{"nextcloud", "a series with an exception by the hour", "2026-01-05 2026-01-19", "UID:n1\nDTSTART;TZID=Africa/Nairobi:20260105T000000\nDTEND;TZID=Africa/Nairobi:20260106T000000\nRRULE:FREQ=WEEKLY;COUNT=3;BYDAY=MO\nEXDATE;TZID=Africa/Nairobi:20260112T000000\nSUMMARY:Training"},
		{"nextcloud", "the third Friday", "2026-01-16 2026-02-20", "UID:n2\nDTSTART;VALUE=DATE:20260116\nDTEND;VALUE=DATE:20260117\nRRULE:FREQ=MONTHLY;BYDAY=FR;BYSETPOS=3;UNTIL=20260301\nSUMMARY:Payday"},
		{"nextcloud", "days in a list", "2026-03-20 2026-05-27 2027-03-10", "UID:n3\nDTSTART;VALUE=DATE:20260320\nRDATE;VALUE=DATE:20260527,20270310\nSUMMARY:Idd"},
		{"nextcloud", "one day of several moved and renamed", "2026-10-11 2027-10-10", "UID:n4\nDTSTART;VALUE=DATE:20261010\nDTEND;VALUE=DATE:20261011\nRRULE:FREQ=YEARLY;COUNT=2\nSUMMARY:Day\nEND:VEVENT\nBEGIN:VEVENT\nUID:n4\nRECURRENCE-ID;VALUE=DATE:20261010\nDTSTART;VALUE=DATE:20261011\nDTEND;VALUE=DATE:20261012\nSUMMARY:Day\\, a day later"},

		{"php", "no end, a last semicolon", "2026-07-07 2027-07-07", "UID:p1\nDTSTART:20200707\nRRULE:FREQ=YEARLY;\nSUMMARY:Saba Saba"},
		{"php", "a whole day in seconds", "2026-12-25", "UID:p2\nDTSTART:20261225T000000\nDTEND:20261225T235959\nSUMMARY:Christmas"},
		{"php", "a length of a day in hours", "2026-12-25", "UID:p3\nDTSTART:20261225T000000\nDURATION:PT24H0M0S\nSUMMARY:Christmas"},
		{"php", "midnight in UTC for a day of no hour", "2026-12-25", "UID:p4\nDTSTART;VALUE=DATE-TIME:20261225T000000Z\nDTEND;VALUE=DATE-TIME:20261225T210000Z\nSUMMARY:Christmas"},
		{"php", "the end is the day itself", "2026-12-25", "UID:p5\nDTSTART;VALUE=DATE:20261225\nDTEND;VALUE=DATE:20261225\nSUMMARY:Christmas"},
		{"php", "a range of days by weekday", "2026-06-19 2027-06-25", "UID:p6\nDTSTART;VALUE=DATE:20200619\nRRULE:FREQ=YEARLY;BYMONTH=6;BYDAY=FR;BYMONTHDAY=19,20,21,22,23,24,25\nSUMMARY:Midsummer Eve"},
		{"php", "a day counted from the end of a month", "2026-02-27 2027-02-27", "UID:p7\nDTSTART;VALUE=DATE:20190227\nRRULE:FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=-2\nSUMMARY:Day"},
		{"php", "election day, every fifth year", "2027-08-10", "UID:p8\nDTSTART;VALUE=DATE:20220809\nRRULE:FREQ=YEARLY;INTERVAL=5;BYMONTH=8;BYDAY=2TU\nSUMMARY:Election"},
	} {
		t.Run(tt.program+", "+tt.name, func(t *testing.T) {
			zones, events := "", tt.events
			if end := strings.LastIndex(events, "END:VTIMEZONE\n"); end >= 0 {
				zones, events = events[:end+len("END:VTIMEZONE\n")], events[end+len("END:VTIMEZONE\n"):]
			}
			text := "BEGIN:VCALENDAR\n" + program[tt.program] + zones + "BEGIN:VEVENT\n" + strings.TrimPrefix(events, "BEGIN:VEVENT\n") + "\nEND:VEVENT\nEND:VCALENDAR\n"
			for _, end := range []string{"\n", "\r\n", "\r"} {
				if diff := cmp.Diff(tt.want, days(strings.ReplaceAll(text, "\n", end), opts)); diff != "" {
					t.Errorf("lines that end in %q (-want +got):\n%s", end, diff)
				}
			}
		})
	}
}
