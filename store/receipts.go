package store

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"duewatch/reminder"
	"duewatch/store/db"
)

// OpenText is a text that the provider may have more to say about.
type OpenText struct {
	ID         int64
	Service    string // of its first bill
	Account    string // of all its bills
	Bills      int
	ProviderID string
	State      TextState
	SentTo     reminder.Phone
	CreatedAt  time.Time
	AcceptedAt time.Time
	Polls      int // how often it was asked about
}

// billNames are the bills of a text for the log: the service of the first, and the
// accounts of all.
type billNames struct {
	service  string
	accounts []string
}

var billsOfTextsSQL = db.NewBatch(`SELECT r.text_id, b.service, b.account FROM reminders r JOIN bills b ON b.id = r.bill_id
	WHERE r.text_id IN (%s) ORDER BY r.id`, 0, db.Integer)

// namesOfBills names the bills of texts.
func namesOfBills[T any](ctx context.Context, s *Store, texts []T, id func(T) int64) (map[int64]billNames, error) {
	ids := make([]int64, len(texts))
	for i, t := range texts {
		ids[i] = id(t)
	}
	of := make(map[int64]billNames, len(texts))
	var textID int64 // each in turn
	var service, account string
	columns := []sql.Scanner{db.NumberTo(&textID), db.TextTo(&service), db.TextTo(&account)}
	err := s.view(ctx, func(t *tx) error {
		return db.QueryBatch(t.Tx, billsOfTextsSQL, ids, db.ID, columns, func() error {
			n := of[textID]
			n.service, n.accounts = cmp.Or(n.service, service), append(n.accounts, account)
			of[textID] = n
			return nil
		})
	})
	if err != nil {
		return nil, fmt.Errorf("read the bills of texts: %w", err)
	}
	return of, nil
}

var textsByIDSQL = db.NewBatch(`SELECT id, coalesce(provider_id, ''), state, created_at, accepted_at, polls, sent_to FROM texts
	WHERE id IN (%s) AND substr(sent_to, 1, 1) = '+'`, 0, db.Integer)

// TextsByID reads texts by their ids, in whatever state, for what the provider says of
// them by itself. Those that there are not, and those of people who were forgotten, are
// left out.
func (s *Store) TextsByID(ctx context.Context, ids []int64) (map[int64]OpenText, error) {
	var o OpenText // each in turn
	columns := []sql.Scanner{
		db.NumberTo(&o.ID), db.TextTo(&o.ProviderID), db.TextTo(&o.State), db.InstantTo(&o.CreatedAt), db.InstantTo(&o.AcceptedAt),
		db.NumberTo(&o.Polls), db.TextTo(&o.SentTo),
	}
	var found []OpenText
	err := s.view(ctx, func(t *tx) error {
		return db.QueryBatch(t.Tx, textsByIDSQL, ids, db.ID, columns, func() error {
			found = append(found, o)
			return nil
		})
	})
	if err != nil {
		return nil, fmt.Errorf("read texts: %w", err)
	}
	of, err := namesOfBills(ctx, s, found, func(o OpenText) int64 { return o.ID })
	byID := make(map[int64]OpenText, len(found))
	for _, o := range found {
		n := of[o.ID]
		o.Service, o.Account, o.Bills = n.service, strings.Join(n.accounts, ", "), len(n.accounts)
		byID[o.ID] = o
	}
	return byID, err
}

// OpenTexts reads up to n texts whose next poll is due, the oldest first.
func (s *Store) OpenTexts(ctx context.Context, now time.Time, n int) ([]OpenText, error) {
	rows := s.read(ctx).Query(`SELECT id, provider_id, state, created_at, accepted_at, polls, sent_to FROM texts
		WHERE next_poll_at <= ?1 AND provider_id IS NOT NULL ORDER BY next_poll_at LIMIT ?2 + 0`, now.UnixMilli(), n)
	open, err := db.Collect(rows, func(r db.Scanner) (o OpenText, err error) {
		err = r.Scan(&o.ID, &o.ProviderID, &o.State, db.InstantTo(&o.CreatedAt), db.InstantTo(&o.AcceptedAt), &o.Polls, &o.SentTo)
		return o, err
	})
	if err != nil {
		return nil, err
	}
	of, err := namesOfBills(ctx, s, open, func(o OpenText) int64 { return o.ID })
	for i, o := range open {
		n := of[o.ID]
		open[i].Service, open[i].Account, open[i].Bills = n.service, strings.Join(n.accounts, ", "), len(n.accounts)
	}
	return open, err
}

