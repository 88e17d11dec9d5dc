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
	// Where calls about other bills had failed and this one was not asked about: at
	// least so long, when the pause of the calls is over, and at most twice that.
	retryUnreached = 2 * time.Minute
)

// minMaxAgeAtPost is how old the balance may be at the POST where max_balance_age is
// shorter. The bills of a round wait for each other, and their texts for their turns:
// with a maximum of zero no text could ever leave.
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

// balanceSuffices reports whether the balance is young enough, or may be left out of
// the text. Else it sets Ask or, when Almara Pay was asked, holds or skips by policy.
func (e *evaluation) balanceSuffices() bool {
	if e.balanceIsYoung() || e.answerIsYoung() {
		return true
	}
	switch {
	case e.Asked == NotAsked:
		e.decision = Decision{Ask: true}
		return false
	case e.answerNamesBalance(): // but the answer has aged while others of its round were awaited
		return e.hold(BalanceStale, e.now.Add(retryAged), "")
	case e.policy.StaleBalance == StaleWithoutAmount:
		e.withoutAmount = true
		return true
	case e.Asked == NotReached:
		// Not skipped even where the policy says so: calls about other bills are at fault.
		// Spread out, since the bad ones may be all in a row and would come first again.
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

// balanceIsYoung reports whether the balance at hand is believed and within the
// policy's maximum age, whoever asked for it.
func (e *evaluation) balanceIsYoung() bool {
	b := &e.Bill
	// What a feed said during a fault that is over is asked again. While a fault lasts (it
	// has no Until), asking would only repeat it, and somethingIsOwed holds the reminder.
	if fault := e.feedFault(); fault.unbelieved(b) && !fault.Until.IsZero() {
		return false
	}
	return b.Balance != nil && e.now.Sub(b.BalanceAt) <= e.policy.MaxBalanceAge && !b.BalanceAt.After(e.now)
}

// answerIsYoung reports whether Almara Pay named a balance for this very decision, which
// may still leave by MaxAgeAtPost: with a maximum age of zero balanceIsYoung is false a
// moment later.
func (e *evaluation) answerIsYoung() bool {
	return e.answerNamesBalance() && e.now.Sub(e.Bill.BalanceAt) <= e.policy.MaxAgeAtPost()
}

// answerNamesBalance reports whether Almara Pay answered for this decision and named a
// balance, however long ago that is by now: Apply leaves BalanceAt alone when an answer
// names none.
func (e *evaluation) answerNamesBalance() bool {
	return e.Asked == Answered && e.Bill.Balance != nil && e.Bill.BalanceAt.Equal(e.Bill.CheckedAt)
}

// feedFault is the last span in which the feed of the bill's service was not believed.
func (e *evaluation) feedFault() FeedFault { return e.Guards.FeedFaults[e.Bill.Service] }

// somethingIsOwed reports whether there is anything to pay. A balance that is known,
// however old, and says that nothing is owed is believed: the mistake is a text too
// few, never one after paying. It is not when the same is suddenly said of very many.
func (e *evaluation) somethingIsOwed() bool {
	b, p := &e.Bill, e.policy
	if b.Balance == nil {
		return true // by StaleWithoutAmount: the text names no amount
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

// nextBillDays is by how many days a due date moves on, at least, before it alone proves
// that the bill before was paid. A shorter move may be a delay that the biller grants:
// one of more than smallMove days has its own stages, but is no payment.
const nextBillDays = 15

// TakenAsPaid reports whether what was owed before is taken as paid, for the report: the
// balance has fallen to nothing, or to less than is worth a text; or the due date is
// that of the next bill, and no more is owed than before. A part payment is none.
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
