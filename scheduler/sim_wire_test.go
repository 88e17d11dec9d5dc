package scheduler

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"
)

// simWire is the network between the daemon and the two services, and all that
// can go wrong on it. What goes wrong with a call hangs on the seed, on what
// the call is about and on how many there were of it, never on the order in
// which goroutines happen to run.
type simWire struct {
	sim     *sim
	handler http.Handler
	faults  float64 // the probability of a fault of a call
	slow    int     // calls take up to so many slots more
	lag     bool    // the provider's message list runs behind at times
	almara  outage
	twilio  outage

	mu    sync.Mutex
	calls map[string]int
	posts []*post
	crash *crash // is to come
	jump  *jump  // is to come
	dates simDates
}

// simDates are what the services say of the time.
type simDates struct {
	name                         string
	almaraWrong, providerWrong   time.Duration
	almaraSilent, providerSilent bool // there is no Date
}

// honest reports whether one of them tells the true time.
func (d simDates) honest() bool {
	return !d.almaraSilent && d.almaraWrong == 0 || !d.providerSilent && d.providerWrong == 0
}

// jump says at which call the clock is set.
type jump struct {
	endpoint string // "" = any
	calls    int    // so many of them go through first
	to       time.Duration
}

// outage is what every call to a service meets until it ends; "" = none.
type outage string

// crash says at which call the process dies or is told to stop.
type crash struct {
	endpoint string        // "" = any
	calls    int           // so many of them go through first
	after    bool          // the call has been processed by then
	graceful bool          // it is a shutdown
	pause    time.Duration // or the process stands still for so long, before or after the call
}

// slot is how long a call takes, at least: it ends in the next slot, at an
// instant of its own. So the random part of the client's pauses between tries,
// which is no part of the seed, makes no difference.
const slot = 4 * time.Second

// timeout is after how long the clients give up: whole slots, so that a call
// that is given up ends as early in its slot as it began, and what comes after
// it keeps to the same slots too.
const timeout = 8 * slot

// The faults. Those with "after" come once the call has been processed.
const (
	refused   = "connection refused"
	dropped   = "connection dropped"
	silent    = "time-out"
	e500      = "500"
	e503      = "503"
	page502   = "page 502"
	page200   = "page 200"
	redirect  = "302"
	slowDown  = "429"
	slowLong  = "429 for long"
	cut       = "truncated"
	empty     = "empty"
	forbidden = "403"
	badLogin  = "401"
	unclear   = "404 of no known form"
	oddCode   = "400 of an unknown code"
	late      = "time-out, processed later"
	lagging   = "the list runs behind"
	redacted  = "the list has no words"
	after     = " after"
)

var simFaults = map[string][]string{
	"token":    {dropped, e503, page502, page200, empty, slowDown, silent, cut},
	"register": {dropped, dropped + after, e503, e500 + after, page502, page200, cut, empty, slowDown, slowLong, redirect, badLogin, silent, silent + after, forbidden, unclear},
	"lookup":   {dropped, e503, page502, cut, empty, slowDown, redirect, silent, unclear},
	"send": {
		dropped, dropped + after, dropped + after, e500, e500 + after, e503, e503 + after, page502, page502 + after, page200 + after, redirect, redirect + after,
		slowDown, slowLong, cut, cut, empty + after, empty, silent, silent + after, badLogin, oddCode, late,
	},
	"list":  {dropped, e500, page200, page502, empty, cut, slowDown, badLogin, silent, redirect, redacted, redacted},
	"fetch": {dropped, e500, page200, page502, empty, cut, slowDown, badLogin, silent, redirect},
}

var errSim = errors.New("the network of the simulation")

// simLink is the wire of one daemon.
type simLink struct {
	*simWire
	d *simDaemon
}

// RoundTrip carries one call, and says what time it is.
func (w simLink) RoundTrip(r *http.Request) (*http.Response, error) {
	w.pauseAt(w.d, r, false)
	w.d.awaitRunning()
	res, err := w.roundTrip(w.d, r)
	w.pauseAt(w.d, r, true)
	w.d.awaitRunning()
	if err != nil {
		return nil, err
	}
	wrong, silent := w.dates.almaraWrong, w.dates.almaraSilent
	if strings.Contains(r.URL.Path, "/Accounts/") {
		wrong, silent = w.dates.providerWrong, w.dates.providerSilent
	}
	if res.Header = res.Header.Clone(); !silent {
		res.Header.Set("Date", w.sim.trueNow().Add(wrong).UTC().Format(http.TimeFormat))
	}
	return res, nil
}

