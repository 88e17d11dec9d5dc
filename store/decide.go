package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"duewatch/reminder"
)

// Round is what one pass of the remind job decides with.
type Round struct {
	Now      time.Time
	Policies reminder.Policies
	Delivery reminder.Delivery
	Claim    Claim // for bills and intents

	// standing is read once in the transaction of a round, and counts on with
	// each of its intents.
	standing  *reminder.Standing
	strangers bool // whether there are any
}

// Text is a committed intent: a text that is now owed to the provider, once.
type Text struct {
	ID       int64
	BillID   int64
	Service  string
	Account  string
	Stage    reminder.Stage
	DueDate  reminder.Date
	To       reminder.Phone
	Body     string
	Language string
	Segments int
	Reason   reminder.Reason
	Decided  time.Time
	Planned  time.Time
	NotAfter time.Time
}

// Noted is a record that is new, for the log and the metrics.
type Noted struct {
	Bill reminder.Bill
	reminder.Record
}

// Looked is what a round made of some bills.
type Looked struct {
	Bills int             // how many were looked at
	Texts []Text          // to be handed to the provider now
	Ask   []reminder.Bill // Almara Pay must be asked first; they stay claimed
	Noted []Noted
	// Faults are bills about which no decision could be made, each undone alone:
	// they come back when their claim ends.
	Faults []error
}

