package scheduler

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"duewatch/almara"
	"duewatch/notifier"
	"duewatch/reminder"
	"duewatch/sandbox"
	"duewatch/store"
)

// stepped is a daemon on a virtual clock.
type stepped struct {
	*Scheduler
	t     *testing.T
	clock *VirtualClock
	box   *sandbox.Sandbox
	path  string
}

// newStepped makes a daemon with so many bills, due over the next two weeks.
func newStepped(t *testing.T, bills int, change ...func(*Config)) *stepped {
	t.Helper()
	w := &stepped{t: t, clock: NewVirtualClock(time.Date(2026, 3, 9, 0, 0, 0, 0, zone)), path: filepath.Join(t.TempDir(), "duewatch.db")}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	var err error
	w.box, err = sandbox.New(sandbox.Options{Zone: zone, Now: w.clock.Now})
	must(err)
	db, err := store.OpenScratch(t.Context(), w.path)
	must(err)
	t.Cleanup(func() { must(db.Close()) })
	log := slog.New(slog.DiscardHandler)
	a, err := almara.New(almara.Config{BaseURL: "http://127.0.0.1", ClientID: sandbox.ClientID, ClientSecret: sandbox.ClientSecret,
		Rate: almara.Unpaced, Transport: w.box.Transport(), Now: w.clock.Now, Log: log})
	must(err)
	live := reminder.Delivery{Mode: reminder.ModeLive}
	n, err := notifier.New(notifier.Config{AccountSID: sandbox.AccountSID, AuthToken: sandbox.AuthToken, From: sandbox.From, BaseURL: "http://127.0.0.1",
		Delivery: live, Transport: w.box.Transport(), Log: log})
	must(err)
	templates, err := reminder.ParseTemplates(reminder.DefaultTemplates())
	must(err)
	policy := &reminder.Policy{
		ServiceName: "Nairobi Water", Zone: zone, Currency: "KES", Stages: []reminder.Stage{-3, 0}, SendAt: 9 * 60,
		Window: reminder.Window{From: 8 * 60, To: 18 * 60}, MinBalance: reminder.MustMoney("1"), MaxBalanceAge: time.Hour,
		StaleBalance: reminder.StaleHold, PerNumberDaily: 1, Language: "en", Templates: templates, MaxSegments: 2,
	}
	c := Config{
		Store: db, Almara: a, Notifier: n, Policies: reminder.Policies{Default: policy}, Delivery: live, Zone: zone, Fingerprint: "one", Owner: "stepped",
		Schedule:          Schedule{Register: "@every 1m", Recheck: "*/10 * * * *", Remind: "* * * * *", Receipts: "*/5 * * * *", Housekeeping: "15 2 * * *"},
		SegmentsPerSecond: 8, SendConcurrency: 4, AskConcurrency: 4, Retention: 400 * 24 * time.Hour,
		ReconcileAfter: []time.Duration{2 * time.Minute, 15 * time.Minute}, Resend: true,
		Virtual: w.clock, AskRate: 20, Log: log, Metrics: NewMetrics(prometheus.NewRegistry()),
	}
	for _, f := range change {
		f(&c)
	}
	w.Scheduler, err = New(c)
	must(err)
	var list []reminder.Bill
	for i := range bills {
		list = append(list, reminder.Bill{Service: water, Account: fmt.Sprintf("DUE+%d-%04d", i%14, i), Phone: phone(i % 28)}) // several of a phone are due together
	}
	_, err = db.Declare("config", list, w.clock.Now())
	must(err)
	must(w.Begin(t.Context()))
	return w
}

// until steps the daemon to an instant and returns how often.
func (w *stepped) until(ctx context.Context, end time.Time) (steps int) {
	w.t.Helper()
	for {
		next, err := w.Next(ctx)
		if err != nil {
			w.t.Fatal(err)
		}
		if next.IsZero() || !next.Before(end) {
			w.clock.Set(end)
			return steps
		}
		w.clock.Set(next)
		if err := w.Step(ctx); err != nil {
			w.t.Fatal(err)
		}
		if steps++; steps > 100_000 {
			w.t.Fatalf("it does not come on: %s", next)
		}
	}
}

// inbox is what the provider has, each as when, to whom and which words.
func (w *stepped) inbox(since time.Time) (all []string) {
	for _, x := range w.box.Texts() {
		if !x.CreatedAt.Before(since) {
			all = append(all, fmt.Sprint(x.CreatedAt.In(zone).Format("02 Jan 15:04 "), x.To.E164(), " ", x.Body))
		}
	}
	slices.Sort(all)
	return all
}

