package cli_test

import (
	"context"
	"os/exec"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"duewatch/store/db/pgtest"
)

// TestScriptsOnPostgreSQL runs the sessions in testdata/postgres, each on a server of its own,
// with the commands of TestScript and
//
//	server stop|start     stops it as in a crash, and starts it again
//
// $DB and $OTHER are the addresses of two empty databases, first and second, and $PORT is that
// of the server.
func TestScriptsOnPostgreSQL(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("psql"); err != nil {
		t.Skip("NOT TRIED ON POSTGRESQL: it is not installed (Debian: sudo apt install postgresql)")
	}
	noon, _ := noonZone()
	type key struct{}
	serverOf := func(ts *testscript.TestScript) *pgtest.Server { return ts.Value(key{}).(*pgtest.Server) }
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/postgres",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Deadline:            time.Now().Add(10 * patience),
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits": exits, "await": await, "narrow": narrow,
			"server": func(ts *testscript.TestScript, neg bool, args []string) {
				switch {
				case neg || len(args) != 1:
					ts.Fatalf("usage: server stop|start")
				case args[0] == "stop":
					ts.Check(serverOf(ts).Kill(syscall.SIGQUIT))
				default:
					ts.Check(serverOf(ts).Restart())
				}
			},
		},
		Setup: func(e *testscript.Env) error {
			// What it has confirmed must survive its own crash, though not that of the machine.
			server, err := pgtest.New("fsync=off", "full_page_writes=off")
			if err != nil {
				return err
			}
			e.Defer(func() {
				if err := server.Close(); err != nil {
					t.Error(err)
				}
			})
			e.Values[key{}] = server
			for variable, name := range map[string]string{"DB": "first", "OTHER": "second"} {
				address, err := server.Create(context.Background(), name, "")
				if err != nil {
					return err
				}
				e.Setenv(variable, address)
			}
			e.Setenv("PORT", strconv.Itoa(server.Port))
			e.Setenv("DUEWATCH_TIMEZONE", noon)
			e.Setenv("DUEWATCH_WEB__LISTEN", "127.0.0.1:0")
			e.Setenv("GORACE", raceOptions)
			return nil
		},
	})
}
