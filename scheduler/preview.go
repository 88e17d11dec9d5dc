package scheduler

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/robfig/cron/v3"

	"duewatch/reminder"
	"duewatch/store"
)

// PreviewConfig is what Preview looks ahead with.
type PreviewConfig struct {
	Store    *store.Preview
	Policies reminder.Policies
	Delivery reminder.Delivery
	Remind   string // the cron expression of the remind job

	SegmentsPerSecond float64
	Fingerprint       string // of the policies, as in Config
	// IgnoreHolds takes for gone what reminders were held for until now, such as mode off.
	IgnoreHolds bool

	From, Until time.Time
	// Replanning is called with how many bills are planned, while the plans of the
	// store are made anew, since they are those of another policy.
	Replanning func(bills int)
}

// previewBatch is how many bills are copied at a time: few enough for the first
// text to come at once.
const previewBatch = 256

// Preview goes through the rounds that the remind job will make, from one instant to
// another, on a clock that it moves itself: from tick to tick, and on by the time that
// texts take at the provider's rate. It calls each with what every round decides, and
// when. It asks nobody: what is owed now is owed then, Almara Pay can always say so,
// and the provider takes every text. New bills and due dates are not foreseen.
func Preview(ctx context.Context, c PreviewConfig, each func(now time.Time, decided store.RoundResult) error) error {
	ticks, err := parseExpression(c.Remind)
	if err != nil {
		return fmt.Errorf("schedule of %s: %w", jobRemind, err)
	}
	planned, err := c.Store.Meta(ctx, metaFingerprint)
	if err != nil {
		return err
	}
	if c.IgnoreHolds || planned != "" && planned != c.Fingerprint {
		if err := c.Store.Replan(ctx, c.Policies, c.From, c.Until, c.Replanning); err != nil {
			return err
		}
	}
	sizes, now := newRoundSizes(c.SegmentsPerSecond), c.From
	undecided := 0 // of the bills that were copied last
	for now.Before(c.Until) && ctx.Err() == nil {
		copied := 0
		if undecided <= 0 {
			if copied, err = c.Store.CopyDue(ctx, now, previewBatch); err != nil {
				return err
			}
			undecided = copied
		}
		decided, err := c.round(ctx, now, sizes.bills)
		if err != nil {
			return err
		}
		if decided.Bills > 0 || len(decided.Faults) > 0 {
			undecided -= decided.Bills
			if err := each(now, decided); err != nil {
				return err
			}
			now = now.Add(c.timeOf(decided.Texts))
			continue
		}
		undecided = 0
		if copied > 0 {
			continue
		}
		next, err := c.Store.NextEval(ctx)
		if err != nil || next.IsZero() {
			return err
		}
		if next = firstTick(ticks, next, c.From); next.IsZero() {
			return nil // the job never runs again
		}
		now = later(now, next)
	}
	return ctx.Err()
}

// round decides about up to n bills, as a round of the remind job does, but that
// Almara Pay answers what the store knows.
func (c PreviewConfig) round(ctx context.Context, now time.Time, n int) (store.RoundResult, error) {
	round := store.Round{Now: now, Policies: c.Policies, Delivery: c.Delivery, Claim: store.Claim{Owner: "preview", Lease: lease}}
	decided, err := c.Store.DecideDue(ctx, round, n)
	if err != nil || len(decided.Ask) == 0 {
		return decided, err
	}
	checks := make([]store.CheckResult, len(decided.Ask))
	for i, b := range decided.Ask {
		checks[i] = store.CheckResult{BillID: b.ID, Answer: &reminder.Answer{
			At: now, Customer: b.Customer, Balance: b.Balance, DueDate: b.DueDate, Verified: b.Verified,
		}}
	}
	checked, err := c.Store.DecideAnswered(round, checks)
	if err != nil {
		return decided, err
	}
	if len(checked.Ask) > 0 {
		return decided, errors.New("a bill was asked about twice")
	}
	decided.Texts = append(decided.Texts, checked.Texts...)
	decided.Records = append(decided.Records, checked.Records...)
	decided.Faults = append(decided.Faults, checked.Faults...)
	return decided, nil
}

// timeOf is how long texts take at the provider's rate.
func (c PreviewConfig) timeOf(texts []store.Text) time.Duration {
	segments := 0
	for _, t := range texts {
		segments += t.Segments
	}
	return time.Duration(float64(segments) / c.SegmentsPerSecond * float64(time.Second))
}

// firstTick is the first instant at or after t at which a schedule that began
// at began fires.
func firstTick(schedule cron.Schedule, t, began time.Time) time.Time {
	if every, ok := schedule.(cron.ConstantDelaySchedule); ok {
		if !t.After(began) {
			return began
		}
		since := t.Sub(began) + every.Delay - 1
		return began.Add(since - since%every.Delay)
	}
	return schedule.Next(t.Add(-1))
}
