// Package almara is the client of the Almara Pay API: it saves a customer's
// bill number there and returns what is owed and when it is due.
//
// An answer that it does not understand is an error, and the type of the error
// says where the fault is: in the bill (RejectedError), with the operator
// (StopError), or somewhere it may pass by itself (RetryError, ErrBreakerOpen). Of
// an UnclearError or a ForbiddenError the caller can say that only after those of
// several bills.
//
// The client keeps to the configured rate, fetches one token for all callers, and
// repeats by itself a call that may succeed within seconds. Saving a bill number
// again is harmless, so a try whose outcome is not known may be repeated.
//
// It never follows a redirect, never reads an amount as a float or a due date
// as an instant, and never puts a phone number, a token or the secret into an
// error or a log. When the caller's own context ends, its error is returned as it is; it
// says nothing about the bill.
//
// The register, recheck and remind jobs (package scheduler) call it, and the
// commands that ask what Almara Pay offers.
//
// Read client.go (the calls) first, then token.go and wire.go (the requests),
// decode.go (where the fault of a failure is), answer.go (what an answer means) and
// services.go (the list of services).
//
// Comments name the pages of Almara Pay's API reference: Authorization, Save a
// Bill Number, Get Bill Number, Bill Services.
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
	wire         *wire
	tokens       *tokenSource
	billNumbers  *url.URL
	billServices *url.URL
	recheckWith  string
	omitPhone    bool
	locale       locale
	rate         rate.Limit // that all daemons share
	limit        *rate.Limiter
	slots        chan struct{} // holds one item for each call under way
	breaker      *breaker
	log          *slog.Logger
}

// New returns a Client, or one error that lists everything wrong with cfg by its
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
		billNumbers:  at.billNumbers,
		billServices: at.billServices,
		recheckWith:  cfg.RecheckWith,
		omitPhone:    cfg.OmitPhone,
		locale:       locale{currency: cfg.Currency, monthFirst: monthFirst[cfg.Country]},
		// The burst is a tenth of a second's requests: timers are too coarse for less.
		rate:    rate.Limit(cfg.Rate),
		limit:   rate.NewLimiter(rate.Limit(cfg.Rate), max(1, int(cfg.Rate/10))),
		slots:   make(chan struct{}, cfg.Concurrency),
		breaker: newBreaker(),
		log:     cfg.Log,
	}, nil
}

// ShareRate has this client take its part of the rate beside those of other daemons: so many in
// all, each of which takes as much. 0 counts as 1.
func (c *Client) ShareRate(daemons int) {
	if limit := c.rate / rate.Limit(max(1, daemons)); limit != c.limit.Limit() {
		c.limit.SetLimit(limit)
	}
}

// Register saves the bill's number, phone (unless Config.OmitPhone) and
// description with Almara Pay, and asks it to watch the due date (API reference,
// Save a Bill Number). Saving again is harmless. Errors: see the package comment.
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
	return c.do(ctx, call{"register", bill, request{
		method:      http.MethodPost,
		url:         c.billNumbers,
		contentType: "application/json",
		body:        body,
	}})
}

// Recheck asks what is owed now, as Config.RecheckWith says: by saving the bill
// again, which is the one documented source of a fresh balance, or by getting what
// was saved (API reference, Get Bill Number). Errors: see the package comment.
func (c *Client) Recheck(ctx context.Context, bill reminder.Bill) (reminder.Answer, error) {
	if c.recheckWith == RecheckRegister {
		return c.Register(ctx, bill)
	}
	at := *c.billNumbers
	at.RawQuery = url.Values{"serviceId": {bill.Service}, "accountNumber": {bill.Account}}.Encode()
	return c.do(ctx, call{"lookup", bill, request{method: http.MethodGet, url: &at}})
}

// SignIn fetches the token that the first call would fetch, and makes no other
// request. Errors: see the package comment.
func (c *Client) SignIn(ctx context.Context) error {
	_, err := c.tokens.get(ctx)
	if err != nil && outcomeOf(err) == "" {
		err = fmt.Errorf("almara pay: token: %w", err)
	}
	return err
}

// RenewToken fetches a new token, also while the present one is valid. It is the
// one request that asks nothing about a bill and can be made at any time. Errors:
// see the package comment.
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
	RemindMeDueDate bool   `json:"RemindMeDueDate"` // the API has a capital R here
}

// jsonServiceID is the service id for a JSON body. The table of Save a Bill Number
// calls it an integer, and its example sends a text that looks like a UUID. So
// digits are sent as a number and everything else as text. Text are also "007",
// which would lose its zeros, and more digits than a 64-bit integer holds.
func jsonServiceID(id string) any {
	const safeDigits = 18
	isNumber := id != "" && len(id) <= safeDigits && strings.Trim(id, "0123456789") == "" && (id[0] != '0' || id == "0")
	if isNumber {
		return json.Number(id)
	}
	return id
}

