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
			file, err := os.ReadFile(path) //nolint:gosec // a file of the test
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
		isAmount: {"42318.0", "42318.00", "42318,00", "42,320.00", "42,320", "1,042,320", "42.320,00", "-42326", "-42326.5", "(42326)", "17.00", `="42317.0"`},
		isDate: {"12-Mar", "12-mar-26", "Mar-26", "12 March 2026", "12/03/2026", "3/12/2026", "12.03.2026", "12-03-2026", "2026-03-12", "2026-03-12 00:00:00",
			"12/03/2026 0:00", "1-Sept", "May-2026"},
		isNone:   {"N/A", "n/a", "NULL", "null", "-", "--", "None", "nil", "NaN", "TRUE", "?"},
		isError:  {"#REF!", "#N/A", "#NAME?", "#VALUE!", "#DIV/0!", "####", "#NV"},
		hasQuote: {"“0042317”", "`0042318", "‘0042’", "«42»", "0042\"", "”42", "42'"},
		wasLost:  {"Caf\ufffd 1"},

		"is a formula: store its value instead": {"=A1", "=1+1"},
		"": {
			"42317", "0042317", "0", "A-12", "B4", "12", "12/3", "12-3", "12/34", "4E10", "House 4E", "MAY-FLOWER", "Marble-12", "Mayfair 204", "LR 209/1234", "O'12", "1.2.3", "12.5",
			"254710000003", "100.200.300", "#12", "ACC-2026", "2026/17", "MARY-12", "July", "NA-17",
			"'12-Mar", "'42318.00", "'-42326", "'N/A", "'0042", `="0042"`},
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
		{"case of languages", "service,account,phone,language\n17,0042,0710000003,SW\n17,0043,0710000003,en\n",
			`2 17 0042 +254710000003 "" sw|3 17 0043 +254710000003 "" en|mended: capital letters of languages 1`},
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