func (w *simWire) roundTrip(d *simDaemon, r *http.Request) (*http.Response, error) {
	s := w.sim
	began := s.trueNow()
	provider := strings.Contains(r.URL.Path, "/Accounts/")
	var down outage
	w.set(func() {
		down = w.almara
		if provider {
			down = w.twilio
		}
	})
	if down == refused && !s.calm.Load() {
		// The body has not been touched: no byte of it left.
		if err := w.pass(r.Context(), time.Duration(w.count("refused"+r.URL.Path)%1000)*time.Microsecond); err != nil {
			return nil, err
		}
		return nil, fmt.Errorf("%w: connection refused", errSim)
	}
	c, err := w.identify(r)
	if err != nil {
		return nil, err
	}
	key := c.endpoint + c.what
	if job, _ := r.Context().Value(jobOf{}).(string); c.endpoint != "token" {
		key += job // two jobs may ask about one bill in the same instant
	}
	dice := s.diceOf(key, w.count(key))
	fault := ""
	switch {
	case s.calm.Load():
	case down != "":
		fault = string(down)
	case dice.Float64() < w.faults:
		list := simFaults[c.endpoint]
		fault = list[dice.IntN(len(list))]
	case c.endpoint == "list" && w.lag && dice.IntN(2) == 0:
		fault = lagging
	}
	offset := time.Duration(dice.IntN(w.slow+1))*slot + time.Millisecond + time.Duration(dice.Int64N(int64(990*time.Millisecond)))
	p := w.note(d, c)
	if err := w.pass(r.Context(), offset); err != nil {
		return nil, err
	}
	if fault != "" {
		s.say("-- %s %s: %s", c.endpoint, c.said, fault)
		s.noteFault(s.trueNow().Add(-2*slot), s.trueNow().Add(time.Minute), fault)
	}
	return w.carry(d, r, c, p, began, fault, dice)
}

func (w *simWire) carry(d *simDaemon, r *http.Request, c simCall, p *post, began time.Time, fault string, dice *rand.Rand) (*http.Response, error) {
	w.leap(d, c)
	w.strike(d, c, false)
	if w.isDead(d) && dice.IntN(2) == 0 { // or else the request was on its way already
		w.set(func() { p.lost, p.killed = true, true })
		return nil, fmt.Errorf("%w: the process is gone", errSim)
	}
	kind, processed := strings.CutSuffix(fault, after)
	processed = processed || fault == "" || fault == cut || fault == lagging || fault == redacted
	var res *http.Response
	switch {
	case processed:
		res = w.process(c, p)
		w.strike(d, c, true)
	case kind == late:
		wait := 28*time.Second + time.Duration(1+dice.IntN(50))*time.Second
		time.AfterFunc(wait, func() { w.process(c, p) })
	}
	w.set(func() { p.lost, p.killed = fault != "", d.dead })
	if w.isDead(d) {
		return nil, fmt.Errorf("%w: the process is gone", errSim)
	}
	answer := func(status int, kind, body string, header ...string) (*http.Response, error) {
		h := http.Header{"Content-Type": {kind}}
		for i := 0; i+1 < len(header); i += 2 {
			h.Set(header[i], header[i+1])
		}
		return &http.Response{StatusCode: status, Header: h, Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body)), Request: r}, nil
	}
	const page, problem = "<!doctype html><title>Sorry</title><h1>Something went wrong</h1>", "application/json"
	switch kind {
	case "":
		if c.endpoint == "send" && res.StatusCode == http.StatusBadRequest {
			w.set(func() { p.refused = true })
		}
		return res, nil
	case dropped:
		return nil, fmt.Errorf("%w: %w", errSim, io.ErrUnexpectedEOF)
	case silent, late:
		if dice.IntN(2) == 0 { // the way to the server gives up before the client does
			gone := began.Truncate(slot).Add(timeout - 2*slot + time.Duration(dice.Int64N(int64(990*time.Millisecond))))
			if err := w.sleepUntil(r.Context(), gone); err != nil {
				return nil, err
			}
			return nil, fmt.Errorf("%w: %w", errSim, os.ErrDeadlineExceeded)
		}
		<-r.Context().Done()
		return nil, r.Context().Err()
	case cut:
		whole, _ := io.ReadAll(res.Body)
		res.Body = io.NopCloser(io.MultiReader(bytes.NewReader(whole[:len(whole)/2]), brokenReader{}))
		return res, nil
	case e500:
		return answer(500, problem, `{"code":20500,"message":"An internal server error has occurred","status":500}`)
	case e503:
		return answer(503, "text/plain", "no healthy upstream")
	case page502:
		return answer(502, "text/html", page)
	case page200:
		return answer(200, "text/html", page)
	case redirect:
		return answer(302, "text/html", "", "Location", "https://elsewhere.example/login")
	case slowDown:
		return answer(429, problem, `{"code":20429,"message":"Too Many Requests","status":429}`, "Retry-After", "4")
	case slowLong:
		return answer(429, problem, `{"code":20429,"message":"Too Many Requests","status":429}`, "Retry-After", "1200")
	case empty:
		status := 200
		if c.endpoint == "send" {
			status = 201
		}
		return answer(status, problem, "{}")
	case forbidden:
		return answer(403, problem, `{"title":"Forbidden","status":403}`)
	case unclear:
		return answer(404, problem, `{"title":"Not Found","status":404}`)
	case badLogin:
		return answer(401, problem, `{"code":20003,"message":"Authenticate","status":401}`)
	case oddCode:
		return answer(400, problem, `{"code":29999,"message":"Something new","status":400}`)
	case lagging:
		return w.withoutTheNew(res)
	case redacted:
		w.set(func() { w.sim.met["list without words"]++ })
		return w.withoutWords(res)
	}
	return nil, fmt.Errorf("%w: no such fault: %s", errSim, kind)
}

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

