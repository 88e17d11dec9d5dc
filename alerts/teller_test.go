package alerts

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// world has a teller checked each minute of a clock of its own.
type world struct {
	t        *testing.T
	teller   *Teller
	now      time.Time
	problems map[string]string
	ended    bool // what is no problem any more
	day      string
	digests  int
	fails    error // of the daily report

	mu      sync.Mutex // destinations are told at the same time
	results map[string]int
}

func newWorld(t *testing.T, urls ...string) *world {
	t.Helper()
	w := &world{t: t, now: night, problems: map[string]string{}, results: map[string]int{}}
	w.restart("", urls...)
	return w
}

// restart goes on as another process, with what the one before has kept.
func (w *world) restart(memory string, urls ...string) {
	w.t.Helper()
	w.teller = NewTeller("duewatch on host", func(_ string, err error) {
		w.mu.Lock()
		defer w.mu.Unlock()
		if err != nil {
			w.results["error"]++
		} else {
			w.results["ok"]++
		}
	})
	if err := w.teller.Restore(memory); err != nil {
		w.t.Fatal(err)
	}
	w.use(urls...)
}

func (w *world) use(urls ...string) {
	w.t.Helper()
	var all []*Destination
	for _, u := range urls {
		all = append(all, destination(w.t, u))
	}
	w.teller.Use(all, w.day)
}

// pass lets the minutes pass, with a check at the end of each.
func (w *world) pass(minutes int) {
	w.t.Helper()
	for range minutes {
		w.now = w.now.Add(time.Minute)
		if err := w.check(); !errors.Is(err, w.fails) {
			w.t.Fatal(err)
		}
	}
}

func (w *world) check() error {
	r := Round{Now: w.now, Zone: time.UTC, Ended: w.ended, Day: w.day, Digest: func(context.Context) (Message, error) {
		w.digests++
		return Message{"daily report", "all is well"}, w.fails
	}}
	for key, text := range w.problems {
		r.Problems = append(r.Problems, Problem{key, text})
	}
	return w.teller.Tell(w.t.Context(), r)
}

func (w *world) wants(l *listener, when string, want ...string) {
	w.t.Helper()
	if diff := cmp.Diff(want, l.taken()); diff != "" {
		w.t.Errorf("%s (-want +got):\n%s", when, diff)
	}
}

func TestAProblemIsToldWhenItBeginsEndsAndSeldomBetween(t *testing.T) {
	l := listen(t)
	w := newWorld(t, l.webhook())
	w.pass(5)
	w.wants(l, "with nothing wrong")

	w.problems["store"] = "the store cannot be written"
	w.pass(2)
	w.wants(l, "when it begins", "duewatch on host: 1 new problem\nNEW, since Sun 29 Nov 01:06: the store cannot be written")
	w.pass(59)
	w.wants(l, "within the hour")
	w.problems["store"] = "the store cannot be written, and the disk is full"
	w.pass(1)
	w.wants(l, "after an hour", "duewatch on host: 1 problem still there\nSTILL, since Sun 29 Nov 01:06: the store cannot be written, and the disk is full")

	w.problems["late"] = "the job remind is late"
	w.pass(2)
	w.wants(l, "of another one", "duewatch on host: 1 new problem, 1 still there\nNEW, since Sun 29 Nov 02:08: the job remind is late\n\n(1 more that you know of)")
	delete(w.problems, "store")
	w.pass(14)
	w.wants(l, "while it may come back")
	w.pass(1)
	w.wants(l, "when it is over", "duewatch on host: 1 problem over, 1 still there\n"+
		"OVER, from Sun 29 Nov 01:06 to Sun 29 Nov 02:09: the store cannot be written, and the disk is full\n\n(1 more that you know of)")
	delete(w.problems, "late")
	w.pass(15)
	w.wants(l, "of the other one", "duewatch on host: 1 problem over\nOVER, from Sun 29 Nov 02:08 to Sun 29 Nov 02:24: the job remind is late")
	w.pass(24 * 60)
	w.wants(l, "for a day after")
	if w.results["error"] > 0 || w.results["ok"] != 5 {
		t.Errorf("results %v", w.results)
	}
}

