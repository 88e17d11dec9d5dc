package web_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"duewatch/web"
)

// A page from elsewhere that has its own name lead to 127.0.0.1 reads nothing.
func TestOnlyTheNamesOfThisMachineAreAnswered(t *testing.T) {
	t.Parallel()
	for host, want := range map[string]int{
		"localhost":            http.StatusOK,
		"LocalHost:8750":       http.StatusOK,
		"localhost.:8750":      http.StatusOK,
		"127.0.0.1":            http.StatusOK,
		"127.0.0.1:8750":       http.StatusOK,
		"127.8.9.10:1":         http.StatusOK,
		"[::1]":                http.StatusOK,
		"[::1]:8750":           http.StatusOK,
		"[::ffff:127.0.0.1]:1": http.StatusOK,
		"monitor.lan:8750":     http.StatusOK, // as web.listen has it
		"":                     http.StatusOK, // of HTTP/1.0
		"evil.example":         http.StatusMisdirectedRequest,
		"evil.example:8750":    http.StatusMisdirectedRequest,
		"localhost.evil.com":   http.StatusMisdirectedRequest,
		"127.0.0.1.evil.com":   http.StatusMisdirectedRequest,
		"192.0.2.7:8750":       http.StatusMisdirectedRequest,
		"0.0.0.0:8750":         http.StatusMisdirectedRequest,
		"[::]:8750":            http.StatusMisdirectedRequest,
		":8750@localhost":      http.StatusMisdirectedRequest,
	} {
		for _, path := range []string{"/healthz", "/metrics"} {
			c := config(web.Health{Alive: true, Problems: []string{"a-problem"}})
			c.Listen = "monitor.lan:8750"
			r := request(t, http.MethodGet, path)
			r.Host = host
			answer := ask(t, c, r)
			if answer.StatusCode != want {
				t.Errorf("%s of %q answers %d, want %d", path, host, answer.StatusCode, want)
			}
			said := body(t, answer)
			if want != http.StatusOK && (strings.Contains(said, "a-problem") || !strings.Contains(said, "use localhost")) {
				t.Errorf("%q is answered %q", host, said)
			}
			// With a token any name is allowed: without it nothing is answered.
			c.Token = token
			r.Header.Set("Authorization", "Bearer "+token)
			if answer := ask(t, c, r); answer.StatusCode != http.StatusOK {
				t.Errorf("with a token %s of %q answers %d", path, host, answer.StatusCode)
			}
		}
	}
}

// piped is a listener in memory, so that time can pass by itself.
type piped struct {
	conns    chan net.Conn
	closed   chan struct{}
	accepted atomic.Int32
}

func (p *piped) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		p.accepted.Add(1)
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *piped) Close() error {
	select {
	case <-p.closed:
		return errors.New("closed twice")
	default:
		close(p.closed)
	}
	return nil
}

func (p *piped) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 8750} }

// connect is a new connection, which waits to be accepted.
func (p *piped) connect(t *testing.T) net.Conn {
	ours, theirs := net.Pipe()
	t.Cleanup(func() { _ = ours.Close() })
	p.conns <- theirs
	return ours
}

func servePiped(t *testing.T) *piped {
	p := &piped{conns: make(chan net.Conn, 1000), closed: make(chan struct{})}
	ctx, end := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- web.Serve(ctx, p, config(web.Health{Alive: true})) }()
	t.Cleanup(func() {
		end()
		if err := <-ended; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	return p
}

// asked sends a request and reads its answer.
func asked(t *testing.T, c net.Conn) *bufio.Reader {
	t.Helper()
	if _, err := io.WriteString(c, "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	in := bufio.NewReader(c)
	answer, err := http.ReadResponse(in, nil)
	if err != nil {
		t.Fatal(err)
	}
	if said := body(t, answer); answer.StatusCode != http.StatusOK {
		t.Fatalf("status %d: %s", answer.StatusCode, said)
	}
	return in
}

// A client that asks nothing more, or never ends its question, is hung up on.
func TestNobodyHoldsAConnectionForEver(t *testing.T) {
	for name, tt := range map[string]struct {
		talk func(t *testing.T, c net.Conn)
		most time.Duration
	}{
		"nothing more is asked": {func(t *testing.T, c net.Conn) { asked(t, c) }, 2 * time.Minute},
		"nothing is asked":      {func(*testing.T, net.Conn) {}, 10 * time.Second},
		"a body without an end": {func(t *testing.T, c net.Conn) {
			if _, err := io.WriteString(c, "POST /healthz HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n"); err != nil {
				t.Fatal(err)
			}
		}, time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := servePiped(t).connect(t)
				tt.talk(t, c)
				began := time.Now()
				const patience = time.Hour
				if err := c.SetReadDeadline(began.Add(patience)); err != nil {
					t.Fatal(err)
				}
				if _, err := io.Copy(io.Discard, c); err != nil {
					t.Errorf("the connection stands: %v", err)
				}
				if took := time.Since(began); took > tt.most {
					t.Errorf("it stood for %s", took)
				}
			})
		})
	}
}

// A monitor that forgets to close its connections does not use up the files of
// the daemon; those in excess are served when one of the others ends.
func TestConnectionsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const bound = 64
		p := servePiped(t)
		first := p.connect(t)
		asked(t, first)
		for range bound + 10 {
			p.connect(t)
		}
		synctest.Wait()
		if n := p.accepted.Load(); n != bound {
			t.Errorf("%d connections are open, want %d", n, bound)
		}
		if err := first.Close(); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if n := p.accepted.Load(); n != bound+1 {
			t.Errorf("%d were opened after one was closed, want one more", n)
		}
	})
}
