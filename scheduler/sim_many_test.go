package scheduler

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"duewatch/store/db/pgtest"
)

var (
	simSeeds = flag.Int("seeds", simFew(), "how many runs TestSimulation makes")
	simSeed  = flag.Uint64("seed", 0, "the seed of the first of them")
	simMost  = flag.Int("daemons", 1, "how many daemons a run has at most; of more than one, two at least")
	simLog   = flag.Bool("simlog", false, "print the whole log of each run")
)

// simFew is how many runs are made along with the other tests: one on PostgreSQL takes ten
// times as long.
func simFew() int {
	if pgtest.Wanted() {
		return 6
	}
	return 30
}

// More runs than simSingle are shared out, at most simChunk at a time, to other
// processes. A process makes one run at a time, on one CPU: two runs side by
// side spend a third of their time waiting for SQLite's locks of the process,
// and goroutines that wake in one instant would run in an order of their own.
// Nor does a run that brings its process down keep the others from being made.
const (
	simSingle = 30
	simChunk  = 50
	simMany   = 5000 // from here on, a line a minute says how far it is
)

// simResult is what came of one run.
type simResult struct {
	Seed   uint64         `json:"seed"`
	Failed bool           `json:"failed"`
	Met    map[string]int `json:"met"`
	Done   bool           `json:"done"` // no result, but the end of the chunk
}

// simPipe is set for a process that makes runs for another, which reads the
// results from its file descriptor 3.
const simPipe = "DUEWATCH_SIM_PIPE"

func TestSimulation(t *testing.T) {
	if os.Getenv(simPipe) != "" {
		encoder := json.NewEncoder(os.NewFile(3, "results"))
		simRuns(t, func(r simResult) {
			if err := encoder.Encode(r); err != nil {
				panic(err) // nobody listens any more
			}
		})
		return
	}
	if *simMost > 1 && !pgtest.Wanted() {
		t.Fatal("several daemons need a server: STORE=postgres")
	}
	sum := simSum{met: map[string]int{}, began: time.Now(), reportedAt: time.Now()}
	if *simSeeds <= simSingle {
		simRuns(t, sum.add)
	} else {
		simShare(t, &sum)
	}
	slices.Sort(sum.failed)
	if len(sum.failed) > 0 {
		t.Errorf("%d of %d seeds failed: %d", len(sum.failed), sum.runs, sum.failed)
	}
	const enough = 300 // runs: some of it is rare
	must := simMust
	switch {
	case *simMost > 1:
		must = append(slices.Collect(maps.Values(simServerFaults)), simMustSeveral...)
	case pgtest.Wanted():
		must = append(slices.Collect(maps.Values(simServerFaults)), simMust...)
	}
	for _, what := range must {
		if sum.met[what] == 0 && sum.runs >= enough && !t.Failed() {
			t.Errorf("none of %d runs met this: %s", sum.runs, what)
		}
	}
	for _, what := range slices.Sorted(maps.Keys(sum.met)) {
		t.Logf("%8d %s", sum.met[what], what)
	}
}

// simSum adds up what came of the runs.
type simSum struct {
	mu     sync.Mutex
	runs   int
	failed []uint64
	met    map[string]int

	began, reportedAt time.Time
}

func (s *simSum) add(r simResult) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.Done {
		return
	}
	s.runs++
	if r.Failed {
		s.failed = append(s.failed, r.Seed)
	}
	for what, n := range r.Met {
		s.met[what] += n
	}
	if now := time.Now(); *simSeeds > simMany && now.Sub(s.reportedAt) > time.Minute {
		s.reportedAt = now
		left := time.Duration(float64(now.Sub(s.began)) / float64(s.runs) * float64(*simSeeds-s.runs))
		fmt.Fprintf(os.Stderr, "simulation: %d of %d seeds, %d failed %d, about %s left\n",
			s.runs, *simSeeds, len(s.failed), s.failed[:min(len(s.failed), 10)], left.Round(time.Minute))
	}
}

// simDaemonsOf is how many daemons the run of a seed has: one, or two and more up to most.
func simDaemonsOf(seed uint64, most int) int {
	if most < 2 {
		return 1
	}
	return 2 + int(seed%uint64(most-1))
}

// simOneCPU lets the runs that a test makes itself repeat themselves.
func simOneCPU(t *testing.T) {
	t.Helper()
	cpus, garbage := runtime.GOMAXPROCS(1), debug.SetGCPercent(400)
	t.Cleanup(func() {
		runtime.GOMAXPROCS(cpus)
		debug.SetGCPercent(garbage)
	})
}

// simRuns makes the runs in this process.
func simRuns(t *testing.T, result func(simResult)) {
	t.Helper()
	simOneCPU(t)
	for i := range *simSeeds {
		r := simResult{Seed: *simSeed + uint64(i), Failed: true}
		t.Run(fmt.Sprint("seed=", r.Seed), func(t *testing.T) {
			defer func() { // also when it was not finished
				r.Failed = t.Failed()
				result(r)
			}()
			_, r.Met = simulate(t, r.Seed, simDaemonsOf(r.Seed, *simMost))
		})
	}
	result(simResult{Done: true})
}

