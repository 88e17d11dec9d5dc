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
	store *store.Store
	// turnKept is for how long a text keeps a turn that was reserved for it. One that comes
	// later, since the provider was slow or the machine stood still, might leave together with
	// others of its kind, in the turns of other daemons: it has another one reserved.
	turnKept time.Duration
}

// A text keeps its turn for as long as all senders need to take one each at the rate: that many
// are in flight anyway. Less than a tenth of a second is what a machine takes now and then, and
// more than a second would be one text late by another's fault.
const (
	minTurnKept = 100 * time.Millisecond
	maxTurnKept = time.Second
)

func newWaitingPacer(segmentsPerSecond float64, senders int, s *store.Store) waitingPacer {
	burst := max(int(math.Ceil(segmentsPerSecond)), 1)
	kept := time.Duration(float64(senders) / segmentsPerSecond * float64(time.Second))
	return waitingPacer{rate.NewLimiter(rate.Limit(segmentsPerSecond), burst), s, min(max(kept, minTurnKept), maxTurnKept)}
}

func (p waitingPacer) awaitTurn(ctx context.Context, t *store.Text) error {
	if t.Turn.IsZero() {
		// A text longer than the burst waits for a full one and may leave then.
		if err := p.WaitN(ctx, min(t.Segments, p.Burst())); err != nil {
			return err
		}
		return ctx.Err()
	}
	for {
		if time.Since(t.Turn) > p.turnKept {
			turn, err := p.store.ReserveTurn(t.Segments, float64(p.Limit()))
			if err != nil {
				return err
			}
			t.Turn = turn
		}
		timer := time.NewTimer(time.Until(t.Turn))
		select {
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		case <-timer.C:
		}
		if time.Since(t.Turn) <= p.turnKept {
			return nil
		}
	}
}

func (waitingPacer) asked(int) {}

func (waitingPacer) passLimit() (segments, calls int) { return math.MaxInt, math.MaxInt }

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
