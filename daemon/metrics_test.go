package daemon

import (
	"math"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"duewatch/store"
)

// series are all series of the registry, each as its name and its labels.
func (w *watched) series() map[string]bool {
	w.t.Helper()
	families, err := w.d.registry.Gather()
	w.must(err)
	all := map[string]bool{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			name := f.GetName()
			for _, l := range m.GetLabel() {
				name += " " + l.GetName() + "=" + l.GetValue()
			}
			all[name] = true
		}
	}
	return all
}

// A series that appears with its first event is no increase to Prometheus: the first
// failure would raise no alarm.
func TestEverySeriesIsThereBeforeAnythingHappens(t *testing.T) {
	w := newWatched(t, filepath.Join(t.TempDir(), "x.db"))
	before := w.series()
	if _, err := w.d.store.Declare(store.SourceConfig, w.cfg.Bills, w.now); err != nil {
		t.Fatal(err)
	}
	for _, job := range []string{"register", "remind", "receipts", "recheck", "housekeeping"} {
		w.must(w.s.Pass(t.Context(), job))
	}
	w.pass(2)
	var appeared []string
	for name := range w.series() {
		if !before[name] && !strings.HasPrefix(name, "duewatch_job_last_success_timestamp_seconds ") {
			appeared = append(appeared, name)
		}
	}
	if diff := cmp.Diff([]string(nil), appeared); diff != "" {
		t.Errorf("series that were not there before:\n%s", diff)
	}
	for _, name := range []string{
		"duewatch_alive", "duewatch_problems", "duewatch_bills state=active", "duewatch_store_bytes part=database", "duewatch_segments_total",
		"duewatch_cost_forecast_total currency=KES", "duewatch_undelivered_total code=30007", "duewatch_undelivered_total code=other",
		"duewatch_reminders_total outcome=held reason=in_doubt", "duewatch_job_runs_total job_name=remind result=error",
		"duewatch_api_calls_total api=twilio operation=send outcome=unknown", "duewatch_api_calls_total api=almara operation=token outcome=stop",
		"duewatch_config_reloads_total result=error", "duewatch_heartbeats_total result=error",
		"duewatch_alerts_total result=error to=generic+" + w.url,
	} {
		if !before[name] {
			t.Errorf("there is no %s", name)
		}
	}
	if !strings.Contains(strings.Join(keysOf(before), "\n"), "duewatch_build_info goversion=go") {
		t.Error("there is no duewatch_build_info")
	}
}

// The counters of segments and of cost count what the report does.
func TestSegmentsAndCostAreCounted(t *testing.T) {
	w := newWatched(t, filepath.Join(t.TempDir(), "x.db"))
	if _, err := w.d.store.Declare(store.SourceConfig, w.cfg.Bills, w.now); err != nil {
		t.Fatal(err)
	}
	for _, job := range []string{"register", "remind"} {
		w.must(w.s.Pass(t.Context(), job))
	}
	segments := 0
	w.must(w.d.store.ReportTexts(t.Context(), store.Period{Until: w.now.Add(time.Hour)}, func(c store.TextCount) error {
		segments += c.Segments
		return nil
	}))
	families, err := w.d.registry.Gather()
	w.must(err)
	counted := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			counted[f.GetName()] += m.GetCounter().GetValue()
		}
	}
	n, cost := counted["duewatch_segments_total"], counted["duewatch_cost_forecast_total"]
	if segments == 0 || n != float64(segments) || math.Abs(cost-0.8*n) > 1e-6 {
		t.Errorf("%v segments and a cost of %v were counted, want %d", n, cost, segments)
	}
}

func keysOf(m map[string]bool) (keys []string) {
	for k := range m {
		keys = append(keys, k)
	}
	return keys
}
