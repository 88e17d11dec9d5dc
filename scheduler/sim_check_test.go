package scheduler

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"duewatch/almara"
	"duewatch/reminder"
	"duewatch/sandbox"
	"duewatch/store"
)

// found is one thing that must not be.
func (s *sim) found(b *simBill, format string, args ...any) {
	who := ""
	if b != nil {
		who = b.Account + ": "
		s.suspects[b.Account] = true
	}
	s.wrong = append(s.wrong, who+fmt.Sprintf(format, args...))
}

// noteStopped keeps who is not to be texted, as the store and the operator
// have it at the start of a wake.
func (s *sim) noteStopped() {
	before := s.optOuts
	s.optOuts = s.nextDue().optOuts
	if s.stopped != nil && s.optOuts == before {
		return // an operator's act may leave their number as it is: it forgets stopped itself
	}
	s.stopped = map[reminder.Phone]map[string]bool{}
	stop := func(to reminder.Phone, service string) {
		if s.stopped[to] == nil {
			s.stopped[to] = map[string]bool{}
		}
		s.stopped[to][service] = true // "" = of any service
	}
	s.must(s.Store.OptOuts(s.ctx, func(o store.OptOut) error {
		stop(o.Phone, o.Service)
		return nil
	}))
	for to, services := range s.refuse {
		for service := range services {
			stop(to, service)
		}
	}
	for to := range s.refusedBy {
		stop(to, "")
	}
}

// takeSnapshot notes, after a wake that the process outlived, how the store sees each
// bill, and what must hold at any time.
func (s *sim) takeSnapshot(ok bool) {
	now := s.daemonNow()
	if s.several() { // whose clocks differ
		now = s.trueNow()
	}
	this := &snapshot{at: now, truly: s.trueNow(), epoch: s.epoch, config: s.config, store: s.generation, ok: ok}
	for _, w := range s.watched() {
		b := s.billOf(w.account)
		if b.due != w.due {
			b.due = w.due
			s.must(b.dueDate.UnmarshalText([]byte(w.due)))
		}
		if last := len(b.seen) - 1; ok && last >= 0 && b.seen[last].ok && b.seen[last].epoch == s.epoch &&
			w.nextRemind.Before(b.seen[last].at.Add(-lease-time.Minute)) {
			s.found(b, "at %s the remind job had not decided about it since %s", s.hour(now), s.hour(w.nextRemind))
		}
		b.seen = append(b.seen, sighting{this, b.dueDate, w.active})
	}
	for _, p := range slices.Backward(s.wire.posts) {
		if p.wake != s.wakes {
			break
		}
		// One that dies or stands still may not have written it down.
		if p.refused && p.by.busy == nil && !p.by.process.After(p.at) {
			s.refusedBy[p.to], s.stopped = true, nil
		}
	}
}

// simBelieved is how long it may take until texts go on once the clock is right.
const simBelieved = 2 * time.Minute

