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
	// SegmentsPerSecond is the provider's rate, which daemons share.
	SegmentsPerSecond float64
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
	// Turn is when it may be handed to the provider at the rate that daemons share, by this
	// machine's clock; zero in a file, whose one daemon keeps to the rate by itself.
	Turn time.Time
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
	// The balance it was decided on, nil = not known, and when Almara Pay said it.
	Balance    *reminder.Money
	BalanceAt  time.Time
	WithAmount bool  // the balance was young enough to be named
	Verified   *bool // as in reminder.Bill, at the decision
}

// NewRecord is a record that is new, for the log and the metrics.
type NewRecord struct {
	Bill *reminder.Bill
	reminder.StageDecision
}

// RoundResult is what a round made of its bills.
type RoundResult struct {
	Bills   int             // how many it was about
	Texts   []Text          // to be handed to the provider now
	Ask     []reminder.Bill // Almara Pay must be asked first; those that were due stay claimed
	Records []NewRecord
	// Faults are of bills about which no decision could be made, each undone alone:
	// they come back when their claim ends, or with the others when a pass fails.
	Faults []error
	// Rejected are bills that were rejected by what Almara Pay said of them.
	Rejected []reminder.Bill
}

// DecideDue takes up to n bills whose hour has come and decides about each, in
// one transaction: facts, decision and intent are of one instant, so that an
// opt-out or a text recorded a moment before is seen. When it returns, the
// intents are on disk. Bills that Almara Pay must be asked about, and those
// that met a fault, stay claimed.
func (s *Store) DecideDue(ctx context.Context, r Round, n int) (RoundResult, error) {
	if due, err := s.anyToRemind(ctx, r.Now); err != nil || !due {
		return RoundResult{}, err
	}
	var result RoundResult
	var turns reservedTurns
	err := s.do(func(t *tx) error {
		ids, err := t.dueToRemind(r.Now, n)
		if err != nil {
			return err
		}
		d := &decider{tx: t, Round: r}
		if err := d.readWhatHoldsForAll(); err != nil {
			return err
		}
		if err := d.decide(ids); err != nil {
			return err
		}
		result = d.result
		result.Bills, result.Ask = len(ids), eachOnce(result.Ask)
		if err := t.claimBills(d.undecided, r.Now, r.Claim); err != nil {
			return err
		}
		turns, err = t.reserveTurns(result.Texts, r.SegmentsPerSecond)
		return err
	})
	if err != nil {
		return RoundResult{}, fmt.Errorf("decide about due bills: %w", err)
	}
	turns.give(result.Texts, r.SegmentsPerSecond)
	return result, nil
}

// reservedTurns are the turns of the texts of a round, one behind the other.
type reservedTurns struct {
	reserved bool
	first    time.Time
}

// reserveTurns reserves turns for the texts of a round, with the intents.
func (t *tx) reserveTurns(texts []Text, perSecond float64) (turns reservedTurns, err error) {
	segments := 0
	for i := range texts {
		segments += texts[i].Segments
	}
	if segments > 0 {
		turns.first, turns.reserved, err = t.ReservePace(segments, perSecond)
	}
	return turns, err
}

// give gives each text its turn. Where the commit took so long that the first has passed, all
// come later by as much: together they would leave in a burst.
func (r reservedTurns) give(texts []Text, perSecond float64) {
	if !r.reserved {
		return
	}
	next := notPassed(r.first)
	for i := range texts {
		texts[i].Turn = next
		next = next.Add(time.Duration(float64(texts[i].Segments) / perSecond * float64(time.Second)))
	}
}

func notPassed(turn time.Time) time.Time {
	if now := time.Now(); turn.Before(now) {
		return now
	}
	return turn
}

// ReserveTurn reserves another turn for a text that has missed its own.
func (s *Store) ReserveTurn(segments int, perSecond float64) (turn time.Time, err error) {
	err = s.do(func(t *tx) error {
		turn, _, err = t.ReservePace(segments, perSecond)
		return err
	})
	if err != nil {
		return time.Time{}, fmt.Errorf("reserve a turn: %w", err)
	}
	return notPassed(turn), nil
}

