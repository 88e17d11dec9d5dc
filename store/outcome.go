package store

import (
	"errors"
	"fmt"
	"time"

	"duewatch/reminder"
	"duewatch/store/db"
)

// TextState is where a text stands; states only go forward:
//
//	sending ─→ accepted ─→ sent ─→ delivered | undelivered | failed | canceled | unconfirmed
//	sending ─→ refused      sending ─→ unknown ─→ accepted | not_found
type TextState string

// The states of a text.
const (
	Sending     TextState = "sending"   // the intent is written, the provider is being called
	Unknown     TextState = "unknown"   // it may or may not have reached the provider
	NotFound    TextState = "not_found" // it was unknown, and the provider does not have it
	Refused     TextState = "refused"   // it certainly did not reach the customer
	Accepted    TextState = "accepted"  // the provider has it
	Sent        TextState = "sent"      // the provider passed it to the carrier
	Delivered   TextState = "delivered"
	Undelivered TextState = "undelivered"
	Failed      TextState = "failed"
	Canceled    TextState = "canceled"
	Unconfirmed TextState = "unconfirmed" // accepted or sent, and nothing more was heard of it
)

// Final reports whether the provider will say no more of the text.
func (s TextState) Final() bool {
	switch s {
	case Refused, NotFound, Delivered, Undelivered, Failed, Canceled, Unconfirmed:
		return true
	case Sending, Unknown, Accepted, Sent:
	}
	return false
}

// SendOutcome is what became of handing a text to the provider.
type SendOutcome struct {
	TextID         int64
	State          TextState // Accepted, Refused or Unknown
	ProviderID     string    // with Accepted
	ProviderStatus string
	Code           int       // the provider's error code, 0 = none
	Error          string    // masked
	NextPollAt     time.Time // when the receipts job asks about it; zero = never

	// When it is certain that the customer does not have the text: what becomes
	// of its reminders. Exactly one of Hold and Skip.
	Hold  reminder.Reason
	Until time.Time // with Hold: when to decide again
	Skip  reminder.Reason
	Why   reminder.Reason // for the trail, where neither is set
	Tried bool            // it was handed over, and came to nothing: counts as a try of the stage
	// Suppress is set when the phone must not be texted again.
	Suppress reminder.Reason
	// Destinations were refused: the phone in full, and the calling code of its
	// country where that is refused as a whole. With Hold, in the place of Until.
	Destinations []string
	// Stop is set when no other text may leave.
	Stop *reminder.Stop
	// Evidence, with Stop, are the phones whose refusals speak for the stop: what
	// was refused to them is decided again once it is over.
	Evidence []reminder.Phone
}

// errOutcome marks an outcome that would leave a text or its reminder in no
// proper state.
var errOutcome = errors.New("that is no outcome of handing over a text")

// check refuses what no caller should ask for.
func (o SendOutcome) check() error {
	held, skipped := o.Hold != "", o.Skip != ""
	switch {
	case o.State == Accepted && o.ProviderID != "" && !held && !skipped:
	case o.State == Unknown && !held && !skipped:
	case o.State == Refused && held != skipped:
	default:
		return fmt.Errorf("state %q, provider id %q, hold %q, skip %q: %w", o.State, o.ProviderID, o.Hold, o.Skip, errOutcome)
	}
	return nil
}

// RecordOutcome settles a text in state sending or unknown. When it returns,
// the outcome is on disk.
func (s *Store) RecordOutcome(now time.Time, o SendOutcome) error {
	return s.RecordOutcomes(now, []SendOutcome{o})[0]
}

// RecordOutcomes is RecordOutcome for many texts, which share one commit. One
// that fails fails alone; the errors are in the order of the outcomes.
func (s *Store) RecordOutcomes(now time.Time, all []SendOutcome) []error {
	errs := make([]error, len(all))
	err := s.do(func(t *tx) error {
		clear(errs)
		var taken, others []int // their places in all; almost all are taken
		for i, o := range all {
			if o.plain() {
				taken = append(taken, i)
			} else {
				others = append(others, i)
			}
		}
		failed := func(i int, err error) error {
			errs[i] = err
			return nil
		}
		err := db.Together(t.Tx, others, func(some []int) error {
			for _, i := range some {
				if err := t.settle(now, all[i]); err != nil {
					return err
				}
			}
			return nil
		}, failed)
		if err != nil {
			return err
		}
		return db.Together(t.Tx, taken, func(some []int) error { return t.accept(now, all, some) }, failed)
	})
	for i := range errs {
		if err != nil {
			errs[i] = err
		}
		if errs[i] != nil {
			errs[i] = fmt.Errorf("record outcome: %w", errs[i])
		}
	}
	return errs
}

