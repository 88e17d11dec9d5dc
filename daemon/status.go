package daemon

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"time"

	"duewatch/config"
	"duewatch/reminder"
	"duewatch/store"
)

// sendStatus has `systemctl status` show in one line how the daemon is doing.
func (d *daemon) sendStatus(ctx context.Context, cfg *config.Config, problems []Problem, log *slog.Logger) {
	if os.Getenv("NOTIFY_SOCKET") == "" {
		return // nobody would read it
	}
	status, err := d.status(ctx, cfg, problems)
	if ctx.Err() != nil {
		return // what comes now is the status of an end
	}
	if err != nil {
		status = oneLine(err)
	}
	notifySystemd(log, "STATUS="+status)
}

// status is such as "mode live; 49997 bills, 12 pending, 3 rejected; next reminder due
// 30 Nov 09:00; stopped: account_fault".
func (d *daemon) status(ctx context.Context, cfg *config.Config, problems []Problem) (string, error) {
	parts, err := d.standing(ctx, cfg)
	if err != nil {
		return "", err
	}
	var stopped []string
	others := 0
	for _, p := range problems {
		kind, reason, _ := strings.Cut(p.Key, ":")
		if kind == "stop" || kind == "guard" {
			stopped = append(stopped, reason)
		} else {
			others++
		}
	}
	if len(stopped) > 0 {
		parts = append(parts, "stopped: "+strings.Join(stopped, ", "))
	}
	if others > 0 {
		what := CountOf(others, "problem")
		if len(stopped) > 0 {
			what = CountOf(others, "other problem")
		}
		parts = append(parts, what+": duewatch doctor")
	}
	return strings.Join(parts, "; "), nil
}

// standing is how far texts may go, how many bills are watched, and what comes next.
func (d *daemon) standing(ctx context.Context, cfg *config.Config) ([]string, error) {
	bills, err := d.bills.read(ctx)
	if err != nil {
		return nil, err
	}
	due, err := d.store.NextDue(ctx)
	if err != nil {
		return nil, err
	}
	now := d.Now()
	mode := "mode " + string(cfg.Delivery.Mode)
	if d.standIns != nil {
		mode = "sandbox, nobody is texted"
	}
	watched := CountOf(bills[reminder.BillActive], "bill")
	for _, state := range []reminder.BillState{reminder.BillPending, reminder.BillPaused, reminder.BillRejected} {
		if n := bills[state]; n > 0 {
			watched += fmt.Sprintf(", %d %s", n, state)
		}
	}
	next := "no reminder planned"
	switch at := due["remind"]; {
	case at.IsZero():
	case at.After(now):
		next = "next reminder due " + ShortTime(at, now, cfg.Zone)
	default:
		next = "reminders due now"
	}
	return []string{mode, watched, next}, nil
}

// countShare is the part of the time that may go into counting bills: a count takes a
// second for ten million that are pending, and next to nothing else.
const countShare = 100

// billCounts keeps how many bills there are in each state.
type billCounts struct {
	store *store.Store

	mu     sync.Mutex
	counts map[reminder.BillState]int
	until  time.Time // they are good enough
}

// read returns the counts, counted anew when they are old.
func (c *billCounts) read(ctx context.Context) (map[reminder.BillState]int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	began := time.Now()
	if c.counts != nil && began.Before(c.until) {
		return c.counts, nil
	}
	counts, err := c.store.BillsByState(ctx)
	if err == nil {
		c.counts, c.until = counts, time.Now().Add(countShare*time.Since(began))
	}
	return counts, err
}
