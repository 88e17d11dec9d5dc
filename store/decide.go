package store

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"duewatch/reminder"
	"duewatch/store/db"
)

// decider makes the decisions of one round, in the round's transaction.
type decider struct {
	*tx
	Round
	asked map[int64]reminder.Asked // bills that Almara Pay was asked about for this round

	// What holds for all bills alike is read once.
	guards          reminder.GuardState // counts the texts of this round as well
	anyForeign      bool                // the provider has messages that this store did not send
	anyRefused      bool                // the provider refuses some destinations
	pauseUnfinished bool                // a pause has yet to reach some of its bills

	result    RoundResult
	undecided []int64 // bills that stay claimed: Almara Pay is asked first, or they met a fault
}

// readWhatHoldsForAll reads it. It comes before any decision.
func (d *decider) readWhatHoldsForAll() (err error) {
	if d.guards, err = guardState(d, d.Policies.Default, d.Now); err != nil {
		return err
	}
	err = d.Row("SELECT EXISTS (SELECT 1 FROM foreign_messages), EXISTS (SELECT 1 FROM refused_destinations)").
		Scan(&d.anyForeign, &d.anyRefused)
	if err != nil {
		return err
	}
	d.pauseUnfinished, err = d.anyPauseUnfinished(d.Now)
	return err
}

// limits bind a decision that is made again, since the text of the one before could not
// be written, or met a fault.
type limits struct {
	alone   bool   // a text is about this bill alone
	notBody string // the body that a text must not have; "" = any will do
}

// decide decides about all of the bills. When something fails, the whole transaction is
// run again (db.Together), and it decides about each by itself. When that fails too, it
// decides without those that the bill would share its text with, since one of them may be
// to blame; they are decided about in their own turns.
func (d *decider) decide(ids []int64) error {
	together := func(batch []int64) error { return d.tryOnCopy(batch, limits{}) }
	alone := func(batch []int64) error { return d.tryOnCopy(batch, limits{alone: true}) }
	return db.Together(d.Tx, ids, together, func(id int64, _ error) error {
		return db.Together(d.Tx, []int64{id}, alone, func(id int64, err error) error {
			d.fail(id, err)
			return nil
		})
	})
}

// tryOnCopy decides on a copy of d, and keeps it when all went well: where it fails, the
// transaction undoes what it wrote, and what it counted must be forgotten as well.
func (d *decider) tryOnCopy(ids []int64, l limits) error {
	copied := *d
	if err := copied.decideInTurns(ids, l); err != nil {
		return err
	}
	*d = copied
	return nil
}

// fail notes a bill about which nothing could be decided.
func (d *decider) fail(billID int64, err error) {
	d.result.Faults = append(d.result.Faults, fmt.Errorf("bill %d: %w", billID, err))
	d.undecided = append(d.undecided, billID)
}

// decideInTurns decides about bills that are due, and about those that share their
// texts. A text to a phone changes what may be decided about its other bills: they
// wait for a further turn, in which their facts are read anew.
func (d *decider) decideInTurns(ids []int64, l limits) (err error) {
	for len(ids) > 0 {
		if ids, err = d.turn(ids, l); err != nil {
			return err
		}
	}
	return nil
}

// decision is what is to be done about a bill that was due, together with those
// that share its text.
type decision struct {
	billID  int64 // of the bill that was due
	phoneID int64 // as in fact
	bundle  reminder.Bundle
}

// turn reads the facts of all bills first and writes all decisions last (but for pauses),
// each by statements over many rows. It returns the bills that wait for the next turn.
func (d *decider) turn(ids []int64, l limits) (waiting []int64, err error) {
	facts, err := d.facts(ids)
	if err != nil {
		return nil, err
	}
	facts, waiting = onePerPhone(facts)
	var candidates map[reminder.Phone][]reminder.Case
	if !l.alone {
		if candidates, err = d.bundleCandidates(facts); err != nil {
			return nil, err
		}
	}
	decisions := make([]decision, 0, len(facts))
	texted := make(map[reminder.Phone]bool, len(facts)) // in this turn
	before := d.guards
	for i := range facts {
		f := &facts[i]
		if texted[f.Bill.Phone] {
			waiting = append(waiting, f.Bill.ID)
			continue
		}
		isDue, err := d.applyPauses(&f.Bill)
		if err != nil {
			return nil, err
		}
		if !isDue { // the pause has put it in its queue
			continue
		}
		f.Guards, f.NotBody = d.guards, l.notBody
		bundle := d.join(d.evaluate(&f.Case), candidates[f.Bill.Phone], l)
		if len(bundle.Ask) > 0 {
			d.result.Ask = append(d.result.Ask, bundle.Ask...)
			d.undecided = append(d.undecided, f.Bill.ID)
			continue
		}
		if bundle.Text != nil {
			texted[f.Bill.Phone] = true
			d.guards.Add(bundle.Text.Count.Segments) // the next decisions count it
		}
		decisions = append(decisions, decision{f.Bill.ID, f.phoneID, bundle})
	}
	leftOut, err := d.write(decisions)
	// Of many decisions the store does not say which one it refused: the error has each
	// made by itself. Of a single one nothing was written, and only the guards had counted it.
	if errors.Is(err, errNotSendable) && len(decisions) == 1 {
		d.guards = before
		return waiting, d.decideInTurns([]int64{decisions[0].billID}, l.afterNotSendable(decisions[0].bundle))
	}
	return append(waiting, leftOut...), err
}

