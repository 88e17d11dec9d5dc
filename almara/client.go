// Package almara is the client of the Almara Pay API: it saves a customer's
// bill number there and brings back what is owed, and until when.
//
// It promises that an answer is either understood or an error that says whose
// fault it is: the bill's (RejectedError), the moment's (RetryError,
// ErrBreakerOpen) or the operator's (StopError); or that one answer cannot tell
// (UnclearError, ForbiddenError), and the caller must hear of several bills. It keeps to the configured
// rate, fetches one token for all callers, and tries again by itself what may
// pass in seconds; saving a bill number again is harmless, so a try whose
// outcome is not known may be repeated.
//
// It never follows a redirect, never reads an amount as a float or a due date
// as an instant, and never puts a phone number, a token or the secret into an
// error or a log. An error of the caller's own context comes back as such and
// says nothing of the bill.
//
// The register, recheck and remind jobs (package scheduler) call it.
//
// The path through it is client.go (the calls), token.go and wire.go (the
// requests), decode.go (whose fault a failure is), answer.go (what an answer means).
package almara

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"golang.org/x/time/rate"

	"duewatch/reminder"
)

// Client calls the Almara Pay API. It is safe for use by many goroutines.
type Client struct {
	wire        *wire
	tokens      *tokenSource
	billNumbers *url.URL
	recheckWith string
	omitPhone   bool
	local       local
	limit       *rate.Limiter
	slots       chan struct{} // one for each call under way
	breaker     *breaker
	log         *slog.Logger
}

// New returns a Client, or an error that lists every fault of cfg by its
// config key. It makes no request.
func New(cfg Config) (*Client, error) {
	cfg = cfg.withDefaults()
	at, err := cfg.check()
	if err != nil {
		return nil, err
	}
	w := &wire{transport: cfg.Transport, timeout: cfg.Timeout, now: cfg.Now, onCall: cfg.OnCall, onDate: cfg.OnDate}
	return &Client{
		wire: w,
		tokens: &tokenSource{
			wire:     w,
			url:      at.token,
			id:       cfg.ClientID,
			secret:   cfg.ClientSecret,
			scope:    cfg.Scope,
			encoding: cfg.TokenEncoding,
		},
		billNumbers: at.billNumbers,
		recheckWith: cfg.RecheckWith,
		omitPhone:   cfg.OmitPhone,
		local:       local{currency: cfg.Currency, monthFirst: monthFirst[cfg.Country]},
		// A tenth of a second's worth may go at once: timers are no finer.
		limit:   rate.NewLimiter(rate.Limit(cfg.Rate), max(1, int(cfg.Rate/10))),
		slots:   make(chan struct{}, cfg.Concurrency),
		breaker: newBreaker(),
		log:     cfg.Log,
	}, nil
}

// Register saves the bill's number, phone (unless Config.OmitPhone) and
// description with Almara Pay, and asks it to watch the due date (API reference,
// Save a Bill Number). Saving again is harmless. Errors: see the package.
func (c *Client) Register(ctx context.Context, bill reminder.Bill) (reminder.Answer, error) {
	save := saveRequest{
		ServiceID:       jsonServiceID(bill.Service),
		AccountNumber:   bill.Account,
		PhoneNumber:     bill.Phone.Digits(),
		TransactionDesc: bill.Description,
		RemindMeDueDate: true,
	}
	if c.omitPhone {
		save.PhoneNumber = ""
	}
	body, err := json.Marshal(save)
	if err != nil {
		return reminder.Answer{}, fmt.Errorf("register: %w", err)
	}
	return c.call(ctx, bill, "register", request{
		method:      http.MethodPost,
		url:         c.billNumbers,
		contentType: "application/json",
		body:        body,
	})
}

// Recheck asks what is owed now, in the way of Config.RecheckWith: by saving
// the bill again, the one documented source of a fresh balance, or by looking
// up what was saved (API reference, Get Bill Number). Errors: see the package.
func (c *Client) Recheck(ctx context.Context, bill reminder.Bill) (reminder.Answer, error) {
	if c.recheckWith == RecheckRegister {
		return c.Register(ctx, bill)
	}
	at := *c.billNumbers
	at.RawQuery = url.Values{"serviceId": {bill.Service}, "accountNumber": {bill.Account}}.Encode()
	return c.call(ctx, bill, "lookup", request{method: http.MethodGet, url: &at})
}

// SignIn fetches the token that the first call would fetch, and makes no other
// request. Errors: see the package.
func (c *Client) SignIn(ctx context.Context) error {
	_, err := c.tokens.get(ctx)
	if err != nil && outcomeOf(err) == "" {
		err = fmt.Errorf("almara pay: token: %w", err)
	}
	return err
}

// RenewToken fetches a new token, whatever the present one is good for: the one
// request that can be made at any time and asks nothing about a bill. Errors: see
// the package.
func (c *Client) RenewToken(ctx context.Context) error {
	if t, ok := c.tokens.cached(); ok {
		c.tokens.drop(t)
	}
	return c.SignIn(ctx)
}

