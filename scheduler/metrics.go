package scheduler

import (
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"duewatch/notifier"
	"duewatch/reminder"
	"duewatch/store"
)

// Metrics counts what the jobs do since the start.
type Metrics struct {
	texts     *prometheus.CounterVec
	reminders *prometheus.CounterVec
	jobRuns   *prometheus.CounterVec
	jobTime   *prometheus.HistogramVec
	calls     *prometheus.CounterVec
	callTime  *prometheus.HistogramVec
	lateness  prometheus.Histogram
	failures  *prometheus.CounterVec
}

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
		texts:     counter("duewatch_texts_total", "Texts that reached a state.", "state"),
		reminders: counter("duewatch_reminders_total", "Reminders by what became of them, and why.", "outcome", "reason"),
		failures:  counter("duewatch_undelivered_total", "Texts that were taken and not delivered, by the provider's code.", "code"),
		jobRuns:   counter("duewatch_job_runs_total", "Passes of each job.", "job", "result"),
		jobTime: seconds("duewatch_job_seconds", "How long a pass took.",
			[]float64{.001, .01, .1, 1, 10, minute, 10 * minute, hour}, "job"),
		calls: counter("duewatch_api_calls_total", "Calls to Almara Pay and the provider by outcome.", "api", "operation", "outcome"),
		callTime: seconds("duewatch_api_call_seconds", "How long a call took.",
			[]float64{.005, .02, .1, .5, 2, 10, 35}, "api", "operation"),
		lateness: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "duewatch_text_late_seconds", Help: "How long after its planned hour a text was accepted.",
			Buckets: []float64{1, 10, minute, 5 * minute, 15 * minute, hour, 4 * hour, 24 * hour, 72 * hour},
		}),
	}
	r.MustRegister(m.lateness)
	return m
}

// Call counts one call to an API; it fits the OnCall hooks of the clients.
func (m *Metrics) Call(api, operation, outcome string, took time.Duration) {
	m.calls.WithLabelValues(api, operation, outcome).Inc()
	m.callTime.WithLabelValues(api, operation).Observe(took.Seconds())
}

func (m *Metrics) textMoved(s store.TextState) { m.texts.WithLabelValues(string(s)).Inc() }

// undelivered counts by codes that are in the provider's table: a label must
// not take any value that somebody sends.
func (m *Metrics) undelivered(code int) {
	label := "other"
	if notifier.ClassOf(code) != notifier.Unlisted {
		label = strconv.Itoa(code)
	}
	m.failures.WithLabelValues(label).Inc()
}

func (m *Metrics) reminded(o reminder.Outcome, r reminder.Reason) {
	m.reminders.WithLabelValues(string(o), string(r)).Inc()
}

func (m *Metrics) late(by time.Duration) { m.lateness.Observe(by.Seconds()) }

func (m *Metrics) jobEnded(job string, took time.Duration, err error) {
	result := "ok"
	if err != nil {
		result = "error"
	}
	m.jobRuns.WithLabelValues(job, result).Inc()
	m.jobTime.WithLabelValues(job).Observe(took.Seconds())
}
