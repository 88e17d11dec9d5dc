package cli_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"duewatch/sandbox"
)

// outside is all that surrounds a daemon under test: stand-ins for Almara Pay
// and Twilio, a folder with a config and a store, and a port. The stand-ins
// outlive the daemon, so their record of texts is the truth about who was
// texted.
type outside struct {
	t       *testing.T
	sandbox *sandbox.Sandbox
	url     string // of the stand-ins
	dir     string
	port    string // of the daemon's health and metrics
	zone    string
	ahead   atomic.Int64 // nanoseconds by which the clocks of the stand-ins are ahead, as their answers say

	mu      sync.Mutex
	bearers map[string]bool // tokens the daemon was given
}

const webToken = "web-token-of-the-end-to-end-tests"

func newOutside(t *testing.T, bills ...string) *outside {
	t.Helper()
	name, zone := noonZone()
	s, err := sandbox.New(sandbox.Options{Zone: zone})
	if err != nil {
		t.Fatal(err)
	}
	o := &outside{t: t, sandbox: s, dir: t.TempDir(), port: freePort(t), zone: name, bearers: map[string]bool{}}
	handler := s.Handler()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok {
			o.mu.Lock()
			o.bearers[token] = true
			o.mu.Unlock()
		}
		if ahead := time.Duration(o.ahead.Load()); ahead != 0 {
			w.Header().Set("Date", time.Now().Add(ahead).UTC().Format(http.TimeFormat))
		}
		handler.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	t.Cleanup(s.ClearFaults) // runs before Close, which waits for held calls
	o.url = server.URL
	o.configure(bills...)
	return o
}

// The ports that tests are given lie below those that the system gives to
// connections, of which other tests make many.
var (
	lastPort  atomic.Int32
	firstPort = 15_000 + rand.IntN(15_000)
)

// freePort is a port of loopback that was free a moment ago, and that no other
// test of this run is given.
func freePort(t *testing.T) string {
	t.Helper()
	for range 100 {
		port := strconv.Itoa(firstPort + int(lastPort.Add(1)))
		if l, err := net.Listen("tcp", "127.0.0.1:"+port); err == nil {
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			return port
		}
	}
	t.Fatal("none of a hundred ports is free")
	return ""
}

// configure writes the config with these bills: the account says how each
// stands (package sandbox), and they have the phones from …01 on.
func (o *outside) configure(bills ...string) {
	o.t.Helper()
	var b strings.Builder
	fmt.Fprintf(&b, `
timezone: %s
store: %s
almara: {base_url: %q, client_id: %s, client_secret: %s}
notifier:
  mode: live
  twilio: {base_url: %q, account_sid: %s, auth_token: %s, from: %s}
reminders: {window: "00:00-24:00"}
schedule: {register: "@every 1s", recheck: "@every 1s", remind: "@every 1s", receipts: "@every 1s"}
web: {listen: "127.0.0.1:%s", token: %s}
log: {level: debug}
bills:
`, o.zone, o.path("duewatch.db"), o.url, sandbox.ClientID, sandbox.ClientSecret,
		o.url, sandbox.AccountSID, sandbox.AuthToken, sandbox.From, o.port, webToken)
	for i, account := range bills {
		fmt.Fprintf(&b, "  - {service: %q, account: %q, phone: \"+2547100000%02d\"}\n", sandbox.ServiceWater, account, i+1)
	}
	if len(bills) == 0 {
		b.WriteString("  []\n")
	}
	o.write(b.String())
}

func (o *outside) write(config string) {
	o.t.Helper()
	if err := os.WriteFile(o.path("config.yaml"), []byte(config), 0o600); err != nil {
		o.t.Fatal(err)
	}
}

func (o *outside) path(name string) string { return filepath.Join(o.dir, name) }

// command is duewatch with the config, in an environment that holds nothing
// else of duewatch's.
func (o *outside) command(args ...string) *exec.Cmd {
	c := exec.Command("duewatch", append(args, "--config", o.path("config.yaml"))...)
	c.Dir = o.dir
	c.Env = []string{"PATH=" + os.Getenv("PATH"), "GORACE=" + raceOptions, "GOCOVERDIR=" + os.Getenv("GOCOVERDIR")}
	return c
}