// Receipt is what the provider says of a text it took.
type Receipt struct {
	TextID int64
	// ProviderID is set for a callback, in which the provider itself says of which of our
	// texts this is the message: it settles a text in doubt. "" = the text was polled.
	ProviderID     string
	Service        string // of its first bill, for the log only
	Account        string // of all its bills
	SentTo         reminder.Phone
	CreatedAt      time.Time // of the text, as of OpenText
	AcceptedAt     time.Time
	State          TextState
	ProviderStatus string
	Code           int
	Error          string
	BilledSegments int    // 0 = not said
	Price          string // decimal, negative = charged; "" = not said
	PriceUnit      string
	NextPollAt     time.Time // zero = no more

	// OptOut is why the phone must not be texted again; "" = it may be.
	OptOut reminder.Reason
	// Why it was not delivered, "" = it was, or nobody knows.
	Why reminder.Reason
	// RetryAt is set when the failure may pass: the reminders are decided again
	// then, as a new text, if they have had fewer than MaxRedeliveries and are useful.
	RetryAt         time.Time
	MaxRedeliveries int
	// Destinations are as in SendOutcome: with RetryAt, they say when that is.
	Destinations []string
	// Stop is set when no other text may leave.
	Stop *reminder.Stop

	// Settled is set by RecordReceipts: the state in which the provider's word found a
	// text that nobody knew it to have. "" = that was known.
	Settled TextState
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
// state only moves its next poll, or, as a callback, does nothing. One that cannot be written holds up no other:
// the error names it, and the others are written.
func (s *Store) RecordReceipts(now time.Time, receipts []Receipt) (moved []Receipt, err error) {
	var faults []error
	err = s.do(func(t *tx) error {
		moved, faults = nil, nil
		return db.Together(t.Tx, receipts, func(batch []Receipt) error {
			isNew, err := t.receipts(now, batch)
			if err == nil {
				moved = append(moved, isNew...)
			}
			return err
		}, func(r Receipt, err error) error {
			faults = append(faults, fmt.Errorf("text %d: %w", r.TextID, err))
			return nil
		})
	})
	if err != nil {
		return nil, fmt.Errorf("record receipts: %w", err)
	}
	if len(faults) > 0 {
		err = fmt.Errorf("record receipts: %w", errors.Join(faults...))
	}
	return moved, err
}

// receipts writes a batch, or nothing of it when it fails.
func (t *tx) receipts(now time.Time, batch []Receipt) (moved []Receipt, err error) {
	for _, r := range batch {
		r.Settled = "" // a batch may be run twice
		isNew, err := t.receipt(now, &r)
		if err != nil {
			return nil, err
		}
		if isNew {
			moved = append(moved, r)
		}
	}
	return moved, nil
}

// receipt writes one. Where a fault of the sender stands, it is changed to say so.
func (t *tx) receipt(now time.Time, r *Receipt) (moved bool, err error) {
	if r.ProviderID != "" {
		known, err := t.proveAccepted(now, r)
		if err != nil || !known {
			return false, err
		}
	} else if err := t.polled(r); err != nil {
		return false, err
	}
	moved, err = t.forward(now, r)
	return moved || r.Settled != "", err
}

// polled notes what a poll says beside the state.
func (t *tx) polled(r *Receipt) error {
	_, err := t.Exec(`UPDATE texts SET next_poll_at = ?2, polls = polls + 1, billed_segments = coalesce(?3, billed_segments),
			price = coalesce(?4, price), price_unit = coalesce(?5, price_unit) WHERE id = ?1`,
		r.TextID, millis(r.NextPollAt), positive(r.BilledSegments), nullable(r.Price), nullable(r.PriceUnit))
	return err
}

// forward moves a text to the state that the provider says, if that comes after the one
// that it is in.
func (t *tx) forward(now time.Time, r *Receipt) (moved bool, err error) {
	from, ok := comesAfter[r.State]
	if !ok {
		return false, nil
	}
	if len(r.Destinations) > 0 { // as in judgeDestinations
		until, stopped, err := t.senderStopped(now)
		if err != nil {
			return false, err
		}
		if stopped {
			r.Why, r.RetryAt, r.Destinations = reminder.AccountFault, laterOf(r.RetryAt, until.Add(evidenceLast)), nil
		}
	}
	var settled any
	if r.State.Final() {
		settled = now.UnixMilli()
	}
	moved, err = t.Changed(`UPDATE texts SET state = ?2, provider_status = ?3, error_code = ?4, error = ?5, settled_at = ?6, refused_for = ?7,
			next_poll_at = ?8
		WHERE id = ?1 AND state <> ?2 AND state IN `+from,
		r.TextID, r.State, r.ProviderStatus, r.Code, r.Error, settled, r.Why, millis(r.NextPollAt))
	if err != nil || !moved {
		return false, err
	}
	if len(r.Destinations) > 0 {
		if r.RetryAt, err = t.refuseDestinations(now, r.Destinations, r.Code, r.Error); err != nil {
			return false, err
		}
	}
	useful, err := t.usefulAt(r.TextID, r.RetryAt)
	if err != nil {
		return false, err
	}
	if err := t.settleReminders(now, r.TextID, func(tries int) SendOutcome {
		o := SendOutcome{TextID: r.TextID, State: r.State, Error: r.Error, EventReason: r.Why}
		if useful && tries < r.MaxRedeliveries {
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
	return true, t.optOutPhoneOf(r.TextID, r.OptOut, now)
}

// usefulAt reports whether the text is still worth sending at an instant; at
// zero, which is no instant, it is not. What several bills shared may be for
// one of them, however soon another's time is over: each is decided about anew,
// and ends as expired if it has to.
func (t *tx) usefulAt(textID int64, at time.Time) (useful bool, err error) {
	if at.IsZero() {
		return false, nil
	}
	err = t.Row("SELECT not_after > ?2 OR (SELECT count(*) FROM reminders WHERE text_id = ?1) > 1 FROM texts WHERE id = ?1",
		textID, at.UnixMilli()).Scan(&useful)
	return useful, err
}
