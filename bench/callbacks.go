package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"duewatch/bench/gen"
	"duewatch/sandbox"
)

// The load of callbacks beside sending.
const (
	callbackPublicURL = "https://reminders.example.com" // the stand-in never calls it: a process of its own does
	callbackSegments  = 800                             // sent a second
	callbackRate      = 1000                            // callbacks a second
	callbackSeconds   = 10
)

// callbacks is what becomes of callbacks, and of sending beside them, in the built
// daemon. It is killed with the last answer: what it confirmed must be on disk.
func (b *bench) callbacks(ctx context.Context) error {
	seconds := b.size(callbackSeconds, 2)
	var shares, slowest, usual, missing []float64
	for range b.size(3, 1) {
		share, t, lost, err := b.callbackRun(ctx, seconds)
		if err != nil {
			return err
		}
		shares, slowest, usual, missing = append(shares, share), append(slowest, t.Figure), append(usual, t.More), append(missing, float64(lost))
		fmt.Fprintf(b.stderr, "   sending %.3f of its rate, slowest %.3f s, 99 of 100 within %.3f s, %d lost\n", share, t.Figure, t.More, lost)
	}
	sent := fmt.Sprintf("%d segments/s, beside %d callbacks a second for %d s", callbackSegments, callbackRate, seconds)
	b.add(row{name: "callbacks", what: "sending " + sent, against: "its rate",
		ratio: median(shares), reach: "≥ 0.97", ok: median(shares) >= .97, note: "worst of the runs " + fmt.Sprintf("%.3f", slices.Min(shares))})
	b.add(row{name: "callbacks/durable", against: "a second",
		what:  "the slowest of these callbacks, from when it was due until its commit was answered",
		ratio: slices.Max(slowest), unit: "s", reach: "≤ 1 s", ok: slices.Max(slowest) <= 1,
		note: fmt.Sprintf("of all runs; 99 of 100 within %.3f s", median(usual))})
	b.add(row{name: "callbacks/lost", what: "callbacks that were answered, and are not in the store of the killed daemon", against: "none",
		ratio: slices.Max(missing), unit: "lost", reach: "0", ok: slices.Max(missing) == 0,
		note: fmt.Sprintf("of %d in each run", callbackRate*seconds)})
	return nil
}

// callbackRun is one run: the share of its rate at which the daemon sent, how long
// callbacks took, and how many were lost.
func (b *bench) callbackRun(ctx context.Context, seconds int) (share float64, t took, lost int, err error) {
	reported := callbackRate * seconds / 2 // each is sent, and then delivered
	ahead := time.Duration(reported/callbackSegments+2) * time.Second
	path := filepath.Join(b.work, "callbacks.db")
	now := time.Now().In(zone())
	n := reported + callbackSegments*(seconds+6)
	if err := fillStore(ctx, gen.Order{Path: path, Bills: n, Seed: 1, Now: now}); err != nil {
		return 0, t, 0, err
	}
	if err := gen.MakeDue(ctx, path, gen.Due{From: 1, Step: 1, N: n, At: now}); err != nil {
		return 0, t, 0, err
	}
	err = b.served(ctx, func(standIn string) (err error) {
		listen, err := freeAddress(ctx)
		if err != nil {
			return err
		}
		kill, err := b.startWithCallbacks(ctx, path, standIn, listen)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, kill()) }()
		var texts []sandbox.Text
		for begin := time.Now(); len(texts) < reported; {
			if time.Since(begin) > 4*ahead+time.Minute {
				return fmt.Errorf("only %d texts were sent", len(texts))
			}
			if err := wait(ctx, time.Second); err != nil {
				return err
			}
			if texts, err = inbox(ctx, standIn); err != nil {
				return err
			}
		}
		list := filepath.Join(b.work, "callbacks.json")
		if err := writeCallbacks(list, texts[:reported]); err != nil {
			return err
		}
		from := time.Now()
		if t, err = b.play(ctx, "callbacks", params{url: "http://" + listen, store: list, n: 2 * reported, callers: 64}); err != nil {
			return err
		}
		if err := kill(); err != nil {
			return err
		}
		if texts, err = inbox(ctx, standIn); err != nil {
			return err
		}
		share = sentShare(texts, from.Add(time.Second), time.Duration(seconds-1)*time.Second)
		return sentOnce(texts)
	})
	if err != nil {
		return 0, t, 0, err
	}
	events, err := gen.Reported(ctx, path)
	return share, t, 2*reported - events, err
}

