package web

import (
	"context"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"duewatch/reminder"
	"duewatch/store"
)

// StoreMetrics is what the series that are read from the store are made of.
type StoreMetrics struct {
	Store  *store.Store
	Policy func() *reminder.Policy // whose guards count
	Now    func() time.Time
	// Bills counts the bills in each state; it may be some seconds old.
	Bills func(context.Context) (map[reminder.BillState]int, error)
	// Size is how many bytes the store takes on this host, by the part of it.
	Size func() map[string]int64
	Log  *slog.Logger
}

// storeMetrics reads from the store at each scrape what keeps texts from leaving,
// how many have left, and which are in doubt. What cannot be read is left out and
// logged: no series is better than a wrong zero.
type storeMetrics struct {
	StoreMetrics

	lost     *prometheus.Desc
	stopped  *prometheus.Desc
	warned   *prometheus.Desc
	held     *prometheus.Desc
	today    *prometheus.Desc
	segments *prometheus.Desc
	inDoubt  *prometheus.Desc
	oldest   *prometheus.Desc
	bills    *prometheus.Desc
	size     *prometheus.Desc
	daemons  *prometheus.Desc
	leads    *prometheus.Desc
}

// NewStoreMetrics is the collector of the series that are read from the store.
func NewStoreMetrics(c StoreMetrics) prometheus.Collector {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("duewatch_"+name, help, labels, nil)
	}
	return &storeMetrics{
		StoreMetrics: c,
		lost:         desc("store_lost", "1 while there is no connection to the database, and the other series of the store are left out."),
		stopped:      desc("sending_stopped", "1 for each stop or guard that keeps texts from leaving.", "reason"),
		warned:       desc("warning", "1 for each warning that waits for the operator; texts go on.", "reason"),
		held:         desc("reminders_held", "Reminders that are held now.", "reason"),
		today:        desc("texts_today", "Texts handed to the provider since midnight."),
		segments:     desc("segments_this_month", "Segments of the texts handed to the provider in this month."),
		inDoubt:      desc("texts_in_doubt", "Texts that may or may not have reached the provider."),
		oldest:       desc("oldest_text_in_doubt_seconds", "Age of the oldest text in doubt, 0 when there is none."),
		bills:        desc("bills", "Bills in each state.", "state"),
		size:         desc("store_bytes", "Size of the store on this host.", "part"),
		daemons:      desc("daemons", "Daemons of this store that are heard of: at work, aside, or waiting by another config.", "state"),
		leads:        desc("leads", "1 for the one daemon on a store that polls receipts, declares lists and tells the operator."),
	}
}

func (m *storeMetrics) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		m.lost, m.stopped, m.warned, m.held, m.today, m.segments, m.inDoubt, m.oldest, m.bills, m.size, m.daemons, m.leads,
	} {
		ch <- d
	}
}

// stops are the reasons of stops and of guards over all texts: the series of each is there
// before it is ever 1.
var stops = []reminder.Reason{
	reminder.AccountFault, reminder.Throttled, reminder.ProviderUnreachable, reminder.RefusalUnclear, reminder.CopiedStore,
	reminder.StoreWentBack, reminder.SenderChanged, reminder.MassRejected, reminder.ClockUnsure,
	reminder.DailyLimit, reminder.Surge, reminder.MonthlyBudget, reminder.FailureRate,
}

func (m *storeMetrics) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	now := m.Now()
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	if since, _ := m.Store.Lost(); !since.IsZero() {
		gauge(m.lost, 1)
		return // a read would wait until it is back
	}
	gauge(m.lost, 0)
	m.collectBlockers(ctx, now, gauge)

	if held, err := m.Store.Held(ctx); err != nil {
		m.Log.Warn("the held reminders cannot be counted", "err", err)
	} else {
		counts := map[reminder.Reason]int{}
		for _, h := range held {
			counts[h.Reason] = h.Count
		}
		for _, r := range reminder.Reasons {
			if r.Outcome == reminder.Held {
				gauge(m.held, float64(counts[r.Reason]), string(r.Reason))
			}
		}
	}

	if doubt, err := m.Store.InDoubt(ctx); err != nil {
		m.Log.Warn("the texts in doubt cannot be counted", "err", err)
	} else {
		var age float64
		if !doubt.Oldest.IsZero() {
			age = now.Sub(doubt.Oldest).Seconds()
		}
		gauge(m.inDoubt, float64(doubt.Texts))
		gauge(m.oldest, age)
	}

	if bills, err := m.Bills(ctx); err != nil {
		m.Log.Warn("the bills cannot be counted", "err", err)
	} else {
		for state, n := range bills {
			gauge(m.bills, float64(n), string(state))
		}
	}
	m.collectDaemons(ctx, gauge)
	for part, bytes := range m.Size() {
		gauge(m.size, float64(bytes), part)
	}
}

func (m *storeMetrics) collectDaemons(ctx context.Context, gauge func(*prometheus.Desc, float64, ...string)) {
	members, err := m.Store.Members(ctx)
	if err != nil {
		m.Log.Warn("the daemons cannot be counted", "err", err)
		return
	}
	var works, aside, waits, leads float64
	if len(members) == 0 { // of a file
		works, leads = 1, 1
	}
	for _, d := range members {
		switch {
		case !d.Lives:
		case d.Works:
			works++
		case d.Decides:
			aside++
		default:
			waits++
		}
		if d.Leads && d.Self {
			leads = 1
		}
	}
	gauge(m.daemons, works, "works")
	gauge(m.daemons, aside, "aside")
	gauge(m.daemons, waits, "waits")
	gauge(m.leads, leads)
}

func (m *storeMetrics) collectBlockers(ctx context.Context, now time.Time, gauge func(*prometheus.Desc, float64, ...string)) {
	blockers, err := m.Store.Blockers(ctx, m.Policy(), now)
	if err != nil {
		m.Log.Warn("what holds texts cannot be counted", "err", err)
		return
	}
	stopped, warned := map[reminder.Reason]float64{}, map[reminder.Reason]float64{}
	for _, reason := range stops {
		stopped[reason] = 0
	}
	for _, w := range reminder.Warnings {
		warned[w.Reason] = 0
	}
	for _, stop := range blockers.Stops {
		stopped[stop.Reason] = 1
	}
	if blockers.Guard != "" {
		stopped[blockers.Guard] = 1
	}
	for _, w := range blockers.Warnings {
		warned[w.Reason] = 1
	}
	for reason, is := range stopped {
		gauge(m.stopped, is, string(reason))
	}
	for reason, is := range warned {
		gauge(m.warned, is, string(reason))
	}
	gauge(m.today, float64(blockers.State.Today))
	gauge(m.segments, float64(blockers.State.Month))
}
