package config

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A quotation mark that a word processor has made typographic is none to YAML, and
// would be part of the account.
func TestTypographicQuotesAroundAnAccountAreRefused(t *testing.T) {
	_, err := load("config.yaml", []byte("bills:\n- {service: “17”, account: “0012”, phone: 0710000001}\n"), Options{Sandbox: true, Environ: []string{}})
	want := "config.yaml:2: bills[0].service: has a quotation mark around it: remove it\n" +
		"config.yaml:2: bills[0].account: has a quotation mark around it: remove it"
	if err == nil {
		t.Fatal("taken")
	}
	if diff := cmp.Diff(want, err.Error()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestColumnsOfBillsFileAreKeys(t *testing.T) {
	const file = `services: [{id: "17", name: Water}]
bills_file: b.csv
bills_columns: {account: Acc No, phone: "4"}
bills_service: "17"
bills_ignore_columns: [Wing, "2"]
`
	cfg, err := load("config.yaml", []byte(file), Options{Sandbox: true, Environ: []string{}})
	if err != nil {
		t.Fatal(err)
	}
	got := cfg.BillsColumns
	if got.Of["account"] != "Acc No" || got.Of["phone"] != "4" || len(got.Of) != 2 || got.Service != "17" || strings.Join(got.Ignore, "|") != "Wing|2" || !got.InConfig {
		t.Errorf("%+v", got)
	}
	_, err = load("config.yaml", []byte(file+"bills: []\nbills_servise: \"17\"\n"), Options{Sandbox: true, Environ: []string{}})
	if want := "config.yaml:7: bills_servise: unknown key, did you mean bills_service?"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}