// startWithCallbacks starts the built daemon, and returns how it is killed.
func (b *bench) startWithCallbacks(ctx context.Context, path, standIn, listen string) (kill func() error, err error) {
	file, err := b.config(params{store: path, url: standIn, callers: 16})
	if err != nil {
		return nil, err
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	text = bytes.Replace(text, []byte("segments_per_second: 100000"), fmt.Appendf(nil, "segments_per_second: %d", callbackSegments), 1)
	text = bytes.Replace(text, []byte(`web: {listen: "127.0.0.1:0"}`), fmt.Appendf(nil,
		"web: {listen: \"127.0.0.1:0\", public_url: %q, callbacks_listen: %q}\nreminders: {window: \"00:00-24:00\", send_at: \"00:00\"}",
		callbackPublicURL, listen), 1)
	if err := os.WriteFile(file, text, 0o600); err != nil {
		return nil, err
	}
	if err := fingerprint(ctx, path, file); err != nil {
		return nil, err
	}
	log, err := os.Create(filepath.Join(b.work, "daemon.log"))
	if err != nil {
		return nil, err
	}
	c := exec.CommandContext(ctx, b.daemon, "run", "--config", file)
	c.Stderr = log
	if err := c.Start(); err != nil {
		return nil, errors.Join(err, log.Close())
	}
	return sync.OnceValue(func() error {
		err := c.Process.Kill()
		if ended := (*exec.ExitError)(nil); !errors.As(c.Wait(), &ended) {
			err = errors.Join(err, fmt.Errorf("the daemon ended by itself: %s", tail(log.Name())))
		}
		return errors.Join(err, log.Close())
	}), nil
}

// wait waits for so long, or until ctx ends.
func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func freeAddress(ctx context.Context) (string, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// inbox are the texts that the stand-in has, the oldest first.
func inbox(ctx context.Context, standIn string) ([]sandbox.Text, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, standIn+"/inbox?format=json", nil)
	if err != nil {
		return nil, err
	}
	client := http.Client{Timeout: time.Minute}
	res, err := client.Do(r)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close() //nolint:errcheck // it was only read
	var all struct {
		Texts []sandbox.Text `json:"texts"`
	}
	if err := json.NewDecoder(res.Body).Decode(&all); err != nil {
		return nil, err
	}
	slices.Reverse(all.Texts)
	return all.Texts, nil
}

// sentShare is how many segments were sent in a span, as a share of the rate.
func sentShare(texts []sandbox.Text, from time.Time, span time.Duration) float64 {
	segments := 0
	for _, t := range texts {
		if !t.CreatedAt.Before(from) && t.CreatedAt.Before(from.Add(span)) {
			segments += t.Segments
		}
	}
	return float64(segments) / (callbackSegments * span.Seconds())
}

// sentOnce fails where a customer has two texts: each has one bill, and words of its own.
func sentOnce(texts []sandbox.Text) error {
	seen := make(map[string]bool, len(texts))
	for _, t := range texts {
		if seen[t.Body] {
			return errors.New("a reminder was sent twice")
		}
		seen[t.Body] = true
	}
	return nil
}

// writeCallbacks writes what is to be posted, a line each: the address, the message.
func writeCallbacks(file string, texts []sandbox.Text) error {
	var b strings.Builder
	for _, status := range []string{"sent", "delivered"} {
		for _, t := range texts {
			fmt.Fprintf(&b, "%s %s %s\n", t.Callback, t.SID, status)
		}
	}
	return os.WriteFile(file, []byte(b.String()), 0o600)
}

// postCallbacks is Twilio's side: callbacks at a steady rate, however long the answers
// take. Its figures are how long the slowest took from when it was due, and within how
// long 99 of 100 did.
func postCallbacks(ctx context.Context, p params, _ io.Reader) (took, error) {
	requests, err := readCallbacks(ctx, p)
	if err != nil {
		return took{}, err
	}
	client := &http.Client{
		Timeout:   15 * time.Second, // as Twilio's own
		Transport: &http.Transport{MaxIdleConnsPerHost: p.callers, MaxConnsPerHost: p.callers},
	}
	durations := make([]time.Duration, len(requests))
	p.n = len(requests)
	begin := time.Now().Add(50 * time.Millisecond)
	t, err := timed(p, func() error {
		return callers(p, func(i int) error {
			due := begin.Add(time.Duration(i) * time.Second / callbackRate)
			if err := wait(ctx, time.Until(due)); err != nil {
				return err
			}
			res, err := client.Do(requests[i])
			if err != nil {
				return err
			}
			_, err = io.Copy(io.Discard, res.Body)
			durations[i] = time.Since(due)
			if res.StatusCode != http.StatusOK {
				err = fmt.Errorf("a callback is answered with %s", res.Status)
			}
			return errors.Join(err, res.Body.Close())
		})
	})
	slices.Sort(durations)
	t.Figure, t.More = durations[len(durations)-1].Seconds(), durations[len(durations)*99/100].Seconds()
	return t, err
}

// readCallbacks signs what is to be posted.
func readCallbacks(ctx context.Context, p params) (requests []*http.Request, err error) {
	f, err := os.Open(p.store)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var address, sid, status string
		if _, err := fmt.Sscan(lines.Text(), &address, &sid, &status); err != nil {
			return nil, err
		}
		form := url.Values{
			"MessageSid": {sid}, "SmsSid": {sid}, "MessageStatus": {status}, "SmsStatus": {status}, "To": {"+254710000001"},
			"From": {sandbox.From}, "AccountSid": {sandbox.AccountSID}, "ApiVersion": {"2010-04-01"},
		}
		to := p.url + strings.TrimPrefix(address, callbackPublicURL)
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, to, strings.NewReader(form.Encode()))
		if err != nil {
			return nil, err
		}
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("X-Twilio-Signature", sandbox.Signature(address, form))
		requests = append(requests, r)
	}
	return requests, nil
}
