package web

import (
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
)

// OnlyLocal answers requests that ask for this machine by a name of its own:
// localhost, an address of loopback, or the host of listen. A web page that some
// browser on this machine shows can give its own name the address 127.0.0.1, and
// then read what is answered there; it cannot give it one of these.
func OnlyLocal(listen string, next http.Handler) http.Handler {
	own, _, _ := net.SplitHostPort(listen)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !local(r.Host, own) {
			http.Error(w, "this is answered only by the names of the machine itself: ask for localhost or 127.0.0.1, or give the daemon a web.token",
				http.StatusMisdirectedRequest)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// local says whether a Host is one of this machine, whatever its port. A monitor
// that speaks HTTP/1.0 may send none; a browser always does.
func local(host, own string) bool {
	if host == "" {
		return true
	}
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	} else {
		host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	}
	host = strings.TrimSuffix(host, ".")
	if strings.EqualFold(host, "localhost") || own != "" && strings.EqualFold(host, own) {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback()
}

// Limit lets a listener have so many connections open at a time. More wait until
// one is closed, and cost this process no file, which its store and its calls
// could be short of then.
func Limit(listener net.Listener, most int) net.Listener {
	return &limited{Listener: listener, open: make(chan struct{}, most), closed: make(chan struct{})}
}

type limited struct {
	net.Listener
	open   chan struct{}
	once   sync.Once
	closed chan struct{}
}

// Accept returns a connection that gives its place back when it is closed.
func (l *limited) Accept() (net.Conn, error) {
	select {
	case l.open <- struct{}{}:
	case <-l.closed:
		return nil, net.ErrClosed
	}
	c, err := l.Listener.Accept()
	if err != nil {
		<-l.open
		return nil, err
	}
	return &placed{Conn: c, leave: sync.OnceFunc(func() { <-l.open })}, nil
}

// Close also ends an Accept that waits for a place.
func (l *limited) Close() error {
	l.once.Do(func() { close(l.closed) })
	return l.Listener.Close()
}

type placed struct {
	net.Conn
	leave func()
}

// Close gives the place of the connection to another.
func (c *placed) Close() error {
	defer c.leave()
	return c.Conn.Close()
}
