package importer

import (
	"errors"
	"fmt"
	"io"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf16"

	"github.com/google/go-cmp/cmp"

	"duewatch/reminder"
)

// options are those of a config with one declared bill, and a language that only
// one service has.
func options(t testing.TB, ignore ...string) BillOptions {
	t.Helper()
	usual, err := reminder.ParseTemplates(reminder.DefaultTemplates())
	if err != nil {
		t.Fatal(err)
	}
	sources := reminder.DefaultTemplates()
	sources["fr"] = reminder.TemplateSource{Before: "{{.Account}} {{.Days}} {{.DueDate}}", After: "{{.Account}} {{.Days}} {{.DueDate}}"}
	withFrench, err := reminder.ParseTemplates(sources)
	if err != nil {
		t.Fatal(err)
	}
	return BillOptions{
		Name: "b.csv", Phones: reminder.NewPhoneReader("KE"), Columns: ColumnChoice{Ignore: ignore},
		Policies: reminder.Policies{Default: &reminder.Policy{Templates: usual}, ByService: map[string]*reminder.Policy{
			"17": {ServiceName: "Water", Templates: usual}, "18": {ServiceName: "Rent", Templates: withFrench},
		}},
		Declared: []reminder.Bill{{Service: "17", Account: "0001"}},
	}
}

// readBills reads a whole file; its lines are good bills and problems.
func readBills(t testing.TB, file string, ignore ...string) []string {
	t.Helper()
	return readBillsWith(t, file, options(t, ignore...))
}

func readBillsWith(t testing.TB, file string, o BillOptions) []string {
	t.Helper()
	r, err := ReadBills(strings.NewReader(file), o)
	if err != nil {
		return strings.Split(err.Error(), "\n")
	}
	all := []string{}
	if !r.Columns().Own && o.Name != "b.csv" {
		all = append(all, r.Columns().String())
	}
	for {
		row, err := r.Next()
		if errors.Is(err, io.EOF) {
			return append(all, r.Notes().Lines()...)
		}
		if err != nil {
			return append(all, err.Error())
		}
		for _, p := range row.Problems {
			all = append(all, p.String())
		}
		if b := row.Bill; row.Problems == nil {
			all = append(all, fmt.Sprintf("%d %s %s %s %q %s", row.Line, b.Service, b.Account, b.Phone.E164(), b.Description, b.Language))
		}
	}
}

func utf16le(s string) string {
	var b strings.Builder
	for _, u := range append([]uint16{0xfeff}, utf16.Encode([]rune(s))...) {
		b.WriteByte(byte(u))
		b.WriteByte(byte(u >> 8))
	}
	return b.String()
}

