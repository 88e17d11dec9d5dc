package scheduler

import (
	"crypto/tls"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"duewatch/almara"
	"duewatch/sandbox"
)

// truth is the time as it is, and what the peers say of it. The machine's clock is
// another thing.
type truth struct {
	mu     sync.Mutex
	t      time.Time
	booted time.Time                            // truly
	says   map[string]func(time.Time) time.Time // by peer, zero = it sends no Date; nil = it tells the truth
}

// newTruth is on a machine that was started an hour ago.
func newTruth(at time.Time) *truth { return &truth{t: at, booted: at.Add(-time.Hour)} }

func (x *truth) now() time.Time {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.t.IsZero() {
		return time.Now()
	}
	return x.t
}

func (x *truth) uptime() time.Duration { return x.now().Sub(x.booted) }

// check is the one of a new process; nil where there is no truth.
func (x *truth) check(now func() time.Time) *ClockCheck {
	if x == nil {
		return nil
	}
	return NewClockCheck(now, x.uptime)
}

func (x *truth) date(peer string) func(http.Header) {
	return func(h http.Header) {
		at := x.now()
		x.mu.Lock()
		says := x.says[peer]
		x.mu.Unlock()
		if says != nil {
			at = says(at)
		}
		if h.Del("Date"); !at.IsZero() {
			h.Set("Date", at.UTC().Format(http.TimeFormat))
		}
	}
}

func silentPeer(time.Time) time.Time { return time.Time{} }

// wrongBy is a peer whose clock is wrong.
func wrongBy(d time.Duration) func(time.Time) time.Time {
	return func(t time.Time) time.Time { return t.Add(d) }
}

const year = 365 * 24 * time.Hour

func TestWhoVouchesForAClock(t *testing.T) {
	t.Parallel()
	type answer struct {
		peer  string
		ahead time.Duration // of the peer's Date
	}
	for name, c := range map[string]struct {
		answers []answer
		sure    bool
	}{
		"nobody yet":                       {nil, false},
		"one that agrees":                  {[]answer{{PeerAlmara, 0}}, true},
		"one that is almost right":         {[]answer{{PeerProvider, -5 * time.Minute}}, true},
		"one that is too far off":          {[]answer{{PeerProvider, 5*time.Minute + time.Second}}, false},
		"years behind":                     {[]answer{{PeerAlmara, -3 * year}}, false},
		"the other agrees":                 {[]answer{{PeerAlmara, -3 * year}, {PeerProvider, 0}}, true},
		"the other disagrees later":        {[]answer{{PeerAlmara, 0}, {PeerProvider, 3 * year}}, true},
		"both are wrong, each in its way":  {[]answer{{PeerAlmara, time.Hour}, {PeerProvider, -year}}, false},
		"it is right only at the next try": {[]answer{{PeerAlmara, time.Hour}, {PeerAlmara, 0}}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			x := newTruth(time.Date(2026, 3, 9, 8, 0, 0, 0, zone))
			machine := &clock{t: x.t}
			check := x.check(machine.now)
			for _, a := range c.answers {
				check.OnDate(a.peer)(x.now().Add(a.ahead), nil)
			}
			if got := check.stateNow().sure; got != c.sure {
				t.Errorf("believed: %t, want %t", got, c.sure)
			}
		})
	}
}

func TestAClockThatIsSetIsNotBelievedAnyMore(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		wall, boot time.Duration
		set        bool
	}{
		"time passes":                       {3 * time.Hour, 3 * time.Hour, false},
		"the machine is suspended":          {26 * time.Hour, 26 * time.Hour, false},
		"it is adjusted":                    {time.Hour + 59*time.Second, time.Hour, false},
		"it is set ahead":                   {time.Hour + 61*time.Second, time.Hour, true},
		"it is set back":                    {time.Hour - 61*time.Second, time.Hour, true},
		"it is set back by three hours":     {-3 * time.Hour, time.Second, true},
		"it jumps by years in one second":   {9 * year, time.Second, true},
		"it stands still while time passes": {0, time.Hour, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			x := newTruth(time.Date(2026, 3, 9, 8, 0, 0, 0, zone))
			machine := &clock{t: x.t}
			check := x.check(machine.now)
			check.OnDate(PeerAlmara)(x.now(), nil)
			before := check.stateNow()
			machine.pass(c.wall)
			x.t = x.t.Add(c.boot)
			if after := check.stateNow(); !before.sure || after.sure == c.set || (after.sets != before.sets) != c.set {
				t.Errorf("%+v, then %+v; set: %t", before, after, c.set)
			}
		})
	}
}

// The process's own clock has a second reading, which hides that the first one
// was set.
func TestAClockIsCheckedByWhatItShows(t *testing.T) {
	t.Parallel()
	check := NewClockCheck(time.Now, Uptime)
	check.OnDate(PeerAlmara)(time.Now(), nil)
	if state := check.stateNow(); !state.sure || state.sets != 0 {
		t.Errorf("this machine's own clock: %+v", state)
	}
	if strings.Contains(check.booted.String(), "m=") {
		t.Error("the instant of the start has a monotonic reading")
	}
}

func TestADifferenceOfClocksIsNamedAsPeopleWould(t *testing.T) {
	t.Parallel()
	for want, d := range map[string]time.Duration{
		"the clock is 2 years 3 days ahead of Almara Pay's; is it right?": 2*year + 3*24*time.Hour + 5*time.Hour,
		"the clock is 3 hours behind Almara Pay's; is it right?":          -3*time.Hour - 20*time.Second,
		"the clock is 1 day 1 minute ahead of Almara Pay's; is it right?": 24*time.Hour + time.Minute,
		"the clock is 6 minutes behind Almara Pay's; is it right?":        -6 * time.Minute,
	} {
		check := (newTruth(time.Date(2026, 3, 9, 8, 0, 0, 0, zone))).check((&clock{t: time.Date(2026, 3, 9, 8, 0, 0, 0, zone)}).now)
		check.OnDate(PeerAlmara)(check.now().Add(-d), nil)
		if got := check.problem(time.Time{}); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// A certificate that is not valid at our time leaves no Date to compare with.
func TestACertificateThatIsNotValidAtOurTimeAsksWhetherTheClockIsRight(t *testing.T) {
	t.Parallel()
	box, err := sandbox.New(sandbox.Options{Zone: zone})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(box.Handler())
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	server.StartTLS()
	defer server.Close()
	for name, wrong := range map[string]time.Duration{"ahead": 100 * year, "behind": -60 * year} {
		trust := server.Client().Transport.(*http.Transport).TLSClientConfig // it is documented
		machine := func() time.Time { return time.Now().Add(wrong) }
		transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: trust.RootCAs, Time: machine}}
		check := NewClockCheck(machine, Uptime)
		client, err := almara.New(almara.Config{
			BaseURL: server.URL, ClientID: sandbox.ClientID, ClientSecret: sandbox.ClientSecret, Transport: transport, Now: machine,
			OnDate: check.OnDate(PeerAlmara), Rate: 1e6,
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := client.RenewToken(t.Context()); err == nil {
			t.Errorf("%s: a token was given", name)
		}
		if got := check.problem(time.Time{}); !strings.Contains(got, "the certificate of Almara Pay is not valid") || !strings.Contains(got, "is the clock right?") {
			t.Errorf("%s: %q", name, got)
		}
		if check.stateNow().sure {
			t.Errorf("%s: it is believed", name)
		}
		transport.CloseIdleConnections()
	}
}
