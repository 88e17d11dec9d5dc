package store

import (
	"context"
	"fmt"
	"time"

	"duewatch/reminder"
	"duewatch/store/db"
)

// Round is what one pass of the remind job decides with.
type Round struct {
	Now      time.Time
	Policies reminder.Policies
	Delivery reminder.Delivery
	Claim    Claim // for bills and intents

	// guards is read once in the transaction of a round, and counts on with each of
	// its intents.
	guards  *reminder.GuardState
	foreign bool // whether the provider has texts that this store does not know
	refused bool // whether it refuses any destinations
	pausing bool // whether a pause has not reached all of its bills
	// asked are the bills that Almara Pay was asked about for this round.
	asked map[int64]reminder.Asked

	// Of a bill whose text cannot be sent as it was decided: it shares none, or does
	// not say this.
	single     bool
	recentBody string
}

// Text is a committed intent: a text that is now owed to the provider, once.
type Text struct {
	ID       int64
	Parts    []Part // one for each bill, soonest due first
	To       reminder.Phone
	Body     string
	Language string
	Segments int
	Decided  time.Time
	NotAfter time.Time
}

// Part is one bill's reminder in a text.
type Part struct {
	BillID  int64
	Service string
	Account string
	Stage   reminder.Stage
	DueDate reminder.Date
	Reason  reminder.Reason
	Planned time.Time
	// The balance it was decided on, nil = not known, and when that was learned.
	Balance   *reminder.Money
	BalanceAt time.Time
	// WithAmount is whether it was young enough to be named.
	WithAmount bool
	Verified   *bool // as of the bill
}

// NewRecord is a record that is new, for the log and the metrics.
type NewRecord struct {
	Bill *reminder.Bill
	reminder.Record
}

// RoundResult is what a round made of some bills.
type RoundResult struct {
	Bills   int             // how many were looked at
	Texts   []Text          // to be handed to the provider now
	Ask     []reminder.Bill // Almara Pay must be asked first; they stay claimed
	Records []NewRecord
	// Faults are bills about which no decision could be made, each undone alone:
	// they come back when their claim ends.
	Faults []error
	// Rejected are bills that were rejected by what Almara Pay said of them.
	Rejected []reminder.Bill
}

// roundResult is a round under way.
type roundResult struct {
	RoundResult
	open []int64 // bills about which nothing was decided
}

// DecideDue takes up to n bills whose hour has come and decides about each, in
// one transaction: facts, decision and intent are of one instant, so that an
// opt-out or a text recorded a moment before is seen. When it returns, the
// intents are on disk. Bills that Almara Pay must be asked about, and those
// that met a fault, stay claimed.
func (s *Store) DecideDue(ctx context.Context, r Round, n int) (RoundResult, error) {
	var l roundResult
	if due, err := s.anyToRemind(ctx, r.Now); err != nil || !due {
		return RoundResult{}, err
	}
	err := s.do(func(t *tx) error {
		l = roundResult{}
		rows, err := t.Query("SELECT bill_id FROM due_remind WHERE at <= ?1 ORDER BY at, bill_id LIMIT ?2 + 0", r.Now.UnixMilli(), n)
		if err != nil {
			return err
		}
		ids, err := db.Collect(rows, db.ScanID)
		if err != nil {
			return err
		}
		if err := t.readGuardState(&r); err != nil {
			return err
		}
		if err := t.decideEach(r, ids, &l); err != nil {
			return err
		}
		l.Ask = eachOnce(l.Ask)
		return t.claimBills(l.open, r.Now, r.Claim)
	})
	if err != nil {
		return RoundResult{}, fmt.Errorf("decide about due bills: %w", err)
	}
	return l.RoundResult, nil
}

