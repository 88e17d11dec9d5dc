package cli

import (
	"context"
	"strings"
	"sync"

	"duewatch/alerts"
	"duewatch/daemon"
)

// alerts says who is told of problems, and with --alerts sends each a test.
func (d *doctor) alerts(ctx context.Context) []finding {
	const part = "alerts"
	all, err := daemon.Destinations(d.cfg.Alerts)
	if err != nil {
		return found(levelFix, part, "%s", reason(err))
	}
	var out findings
	heartbeat := d.cfg.Alerts.HeartbeatURL.Reveal()
	if len(all) == 0 {
		out.add(levelNote, part, "nobody is told of a problem: name service URLs in alerts.urls")
	}
	if heartbeat == "" {
		out.add(levelNote, part, "nobody notices a host that is down: name a URL in alerts.heartbeat_url")
	}
	if !d.testAlerts {
		if len(all) > 0 {
			names := make([]string, len(all))
			for i, a := range all {
				names[i] = a.Name()
			}
			out.add(levelNote, part, "problems are told to %s; duewatch doctor --alerts sends a test", strings.Join(names, ", "))
		}
		return out
	}
	if heartbeat != "" {
		out = append(out, testHeartbeat(ctx, heartbeat)...)
	}
	return append(out, testAlerts(ctx, all, daemon.Speaker(d.sandboxed))...)
}

func testHeartbeat(ctx context.Context, url string) findings {
	const part = "heartbeat"
	h, err := alerts.NewHeartbeat(url)
	if err != nil {
		return found(levelFix, part, "alerts.heartbeat_url %v", err)
	}
	if err := h.Beat(ctx); err != nil {
		return found(levelFix, part, "%s was not taken: %v: check alerts.heartbeat_url, and whether this host may reach it", h.Name(), err)
	}
	return found(levelOK, part, "%s was taken", h.Name())
}

// testAlerts sends a test to all at the same time.
func testAlerts(ctx context.Context, all []*alerts.Destination, who string) findings {
	const part = "alerts"
	errs := make([]error, len(all))
	var sending sync.WaitGroup
	for i, a := range all {
		sending.Go(func() {
			errs[i] = a.Send(ctx, alerts.Message{
				Title: who + ": test",
				Body:  "This is a test by duewatch doctor --alerts. Problems and the daily report will come here.",
			})
		})
	}
	sending.Wait()
	var out findings
	for i, a := range all {
		if err := errs[i]; err != nil {
			out.add(levelFix, part, "%s did not take a test: %v: check its line in alert_urls or alerts.urls", a.Name(), err)
		} else {
			out.add(levelOK, part, "%s took a test: look whether it has arrived", a.Name())
		}
	}
	return out
}
