package store

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"duewatch/reminder"
)

// decided is a bill that was due, and what is to be done about it together with
// those that share its text.
type decided struct {
	billID  int64 // the id of the bill that was due
	phoneID int64 // as in fact
	bundle  reminder.Bundle
}

// decide decides about bills that are due, and about those that share their
// texts. All facts are read first and all decisions written last, each by
// statements over many rows. So whatever a decision changes for another one,
// which must have the same phone, is left to a second turn: the facts of that
// one are read anew then.
func (t *tx) decide(r Round, ids []int64, l *roundResult) error {
	facts, err := t.facts(r, ids)
	if err != nil {
		return err
	}
	var later []int64
	seen := make(map[reminder.Phone]bool, len(facts))
	facts = slices.DeleteFunc(facts, func(f fact) bool {
		if !f.sharesPhone {
			return false
		}
		again := seen[f.Bill.Phone]
		if seen[f.Bill.Phone] = true; again {
			later = append(later, f.Bill.ID)
		}
		return again
	})
	others, err := t.bundleCandidates(r, facts)
	if err != nil {
		return err
	}
	all := make([]decided, 0, len(facts))
	texted := make(map[reminder.Phone]bool, len(facts))
	for i := range facts {
		f := &facts[i]
		if texted[f.Bill.Phone] {
			later = append(later, f.Bill.ID)
			continue
		}
		l.Bills++
		if paused, err := t.pauseUnreached(r, &f.Bill); err != nil {
			return err
		} else if paused {
			continue
		}
		due, err := t.endPause(r, &f.Bill)
		if err != nil {
			return err
		}
		if !due {
			continue
		}
		_, joint := r.decide(&f.Case, others[f.Bill.Phone])
		if len(joint.Ask) > 0 {
			l.Ask, l.open = append(l.Ask, joint.Ask...), append(l.open, f.Bill.ID)
			continue
		}
		if joint.Text != nil {
			texted[f.Bill.Phone] = true
			r.count(joint, 1)
		}
		all = append(all, decided{f.Bill.ID, f.phoneID, joint})
	}
	if err := t.carryOut(r, all, l); err != nil || len(later) == 0 {
		return err
	}
	return t.decide(r, later, l)
}

// decide decides about one bill, from its facts, and about it together with the
// bills that may share its text. It completes c, to which the shares point.
func (r Round) decide(c *reminder.Case, others []reminder.Case) (reminder.BundleItem, reminder.Bundle) {
	policy := r.Policies.For(c.Bill.Service)
	c.Guards, c.RecentBody = *r.guards, r.recentBody
	lead := reminder.BundleItem{Case: c, Decision: reminder.Decide(*c, policy, r.Delivery, r.Now)}
	if policy.Bundle && !r.single && len(others) > 0 && (lead.Ask || lead.Text != nil) {
		return lead, reminder.Join(lead, others, r.Policies, r.Delivery, r.Now)
	}
	return lead, reminder.Single(lead)
}

// count has the next decisions of the round see a text, or see it no more.
func (r Round) count(j reminder.Bundle, n int) {
	r.guards.Today += n
	r.guards.Month += n * j.Text.Count.Segments
}

// carryOut writes what was decided: the intents to send texts, the records of
// their bills, and when to look again. No two texts have the same phone.
func (t *tx) carryOut(r Round, all []decided, l *roundResult) error {
	texts, err := t.intend(r, all)
	if errors.Is(err, errUnfit) && len(all) == 1 {
		only := all[0]
		r.count(only.bundle, -1)
		if len(only.bundle.Items) == 1 {
			r.recentBody = only.bundle.Text.Body
		}
		r.single = true
		l.Bills-- // it is looked at once more
		return t.decide(r, []int64{only.billID}, l)
	}
	if err != nil {
		return err // of several, one after the other is tried
	}
	if err := t.used(r, texts); err != nil {
		return err
	}
	stages := 0
	for i := range all {
		for _, s := range all[i].bundle.Items {
			stages += len(s.Records)
		}
	}
	records, looks := make([]acted, 0, stages), make([]nextEval, 0, len(all))
	l.Texts, l.Records = slices.Grow(l.Texts, len(all)), slices.Grow(l.Records, stages)
	var unled []int64 // others were due sooner, and took the room
	for i := range all {
		d := &all[i]
		var textID int64
		if d.bundle.Text != nil {
			textID = texts[i].ID
			l.Texts = append(l.Texts, texts[i])
		}
		led := false
		for i := range d.bundle.Items {
			s := &d.bundle.Items[i]
			led = led || s.Bill.ID == d.billID
			due := s.Bill.DueDate.String()
			for _, rec := range s.Records {
				if s.Knows(rec) {
					continue
				}
				if others := len(d.bundle.Items) - 1; others > 0 && rec.Outcome == reminder.Texted {
					rec.Detail = fmt.Sprintf("%s; in one text with %s", orElse(rec.Detail, rec.Reason.Info().Means), accountsBut(s.Bill, d.bundle.Items))
				}
				records = append(records, acted{&s.Bill, due, rec, textID})
				l.Records = append(l.Records, NewRecord{&s.Bill, rec})
			}
			looks = append(looks, nextEval{s.Bill.ID, s.Next})
		}
		if !led {
			unled = append(unled, d.billID)
		}
	}
	if err := t.record(records, r.Now); err != nil {
		return err
	}
	if err := t.scheduleEvals(looks); err != nil || len(unled) == 0 {
		return err
	}
	l.Bills -= len(unled)
	return t.decide(r, unled, l)
}

// endPause ends the pause of a bill when its time is over, and reports whether
// a decision about it is due now.
func (t *tx) endPause(r Round, b *reminder.Bill) (due bool, err error) {
	if b.State != reminder.BillPaused || b.PausedUntil.IsZero() || r.Now.Before(b.PausedUntil) {
		return true, nil
	}
	look, err := t.resume(b, r.Policies.For(b.Service), true, Event{At: r.Now, Reason: "rule", Detail: "the time of the pause is over"})
	if err != nil {
		return false, err
	}
	// Its own pause is over, but that of its service or phone may not be.
	if paused, err := t.pausedByRule(b, r.Now); err != nil || paused {
		return false, err
	}
	if look.IsZero() || look.After(r.Now) {
		return false, t.schedule(dueRemind, b.ID, look)
	}
	return true, nil
}

// accountsBut names the other accounts of a text, for the trail.
func accountsBut(b reminder.Bill, shares []reminder.BundleItem) string {
	var all []string
	for _, s := range shares {
		if s.Bill.ID != b.ID {
			all = append(all, s.Bill.Account)
		}
	}
	return "account " + strings.Join(all, ", ")
}
