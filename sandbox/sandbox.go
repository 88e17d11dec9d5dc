// Package sandbox is a stand-in Almara Pay API and a stand-in Twilio Messaging
// API in one HTTP handler, with an inbox to read the texts in and faults on
// demand. `duewatch run --sandbox` embeds it, `duewatch sandbox` serves it
// alone, tests and benchmarks drive it.
//
// It promises:
//   - to answer as the two APIs are documented to: paths, field names and their
//     letter case, status codes, error shapes, dates, paging;
//   - the same answer to the same question: names, amounts and due dates come
//     from the account number (samples.go, bills.go), and a due date is fixed
//     when the bill number is first seen;
//   - that an accepted text or bill number is in Options.StateFile, if there is
//     one, before the answer leaves, so that a daemon that was killed meets
//     the same bills and texts again. It does not flush to the disk: a power cut
//     may lose the latest ones.
//
// Its own pages: GET /inbox shows the texts; GET /bills and POST /bills show
// and change what is owed and when; GET, POST and DELETE /faults show, add and
// clear the faults (faults.go). GET /faults?holding=1 answers once a call is held.
// POST /inbound sends a message as a customer would (callbacks.go).
//
// It never texts anybody, and asks for no credentials on its own pages (/inbox, /faults,
// /bills, /inbound): bind it to loopback. It calls nobody but an address of this machine,
// and that only as Twilio does: with what became of a text whose request has a
// StatusCallback, and with messages of customers.
//
// Memory: the latest Options.MaxTexts texts are kept, about 0.5 kB each, and
// every bill number that was registered, about 0.4 kB each.
package sandbox

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"duewatch/reminder"
)

// The credentials the sandbox takes. They open nothing but a sandbox, and say
// so to whoever finds them in a config or a log. Twilio's must be alphanumeric
// (twilio-go refuses others before it sends anything).
const (
	ClientID     = "duewatch-sandbox"
	ClientSecret = "not-a-secret-sandbox-only"

	AccountSID   = "AC5a0db0c05a0db0c05a0db0c05a0db0c0"
	AuthToken    = "notasecretsandboxonlynotasecret0"
	APIKeySID    = "SK5a0db0c05a0db0c05a0db0c05a0db0c0"
	APIKeySecret = "notasecretsandboxkeynotasecret00"
	From         = "SANDBOX" // an alphanumeric sender, as is usual in Kenya
)

const (
	defaultSentAfter    = time.Second
	defaultDeliverAfter = 3 * time.Second

	// With a state file every accepted text rewrites the file, so fewer are kept.
	defaultMaxTexts      = 1_000_000
	defaultMaxTextsSaved = 5_000

	maxBody = 1 << 20

	// How long a client of Serve may take. A whole request and its answer have no
	// bound, since faults delay and hold them.
	headerTimeout = 10 * time.Second
	// Later than any client of duewatch hangs up: a POST over a connection that ends
	// at that moment would be a text of unknown outcome, which nobody asked for.
	idleTimeout = 3 * time.Minute
)

// Options configure a Sandbox. The zero value is a sandbox in UTC, on the
// wall clock, in memory only.
type Options struct {
	Zone *time.Location   // of due dates; nil = UTC
	Now  func() time.Time // nil = time.Now
	Log  *slog.Logger     // nil = discard

	// StateFile keeps bill numbers and texts as JSON, mode 0600; "" = memory only.
	StateFile string

	// OnText is called once for each accepted text, in the request that sent it
	// and before the answer; it may be called concurrently. nil = nothing.
	OnText func(Text)

	// Ages at which a text turns from queued to sent and from sent to its end;
	// 0 = 1 s and 3 s.
	SentAfter, DeliverAfter time.Duration

	MaxTexts int // texts kept, the oldest are forgotten; 0 = 1,000,000, with a StateFile 5,000

	// AllReached delivers every text: the numbers with an outcome of their own, such
	// as PhoneRegionRefused, may be those of real customers in a copied store.
	AllReached bool

	// Guard wraps the handler of Serve, such as with a check of who asks; nil = none.
	Guard func(http.Handler) http.Handler

	Faults []Fault // in force from the start
	Seed   uint64  // of Fault.Rate: the same seed applies faults to the same calls
}

// Sandbox is one pair of stand-ins with their bills and texts. Its methods are
// safe for concurrent use.
type Sandbox struct {
	zone         *time.Location
	now          func() time.Time
	log          *slog.Logger
	onText       func(Text)
	sentAfter    time.Duration
	deliverAfter time.Duration
	allReached   bool
	samples      map[billKey]int // index into Samples
	tokens       tokens
	faults       *faultSet
	state        stateFile
	handler      http.Handler
	guard        func(http.Handler) http.Handler
	callbacks    callbackSender

	mu    sync.Mutex // guards the two below; never held during I/O
	bills map[billKey]*bill
	texts textLog
}

