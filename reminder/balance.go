package reminder

import "time"

// How long a reminder waits before Almara Pay is asked again for a balance.
const (
	// After calls that failed: the bill's back-off, within these bounds.
	retryLeast = 10 * time.Minute
	retryMost  = time.Hour
	// After an answer that names no balance, which is unlikely to change soon.
	retryUnnamed = 2 * time.Hour
	// After an answer that grew too old while others of its round were awaited.
	retryAged = time.Minute
	// For a bill that was not asked about since calls about others had failed, at
	// least: it must not wait for their sake, and the pause of the calls is over by
	// then.
	retryUnreached = 2 * time.Minute
)

// minMaxAgeAtPost is the age up to which a balance that was asked about for this
// very text is not asked again, where max_balance_age is shorter: the bills of a
// round wait for each other, and their texts for their turns.
const minMaxAgeAtPost = time.Minute

// MaxAgeAtPost is how old the balance that a text names may be when it leaves.
func (p *Policy) MaxAgeAtPost() time.Duration { return max(p.MaxBalanceAge, minMaxAgeAtPost) }

// Asked is what came of asking Almara Pay for the balance of this decision.
type Asked int

// The answers to "was it asked?".
const (
	NotAsked    Asked = iota
	Answered          // it answered; what it said is in the bill
	CouldNotSay       // it failed to answer
	NotReached        // it was not asked: it seems to be down, or lets nobody in
)

// isOwed asks for the balance: whether it is known well enough for a text, and
// whether there is anything left to pay.
func (e *evaluation) isOwed() bool { return e.balanceSuffices() && e.somethingIsOwed() }

// balanceSuffices reports whether the balance is young enough, or may be left out
// of the text. If it is neither, Almara Pay is asked, or it was and could not say.
func (e *evaluation) balanceSuffices() bool {
	if e.balanceIsYoung() || e.answerIsYoung() {
		return true
	}
	switch {
	case e.Asked == NotAsked:
		e.decision = Decision{Ask: true}
		return false
	case e.answerNamesBalance(): // and the answer has aged while others of its round were awaited
		return e.hold(BalanceStale, e.now.Add(retryAged), "")
	case e.policy.StaleBalance == StaleWithoutAmount:
		e.withoutAmount = true
		return true
	case e.Asked == NotReached: // by the fault of others, so that it is not skipped either
		// Spread out, bill by bill: the bad ones may be all in a row, and come first.
		return e.hold(BalanceStale, Scatter(e.Bill.ID, e.now.Add(retryUnreached), retryUnreached),
			"Almara Pay could not be asked, since calls about other bills had failed")
	case e.policy.StaleBalance == StaleSkip:
		return e.skip(StaleSkipped, e.Bill.LastError)
	}
	wait := min(max(e.Bill.backoff(), retryLeast), retryMost)
	if e.Asked == Answered {
		wait = retryUnnamed
	}
	return e.hold(BalanceStale, e.now.Add(wait), e.Bill.LastError)
}

// balanceIsYoung reports whether the balance at hand need not be asked again.
func (e *evaluation) balanceIsYoung() bool {
	b := &e.Bill
	if fault := e.feedFault(); fault.unbelieved(b) && !fault.Until.IsZero() {
		return false // the feed is right again, and may say something else
	}
	return b.Balance != nil && e.now.Sub(b.BalanceAt) <= e.policy.MaxBalanceAge && !b.BalanceAt.After(e.now)
}

// answerIsYoung reports whether Almara Pay answered for this very decision and said
// what is owed. It matters for a maximum age of zero, under which no balance is
// young enough a moment later.
func (e *evaluation) answerIsYoung() bool {
	return e.answerNamesBalance() && e.now.Sub(e.Bill.BalanceAt) <= e.policy.MaxAgeAtPost()
}

// answerNamesBalance reports whether Almara Pay answered for this decision and named a
// balance, however long ago that is by now.
func (e *evaluation) answerNamesBalance() bool {
	return e.Asked == Answered && e.Bill.Balance != nil && e.Bill.BalanceAt.Equal(e.Bill.CheckedAt)
}

func (e *evaluation) feedFault() FeedFault { return e.Guards.FeedFaults[e.Bill.Service] }

// somethingIsOwed reports whether there is anything to pay. A balance that is known,
// however old, and says that nothing is owed is believed: the mistake is a text too
// few, never one after paying. It is not when the same is suddenly said of very many.
func (e *evaluation) somethingIsOwed() bool {
	b, p := &e.Bill, e.policy
	if b.Balance == nil {
		return true // the text names no amount
	}
	e.owed = "balance " + p.Currency + " " + b.Balance.Format(p.Currency) + ", asked " + ago(b.BalanceAt, e.now)
	switch {
	case e.feedFault().unbelieved(b):
		// Neither texted, since it may be true, nor skipped for good, since it may not.
		return e.hold(MassPaid, e.now.Add(retryFeedFault), e.owed)
	case b.Balance.Sign() < 0:
		return e.skip(InCredit, e.owed)
	case b.Balance.Sign() == 0:
		return e.skip(Paid, e.owed)
	case b.Balance.Cmp(p.MinBalance) < 0:
		return e.skip(BelowMinimum, e.owed)
	case !e.withoutAmount && p.Guards.implausible(b):
		return e.hold(ImplausibleBalance, e.now.Add(retryImplausible), e.owed+", never more than "+b.Usual.Format(p.Currency)+" before")
	}
	return true
}

// ago words the age of a balance; after the clock was set back it is not known.
func ago(at, now time.Time) string {
	if at.IsZero() || at.After(now) {
		return "at an unknown hour"
	}
	return now.Sub(at).Truncate(time.Second).String() + " ago"
}

// nextBillDays is by how many days a due date moves on, at least, when it is that
// of the next bill; a shorter move is a delay that the biller grants.
const nextBillDays = 15

// TakenAsPaid reports whether what was owed before is taken as paid: the balance has
// fallen to nothing, or to less than is worth a text; or the due date is that
// of the next bill, and no more is owed than before. Part of it does not count.
func (p *Policy) TakenAsPaid(before, b Bill) bool {
	if before.Balance == nil || b.Balance == nil || !p.owes(*before.Balance) {
		return false
	}
	if !p.owes(*b.Balance) {
		return true
	}
	return !before.DueDate.IsZero() && b.DueDate.Sub(before.DueDate) >= nextBillDays && b.Balance.Cmp(*before.Balance) <= 0
}

// owes reports whether a balance is worth a text.
func (p *Policy) owes(m Money) bool { return m.Sign() > 0 && m.Cmp(p.MinBalance) >= 0 }
