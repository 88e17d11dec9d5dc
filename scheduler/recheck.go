package scheduler

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"duewatch/reminder"
	"duewatch/store"
)

// register announces the bills that Almara Pay does not know yet.
func (s *Scheduler) register(ctx context.Context, j *job) error {
	return s.checkDue(ctx, j, s.Store.ToRegister, s.Almara.Register)
}

// recheck asks again about the bills whose hour has come.
func (s *Scheduler) recheck(ctx context.Context, j *job) error {
	return s.checkDue(ctx, j, s.Store.ToRecheck, s.Almara.Recheck)
}

// checkDue makes one pass over the bills of a queue: it asks about each and records
// the result of each call. A bill that is thereby due for a reminder wakes that job.
// A bill about which nothing was learned stays due, and is asked about again by the
// next pass.
//
// A pass that is cut short, since Almara Pay seems to be down or to let nobody
// in, may have met the same bad bills all in a row. So the next one tries a few
// from different places of the queue first, and goes on in the same way.
func (s *Scheduler) checkDue(ctx context.Context, j *job, read queue, call call) error {
	portion, err := s.Store.Portion(ctx)
	if err != nil || !portion.Works { // others ask about all of them
		return ignoreCancel(ctx, err)
	}
	if why := s.aside.Load(); portion.Of > 1 && !s.ClockCheck.stateNow().sure && (why == nil || why.reason != reminder.ClockUnsure) {
		return nil // what is learned now would have a wrong age; checkClock wakes it, or has it step aside
	}
	s.Almara.ShareRate(portion.Of)
	bills, err := s.turnsOf(ctx, j, read, portion)
	if err != nil {
		return ignoreCancel(ctx, err)
	}
	calls := s.newAlmaraCalls(j, call)
	again := j.wasCutShort
	if again {
		if err := s.checkSample(ctx, calls, bills); err != nil {
			return err
		}
	}
	began := s.Now()
	j.wasCutShort = false
	p := s.startCheckPass(ctx, calls, bills)
	defer p.abandon() // after a panic alone there is anything left
	err = p.recordResults()
	cause := context.Cause(p.ctx)
	switch {
	case cause == nil || ctx.Err() != nil:
		return err
	case errors.Is(cause, errNobodyIsAsked):
		if j.wasCutShort = true; !again {
			j.cutSince = began
		}
		if cause = calls.putOff(); cause == nil {
			j.wake() // a call that was under way was let in after all: go on at once
		}
	case errors.Is(err, cause):
		return err
	}
	return errors.Join(cause, err)
}

// errNobodyIsAsked ends a pass whose calls are over before its queue is.
var errNobodyIsAsked = errors.New("no more bills are asked about in this pass")

// checkSample asks about a few bills from different places of the queue, and records
// what came of it. The error is why nobody else is asked in this pass.
func (s *Scheduler) checkSample(ctx context.Context, calls *almaraCalls, bills *turns) error {
	sample, err := bills.sample(ctx, s.Now())
	if err != nil {
		return ignoreCancel(ctx, err)
	}
	if results := calls.askAll(ctx, sample); len(results) > 0 {
		recorder := checkRecorder{Scheduler: s, wakeAfter: len(results)}
		_ = recorder.record(results) // finish has its error
		err = recorder.finish()
	}
	return errors.Join(calls.putOff(), err)
}

// checkPass is one pass of the register or the recheck job. Bills are read and
// results recorded by the batch while calls are under way: no call waits for the
// store.
type checkPass struct {
	*Scheduler
	calls *almaraCalls
	queue *turns
	// ctx ends when the daemon stops, or by cutShort. Calls that are under way get
	// their answer all the same.
	ctx      context.Context
	cutShort context.CancelCauseFunc

	bills   chan reminder.Bill // to be asked about
	results chan store.CheckResult
	open    atomic.Int64 // bills that were taken, whose result is to come
}

// startCheckPass starts to take bills and to ask about them, as many at a time as
// AskConcurrency. The results are closed when all is done.
func (s *Scheduler) startCheckPass(ctx context.Context, calls *almaraCalls, queue *turns) *checkPass {
	p := &checkPass{Scheduler: s, calls: calls, queue: queue}
	p.bills = make(chan reminder.Bill, p.batch()) // the next batch is read ahead
	p.results = make(chan store.CheckResult, p.batch())
	p.ctx, p.cutShort = context.WithCancelCause(ctx)
	var workers sync.WaitGroup
	workers.Go(p.takeBills)
	for range s.AskConcurrency {
		workers.Go(func() { p.askBills(ctx) }) // a call outlives a pass that is cut short
	}
	go func() {
		workers.Wait()
		rest := calls.settleUndecided()
		p.open.Add(int64(len(rest)))
		p.add(rest)
		close(p.results)
	}()
	return p
}

