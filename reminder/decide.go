package reminder

import (
	"errors"
	"slices"
	"time"
)

// How long a reminder waits before Almara Pay is asked again for a balance:
// after calls that failed, the bill's back-off within these bounds; after an
// answer that names no balance, which is unlikely to change soon, retryUnnamed.
const (
	retryLeast   = 10 * time.Minute
	retryMost    = time.Hour
	retryUnnamed = 2 * time.Hour
	retryAged    = time.Minute
	// retryUnreached is for a bill that was not asked about since others had
	// failed, at least: it must not wait for their sake, and the pause of the
	// calls is over by then.
	retryUnreached = 2 * time.Minute
)

// ScatterFor is over what time the bills are tried anew that a stop held back.
const ScatterFor = time.Minute

// Asked is what came of asking Almara Pay for the balance in this look.
type Asked int

// The answers to "was it asked?".
const (
	NotAsked    Asked = iota
	Answered          // it answered; what it said is in the bill
	CouldNotSay       // it failed to answer
	NotReached        // it was not asked: it seems to be down, or lets nobody in
)

// Case is all that a decision depends on besides the policy and the hour.
type Case struct {
	Bill       Bill
	Done       []Reminder // what was recorded for the bill's present due date
	Suppressed Reason     // OptedOut or BadNumber when the phone must not be texted
	TextsToday int        // texts the phone has had, or may have had, since midnight in the policy's zone
	Asked      Asked
	Guards     GuardState
	RecentBody string // words that went to the phone of late, and may not be repeated; "" = none
	// Elsewhere are the instants of texts about the bill that the provider has
	// and the store did not know.
	TextedElsewhere []time.Time
	// Moved is the latest text about the bill that named another due date than its
	// present one, among the NearDates of that; zero = there is none.
	Moved NamedDate
	// RefusedUntil is when the provider is next tried with the phone, which it
	// refused, or its country; zero = it did not. RefusedFor is what it said.
	RefusedUntil time.Time
	RefusedFor   string

	joins bool // it is asked whether the bill joins a text that leaves now
}

// Record is what a decision makes of one stage.
type Record struct {
	Stage   Stage
	Outcome Outcome
	Reason  Reason
	Detail  string // for the event: on which balance, until when
}

// Knows reports whether the record is no news: its stage is held for that very
// reason already.
func (c Case) Knows(r Record) bool {
	was := recordOf(c.Done, c.Bill.DueDate, r.Stage)
	return r.Outcome == Held && was.Outcome == Held && was.Reason == r.Reason
}

// TextOrder is a text to be sent now.
type TextOrder struct {
	Draft
	Stage    Stage
	Reason   Reason
	To       Phone     // where it goes: the customer, or the redirect
	Planned  time.Time // when the stage should have left
	NotAfter time.Time // when it stops being useful

	WithAmount bool // whether the amount is known well enough to be named
}

// Decision is what to do about a bill at one instant.
type Decision struct {
	// Ask means that the decision hangs on a balance younger than the one at
	// hand: ask Almara Pay, then decide again. Nothing else is set then.
	Ask bool
	// Records are the stages that this look ends or holds. The stage that is
	// texted is among them.
	Records []Record
	Text    *TextOrder
	// Next is when to look again; zero when no stage of this due date is left.
	Next time.Time
}

