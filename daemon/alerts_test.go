package daemon

import (
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"duewatch/config"
	"duewatch/reminder"
	"duewatch/scheduler"
	"duewatch/store"
)

// phoneOfSamples begins the phones of the sandbox's customers.
const phoneOfSamples = "2547100000"

// watched is a daemon against the stand-ins, of which the test takes the steps, with a
// webhook and a heartbeat on loopback.
type watched struct {
	t   *testing.T
	d   *daemon
	s   *scheduler.Scheduler
	cfg *config.Config
	now time.Time
	log strings.Builder
	url string // of the webhook and the heartbeat

	mu       sync.Mutex
	messages []string
	beats    int
	refuse   bool
}

func newWatched(t *testing.T, path string) *watched {
	t.Helper()
	w := &watched{t: t, now: time.Now()}
	server := httptest.NewServer(http.HandlerFunc(w.serve))
	t.Cleanup(server.Close)
	w.url = server.URL
	w.start(path)
	return w
}

// start starts the daemon.
func (w *watched) start(path string) {
	t := w.t
	t.Helper()
	cfg, err := config.Load("", config.Options{Sandbox: true, Environ: []string{
		"DUEWATCH_STORE=" + path, "DUEWATCH_TIMEZONE=UTC", "DUEWATCH_NOTIFIER__PRICE_PER_SEGMENT=0.80",
		"DUEWATCH_ALERTS__URLS=generic+" + w.url + "/s3cr3thook?template=json", "DUEWATCH_ALERTS__HEARTBEAT_URL=" + w.url + "/s3cr3tbeat",
	}})
	if err != nil {
		t.Fatal(err)
	}
	w.cfg = cfg
	s, err := store.Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() }) // a test may have closed it
	log := slog.New(slog.NewTextHandler(&w.log, nil))
	w.d = newDaemon(t.Context(), Options{Sandbox: true, Now: func() time.Time { return w.now }}, path, s, log)
	if w.d.standIns, err = StartStandIns(t.Context(), cfg, time.Now, nil, log); err != nil {
		t.Fatal(err)
	}
	w.d.standIns.ReplaceIn(cfg)
	w.d.defaultPolicy.Store(cfg.Policies.Default)
	if w.s, err = w.d.buildScheduler(cfg, log); err == nil {
		err = w.d.alerts.use(cfg, w.now, log)
	}
	if err != nil {
		t.Fatal(err)
	}
	w.d.alerts.digestAt = nil // its hour may come in any test: that of the report itself sets it
}

func (w *watched) serve(out http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		w.t.Error(err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	var m struct{ Title, Message string }
	switch {
	case w.refuse:
		out.WriteHeader(http.StatusServiceUnavailable)
	case r.URL.Path == "/s3cr3tbeat":
		w.beats++
	case json.Unmarshal(body, &m) == nil:
		w.messages = append(w.messages, m.Title+"\n"+m.Message)
	default:
		w.t.Errorf("%s %s", r.URL, body)
	}
}

// pass lets minutes pass, with what the daemon does in each.
func (w *watched) pass(minutes int) (messages []string, beats int) {
	w.t.Helper()
	for range minutes {
		w.now = w.now.Add(time.Minute)
		w.d.beat(w.t.Context(), w.s, w.cfg, w.d.alerts.logger())
		w.d.tell(w.t.Context(), w.s, w.cfg, w.d.alerts.logger())
	}
	return w.taken()
}

// taken is what came since it was asked last.
func (w *watched) taken() (messages []string, beats int) {
	w.t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	messages, beats = w.messages, w.beats
	w.messages, w.beats = nil, 0
	for _, m := range append(messages, w.log.String()) {
		if strings.Contains(m, "s3cr3t") || strings.Contains(m, phoneOfSamples) {
			w.t.Errorf("a secret or a phone is in %q", m)
		}
	}
	return messages, beats
}

func (w *watched) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func TestTheOperatorIsToldOfAStopOverARestart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.db")
	w := newWatched(t, path)
	if messages, beats := w.pass(5); len(messages) != 0 || beats != 5 {
		t.Fatalf("with nothing wrong: %q, %d heartbeats", messages, beats)
	}
	w.must(w.d.store.StopSending(w.now, reminder.Stop{Reason: reminder.AccountFault, Detail: "Twilio refuses +254710000001 (code 20003)"}))
	messages, beats := w.pass(2)
	if len(messages) != 1 || beats != 2 {
		t.Fatalf("of a stop: %q, %d heartbeats", messages, beats)
	}
	for _, part := range []string{
		"duewatch (sandbox) on ", ": 1 new problem\n", "sending is stopped since", "account_fault: Twilio refuses ***01 (code 20003)",
		"duewatch release --reason account_fault lets it go on",
	} {
		if !strings.Contains(messages[0], part) {
			t.Errorf("%q is not in %q", part, messages[0])
		}
	}
	to := "generic+" + w.url
	if n := testutil.ToFloat64(w.d.alerts.sent.WithLabelValues(to, "ok")); n != 1 {
		t.Errorf("duewatch_alerts_total{to=%q,result=\"ok\"} is %v", to, n)
	}

	w.must(w.d.store.Close())
	w.start(path) // another process
	if kept, err := w.d.store.Meta(t.Context(), metaAlerts); err != nil || kept == "" || strings.Contains(kept, "s3cr3t") {
		t.Errorf("kept is %q, %v", kept, err)
	}
	if messages, _ := w.pass(30); len(messages) != 0 {
		t.Errorf("after a restart it is told again: %q", messages)
	}
	w.must(w.d.store.EndStop(reminder.AccountFault))
	if messages, _ := w.pass(20); len(messages) != 1 || !strings.Contains(messages[0], ": 1 problem over\nOVER, from ") {
		t.Errorf("the end is told as %q", messages)
	}
}

