package daemon

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"duewatch/reminder"
	"duewatch/store"
)

func TestTheStatusLine(t *testing.T) {
	w := newWatched(t, filepath.Join(t.TempDir(), "x.db"))
	status := func() string {
		t.Helper()
		w.d.bills = &billCounts{store: w.d.store} // counted anew
		line, err := w.d.status(t.Context(), w.cfg, w.d.health(t.Context(), w.s).problems)
		w.must(err)
		if strings.ContainsAny(line, "\n") {
			t.Errorf("%q is no line", line)
		}
		return line
	}
	if got, want := status(), "sandbox, nobody is texted; 0 bills; no reminder planned"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if _, err := w.d.store.Declare(store.SourceConfig, w.cfg.Bills, w.now); err != nil {
		t.Fatal(err)
	}
	w.d.standIns = nil
	if got, want := status(), "mode live; 0 bills, 13 pending; no reminder planned"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	w.must(w.s.Pass(t.Context(), "register"))
	if got, want := status(), "mode live; 12 bills, 1 rejected; reminders due now"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	w.must(w.s.Pass(t.Context(), "remind"))
	w.must(w.d.store.StopSending(w.now, reminder.Stop{Reason: reminder.Throttled, Until: w.now.Add(time.Hour), Detail: "x"}))
	w.must(w.d.store.Warn(w.now, reminder.ListShrank, "x"))
	got := status()
	if !strings.HasPrefix(got, "mode live; 12 bills, 1 rejected; next reminder due ") ||
		!strings.HasSuffix(got, "; stopped: throttled; 1 other problem: duewatch doctor") {
		t.Errorf("%q", got)
	}
}
