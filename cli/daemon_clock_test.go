package cli_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"duewatch/sandbox"
	"duewatch/store/db/pgtest"
)

// wrongClock has the sessions that begin from now on take the server's clock to be ahead. The
// schema public comes before that of the server's own functions there.
func wrongClock(ctx context.Context, address string, ahead time.Duration) error {
	return errors.Join(
		pgtest.Exec(ctx, address, fmt.Sprintf(`CREATE OR REPLACE FUNCTION public.clock_timestamp() RETURNS timestamptz LANGUAGE sql VOLATILE AS
			$$ SELECT pg_catalog.clock_timestamp() + interval '%d seconds' $$`, int(ahead.Seconds()))),
		pgtest.Exec(ctx, address, "ALTER DATABASE duewatch SET search_path = public, pg_catalog"))
}

// A daemon whose clock is not that of the database sends nothing: it ends and, started again,
// waits, says so, and goes on by itself once the clock is right.
func TestADaemonWhoseClockIsOffEndsAndWaitsUntilItIsRight(t *testing.T) {
	t.Parallel()
	server, err := pgtest.New("fsync=off")
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
	set := func(ahead time.Duration) {
		t.Helper()
		if err := wrongClock(t.Context(), address, ahead); err != nil {
			t.Fatal(err)
		}
	}
	set(0)
	o := newOutside(t, "DUE+3-A")
	o.keepOn(address)
	d := o.start()
	o.poll("the first text", func() bool { return len(o.sandbox.Texts()) == 1 })
	set(8 * time.Second)
	d.await("the daemon ends, and waits once it is started again: the clock of this machine is", "off that of the database: set it, by NTP")
	if status := d.awaitEnd(); status != 1 {
		t.Errorf("it ends with status %d, want 1: systemd has to start it again", status)
	}

	d = o.start() // as systemd does
	d.await("this daemon waits, and texts nobody: the clock of this machine is")
	o.poll("/healthz to say so", func() bool {
		status, body := o.get("/healthz")
		return status == 200 && strings.Contains(body, "clock_off: this daemon waits, and texts nobody")
	})
	if err := os.WriteFile(o.path("more.csv"), []byte("service,account,phone\n"+sandbox.ServiceWater+",DUE+3-B,+254710000002\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := o.command("import", o.path("more.csv")).CombinedOutput(); err != nil {
		t.Fatalf("import: %v\n%s", err, out)
	}
	<-time.After(3 * time.Second) // three runs of each job, if it had any
	o.wantTexts(1)
	if d.said("is up") {
		t.Error("it works by a wrong clock")
	}

	set(0)
	d.await("is up")
	o.poll("the text that was due meanwhile", func() bool { return len(o.sandbox.Texts()) == 2 })
	o.poll("/healthz to recover", func() bool {
		status, body := o.get("/healthz")
		return status == 200 && !strings.Contains(body, "clock_off")
	})
	d.stop()
	o.wantTexts(2)
}
