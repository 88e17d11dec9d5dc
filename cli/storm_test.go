package cli_test

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"duewatch/reminder"
	"duewatch/sandbox"
	"duewatch/store"
	"duewatch/store/db/pgtest"
)

var (
	stormKills     = flag.Int("storm.kills", 0, "how often the daemon is killed; 0 = no storm")
	stormReminders = flag.Int("storm.reminders", 2000, "how many reminders are due during the storm")
	stormDaemons   = flag.Int("storm.daemons", 1, "how many daemons share the store, which is on PostgreSQL where there are several")
	stormCallbacks = flag.Bool("storm.callbacks", false, "whether the provider reports by itself, too")
	stormSeed      = flag.Uint64("storm.seed", uint64(time.Now().UnixNano()), "of the moments of the kills and of the faults")
)

// TestStorm kills the daemon, or one of several, with SIGKILL at random moments, over and over,
// while it registers and texts over loopback against a provider that loses
// answers, drops connections, answers slowly and fails, and while customers pay,
// opt out or are paused beside it. Then it lets the daemon finish and counts, on
// the provider's own record, who was texted twice, who never, and who after
// something spoke against it.
func TestStorm(t *testing.T) {
	if *stormKills == 0 {
		t.Skip("make storm runs it: it takes minutes")
	}
	dice := rand.New(rand.NewPCG(*stormSeed, 0))
	faults, err := sandbox.ParseFaults("send:delay=10ms,send:delay=5s:rate=0.15,send:drop-after:rate=0.02,send:drop:rate=0.02,send:status-after=500:rate=0.01," +
		"send:empty-after:rate=0.01,send:truncate-after:rate=0.01,send:status=429:rate=0.005,register:status=503:rate=0.02,register:drop-after:rate=0.02")
	if err != nil {
		t.Fatal(err)
	}
	name, zone := noonZone()
	world, err := sandbox.New(sandbox.Options{Zone: zone, Faults: faults, Seed: *stormSeed})
	if err != nil {
		t.Fatal(err)
	}
	meddler := newMeddler(world, *stormSeed)
	asked := make(chan struct{}, 1)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case asked <- struct{}{}:
		default:
		}
		if err := meddler.arrived(r); err != nil {
			return // the daemon was killed in mid-request
		}
		world.Handler().ServeHTTP(w, r)
	}))
	defer server.Close()

	dir := t.TempDir()
	db := filepath.Join(dir, "storm.db")
	if onServer || *stormDaemons > 1 {
		db = serverOfItsOwn(t)
	}
	config := filepath.Join(dir, "config.yaml")
	written := stormConfig(name, db, server.URL, *stormReminders)
	if *stormCallbacks {
		listen := "127.0.0.1:" + freePort(t)
		written = strings.Replace(written, "web: {", fmt.Sprintf("web: {public_url: \"http://%[1]s\", callbacks_listen: \"%[1]s\", ", listen), 1)
	}
	if err := os.WriteFile(config, []byte(written), 0o600); err != nil {
		t.Fatal(err)
	}
	daemon := func(ctx context.Context) *exec.Cmd {
		c := exec.CommandContext(ctx, "duewatch", "run", "--config", config)
		c.Stderr = logFile(t, dir)
		return c
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Minute)
	defer cancel()
	var meddling sync.WaitGroup
	defer meddling.Wait()
	defer cancel()
	meddling.Go(func() { meddler.meddle(ctx, t, db) })
	// How long a start takes is found out in the first run. On a busy machine
	// every kill would else come before the daemon has done anything.
	var start time.Duration
	running := make([]*exec.Cmd, max(1, *stormDaemons)) // nil = it is to be started
	var stopped sync.WaitGroup
	startAll := func() {
		for i, c := range running {
			if c == nil {
				running[i] = daemon(ctx)
				if err := running[i].Start(); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	for i := range *stormKills {
		began := time.Now()
		startAll()
		if i == 0 {
			select {
			case <-asked:
				start = time.Since(began)
			case <-ctx.Done():
				t.Fatal("the daemon asked for nothing")
			}
		}
		<-time.After(30*time.Millisecond + time.Duration(dice.Int64N(int64(start+400*time.Millisecond))))
		n := dice.IntN(len(running))
		if len(running) > 1 && i%stormStops == stormStops-1 {
			c := running[n]
			stopped.Go(func() { standStill(t, c) })
			running[n] = nil // another one takes its place
			continue
		}
		if err := running[n].Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = running[n].Wait() // killed: its status says so
		running[n] = nil
	}
	atKill := len(world.Texts())

	startAll()
	stopped.Wait()
	held := awaitCalm(ctx, t, db, config, meddler)
	for _, c := range running {
		if err := c.Process.Signal(os.Interrupt); err != nil {
			t.Fatal(err)
		}
		if err := c.Wait(); err != nil {
			t.Errorf("a daemon of the last run did not end in good order: %v", err)
		}
	}

	count := make(map[string]int)
	for _, text := range world.Texts() {
		for _, account := range accountIn.FindAllString(text.Body, -1) {
			count[account]++
		}
	}
	twice, never := 0, 0
	for i := range *stormReminders {
		switch n := count[stormAccount(i)]; {
		case n == 0 && !meddler.spared(stormAccount(i)):
			never++
		case n > 1:
			twice++
		}
	}
	if _, err := fmt.Fprintf(os.Stderr, "%d reminders, %d kills, %d twice, %d never, %d beyond the bound (%d texts by the last kill, %d held and released; %d payments, %d opt-outs and %d pauses, "+
		"the last text %s after one; seed %d)\n", *stormReminders, *stormKills, twice, never, len(meddler.beyond), atKill, held,
		meddler.done["payments"], meddler.done["opt-outs"], meddler.done["pauses"], meddler.latest.Round(time.Millisecond), *stormSeed); err != nil {
		t.Fatal(err)
	}
	if twice > 0 || never > 0 || len(meddler.beyond) > 0 {
		t.Errorf("%d twice, %d never, beyond the bound %q; replay with -storm.seed=%d", twice, never, meddler.beyond, *stormSeed)
	}
	for i := range *stormReminders {
		if n := count[stormAccount(i)]; n != 1 && !(n == 0 && meddler.spared(stormAccount(i))) {
			out, err := exec.CommandContext(ctx, "duewatch", "explain", "--config", config, stormAccount(i)).CombinedOutput()
			t.Logf("%d texts: %s (%v)", count[stormAccount(i)], out, err)
		}
	}
}

// Of several daemons, each of so many kills is a stop instead.
const stormStops = 20

// standStill stops a daemon for longer than its lease, so that the others take it for dead, and
// has it go on in the middle of what it did. It finds that it was replaced, and ends.
func standStill(t *testing.T, c *exec.Cmd) {
	if err := c.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Error(err)
	}
	<-time.After(45 * time.Second)
	if err := c.Process.Signal(syscall.SIGCONT); err != nil {
		t.Error(err)
	}
	if err := c.Wait(); err == nil || c.ProcessState.ExitCode() != 1 {
		t.Errorf("a daemon that stood still for too long ends with %v", err)
	}
}

// onServer is read before TestMain hides the environment.
var onServer = pgtest.Wanted()

// serverOfItsOwn is an empty database of a server that keeps its promises, as none that is
// shared by other tests does.
func serverOfItsOwn(t *testing.T) (address string) {
	t.Helper()
	server, err := pgtest.New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	})
	if address, err = server.Create(t.Context(), "duewatch", ""); err != nil {
		t.Fatal(err)
	}
	return address
}

