package scheduler

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"time"

	"duewatch/reminder"
	"duewatch/store"
	"duewatch/store/db"
	"duewatch/store/db/pgtest"
)

// simAmong is what a daemon is among others.
type simAmong struct {
	owner   string        // of its row in daemons, also after its end
	drift   time.Duration // by which its clock is always off
	file    int           // what its config file says: which of sim.files
	worksBy int           // and what it works by: which of sim.configs
	leads   bool          // as of when it was last asked
	seen    int64         // of OthersWrote
	waiting *store.Store  // it waits since others work by another config, or its clock is off; nil = it does not
	busy    chan struct{} // closed when the passes of its last wake have ended; nil = all is done about them
	passes  context.Context

	pausing     chan struct{} // one for each pause that begins
	pausedUntil time.Time     // true; by the mutex of the wire
}

func (s *sim) several() bool { return len(s.daemons) > 1 }

// span is within how many days bills come to be due.
func (s *sim) span() int {
	if s.several() {
		return 14
	}
	return 30
}

// drawSeveral makes the run of several daemons: shorter, since each costs the server as much as
// one alone, and with clocks that are always a little off.
func (s *sim) drawSeveral() {
	if !s.several() {
		return
	}
	dice := s.dice("several")
	s.end = s.begin.Add(time.Duration(9+dice.IntN(5)) * simDay)
	for _, d := range s.daemons {
		d.drift = time.Duration(dice.IntN(2*int(simDrift.Milliseconds())))*time.Millisecond - simDrift
		d.skewed.Store(int64(d.drift))
		d.pausing = make(chan struct{}, 1)
	}
}

// simDrift is by how much the clock of one of several daemons is always off at most.
const simDrift = 4 * time.Second

// drawPauses has daemons stand still in the middle of a call, as a machine that is suspended does.
func (s *sim) drawPauses() {
	if !s.several() {
		return
	}
	dice := s.dice("pauses")
	for range 1 + dice.IntN(6) {
		k := crash{
			endpoint: pick(dice, "send", "send", "send", "register", "list", ""), calls: dice.IntN(3), after: dice.IntN(2) == 0,
			pause: pick(dice, 10*time.Second, 40*time.Second, 45*time.Second, 2*time.Minute, 20*time.Minute, 3*time.Hour),
		}
		day := reminder.DateOf(s.begin).AddDays(dice.IntN(12))
		at := day.At(s.policies.Default.SendAt, s.zone).Add(time.Duration(dice.IntN(8)-4) * time.Minute)
		s.at(at, fmt.Sprintf("a pause is armed: %+v", k), func() { s.wire.set(func() { s.wire.crash = &k }) })
	}
}

// turnToAny puts a daemon at hand that works, or one that does not where none works.
func (s *sim) turnToAny() {
	if !s.several() {
		return
	}
	s.turns++
	for _, fits := range []func(*simDaemon) bool{
		func(d *simDaemon) bool { return d.up() && d.busy == nil },
		func(d *simDaemon) bool { return d.busy == nil },
	} {
		var all []*simDaemon
		for _, d := range s.daemons {
			if fits(d) {
				all = append(all, d)
			}
		}
		if len(all) > 0 {
			s.simDaemon = all[s.diceOf("turn", s.turns).IntN(len(all))]
			return
		}
	}
}

// turnToLeader puts the leader at hand, if it can be had.
func (s *sim) turnToLeader() {
	for _, d := range s.daemons {
		if d.leads && d.busy == nil {
			s.simDaemon = d
		}
	}
}

// idle are the daemons whose jobs may run, in the order in which they do.
func (s *sim) idle(dice *rand.Rand) (all []*simDaemon) {
	for _, d := range s.daemons {
		if d.up() && d.busy == nil {
			all = append(all, d)
		}
	}
	if s.several() {
		dice.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	}
	return all
}

// later is how long after the tick the jobs of a daemon begin: the others may be in the middle
// of theirs.
func (d *simDaemon) later(dice *rand.Rand) time.Duration {
	if !d.sim.several() {
		return 0
	}
	return pick(dice, 0, time.Duration(dice.IntN(100))*time.Millisecond, time.Duration(dice.IntN(12))*time.Second)
}

