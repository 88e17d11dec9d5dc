package cli

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestColumnsAreReadAsAShellPassesThem(t *testing.T) {
	for _, tt := range []struct {
		flags []string
		want  map[string]string
		fault string
	}{
		{[]string{"account=Acc No,phone=MSISDN"}, map[string]string{"account": "Acc No", "phone": "MSISDN"}, ""},
		{[]string{`account="Acc No",phone=MSISDN`}, map[string]string{"account": "Acc No", "phone": "MSISDN"}, ""},
		{[]string{`account="No., old"`, "phone=4"}, map[string]string{"account": "No., old", "phone": "4"}, ""},
		{[]string{`"account=No., old",phone=4`}, map[string]string{"account": "No., old", "phone": "4"}, ""},
		{[]string{" account = Acc No , phone=4 "}, map[string]string{"account": "Acc No", "phone": "4"}, ""},
		{[]string{"account=a=b"}, map[string]string{"account": "a=b"}, ""},
		{[]string{"account"}, nil, "write FIELD=COLUMN"},
		{[]string{"account="}, nil, "write FIELD=COLUMN"},
		{[]string{`account="Acc No`}, nil, "not closed"},
	} {
		got, fault := columnsFlag{}, ""
		for _, flag := range tt.flags {
			if err := got.Set(flag); err != nil {
				fault = err.Error()
			}
		}
		if tt.fault != "" {
			if !strings.Contains(fault, tt.fault) {
				t.Errorf("%q: %q, want %q", tt.flags, fault, tt.fault)
			}
			continue
		}
		if diff := cmp.Diff(columnsFlag(tt.want), got); diff != "" || fault != "" {
			t.Errorf("%q: %s (-want +got):\n%s", tt.flags, fault, diff)
		}
	}
}
