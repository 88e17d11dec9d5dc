package scheduler

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"duewatch/sandbox"
	"duewatch/store"
)

// fails takes the store away, as a full disk does, until it is mended.
func (w *world) fails() (mended func()) {
	w.t.Helper()
	if err := w.Store.Close(); err != nil {
		w.t.Error(err)
	}
	return func() {
		db, err := store.Open(w.ctx, w.path)
		if err != nil {
			w.t.Error(err)
			return
		}
		w.Store = db
	}
}

// newRound is a round as a pass decides it.
func (w *world) newRound() store.Round {
	w.t.Helper()
	p := &remindPass{Scheduler: w.Scheduler, clock: w.ClockCheck.stateNow()}
	round, err := p.newRound()
	if err != nil {
		w.t.Fatal(err)
	}
	return round
}

// What the provider said of a text, and the store could not take at that moment, is
// written later: the text is not left in doubt.
func TestAKnownOutcomeIsWrittenOnceTheStoreTakesIt(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		answer *sandbox.Fault
		states string
		posted int64
	}{
		"accepted":  {nil, "delivered", 1},
		"throttled": {&sandbox.Fault{Where: sandbox.Send, What: sandbox.Status, Status: 429, Times: 1}, "refused delivered", 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.watch("A1", "2026-03-12", phone(1))
			w.at("2026-03-09 09:00")
			if c.answer != nil {
				w.faults(*c.answer)
			}
			var mended func()
			w.toProvider.hooks(firstPost(func() { mended = w.fails() }), nil)
			_ = w.tryTick()
			w.toProvider.hooks(nil, nil)
			for range 15 { // also past the lease
				w.clock.pass(time.Minute)
				if err := w.tryTick(); err == nil {
					t.Fatal("the jobs do not fail on a store that cannot be written")
				}
			}
			mended()
			w.ticks(10*time.Minute, time.Minute)
			w.wantStates("A1", c.states)
			if strings.Contains(w.log.String(), "in doubt") {
				t.Error("what was known was in doubt")
			}
			if n := w.posted.Load(); n != c.posted {
				t.Errorf("posted %d times, want %d", n, c.posted)
			}
		})
	}
}

// A text that was decided on, and never handed over since the store failed, is given
// back as soon as it can be written: the process knows that it never called.
func TestATextThatWasNeverHandedOverIsGivenBackAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(w *world) { w.senders = 1 })
	const bills = 6
	for i := range bills {
		w.watch(fmt.Sprint("A", i), "2026-03-12", phone(i))
	}
	w.at("2026-03-09 09:00")
	var mended func()
	w.toProvider.hooks(firstPost(func() { mended = w.fails() }), nil)
	w.faults(sandbox.Fault{Where: sandbox.Send, What: sandbox.Status, Status: 429, Times: 1}) // the others are given back
	_ = w.tryTick()
	w.toProvider.hooks(nil, nil)
	mended()
	w.clock.pass(2 * time.Minute)
	_ = w.tryTick()
	if n := len(w.texts()); n != bills {
		t.Errorf("%d texts two minutes after the store could be written, want %d", n, bills)
	}
	for i := range bills {
		w.wantStory(fmt.Sprint("A", i), "3 days before: texted, on_schedule")
	}
	w.check()
}

// A commit that seems to fail and did not: its texts are in nobody's hands.
func TestTextsOfACommitThatSeemedToFailAreGivenBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for i := range 3 {
		w.watch(fmt.Sprint("A", i), "2026-03-12", phone(i))
	}
	w.at("2026-03-09 09:00")
	decided, err := w.Store.DecideDue(w.ctx, w.newRound(), 10) // and whoever asked never hears of it
	if err != nil || len(decided.Texts) != 3 {
		t.Fatalf("%d texts, %v", len(decided.Texts), err)
	}
	w.tick()
	if n := len(w.texts()); n != 3 {
		t.Errorf("%d texts in the next pass, want 3", n)
	}
	w.wantLog("never handed over")
}

