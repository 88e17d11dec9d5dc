package scheduler

import (
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	// clockSlack is by how much a clock may move without a word: it is adjusted
	// by that much all the time.
	clockSlack = time.Minute
	// clockAgrees is by how much a Date of Almara Pay or the provider may differ
	// from our clock: an answer may be a minute old, and their clocks are no
	// better than others.
	clockAgrees = 5 * time.Minute
	// clockKnownFor is for how long after the last instant that the store has seen
	// the clock is believed where no answer has a Date: a weekend of downtime.
	clockKnownFor = 48 * time.Hour
)

// The peers whose answers tell the time.
const (
	PeerAlmara   = "Almara Pay"
	PeerProvider = "Twilio"
)

// ClockCheck finds out whether the clock of this machine may be believed. It is
// vouched for when, since the start and since it was last set, an answer of a peer
// had a Date that agrees with it; of peers that disagree the one that agrees with
// us wins. Where none of them sends a Date, the store or the operator may vouch
// for it, by vouch. Setting the clock is noticed by the time since the machine was
// started, which runs on while it is suspended: that is no setting.
//
// One ClockCheck serves a process, over reloads of its config. A nil one believes
// the clock, as a simulation does its own. It is safe for concurrent use.
type ClockCheck struct {
	now    func() time.Time
	uptime func() time.Duration

	mu      sync.Mutex
	booted  time.Time // by our clock; it stands still unless that is set
	state   clockState
	answers map[string]peerClock // since the start, or since the clock was set
}

// clockState is whether the clock is believed, and how often it was set: what was
// done by another count was done by another clock.
type clockState struct {
	sure bool
	sets int
}

// peerClock is what was heard of a peer's clock.
type peerClock struct {
	silent  bool          // it answered, without a Date
	dated   bool          // it answered with one
	ahead   time.Duration // by which our clock is ahead of its Date
	expired bool          // its certificate is not valid at our time
}

// NewClockCheck begins with a clock that nobody has vouched for. now is the clock;
// uptime counts on whatever happens to it, as Uptime does.
func NewClockCheck(now func() time.Time, uptime func() time.Duration) *ClockCheck {
	c := &ClockCheck{now: now, uptime: uptime, answers: map[string]peerClock{}}
	c.booted = c.bootedNow()
	return c
}

// bootedNow is the instant at which the machine was started, by the clock as it is.
func (c *ClockCheck) bootedNow() time.Time {
	return c.now().Round(0).Add(-c.uptime()) // without the monotonic reading, which would hide that the clock was set
}

// notice finds out whether the clock was set. The mutex is held.
func (c *ClockCheck) notice() {
	if booted := c.bootedNow(); booted.Sub(c.booted).Abs() > clockSlack {
		c.booted, c.answers = booted, map[string]peerClock{}
		c.state = clockState{sets: c.state.sets + 1}
	}
}

// OnDate is what the client of a peer calls for each of its requests.
func (c *ClockCheck) OnDate(peer string) func(date time.Time, err error) {
	if c == nil {
		return nil
	}
	return func(date time.Time, err error) {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.notice()
		p := c.answers[peer]
		switch {
		case err != nil:
			p.expired = p.expired || certificateNotValidNow(err)
		case date.IsZero():
			p.silent = true
		default:
			p.dated, p.ahead = true, c.now().Sub(date)
			if p.ahead.Abs() <= clockAgrees {
				c.believe()
			}
		}
		c.answers[peer] = p
	}
}

// certificateNotValidNow reports whether a connection failed because a certificate
// is not valid yet, or any more, at the time of this machine.
func certificateNotValidNow(err error) bool {
	var invalid x509.CertificateInvalidError
	return errors.As(err, &invalid) && invalid.Reason == x509.Expired
}

// believe takes the clock as it is for right. The mutex is held.
func (c *ClockCheck) believe() {
	c.state.sure, c.booted = true, c.bootedNow()
}

// stateNow is whether the clock is believed now, and how often it was set so far.
func (c *ClockCheck) stateNow() clockState {
	if c == nil {
		return clockState{sure: true}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.notice()
	return c.state
}

// vouch has the clock be believed, unless it was set since the caller read its state.
func (c *ClockCheck) vouch(as clockState) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.notice(); c.state.sets == as.sets {
		c.believe()
	}
}

// dateless reports whether peers have answered, and none of them with a Date.
func (c *ClockCheck) dateless() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	silent := false
	for _, p := range c.answers {
		if p.dated {
			return false
		}
		silent = silent || p.silent
	}
	return silent
}

// problem says why the clock is not believed; seen is the last instant that the
// store knows of.
func (c *ClockCheck) problem(seen time.Time) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	expired := ""
	for _, name := range []string{PeerAlmara, PeerProvider} {
		switch p := c.answers[name]; {
		case p.dated:
			return fmt.Sprintf("the clock is %s %s's; is it right?", aheadWords(p.ahead), name)
		case p.expired && expired == "":
			expired = "the certificate of " + name + " is not valid at the time of this machine; is the clock right?"
		}
	}
	silent := slices.ContainsFunc([]string{PeerAlmara, PeerProvider}, func(name string) bool { return c.answers[name].silent })
	switch {
	case expired != "":
		return expired
	case silent && !seen.IsZero():
		return fmt.Sprintf("no answer tells the time, and the clock is %s the last thing that was recorded; is it right?",
			aheadWords(c.now().Sub(seen)))
	default:
		return "neither Almara Pay nor the provider has answered since the start, or since the clock was set, so nobody vouches for it"
	}
}

// aheadWords says by how much a clock is ahead of another, or behind it, in its
// two largest units.
func aheadWords(d time.Duration) string {
	side := "ahead of"
	if d < 0 {
		side = "behind"
	}
	d = d.Abs()
	words := []string{}
	for _, unit := range []struct {
		name string
		of   time.Duration
	}{{"year", 365 * 24 * time.Hour}, {"day", 24 * time.Hour}, {"hour", time.Hour}, {"minute", time.Minute}} {
		n := int64(d / unit.of)
		d %= unit.of
		switch {
		case n == 0 || len(words) == 2:
		case n == 1:
			words = append(words, "1 "+unit.name)
		default:
			words = append(words, fmt.Sprintf("%d %ss", n, unit.name))
		}
	}
	return strings.Join(append(words, side), " ")
}
