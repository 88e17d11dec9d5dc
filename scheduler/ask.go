package scheduler

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"duewatch/reminder"
	"duewatch/store"
)

// lease is for how long a pass may keep a bill or a text before it is taken
// for dead. It is far longer than any call with all its tries.
const lease = 10 * time.Minute

func (s *Scheduler) claim() store.Claim { return store.Claim{Owner: s.Owner, Lease: lease} }

// call is one of the ways to ask Almara Pay about a bill.
type call func(context.Context, reminder.Bill) (reminder.Answer, error)

// register announces the bills that Almara Pay does not know yet.
func (s *Scheduler) register(ctx context.Context, j *job) error {
	return s.sweep(ctx, j, s.Store.ToRegister, s.Almara.Register)
}

// recheck asks again about the bills whose hour has come.
func (s *Scheduler) recheck(ctx context.Context, j *job) error {
	return s.sweep(ctx, j, s.Store.ToRecheck, s.Almara.Recheck)
}

// sweep asks about all bills that are due and records the result of each call.
// Bills are read and results recorded by the batch while calls are under way: no
// call waits for the store. A bill that is thereby due for a reminder wakes
// that job. A bill about which nothing was learned stays due, and is asked about
// again by the next pass.
//
// A pass that is cut short, since Almara Pay seems to be down or to let nobody
// in, may have met the same bad bills all in a row. So the next one tries a few
// from different places of the queue first, and goes on in the same way.
func (s *Scheduler) sweep(ctx context.Context, j *job, q queue, call call) (err error) {
	batch := 8 * s.AskConcurrency
	a := &asking{s: s}
	t, err := s.turnsOf(ctx, j, q)
	if err != nil {
		return ignoreEnd(ctx, err)
	}
	if j.cutShort {
		if err := s.try(ctx, j, a, t, call); err != nil {
			return err
		}
	}
	began, again := s.Now(), j.cutShort
	j.cutShort = false
	pass, stop := context.WithCancelCause(ctx)
	bills, results := make(chan reminder.Bill, batch), make(chan store.CheckResult, batch) // the next batch is read ahead
	// Also on a panic: nobody must wait for ever to hand over a result.
	defer func() {
		stop(nil)
		for range results {
		}
	}()
	var open atomic.Int64 // bills that were taken, whose result is to come
	var workers sync.WaitGroup
	workers.Go(func() {
		defer close(bills)
		if err := s.takeAll(pass, j, t, batch, bills, &open); err != nil {
			stop(err)
		}
	})
	hand := func(some []store.CheckResult) {
		for _, l := range some {
			results <- l
		}
	}
	for range s.AskConcurrency {
		workers.Go(func() {
			for b := range bills {
				if pass.Err() != nil {
					open.Add(-1)
					continue
				}
				some := a.ask(ctx, j, b, call) // what is under way gets its answer
				if a.over() != nil {
					stop(errCutShort)
				}
				open.Add(int64(len(some)) - 1)
				hand(some)
			}
		})
	}
	go func() {
		workers.Wait()
		some := a.rest()
		open.Add(int64(len(some)))
		hand(some)
		close(results)
	}()
	err = s.recordAll(results, batch, &open, stop)
	switch fault := context.Cause(pass); {
	case fault == nil || ctx.Err() != nil:
	case errors.Is(fault, errCutShort):
		if j.cutShort = true; !again {
			j.cutSince = began
		}
		if fault = s.putOff(a); fault == nil {
			j.wake() // a call that was under way was let in after all: go on at once
		}
		err = errors.Join(fault, err)
	case !errors.Is(err, fault):
		err = errors.Join(fault, err)
	}
	return err
}

// errCutShort ends a pass whose asking is over before its queue is.
var errCutShort = errors.New("the pass is cut short")

// putOff has the bills that were not let in, and with which the pass ended, wait
// behind all others, and returns why nobody is asked any more; nil if that is not
// so in the end.
func (s *Scheduler) putOff(a *asking) error {
	fault := a.over()
	for _, id := range a.behind() {
		fault = errors.Join(fault, s.Store.PutOff(s.Now(), id))
	}
	return fault
}

