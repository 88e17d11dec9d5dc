package scheduler

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"duewatch/notifier"
	"duewatch/reminder"
	"duewatch/store"
)

// receipts settles the texts of unknown outcome, and asks the provider what
// became of the texts it took, paced by their age. It works without callbacks; beside
// them it asks seldom, for what they do not say.
func (s *Scheduler) receipts(ctx context.Context, j *job) error {
	// What is known of a text must be on disk before it is taken for an orphan.
	if err := s.unwritten.retry(s.Store, s.Now()); err != nil {
		return err
	}
	// By the age of a text it is given up, or taken as not sent: not by a clock
	// that nobody vouches for.
	p := &receiptsPass{Scheduler: s, job: j, clock: s.ClockCheck.stateNow()}
	if !p.clock.sure {
		return nil
	}
	if _, err := s.takeOver(); err != nil {
		return err
	}
	if leads, err := s.Store.Leads(ctx); err != nil || !leads {
		return err // two that look texts up at once would count a list twice
	}
	// What keeps texts in doubt from being looked up need not be in the way of the others.
	lookUpFault := p.lookUpUnknownTexts(ctx)
	if errors.Is(lookUpFault, notifier.ErrStop) || errors.Is(lookUpFault, errClockSet) {
		return lookUpFault
	}
	return errors.Join(lookUpFault, p.pollOpenTexts(ctx))
}

// receiptsPass is one pass of the receipts job.
type receiptsPass struct {
	*Scheduler
	job   *job
	clock clockState // by which texts are judged by their age
}

// pollOpenTexts asks what became of the texts whose time to be asked about has come.
func (p *receiptsPass) pollOpenTexts(ctx context.Context) error {
	const most = 10_000 // for one reading of the list
	const chunk = 250   // for one commit, so that other writes are let in between
	for ctx.Err() == nil {
		p.job.heartbeat()
		open, err := p.Store.OpenTexts(ctx, p.Now(), most)
		if err != nil {
			return err
		}
		receipts, fault := p.readReceipts(ctx, open)
		for some := range slices.Chunk(receipts, chunk) {
			fault = errors.Join(fault, p.recordReceipts(some))
		}
		if fault != nil || len(open) < most {
			return fault
		}
	}
	return nil
}

// recordReceipts writes receipts of polls.
func (p *receiptsPass) recordReceipts(receipts []store.Receipt) error {
	_, err := p.takeReceipts(p.clock, p.Now(), receipts)
	return err
}

// takeReceipts writes receipts that were judged by a clock at an instant, takes in what
// they say of the sender, and returns those that were news.
func (s *Scheduler) takeReceipts(clock clockState, now time.Time, receipts []store.Receipt) ([]store.Receipt, error) {
	if s.clockWasSet(clock) {
		return nil, errClockSet // nobody can tell by which clock they were judged
	}
	moved, err := s.Store.RecordReceipts(now, receipts)
	// What is good is heard before what is bad, and also where the text did not move: that
	// it has stayed sent for long speaks for the sender.
	for _, r := range receipts {
		if r.State == store.Sent || r.State == store.Delivered {
			s.againstSender.receipt(r, now)
		}
	}
	var against []reminder.Phone
	for _, r := range moved {
		if against == nil { // one stop is enough: the failures behind it count as its evidence in stopSender
			against = s.againstSender.receipt(r, now)
		}
		s.logSettled(r)
		if r.State != store.Accepted {
			s.Metrics.textMoved(r.State)
		}
		if r.State == store.Undelivered || r.State == store.Failed {
			s.Metrics.undelivered(r.Code)
		}
		s.logReceipt(r)
	}
	if against != nil {
		if stopErr := s.stopSender(moved, against); stopErr != nil {
			s.againstSender.notWritten(against)
			err = errors.Join(err, stopErr)
		}
	}
	return moved, err
}

// stopSender stops sending for a fault of the sender that phones are the evidence
// of. Other failures of the same kind among the moved receipts count as evidence too.
func (s *Scheduler) stopSender(moved []store.Receipt, against []reminder.Phone) error {
	var last store.Receipt
	phones := slices.Clone(against)
	for _, r := range moved {
		if len(r.Destinations) == 0 || s.againstSender.country(r.SentTo) != "" {
			continue
		}
		if phones = append(phones, r.SentTo); slices.Contains(against, r.SentTo) {
			last = r
		}
	}
	slices.Sort(phones)
	why := fmt.Sprintf("texts to %d different phones of the own country were taken and then failed alike, the last: %s (code %d)",
		len(against), last.Error, last.Code)
	return s.Store.StopSender(s.Now(), accountFault(why), slices.Compact(phones))
}

