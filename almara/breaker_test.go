package almara

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"duewatch/reminder"
)

// moody is an Almara Pay that answers as its mood is, and a client to ask it.
type moody struct {
	t    *testing.T
	f    *fake
	c    *Client
	seen outcomes
	mood http.HandlerFunc
}

var (
	failing  = status(302) // fails at once, without another try
	refusing = answer(200, "application/json", seedFailure)
)

func newMoody(t *testing.T) *moody {
	t.Helper()
	m := &moody{t: t, mood: failing}
	m.f = &fake{script: []http.HandlerFunc{func(w http.ResponseWriter, r *http.Request) { m.mood(w, r) }}}
	m.c = inMemory(t, m.f, func(c *Config) { c.OnCall = m.seen.add })
	return m
}

// ask asks about a bill, and wants so many requests and such an outcome.
func (m *moody) ask(account string, wantRequests int, want string) {
	m.t.Helper()
	_, before := m.f.counts()
	_, err := m.c.Register(m.t.Context(), reminder.Bill{Service: "12", Account: account})
	_, after := m.f.counts()
	if outcomeOf(err) != want || after-before != wantRequests {
		m.t.Errorf("%s: %d requests, %v; want %d, %s", account, after-before, err, wantRequests, want)
	}
}

// opens makes the calls after which the breaker is open.
func (m *moody) opens() {
	m.t.Helper()
	m.mood = failing
	for i := range breakerFailures {
		m.ask(fmt.Sprintf("bad %d", i), 1, "retry")
	}
	m.ask("any", 0, "breaker")
}

func TestBreaker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMoody(t)
		m.opens()
		if got := m.seen.all[len(m.seen.all)-1]; got != "register breaker" {
			t.Errorf("reported %q", got)
		}
		if _, err := m.c.Register(t.Context(), testBill); !errors.Is(err, ErrBreakerOpen) {
			t.Error(err)
		}
		<-time.After(breakerPause)
		for i := range reminder.EnoughWitnesses { // the probes
			m.ask(fmt.Sprintf("bad %d", i), 1, "retry")
		}
		m.ask("any", 0, "breaker")
		<-time.After(breakerPause)
		m.mood = refusing
		m.ask("any", 1, "rejected") // a rejection is an answer: the server is back
		m.ask("other", 1, "rejected")
		m.mood = failing
		for i := range 3 * breakerFailures {
			m.ask(fmt.Sprintf("bad %d", i), 1, "retry") // somebody was answered a moment ago
		}
		<-time.After(breakerQuiet)
		m.ask("bad", 1, "retry")
		m.ask("any", 0, "breaker")
	})
}

// A bill that always fails says nothing of the server, even when it is the only
// one that is asked about for hours.
func TestOneBillThatAlwaysFailsDoesNotSilenceTheOthers(t *testing.T) {
	for name, mood := range map[string]http.HandlerFunc{"500": status(500), "time-out": hang, "{}": reply200("{}"), "redirect": failing} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := newMoody(t)
				m.mood = mood
				for i := range 3 * breakerFailures {
					bill := reminder.Bill{Service: "12", Account: fmt.Sprintf("poison %d", i%2)} // two are not enough either
					if _, err := m.c.Register(t.Context(), bill); outcomeOf(err) != "retry" {
						t.Fatalf("call %d: %v", i+1, err)
					}
				}
				m.mood = refusing
				m.ask("good", 1, "rejected")
			})
		})
	}
}

// A refusal that is not understood, or that is about rights, says nothing of
// whether the server works.
func TestRefusalsOfBillsDoNotOpenTheBreaker(t *testing.T) {
	for name, mood := range map[string]http.HandlerFunc{
		"unclear": answer(404, "text/html", "<h1>Not Found</h1>"), "forbidden": status(403),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := newMoody(t)
				m.mood = mood
				for i := range 3 * breakerFailures {
					m.ask(fmt.Sprintf("unknown %d", i), 1, name)
				}
				m.mood = refusing
				m.ask("good", 1, "rejected")
			})
		})
	}
}

func TestWithoutATokenNobodyIsAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMoody(t)
		m.f.onToken = failing
		for range breakerFailures {
			m.ask("the only bill", 0, "retry")
		}
		m.ask("the only bill", 0, "breaker")
	})
}

// The bill that comes first after each pause must not keep the others out.
func TestTheProbeIsNotTheSameBadBillEachTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMoody(t)
		m.opens()
		m.mood = func(w http.ResponseWriter, r *http.Request) {
			if strings.Contains(m.f.bills[len(m.f.bills)-1].Body, "bad") {
				failing(w, r)
				return
			}
			refusing(w, r)
		}
		<-time.After(breakerPause)
		for range 20 {
			m.ask("bad 0", 1, "retry")
		}
		m.ask("good", 1, "rejected")
		m.ask("bad 0", 1, "retry")
	})
}

// While probes are under way the others wait for what they find.
func TestBreakerProbesWithFewCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBreaker()
		for i := range breakerFailures {
			probe, err := b.enter(t.Context())
			if probe || err != nil {
				t.Fatal(probe, err)
			}
			b.leave(probe, callFailed, fmt.Sprint(i), "")
		}
		<-time.After(breakerPause)
		for range reminder.EnoughWitnesses {
			if probe, err := b.enter(t.Context()); !probe || err != nil {
				t.Fatal(probe, err)
			}
		}
		entered := make(chan bool)
		go func() {
			probe, err := b.enter(t.Context())
			if err != nil {
				t.Error(err)
			}
			entered <- probe
		}()
		synctest.Wait()
		b.leave(false, callFailed, "one that began before the breaker opened", "")
		select {
		case <-entered:
			t.Fatal("went ahead beside the probes")
		default:
		}
		b.leave(true, noVerdict, "1", "") // its caller gave up: another probes
		if !<-entered {
			t.Fatal("nobody probes")
		}
		if change := b.leave(true, serverUp, "2", ""); change != breakerClosed {
			t.Errorf("change %d", change)
		}
		if probe, err := b.enter(t.Context()); probe || err != nil {
			t.Fatal(probe, err)
		}
		if change := b.leave(true, serverUp, "3", ""); change != breakerSame {
			t.Errorf("change %d is reported twice", change)
		}
	})
}

// Each outcome that can be counted is one of those that are known beforehand.
func TestTheOutcomesOfCallsAreKnown(t *testing.T) {
	for _, err := range []error{
		nil, &RejectedError{}, &UnclearError{}, &ForbiddenError{}, &RetryError{}, &StopError{}, ErrBreakerOpen,
	} {
		for op, known := range CallOutcomes() {
			if got := outcomeOf(err); !slices.Contains(known, got) {
				t.Errorf("%s: %T is counted as %q", op, err, got)
			}
		}
	}
}