// What Preview foresees is what the daemon then does while nobody pays: by the
// same rules, at the same minute, in the same words.
func TestAPreviewIsWhatHappens(t *testing.T) {
	w := newStepped(t, 60)
	ctx := t.Context()
	begin := time.Date(2026, 3, 10, 12, 0, 0, 0, zone) // some texts are behind, some held
	w.until(ctx, begin)
	end := begin.AddDate(0, 0, 7)
	f, err := store.OpenPreview(ctx, copyOf(t, w.Store))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close() //nolint:errcheck // a copy
	var foreseen []string
	held := 0
	err = Preview(ctx, PreviewConfig{Store: f, Policies: w.Policies, Delivery: w.Delivery, Remind: w.Schedule.Remind, SegmentsPerSecond: w.SegmentsPerSecond,
		Fingerprint: w.Fingerprint, From: begin, Until: end}, func(now time.Time, l store.RoundResult) error {
		for _, x := range l.Texts {
			foreseen = append(foreseen, fmt.Sprint(now.In(zone).Format("02 Jan 15:04 "), x.To.E164(), " ", x.Body))
		}
		for _, n := range l.Records {
			if n.Outcome == reminder.Held {
				held++
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	w.until(ctx, end)
	slices.Sort(foreseen)
	if diff := cmp.Diff(foreseen, w.inbox(begin)); diff != "" {
		t.Errorf("what happens is not what was foreseen (-foreseen +happened):\n%s", diff)
	}
	if len(foreseen) < 30 || held == 0 {
		t.Errorf("only %d texts, %d held: too little to prove anything", len(foreseen), held)
	}
}

// copyOf is a file with what the store holds.
func copyOf(t *testing.T, s *store.Store) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "copy.db")
	if _, err := s.Backup(t.Context(), path, false, func(string, int, int) {}); err != nil {
		t.Fatal(err)
	}
	opened, err := store.Open(t.Context(), path) // as a daemon would leave it
	if err != nil {
		t.Fatal(err)
	}
	if err := opened.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

// The rates hold although nobody waits: texts spread over the minutes they
// take, and so do calls.
func TestAVirtualClockKeepsToTheRates(t *testing.T) {
	w := newStepped(t, 112, func(c *Config) { c.SegmentsPerSecond, c.AskRate, c.Policies.Default.PerNumberDaily = 0.1, 0.5, 10 })
	began := time.Now()
	w.until(t.Context(), time.Date(2026, 3, 9, 0, 1, 0, 0, zone))
	if n := asked(t, w); n == 0 || n >= 112 {
		t.Errorf("%d bills were registered in a minute at one in two seconds", n)
	}
	w.until(t.Context(), time.Date(2026, 3, 9, 0, 5, 0, 0, zone))
	if n := asked(t, w); n != 112 {
		t.Errorf("%d of 112 bills were registered in five minutes", n)
	}
	w.until(t.Context(), time.Date(2026, 3, 9, 12, 0, 0, 0, zone))
	texts := w.box.Texts()
	for i, x := range texts {
		for j, y := range texts[i:] {
			if took := y.CreatedAt.Sub(x.CreatedAt); float64(j+1) > took.Seconds()*0.1+minRound {
				t.Errorf("%d texts in %s at six a minute", j+1, took)
			}
		}
	}
	if took := texts[len(texts)-1].CreatedAt.Sub(texts[0].CreatedAt); took < 2*time.Minute {
		t.Errorf("32 texts in %s at six a minute", took)
	}
	if len(texts) != 32 {
		t.Errorf("%d texts by noon instead of 32", len(texts))
	}
	if took := time.Since(began); took > time.Minute {
		t.Errorf("it took %s: somebody waits", took)
	}
}

// asked is how many bills Almara Pay knows.
func asked(t *testing.T, w *stepped) (n int) {
	t.Helper()
	err := w.Store.Bills(t.Context(), store.BillFilter{State: reminder.BillActive}, func(store.Watched) error { n++; return nil })
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// Ticks with nothing due are left out, and nothing else: the same happens when
// each minute is stepped.
func TestLeavingOutIdleTicksChangesNothing(t *testing.T) {
	end := time.Date(2026, 3, 12, 0, 0, 0, 0, zone)
	quick, slow := newStepped(t, 30), newStepped(t, 30)
	steps := quick.until(t.Context(), end)
	for at := slow.clock.Now(); at.Before(end); at = at.Add(time.Minute) {
		slow.until(t.Context(), at)
		for _, name := range []string{jobRegister, jobRemind} {
			slow.wake(name)
		}
	}
	slow.until(t.Context(), end)
	if diff := cmp.Diff(slow.inbox(time.Time{}), quick.inbox(time.Time{})); diff != "" {
		t.Errorf("texts (-each minute +only where something is due):\n%s", diff)
	}
	if most := 3 * 24 * 60; steps > most/4 {
		t.Errorf("%d steps in three days of %d minutes", steps, most)
	}
}

func TestAVirtualClockNeverGoesBack(t *testing.T) {
	c := NewVirtualClock(time.Unix(100, 0))
	c.Set(time.Unix(50, 0))
	if got := c.Now().Unix(); got != 100 {
		t.Errorf("it stands at %d", got)
	}
}

func TestFirstTick(t *testing.T) {
	began := time.Date(2026, 3, 9, 8, 0, 30, 0, zone)
	at := func(clock string) time.Time {
		t.Helper()
		x, err := time.ParseInLocation("2006-01-02 15:04:05.000", "2026-03-09 "+clock, zone)
		if err != nil {
			t.Fatal(err)
		}
		return x
	}
	for _, tt := range []struct{ expression, due, want string }{
		{"* * * * *", "09:00:00.000", "09:00:00.000"},
		{"* * * * *", "09:00:00.001", "09:01:00.000"},
		{"*/10 * * * *", "09:00:01.000", "09:10:00.000"},
		{"@every 1m", "09:00:00.000", "09:00:30.000"},
		{"@every 1m", "09:00:30.000", "09:00:30.000"},
		{"@every 1m", "07:00:00.000", "08:00:30.000"},
	} {
		t.Run(strings.ReplaceAll(tt.expression, "/", "|")+" "+tt.due, func(t *testing.T) {
			schedule, err := parseExpression(tt.expression)
			if err != nil {
				t.Fatal(err)
			}
			if got := firstTick(schedule, at(tt.due), began); !got.Equal(at(tt.want)) {
				t.Errorf("%s, want %s", got.Format("15:04:05.000"), tt.want)
			}
		})
	}
}
