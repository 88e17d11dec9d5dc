package store

import (
	"context"
	"fmt"

	"duewatch/reminder"
)

// Weigh tells what the remind job would decide about the bill in this round,
// and with which others of its phone: by its own facts and rules, and without
// writing anything. Claim is not looked at.
func (s *Store) Weigh(ctx context.Context, r Round, b reminder.Bill) (lead reminder.BundleItem, joint reminder.Bundle, err error) {
	conn, err := s.read.Conn(ctx)
	if err != nil {
		return lead, joint, fmt.Errorf("weigh a bill: %w", explain(err))
	}
	defer conn.Close() //nolint:errcheck // it goes back to the pool
	t := &tx{ctx: ctx, conn: conn, buffer: new(argBuffer)}
	defer t.closeRows()
	if lead, joint, err = t.weigh(r, b); err != nil {
		return lead, joint, fmt.Errorf("weigh a bill: %w", err)
	}
	return lead, joint, nil
}

func (t *tx) weigh(r Round, b reminder.Bill) (lead reminder.BundleItem, joint reminder.Bundle, err error) {
	if err := t.readGuardState(&r); err != nil {
		return lead, joint, err
	}
	facts, err := t.facts(r, []int64{b.ID})
	if err != nil {
		return lead, joint, err
	}
	others, err := t.bundleCandidates(r, facts)
	if err != nil {
		return lead, joint, err
	}
	lead, joint = r.decide(&facts[0].Case, others[b.Phone])
	return lead, joint, nil
}