// What nobody mends for days is repeated each hour at first and once a day in the end.
func TestAnOldProblemIsRepeatedMoreSeldom(t *testing.T) {
	l := listen(t)
	w := newWorld(t, l.webhook())
	w.problems["warning"] = "the list shrank"
	var hours []int
	for minute := range 6 * 24 * 60 {
		w.pass(1)
		if len(l.taken()) > 0 {
			hours = append(hours, minute/60)
		}
	}
	if diff := cmp.Diff([]int{0, 1, 2, 4, 8, 16, 32, 56, 80, 104, 128}, hours); diff != "" {
		t.Errorf("hours (-want +got):\n%s", diff)
	}
}

func TestWhatComesAndGoesIsOneProblem(t *testing.T) {
	l := listen(t)
	w := newWorld(t, l.webhook())
	w.problems["job"] = "the last pass of register failed"
	w.pass(1)
	delete(w.problems, "job")
	w.pass(60)
	w.wants(l, "found once")
	for range 6 { // for an hour, five minutes with and five without
		w.problems["job"] = "the last pass of register failed"
		w.pass(5)
		delete(w.problems, "job")
		w.pass(5)
	}
	w.wants(l, "within the hour", "duewatch on host: 1 new problem\nNEW, since Sun 29 Nov 02:02: the last pass of register failed")
	w.pass(10)
	w.wants(l, "in the end", "duewatch on host: 1 problem over\nOVER, from Sun 29 Nov 02:02 to Sun 29 Nov 02:56: the last pass of register failed")
}

// A restart repeats nothing that was told, and ends nothing before its own jobs have
// run; a new destination learns what stands, and one that is back too.
func TestARestartRepeatsNothingAndLosesNothing(t *testing.T) {
	l, other := listen(t), listen(t)
	w := newWorld(t, l.webhook())
	w.problems["stop"] = "sending is stopped"
	w.pass(2)
	if got := l.taken(); len(got) != 1 {
		t.Fatalf("told %q", got)
	}
	memory := w.teller.Memory()
	if strings.Contains(memory, "s3cr3t") || strings.Contains(memory, l.host()) {
		t.Errorf("the memory holds the URL: %s", memory)
	}
	delete(w.problems, "stop") // the start ends stops that end by themselves, or has not found it yet
	w.now = w.now.Add(30 * time.Minute)
	w.restart(memory, l.webhook(), other.webhook())
	w.pass(10)
	w.wants(l, "before the jobs have run")
	w.problems["stop"] = "sending is stopped"
	w.pass(5)
	w.wants(l, "after the restart")
	w.wants(other, "of a new destination", "duewatch on host: 1 new problem\nNEW, since Sun 29 Nov 01:43: sending is stopped")

	w.use(other.webhook()) // a reload without the first
	w.pass(2)
	w.use(l.webhook(), other.webhook())
	w.pass(2)
	w.wants(l, "back again", "duewatch on host: 1 new problem\nNEW, since Sun 29 Nov 01:50: sending is stopped")
	w.wants(other, "over the reloads")
	delete(w.problems, "stop")
	w.pass(15)
	if got := l.taken(); len(got) != 1 || !strings.Contains(got[0], "OVER, from Sun 29 Nov 01:50") {
		t.Errorf("in the end: %q", got)
	}
}

// What one check had found, and no other does after a restart, was no problem.
func TestWhatOnlyTheProcessBeforeHasSeenOnceIsNotTold(t *testing.T) {
	l := listen(t)
	w := newWorld(t, l.webhook())
	w.problems["stop"] = "sending is stopped"
	w.pass(1)
	delete(w.problems, "stop")
	w.now = w.now.Add(5 * time.Minute)
	w.restart(w.teller.Memory(), l.webhook())
	w.pass(30)
	w.wants(l, "in the end")
}

// What cannot come again is told as over at once.
func TestWhatHasCertainlyEndedIsToldAtOnce(t *testing.T) {
	l := listen(t)
	w := newWorld(t, l.webhook())
	w.problems["waits"] = "this daemon waits"
	w.pass(3)
	l.taken()
	delete(w.problems, "waits")
	w.ended = true
	w.pass(1)
	w.wants(l, "when it ends", "duewatch on host: 1 problem over\nOVER, from Sun 29 Nov 01:01 to Sun 29 Nov 01:03: this daemon waits")
	w.problems["waits"] = "this daemon waits" // for less than a minute
	w.pass(1)
	delete(w.problems, "waits")
	w.pass(60)
	w.wants(l, "of what nobody was told of")
}