// DecideAnswered is the second half of DecideDue for the bills that Almara Pay
// was asked about: it records what was said of them and decides, in one
// transaction. All is recorded before anything is decided, since bills may share
// a text.
func (s *Store) DecideAnswered(r Round, results []CheckResult) (RoundResult, error) {
	var result RoundResult
	var turns reservedTurns
	err := s.do(func(t *tx) error {
		d := &decider{tx: t, Round: r, asked: make(map[int64]reminder.Asked, len(results))}
		ids, err := d.recordAnswers(s, results)
		if err != nil {
			return err
		}
		// After the answers, which may have stopped sending, or begun or ended a doubt
		// about what is paid.
		if err := d.readWhatHoldsForAll(); err != nil {
			return err
		}
		if err := d.decide(ids); err != nil {
			return err
		}
		result = d.result
		result.Bills = len(results)
		turns, err = t.reserveTurns(result.Texts, r.SegmentsPerSecond)
		return err
	})
	if err != nil {
		return RoundResult{}, fmt.Errorf("decide after asking: %w", err)
	}
	turns.give(result.Texts, r.SegmentsPerSecond)
	return result, nil
}

// recordAnswers records what was said of bills, and returns the ids of those of which it
// could be recorded.
func (d *decider) recordAnswers(s *Store, results []CheckResult) (ids []int64, err error) {
	record := func(batch []CheckResult) error {
		recorded := s.newChecks()
		if err := d.recordChecks(d.Policies, d.Now, batch, &recorded); err != nil {
			return err
		}
		// The hour of the answers is one that the clock has certainly come to.
		if err := d.recordSeen(s, recorded.latest); err != nil {
			return err
		}
		for i, b := range recorded.Bills { // each is that of Checks[i]
			// A rejection may not be believed yet: then the bill stays what it was.
			if recorded.Checks[i].Rejected != "" && b.State == reminder.BillRejected {
				d.result.Rejected = append(d.result.Rejected, b)
			}
		}
		for _, result := range batch {
			d.asked[result.BillID] = result.asked()
			ids = append(ids, result.BillID)
		}
		return nil
	}
	err = db.Together(d.Tx, results, record, func(result CheckResult, err error) error {
		d.fail(result.BillID, err)
		return nil
	})
	return ids, err
}

// DryRun is what the remind job would decide in this round about a bill, the lead, by
// itself, and in a bundle with others of its phone: that may ask about others first, or
// leave the lead out. It uses the job's own facts and rules, writes nothing, and neither
// makes a claim nor minds one.
//
// As in the job an unfinished pause of its service or phone pauses the lead. Unlike in
// the job a pause of its own that is over is not ended: the lead stays paused.
func (s *Store) DryRun(ctx context.Context, r Round, b reminder.Bill) (lead reminder.BundleItem, bundle reminder.Bundle, err error) {
	err = s.view(ctx, func(t *tx) error {
		d := &decider{tx: t, Round: r}
		if err := d.readWhatHoldsForAll(); err != nil {
			return err
		}
		facts, err := d.facts([]int64{b.ID})
		if err != nil {
			return err
		}
		f := &facts[0]
		pause, err := d.unfinishedPauseOf(f.Bill)
		if err != nil {
			return err
		}
		if pause != nil {
			f.Bill.State, f.Bill.PausedAt, f.Bill.PausedUntil = reminder.BillPaused, r.Now, pause.Until
		}
		candidates, err := d.bundleCandidates(facts)
		if err != nil {
			return err
		}
		for l := (limits{}); ; l = l.afterNotSendable(bundle) {
			f.Guards, f.NotBody = d.guards, l.notBody
			lead = d.evaluate(&f.Case)
			bundle = d.join(lead, candidates[f.Bill.Phone], l)
			if bundle.Text == nil {
				return nil
			}
			// The job learns this from the statement that writes the intent.
			if repeated, err := d.hadBody(f.phoneID, bundle.Text.Body); err != nil || !repeated {
				return err
			}
		}
	})
	if err != nil {
		return lead, bundle, fmt.Errorf("decide about a bill on trial: %w", err)
	}
	return lead, bundle, nil
}
