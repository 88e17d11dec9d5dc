package web

import (
	"context"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"duewatch/reminder"
	"duewatch/store"
)

// sending reports at each scrape what keeps texts from leaving, and how many
// have left.
type sending struct {
	store    *store.Store
	policy   func() *reminder.Policy
	now      func() time.Time
	log      *slog.Logger
	stopped  *prometheus.Desc
	warned   *prometheus.Desc
	held     *prometheus.Desc
	today    *prometheus.Desc
	segments *prometheus.Desc
}

// NewSending is a collector of stops, guards, held reminders and the day's
// texts. policy is the one whose guards count.
func NewSending(s *store.Store, policy func() *reminder.Policy, now func() time.Time, log *slog.Logger) prometheus.Collector {
	return &sending{
		store: s, policy: policy, now: now, log: log,
		stopped:  prometheus.NewDesc("duewatch_sending_stopped", "1 for each stop or guard that keeps texts from leaving.", []string{"reason"}, nil),
		warned:   prometheus.NewDesc("duewatch_warning", "1 for each warning that waits for the operator; texts go on.", []string{"reason"}, nil),
		held:     prometheus.NewDesc("duewatch_reminders_held", "Reminders that are held now.", []string{"reason"}, nil),
		today:    prometheus.NewDesc("duewatch_texts_today", "Texts handed to the provider since midnight.", nil, nil),
		segments: prometheus.NewDesc("duewatch_segments_this_month", "Segments of the texts handed to the provider in this month.", nil, nil),
	}
}

func (s *sending) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{s.stopped, s.warned, s.held, s.today, s.segments} {
		ch <- d
	}
}

func (s *sending) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	policy, now := s.policy(), s.now()
	blockers, err := s.store.Blockers(ctx, policy, now)
	if err != nil {
		s.log.Warn("what holds texts cannot be counted", "err", err)
		return
	}
	held, err := s.store.Held(ctx)
	if err != nil {
		s.log.Warn("the held reminders cannot be counted", "err", err)
		return
	}
	gauge := func(d *prometheus.Desc, v int, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, float64(v), labels...)
	}
	for _, stop := range blockers.Stops {
		gauge(s.stopped, 1, string(stop.Reason))
	}
	if blockers.Guard != "" {
		gauge(s.stopped, 1, string(blockers.Guard))
	}
	for _, w := range blockers.Warnings {
		gauge(s.warned, 1, string(w.Reason))
	}
	for _, h := range held {
		gauge(s.held, h.Count, string(h.Reason))
	}
	gauge(s.today, blockers.State.Today)
	gauge(s.segments, blockers.State.Month)
}
