package store

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"duewatch/reminder"
	"duewatch/store/db"
)

// OptOut is a phone that must not be texted, and why.
type OptOut struct {
	Phone   reminder.Phone
	Service string          // "" = every service
	Reason  reminder.Reason // OptedOut or BadNumber
	Since   time.Time
	Source  string // provider, operator, import or SourceMessage
	Who     string
}

// SourceMessage is the source of opt-outs that came by a message of the customer's own,
// such as STOP. A later message may end them, and no others.
const SourceMessage = "message"

// AddOptOuts keeps phones from being texted, from the next decision on. It
// returns how many were new; one that stands already is left as it is.
func (s *Store) AddOptOuts(all ...OptOut) (added int, err error) {
	err = s.do(func(t *tx) error {
		added = 0
		for _, o := range all {
			isNew, err := t.Changed(`INSERT INTO opt_outs (phone, service, reason, since, source, who) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
				`+unlessOptedOut, o.Phone.E164(), o.Service, o.Reason, o.Since.UnixMilli(), o.Source, o.Who)
			if err != nil {
				return err
			}
			if !isNew {
				continue
			}
			added++
			if err := t.optOutEvents(o, "opted_out"); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("add opt-outs: %w", err)
	}
	return added, nil
}

// optOutPhoneOf keeps the phone of a text from being texted again, on the
// provider's word. What it says of the phone that a text was redirected to is
// not said of the customer's. An opt-out takes the place of a bad number: it
// is the customer's word.
func (t *tx) optOutPhoneOf(textID int64, why reminder.Reason, now time.Time) error {
	if why == "" {
		return nil
	}
	_, err := t.Exec(`INSERT INTO opt_outs (phone, service, reason, since, source, who)
			SELECT phone, '', ?2, ?3, 'provider', 'twilio' FROM texts WHERE id = ?1 AND phone = sent_to AND substr(phone, 1, 1) = '+'
		`+unlessOptedOut, textID, why, now.UnixMilli())
	return err
}

const unlessOptedOut = `ON CONFLICT (phone, service) DO UPDATE
	SET reason = excluded.reason, since = excluded.since, source = excluded.source, who = excluded.who
	WHERE opt_outs.reason = 'bad_number' AND excluded.reason = 'opted_out'`

// RemoveOptOut lets a phone be texted again. It returns ErrNotFound when there
// is no such opt-out. Only Phone, Service, Since, Source and Who are used, the
// last three for the trail.
func (s *Store) RemoveOptOut(o OptOut) error {
	err := s.do(func(t *tx) error {
		removed, err := t.Changed("DELETE FROM opt_outs WHERE phone = ?1 AND service = ?2", o.Phone.E164(), o.Service)
		if err != nil {
			return err
		}
		if !removed {
			return ErrNotFound
		}
		return t.optOutEvents(o, "opt_out_removed")
	})
	if err != nil {
		return fmt.Errorf("remove opt-out: %w", err)
	}
	return nil
}

// metaOptIns are the provider's ids of the last messages that ended opt-outs.
const metaOptIns = "opt_in_messages"

// keptOptIns is how many of them are kept. Such messages are rare, and the provider
// repeats one within a minute or never.
const keptOptIns = 100

// EndOptOutByMessage ends the opt-out of a phone if it came by a message, and reports
// whether there was one. Only Phone, Since and Who are used. messageID is the provider's
// id of the message that ends it: where it comes a second time it does nothing, since the
// customer may have said STOP in between.
func (s *Store) EndOptOutByMessage(o OptOut, messageID string) (ended bool, err error) {
	o.Service, o.Source = "", SourceMessage
	err = s.do(func(t *tx) error {
		ended = false
		ids, err := metaOf(t, metaOptIns)
		if err != nil {
			return err
		}
		seen := strings.Fields(ids)
		if slices.Contains(seen, messageID) {
			return nil
		}
		seen = append(seen, messageID)
		if err := t.setMeta(metaOptIns, strings.Join(seen[max(0, len(seen)-keptOptIns):], " ")); err != nil {
			return err
		}
		ended, err = t.Changed("DELETE FROM opt_outs WHERE phone = ?1 AND service = '' AND source = ?2", o.Phone.E164(), SourceMessage)
		if err != nil || !ended {
			return err
		}
		return t.optOutEvents(o, "opt_out_removed")
	})
	if err != nil {
		return false, fmt.Errorf("end an opt-out: %w", err)
	}
	return ended, nil
}

// optOutEvents writes the change into the trail of each bill it concerns.
func (t *tx) optOutEvents(o OptOut, what string) error {
	rows := t.Query("SELECT id FROM bills WHERE phone = ?1 AND (?2 = '' OR service = ?2)", o.Phone.E164(), o.Service)
	ids, err := db.Collect(rows, db.ScanID)
	if err != nil {
		return err
	}
	for _, id := range ids {
		if err := t.event(Event{At: o.Since, BillID: id, What: what, Reason: o.Source, Detail: "by " + o.Who}); err != nil {
			return err
		}
	}
	return nil
}

// OptOutsOf reads the opt-outs of a phone.
func (s *Store) OptOutsOf(ctx context.Context, p reminder.Phone) ([]OptOut, error) {
	rows := s.read(ctx).Query("SELECT "+optOutColumns+" FROM opt_outs WHERE phone = ?1 ORDER BY service", p.E164())
	all, err := db.Collect(rows, scanOptOut)
	if err != nil {
		return nil, fmt.Errorf("read opt-outs of a phone: %w", err)
	}
	return all, nil
}

const optOutColumns = "phone, service, reason, since, source, who"

func scanOptOut(r db.Scanner) (o OptOut, err error) {
	err = r.Scan(&o.Phone, &o.Service, &o.Reason, db.InstantTo(&o.Since), &o.Source, &o.Who)
	return o, err
}

// PhonesOptedOut counts the phones that have any opt-out.
func (s *Store) PhonesOptedOut(ctx context.Context) (n int, err error) {
	if err := s.read(ctx).Row("SELECT count(DISTINCT phone) FROM opt_outs").Scan(&n); err != nil {
		return 0, fmt.Errorf("count opt-outs: %w", err)
	}
	return n, nil
}

// OptOuts calls each for every opt-out, by phone, and stops at its first error.
func (s *Store) OptOuts(ctx context.Context, each func(OptOut) error) error {
	return db.Each(s.read(ctx).Query("SELECT "+optOutColumns+" FROM opt_outs ORDER BY phone, service"), scanOptOut, each)
}
