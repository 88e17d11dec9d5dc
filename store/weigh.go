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
	t := &tx{ctx: ctx, tx: s.read}
	if err = t.readStanding(&r); err == nil {
		lead, joint, err = t.weigh(r, b)
	}
	if err != nil {
		return lead, joint, fmt.Errorf("weigh a bill: %w", err)
	}
	return lead, joint, nil
}
