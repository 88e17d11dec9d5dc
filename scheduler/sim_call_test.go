package scheduler

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"duewatch/reminder"
)

// post is one attempt to hand over a text.
type post struct {
	by       *simDaemon
	at       time.Time // true
	clock    time.Time // the daemon's
	epoch    int
	wake     int
	to       reminder.Phone
	body     string
	validity time.Duration
	config   int
	store    int // the generation
	accounts []string
	sid      string    // "" = the provider did not take it
	taken    time.Time // true
	lost     bool      // the daemon did not get the answer
	killed   bool      // nor did it live to get it
	refused  bool      // the daemon was told that this phone cannot or will not be texted
	stopped  bool      // it was known at the start of the wake that this phone is not to be texted
	against  string    // what had been committed against it meanwhile
}

// simCall is what one request is about.
type simCall struct {
	endpoint, what string
	said           string // for the log
	request        *http.Request
	form           url.Values
}

func (w *simWire) identify(r *http.Request) (simCall, error) {
	var body []byte
	if r.Body != nil {
		var err error
		if body, err = io.ReadAll(r.Body); err != nil {
			return simCall{}, fmt.Errorf("%w: %w", errSim, err)
		}
	}
	in := r.Clone(context.WithoutCancel(r.Context()))
	in.Body, in.RequestURI = io.NopCloser(bytes.NewReader(body)), r.URL.RequestURI()
	c := simCall{request: in}
	path := r.URL.Path
	switch {
	case strings.HasSuffix(path, "/oauth/token"):
		c.endpoint = "token"
	case strings.HasSuffix(path, "/bill-numbers") && r.Method == http.MethodPost:
		var b struct {
			Account string `json:"accountNumber"`
		}
		_ = json.Unmarshal(body, &b)
		c.endpoint, c.what = "register", b.Account
	case strings.HasSuffix(path, "/bill-numbers"):
		c.endpoint, c.what = "lookup", r.URL.Query().Get("accountNumber")
	case strings.HasSuffix(path, "/Messages.json") && r.Method == http.MethodPost:
		form, err := url.ParseQuery(string(body))
		if err != nil {
			return c, fmt.Errorf("%w: %w", errSim, err)
		}
		c.endpoint, c.form, c.what = "send", form, form.Get("To")+form.Get("Body")
		c.said = strings.Join(simAccountsIn(form.Get("Body")), "+")
	case strings.HasSuffix(path, "/Messages.json"):
		c.endpoint, c.what = "list", r.URL.Query().Get("To")
	default:
		// Of a sid, only the sandbox's count of its texts repeats itself.
		c.endpoint, c.what = "fetch", path[max(len(path)-len("0123456789abcdef.json"), 0):]
	}
	if c.said == "" {
		c.said = c.what
	}
	return c, nil
}

// simAccount is the account of a bill: nothing else in a text looks like it.
var simAccount = regexp.MustCompile(`\bB\d\d\b`)

// simAccountsIn are the accounts that a text is about.
func simAccountsIn(body string) []string { return simAccount.FindAllString(body, -1) }

// process lets the sandbox answer.
func (w *simWire) process(c simCall, p *post) *http.Response {
	rec := httptest.NewRecorder()
	w.handler.ServeHTTP(rec, c.request)
	res := rec.Result()
	if c.endpoint == "send" && res.StatusCode == http.StatusCreated {
		var m struct {
			SID string `json:"sid"`
		}
		if err := json.Unmarshal(rec.Body.Bytes(), &m); err != nil {
			w.sim.t.Error(err)
		}
		w.mu.Lock()
		p.sid, p.taken = m.SID, w.sim.trueNow()
		w.mu.Unlock()
		w.sim.say("-- the provider took a text for %s", c.said)
	}
	return res
}

// withoutTheNew takes the messages of the last ten minutes out of a list.
func (w *simWire) withoutTheNew(res *http.Response) (*http.Response, error) {
	return changedList(res, func(messages []any) []any {
		return slices.DeleteFunc(messages, func(m any) bool {
			fields, _ := m.(map[string]any)
			created, err := time.Parse(time.RFC1123Z, fmt.Sprint(fields["date_created"]))
			return err != nil || w.sim.trueNow().Sub(created) < 10*time.Minute
		})
	})
}

// withoutWords takes the words out of a list, as accounts that redact them have it.
func (w *simWire) withoutWords(res *http.Response) (*http.Response, error) {
	return changedList(res, func(messages []any) []any {
		for _, m := range messages {
			if fields, ok := m.(map[string]any); ok {
				fields["body"] = ""
			}
		}
		return messages
	})
}

func changedList(res *http.Response, change func(messages []any) []any) (*http.Response, error) {
	var list map[string]any
	if err := json.NewDecoder(res.Body).Decode(&list); err != nil {
		return nil, fmt.Errorf("%w: %w", errSim, err)
	}
	messages, _ := list["messages"].([]any)
	list["messages"] = append([]any{}, change(messages)...)
	b, err := json.Marshal(list)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errSim, err)
	}
	header := maps.Clone(res.Header)
	header.Del("Content-Length")
	return &http.Response{StatusCode: 200, Header: header, Body: io.NopCloser(bytes.NewReader(b)), ContentLength: int64(len(b))}, nil
}

// note keeps a record of an attempt to hand over a text, and of other calls none.
func (w *simWire) note(d *simDaemon, c simCall) *post {
	if c.endpoint != "send" {
		return &post{}
	}
	s := w.sim
	w.mu.Lock()
	defer w.mu.Unlock()
	p := &post{
		by: d, at: s.trueNow(), clock: d.daemonNow(), epoch: s.epoch, wake: s.wakes, config: d.worksBy, store: s.generation,
		to: reminder.Phone(c.form.Get("To")), body: c.form.Get("Body"), accounts: simAccountsIn(c.form.Get("Body")),
	}
	p.validity, _ = time.ParseDuration(c.form.Get("ValidityPeriod") + "s")
	for _, account := range p.accounts {
		p.stopped = p.stopped || s.stopped[p.to][""] || s.stopped[p.to][s.billOf(account).Service]
	}
	p.against = s.spokenAgainst(p)
	w.posts = append(w.posts, p)
	return p
}
