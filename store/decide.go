package store

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"duewatch/reminder"
)

// decide decides about a bill that is due, and about those that share its text.
func (t *tx) decide(r Round, b reminder.Bill, l *Looked) error {
	policy := r.Policies.For(b.Service)
	if b.State == reminder.BillPaused && !b.PausedUntil.IsZero() && !r.Now.Before(b.PausedUntil) {
		look, err := t.resume(&b, policy, true, Event{At: r.Now, Reason: "rule", Detail: "the time of the pause is over"})
		if err != nil {
			return err
		}
		// Its own pause is over, but that of its service or phone may not be.
		if paused, err := t.pausedByRule(&b, r.Now); err != nil || paused {
			return err
		}
		if look.IsZero() || look.After(r.Now) {
			return t.schedule(dueRemind, b.ID, look)
		}
	}
	lead, joint, err := t.weigh(r, b)
	if err != nil {
		return err
	}
	return t.carryOut(r, lead, joint, l)
}

// weigh decides about a bill together with those of its phone that may share
// its text, and writes nothing.
func (t *tx) weigh(r Round, b reminder.Bill) (lead reminder.Share, joint reminder.Joint, err error) {
	policy := r.Policies.For(b.Service)
	c, err := t.caseOf(r, b)
	if err != nil {
		return lead, joint, err
	}
	if c.TextsToday, err = t.textsToday(b.Phone, policy, r.Now); err != nil {
		return lead, joint, err
	}
	c.Standing = *r.standing
	lead = reminder.Share{Case: c, Decision: reminder.Decide(c, policy, r.Delivery, r.Now)}
	joint = reminder.Alone(lead)
	if policy.Bundle && (lead.Ask || lead.Text != nil) {
		others, err := t.companions(r, b)
		if err != nil {
			return lead, joint, err
		}
		if len(others) > 0 {
			joint = reminder.Join(lead, others, r.Policies, r.Delivery, r.Now)
		}
	}
	return lead, joint, nil
}

// carryOut writes what was decided: the intent to send a text, and the records
// of its bills.
func (t *tx) carryOut(r Round, lead reminder.Share, joint reminder.Joint, l *Looked) error {
	if len(joint.Ask) > 0 {
		l.Ask = append(l.Ask, joint.Ask...)
		return nil
	}
	policy := r.Policies.For(lead.Bill.Service)
	var textID int64
	if joint.Text != nil {
		text, err := t.intend(r, joint)
		switch {
		case errors.Is(err, errUnfit) && len(joint.Shares) > 1:
			return t.carryOut(r, lead, reminder.Alone(lead), l)
		case errors.Is(err, errUnfit):
			lead.Said = joint.Text.Body
			lead.Decision = reminder.Decide(lead.Case, policy, r.Delivery, r.Now)
			return t.carryOut(r, lead, reminder.Alone(lead), l)
		case err != nil:
			return err
		}
		if err := t.used(policy, text.Segments, r.Now); err != nil {
			return err
		}
		r.standing.Today++
		r.standing.Month += text.Segments
		textID = text.ID
		l.Texts = append(l.Texts, text)
	}
	led := false
	for _, s := range joint.Shares {
		led = led || s.Bill.ID == lead.Bill.ID
		for _, rec := range s.Records {
			if others := len(joint.Shares) - 1; others > 0 && rec.Outcome == reminder.Texted {
				rec.Detail = fmt.Sprintf("%s; in one text with %s", orElse(rec.Detail, rec.Reason.Info().Means), accountsBut(s.Bill, joint.Shares))
			}
			isNew, err := t.record(s.Bill, rec, textID, r.Now)
			if err != nil {
				return err
			}
			if isNew {
				l.Noted = append(l.Noted, Noted{s.Bill, rec})
			}
		}
		if err := t.schedule(dueRemind, s.Bill.ID, s.Next); err != nil {
			return err
		}
	}
	if !led { // others were due sooner, and took the room
		return t.decide(r, lead.Bill, l)
	}
	return nil
}

// accountsBut names the other accounts of a text, for the trail.
func accountsBut(b reminder.Bill, shares []reminder.Share) string {
	var all []string
	for _, s := range shares {
		if s.Bill.ID != b.ID {
			all = append(all, s.Bill.Account)
		}
	}
	return "account " + strings.Join(all, ", ")
}

// caseOf reads the facts of a bill that a decision about it rests on.
func (t *tx) caseOf(r Round, b reminder.Bill) (c reminder.Case, err error) {
	c.Bill, c.Asked = b, r.asked[b.ID]
	if c.Done, err = t.done(b); err != nil {
		return c, err
	}
	// An opt-out outweighs a bad number: it is the customer's word.
	err = t.row("SELECT coalesce(max(reason), '') FROM opt_outs WHERE phone = ?1 AND service IN ('', ?2)",
		b.Phone.E164(), b.Service).Scan(&c.Suppressed)
	if err != nil {
		return c, fmt.Errorf("read opt-outs: %w", explain(err))
	}
	if !r.strangers {
		return c, nil
	}
	c.Elsewhere, err = t.elsewhere(b.ID)
	return c, err
}

// textsToday counts the texts that the phone has had, or may have had.
func (t *tx) textsToday(p reminder.Phone, policy *reminder.Policy, now time.Time) (n int, err error) {
	midnight := reminder.DateOf(now.In(policy.Zone)).At(0, policy.Zone)
	err = t.row("SELECT count(*) FROM texts WHERE phone = ?1 AND created_at >= ?2 AND state NOT IN ('refused', 'not_found', 'failed', 'undelivered', 'canceled')",
		p.E164(), midnight.UnixMilli()).Scan(&n)
	if err != nil {
		return 0, fmt.Errorf("count today's texts: %w", explain(err))
	}
	return n, nil
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
