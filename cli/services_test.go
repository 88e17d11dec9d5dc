package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"duewatch/config"
)

// Whatever Almara Pay calls a service, the config reads the entry as it is printed.
func TestEntriesOfServicesCanBePasted(t *testing.T) {
	var lines []string
	var want []config.Service
	for _, tt := range []struct {
		offered offeredService
		had     string // its name in the config
		line    string
		name    string // as the config reads it; "" = it is commented out
	}{
		{offeredService{ID: "007", Name: "Water", Type: "WATER", Category: "UTILITY"}, "",
			`  - {id: "007", name: "Water"}  # UTILITY`, "Water"},
		{offeredService{ID: "1e3", Type: `Fred's "Rent": #1, {B}`, Category: "RENT"}, "",
			`  - {id: "1e3", name: "Fred's \"Rent\": #1, {B}"}  # RENT`, `Fred's "Rent": #1, {B}`},
		{offeredService{ID: "no", Name: "Kamau & Sons <Ltd>", Type: "LOAN"}, "",
			`  - {id: "no", name: "Kamau & Sons <Ltd>"}  # LOAN`, "Kamau & Sons <Ltd>"},
		{offeredService{ID: "4", Name: strings.Repeat("x", 61), Type: "TV"}, "",
			`  - {id: "4", name: "TV"}`, "TV"},
		{offeredService{ID: "5", Name: "Umeme", Type: "KPLC", InConfig: true}, "Stima",
			`  # - {id: "5", name: "Stima"}  # KPLC, in the config`, ""},
		{offeredService{ID: "6"}, "", `  - {id: "6", name: ""}`, ""},
	} {
		if got := tt.offered.entry(tt.had); got != tt.line {
			t.Errorf("got  %s\nwant %s", got, tt.line)
		}
		if tt.name != "" {
			want = append(want, config.Service{ID: tt.offered.ID, Name: tt.name})
		}
		if tt.name != "" || tt.offered.InConfig {
			lines = append(lines, tt.line)
		}
	}
	path := filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(path, []byte("services:\n"+strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := config.Load(path, config.Options{Sandbox: true, Environ: []string{}})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, cfg.Services); diff != "" {
		t.Errorf("services (-want +got):\n%s", diff)
	}
}
