package store

import (
	"context"
	"fmt"

	"duewatch/reminder"
)

// Weigh tells what the remind job would decide about the bill in this round,
// and with which others of its phone: by its own facts and rules, and without
// writing anything. Claim is not looked at.
func (s *Store) Weigh(ctx context.Context, r Round, b reminder.Bill) (lead reminder.Share, joint reminder.Joint, err error) {
	d, err := (&tx{ctx: ctx, tx: s.read}).weigh(r, b)
	if err != nil {
		return lead, joint, fmt.Errorf("weigh a bill: %w", err)
	}
	return d.lead, d.joint, nil
}

func (t *tx) weigh(r Round, b reminder.Bill) (d decided, err error) {
	if err := t.readStanding(&r); err != nil {
		return d, err
	}
	facts, err := t.facts(r, []int64{b.ID})
	if err != nil {
		return d, err
	}
	others, err := t.companions(r, facts)
	if err != nil {
		return d, err
	}
	return r.decide(facts[0].Case, others[b.Phone]), nil
}
