package scheduler

import (
	"context"
	"math/rand/v2"
	"os"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// The simulation runs the whole daemon through four to five weeks of a world in
// which everything goes wrong that may, and then looks at the provider's own
// record: was anybody texted twice, after paying, at night, against their
// will, or not at all? A run is drawn from its seed alone, so what a seed has
// found, it finds again.
//
// The real jobs run on a real store with the real clients, a SQLite file or a database of
// PostgreSQL; only the network and the clock are made up. What a run is made of:
//
//	sim_many_test.go      many runs
//	sim_run_test.go       one
//	sim_world_test.go     the world
//	sim_daemon_test.go    a daemon, its machine and its files
//	sim_several_test.go   several daemons on one database
//	sim_server_test.go    PostgreSQL, and what goes wrong with it
//	sim_script_test.go    who owes what, and until when
//	sim_blows_test.go     what goes wrong with daemon, machine, config and clock
//	sim_meanwhile_test.go what is committed while its calls are under way
//	sim_operator_test.go  what the operator does about it: look into it, release, put back a backup
//	sim_wire_test.go      the network, and what goes wrong on it
//	sim_call_test.go      one call
//	sim_record_test.go    the provider's record, side by side with the store's
//	sim_check_test.go     what must hold of both
//	sim_lost_test.go      that no stage was lost
//	sim_peek_test.go      what the simulation reads in the store
//	sim_log_test.go       what is reported of a run

// simulate makes one run and returns the texts that the provider had at its
// end, and how often the run met what.
func simulate(t *testing.T, seed uint64, daemons int) (texts []string, met map[string]int) {
	t.Helper()
	dir := simDir(t)
	servers := newSimServers(t, daemons)
	synctest.Test(t, func(t *testing.T) {
		s := newSim(t, seed, dir, servers)
		s.run()
		s.check()
		for _, s.simDaemon = range s.daemons {
			s.shut()
		}
		texts, met = s.textsInOrder(), s.met
		s.reportFindings(t)
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
	for _, s.simDaemon = range s.daemons {
		s.start()
	}
	for s.trueNow().Before(s.end) {
		s.turnToAny()
		s.sleepUntil(s.nextInstant(s.end))
		s.befall()
		s.wakeUp()
	}
	// What is still open may end now, with nothing in the way.
	s.say("-- calm until the end")
	s.calm.Store(true)
	s.restore()
	s.startAll()
	for end := s.trueNow().Add(34 * time.Hour); s.trueNow().Before(end); {
		s.turnToAny()
		s.sleepUntil(s.nextInstant(end))
		s.befall()
		s.wakeUp()
	}
}

// nextInstant is when to go on, always on a whole minute: the next due row
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
		take(now.Add(time.Duration(1+s.diceOf("idle", s.wakes).IntN(22*60))*time.Minute), time.Minute)
		if s.clockNews || !s.ClockCheck.stateNow().sure {
			take(now, s.untilSure())
		}
		due := s.nextDue()
		take(due.remind.Add(-s.skew()), time.Minute)
		take(due.register.Add(-s.skew()), time.Minute)
		take(due.recheck.Add(-s.skew()), 10*time.Minute)
		for _, ahead := range []time.Duration{5 * time.Minute, 15 * time.Minute, time.Hour, 6 * time.Hour} {
			if !due.receipts.After(s.daemonNow().Add(ahead)) {
				take(now.Add(ahead), 5*time.Minute)
				break
			}
		}
		if at := s.job(jobHousekeeping).schedule.Next(s.daemonNow().In(s.zone)); s.tidies(at) {
			take(at.Add(-s.skew()), time.Minute)
		}
	}
	if s.several() && s.inTransit() {
		take(now, time.Minute)
	}
	if first := now.Truncate(time.Minute).Add(time.Minute); next.Before(first) {
		return first
	}
	return next
}

// untilSure is how often the daemon looks at its clock, whose answer it does not believe. What
// comes of it after the first minutes is known, and costs a server half of all that is asked of it.
func (s *sim) untilSure() time.Duration {
	now := s.trueNow()
	if n := len(s.moved); s.server == nil || s.clockNews || now.Sub(s.process) < simDoubts || n > 0 && now.Sub(s.moved[n-1]) < simDoubts {
		return time.Minute
	}
	return simDoubts
}

const simDoubts = 10 * time.Minute

// tidies reports whether housekeeping runs on the day: once in some is enough,
// since nothing here is as old as the retention.
func (s *sim) tidies(day time.Time) bool { return s.diceOf("tidy", day.YearDay()).IntN(4) == 0 }

// wakeUp runs the jobs whose hour it is, one after the other or overlapping.
func (s *sim) wakeUp() {
	s.wakes++
	dice := s.diceOf("wake", s.wakes)
	if s.several() {
		s.noticeOthers()
	}
	s.turnToAny()
	if !s.up() {
		return
	}
	s.noteStopped()
	committed := s.meanwhile()
	var woken []*simDaemon
	tried := false
	for _, d := range s.idle(dice) {
		s.simDaemon = d
		s.server.strike(s, d)
		names := s.jobsDue(dice)
		d.wake(names, dice)
		tried = tried || slices.Contains(names, jobRemind)
		woken = append(woken, d)
	}
	for _, d := range woken {
		s.awaitEndOrPause(d)
	}
	committed()
	s.turnToAny()
	defer s.afterCommits()
	s.known.fresh = false
	went := false
	for _, d := range woken {
		s.simDaemon = d
		s.server.spare(s)
		if s.endWake(dice) {
			went = went || s.job(jobRemind).err == nil && s.ClockCheck.stateNow().sure
		}
	}
	if s.turnToAny(); s.up() {
		s.takeSnapshot(went)
		s.checkBelieved()
		s.checkSaid(tried)
	}
}

// jobsDue are the jobs whose hour it is, in some order.
func (s *sim) jobsDue(dice *rand.Rand) (names []string) {
	minute := s.trueNow().Minute()
	all := dice.IntN(5) == 0 || s.calm.Load()
	// Of the passes with nothing to do, which are most, some are enough.
	now, due := s.daemonNow(), s.nextDue()
	for _, j := range []struct {
		name  string
		hour  bool
		hasTo bool
	}{
		{jobRegister, true, !due.register.After(now)},
		{jobRecheck, minute%10 == 0 || all, !due.recheck.After(now)},
		{jobRemind, true, !due.remind.After(now) || s.clockNews || !s.ClockCheck.stateNow().sure || s.job(jobRemind).err != nil},
		{jobReceipts, minute%5 == 0 || all, due.sending || !due.receipts.After(now)},
	} {
		if idle := dice.IntN(8) == 0; j.hour && (j.hasTo || idle) {
			names = append(names, j.name)
		}
	}
	s.clockNews = false
	if local := now.In(s.zone); local.Hour() == 2 && local.Minute() == 15 && s.tidies(local) {
		names = append(names, jobHousekeeping)
	}
	dice.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
	return names
}

// wake runs jobs, and then what they have made for others.
func (d *simDaemon) wake(names []string, dice *rand.Rand) {
	s := d.sim
	ctx, stop := context.WithCancelCause(s.ctx)
	s.wire.set(func() { d.stop = stop })
	overlap, later := dice.IntN(2) == 0, d.later(dice)
	done := make(chan struct{})
	d.busy, d.passes = done, ctx
	go func() {
		defer close(done)
		<-time.After(later)
		var running sync.WaitGroup
		for i, name := range names {
			if !overlap {
				d.pass(ctx, name)
				continue
			}
			running.Go(func() {
				<-time.After(time.Duration(i) * 10 * time.Millisecond)
				d.pass(ctx, name)
			})
		}
		running.Wait()
		for range 3 { // what one job has made for another
			for _, name := range []string{jobRemind, jobReceipts, jobHousekeeping} {
				select {
				case <-d.job(name).woken:
					if ctx.Err() == nil {
						d.pass(ctx, name)
					}
				default:
				}
			}
		}
		select {
		case <-d.replan:
		default:
		}
		if ctx.Err() == nil { // it looks each minute
			d.replanAll(ctx)
		}
	}()
}

// endWake is what becomes of the daemon at hand once its passes have ended: it reports whether the
// process lives on.
func (s *sim) endWake(dice *rand.Rand) bool {
	if !s.ended() {
		return false // it stands still in the middle of them
	}
	d := s.simDaemon
	defer d.stop(nil)
	switch left := s.wire.remains(d); {
	case left != "":
		s.met["crash"]++
		s.kill(left)
		s.afterEnd(dice)
	case d.passes.Err() != nil:
		s.met["shutdown in a pass"]++
		s.shut()
		s.afterEnd(dice)
	default:
		return true
	}
	return false
}

// jobOf is the key under which a context has the name of the job that it is of.
type jobOf struct{}

func (d *simDaemon) pass(ctx context.Context, name string) {
	d.job(name).pass(context.WithValue(ctx, jobOf{}, name), d.Scheduler)
}

// afterEnd brings the daemon up again, now or after a while.
func (s *sim) afterEnd(dice *rand.Rand) {
	if dice.IntN(3) == 0 {
		s.down(time.Duration(1+dice.IntN(20*60)) * time.Minute)
		return
	}
	s.start()
}