// Decide says what to do about a bill now: the one place where a reminder is
// found to be due, useful, wanted, allowed at this hour, and still owed. Almara
// Pay is asked only when nothing that is known already speaks against a text.
func Decide(c Case, p *Policy, to Delivery, now time.Time) Decision {
	b := c.Bill
	switch b.State {
	case BillPaused:
		return Decision{Next: b.PausedUntil}
	case BillPending, BillRejected, BillRemoved:
		return Decision{}
	case BillActive:
	}
	steps := p.Steps(b.DueDate)
	i := current(steps, now)
	if c.joins {
		i = c.joining(p, steps, i, now)
	}
	switch {
	case len(steps) == 0:
		return Decision{}
	case i < 0:
		return Decision{Next: steps[0].At}
	}
	l := evaluation{policy: p, step: steps[i], now: now}
	for _, earlier := range steps[:i] {
		if r := recordOf(c.Done, b.DueDate, earlier.Stage); !r.Final() {
			l.decision.Records = append(l.decision.Records, Record{Stage: earlier.Stage, Outcome: Skipped, Reason: Superseded, Detail: heldFor(r)})
		}
	}
	if i+1 < len(steps) {
		l.next = steps[i+1].At
	}
	record := recordOf(c.Done, b.DueDate, l.step.Stage)
	if record.Final() {
		l.decision.Next = l.next
		return l.decision
	}

	open := p.NextOpen(now)
	switch {
	case open.IsZero() || !open.Before(l.step.NotAfter):
		return l.skip(Expired, heldFor(record))
	case record.Reason == InDoubt:
		// Sending it again would be a guess; it ends as expired unless the
		// operator says otherwise.
		return l.hold(InDoubt, time.Time{}, "")
	case c.Suppressed != "":
		return l.skip(c.Suppressed, "")
	case c.textedElsewhere(l.step, p):
		return l.skip(SentElsewhere, "")
	case c.Moved.movedLately(b.DueDate, l.step.Stage, p.Zone, now):
		return l.skip(DateMoved, "a text of "+DateOf(c.Moved.At.In(p.Zone)).String()+" said that it is due on "+c.Moved.DueDate.String())
	case record.Reason == NotDelivered && now.Before(record.DecidedAt.Add(RetryUndelivered)) && !record.DecidedAt.After(now):
		// It is looked at before its time, since the config or the bill has changed.
		return l.hold(NotDelivered, record.DecidedAt.Add(RetryUndelivered), "")
	case open.After(now):
		return l.hold(OutsideWindow, open, "")
	case !l.next.IsZero() && DateOf(l.next.In(p.Zone)) == DateOf(now.In(p.Zone)):
		// The next stage is due later today and would say the same: this one
		// leaves the day to it. It is held and not skipped, since the next one
		// may be gone by then: the policy changes, or the due date moves.
		return l.hold(LaterToday, l.next, "")
	case slices.ContainsFunc(steps[i+1:], func(later Step) bool { return recordOf(c.Done, b.DueDate, later.Stage).Outcome == Texted }):
		// The text of this stage came back after a later one had gone early. It
		// is held and not skipped, since that one may come back as well.
		return l.hold(LaterSent, l.next, "")
	case c.TextsToday >= p.PerNumberDaily:
		tomorrow := DateOf(now.In(p.Zone)).AddDays(1)
		return l.hold(DailyCap, p.NextOpen(tomorrow.At(p.SendAt, p.Zone)), "")
	}

	if stop := c.Guards.Stop; stop != nil {
		until := stop.Until
		if !until.IsZero() {
			until = Scatter(b.ID, until, ScatterFor)
		}
		return l.hold(stop.Reason, until, stop.Detail)
	}
	if held, until, figures := p.Guarded(c.Guards, 1, now); held != "" {
		return l.hold(held, until, figures)
	}

	if to.Mode != ModeRedirect && c.RefusedUntil.After(now) {
		return l.hold(DestinationRefused, c.RefusedUntil, c.RefusedFor)
	}

	withAmount := true
	doubt := c.Guards.Doubts[b.Service]
	doubted := doubt.unbelieved(b)
	fresh := b.Balance != nil && now.Sub(b.BalanceAt) <= p.MaxBalanceAge && !b.BalanceAt.After(now)
	if doubted && !doubt.Until.IsZero() {
		fresh = false // the feed is right again, and may say something else
	}
	if !fresh && !answeredNow(c, p, now) {
		if c.Asked == NotAsked {
			return Decision{Ask: true}
		}
		switch {
		case namedNow(c): // and others of its round took so long that the answer has aged
			return l.hold(BalanceStale, now.Add(retryAged), "")
		case p.StaleBalance == StaleWithoutAmount:
			withAmount = false
		case c.Asked == NotReached: // by the fault of others, so that it is not skipped either
			// Spread out, bill by bill: the bad ones may be all in a row, and come first.
			return l.hold(BalanceStale, Scatter(b.ID, now.Add(retryUnreached), retryUnreached), "Almara Pay could not be asked, since calls about other bills had failed")
		case p.StaleBalance == StaleSkip:
			return l.skip(StaleSkipped, b.LastError)
		default:
			wait := min(max(b.Backoff(), retryLeast), retryMost)
			if c.Asked == Answered {
				wait = retryUnnamed
			}
			return l.hold(BalanceStale, now.Add(wait), b.LastError)
		}
	}
	// A balance that is known, however old, and says that nothing is owed is
	// believed: the mistake is a text too few, never one after paying. It is not when the
	// same is suddenly said of very many.
	if b.Balance != nil {
		owed := "balance " + p.Currency + " " + b.Balance.Format(p.Currency) + ", asked " + ago(b.BalanceAt, now)
		switch {
		case doubted:
			// Neither texted, since it may be true, nor skipped for good, since it may not.
			return l.hold(MassPaid, now.Add(retryDoubted), owed)
		case b.Balance.Sign() < 0:
			return l.skip(InCredit, owed)
		case b.Balance.Sign() == 0:
			return l.skip(Paid, owed)
		case b.Balance.Cmp(p.MinBalance) < 0:
			return l.skip(BelowMinimum, owed)
		}
		l.detail = owed
		if withAmount && p.Guards.implausible(b) {
			return l.hold(ImplausibleBalance, now.Add(retryImplausible), owed+", never more than "+b.Usual.Format(p.Currency)+" before")
		}
	}

	draft, err := p.Word(b, DateOf(now.In(p.Zone)), withAmount)
	switch {
	case errors.Is(err, ErrTooLong):
		return l.hold(TooLong, time.Time{}, err.Error())
	case err != nil:
		return l.hold(TemplateFails, time.Time{}, err.Error())
	}
	if held, until, figures := p.Guarded(c.Guards, draft.Count.Segments, now); held != "" {
		return l.hold(held, until, figures)
	}
	if draft.Body == c.RecentBody {
		tomorrow := DateOf(now.In(p.Zone)).AddDays(1)
		return l.hold(SameWords, p.NextOpen(tomorrow.At(p.SendAt, p.Zone)), "")
	}
	phone, held := to.To(b.Phone)
	if held != "" {
		return l.hold(held, time.Time{}, "would have been sent: "+draft.Body)
	}
	reason := OnSchedule
	switch late := now.Sub(l.step.At); {
	case late > catchUpAfter:
		reason = CatchUp
	case late < 0:
		reason = Bundled
	}
	l.record(Texted, reason, l.detail)
	l.decision.Text = &TextOrder{Draft: draft, Stage: l.step.Stage, Reason: reason, To: phone, Planned: l.step.At, NotAfter: l.step.NotAfter, WithAmount: withAmount}
	l.decision.Next = l.next
	return l.decision
}