// batch is how many bills are taken, and how many results recorded, at a time.
func (p *checkPass) batch() int { return 8 * p.AskConcurrency }

func (p *checkPass) add(results []store.CheckResult) {
	for _, r := range results {
		p.results <- r
	}
}

// takeBills takes batch after batch from the queue, until nothing more is due or the
// other jobs must have their turn.
func (p *checkPass) takeBills() {
	defer close(p.bills)
	_, maxCalls := p.pacer.passLimit()
	for taken, more := 0, true; more && p.ctx.Err() == nil; {
		now := p.Now()
		p.calls.job.heartbeat()
		var batch []reminder.Bill
		var err error
		if batch, more, err = p.queue.next(p.ctx, now, p.batch()); err != nil {
			if err = ignoreCancel(p.ctx, err); err != nil {
				p.cutShort(err)
			}
			return
		}
		taken += len(batch)
		p.open.Add(int64(len(batch)))
		for _, b := range batch {
			select {
			case p.bills <- b:
			case <-p.ctx.Done():
				return
			}
		}
		p.pacer.asked(len(batch))
		if more && taken >= maxCalls {
			p.calls.job.wake() // to go on when the other jobs had their turn
			return
		}
	}
}

// askBills asks about the bills that were taken, one after the other.
func (p *checkPass) askBills(ctx context.Context) {
	for b := range p.bills {
		if p.ctx.Err() != nil {
			p.open.Add(-1)
			continue
		}
		results := p.calls.ask(ctx, b)
		if p.calls.fault() != nil {
			p.cutShort(errNobodyIsAsked)
		}
		p.open.Add(int64(len(results)) - 1)
		p.add(results)
	}
}

// answersWait is how long an answer waits for the next one, to share a commit.
const answersWait = 2 * time.Millisecond

// nextResults waits for a result, and returns it with those that come within a moment
// of each other; none when all are recorded.
func (p *checkPass) nextResults() []store.CheckResult {
	first, ok := <-p.results
	if !ok {
		return nil
	}
	batch := append(make([]store.CheckResult, 0, p.batch()), first)
	timeout := time.NewTimer(answersWait)
	defer timeout.Stop()
	for len(batch) < p.batch() && int64(len(batch)) < p.open.Load() {
		select {
		case r, ok := <-p.results:
			if !ok {
				return batch
			}
			batch = append(batch, r)
			timeout.Reset(answersWait)
		case <-timeout.C:
			return batch
		}
	}
	return batch
}

// recordResults records results as they come, those that come together by one
// commit. What came is recorded also when the pass was cut short.
func (p *checkPass) recordResults() error {
	recorder := checkRecorder{Scheduler: p.Scheduler, wakeAfter: p.batch()}
	for batch := p.nextResults(); len(batch) > 0; batch = p.nextResults() {
		p.open.Add(-int64(len(batch)))
		if err := recorder.record(batch); err != nil {
			p.cutShort(err)
		}
	}
	return recorder.finish()
}

// abandon ends the pass without what is left of it: nobody must wait for ever to hand
// over a result.
func (p *checkPass) abandon() {
	p.cutShort(nil)
	for range p.results {
	}
}

// checkRecorder records the results of a pass. The remind job is woken after
// wakeAfter of them and at the end, not after each: bills of one phone that are new
// together should share a text.
type checkRecorder struct {
	*Scheduler
	wakeAfter int

	remindDue bool // a bill is due for a reminder since the job was woken
	recorded  int  // since then
	logged    checkLog
	err       error // of the pass: a result could not be recorded
}

// record writes results by one commit. The error says that nothing more can be
// written.
func (r *checkRecorder) record(results []store.CheckResult) error {
	now := r.Now()
	r.Store.TrustClock(r.ClockCheck.stateNow().sure)
	checks, err := r.Store.RecordChecks(r.Policies, now, results...)
	if err != nil {
		r.err = errors.Join(r.err, err)
		return err
	}
	for _, fault := range checks.Faults {
		r.Log.Error("what Almara Pay said could not be recorded", "err", fault)
	}
	if r.err == nil {
		r.err = errors.Join(checks.Faults...) // the pass goes on, and has failed
	}
	r.logChecks(&r.logged, checks.Checks, checks.Bills)
	r.remindDue = r.remindDue || checks.Due
	if r.recorded += len(results); r.remindDue && r.recorded >= r.wakeAfter {
		r.wakeRemind()
	}
	return nil
}

func (r *checkRecorder) wakeRemind() {
	r.wake(jobRemind)
	r.remindDue, r.recorded = false, 0
}

// finish returns what could not be recorded.
func (r *checkRecorder) finish() error {
	if r.remindDue {
		r.wakeRemind()
	}
	r.logRest(&r.logged)
	return r.err
}
