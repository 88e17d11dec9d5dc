package store

import (
	"context"
	"fmt"
	"time"

	"duewatch/reminder"
	"duewatch/store/db"
)

// A destination that the provider refused is tried again after retryDestination,
// then after twice that, and so on up to retryDestinationMost: what it was refused
// for takes an operator, and each try costs a call.
const (
	retryDestination     = time.Hour
	retryDestinationMost = 24 * time.Hour
	// forgetDestination is for how long after its last try a row counts its
	// refusals on.
	forgetDestination = 30 * 24 * time.Hour
)

// Destination is a phone or a country that the provider refuses.
type Destination struct {
	Phone   reminder.Phone // "" = it is a country
	Country string         // its calling code with the plus; "" = it is a phone
	Since   time.Time
	Until   time.Time // when it is tried again
	Code    int
	Detail  string // what the provider said, and what to do about it
	// Service and Account name one bill of it.
	Service, Account string
}

// refuseDestinations notes that the provider refused destinations, and returns when they are
// tried again. One that is refused again before its time was tried beside the
// first, and counts once.
func (t *tx) refuseDestinations(now time.Time, scopes []string, code int, detail string) (until time.Time, err error) {
	if _, err := t.Exec("DELETE FROM refused_destinations WHERE until_at < ?1", now.Add(-forgetDestination).UnixMilli()); err != nil {
		return until, err
	}
	for _, scope := range scopes {
		at, err := t.refuseDestination(now, scope, code, detail)
		if err != nil {
			return until, err
		}
		if at.After(until) {
			until = at
		}
	}
	return until, nil
}

func (t *tx) refuseDestination(now time.Time, scope string, code int, detail string) (until time.Time, err error) {
	var times int
	rows := t.Query("SELECT until_at, times FROM refused_destinations WHERE scope = ?1", scope)
	if _, err := db.Collect(rows, func(r db.Scanner) (none struct{}, err error) {
		return none, r.Scan(db.InstantTo(&until), &times)
	}); err != nil {
		return until, err
	}
	if until.After(now) {
		return until, nil
	}
	wait := retryDestination
	for range times {
		wait = min(2*wait, retryDestinationMost)
	}
	until = now.Add(wait)
	_, err = t.Exec(`INSERT INTO refused_destinations (scope, since, until_at, times, code, detail) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
		ON CONFLICT (scope) DO UPDATE SET until_at = excluded.until_at, times = excluded.times, code = excluded.code, detail = excluded.detail`,
		scope, now.UnixMilli(), until.UnixMilli(), times+1, code, detail)
	return until, err
}

// endRefusalsOf ends what stands against the destinations of texts that the provider
// took: their phones, and the countries of these.
func (t *tx) endRefusalsOf(taken []SendOutcome) error {
	if len(taken) == 0 {
		return nil
	}
	var refused bool
	if err := t.Row("SELECT EXISTS (SELECT 1 FROM refused_destinations)").Scan(&refused); err != nil || !refused {
		return err
	}
	for _, o := range taken {
		var to reminder.Phone
		if err := t.Row("SELECT sent_to FROM texts WHERE id = ?1", o.TextID).Scan(&to); err != nil {
			return err
		}
		if _, err := t.Exec("DELETE FROM refused_destinations WHERE scope"+ofPhone, scopesOf(to)...); err != nil {
			return err
		}
	}
	return nil
}

// shortestPhone is how long a phone with its plus is at least, and longer than
// any calling code.
const shortestPhone = 8

// ofPhone is the condition on a scope that it is a phone or its country: a calling
// code has one to three digits, and none is the beginning of another.
const ofPhone = " IN (?1, ?2, ?3, ?4)"

func scopesOf(p reminder.Phone) []any {
	n := p.E164()
	return []any{n, n[:min(2, len(n))], n[:min(3, len(n))], n[:min(4, len(n))]}
}

// refusedUntil is until when the phone of a bill waits since the provider refused
// it or its country, and what it said; zero = it does not.
func (t *tx) refusedUntil(p reminder.Phone, now time.Time) (until time.Time, why string, err error) {
	rows := t.Query("SELECT until_at, detail FROM refused_destinations WHERE scope"+ofPhone+" AND until_at > ?5 ORDER BY until_at",
		append(scopesOf(p), now.UnixMilli())...)
	_, err = db.Collect(rows, func(r db.Scanner) (none struct{}, err error) {
		return none, r.Scan(db.InstantTo(&until), &why) // the last is the latest
	})
	return until, why, err
}

// senderStopped is until when a fault of the sender or the account stands; zero =
// none does. What is refused meanwhile says nothing of a destination.
func (t *tx) senderStopped(now time.Time) (until time.Time, stopped bool, err error) {
	rows := t.Query("SELECT until_at FROM stops WHERE reason = ?1 AND (until_at IS NULL OR until_at > ?2)",
		reminder.AccountFault, now.UnixMilli())
	_, err = db.Collect(rows, func(r db.Scanner) (none struct{}, err error) {
		stopped = true
		return none, r.Scan(db.InstantTo(&until))
	})
	return until, stopped, err
}

