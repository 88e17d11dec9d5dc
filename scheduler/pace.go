package scheduler

import (
	"context"
	"math"
	"time"

	"golang.org/x/time/rate"

	"duewatch/store"
)

// pacer keeps texts and calls within the rates of the provider and of Almara Pay.
type pacer interface {
	// awaitTurn returns when a text may be handed to the provider, or with an error when
	// ctx ends.
	awaitTurn(ctx context.Context, t *store.Text) error
	// shareRate says how many daemons share the provider's rate, this one among them.
	shareRate(daemons int)
	// asked accounts for calls to Almara Pay.
	asked(calls int)
	// passLimit is how many segments and calls a pass may make before the other jobs
	// must have their turn. It is woken to go on after them.
	passLimit() (segments, calls int)
}

// waitingPacer waits for the time to pass. The client of Almara Pay waits by
// itself, and the jobs run beside each other, so that no pass ends for others.
type waitingPacer struct {
	*rate.Limiter
	store   *store.Store
	daemons int // that share the rate, this one among them
	// own has what this daemon sent: its part of the rate, and as much at once as is in flight. A
	// text that comes later than its turn leaves where there is room in it.
	own *rate.Limiter
}

func newWaitingPacer(segmentsPerSecond float64, senders int, s *store.Store) *waitingPacer {
	burst := max(int(math.Ceil(segmentsPerSecond)), 1)
	p := &waitingPacer{Limiter: rate.NewLimiter(rate.Limit(segmentsPerSecond), burst), store: s}
	p.own = rate.NewLimiter(rate.Limit(segmentsPerSecond), max(senders, 1))
	p.shareRate(1)
	return p
}

func (p *waitingPacer) shareRate(daemons int) {
	p.daemons = max(daemons, 1)
	p.own.SetLimit(p.Limit() / rate.Limit(p.daemons))
}

const (
	// turnKept is how late a text may be in its turn as if it were not: a busy machine is.
	turnKept = 100 * time.Millisecond
	// turnLost is from when on a turn is nobody's any more, where others share the rate.
	turnLost = time.Second
)

func (p *waitingPacer) awaitTurn(ctx context.Context, t *store.Text) error {
	if t.Turn.IsZero() {
		// A text longer than the burst waits for a full one and may leave then.
		if err := p.WaitN(ctx, min(t.Segments, p.Burst())); err != nil {
			return err
		}
		return ctx.Err()
	}
	for {
		if err := waitUntil(ctx, t.Turn); err != nil {
			return err
		}
		wait, lost := p.whenLate(t)
		if !lost {
			return waitUntil(ctx, time.Now().Add(wait))
		}
		turn, err := p.store.ReserveTurn(t.Segments, float64(p.Limit()))
		if err != nil {
			return err
		}
		t.Turn = turn
	}
}

// whenLate says when a text may leave whose turn has come, or that it has lost it. What a provider
// that stood still, or a machine, has delayed would leave at once otherwise, beside those whose
// turn it is by then, those of other daemons among them.
func (p *waitingPacer) whenLate(t *store.Text) (wait time.Duration, lost bool) {
	late, now := time.Since(t.Turn), time.Now()
	segments := min(t.Segments, p.own.Burst())
	if late <= turnKept {
		// It leaves in any case. It is counted as long as that is of use to those that are late.
		if p.own.TokensAt(now) > -float64(p.own.Limit())*turnLost.Seconds() {
			p.own.ReserveN(now, segments)
		}
		return 0, false
	}
	if late > turnLost && p.daemons > 1 {
		return 0, true
	}
	room := p.own.ReserveN(now, segments)
	if wait = room.DelayFrom(now); wait > turnLost && p.daemons > 1 {
		room.CancelAt(now)
		return 0, true
	}
	return wait, false
}

func waitUntil(ctx context.Context, at time.Time) error {
	wait := time.Until(at)
	if wait <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

func (*waitingPacer) asked(int) {}

func (*waitingPacer) passLimit() (segments, calls int) { return math.MaxInt, math.MaxInt }

// roundSizes are how many bills the remind job decides about at a time, and how many
// texts it has in hand.
type roundSizes struct {
	segmentsPerSecond float64
	// bills is how many a round takes: about two seconds' worth of texts,
	// so that a text leaves soon after its decision and few are ever in flight. At
	// most maxRound: more of them need more memory than small machines have.
	bills int
	// ahead is how many texts may yet be in flight when the next round is decided: a
	// round's worth and, where more than that leave in a second, a second's worth, at
	// most two of the largest rounds. With less the senders wait for the commits.
	ahead int
}

const (
	minRound = 8
	maxRound = 512
	// A text that waits for its turn for five minutes is decided anew, so at slow rates a round
	// has fewer texts: one and the round ahead of it are out by then, be each text of ten segments.
	longestRound = 15 * time.Second
)

func newRoundSizes(segmentsPerSecond float64) roundSizes {
	perSecond := int(math.Ceil(segmentsPerSecond))
	bills := min(max(2*perSecond, minRound), maxRound, max(int(segmentsPerSecond*longestRound.Seconds()), 1))
	return roundSizes{
		segmentsPerSecond: segmentsPerSecond,
		bills:             bills,
		ahead:             min(max(bills, perSecond), 2*maxRound),
	}
}

// maxInFlight is how many texts may be in flight right after a round was decided.
func (p roundSizes) maxInFlight() int { return p.ahead + p.bills }

// within is how many texts may leave in that time, at least one.
func (p roundSizes) within(d time.Duration) int {
	return int(min(math.Ceil(p.segmentsPerSecond*d.Seconds()), float64(p.maxInFlight())))
}
