package web_test

import (
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"duewatch/reminder"
	"duewatch/store"
	"duewatch/web"
)

func TestStoreMetricsOfAStoreThatCannotBeReadAreLeftOut(t *testing.T) {
	t.Parallel()
	s, err := store.Open(t.Context(), filepath.Join(t.TempDir(), "duewatch.db"))
	if err != nil {
		t.Fatal(err)
	}
	var said strings.Builder
	policy := func() *reminder.Policy { return &reminder.Policy{Zone: time.UTC} }
	c := web.NewStoreMetrics(s, policy, time.Now, slog.New(slog.NewTextHandler(&said, nil)))
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(c, prometheus.NewCounter(prometheus.CounterOpts{Name: "duewatch_other_total", Help: "Another."}))
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			got[f.GetName()] = m.GetGauge().GetValue()
		}
	}
	want := map[string]float64{"duewatch_store_lost": 0, "duewatch_oldest_text_in_doubt_seconds": 0, "duewatch_texts_in_doubt": 0,
		"duewatch_segments_this_month": 0, "duewatch_texts_today": 0, "duewatch_other_total": 0}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("series (-want +got):\n%s", diff)
	}

	// A store that cannot be read takes its own series away, but for the one that says
	// whether it is there, is logged, and leaves all others.
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	families, err = registry.Gather()
	if err != nil || len(families) != 2 || families[0].GetName() != "duewatch_other_total" {
		t.Errorf("without a store the series are %v, %v", families, err)
	}
	for _, want := range []string{"what holds texts", "the held reminders", "the texts in doubt"} {
		if !strings.Contains(said.String(), want+" cannot be counted") {
			t.Errorf("the log does not name %s: %q", want, said.String())
		}
	}
}
