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

// call is one of the ways to ask Almara Pay about a bill.
type call func(context.Context, reminder.Bill) (reminder.Answer, error)

// almaraCalls are the calls of one pass to Almara Pay, each about one bill, and what
// their outcomes say of more than that bill.
type almaraCalls struct {
	*Scheduler
	job  *job
	call call

	// What the calls of this pass say of Almara Pay, and what follows:
	//
	//	refusedForGood   the credentials: no call is made any more
	//	refused          several bills, each by a 403: no new bills, until one is admitted
	//	down             the client's breaker is open: no new bills, until one is answered
	//	admitted         one was let in: a 403 speaks for its bill alone from then on
	mu             sync.Mutex
	admitted       bool
	refused        error // also why, when refusedForGood
	refusedForGood bool
	down           error
	// undecided are the results of bills that met a 403, while it is not known whether
	// that is for their own sake. Nothing is recorded of them until then.
	undecided []store.CheckResult
	// behind are the bills with which the calls ended. In the register and recheck jobs
	// they are to wait behind all others, or the next pass would end with them again.
	behind []int64
}

func (s *Scheduler) newAlmaraCalls(j *job, call call) *almaraCalls {
	return &almaraCalls{Scheduler: s, job: j, call: call}
}

// fault is why no other bill is asked about for now; nil when all goes well.
func (c *almaraCalls) fault() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.refused != nil && (c.refusedForGood || !c.admitted) {
		return c.refused
	}
	return c.down
}

// ask makes the call about one bill, and returns the results that may be recorded
// by now.
func (c *almaraCalls) ask(ctx context.Context, b reminder.Bill) []store.CheckResult {
	c.mu.Lock()
	refused := c.refusedForGood
	c.mu.Unlock()
	if ctx.Err() != nil || refused {
		return nil
	}
	answer, err := c.callSafely(ctx, b)
	c.job.heartbeat()
	return c.judge(ctx, b, answer, err)
}

// callSafely makes a panic in a call a failure of its bill: an answer that nobody
// foresaw must not end the daemon, which would begin with the same bill again.
func (c *almaraCalls) callSafely(ctx context.Context, b reminder.Bill) (answer reminder.Answer, err error) {
	defer func() {
		if p := recover(); p != nil {
			c.billLog(b.Service, b.Account).Error("panic while Almara Pay was asked about a bill",
				"panic", fmt.Sprint(p), "stack", string(debug.Stack()))
			answer, err = reminder.Answer{}, &almara.RetryError{Err: errors.New("its answer led to a fault in duewatch, which the log has")}
		}
	}()
	return c.call(ctx, b)
}

// judge sorts the outcome of a call by what it speaks for (fault_scope.go).
func (c *almaraCalls) judge(ctx context.Context, b reminder.Bill, answer reminder.Answer, err error) []store.CheckResult {
	switch almaraScope(err) {
	case forNobody:
		return nil
	case forAll:
		c.mu.Lock()
		defer c.mu.Unlock()
		if errors.Is(err, almara.ErrBreakerOpen) { // the client has met too many failures in a row
			c.down = err
			return nil
		}
		c.refused = fmt.Errorf("Almara Pay refuses duewatch itself, so no bill is asked about: %w", err) //nolint:staticcheck // a name
		c.refusedForGood = true
		c.behind = append(c.behind, b.ID)
		return nil
	case forAllIfOthersAgree:
		return c.judgeForbidden(ctx, b, err)
	case forItself, forPhone, forSenderIfOthersAgree: // goes on below
	}
	result := checkResultOf(b.ID, answer, err)
	if err != nil && result.Rejected == "" {
		// A rejection is Almara Pay's own word. Any other failure may be a proxy's, and
		// does not show that Almara Pay lets anybody in.
		return []store.CheckResult{result}
	}
	c.notAdmitted.Clear()
	c.mu.Lock()
	defer c.mu.Unlock()
	results := append(slices.Clone(c.undecided), result)
	c.admitted, c.down, c.undecided = true, nil, nil
	return results
}

