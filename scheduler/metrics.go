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
	m := &Metrics{
		texts:     prometheus.NewCounterVec(prometheus.CounterOpts{Name: "duewatch_texts_total", Help: "Texts that reached a state."}, []string{"state"}),
		reminders: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "duewatch_reminders_total", Help: "Reminders by what became of them, and why."}, []string{"outcome", "reason"}),
		jobRuns:   prometheus.NewCounterVec(prometheus.CounterOpts{Name: "duewatch_job_runs_total", Help: "Passes of each job."}, []string{"job", "result"}),
		jobTime: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "duewatch_job_seconds", Help: "How long a pass took.",
			Buckets: []float64{.001, .01, .1, 1, 10, 60, 600, 3600}}, []string{"job"}),
		calls: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "duewatch_api_calls_total", Help: "Calls to Almara Pay and the provider by outcome."}, []string{"api", "operation", "outcome"}),
		callTime: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "duewatch_api_call_seconds", Help: "How long a call took.",
			Buckets: []float64{.005, .02, .1, .5, 2, 10, 35}}, []string{"api", "operation"}),
		lateness: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "duewatch_text_late_seconds", Help: "How long after its planned hour a text was accepted.",
			Buckets: []float64{1, 10, 60, 300, 900, 3600, 4 * 3600, 24 * 3600, 72 * 3600}}),
	}
	m.failures = prometheus.NewCounterVec(prometheus.CounterOpts{Name: "duewatch_undelivered_total", Help: "Texts that were taken and not delivered, by the provider's code."}, []string{"code"})
	r.MustRegister(m.failures, m.texts, m.reminders, m.jobRuns, m.jobTime, m.calls, m.callTime, m.lateness)
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
