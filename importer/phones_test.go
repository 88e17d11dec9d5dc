package importer

import (
	"fmt"
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
		{"with a heading", "\xef\xbb\xbfPhone;Service\r\n0710000001;\r\n", []string{"2 0710000001 "}},
		{"a heading further down", "0710000001\nphone\n", []string{"1 0710000001 ", "2 phone "}},
		{"from a Mac, and a spreadsheet", "0710\u00a0000\u00a0001\r=\"0710000002\"\r'0710000003\r\u202a+254710000004\u202c\r", []string{
			"1 0710 000 001 ", "2 0710000002 ", "3 0710000003 ", "4 +254710000004 "}},
		{"UTF-16", "\xff\xfe0\x001\x00\n\x00", []string{"1 01 "}},
		{"what is wrong", "2.5471E+11\n0710000002,17,Jane\n\"0710000003\n=A1\n0710000004", []string{
			"1: the phone was rounded by a spreadsheet, as in 4.2317E+06: format the column as text, and enter it anew",
			"2: has more than a phone and a service id: remove the rest",
			`3: has a quotation mark (") that is never closed: close it, or double it where it belongs to the text`,
			"4: the phone is a formula: store its value instead", "5 0710000004 "}},
		{"a workbook", "PK\x03\x04", []string{"s.txt: is a workbook, not a CSV file: save the sheet as CSV UTF-8"}},
		{"nothing", "", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var got []string
			err := ReadPhones(strings.NewReader(tt.file), "s.txt", func(line int, phone, service, fault string) {
				if fault != "" {
					got = append(got, fmt.Sprintf("%d: %s", line, fault))
					return
				}
				got = append(got, fmt.Sprintf("%d %s %s", line, phone, service))
			})
			if err != nil {
				got = append(got, err.Error())
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
