package store

import (
	"context"
	"fmt"
	"time"

	"duewatch/reminder"
	"duewatch/store/db"
)

// Event is one line of the trail.
type Event struct {
	At     time.Time
	BillID int64
	TextID int64  // 0 = none
	What   string // added, registered, due_date, balance, texted, held, accepted, …
	Reason string
	Detail string
}

func (t *tx) event(e Event) error { return t.events([]Event{e}) }

var addEvents = db.NewBatch("INSERT INTO events (at, bill_id, text_id, what, reason, detail) VALUES %s", 0,
	db.Integer, db.Integer, db.Integer, db.Text, db.Text, db.Text)

// events is event for many.
func (t *tx) events(all []Event) error {
	_, err := db.ExecBatch(t.Tx, addEvents, all, ofEvent)
	return err
}

func ofEvent(args []any, e Event) []any {
	return append(args, e.At.UnixMilli(), e.BillID, positive(e.TextID), e.What, e.Reason, e.Detail)
}

// heldAgain are the events of reminders that are held for a reason after they had ended,
// from an update that returns their bill_id, stage and due_date.
func heldAgain(rows *db.Rows, now time.Time, why reminder.Reason) ([]Event, error) {
	return db.Collect(rows, func(r db.Scanner) (e Event, err error) {
		var stage reminder.Stage
		var due reminder.Date
		err = r.Scan(&e.BillID, &stage, dayColumn{&due})
		e.At, e.What, e.Reason = now, string(reminder.Held), string(why)
		e.Detail = fmt.Sprintf("%s, due %s: %s", stage, due, why.Info().Means)
		return e, err
	})
}

// Events reads the trail of a bill, oldest first.
func (s *Store) Events(ctx context.Context, billID int64) ([]Event, error) {
	rows, err := s.read(ctx).Query(`SELECT at, bill_id, coalesce(text_id, 0), what, reason, detail FROM events
		WHERE bill_id = ?1 ORDER BY id`, billID)
	if err != nil {
		return nil, fmt.Errorf("read trail: %w", err)
	}
	return db.Collect(rows, func(r db.Scanner) (e Event, err error) {
		err = r.Scan(db.InstantTo(&e.At), &e.BillID, &e.TextID, &e.What, &e.Reason, &e.Detail)
		return e, err
	})
}