// New returns a sandbox, with the bills and texts of Options.StateFile if that exists.
// It fails on a state file it cannot read and on a Fault that is not valid.
func New(o Options) (*Sandbox, error) {
	o.Zone = cmp.Or(o.Zone, time.UTC)
	o.Log = cmp.Or(o.Log, slog.New(slog.DiscardHandler))
	o.SentAfter = cmp.Or(o.SentAfter, defaultSentAfter)
	o.DeliverAfter = cmp.Or(o.DeliverAfter, defaultDeliverAfter)
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Guard == nil {
		o.Guard = func(next http.Handler) http.Handler { return next }
	}
	if o.MaxTexts == 0 {
		o.MaxTexts = defaultMaxTexts
		if o.StateFile != "" {
			o.MaxTexts = defaultMaxTextsSaved
		}
	}
	s := &Sandbox{
		zone:         o.Zone,
		now:          o.Now,
		log:          o.Log,
		onText:       o.OnText,
		sentAfter:    o.SentAfter,
		deliverAfter: max(o.DeliverAfter, o.SentAfter),
		allReached:   o.AllReached,
		samples:      make(map[billKey]int),
		tokens:       newTokens(),
		faults:       newFaultSet(o.Seed),
		state:        stateFile{path: o.StateFile},
		guard:        o.Guard,
		bills:        make(map[billKey]*bill),
		texts:        newTextLog(o.MaxTexts),
	}
	for i, c := range Samples(s.today()) {
		s.samples[billKey{c.Service, c.Account}] = i
	}
	if err := s.faults.add(o.Faults...); err != nil {
		return nil, err
	}
	if err := s.load(); err != nil {
		return nil, err
	}
	s.handler = s.routes()
	return s, nil
}

// Handler answers for both APIs and the sandbox's own pages.
func (s *Sandbox) Handler() http.Handler { return s.handler }

func (s *Sandbox) routes() http.Handler {
	mux := http.NewServeMux()

	// Almara Pay (API reference, Authorization; Bill Number; Bill Services).
	mux.Handle("POST /v1/oauth/token", s.withFaults(Token, s.postToken))
	mux.Handle("POST /connect/token", s.withFaults(Token, s.postToken)) // the platform's former name
	mux.Handle("POST /v1/bill-numbers", s.withFaults(Register, s.bearer(s.postBillNumber)))
	mux.Handle("GET /v1/bill-numbers", s.withFaults(Lookup, s.bearer(s.getBillNumber)))
	mux.Handle("GET /v1/bill-services", s.withFaults(Services, s.bearer(s.getBillServices)))

	// Twilio (Messages resource, API version 2010-04-01).
	mux.Handle("POST /2010-04-01/Accounts/{account}/Messages.json", s.withFaults(Send, s.basic(s.postMessage)))
	mux.Handle("GET /2010-04-01/Accounts/{account}/Messages.json", s.withFaults(List, s.basic(s.getMessages)))
	mux.Handle("GET /2010-04-01/Accounts/{account}/Messages/{sid}", s.withFaults(Fetch, s.basic(s.getMessage)))
	mux.Handle("GET /2010-04-01/Accounts/{account}", s.withFaults(Fetch, s.basic(s.getAccount)))
	mux.Handle("GET /2010-04-01/Accounts/{account}/IncomingPhoneNumbers.json", s.withFaults(Fetch, s.basic(s.getNumbers)))

	// The sandbox's own.
	mux.Handle("GET /{$}", http.RedirectHandler("/inbox", http.StatusFound))
	mux.HandleFunc("GET /inbox", s.getInbox)
	mux.HandleFunc("GET /bills", s.getBills)
	mux.HandleFunc("POST /bills", s.postBill)
	mux.HandleFunc("GET /faults", s.getFaults)
	mux.HandleFunc("POST /faults", s.postFaults)
	mux.HandleFunc("DELETE /faults", s.deleteFaults)
	mux.HandleFunc("POST /inbound", s.postInbound)
	return mux
}

// Serve answers on ln until ctx ends, then lets requests in flight finish for
// up to two seconds; delayed and held ones are cut off. It closes ln, and
// returns nil when ctx was the reason.
func (s *Sandbox) Serve(ctx context.Context, ln net.Listener) error {
	srv := &http.Server{
		// No page of another site, shown by a browser here, may change anything.
		Handler:           http.NewCrossOriginProtection().Handler(s.guard(s.handler)),
		ReadHeaderTimeout: headerTimeout,
		IdleTimeout:       idleTimeout,
		BaseContext:       func(net.Listener) context.Context { return ctx },
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelWarn),
	}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(ln) }()
	select {
	case err := <-served:
		return fmt.Errorf("serve the sandbox: %w", err)
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	if err := srv.Shutdown(grace); err != nil {
		_ = srv.Close()
	}
	if err := <-served; !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve the sandbox: %w", err)
	}
	return nil
}

func (s *Sandbox) today() reminder.Date { return reminder.DateOf(s.now().In(s.zone)) }

// writeJSON answers with v. A client that is gone is no error of ours.
func writeJSON(w http.ResponseWriter, status int, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		http.Error(w, "sandbox: "+err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(body)
}

// readJSON decodes the body into v for the sandbox's own pages, strictly.
func readJSON(w http.ResponseWriter, r *http.Request, v any) error {
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return fmt.Errorf("read the JSON body: %w", err)
	}
	return nil
}

// ownError answers an error of the sandbox's own pages.
func ownError(w http.ResponseWriter, status int, err error) {
	writeJSON(w, status, map[string]string{"error": err.Error()})
}
