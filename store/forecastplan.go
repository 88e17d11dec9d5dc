package store

import (
	"context"
	"fmt"
	"time"

	"duewatch/reminder"
)

// planPage is over how many ids one statement of PlanAnew goes.
const planPage = 50_000

// PlanAnew has Walk go by policies instead of what the file has planned, as a
// daemon does once when its policy changed. It goes through all bills, but only
// by their due dates: the steps of each date are worked out once, and the bill
// itself is copied and planned when its hour comes.
func (f *Forecast) PlanAnew(ctx context.Context, policies reminder.Policies, now, until time.Time, progress func(bills int)) error {
	f.anew, f.policies = true, policies
	var last int64
	err := f.do(func(t *tx) error {
		for _, statement := range []string{
			"CREATE TEMP TABLE plan (at BIGINT NOT NULL, bill_id INTEGER NOT NULL, PRIMARY KEY (at, bill_id)) WITHOUT ROWID",
			"CREATE TEMP TABLE own (service TEXT PRIMARY KEY) WITHOUT ROWID",
			"CREATE TEMP TABLE steps (service TEXT NOT NULL, due_date TEXT NOT NULL, stage INTEGER, at BIGINT NOT NULL, PRIMARY KEY (service, due_date, at)) WITHOUT ROWID",
		} {
			if _, err := t.exec(statement); err != nil {
				return err
			}
		}
		if err := stepsOf(t, "", policies.Default, now, until); err != nil {
			return err
		}
		for service, p := range policies.ByService {
			if _, err := t.exec("INSERT INTO temp.own VALUES (?1)", service); err != nil {
				return err
			}
			if err := stepsOf(t, service, p, now, until); err != nil {
				return err
			}
		}
		return explain(t.row("SELECT coalesce(max(id), 0) FROM main.bills").Scan(&last))
	})
	for after := int64(0); err == nil && after < last && ctx.Err() == nil; after += planPage {
		err = f.do(func(t *tx) error {
			// A stage of the past comes now, unless it was acted on for good.
			_, err := t.exec(`INSERT INTO temp.plan (at, bill_id) SELECT s.at, b.id FROM main.bills b CROSS JOIN temp.steps s
				ON s.service = CASE WHEN EXISTS (SELECT 1 FROM temp.own WHERE service = b.service) THEN b.service ELSE '' END AND s.due_date = b.due_date
				WHERE b.id > ?1 AND b.id <= ?2 AND b.state IN ('active', 'paused') AND NOT EXISTS (SELECT 1 FROM main.reminders r
					WHERE r.bill_id = b.id AND r.due_date = b.due_date AND r.stage = s.stage AND r.outcome <> 'held') ON CONFLICT DO NOTHING`,
				after, after+planPage)
			return err
		})
		progress(int(min(after+planPage, last)))
	}
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return fmt.Errorf("look ahead by the present config: %w", err)
	}
	return nil
}

// stepsOf writes, for each due date with a step to come by until, the latest
// step whose hour has passed and that is still of use, which would come now, and
// the next one.
func stepsOf(t *tx, service string, p *reminder.Policy, now, until time.Time) error {
	const moved = 366 // days, at most, that a step lies from its stage
	if len(p.Stages) == 0 {
		return nil
	}
	first := reminder.DateOf(now.In(p.Zone)).AddDays(-int(p.Stages[len(p.Stages)-1]) - moved)
	last := reminder.DateOf(until.In(p.Zone)).AddDays(-int(p.Stages[0]) + moved)
	for due := first; !due.After(last); due = due.AddDays(1) {
		steps := p.Steps(due)
		next := 0
		for next < len(steps) && !steps[next].At.After(now) {
			next++
		}
		type look struct {
			stage any // NULL = whatever was done
			at    time.Time
		}
		var looks []look
		if next > 0 && steps[next-1].NotAfter.After(now) {
			looks = append(looks, look{int(steps[next-1].Stage), now})
		}
		if next < len(steps) && !steps[next].At.After(until) {
			looks = append(looks, look{nil, steps[next].At})
		}
		for _, l := range looks {
			if _, err := t.exec("INSERT INTO temp.steps VALUES (?1, ?2, ?3, ?4)", service, due.String(), l.stage, l.at.UnixMilli()); err != nil {
				return err
			}
		}
	}
	return nil
}

// came are the bills that are about to be copied.
func (f *Forecast) came(t *tx) ([]int64, error) {
	rows, err := t.query("SELECT bill_id FROM temp.came")
	if err != nil {
		return nil, err
	}
	return collect(rows, scanID)
}
