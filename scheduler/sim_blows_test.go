package scheduler

import (
	"fmt"
	"math/rand/v2"
	"time"

	"duewatch/reminder"
	"duewatch/store"
)

// drawBlows is what goes wrong with the daemon, its machine and the services.
func (s *sim) drawBlows(dice *rand.Rand) {
	anytime := func() time.Time {
		return s.begin.Add(time.Duration(dice.Int64N(int64(s.end.Sub(s.begin))))).Truncate(time.Minute)
	}
	// A good part of it about the hour at which texts leave.
	rush := func() time.Time {
		day := reminder.DateOf(anytime().In(s.zone))
		return day.At(s.policies.Default.SendAt, s.zone).Add(time.Duration(dice.IntN(8)-4) * time.Minute)
	}
	some := func() time.Time { return pick(dice, anytime, rush)() }
	several := func(most int) int { return dice.IntN(most + 1) }
	for range several(3) {
		b := pick(dice, s.bills...)
		service := pick(dice, "", b.Service)
		at := some()
		s.at(at, "opt-out of the customer of "+b.Account, func() { s.optOut(b.Phone, service, true) })
		if dice.IntN(3) == 0 {
			s.at(at.Add(time.Duration(dice.IntN(10*24))*time.Hour), "and no more", func() { s.optOut(b.Phone, service, false) })
		}
	}
	if dice.IntN(4) == 0 {
		return // nothing else: a quiet month
	}
	for range several(3) {
		s.outage(&s.wire.almara, "Almara Pay", some(), time.Duration(5+dice.IntN(8*60))*time.Minute,
			pick(dice, outage(refused), e503, page502, silent, dropped+after, forbidden))
	}
	for range several(3) {
		s.outage(&s.wire.twilio, "provider", some(), time.Duration(5+dice.IntN(90))*time.Minute,
			pick(dice, outage(refused), e503+after, e503, page502, silent+after, dropped+after, slowDown, badLogin))
	}
	for range several(4) {
		s.at(some(), "all tokens are revoked", func() { s.sandbox.RevokeTokens() })
	}
	for range several(8) {
		k := crash{endpoint: pick(dice, "send", "send", "send", "register", "list", "fetch", ""), calls: dice.IntN(3), after: dice.IntN(2) == 0, graceful: dice.IntN(4) == 0}
		s.at(some(), fmt.Sprintf("crash is armed: %+v", k), func() { s.wire.set(func() { s.wire.crash = &k }) })
	}
	for range several(3) {
		s.at(some(), "restart", s.restart)
	}
	for range several(3) {
		s.at(some(), "power cut", func() {
			if s.up() {
				s.kill(s.cutOff(s.simDaemon))
				s.afterEnd(dice)
			}
		})
	}
	for range several(2) {
		long := time.Duration(30+dice.IntN(48*60)) * time.Minute
		s.at(some(), "downtime", func() {
			if s.up() {
				s.shut()
				s.down(long)
			}
		})
	}
	s.drawServer()
	for range several(2) {
		s.at(some(), "another config", func() { s.reconfigure(dice) })
	}
	s.wire.lag = dice.IntN(3) == 0
	if s.wire.lag { // with a clock that jumps, no look-up in a list that runs behind could be the last
		return
	}
	for range several(2) {
		s.clocks = true
		s.drawClock(dice, some())
	}
	if s.clocks {
		s.wire.dates = pick(dice, simDates{name: "both"}, simDates{name: "both"},
			simDates{name: "none", almaraSilent: true, providerSilent: true},
			simDates{name: "only Almara Pay", providerSilent: true}, simDates{name: "only the provider", almaraSilent: true},
			// Never in the same way as the machine: two clocks that agree are believed.
			simDates{name: "Almara Pay lies", almaraWrong: pick(dice, -3*year, -2*time.Hour, 20*time.Hour, 3*year)},
			simDates{name: "the provider lies", providerWrong: pick(dice, -3*year, -2*time.Hour, 20*time.Hour, 3*year)},
			simDates{name: "one lies, one is silent", almaraWrong: 3 * year, providerSilent: true})
		s.met["dates: "+s.wire.dates.name]++
	}
}