// checkBelieved reports a clock that is right, and that nobody believes although a
// service that tells the true time could be asked.
func (s *sim) checkBelieved() {
	now := s.trueNow()
	since := s.process
	if s.several() || s.ClockCheck.stateNow().sure || s.skew() != 0 || !s.wire.dates.honest() {
		return
	}
	if n := len(s.moved); n > 0 && s.moved[n-1].After(since) {
		since = s.moved[n-1]
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if now.Sub(since) <= simBelieved || slices.ContainsFunc(s.unruly, func(u span) bool {
		return u.what != "clock" && u.what != "down" && u.from.Before(now) && u.to.After(since)
	}) {
		return
	}
	s.found(nil, "at %s nobody believed the clock, which was right since %s, dates: %s", s.hour(now), s.hour(since), s.wire.dates.name)
}

// simSilent is how long it may take until a stop says why nobody decides, and simTries how many passes
// may fail in that: the server may refuse a statement of any of them. It refuses none of the next.
const (
	simSilent = time.Hour
	simTries  = 6
)

// checkSaid reports that nobody can decide, though the database was there, and that no stop says why:
// whoever looks would think that all is well. tried = somebody has just tried to.
func (s *sim) checkSaid(tried bool) {
	now := s.trueNow()
	stops, err := s.Store.Stops(s.ctx, s.daemonNow())
	if err != nil || len(stops) > 0 || slices.ContainsFunc(s.daemons, (*simDaemon).decides) {
		s.silentSince, s.silentTries = time.Time{}, 0
		return
	}
	if !tried {
		return
	}
	if s.silentTries++; s.silentSince.IsZero() {
		s.silentSince = now
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if now.Sub(s.silentSince) > simSilent && s.silentTries > simTries && !slices.ContainsFunc(s.unruly, func(u span) bool {
		return u.what == "database" && u.from.Before(now) && u.to.After(now.Add(-simSilent))
	}) {
		s.found(nil, "at %s nobody had decided since %s, and no stop said why", s.hour(now), s.hour(s.silentSince))
	}
}

// decides reports whether the daemon can decide, as its last pass shows. One that Almara Pay refuses
// does, and each reminder says why it is held.
func (d *simDaemon) decides() bool {
	if !d.up() || d.busy != nil || !d.ClockCheck.stateNow().sure {
		return false
	}
	err := d.job(jobRemind).err
	return err == nil || errors.As(err, new(*almara.StopError)) || errors.As(err, new(*almara.ForbiddenError))
}

func (s *sim) hour(t time.Time) string { return t.In(s.zone).Format("Mon 2006-01-02 15:04:05 MST") }

// noSending is what must hold after each start.
func (s *sim) noSending(b *simBill) {
	if b.ID == 0 {
		return
	}
	for _, x := range s.textsOf(b) {
		if x.State == store.Sending {
			s.found(b, "text %d is in state sending after the start of process %d", x.ID, s.starts)
		}
	}
}

func (s *sim) textsOf(b *simBill) []store.SentText {
	all, err := s.Store.Texts(s.ctx, b.ID)
	s.must(err)
	return all
}

func (s *sim) readRecords(b *simBill, db *store.Store) {
	if b.ID == 0 {
		return
	}
	var err error
	b.texts, err = db.Texts(s.ctx, b.ID)
	s.must(err)
	b.events, err = db.Events(s.ctx, b.ID)
	s.must(err)
	b.reminders, err = db.Reminders(s.ctx, b.ID)
	s.must(err)
}

// recordsIn are those of the nth store of the run.
func (b *simBill) recordsIn(n int) records {
	if n < len(b.lost) {
		return b.lost[n]
	}
	return b.records
}

// check is what must hold at the end of each run, on the provider's record.
func (s *sim) check() {
	for _, b := range s.bills {
		s.readRecords(b, s.Store)
	}
	all := s.deliveries()
	s.count(all)
	s.checkOnce(all)
	for _, d := range all {
		s.checkWindow(d)
		s.checkOwed(d)
		if !d.simBill.removed.IsZero() && d.at.After(d.simBill.removed) {
			s.found(d.simBill, "was texted at %s, after it was removed at %s", s.hour(d.at), s.hour(d.simBill.removed))
		}
	}
	for _, p := range s.wire.posts {
		if p.stopped {
			s.found(s.billOf(p.accounts[0]), "a text was posted at %s to a phone that is not to be texted", s.hour(p.at))
		}
		if p.against != "" {
			s.found(s.billOf(p.accounts[0]), "a text was posted at %s, more than %s after the commit of a %s", s.hour(p.at), maxCheckToWrite, p.against)
		}
	}
	s.checkCap(all)
	s.checkGuards(all)
	for _, b := range s.bills {
		if b.ID != 0 {
			if len(b.events) == 0 || b.events[0].What != "added" {
				s.found(b, "its history was trimmed, which was never as old as the retention")
			}
			s.checkRecords(b)
			for n := range s.generation + 1 {
				s.checkReasons(b, b.recordsIn(n).reminders, n)
			}
			s.checkNotLost(b, all)
		}
	}
}

func (s *sim) checkOnce(all []delivery) {
	first := map[string]delivery{}
	for _, d := range all {
		key := d.simBill.Account + d.stage
		if f, twice := first[key]; twice {
			s.found(d.simBill, "was texted twice for %s: at %s and at %s", d.stage, s.hour(f.at), s.hour(d.at))
		}
		if d.reached() {
			first[key] = d
		}
	}
}

// checkWindow judges by the clock that the daemon had.
func (s *sim) checkWindow(d delivery) {
	local := d.clock.In(s.zone)
	day, end := reminder.DateOf(local), d.clock.Add(d.validity)
	silent := func(day reminder.Date) bool {
		return d.policy.Holidays[day] || slices.Contains(d.policy.SkipWeekdays, day.Weekday())
	}
	w := d.policy.Window
	if silent(day) || reminder.ClockOf(local) < w.From || reminder.ClockOf(local) >= w.To {
		s.found(d.simBill, "was texted at %s, window %s", s.hour(d.clock), w)
	}
	if closes := day.At(w.To, s.zone); end.After(closes) && (!w.AllDay() || silent(day.AddDays(1))) || d.validity <= 0 || d.validity > 10*time.Hour {
		s.found(d.simBill, "its text of %s was valid for %s, window %s", s.hour(d.clock), d.validity, w)
	}
}

// simClockMost is more than a clock is ever wrong by that is believed.
const simClockMost = 27 * time.Hour

// simHaste is how long it may take from the answer of Almara Pay to the text.
const simHaste = 5 * time.Minute

// checkOwed reports texts after paying, and amounts that were no longer true.
func (s *sim) checkOwed(d delivery) {
	names := strings.Contains(d.part, d.policy.Currency+" ")
	if !names && d.policy.StaleBalance == reminder.StaleWithoutAmount {
		return
	}
	since := d.at.Add(-d.policy.MaxBalanceAge - simHaste)
	if s.clockMoved(since.Add(-simClockMost), d.at) {
		return // the age of a balance asked before is not what the daemon takes it for
	}
	var was []string
	for i, b := range d.balances {
		if b.at.After(d.at) || (i+1 < len(d.balances) && d.balances[i+1].at.Before(since)) {
			continue
		}
		was = append(was, b.owed.Format("KES"))
		if b.owed.Cmp(d.policy.MinBalance) >= 0 && (!names || d.names(*b.owed)) {
			return
		}
	}
	s.found(d.simBill, "was texted at %s that %q; since %s it owed %v, and a balance may be %s old", s.hour(d.at), d.Body, s.hour(since), was, d.policy.MaxBalanceAge)
}

func (s *sim) clockMoved(from, to time.Time) bool {
	return slices.ContainsFunc(s.moved, func(at time.Time) bool { return !at.Before(from) && !at.After(to) })
}

func (s *sim) checkCap(all []delivery) {
	type day struct {
		to  reminder.Phone
		day reminder.Date
	}
	n := map[day]int{}
	for _, d := range all {
		on := day{d.To, reminder.DateOf(d.row.CreatedAt.In(s.zone))}
		if d.also || !d.reached() || s.clockMoved(d.at.Add(-2*simDay), d.at) || s.unsettled(d.at.Add(-simDay), d.at) {
			continue
		}
		if n[on]++; n[on] > d.policy.PerNumberDaily {
			s.found(d.simBill, "its phone had its text number %d of %s at %s, %d allowed", n[on], on.day, s.hour(d.at), d.policy.PerNumberDaily)
		}
	}
}

func (s *sim) reconfigured(from, to time.Time) bool {
	return slices.ContainsFunc(s.configs[1:], func(c simConfig) bool { return !c.at.Before(from) && !c.at.After(to) })
}

// checkRecords is what must hold of the store once everything had its time.
func (s *sim) checkRecords(b *simBill) {
	handedOver := func(textID int64, what string) bool {
		return slices.ContainsFunc(b.events, func(e store.Event) bool { return e.TextID == textID && e.What == what })
	}
	for _, x := range b.texts {
		switch x.State {
		case store.Sending, store.Unknown:
			s.found(b, "text %d of %s is still in state %s", x.ID, s.hour(x.CreatedAt), x.State)
		}
		if x.ProviderID != "" && !handedOver(x.ID, string(store.Accepted)) {
			s.found(b, "text %d was accepted, and no event says so", x.ID)
		}
	}
	last := b.seen[len(b.seen)-1]
	for _, r := range b.reminders {
		if r.Outcome == reminder.Texted && !handedOver(r.TextID, string(reminder.Texted)) {
			s.found(b, "%s of %s is texted, and no event says so", r.Stage, r.DueDate)
		}
		if r.Outcome != reminder.Held || r.DueDate != last.due || !last.active {
			continue
		}
		for _, step := range s.policies.For(b.Service).Steps(last.due) {
			if step.Stage == r.Stage && step.NotAfter.Before(last.at.Add(-2*time.Hour)) {
				s.found(b, "%s of %s is still held (%s), though it ended to be useful at %s", r.Stage, r.DueDate, r.Reason, s.hour(step.NotAfter))
			}
		}
	}
}

// checkReasons holds the reasons of what was skipped against the truth.
func (s *sim) checkReasons(b *simBill, records []reminder.Reminder, generation int) {
	for _, r := range records {
		if r.Outcome != reminder.Skipped || len(s.moved) > 0 {
			continue
		}
		p := s.configAt(r.DecidedAt).For(b.Service)
		if s.reconfigured(r.DecidedAt.Add(-simHaste), r.DecidedAt.Add(simHaste)) {
			continue
		}
		switch r.Reason {
		case reminder.Paid, reminder.InCredit, reminder.BelowMinimum:
			since, until := r.DecidedAt.Add(-p.MaxBalanceAge-simHaste), r.DecidedAt
			if s.several() {
				until = until.Add(simDrift) // true, where its clock was behind
			}
			nothing := func(owed reminder.Money) bool { return owed.Cmp(p.MinBalance) < 0 }
			if p.StaleBalance != reminder.StaleWithoutAmount && !slices.ContainsFunc(s.owedIn(b, since, until), nothing) {
				s.found(b, "%s of %s was skipped as %s at %s, though it owed all the time", r.Stage, r.DueDate, r.Reason, s.hour(r.DecidedAt))
			}
		case reminder.Superseded, reminder.Expired:
			if !isOver(p, r) {
				s.found(b, "%s of %s was skipped as %s at %s, which it was not", r.Stage, r.DueDate, r.Reason, s.hour(r.DecidedAt))
			}
		case reminder.StaleSkipped:
			if p.StaleBalance != reminder.StaleSkip {
				s.found(b, "%s of %s was skipped as %s, and the policy is %s", r.Stage, r.DueDate, r.Reason, p.StaleBalance)
			}
		case reminder.OptedOut, reminder.BadNumber:
			if _, asked := s.refuse[b.Phone]; !asked && !isOdd(b.Phone) {
				s.found(b, "%s of %s was skipped as %s, which nobody said", r.Stage, r.DueDate, r.Reason)
			}
		case reminder.DateMoved:
			other := func(o reminder.Reminder) bool {
				days := reminder.DateOf(r.DecidedAt.In(p.Zone)).Sub(reminder.DateOf(o.DecidedAt.In(p.Zone)))
				return o.DueDate != r.DueDate && (o.Outcome == reminder.Texted || o.Tries > 0) && days >= 0 && days <= reminder.QuietDays
			}
			if r.Stage == 0 || !slices.ContainsFunc(records, other) {
				s.found(b, "%s of %s was skipped as %s at %s, and no text of those days named another date", r.Stage, r.DueDate, r.Reason, s.hour(r.DecidedAt))
			}
		case reminder.SentElsewhere:
			if generation == 0 {
				s.found(b, "%s of %s was skipped as %s, and there was no other store", r.Stage, r.DueDate, r.Reason)
			}
		default:
			s.found(b, "%s of %s was skipped as %s, for which nothing here gives a reason", r.Stage, r.DueDate, r.Reason)
		}
	}
}

// isOver reports whether a stage had stopped being useful when it was skipped,
// or a later one had come.
func isOver(p *reminder.Policy, r reminder.Reminder) bool {
	latest := r.DecidedAt.Add(1)
	if p.Bundle { // a stage may join a text some days early
		latest = reminder.DateOf(r.DecidedAt.In(p.Zone)).AddDays(p.BundleDays+1).At(0, p.Zone)
	}
	for _, step := range p.Steps(r.DueDate) {
		switch {
		case r.Reason == reminder.Expired && step.Stage == r.Stage:
			open := p.NextOpen(r.DecidedAt)
			return open.IsZero() || !open.Before(step.NotAfter)
		case r.Reason == reminder.Superseded && step.Stage > r.Stage && step.At.Before(latest):
			return true
		}
	}
	return false
}

func isOdd(p reminder.Phone) bool { return p >= sandbox.PhoneStaysSent }

// owedIn are the balances that were true at some time in the span.
func (s *sim) owedIn(b *simBill, from, to time.Time) (all []reminder.Money) {
	for i, c := range b.balances {
		if !c.at.After(to) && (i+1 == len(b.balances) || !b.balances[i+1].at.Before(from)) {
			all = append(all, *c.owed)
		}
	}
	return all
}

// textsInOrder is the provider's record, without its random ids.
func (s *sim) textsInOrder() (all []string) {
	for _, t := range s.sandbox.Texts() {
		all = append(all, fmt.Sprintf("%s to …%s: %s", t.CreatedAt.In(s.zone).Format(time.DateTime), t.To.E164()[10:], t.Body))
	}
	slices.Sort(all)
	return all
}
