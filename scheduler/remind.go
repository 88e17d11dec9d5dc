package scheduler

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"time"

	"duewatch/notifier"
	"duewatch/reminder"
	"duewatch/store"
)

// remind looks at every bill whose hour has come. Data flows one way:
//
//	claim and decide ─→ ask Almara Pay where the balance is old ─→ decide ─→ intents on disk ─→ senders ─→ outcomes on disk
//
// A round takes a bounded number of bills, and the next one is decided while
// the texts of this one are being sent: at most two rounds of texts (three, where
// more than a round leaves in a second) are ever between intent and outcome, and
// memory does not grow with what is due.
func (s *Scheduler) remind(ctx context.Context, j *job) error {
	var err error
	if s.passClock, err = s.clockOf(ctx); err != nil || !s.passClock.sure {
		return err
	}
	stopped := s.compare(ctx, j)
	if h := (*halt)(nil); stopped != nil && !errors.As(stopped, &h) {
		return stopped
	}
	pass, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	d := newDoubt(s.pace.ahead + s.pace.round)
	var senders, recorder sync.WaitGroup
	for range s.SendConcurrency {
		senders.Go(func() {
			for t := range d.texts {
				o, err := s.send(pass, *t)
				if err != nil {
					stop(err)
				}
				j.beat()
				d.ended <- &ended{t, o}
			}
		})
	}
	recorder.Go(func() {
		for some := d.next(); len(some) > 0; some = d.next() {
			now, err := s.record(some)
			if err != nil {
				stop(err)
			}
			d.settled(len(some)) // the next round need not wait until all is told
			for _, e := range some {
				s.tellText(*e.text, e.outcome, now)
			}
		}
	})
	err = func() error {
		// Also on a panic: nobody must wait for ever.
		defer recorder.Wait()
		defer close(d.ended)
		defer senders.Wait()
		defer close(d.texts)
		return s.decideAll(pass, j, d)
	}()
	if pass.Err() != nil || errors.Is(err, errClockSet) {
		err = errors.Join(err, s.Store.Unclaim(s.Now(), s.Owner))
	}
	if cause := context.Cause(pass); ctx.Err() == nil && !errors.Is(err, cause) {
		err = errors.Join(err, cause)
	}
	return errors.Join(stopped, err)
}

// errClockSet ends a pass in the middle: its decisions were made by another clock.
var errClockSet = errors.New("the clock was set in the middle of a pass")

// decideAll feeds the senders, round by round, until nothing is due or the
// pass is stopped. When Almara Pay lets nobody in, or does not answer anybody,
// it is not asked again in this pass: what needs an answer is decided by
// reminders.stale_balance, and the rest goes on.
func (s *Scheduler) decideAll(pass context.Context, j *job, d *doubt) error {
	var mute error
	segments := 0
	for pass.Err() == nil && !s.yields(j, segments, s.SegmentsPerSecond) {
		j.beat()
		d.await(s.pace.ahead)
		round := s.round()
		if s.clockWasSet(s.passClock) {
			return errors.Join(mute, errClockSet)
		}
		looked, err := s.Store.DecideDue(pass, round, s.pace.round)
		if err != nil {
			return errors.Join(mute, ignoreEnd(pass, err))
		}
		if looked.Bills == 0 {
			break
		}
		segments += s.hand(looked, d)
		if len(looked.Ask) == 0 {
			continue
		}
		var lessons []store.Lesson
		if mute == nil {
			lessons, mute = s.ask(pass, j, looked.Ask, s.Almara.Recheck)
		}
		if pass.Err() == nil {
			lessons = unanswered(looked.Ask, lessons)
		}
		if round = s.round(); s.clockWasSet(s.passClock) {
			return errors.Join(mute, errClockSet) // what is claimed comes back at the end of the pass
		}
		answered, err := s.Store.DecideAnswered(pass, round, lessons)
		if err != nil {
			return errors.Join(mute, ignoreEnd(pass, err))
		}
		s.tellLessons(looked.Ask, lessons)
		segments += s.hand(answered, d)
	}
	return mute
}

func (s *Scheduler) round() store.Round {
	return store.Round{Now: s.Now(), Policies: s.Policies, Delivery: s.Delivery, Claim: s.claim()}
}

// hand passes committed intents to the senders, which end each of them: they
// take them even after a stop, to give them back. It returns their segments.
func (s *Scheduler) hand(l store.Looked, d *doubt) (segments int) {
	for _, fault := range l.Faults {
		s.Log.Error("no decision could be made", "err", fault)
	}
	for _, n := range l.Noted {
		if n.Outcome != reminder.Texted { // counted once it was handed over
			s.Metrics.reminded(n.Outcome, n.Reason)
		}
		s.tellRecord(n)
	}
	d.add(l.Texts)
	for _, t := range l.Texts {
		segments += t.Segments
	}
	return segments
}

// tellLessons logs what was learned just before a text and ends a bill.
func (s *Scheduler) tellLessons(asked []reminder.Bill, lessons []store.Lesson) {
	rejected := make(map[int64]store.Lesson)
	for _, l := range lessons {
		if l.Rejected != "" {
			rejected[l.BillID] = l
		}
	}
	for _, b := range asked {
		if l, ok := rejected[b.ID]; ok {
			s.tellRejected(b, l)
		}
	}
}

// tellRecord logs what was decided; a text is told of once it was handed over.
func (s *Scheduler) tellRecord(n store.Noted) {
	level := slog.LevelInfo
	if n.Outcome == reminder.Texted || n.Reason == reminder.Superseded {
		level = slog.LevelDebug
	}
	if !s.Log.Enabled(context.Background(), level) {
		return
	}
	why := n.Detail
	if why == "" {
		why = n.Reason.Info().Means
	}
	s.about(n.Bill.Service, n.Bill.Account).Log(context.Background(), level, "reminder "+string(n.Outcome),
		"stage", n.Stage.String(), "due", n.Bill.DueDate.String(), "reason", string(n.Reason), "why", why)
}

