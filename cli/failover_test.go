package cli_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"duewatch/reminder"
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
	failoverChecked = 40  // so many texts at most are checked, and under way, when it is
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
	f := newFailover(t, true, 90*time.Second)
	f.awaitTexts(killAt)
	f.kill()
	killed := time.Now()
	<-time.After(without)
	o.atKill = len(f.world.Texts())
	if err := f.standby.Promote(f.ctx); err != nil {
		t.Fatal(err)
	}
	promoted, left := time.Now(), len(f.world.Texts())
	o.without, o.pause = promoted.Sub(killed), f.awaitTexts(left+1).Sub(promoted)
	awaitAllTexted(f.ctx, t, f.world, f.standby.URL("duewatch"))
	if n := f.ended.Load(); n > 0 {
		t.Errorf("%d times a daemon did not live through it", n)
	}
	f.stop()
	o.twice, o.never = countTexts(f.world)
	return o
}

// TestFailoverBehind promotes a standby that no commit waited for, and that was cut off from the
// primary while texts left. The daemons stop sending, and say why. Once the operator has let them
// go on, the provider's list shows what the database does not know: nobody is texted twice, and
// nobody never.
func TestFailoverBehind(t *testing.T) {
	if *failoverRounds == 0 {
		t.Skip("make failover runs it: it takes two minutes")
	}
	f := newFailover(t, false, 5*time.Minute)
	f.awaitTexts(100)
	f.way.Shut()
	f.awaitTexts(250)
	f.kill()
	killed := len(f.world.Texts())
	promoted := time.Now()
	if err := f.standby.Promote(f.ctx); err != nil {
		t.Fatal(err)
	}
	stop := f.awaitStop(reminder.StoreWentBack)
	if !regexp.MustCompile(`has lost \d+ commits`).MatchString(stop.Detail) {
		t.Errorf("the stop does not say how many commits were lost: %s", stop.Detail)
	}
	// The operator lets them go on at once: not before the provider's list was compared, and that is
	// not before the last delay of reconcile_after.
	f.release()
	// The few texts that were checked just before the server died may leave for two seconds more: their
	// intents were committed, and the list will show them.
	<-time.After(time.Until(promoted.Add(5 * time.Second)))
	left := len(f.world.Texts())
	if n := left - killed; n > failoverChecked {
		t.Fatalf("%d texts left after the server had died", n)
	}
	for time.Since(promoted) < 40*time.Second {
		if n := len(f.world.Texts()); n > left {
			t.Fatalf("%d texts left before the provider's list was compared", n-left)
		}
		<-time.After(50 * time.Millisecond)
	}
	released := make(chan struct{})
	go func() {
		defer close(released)
		for f.ctx.Err() == nil && len(f.world.Texts()) < failoverBills {
			f.release()
			<-time.After(time.Second)
		}
	}()
	awaitAllTexted(f.ctx, t, f.world, f.standby.URL("duewatch"))
	<-released
	f.stop()
	twice, never := countTexts(f.world)
	if _, err := fmt.Fprintf(os.Stderr, "a standby that was behind: %s; %d twice, %d never\n", stop.Detail, twice, never); err != nil {
		t.Fatal(err)
	}
	if twice > 0 || never > 0 {
		t.Errorf("%d texted twice, %d never", twice, never)
	}
}

// failover are three daemons that send, their database server and its standby.
type failover struct {
	t                *testing.T
	ctx              context.Context
	world            *sandbox.Sandbox
	primary, standby *pgtest.Server
	way              *pgtest.Gate // from the standby to the primary
	dir, config      string
	stopping         context.CancelFunc
	running          sync.WaitGroup
	ended            atomic.Int64 // how often a daemon ended by itself
}

