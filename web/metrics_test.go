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
	c := web.NewStoreMetrics(web.StoreMetrics{
		Store: s, Policy: policy, Now: time.Now, Log: slog.New(slog.NewTextHandler(&said, nil)), Bills: s.BillsByState,
		Size: func() map[string]int64 { return map[string]int64{"database": 4096} },
	})
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(c, prometheus.NewCounter(prometheus.CounterOpts{Name: "duewatch_other_total", Help: "Another."}))
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	// Every reason is there from 0 on, and so is every state.
	got := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			name := f.GetName()
			for _, l := range m.GetLabel() {
				name += " " + l.GetValue()
			}
			got[name] = m.GetGauge().GetValue()
		}
	}
	want := map[string]float64{"duewatch_oldest_text_in_doubt_seconds": 0, "duewatch_texts_in_doubt": 0,
		"duewatch_segments_this_month": 0, "duewatch_texts_today": 0, "duewatch_other_total": 0, "duewatch_store_bytes database": 4096, "duewatch_store_lost": 0,
		"duewatch_daemons works": 1, "duewatch_daemons aside": 0, "duewatch_daemons waits": 0, "duewatch_leads": 1}
	for _, state := range store.BillStates {
		want["duewatch_bills "+string(state)] = 0
	}
	for _, r := range reminder.Reasons {
		if r.Outcome == reminder.Held {
			want["duewatch_reminders_held "+string(r.Reason)] = 0
		}
		if strings.HasPrefix(r.Means, "sending is stopped") || strings.Contains(r.Means, "guards.m") || strings.HasPrefix(r.Means, "far more texts") {
			want["duewatch_sending_stopped "+string(r.Reason)] = 0
		}
	}
	for _, r := range []reminder.Reason{reminder.Throttled, reminder.ProviderUnreachable, reminder.RefusalUnclear} { // also of single reminders
		want["duewatch_sending_stopped "+string(r)] = 0
	}
	for _, w := range reminder.Warnings {
		want["duewatch_warning "+string(w.Reason)] = 0
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("series (-want +got):\n%s", diff)
	}

	// A store that cannot be read takes its own series away, but for the one that says
	// whether it is there, is logged, and leaves all others.
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	families, err = registry.Gather()
	var left []string
	for _, f := range families {
		left = append(left, f.GetName())
	}
	if diff := cmp.Diff([]string{"duewatch_daemons", "duewatch_leads", "duewatch_other_total", "duewatch_store_bytes", "duewatch_store_lost"}, left); err != nil || diff != "" {
		t.Errorf("without a store the series are %v, %v", families, err)
	}
	for _, want := range []string{"what holds texts", "the held reminders", "the texts in doubt", "the bills"} {
		if !strings.Contains(said.String(), want+" cannot be counted") {
			t.Errorf("the log does not name %s: %q", want, said.String())
		}
	}
}
