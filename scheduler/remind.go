package scheduler

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"duewatch/reminder"
	"duewatch/store"
)

// remind makes one pass over the bills whose time has come. Every text that it
// hands over has its intent on disk before the call, and its outcome on disk after
// it. At most three rounds of texts are ever between the two (pace.ahead), so that
// memory does not grow with what is due.
//
// The order of the calls below is the order of events: first what may keep all
// texts back (the clock, what an earlier pass could not write, the provider's list),
// then the rounds, then what the pass leaves behind.
func (s *Scheduler) remind(ctx context.Context, j *job) (err error) {
	if s.passClock, err = s.checkClock(ctx); err != nil || !s.passClock.sure {
		return err
	}
	if err := s.settleOwnTexts(ctx); err != nil {
		return err
	}
	// While the list cannot be compared nothing leaves, and decisions go on.
	notCompared := s.checkForeignMessages(ctx, j)
	if h := (*sendingStopped)(nil); notCompared != nil && !errors.As(notCompared, &h) {
		return notCompared
	}
	p := s.startPass(ctx, j)
	defer p.stop(nil)
	err = p.run()
	if p.ctx.Err() != nil || errors.Is(err, errClockSet) {
		// What was claimed for Almara Pay to be asked about is not.
		err = errors.Join(err, s.Store.Unclaim(s.Now(), s.Owner))
	}
	why := context.Cause(p.ctx)
	if err != nil || why != nil {
		s.report(ctx, "settle what is known of texts", s.settleOwnTexts(context.WithoutCancel(ctx)))
	}
	if ctx.Err() == nil && !errors.Is(err, why) { // else the daemon is stopping, which is no failure
		err = errors.Join(err, why)
	}
	return errors.Join(notCompared, err)
}

// errClockSet ends a pass in the middle: its decisions were made by another clock.
var errClockSet = errors.New("the clock was set in the middle of a pass")

// remindPass is one pass of the remind job: rounds of decisions in this goroutine,
// and beside them the senders and a recorder.
type remindPass struct {
	*Scheduler
	job *job
	// ctx ends when the daemon stops, or when something that one text met would
	// be met by all others. What is in flight then gets its outcome all the same.
	ctx  context.Context
	stop context.CancelCauseFunc

	inFlight *inFlight
	asking   *asking // how Almara Pay has answered so far
	senders  sync.WaitGroup
	recorder sync.WaitGroup
}

// startPass starts the senders and the recorder, which wait for texts.
func (s *Scheduler) startPass(ctx context.Context, j *job) *remindPass {
	p := &remindPass{Scheduler: s, job: j, asking: &asking{s: s}}
	p.ctx, p.stop = context.WithCancelCause(ctx)
	p.inFlight = newInFlight(s.pace.ahead+s.pace.round, newLastCheck(s.Store, s.Now, s.pace.within(checkFor)+s.SendConcurrency))
	for range s.SendConcurrency {
		p.senders.Go(p.sendAll)
	}
	p.recorder.Go(p.recordOutcomes)
	return p
}

// run makes the rounds, and waits for what is in flight: also on a panic, or
// senders and recorder would wait for ever.
func (p *remindPass) run() error {
	defer func() {
		close(p.inFlight.texts)
		p.senders.Wait()
		close(p.inFlight.results)
		p.recorder.Wait()
	}()
	return p.rounds()
}

// sendAll hands texts to the provider, one after the other.
func (p *remindPass) sendAll() {
	for t := range p.inFlight.texts {
		o, err := p.send(p.ctx, t, p.inFlight.check)
		if err != nil {
			p.stop(err)
		}
		p.job.heartbeat()
		p.inFlight.results <- &sendResult{t, o}
	}
}

// recordOutcomes writes outcomes, those that come together by one commit.
func (p *remindPass) recordOutcomes() {
	for some := p.inFlight.next(); len(some) > 0; some = p.inFlight.next() {
		now, err := p.record(some)
		if err != nil {
			p.stop(err)
		}
		p.inFlight.done(len(some)) // the next round need not wait for the log
		for _, r := range some {
			p.logText(*r.text, r.outcome, now)
		}
	}
}

// rounds decides about what is due, round by round, until nothing is or the pass
// is stopped. The next round is decided while the texts of this one are sent: with
// less than a second's worth of texts in hand the senders would wait for commits.
//
// When Almara Pay lets nobody in, or answers nobody, it is hardly asked any more in
// this pass: what needs an answer is decided by reminders.stale_balance, and the
// rest goes on.
func (p *remindPass) rounds() error {
	for segments := 0; p.ctx.Err() == nil && !p.yields(p.job, segments, p.SegmentsPerSecond); {
		p.job.heartbeat()
		p.inFlight.await(p.pace.ahead)
		round := p.round()
		if p.clockWasSet(p.passClock) { // after the hour was read, so that no hour of an unknown clock gets through
			return errors.Join(p.asking.over(), errClockSet)
		}
		decided, err := p.Store.DecideDue(p.ctx, round, p.pace.round)
		if err != nil {
			return errors.Join(p.asking.over(), ignoreEnd(p.ctx, err))
		}
		if decided.Bills == 0 {
			break
		}
		segments += p.enqueue(decided)
		if len(decided.Ask) == 0 {
			continue
		}
		checked, err := p.askAndDecide(decided.Ask)
		if err != nil {
			return errors.Join(p.asking.over(), ignoreEnd(p.ctx, err))
		}
		segments += p.enqueue(checked)
	}
	return p.asking.over()
}

// askAndDecide asks Almara Pay about bills whose balance is too old, and decides
// about them by what it says, or by what it does not.
func (p *remindPass) askAndDecide(bills []reminder.Bill) (store.RoundResult, error) {
	checks := p.askRound(p.ctx, p.job, p.asking, bills)
	if p.ctx.Err() == nil {
		checks = unanswered(bills, checks)
	}
	round := p.round()
	if p.clockWasSet(p.passClock) {
		return store.RoundResult{}, errClockSet
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

func (s *Scheduler) round() store.Round {
	return store.Round{Now: s.Now(), Policies: s.Policies, Delivery: s.Delivery, Claim: s.claim()}
}

// enqueue logs what was decided and passes committed intents to the senders, which
// take them also after a stop, to give them back. It returns their segments.
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

// logRecord logs what was decided; a text is logged once it was handed over.
func (s *Scheduler) logRecord(r store.NewRecord) {
	level := slog.LevelInfo
	if r.Outcome == reminder.Texted || r.Reason == reminder.Superseded {
		level = slog.LevelDebug
	}
	if !s.Log.Enabled(context.Background(), level) {
		return
	}
	why := r.Detail
	if why == "" {
		why = r.Reason.Info().Means
	}
	s.about(r.Bill.Service, r.Bill.Account).Log(context.Background(), level, "reminder "+string(r.Outcome),
		"stage", r.Stage.String(), "due", r.Bill.DueDate.String(), "reason", string(r.Reason), "why", why)
}

// record writes what became of texts, as of now.
func (s *Scheduler) record(some []*sendResult) (now time.Time, err error) {
	now = s.Now()
	outcomes := make([]store.SendOutcome, len(some))
	for i, e := range some {
		outcomes[i] = e.outcome
	}
	return now, s.unwritten.record(s.Store, now, outcomes)
}

// ignoreEnd drops an error that comes of the pass being stopped.
func ignoreEnd(pass context.Context, err error) error {
	if pass.Err() != nil && errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}
