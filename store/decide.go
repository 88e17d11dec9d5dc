package store

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"duewatch/reminder"
)

// decided is what is to be done about a bill that was due, together with those
// that share its text.
type decided struct {
	billID  int64 // of the bill that was due
	phoneID int64 // as in fact
	bundle  reminder.Bundle
}

// decideAll decides about bills that are due, and about those that share their
// texts. What a decision changes for another bill, which must have the same phone,
// that one has to see: it waits for a further turn, in which its facts are read
// anew.
func (t *tx) decideAll(r Round, ids []int64, res *roundResult) (err error) {
	for len(ids) > 0 {
		if ids, err = t.decideTurn(r, ids, res); err != nil {
			return err
		}
	}
	return nil
}

// decideTurn reads all facts first and writes all decisions last, each by
// statements over many rows. It returns the bills that wait for the next turn.
func (t *tx) decideTurn(r Round, ids []int64, res *roundResult) (waiting []int64, err error) {
	facts, err := t.facts(r, ids)
	if err != nil {
		return nil, err
	}
	facts, waiting = onePerPhone(facts)
	candidates, err := t.bundleCandidates(r, facts)
	if err != nil {
		return nil, err
	}
	all := make([]decided, 0, len(facts))
	texted := make(map[reminder.Phone]bool, len(facts)) // in this turn
	before := *r.guards
	for i := range facts {
		f := &facts[i]
		if texted[f.Bill.Phone] {
			waiting = append(waiting, f.Bill.ID)
			continue
		}
		if paused, err := t.pauseUnreached(r, &f.Bill); err != nil {
			return nil, err
		} else if paused {
			res.Bills++
			continue
		}
		isDue, err := t.endPause(r, &f.Bill)
		if err != nil {
			return nil, err
		}
		if !isDue {
			res.Bills++
			continue
		}
		_, bundle := r.decide(&f.Case, candidates[f.Bill.Phone])
		if len(bundle.Ask) > 0 {
			res.Bills++
			res.Ask, res.open = append(res.Ask, bundle.Ask...), append(res.open, f.Bill.ID)
			continue
		}
		if bundle.Text != nil {
			texted[f.Bill.Phone] = true
			r.guards.Add(bundle.Text.Count.Segments) // for the next decisions to see
		}
		all = append(all, decided{f.Bill.ID, f.phoneID, bundle})
	}
	left, err := t.carryOut(r, all, res)
	if errors.Is(err, errNotSendable) && len(all) == 1 {
		*r.guards = before
		return waiting, t.decideOtherwise(r, all[0], res)
	}
	return append(waiting, left...), err
}

// onePerPhone leaves one bill of each phone whose texts may be about several
// bills. The others wait.
func onePerPhone(facts []fact) (one []fact, waiting []int64) {
	has := make(map[reminder.Phone]bool, len(facts))
	one = facts[:0]
	for _, f := range facts {
		if f.sharesPhone && has[f.Bill.Phone] {
			waiting = append(waiting, f.Bill.ID)
			continue
		}
		has[f.Bill.Phone] = true
		one = append(one, f)
	}
	return one, waiting
}

// decide decides about one bill, from its facts, and about it together with the
// bills that may share its text. It completes c, to which the items point.
func (r Round) decide(c *reminder.Case, candidates []reminder.Case) (reminder.BundleItem, reminder.Bundle) {
	policy := r.Policies.For(c.Bill.Service)
	c.Guards, c.RecentBody = *r.guards, r.recentBody
	item := reminder.BundleItem{Case: c, Decision: reminder.Decide(*c, policy, r.Delivery, r.Now)}
	if policy.Bundle && !r.single && len(candidates) > 0 && (item.Ask || item.Text != nil) {
		return item, reminder.Join(item, candidates, r.Policies, r.Delivery, r.Now)
	}
	return item, reminder.Single(item)
}

// decideOtherwise is for a bill whose text cannot be written as it was decided:
// the phone was opted out meanwhile, or has just had these very words. It is
// decided once more, with a text of its own; if it had one, with other words.
func (t *tx) decideOtherwise(r Round, d decided, res *roundResult) error {
	if len(d.bundle.Items) == 1 {
		r.recentBody = d.bundle.Text.Body
	}
	r.single = true
	return t.decideAll(r, []int64{d.billID}, res)
}

// carryOut writes what was decided: the intents to send texts, the records of
// their bills, and when each is evaluated next. No two texts have the same phone.
// It returns the bills that were due and had no room in their own bundles, since
// others are due sooner: they are decided about in another turn.
func (t *tx) carryOut(r Round, all []decided, res *roundResult) (left []int64, err error) {
	texts, err := t.intend(r, all)
	if err != nil {
		return nil, err
	}
	if err := t.addUsage(r, texts); err != nil {
		return nil, err
	}
	stages := 0
	for i := range all {
		for j := range all[i].bundle.Items {
			stages += len(all[i].bundle.Items[j].Records)
		}
	}
	records, evals := make([]stageRecord, 0, stages), make([]queueEntry, 0, len(all))
	res.Texts, res.Records = slices.Grow(res.Texts, len(all)), slices.Grow(res.Records, stages)
	for i := range all {
		d := &all[i]
		var textID int64
		if d.bundle.Text != nil {
			textID = texts[i].ID
			res.Texts = append(res.Texts, texts[i])
		}
		included := false
		for j := range d.bundle.Items {
			item := &d.bundle.Items[j]
			included = included || item.Bill.ID == d.billID
			for _, rec := range item.Records {
				if item.Knows(rec) {
					continue
				}
				if others := len(d.bundle.Items) - 1; others > 0 && rec.Outcome == reminder.Texted {
					rec.Detail = fmt.Sprintf("%s; in one text with %s", orElse(rec.Detail, rec.Reason.Info().Means), accountsBut(item.Bill, d.bundle.Items))
				}
				records = append(records, stageRecord{&item.Bill, item.Bill.DueDate.String(), rec, textID})
				res.Records = append(res.Records, NewRecord{&item.Bill, rec})
			}
			evals = append(evals, queueEntry{item.Bill.ID, item.Next})
		}
		if included {
			res.Bills++
		} else {
			left = append(left, d.billID)
		}
	}
	if err := t.record(records, r.Now); err != nil {
		return nil, err
	}
	return left, t.scheduleEvals(evals)
}

// accountsBut names the other accounts of a text, for the trail.
func accountsBut(b reminder.Bill, items []reminder.BundleItem) string {
	var all []string
	for _, item := range items {
		if item.Bill.ID != b.ID {
			all = append(all, item.Bill.Account)
		}
	}
	return "account " + strings.Join(all, ", ")
}
