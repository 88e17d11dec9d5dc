package web

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/prometheus/client_golang/prometheus"

	"duewatch/notifier"
	"duewatch/reminder"
	"duewatch/store"
)

// Callbacks are what Twilio posts by itself: what became of a text, and messages of
// customers. They have a listener of their own, since a proxy leads the whole world to it:
// health and metrics are not on it. Nothing is believed that is not signed by Twilio.

// The paths that Twilio calls, behind the public URL.
const (
	StatusPath  = "/twilio/status"
	InboundPath = "/twilio/inbound"
)

// CallbackConfig is what ServeCallbacks needs to know.
type CallbackConfig struct {
	Listen    string // host:port
	PublicURL string // where Twilio reaches it, without a slash at its end
	AuthToken string // of the account: it signs
	// Status records what became of a text. When it returns without an error, that is on
	// disk.
	Status  func(context.Context, notifier.StatusCallback) (store.CallbackOutcome, error)
	Store   *store.Store // takes opt-outs
	Now     func() time.Time
	Metrics *CallbackMetrics
	Log     *slog.Logger
}

// ListenForCallbacks opens the address of c.
func ListenForCallbacks(ctx context.Context, c CallbackConfig) (net.Listener, error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", c.Listen)
	if err != nil {
		return nil, listenError("web.callbacks_listen", err)
	}
	return listener, nil
}

// What callers may take of this process. Twilio itself waits for 15 seconds.
const (
	maxCallbackBody        = 64 << 10
	callbackReadTimeout    = 10 * time.Second // of a whole request
	callbackWriteTimeout   = 30 * time.Second // from its header on, so recording included
	maxCallbackConnections = 512
)

// ServeCallbacks answers on the listener until ctx ends, and closes it.
func ServeCallbacks(ctx context.Context, listener net.Listener, c CallbackConfig) error {
	return serve(ctx, Limit(listener, maxCallbackConnections), &http.Server{
		Handler:           CallbackHandler(c),
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       callbackReadTimeout,
		WriteTimeout:      callbackWriteTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(c.Log.Handler(), slog.LevelDebug),
	})
}

// The results of callbacks beside store.CallbackOutcome, for CallbackMetrics.
const (
	callbackForged    = "forged"     // not signed by Twilio for this address: 403
	callbackTooLarge  = "too_large"  // 413
	callbackCutOff    = "cut_off"    // its body did not come to its end
	callbackMalformed = "malformed"  // signed, and not of the form that Twilio's have: 400
	callbackFailed    = "failed"     // not recorded: 503
	callbackOptOut    = "opt_out"    // a word that ends texts
	callbackOptIn     = "opt_in"     // a word that lets them go on
	callbackNoCommand = "no_command" // any other message
)

// CallbackMetrics counts callbacks.
type CallbackMetrics struct {
	all     *prometheus.CounterVec
	seconds prometheus.Histogram
}

// The values of the label kind.
const (
	kindStatus  = "status"
	kindInbound = "inbound"
)

// NewCallbackMetrics registers the series, each from 0 on.
func NewCallbackMetrics(r prometheus.Registerer) *CallbackMetrics {
	m := &CallbackMetrics{
		all: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "duewatch_callbacks_total", Help: "Callbacks of the provider by what became of them.",
		}, []string{"kind", "result"}),
		seconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "duewatch_callback_seconds", Help: "How long a callback took until it was on disk.",
			Buckets: []float64{.005, .02, .1, .5, 1, 5},
		}),
	}
	r.MustRegister(m.all, m.seconds)
	refusals := []string{callbackForged, callbackTooLarge, callbackCutOff, callbackMalformed, callbackFailed}
	for kind, results := range map[string][]string{
		kindStatus:  {string(store.CallbackRecorded), string(store.CallbackOld), string(store.CallbackUnknown)},
		kindInbound: {callbackOptOut, callbackOptIn, callbackNoCommand},
	} {
		for _, result := range append(results, refusals...) {
			m.all.WithLabelValues(kind, result)
		}
	}
	return m
}

// CallbackHandler answers Twilio. Where the public URL has a path, it answers with and
// without it: a proxy may strip it.
func CallbackHandler(c CallbackConfig) http.Handler {
	s := &callbackServer{CallbackConfig: c, validator: notifier.NewCallbackValidator(c.AuthToken)}
	mux := http.NewServeMux()
	var prefix string
	if u, err := url.Parse(c.PublicURL); err == nil {
		prefix = u.EscapedPath()
	}
	for path, answer := range map[string]http.HandlerFunc{
		StatusPath:  s.handle(kindStatus, StatusPath, s.status),
		InboundPath: s.handle(kindInbound, InboundPath, s.inbound),
	} {
		mux.HandleFunc("POST "+path, answer)
		if prefix != "" {
			mux.HandleFunc("POST "+prefix+path, answer)
		}
	}
	return mux
}

type callbackServer struct {
	CallbackConfig
	validator *notifier.CallbackValidator

	mu         sync.Mutex
	lastForged time.Time // when a refusal was last logged
	forged     int       // refused since
}