// try asks about a few bills from different places of the queue, and records what came of
// it. The error is why nobody else is asked in this pass.
func (s *Scheduler) try(ctx context.Context, j *job, a *asking, t *turns, call call) error {
	bills, err := t.sample(ctx, s.Now())
	if err != nil {
		return ignoreEnd(ctx, err)
	}
	if results := s.ask(ctx, j, a, bills, call); len(results) > 0 {
		learned := make(chan store.CheckResult, len(results))
		for _, l := range results {
			learned <- l
		}
		close(learned)
		var open atomic.Int64
		open.Store(int64(len(results)))
		err = s.recordAll(learned, len(results), &open, func(error) {})
	}
	return errors.Join(s.putOff(a), err)
}

// takeAll takes batch after batch from the queue, until nothing more is due.
func (s *Scheduler) takeAll(pass context.Context, j *job, t *turns, batch int, to chan<- reminder.Bill, open *atomic.Int64) error {
	for taken, more := 0, true; more && pass.Err() == nil; {
		now := s.Now()
		j.heartbeat()
		var bills []reminder.Bill
		var err error
		if bills, more, err = t.next(pass, now, batch); err != nil {
			return ignoreEnd(pass, err)
		}
		taken += len(bills)
		open.Add(int64(len(bills)))
		for _, b := range bills {
			select {
			case to <- b:
			case <-pass.Done():
				return nil
			}
		}
		s.virtual.asked(len(bills))
		if more && s.yields(j, taken, s.AskRate) {
			break
		}
	}
	return nil
}

// recordAll records results as they come, those that come together by one
// commit. What came is recorded also when the pass is over. The remind job is
// woken after most of them and at the end, not after each: bills of one phone
// that are new together should share a text.
func (s *Scheduler) recordAll(from <-chan store.CheckResult, most int, open *atomic.Int64, stop context.CancelCauseFunc) (err error) {
	due, since, told := false, 0, tally{}
	for first := range from {
		some := gather(first, from, most, open)
		open.Add(-int64(len(some)))
		now := s.Now()
		s.Store.TrustClock(s.ClockCheck.stateNow().sure)
		l, failed := s.Store.RecordChecks(s.Policies, now, some...)
		if failed != nil {
			err = errors.Join(err, failed)
			stop(failed)
			continue
		}
		for _, fault := range l.Faults {
			s.Log.Error("what Almara Pay said could not be recorded", "err", fault)
		}
		if err == nil {
			err = errors.Join(l.Faults...) // the pass goes on, and has failed
		}
		s.logChecks(l.Checks, l.Bills, &told)
		due = due || l.Due
		if since += len(some); due && since >= most {
			s.wake(jobRemind)
			due, since = false, 0
		}
	}
	if due {
		s.wake(jobRemind)
	}
	s.logRest(told)
	return err
}

// answersWait is how long an answer waits for the next one, to share a commit.
const answersWait = 2 * time.Millisecond

// gather returns the results that come within a moment of each other, up to
// most and no more than are open.
func gather(first store.CheckResult, from <-chan store.CheckResult, most int, open *atomic.Int64) []store.CheckResult {
	some := append(make([]store.CheckResult, 0, most), first)
	enough := time.NewTimer(answersWait)
	defer enough.Stop()
	for len(some) < most && int64(len(some)) < open.Load() {
		select {
		case l, ok := <-from:
			if !ok {
				return some
			}
			some = append(some, l)
			enough.Reset(answersWait)
		case <-enough.C:
			return some
		}
	}
	return some
}

// unanswered adds an empty result for each bill that has none.
func unanswered(bills []reminder.Bill, results []store.CheckResult) []store.CheckResult {
	has := make(map[int64]bool, len(results))
	for _, l := range results {
		has[l.BillID] = true
	}
	for _, b := range bills {
		if !has[b.ID] {
			results = append(results, store.CheckResult{BillID: b.ID})
		}
	}
	return results
}

// logFirst is how many bills that were registered or rejected in one pass are told
// of one by one: systemd would drop the lines of an import of thousands, and with
// them others.
const logFirst = 20

// tally counts what a pass learned, for the log. Of what goes wrong with many bills
// the first is told of at once.
type tally struct{ registered, rejected, unclear, forbidden, failed int }

