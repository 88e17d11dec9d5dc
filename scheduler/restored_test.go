package scheduler

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"duewatch/notifier"
	"duewatch/sandbox"
)

// However long the provider's list is, reading it is no silence: a watchdog that
// ended the daemon in the middle would have it begin again, for ever.
func TestALongListIsReadWithSignsOfLife(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.forgotten = true
	w.watch("A1", "2026-03-12", phone(1))
	w.at("2026-03-09 09:00")
	for i := range 1200 {
		r := w.Notifier.Send(w.ctx, notifier.Message{To: phone(50), Body: fmt.Sprint("Your parcel ", i, " has arrived (account A1)"), Validity: time.Hour})
		if r.Err != nil {
			t.Fatal(r.Err)
		}
	}
	w.restart()
	pages := 0
	w.toProvider.hooks(nil, func(r *http.Request) {
		if r.Method != http.MethodGet || !strings.HasSuffix(r.URL.Path, "/Messages.json") {
			return
		}
		pages++
		w.clock.pass(lateAfter - time.Second)
		for _, h := range w.Health() {
			if h.Name == jobRemind && h.Late {
				t.Errorf("late on page %d", pages)
			}
		}
	})
	w.tick()
	if pages < 3 {
		t.Errorf("%d pages were read, want 3 or more", pages)
	}
}

// The list cannot be read, and the store cannot keep that sending is stopped: a pass that
// went on would text everyone again from a store that was restored.
func TestNothingIsSentWhileTheListIsUnreadAndTheStopCannotBeWritten(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.watch("A1", "2026-03-12", phone(1))
	w.at("2026-03-09 09:00")
	w.Comparison.forget()
	w.faults(sandbox.Fault{Where: sandbox.List, What: sandbox.Status, Status: 503})
	var mended func()
	w.toProvider.hooks(func(r *http.Request) error {
		if r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, "/Messages.json") && mended == nil {
			mended = w.fails()
		}
		return nil
	}, nil)
	now, once := w.Scheduler.Now, false
	w.Scheduler.Now = func() time.Time {
		if mended != nil && !once { // the store works again by the time at which a round is decided
			once = true
			mended()
		}
		return now()
	}
	if err := w.tryTick(); err == nil {
		t.Error("the pass did not fail")
	}
	if !once {
		t.Fatal("the list was not read: nothing was put to the test")
	}
	w.wantStates("A1", "")
	w.Scheduler.Now = now
	w.sandbox.ClearFaults()
	w.toProvider.hooks(nil, nil)
	w.ticks(10*time.Minute, time.Minute)
	w.wantStates("A1", "delivered")
}