// accountFault is the stop for texts that are taken, billed and lost. It has no end: it
// takes somebody to look into it.
func accountFault(why string) reminder.Stop {
	return reminder.Stop{Reason: reminder.AccountFault, Detail: why}
}

// From manyOpen open texts on, the provider's list is read first, until all are met or
// listedEach messages were read for each of them. Since a page holds 500, that is a
// request for every five texts. What was not in it then is asked about one by one.
const (
	manyOpen   = 20
	listedEach = 100
)

// readList reads receipts out of the provider's list, by the provider's id.
func (p *receiptsPass) readList(ctx context.Context, open []store.OpenText) (map[string]notifier.Receipt, error) {
	if len(open) < manyOpen {
		return nil, nil
	}
	oldest, sids := open[0].AcceptedAt, make(map[string]bool, len(open))
	for _, t := range open {
		sids[t.ProviderID] = true
		if t.AcceptedAt.Before(oldest) {
			oldest = t.AcceptedAt
		}
	}
	// A day more, since the provider may filter by whole days, and clocks differ.
	all, _, err := p.Notifier.List(ctx, notifier.Query{
		SentSince: oldest.AddDate(0, 0, -1), SIDs: sids, MaxMessages: listedEach * len(open), OnPage: p.job.heartbeat,
	})
	if errors.Is(err, notifier.ErrStop) {
		return nil, fmt.Errorf("list receipts: %w", err)
	}
	receipts := make(map[string]notifier.Receipt, len(all))
	for _, m := range all {
		receipts[m.SID] = m.Receipt
	}
	return receipts, nil
}

// readReceipts asks for the receipts of texts: by the provider's list where they are
// many, and of each that was not in it. Where several different texts get no answer, the
// others wait for the next pass.
func (p *receiptsPass) readReceipts(ctx context.Context, open []store.OpenText) ([]store.Receipt, error) {
	listed, err := p.readList(ctx, open)
	if err != nil {
		return nil, err
	}
	receipts := make([]store.Receipt, len(open))
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(p.SendConcurrency)
	var unanswered reminder.Evidence
	for i, t := range open {
		group.Go(func() error {
			if groupCtx.Err() != nil {
				return nil //nolint:nilerr // the pass is over, or another call has said why
			}
			r, ok := listed[t.ProviderID]
			var err error
			if !ok {
				r, err = p.Notifier.Fetch(groupCtx, t.ProviderID)
			}
			p.job.heartbeat()
			if errors.Is(err, notifier.ErrStop) {
				return fmt.Errorf("ask for receipts: %w", err)
			}
			if groupCtx.Err() != nil {
				return nil //nolint:nilerr // as above
			}
			receipts[i] = p.receiptOf(t, r, err, p.Now())
			if !errors.Is(err, notifier.ErrRetry) {
				unanswered.Clear()
				return nil
			}
			// Each is asked about again at its own pace: the next pass begins with others.
			if unanswered.Against(t.ProviderID) {
				return fmt.Errorf("the provider gave no receipts of %d different texts: the others wait for the next pass: %w",
					reminder.EnoughWitnesses, err)
			}
			return nil
		})
	}
	err = group.Wait()
	return slices.DeleteFunc(receipts, func(r store.Receipt) bool { return r.TextID == 0 }), err // without those of no answer
}

// receiptOf translates the provider's word into our state. An empty state only moves the
// next poll.
func (s *Scheduler) receiptOf(t store.OpenText, r notifier.Receipt, err error, now time.Time) store.Receipt {
	out := store.Receipt{
		TextID: t.ID, Service: t.Service, Account: t.Account, SentTo: t.SentTo, CreatedAt: t.CreatedAt, AcceptedAt: t.AcceptedAt,
		ProviderStatus: r.Status, Code: r.Code, Error: notifier.Describe(r.Code),
		BilledSegments: r.Segments, Price: r.Price, PriceUnit: r.PriceUnit, NextPollAt: s.nextReceipt(t.AcceptedAt, now),
	}
	if err != nil { // no answer, or no such text: asked again at its pace
		if out.NextPollAt.IsZero() {
			out.State = store.Unconfirmed
		}
		return out
	}
	out.State = stateOf(r.Status)
	switch {
	case out.State.Final() && r.Price != "":
		out.NextPollAt = time.Time{} // without a price it is polled on: the price comes later
	case !out.State.Final() && out.NextPollAt.IsZero():
		out.State = store.Unconfirmed
	}
	if out.State == store.Undelivered || out.State == store.Failed {
		s.applyFailure(&out, t.Bills, now)
	}
	return out
}