// saveRequest is the body of Save a Bill Number.
type saveRequest struct {
	ServiceID       any    `json:"serviceId"`
	AccountNumber   string `json:"accountNumber"`
	PhoneNumber     string `json:"phoneNumber,omitempty"`
	TransactionDesc string `json:"transactionDesc,omitempty"`
	RemindMeDueDate bool   `json:"RemindMeDueDate"` // this one has a capital R
}

// jsonServiceID is the service id for a JSON body. The reference's table calls
// it an integer and its example sends a text like a UUID. So digits go as a
// number, in the digits of the config, and everything else as text: also
// "007", which would lose its zeros, and what no 64-bit integer holds.
func jsonServiceID(id string) any {
	const safeDigits = 18
	isNumber := id != "" && len(id) <= safeDigits && strings.Trim(id, "0123456789") == "" && (id[0] != '0' || id == "0")
	if isNumber {
		return json.Number(id)
	}
	return id
}

// call makes one call for a bill: as many requests as its tries take, within
// the limits that all calls share.
func (c *Client) call(ctx context.Context, bill reminder.Bill, op string, r request) (answer reminder.Answer, err error) {
	defer func() {
		// The caller's own end is the one error without a type of ours.
		if err != nil && outcomeOf(err) == "" {
			err = fmt.Errorf("almara pay: %s: %w", op, err)
		}
	}()

	// The slot is kept while waiting for a retry: when Almara Pay asks to slow
	// down, other calls should not fill the gap.
	select {
	case c.slots <- struct{}{}:
		defer func() { <-c.slots }()
	case <-ctx.Done():
		return reminder.Answer{}, ctx.Err()
	}

	probe, err := c.breaker.enter(ctx)
	if err != nil {
		c.wire.observe(op, err, 0)
		return reminder.Answer{}, err
	}
	defer func() {
		why := ""
		if err != nil {
			why = fmt.Sprintf("account %s of service %s: %v", redactor{phone: bill.Phone}.clean(bill.Account, maxWords), bill.Service, err)
		}
		switch c.breaker.leave(probe, verdictOf(err), bill.Service+"/"+bill.Account, why) {
		case breakerOpened:
			c.log.Warn("almara pay: calls are paused, since those about several different bills failed in a row: is it down, or almara.base_url wrong?",
				"pause", breakerPause, "last", why)
		case breakerClosed:
			c.log.Info("almara pay: calls go on, it answers again")
		case breakerSame:
		}
	}()

	renewed := false
	tries, err := retry(ctx, func() error {
		again, err := c.try(ctx, bill, op, r, &answer, !renewed)
		if again {
			renewed = true
			_, err = c.try(ctx, bill, op, r, &answer, false)
		}
		return err
	})
	if err != nil {
		return reminder.Answer{}, err
	}
	level := slog.LevelDebug
	if tries > 1 {
		level = slog.LevelInfo
	}
	c.log.Log(ctx, level, "almara pay answered", "op", op, "bill", bill.ID, "tries", tries)
	return answer, nil
}

// try makes one request. A token that is refused is dropped, and when mayRenew
// is set the answer is again: try once more, with a new one.
func (c *Client) try(ctx context.Context, bill reminder.Bill, op string, r request, answer *reminder.Answer, mayRenew bool) (again bool, err error) {
	if err := c.waitTurn(ctx); err != nil {
		return false, err
	}
	t, err := c.tokens.get(ctx)
	if err != nil {
		return false, err
	}
	hide := redactor{phone: bill.Phone, secrets: []string{t.value, c.tokens.secret}}

	r.token = t.value
	began := time.Now()
	got, err := c.wire.send(ctx, r, hide)
	if err == nil {
		*answer, err = decode(op, got, hide, c.local)
	}
	took := time.Since(began)

	if errors.Is(err, errUnauthorized) {
		c.tokens.drop(t)
		if mayRenew {
			c.wire.onCall(op, "retry", took)
			return true, nil
		}
	}
	c.wire.observe(op, err, took)
	return false, err
}

// waitTurn waits until the rate allows a request, or returns the error of ctx.
func (c *Client) waitTurn(ctx context.Context) error {
	if err := c.limit.Wait(ctx); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		// The turn would come after the deadline, so the limiter does not wait.
		return context.DeadlineExceeded
	}
	return nil
}

// verdictOf is what the end of a call says of the server. A refusal that is not
// understood says nothing: it may be a proxy's, or the bill's own.
func verdictOf(err error) verdict {
	var failed *RetryError
	switch outcomeOf(err) {
	case "", "unclear", "forbidden":
		return noVerdict
	case "retry":
		if errors.As(err, &failed) && failed.ofAll {
			return serverDown
		}
		return callFailed
	default:
		return serverUp
	}
}
