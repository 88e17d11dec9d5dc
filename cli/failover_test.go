package cli_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"duewatch/sandbox"
	"duewatch/store"
	"duewatch/store/db/pgtest"
)

var (
	failoverRounds = flag.Int("failover.rounds", 0, "how often the database server is lost; 0 = never")
	failoverSeed   = flag.Uint64("failover.seed", uint64(time.Now().UnixNano()), "of the moments at which it is")
)

// Of a round: so many daemons, and bills of which each is texted once.
const (
	failoverDaemons = 3
	failoverBills   = 400
	failoverLatest  = 250 // the text at which the primary is killed, at the latest
)

// TestFailover kills the primary database server with SIGKILL while three daemons send, and
// promotes its synchronous standby. The daemons find it by themselves within half a minute. By
// the provider's own record nobody is texted twice, and nobody never.
func TestFailover(t *testing.T) {
	if *failoverRounds == 0 {
		t.Skip("make failover runs it: a round takes half a minute")
	}
	dice := rand.New(rand.NewPCG(*failoverSeed, 0))
	for round := range *failoverRounds {
		began := time.Now()
		o := failOver(t, 1+dice.IntN(failoverLatest), time.Duration(dice.Int64N(int64(3*time.Second))))
		if _, err := fmt.Fprintf(os.Stderr, "round %d: %d reminders, the primary killed at text %d, the standby promoted %s later; the next text %s after that, "+
			"%d twice, %d never, in %s (seed %d)\n", round+1, failoverBills, o.atKill, o.without.Round(time.Millisecond), o.pause.Round(time.Millisecond),
			o.twice, o.never, time.Since(began).Round(time.Second), *failoverSeed); err != nil {
			t.Fatal(err)
		}
		if o.twice > 0 || o.never > 0 || o.pause > 30*time.Second {
			t.Errorf("%d texted twice, %d never, the first text %s after the promotion; replay with -failover.seed=%d", o.twice, o.never, o.pause, *failoverSeed)
		}
	}
}

// failoverOutcome is what became of a round.
type failoverOutcome struct {
	atKill         int           // texts
	without, pause time.Duration // from the kill to the promotion, and from there to the next text
	twice, never   int
}

func failOver(t *testing.T, killAt int, without time.Duration) (o failoverOutcome) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
	defer cancel()
	name, zone := noonZone()
	faults, err := sandbox.ParseFaults("send:delay=20ms")
	if err != nil {
		t.Fatal(err)
	}
	world, err := sandbox.New(sandbox.Options{Zone: zone, Faults: faults})
	if err != nil {
		t.Fatal(err)
	}
	provider := httptest.NewServer(world.Handler())
	defer provider.Close()
	primary, standby := serverWithStandby(t)
	address := pgtest.OneOf("duewatch", primary.Host(), standby.Host())

	dir := t.TempDir()
	config := filepath.Join(dir, "config.yaml")
	if err := os.WriteFile(config, []byte(strings.TrimSuffix(stormConfig(name, address, provider.URL, 0), "bills:\n")), 0o600); err != nil {
		t.Fatal(err)
	}
	var daemons [failoverDaemons]*exec.Cmd
	for i := range daemons {
		daemons[i] = exec.CommandContext(ctx, "duewatch", "run", "--config", config)
		daemons[i].Stderr = logFile(t, dir)
		if err := daemons[i].Start(); err != nil {
			t.Fatal(err)
		}
	}
	defer logUnusual(t, dir)
	awaitMembers(ctx, t, primary.URL("duewatch"))
	importBills(ctx, t, dir, config)
	texts := func(n int) (at time.Time) {
		for len(world.Texts()) < n {
			select {
			case <-ctx.Done():
				t.Fatalf("only %d of %d texts have left", len(world.Texts()), n)
			case <-time.After(5 * time.Millisecond):
			}
		}
		return time.Now()
	}
	texts(killAt)
	if err := primary.Kill(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	killed := time.Now()
	<-time.After(without)
	o.atKill = len(world.Texts())
	if err := standby.Promote(ctx); err != nil {
		t.Fatal(err)
	}
	promoted, left := time.Now(), len(world.Texts())
	o.without, o.pause = promoted.Sub(killed), texts(left+1).Sub(promoted)
	awaitAllTexted(ctx, t, world, standby.URL("duewatch"))
	for _, d := range daemons {
		if err := d.Process.Signal(os.Interrupt); err != nil {
			t.Fatal(err)
		}
		if err := d.Wait(); err != nil {
			t.Errorf("a daemon did not live through it: %v", err)
		}
	}
	o.twice, o.never = countTexts(world)
	return o
}

