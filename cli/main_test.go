package cli_test

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"
	_ "time/tzdata" // zones for machines that have none

	"github.com/rogpeppe/go-internal/testscript"

	"duewatch/cli"
)

// TestMain makes this test binary the command duewatch too: it stands in the
// PATH under that name, for the scripts and for the daemons of the end-to-end
// tests.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"duewatch": func() { os.Exit(cli.Run(context.Background(), os.Args[1:], os.Stdout, os.Stderr)) },
	})
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