// call is one question about a bill.
type call struct {
	op      string // register or lookup
	bill    reminder.Bill
	request request // without its token
}

// do makes a call: as many requests as it needs, within the limits that all calls
// share.
func (c *Client) do(ctx context.Context, q call) (answer reminder.Answer, err error) {
	defer func() {
		// The error of the caller's own context is the only one without a type of ours.
		if err != nil && outcomeOf(err) == "" {
			err = fmt.Errorf("almara pay: %s: %w", q.op, err)
		}
	}()

	// The call keeps its slot while it waits to retry: when Almara Pay asks to slow
	// down, no other call should take its place.
	select {
	case c.slots <- struct{}{}:
		defer func() { <-c.slots }()
	case <-ctx.Done():
		return reminder.Answer{}, ctx.Err()
	}

	probe, err := c.breaker.enter(ctx)
	if err != nil {
		c.wire.report(q.op, err, 0)
		return reminder.Answer{}, err
	}
	defer func() {
		why := ""
		if err != nil {
			account := redactor{phone: q.bill.Phone}.clean(q.bill.Account, maxWords)
			why = fmt.Sprintf("account %s of service %s: %v", account, q.bill.Service, err)
		}
		switch c.breaker.leave(probe, verdictOf(err), q.bill.Service+"/"+q.bill.Account, why) {
		case breakerOpened:
			c.log.Warn("almara pay: calls are paused, since those about several different bills failed in a row: "+
				"is it down, or almara.base_url wrong?", "pause", breakerPause, "last", why)
		case breakerClosed:
			c.log.Info("almara pay: it answers again, calls are resumed")
		case breakerSame:
		}
	}()

	tries, err := c.ask(ctx, q.op, q.request, q.bill.Phone, func(r reply, hide redactor) error {
		answer, err = decode(q.op, r, hide, c.locale)
		return err
	})
	if err != nil {
		return reminder.Answer{}, err
	}
	level := slog.LevelDebug
	if tries > 1 {
		level = slog.LevelInfo
	}
	c.log.Log(ctx, level, "almara pay answered", "op", q.op, "bill", q.bill.ID, "tries", tries)
	return answer, nil
}

// ask makes a request, again where that may help, and has each answer read. It returns
// the number of tries and the last error. The phone may be in what the server says.
func (c *Client) ask(
	ctx context.Context, op string, r request, phone reminder.Phone, read func(reply, redactor) error,
) (tries int, err error) {
	renewed := false
	return retry(ctx, func() error {
		again, err := c.try(ctx, op, r, phone, read, !renewed)
		if again {
			renewed = true
			_, err = c.try(ctx, op, r, phone, read, false)
		}
		return err
	})
}

// try makes one request. When its token is refused it drops the token, and, if
// mayRenew is set, asks to be called again at once with a new one.
func (c *Client) try(
	ctx context.Context, op string, r request, phone reminder.Phone, read func(reply, redactor) error, mayRenew bool,
) (again bool, err error) {
	if err := c.waitTurn(ctx); err != nil {
		return false, err
	}
	t, err := c.tokens.get(ctx)
	if err != nil {
		return false, err
	}
	hide := redactor{phone: phone, secrets: []string{t.value, c.tokens.secret}}

	r.token = t.value
	began := time.Now()
	got, err := c.wire.send(ctx, r, hide)
	if err == nil {
		err = read(got, hide)
	}
	took := time.Since(began)

	if errors.Is(err, errUnauthorized) {
		c.tokens.drop(t)
		if mayRenew {
			c.wire.onCall(op, "retry", took)
			return true, nil
		}
	}
	c.wire.report(op, err, took)
	return false, err
}

// waitTurn waits until the rate allows a request, or returns the error of ctx.
func (c *Client) waitTurn(ctx context.Context) error {
	if err := c.limit.Wait(ctx); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		// The limiter does not wait at all when the turn would come after the deadline.
		return context.DeadlineExceeded
	}
	return nil
}

// verdictOf is what the end of a call says about the server. A refusal that is not
// understood says nothing: a proxy may have sent it, or it is about the bill alone.
func verdictOf(err error) verdict {
	var failed *RetryError
	switch outcomeOf(err) {
	case "", "unclear", "forbidden":
		return noVerdict
	case "retry":
		if errors.As(err, &failed) && failed.noToken {
			return serverDown
		}
		return callFailed
	default:
		return serverUp
	}
}
