package scheduler

import (
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"duewatch/reminder"
	"duewatch/sandbox"
	"duewatch/store"
)

// drawGuards makes guards so tight that some days are bad ones.
func drawGuards(dice *rand.Rand) (g reminder.Guards) {
	if dice.IntN(3) != 0 {
		return g
	}
	g.MaxTextsPerDay = pick(dice, 0, 1, 2, 4)
	g.MonthlySegments = pick(dice, 0, 0, 4, 12)
	g.MaxFailureRate = pick(dice, 0, 0.1, 0.3)
	g.ImplausibleBalance = pick(dice, 0, 3, 10.5)
	g.ImplausibleFrom = reminder.MustMoney(pick(dice, "100", "5000"))
	return g
}

// drawOperator has somebody look after the daemon every day or two, and, in
// some runs, put back a backup.
func (s *sim) drawOperator(dice *rand.Rand) {
	for at := s.begin.Truncate(time.Minute); at.Before(s.end); {
		at = at.Add(time.Duration(8*60+dice.IntN(40*60)) * time.Minute)
		s.at(at, "", s.operate)
	}
	// What the provider's list does not show yet, and what a clock that is
	// wrong takes for another day, no comparison can find.
	if s.wire.lag || s.clocks || dice.IntN(2) != 0 || s.several() {
		return
	}
	made := s.begin.Add(time.Duration(dice.Int64N(int64(s.end.Sub(s.begin))))).Truncate(time.Minute)
	back := made.Add(time.Duration(30+dice.IntN(pick(dice, 1, 10)*24*60)) * time.Minute)
	if !back.Before(s.end.Add(-simDay)) {
		return
	}
	var backup string
	s.at(made, "a backup is made", func() { backup = s.snapshot() })
	s.at(back, "the backup is put back", func() { s.putBack(backup, dice) })
}

// putBack replaces the store by one of an earlier time. The operator knows by
// other means who asked for no texts since.
func (s *sim) putBack(backup string, dice *rand.Rand) {
	s.met["backup put back"]++
	db := s.storeNow()
	for _, b := range s.bills {
		s.readRecords(b, db)
		b.lost = append(b.lost, b.records)
		b.records = records{}
	}
	if !s.up() {
		s.must(db.Close())
	}
	s.kill(backup)
	s.epoch++
	s.generation++
	s.restored = append(s.restored, s.trueNow())
	clear(s.refusedBy)
	for to, services := range s.refuse {
		for service := range services {
			s.optOut(to, service, true)
		}
	}
	// A text that this store does not know counts as one about any stage that
	// might have joined it, and so may be one too few: which it was is not known.
	s.noteFault(s.trueNow().Add(-simDay), s.trueNow().Add((reminder.MaxBundleDays+1)*simDay), "backup")
	s.down(time.Duration(5+dice.IntN(120)) * time.Minute)
}

// operate does what docs/operations.md has the operator do about what is
// held or stopped: look into it, and then let it go, or not.
func (s *sim) operate() {
	dice := s.diceOf("operator", s.wakes)
	db := s.storeNow()
	defer func() {
		if !s.up() {
			s.must(db.Close())
		}
	}()
	release := func(reason reminder.Reason) {
		n, err := db.ReleaseAll(s.ctx, s.policies.Default, s.daemonNow(), reason, "simulation", nil)
		s.must(err)
		s.met["operator released: "+string(reason)]++
		s.say("-- the operator releases %s: %d", reason, n)
		s.releases = append(s.releases, release{s.trueNow(), reason, ""})
		s.noteFault(s.trueNow(), s.trueNow().Add(time.Hour), "release")
	}
	if s.displace(dice) {
		return // the rest another time
	}
	stops, err := db.Stops(s.ctx, s.daemonNow())
	s.must(err)
	for _, stop := range stops {
		switch {
		case stop.Reason == reminder.ClockUnsure:
			s.vouch(db)
		case stop.Until.IsZero():
			release(stop.Reason)
		}
	}
	held, err := db.Held(s.ctx)
	s.must(err)
	for _, h := range held {
		switch h.Reason {
		case reminder.DailyLimit, reminder.MonthlyBudget, reminder.FailureRate:
			if dice.IntN(2) == 0 {
				release(h.Reason)
			}
		case reminder.InDoubt, reminder.ImplausibleBalance:
			s.releaseBills(db, dice)
		default:
		}
	}
}

