package scheduler

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"duewatch/almara"
	"duewatch/notifier"
	"duewatch/reminder"
	"duewatch/sandbox"
	"duewatch/store"
	"duewatch/store/db/pgtest"
)

// The tests of this package run the real jobs on a real store, with the real
// clients, over HTTP against the sandbox, on a clock that only tests move. A
// world is all of that for one test; when the test ends it checks what must
// hold in every test: no reminder in two texts, none at night, and no secret
// or phone number in the log.

const water = sandbox.ServiceWater

// zone is Nairobi's, which has no summer time; the zone file may be missing.
var zone = time.FixedZone("EAT", 3*3600)

// clock is the time that a test has set, or else that of the test's bubble.
type clock struct {
	mu    sync.Mutex
	t     time.Time
	wrong time.Duration // that of a bubble is ahead by so much
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.t.IsZero() {
		return time.Now().Add(c.wrong)
	}
	return c.t
}

// skew has the clock of a bubble be wrong.
func (c *clock) skew(wrong time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.wrong = wrong
}

func (c *clock) set(t time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = t
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

// wire is a transport with a hook around each request, and a memory for what
// must never be logged.
type wire struct {
	next http.RoundTripper

	mu      sync.Mutex                // of what is below: calls of a process that ended may still be under way
	before  func(*http.Request) error // an error is the answer: the request is not made
	after   func(*http.Request)       // the answer has come, and the caller does not know it yet
	secrets []string
	date    func(http.Header) // sets the Date of an answer; nil = it is the real time
}

func (w *wire) RoundTrip(r *http.Request) (*http.Response, error) {
	w.mu.Lock()
	if auth := r.Header.Get("Authorization"); auth != "" {
		_, secret, _ := strings.Cut(auth, " ")
		w.secrets = append(w.secrets, secret)
	}
	before, after := w.before, w.after
	w.mu.Unlock()
	if before != nil {
		if err := before(r); err != nil {
			return nil, err
		}
	}
	res, err := w.next.RoundTrip(r)
	if err == nil && w.date != nil {
		w.date(res.Header)
	}
	if err == nil && after != nil {
		after(r)
	}
	return res, err
}

// hooks sets what is called before and after each call from now on.
func (w *wire) hooks(before func(*http.Request) error, after func(*http.Request)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.before, w.after = before, after
}

// logBuffer collects the log in both formats.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func (l *logBuffer) logger() *slog.Logger {
	all := &slog.HandlerOptions{Level: slog.LevelDebug}
	return slog.New(slog.NewMultiHandler(slog.NewTextHandler(l, all), slog.NewJSONHandler(l, all)))
}

// world is one daemon, Almara Pay, the provider and the hour. What is below
// the line may be changed before start or between stop and start.
type world struct {
	*Scheduler
	t         *testing.T
	clock     *clock
	sandbox   *sandbox.Sandbox
	log       *logBuffer
	registry  *prometheus.Registry
	asked     atomic.Int64 // bills that Almara Pay answered for
	posted    atomic.Int64 // texts that were posted to the provider, whatever came of them
	declared  []reminder.Bill
	starts    int
	forgotten bool            // records were trimmed, so texts cannot be compared with them
	others    []string        // words of texts that other programs sent
	tries     []string        // accounts with several texts for a reminder, since the first was not delivered
	ctx       context.Context // the test's, but good for its cleanup too

	bubble       bool
	path         string
	url          string // of the sandbox
	provider     string // where texts are posted; "" = the sandbox
	toProvider   *wire
	toAlmara     *wire
	clientSecret string
	authToken    string
	policy       *reminder.Policy
	delivery     reminder.Delivery
	fingerprint  string
	sender       string
	senders      int
	askers       int
	round        int // 0 = as the rate gives it
	resend       bool
	callbacks    *Callbacks  // nil = there are none
	truth        *truth      // what the clock is held against; nil = nothing
	comparison   *Comparison // of the next start; nil = it is a new process
}

func TestMain(m *testing.M) { os.Exit(pgtest.Main(m)) }