// evidenceLast is by how much later than all others those are tried that were the
// evidence against a sender: were they first again, some that are refused for
// good could stop all others again and again.
const evidenceLast = time.Minute

// blameSender gives back what the provider refused to these phones when it turned out
// to be the sender's fault: it is decided again once the stop is over.
func (t *tx) blameSender(now time.Time, phones []reminder.Phone, until time.Time) error {
	for _, p := range phones {
		if _, err := t.Exec("DELETE FROM refused_destinations WHERE scope = ?1", p.E164()); err != nil {
			return err
		}
		rows := t.Query(`UPDATE reminders SET reason = ?2, decided_at = ?3
			WHERE bill_id IN (SELECT id FROM bills WHERE phone = ?1) AND outcome = 'held' AND reason = ?4 RETURNING bill_id`,
			p.E164(), reminder.AccountFault, now.UnixMilli(), reminder.DestinationRefused)
		bills, err := db.Collect(rows, db.ScanID)
		if err != nil {
			return err
		}
		for _, id := range bills {
			if err := t.schedule(dueRemind, id, until.Add(evidenceLast)); err != nil {
				return err
			}
			if err := t.event(Event{At: now, BillID: id, What: string(reminder.Held), Reason: string(reminder.AccountFault),
				Detail: "it was not the destination: different ones were refused alike"}); err != nil {
				return err
			}
		}
	}
	return nil
}

// StopSender is StopSending for a fault that the refusals of several phones are
// the evidence of: what was refused to them waits for the end of the stop as all
// else does.
func (s *Store) StopSender(now time.Time, stop reminder.Stop, evidence []reminder.Phone) error {
	err := s.do(func(t *tx) error {
		if err := t.blameSender(now, evidence, orNow(stop.Until, now)); err != nil {
			return err
		}
		return t.stopSending(now, stop)
	})
	if err != nil {
		return fmt.Errorf("stop sending: %w", err)
	}
	return nil
}

// RefusedDestinations reads up to n destinations that wait since the provider
// refused them, those that wait longest first, and how many more there are.
func (s *Store) RefusedDestinations(ctx context.Context, now time.Time, n int) (first []Destination, more int, err error) {
	rows := s.read(ctx).Query(`SELECT scope, since, until_at, code, detail,
			coalesce((SELECT service FROM bills WHERE phone = scope ORDER BY id LIMIT 1), ''),
			coalesce((SELECT account FROM bills WHERE phone = scope ORDER BY id LIMIT 1), '')
		FROM refused_destinations WHERE until_at > ?1 ORDER BY length(scope) >= ?3, since, scope LIMIT ?2 + 0`, now.UnixMilli(), n, shortestPhone)
	first, err = db.Collect(rows, func(r db.Scanner) (d Destination, err error) {
		var scope string
		err = r.Scan(&scope, db.InstantTo(&d.Since), db.InstantTo(&d.Until), &d.Code, &d.Detail, &d.Service, &d.Account)
		if len(scope) < shortestPhone {
			d.Country = scope
		} else {
			d.Phone = reminder.Phone(scope)
		}
		return d, err
	})
	if err != nil {
		return nil, 0, fmt.Errorf("read refused destinations: %w", err)
	}
	if err := s.read(ctx).Row("SELECT count(*) FROM refused_destinations WHERE until_at > ?1", now.UnixMilli()).Scan(&more); err != nil {
		return nil, 0, fmt.Errorf("count refused destinations: %w", err)
	}
	return first, more - len(first), nil
}

// judgeDestinations says until when a text that was refused for its destination
// waits: for its next turn, or, where the sender turned out to be at fault
// meanwhile or by this very text, for the end of that stop.
func (t *tx) judgeDestinations(now time.Time, o *SendOutcome) error {
	if len(o.Destinations)+len(o.Evidence) == 0 || o.State != Refused {
		return nil
	}
	until, stopped, err := t.senderStopped(now)
	switch {
	case err != nil:
		return err
	case len(o.Evidence) > 0:
		o.Until = o.Stop.Until.Add(evidenceLast)
	case stopped:
		o.Hold, o.Until = reminder.AccountFault, orNow(until, now).Add(evidenceLast)
	default:
		if o.Until, err = t.refuseDestinations(now, o.Destinations, o.Code, o.Error); err != nil {
			return err
		}
	}
	var notAfter time.Time
	if err := t.Row("SELECT not_after FROM texts WHERE id = ?1", o.TextID).Scan(db.InstantTo(&notAfter)); err != nil {
		return err
	}
	if o.Until.After(notAfter) {
		o.Until = notAfter // where the reminder expires by itself
	}
	_, err = t.Exec("UPDATE texts SET refused_for = ?2 WHERE id = ?1 AND state = 'refused'", o.TextID, o.Hold)
	return err
}
