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

// withFaults counts the calls of an endpoint, and applies the rules in force to
// each of them.
func (s *Sandbox) withFaults(where Endpoint, next http.HandlerFunc) http.Handler {
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
		matched := s.faults.match(where, decoded(r.URL.RawQuery)+"\n"+decoded(string(body)))
		c := &faultedCall{faults: s.faults, where: where, w: w, r: r, released: matched.released}
		if fault := c.passWaits(matched.before); fault != nil {
			c.writeFault(fault.Fault)
			return
		}
		next(&c.response, r)
		if fault := c.passWaits(matched.after); fault != nil {
			c.writeFault(fault.Fault)
			return
		}
		c.response.send(w)
	})
}

// faultedCall is one call on its way through the rules that matched it.
type faultedCall struct {
	faults   *faultSet
	where    Endpoint
	w        http.ResponseWriter
	r        *http.Request
	released <-chan struct{}  // closed when the faults are cleared
	response bufferedResponse // the true one, once the call was processed
}

// passWaits waits as long as the rules say, in order, and returns the one of
// them that answers the call, if any. A held caller who goes away ends the call.
func (c *faultedCall) passWaits(rules []*rule) (fault *rule) {
	for _, r := range rules {
		switch {
		case !r.waits():
			fault = r
		case !c.faults.wait(c.r.Context(), r, c.released):
			panic(http.ErrAbortHandler)
		}
	}
	return fault
}

// decoded is a query or form without its escapes, as rules match it.
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
		// net/http closes the connection without an answer.
		panic(http.ErrAbortHandler)
	case f.What == Truncate:
		c.response.sendHeader(w)
		_, _ = w.Write(c.response.body.Bytes()[:c.response.body.Len()/2])
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	case f.redacts():
		redact(&c.response, f.What)
		c.response.send(w)
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
func redact(list *bufferedResponse, what FaultKind) {
	var page map[string]any
	if err := json.Unmarshal(list.body.Bytes(), &page); err != nil {
		return // the answer is an error, which has nothing to hide
	}
	messages, _ := page["messages"].([]any)
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
	list.body.Reset()
	_ = json.NewEncoder(&list.body).Encode(page)
}

// usualCode is the error code that Twilio usually sends with an HTTP status.
func usualCode(status int) int {
	switch status {
	case http.StatusUnauthorized, http.StatusForbidden:
		return 20003
	default:
		return 20000 + status // 20404, 20429, 20500, 20503
	}
}