// newPlace is where a new store may be.
func newPlace(t testing.TB) string {
	t.Helper()
	return pgtest.Place(t, prepareStore)
}

// prepareStore brings an empty store up to date.
func prepareStore(path string) error {
	s, err := store.Open(context.Background(), path)
	if err != nil {
		return err
	}
	return s.Close()
}

// newWorld is a world at 08:00 on Monday, 9 March 2026, with texts 3
// days before the due date and on it, at 09:00, between 08:00 and 18:00.
func newWorld(t *testing.T, change ...func(*world)) *world {
	t.Helper()
	w := prepare(t, change...)
	w.start()
	return w
}

func prepare(t *testing.T, change ...func(*world)) *world {
	t.Helper()
	templates, err := reminder.ParseTemplates(reminder.DefaultTemplates())
	if err != nil {
		t.Fatal(err)
	}
	window, err := reminder.ParseWindow("08:00-18:00")
	if err != nil {
		t.Fatal(err)
	}
	w := &world{
		t: t, ctx: context.WithoutCancel(t.Context()), clock: &clock{}, log: &logBuffer{}, path: newPlace(t),
		clientSecret: sandbox.ClientSecret, authToken: sandbox.AuthToken,
		policy: &reminder.Policy{
			ServiceName: "Nairobi Water", Zone: zone, Currency: "KES",
			Stages: []reminder.Stage{-3, 0}, SendAt: 9 * 60, Window: window, MinBalance: reminder.MustMoney("1"),
			MaxBalanceAge: time.Hour, StaleBalance: reminder.StaleHold, PerNumberDaily: 1,
			Language: "en", Templates: templates, MaxSegments: 2,
		},
		delivery: reminder.Delivery{Mode: reminder.ModeLive}, fingerprint: "first", senders: 2, askers: 4,
	}
	w.at("2026-03-09 08:00")
	w.toAlmara, w.toProvider = &wire{}, &wire{}
	for _, c := range change {
		c(w)
	}
	now := w.clock.now
	if w.truth != nil {
		now = w.truth.now
	}
	if w.sandbox, err = sandbox.New(sandbox.Options{Zone: zone, Now: now}); err != nil {
		t.Fatal(err)
	}
	disconnect := w.connect()
	t.Cleanup(func() {
		w.sandbox.ClearFaults()
		if w.Scheduler != nil {
			w.check()
			w.stop()
		}
		disconnect()
	})
	return w
}

// connect puts the sandbox behind a real server, or in memory.
func (w *world) connect() (disconnect func()) {
	if w.bubble {
		w.url = "http://127.0.0.1"
		w.toAlmara.next, w.toProvider.next = inMemory{w.sandbox.Handler()}, inMemory{w.sandbox.Handler()}
		return func() {}
	}
	server := httptest.NewServer(w.sandbox.Handler())
	w.url = server.URL
	transport := &http.Transport{MaxIdleConnsPerHost: 8}
	w.toAlmara.next, w.toProvider.next = transport, transport
	return func() {
		transport.CloseIdleConnections()
		server.Close()
	}
}

// inBubble makes a world for a testing/synctest bubble: on its clock, in which
// it is 1 January 2000, 03:00, and with no network to wait for.
func inBubble(w *world) { w.bubble, w.clock.t = true, time.Time{} }

// noticeEvery is seldom where hours pass in a bubble, each second of which a server would be
// asked once.
func (w *world) noticeEvery() time.Duration {
	if w.bubble && pgtest.Wanted() {
		return 30 * time.Second
	}
	return 0
}

// start does what cli and Run do before the first pass.
func (w *world) start() {
	w.t.Helper()
	ctx := w.ctx
	fail := func(err error) {
		if err != nil {
			w.t.Helper()
			w.t.Fatal(err)
		}
	}
	w.starts++
	w.build()
	_, err := w.Scheduler.prepare(ctx)
	fail(err)
	w.replanAll(ctx)
}

