package scheduler

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"duewatch/almara"
	"duewatch/notifier"
	"duewatch/reminder"
	"duewatch/sandbox"
	"duewatch/store"
	"duewatch/store/db/pgtest"
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

// sim is one run: a daemon, the machine it runs on, and the world around it.
type sim struct {
	*Scheduler // of the process that is running; nil while none is

	t    *testing.T
	ctx  context.Context // the run's
	seed uint64
	dir  string

	server *simServer // that keeps the store; nil = it is a file

	zone       *time.Location
	shift      time.Duration // from the bubble's clock to the true one
	begin, end time.Time     // of the run, true
	skewed     atomic.Int64  // what the machine's clock shows is the true time and this
	epoch      int           // counts its changes
	moved      []time.Time   // when they were, true
	booted     time.Time     // when the machine was started, true
	process    time.Time     // and the process

	sandbox     *sandbox.Sandbox
	wire        *simWire
	metrics     *Metrics
	peek        *simPeek // into the store of the process that is running
	kept        *store.Store
	processEnds context.CancelFunc
	known       knowledge
	path        string
	starts      int
	wakes       int
	declared    map[string]bool
	policies    reminder.Policies
	config      int // counts the changes of policies
	configs     []simConfig
	resend      bool
	nearClose   bool // texts leave shortly before the window closes
	senders     int
	askers      int
	calm        atomic.Bool
	copies      int

	clocks     bool        // the clock is wrong at times
	generation int         // counts the stores that were put back
	restored   []time.Time // when, true
	releases   []release

	bills     []*simBill
	script    []blow
	unruly    []span // when something other than the weather was in the way
	clockNews bool   // the clock was set, and no pass of the remind job, of which there is one a minute, has seen it
	refuse    map[reminder.Phone]map[string]bool
	stopped   map[reminder.Phone]map[string]bool // who was not to be texted at the start of this wake, "" = by any service
	optOuts   int64                              // in the store, when stopped was made
	refusedBy map[reminder.Phone]bool            // the provider said no to it, and the process outlived that

	mu      sync.Mutex
	commits []simCommit // of this wake, with calls under way
	log     []logged
	stop    context.CancelCauseFunc // ends the passes under way

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

func newSim(t *testing.T, seed uint64, dir string, server *simServer) *sim {
	t.Helper()
	s := &sim{
		t: t, ctx: context.WithoutCancel(t.Context()), seed: seed, dir: dir, server: server,
		declared: map[string]bool{}, met: map[string]int{}, suspects: map[string]bool{},
		refuse: map[reminder.Phone]map[string]bool{}, refusedBy: map[reminder.Phone]bool{},
		metrics: NewMetrics(prometheus.NewRegistry()),
	}
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
	if server != nil {
		s.path = server.address
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

func (s *sim) trueNow() time.Time    { return time.Now().Add(s.shift) }
func (s *sim) daemonNow() time.Time  { return s.trueNow().Add(s.skew()) }
func (s *sim) uptime() time.Duration { return s.trueNow().Sub(s.booted) }
func (s *sim) skew() time.Duration   { return time.Duration(s.skewed.Load()) }
func (s *sim) up() bool              { return s.Scheduler != nil }

func (s *sim) sleepUntil(at time.Time) { <-time.After(at.Sub(s.trueNow())) }

// start makes a new process of the daemon and does what cli and Run do before
// the first pass. It may die on the way.
func (s *sim) start() {
	s.t.Helper()
	s.starts++
	s.met["start"]++
	s.stopped = nil
	s.wire.set(func() { s.wire.dead = false })
	log := s.logger()
	db := s.openStore()
	check := NewClockCheck(s.daemonNow, s.uptime)
	s.process = s.trueNow()
	a, err := almara.New(almara.Config{
		BaseURL: "http://127.0.0.1", ClientID: sandbox.ClientID, ClientSecret: sandbox.ClientSecret, Rate: 1e6, Concurrency: 2 * s.askers,
		RecheckWith: s.recheckWith(), Timeout: timeout, Transport: s.wire, Now: s.daemonNow, Log: log,
		OnDate: check.OnDate(PeerAlmara),
	})
	s.must(err)
	delivery := reminder.Delivery{Mode: reminder.ModeLive}
	n, err := notifier.New(notifier.Config{
		AccountSID: sandbox.AccountSID, AuthToken: sandbox.AuthToken, From: sandbox.From, BaseURL: "http://127.0.0.1",
		Delivery: delivery, Timeout: timeout, Transport: s.wire, Log: log, OnDate: check.OnDate(PeerProvider),
	})
	s.must(err)
	s.Scheduler, err = New(Config{
		Store: db, Almara: a, Notifier: n, Policies: s.policies, Delivery: delivery,
		Schedule: Schedule{Register: "@every 1m", Recheck: "*/10 * * * *", Remind: "* * * * *", Receipts: "*/5 * * * *", Housekeeping: "15 2 * * *"},
		Zone:     s.zone, Fingerprint: fmt.Sprint("config ", s.config), Owner: fmt.Sprint("process ", s.starts), SentBy: "simulation",
		SegmentsPerSecond: 1e6, SendConcurrency: s.senders, AskConcurrency: s.askers, Retention: 400 * 24 * time.Hour,
		ReconcileAfter: []time.Duration{2 * time.Minute, 15 * time.Minute}, Resend: s.resend,
		Now: s.daemonNow, ClockCheck: check, Log: log, Metrics: s.metrics,
	})
	s.must(err)
	s.say("-- process %d starts", s.starts)
	db.TrustClock(s.ClockCheck.stateNow().sure)
	s.declare(db)
	dies := -1
	if dice := s.diceOf("start", s.starts); s.wire.faults > 0 && !s.calm.Load() && dice.IntN(6) == 0 {
		dies = dice.IntN(5)
	}
	for i, step := range []func() error{
		func() error { _, err := s.takeOver(); return err },
		func() error { return db.EndTimedStops(s.ctx) },
		func() error { return s.stopIfSenderChanged(s.ctx) },
		func() error { s.replanAll(s.ctx); return nil },
	} {
		if i == dies {
			s.say("-- and dies at once")
			s.kill(s.cutOff())
			s.start()
			return
		}
		s.must(step())
	}
	s.known.fresh = false
	if s.nextDue().sending {
		for _, b := range s.bills {
			s.noSending(b)
		}
	}
}

// openStore opens the files, or takes what restart has kept open.
func (s *sim) openStore() *store.Store {
	db := s.kept
	s.kept = nil
	if db != nil {
		return db
	}
	ctx, ends := context.WithCancel(s.ctx)
	s.processEnds = ends
	var err error
	if s.server != nil {
		db = s.openOnServer(ctx)
		s.peek, err = openServerPeek(s.server.direct(s.path))
	} else {
		db, err = store.Open(ctx, s.path)
		s.must(err)
		s.peek, err = openPeek(s.path)
	}
	s.must(err)
	s.known = knowledge{}
	return db
}

// restart makes a new process of a running daemon. What opening and closing do
// to the files is tried in some of the restarts, and after every crash.
func (s *sim) restart() {
	if !s.up() {
		return
	}
	if s.diceOf("restart", s.starts).IntN(4) == 0 {
		s.shut()
	} else {
		s.kept, s.Scheduler = s.Store, nil
	}
	s.start()
}

// declare tells the store which bills the config names.
func (s *sim) declare(db *store.Store) {
	var list []reminder.Bill
	for _, b := range s.bills {
		if s.declared[b.Account] {
			list = append(list, b.Bill)
		}
	}
	_, err := db.Declare("config", list, s.daemonNow())
	s.must(err)
	s.known.fresh = false
	for _, b := range s.watched() {
		s.billOf(b.account).ID = b.id
	}
}

// shut ends the process as an operator would.
func (s *sim) shut() {
	if s.up() {
		s.must(s.peek.close())
		s.must(s.Store.Close())
		s.processEnds()
		s.Scheduler = nil
	}
}

// kill ends the process as kill -9 or a power cut would: what it leaves is the
// store as it was at the instant of cutOff.
func (s *sim) kill(left string) {
	s.shut()
	s.wire.set(func() { s.wire.crash, s.wire.left = nil, "" })
	if s.server != nil {
		s.path = left
		s.server.gate.Open()
		return
	}
	for _, suffix := range []string{"", "-wal", "-shm", ".lock"} {
		_ = os.Remove(s.path + suffix)
	}
	s.path = left
}

// cutOff is the instant at which the process dies: nothing that it does from now on
// reaches the store. It returns what is left of that, for kill.
func (s *sim) cutOff() (left string) {
	if s.server == nil {
		return s.snapshot()
	}
	s.server.gate.Shut()
	s.processEnds()
	return s.path
}

var errNoCopy = errors.New("no copy of the store")

// snapshot copies the store as it is. Nothing may be writing to a file.
func (s *sim) snapshot() string {
	if s.server != nil {
		return s.server.gate.Via(pgtest.Copy(s.server.t, s.path))
	}
	s.copies++
	to := filepath.Join(s.dir, fmt.Sprintf("%d-%d.db", s.seed, s.copies))
	for _, suffix := range []string{"", "-wal"} {
		b, err := os.ReadFile(s.path + suffix)
		if errors.Is(err, os.ErrNotExist) && suffix != "" {
			continue
		}
		if err == nil {
			err = os.WriteFile(to+suffix, b, 0o600)
		}
		if err != nil {
			s.t.Error(errors.Join(errNoCopy, err))
		}
	}
	return to
}

func (s *sim) job(name string) *job {
	i := slices.IndexFunc(s.jobs, func(j *job) bool { return j.name == name })
	return s.jobs[i]
}

func (s *sim) billOf(account string) *simBill {
	for _, b := range s.bills {
		if b.Account == account {
			return b
		}
	}
	return nil
}
