package pgtest

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"sync"
)

// Fault is what befalls a statement on its way to the server.
type Fault int

// The faults of a statement. Each happens at a certain instant: nothing of it is left to chance.
const (
	None      Fault = iota
	CutBefore       // the connection is cut, and the statement does not reach the server
	CutAfter        // the server has done it, and the connection is cut before the answer
	Warned          // the answer comes with a warning, as that of a COMMIT whose standby did not confirm
	Terminate       // pg_terminate_backend, by somebody else
	Cancel          // pg_cancel_backend, by somebody else
)

// Gate is the way to a server, on which connections can be cut. Whoever uses it in a
// testing/synctest bubble has to make it outside: it works in real time.
type Gate struct {
	server   string // its socket
	listener net.Listener
	running  sync.WaitGroup

	mu    sync.Mutex
	links map[*link]struct{}
	shut  bool
	dead  chan struct{} // closed when a network that swallows everything is there again; nil = it is there
	fault func(statement string) Fault
}

// NewGate opens a way to the server, at a port of the loopback. Close ends it.
func (s *Server) NewGate() (*Gate, error) { return s.newGate("tcp", "127.0.0.1:0") }

// NewSocketGate is NewGate at a socket of the file system, which takes a third less time.
func (s *Server) NewSocketGate() (*Gate, error) {
	folder, err := os.MkdirTemp(filepath.Dir(s.Dir), "gate-")
	if err != nil {
		return nil, err
	}
	return s.newGate("unix", filepath.Join(folder, ".s.PGSQL.5432"))
}

func (s *Server) newGate(network, address string) (*Gate, error) {
	listener, err := net.Listen(network, address) //nolint:noctx // Close closes it
	if err != nil {
		return nil, err
	}
	g := &Gate{server: s.socket(), listener: listener, links: map[*link]struct{}{}}
	g.running.Go(g.accept)
	return g, nil
}

// Via is the address of a database through the gate.
func (g *Gate) Via(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		panic(err) // it is one of Server's
	}
	u.Host = g.listener.Addr().String()
	if g.listener.Addr().Network() == "unix" {
		query := u.Query()
		query.Set("host", filepath.Dir(u.Host))
		query.Set("port", "5432")
		u.Host, u.RawQuery = "", query.Encode()
	}
	return u.String()
}

// Strike has fault say what befalls each statement from now on, one at a time for each
// connection; nil = nothing. It is called with the text of a statement, also of one that was
// prepared, outside any bubble.
func (g *Gate) Strike(fault func(statement string) Fault) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.fault = fault
}

// Cut cuts all connections that there are.
func (g *Gate) Cut() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for l := range g.links {
		l.cut()
	}
}

// Shut cuts all connections, and lets nobody in until Open.
func (g *Gate) Shut() {
	g.mu.Lock()
	g.shut = true
	g.mu.Unlock()
	g.Cut()
}

// Open ends Shut.
func (g *Gate) Open() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.shut = false
}

// Swallow has the network swallow what both sides say from now on, without a word to either of
// them, until it is called with false. What is under way stays so.
func (g *Gate) Swallow(on bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.dead != nil {
		close(g.dead)
		g.dead = nil
	}
	if on {
		g.dead = make(chan struct{})
	}
}

// awaitNetwork returns once nothing is swallowed.
func (g *Gate) awaitNetwork() {
	g.mu.Lock()
	dead := g.dead
	g.mu.Unlock()
	if dead != nil {
		<-dead
	}
}

// Close cuts all connections for good.
func (g *Gate) Close() error {
	g.Swallow(false)
	g.Shut()
	err := g.listener.Close()
	g.running.Wait()
	return err
}

func (g *Gate) accept() {
	for {
		client, err := g.listener.Accept()
		if err != nil {
			return // it was closed
		}
		g.mu.Lock()
		shut := g.shut
		g.mu.Unlock()
		if shut {
			_ = client.Close() // whoever it was is gone
			continue
		}
		server, err := net.Dial("unix", g.server) //nolint:noctx // of the loopback
		l := &link{gate: g, client: client, server: server, texts: map[string]string{}}
		g.mu.Lock()
		if g.shut || err != nil {
			_ = client.Close()
			if err == nil {
				_ = server.Close()
			}
		} else {
			g.links[l] = struct{}{}
			g.running.Go(l.toServer)
			g.running.Go(l.toClient)
		}
		g.mu.Unlock()
	}
}

// link is one connection through the gate.
type link struct {
	gate           *Gate
	client, server net.Conn
	texts          map[string]string // of the statements that were prepared, by their names

	mu     sync.Mutex
	answer Fault // what befalls the answer that comes next
}

