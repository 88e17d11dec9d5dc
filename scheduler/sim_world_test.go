package scheduler

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
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
)

// sim is one run: a daemon, the machine it runs on, and the world around it.
type sim struct {
	*Scheduler // of the process that is running; nil while none is

	t    *testing.T
	ctx  context.Context //nolint:containedctx // the run's
	seed uint64
	dir  string

	zone       *time.Location
	shift      time.Duration // from the bubble's clock to the true one
	begin, end time.Time     // of the run, true
	skewed     atomic.Int64  // what the machine's clock shows is the true time and this
	epoch      int           // counts its changes
	moved      []time.Time   // when they were, true

	sandbox  *sandbox.Sandbox
	wire     *simWire
	path     string
	starts   int
	wakes    int
	declared map[string]bool
	policies reminder.Policies
	config   int // counts the changes of policies
	configs  []simConfig
	resend   bool
	hurried  bool // texts leave shortly before the window closes
	senders  int
	askers   int
	calm     atomic.Bool
	copies   int

	bills   []*simBill
	script  []blow
	unruly  []span // when something other than the weather was in the way
	refuse  map[reminder.Phone]map[string]bool
	stopped map[reminder.Phone]map[string]bool // who was not to be texted at the start of this wake, "" = by any service

	refusedBy map[reminder.Phone]bool // the provider said no to it, and the process outlived that

	mu   sync.Mutex
	log  strings.Builder
	stop context.CancelCauseFunc // ends the passes under way

	met      map[string]int // how often what was met
	wrong    []string
	suspects map[string]bool
}

// simBill is one bill and all that was ever true of it.
type simBill struct {
	reminder.Bill
	balances []simBalance // oldest first
	dues     []simDue
	removed  time.Time // zero = it is declared
	seen     []sighting
}

type simBalance struct {
	at   time.Time
	owed *reminder.Money
}

type simDue struct {
	at  time.Time
	due reminder.Date
}

// sighting is how the store saw a bill after one wake of the daemon.
type sighting struct {
	at     time.Time // by the daemon's clock
	truly  time.Time
	epoch  int
	config int
	due    reminder.Date
	active bool
	ok     bool // the remind job went through
}

// span is a stretch of true time.
type span struct {
	from, to time.Time
	what     string
}

func newSim(t *testing.T, seed uint64, dir string) *sim {
	t.Helper()
	s := &sim{
		t: t, ctx: context.WithoutCancel(t.Context()), seed: seed, dir: dir,
		declared: map[string]bool{}, met: map[string]int{}, suspects: map[string]bool{},
		refuse: map[reminder.Phone]map[string]bool{}, stopped: map[reminder.Phone]map[string]bool{}, refusedBy: map[reminder.Phone]bool{},
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
	s.path = filepath.Join(dir, fmt.Sprintf("%d.db", seed))
	return s
}

func (s *sim) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatalf("seed %d: %v\n%s", s.seed, err, s.log.String())
	}
}

// dice are the same for the same seed and key, whoever asks first.
func (s *sim) dice(key ...any) *rand.Rand {
	h := fnv.New64a()
	_, _ = fmt.Fprint(h, key...)
	return rand.New(rand.NewPCG(s.seed, h.Sum64()))
}

func (s *sim) trueNow() time.Time   { return time.Now().Add(s.shift) }
func (s *sim) daemonNow() time.Time { return s.trueNow().Add(s.skew()) }
func (s *sim) skew() time.Duration  { return time.Duration(s.skewed.Load()) }
func (s *sim) up() bool             { return s.Scheduler != nil }

func (s *sim) sleepUntil(at time.Time) { <-time.After(at.Sub(s.trueNow())) }

// say writes into the log of the run what befell the daemon.
func (s *sim) say(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fmt.Fprintf(&s.log, "%s %s\n", s.trueNow().In(s.zone).Format("01-02 15:04:05.000"), fmt.Sprintf(format, args...))
}

// Write takes the daemon's own log.
func (s *sim) Write(line []byte) (int, error) {
	s.say("   %s", strings.TrimSpace(string(line)))
	return len(line), nil
}

func (s *sim) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(struct{ io.Writer }{s}, &slog.HandlerOptions{
		Level: slog.LevelInfo,
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey {
				return slog.Attr{}
			}
			return a
		},
	}))
}