// build makes the parts, as cli does.
func (w *world) build() {
	w.t.Helper()
	fail := func(err error) {
		if err != nil {
			w.t.Helper()
			w.t.Fatal(err)
		}
	}
	db, err := store.Open(w.ctx, w.path)
	fail(err)
	log := w.log.logger()
	check := w.truth.check(w.clock.now)
	a, err := almara.New(almara.Config{
		BaseURL: w.url, ClientID: sandbox.ClientID, ClientSecret: w.clientSecret, Rate: 1e6, Concurrency: w.askers,
		Transport: w.toAlmara, Now: w.clock.now, Log: log, OnDate: check.OnDate(PeerAlmara),
		OnCall: func(op, outcome string, _ time.Duration) {
			if op != "token" && outcome == "ok" {
				w.asked.Add(1)
			}
		},
	})
	fail(err)
	provider := w.provider
	if provider == "" {
		provider = w.url
	}
	n, err := notifier.New(notifier.Config{
		AccountSID: sandbox.AccountSID, AuthToken: w.authToken, From: sandbox.From, BaseURL: provider,
		Delivery: w.delivery, Transport: w.toProvider, Log: log, OnDate: check.OnDate(PeerProvider),
		OnCall: func(op, _ string, _ time.Duration) {
			if op == "send" {
				w.posted.Add(1)
			}
		},
	})
	fail(err)
	w.registry = prometheus.NewRegistry()
	w.Scheduler, err = New(Config{
		Store: db, Almara: a, Notifier: n,
		Policies: reminder.Policies{Default: w.policy}, Delivery: w.delivery,
		Schedule: Schedule{Register: "@every 1m", Recheck: "*/10 * * * *", Remind: "* * * * *", Receipts: "*/5 * * * *", Housekeeping: "15 2 * * *"},
		Zone:     zone, Country: "KE", Fingerprint: w.fingerprint, Owner: fmt.Sprintf("run-%d", w.starts),
		SentBy:            w.sender,
		SegmentsPerSecond: 1e6, SendConcurrency: w.senders, AskConcurrency: w.askers, Retention: 400 * 24 * time.Hour,
		ReconcileAfter: []time.Duration{2 * time.Minute, 15 * time.Minute}, Resend: w.resend,
		Callbacks: w.callbacks, NoticeEvery: w.noticeEvery(), Now: w.clock.now, ClockCheck: check, Comparison: w.comparison, Log: log, Metrics: NewMetrics(w.registry),
	})
	fail(err)
	w.comparison = nil
	if w.round > 0 {
		w.roundSizes.bills, w.roundSizes.ahead = w.round, w.round
	}
}

func (w *world) stop() {
	w.t.Helper()
	if err := w.Store.Close(); err != nil {
		w.t.Error(err)
	}
	w.Scheduler = nil
}

func (w *world) restart(change ...func(*world)) {
	w.t.Helper()
	w.stop()
	for _, c := range change {
		c(w)
	}
	w.start()
}

// reload begins another generation of the same process.
func (w *world) reload(change ...func(*world)) {
	w.t.Helper()
	kept := w.Comparison
	w.restart(append(change, func(w *world) { w.comparison = kept })...)
}

// at sets the clock, in Nairobi.
func (w *world) at(hour string) {
	w.t.Helper()
	t, err := time.ParseInLocation("2006-01-02 15:04", hour, zone)
	if err != nil {
		w.t.Fatal(err)
	}
	w.clock.set(t)
}

func phone(n int) reminder.Phone { return reminder.Phone(fmt.Sprintf("+2547100000%02d", n)) }

// owes makes the biller know a bill.
func (w *world) owes(account, due, balance string) {
	w.t.Helper()
	day, err := reminder.ParseDate(due)
	if err == nil {
		err = w.sandbox.Move(water, account, day)
	}
	if err == nil {
		err = w.sandbox.Pay(water, account, reminder.MustMoney(balance))
	}
	if err != nil {
		w.t.Fatal(err)
	}
}

