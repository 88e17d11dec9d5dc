package store

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"time"

	"duewatch/reminder"
)

// OpenText is a text that the provider may have more to say about.
type OpenText struct {
	ID         int64
	Service    string // of its first bill
	Account    string // of all its bills
	Bills      int
	ProviderID string
	State      TextState
	AcceptedAt time.Time
	Looks      int // how often it was asked about
}

// whose names the bills of a text for the log: the service of the first, and
// the accounts of all. It returns how many they are.
func (s *Store) whose(ctx context.Context, textID int64, service, accounts *string) (bills int, err error) {
	rows, err := s.read.QueryContext(ctx, "SELECT b.service, b.account FROM reminders r JOIN bills b ON b.id = r.bill_id WHERE r.text_id = ?1 ORDER BY r.id", textID)
	if err != nil {
		return 0, fmt.Errorf("read the bills of text %d: %w", textID, explain(err))
	}
	all, err := collect(rows, func(r row) (account string, err error) {
		of := ""
		if err = r.Scan(&of, &account); *service == "" {
			*service = of
		}
		return account, err //nolint:wrapcheck // names the column
	})
	*accounts = strings.Join(all, ", ")
	return len(all), err
}

// OpenTexts reads up to n texts whose next look has come, the oldest first.
func (s *Store) OpenTexts(ctx context.Context, now time.Time, n int) ([]OpenText, error) {
	rows, err := s.read.QueryContext(ctx, `SELECT id, provider_id, state, accepted_at, looks FROM texts
		WHERE next_look_at <= ?1 AND provider_id IS NOT NULL ORDER BY next_look_at LIMIT ?2`, now.UnixMilli(), n)
	if err != nil {
		return nil, fmt.Errorf("read open texts: %w", explain(err))
	}
	open, err := collect(rows, func(r row) (o OpenText, err error) {
		err = r.Scan(&o.ID, &o.ProviderID, &o.State, instantColumn{&o.AcceptedAt}, &o.Looks)
		return o, err //nolint:wrapcheck // names the column
	})
	for i := range open {
		if err == nil {
			open[i].Bills, err = s.whose(ctx, open[i].ID, &open[i].Service, &open[i].Account)
		}
	}
	return open, err
}

// Receipt is what the provider says of a text it took.
type Receipt struct {
	TextID         int64
	Service        string // of its first bill, for the log only
	Account        string // of all its bills
	State          TextState
	ProviderStatus string
	Code           int
	Error          string
	BilledSegments int    // 0 = not said
	Price          string // decimal, negative = charged; "" = not said
	PriceUnit      string
	NextLook       time.Time // zero = no more

	// Suppress is set when the phone must not be texted again.
	Suppress reminder.Reason
	// Why it was not delivered, "" = it was, or nobody knows.
	Why reminder.Reason
	// RetryAt is set when the failure may pass: the reminders are decided again
	// then, as a new text, if they have had fewer than MaxTries and are useful.
	RetryAt  time.Time
	MaxTries int
	// Stop is set when no other text may leave.
	Stop *reminder.Stop
}

// comesAfter says which states each state may follow.
var comesAfter = map[TextState]string{
	Accepted:    "('accepted')",
	Sent:        "('accepted', 'sent')",
	Delivered:   "('accepted', 'sent')",
	Undelivered: "('accepted', 'sent')",
	Failed:      "('accepted', 'sent')",
	Canceled:    "('accepted', 'sent')",
	Unconfirmed: "('accepted', 'sent')",
}

// RecordReceipts writes what the provider said, and returns the receipts that
// moved a text to another state. One that would take a text back to an earlier
// state only moves its next look.
func (s *Store) RecordReceipts(_ context.Context, now time.Time, receipts []Receipt) (moved []Receipt, err error) {
	err = s.do(func(t *tx) error {
		moved = nil
		for _, r := range receipts {
			isNew, err := t.receipt(now, r)
			if err != nil {
				return err
			}
			if isNew {
				moved = append(moved, r)
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("record receipts: %w", err)
	}
	return moved, nil
}

func (t *tx) receipt(now time.Time, r Receipt) (moved bool, err error) {
	if _, err := t.exec("UPDATE texts SET next_look_at = ?2, looks = looks + 1 WHERE id = ?1", r.TextID, millis(r.NextLook)); err != nil {
		return false, err
	}
	from, ok := comesAfter[r.State]
	if !ok {
		return false, nil
	}
	if _, err := t.exec(`UPDATE texts SET billed_segments = coalesce(?2, billed_segments), price = coalesce(?3, price),
			price_unit = coalesce(?4, price_unit) WHERE id = ?1`,
		r.TextID, positive(r.BilledSegments), nullable(r.Price), nullable(r.PriceUnit)); err != nil {
		return false, err
	}
	var settled any
	if r.State.Final() {
		settled = now.UnixMilli()
	}
	moved, err = t.changed(`UPDATE texts SET state = ?2, provider_status = ?3, error_code = ?4, error = ?5, settled_at = ?6, refused_for = ?7
		WHERE id = ?1 AND state <> ?2 AND state IN `+from, r.TextID, r.State, r.ProviderStatus, r.Code, r.Error, settled, r.Why)
	if err != nil || !moved {
		return false, err
	}
	useful, err := t.usefulAt(r.TextID, r.RetryAt)
	if err != nil {
		return false, err
	}
	if err := t.settleReminders(now, r.TextID, func(tries int) Outcome {
		o := Outcome{TextID: r.TextID, State: r.State, Error: r.Error}
		if useful && tries < r.MaxTries {
			o.Hold, o.Until, o.Tried = cmp.Or(r.Why, reminder.NotDelivered), r.RetryAt, true
		}
		return o
	}); err != nil {
		return false, err
	}
	if r.Stop != nil {
		if err := t.stopSending(now, *r.Stop); err != nil {
			return false, err
		}
	}
	return true, t.suppress(r.TextID, r.Suppress, now)
}

// usefulAt reports whether the text is still worth sending at an instant; at
// zero, which is no instant, it is not. What several bills shared may be for
// one of them, however soon another's time is over: each is decided about anew,
// and ends as expired if it has to.
func (t *tx) usefulAt(textID int64, at time.Time) (useful bool, err error) {
	if at.IsZero() {
		return false, nil
	}
	err = t.row("SELECT not_after > ?2 OR (SELECT count(*) FROM reminders WHERE text_id = ?1) > 1 FROM texts WHERE id = ?1", textID, at.UnixMilli()).Scan(&useful)
	return useful, explain(err)
}

func positive(n int) any {
	if n <= 0 {
		return nil
	}
	return n
}
