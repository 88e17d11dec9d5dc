package scheduler

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"duewatch/reminder"
	"duewatch/store"
)

// simConfig is a configuration and since when it stands.
type simConfig struct {
	at       time.Time
	policies reminder.Policies
}

// sighting is how the store saw a bill after one wake of the daemon.
type sighting struct {
	*snapshot
	due    reminder.Date
	active bool
}

// snapshot is one at all bills, after a wake.
type snapshot struct {
	at     time.Time // by the daemon's clock
	truly  time.Time
	epoch  int
	config int
	store  int  // the generation
	ok     bool // the remind job went through
}

// span is a stretch of true time.
type span struct {
	from, to time.Time
	what     string
}

func (s *sim) configAt(t time.Time) reminder.Policies {
	i := len(s.configs) - 1
	for i > 0 && s.configs[i].at.After(t) {
		i--
	}
	return s.configs[i].policies
}

// checkNotLost looks at every stage whose hour came while the daemon knew of
// it: it must have a record, and, where nothing at all was in the way, a text
// within minutes.
func (s *sim) checkNotLost(b *simBill, all []delivery) {
	for _, run := range steady(b.seen) {
		first, last := run[0], run[len(run)-1]
		if !first.active {
			continue
		}
		policy := s.configs[first.config].policies.For(b.Service)
		steps := policy.Steps(first.due)
		for i, step := range steps {
			if !step.At.After(first.at) || step.At.After(last.at) {
				continue
			}
			name := fmt.Sprintf("%s, due %s", step.Stage, first.due)
			had := s.hadTime(run, step.At)
			if had {
				s.met["stage that had time"]++
			}
			records := b.recordsIn(first.store).reminders
			if had && !slices.ContainsFunc(records, func(r reminder.Reminder) bool { return r.Stage == step.Stage && r.DueDate == first.due }) {
				s.found(b, "%s came at %s, and was neither texted, nor skipped or held with a reason", name, s.hour(step.At))
			}
			leaves := i+1 < len(steps) && reminder.DateOf(steps[i+1].At.In(s.zone)) == reminder.DateOf(step.At.In(s.zone))
			free := !leaves && !doubtfulBefore(b.recordsIn(first.store).events, name, step.At) && !endedBefore(first, records, step) && s.nothingInTheWay(b, run, policy, step, all)
			if free {
				s.met["stage with nothing in the way"]++
			}
			if free && !s.textedBy(all, b, name, step.At.Add(-s.skewIn(first)+15*time.Minute)) {
				s.found(b, "%s came at %s, and with nothing in the way it was not texted: %s", name, s.hour(step.At), recordsOf(records, first.due, step.Stage))
			}
		}
	}
}

// endedBefore reports whether the stage was skipped before the run began: by
// another config it had another hour, and what has ended stays so.
func endedBefore(first sighting, records []reminder.Reminder, step reminder.Step) bool {
	return slices.ContainsFunc(records, func(r reminder.Reminder) bool {
		return r.Stage == step.Stage && r.DueDate == first.due && r.Outcome == reminder.Skipped && r.DecidedAt.Before(first.at)
	})
}

// doubtfulBefore reports whether the stage shared a text ahead of its hour of
// which nobody could tell whether it was sent.
func doubtfulBefore(events []store.Event, stage string, hour time.Time) bool {
	return slices.ContainsFunc(events, func(early store.Event) bool {
		return early.What == string(reminder.Texted) && strings.HasPrefix(early.Detail, stage+":") && early.At.Before(hour) &&
			slices.ContainsFunc(events, func(e store.Event) bool { return e.TextID == early.TextID && e.What == string(store.Unknown) })
	})
}

func recordsOf(records []reminder.Reminder, due reminder.Date, stage reminder.Stage) string {
	for _, r := range records {
		if r.DueDate == due && r.Stage == stage {
			return fmt.Sprintf("%s, %s", r.Outcome, r.Reason)
		}
	}
	return "no record"
}

// steady cuts what was seen of a bill into runs in which nothing changed.
func steady(seen []sighting) (runs [][]sighting) {
	from := 0
	for i := range seen {
		if i+1 < len(seen) && seen[i].due == seen[i+1].due && seen[i].active == seen[i+1].active && seen[i].config == seen[i+1].config && seen[i].epoch == seen[i+1].epoch {
			continue
		}
		runs = append(runs, seen[from:i+1])
		from = i + 1
	}
	return runs
}

// hadTime reports whether the remind job went through three times after the
// hour, over a day.
func (s *sim) hadTime(run []sighting, hour time.Time) bool {
	times := 0
	for _, n := range run {
		if n.ok && !n.at.Before(hour) {
			times++
		}
	}
	return times >= 3 && run[len(run)-1].at.Sub(hour) > simDay
}

func (s *sim) skewIn(n sighting) time.Duration { return n.at.Sub(n.truly) }

// nothingInTheWay is strict: it reports true only where there can be no excuse.
func (s *sim) nothingInTheWay(b *simBill, run []sighting, p *reminder.Policy, step reminder.Step, all []delivery) bool {
	hour := step.At
	truly := hour.Add(-s.skewIn(run[0]))
	from, to := truly.Add(-3*time.Hour), truly.Add(30*time.Minute)
	if run[0].truly.After(from) || run[len(run)-1].truly.Before(to) {
		return false
	}
	if slices.ContainsFunc(s.unruly, func(u span) bool { return u.from.Before(to) && u.to.After(from) }) {
		return false
	}
	if p.Guards != (reminder.Guards{}) {
		return false
	}
	if _, asked := s.refuse[b.Phone]; asked || isOdd(b.Phone) || !p.OpenAt(hour) || !p.OpenAt(hour.Add(15*time.Minute)) {
		return false
	}
	for _, owed := range s.owedIn(b, from.Add(-p.MaxBalanceAge), to) {
		if owed.Cmp(p.MinBalance) < 0 {
			return false
		}
	}
	for _, d := range b.dues {
		if d.at.After(from) && d.at.Before(to) {
			return false
		}
	}
	if b.dueAt(truly) != run[0].due {
		return false
	}
	today := 0
	for _, d := range all {
		if d.To == b.Phone && reminder.DateOf(d.row.CreatedAt.In(s.zone)) == reminder.DateOf(hour.In(s.zone)) {
			today++
		}
	}
	// A text of these days may have named the date before it moved (date_moved).
	contradicts := func(d delivery) bool {
		days := reminder.DateOf(hour.In(s.zone)).Sub(reminder.DateOf(d.row.CreatedAt.In(s.zone)))
		return d.simBill == b && !strings.HasSuffix(d.stage, ", due "+run[0].due.String()) && days >= 0 && days <= reminder.QuietDays
	}
	return today < p.PerNumberDaily && (step.Stage == 0 || !slices.ContainsFunc(all, contradicts))
}

func (b *simBill) dueAt(t time.Time) (due reminder.Date) {
	for _, d := range b.dues {
		if !d.at.After(t) {
			due = d.due
		}
	}
	return due
}

func (s *sim) textedBy(all []delivery, b *simBill, stage string, by time.Time) bool {
	return slices.ContainsFunc(all, func(d delivery) bool {
		return d.simBill == b && d.stage == stage && !d.at.After(by)
	})
}
