package sandbox

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Endpoint is a kind of call that a Fault can apply to.
type Endpoint string

// The endpoints. Any stands for each of them.
const (
	Token    Endpoint = "token"
	Register Endpoint = "register"
	Lookup   Endpoint = "lookup"
	Services Endpoint = "services"
	Send     Endpoint = "send"
	List     Endpoint = "list"
	Fetch    Endpoint = "fetch"
	Any      Endpoint = "any"
)

func endpoints() []Endpoint {
	return []Endpoint{Token, Register, Lookup, Services, Send, List, Fetch}
}

// FaultKind is what a Fault does to a call.
type FaultKind string

// The kinds of fault. Delay and Hold only make the caller wait, and the call goes
// on; the others decide what the caller sees instead of the true answer.
const (
	Status   FaultKind = "status"   // an error answer with Fault.Status
	HTML     FaultKind = "html"     // an HTML page with Fault.Status (0 = 502), as a proxy in between answers
	Empty    FaultKind = "empty"    // {} with the status of a success
	Truncate FaultKind = "truncate" // the first half of the true answer, then the connection ends; always After
	Drop     FaultKind = "drop"     // the connection ends without an answer
	Delay    FaultKind = "delay"    // Fault.Seconds pass; the call goes on even if the caller has gone
	Redact   FaultKind = "redact"   // the true list, but no message shows its words, as accounts that redact bodies have it; always After
	Mask     FaultKind = "mask"     // the true list, but no message shows its phone in full; always After
	Hold     FaultKind = "hold"     // until the faults are cleared, Fault.Seconds (0 = 60) pass or the caller is gone
)

const (
	defaultHold = 60 * time.Second
	maxWait     = 24 * time.Hour
)

// Fault is a rule that makes calls fail or wait. Of the rules that match a call,
// every Delay and Hold applies, in order, and the first of the others.
type Fault struct {
	Where Endpoint  `json:"where"`
	What  FaultKind `json:"what"`

	// After lets the call be processed first: the text is accepted, the bill
	// number saved, and only then the fault applies. Otherwise the call is never
	// processed, except after a Delay, and after a Hold whose caller waited.
	After bool `json:"after,omitempty"`

	Times int     `json:"times,omitempty"` // how many calls it applies to; 0 = without end
	Rate  float64 `json:"rate,omitempty"`  // the probability that it applies to a call, 0 to 1; 0 = always
	Match string  `json:"match,omitempty"` // only calls whose decoded query or body contains this

	Status     int     `json:"status,omitempty"`      // HTTP status, 200 to 599
	Code       int     `json:"code,omitempty"`        // Twilio's error code; 0 = the usual one of the status
	RetryAfter int     `json:"retry_after,omitempty"` // seconds, sent as Retry-After; 0 = not sent
	Body       string  `json:"body,omitempty"`        // instead of the usual body of Status and HTML
	Seconds    float64 `json:"seconds,omitempty"`     // of Delay and Hold
}

func (f Fault) waits() bool { return f.What == Delay || f.What == Hold }

func (f Fault) after() bool { return f.After || f.What == Truncate || f.redacts() }

// redacts reports whether the fault hides a part of the true answer.
func (f Fault) redacts() bool { return f.What == Redact || f.What == Mask }

func (f Fault) duration() time.Duration {
	if f.Seconds == 0 {
		return defaultHold
	}
	return time.Duration(f.Seconds * float64(time.Second))
}

func (f Fault) validate() error {
	var wrong []error
	complain := func(format string, args ...any) { wrong = append(wrong, fmt.Errorf(format, args...)) }
	if f.Where != Any && !slices.Contains(endpoints(), f.Where) {
		complain("where is %q: write one of %v or any", f.Where, endpoints())
	}
	if all := []FaultKind{Status, HTML, Empty, Truncate, Drop, Redact, Mask, Delay, Hold}; !slices.Contains(all, f.What) {
		complain("what is %q: write one of %v", f.What, all)
	}
	if f.redacts() && f.Where != List {
		complain("%s hides a part of the list: write where as list", f.What)
	}
	if f.Status != 0 && (f.Status < 200 || f.Status > 599) || f.What == Status && f.Status == 0 {
		complain("status is %d: write an HTTP status, 200 to 599", f.Status)
	}
	if !(f.Rate >= 0 && f.Rate <= 1) { // NaN too
		complain("rate is %v: write a probability, 0 to 1", f.Rate)
	}
	if f.Seconds < 0 || f.Seconds > maxWait.Seconds() || f.What == Delay && f.Seconds == 0 {
		complain("%s lasts %v seconds: write more than 0 and at most %v", f.What, f.Seconds, maxWait.Seconds())
	}
	if f.Times < 0 || f.RetryAfter < 0 {
		complain("times and retry_after must not be negative")
	}
	return errors.Join(wrong...)
}