// stepping is a context by which each transaction of a daemon waits for its turn among those of the
// others: the order is the seed's.
func (s *sim) stepping() context.Context {
	if !s.several() {
		return s.ctx
	}
	d, nth := s.simDaemon, s.starts
	steps := make(chan int, 1)
	steps <- 0
	return db.Stepping(s.ctx, func() {
		n := <-steps
		steps <- n + 1
		dice := s.dice(fmt.Sprint("step ", d.n, " ", nth, " ", n))
		<-time.After(time.Duration(dice.IntN(5000)) * time.Microsecond)
	})
}

func (s *sim) name() string {
	if !s.several() {
		return ""
	}
	return fmt.Sprintf(", of daemon %d", s.n)
}

func (s *sim) fingerprint() string { return fmt.Sprint("config ", s.file) }

// ownerOf names this run on what it claims.
func (s *sim) ownerOf(db *store.Store) string {
	if !s.several() {
		return fmt.Sprint("process ", s.starts)
	}
	return fmt.Sprintf("%s-%d", db.Owner(), s.starts)
}

// mayWork asks whether the daemon at hand may work by its config, and has it wait otherwise.
func (s *sim) mayWork(db *store.Store) bool {
	if s.several() {
		may, err := db.Decide(s.ctx, "0.1.0", s.fingerprint(), reminder.ModeLive, s.skew().Abs() <= 5*time.Second)
		if err != nil || !may {
			if s.waiting == nil {
				s.say("-- daemon %d waits", s.n)
				s.met["daemon waits"]++
			}
			s.waiting = db
			return false
		}
		s.waiting = nil
	}
	if s.file != s.worked {
		s.worked, s.policies = s.file, s.files[s.file]
		s.configs = append(s.configs, simConfig{s.trueNow(), s.policies})
		s.config = len(s.configs) - 1
		s.say("-- the daemons work by config %d", s.file)
	}
	s.worksBy = s.config
	return true
}

// declareIfLeads is declare for the leader, whose list counts.
func (s *sim) declareIfLeads(db *store.Store) {
	if s.several() {
		var err error
		if s.leads, err = db.Leads(s.ctx); err != nil || !s.leads {
			return
		}
	}
	s.declare(db)
}

// editConfigs gives the daemons the newest config, one after the other.
func (s *sim) editConfigs(dice *rand.Rand) {
	file := len(s.files) - 1
	if !s.several() {
		s.file = file
		s.restart()
		return
	}
	at := s.trueNow()
	for _, i := range dice.Perm(len(s.daemons)) {
		d := s.daemons[i]
		var edit func()
		edit = func() {
			if d.busy != nil { // it stands still
				s.later(s.trueNow().Add(10*time.Minute), "", edit)
				return
			}
			d.file, s.simDaemon = file, d
			s.restart()
		}
		s.later(at, fmt.Sprintf("daemon %d gets config %d", d.n, file), edit)
		at = at.Add(time.Duration(1+dice.IntN(pick(dice, 3, 60, 600))) * time.Minute)
	}
}

// leaseRunsOut has the others take the daemon at hand for dead, some time after its end. The
// leases go by the server's clock, which the run is not as long as.
func (s *sim) leaseRunsOut() {
	if !s.several() {
		return
	}
	owner, address := s.owner, s.server.direct(s.path)
	at := s.trueNow().Add(31*time.Second + time.Duration(s.diceOf("lease", s.starts).IntN(60))*time.Second)
	s.later(at, "a lease runs out", func() {
		s.must(pgtest.Exec(s.ctx, address, "UPDATE daemons SET until_at = 0 WHERE owner = '"+owner+"'"))
	})
}

// pauseAt has the daemon stand still at this call, if it is the one: before anything of the
// request is written, or before its answer is read.
func (w *simWire) pauseAt(d *simDaemon, r *http.Request, after bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	k := w.crash
	if k == nil || k.pause == 0 || d.dead || k.after != after || k.endpoint != "" && !isTo(r, k.endpoint) {
		return
	}
	if k.calls--; k.calls >= 0 {
		return
	}
	w.crash = nil
	d.pausedUntil = w.sim.trueNow().Add(k.pause)
	w.sim.say("-- daemon %d stands still for %s", d.n, k.pause)
	w.sim.met["daemon stands still"]++
	if k.pause > 31*time.Second {
		w.sim.met["daemon stands still for longer than its lease"]++
	}
	w.sim.noteFault(w.sim.trueNow().Add(-time.Minute), d.pausedUntil.Add(20*time.Minute), "pause")
	d.pausing <- struct{}{}
}

