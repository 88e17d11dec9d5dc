package daemon

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"duewatch/config"
	"duewatch/reminder"
	"duewatch/web"
)

// checkHolidays is how often the daemon asks whether its holidays still reach:
// soon after a clock that was wrong at the start is set right.
const checkHolidays = time.Minute

// awaitReload returns the config to go on with, or nil when ctx ends. That is
//
//   - after a SIGHUP, the config as it is then, if all of it can be used;
//   - when the operator has released a list that had shrunk, the same config, whose
//     lists are then declared;
//   - when the window of holidays has to move on, the config with the later one. No
//     list is declared then: one that is held stays held, whatever the operator
//     releases meanwhile.
func (d *daemon) awaitReload(ctx context.Context, cfg *config.Config, log *slog.Logger, hangup <-chan os.Signal) *config.Config {
	holidays := time.NewTicker(checkHolidays)
	defer holidays.Stop()
	var releases <-chan time.Time // never, when no list is held
	if len(d.heldLists) > 0 {
		every := time.NewTicker(checkReleases)
		defer every.Stop()
		releases = every.C
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-releases:
			if d.takeReleasedLists(ctx, cfg, log) {
				return cfg
			}
		case <-holidays.C:
			next, err := d.moveHolidays(cfg, log)
			if err != nil {
				log.Error("the holidays cannot be followed further: leave out events of past years, and reload", "err", err)
				holidays.Stop()
			}
			if next != nil {
				return next
			}
		case <-hangup:
			next, err := d.reload(ctx, cfg, log)
			if ctx.Err() != nil {
				return nil
			}
			d.reloaded.WithLabelValues(resultOf(err)).Inc()
			if err == nil {
				d.refusedReload.Store(nil)
				d.refusedList.Store(nil) // the reload has read it, too
				log.Info("the config was read again")
				return next
			}
			d.refusedReload.Store(new(oneLine(err)))
			log.Error("the new config cannot be used, so the old one stays in use", "err", err)
		}
	}
}

// newReloadMetrics registers how reloads went. A reload that is refused is not seen where
// it was asked for, since systemctl reload only sends a signal.
func (d *daemon) newReloadMetrics() *prometheus.CounterVec {
	reloaded := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "duewatch_config_reloads_total", Help: "Reloads that were asked for, by whether the config was taken.",
	}, []string{"result"})
	for _, result := range results {
		reloaded.WithLabelValues(result)
	}
	d.registry.MustRegister(reloaded, prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "duewatch_config_last_reload_successful", Help: "0 when the last reload was refused, so that the config before it is in use.",
	}, func() float64 {
		if d.refusedReload.Load() != nil {
			return 0
		}
		return 1
	}))
	return reloaded
}

// moveHolidays returns the config with the holidays of a window that has moved on, or nil
// while the present one reaches. It leaves the declared lists alone.
func (d *daemon) moveHolidays(cfg *config.Config, log *slog.Logger) (*config.Config, error) {
	today := reminder.DateOf(d.Now().In(cfg.Zone))
	if cfg.HolidaysReach(today) {
		return nil, nil //nolint:nilnil // the present config stays
	}
	next, err := cfg.HolidaysAbout(today)
	if err != nil {
		return nil, err
	}
	log.Info("the holidays are followed further", "from", today.String())
	return next, nil
}

// reload reads the config again and tries all of it that can be tried while the
// old one is in use.
func (d *daemon) reload(ctx context.Context, cfg *config.Config, log *slog.Logger) (*config.Config, error) {
	next, err := LoadConfig(d.ConfigPath, d.standIns != nil, d.Now)
	if err != nil {
		return nil, err
	}
	if d.standIns != nil {
		d.standIns.ReplaceIn(next)
	}
	if next.StoreAddress() != cfg.StoreAddress() {
		return nil, errors.New("store and its password cannot change while the daemon runs: restart it")
	}
	if _, err := d.buildScheduler(next, log); err != nil {
		return nil, err
	}
	if next.Web.Listen != cfg.Web.Listen {
		if err := tryListener(new(net.ListenConfig).Listen(ctx, "tcp", next.Web.Listen)); err != nil {
			return nil, web.ListenError(err)
		}
	}
	if next.Web.PublicURL != "" && (cfg.Web.PublicURL == "" || next.Web.CallbacksListen != cfg.Web.CallbacksListen) {
		if err := tryListener(web.ListenForCallbacks(ctx, web.CallbackConfig{Listen: next.Web.CallbacksListen})); err != nil {
			return nil, err
		}
	}
	if d.billsFile, err = d.readBillsFile(ctx, next, log); err != nil {
		return nil, err
	}
	return next, nil
}

// tryListener closes a listener that was only to show that it can be opened.
func tryListener(l net.Listener, err error) error {
	if err != nil {
		return err
	}
	return l.Close()
}

// oneLine is an error in one line, for a sentence.
func oneLine(err error) string { return oneLineText(err.Error()) }

func oneLineText(s string) string { return strings.ReplaceAll(s, "\n", "; ") }