// vouch has the operator hold the clock against a watch, and let it go if it is
// right.
func (s *sim) vouch(db *store.Store) {
	if s.skew() != s.drift {
		return
	}
	_, err := db.ReleaseAll(s.ctx, s.policies.Default, s.daemonNow(), reminder.ClockUnsure, "simulation", RememberClock(s.daemonNow(), s.uptime()))
	s.must(err)
	s.met["operator released: clock"]++
	s.say("-- the operator vouches for the clock")
	s.clockNews = true
}

// releaseBills lets bills go one by one, each after a look at the provider's
// own record of its phone.
func (s *sim) releaseBills(db *store.Store, dice *rand.Rand) {
	for _, b := range s.bills {
		if b.ID == 0 || dice.IntN(3) == 0 || s.mayBeThere(b, db) {
			continue
		}
		act := store.BulkOp{Selector: store.Selector{Service: b.Service, Account: b.Account}, At: s.daemonNow(), Who: "simulation"}
		n, err := db.Release(s.ctx, act, store.OfOneBill...)
		s.must(err)
		if n > 0 {
			s.met["operator released: a bill"]++
			s.say("-- the operator releases %s", b.Account)
			s.releases = append(s.releases, release{s.trueNow(), "", b.Account})
			s.noteFault(s.trueNow(), s.trueNow().Add(time.Hour), "release")
		}
	}
}

// mayBeThere reports whether the provider has a text that the store took for
// one that was not sent.
func (s *sim) mayBeThere(b *simBill, db *store.Store) bool {
	all, err := db.Texts(s.ctx, b.ID)
	s.must(err)
	return slices.ContainsFunc(all, func(x store.SentText) bool {
		return x.State == store.NotFound && slices.ContainsFunc(s.sandbox.Texts(), func(t sandbox.Text) bool { return t.Body == x.Body })
	})
}

// release is one act of the operator.
type release struct {
	at      time.Time // true
	reason  reminder.Reason
	account string // or else
}

func (s *sim) released(from, to time.Time, reason reminder.Reason, account string) bool {
	return slices.ContainsFunc(s.releases, func(r release) bool {
		return r.reason == reason && r.account == account && !r.at.Before(from) && !r.at.After(to)
	})
}

// unsettled reports whether the store, the clock or the config was another one
// at some time in between: then no count goes through.
func (s *sim) unsettled(from, to time.Time) bool {
	return s.clockMoved(from.Add(-simClockMost), to) || s.reconfigured(from, to) ||
		slices.ContainsFunc(s.restored, func(at time.Time) bool { return !at.Before(from) && !at.After(to.Add(10*simDay)) })
}

// checkGuards counts what the provider was given by day and by month.
func (s *sim) checkGuards(all []delivery) {
	texts, segments := map[reminder.Date]int{}, map[reminder.Date]int{}
	for _, d := range all {
		if d.also || d.row.State == store.NotFound {
			continue // counted, or found by a list that ran behind
		}
		day := reminder.DateOf(d.row.CreatedAt.In(s.zone))
		month := day.AddDays(1 - day.Day())
		texts[day]++
		segments[month] += d.row.Segments
		wrong := d.clock.Sub(d.at) // the daemon's clock; what befell is known by the true one
		g, midnight, first := d.policy.Guards, day.At(0, s.zone).Add(-wrong), month.At(0, s.zone).Add(-wrong)
		if most := g.MaxTextsPerDay; most > 0 && texts[day] > most && !s.unsettled(midnight, d.at) && !s.released(midnight, d.at, reminder.DailyLimit, "") {
			s.found(d.simBill, "text number %d of %s left at %s, and guards.max_texts_per_day is %d", texts[day], day, s.hour(d.at), most)
		}
		if most := g.MonthlySegments; most > 0 && segments[month] > most && !s.unsettled(first, d.at) && !s.released(first, d.at, reminder.MonthlyBudget, "") {
			s.found(d.simBill, "segment number %d of %s left at %s, and guards.monthly_segments is %d", segments[month], month, s.hour(d.at), most)
		}
	}
	s.checkImplausible(all)
}