func isTo(r *http.Request, endpoint string) bool {
	post := r.Method == http.MethodPost
	switch endpoint {
	case "send":
		return post && strings.HasSuffix(r.URL.Path, "/Messages.json")
	case "register":
		return post && strings.HasSuffix(r.URL.Path, "/bill-numbers")
	case "list":
		return !post && strings.HasSuffix(r.URL.Path, "/Messages.json")
	}
	return false
}

// awaitRunning waits while the daemon stands still.
func (d *simDaemon) awaitRunning() {
	for {
		var until time.Time
		d.sim.wire.set(func() { until = d.pausedUntil })
		left := until.Sub(d.sim.trueNow())
		if left <= 0 {
			return
		}
		<-time.After(left)
	}
}

// awaitEndOrPause waits for the passes of a daemon, unless it stands still in the middle of them.
func (s *sim) awaitEndOrPause(d *simDaemon) {
	select {
	case <-d.busy:
	case <-d.pausing:
		if d.pausedUntil.Sub(s.trueNow()) > 31*time.Second {
			s.simDaemon = d
			s.leaseRunsOut()
		}
	}
}

// ended reports whether the passes of the daemon at hand have ended.
func (s *sim) ended() bool {
	select {
	case <-s.busy:
		s.busy = nil
		return true
	default:
		return false
	}
}

// noticeOthers does for each daemon what it does every second.
func (s *sim) noticeOthers() {
	dice := s.diceOf("notice", s.wakes)
	for _, s.simDaemon = range s.daemons {
		if s.busy != nil && !s.endWake(dice) {
			continue
		}
		open := s.waiting
		if s.up() {
			open = s.Store
		}
		if open == nil {
			continue
		}
		if s.up() {
			s.seen, _ = s.Scheduler.noticeOthers(s.ctx, s.seen) // what fails is asked again
		} else {
			_, _ = open.OthersWrote(s.ctx)
		}
		select {
		case <-open.Ended():
			s.met["daemon ended: "+simEnds[open.EndedBy()]]++
			s.say("-- daemon %d ended: %s", s.n, open.EndedBy())
			s.shut()
			s.start()
			continue
		default:
		}
		off := s.skew().Abs() > 5*time.Second && dice.IntN(2) == 0 // it takes seconds to be seen
		switch leads, err := open.Leads(s.ctx); {
		case s.waiting != nil:
			if s.mayWork(open) {
				s.kept = open
				s.start()
			}
		case off:
			s.met["daemon whose clock is off"]++
			s.kept, s.Scheduler, s.leads = open, nil, false
			s.start()
		case err == nil && leads && !s.leads:
			s.met["daemon comes to lead"]++
			s.declareIfLeads(open)
		case err == nil:
			s.leads = leads
		}
	}
}

var simEnds = map[error]string{
	db.ErrSuperseded: "taken for dead", db.ErrDisplaced: "displaced", db.ErrWentBack: "the server went back",
}

// inTransit reports whether a daemon stands still or waits.
func (s *sim) inTransit() bool {
	return slices.ContainsFunc(s.daemons, func(d *simDaemon) bool {
		return d.busy != nil || d.waiting != nil && s.trueNow().Minute()%10 == 0
	})
}

// startAll has all daemons work by the same config, and none be dead that others think alive.
func (s *sim) startAll() {
	var living []string
	for _, s.simDaemon = range s.daemons {
		if s.several() && s.busy == nil && s.file != len(s.files)-1 {
			s.file = len(s.files) - 1
			s.restart()
		}
		if !s.up() && s.waiting == nil {
			s.start()
		}
		living = append(living, "'"+s.owner+"'")
	}
	if s.several() {
		s.must(pgtest.Exec(s.ctx, s.server.direct(s.path), "UPDATE daemons SET until_at = 0 WHERE owner NOT IN ("+strings.Join(living, ", ")+")"))
	}
}

// displace has the operator say which config is the right one, and reports whether it is another one
// than that of the running daemon, which writes nothing any more.
func (s *sim) displace(dice *rand.Rand) bool {
	for _, d := range s.daemons {
		if d.waiting != nil && d.skew().Abs() <= 5*time.Second && dice.IntN(3) == 0 && s.up() {
			s.met["operator released: config_differs"]++
			s.say("-- the operator has config %d work", d.file)
			s.must(s.Store.Displace(fmt.Sprint("config ", d.file)))
			return d.file != s.file
		}
	}
	return false
}
