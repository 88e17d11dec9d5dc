package importer

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// headersOf is the testdata file of header rows: each is a line of cells, under a
// comment that says whose manner it is in, and above what its columns are taken
// for.
func headersOf(t *testing.T) (all []struct{ name, header, want string }) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", "headers.txt"))
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range strings.Split(strings.TrimSpace(string(text)), "\n\n") {
		lines := strings.SplitN(part, "\n", 3)
		if len(lines) != 3 {
			t.Fatalf("not a name, a header and what it is taken for:\n%s", part)
		}
		all = append(all, struct{ name, header, want string }{strings.TrimPrefix(lines[0], "# "), lines[1], lines[2]})
	}
	return all
}

// taken is what the columns of a header are taken for, or the first line of why
// they cannot be.
func taken(t *testing.T, header string) string {
	t.Helper()
	o := options(t)
	o.Columns.Service = "17"
	if _, err := ReadBills(strings.NewReader(header+"\n"), o); err != nil && strings.Contains(err.Error(), "has a column for service") {
		o.Columns.Service = ""
	}
	r, err := ReadBills(strings.NewReader(header+"\n"), o)
	if err != nil {
		first, _, _ := strings.Cut(err.Error(), "\n")
		return first
	}
	return r.Columns().String()
}

func TestHeadersAreTakenForWhatTheyMean(t *testing.T) {
	all := headersOf(t)
	if len(all) < 90 {
		t.Errorf("%d header rows", len(all))
	}
	for _, tt := range all {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, taken(t, tt.header)); diff != "" {
				t.Errorf("%s\n(-want +got):\n%s", tt.header, diff)
			}
		})
	}
}

// However a header is written, it is the same.
func TestHeadersAreKnownInAnySpelling(t *testing.T) {
	for want, headers := range map[string][]string{
		"phone": {
			"phone", "PHONE", "Phone No.", "phone_no", "phoneNumber", "PhoneNo", "phoneno", "PHONE NUMBER:", " phone - no ", "Phone #", "Phone No. (07…)", "Tel.", "Tel No",
			"Telephone Number", "Mobile", "mobile_no", "Mobile Number", "MobileNo", "MSISDN", "Cell", "Cell-phone", "Simu", "Namba ya simu", "NAMBA YA SIMU", "nambari ya simu",
			"Simu / Phone", "Customer Phone", "Tenant's Mobile No.", "Contact No", "*Phone", "Phone\u00a0No.", "Simu ya mkononi", "M-PESA No."},
		"account": {
			"account", "Acc No", "ACC. NO.", "acc_no", "AccNo", "accno", "A/C", "A/C No.", "a/c number", "Account Number", "account-number", "accountNumber", "Acct #", "Akaunti",
			"Namba ya akaunti", "Meter No", "METER NUMBER", "Mita", "Namba ya mita", "Member No.", "memberNumber", "House No", "Unit", "unit_number", "Nyumba", "Customer A/C No"},
		"description": {"description", "DESCRIPTION", "Maelezo", "Bill Description"},
		"language":    {"Language", "Lugha", "LANG", "Preferred Language"},
		"service":     {"Service ID", "service_no", "Huduma", "Biller"},
	} {
		for _, header := range headers {
			l := lay([]string{strings.Join(strings.Fields(trimOdd(header)), " ")}, ColumnChoice{})
			if got := l.column(0).Field; got != want {
				t.Errorf("%q is taken for %q, not for %s", header, got, want)
			}
		}
	}
}

// Two rows of the table that say the same word of one field would leave it to
// chance which counts.
func TestEachWordIsInTheTableOnceForAField(t *testing.T) {
	for header, candidates := range headerTable {
		seen := map[field]bool{}
		for _, c := range candidates {
			if seen[c.field] {
				t.Errorf("%s is there twice for field %d", header, c.field)
			}
			seen[c.field] = true
		}
	}
}

