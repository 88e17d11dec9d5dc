package importer

import (
	"archive/zip"
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"duewatch/reminder"
)

const (
	officeRelation = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
	mainSpace      = `xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main" xmlns:r="` + officeRelation + `"`
)

// parts are the parts of a workbook with one sheet of these rows, as Excel lays
// them out. Style 0 is General; the other styles are 1 to n of formats, which are
// custom ones.
func parts(rows, texts string, formats ...string) map[string]string {
	numbers, cells := "", `<xf numFmtId="0"/>`
	for i, f := range formats {
		var code bytes.Buffer
		if err := xml.EscapeText(&code, []byte(f)); err != nil {
			panic(err)
		}
		numbers += fmt.Sprintf(`<numFmt numFmtId="%d" formatCode='%s'/>`, 164+i, code.String())
		cells += fmt.Sprintf(`<xf numFmtId="%d" fontId="0" applyNumberFormat="1"/>`, 164+i)
	}
	relation := func(id, role, target string) string {
		return `<Relationship Id="` + id + `" Type="` + officeRelation + `/` + role + `" Target="` + target + `"/>`
	}
	const relations = `<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">%s</Relationships>`
	return map[string]string{
		"[Content_Types].xml": `<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"/>`,
		"_rels/.rels":         fmt.Sprintf(relations, relation("rId1", "officeDocument", "xl/workbook.xml")),
		"xl/workbook.xml":     `<workbook ` + mainSpace + `><sheets><sheet name="Tenants" sheetId="1" r:id="rId1"/></sheets></workbook>`,
		"xl/_rels/workbook.xml.rels": fmt.Sprintf(relations, relation("rId1", "worksheet", "worksheets/sheet1.xml")+
			relation("rId2", "styles", "styles.xml")+relation("rId3", "sharedStrings", "/xl/sharedStrings.xml")),
		"xl/styles.xml": `<styleSheet ` + mainSpace + `><numFmts>` + numbers + `</numFmts><cellStyleXfs><xf numFmtId="14"/></cellStyleXfs>` +
			`<cellXfs>` + cells + `</cellXfs></styleSheet>`,
		"xl/sharedStrings.xml":     `<sst ` + mainSpace + `>` + texts + `</sst>`,
		"xl/worksheets/sheet1.xml": `<worksheet ` + mainSpace + `><sheetData>` + rows + `</sheetData></worksheet>`,
	}
}

