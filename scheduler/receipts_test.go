package scheduler

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"duewatch/reminder"
	"duewatch/sandbox"
)

// Many receipts are read off the provider's list, a page at a time, and not
// with a call for each text.
func TestManyReceiptsCostFewCalls(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const texts = 60
	for i := range texts {
		w.watch(fmt.Sprintf("A%02d", i), "2026-03-12", phone(i))
	}
	w.at("2026-03-09 09:00")
	w.tick()
	w.clock.pass(2 * time.Minute) // they are delivered, and their first poll has come
	w.tick()
	for i := range texts {
		w.wantStates(fmt.Sprintf("A%02d", i), "delivered")
	}
	if calls := w.sandbox.Calls(); calls[sandbox.Fetch] != 0 || calls[sandbox.List] != 2 { // one of them before the first text
		t.Errorf("%d texts were fetched one by one and %d lists read, want 0 and 2", calls[sandbox.Fetch], calls[sandbox.List])
	}
}

// A list that cannot be read costs more calls, and no receipt.
func TestReceiptsAreFetchedWhenTheListFails(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const texts = 25
	for i := range texts {
		w.watch(fmt.Sprintf("A%02d", i), "2026-03-12", phone(i))
	}
	w.at("2026-03-09 09:00")
	w.tick()
	w.faults(sandbox.Fault{Where: sandbox.List, What: sandbox.Status, Status: 503})
	w.clock.pass(2 * time.Minute)
	w.tick()
	for i := range texts {
		w.wantStates(fmt.Sprintf("A%02d", i), "delivered")
	}
}

// A text of which nothing is heard after "sent" is not asked about for ever.
func TestTextThatStaysSentEndsAsUnconfirmed(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(w *world) { w.policy.Stages = []reminder.Stage{-3} })
	w.watch("A1", "2026-03-12", sandbox.PhoneStaysSent)
	w.at("2026-03-09 09:00")
	w.tick()
	w.ticks(66*time.Hour, 3*time.Hour)
	w.wantStates("A1", "sent")
	w.ticks(10*time.Hour, time.Hour)
	w.wantStates("A1", "unconfirmed")
	before := w.sandbox.Calls()[sandbox.Fetch]
	w.ticks(48*time.Hour, 3*time.Hour)
	if more := w.sandbox.Calls()[sandbox.Fetch] - before; more != 0 {
		t.Errorf("it was asked about %d times more", more)
	}
}

// Receipts of several texts in a row got no answer: the pass ends, and the next one
// asks about others first.
func TestAProviderThatGivesNoReceiptsIsNotAskedForAllOfThem(t *testing.T) {
	t.Parallel()
	asked := map[string]int{}
	w := newWorld(t, func(w *world) {
		w.senders = 1
		twilio{fetch: func(rw http.ResponseWriter, r *http.Request) {
			asked[r.URL.Path]++
			says(500, asHTML, "")(rw, r)
		}}.inFront(w)
	})
	for i := range 12 {
		w.watch(fmt.Sprintf("A%02d", i), "2026-03-12", phone(i))
	}
	w.at("2026-03-09 09:00")
	w.tick()
	w.clock.pass(time.Minute)
	for pass := 1; pass <= 3; pass++ {
		w.job(jobReceipts).pass(w.ctx, w.Scheduler)
		if len(asked) != 3*pass {
			t.Errorf("after pass %d, %d texts were asked about", pass, len(asked))
		}
	}
}

// A list that gives no answer about texts in doubt keeps no receipts of others back.
func TestTextsInDoubtHoldUpNoReceipts(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(w *world) { w.senders = 1 })
	for i := range 4 {
		w.watch(fmt.Sprint("A", i), "2026-03-12", phone(i))
	}
	w.at("2026-03-09 09:00")
	w.faults(sandbox.Fault{Where: sandbox.Send, What: sandbox.Drop, After: true, Times: 3})
	w.tick()
	w.faults(sandbox.Fault{Where: sandbox.List, What: sandbox.Status, Status: 500})
	w.clock.pass(2 * time.Minute)
	_ = w.tryTick()
	w.wantStates("A0", "unknown")
	w.wantStates("A3", "delivered")
}
