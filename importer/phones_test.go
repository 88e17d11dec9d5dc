package importer

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestReadPhones(t *testing.T) {
	for _, tt := range []struct {
		name, file string
		want       []string
	}{
		{"one a line", "0710000001\n\n# at the counter, \"today\n 0710000002\r\n", []string{"1 0710000001 ", "4 0710000002 "}},
		{"with a service", "0710000001, 17\n0710000002;18;\n0710000003\t\"19\"", []string{"1 0710000001 17", "2 0710000002 18", "3 0710000003 19"}},
		{"with a heading", "\xef\xbb\xbfPhone;Service\r\n0710000001;\r\n", []string{
			`service from "Service" (column 2), phone from "Phone" (column 1)`, "2 0710000001 "}},
		{"a heading further down", "0710000001\nphone\n", []string{"1 0710000001 ", "2 phone "}},
		{"from a Mac, and a spreadsheet", "0710\u00a0000\u00a0001\r=\"0710000002\"\r'0710000003\r\u202a+254710000004\u202c\r", []string{
			"1 0710 000 001 ", "2 0710000002 ", "3 0710000003 ", "4 +254710000004 "}},
		{"UTF-16", "\xff\xfe0\x001\x00\n\x00", []string{"1 01 "}},
		{"what is wrong", "2.5471E+11\n0710000002,17,Jane\n\"0710000003\n=A1\n0710000004", []string{
			"1: the phone was rounded by a spreadsheet, as in 4.2317E+06: format the column as text, and enter it anew",
			"2: has more than a phone and a service id: remove the rest, or name the columns in the first line",
			`3: has a quotation mark (") that is never closed: close it, or double it where it belongs to the text`,
			"4: the phone is a formula: store its value instead", "5 0710000004 "}},
		{"nothing", "", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, readPhones(tt.file, ColumnChoice{})); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// readPhones reads a whole list; its lines are phones and what is wrong.
func readPhones(file string, choice ColumnChoice) (all []string) {
	r, err := ReadPhones(strings.NewReader(file), "s.txt", choice)
	if err != nil {
		return strings.Split(err.Error(), "\n")
	}
	if said := r.Columns().String(); said != "" {
		all = append(all, said)
	}
	for {
		row, err := r.Next()
		switch {
		case errors.Is(err, io.EOF):
			return all
		case err != nil:
			return append(all, err.Error())
		case row.Fault != "":
			all = append(all, fmt.Sprintf("%d: %s", row.Line, row.Fault))
		default:
			all = append(all, fmt.Sprintf("%d %s %s", row.Line, row.Phone, row.Service))
		}
	}
}

func TestAListOfPhonesMayBeATable(t *testing.T) {
	for _, tt := range []struct {
		name, file string
		choice     ColumnChoice
		want       []string
	}{
		{"a column that is known", "Name;Phone No.;Reason\nA, B;0710000001;asked\n# C;0710000002;\nD;;moved\n", ColumnChoice{}, []string{
			`phone from "Phone No." (column 2); left out: "Name", "Reason"`, "2 0710000001 ", "4: has no phone: write one, or leave the row out"}},
		{"below a title", "Stop list of November,,\n,,\nService,Simu,Jina\n17,0710000001,A\n", ColumnChoice{}, []string{
			`service from "Service" (column 1), phone from "Simu" (column 2); left out: "Jina"`, "4 0710000001 17"}},
		{"a column that is chosen", "Name,Who\nA,0710000001 (wife)\n", ColumnChoice{Of: map[string]string{"phone": "who"}}, []string{
			`phone from "Who" (column 2); left out: "Name"`, "2 0710000001 "}},
		{"a column that is chosen, without a header", "A,0710000001\nB,0710000002\n", ColumnChoice{Of: map[string]string{"phone": "2"}}, []string{
			`phone from column 2`, "1 0710000001 ", "2 0710000002 "}},
		{"two columns that may be it", "Phone,Mobile\n0710000001,0710000002\n", ColumnChoice{}, []string{
			`s.txt:1: has 2 columns that may be the phone, "Phone" (column 1), "Mobile" (column 2): choose one, as in --columns phone=1; import the list once for each to add both`}},
		{"a column that is not there", "Phone,Mobile\n", ColumnChoice{Of: map[string]string{"phone": "Cell"}}, []string{`s.txt:1: has no column "Cell", which is chosen for phone`}},
		{"a column that a list of phones has not", "Phone\n", ColumnChoice{Of: map[string]string{"account": "1"}}, []string{
			"s.txt: is a list of phones: choose columns for phone and service alone"}},
		{"words beside phones", "tel:+254710000001\n0710000002 (do not call)\n0710FLOWER\n", ColumnChoice{}, []string{"1 +254710000001 ", "2 0710000002 ", "3 0710FLOWER "}},
		{"half a workbook", "PK\x03\x04", ColumnChoice{}, []string{"s.txt: is damaged or incomplete: open it in a spreadsheet, and save it as .xlsx or as CSV UTF-8"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, readPhones(tt.file, tt.choice)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// FuzzPhones: whatever a list and a choice of its column are, a row has something
// in it or a fault, and what the columns were taken for is one line.
func FuzzPhones(f *testing.F) {
	f.Add("0710000001\n\n# at the counter, \"today\n0710000002;17\n", "")
	f.Add("Title,,\nService,Simu,Jina\n17,0710000001,A\n", "")
	f.Add("A|tel:0710000001 (wife)\n", "2")
	f.Add("Phone,Mobile\n0710000001,0710000001\n", "Mobile")
	f.Add("\x00p\x00h\x00o\x00n\x00e\x00\n", "phone")
	f.Fuzz(func(t *testing.T, file, column string) {
		choice := ColumnChoice{}
		if column != "" {
			choice.Of = map[string]string{"phone": column}
		}
		r, err := ReadPhones(strings.NewReader(file), "s.txt", choice)
		if err != nil {
			if fault, ok := errors.AsType[*FileError](err); !ok || len(fault.Problems) == 0 {
				t.Fatalf("%T: %v", err, err)
			}
			return
		}
		if strings.Contains(r.Columns().String(), "\n") {
			t.Fatalf("%q is not one line", r.Columns())
		}
		for last := 0; ; {
			row, err := r.Next()
			if err != nil {
				return
			}
			if row.Phone == "" && row.Service == "" && row.Fault == "" {
				t.Fatalf("line %d is empty and has no fault", row.Line)
			}
			if row.Line <= last {
				t.Fatalf("line %d comes behind line %d", row.Line, last)
			}
			last = row.Line
		}
	})
}