// zipped is a zip of the parts.
func zipped(t testing.TB, parts map[string]string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, name := range slices.Sorted(maps.Keys(parts)) {
		part, err := w.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(part, parts[name]); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// readSheet reads a sheet to its end: each row with its number, its cells between
// bars, and each fault behind an exclamation mark.
func readSheet(file []byte, wanted string) []string {
	r, err := newWorkbookRows(bytes.NewReader(file), wanted)
	if err != nil {
		return []string{err.Error()}
	}
	lines := []string{}
	for {
		cells, line, err := r.next()
		if errors.Is(err, io.EOF) {
			return lines
		}
		if err != nil {
			lines = append(lines, fmt.Sprintf("%d: %v", line, err))
			if _, goesOn := errors.AsType[rowFault](err); goesOn {
				continue
			}
			return lines
		}
		var shown []string
		for _, c := range cells {
			if c.fault != "" && c.text == "" {
				c.fault += " (the row seems to be empty)"
			}
			if c.fault != "" {
				c.text = "!" + c.fault
			}
			shown = append(shown, c.text)
		}
		lines = append(lines, fmt.Sprintf("%d: %s", line, strings.Join(shown, "|")))
	}
}

func TestWorkbooksOfTheUsualProgramsAreRead(t *testing.T) {
	excel := parts(`<row r="1" spans="1:3"><c r="A1" t="s"><v>0</v></c><c r="B1" t="s"><v>1</v></c><c r="C1" t="s"><v>2</v></c></row>`+
		`<row r="3" hidden="1"><c r="A3" s="1"><v>42</v></c><c r="C3"><v>254710000011</v></c></row>`+
		`<row r="4"><c r="A4" t="s"><v>3</v></c><c r="B4" s="1"/><c r="C4"><v>2.54710000012E11</v></c></row>`,
		`<si><t>account</t></si><si><t xml:space="preserve"> name </t></si><si><t>phone</t></si>`+
			`<si><r><rPr><b/></rPr><t>00</t></r><r><t>42_x000D_</t></r><rPh sb="0" eb="1"><t>aid</t></rPh></si>`,
		"0000000")
	google := parts(`<row r="1"><c r="A1" s="0" t="str"><f>"00"&amp;"42"</f><v>0042</v></c>`+
		`<c r="C1" t="inlineStr"><is><t>Amina</t></is></c></row>`+
		`<row r="2"><c r="A2" t="str"><f>IF(1,"","")</f><v></v></c><c r="B2"><f>6*7</f><v>42</v></c></row>`, "")
	delete(google, "xl/sharedStrings.xml")
	google["xl/_rels/workbook.xml.rels"] = strings.Replace(google["xl/_rels/workbook.xml.rels"], "sharedStrings", "theme", 1)
	bare := parts(`<row><c t="inlineStr"><is><r><t>a</t></r><r><t>b</t></r></is></c><c><v>7</v></c></row><row/><row><c><v>8</v></c></row>`, "")
	merged := parts(`<row r="1"><c r="A1" t="inlineStr"><is><t>Block A</t></is></c></row>`+
		`<row r="2"><c r="A2"/><c r="B2"><v>2</v></c></row>`, "")
	merged["xl/worksheets/sheet1.xml"] = strings.Replace(merged["xl/worksheets/sheet1.xml"], "</sheetData>",
		`</sheetData><mergeCells count="1"><mergeCell ref="A1:A2"/></mergeCells>`, 1)
	strict := map[string]string{}
	for name, text := range excel {
		strict[strings.ReplaceAll(strings.ToUpper(name[:1])+name[1:], "/", `\`)] =
			strings.ReplaceAll(text, officeRelation, "http://purl.oclc.org/ooxml/officeDocument/relationships")
	}
	excelRows := []string{"1: account| name |phone", "3: 0000042||254710000011", "4: 0042\r||254710000012"}
	for name, c := range map[string]struct {
		parts map[string]string
		want  []string
	}{
		"Excel: shared and rich texts, a gap of rows, a hidden row":   {excel, excelRows},
		"Excel's strict edition, names in another case, backslashes":  {strict, excelRows},
		"Google Sheets: formulas with a text, inline texts":           {google, []string{"1: 0042||Amina", "2: |42"}},
		"a report program: nothing says where it stands":              {bare, []string{"1: ab|7", "3: 8"}},
		"merged cells: the first has the value, the others have none": {merged, []string{"1: Block A", "2: |2"}},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, readSheet(zipped(t, c.parts), "")); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestNumberOfACellIsReadAsItsFormatShowsIt(t *testing.T) {
	const anew = " (cell B7): format the column as text, and type the value again"
	const date, other = "!is a date or a time" + anew, "!is a number that its format shows as something else" + anew
	for _, c := range []struct{ format, value, want string }{
		{"General", "254710000011", "254710000011"},
		{"General", "0", "0"},
		{"General", "1E+3", "1000"},
		{"General", "2.5471000001100000E11", "254710000011"},
		{"General", "999999999999999", "999999999999999"},
		{"General", "1000000000000000", "!has more than 15 digits, of which a spreadsheet keeps the first 15" + anew},
		{"General", "1e999", "!is not readable" + anew},
		{"General", "42.5", "!is a fraction" + anew},
		{"General", "-42", "!is a negative number" + anew},
		{"General", "0x2A", "!is not readable" + anew},
		{"General", "NaN", "!is not readable" + anew},
		{"@", "42", "42"},
		{"0000000", "42", "0000042"},
		{"0000000", "123456789", "123456789"},
		{"000 0000", "42", "0000042"},
		{"0#########", "710000021", "0710000021"},
		{"0#########", "7100021", other},
		{"#,###", "1042", "1042"},
		{"#,###", "0", other},
		{"#,#00", "4", "04"},
		{strings.Repeat("0", 200), "42", other},
		{`[$-409]0000;[Red]-0000`, "42", "0042"},
		{"#,##0.00", "1042", "1042"},
		{`_-* #,##0_-;\-* #,##0_-;_-* "-"??_-;_-@_-`, "1042", "1042"},
		{`_-* #,##0_-;\-* #,##0_-;_-* "-"??_-;_-@_-`, "0", other},
		{"0;-0;;@", "0", other},
		{"0.00E+00", "254710000011", "254710000011"},
		{"# ?/?", "42", other},
		{"0%", "42", other},
		{"#,##0,", "42000", other},
		{`"ACC-"0000`, "42", other},
		{`\A0000`, "42", other},
		{"000-000", "42", other},
		{`[$KSh] #,##0`, "42", other},
		{"[<=9999999]0000000;000000000", "42", other},
		{"[Blue", "42", other},
		{"dd/mm/yyyy", "46354", date},
		{`[$-409]d\ mmm\ yyyy;@`, "46354", date},
		{"[h]:mm", "1", date},
		{`"due" mmmm`, "46354", date},
		{`"days"0`, "3", other},
	} {
		t.Run(c.format+" of "+c.value, func(t *testing.T) {
			file := zipped(t, parts(`<row r="7"><c r="A7"><v>1</v></c><c r="B7" s="1"><v>`+c.value+`</v></c></row>`, "", c.format))
			if diff := cmp.Diff([]string{"7: 1|" + c.want}, readSheet(file, "")); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestDatesOfBuiltInFormatsAreRefusedInEitherSystemOfDates(t *testing.T) {
	for _, date1904 := range []string{"", `<workbookPr date1904="1"/>`} {
		for _, id := range []int{14, 17, 22, 31, 45, 57} {
			p := parts(`<row r="1"><c r="AB1" s="1"><v>46354</v></c></row>`, "", "General")
			p["xl/styles.xml"] = strings.ReplaceAll(p["xl/styles.xml"], `xf numFmtId="164"`, fmt.Sprintf(`xf numFmtId="%d"`, id))
			p["xl/workbook.xml"] = strings.Replace(p["xl/workbook.xml"], "<sheets>", date1904+"<sheets>", 1)
			want := []string{"1: " + strings.Repeat("|", 27) +
				"!is a date or a time (cell AB1): format the column as text, and type the value again"}
			if diff := cmp.Diff(want, readSheet(zipped(t, p), "")); diff != "" {
				t.Errorf("format %d: %s", id, diff)
			}
		}
	}
}

func TestCellThatIsNoTextOrNumberIsRefused(t *testing.T) {
	for content, want := range map[string]string{
		`t="e"><v>#N/A</v>`:               "is an error of the spreadsheet",
		`t="b"><v>1</v>`:                  "is TRUE or FALSE",
		`t="d"><v>2026-11-27</v>`:         "is a date or a time",
		`><f>A1+1</f>`:                    "is a formula without a value",
		`><f>A1+1</f><v/>`:                "is a formula without a value",
		`t="str"><f>A1</f>`:               "is a formula without a value",
		`t="later"><v>1</v>`:              "is of a kind that is not known",
		`s="99999"><v>0.5</v>`:            "is a fraction",
		`t="n"><v>12 34</v>`:              "is not readable",
		`t="e"><f>B1/0</f><v>#DIV/0!</v>`: "is an error of the spreadsheet",
	} {
		file := zipped(t, parts(`<row r="2"><c r="A2" `+content+`</c></row>`, ""))
		do := "format the column as text, and type the value again"
		if strings.Contains(want, "formula") {
			do = "open the workbook in a spreadsheet, and save it"
		}
		want := []string{"2: !" + want + " (cell A2): " + do}
		if diff := cmp.Diff(want, readSheet(file, "")); diff != "" {
			t.Errorf("%s: %s", content, diff)
		}
	}
}

// severalSheets has a hidden sheet, a chart, and two that are seen.
func severalSheets() map[string]string {
	p := parts("", "")
	sheet := func(text string) string {
		return `<worksheet ` + mainSpace + `><sheetData><row><c t="inlineStr"><is><t>` + text + `</t></is></c></row></sheetData></worksheet>`
	}
	for i, text := range []string{"hidden", "chart", "tenants", "2025"} {
		p[fmt.Sprintf("xl/worksheets/sheet%d.xml", i+1)] = sheet(text)
	}
	p["xl/workbook.xml"] = `<workbook ` + mainSpace + `><sheets><sheet name="Old" state="hidden" r:id="a"/><sheet name="Chart" r:id="b"/>` +
		`<sheet name="Tenants" r:id="c"/><sheet name="1" r:id="d"/></sheets></workbook>`
	relations := ""
	for i, role := range []string{"worksheet", "chartsheet", "worksheet", "worksheet"} {
		relations += fmt.Sprintf(`<Relationship Id="%c" Type="%s/%s" Target="worksheets/sheet%d.xml"/>`, 'a'+i, officeRelation, role, i+1)
	}
	p["xl/_rels/workbook.xml.rels"] = `<Relationships>` + relations + `</Relationships>`
	return p
}

func TestSheetIsPickedByNameOrNumber(t *testing.T) {
	file := zipped(t, severalSheets())
	for wanted, want := range map[string]string{
		"":        "1: tenants", // the first that is seen
		"TENANTS": "1: tenants",
		"old":     "1: hidden",
		"1":       "1: 2025", // a name goes before a number
		"2":       "1: tenants",
		"4":       `the file has no sheet of that name or number: it has 1 "Old", 2 "Tenants", 3 "1"`,
		"Chart":   `the file has no sheet of that name or number: it has 1 "Old", 2 "Tenants", 3 "1"`,
	} {
		if diff := cmp.Diff([]string{want}, readSheet(file, wanted)); diff != "" {
			t.Errorf("%q: %s", wanted, diff)
		}
	}
}

func TestWorkbookThatCannotBeReadIsRefusedWithWhatToDo(t *testing.T) {
	whole := zipped(t, parts(`<row><c><v>1</v></c></row>`, ""))
	const damaged = "is damaged or incomplete: open it in a spreadsheet, and save it as .xlsx or as CSV UTF-8"
	for name, c := range map[string]struct {
		file []byte
		want string
	}{
		"an upload that broke off": {whole[:len(whole)-30], damaged},
		"not a zip at all":         {[]byte("PK\x03\x04 and no more"), damaged},
		"an .ods":                  {zipped(t, map[string]string{"mimetype": "application/vnd.oasis.opendocument"}), "is an OpenDocument file (.ods)"},
		"an .xlsb":                 {zipped(t, map[string]string{"xl/workbook.bin": ""}), "is a binary workbook (.xlsb)"},
		"a zip of a CSV file":      {zipped(t, map[string]string{"list.csv": ""}), "is a zip without a workbook in it: unpack it"},
		"a part that is missing":   {zipped(t, map[string]string{"[Content_Types].xml": ""}), damaged},
	} {
		if got := readSheet(c.file, ""); len(got) != 1 || !strings.HasPrefix(got[0], "the file "+c.want) {
			t.Errorf("%s: got %q", name, got)
		}
	}
}

func TestSheetThatIsNotWholeGivesNoEnd(t *testing.T) {
	const good = `<row r="2"><c r="A2"><v>1</v></c></row>`
	for name, change := range map[string]func(p map[string]string){
		"the sheet breaks off": func(p map[string]string) {
			p["xl/worksheets/sheet1.xml"] = strings.TrimSuffix(p["xl/worksheets/sheet1.xml"], "</worksheet>")
		},
		"rows go back":             func(p map[string]string) { addRow(p, `<row r="1"><c><v>1</v></c></row>`) },
		"cells go back":            func(p map[string]string) { addRow(p, `<row r="3"><c r="B3"/><c r="B3"/></row>`) },
		"a cell of another row":    func(p map[string]string) { addRow(p, `<row r="3"><c r="A4"><v>1</v></c></row>`) },
		"a text that is not there": func(p map[string]string) { addRow(p, `<row r="3"><c r="A3" t="s"><v>0</v></c></row>`) },
		"text -1":                  func(p map[string]string) { addRow(p, `<row r="3"><c r="A3" t="s"><v>-1</v></c></row>`) },
		"an entity of its own":     func(p map[string]string) { addRow(p, `<row r="3"><c r="A3" t="str"><v>&own;</v></c></row>`) },
	} {
		p := parts(good, "")
		change(p)
		got := readSheet(zipped(t, p), "")
		if len(got) != 2 || got[0] != "2: 1" || !strings.Contains(got[1], "is damaged or incomplete") {
			t.Errorf("%s: got %q", name, got)
		}
	}
}

func TestChangedByteOfASheetGivesNoEnd(t *testing.T) {
	p := parts(`<row r="2"><c r="A2"><v>1042</v></c></row>`, "")
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, name := range slices.Sorted(maps.Keys(p)) {
		part, err := w.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Store})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(part, p[name]); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	got := readSheet(bytes.Replace(b.Bytes(), []byte("<v>1042<"), []byte("<v>1043<"), 1), "")
	if last := got[len(got)-1]; !strings.Contains(last, "is damaged or incomplete") {
		t.Errorf("got %q", got)
	}
}

func addRow(p map[string]string, row string) {
	p["xl/worksheets/sheet1.xml"] = strings.Replace(p["xl/worksheets/sheet1.xml"], "</sheetData>", row+"</sheetData>", 1)
}

func TestRowThatIsTooLongCostsThatRowAlone(t *testing.T) {
	cell := func(ref, text string) string {
		return `<c r="` + ref + `" t="inlineStr"><is><t>` + text + `</t></is></c>`
	}
	file := zipped(t, parts(`<row r="1">`+cell("A1", strings.Repeat("x", maxCSVRow+1))+`</row>`+
		`<row r="2">`+cell("A2", "a")+cell("XFD2", "far")+`</row>`+
		`<row r="3">`+cell("A3", "b")+`<c r="XFD3"/></row>`, ""))
	const long = "is longer than 64 KiB or 256 columns: remove what does not belong to the list"
	if diff := cmp.Diff([]string{"1: " + long, "2: " + long, "3: b"}, readSheet(file, "")); diff != "" {
		t.Error(diff)
	}
}

func TestWorkbookMadeToExhaustMemoryIsRefused(t *testing.T) {
	bomb := func(change func(p map[string]string)) []byte {
		p := parts(`<row><c><v>1</v></c></row>`, "")
		change(p)
		return zipped(t, p)
	}
	sheet := func(text string) func(p map[string]string) {
		return func(p map[string]string) { addRow(p, text) }
	}
	many := zipped(t, map[string]string{})
	many = append(many, bytes.Repeat([]byte("PK\x01\x02"), maxZipParts+1)...)
	for name, file := range map[string][]byte{
		"a tag of many MB":  bomb(sheet(`<x a="` + strings.Repeat("x", 2<<20) + `"/>`)),
		"a text of many MB": bomb(sheet(`<row><c t="str"><v>` + strings.Repeat("x", 2<<20) + `</v></c></row>`)),
		"tags within tags":  bomb(sheet(strings.Repeat("<x>", 100) + strings.Repeat("</x>", 100))),
		"a row far below":   bomb(sheet(`<row r="1048577"/>`)),
		"styles of many MB": bomb(func(p map[string]string) { p["xl/styles.xml"] += strings.Repeat(" ", maxSmallPart) }),
		"texts of many MB": bomb(func(p map[string]string) {
			p["xl/sharedStrings.xml"] = `<sst>` + strings.Repeat(`<si><t>`+strings.Repeat("x", 32<<10)+`</t></si>`, 2049) + `</sst>`
		}),
		"more than is taken": bytes.Repeat([]byte("PK\x03\x04"), maxWorkbook/4+1),
		"parts beyond count": many,
	} {
		got := readSheet(file, "")
		if last := got[len(got)-1]; !strings.Contains(last, "is larger than any list") {
			t.Errorf("%s: got %.200q", name, last)
		}
	}
}

func TestWorkbookIsNotReadBeyondWhatItMayUnpackTo(t *testing.T) {
	file := zipped(t, parts("", strings.Repeat("<si/>", 10_000)))
	for name, c := range map[string]struct {
		limit func(w *workbook)
		want  error
	}{
		"within both":      {func(*workbook) {}, nil},
		"too many bytes":   {func(w *workbook) { w.unpacked = 20_000 }, errTooLarge},
		"too many tags":    {func(w *workbook) { w.tokens = 20_000 }, errTooLarge},
		"one tag for each": {func(w *workbook) { w.tokens = 20_002 }, nil},
	} {
		w, err := openWorkbook(bytes.NewReader(file))
		if err != nil {
			t.Fatal(err)
		}
		c.limit(w)
		if _, err := w.sharedTexts("xl/sharedStrings.xml"); !errors.Is(err, c.want) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

// tenants has the columns of a real list: a title, a month as a header, a due date
// and a balance that nobody imports.
func tenants(more string) map[string]string {
	text := func(ref, s string) string { return `<c r="` + ref + `" t="inlineStr"><is><t>` + s + `</t></is></c>` }
	return parts(`<row r="1">`+text("A1", "Tenants")+`</row><row r="3">`+text("A3", "Acc No")+text("B3", "Phone")+text("C3", "Due")+
		`<c r="D3" s="1"><v>46023</v></c></row>`+
		`<row r="4"><c r="A4" s="2"><v>42</v></c><c r="B4"><v>710000021</v></c><c r="C4" s="1"><v>46354</v></c><c r="D4"><v>2315.5</v></c></row>`+
		`<row r="5"><c r="A5" s="1"><v>46354</v></c><c r="B5"><v>710000022</v></c></row>`+
		`<row r="6"><c r="A6" s="1"/></row><row r="7"><c r="A7"><f>SUM(A1)</f></c></row>`+more, "", "mmm-yy", "0000")
}

func TestReadBillsOfAWorkbook(t *testing.T) {
	o := options(t, "Due", "4")
	o.Name, o.Columns.Service = "b.xlsx", "17"
	want := []string{
		`service 17 for every row, account from "Acc No" (column 1), phone from "Phone" (column 2); left out: "Due", (not a name)`,
		`4 17 0042 +254710000021 "" `,
		"b.xlsx:5: account: is a date or a time (cell A5): format the column as text, and type the value again",
		"b.xlsx:7: account: is a formula without a value (cell A7): open the workbook in a spreadsheet, and save it",
		"b.xlsx:7: phone: " + NeedsPhone,
	}
	if diff := cmp.Diff(want, readBillsWith(t, string(zipped(t, tenants(""))), o)); diff != "" {
		t.Error(diff)
	}
	damaged := readBillsWith(t, string(zipped(t, tenants(`<row r="8"><c r="A8" t="s"><v>5</v></c></row>`))), o)
	if diff := cmp.Diff(append(want, "read b.xlsx, from line 8: the file "+string(errDamaged)), damaged); diff != "" {
		t.Error(diff)
	}
}

func TestProgressOfAWorkbookEndsWithTheFile(t *testing.T) {
	file := largeWorkbook(t, 5000)
	noDoubles := func([]reminder.ListedBill) (map[int]int, error) { return nil, nil }
	b, err := ReadBatches(bytes.NewReader(file), options(t), noDoubles)
	if err != nil {
		t.Fatal(err)
	}
	b.Size = 2000
	var read []int64
	err = b.Each(t.Context(), func(b Batch) error {
		if b.BadRows > 0 {
			t.Errorf("refused: %v", b.Bad[0])
		}
		read = append(read, 100*b.Read/int64(len(file)))
		return nil
	})
	if err != nil || len(read) != 3 || read[0] > 45 || read[1] > 85 || read[1] <= read[0] || read[2] != 100 {
		t.Errorf("got %d %% of the file, and %v", read, err)
	}
}

func FuzzWorkbook(f *testing.F) {
	for _, p := range []map[string]string{
		severalSheets(),
		parts(`<row r="1"><c r="A1" t="s"><v>0</v></c><c r="B1" s="1"><v>42</v></c><c r="D1" t="b"><v>1</v></c></row>`,
			"<si><t>a_x000D_</t></si>", "0000"),
	} {
		for _, name := range slices.Sorted(maps.Keys(p)) {
			f.Add(p["xl/worksheets/sheet1.xml"], p["xl/sharedStrings.xml"], p["xl/styles.xml"], p["xl/workbook.xml"],
				zipped(f, map[string]string{name: p[name]}))
		}
	}
	f.Fuzz(func(t *testing.T, sheet, texts, styles, book string, file []byte) {
		p := parts("", "")
		p["xl/worksheets/sheet1.xml"], p["xl/sharedStrings.xml"], p["xl/styles.xml"], p["xl/workbook.xml"] = sheet, texts, styles, book
		for _, data := range [][]byte{file, zipped(t, p)} {
			r, err := newWorkbookRows(bytes.NewReader(data), "")
			if err != nil {
				continue
			}
			for last := 0; ; {
				cells, line, err := r.next()
				if _, long := errors.AsType[rowFault](err); err != nil && !long {
					break
				}
				size := 0
				for _, c := range cells {
					size += len(c.text)
				}
				if line <= last || line > maxSheetRows || len(cells) > maxSheetColumns || size > maxCSVRow {
					t.Fatalf("row %d behind %d has %d cells of %d bytes", line, last, len(cells), size)
				}
				last = line
			}
		}
	})
}

// largeWorkbook has a header and so many rows of bills, as Excel writes them.
func largeWorkbook(t testing.TB, rows int) []byte {
	var b, texts strings.Builder
	chance := rand.New(rand.NewPCG(1, 2))
	names := []string{"service", "account", "phone", "description"}
	for _, name := range names {
		fmt.Fprintf(&texts, "<si><t>%s</t></si>", name)
	}
	b.WriteString(`<row r="1"><c r="A1" t="s"><v>0</v></c><c r="B1" t="s"><v>1</v></c>` +
		`<c r="C1" t="s"><v>2</v></c><c r="D1" t="s"><v>3</v></c></row>`)
	for i := range rows {
		fmt.Fprintf(&texts, "<si><t>0%09d</t></si><si><t>House %d</t></si>", i, chance.IntN(rows))
		fmt.Fprintf(&b, `<row r="%[1]d"><c r="A%[1]d"><v>17</v></c><c r="B%[1]d" t="s"><v>%[2]d</v></c>`+
			`<c r="C%[1]d"><v>2547100000%02[3]d</v></c>`+
			`<c r="D%[1]d" t="s"><v>%[4]d</v></c></row>`, i+2, 4+2*i, i%100, 5+2*i)
	}
	return zipped(t, parts(b.String(), texts.String()))
}

func BenchmarkWorkbook(b *testing.B) {
	const rows = 200_000
	file := largeWorkbook(b, rows)
	b.ReportMetric(float64(len(file))/(1<<20), "MB")
	for b.Loop() {
		r, err := newWorkbookRows(bytes.NewReader(file), "")
		if err != nil {
			b.Fatal(err)
		}
		n := 0
		for ; err == nil; n++ {
			_, _, err = r.next()
		}
		if !errors.Is(err, io.EOF) || n != rows+2 {
			b.Fatal(n, err)
		}
	}
	b.ReportMetric(float64(b.N)*rows/b.Elapsed().Seconds(), "rows/s")
}