// answer is what became of a callback, and what Twilio is told.
type answer struct {
	result string
	status int
	err    error // for the log
}

// handle reads a callback, checks that it is Twilio's, and answers once do is done.
func (s *callbackServer) handle(kind, path string, do func(ctx context.Context, query, form url.Values) answer) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		began := time.Now()
		a := s.read(w, r, path, do)
		s.Metrics.all.WithLabelValues(kind, a.result).Inc()
		if a.err != nil {
			s.Log.Warn("a callback was not taken", "kind", kind, "result", a.result, "err", a.err)
		}
		if a.status != http.StatusOK {
			http.Error(w, http.StatusText(a.status), a.status)
			return
		}
		s.Metrics.seconds.Observe(time.Since(began).Seconds())
		w.Header().Set("Content-Type", "text/xml; charset=utf-8")
		if _, err := io.WriteString(w, emptyTwiML); err != nil {
			s.Log.Debug("the answer of a callback was not read", "err", err)
		}
	}
}

// emptyTwiML asks Twilio for nothing: no reply is sent to the customer.
const emptyTwiML = `<?xml version="1.0" encoding="UTF-8"?><Response></Response>`

func (s *callbackServer) read(
	w http.ResponseWriter, r *http.Request, path string, do func(ctx context.Context, query, form url.Values) answer,
) answer {
	if r.ContentLength > maxCallbackBody {
		return answer{result: callbackTooLarge, status: http.StatusRequestEntityTooLarge}
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxCallbackBody))
	if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
		return answer{result: callbackTooLarge, status: http.StatusRequestEntityTooLarge}
	} else if err != nil {
		return answer{result: callbackCutOff, status: http.StatusBadRequest}
	}
	// The address as Twilio saw it: what a proxy made of host and path is not signed.
	address := s.PublicURL + path
	if r.URL.RawQuery != "" {
		address += "?" + r.URL.RawQuery
	}
	if !s.validator.Valid(address, body, r.Header.Get("X-Twilio-Signature")) {
		s.logForged()
		return answer{result: callbackForged, status: http.StatusForbidden}
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return answer{result: callbackMalformed, status: http.StatusBadRequest}
	}
	return do(r.Context(), r.URL.Query(), form)
}

// logForged says once a minute at most that callbacks are refused: a wrong public URL
// has all of them refused, and whoever tries addresses must not fill the log.
func (s *callbackServer) logForged() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.forged++
	if now := time.Now(); now.Sub(s.lastForged) >= time.Minute {
		s.Log.Warn("callbacks are refused: they are not signed by Twilio with notifier.twilio.auth_token for web.public_url",
			"refused", s.forged)
		s.lastForged, s.forged = now, 0
	}
}

func (s *callbackServer) status(ctx context.Context, query, form url.Values) answer {
	c, err := notifier.ReadStatus(query, form)
	if err != nil {
		return answer{callbackMalformed, http.StatusBadRequest, err}
	}
	outcome, err := s.Status(ctx, c)
	if err != nil { // logged once for all that it is about, by whoever records them
		return answer{result: callbackFailed, status: http.StatusServiceUnavailable}
	}
	return answer{result: string(outcome), status: http.StatusOK}
}

// maxProof is how much of a message is kept as proof, in characters.
const maxProof = 40

// inbound takes the words by which customers end texts, or let them go on.
func (s *callbackServer) inbound(_ context.Context, _, form url.Values) answer {
	m, err := notifier.ReadInbound(form)
	if err != nil {
		return answer{callbackMalformed, http.StatusBadRequest, err}
	}
	proof := m.Body
	if utf8.RuneCountInString(proof) > maxProof {
		proof = string([]rune(proof)[:maxProof]) + "…"
	}
	o := store.OptOut{
		Phone: m.From, Reason: reminder.OptedOut, Since: s.Now(), Source: store.SourceMessage,
		Who: fmt.Sprintf("their message %q (%s)", proof, m.SID),
	}
	log := s.Log.With("phone", m.From, "sid", m.SID)
	switch m.Word {
	case notifier.StopWord:
		added, err := s.Store.AddOptOuts(o)
		if err != nil {
			return answer{callbackFailed, http.StatusServiceUnavailable, err}
		}
		log.Info("a customer opted out by a message", "new", added == 1)
		return answer{result: callbackOptOut, status: http.StatusOK}
	case notifier.StartWord:
		ended, err := s.Store.EndOptOutByMessage(o, m.SID)
		if err != nil {
			return answer{callbackFailed, http.StatusServiceUnavailable, err}
		}
		log.Info("a customer asked for texts by a message", "ended_opt_out", ended)
		return answer{result: callbackOptIn, status: http.StatusOK}
	case notifier.OtherWord:
	}
	return answer{result: callbackNoCommand, status: http.StatusOK}
}

// CallbackURL is where Twilio reports on texts, behind a public URL.
func CallbackURL(publicURL string) string { return strings.TrimRight(publicURL, "/") + StatusPath }