// A process that ends while the store cannot be written waits a little for it.
func TestTheLastWritesWaitForTheStore(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.watch("A1", "2026-03-12", phone(1))
	w.at("2026-03-09 09:00")
	var mended func()
	w.toProvider.hooks(firstPost(func() { mended = w.fails() }), nil)
	_ = w.tryTick()
	w.toProvider.hooks(nil, nil)
	tries := 0
	w.Now = func() time.Time {
		if tries++; tries == 2 {
			mended()
		}
		return w.clock.now()
	}
	if err := w.writeBeforeExit(); err != nil {
		t.Errorf("what was known could not be written: %v", err)
	}
	if tries > lastTries {
		t.Errorf("tried %d times", tries)
	}
	w.wantStates("A1", "accepted")
}

// An outcome that cannot be written at all is not kept, and its text is not taken for
// one that was never handed over.
func TestAnOutcomeThatCannotBeWrittenAtAllIsNotSentAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.watch("A1", "2026-03-12", phone(1))
	w.at("2026-03-09 09:00")
	decided, err := w.Store.DecideDue(w.ctx, w.newRound(), 10)
	if err != nil || len(decided.Texts) != 1 {
		t.Fatalf("%d texts, %v", len(decided.Texts), err)
	}
	odd := store.SendOutcome{TextID: decided.Texts[0].ID, State: store.Refused} // says not what becomes of the reminder
	if err := w.unwritten.record(w.Store, w.Now(), []store.SendOutcome{odd}); err == nil {
		t.Error("it was written")
	}
	w.tick()
	if n := w.posted.Load(); n != 0 {
		t.Errorf("posted %d times", n)
	}
	w.wantStates("A1", "sending")
}

// watchedContext is a context that calls a hook whenever somebody asks whether it is over.
type watchedContext struct {
	context.Context
	hook func()
}

func (a watchedContext) Err() error {
	a.hook()
	return a.Context.Err()
}

func (a watchedContext) Done() <-chan struct{} {
	a.hook()
	return a.Context.Done()
}

// The jobs for reminders and for receipts both write what is known. While one of them
// reads which texts to give back, the other must have no outcome in its hands that is
// not on disk.
func TestNothingIsGivenBackWhileAnotherJobWritesAnOutcome(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.watch("A1", "2026-03-12", phone(1))
	w.at("2026-03-09 09:00")
	if decided, err := w.Store.DecideDue(w.ctx, w.newRound(), 10); err != nil || len(decided.Texts) != 1 {
		t.Fatalf("%d texts, %v", len(decided.Texts), err)
	}
	tested, free := 0, 0
	ctx := watchedContext{w.ctx, func() {
		tested++
		select {
		case w.unwritten.lock <- struct{}{}:
			free++
			w.unwritten.lock.release()
		default:
		}
	}}
	if err := w.settleOwnTexts(ctx); err != nil {
		t.Fatal(err)
	}
	w.wantStates("A1", "refused")
	if tested == 0 || free > 0 {
		t.Errorf("of %d instants in which texts were given back, another job could begin to write in %d", tested, free)
	}
}

// firstPost makes a hook of f for the first request that hands over a text.
func firstPost(f func()) func(*http.Request) error {
	done := false
	return func(r *http.Request) error {
		if r.Method == http.MethodPost && !done {
			done = true
			f()
		}
		return nil
	}
}

// A pass whose answers the store could not take knows that it is over: the bills that it
// had claimed are due again in the next pass, and not after their lease.
func TestBillsWhoseAnswersCouldNotBeRecordedAreDueInTheNextPass(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(w *world) { w.policy.MaxBalanceAge = 0 })
	w.watch("A1", "2026-03-12", phone(1))
	w.at("2026-03-09 09:00")
	p := w.startPass(w.ctx, w.job(jobRemind), w.ClockCheck.stateNow(), 1)
	decided, err := p.decideDue()
	if err != nil || len(decided.Ask) != 1 {
		t.Fatalf("%d bills are to be asked about, %v, want 1", len(decided.Ask), err)
	}
	answers := p.askBalances(decided.Ask)
	mended := w.fails()
	if _, err = p.decideAnswered(answers); err == nil {
		t.Fatal("the answers were recorded in a store that is closed")
	}
	mended()
	if p.cleanUp(w.ctx, errors.Join(err, p.run())) == nil {
		t.Error("the pass did not fail")
	}
	w.clock.pass(time.Minute)
	w.tick()
	w.wantStory("A1", "3 days before: texted, on_schedule")
}
