package scheduler

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"duewatch/notifier"
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
