package scheduler

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"slices"
	"strconv"
	"sync"
	"time"

	"duewatch/notifier"
	"duewatch/reminder"
	"duewatch/store"
)

const (
	// askTimeEvery is how often the peers are asked while nobody vouches for the
	// clock, and askTimeFor how long that may take, which is longer than the
	// provider's own time-out: texts go on within two minutes of the clock being
	// right.
	askTimeEvery = 30 * time.Second
	askTimeFor   = 40 * time.Second
	// keepTimeEvery is how often the store is given the present instant to keep: a
	// few bills are asked about less often than every two days.
	keepTimeEvery = time.Hour
)

// metaClockReleased is the fact by which the operator vouches for a clock: the
// instant at which the machine was started, by that clock. Once the clock is set
// it is another one.
const metaClockReleased = "clock_released"

// RememberClock are the facts to write when the operator says that the clock of
// this machine is right.
func RememberClock(now time.Time, uptime time.Duration) map[string]string {
	return map[string]string{metaClockReleased: strconv.FormatInt(now.Add(-uptime).UnixMilli(), 10)}
}

// elapsed counts on whatever happens to the clock, where there is one to check.
func (s *Scheduler) elapsed() time.Duration {
	if s.ClockCheck == nil {
		return time.Duration(s.Now().UnixNano())
	}
	return s.ClockCheck.uptime()
}

// clockTrust is what the remind job remembers, from pass to pass, of the clock.
type clockTrust struct {
	lastPassAt time.Time     // the clock at the last pass, and at this one once it is believed
	believed   *clockState   // the clock that the last pass worked by; nil = none yet
	doubted    bool          // nobody vouched for the clock in the last pass
	keptAt     time.Duration // as elapsed, when the store was last given an instant to keep
	askedPeers struct {      // when the peers were last asked for the time
		at   time.Duration // as elapsed; zero = never
		sets int
	}
}

// checkClock is the clock that a pass of the remind job works by; it is not sure
// while nothing may be decided. While nobody vouches for the clock it finds
// somebody who does: the operator, the store, or a peer, which is asked.
func (s *Scheduler) checkClock(ctx context.Context) (clockState, error) {
	state := s.ClockCheck.stateNow()
	if !state.sure {
		var err error
		if state, err = s.findVoucher(ctx, state); err != nil || !state.sure {
			return state, err
		}
	}
	if err := s.repairIfClockSet(ctx, state); err != nil || s.ClockCheck == nil {
		return state, err
	}
	newlyBelieved := s.trust.doubted || s.trust.believed == nil || *s.trust.believed != state
	stopped, err := s.clockStops(ctx)
	if err != nil {
		return clockState{}, err
	}
	if at := s.elapsed(); newlyBelieved || stopped || at-s.trust.keptAt >= keepTimeEvery {
		if err := s.Store.BelieveClock(s.trust.lastPassAt); err != nil {
			return clockState{}, err
		}
		s.trust.keptAt = at
	}
	if !newlyBelieved {
		return state, nil
	}
	if err := s.stepBack(ctx, reminder.ClockUnsure); err != nil {
		return clockState{}, err
	}
	level := slog.LevelDebug
	if s.trust.doubted || s.trust.believed != nil {
		level = slog.LevelInfo
	}
	s.Log.Log(ctx, level, "the clock is believed", "now", s.trust.lastPassAt.Format(time.RFC3339))
	s.trust.believed, s.trust.doubted = &state, false
	// What waited for it goes on.
	s.requestReplan()
	for _, name := range []string{jobRegister, jobRecheck, jobReceipts, jobHousekeeping} {
		s.wake(name)
	}
	return state, nil
}

// clockStops reports whether sending is stopped for a clock: of several daemons another one may have
// done so while this one could not work.
func (s *Scheduler) clockStops(ctx context.Context) (bool, error) {
	stops, err := s.Store.Stops(ctx, s.Now())
	return slices.ContainsFunc(stops, func(x store.Stopped) bool { return x.Reason == reminder.ClockUnsure }), err
}

// findVoucher returns the state of the clock once all were asked that may vouch
// for it, and stops sending when none of them does.
func (s *Scheduler) findVoucher(ctx context.Context, state clockState) (clockState, error) {
	seen, err := s.Store.Seen(ctx)
	if err != nil {
		return state, err
	}
	known, err := s.vouchedLocally(ctx, seen)
	if err != nil {
		return state, err
	}
	asked := &s.trust.askedPeers
	if at := s.elapsed(); !known && (asked.sets != state.sets || asked.at == 0 || at-asked.at >= askTimeEvery) {
		asked.sets, asked.at = state.sets, at
		s.askPeersForTime(ctx)
		if state = s.ClockCheck.stateNow(); state.sure || ctx.Err() != nil {
			return state, nil //nolint:nilerr // stopping
		}
		if known, err = s.vouchedLocally(ctx, seen); err != nil {
			return state, err
		}
	}
	if known {
		s.ClockCheck.vouch(state)
		return s.ClockCheck.stateNow(), nil
	}
	why := s.ClockCheck.problem(seen)
	if !s.trust.doubted {
		s.Log.Error("nobody vouches for the clock of this machine, so nothing is sent or forgotten", "why", why)
	}
	s.trust.doubted = true
	unsure := &stoppedError{reason: reminder.ClockUnsure, err: errors.New(why)}
	if others, err := s.stepAside(ctx, unsure); err != nil || others {
		return state, cmp.Or(err, leftToOthers(unsure))
	}
	return state, s.Store.DistrustClock(s.Now(), why)
}

