package store

import (
	"context"
	"fmt"
	"time"

	"duewatch/reminder"
)

// Case reads what a decision about the bill would rest on at now, as the remind
// job does.
func (s *Store) Case(ctx context.Context, policies reminder.Policies, b reminder.Bill, now time.Time) (c reminder.Case, err error) {
	t, r := &tx{ctx: ctx, tx: s.read}, Round{Now: now, Policies: policies}
	if err = t.readStanding(&r); err == nil {
		c, err = t.caseOf(r, b)
	}
	if err == nil {
		c.Standing = *r.standing
		c.TextsToday, err = t.textsToday(b.Phone, policies.For(b.Service), now)
	}
	if err != nil {
		return c, fmt.Errorf("read what a decision rests on: %w", err)
	}
	return c, nil
}
