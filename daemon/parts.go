package daemon

import (
	"cmp"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"

	"duewatch/almara"
	"duewatch/config"
	"duewatch/notifier"
	"duewatch/reminder"
	"duewatch/scheduler"
	"duewatch/store"
)

// Parts is what the daemon is built with beside its config. The daemon, its
// simulations and its benchmarks are built here alike.
type Parts struct {
	Store   *store.Store
	Owner   string // names the process on the claims and intents it writes
	Sender  string // by whom texts leave; "" = as the config says
	Log     *slog.Logger
	Metrics *scheduler.Metrics

	Now func() time.Time
	// ClockCheck is given the Date of each answer, and says whether Now may be
	// believed; nil = it may.
	ClockCheck *scheduler.ClockCheck
	// Comparison is kept over reloads; nil = there are none.
	Comparison *scheduler.Comparison
	// Virtual takes the place of Now in a simulation: time passes by itself, and
	// with it the rates.
	Virtual *scheduler.VirtualClock
	// Transport takes the place of the network; nil = the network.
	Transport http.RoundTripper

	// Callbacks say where the provider reports by itself; nil = it does not.
	Callbacks *scheduler.Callbacks

	// OnAlmara and OnTwilio are called for each request, as OnCall of the clients.
	OnAlmara, OnTwilio func(op, outcome string, took time.Duration)
}

// Build makes the parts of the daemon by a config.
func (p Parts) Build(cfg *config.Config) (*scheduler.Scheduler, error) {
	a, err := p.NewAlmara(cfg)
	if err != nil {
		return nil, err
	}
	n, err := p.NewNotifier(cfg)
	if err != nil {
		return nil, err
	}
	return scheduler.New(scheduler.Config{
		Store: p.Store, Almara: a, Notifier: n, Policies: cfg.Policies, Delivery: cfg.Delivery, Country: cfg.Country,
		Schedule: scheduler.Schedule(cfg.Schedule),
		Zone:     cfg.Zone, Fingerprint: cfg.Fingerprint(), Owner: p.Owner, SegmentsPerSecond: cfg.Notifier.SegmentsPerSecond,
		SegmentPrice:    segmentPrice(cfg),
		SentBy:          cmp.Or(p.Sender, Sender(cfg)),
		SendConcurrency: cfg.Notifier.Concurrency, AskConcurrency: cfg.Almara.Concurrency, AskRate: cfg.Almara.Rate,
		Retention: cfg.Retention, WordsRetention: cfg.Words,
		ReconcileAfter: cfg.Notifier.ReconcileAfter, Resend: cfg.Notifier.Unknown == config.UnknownResend,
		Now: p.Now, ClockCheck: p.ClockCheck, Comparison: p.Comparison, Virtual: p.Virtual, Log: p.Log, Metrics: p.Metrics,
		Callbacks: p.Callbacks,
	})
}

// segmentPrice is the price of a segment for a metric, which needs no exact decimals; 0 =
// not known.
func segmentPrice(cfg *config.Config) float64 {
	if cfg.Notifier.PricePerSegment == nil {
		return 0
	}
	price, err := strconv.ParseFloat(cfg.Notifier.PricePerSegment.String(), 64)
	if err != nil {
		return 0
	}
	return price
}

// NewAlmara makes the client of Almara Pay.
func (p Parts) NewAlmara(cfg *config.Config) (*almara.Client, error) {
	now, rate := p.Now, cfg.Almara.Rate
	if p.Virtual != nil {
		now, rate = p.Virtual.Now, almara.Unpaced // the scheduler's pacer keeps to the rate
	}
	c, err := almara.New(almara.Config{
		BaseURL: cfg.Almara.BaseURL, TokenPath: cfg.Almara.TokenPath, TokenEncoding: cfg.Almara.TokenEncoding, Scope: cfg.Almara.Scope,
		ClientID: cfg.Almara.ClientID, ClientSecret: cfg.Almara.ClientSecret.Reveal(), RecheckWith: cfg.Almara.RecheckWith,
		Timeout: cfg.Almara.Timeout, Rate: rate, Concurrency: cfg.Almara.Concurrency, Now: now, Log: p.Log,
		Transport: p.Transport, OnCall: p.OnAlmara,
		OmitPhone: !cfg.Almara.SharePhone, Currency: cfg.Currency, Country: cfg.Country,
		OnDate: p.ClockCheck.OnDate(scheduler.PeerAlmara),
	})
	if err != nil {
		return nil, fmt.Errorf("almara: %w", err)
	}
	return c, nil
}

// NewNotifier makes the client of the provider.
func (p Parts) NewNotifier(cfg *config.Config) (*notifier.Notifier, error) {
	t := cfg.Notifier.Twilio
	n, err := notifier.New(notifier.Config{
		AccountSID: t.AccountSID, AuthToken: t.AuthToken.Reveal(), APIKeySID: t.APIKeySID, APIKeySecret: t.APIKeySecret.Reveal(),
		From: t.From, MessagingServiceSID: t.MessagingServiceSID, BaseURL: t.BaseURL, Timeout: cfg.Notifier.Timeout,
		Delivery: cfg.Delivery, Concurrency: cfg.Notifier.Concurrency, Log: p.Log, Transport: p.Transport, OnCall: p.OnTwilio,
		OnDate: p.ClockCheck.OnDate(scheduler.PeerProvider),
	})
	if err != nil {
		return nil, fmt.Errorf("notifier: %w", err)
	}
	return n, nil
}

// buildScheduler builds the parts of the daemon by a config.
func (d *daemon) buildScheduler(cfg *config.Config, log *slog.Logger) (*scheduler.Scheduler, error) {
	callbacks, err := newCallbacks(d.store, cfg)
	if err != nil {
		return nil, err
	}
	return Parts{
		Callbacks: callbacks,
		Store:     d.store, Owner: fmt.Sprintf("%s-%d", d.store.Owner(), d.reloads), Log: log, Metrics: d.metrics, Now: d.Now,
		ClockCheck: d.clockCheck, Comparison: d.comparison,
		OnAlmara: func(op, outcome string, took time.Duration) { d.metrics.Call(scheduler.APIAlmara, op, outcome, took) },
		OnTwilio: func(op, outcome string, took time.Duration) { d.metrics.Call(scheduler.APITwilio, op, outcome, took) },
	}.Build(cfg)
}

// Sender names by whom texts leave, and how far they may go: what a store
// belongs to.
func Sender(cfg *config.Config) string {
	t := cfg.Notifier.Twilio
	from := t.MessagingServiceSID
	switch {
	case strings.HasPrefix(t.From, "+"):
		from = reminder.Phone(t.From).String()
	case t.From != "":
		from = t.From
	}
	return fmt.Sprintf("account %s, sender %s, mode %s", t.AccountSID, from, cfg.Delivery.Mode)
}
