// Package web reports over HTTP how the daemon is doing: / is a page for people, /healthz
// is for monitors, /metrics for Prometheus, /-/healthy and /-/ready for probes. It only reads; nothing in it can change what is
// texted. Apart from that, on a listener of its own, it takes what the provider says by itself (callbacks.go).
//
// Without a token it listens on loopback only, and answers only requests for a name
// of this machine. With a token every request must carry it: Authorization: Bearer,
// or the password of basic authentication.
package web

import (
	"context"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Job is how one job is doing.
type Job struct {
	Name        string    `json:"name"`
	Running     bool      `json:"running"`
	LastStarted time.Time `json:"last_started,omitzero"`
	LastEnded   time.Time `json:"last_ended,omitzero"`
	LastError   string    `json:"last_error,omitempty"`
	Late        bool      `json:"late"`
}

// Health is the answer of /healthz. Alive is false when the daemon should be
// restarted; a problem that a restart would not solve leaves it true.
type Health struct {
	Alive    bool     `json:"alive"`
	Ready    bool     `json:"ready"` // each job has begun its first pass
	Problems []string `json:"problems"`
	Jobs     []Job    `json:"jobs"`
	Daemons  []Daemon `json:"daemons,omitempty"` // on the same database, this one among them
}

// Daemon is one of those that work on the same database.
type Daemon struct {
	Host    string    `json:"host"`
	PID     int       `json:"pid"`
	Version string    `json:"version"`
	Config  string    `json:"config"` // a fingerprint
	Mode    string    `json:"mode"`
	Works   bool      `json:"works"` // and does not wait since its config differs, or leave its work to the others
	Leads   bool      `json:"leads"`
	Self    bool      `json:"self"`
	SeenAt  time.Time `json:"seen_at"`
}

// Config is what Serve and Handler need to know.
type Config struct {
	Listen  string // host:port
	Token   string // required of every request; may be "" on loopback only
	Health  func(context.Context) Health
	Metrics prometheus.Gatherer
	Page    func(context.Context) Page // nil = there is none
	Log     *slog.Logger
}

// errOpen refuses an address that other hosts can reach without a token.
var errOpen = errors.New("another address than loopback needs web.token")

// Listen opens the address of c, and refuses one that needs a token and has
// none.
func Listen(ctx context.Context, c Config) (net.Listener, error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", c.Listen)
	if err != nil {
		return nil, ListenError(err)
	}
	if addr, ok := listener.Addr().(*net.TCPAddr); c.Token == "" && (!ok || !addr.IP.IsLoopback()) {
		return nil, errors.Join(fmt.Errorf("web.listen %s: %w", c.Listen, errOpen), listener.Close())
	}
	return listener, nil
}

// ListenError says what to do about a listener that could not be opened.
func ListenError(err error) error { return listenError("web.listen", err) }

// listenError is ListenError for the address of a key of the config.
func listenError(key string, err error) error {
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("%s: another program listens there, perhaps another duewatch: stop it, or write another port (%w)", key, err)
	}
	return fmt.Errorf("%s: %w", key, err)
}

// How long, and how many at a time, clients may occupy this process.
const (
	headerTimeout = 5 * time.Second
	writeTimeout  = 30 * time.Second // of an answer: a busy store, a slow line
	// Of a whole request. No request needs a body, but when this time is over net/http
	// also cancels the answer.
	readTimeout = headerTimeout + writeTimeout
	idleTimeout = 2 * time.Minute // Prometheus asks every minute, and keeps its connection
	// A handful of monitors needs one each. A client that forgets to close its own must
	// not use up the file descriptors that the store and the calls need.
	maxConnections = 64
)

// Serve answers on the listener until ctx ends, and closes it.
func Serve(ctx context.Context, listener net.Listener, c Config) error {
	return serve(ctx, Limit(listener, maxConnections), &http.Server{
		Handler:           Handler(c),
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(c.Log.Handler(), slog.LevelDebug),
	})
}

// serve runs a server until ctx ends.
func serve(ctx context.Context, listener net.Listener, server *http.Server) error {
	done := make(chan error, 1)
	go func() { done <- server.Serve(listener) }()
	select {
	case err := <-done:
		return fmt.Errorf("web: %w", err)
	case <-ctx.Done():
	}
	shutdown, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	if server.Shutdown(shutdown) == nil {
		return nil
	}
	// A client reads slowly; no answer here is worth waiting for.
	if err := server.Close(); err != nil {
		return fmt.Errorf("web: %w", err)
	}
	return nil
}

// probe answers in one word, for load balancers and container managers that look at
// the status alone.
func probe(c Config, ok func(Health) bool) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if !ok(c.Health(r.Context())) {
			http.Error(w, "no: /healthz says why", http.StatusServiceUnavailable)
			return
		}
		if _, err := io.WriteString(w, "ok\n"); err != nil {
			c.Log.Debug("the answer of a probe was not read", "err", err)
		}
	}
}

// Handler answers /, /healthz and /metrics, and the probes /-/healthy and /-/ready.
func Handler(c Config) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /-/healthy", probe(c, func(h Health) bool { return h.Alive }))
	mux.HandleFunc("GET /-/ready", probe(c, func(h Health) bool { return h.Alive && h.Ready }))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, r *http.Request) {
		h := c.Health(r.Context())
		w.Header().Set("Content-Type", "application/json")
		if !h.Alive {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		enc := json.NewEncoder(w)
		enc.SetIndent("", "  ")
		if err := enc.Encode(h); err != nil {
			c.Log.Debug("the health answer was not read to its end", "err", err)
		}
	})
	if c.Page != nil {
		mux.HandleFunc("GET /{$}", c.page())
		mux.HandleFunc("GET /icon.svg", c.icon)
	}
	mux.Handle("GET /metrics", promhttp.HandlerFor(c.Metrics, promhttp.HandlerOpts{ErrorHandling: promhttp.ContinueOnError}))
	if c.Token == "" { // and so on loopback, as Listen requires
		return OnlyLocal(c.Listen, mux)
	}
	return authorized(c.Token, mux)
}

func authorized(token string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		scheme, given, _ := strings.Cut(r.Header.Get("Authorization"), " ")
		if !strings.EqualFold(scheme, "Bearer") {
			_, given, _ = r.BasicAuth()
		}
		if subtle.ConstantTimeCompare([]byte(given), []byte(token)) != 1 {
			w.Header().Set("WWW-Authenticate", `Basic realm="duewatch"`)
			http.Error(w, "a token is needed", http.StatusUnauthorized)
			return
		}
		next.ServeHTTP(w, r)
	})
}
