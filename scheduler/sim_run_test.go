package scheduler

import (
	"context"
	"math/rand/v2"
	"os"
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
//	sim_world_test.go     the daemon, its machine and its files
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
func simulate(t *testing.T, seed uint64) (texts []string, met map[string]int) {
	t.Helper()
	dir := simDir(t)
	server := newSimServer(t)
	synctest.Test(t, func(t *testing.T) {
		s := newSim(t, seed, dir, server)
		s.run()
		s.check()
		s.shut()
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
	for end := s.trueNow().Add(34 * time.Hour); s.trueNow().Before(end); {
		s.sleepUntil(s.nextInstant(end))
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
	minute := s.trueNow().Minute()
	all := dice.IntN(5) == 0 || s.calm.Load()
	// Of the passes with nothing to do, which are most, some are enough.
	now, due := s.daemonNow(), s.nextDue()
	var names []string
	for _, j := range []struct {
		name  string
		hour  bool
		hasTo bool
	}{
		{jobRegister, true, !due.register.After(now)},
		{jobRecheck, minute%10 == 0 || all, !due.recheck.After(now)},
		{jobRemind, true, !due.remind.After(now) || s.clockNews || !s.ClockCheck.stateNow().sure},
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
	s.noteStopped()

	ctx, stop := context.WithCancelCause(s.ctx)
	defer stop(nil)
	s.wire.set(func() { s.stop = stop })
	committed := s.meanwhile()
	s.server.strike(s)
	var running sync.WaitGroup
	overlap := dice.IntN(2) == 0
	for i, name := range names {
		if !overlap {
			s.pass(ctx, name)
			continue
		}
		running.Go(func() {
			<-time.After(time.Duration(i) * 10 * time.Millisecond)
			s.pass(ctx, name)
		})
	}
	running.Wait()
	for range 3 { // what one job has made for another
		for _, name := range []string{jobRemind, jobReceipts, jobHousekeeping} {
			select {
			case <-s.job(name).woken:
				if ctx.Err() == nil {
					s.pass(ctx, name)
				}
			default:
			}
		}
	}
	select {
	case <-s.replan:
		if ctx.Err() == nil {
			s.replanAll(ctx)
		}
	default:
	}
	committed()
	s.server.spare(s)
	defer s.afterCommits()
	s.known.fresh = false
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
		s.takeSnapshot(s.job(jobRemind).err == nil && s.ClockCheck.stateNow().sure)
		s.checkBelieved()
	}
}

// jobOf is the key under which a context has the name of the job that it is of.
type jobOf struct{}

func (s *sim) pass(ctx context.Context, name string) {
	s.job(name).pass(context.WithValue(ctx, jobOf{}, name), s.Scheduler)
}

// afterEnd brings the daemon up again, now or after a while.
func (s *sim) afterEnd(dice *rand.Rand) {
	if dice.IntN(3) == 0 {
		s.down(time.Duration(1+dice.IntN(20*60)) * time.Minute)
		return
	}
	s.start()
}
