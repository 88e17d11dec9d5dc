package scheduler

import (
	"fmt"
	"testing"
	"time"

	"duewatch/reminder"
	"duewatch/store/db"
)

// loses puts an older state of the store in place, as a standby is that was behind.
func (w *world) loses(before string, commits int) {
	w.t.Helper()
	w.restart(func(w *world) { w.path = before })
	fact := fmt.Sprintf(`{"at":%d,"commits":%d}`, w.Now().UnixMilli(), commits)
	if err := w.Store.SetMeta(db.FactWentBack, fact); err != nil {
		w.t.Fatal(err)
	}
	w.restart()
}

// The texts that a lost commit records have left. Nobody is texted again: not while the operator
// looks into it, nor after the release, and not even by a release before the provider's list is
// sure to show them.
func TestADatabaseThatLostCommitsTextsNobodyAgain(t *testing.T) {
	for name, releaseAfter := range map[string]time.Duration{"released later": time.Hour, "released at once": 0} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.forgotten = true
			for i, account := range []string{"A1", "A2", "A3"} {
				w.watch(account, "2026-03-12", phone(i))
			}
			before := w.snapshot()
			w.at("2026-03-09 09:00")
			w.tick()
			sent := []string{"03-09 09:00 A1", "03-09 09:00 A2", "03-09 09:00 A3"}
			w.wantTexts(sent...)
			w.at("2026-03-09 09:01")
			w.loses(before, 3)
			w.watch("A4", "2026-03-12", phone(4)) // of whom the provider knows nothing
			w.wantStops(reminder.StoreWentBack)
			w.wantLog("the database has lost 3 commits that it had confirmed")

			last := w.ReconcileAfter[len(w.ReconcileAfter)-1]
			if releaseAfter == 0 {
				w.releaseAll(reminder.StoreWentBack, 0)
			}
			w.ticks(last-time.Minute, time.Minute)
			w.wantTexts(sent...)
			w.wantStory("A1") // the list is not compared before it is sure to show all
			w.ticks(10*time.Minute, time.Minute)
			w.wantTexts(sent...) // the foreign texts stop sending, too, where it had been released
			w.wantStory("A1", "3 days before: skipped, sent_elsewhere")
			w.ticks(releaseAfter, 10*time.Minute)
			w.wantTexts(sent...)
			reason := reminder.StoreWentBack
			if releaseAfter == 0 {
				reason = reminder.CopiedStore
			}
			w.wantStops(reason)
			w.releaseAll(reason, 1)
			w.ticks(10*time.Minute, time.Minute)
			w.wantStops()
			if n := len(w.texts()); n != 4 {
				t.Errorf("%d texts, want those three and one to A4: %v", n, w.texts())
			}
			w.restart() // the same loss stops it no more
			w.ticks(10*time.Minute, time.Minute)
			w.wantStops()
		})
	}
}