// pass waits to the next slot, and to its own instant in it.
func (w *simWire) pass(ctx context.Context, offset time.Duration) error {
	return w.sleepUntil(ctx, w.sim.trueNow().Truncate(slot).Add(slot+offset))
}

func (w *simWire) sleepUntil(ctx context.Context, at time.Time) error {
	timer := time.NewTimer(at.Sub(w.sim.trueNow()))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (w *simWire) count(key string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.calls[key]++
	return w.calls[key]
}

func (w *simWire) set(f func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f()
}

func (w *simWire) isDead(d *simDaemon) (dead bool) {
	w.set(func() { dead = d.dead })
	return dead
}

// remains is what a crash has left of the store; "" when there was none.
func (w *simWire) remains(d *simDaemon) (path string) {
	w.set(func() { path = d.left })
	return path
}

// leap sets the clock at this call, if it is the one.
func (w *simWire) leap(d *simDaemon, c simCall) {
	w.mu.Lock()
	defer w.mu.Unlock()
	l := w.jump
	if l == nil || (l.endpoint != "" && l.endpoint != c.endpoint) {
		return
	}
	if l.calls--; l.calls >= 0 {
		return
	}
	w.jump = nil
	w.sim.say("-- the clock is set at %s %s, wrong by %s", c.endpoint, c.said, l.to)
	w.sim.met["clock set in a pass"]++
	w.sim.setClockOf(d, l.to)
}

// strike kills the process at this call, if it is the one.
func (w *simWire) strike(d *simDaemon, c simCall, processed bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	k := w.crash
	if k == nil || d.dead || k.pause > 0 || k.after != processed || (k.endpoint != "" && k.endpoint != c.endpoint) {
		return
	}
	if k.calls--; k.calls >= 0 {
		return
	}
	w.crash = nil
	w.sim.noteFault(w.sim.trueNow().Add(-time.Minute), w.sim.trueNow().Add(20*time.Minute), "crash")
	if k.graceful {
		w.sim.say("-- told to stop, at %s %s", c.endpoint, c.said)
	} else {
		w.sim.say("-- killed, at %s %s, processed %t", c.endpoint, c.said, processed)
		d.left, d.dead = w.sim.cutOff(d), true
	}
	d.stop(context.Canceled)
}