// plain reports whether the outcome says no more than that the provider took
// the text.
func (o SendOutcome) plain() bool {
	return o.State == Accepted && o.check() == nil && o.Code == 0 && o.Error == "" && o.Suppress == "" && o.Stop == nil
}

const takenTexts = "WITH v (id, provider_id, status, next_look) AS (VALUES %s) "

var (
	acceptTexts = db.NewBatch(takenTexts+`UPDATE texts SET state = 'accepted', provider_id = v.provider_id, provider_status = v.status,
			error_code = 0, error = '', refused_for = '', accepted_at = ?1, next_look_at = v.next_look
		FROM v WHERE texts.id = v.id AND texts.state IN ('sending', 'unknown')`, 1, db.Integer, db.Text, db.Text, db.Integer)
	acceptEvents = db.NewBatch(takenTexts+`INSERT INTO events (at, bill_id, text_id, what, reason, detail)
		SELECT ?1, r.bill_id, v.id, 'accepted', 'provider', 'the provider took it as ' || v.provider_id
		FROM v CROSS JOIN reminders r WHERE r.text_id = v.id`, 1, db.Integer, db.Text, db.Text, db.Integer)
)

// accept is settle for texts of which there is no more to say than that the
// provider took them: those at some places of all.
func (t *tx) accept(now time.Time, all []SendOutcome, places []int) error {
	taken := make([]SendOutcome, len(places))
	for i, place := range places {
		taken[i] = all[place]
	}
	for _, statement := range []*db.Batch{acceptTexts, acceptEvents} {
		n, err := db.ExecBatch(t.Tx, statement, taken, func(args []any, o SendOutcome) []any {
			return append(args, o.TextID, o.ProviderID, o.ProviderStatus, millis(o.NextPollAt))
		}, now.UnixMilli())
		if err == nil && n < int64(len(taken)) { // a text may be about several bills
			err = errSettled // which one is found one after the other
		}
		if err != nil {
			return err
		}
	}
	return t.served(taken)
}

var errSettled = errors.New("it is settled already")

// WritableLater reports whether what could not be written may be written later:
// the store was at fault, such as a full disk, and not what was to be written.
func WritableLater(err error) bool {
	return err != nil && !errors.Is(err, errSettled) && !errors.Is(err, errOutcome) && !db.OfTheRow(err)
}