// Who comes to lead several daemons knows what another one has told since its own start.
func TestADaemonThatComesToLeadDoesNotTellAgain(t *testing.T) {
	w := newWatched(t, filepath.Join(t.TempDir(), "x.db"))
	stop := reminder.Stop{Reason: reminder.AccountFault, Detail: "the account is closed"}
	w.must(w.d.store.StopSending(w.now, stop))
	if messages, _ := w.pass(2); len(messages) != 1 {
		t.Fatalf("of a stop: %q", messages)
	}
	told, err := w.d.store.Meta(t.Context(), metaAlerts)
	w.must(err)

	w.start(filepath.Join(t.TempDir(), "y.db"))
	w.must(w.d.store.StopSending(w.now, stop))
	w.must(w.d.store.SetMeta(metaAlerts, told)) // by the one that led until now
	if messages, _ := w.pass(2); len(messages) != 0 {
		t.Errorf("it is told again: %q", messages)
	}
}

// A daemon that is not alive calls no heartbeat, and tells why.
func TestADaemonThatIsNotWellCallsNoHeartbeat(t *testing.T) {
	w := newWatched(t, filepath.Join(t.TempDir(), "x.db"))
	w.must(w.d.store.Close())
	messages, beats := w.pass(2)
	if beats != 0 || len(messages) != 1 || !strings.Contains(messages[0], "the store cannot be written") {
		t.Errorf("%d heartbeats, and %q", beats, messages)
	}
}

// When nothing outside can be reached, the jobs go on, and /healthz and the metrics show it.
func TestAlertsThatFailAreAProblemAndStopNothing(t *testing.T) {
	w := newWatched(t, filepath.Join(t.TempDir(), "x.db"))
	w.refuse = true
	w.must(w.d.store.Warn(w.now, reminder.ListShrank, "39 of 40 bills are missing"))
	if messages, beats := w.pass(12); len(messages)+beats != 0 {
		t.Fatalf("%q, %d", messages, beats)
	}
	var keys []string
	for _, p := range w.d.health(t.Context(), w.s).problems {
		key, _, _ := strings.Cut(p.Key, ":")
		keys = append(keys, key)
		if strings.Contains(p.Text, "s3cr3t") {
			t.Errorf("the secret is in %q", p.Text)
		}
	}
	if diff := cmp.Diff([]string{"warning", "alerts", "heartbeat"}, keys); diff != "" {
		t.Errorf("problems (-want +got):\n%s", diff)
	}
	if n := testutil.ToFloat64(w.d.alerts.beats.WithLabelValues("error")); n != 12 {
		t.Errorf("%v heartbeats failed", n)
	}
	w.refuse = false
	// The list, and that the heartbeat failed; later, that it fails no more.
	if messages, beats := w.pass(60); len(messages) != 2 || beats != 60 || !strings.Contains(messages[0], "39 of 40") {
		t.Errorf("once it works: %d heartbeats, %q", beats, messages)
	}
}

