package store

import (
	"context"
	"fmt"
	"time"

	"duewatch/reminder"
)

// TextState is where a text stands; states only go forward:
//
//	sending ─→ accepted ─→ sent ─→ delivered | undelivered | failed | canceled
//	sending ─→ refused      sending ─→ unknown ─→ accepted
type TextState string

// The states of a text.
const (
	Sending     TextState = "sending"  // the intent is written, the provider is being called
	Unknown     TextState = "unknown"  // it may or may not have reached the provider
	Refused     TextState = "refused"  // it certainly did not reach the customer
	Accepted    TextState = "accepted" // the provider has it
	Sent        TextState = "sent"     // the provider passed it to the carrier
	Delivered   TextState = "delivered"
	Undelivered TextState = "undelivered"
	Failed      TextState = "failed"
	Canceled    TextState = "canceled"
)

// Final reports whether the provider will say no more of the text.
func (s TextState) Final() bool {
	switch s {
	case Refused, Delivered, Undelivered, Failed, Canceled:
		return true
	case Sending, Unknown, Accepted, Sent:
	}
	return false
}

// Outcome is what became of handing a text to the provider.
type Outcome struct {
	TextID         int64
	State          TextState // Accepted, Refused or Unknown
	ProviderID     string    // with Accepted
	ProviderStatus string
	Code           int       // the provider's error code, 0 = none
	Error          string    // masked
	NextLook       time.Time // when the receipts job asks about it; zero = never

	// With Refused: what becomes of its reminders. Exactly one of Hold and Skip.
	Hold  reminder.Reason
	Until time.Time // with Hold: when to decide again
	Skip  reminder.Reason
	// Suppress is set when the phone must not be texted again.
	Suppress reminder.Reason
}

// RecordOutcome settles a text in state sending or unknown. When it returns,
// the outcome is on disk.
func (s *Store) RecordOutcome(_ context.Context, now time.Time, o Outcome) error {
	err := s.write.do(func(t *tx) error {
		var accepted, settled any
		if o.State == Accepted {
			accepted = now.UnixMilli()
		}
		if o.State.Final() {
			settled = now.UnixMilli()
		}
		ok, err := t.changed(`UPDATE texts SET state = ?2, provider_id = ?3, provider_status = ?4, error_code = ?5, error = ?6,
				accepted_at = ?7, settled_at = ?8, next_look_at = ?9
			WHERE id = ?1 AND state IN ('sending', 'unknown')`,
			o.TextID, o.State, nullable(o.ProviderID), o.ProviderStatus, o.Code, o.Error, accepted, settled, millis(o.NextLook))
		if err != nil {
			return err
		}
		if !ok {
			return fmt.Errorf("text %d is settled already", o.TextID)
		}
		return t.settleReminders(now, o)
	})
	if err != nil {
		return fmt.Errorf("record outcome: %w", err)
	}
	return nil
}

// settleReminders writes the outcome into the trail of each bill the text was
// for, and gives its reminders back when the text was refused.
func (t *tx) settleReminders(now time.Time, o Outcome) error {
	rows, err := t.query("SELECT b.id, b.phone FROM reminders r JOIN bills b ON b.id = r.bill_id WHERE r.text_id = ?1", o.TextID)
	if err != nil {
		return err
	}
	bills, err := collect(rows, func(r row) (b reminder.Bill, err error) {
		err = r.Scan(&b.ID, &b.Phone)
		return b, err //nolint:wrapcheck // wrapped by the caller
	})
	if err != nil {
		return err
	}
	for _, b := range bills {
		e := Event{At: now, BillID: b.ID, TextID: o.TextID, What: string(o.State), Reason: string(o.Hold + o.Skip), Detail: o.Error}
		if o.State == Accepted {
			e.Detail = "the provider took it as " + o.ProviderID
		}
		if e.Reason == "" {
			e.Reason = "provider"
		}
		if err := t.event(e); err != nil {
			return err
		}
		if o.State == Refused {
			if err := t.giveBack(now, b, o); err != nil {
				return err
			}
		}
	}
	return nil
}

func (t *tx) giveBack(now time.Time, b reminder.Bill, o Outcome) error {
	outcome, reason := reminder.Skipped, o.Skip
	if o.Hold != "" {
		outcome, reason = reminder.Held, o.Hold
	}
	if _, err := t.exec(`UPDATE reminders SET outcome = ?2, reason = ?3, text_id = NULL, decided_at = ?4
		WHERE text_id = ?1 AND bill_id = ?5`, o.TextID, outcome, reason, now.UnixMilli(), b.ID); err != nil {
		return err
	}
	if o.Hold != "" {
		// Not later than the look that is planned already: it may be the next stage.
		if _, err := t.exec(`INSERT INTO due_remind (bill_id, at) VALUES (?1, ?2)
			ON CONFLICT (bill_id) DO UPDATE SET at = excluded.at WHERE due_remind.at > excluded.at`,
			b.ID, o.Until.UnixMilli()); err != nil {
			return err
		}
	}
	if o.Suppress == "" {
		return nil
	}
	_, err := t.exec(`INSERT INTO opt_outs (phone, service, reason, since, source, who) VALUES (?1, '', ?2, ?3, 'provider', 'twilio')
		ON CONFLICT (phone, service) DO NOTHING`, b.Phone.E164(), o.Suppress, now.UnixMilli())
	return err
}

// Orphans turns the texts that another process, which must be dead, or this
// one, past its lease, left in state sending into unknown: whether they
// reached the provider cannot be told from here. It returns how many.
func (s *Store) Orphans(_ context.Context, now time.Time, owner string) (n int, err error) {
	err = s.write.do(func(t *tx) error {
		rows, err := t.query("SELECT id FROM texts WHERE state = 'sending' AND (owner <> ?1 OR lease_until < ?2)", owner, now.UnixMilli())
		if err != nil {
			return err
		}
		ids, err := collect(rows, scanID)
		if err != nil {
			return err
		}
		n = len(ids)
		for _, id := range ids {
			const why = "duewatch ended while the provider was being called"
			if _, err := t.exec("UPDATE texts SET state = 'unknown', error = ?2 WHERE id = ?1 AND state = 'sending'", id, why); err != nil {
				return err
			}
			if err := t.settleReminders(now, Outcome{TextID: id, State: Unknown, Error: why}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("find texts in doubt: %w", err)
	}
	return n, nil
}

func nullable(s string) any {
	if s == "" {
		return nil
	}
	return s
}
