package store

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"duewatch/reminder"
)

func TestAWarningStandsUntilItsCauseEndsOrTheOperatorReleasesIt(t *testing.T) {
	s, p := openNew(t), newPolicy()
	now := firstStage
	wantWarnings := func(want ...Warning) {
		t.Helper()
		if diff := cmp.Diff(want, must(s.Warnings(t.Context()))); diff != "" {
			t.Errorf("warnings (-want +got):\n%s", diff)
		}
	}
	mustDo(t, s.Warn(now, reminder.MassPaid, "21 of 40 bills"))
	mustDo(t, s.Warn(now.Add(time.Minute), reminder.MassPaid, "22 of 40 bills"))
	mustDo(t, s.Warn(now.Add(time.Hour), reminder.UnreadableAnswers, "9 of 20 answers"))
	wantWarnings(
		Warning{reminder.MassPaid, now, "22 of 40 bills"},
		Warning{reminder.UnreadableAnswers, now.Add(time.Hour), "9 of 20 answers"})

	mustDo(t, s.EndWarning(reminder.UnreadableAnswers))
	must(s.ReleaseAll(t.Context(), p, now.Add(2*time.Hour), reminder.MassPaid, "somebody", nil))
	wantWarnings()
	if got := must(instantOf(s.read(t.Context()), metaReleased+string(reminder.MassPaid))); !got.Equal(now.Add(2 * time.Hour)) {
		t.Errorf("released at %s", got)
	}
	if got := must(instantOf(s.read(t.Context()), metaReleased+string(reminder.ListShrank))); !got.IsZero() {
		t.Errorf("what nobody released was released at %s", got)
	}
}