func (l *link) cut() {
	_ = l.client.Close() // it may be closed by now
	_ = l.server.Close()
}

func (l *link) end() {
	l.cut()
	l.gate.mu.Lock()
	defer l.gate.mu.Unlock()
	delete(l.gate.links, l)
}

// message is one of the protocol: its kind, its length with four bytes of itself, its body.
type message []byte

func (m message) kind() byte { return m[0] }

// word cuts a text that ends with a zero byte off.
func word(b []byte) (text string, rest []byte) {
	before, rest, _ := bytes.Cut(b, []byte{0})
	return string(before), rest
}

func newMessage(kind byte, body string) message {
	m := binary.BigEndian.AppendUint32([]byte{kind}, uint32(len(body)+5)) //nolint:gosec // it is short
	return append(append(m, body...), 0)
}

func read(from io.Reader, hasKind bool) (message, error) {
	head := 4
	if hasKind {
		head = 5
	}
	m := make([]byte, head, 512)
	if _, err := io.ReadFull(from, m); err != nil {
		return nil, err
	}
	size := int(binary.BigEndian.Uint32(m[head-4:])) - 4
	m = append(m, make([]byte, size)...)
	_, err := io.ReadFull(from, m[head:])
	return m, err
}

// toServer carries what the client says, until one of them ends.
func (l *link) toServer() {
	defer l.end()
	from, to := bufio.NewReader(l.client), bufio.NewWriter(l.server)
	m, err := read(from, false) // how it begins, which has no kind
	for flush := true; err == nil; m, err = read(from, true) {
		l.gate.awaitNetwork()
		if !flush {
			if m, flush = l.strike(m, from); m == nil {
				return
			}
		}
		if _, err = to.Write(m); err == nil && (flush || from.Buffered() == 0) {
			err = to.Flush()
		}
		if err != nil {
			return
		}
		flush = false
	}
}

// strike is what becomes of a message of the client: nil = the connection is cut. flush = it
// must not wait for the next one.
func (l *link) strike(m message, from io.Reader) (_ message, flush bool) {
	var text string
	switch body := m[5:]; m.kind() {
	case 'Q':
		text, _ = word(body)
	case 'P':
		name, rest := word(body)
		l.texts[name], _ = word(rest)
		return m, false
	case 'B':
		_, rest := word(body)
		name, _ := word(rest)
		text = l.texts[name]
	default:
		return m, false
	}
	l.gate.mu.Lock()
	fault := l.gate.fault
	l.gate.mu.Unlock()
	if fault == nil {
		return m, false
	}
	f := fault(text)
	l.mu.Lock()
	defer l.mu.Unlock()
	switch f {
	case CutBefore:
		return nil, false
	case Terminate, Cancel:
		// It asks the server to do it to itself, in place of the statement: so it is done in
		// time. Nothing follows but the rest of the statement, whose answer this one takes.
		for m.kind() == 'B' || m.kind() == 'D' || m.kind() == 'E' || m.kind() == 'H' || m.kind() == 'C' {
			var err error
			if m, err = read(from, true); err != nil {
				return nil, false
			}
		}
		function := "pg_terminate_backend"
		if f == Cancel {
			function = "pg_cancel_backend"
		}
		l.answer = f
		return newMessage('Q', "SELECT "+function+"(pg_backend_pid()); SELECT pg_sleep(1)"), true
	default:
		l.answer = f
		return m, false
	}
}

// toClient carries what the server says, until one of them ends.
func (l *link) toClient() {
	defer l.end()
	from, to := bufio.NewReader(l.server), bufio.NewWriter(l.client)
	for {
		m, err := read(from, true)
		if err != nil {
			return
		}
		l.gate.awaitNetwork()
		l.mu.Lock()
		answer := l.answer
		if m.kind() == 'Z' { // it is complete
			l.answer = None
		}
		l.mu.Unlock()
		switch {
		case answer == CutAfter && m.kind() == 'Z':
			return
		case answer == CutAfter:
			continue
		case (answer == Cancel || answer == Terminate) && m.kind() != 'E' && m.kind() != 'Z':
			continue // the rows of what was asked in place of the statement
		case answer == Warned && m.kind() == 'C':
			notice := newMessage('N', "SWARNING\x00VWARNING\x00C01000\x00Mthe transaction has already committed locally, "+
				"but might not have been replicated to the standby\x00")
			if _, err := to.Write(notice); err != nil {
				return
			}
		}
		if _, err := to.Write(m); err != nil {
			return
		}
		if from.Buffered() == 0 {
			if err := to.Flush(); err != nil {
				return
			}
		}
	}
}
