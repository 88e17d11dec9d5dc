package reminder

import (
	"errors"
	"slices"
	"time"
)

// ScatterFor is over what time the reminders that a stop held back are decided
// again, once it has ended.
const ScatterFor = time.Minute

// RetryUndelivered is how long a reminder waits whose text was taken but could not be
// delivered: the phone was off, or its network was busy.
const RetryUndelivered = 30 * time.Minute

// ProviderClockBehind is by how much the provider's clock may be behind ours in the
// date that it gives a message.
const ProviderClockBehind = time.Hour

// catchUpAfter is how late a text may be and still count as on schedule: a
// large audience takes its time at the provider's rate.
const catchUpAfter = 2 * time.Hour

// Case is all that a decision depends on besides the policy and the hour.
type Case struct {
	Bill       Bill
	Done       []Reminder // what was recorded for the bill's present due date
	Suppressed Reason     // OptedOut or BadNumber when the phone must not be texted
	TextsToday int        // texts the phone has had, or may have had, since midnight in the policy's zone
	Asked      Asked
	Guards     GuardState
	NotBody    string // the body of the draft that the store just refused to write; "" = none
	// ForeignMessages are when texts about the bill were sent that the provider has and
	// the store did not send.
	ForeignMessages []time.Time
	// Moved is the latest text about the bill, of the last days, that named a due date
	// other than its present one and at most six days (smallMove) away; zero = none.
	Moved NamedDate
	// RefusedUntil is when the provider, which refused the phone or its country, is next
	// tried with it; zero = it refused neither.
	RefusedUntil  time.Time
	RefusalDetail string // what it said

	joinsNow bool // set by Join: the question is whether the bill joins a text that leaves now
}

// StageDecision is what a decision makes of one stage.
type StageDecision struct {
	Stage   Stage
	Outcome Outcome
	Reason  Reason
	Detail  string // for the event: on which balance, until when
}

// Knows reports whether the record is no news: its stage is held for that very
// reason already.
func (c Case) Knows(r StageDecision) bool {
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
	// Records are the stages that this decision ends or holds. The stage that is
	// texted is among them.
	Records []StageDecision
	Text    *TextOrder
	// Next is when to decide again; zero when no stage of this due date is left.
	Next time.Time
}

// Decide says what to do about a bill now: the one place where a reminder is
// found to be due, useful, wanted, allowed at this hour, and still owed. Each
// question below either ends the decision and records why, or says that the next
// one is to be asked. The balance comes last, so that Almara Pay is asked only when
// nothing that is known already speaks against a text.
func Decide(c Case, p *Policy, to Delivery, now time.Time) Decision {
	switch c.Bill.State {
	case BillPaused:
		return Decision{Next: c.Bill.PausedUntil}
	case BillPending, BillRejected, BillRemoved:
		return Decision{}
	case BillActive:
	}
	e := evaluation{Case: c, policy: p, delivery: to, now: now}
	if e.stageIsDue() && e.mayBeTexted() && e.isOwed() {
		e.wordAndOrder()
	}
	return e.decision
}

// evaluation is a decision in the making.
type evaluation struct {
	Case     // a copy: a pointer to it would cost an allocation for each decision
	policy   *Policy
	delivery Delivery
	now      time.Time

	// Of stageIsDue.
	step  Step      // the stage that it is about
	was   Reminder  // what was recorded of that stage before; zero = nothing
	later []Step    // the stages after it
	next  time.Time // when the first of those is due; zero = there is none

	// Of isOwed.
	withoutAmount bool   // the text names no amount, since it is not known well enough
	owed          string // the balance that the text rests on, for the record; "" = it rests on none

	decision Decision
}