// judgeForbidden is judge for a 403. It speaks for the bill alone where others were
// let in by this pass, or when it was refused so before; and for the account when
// enough different bills meet it and none is let in.
func (c *almaraCalls) judgeForbidden(ctx context.Context, b reminder.Bill, err error) []store.CheckResult {
	result := checkResultOf(b.ID, reminder.Answer{}, err)
	before, readErr := c.Store.Forbidden(ctx, b.ID)
	c.report(ctx, "read whether a bill was refused before", readErr)
	c.mu.Lock()
	defer c.mu.Unlock()
	if before || c.admitted {
		return []store.CheckResult{result}
	}
	c.undecided = append(c.undecided, result)
	if c.notAdmitted.Against(strconv.FormatInt(b.ID, 10)) && c.refused == nil {
		c.refused = fmt.Errorf("Almara Pay refuses duewatch itself, so no bill is asked about: "+ //nolint:staticcheck // a name
			"none of at least %d bills was let in, the last being account %s of %s: %w",
			reminder.EnoughWitnesses, b.Account, c.Policies.Name(b.Service), err)
	}
	return nil
}

// settleUndecided returns the undecided results, which speak for their bills alone after all,
// once no call is under way. Where they speak for the account, their bills wait
// behind all others.
func (c *almaraCalls) settleUndecided() (results []store.CheckResult) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.refused != nil && !c.admitted {
		for _, r := range c.undecided {
			c.behind = append(c.behind, r.BillID)
		}
	} else {
		results = c.undecided
	}
	c.undecided = nil
	return results
}

// putOff has the bills with which the calls ended wait behind all others in the queue of
// the register or recheck job, each once. It returns why no other bill is asked about;
// nil when all goes well in the end.
func (c *almaraCalls) putOff() error {
	fault := c.fault()
	c.mu.Lock()
	behind := c.behind
	c.behind = nil
	c.mu.Unlock()
	for _, id := range behind {
		fault = errors.Join(fault, c.Store.PutOff(c.Now(), id))
	}
	return fault
}

// askAll asks about several bills at a time, and returns the results in the order of
// the bills. What one of them meets ends no other's call.
func (c *almaraCalls) askAll(ctx context.Context, bills []reminder.Bill) []store.CheckResult {
	var group errgroup.Group
	group.SetLimit(c.AskConcurrency)
	var mu sync.Mutex
	byBill := make(map[int64]store.CheckResult, len(bills))
	keep := func(results []store.CheckResult) {
		mu.Lock()
		defer mu.Unlock()
		for _, r := range results {
			byBill[r.BillID] = r
		}
	}
	for _, b := range bills {
		group.Go(func() error {
			keep(c.ask(ctx, b))
			return nil
		})
	}
	_ = group.Wait() // none fails
	keep(c.settleUndecided())
	c.pacer.asked(len(bills))
	results := make([]store.CheckResult, 0, len(byBill))
	for _, b := range bills {
		if r, ok := byBill[b.ID]; ok {
			results = append(results, r)
		}
	}
	return results
}

// askRound is askAll for the bills of a round of the remind job. While a fault stands, a
// few bills of the round are asked about first, since they may be of another service
// than those that met it. The others are asked about only when that ended the fault.
func (c *almaraCalls) askRound(ctx context.Context, bills []reminder.Bill) []store.CheckResult {
	if c.fault() == nil {
		return c.askAll(ctx, bills)
	}
	sample, others := takeSample(bills, reminder.EnoughWitnesses)
	results := c.askAll(ctx, sample)
	if c.fault() != nil {
		return results
	}
	return append(results, c.askAll(ctx, others)...)
}

// takeSample takes n bills, the first, the last and what lies evenly between, out of
// the others.
func takeSample(bills []reminder.Bill, n int) (sample, others []reminder.Bill) {
	if len(bills) <= n {
		return bills, nil
	}
	next := 0
	for i, b := range bills {
		if i == next*(len(bills)-1)/(n-1) {
			sample = append(sample, b)
			next++
		} else {
			others = append(others, b)
		}
	}
	return sample, others
}

// checkResultOf is what the outcome of a call says of the bill itself.
func checkResultOf(billID int64, a reminder.Answer, err error) store.CheckResult {
	var (
		rejected  *almara.RejectedError
		unclear   *almara.UnclearError
		forbidden *almara.ForbiddenError
		retry     *almara.RetryError
	)
	r := store.CheckResult{BillID: billID}
	switch {
	case err == nil:
		r.Answer = &a
	case errors.As(err, &rejected): // the bill is not asked about any more
		r.Rejected = rejected.Reason
	case errors.As(err, &unclear): // refused in no known form
		r.Failed, r.Refused = unclear.Reason, store.Unclear
	case errors.As(err, &forbidden): // refused by a 403
		r.Failed, r.Refused = forbidden.Error(), store.Forbidden
	case errors.As(err, &retry): // no answer, or one that asks to come back
		r.Failed, r.After = retry.Error(), retry.After
	}
	return r
}