// hold makes the provider keep the next text waiting: before it is accepted, or
// after, with the answer still to come.
func (o *outside) hold(where sandbox.Endpoint, after bool) {
	o.t.Helper()
	o.holdCalls(1, where, after)
}

func (o *outside) holdCalls(n int, where sandbox.Endpoint, after bool) {
	o.t.Helper()
	if err := o.sandbox.AddFaults(sandbox.Fault{Where: where, What: sandbox.Hold, After: after, Times: n}); err != nil {
		o.t.Fatal(err)
	}
}

// sendNothingYet has a daemon learn of the bills without texting anybody, so
// that the next one finds them due together: registered one after the other,
// the second may be due when the call for the first is held already.
func (o *outside) sendNothingYet(accounts ...string) {
	o.t.Helper()
	live, err := os.ReadFile(o.path("config.yaml"))
	if err != nil {
		o.t.Fatal(err)
	}
	o.write(strings.ReplaceAll(string(live), "mode: live", "mode: off"))
	d := o.start()
	for _, account := range accounts {
		d.await("reminder held", account, "reason=mode_off")
	}
	d.stop()
	o.write(string(live))
}

func (o *outside) awaitHolding(calls int) {
	o.t.Helper()
	ctx, cancel := context.WithTimeout(o.t.Context(), patience)
	defer cancel()
	if err := o.sandbox.AwaitHolding(ctx, calls); err != nil {
		o.t.Fatal(err)
	}
}

// wantTexts fails unless the provider has accepted that many texts in all.
func (o *outside) wantTexts(n int) {
	o.t.Helper()
	if texts := o.sandbox.Texts(); len(texts) != n {
		o.t.Errorf("the provider has %d texts, want %d: %+v", len(texts), n, texts)
	}
}

// history is what explain --json tells.
type history struct {
	Bill struct {
		State    string
		NextLook string `json:"next_remind_at"`
	}
	Plan []struct {
		Stage           int
		Outcome, Reason string
	}
	Texts []struct {
		State    string
		Provider string `json:"provider_id"`
		Error    string
	}
	Events []struct{ What, Reason, Detail string }
}

func (o *outside) explain(account string) history {
	o.t.Helper()
	c := o.command("explain", "--json", account)
	var stderr strings.Builder
	c.Stderr = &stderr
	out, err := c.Output()
	if err != nil {
		o.t.Fatalf("explain %s: %v\n%s", account, err, stderr.String())
	}
	var s history
	if err := json.Unmarshal(out, &s); err != nil {
		o.t.Fatalf("explain %s says %s: %v", account, out, err)
	}
	return s
}

// wantText fails unless the bill has one text, in this state.
func (o *outside) wantText(account, state string) {
	o.t.Helper()
	s := o.explain(account)
	if len(s.Texts) != 1 || s.Texts[0].State != state {
		o.t.Errorf("the texts of %s are %+v, want one in state %s", account, s.Texts, state)
	}
}

// poll waits until ok.
func (o *outside) poll(what string, ok func() bool) {
	o.t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.After(patience); !ok(); {
		select {
		case <-tick.C:
		case <-deadline:
			o.t.Fatalf("waited in vain for %s", what)
		}
	}
}

// get asks the daemon's own web server; status 0 means that it does not answer.
func (o *outside) get(path string) (status int, body string) {
	o.t.Helper()
	ctx, cancel := context.WithTimeout(o.t.Context(), patience)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://127.0.0.1:"+o.port+path, nil)
	if err != nil {
		o.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+webToken)
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}} // the context has the time-out
	response, err := client.Do(r)
	if errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, io.EOF) {
		return 0, ""
	}
	if err != nil {
		o.t.Fatal(err)
	}
	defer response.Body.Close()
	b, err := io.ReadAll(response.Body)
	if err != nil {
		o.t.Fatal(err)
	}
	return response.StatusCode, string(b)
}

// metric is the value of one series as /metrics prints it, "" when there is
// none. The series is a name with its labels, as in duewatch_x{a="b"}.
func (o *outside) metric(series string) string {
	o.t.Helper()
	_, body := o.get("/metrics")
	for line := range strings.Lines(body) {
		if value, ok := strings.CutPrefix(line, series+" "); ok {
			return strings.TrimSpace(value)
		}
	}
	return ""
}
