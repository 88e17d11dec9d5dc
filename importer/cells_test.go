package importer

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The lists under testdata/lists are as they came, but for their numbers.
func TestListsAsTheyCome(t *testing.T) {
	tests := map[string]struct {
		choice ColumnChoice
		want   []string
	}{
		"accounts-spoilt.csv": {want: []string{
			"accounts-spoilt.csv:2: account: " + isAmount, "accounts-spoilt.csv:3: account: " + isAmount, "accounts-spoilt.csv:4: account: " + isAmount,
			"accounts-spoilt.csv:5: account: " + isDate, "accounts-spoilt.csv:6: account: " + isNone, "accounts-spoilt.csv:7: account: " + isNone,
			"accounts-spoilt.csv:8: account: " + isNone, "accounts-spoilt.csv:9: service: " + isAmount}},
		"export-of-an-invoicing-program.csv": {ColumnChoice{Service: "17", Of: map[string]string{"phone": "4"}}, []string{
			`service 17 for every row, account from "Account Number" (column 2), phone from "Phone" (column 4); left out: "Name", "Phone"`,
			`4 17 0042317 +254710000001 "" `}},
		"ignore-columns-as-written.csv": {ColumnChoice{Ignore: []string{"Customer Name"}}, []string{
			`service from "service" (column 1), account from "account" (column 2), phone from "phone" (column 3); left out: "Customer Name", "Phone No."`,
			`2 17 0042317 +254710000001 "" `}},
		"new-kenyan-ranges.csv": {want: []string{
			`2 17 1 +254180000001 "" `, `3 17 2 +254144000001 "" `, `4 17 3 +254145000001 "" `,
			"phones of new ranges, taken as mobile ones: 0144 1, 0145 1, 0180 1 (phones.mobile_prefixes in the config says that they are)"}},
		"newline-in-description.csv": {want: []string{`2 17 0042317 +254710000028 "House 4 Block B" `, "mended: line breaks 1"}},
		"tenant-list-kenya.csv": {ColumnChoice{Service: "17"}, []string{
			`service 17 for every row, account from "unit_number" (column 1), phone from "phone_number" (column 5); ` +
				`left out: "first_name", "last_name", "id_number", "email", "lease_date", "gender"`,
			`2 17 A1 +254710000001 "" `}},
		"typographic-quotes.csv": {want: []string{"typographic-quotes.csv:2: account: " + hasQuote, "typographic-quotes.csv:3: account: " + hasQuote}},
		"windows-1252.csv":       {want: []string{`2 17 0042317 +254710000023 "Ng’ang’a House 4" `, "mended: rows in Windows-1252 1"}},
	}
	files, err := filepath.Glob("testdata/lists/*.csv")
	if err != nil || len(files) != len(tests) {
		t.Fatalf("%d lists for %d tests, %v", len(files), len(tests), err)
	}
	for _, path := range files {
		name := filepath.Base(path)
		t.Run(name, func(t *testing.T) {
			file, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			o := options(t)
			o.Name, o.Columns = name, tests[name].choice
			if diff := cmp.Diff(tests[name].want, readBillsWith(t, string(file), o)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestWhatASpreadsheetSpoiltIsRefused(t *testing.T) {
	for fault, cells := range map[string][]string{
		rounded:  {"4.2317E+06", "1.2E+11", "4,2E+10", "4E+10", "-4.2E+10", "4.2e+10", "4.2E10", "'4.2E+10", `="4.2E+10"`},
		isAmount: {"42318.0", "42318.00", "42318,00", "42,320.00", "42,320", "1,042,320", "42.320,00", "-42326", "-42326.5", "(42326)", "17.00", "KES 1500", "Ksh.1,500", "1500/=", "1,500/-", `="42317.0"`},
		isDate: {"12-Mar", "12-mar-26", "Mar-26", "12 March 2026", "12/03/2026", "3/12/2026", "12.03.2026", "12-03-2026", "2026-03-12", "2026-03-12 00:00:00",
			"12/03/2026 0:00", "1-Sept", "May-2026", "Jan 5", "5 Jan", "12th March", "Mar 12, 2026", "5/12", "12/3", "31/1", "12/2026", "2026/12", "12-2026", "2026-12", "12/03/26", "12.03.26",
			"00:30", "12:30:15", "1:05 PM", "12-Mei", "5 Okt"},
		isPower:   {"1E2", "12E4", "12e+3", "4E10", "1e1"},
		isTotal:   {"TOTAL", "Total:", "grand total", "Sub-Total", "Jumla", "B/F", "c/f", "Balance B/F", "Total 2026", "Block B Total", "JUMLA YA 12"},
		isVacant:  {"VACANT", "vacant", "Empty", "Vacant Lot 4", "A3 (VACANT)", "VACATED-12", "moved  out", "wazi"},
		isDitto:   {"ditto", "Ditto.", "-do-", "as above", "See above"},
		hasLabel:  {"A/C 00124", "A/C-124", "a/c no. 124", "Acc No 124", "Acc: 124", "Account: 00124", "Akaunti ya 12", "Meter No. A-12"},
		isSeveral: {"00134 / 00135", "134, 135", "A1 & A2", "134;135", "B4 and B5", "00134/00135", "House 4, Block 2", "12+13"},
		isNone:    {"N/A", "n/a", "TBA", "Unknown", "XXXX", "not available", "NULL", "null", "-", "--", "None", "nil", "NaN", "TRUE", "?", "...", "***", "/", "_"},
		isError:   {"#REF!", "#N/A", "#NAME?", "#VALUE!", "#DIV/0!", "####", "#NV"},
		hasQuote:  {"“0042317”", "`0042318", "‘0042’", "«42»", "0042\"", "”42", "42'"},
		wasLost:   {"Caf\ufffd 1"},

		"is a formula: store its value instead": {"=A1", "=1+1"},
		"": {
			"42317", "0042317", "0", "A-12", "B4", "12", "A/12", "12-3", "12/34", "13/25", "E12", "12E", "1E2B", "House 4E", "Shop A & B", "ACC-124", "ACC 124", "Account4", "Accra 12", "Mita12", "Totalia 4", "KES", "K12", "Kshetra 4", "SH 4", "X", "1.2.34.5", "MAY-FLOWER", "Marble-12", "Mayfair 204", "LR 209/1234", "O'12", "1.2.3", "12.5",
			"254710000003", "100.200.300", "#12", "ACC-2026", "2026/17", "MARY-12", "July", "NA-17",
			"'12-Mar", "'42318.00", "'-42326", "'N/A", "'0042", "'5/12", "'12E4", "'B/F", "'A1 & A2", `="0042"`},
	} {
		for _, cell := range cells {
			if _, got := new(cleaner).clean(cell, cellNumber); got != fault {
				t.Errorf("account %q: %q, want %q", cell, got, fault)
			}
		}
	}
}

func TestWhatIsOnlyUntidyIsMendedAndCounted(t *testing.T) {
	for _, tt := range []struct{ name, file, want string }{
		{"spaces", "service,account,phone\n 17 , 0042\u00a0,0710000003\n", `2 17 0042 +254710000003 "" |mended: spaces 1`},
		{"line breaks", "service,account,phone,description\n17,0042,0710000003,\"House 4\r\n Block B\"\n17,0043,0710000003,\"a\rb\tc\"\n",
			`2 17 0042 +254710000003 "House 4 Block B" |4 17 0043 +254710000003 "a b c" |mended: line breaks 2`},
		{"apostrophes and formulas", "service,account,phone\n17,'0042,'0710000003\n17,=\"0043\",0710000003\n",
			`2 17 0042 +254710000003 "" |3 17 0043 +254710000003 "" |mended: apostrophes and ="" 2`},
		{"spelling of languages", "service,account,phone,language\n17,1,0710000003,SW\n17,2,0710000003,en\n17,3,0710000003,en_US\n17,4,0710000003,sw-KE\n17,5,0710000003,English\n17,6,0710000003,Kiswahili\n",
			`2 17 1 +254710000003 "" sw|3 17 2 +254710000003 "" en|4 17 3 +254710000003 "" en|5 17 4 +254710000003 "" sw|6 17 5 +254710000003 "" en|7 17 6 +254710000003 "" sw|` +
				"mended: spelling of languages 5"},
		{"a language that only one service has", "service,account,phone,language\n18,1,0710000003,French\n17,2,0710000003,French\n",
			`2 18 1 +254710000003 "" fr|b.csv:3: language: french has no templates: write en or sw, or add it under reminders.templates|mended: spelling of languages 1`},
		{"names of services", "service,account,phone\nWATER,1,0710000003\n17,2,0710000003\n Rent ,3,0710000003\n",
			`2 17 1 +254710000003 "" |3 17 2 +254710000003 "" |4 18 3 +254710000003 "" |mended: names of services 2`},
		{"words beside phones", "service,account,phone\n17,1,Phone:0710000003\n17,2,0710000003 (wife)\n17,3,0710 000 003 - Juma\n17,4,tel:+254710000003\n17,5,Mob. (0710) 000003 A. Ng’ang’a\n",
			`2 17 1 +254710000003 "" |3 17 2 +254710000003 "" |4 17 3 +254710000003 "" |5 17 4 +254710000003 "" |6 17 5 +254710000003 "" |mended: words beside phones 5`},
		{"foreign phones without a plus", "service,account,phone\n17,1,256710000003\n17,2,255 710 000 003\n17,3,79160000003\n",
			`2 17 1 +256710000003 "" |3 17 2 +255710000003 "" |b.csv:4: phone: is not a valid number in country KE: write it with a + in front if it is one of +7|phones of other countries: +255 1, +256 1`},
		{"those who left are counted", "service,account,phone,Status,Remarks,Active,Disabled,Name\n17,1,0710000003,Active,,Yes,0,Jane (vacated)\n17,2,0710000003,CLOSED,,no,1\n17,3,0710000003,,tenant moved out in May,\n17,4,0710000003,Enclosed,leftover,\n",
			`2 17 1 +254710000003 "" |3 17 2 +254710000003 "" |4 17 3 +254710000003 "" |5 17 4 +254710000003 "" |` +
				`taken, though they may be no customers any more: "Active" no 1, "Disabled" 1 1, "Name" vacated 1, "Remarks" moved out 1, "Status" closed 1 (delete the rows of those who must not be texted)`},
		{"nothing is counted of a row that is refused", "service,account,phone,language\n17, 0042,,SW\n", "b.csv:2: phone: " + NeedsPhone},
		{"quotes in a description stay", "service,account,phone,description\n17,0042,0710000003,“Sunset” 'B'\n", `2 17 0042 +254710000003 "“Sunset” 'B'" `},
		{"phones of other countries are counted", "service,account,phone\n17,0042,+256710000003\n17,0043,+256 710 000003\n17,0044,+255710000003\n17,0045,0710000003\n",
			`2 17 0042 +256710000003 "" |3 17 0043 +256710000003 "" |4 17 0044 +255710000003 "" |5 17 0045 +254710000003 "" |phones of other countries: +255 1, +256 2`},
		{"several phones are refused", "service,account,phone\n17,0042,0710000003 / 0710000004\n",
			"b.csv:2: phone: holds several numbers: write one, such as the first, +2547******03"},
		{"a letter that was lost", "service,account,phone,description\n17,0042,0710000003,Ng\ufffdang\n", "b.csv:2: description: " + wasLost},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, strings.Join(readBills(t, tt.file), "|")); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// A file that is in two encodings was joined of two: what the first row shows is
// not true of the second.
func TestAFileHasOneEncoding(t *testing.T) {
	const header, utf8Row, windowsRow = "service,account,phone,description\n", "17,0042,0710000003,Café\n", "17,0043,0710000003,Caf\xe9\n"
	const joined = "description: is not written like the rows before it, in UTF-8 or Windows-1252: save the file as CSV UTF-8"
	for _, tt := range []struct{ name, file, want string }{
		{"UTF-8", header + utf8Row, `2 17 0042 +254710000003 "Café" `},
		{"Windows-1252", header + windowsRow, `2 17 0043 +254710000003 "Café" |mended: rows in Windows-1252 1`},
		{"UTF-8 first", header + utf8Row + windowsRow, `2 17 0042 +254710000003 "Café" |b.csv:3: ` + joined},
		{"Windows-1252 first", header + windowsRow + utf8Row, `2 17 0043 +254710000003 "Café" |b.csv:3: ` + joined + "|mended: rows in Windows-1252 1"},
	} {
		if diff := cmp.Diff(tt.want, strings.Join(readBills(t, tt.file), "|")); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
	}
}

// What looks spoilt and can be meant is taken where the operator says so, and what
// nobody can mean is not.
func TestAListCanBeTakenAsWritten(t *testing.T) {
	o := options(t)
	o.Columns.AsWritten = true
	got := readBillsWith(t, "service,account,phone\n17,5/12,0700000000\n17,12E4,0710000003\n17,4.2317E+06,0710000003\n17,#REF!,0710000003\n17,TOTAL,0710000003\n17,'TOTAL,0710000003\n17,“42”,0710000003\n", o)
	want := []string{`2 17 5/12 +254700000000 "" `, `3 17 12E4 +254710000003 "" `, "b.csv:4: account: " + rounded, "b.csv:5: account: " + isError, "b.csv:6: account: " + isTotal,
		`7 17 TOTAL +254710000003 "" `, "b.csv:8: account: " + hasQuote, `mended: apostrophes and ="" 1`}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
