package almara

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"
)

const (
	// tokenLifetime is assumed when an answer has no expires_in: tokens end after an
	// hour (API reference, Authorization).
	tokenLifetime = time.Hour
	// maxTokenLifetime keeps an absurd expires_in from overflowing a Duration.
	maxTokenLifetime = 24 * time.Hour
	// tokenMargin is how long before its end a token is renewed, at most. A request
	// that is under way with it still arrives in time.
	tokenMargin = time.Minute
)

// token is a bearer token. It is known by its number, since a server may issue the
// same text again.
type token struct {
	value   string
	number  int
	renewAt time.Time
}

// tokenSource fetches one token for all callers (OAuth 2.0 client credentials).
// golang.org/x/oauth2 is not used: it sends no JSON bodies, and a token that the
// server refused before its end cannot be dropped there.
type tokenSource struct {
	wire     *wire
	url      *url.URL
	id       string
	secret   string
	scope    string
	encoding string

	flight singleflight.Group

	mu      sync.Mutex
	current token
}

// get returns a valid token. Callers share one request for it, which goes on when
// one of them gives up. Errors: RetryError, after several tries; StopError; or that
// of ctx.
func (s *tokenSource) get(ctx context.Context) (token, error) {
	if t, ok := s.cached(); ok {
		return t, nil
	}
	done := s.flight.DoChan("", func() (any, error) {
		// Another request may have ended since the check above.
		if t, ok := s.cached(); ok {
			return t, nil
		}
		return s.renew(context.WithoutCancel(ctx))
	})
	select {
	case r := <-done:
		if r.Err != nil {
			return token{}, r.Err
		}
		return r.Val.(token), nil
	case <-ctx.Done():
		return token{}, ctx.Err()
	}
}

// drop marks t as refused by the server. It does nothing when t has been replaced
// since, so that several callers who are refused with it renew it once.
func (s *tokenSource) drop(t token) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.current.number == t.number {
		s.current.renewAt = time.Time{}
	}
}

func (s *tokenSource) cached() (token, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.current, time.Now().Before(s.current.renewAt)
}

// renew fetches a token, with retries, and keeps it.
func (s *tokenSource) renew(ctx context.Context) (token, error) {
	var (
		value    string
		lifetime time.Duration
	)
	_, err := retry(ctx, func() (err error) {
		began := time.Now()
		value, lifetime, err = s.fetch(ctx)
		s.wire.report("token", err, time.Since(began))
		return err
	})
	var failed *RetryError
	if errors.As(err, &failed) {
		// Not transient any more: each call that waits for this token would repeat
		// all the tries.
		err = &RetryError{After: failed.After, Err: failed.Err, asked: failed.asked, noToken: true}
	}
	if err != nil {
		return token{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.current = token{
		value:   value,
		number:  s.current.number + 1,
		renewAt: time.Now().Add(lifetime - min(tokenMargin, lifetime/10)),
	}
	return s.current, nil
}

// fetch makes one request for a token (API reference, Authorization).
func (s *tokenSource) fetch(ctx context.Context) (value string, lifetime time.Duration, err error) {
	hide := redactor{secrets: []string{s.secret}}
	answer, err := s.wire.send(ctx, s.request(), hide)
	if err != nil {
		return "", 0, err
	}
	switch status := answer.status; {
	case isTransient(status):
		return "", 0, answer.transientError("token request", hide)
	case status >= 300 && status < 400:
		return "", 0, answer.redirectError("token request")
	case status >= 400:
		return "", 0, &StopError{fmt.Errorf("no token is given: %s: check almara.client_id, client_secret, scope, token_path and token_encoding",
			answer.describe(hide))}
	}
	var body struct {
		AccessToken string          `json:"access_token"`
		ExpiresIn   json.RawMessage `json:"expires_in"`
	}
	if err := json.Unmarshal(answer.body, &body); err != nil || !answer.isJSON() || !isToken(body.AccessToken) {
		// The error leaves out the body, which may hold a token under another key.
		return "", 0, &RetryError{Err: fmt.Errorf("token request: status %d without a usable access_token", answer.status)}
	}
	return body.AccessToken, parseLifetime(body.ExpiresIn), nil
}

func (s *tokenSource) request() request {
	fields := map[string]string{
		"client_id":     s.id,
		"client_secret": s.secret,
		"grant_type":    "client_credentials",
	}
	if s.scope != "" {
		fields["scope"] = s.scope
	}
	if s.encoding == EncodingForm {
		form := make(url.Values)
		for k, v := range fields {
			form.Set(k, v)
		}
		return request{http.MethodPost, s.url, "application/x-www-form-urlencoded", []byte(form.Encode()), ""}
	}
	body, _ := json.Marshal(fields) // a map of strings always marshals
	return request{http.MethodPost, s.url, "application/json", body, ""}
}

// isToken reports whether s can stand in a header. RFC 6750 allows fewer characters
// (b64token).
func isToken(s string) bool {
	return s != "" && strings.IndexFunc(s, func(r rune) bool { return r <= ' ' || r > '~' }) < 0
}

// parseLifetime reads expires_in: seconds, as a number or a string.
func parseLifetime(raw json.RawMessage) time.Duration {
	seconds, err := strconv.ParseFloat(strings.Trim(string(raw), `"`), 64)
	if err != nil || !(seconds > 0) {
		return tokenLifetime
	}
	return time.Duration(min(seconds, maxTokenLifetime.Seconds()) * float64(time.Second))
}