// send ends one intent: the text is handed to the provider or given back. The
// error is a reason to stop the pass: the next text would fare no better.
func (s *Scheduler) send(pass context.Context, t store.Text) (o store.Outcome, err error) {
	policy := s.Policies.For(t.Parts[0].Service)
	err = s.pace.wait(pass, t.Segments)
	now := s.Now()
	switch {
	case err != nil:
		o = withdrawn(context.Cause(pass), now)
	case s.clockWasSet(s.passClock):
		err = errClockSet
		o = store.Outcome{State: store.Refused, Hold: reminder.ClockUnsure, Until: t.Decided, Error: "the clock was set before it could be handed over"}
	case t.NotAfter.Sub(now) < time.Second: // less than the provider takes as validity
		o = store.Outcome{State: store.Refused, Hold: reminder.NotHandedOver, Until: t.NotAfter, Error: "it stopped being useful before it could be handed over"}
	case s.closed(t, now) != nil:
		o = store.Outcome{State: store.Refused, Hold: reminder.OutsideWindow, Until: s.closed(t, now).NextOpen(now), Error: "the window closed before it could be handed over"}
	case now.Sub(t.Decided) > lease/2:
		// What it was decided on is old, and soon it would be taken for one that
		// a dead process left.
		o = store.Outcome{State: store.Refused, Hold: reminder.NotHandedOver, Until: now, Error: "it waited too long to be handed over"}
	default:
		// A shutdown must not cut off the answer: it would leave a text in doubt.
		result := s.Notifier.Send(context.WithoutCancel(pass), notifier.Message{To: t.To, Body: t.Body, Validity: s.validity(t, now)})
		now = s.Now()
		o, err = outcomeOf(result, len(t.Parts) > 1, policy, s.ReconcileAfter[0], now)
		if o.Suppress != "" && s.Delivery.Mode == reminder.ModeRedirect {
			o, err = redirectRefused(o, result.Err, now)
		}
		err = errors.Join(err, s.unlisted(result, o.Hold, now))
	}
	o.TextID = t.ID
	if h := (*halt)(nil); errors.As(err, &h) {
		o.Stop = h.stop()
	}
	if o.Until.After(t.NotAfter) {
		o.Until = t.NotAfter // where the reminder expires by itself
	}
	return o, err
}

// record writes what became of texts, as of now.
func (s *Scheduler) record(some []*ended) (now time.Time, err error) {
	now = s.Now()
	outcomes := make([]store.Outcome, len(some))
	for i, e := range some {
		outcomes[i] = e.outcome
	}
	// A text whose outcome cannot be written stays in state sending, and so in
	// doubt, until its lease ends.
	return now, errors.Join(s.Store.RecordOutcomes(now, outcomes)...)
}

// closed is the policy of one of the text's bills whose window is closed; nil
// when all are open.
func (s *Scheduler) closed(t store.Text, now time.Time) *reminder.Policy {
	for _, part := range t.Parts {
		if p := s.Policies.For(part.Service); !p.OpenAt(now) {
			return p
		}
	}
	return nil
}

// validity is how long the provider may try: while all windows are open, and
// the text is useful for all its bills.
func (s *Scheduler) validity(t store.Text, now time.Time) time.Duration {
	v := t.NotAfter.Sub(now)
	for _, part := range t.Parts {
		v = min(v, s.Policies.For(part.Service).Validity(now))
	}
	return v
}

// tellText counts a reminder for each bill, and the text once.
func (s *Scheduler) tellText(t store.Text, o store.Outcome, now time.Time) {
	var accounts, stages []string
	for _, part := range t.Parts {
		accounts, stages = append(accounts, part.Account), append(stages, part.Stage.String())
		switch o.State {
		case store.Accepted:
			s.Metrics.reminded(reminder.Texted, part.Reason)
			s.Metrics.late(max(0, now.Sub(part.Planned)))
		case store.Unknown:
			s.Metrics.reminded(reminder.Texted, part.Reason)
		default:
			s.Metrics.reminded(outcomeName(o), o.Hold+o.Skip)
		}
	}
	s.Metrics.textMoved(o.State)
	tell := func(level slog.Level, what string, more ...slog.Attr) {
		attrs := [...]slog.Attr{
			slog.String("service", s.Policies.Name(t.Parts[0].Service)), slog.String("account", strings.Join(accounts, ", ")),
			slog.String("stage", strings.Join(stages, ", ")), slog.Any("to", t.To), slog.Int64("text", t.ID),
		}
		s.Log.LogAttrs(context.Background(), level, what, append(attrs[:], more...)...)
	}
	switch o.State {
	case store.Accepted:
		tell(slog.LevelInfo, "text accepted by the provider", slog.String("sid", o.ProviderID), slog.Int("segments", t.Segments))
	case store.Unknown:
		tell(slog.LevelWarn, "text in doubt: the provider may or may not have it, so it is looked up there", slog.String("err", o.Error))
	default:
		tell(slog.LevelWarn, "text not sent", slog.String("reason", string(o.Hold+o.Skip)), slog.String("err", o.Error))
	}
}

func outcomeName(o store.Outcome) reminder.Outcome {
	if o.Hold != "" {
		return reminder.Held
	}
	return reminder.Skipped
}

// ignoreEnd drops an error that comes of the pass being stopped.
func ignoreEnd(pass context.Context, err error) error {
	if pass.Err() != nil && errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}
