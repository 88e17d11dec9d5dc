package scheduler

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"duewatch/reminder"
	"duewatch/store"
)

// foresee is what Preview says a daemon will text, by some policy.
func (w *stepped) foresee(p *reminder.Policy, fingerprint string, from, until time.Time) (all []string) {
	w.t.Helper()
	f, err := store.OpenPreview(w.t.Context(), copyOf(w.t, w.Store))
	if err != nil {
		w.t.Fatal(err)
	}
	defer f.Close() //nolint:errcheck // a copy
	err = Preview(w.t.Context(), PreviewConfig{Store: f, Policies: reminder.Policies{Default: p}, Delivery: w.Delivery, Remind: w.Schedule.Remind,
		SegmentsPerSecond: w.SegmentsPerSecond, Fingerprint: fingerprint, From: from, Until: until, Replanning: func(int) {}},
		func(now time.Time, l store.RoundResult) error {
			for _, x := range l.Texts {
				all = append(all, fmt.Sprint(now.In(zone).Format("02 Jan 15:04 "), x.To.E164(), " ", x.Body))
			}
			return nil
		})
	if err != nil {
		w.t.Fatal(err)
	}
	slices.Sort(all)
	return all
}

// An edit of the config is foreseen as the daemon acts on it after the reload,
// whether texts may leave at that hour or not.
func TestAPreviewByAnotherPolicyIsWhatHappens(t *testing.T) {
	for name, begin := range map[string]time.Time{
		"while the window is open":   time.Date(2026, 3, 10, 12, 0, 0, 0, zone),
		"while the window is closed": time.Date(2026, 3, 10, 22, 30, 0, 0, zone),
	} {
		t.Run(name, func(t *testing.T) {
			w := newStepped(t, 60)
			w.until(t.Context(), begin)
			edited := *w.Policies.Default
			edited.Stages, edited.SendAt = []reminder.Stage{-5, -2, 0}, 8*60 // as the window opens
			end := begin.AddDate(0, 0, 7)
			foreseen := w.foresee(&edited, "two", begin, end)

			reloaded := w.Config
			reloaded.Policies, reloaded.Fingerprint = reminder.Policies{Default: &edited}, "two"
			var err error
			if w.Scheduler, err = New(reloaded); err != nil {
				t.Fatal(err)
			}
			if err := w.Begin(t.Context()); err != nil {
				t.Fatal(err)
			}
			w.until(t.Context(), end)
			if diff := cmp.Diff(foreseen, w.inbox(begin)); diff != "" {
				t.Errorf("what happens is not what was foreseen (-foreseen +happened):\n%s", diff)
			}
			if len(foreseen) < 60 {
				t.Errorf("only %d texts: too few to prove anything", len(foreseen))
			}
		})
	}
}