// ParseFaults reads the short form of the --faults flag: rules separated by
// commas, each
//
//	where ":" what [ "-after" ] [ "=" value ] { ":" key "=" value }
//
// The value of status and html is the HTTP status, of delay and hold a
// duration. Keys are times, rate, match, code and retry-after.
//
//	send:drop-after:times=1               the next text is accepted, and the caller gets no answer
//	register:status=503:rate=0.1          one bill number in ten meets a 503
//	send:status=429:retry-after=5:times=3
//	send:delay=50ms,list:hold-after=30s
func ParseFaults(s string) ([]Fault, error) {
	var list []Fault
	for rule := range strings.SplitSeq(s, ",") {
		if rule = strings.TrimSpace(rule); rule == "" {
			continue
		}
		f, err := parseFault(rule)
		if err != nil {
			return nil, fmt.Errorf("fault %q: %w", rule, err)
		}
		list = append(list, f)
	}
	return list, nil
}

func parseFault(rule string) (Fault, error) {
	parts := strings.Split(rule, ":")
	if len(parts) < 2 {
		return Fault{}, errors.New("write where:what, such as send:drop-after")
	}
	what, value, valued := strings.Cut(parts[1], "=")
	f := Fault{Where: Endpoint(parts[0])}
	what, f.After = strings.CutSuffix(what, "-after")
	f.What = FaultKind(what)
	var err error
	if valued {
		switch f.What {
		case Status, HTML:
			f.Status, err = strconv.Atoi(value)
		case Delay, Hold:
			var d time.Duration
			d, err = time.ParseDuration(value)
			f.Seconds = d.Seconds()
		default:
			err = fmt.Errorf("%s takes no value", f.What)
		}
	}
	for _, part := range parts[2:] {
		if err != nil {
			break
		}
		key, value, _ := strings.Cut(part, "=")
		switch key {
		case "times":
			f.Times, err = strconv.Atoi(value)
		case "rate":
			f.Rate, err = strconv.ParseFloat(value, 64)
		case "match":
			f.Match = value
		case "code":
			f.Code, err = strconv.Atoi(value)
		case "retry-after":
			f.RetryAfter, err = strconv.Atoi(value)
		default:
			err = fmt.Errorf("%q is not a key: write times, rate, match, code or retry-after", key)
		}
	}
	if err != nil {
		return Fault{}, err
	}
	return f, f.validate()
}

// FaultStatus is a Fault in force and what it did so far.
type FaultStatus struct {
	Fault
	Matched int `json:"matched"` // calls it applied to
	Holding int `json:"holding"` // calls it holds now
}

// AddFaults puts rules in force, behind those that already are.
func (s *Sandbox) AddFaults(list ...Fault) error { return s.faults.add(list...) }

// ClearFaults ends all rules and releases every call that they hold.
func (s *Sandbox) ClearFaults() { s.faults.clear() }

// Faults are the rules in force.
func (s *Sandbox) Faults() []FaultStatus {
	list, _, _ := s.faults.status()
	return list
}

// AwaitHolding returns once at least n calls are held by Hold faults, or ctx
// ends.
func (s *Sandbox) AwaitHolding(ctx context.Context, n int) error {
	return s.faults.awaitHolding(ctx, n)
}

// Calls counts the calls of each endpoint since the start, faulted ones too.
func (s *Sandbox) Calls() map[Endpoint]int64 { return s.faults.calls() }

// getFaults answers the rules, how many calls are held, and how often each
// endpoint was called. With ?holding=N it answers only once at least N calls
// are held (or the caller has gone), so that a test can wait for the moment
// to kill the daemon in.
func (s *Sandbox) getFaults(w http.ResponseWriter, r *http.Request) {
	want := 0
	if v := r.URL.Query().Get("holding"); v != "" {
		var err error
		if want, err = strconv.Atoi(v); err != nil {
			ownError(w, http.StatusBadRequest, fmt.Errorf("holding is %q: write a number", v))
			return
		}
	}
	if err := s.faults.awaitHolding(r.Context(), want); err != nil {
		return
	}
	list, holding, _ := s.faults.status()
	writeJSON(w, http.StatusOK, map[string]any{"faults": list, "holding": holding, "calls": s.Calls()})
}

// postFaults adds one rule or a list of them: {"where": "send", "what": "drop", "after": true, "times": 1}.
func (s *Sandbox) postFaults(w http.ResponseWriter, r *http.Request) {
	var in oneOrMore
	err := readJSON(w, r, &in)
	if err == nil {
		err = s.faults.add(in...)
	}
	if err != nil {
		ownError(w, http.StatusBadRequest, err)
		return
	}
	s.getFaults(w, r)
}

func (s *Sandbox) deleteFaults(w http.ResponseWriter, _ *http.Request) {
	s.faults.clear()
	w.WriteHeader(http.StatusNoContent)
}

// oneOrMore is a JSON object of one Fault, or a list of them.
type oneOrMore []Fault

func (l *oneOrMore) UnmarshalJSON(b []byte) error {
	strict := func(v any) error {
		d := json.NewDecoder(bytes.NewReader(b))
		d.DisallowUnknownFields()
		return d.Decode(v)
	}
	if bytes.HasPrefix(b, []byte("[")) {
		return strict((*[]Fault)(l))
	}
	var one Fault
	if err := strict(&one); err != nil {
		return err
	}
	*l = oneOrMore{one}
	return nil
}
