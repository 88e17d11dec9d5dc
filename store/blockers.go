package store

import (
	"context"
	"time"

	"duewatch/reminder"
)

// Blockers are what keeps texts of all bills alike from leaving, and what an operator
// must know of though they leave.
type Blockers struct {
	Stops    []Stopped
	Warnings []Warning
	Guard    reminder.Reason // that holds a text now; "" = none does
	Figures  string          // of the guard
	State    reminder.GuardState
}

// Blockers reads what is in force at an instant, by the policy for all services. Each
// command, page, metric and log line that tells of it reads it here.
func (s *Store) Blockers(ctx context.Context, p *reminder.Policy, now time.Time) (b Blockers, err error) {
	if b.Stops, err = s.Stops(ctx, now); err != nil {
		return b, err
	}
	if b.Warnings, err = s.Warnings(ctx); err != nil {
		return b, err
	}
	if b.State, err = s.GuardState(ctx, p, now); err != nil {
		return b, err
	}
	b.Guard, _, b.Figures = p.Guarded(b.State, 1, now)
	return b, nil
}