// simShare has other processes make the runs, one for each CPU. On PostgreSQL there are two:
// one of them waits half the time, for the server's answers.
func simShare(t *testing.T, sum *simSum) {
	t.Helper()
	type chunk struct{ from, to uint64 }
	chunks := make(chan chunk)
	processes := runtime.GOMAXPROCS(0)
	if pgtest.Wanted() {
		processes *= 2
	}
	var workers sync.WaitGroup
	for range processes {
		workers.Go(func() {
			for c := range chunks {
				for c.from < c.to {
					c.from = simProcess(t, sum, c.from, c.to)
				}
			}
		})
	}
	size, end := uint64(min(simChunk, max(1, *simSeeds/processes))), *simSeed+uint64(*simSeeds)
	for from := *simSeed; from < end; from += size {
		chunks <- chunk{from, min(from+size, end)}
	}
	close(chunks)
	workers.Wait()
}

// simProcess makes runs in a process of their own and returns the seed that
// it did not get to.
func simProcess(t *testing.T, sum *simSum, from, to uint64) (next uint64) {
	t.Helper()
	read, write, err := os.Pipe()
	if err != nil {
		t.Error(err)
		return to
	}
	defer read.Close()
	var said bytes.Buffer
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestSimulation$", "-test.timeout=1h",
		fmt.Sprint("-seed=", from), fmt.Sprint("-seeds=", to-from), fmt.Sprint("-daemons=", *simMost), fmt.Sprint("-simlog=", *simLog))
	cmd.Env = append(os.Environ(), simPipe+"=1", "GOMAXPROCS=1")
	cmd.ExtraFiles, cmd.Stdout, cmd.Stderr = []*os.File{write}, &said, &said
	if err = errors.Join(cmd.Start(), write.Close()); err != nil {
		t.Error(err)
		return to
	}
	next, done := from, false
	for lines := bufio.NewScanner(read); lines.Scan(); {
		var r simResult
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
			t.Error(err)
		}
		sum.add(r)
		if done = r.Done; !done {
			next = r.Seed + 1
		}
	}
	if err = cmd.Wait(); err != nil {
		t.Errorf("%s\n%s", err, said.String())
	}
	if !done {
		sum.add(simResult{Seed: next, Failed: true})
		t.Errorf("seed %d brought its process down", next)
		next++
	}
	return next
}

func TestSimulationOfSeveralDaemons(t *testing.T) {
	if !pgtest.Wanted() {
		t.Skip("several daemons need a server")
	}
	simOneCPU(t)
	for i := range min(*simSeeds, 4) {
		seed := *simSeed + uint64(i)
		t.Run(fmt.Sprint("seed=", seed), func(t *testing.T) { simulate(t, seed, simDaemonsOf(seed, 3)) })
	}
}

func TestSimulationRepeatsItself(t *testing.T) {
	simOneCPU(t)
	for i := range min(*simSeeds, 3) {
		seed := *simSeed + uint64(i)
		t.Run(fmt.Sprint("seed=", seed), func(t *testing.T) {
			first, met := simulate(t, seed, 1)
			second, again := simulate(t, seed, 1)
			if diff := cmp.Diff(first, second) + cmp.Diff(met, again); diff != "" {
				t.Errorf("two runs of the same seed differ (-first +second):\n%s", diff)
			}
		})
	}
}

// simMustSeveral is simMust for several daemons.
var simMustSeveral = []string{
	"text", "text shared its phone", "text after a resend", "post whose answer was lost", "post cut off by a crash, and taken",
	"post cut off by a crash, and not taken", "start", "crash", "shutdown in a pass", "clock set", "clock set in a pass", "config changed",
	"daemon waits", "daemon whose clock is off", "daemon comes to lead", "daemon stands still for longer than its lease",
	"daemon ended: taken for dead", "daemon ended: displaced", "operator released: config_differs", "record: texted, on_schedule",
	"record: skipped, paid", "record: skipped, opted_out", "record: held, daily_limit", "meanwhile: opt-out", "meanwhile: pause",
	"meanwhile: payment", "meanwhile: stop", "bill in a text of another", "text in doubt: accepted", "text in doubt: not_found",
	"stage with nothing in the way", "stage that had time",
}

// simMust is what some run of many must meet, or the simulation proves less
// than it says.
var simMust = []string{
	"text", "text shared its phone", "text after a resend", "post whose answer was lost", "post that was processed late", "post cut off by a crash, and taken",
	"post cut off by a crash, and not taken", "start", "crash", "shutdown in a pass", "clock set", "clock set in a pass", "operator released: clock", "config changed", "summer time",
	"record: texted, on_schedule", "record: texted, catch_up", "record: skipped, paid", "record: skipped, superseded", "record: skipped, expired",
	"record: skipped, opted_out", "record: skipped, bad_number", "record: skipped, in_credit", "record: skipped, below_minimum",
	"list without words", "record: held, destination_refused", "meanwhile: opt-out", "meanwhile: pause", "meanwhile: payment", "meanwhile: stop", "record: held, daily_limit", "record: held, monthly_budget", "record: held, implausible_balance", "backup put back",
	"operator released: daily_limit", "operator released: copied_store", "operator released: a bill",
	"bill in a text of another", "text in doubt: accepted", "text in doubt: not_found", "stage with nothing in the way", "stage that had time",
}
