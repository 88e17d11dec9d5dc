package scheduler

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"duewatch/almara"
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

// queue reads bills that are due to be asked about, from a place on.
type queue func(ctx context.Context, now time.Time, after store.Place, n int) ([]reminder.Bill, store.Place, error)

// sweep asks about all bills that are due and records what each call taught.
// Bills are read and lessons recorded by the batch while calls are under way: no
// call waits for the store. A bill that is thereby due for a reminder wakes
// that job. A bill about which nothing was learned stays due, and is asked about
// again by the next pass.
func (s *Scheduler) sweep(ctx context.Context, j *job, q queue, call call) error {
	batch := 8 * s.AskConcurrency
	pass, stop := context.WithCancelCause(ctx)
	bills, lessons := make(chan reminder.Bill, batch), make(chan store.Lesson, batch) // the next batch is read ahead
	// Also on a panic: nobody must wait for ever to hand over a lesson.
	defer func() {
		stop(nil)
		for range lessons {
		}
	}()
	var open atomic.Int64 // bills that were taken, and taught nothing yet
	var asking sync.WaitGroup
	asking.Go(func() {
		defer close(bills)
		if err := s.takeAll(pass, j, q, batch, bills, &open); err != nil {
			stop(err)
		}
	})
	for range s.AskConcurrency {
		asking.Go(func() {
			for b := range bills {
				if pass.Err() != nil {
					open.Add(-1)
					continue
				}
				lesson, fault := s.askOne(ctx, j, b, call) // what is under way gets its answer
				if fault != nil {
					if !errors.Is(fault, almara.ErrBreakerOpen) {
						// It may be this bill's alone, such as a service that is not
						// permitted: the next pass comes to the others first.
						fault = errors.Join(fault, s.Store.PutOff(s.Now(), b.ID))
					}
					stop(fault)
				}
				if lesson.BillID != 0 {
					lessons <- lesson
				} else {
					open.Add(-1)
				}
			}
		})
	}
	go func() {
		asking.Wait()
		close(lessons)
	}()
	err := s.learnAll(ctx, lessons, batch, &open, stop)
	if fault := context.Cause(pass); fault != nil && ctx.Err() == nil && !errors.Is(err, fault) {
		err = errors.Join(fault, err)
	}
	return err
}

// takeAll takes batch after batch from the queue, until nothing more is due.
func (s *Scheduler) takeAll(pass context.Context, j *job, q queue, batch int, to chan<- reminder.Bill, open *atomic.Int64) error {
	var place store.Place
	for taken := 0; pass.Err() == nil; {
		now := s.Now()
		j.beat()
		bills, last, err := q(pass, now, place, batch)
		if err != nil {
			return ignoreEnd(pass, err)
		}
		place = last
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
		if len(bills) < batch || s.yields(j, taken, s.AskRate) {
			break
		}
	}
	return nil
}

// learnAll records lessons as they come, those that come together by one
// commit. What came is recorded also when the pass is over. The remind job is
// woken after most of them and at the end, not after each: bills of one phone
// that are new together should share a text.
func (s *Scheduler) learnAll(ctx context.Context, from <-chan store.Lesson, most int, open *atomic.Int64, stop context.CancelCauseFunc) (err error) {
	due, since, fresh := false, 0, 0
	for first := range from {
		some := gather(first, from, most, open)
		open.Add(-int64(len(some)))
		now := s.Now()
		s.Store.TrustClock(s.ClockCheck.stateNow().sure)
		l, failed := s.Store.Learn(context.WithoutCancel(ctx), s.Policies, now, some...)
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
		s.tell(l.Lessons, l.Bills, &fresh)
		due = due || l.Due
		if since += len(some); due && since >= most {
			s.wake(jobRemind)
			due, since = false, 0
		}
	}
	if due {
		s.wake(jobRemind)
	}
	if fresh > tellFirst {
		s.Log.Info("bills registered; only the first were told of", "bills", fresh)
	}
	return err
}

// answersWait is how long an answer waits for the next one, to share a commit.
const answersWait = 2 * time.Millisecond

