package cli_test

import (
	"errors"
	"os"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"duewatch/sandbox"
	"duewatch/store/db/pgtest"
)

// keepOn has the store be a database, instead of the file that the config names.
func (o *outside) keepOn(address string) {
	o.t.Helper()
	config, err := os.ReadFile(o.path("config.yaml"))
	if err != nil {
		o.t.Fatal(err)
	}
	o.write(regexp.MustCompile(`(?m)^store: .*$`).ReplaceAllLiteralString(string(config), "store: "+address))
}

// The database dies while a text is on its way, and its answer cannot be written down. The
// daemon waits, says so, and goes on by itself within half a minute: nobody is texted twice.
func TestDaemonOutlivesItsDatabase(t *testing.T) {
	t.Parallel()
	server, err := pgtest.New()
	if errors.Is(err, pgtest.ErrNotInstalled) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	})
	address, err := server.Create(t.Context(), "duewatch", "")
	if err != nil {
		t.Fatal(err)
	}
	o := newOutside(t, "DUE+3-A")
	o.keepOn(address)
	o.hold(sandbox.Send, true)
	d := o.start()
	o.awaitHolding(1)

	if err := server.Kill(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	o.sandbox.ClearFaults() // the answer comes while there is no store
	d.await("ERR", "the connection to the database is lost")
	o.poll("/healthz to say so", func() bool {
		_, body := o.get("/healthz")
		return strings.Contains(body, "store_lost")
	})
	if err := server.Restart(); err != nil {
		t.Fatal(err)
	}
	back := time.Now()
	d.await("the connection to the database is back")
	if err := os.WriteFile(o.path("more.csv"), []byte("service,account,phone\n"+sandbox.ServiceWater+",DUE+3-B,+254710000002\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := o.command("import", o.path("more.csv")).CombinedOutput(); err != nil {
		t.Fatalf("import: %v\n%s", err, out)
	}
	o.poll("the next text", func() bool { return len(o.sandbox.Texts()) == 2 })
	if took := time.Since(back); took > 30*time.Second {
		t.Errorf("the next text left %s after the database was back", took)
	}
	o.poll("/healthz to recover", func() bool { status, _ := o.get("/healthz"); return status == 200 })
	for _, account := range []string{"DUE+3-A", "DUE+3-B"} {
		o.poll("the text of "+account+" to be accepted", func() bool {
			texts := o.explain(account).Texts
			return len(texts) == 1 && texts[0].State == "accepted"
		})
	}
	o.wantTexts(2)
	d.stop()
}