// start makes a new process of the daemon and does what cli and Run do before
// the first pass. It may die on the way.
func (s *sim) start() {
	s.t.Helper()
	s.starts++
	s.met["start"]++
	s.wire.set(func() { s.wire.dead = false })
	log := s.logger()
	db, err := store.Open(s.ctx, s.path)
	s.must(err)
	a, err := almara.New(almara.Config{
		BaseURL: "http://127.0.0.1", ClientID: sandbox.ClientID, ClientSecret: sandbox.ClientSecret, Rate: 1e6, Concurrency: 2 * s.askers,
		RecheckWith: s.recheckWith(), Transport: s.wire, Now: s.daemonNow, Log: log,
	})
	s.must(err)
	delivery := reminder.Delivery{Mode: reminder.ModeLive}
	n, err := notifier.New(notifier.Config{
		AccountSID: sandbox.AccountSID, AuthToken: sandbox.AuthToken, From: sandbox.From, BaseURL: "http://127.0.0.1",
		Delivery: delivery, Transport: s.wire, Log: log,
	})
	s.must(err)
	s.Scheduler, err = New(Config{
		Store: db, Almara: a, Notifier: n, Policies: s.policies, Delivery: delivery,
		Schedule: Schedule{Register: "@every 1m", Recheck: "*/10 * * * *", Remind: "* * * * *", Receipts: "*/5 * * * *", Housekeeping: "15 2 * * *"},
		Zone:     s.zone, Fingerprint: fmt.Sprint("config ", s.config), Owner: fmt.Sprint("process ", s.starts),
		SegmentsPerSecond: 1e6, SendConcurrency: s.senders, AskConcurrency: s.askers, Retention: 400 * 24 * time.Hour,
		ReconcileAfter: []time.Duration{2 * time.Minute, 15 * time.Minute}, Resend: s.resend,
		Now: s.daemonNow, Log: log, Metrics: NewMetrics(prometheus.NewRegistry()),
	})
	s.must(err)
	s.say("-- process %d starts", s.starts)
	s.declare(db)
	dies := -1
	if dice := s.dice("start", s.starts); s.wire.faults > 0 && !s.calm.Load() && dice.IntN(6) == 0 {
		dies = dice.IntN(3)
	}
	for i, step := range []func() error{
		func() error { _, err := s.orphans(s.ctx); return err },
		func() error { return db.Reclaim(s.ctx, s.Now(), s.Owner) },
		func() error { s.planAnew(s.ctx); return nil },
	} {
		if i == dies {
			s.say("-- and dies at once")
			s.kill(s.snapshot())
			s.start()
			return
		}
		s.must(step())
	}
	for _, b := range s.bills {
		s.noSending(b)
	}
}

// declare tells the store which bills the config names.
func (s *sim) declare(db *store.Store) {
	var list []reminder.Bill
	for _, b := range s.bills {
		if s.declared[b.Account] {
			list = append(list, b.Bill)
		}
	}
	_, err := db.Declare(s.ctx, "config", list, s.daemonNow())
	s.must(err)
	for _, b := range s.watched() {
		s.billOf(b.Account).ID = b.ID
	}
}

// shut ends the process as an operator would.
func (s *sim) shut() {
	if s.up() {
		s.must(s.Store.Close())
		s.Scheduler = nil
	}
}

// kill ends the process as kill -9 or a power cut would: what it leaves are
// the files as they were at the instant of the snapshot.
func (s *sim) kill(left string) {
	s.shut()
	for _, suffix := range []string{"", "-wal", "-shm", ".lock"} {
		_ = os.Remove(s.path + suffix)
	}
	s.path = left
	s.wire.set(func() { s.wire.crash, s.wire.left = nil, "" })
}

var errNoCopy = errors.New("no copy of the store")

// snapshot copies the store's files as they are. Nothing may be writing.
func (s *sim) snapshot() string {
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

func (s *sim) watched() (all []store.Watched) {
	s.must(s.Store.Bills(s.ctx, store.BillFilter{}, func(b store.Watched) error {
		all = append(all, b)
		return nil
	}))
	return all
}

func (s *sim) openTexts(until time.Time) bool {
	open, err := s.Store.OpenTexts(s.ctx, until, 1)
	s.must(err)
	doubtful, err := s.Store.Doubtful(s.ctx, until, 1)
	s.must(err)
	return len(open)+len(doubtful) > 0
}

func (s *sim) billOf(account string) *simBill {
	for _, b := range s.bills {
		if b.Account == account {
			return b
		}
	}
	return nil
}
