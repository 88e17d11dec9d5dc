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

var addEventsSQL = db.NewBatch("INSERT INTO events (at, bill_id, text_id, what, reason, detail) VALUES %s", 0,
	db.Integer, db.Integer, db.Integer, db.Text, db.Text, db.Text)

// events is event for many.
func (t *tx) events(all []Event) error {
	_, err := db.ExecBatch(t.Tx, addEventsSQL, all, ofEvent)
	return err
}

func ofEvent(args []any, e Event) []any {
	return append(args, e.At.UnixMilli(), e.BillID, positive(e.TextID), e.What, e.Reason, e.Detail)
}

// heldAgain are the events of reminders that are held for a reason after they had ended,
// from an update that returns their bill_id, stage and due_date.
func heldAgain(rows db.Rows, now time.Time, why reminder.Reason) ([]Event, error) {
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
	rows := s.read(ctx).Query(`SELECT at, bill_id, coalesce(text_id, 0), what, reason, detail FROM events
		WHERE bill_id = ?1 ORDER BY id`, billID)
	all, err := db.Collect(rows, func(r db.Scanner) (e Event, err error) {
		err = r.Scan(db.InstantTo(&e.At), &e.BillID, &e.TextID, &e.What, &e.Reason, &e.Detail)
		return e, err
	})
	if err != nil {
		return nil, fmt.Errorf("read trail: %w", err)
	}
	return all, nil
}

// Reminders reads every stage of the bill that was acted on, over all its due
// dates, oldest first.
func (s *Store) Reminders(ctx context.Context, billID int64) ([]reminder.Reminder, error) {
	rows := s.read(ctx).Query("SELECT "+reminderColumns+" FROM reminders WHERE bill_id = ?1 ORDER BY id", billID)
	all, err := db.Collect(rows, scanReminder)
	if err != nil {
		return nil, fmt.Errorf("read reminders: %w", err)
	}
	return all, nil
}

// SentText is a text as the store knows it, for explanations.
type SentText struct {
	ID         int64
	State      TextState
	Body       string
	Segments   int
	CreatedAt  time.Time
	AcceptedAt time.Time
	SettledAt  time.Time
	ProviderID string
	Code       int
	Error      string
	Billed     int    // segments, as the provider says; 0 = not said
	Price      string // decimal, negative = charged; "" = not said
	PriceUnit  string
}

// Texts reads the texts that carried reminders of the bill, oldest first.
func (s *Store) Texts(ctx context.Context, billID int64) ([]SentText, error) {
	rows := s.read(ctx).Query(`SELECT t.id, t.state, t.body, t.segments, t.created_at, t.accepted_at, t.settled_at,
			coalesce(t.provider_id, ''), t.error_code, t.error, coalesce(t.billed_segments, 0), coalesce(t.price, ''), coalesce(t.price_unit, '')
		FROM texts t WHERE t.id IN (SELECT text_id FROM events WHERE bill_id = ?1) ORDER BY t.id`, billID)
	all, err := db.Collect(rows, func(r db.Scanner) (x SentText, err error) {
		err = r.Scan(&x.ID, &x.State, &x.Body, &x.Segments, db.InstantTo(&x.CreatedAt), db.InstantTo(&x.AcceptedAt),
			db.InstantTo(&x.SettledAt), &x.ProviderID, &x.Code, &x.Error,
			&x.Billed, &x.Price, &x.PriceUnit)
		return x, err
	})
	if err != nil {
		return nil, fmt.Errorf("read texts: %w", err)
	}
	return all, nil
}