// awaitMembers returns once all daemons work on the database.
func awaitMembers(ctx context.Context, t *testing.T, database string) {
	t.Helper()
	working := 0
	for working < failoverDaemons {
		s, err := store.OpenReader(ctx, database)
		if err == nil { // a daemon has made its tables
			var members []store.Member
			members, err = s.Members(ctx)
			err = errors.Join(err, s.Close())
			working = 0
			for _, m := range members {
				if m.Decides && m.Config != "" {
					working++
				}
			}
		}
		select {
		case <-ctx.Done():
			t.Fatalf("only %d daemons work: %v", working, err)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// importBills adds the bills, of which each has a reminder that is due.
func importBills(ctx context.Context, t *testing.T, dir, config string) {
	t.Helper()
	var list strings.Builder
	list.WriteString("service,account,phone\n")
	for i := range failoverBills {
		fmt.Fprintf(&list, "1042,%s,+25471001%04d\n", stormAccount(i), i)
	}
	path := filepath.Join(dir, "bills.csv")
	if err := os.WriteFile(path, []byte(list.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(ctx, "duewatch", "import", "--config", config, path).CombinedOutput(); err != nil {
		t.Fatalf("import: %v\n%s", err, out)
	}
}

// logUnusual shows, of a test that failed, what the daemons have logged that is not of one bill.
func logUnusual(t *testing.T, dir string) {
	log, err := os.ReadFile(filepath.Join(dir, "log"))
	if err != nil || !t.Failed() {
		return
	}
	for line := range strings.Lines(string(log)) {
		if !strings.Contains(line, "INF text accepted") && !strings.Contains(line, "INF bill registered") {
			t.Log(strings.TrimSpace(line))
		}
	}
}

// serverWithStandby are a server with an empty database, and a standby that its commits wait for.
func serverWithStandby(t *testing.T) (primary, standby *pgtest.Server) {
	t.Helper()
	primary, err := pgtest.New()
	if err != nil {
		t.Fatal(err)
	}
	closeAtEnd := func(s *pgtest.Server) {
		t.Cleanup(func() {
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	closeAtEnd(primary)
	if _, err := primary.Create(t.Context(), "duewatch", ""); err != nil {
		t.Fatal(err)
	}
	if standby, err = primary.NewStandby(nil); err != nil {
		t.Fatal(err)
	}
	closeAtEnd(standby)
	if err := primary.WaitForStandby(t.Context(), true); err != nil {
		t.Fatal(err)
	}
	return primary, standby
}

// awaitAllTexted returns when each bill has its text, and none is in doubt.
func awaitAllTexted(ctx context.Context, t *testing.T, world *sandbox.Sandbox, database string) {
	t.Helper()
	s, err := store.OpenReader(ctx, database)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}()
	for {
		doubt, err := s.InDoubt(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if _, never := countTexts(world); doubt.Texts == 0 && never == 0 {
			return
		}
		select {
		case <-ctx.Done():
			t.Errorf("no calm: %d texts at the provider, %d in doubt", len(world.Texts()), doubt.Texts)
			return
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// countTexts counts, by the provider's record, the bills that were texted twice or never.
func countTexts(world *sandbox.Sandbox) (twice, never int) {
	count := make(map[string]int)
	for _, text := range world.Texts() {
		for _, account := range accountIn.FindAllString(text.Body, -1) {
			count[account]++
		}
	}
	for i := range failoverBills {
		switch n := count[stormAccount(i)]; {
		case n == 0:
			never++
		case n > 1:
			twice++
		}
	}
	return twice, never
}