// stageIsDue finds the stage that the decision is about: the latest whose hour has
// come. Those before it that have not ended are superseded by it.
func (e *evaluation) stageIsDue() bool {
	steps := e.policy.Steps(e.Bill.DueDate)
	if len(steps) == 0 {
		return false
	}
	i := current(steps, e.now)
	if e.joinsNow {
		i = e.stepToJoinWith(steps, i)
	}
	if i < 0 {
		e.decision.Next = steps[0].At
		return false
	}
	for _, earlier := range steps[:i] {
		if r := e.recordOf(earlier.Stage); !r.Final() {
			e.record(earlier.Stage, Skipped, Superseded, heldFor(r))
		}
	}
	e.step, e.was, e.later = steps[i], e.recordOf(steps[i].Stage), steps[i+1:]
	if len(e.later) > 0 {
		e.next = e.later[0].At
	}
	if e.was.Final() {
		e.decision.Next = e.next
		return false
	}
	return true
}

// mayBeTexted asks for what speaks against a text whatever is owed, and records the first
// that it finds:
//
//   - what ends the stage for good. Only InDoubt holds before most of that: a skip would
//     hide that the text may have been sent;
//   - what holds it, the closed window before what may be over when it opens;
//   - what holds all texts, and last a destination that the provider refuses.
func (e *evaluation) mayBeTexted() bool {
	p, now := e.policy, e.now
	open := p.NextOpen(now)
	switch {
	case open.IsZero() || !open.Before(e.step.NotAfter):
		return e.skip(Expired, heldFor(e.was))
	case e.was.Reason == InDoubt:
		// Sending it again would be a guess; it ends as expired unless the
		// operator says otherwise.
		return e.hold(InDoubt, time.Time{}, "")
	case e.Suppressed != "":
		return e.skip(e.Suppressed, "")
	case e.sentElsewhere():
		return e.skip(SentElsewhere, "")
	case e.Moved.movedLately(e.Bill.DueDate, e.step.Stage, p.Zone, now):
		// Two texts with two dates, a day apart, contradict each other. The due day's own
		// text leaves all the same.
		return e.skip(DateMoved, "a text of "+p.dayOf(e.Moved.At).String()+" said that it is due on "+e.Moved.DueDate.String())
	case e.was.Reason == NotDelivered && now.Before(e.was.DecidedAt.Add(RetryUndelivered)) && !e.was.DecidedAt.After(now):
		// It is decided before its time, since the config or the bill has changed. A record
		// of an instant to come is not believed: the clock was set back, and it would hold
		// the reminder until that instant.
		return e.hold(NotDelivered, e.was.DecidedAt.Add(RetryUndelivered), "")
	case open.After(now):
		return e.hold(OutsideWindow, open, "")
	case !e.next.IsZero() && p.dayOf(e.next) == p.dayOf(now):
		// The next stage is due later today and would say the same: this one
		// leaves the day to it. It is held and not skipped, since the next one
		// may be gone by then: the policy changes, or the due date moves.
		return e.hold(LaterToday, e.next, "")
	case e.laterWasTexted():
		// The text of this stage came back after a later one had gone early. It
		// is held and not skipped, since that one may come back as well.
		return e.hold(LaterSent, e.next, "")
	case e.TextsToday >= p.PerNumberDaily:
		return e.hold(PhoneDailyCap, p.NextDay(now), "")
	}
	if stop := e.Guards.Stop; stop != nil {
		until := stop.Until
		if !until.IsZero() {
			until = Scatter(e.Bill.ID, until, ScatterFor)
		}
		return e.hold(stop.Reason, until, stop.Detail)
	}
	// With the least that any text has; once more with its own segments when it is worded.
	const leastSegments = 1
	if guard, until, figures := p.Guarded(e.Guards, leastSegments, now); guard != "" {
		return e.hold(guard, until, figures)
	}
	if e.delivery.Mode != ModeRedirect && e.RefusedUntil.After(now) {
		return e.hold(DestinationRefused, e.RefusedUntil, e.RefusalDetail)
	}
	return true
}