// onePerPhone leaves one bill of each phone whose texts may be about several
// bills. The others wait.
func onePerPhone(facts []fact) (one []fact, waiting []int64) {
	has := make(map[reminder.Phone]bool, len(facts))
	one = facts[:0]
	for _, f := range facts {
		if f.mayBundle && has[f.Bill.Phone] {
			waiting = append(waiting, f.Bill.ID)
			continue
		}
		has[f.Bill.Phone] = true
		one = append(one, f)
	}
	return one, waiting
}

// afterNotSendable are the limits after the text of a bundle could not be written, since
// the phone was opted out meanwhile or has just had these very words: the bill has a text
// of its own or, if it had one, other words.
func (l limits) afterNotSendable(b reminder.Bundle) limits {
	if len(b.Items) == 1 {
		l.notBody = b.Text.Body
	}
	l.alone = true
	return l
}

// evaluate decides about one bill as if there were no other.
func (d *decider) evaluate(c *reminder.Case) reminder.BundleItem {
	return reminder.BundleItem{Case: c, Decision: reminder.Decide(*c, d.Policies.For(c.Bill.Service), d.Delivery, d.Now)}
}

// join decides about a bill together with those that may share its text.
func (d *decider) join(lead reminder.BundleItem, candidates []reminder.Case, l limits) reminder.Bundle {
	mayShare := d.Policies.For(lead.Bill.Service).Bundle && !l.alone && len(candidates) > 0
	if mayShare && (lead.Ask || lead.Text != nil) {
		return reminder.Join(lead, candidates, d.Policies, d.Delivery, d.Now)
	}
	return reminder.BundleOfOne(lead)
}

// write writes the intents to send texts, the records of their bills, and when each
// bill is evaluated next. No two texts have the same phone. It returns the bills that
// were due and that their own bundles left out, since others are due sooner: they are
// decided about in another turn.
func (d *decider) write(decisions []decision) (leftOut []int64, err error) {
	texts, err := d.writeIntents(decisions)
	if err != nil {
		return nil, err
	}
	if err := d.addUsage(texts); err != nil {
		return nil, err
	}
	stages := 0
	for i := range decisions {
		for j := range decisions[i].bundle.Items {
			stages += len(decisions[i].bundle.Items[j].Records)
		}
	}
	records, evaluations := make([]stageRecord, 0, stages), make([]queueEntry, 0, len(decisions))
	d.result.Texts = slices.Grow(d.result.Texts, len(decisions))
	d.result.Records = slices.Grow(d.result.Records, stages)
	for i := range decisions {
		items, included := decisions[i].bundle.Items, false
		textID := texts[i].ID // 0 = there is no text
		if textID != 0 {
			d.result.Texts = append(d.result.Texts, texts[i])
		}
		for j := range items {
			item := &items[j]
			included = included || item.Bill.ID == decisions[i].billID
			evaluations = append(evaluations, queueEntry{item.Bill.ID, item.Next})
			for _, record := range item.Records {
				if item.Knows(record) {
					continue
				}
				if len(items) > 1 && record.Outcome == reminder.Texted {
					record.Detail = orElse(record.Detail, record.Reason.Info().Means) +
						"; in one text with account " + otherAccounts(item.Bill.ID, items)
				}
				records = append(records, stageRecord{&item.Bill, item.Bill.DueDate.String(), record, textID})
				d.result.Records = append(d.result.Records, NewRecord{&item.Bill, record})
			}
		}
		if !included {
			leftOut = append(leftOut, decisions[i].billID)
		}
	}
	if err := d.writeRecords(records, d.Now); err != nil {
		return nil, err
	}
	return leftOut, d.scheduleAll(dueRemind, evaluations)
}

// otherAccounts names the accounts of a text but that of one bill, for the trail.
func otherAccounts(billID int64, items []reminder.BundleItem) string {
	var others []string
	for _, item := range items {
		if item.Bill.ID != billID {
			others = append(others, item.Bill.Account)
		}
	}
	return strings.Join(others, ", ")
}
