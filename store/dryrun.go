package store

import (
	"context"
	"fmt"

	"duewatch/reminder"
)

// DryRun tells what the remind job would decide about the bill in this round,
// and with which others of its phone: by its own facts and rules, and without
// writing anything. A claim is neither made nor looked at.
func (s *Store) DryRun(ctx context.Context, r Round, b reminder.Bill) (lead reminder.BundleItem, bundle reminder.Bundle, err error) {
	err = s.view(ctx, func(t *tx) error {
		lead, bundle, err = t.dryRun(r, b)
		return err
	})
	if err != nil {
		return lead, bundle, fmt.Errorf("decide about a bill on trial: %w", err)
	}
	return lead, bundle, nil
}

func (t *tx) dryRun(r Round, b reminder.Bill) (lead reminder.BundleItem, bundle reminder.Bundle, err error) {
	if err := t.readGuardState(&r); err != nil {
		return lead, bundle, err
	}
	facts, err := t.facts(r, []int64{b.ID})
	if err != nil {
		return lead, bundle, err
	}
	others, err := t.bundleCandidates(r, facts)
	if err != nil {
		return lead, bundle, err
	}
	lead, bundle = r.decide(&facts[0].Case, others[b.Phone])
	return lead, bundle, nil
}