// pays settles a bill in full.
func (w *world) pays(account string) {
	w.t.Helper()
	if err := w.sandbox.Pay(water, account, reminder.MustMoney("0")); err != nil {
		w.t.Fatal(err)
	}
}

// declare lists one more bill in the config.
func (w *world) declare(account string, to reminder.Phone) {
	w.t.Helper()
	w.declared = append(w.declared, reminder.Bill{Service: water, Account: account, Phone: to})
	if _, err := w.Store.Declare("config", w.declared, w.clock.now()); err != nil {
		w.t.Fatal(err)
	}
}

// watch is owes and declare, and a tick to register it.
func (w *world) watch(account, due string, to reminder.Phone) {
	w.t.Helper()
	w.owes(account, due, "1250.50")
	w.declare(account, to)
	w.tick()
}

func (w *world) job(name string) *job {
	w.t.Helper()
	for _, j := range w.jobs {
		if j.name == name {
			return j
		}
	}
	w.t.Fatalf("no job %s", name)
	return nil
}

// tick runs each job once; none may fail.
func (w *world) tick() {
	w.t.Helper()
	if err := w.tryTick(); err != nil {
		w.t.Fatal(err)
	}
}

// tryTick runs each job once and returns what failed.
func (w *world) tryTick() error {
	w.t.Helper()
	var errs []error
	for _, name := range []string{jobRegister, jobRecheck, jobRemind, jobReceipts} {
		j := w.job(name)
		j.pass(w.ctx, w.Scheduler)
		errs = append(errs, j.err)
	}
	return errors.Join(errs...)
}

// ticks lets the time pass and ticks all along; jobs may fail.
func (w *world) ticks(total, every time.Duration) {
	w.t.Helper()
	for range total / every {
		w.clock.pass(every)
		_ = w.tryTick()
	}
}

var accountOf = regexp.MustCompile(`\(account ([^)]+)\)|Nairobi Water ([^:,.]+):`)

// accountsIn are those that a text names: several of a phone may share it.
func accountsIn(body string) (all []string) {
	for _, m := range accountOf.FindAllStringSubmatch(body, -1) {
		all = append(all, m[1]+m[2])
	}
	if all == nil {
		return []string{"no account: " + body}
	}
	return all
}

// texts are the texts that the provider accepted: when, and for which account.
func (w *world) texts() []string {
	out := []string{}
	for _, t := range w.sandbox.Texts() {
		out = append(out, t.CreatedAt.In(zone).Format("01-02 15:04 ")+strings.Join(accountsIn(t.Body), "+"))
	}
	slices.Sort(out)
	return out
}

func (w *world) wantTexts(want ...string) {
	w.t.Helper()
	if diff := cmp.Diff(append([]string{}, want...), w.texts()); diff != "" {
		w.t.Errorf("texts (-want +got):\n%s", diff)
	}
}

func (w *world) bill(account string) store.Watched {
	w.t.Helper()
	var found store.Watched
	err := w.Store.Bills(w.ctx, store.BillFilter{Account: account}, func(b store.Watched) error {
		found = b
		return nil
	})
	if err != nil || found.ID == 0 {
		w.t.Fatalf("bill %s: %v", account, err)
	}
	return found
}

// story is what became of each stage of a bill: "due day: texted, on_schedule".
func (w *world) story(account string) []string {
	w.t.Helper()
	all, err := w.Store.Reminders(w.ctx, w.bill(account).ID)
	if err != nil {
		w.t.Fatal(err)
	}
	out := []string{}
	for _, r := range all {
		out = append(out, fmt.Sprintf("%s: %s, %s", r.Stage, r.Outcome, r.Reason))
	}
	return out
}

func (w *world) wantStory(account string, want ...string) {
	w.t.Helper()
	if diff := cmp.Diff(append([]string{}, want...), w.story(account)); diff != "" {
		w.t.Errorf("story of %s (-want +got):\n%s", account, diff)
	}
}

// states are those of the texts of a bill, oldest first.
func (w *world) states(account string) string {
	w.t.Helper()
	texts, err := w.Store.Texts(w.ctx, w.bill(account).ID)
	if err != nil {
		w.t.Fatal(err)
	}
	var out []string
	for _, x := range texts {
		out = append(out, string(x.State))
	}
	return strings.Join(out, " ")
}

