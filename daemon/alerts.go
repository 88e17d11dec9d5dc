package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"regexp"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"duewatch/alerts"
	"duewatch/config"
	"duewatch/reminder"
	"duewatch/scheduler"
	"duewatch/store"
)

// metaAlerts is the fact by which a store knows what was told to whom.
const metaAlerts = "alerts"

// alerting is what the daemon tells without being asked. It outlives a reload, and by
// metaAlerts a restart.
type alerting struct {
	store     *store.Store
	teller    *alerts.Teller
	waiting   *alerts.Teller // that this daemon waits; the other one's memory is the leader's, in the store
	sent      *prometheus.CounterVec
	beats     *prometheus.CounterVec
	heartbeat *alerts.Heartbeat // nil = none is expected
	urls      int               // destinations
	digestAt  *reminder.Clock   // nil = there is no daily report
	kept      string            // what the store has

	mu     sync.Mutex
	missed int   // heartbeats in a row that were not taken
	why    error // the last one was not
	log    *slog.Logger
}

func newAlerting(ctx context.Context, s *store.Store, sandbox bool, r prometheus.Registerer, log *slog.Logger) *alerting {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		c := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
		r.MustRegister(c)
		return c
	}
	a := &alerting{
		store: s, log: log,
		sent:  counter("duewatch_alerts_total", "Messages to the URLs of alerts.urls, each try counted.", "to", "result"),
		beats: counter("duewatch_heartbeats_total", "Calls of alerts.heartbeat_url.", "result"),
	}
	a.teller, a.waiting = alerts.NewTeller(Speaker(sandbox), a.noteSent), alerts.NewTeller(Speaker(sandbox), a.noteSent)
	if err := a.recall(ctx); err != nil {
		log.Warn("alerts may repeat what was told before", "err", err)
	}
	return a
}

// recall takes from the store what was told before by an earlier process, or by another daemon since.
func (a *alerting) recall(ctx context.Context) error {
	kept, err := a.store.Meta(ctx, metaAlerts)
	if err != nil || kept == a.kept {
		return err
	}
	a.kept = kept
	return a.teller.Restore(kept)
}

// Speaker names this daemon in the title of each message.
func Speaker(sandbox bool) string {
	who := "duewatch"
	if sandbox {
		who += " (sandbox)"
	}
	if host, err := os.Hostname(); err == nil {
		who += " on " + host
	}
	return who
}

// Destinations are the service URLs of a config, which has checked them.
func Destinations(c config.Alerts) (all []*alerts.Destination, err error) {
	for _, u := range c.URLs {
		d, err := alerts.New(u.Reveal())
		if err != nil {
			return nil, fmt.Errorf("alerts.urls: %w", err)
		}
		all = append(all, d)
	}
	alerts.Named(all)
	return all, nil
}

// use goes by another config from now on.
func (a *alerting) use(cfg *config.Config, now time.Time, log *slog.Logger) error {
	all, err := Destinations(cfg.Alerts)
	if err != nil {
		return err
	}
	a.mu.Lock()
	a.log = log
	a.missed = 0
	a.mu.Unlock()
	a.heartbeat = nil
	if u := cfg.Alerts.HeartbeatURL.Reveal(); u != "" {
		if a.heartbeat, err = alerts.NewHeartbeat(u); err != nil {
			return fmt.Errorf("alerts.heartbeat_url: %w", err)
		}
	}
	a.digestAt, a.urls = cfg.Alerts.DigestAt, len(all)
	a.teller.Use(all, a.digestDay(now, cfg.Zone))
	a.waiting.Use(all, "")
	for _, d := range all { // each series is there before anything happens
		for _, result := range results {
			a.sent.WithLabelValues(d.Name(), result)
		}
	}
	for _, result := range results {
		a.beats.WithLabelValues(result)
	}
	return nil
}

// results are the values of the label result.
var results = []string{"ok", "error"}

func resultOf(err error) string {
	if err != nil {
		return "error"
	}
	return "ok"
}

func (a *alerting) noteSent(to string, err error) {
	a.sent.WithLabelValues(to, resultOf(err)).Inc()
	if err != nil {
		a.logger().Warn("an alert could not be sent; it is tried again", "to", to, "err", err)
	}
}

func (a *alerting) logger() *slog.Logger {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.log
}

// beat calls the heartbeat once.
func (a *alerting) beat(ctx context.Context) {
	err := a.heartbeat.Beat(ctx)
	if ctx.Err() != nil {
		return
	}
	a.beats.WithLabelValues(resultOf(err)).Inc()
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case err == nil:
		a.missed = 0
		return
	case a.missed == 0:
		a.log.Warn("the heartbeat was not taken; it is tried each minute", "to", a.heartbeat.Name(), "err", err)
	}
	a.missed++
	a.why = fmt.Errorf("%s: %w", a.heartbeat.Name(), err)
}

// missedLong is how many heartbeats in a row fail before that is a problem. The outside
// service will have raised its own alarm by then.
const missedLong = 5

