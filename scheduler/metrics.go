package scheduler

import (
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"duewatch/almara"
	"duewatch/notifier"
	"duewatch/reminder"
	"duewatch/store"
)

// Metrics counts what the jobs do since the start. Each series with a known label is
// there from 0 on: the first event of a series that appears with it is no increase to
// Prometheus. A job is job_name, since Prometheus has a label job of its own.
type Metrics struct {
	texts     *prometheus.CounterVec
	segments  prometheus.Counter
	cost      *prometheus.CounterVec
	reminders *prometheus.CounterVec
	jobRuns   *prometheus.CounterVec
	jobTime   *prometheus.HistogramVec
	jobOK     *prometheus.GaugeVec
	calls     *prometheus.CounterVec
	callTime  *prometheus.HistogramVec
	lateness  prometheus.Histogram
	failures  *prometheus.CounterVec
}

// The names of the two APIs in metrics.
const (
	APIAlmara = "almara"
	APITwilio = "twilio"
)

// NewMetrics registers the collectors.
func NewMetrics(r prometheus.Registerer) *Metrics {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		c := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
		r.MustRegister(c)
		return c
	}
	seconds := func(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
		h := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets}, labels)
		r.MustRegister(h)
		return h
	}
	const minute, hour = 60, 3600
	m := &Metrics{
		texts: counter("duewatch_texts_total", "Texts that reached a state.", "state"),
		segments: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "duewatch_segments_total", Help: "Segments of the texts that the provider took at the call.",
		}),
		cost: counter("duewatch_cost_forecast_total",
			"What those segments cost by notifier.price_per_segment, in the currency.", "currency"),
		reminders: counter("duewatch_reminders_total", "Reminders by what became of them, and why.", "outcome", "reason"),
		failures:  counter("duewatch_undelivered_total", "Texts that were taken and not delivered, by the provider's code.", "code"),
		jobRuns:   counter("duewatch_job_runs_total", "Passes of each job.", "job_name", "result"),
		jobTime: seconds("duewatch_job_seconds", "How long a pass took.",
			[]float64{.001, .01, .1, 1, 10, minute, 10 * minute, hour}, "job_name"),
		jobOK: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "duewatch_job_last_success_timestamp_seconds", Help: "When the last pass without an error ended; absent before the first.",
		}, []string{"job_name"}),
		calls: counter("duewatch_api_calls_total", "Calls to Almara Pay and the provider by outcome.", "api", "operation", "outcome"),
		callTime: seconds("duewatch_api_call_seconds", "How long a call took.",
			[]float64{.005, .02, .1, .5, 2, 10, 35}, "api", "operation"),
		lateness: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "duewatch_text_late_seconds", Help: "How long after its planned hour a text was accepted.",
			Buckets: []float64{1, 10, minute, 5 * minute, 15 * minute, hour, 4 * hour, 24 * hour, 72 * hour},
		}),
	}
	r.MustRegister(m.lateness, m.segments, m.jobOK)
	m.fromZero()
	return m
}

// otherCode is the label of codes that are not in the provider's table.
const otherCode = "other"

// fromZero makes all series whose labels are known.
func (m *Metrics) fromZero() {
	for _, state := range []store.TextState{
		store.Unknown, store.NotFound, store.Refused, store.Accepted, store.Sent, store.Delivered,
		store.Undelivered, store.Failed, store.Canceled, store.Unconfirmed,
	} {
		m.texts.WithLabelValues(string(state))
	}
	for _, r := range reminder.Reasons {
		m.reminders.WithLabelValues(string(r.Outcome), string(r.Reason))
	}
	m.failures.WithLabelValues(otherCode)
	for _, code := range notifier.Codes() {
		m.failures.WithLabelValues(strconv.Itoa(code))
	}
	for _, job := range []string{jobRegister, jobRecheck, jobRemind, jobReceipts, jobHousekeeping} {
		m.jobTime.WithLabelValues(job)
		for _, result := range []string{jobRunOK, jobRunFailed} {
			m.jobRuns.WithLabelValues(job, result)
		}
	}
	for api, operations := range map[string]map[string][]string{APIAlmara: almara.CallOutcomes(), APITwilio: notifier.CallOutcomes()} {
		for operation, outcomes := range operations {
			m.callTime.WithLabelValues(api, operation)
			for _, outcome := range outcomes {
				m.calls.WithLabelValues(api, operation, outcome)
			}
		}
	}
}

// Call counts one call to an API; it fits the OnCall hooks of the clients.
func (m *Metrics) Call(api, operation, outcome string, took time.Duration) {
	m.calls.WithLabelValues(api, operation, outcome).Inc()
	m.callTime.WithLabelValues(api, operation).Observe(took.Seconds())
}

func (m *Metrics) textMoved(s store.TextState) { m.texts.WithLabelValues(string(s)).Inc() }

// taken counts the segments of a text that the provider has taken; price is that of one,
// 0 = not known.
func (m *Metrics) taken(segments int, price float64, currency string) {
	m.segments.Add(float64(segments))
	if price > 0 {
		m.cost.WithLabelValues(currency).Add(float64(segments) * price)
	}
}

// undelivered counts by codes that are in the provider's table: a label must
// not take any value that somebody sends.
func (m *Metrics) undelivered(code int) {
	label := otherCode
	if notifier.ClassOf(code) != notifier.Unlisted {
		label = strconv.Itoa(code)
	}
	m.failures.WithLabelValues(label).Inc()
}

func (m *Metrics) reminded(o reminder.Outcome, r reminder.Reason) {
	m.reminders.WithLabelValues(string(o), string(r)).Inc()
}

func (m *Metrics) late(by time.Duration) { m.lateness.Observe(by.Seconds()) }

// The values of the label result.
const (
	jobRunOK     = "ok"
	jobRunFailed = "error"
)

func (m *Metrics) jobEnded(job string, began, ended time.Time, err error) {
	result := jobRunOK
	if err != nil {
		result = jobRunFailed
	} else {
		m.jobOK.WithLabelValues(job).Set(float64(ended.UnixMilli()) / 1000)
	}
	m.jobRuns.WithLabelValues(job, result).Inc()
	m.jobTime.WithLabelValues(job).Observe(ended.Sub(began).Seconds())
}