func (w *world) wantStates(account, want string) {
	w.t.Helper()
	if got := w.states(account); got != want {
		w.t.Errorf("texts of %s are %q, want %q", account, got, want)
	}
}

func (w *world) wantLog(part string) {
	w.t.Helper()
	if !strings.Contains(w.log.String(), part) {
		w.t.Errorf("the log does not say %q", part)
	}
}

func (w *world) faults(list ...sandbox.Fault) {
	w.t.Helper()
	if err := w.sandbox.AddFaults(list...); err != nil {
		w.t.Fatal(err)
	}
}

// counted is the value of a counter, with its label values in the order of
// their names.
func (w *world) counted(name string, labels ...string) float64 {
	w.t.Helper()
	families, err := w.registry.Gather()
	if err != nil {
		w.t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.GetMetric() {
			var have []string
			for _, l := range m.GetLabel() {
				have = append(have, l.GetValue())
			}
			if slices.Equal(have, labels) {
				return m.GetCounter().GetValue()
			}
		}
	}
	return 0
}

// fullNumber is not found within the random digits of a sid.
var fullNumber = regexp.MustCompile(`(\+|%2B|\b)2547\d{8}\b`)

// check is what must hold at the end of every test.
func (w *world) check() {
	w.t.Helper()
	sent := map[string]int{}
	for _, t := range w.sandbox.Texts() {
		if slices.Contains(w.others, t.Body) {
			continue
		}
		for _, account := range accountsIn(t.Body) {
			sent[account]++
		}
		at := t.CreatedAt.In(zone)
		if end := at.Add(t.Validity); !w.policy.OpenAt(at) || reminder.ClockOf(end) > w.policy.Window.To || reminder.DateOf(end) != reminder.DateOf(at) {
			w.t.Errorf("a text left at %s and was valid for %s: outside the window", at, t.Validity)
		}
	}
	for account, n := range sent {
		texted := 0
		for _, line := range w.story(account) {
			if strings.Contains(line, ": texted") {
				texted++
			}
		}
		if n > texted && !w.forgotten && !slices.Contains(w.tries, account) {
			w.t.Errorf("account %s had %d texts for %d reminders:\n%s", account, n, texted, strings.Join(w.texts(), "\n"))
		}
	}
	log := w.log.String()
	if n := fullNumber.FindString(log); n != "" {
		w.t.Error("the log holds a phone number in full")
	}
	secrets := []string{sandbox.ClientSecret, sandbox.AuthToken, sandbox.APIKeySecret}
	secrets = append(secrets, w.toAlmara.secrets...)
	for _, s := range append(secrets, w.toProvider.secrets...) {
		if strings.Contains(log, s) {
			w.t.Error("the log holds a secret")
		}
	}
}

// inMemory answers requests by a handler, with no network in between: inside
// a testing/synctest bubble only this can be waited for.
type inMemory struct{ handler http.Handler }

func (m inMemory) RoundTrip(r *http.Request) (res *http.Response, err error) {
	defer func() {
		if p := recover(); p != nil { // http.ErrAbortHandler: the connection ends
			err = io.ErrUnexpectedEOF
		}
	}()
	rec := httptest.NewRecorder()
	in := r.Clone(r.Context())
	if in.Body == nil {
		in.Body = http.NoBody
	}
	in.RequestURI = r.URL.RequestURI()
	m.handler.ServeHTTP(rec, in)
	return rec.Result(), nil
}

// postsOnly makes a hook of f for the requests that hand over a text.
func postsOnly(f func()) func(*http.Request) {
	return func(r *http.Request) {
		if r.Method == http.MethodPost {
			f()
		}
	}
}

// sandboxTextsAreTries tells check that several texts of the account are new
// tries of one reminder that was not delivered.
func (w *world) sandboxTextsAreTries(account string) { w.tries = append(w.tries, account) }
