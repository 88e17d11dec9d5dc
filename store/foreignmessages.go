package store

import (
	"context"
	"fmt"
	"time"

	"duewatch/reminder"
	"duewatch/store/db"
)

// ForeignMessage is a text about one of our bills that the provider has and this
// store does not know.
type ForeignMessage struct {
	ProviderID string
	BillID     int64
	At         time.Time
}

// RecordUnattributed keeps the ids of messages that this store does not know and
// that name neither a phone nor a bill, and stops sending when any of them is new.
func (s *Store) RecordUnattributed(now time.Time, found []ForeignMessage, stop reminder.Stop) (news int, err error) {
	return s.stopAtNews(now, found, stop, func(t *tx, f ForeignMessage) (isNew bool, err error) {
		return t.Changed("INSERT INTO unattributed_messages (provider_id, at) VALUES (?1, ?2) ON CONFLICT (provider_id) DO NOTHING",
			f.ProviderID, f.At.UnixMilli())
	})
}

// RecordForeignMessages keeps foreign messages, so that their stages are
// not texted again, and stops sending when any of them is new. It returns how
// many are.
func (s *Store) RecordForeignMessages(now time.Time, found []ForeignMessage, stop reminder.Stop) (news int, err error) {
	return s.stopAtNews(now, found, stop, func(t *tx, f ForeignMessage) (isNew bool, err error) {
		isNew, err = t.keepForeignMessage(f)
		if err != nil || !isNew {
			return false, err
		}
		detail := fmt.Sprintf("the provider has a text from %s that this store did not know: %s", f.At.UTC().Format(time.RFC3339), f.ProviderID)
		return true, t.event(Event{At: now, BillID: f.BillID, What: "foreign_message", Reason: string(stop.Reason), Detail: detail})
	})
}

// stopAtNews keeps each of the messages, and stops sending when any of them is new.
func (s *Store) stopAtNews(
	now time.Time, found []ForeignMessage, stop reminder.Stop, keep func(*tx, ForeignMessage) (isNew bool, err error),
) (news int, err error) {
	err = s.do(func(t *tx) error {
		news = 0
		for _, f := range found {
			isNew, err := keep(t, f)
			if err != nil {
				return err
			}
			if isNew {
				news++
			}
		}
		if news == 0 {
			return nil
		}
		return t.stopSending(now, stop)
	})
	if err != nil {
		return 0, fmt.Errorf("record unknown texts: %w", err)
	}
	return news, nil
}

