package notifier

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptrace"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// pipes is a listener whose connections are pipes in memory, so that they run on
// the clock of a bubble. Each takes its time to be made.
type pipes struct {
	delay time.Duration
	made  chan net.Conn
	done  chan struct{}
}

func (p *pipes) dial(context.Context, string, string) (net.Conn, error) {
	<-time.After(p.delay)
	ours, theirs := net.Pipe()
	p.made <- theirs
	return ours, nil
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.made:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error   { close(p.done); return nil }
func (p *pipes) Addr() net.Addr { return &net.UnixAddr{} }

func TestATextThatIsLateIsGivenUpUnsent(t *testing.T) {
	const bound = 2 * time.Second
	for _, tt := range []struct {
		name          string
		dial          time.Duration
		first, second Acceptance // the second text finds the connection that was made for the first
	}{
		{"a connection is ready", 0, Accepted, Accepted},
		{"it is ready just in time", bound - time.Millisecond, Accepted, Accepted},
		{"it comes too late", bound + time.Second, NotSent, Accepted},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var posted atomic.Int32
				p := &pipes{delay: tt.dial, made: make(chan net.Conn), done: make(chan struct{})}
				server := &http.Server{
					Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
						posted.Add(1)
						answer(201, "application/json", created)(w, r)
					}),
					ErrorLog: slog.NewLogLogger(slog.DiscardHandler, 0),
				}
				go server.Serve(p) //nolint:errcheck // it ends with the listener
				defer server.Close()
				c := testConfig("http://127.0.0.1")
				transport := newTransport(1)
				transport.Proxy, transport.DialContext = nil, p.dial
				c.Transport = transport
				n := newNotifier(t, c)

				send := func() (r Result, wrote time.Duration) {
					began := time.Now()
					ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{
						WroteHeaders: func() { wrote = time.Since(began) },
					})
					m := testMessage()
					m.WriteBy = began.Add(bound)
					return n.Send(ctx, m), wrote
				}
				first, wrote := send()
				if first.Outcome != tt.first || wrote > bound {
					t.Errorf("first: %s (%v), its request was written after %s", first.Outcome, first.Err, wrote)
				}
				if late := errors.Is(first.Err, ErrLate); late != (tt.first == NotSent) {
					t.Errorf("first: %v", first.Err)
				}
				if got, want := posted.Load() == 1, tt.first == Accepted; got != want {
					t.Errorf("posted: %t, want %t", got, want)
				}
				<-time.After(10 * time.Second)
				second, wrote := send()
				if second.Outcome != tt.second || wrote > bound {
					t.Errorf("second: %s (%v), its request was written after %s", second.Outcome, second.Err, wrote)
				}
				transport.CloseIdleConnections()
			})
		})
	}
}

// A text that was not handed over until its hour does not leave after it.
func TestATextIsNotEvenBegunAfterItsHour(t *testing.T) {
	var posted atomic.Int32
	n := newNotifier(t, testConfig(serve(t, func(http.ResponseWriter, *http.Request) { posted.Add(1) })))
	m := testMessage()
	m.WriteBy = time.Now().Add(-time.Second)
	if r := n.Send(t.Context(), m); r.Outcome != NotSent || !errors.Is(r.Err, ErrLate) || posted.Load() != 0 {
		t.Errorf("%s (%v), posted %d times", r.Outcome, r.Err, posted.Load())
	}
}

// A process that stood still, or a machine that was suspended, goes on in the middle of a
// request: its timer may come after the first byte.
func TestAFormIsNotBegunLateWhateverItsTimerDoes(t *testing.T) {
	const form = "Body=x"
	for name, tt := range map[string]struct {
		writeBy time.Time
		late    bool
	}{
		"in time":               {time.Now().Add(time.Hour), false},
		"no bound":              {time.Time{}, false},
		"late":                  {time.Now().Add(-time.Second), true},
		"late by the day alone": {time.Now().Add(-time.Second).Round(0), true},
	} {
		t.Run(name, func(t *testing.T) {
			f := newForm(form)
			f.writeBy = tt.writeBy
			n, err := f.Read(make([]byte, 100))
			if tt.late != errors.Is(err, errSealed) || tt.late != (n == 0) {
				t.Errorf("%d bytes were read, %v", n, err)
			}
			if f.late.Load() != tt.late || f.seal() != tt.late {
				t.Errorf("late %v, sealed %v, want %v", f.late.Load(), f.seal(), tt.late)
			}
		})
	}
}