// A destination that fails gets later what there is to tell then, and no other waits
// for it. The others learn that it fails.
func TestADestinationThatFailsLosesNothing(t *testing.T) {
	bad, good := listen(t), listen(t)
	bad.answer(http.StatusServiceUnavailable)
	w := newWorld(t, bad.webhook())
	w.teller.onSend = func(string, error) {}
	w.use(bad.webhook(), good.webhook())
	w.problems["a"] = "a short problem"
	w.pass(3)
	delete(w.problems, "a")
	w.problems["b"] = "a long problem"
	w.pass(30)
	if got := good.taken(); len(got) != 3 {
		t.Errorf("the good one got %q", got)
	}
	failing := w.teller.Failing()
	if len(failing) != 1 || !strings.HasPrefix(failing[0].Text, "alerts cannot be sent to generic+"+bad.URL+": ") ||
		!strings.Contains(failing[0].Text, "503") || strings.Contains(failing[0].Text, "s3cr3t") {
		t.Fatalf("failing: %v", failing)
	}
	w.problems[failing[0].Key] = failing[0].Text
	w.pass(2)
	if got := good.taken(); len(got) != 1 || !strings.Contains(got[0], "NEW") || !strings.Contains(got[0], "alerts cannot be sent to") {
		t.Errorf("the good one got %q", got)
	}
	bad.answer(0)
	w.pass(60)
	w.wants(bad, "once it works again", "duewatch on host: 1 new problem, 1 over\nNEW, since Sun 29 Nov 01:04: a long problem\n\n"+
		"OVER, from Sun 29 Nov 01:01 to Sun 29 Nov 01:03 (it could not be sent then): a short problem")
	if len(w.teller.Failing()) != 0 {
		t.Errorf("still failing: %v", w.teller.Failing())
	}
}

// A service that is down is not called each minute for ever.
func TestADestinationThatFailsIsTriedMoreSeldom(t *testing.T) {
	l := listen(t)
	l.answer(http.StatusInternalServerError)
	w := newWorld(t, l.webhook())
	w.problems["a"] = "a problem"
	w.pass(24 * 60)
	if n := w.results["error"]; n < 20 || n > 32 {
		t.Errorf("%d tries in a day", n)
	}
}

func TestTheDailyReportComesOnceADay(t *testing.T) {
	l := listen(t)
	w := newWorld(t)
	w.day = "2026-11-28"
	w.use(l.webhook())
	w.pass(60)
	w.wants(l, "before its hour, and on the first day")
	w.day = "2026-11-29"
	l.answer(http.StatusBadGateway)
	w.pass(30)
	l.answer(0)
	w.pass(60)
	w.wants(l, "once it can be sent", "duewatch on host: daily report\nall is well")
	w.restart(w.teller.Memory(), l.webhook())
	w.pass(60)
	w.wants(l, "after a restart")
	memory := w.teller.Memory()
	w.day = "2026-12-02" // it was down for days
	w.restart(memory, l.webhook())
	w.pass(60)
	w.wants(l, "after some days", "duewatch on host: daily report\nall is well")

	// One that cannot be made holds up no problem.
	w.day, w.fails = "2026-12-03", errors.New("the store cannot be read")
	w.problems["store"] = "the store cannot be written"
	w.pass(2)
	if got := l.taken(); len(got) != 1 || !strings.Contains(got[0], "NEW") {
		t.Errorf("without a report: %q", got)
	}
}

// A clock that was set back by years neither silences nor repeats anything.
func TestAClockThatIsSetBack(t *testing.T) {
	l := listen(t)
	w := newWorld(t, l.webhook())
	w.problems["clock"] = "the clock is ahead"
	w.pass(2)
	l.taken()
	w.now = w.now.AddDate(-3, 0, 0)
	w.pass(59)
	w.wants(l, "within the hour")
	w.pass(2)
	if got := l.taken(); len(got) != 1 || !strings.Contains(got[0], "STILL") {
		t.Errorf("an hour later: %q", got)
	}
}

func TestAMemoryThatCannotBeReadIsSaid(t *testing.T) {
	if err := NewTeller("x", nil).Restore("{"); err == nil {
		t.Error("nothing is said")
	}
}
