package scheduler

import (
	"context"
	"errors"
	"sync"
	"time"

	"duewatch/reminder"
	"duewatch/store"
)

// remind makes one pass over the bills whose time has come. Every text that it
// hands over has its intent on disk before the call, and its outcome on disk after
// it. At most three rounds of texts are ever between the two (pace.maxInFlight), so
// that memory does not grow with what is due.
//
// The order of the calls below is the order of events: first what may keep all
// texts back (the clock, what an earlier pass could not write, the provider's list),
// then the rounds, then what a pass that was cut short leaves behind.
func (s *Scheduler) remind(ctx context.Context, j *job) error {
	clock, err := s.checkClock(ctx)
	if err != nil || !clock.sure {
		return err
	}
	if err := s.settleOwnTexts(ctx); err != nil {
		return err
	}
	// Where the list cannot be read, sending is stopped, and the decisions go on: they
	// hold what they would have sent.
	listFault, err := s.checkForeignMessages(ctx, j, clock)
	if err != nil {
		return err
	}
	p := s.startPass(ctx, j, clock)
	defer p.cutShort(nil) // frees its context
	err = p.run()
	return errors.Join(listFault, p.cleanUp(ctx, err))
}

// errClockSet ends a pass in the middle: its decisions were made by another clock.
var errClockSet = errors.New("the clock was set in the middle of a pass")

// remindPass is one pass of the remind job: rounds of decisions in the job's
// goroutine, and beside them the senders and a recorder.
type remindPass struct {
	*Scheduler
	job   *job
	clock clockState // by which the pass decides and sends
	// ctx ends when the daemon stops, or by cutShort. What is in flight then gets its
	// outcome all the same.
	ctx context.Context
	// cutShort ends the pass for something that one text met and all others would
	// meet.
	cutShort context.CancelCauseFunc

	inFlight *inFlight
	calls    *almaraCalls
	senders  sync.WaitGroup
	recorder sync.WaitGroup
}

// startPass starts the senders and the recorder, which wait for texts.
func (s *Scheduler) startPass(ctx context.Context, j *job, clock clockState) *remindPass {
	p := &remindPass{Scheduler: s, job: j, clock: clock, calls: s.newAlmaraCalls(j, s.Almara.Recheck)}
	p.ctx, p.cutShort = context.WithCancelCause(ctx)
	checkedTogether := s.pace.within(checkFor) + s.SendConcurrency
	check := &lastCheck{store: s.Store, now: s.Now, together: checkedTogether}
	p.inFlight = newInFlight(s.pace.maxInFlight(), check)
	for range s.SendConcurrency {
		p.senders.Go(p.sendTexts)
	}
	p.recorder.Go(p.recordResults)
	return p
}

// run makes the rounds, and returns once every text has its outcome: also on a
// panic, or senders and recorder would wait for ever.
func (p *remindPass) run() error {
	defer func() {
		close(p.inFlight.texts)
		p.senders.Wait()
		close(p.inFlight.results)
		p.recorder.Wait()
	}()
	err := p.makeRounds()
	return errors.Join(p.calls.fault(), ignoreCancel(p.ctx, err))
}

// makeRounds decides about what is due, round by round, until nothing is or the pass
// is cut short. The next round is decided while the texts of this one are sent: with
// less than a second's worth of texts in hand the senders would wait for commits.
//
// When Almara Pay lets nobody in, or answers nobody, it is hardly asked any more in
// this pass: what needs an answer is decided by reminders.stale_balance, and the
// rest goes on.
func (p *remindPass) makeRounds() error {
	maxSegments, _ := p.pacer.passLimit()
	for segments := 0; p.ctx.Err() == nil; {
		if segments >= maxSegments {
			p.job.wake() // to go on when the other jobs had their turn
			return nil
		}
		p.job.heartbeat()
		p.inFlight.await(p.pace.ahead)
		decided, err := p.decideDue()
		if err != nil || decided.Bills == 0 {
			return err
		}
		segments += p.enqueue(decided)
		if len(decided.Ask) == 0 {
			continue
		}
		checks := p.askBalances(decided.Ask)
		if decided, err = p.decideChecked(checks); err != nil {
			return err
		}
		segments += p.enqueue(decided)
	}
	return nil
}

// decideDue decides about the next bills that are due, and commits the intents.
func (p *remindPass) decideDue() (store.RoundResult, error) {
	round, err := p.newRound()
	if err != nil {
		return store.RoundResult{}, err
	}
	return p.Store.DecideDue(p.ctx, round, p.pace.round)
}