// checkImplausible looks at the amounts that texts named: none may be
// far more than the bill ever came to before, once something is known of it.
func (s *sim) checkImplausible(all []delivery) {
	trueSince := map[string]time.Time{} // since when the oldest balance was true that was named for an account
	for _, d := range all {
		g := d.policy.Guards
		for i, b := range d.balances {
			if b.at.After(d.at) || !d.names(*b.owed) {
				continue
			}
			since, usual := trueSince[d.simBill.Account], reminder.MustMoney("0")
			if slices.ContainsFunc(s.restored, func(at time.Time) bool { return at.After(since) && at.Before(d.at) }) {
				since = time.Time{} // the store knows nothing of it any more
			}
			for _, before := range d.balances[:i] {
				if before.owed.Cmp(usual) > 0 {
					usual = *before.owed
				}
			}
			if g.ImplausibleBalance > 0 && !since.IsZero() && since.Before(b.at) && b.owed.Cmp(g.ImplausibleFrom) >= 0 && b.owed.Cmp(usual.Times(g.ImplausibleBalance)) > 0 &&
				!s.unsettled(b.at, d.at) && !s.released(b.at, d.at, "", d.simBill.Account) && !s.wasEver(d.balances[:i], b) {
				s.found(d.simBill, "had a text at %s that it owes %s, and it never owed more than %s before", s.hour(d.at), b.owed.Format("KES"), usual.Format("KES"))
			}
			if since.IsZero() || b.at.Before(since) {
				trueSince[d.simBill.Account] = b.at
			}
		}
	}
}

// wasEver reports whether the same balance had been there before.
func (s *sim) wasEver(before []simBalance, b simBalance) bool {
	return slices.ContainsFunc(before, func(c simBalance) bool { return c.owed.Cmp(*b.owed) == 0 })
}

var simTemplates = map[string]reminder.TemplateSource{
	"en": {
		Before: "{{.Service}} (account {{.Account}}): {{with .Amount}}{{.}}. {{end}}To be paid {{.When}}, by {{.DueDate}}.",
		After:  "{{.Service}} (account {{.Account}}): {{with .Amount}}{{.}}. {{end}}Overdue since {{.DueDate}}, {{.When}}.",
		Bundle: "To be paid:{{range $i, $b := .Bills}}{{if $i}};{{end}} {{.Service}} {{.Account}}, {{with .Amount}}{{.}}, {{end}}{{.When}}, {{.DueDate}}{{end}}.",
	},
	"sw": {
		Before: "{{.Service}} (akaunti {{.Account}}): {{with .Amount}}{{.}}. {{end}}Lipa {{.When}}, {{.DueDate}}.",
		After:  "{{.Service}} (akaunti {{.Account}}): {{with .Amount}}{{.}}. {{end}}Ilipaswa kulipwa {{.DueDate}}, {{.When}}.",
	},
}

// simWordings are the two that a run may change between.
var simWordings = sync.OnceValues(func() (all [2]reminder.Templates, err error) {
	for i, source := range []map[string]reminder.TemplateSource{reminder.DefaultTemplates(), simTemplates} {
		if all[i], err = reminder.ParseTemplates(source); err != nil {
			return all, err
		}
	}
	return all, nil
})