// wordAndOrder words the text and orders it, unless its words, their segments or the
// mode of delivery speak against that.
func (e *evaluation) wordAndOrder() {
	p, now := e.policy, e.now
	draft, err := p.Word(e.Bill, p.dayOf(now), !e.withoutAmount)
	switch {
	case errors.Is(err, ErrTooLong):
		e.hold(TooLong, time.Time{}, err.Error())
		return
	case err != nil:
		e.hold(TemplateFails, time.Time{}, err.Error())
		return
	}
	if guard, until, figures := p.Guarded(e.Guards, draft.Count.Segments, now); guard != "" {
		e.hold(guard, until, figures)
		return
	}
	if draft.Body == e.NotBody {
		e.hold(SameWords, p.NextDay(now), "")
		return
	}
	phone, held := e.delivery.To(e.Bill.Phone)
	if held != "" {
		e.hold(held, time.Time{}, "would have been sent: "+draft.Body)
		return
	}
	reason := OnSchedule
	switch late := now.Sub(e.step.At); {
	case late > catchUpAfter:
		reason = CatchUp
	case late < 0:
		reason = Bundled
	}
	e.record(e.step.Stage, Texted, reason, e.owed)
	e.decision.Text = &TextOrder{
		Draft: draft, Stage: e.step.Stage, Reason: reason, To: phone,
		Planned: e.step.At, NotAfter: e.step.NotAfter, WithAmount: !e.withoutAmount,
	}
	e.decision.Next = e.next
}

// recordOf is what was recorded of a stage of the present due date.
func (e *evaluation) recordOf(s Stage) Reminder { return recordOf(e.Done, e.Bill.DueDate, s) }

// laterWasTexted reports whether a text of a later stage has left, or is about to.
func (e *evaluation) laterWasTexted() bool {
	return slices.ContainsFunc(e.later, func(s Step) bool { return e.recordOf(s.Stage).Outcome == Texted })
}

// sentElsewhere reports whether a text that the store did not know was about this
// stage, as far as its day goes.
func (e *evaluation) sentElsewhere() bool {
	return slices.ContainsFunc(e.ForeignMessages, func(at time.Time) bool { return e.policy.maybeSentFor(e.step, at) })
}

// maybeSentFor reports whether a text of that instant may have been one of the step:
// from midnight of its day, since the hour of sending may have been another then, or
// from an hour before its own (ProviderClockBehind), whichever is earlier. Where bills
// share texts it may have come BundleDays early.
func (p *Policy) maybeSentFor(step Step, at time.Time) bool {
	day := p.dayOf(step.At)
	if p.Bundle && step.Stage <= 0 {
		day = day.AddDays(-p.BundleDays)
	}
	from := earliest(step.At.Add(-ProviderClockBehind), day.At(0, p.Zone))
	return !at.Before(from) && at.Before(step.NotAfter)
}

// heldFor says for the trail why a stage that ends now was held; "" = it was not.
func heldFor(r Reminder) string {
	if r.Outcome == Held {
		return "was held: " + r.Reason.Info().Means
	}
	return ""
}

func (e *evaluation) record(s Stage, o Outcome, r Reason, detail string) {
	e.decision.Records = append(e.decision.Records, StageDecision{Stage: s, Outcome: o, Reason: r, Detail: detail})
}

// skip ends the stage for good. It returns false: there is nothing more to ask.
func (e *evaluation) skip(r Reason, detail string) bool {
	e.record(e.step.Stage, Skipped, r, detail)
	e.decision.Next = e.next
	return false
}

// hold has the bill decided again at until, but no later than the step's end,
// where it expires by itself, or the next step, which supersedes it. A zero until
// means that only the operator can change it. It returns false, as skip does.
func (e *evaluation) hold(r Reason, until time.Time, detail string) bool {
	e.record(e.step.Stage, Held, r, detail)
	e.decision.Next = earliest(until, e.next, e.step.NotAfter)
	return false
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