// drawClock has the clock be wrong for up to a day and a half: at once, at a call,
// or from the next start of the machine on.
func (s *sim) drawClock(dice *rand.Rand, at time.Time) {
	const minute = time.Minute
	by := pick(dice, -26*60*minute, -180*minute, -180*minute, -61*minute, -10*minute, 5*minute, 61*minute, 180*minute, 25*60*minute,
		-26*year, -2*year, 2*year, 2*year, 500*simDay, 9*year)
	what := fmt.Sprintf("the clock is wrong by %s", by)
	switch dice.IntN(3) {
	case 0:
		s.at(at, what, func() { s.setClock(by) })
	case 1:
		l := jump{endpoint: pick(dice, "send", "send", "register", "list", "fetch", ""), calls: dice.IntN(3), to: by}
		s.at(at, fmt.Sprintf("a jump of the clock is armed: %+v", l), func() { s.wire.set(func() { s.wire.jump = &l }) })
	case 2:
		long := time.Duration(1+dice.IntN(120)) * time.Minute
		s.at(at, what+", from the next start of the machine on", func() {
			s.setClock(by)
			if s.up() {
				s.shut()
				s.booted = s.trueNow().Add(long - time.Minute)
				s.down(long)
			}
		})
	}
	back := at.Add(time.Duration(1+dice.IntN(36*60)) * time.Minute)
	s.at(back, "the clock is right again", func() {
		s.wire.set(func() { s.wire.jump = nil })
		for _, s.simDaemon = range s.daemons {
			if s.skew() != s.drift || !s.several() {
				s.setClock(0)
			}
		}
	})
}

// redeclare adds the bill to the config or takes it out, which the daemon sees
// at its next start.
func (s *sim) redeclare(b *simBill, in bool) {
	s.declared[b.Account] = in
	b.removed = time.Time{}
	if !in {
		b.removed = s.trueNow()
	}
	s.noteFault(s.trueNow(), s.trueNow().Add(simDay), "declared")
	s.turnToLeader()
	s.restart()
}

func (s *sim) optOut(to reminder.Phone, service string, add bool) {
	db := s.storeNow()
	o := store.OptOut{Phone: to, Service: service, Reason: reminder.OptedOut, Since: s.daemonNow(), Source: "operator", Who: "simulation"}
	if add {
		_, err := db.AddOptOuts(o)
		s.must(err)
		if s.refuse[to] == nil {
			s.refuse[to] = map[string]bool{}
		}
		s.refuse[to][service] = true
	} else if s.refuse[to][service] {
		s.must(db.RemoveOptOut(o))
		delete(s.refuse[to], service)
		delete(s.refusedBy, to)
	}
	if !s.up() {
		s.must(db.Close())
	}
	s.stopped = nil
	s.noteFault(s.trueNow(), s.trueNow().Add(time.Hour), "opt-out")
}

// storeNow is the running daemon's, or, as the commands do, one of its own.
func (s *sim) storeNow() *store.Store {
	if s.up() {
		return s.Store
	}
	var db *store.Store
	s.untilThere(func() (err error) {
		db, err = store.OpenWriter(s.ctx, s.path)
		return err
	})
	return db
}

func (s *sim) outage(of *outage, name string, at time.Time, long time.Duration, what outage) {
	s.at(at, fmt.Sprintf("%s fails with %s for %s", name, what, long), func() {
		s.wire.set(func() { *of = what })
		s.noteFault(at.Add(-time.Minute), at.Add(long+7*time.Hour), "outage") // back-off is up to six hours
	})
	s.at(at.Add(long), name+" is back", func() { s.wire.set(func() { *of = "" }) })
}

func (s *sim) down(long time.Duration) {
	s.noteFault(s.trueNow(), s.trueNow().Add(long+20*time.Minute), "down")
	d := s.simDaemon
	s.later(s.trueNow().Add(long), "up again", func() {
		s.simDaemon = d
		if !s.up() && s.waiting == nil {
			s.start()
		}
	})
}

func (s *sim) reconfigure(dice *rand.Rand) {
	s.met["config changed"]++
	policies := s.drawPolicies(dice)
	if dice.IntN(5) == 0 {
		s.sendNearClose(policies)
	}
	s.files = append(s.files, policies)
	s.noteFault(s.trueNow(), s.trueNow().Add(simDay), "config")
	s.editConfigs(dice)
}

func (s *sim) setClock(skew time.Duration) { s.setClockOf(s.simDaemon, skew) }

func (s *sim) setClockOf(d *simDaemon, skew time.Duration) {
	s.noteFault(s.trueNow().Add(-simDay), s.trueNow().Add(2*simDay), "clock")
	d.skewed.Store(int64(skew + d.drift))
	d.clockNews = true
	s.epoch++
	s.met["clock set"]++
	s.moved = append(s.moved, s.trueNow())
}

// restore ends everything that is in the way.
func (s *sim) restore() {
	s.wire.set(func() { s.wire.almara, s.wire.twilio, s.wire.crash, s.wire.jump = "", "", nil, nil })
	s.script = nil
	for _, s.simDaemon = range s.daemons {
		if s.skew() != s.drift {
			s.setClock(0)
		}
	}
}

// noteFault notes that for a while something was in the way of texts.
func (s *sim) noteFault(from, to time.Time, what string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.unruly = append(s.unruly, span{from, to, what})
}