// What Almara Pay says of a bill may hold anything: none of it leaves the host.
func TestWhatPeersSayOfABillStaysHere(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.db")
	s, err := store.Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close() //nolint:errcheck // a test's
	now := time.Date(2026, 3, 9, 9, 0, 0, 0, time.UTC)
	for _, r := range []reminder.Reason{reminder.UnreadableAnswers, reminder.NobodyAnswered} {
		if err := s.Warn(now, r, "Jane Wanjiku of account 4417 has moved"); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.StopSending(now, reminder.Stop{Reason: reminder.MassRejected, Detail: "Jane Wanjiku of account 4417 has moved"}); err != nil {
		t.Fatal(err)
	}
	problems := Problems{Store: s, Policy: &reminder.Policy{Zone: time.UTC}, Now: func() time.Time { return now }}.Sending(t.Context())
	if len(problems) != 3 || !strings.Contains(strings.Join(Sentences(problems), "\n"), "Wanjiku") {
		t.Fatalf("problems %q", Sentences(problems))
	}
	for _, p := range outside(problems) {
		if strings.Contains(p.Text, "Wanjiku") || strings.Contains(p.Text, "4417") || !strings.Contains(p.Text, "duewatch release") {
			t.Errorf("outside it is %q", p.Text)
		}
	}
	for text, want := range map[string]string{
		"call +254 710-000 001 or 0710000001":                                       "call ***01 or ***01",
		"since 2026-03-09 09:00, 5000 of 130000 segments, DUE+15-00042, code 21608": "since 2026-03-09 09:00, 5000 of 130000 segments, DUE+15-00042, code 21608",
	} {
		if got := withoutNumbers(text); got != want {
			t.Errorf("%q becomes %q", text, got)
		}
	}
}

// The report of a day on which texts were sent says what became of them.
func TestTheDailyReport(t *testing.T) {
	w := newWatched(t, filepath.Join(t.TempDir(), "x.db"))
	w.d.alerts.digestAt = w.cfg.Alerts.DigestAt
	ctx := t.Context()
	if _, err := w.d.store.Declare(store.SourceConfig, w.cfg.Bills, w.now); err != nil {
		t.Fatal(err)
	}
	for _, job := range []string{"register", "remind", "receipts"} {
		w.must(w.s.Pass(ctx, job))
	}
	texts := 0
	w.must(w.d.store.ReportTexts(ctx, store.Period{Until: w.now.Add(time.Hour)}, func(c store.TextCount) error {
		texts += c.Texts
		return nil
	}))
	if texts == 0 {
		t.Fatal("the sandbox has sent no text")
	}
	tomorrow := reminder.DateOf(w.now.UTC()).AddDays(1).At(*w.cfg.Alerts.DigestAt, time.UTC)
	w.now = tomorrow.Add(-3 * time.Minute)
	w.pass(1) // where this test began before the hour of the report, that of the day before comes late
	w.must(w.d.store.Warn(w.now, reminder.ListShrank, "39 of 40 bills are missing"))
	if messages, _ := w.pass(1); len(messages) != 0 {
		t.Fatalf("before its hour: %q", messages)
	}
	messages, _ := w.pass(1)
	if len(messages) != 2 { // the warning, and the report
		t.Fatalf("at its hour: %q", messages)
	}
	t.Log(messages[1])
	for _, part := range []string{
		": daily report, ", " texts on ", "1 problem\n", "mode live.\nSent: ", " delivered, ", "Skipped: ", "\nHeld now: ", "\nIn doubt now: 0.", "\nCost: ", "segments, KES ",
		"\nBills: ", "\nTo do:\n- list_shrank since ",
	} {
		if !strings.Contains(messages[1], part) {
			t.Errorf("%q is not in the report", part)
		}
	}

	// One that comes late, in the night after, is of the same day as it would have been in time.
	day := reminder.DateOf(tomorrow)
	for _, next := range []struct {
		after time.Duration
		of    reminder.Date
	}{{42 * time.Hour, day}, {48 * time.Hour, day.AddDays(1)}} {
		w.now = tomorrow.Add(next.after)
		messages, _ = w.pass(1)
		if report := messages[len(messages)-1]; !strings.Contains(report, ": daily report, 0 texts on "+dayName(next.of)) {
			t.Errorf("%v later, the report is not of %s:\n%s", next.after, dayName(next.of), report)
		}
	}

	// Who has paid is told once the three days are over that they have for it.
	w.now = tomorrow.Add(3 * 24 * time.Hour)
	messages, _ = w.pass(1)
	report := messages[len(messages)-1]
	if !strings.Contains(report, ": daily report, ") || !regexp.MustCompile(`(?m)^Paid within 3 days: \d+ of \d+ reminders from .+ to .+ \(\d+%\)\.$`).MatchString(report) {
		t.Errorf("the report does not say who has paid:\n%s", report)
	}
}
