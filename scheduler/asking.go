package scheduler

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"strconv"
	"sync"

	"golang.org/x/sync/errgroup"

	"duewatch/almara"
	"duewatch/reminder"
	"duewatch/store"
)

// asking is what one pass asks Almara Pay, and what the answers say of more than
// the bill that each is about.
type asking struct {
	s *Scheduler

	mu     sync.Mutex
	letIn  bool  // somebody was, in this pass
	refuse error // Almara Pay refuses the account; for good, or while nobody is let in
	atOnce bool  // refuse is for good
	down   error // it seems to be down; until somebody is answered
	// unsure are of bills that were not let in, while it is not known whether that
	// is for their own sake; nothing is recorded of them until then. last are the
	// bills with which the asking ended.
	unsure []store.CheckResult
	last   []int64
}

// over is why nobody else is asked for now; nil when all goes well.
func (a *asking) over() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.ended()
}

func (a *asking) ended() error {
	if a.refuse != nil && (a.atOnce || !a.letIn) {
		return a.refuse
	}
	return a.down
}

// ask puts one question, and returns what may be recorded by now.
func (a *asking) ask(ctx context.Context, j *job, b reminder.Bill, call call) []store.CheckResult {
	a.mu.Lock()
	closed := a.refuse != nil && a.atOnce
	a.mu.Unlock()
	if ctx.Err() != nil || closed {
		return nil
	}
	answer, err := a.s.safely(ctx, b, call)
	j.heartbeat()
	return a.heard(ctx, b, answer, err)
}

// safely makes a panic in a call a failure of its bill: an answer that nobody
// foresaw must not end the daemon, which would begin with the same bill again.
func (s *Scheduler) safely(ctx context.Context, b reminder.Bill, call call) (answer reminder.Answer, err error) {
	defer func() {
		if p := recover(); p != nil {
			s.about(b.Service, b.Account).Error("panic while Almara Pay was asked about a bill", "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
			answer, err = reminder.Answer{}, &almara.RetryError{Err: errors.New("its answer led to a fault in duewatch, which the log has")}
		}
	}()
	return call(ctx, b)
}

// heard sorts the outcome of a call by what it speaks for.
func (a *asking) heard(ctx context.Context, b reminder.Bill, answer reminder.Answer, err error) []store.CheckResult {
	switch almaraScope(err) {
	case forNobody:
		return nil
	case forAll:
		a.mu.Lock()
		defer a.mu.Unlock()
		if errors.Is(err, almara.ErrBreakerOpen) {
			a.down = err
			return nil
		}
		a.refuse, a.atOnce = fmt.Errorf("Almara Pay refuses duewatch itself, so no bill is asked about: %w", err), true //nolint:staticcheck // a name
		a.last = append(a.last, b.ID)
		return nil
	case forAllIfOthersAgree:
		return a.notLetIn(ctx, b, err)
	case forItself, forPhone, forSenderIfOthersAgree:
	}
	result := checkResultOf(b.ID, answer, err)
	if err != nil && result.Rejected == "" { // a refusal that is not understood may be a proxy's
		return []store.CheckResult{result}
	}
	a.s.notAdmitted.Clear()
	a.mu.Lock()
	defer a.mu.Unlock()
	results := append(slices.Clone(a.unsure), result)
	a.letIn, a.down, a.unsure = true, nil, nil
	return results
}

// notLetIn is heard for a 403. It speaks for the bill alone where others were let
// in by this pass, or when it was refused so before; and for the account when
// enough different bills meet it and none is let in.
func (a *asking) notLetIn(ctx context.Context, b reminder.Bill, err error) []store.CheckResult {
	result := checkResultOf(b.ID, reminder.Answer{}, err)
	known, failed := a.s.Store.Forbidden(ctx, b.ID)
	a.s.report(ctx, "look whether a bill was refused before", failed)
	a.mu.Lock()
	defer a.mu.Unlock()
	if known || a.letIn {
		return []store.CheckResult{result}
	}
	a.unsure = append(a.unsure, result)
	if a.s.notAdmitted.Against(strconv.FormatInt(b.ID, 10)) && a.refuse == nil {
		a.refuse = fmt.Errorf("Almara Pay refuses duewatch itself, so no bill is asked about: none of at least %d bills was let in, "+ //nolint:staticcheck // a name
			"the last being account %s of %s: %w", reminder.EnoughWitnesses, b.Account, a.s.Policies.Name(b.Service), err)
	}
	return nil
}

// rest are the results that were held back and speak for their bills alone in
// the end. The bills of the others wait behind all others.
func (a *asking) rest() (results []store.CheckResult) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.refuse != nil && !a.letIn {
		for _, l := range a.unsure {
			a.last = append(a.last, l.BillID)
		}
	} else {
		results = a.unsure
	}
	a.unsure = nil
	return results
}

