package store

import (
	"cmp"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"duewatch/reminder"
	"duewatch/store/db"
)

// TextState is where a text stands; states only go forward:
//
//	sending ─→ accepted ─→ sent ─→ delivered | undelivered | failed | canceled | unconfirmed
//	sending ─→ refused      sending ─→ unknown ─→ accepted | not_found | refused
//	refused | not_found ─→ accepted
//
// From unknown to refused goes a text whose sender was taken for dead, and then reports
// a definite no. A text that was taken as not sent is accepted when the provider itself
// speaks of its message (see callback.go).
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

// SendOutcome is what became of handing a text to the provider. Receipts and look-ups
// fill one, too, for settleReminders alone, and are not checked.
type SendOutcome struct {
	TextID         int64
	State          TextState // Accepted, Refused or Unknown
	ProviderID     string    // with Accepted
	ProviderStatus string
	Code           int       // the provider's error code, 0 = none
	Error          string    // what happened, for the trail; phones in it are masked
	NextPollAt     time.Time // when the receipts job asks about it; zero = never

	// What becomes of its reminders, when it is certain that the customer does not have
	// the text: exactly one of Hold and Skip (see check).
	Hold        reminder.Reason
	Until       time.Time // with Hold: when to decide again
	Skip        reminder.Reason
	EventReason reminder.Reason // of a receipt, for the trail, where neither is set; "" = it is the provider's
	Tried       bool            // it was handed over, and failed: counts as a try of the stage
	// OptOut is why the phone must not be texted again; "" = it may be.
	OptOut reminder.Reason
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

// check refuses what no caller should ask for. The legal combinations are
//
//	Accepted with a ProviderID    neither Hold nor Skip
//	Unknown                       neither Hold nor Skip
//	Refused                       Hold (with Until, or Destinations), or Skip
//
// Texts of other states are settled by receipts and look-ups, which do not come here.
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

// heldOrSkippedFor is why the reminders are held or skipped; "" = they are neither.
func (o SendOutcome) heldOrSkippedFor() reminder.Reason { return cmp.Or(o.Hold, o.Skip) }

// RecordOutcome records the outcome of a text in state sending or unknown. When it
// returns, that is on disk.
func (s *Store) RecordOutcome(now time.Time, o SendOutcome) error {
	return s.RecordOutcomes(now, []SendOutcome{o})[0]
}

// RecordOutcomes is RecordOutcome for many texts, which share one commit. One
// that fails fails alone; the errors are in the order of the outcomes.
func (s *Store) RecordOutcomes(now time.Time, all []SendOutcome) []error {
	errs := make([]error, len(all))
	var accepted, others []int // their places in all; almost all are accepted
	for i, o := range all {
		if o.onlyAccepted() {
			accepted = append(accepted, i)
		} else {
			others = append(others, i)
		}
	}
	err := s.do(func(t *tx) error {
		clear(errs)
		failed := func(i int, err error) error {
			errs[i] = err
			return nil
		}
		settleAll := func(places []int) error {
			for _, i := range places {
				if err := t.settle(now, all[i]); err != nil {
					return err
				}
			}
			return nil
		}
		acceptAll := func(places []int) error {
			outcomes := make([]SendOutcome, len(places))
			for i, place := range places {
				outcomes[i] = all[place]
			}
			return t.accept(now, outcomes)
		}
		// Refusals first: an accepted text ends those of its destination, including the ones
		// that this very call records.
		if err := db.Together(t.Tx, others, settleAll, failed); err != nil {
			return err
		}
		return db.Together(t.Tx, accepted, acceptAll, failed)
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

// onlyAccepted reports whether the outcome says no more than that the provider took
// the text.
func (o SendOutcome) onlyAccepted() bool {
	return o.State == Accepted && o.check() == nil && o.Code == 0 && o.Error == "" && o.OptOut == "" && o.Stop == nil
}

// The empty text behind the state keeps PostgreSQL from the index of texts in doubt, which it
// would go through for each of the rows, and SQLite from nothing.
const acceptedRows = "WITH v (id, provider_id, status, next_poll) AS (VALUES %s) "

var (
	acceptTextsSQL = db.NewBatch(acceptedRows+`UPDATE texts SET state = 'accepted', provider_id = v.provider_id, provider_status = v.status,
			error_code = 0, error = '', refused_for = '', accepted_at = ?1, next_poll_at = v.next_poll
		FROM v WHERE texts.id = v.id AND texts.state || '' IN ('sending', 'unknown') RETURNING texts.id`, 1,
		db.Integer, db.Text, db.Text, db.Integer)
	acceptEventsSQL = db.NewBatch(acceptedRows+`INSERT INTO events (at, bill_id, text_id, what, reason, detail)
		SELECT ?1, r.bill_id, v.id, 'accepted', 'provider', 'the provider took it as ' || v.provider_id
		FROM v CROSS JOIN reminders r WHERE r.text_id = v.id`, 1, db.Integer, db.Text, db.Text, db.Integer)
)

// accept is settle for texts that were only accepted, by statements for many of them.
func (t *tx) accept(now time.Time, outcomes []SendOutcome) error {
	row := func(args []any, o SendOutcome) []any {
		return append(args, o.TextID, o.ProviderID, o.ProviderStatus, millis(o.NextPollAt))
	}
	var id int64 // each in turn
	accepted := make(map[int64]bool, len(outcomes))
	err := db.QueryBatch(t.Tx, acceptTextsSQL, outcomes, row, []sql.Scanner{db.NumberTo(&id)}, func() error {
		accepted[id] = true
		return nil
	}, now.UnixMilli())
	if err != nil {
		return err
	}
	if len(accepted) < len(outcomes) { // the others may be known by their callbacks
		var fresh []SendOutcome
		for _, o := range outcomes {
			if accepted[o.TextID] {
				fresh = append(fresh, o)
			} else if err := t.settle(now, o); err != nil {
				return err
			}
		}
		outcomes = fresh
	}
	if _, err := db.ExecBatch(t.Tx, acceptEventsSQL, outcomes, row, now.UnixMilli()); err != nil {
		return err
	}
	return t.endRefusalsOf(outcomes)
}

// errSettled marks an outcome of a text that has one already.
var errSettled = errors.New("it is settled already")

// WritableLater reports whether what could not be written may be written later:
// the store was at fault, such as a full disk, and not what was to be written.
func WritableLater(err error) bool {
	return err != nil && !errors.Is(err, errSettled) && !errors.Is(err, errOutcome) && !db.OfTheRow(err)
}

// settle settles one text, with all that follows from its outcome: what becomes of its
// reminders, and what the provider said of its phone, of the sender and of all texts.
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
			accepted_at = ?7, settled_at = ?8, next_poll_at = ?9, refused_for = ?10
		WHERE id = ?1 AND state || '' IN ('sending', 'unknown') AND state <> ?2`,
		o.TextID, o.State, nullable(o.ProviderID), o.ProviderStatus, o.Code, o.Error,
		accepted, settled, millis(o.NextPollAt), o.heldOrSkippedFor())
	if err != nil {
		return err
	}
	if !ok {
		return t.nothingNew(o)
	}
	if err := t.judgeDestinations(now, &o); err != nil { // it says until when the reminders wait
		return err
	}
	if err := t.settleReminders(now, o.TextID, anyTries(o)); err != nil {
		return err
	}
	switch o.State {
	case Accepted:
		err = t.endRefusalsOf([]SendOutcome{o})
	case Refused:
		err = t.takeBackUsage(o.TextID)
	default:
	}
	if err != nil {
		return err
	}
	if o.Stop != nil {
		if err := t.blameSender(now, o.Evidence, o.Stop.Until); err != nil {
			return err
		}
		if err := t.stopSending(now, *o.Stop); err != nil {
			return err
		}
	}
	return t.optOutPhoneOf(o.TextID, o.OptOut, now)
}

// outcomeByTries is what becomes of a reminder of a settled text. Receipts and look-ups
// have it depend on how many of its texts have failed before.
type outcomeByTries func(tries int) SendOutcome

// anyTries is the same outcome however many have failed.
func anyTries(o SendOutcome) outcomeByTries { return func(int) SendOutcome { return o } }

// nothingNew is nil for an outcome that says no more of a settled text than is known: its
// callback came first.
func (t *tx) nothingNew(o SendOutcome) error {
	var known bool
	err := t.Row("SELECT EXISTS (SELECT 1 FROM texts WHERE id = ?1 AND (provider_id = ?2 OR ?3 = 'unknown' AND provider_id IS NOT NULL))",
		o.TextID, o.ProviderID, string(o.State)).Scan(&known)
	if err == nil && !known {
		err = fmt.Errorf("text %d: %w", o.TextID, errSettled)
	}
	return err
}

// settleReminders writes the outcome into the trail of each bill the text was for, and
// unlinks its reminders when they are held or skipped.
func (t *tx) settleReminders(now time.Time, textID int64, outcome outcomeByTries) error {
	parts, err := t.partsOf([]int64{textID})
	if err != nil {
		return err
	}
	events, err := t.settleParts(now, textID, parts[textID], outcome)
	if err != nil {
		return err
	}
	return t.events(events)
}

// textPart is a reminder of a text.
type textPart struct {
	billID int64
	tries  int
}

var partsOfTextsSQL = db.NewBatch("SELECT text_id, bill_id, tries FROM reminders WHERE text_id IN (%s) ORDER BY id", 0, db.Integer)

// partsOf are the reminders of texts.
func (t *tx) partsOf(textIDs []int64) (map[int64][]textPart, error) {
	var textID int64 // each in turn
	var p textPart
	parts := make(map[int64][]textPart, len(textIDs))
	columns := []sql.Scanner{db.NumberTo(&textID), db.NumberTo(&p.billID), db.NumberTo(&p.tries)}
	err := db.QueryBatch(t.Tx, partsOfTextsSQL, textIDs, db.ID, columns, func() error {
		parts[textID] = append(parts[textID], p)
		return nil
	})
	return parts, err
}

// settleParts is settleReminders, and returns what is to stand in the trail.
func (t *tx) settleParts(now time.Time, textID int64, parts []textPart, outcome outcomeByTries) (events []Event, err error) {
	for _, p := range parts {
		o := outcome(p.tries)
		events = append(events, o.event(now, p.billID, textID))
		if o.heldOrSkippedFor() != "" {
			if err := t.unlink(now, p.billID, o); err != nil {
				return nil, err
			}
		}
	}
	return events, nil
}

// event is what the trail of a bill says of the outcome.
func (o SendOutcome) event(now time.Time, billID, textID int64) Event {
	e := Event{At: now, BillID: billID, TextID: textID, What: string(o.State), Detail: o.Error}
	if o.State == Accepted {
		e.Reason, e.Detail = "provider", "the provider took it as "+o.ProviderID
	} else {
		e.Reason = cmp.Or(string(o.heldOrSkippedFor()), string(o.EventReason), "provider")
	}
	return e
}

// unlink takes the text from the reminder of a bill, which is skipped, or held and
// decided about again.
func (t *tx) unlink(now time.Time, billID int64, o SendOutcome) error {
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
		// Not later than the evaluation that is planned already, which may be of the next
		// stage. A bill with an owner is claimed, and is about to be decided about anyway.
		if _, err := t.Exec(`INSERT INTO due_remind (bill_id, at) VALUES (?1, ?2)
			ON CONFLICT (bill_id) DO UPDATE SET at = excluded.at WHERE due_remind.at > excluded.at AND due_remind.owner IS NULL`,
			billID, o.Until.UnixMilli()); err != nil {
			return err
		}
	}
	return nil
}