func newFailover(t *testing.T, synchronous bool, most time.Duration) *failover {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), most)
	t.Cleanup(cancel)
	f := &failover{t: t, ctx: ctx, dir: t.TempDir()}
	name, zone := noonZone()
	faults, err := sandbox.ParseFaults("send:delay=20ms")
	if err != nil {
		t.Fatal(err)
	}
	if f.world, err = sandbox.New(sandbox.Options{Zone: zone, Faults: faults}); err != nil {
		t.Fatal(err)
	}
	provider := httptest.NewServer(f.world.Handler())
	t.Cleanup(provider.Close)
	f.serverWithStandby(synchronous)
	address := pgtest.OneOf("duewatch", f.primary.Host(), f.standby.Host())
	f.config = filepath.Join(f.dir, "config.yaml")
	config := strings.TrimSuffix(stormConfig(name, address, provider.URL, 0), "bills:\n")
	if err := os.WriteFile(f.config, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	var running context.Context
	running, f.stopping = context.WithCancel(ctx)
	for range failoverDaemons {
		log := logFile(t, f.dir)
		f.running.Go(func() { f.keepRunning(running, log) })
	}
	t.Cleanup(func() {
		f.stopping()
		f.running.Wait()
		logUnusual(t, f.dir)
	})
	awaitMembers(ctx, t, f.primary.URL("duewatch"))
	importBills(ctx, t, f.dir, f.config)
	return f
}

// keepRunning starts a daemon whenever it has ended, as systemd does.
func (f *failover) keepRunning(ctx context.Context, log *os.File) {
	for ctx.Err() == nil {
		daemon := exec.CommandContext(ctx, "duewatch", "run", "--config", f.config)
		daemon.Stderr = log
		daemon.Cancel = func() error { return daemon.Process.Signal(os.Interrupt) }
		if err := daemon.Run(); ctx.Err() == nil {
			f.ended.Add(1)
			f.t.Logf("a daemon ended: %v", err)
		}
	}
}

func (f *failover) stop() {
	f.stopping()
	f.running.Wait()
}

func (f *failover) kill() {
	if err := f.primary.Kill(syscall.SIGKILL); err != nil {
		f.t.Fatal(err)
	}
}

// release does what the operator does once it was looked into.
func (f *failover) release() {
	for _, reason := range []reminder.Reason{reminder.StoreWentBack, reminder.CopiedStore} {
		command := exec.CommandContext(f.ctx, "duewatch", "release", "--config", f.config, "--reason", string(reason))
		if out, err := command.CombinedOutput(); err != nil && f.ctx.Err() == nil {
			f.t.Logf("release --reason %s: %v: %s", reason, err, out) // there may be nothing to release
		}
	}
}

// awaitTexts returns once the provider has so many.
func (f *failover) awaitTexts(n int) (at time.Time) {
	f.t.Helper()
	for len(f.world.Texts()) < n {
		select {
		case <-f.ctx.Done():
			f.t.Fatalf("only %d of %d texts have left", len(f.world.Texts()), n)
		case <-time.After(5 * time.Millisecond):
		}
	}
	return time.Now()
}

// awaitStop returns the stop for a reason, on what was the standby, once there is one.
func (f *failover) awaitStop(reason reminder.Reason) (stop store.Stopped) {
	f.t.Helper()
	s, err := store.OpenReader(f.ctx, f.standby.URL("duewatch"))
	if err != nil {
		f.t.Fatal(err)
	}
	defer func() {
		if err := s.Close(); err != nil {
			f.t.Error(err)
		}
	}()
	for {
		stops, err := s.Stops(f.ctx, time.Now())
		if i := slices.IndexFunc(stops, func(s store.Stopped) bool { return s.Reason == reason }); i >= 0 {
			return stops[i]
		}
		select {
		case <-f.ctx.Done():
			f.t.Fatalf("sending was not stopped as %s: %v", reason, err)
		case <-time.After(50 * time.Millisecond):
		}
	}
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

// serverWithStandby makes a server with an empty database, and a standby that its commits wait for
// where it is synchronous.
func (f *failover) serverWithStandby(synchronous bool) {
	t := f.t
	t.Helper()
	must := func(err error) {
		if err != nil {
			t.Helper()
			t.Fatal(err)
		}
	}
	closeAtEnd := func(c io.Closer) {
		t.Cleanup(func() {
			if err := c.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	var err error
	f.primary, err = pgtest.New()
	must(err)
	closeAtEnd(f.primary)
	_, err = f.primary.Create(t.Context(), "duewatch", "")
	must(err)
	f.way, err = f.primary.NewGate()
	must(err)
	closeAtEnd(f.way)
	f.standby, err = f.primary.NewStandby(f.way)
	must(err)
	closeAtEnd(f.standby)
	must(f.primary.WaitForStandby(t.Context(), synchronous))
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