// logChecks logs the results of a batch of calls.
func (s *Scheduler) logChecks(results []store.CheckResult, bills []reminder.Bill, told *tally) {
	debug := s.Log.Enabled(context.Background(), slog.LevelDebug)
	for i, l := range results {
		b, level := bills[i], slog.LevelInfo
		if isNew(b) {
			told.registered++
		}
		if !isNew(b) || told.registered > logFirst {
			level = slog.LevelDebug
		}
		if l.Failed+l.Rejected+b.LastError == "" && level == slog.LevelDebug && !debug {
			continue // as almost all, and there are many
		}
		switch {
		case l.Rejected != "":
			if told.rejected++; told.rejected <= logFirst {
				s.logRejected(b)
			}
		case l.Failed != "":
			s.logFailed(b, l, told)
		case isNew(b):
			s.about(b.Service, b.Account).Log(context.Background(), level, "bill registered",
				"due", orUnknown(b.DueDate.String()), "balance", s.balance(b), "customer", b.Customer)
		default:
			s.about(b.Service, b.Account).Debug("bill checked", "due", orUnknown(b.DueDate.String()), "balance", s.balance(b))
		}
		if b.LastError != "" && l.Answer != nil {
			s.about(b.Service, b.Account).Warn("Almara Pay said something implausible, which was left out", "problem", b.LastError)
		}
	}
}

// logFailed logs of a bill that was not answered about, and how it goes on.
func (s *Scheduler) logFailed(b reminder.Bill, l store.CheckResult, told *tally) {
	count, level, what := &told.failed, slog.LevelInfo, "Almara Pay could not answer; asking again later"
	switch l.Refused {
	case store.Unclear:
		count, level = &told.unclear, slog.LevelWarn
		what = "Almara Pay refuses this bill in a form that is not known; if it does so on another day, and answers about others, the bill is rejected: is the account right?"
	case store.Forbidden:
		count, level = &told.forbidden, slog.LevelWarn
		what = "Almara Pay gives no right to this bill; it waits behind the others: ask Almara Pay whether its service is permitted"
	case store.NotRefused:
	}
	if *count++; *count > 1 {
		level = slog.LevelDebug
	}
	s.about(b.Service, b.Account).Log(context.Background(), level, what, "failures", b.Failures, "err", l.Failed)
}

// logRest logs how many bills of a pass were not told of one by one.
func (s *Scheduler) logRest(told tally) {
	for _, of := range []struct {
		what        string
		bills, told int
	}{
		{"bills registered; only the first were told of", told.registered, logFirst},
		{"Almara Pay refuses bills; only the first were told of, and duewatch bills --state rejected lists them", told.rejected, logFirst},
		{"Almara Pay refuses bills in a form that is not known; only the first was told of", told.unclear, 1},
		{"Almara Pay gives no right to bills; only the first was told of", told.forbidden, 1},
		{"Almara Pay could not answer about bills; only the first was told of", told.failed, 1},
	} {
		if of.bills > of.told {
			s.Log.Info(of.what, "bills", of.bills)
		}
	}
}

// isNew reports whether the last answer about the bill was the first. It may have
// been paused while Almara Pay was asked.
func isNew(b reminder.Bill) bool {
	return !b.CheckedAt.IsZero() && b.RegisteredAt.Equal(b.CheckedAt) && (b.State == reminder.BillActive || b.State == reminder.BillPaused)
}

func (s *Scheduler) logRejected(b reminder.Bill) {
	s.about(b.Service, b.Account).Warn("Almara Pay refuses this bill; edit it or duewatch retry it to have it registered again", "reason", b.LastError)
}

// about logs for one bill, by the name its service has in texts.
func (s *Scheduler) about(service, account string) *slog.Logger {
	return s.Log.With("service", s.Policies.Name(service), "account", account)
}

func (s *Scheduler) balance(b reminder.Bill) string {
	if b.Balance == nil {
		return "unknown"
	}
	return s.Policies.Default.Currency + " " + b.Balance.Format(s.Policies.Default.Currency)
}

func orUnknown(s string) string {
	if s == "" {
		return "unknown"
	}
	return s
}
