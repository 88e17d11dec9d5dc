package store

import (
	"context"
	"crypto/rand"
	"database/sql"
	"fmt"
	"strings"
	"time"

	"duewatch/reminder"
	"duewatch/store/db"
)

// A callback is a receipt that the provider sends by itself, to an address that names the
// text and that we have signed. So it says more than a poll: of which text a message is.
// It may come at any time after the provider has taken the text, in any order and any
// number of times, also before the outcome of the call is recorded, and after look-ups
// have failed to find the text.

// CallbackOutcome is what became of a callback.
type CallbackOutcome string

// The outcomes of callbacks.
const (
	CallbackRecorded CallbackOutcome = "recorded"    // it moved a text, or settled one in doubt
	CallbackOld      CallbackOutcome = "nothing_new" // doubled, late or out of order
	CallbackUnknown  CallbackOutcome = "unknown"     // of no text of this store, or of another message than its own
)

// metaCallbackKey is the key that signs the ids of texts in the addresses of callbacks.
const metaCallbackKey = "callback_key"

// CallbackKey is the key by which the ids of texts are signed, made the first time. It is
// kept in the store and not derived from the provider's token: a token that is renewed
// must not disown the texts that are on their way, and a text is one of this store only.
func (s *Store) CallbackKey() (key string, err error) {
	if key, err = metaOf(s.read(context.Background()), metaCallbackKey); err != nil || key != "" {
		return key, err
	}
	err = s.do(func(t *tx) error {
		if key, err = metaOf(t, metaCallbackKey); err != nil || key != "" {
			return err
		}
		key = rand.Text()
		return t.setMeta(metaCallbackKey, key)
	})
	if err != nil {
		return "", fmt.Errorf("make the key of callbacks: %w", err)
	}
	return key, nil
}

var provenSQL = db.NewBatch("SELECT id, state, coalesce(provider_id, '') FROM texts WHERE id IN (%s)", 0, db.Integer)

// proveAccepted takes callbacks for proof that the provider has their texts, and settles
// those of which nobody knew it as the outcome of the call would. It returns the receipts
// without callbacks that are of a message of none of our texts, or of another one than its text's.
func (t *tx) proveAccepted(now time.Time, receipts []Receipt) (known []Receipt, err error) {
	var ids []int64
	for _, r := range receipts {
		if r.ProviderID != "" {
			ids = append(ids, r.TextID)
		}
	}
	var o OpenText // each in turn
	texts := make(map[int64]OpenText, len(ids))
	columns := []sql.Scanner{db.NumberTo(&o.ID), db.TextTo(&o.State), db.TextTo(&o.ProviderID)}
	if err := db.QueryBatch(t.Tx, provenSQL, ids, db.ID, columns, func() error {
		texts[o.ID] = o
		return nil
	}); err != nil {
		return nil, err
	}
	for _, r := range receipts {
		if r.ProviderID != "" {
			is, err := t.isOf(now, &r, texts[r.TextID])
			if err != nil {
				return nil, err
			}
			if !is {
				continue
			}
		}
		known = append(known, r)
	}
	return known, nil
}

// isOf reports whether a callback is of the message of a text, and settles the text where
// that was not known.
func (t *tx) isOf(now time.Time, r *Receipt, text OpenText) (is bool, err error) {
	r.Settled = ""
	if text.ProviderID != "" {
		return text.ProviderID == r.ProviderID, nil
	}
	o := SendOutcome{
		TextID: r.TextID, State: Accepted, ProviderID: r.ProviderID, ProviderStatus: r.ProviderStatus, NextPollAt: r.NextPollAt,
	}
	switch text.State {
	case Sending, Unknown:
		err = t.settle(now, o)
	case Refused, NotFound:
		err = t.acceptAfterAll(now, o)
	default: // there is no such text: a CHECK keeps those of other states from having no id
		return false, nil
	}
	r.Settled = text.State
	return true, err
}

// acceptAfterAll is settle for a text that was taken as not sent: no list showed it, and
// now the provider speaks of it. A reminder that it was about, and that is held since,
// would be sent a second time: it is texted by this text. Where another text has left
// meanwhile, that cannot be helped.
func (t *tx) acceptAfterAll(now time.Time, o SendOutcome) error {
	if _, err := t.Exec(`UPDATE texts SET state = 'accepted', provider_id = ?2, provider_status = ?3, error_code = 0, error = '',
			refused_for = '', accepted_at = ?4, settled_at = NULL, next_poll_at = ?5 WHERE id = ?1`,
		o.TextID, o.ProviderID, o.ProviderStatus, now.UnixMilli(), millis(o.NextPollAt)); err != nil {
		return err
	}
	if err := t.giveBackUsage(o.TextID); err != nil {
		return err
	}
	// The trail alone still says what the text was about.
	rows := t.Query(`SELECT e.bill_id, e.reason, e.detail FROM bills b CROSS JOIN events e
		WHERE b.phone = (SELECT phone FROM texts WHERE id = ?1) AND e.bill_id = b.id AND e.text_id = ?1 AND e.what = 'texted'`, o.TextID)
	was, err := db.Collect(rows, func(r db.Scanner) (e Event, err error) {
		err = r.Scan(&e.BillID, &e.Reason, &e.Detail)
		return e, err
	})
	if err != nil {
		return err
	}
	for _, e := range was {
		if err := t.event(o.event(now, e.BillID, o.TextID)); err != nil {
			return err
		}
		if err := t.textedAfterAll(now, o.TextID, e); err != nil {
			return err
		}
	}
	return t.endRefusalsOf([]SendOutcome{o})
}

// textedAfterAll links the reminder that an event is about to the text again, while it is
// held.
func (t *tx) textedAfterAll(now time.Time, textID int64, texted Event) error {
	rows := t.Query("SELECT id, stage, due_date FROM reminders WHERE bill_id = ?1 AND outcome = 'held'", texted.BillID)
	type stageOf struct {
		id    int64
		stage reminder.Stage
		due   string
	}
	held, err := db.Collect(rows, func(r db.Scanner) (h stageOf, err error) {
		err = r.Scan(&h.id, &h.stage, &h.due)
		return h, err
	})
	if err != nil {
		return err
	}
	for _, h := range held {
		if !strings.HasPrefix(texted.Detail, nameOfStage(h.stage, h.due)) {
			continue
		}
		if _, err := t.Exec("UPDATE reminders SET outcome = 'texted', reason = ?2, text_id = ?3, decided_at = ?4 WHERE id = ?1",
			h.id, texted.Reason, textID, now.UnixMilli()); err != nil {
			return err
		}
	}
	return nil
}
