// Package scheduler runs duewatch's jobs: register, recheck, remind, receipts
// and housekeeping, each on its own cron expression and once at start.
//
// # The promise
//
// The jobs keep what no single package can keep alone:
//
//   - Once. A reminder leads to at most one text that may reach the phone. Another
//     is sent only when the provider says definitely that the first was not
//     delivered, a few times at most, or, once, when at least two complete lists
//     show nothing that could be the first. Its intent is on disk before the
//     provider is called; an outcome that is not known is recorded as unknown and
//     never sent again blindly.
//   - Not lost. A decision about a bill leaves a record or the instant of the
//     next decision. A claim runs out by itself, so that a crash gives its bills
//     back.
//   - Not after paying, and not to who said no. The balance a text rests on was
//     asked within the allowed age, in the same pass if need be. Right before the
//     call its age, payments, opt-outs, pauses and stops are tested once more.
//   - Not at night. The window is tested again at the moment of the call, and
//     the provider is told to drop the text when it ends.
//
// Jobs hold no state that a restart would miss: running one a thousand times does
// no more than running it once. What a Scheduler remembers between passes is
// evidence (against the sender, the connection, Almara Pay and the clock), which is
// gathered anew, and outcomes that the store could not take yet, whose texts are
// looked up at the provider if the process dies. Package daemon builds the parts and
// starts them; deciding is package reminder's.
package scheduler

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"duewatch/almara"
	"duewatch/notifier"
	"duewatch/reminder"
	"duewatch/store"
)

// Schedule holds one cron expression for each job: five fields or @every, in
// the zone of Config.
type Schedule struct{ Register, Recheck, Remind, Receipts, Housekeeping string }

// Config is what the jobs are made of.
type Config struct {
	Store    *store.Store
	Almara   *almara.Client
	Notifier *notifier.Notifier
	Policies reminder.Policies
	Delivery reminder.Delivery
	Schedule Schedule
	Zone     *time.Location

	// Fingerprint changes with all settings that plans rest on: when it is not the
	// one that the store's bills were planned by, they are planned anew.
	Fingerprint string
	// Owner names this run on the claims and intents it writes. It must be
	// another one for each Scheduler.
	Owner string

	// Country (ISO 3166, two letters) is the operator's own: refusals of phones there
	// count against the sender, others against their country. "" = none is foreign.
	Country string

	// SentBy names, for people, by which account, sender and mode texts leave.
	SentBy string

	SegmentsPerSecond float64       // at the provider
	SegmentPrice      float64       // of one, in the currency of the policies, for the metric alone; 0 = not known
	SendConcurrency   int           // calls to the provider at a time
	AskConcurrency    int           // calls to Almara Pay at a time
	Retention         time.Duration // how long history is kept
	WordsRetention    time.Duration // how long the words of texts are kept; 0 = as long as the texts

	// ReconcileAfter is when a text of unknown outcome is looked up at the
	// provider, counted from the attempt; at least one. Resend sends it once
	// more when the last look-up did not find it, else it waits for the operator.
	ReconcileAfter []time.Duration
	Resend         bool

	// Callbacks are where the provider says by itself what becomes of texts; nil = they are
	// only polled.
	Callbacks *Callbacks

	// NoticeEvery is how soon it acts on what commands and other daemons wrote; 0 = a second. Tests whose
	// time jumps ask less often.
	NoticeEvery time.Duration

	Now func() time.Time
	// ClockCheck says whether Now may be believed; nil = it may.
	ClockCheck *ClockCheck
	// Comparison remembers for the whole process that the provider's list was compared
	// with the store; nil = this Scheduler is the only one of its process.
	Comparison *Comparison
	Log        *slog.Logger
	Metrics    *Metrics

	// Virtual is the clock of a Scheduler that is stepped and not run; it takes
	// the place of Now. AskRate is then how many calls Almara Pay takes a second,
	// since the client does not wait.
	Virtual *VirtualClock
	AskRate float64
}

// Scheduler runs the jobs of one configuration.
type Scheduler struct {
	Config
	jobs          []*job
	roundSizes    roundSizes
	pacer         pacer
	virtual       *virtualPacer     // the pacer of a Scheduler that is stepped; nil when time passes by itself
	againstSender *senderEvidence   // what refusals say against the sender
	lateRequests  reminder.Evidence // by witness: its requests were not written in time
	notAdmitted   reminder.Evidence // bills that Almara Pay refused since the last one that it let in
	callbackQueue callbackQueue     // what the provider says by itself, on its way to disk
	unwritten     unwritten         // outcomes that are known, and not on disk yet
	trust         clockTrust        // of the remind job alone
	// aside is why this daemon leaves its work to the others; nil = it does not.
	aside atomic.Pointer[stoppedError]

	replan chan struct{} // holds at most one: all bills are to be planned anew
}