func stormAccount(i int) string { return fmt.Sprintf("DUE+3-S%05d", i) }

// awaitCalm returns when every reminder has a text and none is in doubt. What
// was lost twice is held for the operator: it releases that, as an operator
// who looked at the provider's log would, and returns how many that were.
func awaitCalm(ctx context.Context, t *testing.T, db, config string, m *meddler) (held int) {
	t.Helper()
	s, err := store.OpenReader(ctx, db)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}()
	look := time.NewTicker(500 * time.Millisecond)
	defer look.Stop()
	deadline := time.NewTimer(8 * time.Minute)
	defer deadline.Stop()
	for quiet, last := 0, -1; ; {
		doubt, err := s.InDoubt(ctx)
		if err != nil {
			t.Fatal(err)
		}
		texts, missing := len(m.world.Texts()), without(m)
		if doubt.Texts == 0 && len(missing) == 0 {
			return held
		}
		if quiet++; doubt.Texts > 0 || texts != last {
			quiet, last = 0, texts
		}
		if quiet == 20 { // ten seconds in which nothing happened
			quiet = 0
			waiting, err := s.Held(ctx)
			if err != nil {
				t.Fatal(err)
			}
			inDoubt := slices.ContainsFunc(waiting, func(h store.HeldCount) bool { return h.Reason == reminder.InDoubt })
			for account := range missing {
				if inDoubt && exec.CommandContext(ctx, "duewatch", "release", "--config", config, account).Run() == nil {
					held++
				}
			}
		}
		select {
		case <-deadline.C:
			waits, err := exec.CommandContext(ctx, "duewatch", "release", "--config", config).CombinedOutput()
			t.Errorf("no calm: %d texts at the provider, %d in doubt; what waits (%v):\n%s", texts, doubt.Texts, err, waits)
			return held
		case <-look.C:
		}
	}
}

// without are the accounts that the provider has no text for and should have.
func without(m *meddler) map[string]bool {
	missing := make(map[string]bool)
	for i := range *stormReminders {
		if !m.spared(stormAccount(i)) {
			missing[stormAccount(i)] = true
		}
	}
	for _, text := range m.world.Texts() {
		for _, account := range accountIn.FindAllString(text.Body, -1) {
			delete(missing, account)
		}
	}
	return missing
}

var accountIn = regexp.MustCompile(`DUE\+3-S\d+`)

func logFile(t *testing.T, dir string) *os.File {
	t.Helper()
	f, err := os.OpenFile(filepath.Join(dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return f
}

// stormConfig has all its bills due in three days, so that one reminder of
// each is due at once, and the shortest delays that the config takes.
func stormConfig(zone, db, url string, bills int) string {
	var b strings.Builder
	fmt.Fprintf(&b, `
timezone: %s
store: %s
almara: {base_url: %q, client_id: %s, client_secret: %s, rate: 1000}
notifier:
  mode: live
  segments_per_second: 150
  concurrency: 8
  reconcile_after: [30s, 40s]
  twilio: {account_sid: %s, auth_token: %s, from: %s, base_url: %q}
reminders: {window: "00:00-24:00", send_at: "00:00", per_number_daily: 100}
schedule: {register: "@every 1s", recheck: "@every 10s", remind: "@every 1s", receipts: "@every 1s"}
web: {listen: "127.0.0.1:0"}
bills:
`, zone, db, url, sandbox.ClientID, sandbox.ClientSecret, sandbox.AccountSID, sandbox.AuthToken, sandbox.From, url)
	for i := range bills {
		fmt.Fprintf(&b, "- {service: \"1042\", account: \"%s\", phone: \"+2547100000%02d\"}\n", stormAccount(i), stormPhone(i))
	}
	return b.String()
}
