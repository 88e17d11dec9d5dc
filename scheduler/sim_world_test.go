package scheduler

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"duewatch/reminder"
	"duewatch/sandbox"
	"duewatch/store"
)

// emptyStore is the file of a store with nothing in it. It is made once for
// all runs: the migrations cost a good part of a run.
var emptyStore = sync.OnceValues(func() (file []byte, err error) {
	dir, err := os.MkdirTemp("", "duewatch-sim-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir) //nolint:errcheck // a temporary folder
	path := filepath.Join(dir, "empty.db")
	s, err := store.Open(context.Background(), path)
	if err != nil {
		return nil, err
	}
	if err := s.Close(); err != nil {
		return nil, err
	}
	return os.ReadFile(path)
})

// sim is one run: a daemon, or several on one database, and the world around them.
type sim struct {
	*simDaemon // the one at hand: what befalls a daemon befalls this one
	daemons    []*simDaemon

	t    *testing.T
	ctx  context.Context // the run's
	seed uint64
	dir  string

	zone       *time.Location
	shift      time.Duration // from the bubble's clock to the true one
	begin, end time.Time     // of the run, true
	epoch      int           // counts the changes of clocks
	moved      []time.Time   // when they were, true

	sandbox   *sandbox.Sandbox
	wire      *simWire
	known     knowledge
	starts    int
	wakes     int
	declared  map[string]bool
	policies  reminder.Policies   // by which the daemons work
	config    int                 // the last of configs
	worked    int                 // which of files that is
	turns     int                 // of turnToAny
	configs   []simConfig         // as they came to be worked by
	files     []reminder.Policies // what was ever in the config file
	resend    bool
	nearClose bool // texts leave shortly before the window closes
	senders   int
	askers    int
	calm      atomic.Bool
	copies    int

	clocks     bool        // the clock is wrong at times
	generation int         // counts the stores that were put back
	restored   []time.Time // when, true
	releases   []release

	bills       []*simBill
	script      []blow
	unruly      []span    // when something other than the weather was in the way
	silentSince time.Time // nobody has decided since, and no stop says why
	silentTries int       // passes since then
	refuse      map[reminder.Phone]map[string]bool
	stopped     map[reminder.Phone]map[string]bool // who was not to be texted at the start of this wake, "" = by any service
	optOuts     int64                              // in the store, when stopped was made
	refusedBy   map[reminder.Phone]bool            // the provider said no to it, and the process outlived that

	mu      sync.Mutex
	commits []simCommit // of this wake, with calls under way
	log     []logged

	met      map[string]int // how often what was met
	wrong    []string
	suspects map[string]bool
}

// records are what the store says of one bill at the end.
type records struct {
	events    []store.Event
	texts     []store.SentText
	reminders []reminder.Reminder
}

// simBill is one bill and all that was ever true of it.
type simBill struct {
	reminder.Bill
	balances []simBalance // oldest first
	dues     []simDue
	removed  time.Time // zero = it is declared
	seen     []sighting
	due      string // the last that was seen
	dueDate  reminder.Date
	lost     []records // of the stores that were replaced by a backup, oldest first
	records
}

type simBalance struct {
	at   time.Time
	owed *reminder.Money
}

type simDue struct {
	at  time.Time
	due reminder.Date
}

func newSim(t *testing.T, seed uint64, dir string, servers []*simServer) *sim {
	t.Helper()
	s := &sim{
		t: t, ctx: context.WithoutCancel(t.Context()), seed: seed, dir: dir,
		declared: map[string]bool{}, met: map[string]int{}, suspects: map[string]bool{},
		refuse: map[reminder.Phone]map[string]bool{}, refusedBy: map[reminder.Phone]bool{},
	}
	for n, server := range servers {
		s.daemons = append(s.daemons, &simDaemon{sim: s, n: n, server: server, metrics: NewMetrics(prometheus.NewRegistry())})
	}
	s.simDaemon = s.daemons[0]
	s.wire = &simWire{sim: s, calls: map[string]int{}}
	s.draw()
	var err error
	s.sandbox, err = sandbox.New(sandbox.Options{Zone: s.zone, Now: s.trueNow})
	s.must(err)
	s.wire.handler = s.sandbox.Handler()
	for _, b := range s.bills {
		s.must(s.sandbox.Pay(b.Service, b.Account, *b.balances[0].owed))
		s.must(s.sandbox.Move(b.Service, b.Account, b.dueNow()))
	}
	if s.server != nil {
		for _, d := range s.daemons {
			d.path = d.server.address
		}
		return s
	}
	empty, err := emptyStore()
	s.must(err)
	s.path = filepath.Join(dir, fmt.Sprintf("%d.db", seed))
	s.must(os.WriteFile(s.path, empty, 0o600))
	return s
}

func (s *sim) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatalf("seed %d: %v\n%s", s.seed, err, strings.Join(s.logLines(), "\n"))
	}
}

// dice are the same for the same seed and key, whoever asks first.
func (s *sim) dice(key string) *rand.Rand {
	hash := uint64(14695981039346656037) // FNV-1a
	for i := range len(key) {
		hash = (hash ^ uint64(key[i])) * 1099511628211
	}
	return rand.New(rand.NewPCG(s.seed, hash))
}

// diceOf are those of the nth event of a kind.
func (s *sim) diceOf(kind string, nth int) *rand.Rand { return s.dice(kind + strconv.Itoa(nth)) }

func (s *sim) trueNow() time.Time { return time.Now().Add(s.shift) }

func (s *sim) sleepUntil(at time.Time) { <-time.After(at.Sub(s.trueNow())) }

func (s *sim) billOf(account string) *simBill {
	for _, b := range s.bills {
		if b.Account == account {
			return b
		}
	}
	return nil
}