// New prepares the jobs. It fails on a bad cron expression.
func New(c Config) (*Scheduler, error) {
	s := &Scheduler{
		Config: c, roundSizes: newRoundSizes(c.SegmentsPerSecond), pacer: newWaitingPacer(c.SegmentsPerSecond, c.SendConcurrency, c.Store),
		againstSender: newSenderEvidence(c.Country), unwritten: unwritten{lock: newStoreLock()}, replan: make(chan struct{}, 1),
	}
	if s.Comparison == nil {
		s.Comparison = new(Comparison)
	}
	if c.Virtual != nil {
		s.virtual = newVirtualPacer(c)
		s.Now, s.pacer = c.Virtual.Now, s.virtual
	}
	for _, j := range []struct {
		name, expression string
		run              func(context.Context, *job) error
	}{
		{jobRegister, c.Schedule.Register, s.register},
		{jobRecheck, c.Schedule.Recheck, s.recheck},
		{jobRemind, c.Schedule.Remind, s.remind},
		{jobReceipts, c.Schedule.Receipts, s.receipts},
		{jobHousekeeping, c.Schedule.Housekeeping, s.housekeeping},
	} {
		schedule, err := parseExpression(j.expression)
		if err != nil {
			return nil, fmt.Errorf("schedule of %s: %w", j.name, err)
		}
		s.jobs = append(s.jobs, newJob(j.name, schedule, j.run, s.elapsed))
	}
	if c.SegmentPrice > 0 {
		c.Metrics.taken(0, c.SegmentPrice, c.Policies.Default.Currency)
	}
	return s, nil
}

// The names of the jobs.
const (
	jobRegister     = "register"
	jobRecheck      = "recheck"
	jobRemind       = "remind"
	jobReceipts     = "receipts"
	jobHousekeeping = "housekeeping"
)

// Run runs the jobs until ctx ends, then waits for what is under way: texts
// being handed over are recorded, no new ones begin. It fails when the store
// cannot be used at the start.
func (s *Scheduler) Run(ctx context.Context) error {
	orphans, err := s.prepare(context.WithoutCancel(ctx)) // a start is done as a whole
	if err != nil {
		return fmt.Errorf("start: %w", err)
	}
	if orphans > 0 {
		s.Log.Warn("texts were left in doubt by an earlier run: they are looked up at the provider", "texts", orphans)
	}

	var running sync.WaitGroup
	for _, j := range s.jobs {
		running.Go(func() { j.loop(ctx, s) })
	}
	running.Go(func() { s.replanOnRequest(ctx) })
	running.Go(func() { s.noticeCommands(ctx) })
	running.Go(func() { s.logChanges(ctx) })
	s.wakeAtTicks(ctx) // in this goroutine: it returns when ctx ends
	running.Wait()
	return s.writeBeforeExit()
}

// prepare takes over what a dead process has left, before the first pass. It
// returns how many texts are in doubt by that.
func (s *Scheduler) prepare(ctx context.Context) (orphans int, err error) {
	if err := s.Store.StepBack(ctx); err != nil { // as an earlier generation had stepped aside
		return 0, err
	}
	// Before anything is written, since what is written below must not count by the hour of a wrong clock.
	s.Store.TrustClock(s.ClockCheck.stateNow().sure)
	// Nobody can say whether the texts that were being sent left: they are looked up. Bills that
	// were claimed would else wait for the end of their lease.
	if orphans, err = s.takeOver(); err != nil {
		return 0, err
	}
	// What stopped sending for a while may be mended, such as by the new config.
	if err := s.Store.EndTimedStops(ctx); err != nil {
		return 0, err
	}
	if s.ClockCheck == nil { // a simulation, whose copy of a store may hold the daemon's stop for the clock
		if err := s.Store.EndStop(reminder.ClockUnsure); err != nil {
			return 0, err
		}
	}
	if err := s.stopIfStoreWentBack(ctx); err != nil {
		return 0, err
	}
	return orphans, s.stopIfSenderChanged(ctx)
}

// metaFingerprint is the fact by which a store knows the Fingerprint that its bills were
// planned by.
const metaFingerprint = "policy"

// requestReplan has all bills planned anew if they have to be.
func (s *Scheduler) requestReplan() {
	select {
	case s.replan <- struct{}{}:
	default:
	}
}

// replanOnRequest plans all bills anew when that is wanted, and looks each minute whether another
// daemon wants it, or left it undone.
func (s *Scheduler) replanOnRequest(ctx context.Context) {
	look := time.NewTicker(time.Minute)
	defer look.Stop()
	for ctx.Err() == nil {
		s.replanAll(ctx)
		select {
		case <-ctx.Done():
		case <-s.replan:
		case <-look.C:
		}
	}
}

// replanAll renews the next instants of all bills after the fingerprint changed, in
// bounded batches beside the running jobs: until it gets to a bill, that bill
// is decided about when its old plan says, and by the new policy all the same. While
// nobody vouches for the clock it does nothing, since what is to come might be taken
// for past. Of several daemons the leader does it.
func (s *Scheduler) replanAll(ctx context.Context) {
	const batch = 500
	have, err := s.Store.Meta(ctx, metaFingerprint)
	s.report(ctx, "plan anew", err)
	if err != nil || have == s.Fingerprint {
		return
	}
	if leads, err := s.Store.Leads(ctx); err != nil || !leads {
		s.report(ctx, "plan anew", err)
		return
	}
	batches, last := 0, int64(0)
	for ctx.Err() == nil {
		now := s.Now()
		if !s.ClockCheck.stateNow().sure {
			return // and from the beginning, once it is believed
		}
		next, err := s.Store.Replan(s.Policies, now, last, batch)
		if err != nil {
			s.report(ctx, "plan anew", err)
			again := time.NewTimer(time.Minute)
			select {
			case <-ctx.Done():
			case <-again.C:
			}
			again.Stop()
			continue
		}
		if last = next; last == 0 {
			s.wake(jobRemind)
			s.Log.Debug("all bills are planned by the present policy", "batches", batches)
			// Whoever has wiped the fingerprint meanwhile wants it once more.
			s.report(ctx, "plan anew", s.Store.ReplaceMeta(metaFingerprint, have, s.Fingerprint))
			return
		}
		batches++
	}
}