// DecideDue claims up to n bills whose hour has come and decides about each in
// the same transaction: facts, decision and intent are of one instant, so that
// an opt-out or a text recorded a moment before is seen. When it returns, the
// intents are on disk.
func (s *Store) DecideDue(ctx context.Context, r Round, n int) (Looked, error) {
	var l Looked
	if due, err := s.anyDue(ctx, dueRemind, r.Now); err != nil || !due {
		return l, err
	}
	err := s.do(func(t *tx) error {
		l = Looked{}
		ids, err := t.claim(dueRemind, r.Now, r.Claim, n)
		if err != nil {
			return err
		}
		if err := t.readStanding(&r); err != nil {
			return err
		}
		for _, id := range ids {
			if err := t.alone(id, &l, func(l *Looked) error {
				b, err := t.bill(id)
				if err != nil {
					return err
				}
				return t.decide(r, b, reminder.NotAsked, l)
			}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return Looked{}, fmt.Errorf("decide about due bills: %w", err)
	}
	return l, nil
}

// DecideAnswered is the second half of DecideDue for the bills that Almara Pay
// was asked about: it records what was learned and decides, in one
// transaction.
func (s *Store) DecideAnswered(_ context.Context, r Round, lessons []Lesson) (Looked, error) {
	var l Looked
	err := s.do(func(t *tx) error {
		l = Looked{}
		if err := t.readStanding(&r); err != nil {
			return err
		}
		for _, lesson := range lessons {
			if err := t.alone(lesson.BillID, &l, func(l *Looked) error {
				b, _, err := t.learn(lesson, r.Policies, r.Now)
				if err != nil {
					return err
				}
				asked := reminder.CouldNotSay
				if lesson.Answer != nil {
					asked = reminder.Answered
				}
				return t.decide(r, b, asked, l)
			}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return Looked{}, fmt.Errorf("decide after asking: %w", err)
	}
	return l, nil
}

// readStanding reads what all decisions of the round have in common.
func (t *tx) readStanding(r *Round) error {
	s, err := standing(t.ctx, t.tx, r.Policies.Default, r.Now)
	if err != nil {
		return err
	}
	r.standing = &s
	if err := t.row("SELECT EXISTS (SELECT 1 FROM strangers)").Scan(&r.strangers); err != nil {
		return explain(err)
	}
	return nil
}

// alone decides about one bill so that a fault in it holds up no other.
func (t *tx) alone(billID int64, l *Looked, decide func(*Looked) error) error {
	var one Looked
	own, all := t.isolated(func(*tx) error { return decide(&one) })
	if all == nil && ofTheMachine(own) {
		all = own // no bill is to blame: they all come back at the next tick, and not when their claims end
	}
	if own != nil {
		one = Looked{Bills: 1, Faults: []error{fmt.Errorf("bill %d: %w", billID, own)}}
	}
	l.Bills += one.Bills
	l.Texts = append(l.Texts, one.Texts...)
	l.Ask = append(l.Ask, one.Ask...)
	l.Noted = append(l.Noted, one.Noted...)
	l.Faults = append(l.Faults, one.Faults...)
	return all
}

func (t *tx) decide(r Round, b reminder.Bill, asked reminder.Asked, l *Looked) error {
	l.Bills++
	policy := r.Policies.For(b.Service)
	if b.State == reminder.BillPaused && !b.PausedUntil.IsZero() && !r.Now.Before(b.PausedUntil) {
		look, err := t.resume(&b, policy, true, Event{At: r.Now, Reason: "rule", Detail: "the time of the pause is over"})
		if err != nil {
			return err
		}
		if look.IsZero() || look.After(r.Now) {
			return t.schedule(dueRemind, b.ID, look)
		}
	}
	c, err := t.caseOf(b, policy, r.Now)
	if err != nil {
		return err
	}
	c.Asked, c.Standing = asked, *r.standing
	if r.strangers {
		if c.Elsewhere, err = t.elsewhere(b.ID); err != nil {
			return err
		}
	}
	d := reminder.Decide(c, policy, r.Delivery, r.Now)
	if d.Ask {
		l.Ask = append(l.Ask, b)
		return nil
	}
	var textID int64
	var text Text
	if d.Text != nil {
		text, err = t.intend(r, b, *d.Text)
		if errors.Is(err, errUnfit) {
			c.Said, err = d.Text.Body, nil
			d = reminder.Decide(c, policy, r.Delivery, r.Now)
		}
		if err != nil {
			return err
		}
	}
	if d.Text != nil {
		if err := t.used(policy, text.Segments, r.Now); err != nil {
			return err
		}
		r.standing.Today++
		r.standing.Month += text.Segments
		textID = text.ID
		l.Texts = append(l.Texts, text)
	}
	for _, rec := range d.Records {
		isNew, err := t.record(b, rec, textID, r.Now)
		if err != nil {
			return err
		}
		if isNew {
			l.Noted = append(l.Noted, Noted{b, rec})
		}
	}
	return t.schedule(dueRemind, b.ID, d.Next)
}

// caseOf reads the facts that a decision about the bill rests on.
func (t *tx) caseOf(b reminder.Bill, policy *reminder.Policy, now time.Time) (c reminder.Case, err error) {
	c.Bill = b
	if c.Done, err = t.done(b); err != nil {
		return c, err
	}
	// An opt-out outweighs a bad number: it is the customer's word.
	err = t.row("SELECT coalesce(max(reason), '') FROM opt_outs WHERE phone = ?1 AND service IN ('', ?2)",
		b.Phone.E164(), b.Service).Scan(&c.Suppressed)
	if err != nil {
		return c, fmt.Errorf("read opt-outs: %w", explain(err))
	}
	midnight := reminder.DateOf(now.In(policy.Zone)).At(0, policy.Zone)
	err = t.row("SELECT count(*) FROM texts WHERE phone = ?1 AND created_at >= ?2 AND state NOT IN ('refused', 'not_found', 'failed', 'undelivered', 'canceled')",
		b.Phone.E164(), midnight.UnixMilli()).Scan(&c.TextsToday)
	if err != nil {
		return c, fmt.Errorf("count today's texts: %w", explain(err))
	}
	return c, nil
}

// done reads what was recorded for the bill's present due date.
func (t *tx) done(b reminder.Bill) ([]reminder.Reminder, error) {
	rows, err := t.query("SELECT "+reminderColumns+" FROM reminders WHERE bill_id = ?1 AND due_date = ?2", b.ID, b.DueDate.String())
	if err != nil {
		return nil, err
	}
	return collect(rows, scanReminder)
}

const reminderColumns = "due_date, stage, outcome, reason, coalesce(text_id, 0), tries, decided_at"

func scanReminder(r row) (m reminder.Reminder, err error) {
	err = r.Scan(dayColumn{&m.DueDate}, &m.Stage, &m.Outcome, &m.Reason, &m.TextID, &m.Tries, instantColumn{&m.DecidedAt})
	return m, err //nolint:wrapcheck // callers say what they read
}

// sameWords is for how long no two texts of one phone may have the same words:
// longer than one of them is looked for in the provider's list by its words.
const sameWords = 3 * 24 * time.Hour

// errUnfit means that the phone has just had, or may have had, a text of these
// very words, or must not be texted.
var errUnfit = errors.New("the phone is opted out, or has just had these words")

// intend writes the intent to send one text, unless it would be mistaken for
// another one. An opt-out is a reason not to get here; it is tested again, so
// that whatever is decided, no text to such a phone can be written.
func (t *tx) intend(r Round, b reminder.Bill, o reminder.TextOrder) (Text, error) {
	text := Text{
		BillID: b.ID, Service: b.Service, Account: b.Account, Stage: o.Stage, DueDate: b.DueDate, To: o.To,
		Body: o.Body, Language: o.Language, Segments: o.Count.Segments, Reason: o.Reason, Decided: r.Now, Planned: o.Planned, NotAfter: o.NotAfter,
	}
	err := t.row(`INSERT INTO texts (phone, sent_to, body, language, segments, state, owner, lease_until,
			planned_at, not_after, created_at)
		SELECT ?1, ?2, ?3, ?4, ?5, 'sending', ?6, ?7, ?8, ?9, ?10
		WHERE NOT EXISTS (SELECT 1 FROM texts WHERE phone = ?1 AND created_at >= ?11 AND body = ?3
			AND state NOT IN ('refused', 'not_found', 'failed', 'undelivered', 'canceled'))
		AND NOT EXISTS (SELECT 1 FROM opt_outs WHERE phone = ?1 AND service IN ('', ?12))
		RETURNING id`,
		b.Phone.E164(), o.To.E164(), o.Body, o.Language, o.Count.Segments, r.Claim.Owner, r.Now.Add(r.Claim.Lease).UnixMilli(),
		o.Planned.UnixMilli(), o.NotAfter.UnixMilli(), r.Now.UnixMilli(), r.Now.Add(-sameWords).UnixMilli(), b.Service).Scan(&text.ID)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return text, errUnfit
	case err != nil:
		return text, fmt.Errorf("write intent: %w", explain(err))
	}
	return text, nil
}

// record writes what became of a stage and its event; it reports false when
// the same stood there already. A stage that is texted or skipped stays so.
func (t *tx) record(b reminder.Bill, rec reminder.Record, textID int64, now time.Time) (isNew bool, err error) {
	var text any
	var ofText int64 // a stage that this look skips has no part in the text of another
	if rec.Outcome == reminder.Texted {
		text, ofText = textID, textID
	}
	isNew, err = t.changed(`INSERT INTO reminders (bill_id, due_date, stage, outcome, reason, text_id, decided_at)
		VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
		ON CONFLICT (bill_id, due_date, stage) DO UPDATE
			SET outcome = excluded.outcome, reason = excluded.reason, text_id = excluded.text_id, decided_at = excluded.decided_at
			WHERE reminders.outcome = 'held' AND (excluded.outcome <> 'held' OR excluded.reason <> reminders.reason)`,
		b.ID, b.DueDate.String(), rec.Stage, rec.Outcome, rec.Reason, text, now.UnixMilli())
	if err != nil || !isNew {
		if err == nil && rec.Outcome == reminder.Texted {
			err = fmt.Errorf("stage %s of bill %d: %w", rec.Stage, b.ID, errSecondText)
		}
		return false, err
	}
	return true, t.event(Event{
		At: now, BillID: b.ID, TextID: ofText, What: string(rec.Outcome), Reason: string(rec.Reason),
		Detail: fmt.Sprintf("%s, due %s: %s", rec.Stage, b.DueDate, orElse(rec.Detail, rec.Reason.Info().Means)),
	})
}

// errSecondText cannot happen while a decision and its facts share one
// transaction; it takes the whole round back if it does.
var errSecondText = errors.New("it already has a text or was skipped")

func orElse(s, fallback string) string {
	if s == "" {
		return fallback
	}
	return s
}
