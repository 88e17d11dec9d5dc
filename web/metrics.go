package web

import (
	"context"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"duewatch/reminder"
	"duewatch/store"
)

// storeMetrics reads from the store at each scrape what keeps texts from leaving,
// how many have left, and which are in doubt. What cannot be read is left out and
// logged: no series is better than a wrong zero.
type storeMetrics struct {
	store  *store.Store
	policy func() *reminder.Policy
	now    func() time.Time
	log    *slog.Logger

	lost     *prometheus.Desc
	stopped  *prometheus.Desc
	warned   *prometheus.Desc
	held     *prometheus.Desc
	today    *prometheus.Desc
	segments *prometheus.Desc
	inDoubt  *prometheus.Desc
	oldest   *prometheus.Desc
}

// NewStoreMetrics is the collector of the series that are read from the store. The
// policy is the one whose guards count.
func NewStoreMetrics(s *store.Store, policy func() *reminder.Policy, now func() time.Time, log *slog.Logger) prometheus.Collector {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("duewatch_"+name, help, labels, nil)
	}
	return &storeMetrics{
		store: s, policy: policy, now: now, log: log,
		lost:     desc("store_lost", "1 while there is no connection to the database, and the other series of the store are left out."),
		stopped:  desc("sending_stopped", "1 for each stop or guard that keeps texts from leaving.", "reason"),
		warned:   desc("warning", "1 for each warning that waits for the operator; texts go on.", "reason"),
		held:     desc("reminders_held", "Reminders that are held now.", "reason"),
		today:    desc("texts_today", "Texts handed to the provider since midnight."),
		segments: desc("segments_this_month", "Segments of the texts handed to the provider in this month."),
		inDoubt:  desc("texts_in_doubt", "Texts that may or may not have reached the provider."),
		oldest:   desc("oldest_text_in_doubt_seconds", "Age of the oldest text in doubt, 0 when there is none."),
	}
}

func (m *storeMetrics) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{m.lost, m.stopped, m.warned, m.held, m.today, m.segments, m.inDoubt, m.oldest} {
		ch <- d
	}
}

func (m *storeMetrics) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	now := m.now()
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}

	if since, _ := m.store.Lost(); !since.IsZero() {
		gauge(m.lost, 1)
		return // a read would wait until it is back
	}
	gauge(m.lost, 0)
	if blockers, err := m.store.Blockers(ctx, m.policy(), now); err != nil {
		m.log.Warn("what holds texts cannot be counted", "err", err)
	} else {
		for _, stop := range blockers.Stops {
			gauge(m.stopped, 1, string(stop.Reason))
		}
		if blockers.Guard != "" {
			gauge(m.stopped, 1, string(blockers.Guard))
		}
		for _, w := range blockers.Warnings {
			gauge(m.warned, 1, string(w.Reason))
		}
		gauge(m.today, float64(blockers.State.Today))
		gauge(m.segments, float64(blockers.State.Month))
	}

	if held, err := m.store.Held(ctx); err != nil {
		m.log.Warn("the held reminders cannot be counted", "err", err)
	} else {
		for _, h := range held {
			gauge(m.held, float64(h.Count), string(h.Reason))
		}
	}

	if doubt, err := m.store.InDoubt(ctx); err != nil {
		m.log.Warn("the texts in doubt cannot be counted", "err", err)
	} else {
		var age float64
		if !doubt.Oldest.IsZero() {
			age = now.Sub(doubt.Oldest).Seconds()
		}
		gauge(m.inDoubt, float64(doubt.Texts))
		gauge(m.oldest, age)
	}
}
