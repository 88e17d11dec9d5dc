package store

import (
	"context"
	"fmt"
	"time"

	"duewatch/reminder"
	"duewatch/store/db"
)

// Stopped is a stop and since when it stands.
type Stopped struct {
	reminder.Stop
	Since time.Time
}

// stopAgain is within what time after its end a stop that comes again counts
// as the same one.
const stopAgain = 15 * time.Minute

// StopSending keeps all texts from leaving for a reason, from the next decision
// on. A stop that waits for the operator does not become one that ends by
// itself.
func (s *Store) StopSending(now time.Time, stop reminder.Stop) error {
	if err := s.do(func(t *tx) error { return t.stopSending(now, stop) }); err != nil {
		return fmt.Errorf("stop sending: %w", err)
	}
	return nil
}

func (t *tx) stopSending(now time.Time, stop reminder.Stop) error {
	isNew, err := t.Changed("INSERT INTO stops (reason, since, until_at, detail) VALUES (?1, ?2, ?3, ?4) ON CONFLICT (reason) DO NOTHING",
		stop.Reason, now.UnixMilli(), millis(stop.Until), stop.Detail)
	if err != nil {
		return err
	}
	if !isNew {
		_, err := t.Exec(`UPDATE stops SET until_at = ?3, detail = ?4, since = CASE WHEN until_at < ?5 THEN ?2 ELSE since END
			WHERE reason = ?1 AND until_at IS NOT NULL`,
			stop.Reason, now.UnixMilli(), millis(stop.Until), stop.Detail, now.Add(-stopAgain).UnixMilli())
		return err
	}
	return t.event(Event{At: now, What: "sending_stopped", Reason: string(stop.Reason), Detail: stop.Detail})
}

// Stops reads why no text may leave now, the one that waits for the operator
// first.
func (s *Store) Stops(ctx context.Context, now time.Time) ([]Stopped, error) {
	stops, err := stopsAt(s.read(ctx), now)
	if err != nil {
		return nil, fmt.Errorf("read stops: %w", err)
	}
	return stops, nil
}

func stopsAt(q db.Reader, now time.Time) ([]Stopped, error) {
	rows := q.Query(`SELECT reason, since, until_at, detail FROM stops
		WHERE until_at IS NULL OR until_at > ?1 ORDER BY until_at IS NOT NULL, since, reason`, now.UnixMilli())
	return db.Collect(rows, func(r db.Scanner) (s Stopped, err error) {
		err = r.Scan(&s.Reason, db.InstantTo(&s.Since), db.InstantTo(&s.Until), &s.Detail)
		return s, err
	})
}

// EndTimedStops ends the stops that end by themselves. Call it at the start:
// what stopped sending may be mended.
func (s *Store) EndTimedStops(context.Context) error {
	if err := s.do(func(t *tx) error { return t.endTimedStops() }); err != nil {
		return fmt.Errorf("end stops: %w", err)
	}
	return nil
}

func (t *tx) endTimedStops() error {
	_, err := t.Exec("DELETE FROM stops WHERE until_at IS NOT NULL")
	return err
}

// stopped reports whether there is a stop of that reason, also one whose time is over.
func (t *tx) stopped(reason reminder.Reason) (found bool, err error) {
	err = t.Row("SELECT EXISTS (SELECT 1 FROM stops WHERE reason = ?1)", reason).Scan(&found)
	return found, err
}

// EndStop ends the stop of that reason, whose cause has ended.
func (s *Store) EndStop(reason reminder.Reason) error {
	err := s.do(func(t *tx) error {
		_, err := t.Exec("DELETE FROM stops WHERE reason = ?1", reason)
		return err
	})
	if err != nil {
		return fmt.Errorf("end stop: %w", err)
	}
	return nil
}

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
// command, page, metric and log line that reports it reads it here.
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