// gather returns the lessons that come within a moment of each other, up to
// most and no more than are open.
func gather(first store.Lesson, from <-chan store.Lesson, most int, open *atomic.Int64) []store.Lesson {
	some := append(make([]store.Lesson, 0, most), first)
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

// askOne puts one question. The fault is one that no bill is to blame for.
func (s *Scheduler) askOne(ctx context.Context, j *job, b reminder.Bill, call call) (lesson store.Lesson, fault error) {
	if ctx.Err() != nil {
		return lesson, nil //nolint:nilerr // the pass is over, or another call has said why
	}
	answer, err := call(ctx, b)
	j.beat()
	lesson, fault = lessonOf(b.ID, answer, err)
	if fault == nil && err != nil && lesson.BillID == 0 && ctx.Err() == nil {
		fault = err
	}
	return lesson, fault
}

// ask puts one question for each bill, some at a time, and returns what was
// learned. The error is one that no bill is to blame for, and ends the pass.
func (s *Scheduler) ask(ctx context.Context, j *job, bills []reminder.Bill, call call) ([]store.Lesson, error) {
	lessons := make([]store.Lesson, len(bills))
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(s.AskConcurrency)
	for i, b := range bills {
		group.Go(func() error {
			var fault error
			lessons[i], fault = s.askOne(groupCtx, j, b, call)
			return fault
		})
	}
	err := group.Wait()
	s.virtual.asked(len(bills))
	learned := lessons[:0]
	for _, l := range lessons {
		if l.BillID != 0 {
			learned = append(learned, l)
		}
	}
	return learned, err
}

// lessonOf sorts the outcome of a call: what it says of the bill, or a fault
// that stops the pass.
func lessonOf(billID int64, a reminder.Answer, err error) (store.Lesson, error) {
	var (
		rejected *almara.RejectedError
		retry    *almara.RetryError
		stop     *almara.StopError
	)
	switch {
	case err == nil:
		return store.Lesson{BillID: billID, Answer: &a}, nil
	case errors.As(err, &rejected):
		return store.Lesson{BillID: billID, Rejected: rejected.Reason}, nil
	case errors.As(err, &stop):
		return store.Lesson{}, fmt.Errorf("Almara Pay refuses duewatch itself, so no bill is asked about: %w", err) //nolint:staticcheck // a name
	case errors.As(err, &retry):
		return store.Lesson{BillID: billID, Failed: retry.Error(), After: retry.After}, nil
	case errors.Is(err, almara.ErrBreakerOpen):
		return store.Lesson{}, err //nolint:wrapcheck // says all
	default: // the context: shutting down, or another call of the batch met a fault
		return store.Lesson{}, nil
	}
}

// unanswered adds a lesson that says nothing for each bill that has none.
func unanswered(bills []reminder.Bill, lessons []store.Lesson) []store.Lesson {
	has := make(map[int64]bool, len(lessons))
	for _, l := range lessons {
		has[l.BillID] = true
	}
	for _, b := range bills {
		if !has[b.ID] {
			lessons = append(lessons, store.Lesson{BillID: b.ID})
		}
	}
	return lessons
}

// tellFirst is how many bills that were registered in one pass are told of one by
// one: systemd would drop the lines of an import of thousands, and with them others.
const tellFirst = 20

// tell logs what a batch of calls taught; fresh is how many bills were registered
// in the pass.
func (s *Scheduler) tell(lessons []store.Lesson, bills []reminder.Bill, fresh *int) {
	debug := s.Log.Enabled(context.Background(), slog.LevelDebug)
	for i, l := range lessons {
		b, level := bills[i], slog.LevelInfo
		if isNew(b) {
			*fresh++
		}
		if !isNew(b) || *fresh > tellFirst {
			level = slog.LevelDebug
		}
		if l.Failed+l.Rejected+b.LastError == "" && level == slog.LevelDebug && !debug {
			continue // as almost all, and there are many
		}
		log := s.about(b.Service, b.Account)
		switch {
		case l.Rejected != "":
			s.tellRejected(b, l)
		case l.Failed != "":
			log.Info("Almara Pay could not answer; asking again later", "failures", b.Failures, "err", l.Failed)
		case isNew(b):
			log.Log(context.Background(), level, "bill registered", "due", orUnknown(b.DueDate.String()), "balance", s.balance(b), "customer", b.Customer)
		default:
			log.Debug("bill checked", "due", orUnknown(b.DueDate.String()), "balance", s.balance(b))
		}
		if b.LastError != "" && l.Answer != nil {
			log.Warn("Almara Pay said something implausible, which was left out", "problem", b.LastError)
		}
	}
}

// isNew reports whether the last answer about the bill was the first.
func isNew(b reminder.Bill) bool {
	return b.RegisteredAt.Equal(b.CheckedAt) && b.State == reminder.BillActive
}

func (s *Scheduler) tellRejected(b reminder.Bill, l store.Lesson) {
	s.about(b.Service, b.Account).Warn("Almara Pay refuses this bill; edit it or duewatch retry it to have it registered again", "reason", l.Rejected)
}

// about logs for one bill, by the name its service has in texts.
func (s *Scheduler) about(service, account string) *slog.Logger {
	return s.Log.With("service", s.Policies.Name(service), "account", account)
}

func (s *Scheduler) balance(b reminder.Bill) string {
	if b.Balance == nil {
		return "unknown"
	}
	return s.Policies.Default.Currency + " " + b.Balance.Format()
}

func orUnknown(s string) string {
	if s == "" {
		return "unknown"
	}
	return s
}
