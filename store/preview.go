package store

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"duewatch/reminder"
	"duewatch/store/db"
)

// Preview is a scratch store in which the texts to come are decided before their
// time, by the statements and rules of Store itself. It takes over from the
// operator's store, the source, what is due, a batch of bills at a time in the order
// of their next evaluation: so it holds no more than what is due. The source is only
// read, and each read is short, so that a daemon beside it is held up by nothing.
type Preview struct {
	*Store // the scratch store
	source *Store

	copies   map[string]*tableCopy // by table
	lastText int64                 // of the source when it was opened: texts of the preview come after it

	// How far the queue of bills has been read.
	at, bill int64
	plan     *previewPlan // the queue by another policy than that of the source; nil = the source's own
}

// OpenPreview opens an existing store to look ahead from it. It returns ErrNotFound
// when there is no file yet.
func OpenPreview(ctx context.Context, path string) (*Preview, error) {
	source, err := OpenReader(ctx, path)
	if err != nil {
		return nil, err
	}
	return newPreview(ctx, source)
}

func newPreview(ctx context.Context, source *Store) (_ *Preview, err error) {
	scratch, err := opened(db.OpenNameless(ctx, schema))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("preview (in the temporary folder %s): %w", os.TempDir(), err), source.Close())
	}
	p := &Preview{Store: scratch, source: source, at: -1 << 62}
	if p.copies, err = tableCopies(ctx, scratch); err == nil {
		err = p.fromSource(ctx, p.copySmall)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("preview: %w", err), p.Close())
	}
	return p, nil
}

// Close closes both stores, and thereby drops the scratch one.
func (p *Preview) Close() error { return errors.Join(p.Store.Close(), p.source.Close()) }

// fromSource writes into the scratch store what it reads in one short transaction of
// the source: a bill and what is recorded of it must be of one instant.
func (p *Preview) fromSource(ctx context.Context, do func(from, to *tx) error) error {
	return p.source.db.Snapshot(ctx, func(from *db.Tx) error {
		return p.do(func(to *tx) error { return do(&tx{from}, to) })
	})
}

// CopyDue copies the next n bills or so that the remind job evaluates by the instant
// now, each with all other bills of its phone, since they may share a text and count
// for its daily cap. It returns how many bills it went through; zero at the end.
func (p *Preview) CopyDue(ctx context.Context, now time.Time, n int) (int, error) {
	for {
		read, err := p.copyNext(ctx, now, n)
		if err != nil {
			return 0, fmt.Errorf("preview: %w", err)
		}
		if read > 0 || p.plan == nil || p.plan.complete() || now.UnixMilli() < p.plan.first {
			return read, nil
		}
		if err := p.planMore(ctx); err != nil {
			return 0, err
		}
	}
}

// copyNext is CopyDue for the bills that are in the queue already.
func (p *Preview) copyNext(ctx context.Context, now time.Time, n int) (read int, err error) {
	var ids []int64
	var at int64
	err = p.fromSource(ctx, func(from, to *tx) (err error) {
		queue, table, latest := from, "due_remind", now.UnixMilli()
		if p.plan != nil {
			queue, table = to, planTable
			if !p.plan.complete() {
				latest = min(latest, p.plan.first) // later ones wait until all are planned
			}
		}
		rows := queue.Query("SELECT at, bill_id FROM "+table+` WHERE (at, bill_id) > (?1, ?2) AND at <= ?3
			ORDER BY at, bill_id LIMIT ?4 + 0`, p.at, p.bill, latest, n)
		ids, err = db.Collect(rows, func(r db.Scanner) (id int64, err error) {
			err = r.Scan(&at, &id)
			return id, err
		})
		if err != nil || len(ids) == 0 {
			return err
		}
		added, err := p.copyBills(from, to, ids, now)
		if err != nil || p.plan == nil {
			return err
		}
		return p.plan.replan(to, added, now)
	})
	if err != nil {
		return 0, err
	}
	if len(ids) > 0 {
		p.at, p.bill = at, ids[len(ids)-1]
	}
	return len(ids), nil
}

// NextEval is the next instant at which the remind job evaluates a bill, copied or
// not, once CopyDue has come to its end; zero when there is none.
func (p *Preview) NextEval(ctx context.Context) (time.Time, error) {
	var next, further time.Time
	err := p.read(ctx).Row("SELECT min(at) FROM due_remind").Scan(db.InstantTo(&next))
	if err != nil {
		return next, fmt.Errorf("preview: %w", err)
	}
	const inQueue = " WHERE (at, bill_id) > (?1, ?2)"
	switch {
	case p.plan == nil:
		err = p.source.read(ctx).Row("SELECT min(at) FROM due_remind"+inQueue, p.at, p.bill).Scan(db.InstantTo(&further))
	case p.plan.complete():
		err = p.read(ctx).Row("SELECT min(at) FROM "+planTable+inQueue, p.at, p.bill).Scan(db.InstantTo(&further))
	default:
		further = time.UnixMilli(p.plan.first)
	}
	if err != nil {
		return next, fmt.Errorf("preview: %w", err)
	}
	if next.IsZero() || (!further.IsZero() && further.Before(next)) {
		next = further
	}
	return next, nil
}

// OutcomeCount is how many reminders of the preview have an outcome for a reason.
type OutcomeCount struct {
	Outcome reminder.Outcome
	Reason  reminder.Reason
	Count   int
}

// CountOutcomes counts what was texted and skipped since from, and what is held at
// the end. It adds up row by row: SQLite would sort all of them in memory.
func (p *Preview) CountOutcomes(ctx context.Context, from time.Time) (all []OutcomeCount, err error) {
	counts := map[OutcomeCount]int{}
	var c OutcomeCount
	err = p.view(ctx, func(t *tx) error {
		return t.EachRow("SELECT outcome, reason FROM reminders WHERE decided_at >= ?1 OR outcome = 'held'",
			[]any{from.UnixMilli()}, []sql.Scanner{db.TextTo(&c.Outcome), db.TextTo(&c.Reason)}, func() error {
				counts[c]++
				return nil
			})
	})
	if err != nil {
		return nil, fmt.Errorf("preview: %w", err)
	}
	for c, n := range counts {
		c.Count = n
		all = append(all, c)
	}
	slices.SortFunc(all, func(a, b OutcomeCount) int {
		return cmp.Or(cmp.Compare(b.Outcome, a.Outcome), b.Count-a.Count, cmp.Compare(a.Reason, b.Reason))
	})
	return all, nil
}

// CountIdle counts bills of the source that have no texts to come: those that await
// their registration, of which nobody knows yet when they are due, and those that
// are paused until after the instant, or without an end.
func (p *Preview) CountIdle(ctx context.Context, until time.Time) (unregistered, paused int, err error) {
	err = p.source.read(ctx).Row("SELECT count(*) FROM due_register").Scan(&unregistered)
	if err == nil {
		err = p.source.read(ctx).Row(`SELECT count(*) FROM bills WHERE state = 'paused' AND `+inactive+`
			AND NOT EXISTS (SELECT 1 FROM due_remind WHERE bill_id = bills.id AND at < ?1)`, until.UnixMilli()).Scan(&paused)
	}
	if err != nil {
		return 0, 0, fmt.Errorf("preview: %w", err)
	}
	return unregistered, paused, nil
}
