package systemd

import (
	"path"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestDiffering(t *testing.T) {
	change := func(pairs ...string) string {
		changed := strings.NewReplacer(pairs...).Replace(unit)
		if changed == unit {
			t.Fatalf("the unit has no %v", pairs)
		}
		return changed
	}
	for name, tt := range map[string]struct {
		installed string
		want      []string
	}{
		"the same":               {unit, nil},
		"installed elsewhere":    {change("/usr/local/bin/", "/usr/bin/", "/etc/duewatch/", "/opt/etc/duewatch/"), nil},
		"with other comments":    {change("# Ready once", "; Not ready until"), nil},
		"an older one":           {change("WatchdogSec=90s\n", "", "MemoryMax=1G", "MemoryMax=2G"), []string{"[Service]WatchdogSec=", "[Service]MemoryMax="}},
		"with a setting of ones": {change("WantedBy=multi-user.target", "WantedBy=multi-user.target\nAlias=due.service"), []string{"[Install]Alias="}},
		"in another section":     {change("\nWants=network-online.target", "", "Type=notify", "Type=notify\nWants=network-online.target"), []string{"[Unit]Wants=", "[Service]Wants="}},
		"another command":        {change("run --config", "run --sandbox --config"), []string{"[Service]ExecStart="}},
		"credentials elsewhere":  {change("almara:/etc/duewatch", "almara:/root"), []string{"[Service]LoadCredential="}},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, Differing(tt.installed)); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
	if got := Differing(""); len(got) < 40 {
		t.Errorf("an empty unit differs in %v only", got)
	}
}

func TestTheUnitHasTheUserAndTheFolderThatTheCommandsKnow(t *testing.T) {
	for _, want := range []string{"\nUser=" + User + "\n", "\nStateDirectory=" + path.Base(StateDirectory) + "\n"} {
		if !strings.Contains(unit, want) {
			t.Errorf("the unit does not say %q", strings.TrimSpace(want))
		}
	}
}