// stateOf is our state for the provider's.
func stateOf(status string) store.TextState {
	switch status {
	case "sent":
		return store.Sent
	case "delivered", "read":
		return store.Delivered
	case "undelivered":
		return store.Undelivered
	case "failed":
		return store.Failed
	case "canceled":
		return store.Canceled
	default: // accepted, scheduled, queued, sending
		return store.Accepted
	}
}

// maxRedeliveries is how often a reminder is sent once more, as a new text, when its text
// was taken but not delivered.
const maxRedeliveries = 3

// applyFailure says what a failure after acceptance means for the phone and the
// reminders of a text of so many bills. A text that several bills share and that was kept
// back for its words is tried again apart, as in outcomeOf; not one with an unknown code,
// which may mean that the customer has it. Where all texts go to one phone, a destination
// that is refused is a fault of all.
func (s *Scheduler) applyFailure(out *store.Receipt, bills int, now time.Time) {
	retry := func(why reminder.Reason, redeliveries int) {
		out.Why, out.RetryAt, out.MaxRedeliveries = why, now.Add(reminder.RetryUndelivered), redeliveries
	}
	class := notifier.ClassOf(out.Code)
	if bills > 1 && class == notifier.BadText {
		out.Why, out.RetryAt, out.MaxRedeliveries = reminder.TryApart, now, maxRedeliveries
		return
	}
	redirected := s.Delivery.Mode == reminder.ModeRedirect
	if speaks := twilioScopeLater(class); speaks == forAll || (speaks == forSenderIfOthersAgree && redirected) {
		// Each further text would be lost, and billed, like this one. The reminder
		// waits and is not lost.
		stop := accountFault(fmt.Sprintf("a text was taken and then failed: %s (code %d)", out.Error, out.Code))
		retry(reminder.AccountFault, maxRedeliveries)
		out.Stop = &stop
		return
	}
	switch class {
	case notifier.BadNumber:
		out.Why, out.OptOut = reminder.BadNumber, reminder.BadNumber
	case notifier.OptedOut:
		out.Why, out.OptOut = reminder.OptedOut, reminder.OptedOut
	case notifier.TryLater, notifier.SlowDown, notifier.SlowDownPhone, notifier.UntilTomorrow:
		retry(reminder.NotDelivered, maxRedeliveries)
	case notifier.TryOnce:
		retry(reminder.NotDelivered, 1)
	case notifier.Destination: // the store says until when
		retry(reminder.DestinationRefused, maxRedeliveries)
		out.Destinations = []string{out.SentTo.E164()}
		out.Error += ": " + notifier.Advice(out.Code)
	case notifier.MaybeHasIt: // a second text is worse than none
		out.Why = reminder.MayHaveIt
	case notifier.Account: // it speaks for all, and has returned above
	case notifier.BadText: // another text like it would fare no better
		out.Why = reminder.TextRefused
	case notifier.Unlisted:
		out.Why = reminder.RefusalUnclear
	}
}

// receiptAges are the ages at which a text is asked about, then every six
// hours until it is given up.
var receiptAges = []time.Duration{time.Minute, 5 * time.Minute, 15 * time.Minute, time.Hour}

const (
	receiptEvery = 6 * time.Hour
	receiptUntil = 72 * time.Hour
)

// besideCallbacks is the age from which a text is polled where there are callbacks: one
// that has none by then may have lost them. It is one of receiptAges.
const besideCallbacks = time.Hour

// firstPoll is how long after its acceptance a text is asked about first.
func (s *Scheduler) firstPoll() time.Duration {
	if s.Callbacks != nil {
		return besideCallbacks
	}
	return receiptAges[0]
}

// nextReceipt is when to ask again about a text; zero once it is old.
func (s *Scheduler) nextReceipt(accepted, now time.Time) time.Time {
	age := now.Sub(accepted)
	if age < 0 {
		return now.Add(receiptEvery) // it was accepted by a clock that was ahead
	}
	for _, a := range receiptAges {
		if age < a && a >= s.firstPoll() {
			return accepted.Add(a)
		}
	}
	if age+receiptEvery > receiptUntil {
		return time.Time{}
	}
	return now.Add(receiptEvery)
}