// vouchedLocally reports whether the operator vouches for the clock, or, where no
// answer has a Date, the last instant that the store has seen.
func (s *Scheduler) vouchedLocally(ctx context.Context, seen time.Time) (bool, error) {
	value, err := s.Store.Meta(ctx, metaClockReleased)
	if err != nil {
		return false, err
	}
	if ms, err := strconv.ParseInt(value, 10, 64); err == nil && time.UnixMilli(ms).Sub(s.ClockCheck.bootedNow()).Abs() <= clockSlack {
		return true, nil
	}
	if !s.ClockCheck.dateless() {
		return false, nil
	}
	if seen.IsZero() {
		// Nothing was recorded by a clock that is believed. Bills were added by some
		// clock; later events may be this one's.
		if seen, err = s.Store.TrailBegan(ctx); err != nil {
			return false, err
		}
	}
	now := s.Now()
	// A store that knows of nothing has nothing to lose.
	return seen.IsZero() || !now.Before(seen.Add(-clockSlack)) && now.Sub(seen) <= clockKnownFor, nil
}

// askPeersForTime makes one harmless request of each peer, for the Date of its answer:
// what it says else is of no interest.
func (s *Scheduler) askPeersForTime(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, askTimeFor)
	defer cancel()
	var asking sync.WaitGroup
	asking.Go(func() { _ = s.Almara.RenewToken(ctx) }) // its failure is reported where a token is needed
	if s.Delivery.Mode != reminder.ModeOff {
		asking.Go(func() { _, _, _ = s.Notifier.List(ctx, notifier.Query{MaxMessages: 1}) }) // as above
	}
	asking.Wait()
}

// clockWasSet reports whether the clock is another one than the pass of the remind
// job began by. It is asked after the hour was read by which something is to be
// decided or sent, so that no hour of an unknown clock gets through.
func (s *Scheduler) clockWasSet(by clockState) bool { return s.ClockCheck.stateNow() != by }

// wasSet reports whether something may have been written by another clock than
// this one, which is believed.
func (s *Scheduler) wasSet(ctx context.Context, state clockState) (bool, error) {
	switch {
	case s.ClockCheck == nil:
		return false, nil
	case s.trust.believed != nil && s.trust.believed.sets != state.sets:
		return true, nil
	case s.trust.believed != nil && s.Store.Owner() == "":
		return false, nil
	case s.trust.believed == nil && state.sets > 0: // since the start, before any was believed
		return true, nil
	}
	// By an earlier process, or by another daemon, which may be dead.
	return s.Store.WroteUnsure(ctx)
}

// repairIfClockSet puts right what an earlier clock has written: when this one was set
// meanwhile, or is behind the latest instant that the store knows of. What was
// learned at hours that are now to come would seem fresh when they come.
func (s *Scheduler) repairIfClockSet(ctx context.Context, state clockState) error {
	set, err := s.wasSet(ctx, state)
	if err != nil {
		return err
	}
	latest := s.trust.lastPassAt
	if latest.IsZero() || set {
		if latest, err = s.Store.Latest(ctx); err != nil {
			return err
		}
	}
	now := s.Now()
	if s.clockWasSet(state) {
		return errClockSet
	}
	if set || now.Before(latest.Add(-clockSlack)) {
		// All is planned anew: what was planned by a clock that was ahead may have
		// been taken for past.
		if err := s.Store.SetMeta(metaFingerprint, "anew "+rand.Text()); err != nil { // also for whoever is at it now
			return err
		}
		forgotten, err := s.Store.ClockSet(now, now.Add(s.ReconcileAfter[len(s.ReconcileAfter)-1]))
		if err != nil {
			return err
		}
		s.Comparison.forget() // texts may have been sent meanwhile, by whatever clock
		s.requestReplan()
		s.Log.Warn("the clock was set back or ahead: balances learned at hours that are still to come count as old",
			"latest", latest.Format(time.RFC3339), "now", now.Format(time.RFC3339), "balances", forgotten)
	}
	s.trust.lastPassAt = now
	return nil
}
