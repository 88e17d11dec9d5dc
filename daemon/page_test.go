package daemon

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"duewatch/reminder"
	"duewatch/sandbox"
	"duewatch/store"
	"duewatch/web"
)

// shownPage is the page once all of it has been counted. On a busy machine that takes long, since
// what is counted keeps to a small part of the time that it has taken.
func (w *watched) shownPage(p *page) web.Page {
	w.t.Helper()
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for patience := time.After(5 * time.Minute); ; {
		v := p.show(w.t.Context())
		if v.Today != nil && v.Month != nil && v.Outlook != nil {
			return v
		}
		select {
		case <-again.C:
		case <-patience:
			w.t.Fatalf("it is not counted: %+v\n%s", v, w.log.String())
		}
	}
}

func TestThePageShowsWhatWaitsAndHowItGoesOn(t *testing.T) {
	w := newWatched(t, filepath.Join(t.TempDir(), "x.db"))
	if _, err := w.d.store.Declare(store.SourceConfig, w.cfg.Bills, w.now); err != nil {
		t.Fatal(err)
	}
	for _, job := range []string{"receipts", "register", "remind"} {
		w.must(w.s.Pass(t.Context(), job))
	}
	w.must(w.d.store.StopSending(w.now, reminder.Stop{Reason: reminder.AccountFault, Detail: "the account is closed"}))
	w.must(w.d.store.StopSending(w.now, reminder.Stop{Reason: reminder.Throttled, Until: w.now.Add(time.Minute), Detail: "too fast"}))
	w.must(w.d.store.Warn(w.now, reminder.UnreadableAnswers, "service 1042: 60 of 60 answers"))

	p := w.d.newPage(w.cfg, w.s, w.d.alerts.log)
	go p.run(t.Context()) //nolint:errcheck // it returns none
	v := w.shownPage(p)
	if len(v.Stopped) != 2 || v.Stopped[0].GoesOn != "by duewatch release --reason account_fault" ||
		!strings.HasSuffix(v.Stopped[1].GoesOn, "or by duewatch release --reason throttled") {
		t.Errorf("stopped: %+v", v.Stopped)
	}
	if len(v.Problems) != 3 {
		t.Errorf("%d problems, want three: %+v", len(v.Problems), v.Problems)
	}
	for _, problem := range v.Problems {
		if problem.Command == "" && !strings.Contains(problem.Text, "duewatch ") {
			t.Errorf("nobody knows what to do about %q", problem.Text)
		}
	}
	if handed := v.Today.Line.HandedOver(); handed == 0 || handed != v.Month.Total.HandedOver() {
		t.Errorf("%d texts were handed over today, and %d in the month", handed, v.Month.Total.HandedOver())
	}
	if len(v.Month.Days) != pageDays+1 || len(v.Outlook.Days) != aheadDays || len(v.Daemons) != 1 {
		t.Errorf("%d days, %d days to come, %d daemons", len(v.Month.Days), len(v.Outlook.Days), len(v.Daemons))
	}
	written, err := json.Marshal(v)
	w.must(err)
	for _, c := range sandbox.Samples(reminder.DateOf(w.now)) {
		for what, private := range map[string]string{"phone": c.Phone.E164(), "account": c.Account, "name": c.Customer} {
			if private != "" && strings.Contains(string(written), private) {
				t.Errorf("the %s %s is on the page", what, private)
			}
		}
	}
}

// The mode is off: reminders wait for it, and the look ahead says what live would send.
func TestThePageOfAModeThatIsOff(t *testing.T) {
	w := newWatched(t, filepath.Join(t.TempDir(), "x.db"))
	w.cfg.Delivery.Mode = reminder.ModeOff
	s, err := w.d.buildScheduler(w.cfg, w.d.alerts.log)
	w.must(err)
	if _, err := w.d.store.Declare(store.SourceConfig, w.cfg.Bills, w.now); err != nil {
		t.Fatal(err)
	}
	for _, job := range []string{"receipts", "register", "remind"} {
		w.must(s.Pass(t.Context(), job))
	}
	p := w.d.newPage(w.cfg, s, w.d.alerts.log)
	go p.run(t.Context()) //nolint:errcheck // it returns none
	v := w.shownPage(p)
	if !v.Outlook.Off {
		t.Error("it does not say that the mode is off")
	}
	texts := 0
	for _, d := range v.Outlook.Days {
		texts += d.Texts
	}
	var held web.Waiting
	for _, h := range v.Today.Held {
		if h.Reason == reminder.ModeIsOff {
			held = h
		}
	}
	if texts == 0 || held.Reminders == 0 || held.GoesOn != "once notifier.mode is no longer off" {
		t.Errorf("%d texts to come, and %+v is held", texts, held)
	}
}

// Without its store the daemon still has a page, which says so.
func TestThePageSaysThatTheStoreIsAway(t *testing.T) {
	w := newWatched(t, filepath.Join(t.TempDir(), "x.db"))
	w.must(w.d.store.Close())
	v := w.d.newPage(w.cfg, w.s, w.d.alerts.log).show(t.Context())
	if v.Alive || len(v.Problems) == 0 || v.Today != nil {
		t.Errorf("%+v", v)
	}
}
