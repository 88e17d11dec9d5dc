package store

import (
	"context"
	"fmt"
	"time"
)

// OpenText is a text that the provider may have more to say about.
type OpenText struct {
	ID         int64
	ProviderID string
	State      TextState
	AcceptedAt time.Time
	Looks      int // how often it was asked about
}

// OpenTexts reads up to n texts whose next look has come, the oldest first.
func (s *Store) OpenTexts(ctx context.Context, now time.Time, n int) ([]OpenText, error) {
	rows, err := s.read.QueryContext(ctx, `SELECT id, provider_id, state, accepted_at, looks FROM texts
		WHERE next_look_at <= ?1 ORDER BY next_look_at LIMIT ?2`, now.UnixMilli(), n)
	if err != nil {
		return nil, fmt.Errorf("read open texts: %w", explain(err))
	}
	return collect(rows, func(r row) (o OpenText, err error) {
		err = r.Scan(&o.ID, &o.ProviderID, &o.State, instantColumn{&o.AcceptedAt}, &o.Looks)
		return o, err //nolint:wrapcheck // names the column
	})
}

// Receipt is what the provider says of a text it took.
type Receipt struct {
	TextID         int64
	State          TextState
	ProviderStatus string
	Code           int
	Error          string
	BilledSegments int    // 0 = not said
	Price          string // decimal, negative = charged; "" = not said
	PriceUnit      string
	NextLook       time.Time // zero = no more
}

// comesAfter says which states each state may follow.
var comesAfter = map[TextState]string{
	Accepted:    "('accepted')",
	Sent:        "('accepted', 'sent')",
	Delivered:   "('accepted', 'sent')",
	Undelivered: "('accepted', 'sent')",
	Failed:      "('accepted', 'sent')",
	Canceled:    "('accepted', 'sent')",
}

// RecordReceipts writes what the provider said. A receipt that would take a
// text back to an earlier state only moves its next look.
func (s *Store) RecordReceipts(_ context.Context, now time.Time, receipts []Receipt) error {
	err := s.write.do(func(t *tx) error {
		for _, r := range receipts {
			if err := t.receipt(now, r); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("record receipts: %w", err)
	}
	return nil
}

func (t *tx) receipt(now time.Time, r Receipt) error {
	if _, err := t.exec("UPDATE texts SET next_look_at = ?2, looks = looks + 1 WHERE id = ?1", r.TextID, millis(r.NextLook)); err != nil {
		return err
	}
	from, ok := comesAfter[r.State]
	if !ok {
		return nil
	}
	if _, err := t.exec(`UPDATE texts SET billed_segments = coalesce(?2, billed_segments), price = coalesce(?3, price),
			price_unit = coalesce(?4, price_unit) WHERE id = ?1`,
		r.TextID, positive(r.BilledSegments), nullable(r.Price), nullable(r.PriceUnit)); err != nil {
		return err
	}
	var settled any
	if r.State.Final() {
		settled = now.UnixMilli()
	}
	moved, err := t.changed(`UPDATE texts SET state = ?2, provider_status = ?3, error_code = ?4, error = ?5, settled_at = ?6
		WHERE id = ?1 AND state <> ?2 AND state IN `+from, r.TextID, r.State, r.ProviderStatus, r.Code, r.Error, settled)
	if err != nil || !moved {
		return err
	}
	rows, err := t.query("SELECT bill_id FROM reminders WHERE text_id = ?1", r.TextID)
	if err != nil {
		return err
	}
	bills, err := collect(rows, scanID)
	if err != nil {
		return err
	}
	for _, id := range bills {
		if err := t.event(Event{At: now, BillID: id, TextID: r.TextID, What: string(r.State), Reason: "receipt", Detail: r.Error}); err != nil {
			return err
		}
	}
	return nil
}

func positive(n int) any {
	if n <= 0 {
		return nil
	}
	return n
}
