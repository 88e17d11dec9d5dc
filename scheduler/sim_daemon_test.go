package scheduler

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"time"

	"duewatch/almara"
	"duewatch/notifier"
	"duewatch/reminder"
	"duewatch/sandbox"
	"duewatch/store"
	"duewatch/store/db/pgtest"
)

// simDaemon is one daemon and the machine that it runs on.
type simDaemon struct {
	*Scheduler // of the process that is running; nil while none is
	sim        *sim
	n          int
	server     *simServer // that keeps the store; nil = it is a file

	skewed  atomic.Int64 // what the machine's clock shows is the true time and this
	booted  time.Time    // when the machine was started, true
	process time.Time    // and the process

	metrics     *Metrics
	peek        *simPeek // into the store of the process that is running
	kept        *store.Store
	processEnds context.CancelFunc
	path        string
	clockNews   bool // the clock was set, and no pass of the remind job, of which there is one a minute, has seen it

	// By the mutex of the wire.
	dead bool                    // the process has been killed: nothing goes out, nothing comes in
	left string                  // what the crash left of the store
	stop context.CancelCauseFunc // ends the passes under way

	simAmong // several, if it is
}

func (d *simDaemon) daemonNow() time.Time  { return d.sim.trueNow().Add(d.skew()) }
func (d *simDaemon) uptime() time.Duration { return d.sim.trueNow().Sub(d.booted) }
func (d *simDaemon) skew() time.Duration   { return time.Duration(d.skewed.Load()) }
func (d *simDaemon) up() bool              { return d.Scheduler != nil }

// start makes a new process of the daemon and does what cli and Run do before
// the first pass. It may die on the way.
func (s *sim) start() {
	s.t.Helper()
	s.starts++
	s.met["start"]++
	s.stopped = nil
	d := s.simDaemon
	s.wire.set(func() { d.dead = false })
	log := s.logger()
	db := s.openStore()
	if !s.mayWork(db) {
		return
	}
	check := NewClockCheck(d.daemonNow, d.uptime)
	s.process = s.trueNow()
	a, err := almara.New(almara.Config{
		BaseURL: "http://127.0.0.1", ClientID: sandbox.ClientID, ClientSecret: sandbox.ClientSecret, Rate: 1e6, Concurrency: 2 * s.askers,
		RecheckWith: s.recheckWith(), Timeout: timeout, Transport: simLink{s.wire, d}, Now: d.daemonNow, Log: log,
		OnDate: check.OnDate(PeerAlmara),
	})
	s.must(err)
	delivery := reminder.Delivery{Mode: reminder.ModeLive}
	n, err := notifier.New(notifier.Config{
		AccountSID: sandbox.AccountSID, AuthToken: sandbox.AuthToken, From: sandbox.From, BaseURL: "http://127.0.0.1",
		Delivery: delivery, Timeout: timeout, Transport: simLink{s.wire, d}, Log: log, OnDate: check.OnDate(PeerProvider),
	})
	s.must(err)
	s.Scheduler, err = New(Config{
		Store: db, Almara: a, Notifier: n, Policies: s.policies, Delivery: delivery,
		Schedule: Schedule{Register: "@every 1m", Recheck: "*/10 * * * *", Remind: "* * * * *", Receipts: "*/5 * * * *", Housekeeping: "15 2 * * *"},
		Zone:     s.zone, Fingerprint: s.fingerprint(), Owner: s.ownerOf(db), SentBy: "simulation",
		SegmentsPerSecond: 1e6, SendConcurrency: s.senders, AskConcurrency: s.askers, Retention: 400 * 24 * time.Hour,
		ReconcileAfter: []time.Duration{2 * time.Minute, 15 * time.Minute}, Resend: s.resend,
		Now: d.daemonNow, ClockCheck: check, Log: log, Metrics: s.metrics,
	})
	s.must(err)
	s.say("-- process %d starts%s", s.starts, s.name())
	db.TrustClock(s.ClockCheck.stateNow().sure)
	s.declareIfLeads(db)
	dies := -1
	if dice := s.diceOf("start", s.starts); s.wire.faults > 0 && !s.calm.Load() && dice.IntN(6) == 0 {
		dies = dice.IntN(6)
	}
	for i, step := range []func() error{
		func() error { return db.StepBack(s.ctx) },
		func() error { _, err := s.takeOver(); return err },
		func() error { return db.EndTimedStops(s.ctx) },
		func() error { return s.stopIfSenderChanged(s.ctx) },
		func() error { s.replanAll(s.ctx); return nil },
	} {
		if i == dies {
			s.say("-- and dies at once")
			s.kill(s.cutOff(d))
			s.start()
			return
		}
		s.must(step())
	}
	s.known.fresh = false
	if !s.several() && s.nextDue().sending {
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
	ctx, ends := context.WithCancel(s.stepping())
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
	s.owner = db.Owner()
	s.known = knowledge{}
	return db
}

// restart makes a new process of a running daemon. What opening and closing do
// to the files is tried in some of the restarts, and after every crash.
func (s *sim) restart() {
	if s.waiting != nil { // it is stopped, and started with another config
		s.shut()
		s.start()
	}
	if !s.up() {
		return
	}
	if s.diceOf("restart", s.starts).IntN(4) == 0 {
		s.shut()
	} else {
		s.kept, s.Scheduler, s.leads = s.Store, nil, false
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
	db := s.waiting
	if s.up() {
		db = s.Store
	}
	if db != nil {
		s.must(s.peek.close())
		s.must(db.Close())
		s.processEnds()
		s.Scheduler, s.waiting, s.leads = nil, nil, false
	}
}

// kill ends the process as kill -9 or a power cut would: what it leaves is the
// store as it was at the instant of cutOff.
func (s *sim) kill(left string) {
	s.shut()
	s.wire.set(func() { s.wire.crash, s.left = nil, "" })
	if s.server != nil {
		s.path = left
		s.server.gate.Open()
		s.leaseRunsOut()
		return
	}
	for _, suffix := range []string{"", "-wal", "-shm", ".lock"} {
		_ = os.Remove(s.path + suffix)
	}
	s.path = left
}

// cutOff is the instant at which the process dies: nothing that it does from now on
// reaches the store. It returns what is left of that, for kill.
func (s *sim) cutOff(d *simDaemon) (left string) {
	if d.server == nil {
		return s.snapshot()
	}
	d.server.gate.Shut()
	d.processEnds()
	return d.path
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

func (d *simDaemon) job(name string) *job {
	i := slices.IndexFunc(d.jobs, func(j *job) bool { return j.name == name })
	return d.jobs[i]
}
