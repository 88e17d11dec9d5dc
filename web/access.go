package web

import (
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
)

// OnlyLocal answers only requests whose Host is a name of this machine: localhost, an
// address of loopback, or the host of listen. It keeps out DNS rebinding: a web page
// in a browser on this machine can point its own name at 127.0.0.1 and read the
// answers, but it cannot make the browser send one of these names.
func OnlyLocal(listen string, next http.Handler) http.Handler {
	own, _, _ := net.SplitHostPort(listen)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !local(r.Host, own) {
			http.Error(w, "this address answers only to the names of the machine itself: use localhost or 127.0.0.1, or set web.token",
				http.StatusMisdirectedRequest)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// local reports whether a Host is a name of this machine, with any port. A monitor
// that speaks HTTP/1.0 may send none; a browser always sends one.
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

// Limit bounds the connections of a listener that are open at a time. More of them
// wait until one is closed. They use no file descriptor of this process meanwhile,
// of which its store and its calls could run out.
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
