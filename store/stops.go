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
	rows, err := q.Query(`SELECT reason, since, until_at, detail FROM stops
		WHERE until_at IS NULL OR until_at > ?1 ORDER BY until_at IS NOT NULL, since, reason`, now.UnixMilli())
	if err != nil {
		return nil, err
	}
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

// EndStop ends the stop of that reason, whose cause is gone.
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
	err = s.do(func(t *tx) error {
		news = 0
		for _, f := range found {
			isNew, err := t.Changed("INSERT INTO unattributed_messages (provider_id, at) VALUES (?1, ?2) ON CONFLICT (provider_id) DO NOTHING",
				f.ProviderID, f.At.UnixMilli())
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

// RecordForeignMessages keeps the texts that are strangers, so that their stages are
// not texted again, and stops sending when any of them is new. It returns how
// many are.
func (s *Store) RecordForeignMessages(now time.Time, found []ForeignMessage, stop reminder.Stop) (news int, err error) {
	err = s.do(func(t *tx) error {
		news = 0
		for _, f := range found {
			isNew, err := t.Changed("INSERT INTO foreign_messages (provider_id, bill_id, at) VALUES (?1, ?2, ?3) ON CONFLICT (provider_id, bill_id) DO NOTHING",
				f.ProviderID, f.BillID, f.At.UnixMilli())
			if err != nil {
				return err
			}
			if !isNew {
				continue
			}
			news++
			if err := t.event(Event{At: now, BillID: f.BillID, What: "foreign_message", Reason: string(stop.Reason),
				Detail: "the provider has a text from " + f.At.UTC().Format(time.RFC3339) + " that this store did not know: " + f.ProviderID}); err != nil {
				return err
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
// of these is learned, such as that of the month that a restored backup does not
// know: a stage near one of them is not texted again. Nothing is stopped for them.
func (s *Store) KeepForeignMessages(found []ForeignMessage) error {
	if len(found) == 0 {
		return nil
	}
	err := s.do(func(t *tx) error {
		for _, f := range found {
			if _, err := t.Exec("INSERT INTO foreign_messages (provider_id, bill_id, at) VALUES (?1, ?2, ?3) ON CONFLICT (provider_id, bill_id) DO NOTHING",
				f.ProviderID, f.BillID, f.At.UnixMilli()); err != nil {
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

// ForeignMessageOf is a stranger and the bill it is about.
type ForeignMessageOf struct {
	ForeignMessage
	Service, Account string
}

// ForeignMessages reads the latest n strangers, and how many more there are.
func (s *Store) ForeignMessages(ctx context.Context, n int) (latest []ForeignMessageOf, more int, err error) {
	rows, err := s.read(ctx).Query(`SELECT x.provider_id, x.bill_id, x.at, b.service, b.account
		FROM foreign_messages x JOIN bills b ON b.id = x.bill_id ORDER BY x.at DESC LIMIT ?1 + 0`, n)
	if err != nil {
		return nil, 0, fmt.Errorf("read unknown texts: %w", err)
	}
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

// textedElsewhere are the instants of the strangers about the bill.
func (t *tx) textedElsewhere(billID int64) ([]time.Time, error) {
	rows, err := t.Query("SELECT at FROM foreign_messages WHERE bill_id = ?1", billID)
	if err != nil {
		return nil, err
	}
	return db.Collect(rows, func(r db.Scanner) (at time.Time, err error) {
		err = r.Scan(db.InstantTo(&at))
		return at, err
	})
}

// foreignMessagesOf counts the texts that a phone has had since, and that this store
// does not know: they are texts of its day like others.
func (t *tx) foreignMessagesOf(p reminder.Phone, since int64) (n int, err error) {
	err = t.Row(`SELECT count(DISTINCT provider_id) FROM foreign_messages
		WHERE bill_id IN (SELECT id FROM bills WHERE phone = ?1) AND at >= ?2`, p.E164(), since).Scan(&n)
	return n, err
}

// Knows reports whether a message in the provider's list is a text of this
// store: by its id, or, where the answer was lost, by its words; or is a
// stranger already.
func (s *Store) Knows(ctx context.Context, providerID string, to reminder.Phone, body string) (known bool, err error) {
	err = s.read(ctx).Row(`SELECT EXISTS (SELECT 1 FROM texts WHERE phone_id = (SELECT phone_id FROM phones WHERE number = ?2) AND (provider_id = ?1 OR body = ?3))
		OR EXISTS (SELECT 1 FROM texts WHERE sent_to = ?2 AND sent_to <> phone AND provider_id = ?1)
		OR EXISTS (SELECT 1 FROM foreign_messages WHERE provider_id = ?1)`, providerID, to.E164(), body).Scan(&known)
	if err != nil {
		return false, fmt.Errorf("look for a text: %w", err)
	}
	return known, nil
}

// KnowsByID are the ids of the messages of this store's texts since, and of those
// that sending was stopped for before: a message whose phone the list hides is found
// by nothing else. It reads all texts, since there is no index on these ids.
func (s *Store) KnowsByID(ctx context.Context, since time.Time) (known map[string]bool, err error) {
	rows, err := s.read(ctx).Query(`SELECT provider_id FROM texts WHERE created_at >= ?1 AND provider_id IS NOT NULL
		UNION SELECT provider_id FROM foreign_messages UNION SELECT provider_id FROM unattributed_messages`, since.UnixMilli())
	if err != nil {
		return nil, fmt.Errorf("look for texts: %w", err)
	}
	known = make(map[string]bool)
	_, err = db.Collect(rows, func(r db.Scanner) (none struct{}, err error) {
		var id string
		err = r.Scan(&id)
		known[id] = true
		return none, err
	})
	return known, err
}

// Unfound are the texts of a phone of which the store has no message, and that may
// have one: those in doubt, and those that were not found and are not sent again.
func (s *Store) Unfound(ctx context.Context, to reminder.Phone) (created []time.Time, err error) {
	rows, err := s.read(ctx).Query(`SELECT created_at FROM texts WHERE phone_id = (SELECT phone_id FROM phones WHERE number = ?1)
		AND provider_id IS NULL AND state IN ('sending', 'unknown', 'not_found') ORDER BY created_at`, to.E164())
	if err != nil {
		return nil, fmt.Errorf("look for texts in doubt: %w", err)
	}
	return db.Collect(rows, func(r db.Scanner) (at time.Time, err error) {
		err = r.Scan(db.InstantTo(&at))
		return at, err
	})
}

// BillsOfAccount reads the bills of an account number, of any service.
func (s *Store) BillsOfAccount(ctx context.Context, account string) ([]reminder.Bill, error) {
	bills, err := selected(s.read(ctx), Selector{Account: account}, reminder.Bill{}, selectorPage)
	if err != nil {
		return nil, fmt.Errorf("read bills of an account: %w", err)
	}
	return bills, nil
}

// BillsOf reads the bills of a phone.
func (s *Store) BillsOf(ctx context.Context, p reminder.Phone) ([]reminder.Bill, error) {
	rows, err := s.read(ctx).Query("SELECT "+billColumns+" FROM bills WHERE phone = ?1", p.E164())
	if err != nil {
		return nil, fmt.Errorf("read bills of a phone: %w", err)
	}
	return db.Collect(rows, scanBill)
}