// problems are those of telling itself.
func (a *alerting) problems() (all []Problem) {
	for _, p := range a.teller.Failing() {
		all = append(all, Problem{Key: p.Key, Text: p.Text})
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.missed >= missedLong {
		all = append(all, Problem{Key: "heartbeat", Text: fmt.Sprintf("the heartbeat cannot be sent to %v", a.why)})
	}
	return all
}

// digestDay is the day on which the latest daily report was due; "" = there are none.
func (a *alerting) digestDay(now time.Time, zone *time.Location) string {
	if a.digestAt == nil {
		return ""
	}
	return lastDue(*a.digestAt, now, zone).String()
}

// lastDue is the latest day whose hour at has come.
func lastDue(at reminder.Clock, now time.Time, zone *time.Location) reminder.Date {
	today := reminder.DateOf(now.In(zone))
	if now.Before(today.At(at, zone)) {
		return today.AddDays(-1)
	}
	return today
}

// lookEvery is how often the daemon looks at itself, for systemd, the outside service and
// the operator.
const lookEvery = time.Minute

// repeat calls do at once and then each minute, until ctx ends.
func repeat(ctx context.Context, do func()) error {
	every := time.NewTicker(lookEvery)
	defer every.Stop()
	for {
		do()
		select {
		case <-ctx.Done():
			return nil
		case <-every.C:
		}
	}
}

// beat shows that the daemon is alive: by its status to systemd, and by a heartbeat to the
// outside service.
func (d *daemon) beat(ctx context.Context, s *scheduler.Scheduler, cfg *config.Config, log *slog.Logger) {
	h := d.health(ctx, s)
	if ctx.Err() != nil {
		return // what could not be read for that is no problem
	}
	d.sendStatus(ctx, cfg, h.problems, log)
	if h.alive && d.alerts.heartbeat != nil {
		d.alerts.beat(ctx)
	}
}

// tell tells the operator what is new. It has a goroutine of its own, since no alert that
// hangs, and no report of a busy day, may delay a heartbeat.
func (d *daemon) tell(ctx context.Context, s *scheduler.Scheduler, cfg *config.Config, log *slog.Logger) {
	if d.alerts.urls == 0 {
		return
	}
	d.tellWaiting(ctx, cfg, nil, log)
	// Of several daemons the leader tells what all find; each has a heartbeat of its own.
	if leads, err := d.store.Leads(ctx); err != nil || !leads {
		return
	}
	recalled := d.alerts.recall(ctx)
	if recalled != nil && ctx.Err() == nil {
		log.Warn("alerts may repeat what was told before", "err", recalled)
	}
	h := d.health(ctx, s)
	if ctx.Err() != nil {
		return
	}
	now, problems := d.Now(), outside(h.problems)
	err := d.alerts.teller.Tell(ctx, alerts.Round{
		Now: now, Zone: cfg.Zone, Problems: problems, Day: d.alerts.digestDay(now, cfg.Zone),
		Digest: func(ctx context.Context) (alerts.Message, error) { return d.digest(ctx, cfg, now, problems) },
	})
	if err != nil && !errors.Is(err, context.Canceled) {
		log.Error("alerts", "err", err)
	}
	if recalled == nil { // it would take the place of what another daemon has told
		d.alerts.keep(log)
	}
}

// tellWaiting tells the operator that this daemon waits, and why; nil = it does not, or no more.
// Who waits leads nobody and writes nothing, so it remembers by itself what it has told.
func (d *daemon) tellWaiting(ctx context.Context, cfg *config.Config, why []Problem, log *slog.Logger) {
	round := alerts.Round{Now: d.Now(), Zone: cfg.Zone, Problems: outside(why), Ended: len(why) == 0}
	if err := d.alerts.waiting.Tell(ctx, round); err != nil && !errors.Is(err, context.Canceled) {
		log.Error("alerts", "err", err)
	}
}

// keep has the store remember what was told.
func (a *alerting) keep(log *slog.Logger) {
	memory := a.teller.Memory()
	if memory == a.kept {
		return
	}
	if err := a.store.SetMeta(metaAlerts, memory); err != nil {
		// It is kept by this process, and written when it next changes.
		log.Warn("what was told cannot be kept, so that a restart may repeat it", "err", err)
		return
	}
	a.kept = memory
}

// outside are problems as they may be told outside this host, one of each key.
func outside(all []Problem) (told []alerts.Problem) {
	seen := map[string]bool{}
	for _, p := range all {
		if seen[p.Key] {
			continue
		}
		seen[p.Key] = true
		text := p.Outside
		if text == "" {
			text = p.Text
		}
		told = append(told, alerts.Problem{Key: p.Key, Text: withoutNumbers(oneLineText(text))})
	}
	return told
}

// longNumber is what may be a phone: nine digits or more, or a number with its plus as
// people write it. An account of a telephone company is a phone too.
var longNumber = regexp.MustCompile(`\B\+[0-9][0-9 ().-]{6,}[0-9]|[0-9]{9,}`)

// withoutNumbers is the last defence of customers' phones, which no sentence should
// have: messages pass through the hands of others.
func withoutNumbers(s string) string {
	return longNumber.ReplaceAllStringFunc(s, func(n string) string { return "***" + n[len(n)-2:] })
}
