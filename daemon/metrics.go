package daemon

import (
	"log/slog"
	"os"
	"runtime"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"duewatch/scheduler"
	"duewatch/web"
)

// registerMetrics registers all series but those of alerts.
func (d *daemon) registerMetrics(log *slog.Logger) {
	d.registry.MustRegister(
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), newBuildInfo(d.Release),
		web.NewStoreMetrics(web.StoreMetrics{
			Store: d.store, Policy: d.defaultPolicy.Load, Now: d.Now, Bills: d.bills.read, Size: d.storeSize, Log: log,
		}),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "duewatch_alive", Help: "1 while each job runs in time and the store can be written, as the daemon last found within a minute.",
		}, func() float64 { return float64(d.lastAlive.Load()) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "duewatch_problems", Help: "How many problems /healthz shows, as the daemon last found within a minute.",
		}, func() float64 { return float64(d.lastProblems.Load()) }),
	)
	d.reloaded = d.newReloadMetrics()
	d.metrics = scheduler.NewMetrics(d.registry)
	d.callbacks = web.NewCallbackMetrics(d.registry)
}

// newBuildInfo tells versions apart in a graph. The version is that of the program and its
// package: what Go writes into a binary is (devel) where it was built without git.
func newBuildInfo(version string) prometheus.Collector {
	g := prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "duewatch_build_info", Help: "1, by the version and the Go that it was built with.",
	}, []string{"version", "goversion"})
	g.WithLabelValues(version, runtime.Version()).Set(1)
	return g
}

// storeSize is how many bytes the files of the store have. A store that is no file of this
// host has none.
func (d *daemon) storeSize() map[string]int64 {
	sizes := map[string]int64{}
	for part, suffix := range map[string]string{"database": "", "log": "-wal"} {
		if info, err := os.Stat(d.storePath + suffix); err == nil {
			sizes[part] = info.Size()
		}
	}
	return sizes
}