// DecideAnswered is the second half of DecideDue for the bills that Almara Pay
// was asked about: it records what was learned and decides, in one
// transaction. All is learned before anything is decided, since bills may share
// a text.
func (s *Store) DecideAnswered(r Round, results []CheckResult) (RoundResult, error) {
	var l roundResult
	err := s.do(func(t *tx) error {
		l = roundResult{}
		r.asked = make(map[int64]reminder.Asked, len(results))
		ids := make([]int64, 0, len(results))
		record := func(some []CheckResult) error {
			learned := s.newChecks()
			if err := t.recordChecks(r.Policies, r.Now, some, &learned); err != nil {
				return err
			}
			if err := t.recordSeen(s, learned.latest); err != nil {
				return err
			}
			for i, b := range learned.Bills {
				if learned.Checks[i].Rejected != "" && b.State == reminder.BillRejected {
					l.Rejected = append(l.Rejected, b)
				}
			}
			for _, result := range some {
				switch {
				case result.Answer != nil:
					r.asked[result.BillID] = reminder.Answered
				case result.Failed == "" && result.Rejected == "":
					r.asked[result.BillID] = reminder.NotReached
				default:
					r.asked[result.BillID] = reminder.CouldNotSay
				}
				ids = append(ids, result.BillID)
			}
			return nil
		}
		err := db.Together(t.Tx, results, record, func(result CheckResult, err error) error {
			l.failed(result.BillID, err)
			return nil
		})
		if err != nil {
			return err
		}
		// What was learned may have stopped sending, or begun or ended a doubt.
		if err := t.readGuardState(&r); err != nil {
			return err
		}
		return t.decideEach(r, ids, &l)
	})
	if err != nil {
		return RoundResult{}, fmt.Errorf("decide after asking: %w", err)
	}
	return l.RoundResult, nil
}

// readGuardState reads what all decisions of the round have in common.
func (t *tx) readGuardState(r *Round) error {
	s, err := guardState(t, r.Policies.Default, r.Now)
	if err != nil {
		return err
	}
	r.guards = &s
	if err := t.Row("SELECT EXISTS (SELECT 1 FROM foreign_messages), EXISTS (SELECT 1 FROM refused_destinations)").Scan(&r.foreign, &r.refused); err != nil {
		return err
	}
	r.pausing, err = t.anyUnfinished(r.Now)
	return err
}

// decideEach decides about all of the bills together or, when a fault must be
// confined, about one after the other.
func (t *tx) decideEach(r Round, ids []int64, l *roundResult) error {
	return db.Together(t.Tx, ids, func(some []int64) error { return t.decideSome(r, some, l) },
		func(id int64, _ error) error {
			// One of the bills that would share its text may be to blame, and has an
			// evaluation of its own.
			alone := r
			alone.single = true
			return db.Together(t.Tx, []int64{id}, func(some []int64) error { return t.decideSome(alone, some, l) },
				func(id int64, err error) error {
					l.failed(id, err)
					return nil
				})
		})
}

// decideSome adds what it makes of bills to l, or nothing when it fails.
func (t *tx) decideSome(r Round, ids []int64, l *roundResult) error {
	var some roundResult
	guards := *r.guards
	if err := t.decideAll(r, ids, &some); err != nil {
		*r.guards = guards
		return err
	}
	l.Bills += some.Bills
	l.Texts = append(l.Texts, some.Texts...)
	l.Ask = append(l.Ask, some.Ask...)
	l.Records = append(l.Records, some.Records...)
	l.open = append(l.open, some.open...)
	return nil
}

// failed notes a bill about which nothing could be decided.
func (l *roundResult) failed(billID int64, err error) {
	l.Bills++
	l.Faults = append(l.Faults, fmt.Errorf("bill %d: %w", billID, err))
	l.open = append(l.open, billID)
}

// DryRun tells what the remind job would decide about the bill in this round,
// and with which others of its phone: by its own facts and rules, and without
// writing anything. A claim is neither made nor looked at.
func (s *Store) DryRun(ctx context.Context, r Round, b reminder.Bill) (lead reminder.BundleItem, bundle reminder.Bundle, err error) {
	err = s.view(ctx, func(t *tx) error {
		lead, bundle, err = t.dryRun(r, b)
		return err
	})
	if err != nil {
		return lead, bundle, fmt.Errorf("decide about a bill on trial: %w", err)
	}
	return lead, bundle, nil
}

func (t *tx) dryRun(r Round, b reminder.Bill) (lead reminder.BundleItem, bundle reminder.Bundle, err error) {
	if err := t.readGuardState(&r); err != nil {
		return lead, bundle, err
	}
	facts, err := t.facts(r, []int64{b.ID})
	if err != nil {
		return lead, bundle, err
	}
	others, err := t.bundleCandidates(r, facts)
	if err != nil {
		return lead, bundle, err
	}
	lead, bundle = r.decide(&facts[0].Case, others[b.Phone])
	return lead, bundle, nil
}
