package scheduler

import (
	"context"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// The simulation runs the whole daemon through five to six weeks of a world in
// which everything goes wrong that may, and then looks at the provider's own
// record: was anybody texted twice, after paying, at night, against their
// will, or not at all? A run is drawn from its seed alone, so what a seed has
// found, it finds again.
//
// The real jobs run on a real SQLite file with the real clients; only the
// network and the clock are made up. What a run is made of:
//
//	sim_world_test.go   the daemon, its machine and its files
//	sim_script_test.go  who owes what, and until when
//	sim_blows_test.go   what goes wrong with daemon, machine, config and clock
//	sim_wire_test.go    the network, and what goes wrong on it
//	sim_call_test.go    one call
//	sim_record_test.go  the provider's record, side by side with the store's
//	sim_check_test.go   what must hold of both
//	sim_lost_test.go    that no stage was lost

var (
	simSeeds = flag.Int("seeds", 30, "how many runs TestSimulation makes")
	simSeed  = flag.Uint64("seed", 0, "the seed of the first of them")
	simLog   = flag.Bool("simlog", false, "print the whole log of each run")
)

func TestSimulation(t *testing.T) {
	var (
		mu  sync.Mutex
		all = map[string]int{}
	)
	t.Cleanup(func() {
		const enough = 30
		for _, what := range simMust {
			if all[what] == 0 && *simSeeds >= enough && !t.Failed() {
				t.Errorf("none of %d runs met this: %s", *simSeeds, what)
			}
		}
		for _, what := range slices.Sorted(maps.Keys(all)) {
			t.Logf("%6d %s", all[what], what)
		}
	})
	for i := range *simSeeds {
		seed := *simSeed + uint64(i)
		t.Run(fmt.Sprint("seed=", seed), func(t *testing.T) {
			t.Parallel()
			_, met := simulate(t, seed)
			mu.Lock()
			defer mu.Unlock()
			for what, n := range met {
				all[what] += n
			}
		})
	}
}

func TestSimulationRepeatsItself(t *testing.T) {
	for i := range min(*simSeeds, 3) {
		seed := *simSeed + uint64(i)
		t.Run(fmt.Sprint("seed=", seed), func(t *testing.T) {
			t.Parallel()
			first, _ := simulate(t, seed)
			second, _ := simulate(t, seed)
			if diff := cmp.Diff(first, second); diff != "" {
				t.Errorf("two runs of the same seed differ (-first +second):\n%s", diff)
			}
		})
	}
}

// simMust is what some run of many must meet, or the simulation proves less
// than it says.
var simMust = []string{
	"text", "text shared its phone", "text after a resend", "post whose answer was lost", "post that was processed late", "post cut off by a crash, and taken",
	"post cut off by a crash, and not taken", "start", "crash", "shutdown in a pass", "clock set", "config changed", "summer time",
	"record: texted, on_schedule", "record: texted, catch_up", "record: skipped, paid", "record: skipped, superseded", "record: skipped, expired",
	"record: skipped, opted_out", "record: skipped, bad_number", "record: skipped, in_credit", "record: skipped, below_minimum",
	"text in doubt: accepted", "text in doubt: not_found", "stage with nothing in the way", "stage that had time",
}

// simulate makes one run and returns the texts that the provider had at its
// end, and how often the run met what.
func simulate(t *testing.T, seed uint64) (texts []string, met map[string]int) {
	t.Helper()
	dir := simDir(t)
	synctest.Test(t, func(t *testing.T) {
		s := newSim(t, seed, dir)
		s.run()
		s.check()
		s.shut()
		texts, met = s.textsInOrder(), s.met
		s.tell(t)
	})
	return texts, met
}

// simDir is in memory where that can be had: a run writes some thousand times.
func simDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "duewatch-sim-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// run lets the weeks pass: the clock jumps from one instant at which something
// happens to the next.
func (s *sim) run() {
	s.start()
	for s.trueNow().Before(s.end) {
		s.sleepUntil(s.nextInstant(s.end))
		s.befall()
		if s.up() {
			s.wakeUp()
		}
	}
	// What is still open may end now, with nothing in the way.
	s.say("-- calm until the end")
	s.calm.Store(true)
	s.restore()
	if !s.up() {
		s.start()
	}
	for range 48 {
		s.sleepUntil(s.trueNow().Truncate(5 * time.Minute).Add(5 * time.Minute))
		s.wakeUp()
	}
	for end := s.trueNow().Add(30 * time.Hour); s.trueNow().Before(end); {
		s.sleepUntil(s.nextInstant(end))
		s.wakeUp()
	}
}

// nextInstant is when to look next, always on a whole minute: the next due row
// of any job, the next blow, or some hour at random.
func (s *sim) nextInstant(latest time.Time) time.Time {
	now, next := s.trueNow(), latest
	take := func(at time.Time, grid time.Duration) {
		at = at.Add(grid - 1).Truncate(grid)
		if at.Before(next) {
			next = at
		}
	}
	if len(s.script) > 0 {
		take(s.script[0].at, time.Minute)
	}
	if s.up() {
		take(now.Add(time.Duration(1+s.dice("idle", s.wakes).IntN(11*60))*time.Minute), time.Minute)
		for _, b := range s.watched() {
			if !b.NextRemind.IsZero() {
				take(b.NextRemind.Add(-s.skew()), time.Minute)
			}
			if !b.NextCheck.IsZero() {
				take(b.NextCheck.Add(-s.skew()), time.Minute)
			}
		}
		for _, ahead := range []time.Duration{5 * time.Minute, 15 * time.Minute, time.Hour, 6 * time.Hour} {
			if s.openTexts(s.daemonNow().Add(ahead)) {
				take(now.Add(ahead), 5*time.Minute)
				break
			}
		}
		take(s.job(jobHousekeeping).schedule.Next(s.daemonNow().In(s.zone)).Add(-s.skew()), time.Minute)
	}
	if first := now.Truncate(time.Minute).Add(time.Minute); next.Before(first) {
		return first
	}
	return next
}

// tell reports what was found, with the way to find it again.
func (s *sim) tell(t *testing.T) {
	t.Helper()
	if *simLog {
		t.Log("\n" + s.log.String())
	}
	if len(s.wrong) == 0 {
		return
	}
	for _, w := range s.wrong {
		t.Errorf("seed %d: %s", s.seed, w)
	}
	t.Errorf("again: go test ./scheduler -run 'TestSimulation/seed=%d$' -seed=%d -seeds=1 [-simlog]\n%s\n%s",
		s.seed, s.seed, s.settings(), strings.Join(s.excerpt(), "\n"))
}

// excerpt is the log, without what concerns only bills that fared well.
func (s *sim) excerpt() []string {
	const most = 400
	var out []string
	for line := range strings.Lines(s.log.String()) {
		other := false
		for _, b := range s.bills {
			other = other || (!s.suspects[b.Account] && strings.Contains(line, b.Account))
		}
		if !other {
			out = append(out, strings.TrimSpace(line))
		}
	}
	if len(out) > most {
		out = append([]string{fmt.Sprintf("(%d lines before: -simlog shows all)", len(out)-most)}, out[len(out)-most:]...)
	}
	return out
}

// wakeUp runs the jobs whose hour it is, one after the other or overlapping.
func (s *sim) wakeUp() {
	s.wakes++
	dice := s.dice("wake", s.wakes)
	minute := s.trueNow().Minute()
	all := dice.IntN(5) == 0 || s.calm.Load()
	names := []string{jobRegister}
	if minute%10 == 0 || all {
		names = append(names, jobRecheck)
	}
	names = append(names, jobRemind)
	if minute%5 == 0 || all {
		names = append(names, jobReceipts)
	}
	if local := s.daemonNow().In(s.zone); local.Hour() == 2 && local.Minute() == 15 {
		names = append(names, jobHousekeeping)
	}
	dice.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
	s.noteStopped()

	ctx, stop := context.WithCancelCause(s.ctx)
	defer stop(nil)
	s.wire.set(func() { s.stop = stop })
	var running sync.WaitGroup
	overlap := dice.IntN(2) == 0
	for i, name := range names {
		if !overlap {
			s.job(name).pass(ctx, s.Scheduler)
			continue
		}
		running.Go(func() {
			<-time.After(time.Duration(i) * 10 * time.Millisecond)
			s.job(name).pass(ctx, s.Scheduler)
		})
	}
	running.Wait()
	for range 3 { // what one job has made for another
		j := s.job(jobRemind)
		select {
		case <-j.woken:
			if ctx.Err() == nil {
				j.pass(ctx, s.Scheduler)
			}
		default:
		}
	}
	switch left := s.wire.remains(); {
	case left != "":
		s.met["crash"]++
		s.kill(left)
		s.afterEnd(dice)
	case ctx.Err() != nil:
		s.met["shutdown in a pass"]++
		s.shut()
		s.afterEnd(dice)
	default:
		s.look(s.job(jobRemind).err == nil)
	}
}

// afterEnd brings the daemon up again, now or after a while.
func (s *sim) afterEnd(dice *rand.Rand) {
	if dice.IntN(3) == 0 {
		s.down(time.Duration(1+dice.IntN(20*60)) * time.Minute)
		return
	}
	s.start()
}
