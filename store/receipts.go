package store

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"slices"
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
	if len(texts) == 0 {
		return map[int64]billNames{}, nil
	}
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

// receipts writes a batch, or nothing of it when it fails. A text that is in it several
// times is moved step by step.
func (t *tx) receipts(now time.Time, batch []Receipt) (moved []Receipt, err error) {
	for len(batch) > 0 {
		n := differentTexts(batch)
		news, err := t.receiptsOfTexts(now, batch[:n])
		if err != nil {
			return nil, err
		}
		moved, batch = append(moved, news...), batch[n:]
	}
	return moved, nil
}

// differentTexts is how many receipts, from the first on, are of different texts.
func differentTexts(batch []Receipt) int {
	seen := make(map[int64]bool, len(batch))
	for i, r := range batch {
		if seen[r.TextID] {
			return i
		}
		seen[r.TextID] = true
	}
	return len(batch)
}

// receiptsOfTexts writes receipts of different texts. Where a fault of the sender stands,
// those that it explains are changed to say so.
func (t *tx) receiptsOfTexts(now time.Time, batch []Receipt) (moved []Receipt, err error) {
	receipts := slices.Clone(batch) // the batch may be run twice
	if err := t.polled(receipts); err != nil {
		return nil, err
	}
	if receipts, err = t.proveAccepted(now, receipts); err != nil {
		return nil, err
	}
	for i := range receipts {
		if err := t.blameStoppedSender(now, &receipts[i]); err != nil {
			return nil, err
		}
	}
	forward, err := t.forward(now, receipts)
	if err != nil {
		return nil, err
	}
	if err := t.settleReceipts(now, receipts, forward); err != nil {
		return nil, err
	}
	for _, r := range receipts {
		if forward[r.TextID] || r.Settled != "" {
			moved = append(moved, r)
		}
	}
	return moved, nil
}

var polledSQL = db.NewBatch(`WITH v (id, next_poll, segments, price, unit) AS (VALUES %s)
	UPDATE texts SET next_poll_at = v.next_poll, polls = texts.polls + 1, billed_segments = coalesce(v.segments, texts.billed_segments),
		price = coalesce(v.price, texts.price), price_unit = coalesce(v.unit, texts.price_unit)
	FROM v WHERE texts.id = v.id`, 0, db.Integer, db.Integer, db.Integer, db.Text, db.Text)

// polled notes what polls say beside the state.
func (t *tx) polled(receipts []Receipt) error {
	var polls []Receipt
	for _, r := range receipts {
		if r.ProviderID == "" {
			polls = append(polls, r)
		}
	}
	_, err := db.ExecBatch(t.Tx, polledSQL, polls, func(args []any, r Receipt) []any {
		return append(args, r.TextID, millis(r.NextPollAt), positive(r.BilledSegments), nullable(r.Price), nullable(r.PriceUnit))
	})
	return err
}

// blameStoppedSender has a text that was refused by its destination wait for the end of a
// fault of the sender, as in judgeDestinations.
func (t *tx) blameStoppedSender(now time.Time, r *Receipt) error {
	if len(r.Destinations) == 0 {
		return nil
	}
	until, stopped, err := t.senderStopped(now)
	if err == nil && stopped {
		r.Why, r.RetryAt, r.Destinations = reminder.AccountFault, laterOf(r.RetryAt, until.Add(evidenceLast)), nil
	}
	return err
}

// comesAfterSending are the states that a text may come to once it is accepted. From sent it
// goes to each of the others, and from those to none.
var comesAfterSending = map[TextState]bool{
	Sent: true, Delivered: true, Undelivered: true, Failed: true, Canceled: true, Unconfirmed: true,
}

var forwardSQL = db.NewBatch(`WITH v (id, state, status, code, error, settled, why, next_poll) AS (VALUES %s)
	UPDATE texts SET state = v.state, provider_status = v.status, error_code = v.code, error = v.error, settled_at = v.settled,
		refused_for = v.why, next_poll_at = v.next_poll
	FROM v WHERE texts.id = v.id AND texts.state || '' IN ('accepted', 'sent') AND texts.state <> v.state RETURNING texts.id`, 0,
	db.Integer, db.Text, db.Text, db.Integer, db.Text, db.Integer, db.Text, db.Integer)

// forward moves texts to the states that the provider says, where those come after the
// ones that they are in, and returns which it moved.
func (t *tx) forward(now time.Time, receipts []Receipt) (moved map[int64]bool, err error) {
	var onward []Receipt
	for _, r := range receipts {
		if comesAfterSending[r.State] {
			onward = append(onward, r)
		}
	}
	var id int64 // each in turn
	moved = make(map[int64]bool, len(onward))
	err = db.QueryBatch(t.Tx, forwardSQL, onward, func(args []any, r Receipt) []any {
		var settled any
		if r.State.Final() {
			settled = now.UnixMilli()
		}
		return append(args, r.TextID, string(r.State), r.ProviderStatus, int64(r.Code), r.Error, settled, string(r.Why), millis(r.NextPollAt))
	}, []sql.Scanner{db.NumberTo(&id)}, func() error {
		moved[id] = true
		return nil
	})
	return moved, err
}

// settleReceipts writes what follows from receipts that have moved their texts: for their
// reminders, and for the phone, the sender and all texts.
func (t *tx) settleReceipts(now time.Time, receipts []Receipt, moved map[int64]bool) error {
	parts, err := t.partsOf(slices.Sorted(maps.Keys(moved)))
	if err != nil {
		return err
	}
	var events []Event
	for _, r := range receipts {
		if !moved[r.TextID] {
			continue
		}
		if len(r.Destinations) > 0 {
			if r.RetryAt, err = t.refuseDestinations(now, r.Destinations, r.Code, r.Error); err != nil {
				return err
			}
		}
		useful, err := t.usefulAt(r.TextID, r.RetryAt)
		if err != nil {
			return err
		}
		said, err := t.settleParts(now, r.TextID, parts[r.TextID], func(tries int) SendOutcome {
			o := SendOutcome{TextID: r.TextID, State: r.State, Error: r.Error, EventReason: r.Why}
			if useful && tries < r.MaxRedeliveries {
				o.Hold, o.Until, o.Tried = cmp.Or(r.Why, reminder.NotDelivered), r.RetryAt, true
			}
			return o
		})
		if err != nil {
			return err
		}
		events = append(events, said...)
		if r.Stop != nil {
			if err := t.stopSending(now, *r.Stop); err != nil {
				return err
			}
		}
		if err := t.optOutPhoneOf(r.TextID, r.OptOut, now); err != nil {
			return err
		}
	}
	return t.events(events)
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