// settle settles one text.
func (t *tx) settle(now time.Time, o SendOutcome) error {
	if err := o.check(); err != nil {
		return err
	}
	var accepted, settled any
	if o.State == Accepted {
		accepted = now.UnixMilli()
	}
	if o.State.Final() {
		settled = now.UnixMilli()
	}
	ok, err := t.Changed(`UPDATE texts SET state = ?2, provider_id = ?3, provider_status = ?4, error_code = ?5, error = ?6,
			accepted_at = ?7, settled_at = ?8, next_look_at = ?9, refused_for = ?10
		WHERE id = ?1 AND state IN ('sending', 'unknown') AND state <> ?2`,
		o.TextID, o.State, nullable(o.ProviderID), o.ProviderStatus, o.Code, o.Error, accepted, settled, millis(o.NextPollAt), o.Hold+o.Skip)
	if err != nil {
		return err
	}
	if !ok {
		return fmt.Errorf("text %d: %w", o.TextID, errSettled)
	}
	if err := t.judgeDestinations(now, &o); err != nil {
		return err
	}
	if err := t.settleReminders(now, o.TextID, always(o)); err != nil {
		return err
	}
	if o.State == Accepted {
		if err := t.served([]SendOutcome{o}); err != nil {
			return err
		}
	}
	if o.State == Refused {
		if err := t.unused(o.TextID); err != nil {
			return err
		}
	}
	if o.Stop != nil {
		if err := t.acquit(now, o.Evidence, o.Stop.Until); err != nil {
			return err
		}
		if err := t.stopSending(now, *o.Stop); err != nil {
			return err
		}
	}
	return t.suppress(o.TextID, o.Suppress, now)
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
		o.Until = o.Stop.Until.Add(behindAll)
	case stopped:
		o.Hold, o.Until = reminder.AccountFault, orNow(until, now).Add(behindAll)
	default:
		if o.Until, err = t.refuse(now, o.Destinations, o.Code, o.Error); err != nil {
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

// settling is what becomes of a reminder of a settled text: it may hang on how
// many of its texts came to nothing before.
type settling func(tries int) SendOutcome

func always(o SendOutcome) settling { return func(int) SendOutcome { return o } }

// settleReminders writes the outcome into the trail of each bill the text was
// for, and gives its reminders back when the text was refused.
func (t *tx) settleReminders(now time.Time, textID int64, outcome settling) error {
	rows, err := t.Query("SELECT bill_id, tries FROM reminders WHERE text_id = ?1 ORDER BY id", textID)
	if err != nil {
		return err
	}
	type part struct {
		bill  int64
		tries int
	}
	parts, err := db.Collect(rows, func(r db.Scanner) (p part, err error) {
		err = r.Scan(&p.bill, &p.tries)
		return p, err
	})
	if err != nil {
		return err
	}
	for _, p := range parts {
		bill, o := p.bill, outcome(p.tries)
		e := Event{At: now, BillID: bill, TextID: textID, What: string(o.State), Reason: string(o.Hold + o.Skip), Detail: o.Error}
		if o.State == Accepted {
			e.Detail = "the provider took it as " + o.ProviderID
		}
		if e.Reason == "" && o.State != Accepted {
			e.Reason = string(o.Why)
		}
		if e.Reason == "" {
			e.Reason = "provider"
		}
		if err := t.event(e); err != nil {
			return err
		}
		if o.Hold+o.Skip != "" {
			if err := t.giveBack(now, bill, o); err != nil {
				return err
			}
		}
	}
	return nil
}

func (t *tx) giveBack(now time.Time, billID int64, o SendOutcome) error {
	outcome, reason := reminder.Skipped, o.Skip
	if o.Hold != "" {
		outcome, reason = reminder.Held, o.Hold
	}
	tried := 0
	if o.Tried {
		tried = 1
	}
	if _, err := t.Exec(`UPDATE reminders SET outcome = ?2, reason = ?3, text_id = NULL, tries = tries + ?4, decided_at = ?5
		WHERE text_id = ?1 AND bill_id = ?6`, o.TextID, outcome, reason, tried, now.UnixMilli(), billID); err != nil {
		return err
	}
	if o.Hold != "" {
		// Not later than the look that is planned already: it may be the next stage.
		if _, err := t.Exec(`INSERT INTO due_remind (bill_id, at) VALUES (?1, ?2)
			ON CONFLICT (bill_id) DO UPDATE SET at = excluded.at WHERE due_remind.at > excluded.at AND due_remind.owner IS NULL`,
			billID, o.Until.UnixMilli()); err != nil {
			return err
		}
	}
	return nil
}

// suppress keeps the phone of a text from being texted again, on the
// provider's word. What it says of the phone that a text was redirected to is
// not said of the customer's. An opt-out takes the place of a bad number: it
// is the customer's word.
func (t *tx) suppress(textID int64, why reminder.Reason, now time.Time) error {
	if why == "" {
		return nil
	}
	_, err := t.Exec(`INSERT INTO opt_outs (phone, service, reason, since, source, who)
			SELECT phone, '', ?2, ?3, 'provider', 'twilio' FROM texts WHERE id = ?1 AND phone = sent_to
		`+orStronger, textID, why, now.UnixMilli())
	return err
}

const orStronger = `ON CONFLICT (phone, service) DO UPDATE
	SET reason = excluded.reason, since = excluded.since, source = excluded.source, who = excluded.who
	WHERE opt_outs.reason = 'bad_number' AND excluded.reason = 'opted_out'`

func nullable(s string) any {
	if s == "" {
		return nil
	}
	return s
}
