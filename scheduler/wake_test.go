package scheduler

import (
	"strings"
	"testing"

	"duewatch/reminder"
)

// Whoever reads the log alone is told once that a warning or a stop began, and once
// that it is over.
func TestTheLogSaysWhenAStopOrAWarningBeginsAndEnds(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	now := w.clock.now()
	active := w.logChange(w.ctx, nil)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(w.Store.Warn(now, reminder.MassPaid, "of 200 bills 190 turned"))
	must(w.Store.StopSending(now, reminder.Stop{Reason: reminder.MassRejected, Detail: "40 bills of service 1042"}))
	for range 3 {
		active = w.logChange(w.ctx, active)
	}
	must(w.Store.EndWarning(reminder.MassPaid))
	must(w.Store.EndStop(reminder.MassRejected))
	for range 3 {
		active = w.logChange(w.ctx, active)
	}
	log := w.log.String()
	for _, want := range []string{
		"level=WARN msg=\"" + reminder.MassPaid.Info().Means + "\" reason=mass_paid detail=\"of 200 bills 190 turned\"",
		"level=ERROR msg=\"" + reminder.MassRejected.Info().Means + "\" reason=mass_rejected detail=\"40 bills of service 1042\"",
		"level=INFO msg=\"over: " + reminder.MassPaid.Info().Means + "\" reason=mass_paid",
		"level=INFO msg=\"over: " + reminder.MassRejected.Info().Means + "\" reason=mass_rejected",
	} {
		if n := strings.Count(log, want); n != 1 {
			t.Errorf("the log says %d times, want once: %s", n, want)
		}
	}
}
