package web

import (
	"context"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"duewatch/store"
)

// doubt reports the texts of unknown outcome at each scrape.
type doubt struct {
	store  *store.Store
	now    func() time.Time
	log    *slog.Logger
	texts  *prometheus.Desc
	oldest *prometheus.Desc
}

// NewDoubt is a collector of how many texts are in doubt, and for how long.
func NewDoubt(s *store.Store, now func() time.Time, log *slog.Logger) prometheus.Collector {
	return &doubt{
		store: s, now: now, log: log,
		texts:  prometheus.NewDesc("duewatch_texts_in_doubt", "Texts that may or may not have reached the provider.", nil, nil),
		oldest: prometheus.NewDesc("duewatch_oldest_text_in_doubt_seconds", "Age of the oldest text in doubt, 0 when there is none.", nil, nil),
	}
}

func (d *doubt) Describe(ch chan<- *prometheus.Desc) {
	ch <- d.texts
	ch <- d.oldest
}

func (d *doubt) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	in, err := d.store.InDoubt(ctx)
	if err != nil {
		d.log.Warn("the texts in doubt cannot be counted", "err", err)
		return
	}
	var age float64
	if !in.Oldest.IsZero() {
		age = d.now().Sub(in.Oldest).Seconds()
	}
	ch <- prometheus.MustNewConstMetric(d.texts, prometheus.GaugeValue, float64(in.Texts))
	ch <- prometheus.MustNewConstMetric(d.oldest, prometheus.GaugeValue, age)
}