func TestReadBills(t *testing.T) {
	const house = `2 17 0042 +254710000003 "House 4" sw`
	for _, tt := range []struct {
		name, file string
		want       []string
	}{
		{"all columns", "service,account,phone,description,language\n17,0042,0710000003,House 4,sw\n", []string{house}},
		{"any order, any case, the needed ones", "Phone, ACCOUNT,Service\n0710000003,0042,17\n", []string{`2 17 0042 +254710000003 "" `}},
		{"byte order mark, CRLF", "\ufeffservice,account,phone,description,language\r\n17,0042,0710000003,House 4,sw\r\n", []string{house}},
		{"CR alone", "service,account,phone,description,language\r17,0042,0710000003,House 4,sw\r", []string{house}},
		{"semicolons", "service;account;phone;description;language\n17;0042;0710000003;House 4;sw\n", []string{house}},
		{"vertical bars", "service|account|phone|description|language\n17|0042|0710000003|House 4|sw\n", []string{house}},
		{"semicolons, commas in texts", "service;account;phone;description;language\n17;0042;0710000003;House, 4;sw\n", []string{`2 17 0042 +254710000003 "House, 4" sw`}},
		{"tabs", "service\taccount\tphone\tdescription\tlanguage\n17\t0042\t0710000003\tHouse 4\tsw\n", []string{house}},
		{"Excel's Unicode Text", utf16le("service\taccount\tphone\tdescription\tlanguage\r\n17\t0042\t0710000003\tHouse 4 é\tsw\r\n"), []string{`2 17 0042 +254710000003 "House 4 é" sw`}},
		{"UTF-16 without its mark", utf16le("service,account,phone\r\n17,0042,0710000003\r\n")[2:], []string{`2 17 0042 +254710000003 "" `}},
		{"UTF-16 without its mark, the other way round", "\x00p\x00h\x00o\x00n\x00e\x00,\x00a\x00c\x00c\x00,\x00s\x00e\x00r\x00v\x00i\x00c\x00e\x00\n\x000\x007\x001\x000\x000\x000\x000\x000\x000\x003\x00,\x004\x00,\x001\x007",
			[]string{`2 17 4 +254710000003 "" `}},
		{"Excel's hint", "sep=;\nservice;account;phone\n17;0042;0710000003\n", []string{`3 17 0042 +254710000003 "" `}},
		{"no end of the last line", "service,account,phone,description,language\n17,0042,0710000003,House 4,sw", []string{house}},
		{"empty lines", "\n\nservice,account,phone\n\n,,\n \u00a0,,\n17,0042,0710000003\n\n", []string{`7 17 0042 +254710000003 "" `}},
		{"empty columns behind", "service,account,phone,,\n17,0042,0710000003,,,,\n", []string{`2 17 0042 +254710000003 "" `}},
		{"short row", "service,account,phone,description,language\n17,0042,0710000003\n", []string{`2 17 0042 +254710000003 "" `}},
		{"quoted", `service,account,phone,description` + "\n" + `"17" , "0042","0710000003","the ""Shop"", 4"` + "\n", []string{`2 17 0042 +254710000003 "the \"Shop\", 4" `}},
		{"quotation mark inside a text", "service,account,phone,description\n17,0042,0710000003,pipe 5\" wide\n", []string{`2 17 0042 +254710000003 "pipe 5\" wide" `}},
		{"formula cells", "service,account,phone\n17,=\"0042\",=\"0710000003\"\n17,\"=\"\"0043\"\"\",0710000003\n",
			[]string{`2 17 0042 +254710000003 "" `, `3 17 0043 +254710000003 "" `, `mended: apostrophes and ="" 2`}},
		{"apostrophes", "service,account,phone,description\n17,'0042,'0710000003,'t Hof\n17,'0043,'+254710000003,'=5\n",
			[]string{`2 17 0042 +254710000003 "'t Hof" `, `3 17 0043 +254710000003 "=5" `, `mended: apostrophes and ="" 2`}},
		{"odd spaces", "service,account,phone,description\n\u00a017,\u20070042\u200b,0710\u00a0000\u202f003,House\u00a04\n", []string{`2 17 0042 +254710000003 "House 4" `, "mended: spaces 1"}},
		{"direction marks", "service,account,phone\n17,0042,\u202a0710\u200e000003\u202c\n", []string{`2 17 0042 +254710000003 "" `, "mended: spaces 1"}},
		{"language of the service", "service,account,phone,language\n18,0042,0710000003,fr\n", []string{`2 18 0042 +254710000003 "" fr`}},
		{"header only", "service,account,phone\n", []string{}},
		{"line numbers behind a text of two lines", "service,account,phone,notes\n17,0042,0710000003,\"a\r\nb\rc\"\n17,0043,0710000003,\n",
			[]string{`2 17 0042 +254710000003 "" `, `5 17 0043 +254710000003 "" `}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, readBills(t, tt.file, "notes")); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestReadBillsRefusesRows(t *testing.T) {
	const good = `3 17 0043 +254710000003 "" `
	for _, tt := range []struct {
		name, row string
		want      []string
	}{
		{"no phone", "17,0042,", []string{"b.csv:2: phone: every bill needs the number to text, such as +254710000000"}},
		{"no account, and a phone that is none", "17, ,0710FLOWER", []string{
			"b.csv:2: account: is empty: every bill needs one",
			"b.csv:2: phone: has the character 'F': write one number, digits only, such as +254710000000"}},
		{"a word that is no service of the config", "Garbage,0042,0710000003", []string{
			"b.csv:2: service: is no id, and the name of no service of the config: write the id (duewatch services lists them), or name it under services:"}},
		{"a total", ",,,45000", []string{"b.csv:2: has no account and no phone, as a title or a total has none: leave the row out"}},
		{"a total with an account", "17,TOTAL,,45000", []string{"b.csv:2: account: " + isTotal}},
		{"a title", ",BLOCK B,", []string{"b.csv:2: has one cell alone, as a title has: leave the row out"}},
		{"a word for a phone", "17,0042,not available", []string{"b.csv:2: phone: " + NeedsPhone}},
		{"a phone that is masked", "17,0042,2547******01", []string{"b.csv:2: phone: is masked: write all of its digits"}},
		{"a number that stands for none", "17,0042,0700 000 000", []string{
			"b.csv:2: phone: is a number that people write where they have none, such as 07 with zeros behind it: write the customer's, or leave the row out"}},
		{"words that may speak against a phone", "17,0042,0710000003 (wrong number)", []string{
			"b.csv:2: phone: has words beside it that may speak against the number: write the number alone, or leave the row out"}},
		{"no service", ",0042,0710000003", []string{"b.csv:2: service: is empty: every bill needs one"}},
		{"an account that Excel rounded", "17,4.2317E+06,0710000003", []string{
			"b.csv:2: account: was rounded by a spreadsheet, as in 4.2317E+06: format the column as text, and enter it anew"}},
		{"a phone that Excel rounded", "17,0042,\"2,5471E+11\"", []string{
			"b.csv:2: phone: was rounded by a spreadsheet, as in 4.2317E+06: format the column as text, and enter it anew"}},
		{"an account as an amount", "17,42317.0,0710000003", []string{"b.csv:2: account: " + isAmount}},
		{"a formula", "17,=A1&B1,0710000003", []string{"b.csv:2: account: is a formula: store its value instead"}},
		{"an error of the sheet", "17,#N/A,0710000003", []string{"b.csv:2: account: is an error of the spreadsheet: look at its cell, and store a value"}},
		{"a column too narrow", "17,0042,########", []string{"b.csv:2: phone: is an error of the spreadsheet: look at its cell, and store a value"}},
		{"neither UTF-8 nor Windows-1252", "17,0042,0710000003,Caf\x81", []string{"b.csv:2: description: is neither UTF-8 nor Windows-1252: save the file as CSV UTF-8"}},
		{"a language without templates", "17,0042,0710000003,,fr", []string{"b.csv:2: language: fr has no templates: write en or sw, or add it under reminders.templates"}},
		{"a phone for a language", "17,0042,0710000003,,0710000004", []string{"b.csv:2: language: (not a name) has no templates: write en or sw, or add it under reminders.templates"}},
		{"a separator in a text", "17,0042,0710000003,House 4, left,sw", []string{
			"b.csv:2: has something in column 6, which has no name: put a text that holds the separator in quotation marks",
			"b.csv:2: language: left has no templates: write en or sw, or add it under reminders.templates"}},
		{"text behind a quotation mark", `17,"0042"x,0710000003`, []string{
			`b.csv:2: has text behind the quotation mark that closes column 2: double each quotation mark (") that belongs to the text`}},
		{"two lines", "17,\"00\n42\",0710000003", []string{
			"b.csv:2: account: holds a line break or a character that cannot be seen: remove it", `4 17 0043 +254710000003 "" `}},
		{"a control character", "17,00\x0042,0710000003", []string{"b.csv:2: account: holds a line break or a character that cannot be seen: remove it"}},
		{"too long", "17," + strings.Repeat("4", 101) + ",0710000003", []string{"b.csv:2: account: is longer than 100 characters: shorten it"}},
		{"listed in the config", "17,0001,0710000003", []string{"b.csv:2: account: this bill is declared under bills: in the config: take it out in one of the two"}},
		{"a quotation mark that is never closed", `17,"0042,0710000003`, []string{
			`b.csv:2: has a quotation mark (") that is never closed: close it, or double it where it belongs to the text`}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := readBills(t, "service,account,phone,description,language\n"+tt.row+"\n17,0043,0710000003\n")
			if len(tt.want) == 0 || !strings.HasSuffix(tt.want[len(tt.want)-1], `"" `) {
				tt.want = append(tt.want, good)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			for _, line := range got {
				if strings.HasPrefix(line, "b.csv") && digitRun.MatchString(strings.ReplaceAll(line, "+254710000000", "")) {
					t.Errorf("%q repeats a number", line)
				}
			}
		})
	}
}

func TestReadBillsRefusesFiles(t *testing.T) {
	const wanted = "the first line must name the columns, as in service,account,phone,description,language"
	for _, tt := range []struct{ name, file, want string }{
		{"empty", "", "b.csv:1: is empty: " + wanted},
		{"blank lines", "\n\n", "b.csv:1: is empty: " + wanted},
		{"no header", "17,0042,0710000003\n", "b.csv:1: names no column that is known: " + wanted + ", or each is chosen by its number" +
			"\nb.csv:1: type: duewatch import b.csv --columns service=1,account=2,phone=3"},
		{"no header, and an account that is a name", "0710000003,Flat A\n", "b.csv:1: names no column that is known: " + wanted + ", or each is chosen by its number" +
			"\nb.csv:1: ID is one of 17 (Water), 18 (Rent)\nb.csv:1: type: duewatch import b.csv --columns account=2,phone=1 --service ID"},
		{"misspelt", "service,account,fone,phone\n", `b.csv:1: has columns that are not known: "fone" (column 3)
b.csv:1: column 1, "service": the service
b.csv:1: column 2, "account": the account
b.csv:1: column 3, "fone": not known
b.csv:1: column 4, "phone": the phone
b.csv:1: type: duewatch import b.csv --ignore-columns fone`},
		{"a number for a column", "service,account,phone,0710000003\n", `b.csv:1: has columns that are not known: (not a name) (column 4)
b.csv:1: column 1, "service": the service
b.csv:1: column 2, "account": the account
b.csv:1: column 3, "phone": the phone
b.csv:1: column 4, (not a name): not known
b.csv:1: type: duewatch import b.csv --ignore-columns 4`},
		{"missing", "service,phone\n", `b.csv:1: has no column that is known as account
b.csv:1: column 1, "service": the service
b.csv:1: column 2, "phone": the phone
b.csv:1: type: duewatch import b.csv --columns account=COLUMN`},
		{"half a workbook", "PK\x03\x04xyz", "b.csv: is damaged or incomplete: open it in a spreadsheet, and save it as .xlsx or as CSV UTF-8"},
		{
			"an old workbook", "\xd0\xcf\x11\xe0xyz",
			"b.csv: is an .xls workbook, or one with a password: save it as .xlsx without a password, or as CSV UTF-8",
		},
		{"a PDF", "%PDF-1.7\n", "b.csv: is a PDF, of which the columns cannot be read: ask for the list as .xlsx or as CSV UTF-8"},
		{
			"a table of HTML, as programs save it under .xls", "\ufeff\r\n<HTML xmlns:x=\"urn:schemas-microsoft-com:office:excel\"><table>",
			"b.csv: is a web page or XML, whatever its name says: open it in a spreadsheet, and save it as .xlsx or as CSV UTF-8",
		},
		{"bytes that are no text", "s\x00\x00\x00", "b.csv: is not UTF-8 text: save the sheet as CSV UTF-8"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, strings.Join(readBills(t, tt.file), "\n")); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if _, err := ReadBills(strings.NewReader(tt.file), options(t)); err != nil {
				if _, ok := errors.AsType[*FileError](err); !ok {
					t.Errorf("%T, want a *FileError", err)
				}
			}
		})
	}
}