// KeepForeignMessages keeps messages that may be about bills once another due date
// of these is known, such as that of the month that a restored backup does not
// know: a stage near one of them is not texted again. Nothing is stopped for them.
func (s *Store) KeepForeignMessages(found []ForeignMessage) error {
	if len(found) == 0 {
		return nil
	}
	err := s.do(func(t *tx) error {
		for _, f := range found {
			if _, err := t.keepForeignMessage(f); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("keep unknown messages: %w", err)
	}
	return nil
}

func (t *tx) keepForeignMessage(f ForeignMessage) (isNew bool, err error) {
	return t.Changed(`INSERT INTO foreign_messages (provider_id, bill_id, at) VALUES (?1, ?2, ?3)
		ON CONFLICT (provider_id, bill_id) DO NOTHING`, f.ProviderID, f.BillID, f.At.UnixMilli())
}

// ForeignMessageOf is a foreign message and the bill it is about.
type ForeignMessageOf struct {
	ForeignMessage
	Service, Account string
}

// ForeignMessages reads the latest n foreign messages, and how many more there are.
func (s *Store) ForeignMessages(ctx context.Context, n int) (latest []ForeignMessageOf, more int, err error) {
	rows := s.read(ctx).Query(`SELECT x.provider_id, x.bill_id, x.at, b.service, b.account
		FROM foreign_messages x JOIN bills b ON b.id = x.bill_id ORDER BY x.at DESC LIMIT ?1 + 0`, n)
	latest, err = db.Collect(rows, func(r db.Scanner) (x ForeignMessageOf, err error) {
		err = r.Scan(&x.ProviderID, &x.BillID, db.InstantTo(&x.At), &x.Service, &x.Account)
		return x, err
	})
	if err != nil {
		return nil, 0, fmt.Errorf("read unknown texts: %w", err)
	}
	if err := s.read(ctx).Row("SELECT count(*) FROM foreign_messages").Scan(&more); err != nil {
		return nil, 0, fmt.Errorf("count unknown texts: %w", err)
	}
	return latest, more - len(latest), nil
}

// foreignMessagesAbout are the instants of the foreign messages about the bill.
func (t *tx) foreignMessagesAbout(billID int64) ([]time.Time, error) {
	rows := t.Query("SELECT at FROM foreign_messages WHERE bill_id = ?1", billID)
	return db.Collect(rows, func(r db.Scanner) (at time.Time, err error) {
		err = r.Scan(db.InstantTo(&at))
		return at, err
	})
}

// countForeignMessages counts the texts that a phone has had since, and that this store
// does not know: they are texts of its day like others.
func (t *tx) countForeignMessages(p reminder.Phone, since int64) (n int, err error) {
	err = t.Row(`SELECT count(DISTINCT provider_id) FROM foreign_messages
		WHERE bill_id IN (SELECT id FROM bills WHERE phone = ?1) AND at >= ?2`, p.E164(), since).Scan(&n)
	return n, err
}

// Knows reports whether a message in the provider's list is a text of this
// store: by its id, or, where the answer was lost, by its words; or is a
// foreign message already.
func (s *Store) Knows(ctx context.Context, providerID string, to reminder.Phone, body string) (known bool, err error) {
	err = s.read(ctx).Row(`SELECT EXISTS (SELECT 1 FROM texts
			WHERE phone_id = (SELECT phone_id FROM phones WHERE number = ?2) AND (provider_id = ?1 OR body = ?3))
		OR EXISTS (SELECT 1 FROM texts WHERE sent_to = ?2 AND sent_to <> phone AND provider_id = ?1)
		OR EXISTS (SELECT 1 FROM foreign_messages WHERE provider_id = ?1)`, providerID, to.E164(), body).Scan(&known)
	if err != nil {
		return false, fmt.Errorf("find a text: %w", err)
	}
	return known, nil
}

// KnowsByID are the ids of the messages of this store's texts since, and of those
// that sending was stopped for before: a message whose phone the list hides is found
// by nothing else. It reads all texts, since there is no index on these ids.
func (s *Store) KnowsByID(ctx context.Context, since time.Time) (known map[string]bool, err error) {
	rows := s.read(ctx).Query(`SELECT provider_id FROM texts WHERE created_at >= ?1 AND provider_id IS NOT NULL
		UNION SELECT provider_id FROM foreign_messages UNION SELECT provider_id FROM unattributed_messages`, since.UnixMilli())
	known = make(map[string]bool)
	_, err = db.Collect(rows, func(r db.Scanner) (none struct{}, err error) {
		var id string
		err = r.Scan(&id)
		known[id] = true
		return none, err
	})
	if err != nil {
		return nil, fmt.Errorf("find texts: %w", err)
	}
	return known, nil
}

// Unfound are the texts of a phone of which the store has no message, and that may
// have one: those in doubt, and those that were not found and are not sent again.
func (s *Store) Unfound(ctx context.Context, to reminder.Phone) (created []time.Time, err error) {
	rows := s.read(ctx).Query(`SELECT created_at FROM texts WHERE phone_id = (SELECT phone_id FROM phones WHERE number = ?1)
		AND provider_id IS NULL AND state IN ('sending', 'unknown', 'not_found') ORDER BY created_at`, to.E164())
	all, err := db.Collect(rows, func(r db.Scanner) (at time.Time, err error) {
		err = r.Scan(db.InstantTo(&at))
		return at, err
	})
	if err != nil {
		return nil, fmt.Errorf("find texts in doubt: %w", err)
	}
	return all, nil
}
