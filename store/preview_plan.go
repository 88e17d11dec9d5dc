package store

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"duewatch/reminder"
	"duewatch/store/db"
)

// planTable is the queue by another policy than that of the source, in the scratch
// store: the bills with an evaluation within the days of the preview.
const planTable = "preview_plan"

// planPage is over how many ids one statement of a plan goes: few enough for the
// first text to come at once.
const planPage = 10_000

// previewPlan is how the bills are planned by another policy than that of the source.
// All of them must be, but only as far as they are asked for: those of the earliest
// evaluation that any bill can have come in the order of their ids, so that they need
// not wait until all others are planned.
type previewPlan struct {
	policies      reminder.Policies
	now, until    time.Time
	first         int64 // the earliest evaluation that any bill can have
	planned, last int64 // the bill up to which all are planned, and the last one
	page          int64
	report        func(bills int)
}

// Replan has CopyDue go by policies instead of what the source has planned, as a
// daemon does once when its policy changed; what is held, for whatever reason, is
// evaluated as well. Reported is how many bills are planned.
func (p *Preview) Replan(ctx context.Context, policies reminder.Policies, now, until time.Time, report func(bills int)) error {
	plan := &previewPlan{policies: policies, now: now, until: until, page: planPage, report: report}
	plan.first = policies.Default.NextOpen(now).UnixMilli()
	for _, policy := range policies.ByService {
		plan.first = min(plan.first, policy.NextOpen(now).UnixMilli())
	}
	err := p.fromSource(ctx, func(from, to *tx) error {
		_, err := to.Exec("CREATE TABLE " + planTable +
			" (at BIGINT NOT NULL, bill_id BIGINT NOT NULL, PRIMARY KEY (at, bill_id)) WITHOUT ROWID")
		if err != nil {
			return err
		}
		return from.Row("SELECT coalesce(max(id), 0) FROM bills").Scan(&plan.last)
	})
	if err != nil {
		return fmt.Errorf("plan by the present config: %w", err)
	}
	p.plan = plan
	return nil
}

// complete reports whether all bills are planned.
func (plan *previewPlan) complete() bool { return plan.planned >= plan.last }

// evalAt is when the remind job has more to say of a bill than that it waits for the
// window; zero = never.
func (plan *previewPlan) evalAt(b reminder.Bill, done []reminder.Reminder) time.Time {
	policy := plan.policies.For(b.Service)
	at := policy.NextEval(b, done, plan.now)
	if at.IsZero() {
		return at
	}
	return laterOf(at, policy.NextOpen(plan.now))
}

var addPlannedSQL = db.NewBatch("INSERT INTO "+planTable+" (at, bill_id) VALUES %s", 0, db.Integer, db.Integer)

// planMore plans the next page of bills.
func (p *Preview) planMore(ctx context.Context) error {
	plan := p.plan
	err := p.fromSource(ctx, func(from, to *tx) error {
		evals, err := plan.readPage(from)
		if err != nil {
			return err
		}
		_, err = db.ExecBatch(to.Tx, addPlannedSQL, evals, func(args []any, e queueEntry) []any {
			return append(args, e.at.UnixMilli(), e.billID)
		})
		return err
	})
	if err != nil {
		return fmt.Errorf("plan by the present config: %w", err)
	}
	plan.planned += plan.page
	plan.report(int(min(plan.planned, plan.last)))
	return nil
}

// readPage reads the next page of bills, and returns those with an evaluation by until.
// A stage that is recorded for good takes no part in it.
func (plan *previewPlan) readPage(from *tx) (evals []queueEntry, err error) {
	var b, next reminder.Bill
	var stage reminder.Reminder
	var done []reminder.Reminder
	add := func() {
		if at := plan.evalAt(b, done); !at.IsZero() && !at.After(plan.until) {
			evals = append(evals, queueEntry{b.ID, at})
		}
	}
	columns := []sql.Scanner{
		db.NumberTo(&next.ID), db.TextTo(&next.Service), db.TextTo(&next.State), dayColumn{&next.DueDate},
		db.InstantTo(&next.PausedUntil), db.NumberTo(&stage.Stage), db.TextTo(&stage.Outcome),
	}
	err = from.EachRow(`SELECT b.id, b.service, b.state, b.due_date, b.paused_until, coalesce(r.stage, 0), coalesce(r.outcome, '')
		FROM bills b LEFT JOIN reminders r ON r.bill_id = b.id AND r.due_date = b.due_date AND r.outcome <> 'held'
		WHERE b.id > ?1 AND b.id <= ?2 AND b.state IN ('active', 'paused') ORDER BY b.id`,
		[]any{plan.planned, plan.planned + plan.page}, columns, func() error {
			if next.ID != b.ID { // a row for each stage
				if b.ID != 0 {
					add()
				}
				b, done = next, done[:0]
			}
			if stage.Outcome != "" {
				stage.DueDate = b.DueDate
				done = append(done, stage)
			}
			return nil
		})
	if err == nil && b.ID != 0 {
		add()
	}
	return evals, err
}

// replan gives bills that were copied their next evaluation by the policy of the
// plan. What is due already stays due.
func (plan *previewPlan) replan(t *tx, ids []int64, now time.Time) error {
	for _, id := range ids {
		b, err := t.bill(id)
		if err != nil {
			return err
		}
		if err := t.replan(b, plan.policies.For(b.Service), now); err != nil {
			return err
		}
	}
	return nil
}
