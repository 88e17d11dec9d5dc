package store

import (
	"database/sql"
	"fmt"
	"time"

	"duewatch/reminder"
	"duewatch/store/db"
)

// planPage is over how many ids one statement of a plan goes: few enough for the
// first text to come at once.
const planPage = 10_000

// plan is what PlanAnew has for Walk: the bills in the order of their next looks
// by another policy than that of the file. The steps of all due dates are known
// from the start, and so is the earliest look that any bill can have, first. The
// bills are gone through page by page, and only as far as they are asked for:
// those of the earliest look come in the order of their ids, so that they need
// not wait until all others are planned.
type plan struct {
	policies      reminder.Policies
	first         int64
	planned, last int64 // the bill up to which all are planned, and the last one
	page          int64
	tell          func(bills int)
}

// PlanAnew has Walk go by policies instead of what the file has planned, as a
// daemon does once when its policy changed; what is held, for whatever reason,
// is looked at as well. It goes through all bills, but only by their due dates:
// the bill itself is copied and planned when its hour comes.
func (f *Forecast) PlanAnew(policies reminder.Policies, now, until time.Time, progress func(bills int)) error {
	p := &plan{policies: policies, page: planPage, tell: progress}
	err := f.do(func(t *tx) error {
		for _, statement := range []string{
			"CREATE TEMP TABLE plan (at BIGINT NOT NULL, bill_id INTEGER NOT NULL, PRIMARY KEY (at, bill_id)) WITHOUT ROWID",
			"CREATE TEMP TABLE own (service TEXT PRIMARY KEY) WITHOUT ROWID",
			"CREATE TEMP TABLE steps (service TEXT NOT NULL, due_date TEXT NOT NULL, stage INTEGER, at BIGINT NOT NULL, PRIMARY KEY (service, due_date, at)) WITHOUT ROWID",
		} {
			if _, err := t.Exec(statement); err != nil {
				return err
			}
		}
		if err := stepsOf(t, "", policies.Default, now, until); err != nil {
			return err
		}
		for service, p := range policies.ByService {
			if _, err := t.Exec("INSERT INTO temp.own VALUES (?1)", service); err != nil {
				return err
			}
			if err := stepsOf(t, service, p, now, until); err != nil {
				return err
			}
		}
		var first sql.NullInt64
		if err := t.Row("SELECT min(at) FROM temp.steps").Scan(&first); err != nil || !first.Valid {
			return err // without a step no bill has a look
		}
		p.first = first.Int64
		return t.Row("SELECT coalesce(max(id), 0) FROM main.bills").Scan(&p.last)
	})
	if err != nil {
		return fmt.Errorf("look ahead by the present config: %w", err)
	}
	f.plan = p
	return nil
}

// more plans the next bills.
func (p *plan) more(f *Forecast) error {
	err := f.do(func(t *tx) error {
		// A stage of the past comes now, unless it was acted on for good.
		_, err := t.Exec(`INSERT INTO temp.plan (at, bill_id) SELECT s.at, b.id FROM main.bills b CROSS JOIN temp.steps s
			ON s.service = CASE WHEN EXISTS (SELECT 1 FROM temp.own WHERE service = b.service) THEN b.service ELSE '' END AND s.due_date = b.due_date
			WHERE b.id > ?1 AND b.id <= ?2 AND b.state IN ('active', 'paused') AND NOT EXISTS (SELECT 1 FROM main.reminders r
				WHERE r.bill_id = b.id AND r.due_date = b.due_date AND r.stage = s.stage AND r.outcome <> 'held') ON CONFLICT DO NOTHING`,
			p.planned, p.planned+p.page)
		return err
	})
	if err != nil {
		return fmt.Errorf("look ahead by the present config: %w", err)
	}
	p.planned += p.page
	p.tell(int(min(p.planned, p.last)))
	return nil
}

// whole reports whether all bills are planned.
func (p *plan) whole() bool { return p.planned >= p.last }

// stepsOf writes, for each due date with a step to come by until, the latest
// step whose hour has passed and that is still of use, and the next one. The
// former would come now, or where no text may leave now, when the window opens:
// what is decided before is only that it waits.
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
		missed := p.NextOpen(now)
		if missed.IsZero() {
			missed = now // on no day of the coming year: it ends
		}
		superseded := next < len(steps) && !steps[next].At.After(missed)
		if next > 0 && steps[next-1].NotAfter.After(now) && !superseded && !missed.After(until) {
			looks = append(looks, look{int(steps[next-1].Stage), missed})
		}
		if next < len(steps) && !steps[next].At.After(until) {
			looks = append(looks, look{nil, steps[next].At})
		}
		for _, l := range looks {
			if _, err := t.Exec("INSERT INTO temp.steps VALUES (?1, ?2, ?3, ?4)", service, due.String(), l.stage, l.at.UnixMilli()); err != nil {
				return err
			}
		}
	}
	return nil
}

// came are the bills that are about to be copied.
func (f *Forecast) came(t *tx) ([]int64, error) {
	rows, err := t.Query("SELECT bill_id FROM temp.came")
	if err != nil {
		return nil, err
	}
	return db.Collect(rows, db.ScanID)
}
