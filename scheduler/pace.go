package scheduler

import (
	"context"
	"math"
	"time"

	"golang.org/x/time/rate"
)

// pace keeps texts within the provider's rate, counted in segments.
type pace struct {
	limiter *rate.Limiter
	// round is how many bills a round takes: about two seconds' worth of texts,
	// so that a text leaves soon after its decision and few are ever in doubt. At
	// most maxRound: more of them need more memory than small machines have.
	round int
	// ahead is how many texts may yet be in doubt when the next round is decided: a
	// round's worth and, where more than that leave in a second, a second's worth, at
	// most two of the largest rounds. With less the senders wait for the commits.
	ahead int

	// passes lets the time of segments pass on a virtual clock; nil = by waiting.
	passes func(segments int)
}

const (
	minRound = 8
	maxRound = 512
)

func newPace(segmentsPerSecond float64) *pace {
	perSecond := int(math.Ceil(segmentsPerSecond))
	round := min(max(2*perSecond, minRound), maxRound)
	return &pace{
		limiter: rate.NewLimiter(rate.Limit(segmentsPerSecond), max(perSecond, 1)),
		round:   round,
		ahead:   min(max(round, perSecond), 2*maxRound),
	}
}

// within is how many texts may leave in that time, at least one.
func (p *pace) within(d time.Duration) int {
	return int(min(math.Ceil(float64(p.limiter.Limit())*d.Seconds()), float64(p.ahead+p.round)))
}

// wait returns when the segments may leave, or the context's error.
func (p *pace) wait(ctx context.Context, segments int) error {
	if p.passes != nil {
		p.passes(segments)
		return ctx.Err()
	}
	// A text longer than the burst waits for a full one and may leave then.
	if err := p.limiter.WaitN(ctx, min(segments, p.limiter.Burst())); err != nil {
		return err
	}
	return ctx.Err()
}
