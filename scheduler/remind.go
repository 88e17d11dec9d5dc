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
// it. At most three rounds of texts are ever between the two
// (roundSizes.maxInFlight), so that memory does not grow with what is due.
//
// The order of the calls below is the order of events: first what may keep all
// texts back (checkClock; settleOwnTexts, which writes what an earlier pass could not;
// checkForeignMessages, which reads the provider's list), then the rounds (run), then
// what a pass that was cut short leaves behind (cleanUp).
func (s *Scheduler) remind(ctx context.Context, j *job) error {
	clock, err := s.checkClock(ctx)
	if err != nil || !clock.sure {
		return err
	}
	if err := s.settleOwnTexts(ctx); err != nil {
		return err
	}
	if err := s.isAside(ctx); err != nil {
		return err
	}
	s.awaitNewBills(ctx)
	// Where the list cannot be read (listFault), sending is stopped in the store. The
	// decisions go on, and hold what they would have sent, since they read that stop.
	listFault, err := s.checkForeignMessages(ctx, j, clock)
	if errors.Is(err, errNotCompared) {
		time.AfterFunc(time.Second, j.wake)
		return nil
	}
	if err != nil {
		return err
	}
	portion, err := s.Store.Portion(ctx)
	if err != nil {
		return err
	}
	s.Almara.ShareRate(portion.Of)
	p := s.startPass(ctx, j, clock, portion.Of)
	defer p.cutShort(nil) // frees its context
	err = p.run()
	return errors.Join(listFault, p.cleanUp(ctx, err))
}

// newBillsWait is for how long a pass waits for bills that are being registered. All of
// a small list are registered by then.
const newBillsWait = 3 * time.Second

// awaitNewBills waits a moment for a pass of the register job that is under way: of two
// bills of one phone that are new together, the first would have a text of its own, and
// the second find that its phone has had its text of the day.
func (s *Scheduler) awaitNewBills(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, newBillsWait)
	defer cancel()
	for _, j := range s.jobs {
		if j.name == jobRegister {
			j.awaitEnd(ctx)
		}
	}
}

// errClockSet ends a pass in the middle: its decisions were made by another clock.
var errClockSet = errors.New("the clock was set in the middle of a pass")

// lease is for how long a pass may keep a bill that it has claimed, or a text, before
// it is taken for dead. Half of it is for a text to wait (checkBeforeRequest), the
// other half for its call: notifier.timeout is at most five minutes.
const lease = 10 * time.Minute

// remindPass is one pass of the remind job: rounds of decisions in the job's
// goroutine, and beside them the senders and a recorder.
type remindPass struct {
	*Scheduler
	job        *job
	daemons    int        // that share the work, this one among them; 0 and 1 = it is alone
	clock      clockState // by which the pass decides and sends
	roundSizes roundSizes
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
func (s *Scheduler) startPass(ctx context.Context, j *job, clock clockState, daemons int) *remindPass {
	p := &remindPass{Scheduler: s, job: j, daemons: daemons, clock: clock, roundSizes: s.roundSizes}
	p.calls = s.newAlmaraCalls(j, s.Almara.Recheck)
	s.pacer.shareRate(daemons)
	if daemons > 1 { // all together have as many texts in flight as one alone
		p.roundSizes = newRoundSizes(s.SegmentsPerSecond / float64(daemons))
	}
	p.ctx, p.cutShort = context.WithCancelCause(ctx)
	perCheck := p.roundSizes.within(checkFresh) + s.SendConcurrency // as many as may leave while one check is fresh
	p.inFlight = newInFlight(p.roundSizes.maxInFlight(), &lastCheck{store: s.Store, now: s.Now, perCheck: perCheck, lock: newStoreLock()})
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
			p.job.wake() // a simulation's pass, which goes on when the other jobs had their turn
			return nil
		}
		p.job.heartbeat()
		p.inFlight.awaitAtMost(p.roundSizes.ahead)
		decided, err := p.decideDue()
		if err != nil || decided.Bills == 0 {
			return err
		}
		segments += p.enqueue(decided)
		if len(decided.Ask) == 0 {
			continue
		}
		answers := p.askBalances(decided.Ask)
		if decided, err = p.decideAnswered(answers); err != nil {
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
	return p.Store.DecideDue(p.ctx, round, p.roundSizes.bills)
}

// askBalances asks Almara Pay about bills whose balance is too old. A bill that it
// was not asked about has an empty answer, by which reminders.stale_balance decides.
func (p *remindPass) askBalances(bills []reminder.Bill) (answers []store.CheckResult) {
	answers = p.calls.askRound(p.ctx, bills)
	if p.ctx.Err() != nil {
		return answers // the others stay claimed until cleanUp gives them back
	}
	has := make(map[int64]bool, len(answers))
	for _, a := range answers {
		has[a.BillID] = true
	}
	for _, b := range bills {
		if !has[b.ID] {
			answers = append(answers, store.CheckResult{BillID: b.ID})
		}
	}
	return answers
}

// decideAnswered decides about bills by what Almara Pay said of them, or by its silence.
func (p *remindPass) decideAnswered(answers []store.CheckResult) (store.RoundResult, error) {
	round, err := p.newRound()
	if err != nil {
		return store.RoundResult{}, err
	}
	decided, err := p.Store.DecideAnswered(round, answers)
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
	now := p.Now()
	if p.clockWasSet(p.clock) {
		return store.Round{}, errClockSet
	}
	return store.Round{Now: now, Policies: p.Policies, Delivery: p.Delivery, Claim: store.Claim{Owner: p.Owner, Lease: lease},
		SegmentsPerSecond: p.SegmentsPerSecond}, nil
}

// enqueue logs what was decided and passes committed intents to the senders. When the
// pass was cut short the senders give them back unsent. It returns their segments.
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
// returns why the pass failed: err is what the rounds met, the cause of the context is
// what a sender or the recorder met, and which ended the rounds. That the daemon is
// stopping is no failure.
func (p *remindPass) cleanUp(ctx context.Context, err error) error {
	cause := context.Cause(p.ctx) // nil = the pass was not cut short
	if cause != nil || err != nil {
		// Bills were claimed to be asked about and decided, and were not.
		err = errors.Join(err, p.Store.Unclaim(p.Now(), p.Owner))
		// An outcome may not be written, or an intent be on disk whose commit seemed to fail.
		p.report(ctx, "settle what is known of texts", p.settleOwnTexts(context.WithoutCancel(ctx)))
	}
	if cause != nil && ctx.Err() == nil && !errors.Is(err, cause) {
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
