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

// PreviewConfig is what Ahead looks ahead with.
type PreviewConfig struct {
	Store    *store.Forecast
	Policies reminder.Policies
	Delivery reminder.Delivery
	Remind   string // the cron expression of the remind job

	SegmentsPerSecond float64
	Fingerprint       string // of the policies, as in Config
	// Freed takes for gone what reminders were held for until now, such as mode off.
	IgnoreHolds bool

	From, Until time.Time
	// Replanning is told how many bills were read while the plans of the store
	// are made anew, since they are those of another policy.
	Replanning func(bills int)
}

// Ahead goes through what the remind job will do, from one instant to another,
// and calls each with what every round of it makes of some bills, at which
// instant. It asks nobody: what is owed now is owed then, Almara Pay can always
// say so, and the provider takes every text at its rate. New bills and due
// dates are not foreseen.
func Ahead(ctx context.Context, o PreviewConfig, each func(now time.Time, l store.RoundResult) error) error {
	ticks, err := parseExpression(o.Remind)
	if err != nil {
		return fmt.Errorf("schedule of %s: %w", jobRemind, err)
	}
	planned, err := o.Store.Meta(ctx, metaFingerprint)
	if err != nil {
		return err
	}
	if o.IgnoreHolds || planned != "" && planned != o.Fingerprint {
		if err := o.Store.PlanAnew(o.Policies, o.From, o.Until, o.Replanning); err != nil {
			return err
		}
	}
	const some = 256
	pace, now, came := newPace(o.SegmentsPerSecond), o.From, 0
	for now.Before(o.Until) && ctx.Err() == nil {
		walked := 0
		if came <= 0 {
			if walked, err = o.Store.Walk(ctx, now, some); err != nil {
				return err
			}
			came = walked
		}
		looked, err := o.round(ctx, now, pace.round)
		if err != nil {
			return err
		}
		if looked.Bills > 0 || len(looked.Faults) > 0 {
			came -= looked.Bills
			if err := each(now, looked); err != nil {
				return err
			}
			now = now.Add(o.takes(looked.Texts))
			continue
		}
		came = 0
		if walked > 0 {
			continue
		}
		next, err := o.Store.NextEval(ctx)
		if err != nil || next.IsZero() {
			return err
		}
		if next = firstTick(ticks, next, o.From); next.IsZero() {
			return nil // the job never runs again
		}
		if next.After(now) {
			now = next
		}
	}
	return ctx.Err()
}

// round is one round, as in decideAll.
func (o PreviewConfig) round(ctx context.Context, now time.Time, n int) (store.RoundResult, error) {
	round := store.Round{Now: now, Policies: o.Policies, Delivery: o.Delivery, Claim: store.Claim{Owner: "forecast", Lease: lease}}
	looked, err := o.Store.DecideDue(ctx, round, n)
	if err != nil || len(looked.Ask) == 0 {
		return looked, err
	}
	results := make([]store.CheckResult, len(looked.Ask))
	for i, b := range looked.Ask {
		results[i] = store.CheckResult{BillID: b.ID, Answer: &reminder.Answer{
			At: now, Customer: b.Customer, Balance: b.Balance, DueDate: b.DueDate, Verified: b.Verified,
		}}
	}
	answered, err := o.Store.DecideAnswered(round, results)
	if err != nil {
		return looked, err
	}
	if len(answered.Ask) > 0 {
		return looked, errors.New("a bill was asked about twice")
	}
	looked.Texts = append(looked.Texts, answered.Texts...)
	looked.Records = append(looked.Records, answered.Records...)
	looked.Faults = append(looked.Faults, answered.Faults...)
	return looked, nil
}

// takes is how long texts take at the provider's rate.
func (o PreviewConfig) takes(texts []store.Text) time.Duration {
	segments := 0
	for _, t := range texts {
		segments += t.Segments
	}
	return time.Duration(float64(segments) / o.SegmentsPerSecond * float64(time.Second))
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
