package sandbox

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
)

// spoilt counts a call and lets the faults have their way with it.
func (s *Sandbox) spoilt(where Endpoint, next http.HandlerFunc) http.Handler {
	count := s.faults.counts[where]
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		count.Add(1)
		if s.faults.inForce.Load() == 0 {
			next(w, r)
			return
		}
		// Read to the end: to match it, and because only then does the server
		// notice a caller who goes away.
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
		if err != nil {
			http.Error(w, "sandbox: the body cannot be read", http.StatusBadRequest)
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		c := &faultedCall{book: s.faults, where: where, w: w, r: r}
		c.matched, c.released = s.faults.draw(where, decoded(r.URL.RawQuery)+"\n"+decoded(string(body)))
		if !c.before() {
			return
		}
		next(&c.answer, r)
		c.after()
	})
}

// faultedCall is one call on its way through the rules that matched it.
type faultedCall struct {
	book     *faultBook
	where    Endpoint
	w        http.ResponseWriter
	r        *http.Request
	matched  []*rule
	released <-chan struct{} // closed when the faults are cleared
	answer   answer          // the true one, once there is one
}

// before does what strikes before the processing, and reports whether the
// call goes on to it.
func (c *faultedCall) before() bool {
	fault := c.applyWaits(false)
	if fault != nil {
		c.writeFault(fault.Fault)
	}
	return fault == nil
}

// after does what strikes after the processing, and answers.
func (c *faultedCall) after() {
	if fault := c.applyWaits(true); fault != nil {
		c.writeFault(fault.Fault)
		return
	}
	c.answer.send(c.w)
}

// applyWaits passes the time of the waits on this side of the processing, and returns
// the fault that answers there, if any.
// A held caller who goes away ends the call there.
func (c *faultedCall) applyWaits(after bool) (fault *rule) {
	for _, f := range c.matched {
		switch {
		case f.after() != after:
		case !f.waits():
			fault = f
		case !c.book.wait(c.r.Context(), f, c.released):
			panic(http.ErrAbortHandler)
		}
	}
	return fault
}

func decoded(s string) string {
	if plain, err := url.QueryUnescape(s); err == nil {
		return plain
	}
	return s
}

// writeFault answers as the fault says, instead of the true answer.
func (c *faultedCall) writeFault(f Fault) {
	w := c.w
	if f.RetryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(f.RetryAfter))
	}
	twilio := c.where == Send || c.where == List || c.where == Fetch
	switch {
	case f.What == Drop:
		// net/http closes the connection, and says nothing.
		panic(http.ErrAbortHandler)
	case f.What == Truncate:
		c.answer.headers(w)
		_, _ = w.Write(c.answer.body.Bytes()[:c.answer.body.Len()/2])
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	case f.redacts():
		redact(&c.answer, f.What)
		c.answer.send(w)
	case f.What == Empty:
		status := http.StatusOK
		if c.where == Send {
			status = http.StatusCreated
		}
		writeJSON(w, status, struct{}{})
	case f.What == HTML:
		if f.Status == 0 {
			f.Status = http.StatusBadGateway
		}
		if f.Body == "" {
			f.Body = fmt.Sprintf("<html><head><title>%d %s</title></head><body><h1>%[2]s</h1></body></html>\n", f.Status, http.StatusText(f.Status))
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.WriteHeader(f.Status)
		_, _ = io.WriteString(w, f.Body)
	case f.Body != "":
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		w.WriteHeader(f.Status)
		_, _ = io.WriteString(w, f.Body)
	case twilio:
		code := f.Code
		if code == 0 {
			code = usualCode(f.Status)
		}
		twilioError(w, f.Status, code, "The sandbox was asked for this fault.")
	default:
		problem(w, f.Status, "The sandbox was asked for this fault.", nil)
	}
}

// redact takes the words or the phones out of a list of messages.
func redact(a *answer, what Trouble) {
	var list map[string]any
	if err := json.Unmarshal(a.body.Bytes(), &list); err != nil {
		return // an error's answer hides nothing
	}
	messages, _ := list["messages"].([]any)
	for _, m := range messages {
		fields, ok := m.(map[string]any)
		if !ok {
			continue
		}
		if what == Redact {
			fields["body"] = ""
			continue
		}
		to, _ := fields["to"].(string)
		fields["to"] = to[:max(len(to)-4, 0)] + "XXXX" // as Twilio does
	}
	a.body.Reset()
	_ = json.NewEncoder(&a.body).Encode(list)
}

func usualCode(status int) int {
	switch status {
	case http.StatusUnauthorized, http.StatusForbidden:
		return 20003
	default:
		return 20000 + status // 20404, 20429, 20500, 20503: Twilio's own pattern
	}
}

// answer is a response kept back until the faults have decided on it.
type answer struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (a *answer) Header() http.Header {
	if a.header == nil {
		a.header = make(http.Header)
	}
	return a.header
}

func (a *answer) WriteHeader(status int) {
	if a.status == 0 {
		a.status = status
	}
}

func (a *answer) Write(b []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	return a.body.Write(b)
}

func (a *answer) headers(w http.ResponseWriter) {
	for key, values := range a.Header() {
		w.Header()[key] = values
	}
	w.Header().Set("Content-Length", strconv.Itoa(a.body.Len()))
	w.WriteHeader(a.status)
}

func (a *answer) send(w http.ResponseWriter) {
	a.headers(w)
	_, _ = w.Write(a.body.Bytes())
}
