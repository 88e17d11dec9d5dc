package store

import (
	"context"
	"fmt"
	"slices"
	"time"

	"duewatch/reminder"
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
		rows, err := t.query("SELECT bill_id FROM due_remind WHERE at <= ?1 ORDER BY at, bill_id LIMIT +?2", r.Now.UnixMilli(), n)
		if err != nil {
			return err
		}
		ids, err := collect(rows, scanID)
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
		return t.claimLooks(l.open, r.Now, r.Claim)
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
		record := func(some []CheckResult, to *roundResult) error {
			learned := s.newChecks()
			if err := t.recordChecks(r.Policies, r.Now, some, &learned); err != nil {
				return err
			}
			if err := t.seen(s, learned.latest); err != nil {
				return err
			}
			for i, b := range learned.Bills {
				if learned.Checks[i].Rejected != "" && b.State == reminder.BillRejected {
					to.Rejected = append(to.Rejected, b)
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
		for some := range slices.Chunk(results, t.batchSize(len(results))) {
			if err := t.single(some[0].BillID, &l, func(one *roundResult) error { return record(some, one) }); err != nil {
				return err
			}
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
	s, err := guardState(t.ctx, t, r.Policies.Default, r.Now)
	if err != nil {
		return err
	}
	r.guards = &s
	if err := t.row("SELECT EXISTS (SELECT 1 FROM strangers), EXISTS (SELECT 1 FROM destinations)").Scan(&r.foreign, &r.refused); err != nil {
		return explain(err)
	}
	r.pausing, err = t.anyUnfinished(r.Now)
	return err
}

// decideEach decides about all of the bills together or, when a fault must be
// confined, about one after the other.
func (t *tx) decideEach(r Round, ids []int64, l *roundResult) error {
	if t.batched {
		_, all := t.savepoint(func(t *tx) error { return t.decideAll(r, ids, l) })
		return all
	}
	for _, id := range ids {
		failed, err := t.decideOne(r, id, l)
		if err == nil && failed && !r.single {
			// One of the bills that would share its text may be to blame, and has
			// a look of its own.
			l.Faults, l.open, l.Bills = l.Faults[:len(l.Faults)-1], l.open[:len(l.open)-1], l.Bills-1
			alone := r
			alone.single = true
			_, err = t.decideOne(alone, id, l)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// decideOne decides about one bill, and reports whether that met a fault.
func (t *tx) decideOne(r Round, id int64, l *roundResult) (failed bool, err error) {
	before, faults := *r.guards, len(l.Faults)
	err = t.single(id, l, func(l *roundResult) error { return t.decideAll(r, []int64{id}, l) })
	if failed = len(l.Faults) > faults; failed {
		*r.guards = before
	}
	return failed, err
}

// single does something about one bill so that a fault in it holds up no other.
func (t *tx) single(billID int64, l *roundResult, do func(*roundResult) error) error {
	var one roundResult
	own, all := t.savepoint(func(*tx) error { return do(&one) })
	if all == nil && ofTheMachine(own) {
		all = own // no bill is to blame: they all come back at the next tick, and not when their claims end
	}
	if own != nil {
		one = roundResult{open: []int64{billID}}
		one.Bills, one.Faults = 1, []error{fmt.Errorf("bill %d: %w", billID, own)}
	}
	l.Bills += one.Bills
	l.Texts = append(l.Texts, one.Texts...)
	l.Ask = append(l.Ask, one.Ask...)
	l.Records = append(l.Records, one.Records...)
	l.Rejected = append(l.Rejected, one.Rejected...)
	l.Faults = append(l.Faults, one.Faults...)
	l.open = append(l.open, one.open...)
	return all
}
