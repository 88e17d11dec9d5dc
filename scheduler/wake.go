package scheduler

import (
	"cmp"
	"context"
	"time"
)

// wake makes a job run now: it has new work from another.
func (s *Scheduler) wake(name string) {
	for _, j := range s.jobs {
		if j.name == name {
			j.wake()
		}
	}
}

// clockEvery is how soon a clock that was set is noticed between passes.
const clockEvery = time.Second

// suspendedFor is how long this process did not run, at least, when the machine
// was suspended: the timers of its ticks have stood still.
const suspendedFor = 30 * time.Second

// wakeAtTicks wakes the jobs at their ticks until ctx ends. It compares the clock with
// each of them every second and does not sleep until the next one: whoever sleeps
// for a minute and then finds an hour at which nothing is due, since the clock was
// set back meanwhile, sleeps on for as long as that. When the clock was set, or the
// machine was suspended, all jobs run, and their next ticks are computed anew.
// While nobody vouches for the clock it has the remind job ask.
func (s *Scheduler) wakeAtTicks(ctx context.Context) {
	every := time.NewTicker(clockEvery)
	defer every.Stop()
	ticks := make([]time.Time, len(s.jobs))
	tickAnew := func() {
		for i, j := range s.jobs {
			ticks[i] = j.schedule.Next(s.Now().In(s.Zone))
			j.wake() // a restart must not wait for the next tick, nor one of those
		}
	}
	tickAnew()
	state, at := s.ClockCheck.stateNow(), s.elapsed()
	asked := at
	for {
		select {
		case <-ctx.Done():
			return
		case <-every.C:
		}
		before, last := state, at
		now := s.Now().In(s.Zone)
		state, at = s.ClockCheck.stateNow(), s.elapsed()
		switch {
		case state.sets != before.sets:
			s.Log.Warn("the clock was set: nothing is sent until an answer of Almara Pay or the provider agrees with it",
				"now", now.Format(time.RFC3339))
			tickAnew()
			continue
		case at-last > suspendedFor:
			tickAnew()
			continue
		case state.sure != before.sure, !state.sure && at-asked >= askTimeEvery:
			s.wake(jobRemind)
			asked = at
		}
		for i, j := range s.jobs {
			if !ticks[i].IsZero() && !now.Before(ticks[i]) {
				ticks[i] = j.schedule.Next(now)
				j.wake()
			}
		}
	}
}

// noticeCommands wakes the jobs when another process wrote to the store: what
// was imported, released or edited is taken up within a second or two, and not
// at the next tick of a job that may have hours between its ticks. Asking SQLite costs less than
// a tenth of a millisecond.
func (s *Scheduler) noticeCommands(ctx context.Context) {
	every := time.NewTicker(cmp.Or(s.NoticeEvery, time.Second))
	defer every.Stop()
	seen, err := s.Store.OthersWrote(ctx)
	for {
		if lostSince, _ := s.Store.Lost(); lostSince.IsZero() { // else the daemon has logged it once
			s.report(ctx, "notice commands", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-every.C:
		}
		seen, err = s.noticeOthers(ctx, seen)
	}
}

// noticeOthers takes over from daemons that are dead, and wakes the jobs when others have
// written since seen. It returns what to compare with the next time.
func (s *Scheduler) noticeOthers(ctx context.Context, seen int64) (int64, error) {
	if s.Store.AnyDead() {
		s.report(ctx, "take over from dead daemons", s.takeOverFromDead(ctx))
	}
	now, err := s.Store.OthersWrote(ctx)
	if err != nil || now == seen {
		return seen, err
	}
	for _, name := range []string{jobRegister, jobRecheck, jobRemind} {
		s.wake(name)
	}
	return now, nil
}

// takeOverFromDead takes over the work of daemons that are not heard of any more.
func (s *Scheduler) takeOverFromDead(ctx context.Context) error {
	members, err := s.Store.Members(ctx)
	if err != nil {
		return err
	}
	orphans, err := s.takeOver()
	if err != nil {
		return err
	}
	for _, m := range members {
		if !m.Lives {
			s.Log.Warn("a daemon is not heard of any more, and its work is done by the others",
				"host", m.Host, "pid", m.PID, "since", m.SeenAt, "texts_in_doubt", orphans)
		}
	}
	s.requestReplan()
	for _, j := range s.jobs {
		j.wake()
	}
	return nil
}