// behind are the bills that are to wait behind all others, each once.
func (a *asking) behind() []int64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	last := a.last
	a.last = nil
	return last
}

// ask puts one question for each bill, some at a time, and returns what was
// learned, in the order of the bills. What one of them meets ends no other's
// call.
func (s *Scheduler) ask(ctx context.Context, j *job, a *asking, bills []reminder.Bill, call call) []store.CheckResult {
	var group errgroup.Group
	group.SetLimit(s.AskConcurrency)
	var mu sync.Mutex
	of := make(map[int64]store.CheckResult, len(bills))
	keep := func(results []store.CheckResult) {
		mu.Lock()
		defer mu.Unlock()
		for _, l := range results {
			of[l.BillID] = l
		}
	}
	for _, b := range bills {
		group.Go(func() error {
			keep(a.ask(ctx, j, b, call))
			return nil
		})
	}
	_ = group.Wait() // none fails
	keep(a.rest())
	s.virtual.asked(len(bills))
	learned := make([]store.CheckResult, 0, len(of))
	for _, b := range bills {
		if l, ok := of[b.ID]; ok {
			learned = append(learned, l)
		}
	}
	return learned
}

// askRound is ask for the bills of a round of the remind job. While nobody is let
// in, or answered, a few of each round are tried before the others, which may be
// of another service.
func (s *Scheduler) askRound(ctx context.Context, j *job, a *asking, bills []reminder.Bill) []store.CheckResult {
	if a.over() == nil {
		return s.ask(ctx, j, a, bills, s.Almara.Recheck)
	}
	tried, others := apart(bills, reminder.EnoughWitnesses)
	results := s.ask(ctx, j, a, tried, s.Almara.Recheck)
	if a.over() != nil {
		return results
	}
	return append(results, s.ask(ctx, j, a, others, s.Almara.Recheck)...)
}

// apart takes n bills, the first, the last and what lies evenly between, out of
// the others.
func apart(bills []reminder.Bill, n int) (some, others []reminder.Bill) {
	if len(bills) <= n {
		return bills, nil
	}
	next := 0
	for i, b := range bills {
		if i == next*(len(bills)-1)/(n-1) {
			some = append(some, b)
			next++
		} else {
			others = append(others, b)
		}
	}
	return some, others
}

// checkResultOf is what the outcome of a call says of the bill itself.
func checkResultOf(billID int64, a reminder.Answer, err error) store.CheckResult {
	var (
		rejected  *almara.RejectedError
		unclear   *almara.UnclearError
		forbidden *almara.ForbiddenError
		retry     *almara.RetryError
	)
	l := store.CheckResult{BillID: billID}
	switch {
	case err == nil:
		l.Answer = &a
	case errors.As(err, &rejected):
		l.Rejected = rejected.Reason
	case errors.As(err, &unclear):
		l.Failed, l.Refused = unclear.Reason, store.Unclear
	case errors.As(err, &forbidden):
		l.Failed, l.Refused = forbidden.Error(), store.Forbidden
	case errors.As(err, &retry):
		l.Failed, l.After = retry.Error(), retry.After
	}
	return l
}