func TestReadBillsReportsWhatReadingMet(t *testing.T) {
	broken := io.MultiReader(strings.NewReader("service,account,phone\n17,0042,0710000003\n"), iotest.ErrReader(errors.New("the disk is gone")))
	r, err := ReadBills(broken, options(t))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Next(); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Next(); err == nil || err.Error() != "read b.csv, from line 3: the disk is gone" {
		t.Errorf("got %v", err)
	}
}

// A quotation mark that is never closed costs its line, and not the rest of a
// long file, nor the memory to hold it.
func TestReadBillsGoesOnBehindAnOpenQuotationMark(t *testing.T) {
	var file strings.Builder
	file.WriteString("service,account,phone,description\n17,0042,0710000003,\"House\n")
	for i := range 20_000 {
		fmt.Fprintf(&file, "17,1%04d,0710000003,\n", i)
	}
	file.WriteString("17,0042,0710000003," + strings.Repeat("long ", 100_000) + "\n17,0043,0710000003,\n")
	got := readBills(t, file.String())
	if len(got) != 20_003 {
		t.Fatalf("%d rows", len(got))
	}
	want := []string{
		`b.csv:2: is longer than 64 KiB, as when a quotation mark (") is never closed: close it`, `3 17 10000 +254710000003 "" `,
		`20002 17 119999 +254710000003 "" `, `b.csv:20003: is longer than 64 KiB, as when a quotation mark (") is never closed: close it`, `20004 17 0043 +254710000003 "" `,
	}
	if diff := cmp.Diff(want, append(got[:2:2], got[20_000:]...)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// generated is a file of rows rows that is never in memory as a whole.
type generated struct {
	rows, row int
	rest      []byte
}

func (g *generated) Read(p []byte) (int, error) {
	for len(g.rest) == 0 {
		switch {
		case g.row == 0:
			g.rest = append(g.rest, "service,account,phone,description,language\n"...)
		case g.row > g.rows:
			return 0, io.EOF
		default:
			g.rest = fmt.Appendf(g.rest[:0], "17,%09d,07100000%02d,House %d,en\n", g.row, g.row%100, g.row)
		}
		g.row++
	}
	n := copy(p, g.rest)
	g.rest = g.rest[n:]
	return n, nil
}

// drain reads to the end and returns how much more is on the heap then, in
// bytes, than at the beginning.
func drain(t testing.TB, rows int) int64 {
	t.Helper()
	o := options(t)
	heap := func() int64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	before, most, good := heap(), int64(0), 0
	r, err := ReadBills(&generated{rows: rows}, o)
	if err != nil {
		t.Fatal(err)
	}
	for {
		row, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil || row.Problems != nil {
			t.Fatalf("%v %v", err, row.Problems)
		}
		good++
		if good%(rows/4) == 0 {
			most = max(most, heap()-before)
		}
	}
	if good != rows {
		t.Fatalf("%d of %d rows", good, rows)
	}
	runtime.KeepAlive(r)
	return most
}

func TestReadBillsHoldsNoFileInMemory(t *testing.T) {
	drain(t, 100) // what the phone tables take, once
	if most := drain(t, 40_000); most > 1<<20 {
		t.Errorf("%d bytes are held for a file of 40,000 rows", most)
	}
}

// A million rows, with the memory that is held on the way.
func BenchmarkReadBills(b *testing.B) {
	drain(b, 100)
	const rows = 1_000_000
	for b.Loop() {
		b.ReportMetric(float64(drain(b, rows)), "heap-B")
	}
	b.ReportMetric(rows*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
}

func TestGuardCellIsTakenOffAgain(t *testing.T) {
	for _, s := range []string{"", "House", "=1+1", "+1", "-1", "@x", "'quoted'", "'=1", "''", "'t Hof"} {
		got, fault := new(cleaner).clean(GuardCell(s), cellText)
		if got != s || fault != "" {
			t.Errorf("%q came back as %q, %q", s, got, fault)
		}
		if s != "" && !strings.ContainsAny(s[:1], "@=+-") {
			continue
		}
		if got := GuardCell(s); s != "" && got[0] != '\'' {
			t.Errorf("%q stands as %q", s, got)
		}
	}
}

var digitRun = regexp.MustCompile(`[0-9]{7,}`)

// FuzzReadBills: whatever the file holds, reading ends, each line is told of at
// most once as a bill, and what is taken can be used.
func FuzzReadBills(f *testing.F) {
	for _, s := range []string{
		"service,account,phone\n17,0042,0710000003\n", "\ufeffservice;account;phone;description\r\n17;\"a\"\"b\r\n\";=\"0710000003\";'=x", utf16le("service\taccount\tphone\n17\t1\t0710000003"),
		"sep=,\nservice,account,phone\n\"17\"x,,\n17,4E+10,1", "account,phone,service\r17,\"", "PK\x03\x04", "\xff\xfe", "service,account,phone,,,\n,,,,,,\n\x00",
	} {
		f.Add(s)
	}
	o := options(f, "notes")
	f.Fuzz(func(t *testing.T, file string) {
		r, err := ReadBills(strings.NewReader(file), o)
		if err != nil {
			if _, ok := errors.AsType[*FileError](err); !ok {
				t.Fatalf("%T: %v", err, err)
			}
			return
		}
		// One byte at a time is the same file.
		slow, err := ReadBills(iotest.OneByteReader(strings.NewReader(file)), o)
		if err != nil {
			t.Fatal(err)
		}
		last := 0
		for {
			row, err := r.Next()
			again, slowErr := slow.Next()
			if diff := cmp.Diff(row, again, cmp.Comparer(func(a, b reminder.Phone) bool { return a == b }), cmp.Comparer(func(a, b reminder.Date) bool { return a == b })); diff != "" || (err == nil) != (slowErr == nil) {
				t.Fatalf("read slowly it is another file: %v, %v\n%s", err, slowErr, diff)
			}
			if errors.Is(err, io.EOF) {
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if row.Line <= last || row.Line > 1+strings.Count(file, "\n")+strings.Count(file, "\r") {
				t.Fatalf("line %d after %d", row.Line, last)
			}
			last = row.Line
			if b := row.Bill; row.Problems == nil {
				if b.Phone == "" || LabelFault(b.Service, MaxID, true)+LabelFault(b.Account, MaxID, true)+LabelFault(b.Description, MaxDescription, false) != "" {
					t.Fatalf("taken: %+v", b)
				}
				// What was taken is taken back from a file that we write.
				if got, fault := new(cleaner).clean(GuardID(b.Account), cellNumber); got != b.Account || fault != "" {
					t.Fatalf("account %q is written as %q and read as %q, %q", b.Account, GuardID(b.Account), got, fault)
				}
				if got, fault := new(cleaner).clean(GuardCell(b.Description), cellText); got != b.Description || fault != "" {
					t.Fatalf("%q is written as %q and read as %q, %q", b.Description, GuardCell(b.Description), got, fault)
				}
			}
		}
	})
}
