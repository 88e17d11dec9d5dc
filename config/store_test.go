package config

import (
	"fmt"
	"strings"
	"testing"
)

func TestTheAddressOfADatabaseIsOpenedWithThePasswordAndPrintedWithout(t *testing.T) {
	const store = "postgres://role@h1:5432,h2:5433/db?sslmode=verify-full&target_session_attrs=read-write"
	cfg := mustLoad(t, "store: "+store+"\nstore_password: 'hun/ter@2'\n", sandbox())
	if got, want := cfg.StoreAddress(), strings.Replace(store, "role@", "role:hun%2Fter%402@", 1); got != want {
		t.Errorf("opened is %s, want %s", got, want)
	}
	if printed := fmt.Sprintf("%v %+v %#v", cfg.Store, cfg, cfg); strings.Contains(printed, "hun") {
		t.Errorf("the password is printed: %s", printed)
	}
	if got := cfg.AddressOf("other.db"); got != "other.db" {
		t.Errorf("a file is opened as %s", got)
	}
}

func TestWhereTheSandboxKeepsItsState(t *testing.T) {
	for store, want := range map[string]string{
		"/var/lib/duewatch.db":      "/var/lib/duewatch.db.sandbox.json",
		"postgres://role@h/trial":   "trial.sandbox.json",
		"postgresql://role@h/trial": "trial.sandbox.json",
	} {
		if got := (&Config{Store: store}).SandboxState(); got != want {
			t.Errorf("%s: %s, want %s", store, got, want)
		}
	}
}