// askBalances asks Almara Pay about bills whose balance is too old. A bill that it
// was not asked about has an empty result, by which it is held.
func (p *remindPass) askBalances(bills []reminder.Bill) []store.CheckResult {
	results := p.calls.askRound(p.ctx, bills)
	if p.ctx.Err() != nil {
		return results // the others stay due
	}
	has := make(map[int64]bool, len(results))
	for _, r := range results {
		has[r.BillID] = true
	}
	for _, b := range bills {
		if !has[b.ID] {
			results = append(results, store.CheckResult{BillID: b.ID})
		}
	}
	return results
}

// decideChecked decides about bills by what Almara Pay said of them, or by its silence.
func (p *remindPass) decideChecked(checks []store.CheckResult) (store.RoundResult, error) {
	round, err := p.newRound()
	if err != nil {
		return store.RoundResult{}, err
	}
	decided, err := p.Store.DecideAnswered(round, checks)
	if err != nil {
		return store.RoundResult{}, err
	}
	for _, b := range decided.Rejected {
		p.logRejected(b)
	}
	return decided, nil
}

// newRound is a round of decisions as of now. The clock is tested after the hour was
// read, so that no hour of an unknown clock gets through.
func (p *remindPass) newRound() (store.Round, error) {
	round := p.round()
	if p.clockWasSet(p.clock) {
		return store.Round{}, errClockSet
	}
	return round, nil
}

func (s *Scheduler) round() store.Round {
	return store.Round{Now: s.Now(), Policies: s.Policies, Delivery: s.Delivery, Claim: store.Claim{Owner: s.Owner, Lease: lease}}
}

// enqueue logs what was decided and passes committed intents to the senders, which
// take them also when the pass is cut short, to give them back. It returns their
// segments.
func (p *remindPass) enqueue(decided store.RoundResult) (segments int) {
	for _, fault := range decided.Faults {
		p.Log.Error("no decision could be made", "err", fault)
	}
	for _, r := range decided.Records {
		if r.Outcome != reminder.Texted { // counted once it was handed over
			p.Metrics.reminded(r.Outcome, r.Reason)
		}
		p.logRecord(r)
	}
	p.inFlight.add(decided.Texts)
	for _, t := range decided.Texts {
		segments += t.Segments
	}
	return segments
}

// sendTexts hands texts to the provider, one after the other.
func (p *remindPass) sendTexts() {
	for t := range p.inFlight.texts {
		outcome, err := p.send(t)
		if err != nil {
			p.cutShort(err)
		}
		p.job.heartbeat()
		p.inFlight.results <- &sendResult{t, outcome}
	}
}

// recordResults writes outcomes, those that come together by one commit.
func (p *remindPass) recordResults() {
	for batch := p.inFlight.nextResults(); len(batch) > 0; batch = p.inFlight.nextResults() {
		outcomes := make([]store.SendOutcome, len(batch))
		for i, r := range batch {
			outcomes[i] = r.outcome
		}
		now := p.Now()
		if err := p.unwritten.record(p.Store, now, outcomes); err != nil {
			p.cutShort(err)
		}
		p.inFlight.done(len(batch)) // the next round need not wait for the log
		for _, r := range batch {
			p.logText(r.text, &r.outcome, now)
		}
	}
}

// cleanUp puts right what a pass leaves behind that did not get to its end. It
// returns why the pass failed, by err or by what cut it short; that the daemon is
// stopping is no failure.
func (p *remindPass) cleanUp(ctx context.Context, err error) error {
	cause := context.Cause(p.ctx)
	if cause != nil || errors.Is(err, errClockSet) {
		// Bills that were claimed to be asked about were not.
		err = errors.Join(err, p.Store.Unclaim(p.Now(), p.Owner))
	}
	if cause != nil || err != nil {
		p.report(ctx, "settle what is known of texts", p.settleOwnTexts(context.WithoutCancel(ctx)))
	}
	if ctx.Err() == nil && !errors.Is(err, cause) {
		err = errors.Join(err, cause)
	}
	return err
}

// ignoreCancel drops an error that comes of the context being cancelled.
func ignoreCancel(ctx context.Context, err error) error {
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// lease is for how long a pass may keep a bill or a text before it is taken
// for dead. It is far longer than any call with all its tries.
const lease = 10 * time.Minute
