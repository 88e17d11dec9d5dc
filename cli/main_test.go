package cli_test

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
	_ "time/tzdata" // zones for machines that have none

	"github.com/rogpeppe/go-internal/testscript"

	"duewatch/cli"
)

// TestMain makes this test binary the command duewatch too: it stands in the
// PATH under that name, for the scripts and for the daemons of the end-to-end
// tests. So does a systemctl, before that of the host: what doctor finds must
// not depend on how this machine was started, nor on which units it has.
func TestMain(m *testing.M) {
	testscript.Main(onAnyHost{m}, map[string]func(){
		"duewatch": func() { os.Exit(cli.Run(context.Background(), os.Args[1:], os.Stdout, os.Stderr)) },
		"systemctl": func() {
			fmt.Fprintln(os.Stderr, "System has not been booted with systemd as init system (PID 1). Can't operate.")
			os.Exit(1)
		},
	})
}

// onAnyHost runs the tests without what the environment of the host says to
// duewatch, such as an exported DUEWATCH_STORE. The commands that tests run are
// this binary as well, but not through here: they keep what their tests set.
type onAnyHost struct{ m *testing.M }

func (h onAnyHost) Run() int {
	for _, pair := range os.Environ() {
		name, _, _ := strings.Cut(pair, "=")
		switch name {
		case "CREDENTIALS_DIRECTORY", "JOURNAL_STREAM", "NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC":
		default:
			if !strings.HasPrefix(name, "DUEWATCH_") {
				continue
			}
		}
		if err := os.Unsetenv(name); err != nil {
			panic(err)
		}
	}
	return h.m.Run()
}

// noonZone is a zone in which it is about noon, so that no test depends on the
// hour at which it runs: inside every window, past every send_at, and hours
// from midnight.
func noonZone() (name string, zone *time.Location) { return zoneWhereItIs(12) }

func zoneWhereItIs(hour int) (name string, zone *time.Location) {
	ahead := hour - time.Now().UTC().Hour()
	if ahead < -12 {
		ahead += 24
	}
	name = "Etc/GMT"
	if ahead != 0 {
		// The sign of these names is the other way round: Etc/GMT-3 is three
		// hours ahead of Greenwich.
		name = fmt.Sprintf("Etc/GMT%+d", -ahead)
	}
	zone, err := time.LoadLocation(name)
	if err != nil {
		panic(err)
	}
	return name, zone
}