// catchUpAfter is how late a text may be and still count as on schedule: a
// large audience takes its time at the provider's rate.
const catchUpAfter = 2 * time.Hour

// RetryUndelivered is how long a reminder waits whose text was taken but could not be
// delivered: the phone was off, or its network was busy.
const RetryUndelivered = 30 * time.Minute

// leastBalanceAge is the age up to which a balance that was asked about for this
// very text is not asked again, where max_balance_age is shorter: the bills of a
// round wait for each other, and their texts for their turns.
const leastBalanceAge = time.Minute

// AgeAtRequest is how old the balance that a text names may be when it leaves.
func (p *Policy) AgeAtRequest() time.Duration { return max(p.MaxBalanceAge, leastBalanceAge) }

// answeredNow reports whether Almara Pay answered in this very evaluation and
// said what is owed. It matters for a maximum age of zero, under which no balance
// is young enough a moment later.
func answeredNow(c Case, p *Policy, now time.Time) bool {
	return namedNow(c) && now.Sub(c.Bill.BalanceAt) <= p.AgeAtRequest()
}

// namedNow reports whether Almara Pay answered in this evaluation and named a
// balance, however long ago that is by now.
func namedNow(c Case) bool {
	return c.Asked == Answered && c.Bill.Balance != nil && c.Bill.BalanceAt.Equal(c.Bill.CheckedAt)
}

// clocks is by how much the provider's clock may be behind ours.
const clocks = time.Hour

// textedElsewhere reports whether a text that the store did not know was sent in
// the time of this step: from its day on, since the hour of sending may have
// been another then, or from a little before its own hour; and some days earlier
// where it may have joined the text of another bill.
func (c Case) textedElsewhere(step Step, p *Policy) bool {
	day := DateOf(step.At.In(p.Zone))
	if p.Bundle && step.Stage <= 0 {
		day = day.AddDays(-p.BundleDays)
	}
	from := earliest(step.At.Add(-clocks), day.At(0, p.Zone))
	return slices.ContainsFunc(c.TextedElsewhere, func(at time.Time) bool {
		return !at.Before(from) && at.Before(step.NotAfter)
	})
}

// ago words the age of a balance; after the clock was set back it is not known.
func ago(at, now time.Time) string {
	if at.IsZero() || at.After(now) {
		return "at an unknown hour"
	}
	return now.Sub(at).Truncate(time.Second).String() + " ago"
}

func heldFor(r Reminder) string {
	if r.Outcome == Held {
		return "was held: " + r.Reason.Info().Means
	}
	return ""
}

// evaluation collects one decision about one step.
type evaluation struct {
	policy   *Policy
	step     Step
	next     time.Time // when the following step is due; zero = none
	now      time.Time
	detail   string
	decision Decision
}

func (l *evaluation) record(o Outcome, r Reason, detail string) {
	l.decision.Records = append(l.decision.Records, Record{Stage: l.step.Stage, Outcome: o, Reason: r, Detail: detail})
}

func (l *evaluation) skip(r Reason, detail string) Decision {
	l.record(Skipped, r, detail)
	l.decision.Next = l.next
	return l.decision
}

// hold looks again at until, but no later than the step's end, where it
// expires by itself, or the next step, which supersedes it. A zero until means
// that only the operator can change it.
func (l *evaluation) hold(r Reason, until time.Time, detail string) Decision {
	l.record(Held, r, detail)
	l.decision.Next = earliest(until, l.next, l.step.NotAfter)
	return l.decision
}

// earliest of the instants that are not zero.
func earliest(ts ...time.Time) (e time.Time) {
	for _, t := range ts {
		if !t.IsZero() && (e.IsZero() || t.Before(e)) {
			e = t
		}
	}
	return e
}