func TestColumnsCanBeChosen(t *testing.T) {
	for _, tt := range []struct {
		name, file string
		choice     ColumnChoice
		want       []string
	}{
		{"by the header as it is written", "Acct Ref,Line,Hse Name\n0042,0710000003,House 4\n",
			ColumnChoice{Of: map[string]string{"account": "Acct Ref", "phone": "line", "description": "Hse name"}, Service: "17"},
			[]string{`2 17 0042 +254710000003 "House 4" `}},
		{"by number, of two equal ones", "Name,Account Number,Phone,Phone\nA B,0042,,0710000003\n", ColumnChoice{Of: map[string]string{"phone": "4"}, Service: "17"},
			[]string{`2 17 0042 +254710000003 "" `}},
		{"by leaving out the other of two equal ones", "Account Number,Phone,Phone\n0042,,0710000003\n", ColumnChoice{Ignore: []string{"2"}, Service: "17"},
			[]string{`2 17 0042 +254710000003 "" `}},
		{"a number that is a header too", "Account,3,Phone\n0042,0710000003,0710000004\n", ColumnChoice{Of: map[string]string{"phone": "3"}, Ignore: []string{"Phone"}, Service: "17"},
			[]string{`2 17 0042 +254710000003 "" `}},
		{"without a header", "0042,0710000003\n0043,0710000003\n", ColumnChoice{Of: map[string]string{"account": "1", "phone": "2"}, Service: "17"},
			[]string{`1 17 0042 +254710000003 "" `, `2 17 0043 +254710000003 "" `}},
		{"by number, with a header that has one", "Ref,Line 1\n0042,0710000003\n", ColumnChoice{Of: map[string]string{"account": "1", "phone": "2"}, Service: "17"},
			[]string{`2 17 0042 +254710000003 "" `}},
		{"below a title", "\"Tenants of Block B, 1 Nov 2026\",,\n,,\nHouse,Tel,Tenant\nB4,0710000003,A B\n", ColumnChoice{Service: "17"},
			[]string{`4 17 B4 +254710000003 "" `}},
		{"left out as it is written", "service,account,phone,Customer Name,Hse. Ref\n17,0042,0710000003,A,x\n", ColumnChoice{Ignore: []string{"hse ref"}},
			[]string{`2 17 0042 +254710000003 "" `}},
		{"one that is not there", "service,account,tel\n", ColumnChoice{Of: map[string]string{"phone": "MSISDN"}}, []string{
			`b.csv:1: has no column "MSISDN", which is chosen for phone`, `b.csv:1: column 1, "service": the service`, `b.csv:1: column 2, "account": the account`,
			`b.csv:1: column 3, "tel": may be the phone`, `b.csv:1: type: duewatch import b.csv --columns phone=tel`}},
		{"one of two equal ones", "service,account,tel,tel\n17,1,,0710000003\n", ColumnChoice{Of: map[string]string{"phone": "tel"}}, []string{
			`b.csv:1: has 2 columns "tel": choose one for phone by its number`, `b.csv:1: column 1, "service": the service`, `b.csv:1: column 2, "account": the account`,
			`b.csv:1: column 3, "tel": may be the phone`, `b.csv:1: column 4, "tel": may be the phone`, `b.csv:1: type: duewatch import b.csv --columns phone=4`}},
		{"one for two", "service,account,phone\n", ColumnChoice{Of: map[string]string{"phone": "account", "account": "account"}}, []string{
			`b.csv:1: has one column "account", which is chosen for account and for phone`, `b.csv:1: column 1, "service": the service`, `b.csv:1: column 2, "account": the account`,
			`b.csv:1: column 3, "phone": may be the phone`, `b.csv:1: type: duewatch import b.csv --columns account=account,phone=phone`}},
		{"what is no field", "service,account,phone\n", ColumnChoice{Of: map[string]string{"fone": "phone"}}, []string{
			"b.csv: has a column chosen for fone: choose one for service, account, phone, description or language"}},
		{"a service beside its column", "service,account,phone\n", ColumnChoice{Service: "17"}, []string{
			`b.csv:1: has a column for service, "service" (column 1): leave it out, or give no service for every row`,
			`b.csv:1: column 1, "service": the service`, `b.csv:1: column 2, "account": the account`, `b.csv:1: column 3, "phone": the phone`, "b.csv:1: type: duewatch import b.csv"}},
		{"the name of a service for every row", "account,phone\n1,0710000003\n", ColumnChoice{Service: "water"}, []string{`2 17 1 +254710000003 "" `}},
		{"a name of no service for every row", "account,phone\n", ColumnChoice{Service: "Gas"}, []string{
			"b.csv: the service for every row is no id, and the name of no service of the config: write the id (duewatch services lists them), or name it under services:"}},
		{"two accounts", "Account,Account No,Phone\n1,00001,0710000003\n", ColumnChoice{Service: "17"}, []string{
			`b.csv:1: has 2 columns that may be the account, "Account" (column 1), "Account No" (column 2): choose one`,
			`b.csv:1: column 1, "Account": may be the account`, `b.csv:1: column 2, "Account No": may be the account`, `b.csv:1: column 3, "Phone": the phone`,
			"b.csv:1: type: duewatch import b.csv --columns account=Account --service 17"}},
		{"two accounts that are equal", "Account Number,Account,Phone\n00001, 00001 ,0710000003\n2,2,0710000003\n3,03,0710000003\n" + strings.Repeat("4,4,0710000003\n", 20) + "5,,0710000003\n", ColumnChoice{Service: "17"}, []string{
			`b.csv:1: has 2 columns that may be the account, "Account Number" (column 1), "Account" (column 2): choose one`,
			`b.csv:1: column 1, "Account Number": may be the account`, `b.csv:1: column 2, "Account": may be the account`, `b.csv:1: column 3, "Phone": the phone`,
			"b.csv:1: type: duewatch import b.csv --columns 'account=Account Number' --service 17"}},
		{"a mobile beside a phone", "Account No,Phone,Mobile\n1,,0710000003\n", ColumnChoice{Service: "17"}, []string{
			`b.csv:1: has 2 columns that may be the phone, "Phone" (column 2), "Mobile" (column 3): choose one`,
			`b.csv:1: column 1, "Account No": the account`, `b.csv:1: column 2, "Phone": may be the phone`, `b.csv:1: column 3, "Mobile": may be the phone`,
			"b.csv:1: type: duewatch import b.csv --columns phone=Mobile --service 17"}},
		{"a column by a hint alone", "id,name,phone,street,city,country_id,ref\n7,A,0710000003,Moi Avenue 4,Nairobi,Kenya,00341\n8,B,0710000004,Moi Avenue 5,Nairobi,Kenya,00342\n", ColumnChoice{Service: "17"}, []string{
			"b.csv:1: has no column that is known as account", `b.csv:1: has columns that are not known: "country_id" (column 6)`,
			`b.csv:1: column 1, "id": left out`, `b.csv:1: column 2, "name": left out`, `b.csv:1: column 3, "phone": the phone`, `b.csv:1: column 4, "street": left out`,
			`b.csv:1: column 5, "city": left out`, `b.csv:1: column 6, "country_id": not known`, `b.csv:1: column 7, "ref": left out`,
			"b.csv:1: type: duewatch import b.csv --columns account=ref --service 17 --ignore-columns country_id"}},
		{"a service by its cells", "Acc No,Simu,What\n1,0710000003,Water\n2,0710000003,18\n", ColumnChoice{}, []string{
			"b.csv:1: has no column that is known as service", `b.csv:1: has columns that are not known: "What" (column 3)`,
			`b.csv:1: column 1, "Acc No": the account`, `b.csv:1: column 2, "Simu": the phone`, `b.csv:1: column 3, "What": not known`,
			"b.csv:1: type: duewatch import b.csv --columns service=What"}},
		{"a service by a hint", "Acc No,Simu,product_id/id\n1,0710000003,__export__.product_4\n", ColumnChoice{}, []string{
			"b.csv:1: has no column that is known as service", `b.csv:1: has columns that are not known: "product_id/id" (column 3)`,
			`b.csv:1: column 1, "Acc No": the account`, `b.csv:1: column 2, "Simu": the phone`, `b.csv:1: column 3, "product_id/id": not known`,
			"b.csv:1: type: duewatch import b.csv --columns service=product_id/id"}},
		{"the one column with phones, as people write them", "Acc No,Home Phone\n1,0710-000/003\n2,0710 000 004 (wife)\n", ColumnChoice{Service: "17"}, []string{
			"b.csv:1: has no column that is known as phone", `b.csv:1: column 1, "Acc No": the account`, `b.csv:1: column 2, "Home Phone": left out`,
			"b.csv:1: type: duewatch import b.csv --columns 'phone=Home Phone' --service 17"}},
		{"nothing that is known", "Ref,Line,Hse\n0042,0710000003,B4\n0043,0710000004,B4\n", ColumnChoice{}, []string{
			"b.csv:1: has no column that is known as service", "b.csv:1: has no column that is known as phone", `b.csv:1: has columns that are not known: "Line" (column 2)`,
			`b.csv:1: column 1, "Ref": left out`, `b.csv:1: column 2, "Line": not known`, `b.csv:1: column 3, "Hse": the account`,
			"b.csv:1: ID is one of 17 (Water), 18 (Rent)", "b.csv:1: type: duewatch import b.csv --columns phone=Line --service ID"}},
		{"in the config", "Konto,Line,tel no,tel no\n0042,x,,0710000003\n", ColumnChoice{InConfig: true}, []string{
			"b.csv:1: has no column that is known as service", "b.csv:1: has no column that is known as account",
			`b.csv:1: has 2 columns that may be the phone, "tel no" (column 3), "tel no" (column 4): choose one`,
			`b.csv:1: column 1, "Konto": not known`, `b.csv:1: column 2, "Line": not known`,
			`b.csv:1: column 3, "tel no": may be the phone`, `b.csv:1: column 4, "tel no": may be the phone`,
			"b.csv:1: ID is one of 17 (Water), 18 (Rent)", `b.csv:1: write in the config: bills_columns: {account: "Konto", phone: "4"} and bills_service: "ID" and bills_ignore_columns: ["Line"]`}},
		{"a bill with a word that is a header", "House,0710000003\nFlat,0710000004\n", ColumnChoice{Of: map[string]string{"phone": "2"}, Service: "17"}, []string{
			"b.csv:1: has a number in the column of the phones, so that it names no columns: the first line must name the columns, as in service,account,phone,description,language, or each is chosen by its number",
			"b.csv:1: type: duewatch import b.csv --columns account=1,phone=2 --service 17"}},
		{"a bill above the header", "17,0042,0710000003\nservice,account,phone\n17,0043,0710000003\n", ColumnChoice{}, []string{
			"b.csv:1: stands above the header in line 2 and may be a bill: move it below, or remove it"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := options(t)
			o.Columns = tt.choice
			if diff := cmp.Diff(tt.want, readBillsWith(t, tt.file, o)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// Columns that were equal in the first rows are held to it in all others.
func TestEqualColumnsAreWatched(t *testing.T) {
	const rows = 30
	file := "Phone,Account Number,Account\n"
	for i := range rows {
		file += fmt.Sprintf("0710000003,%d,%[1]d\n", i)
	}
	o := options(t)
	o.Columns.Service = "17"
	got := readBillsWith(t, file+"0710000003,77,077\n0710000003,78\n", o)
	want := []string{
		`b.csv:32: account: differs from "Account" (column 3), which may be the account too: choose one of the columns`,
		`b.csv:33: account: differs from "Account" (column 3), which may be the account too: choose one of the columns`,
	}
	if len(got) != rows+2 || cmp.Diff(want, got[rows:]) != "" {
		t.Errorf("%d rows, at last %q", len(got), got[max(0, len(got)-2):])
	}
}

// A proposal that is typed is taken.
func TestTheProposedLineReadsTheFile(t *testing.T) {
	for _, tt := range []struct{ file, want string }{
		{"Hse Ref,Line,Remarks 2\nB4,0710000003,x\nB5,0710000004,x\n", `type: duewatch import b.csv --columns 'account=Hse Ref,phone=Line' --service ID --ignore-columns 'Remarks 2'`},
	} {
		_, err := ReadBills(strings.NewReader(tt.file), options(t))
		var fault *FileError
		if !errors.As(err, &fault) {
			t.Fatal(err)
		}
		if got := fault.Problems[len(fault.Problems)-1].Text; got != tt.want {
			t.Errorf("proposed:\n%s\nwant:\n%s", got, tt.want)
		}
	}
	o := options(t)
	o.Columns = ColumnChoice{Of: map[string]string{"account": "Hse Ref", "phone": "Line"}, Service: "17", Ignore: []string{"Remarks 2"}}
	if got := fmt.Sprint(readBillsWith(t, "Hse Ref,Line,Remarks 2\nB4,0710000003,x\n", o)); got != `[2 17 B4 +254710000003 "" ]` {
		t.Error(got)
	}
}

// FuzzColumns: whatever a list and a choice of its columns are, what is taken is a
// bill with all that one needs, and what the columns were taken for is one line.
func FuzzColumns(f *testing.F) {
	f.Add("Title,,\nHouse No,Tel,Tenant\nB4,0710000003,A B\n", "", "", "", "17")
	f.Add("Name,Account Number,Phone,Phone\nA B,0042,,0710000003\n", "Account Number", "4", "Name", "17")
	f.Add("0042;0710000003\n", "1", "2", "3", "17")
	f.Add("service\taccount\tphone\n17\t1\t0710000003\n", "Acc (no)/x", "phone", "0", "")
	f.Add("Simu / Phone,[x](y),#,Caf\xe9\n0710000003,1,2,3\n", "#", "simu", "caf\u00e9", "“17”")
	o := options(f)
	f.Fuzz(func(t *testing.T, file, account, phone, ignore, service string) {
		o := o
		o.Columns = ColumnChoice{Of: map[string]string{}, Service: service, Ignore: []string{ignore}}
		if account != "" {
			o.Columns.Of["account"] = account
		}
		if phone != "" {
			o.Columns.Of["phone"] = phone
		}
		r, err := ReadBills(strings.NewReader(file), o)
		if err != nil {
			if fault, ok := errors.AsType[*FileError](err); !ok || len(fault.Problems) == 0 {
				t.Fatalf("%T: %v", err, err)
			}
			return
		}
		if strings.Contains(r.Columns().String(), "\n") {
			t.Fatalf("%q is not one line", r.Columns())
		}
		for {
			row, err := r.Next()
			if err != nil {
				return
			}
			if b := row.Bill; row.Problems == nil && (b.Service == "" || b.Account == "" || b.Phone == "") {
				t.Fatalf("taken: %+v", b)
			}
		}
	})
}
