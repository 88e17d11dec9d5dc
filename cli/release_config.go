package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"duewatch/reminder"
	"duewatch/store"
)

// configDiffers is why a daemon waits, and no reminder.
const configDiffers reminder.Reason = "config_differs"

// releaseConfig has daemons that wait work by their config, and those that work wait.
func (sel *selector) releaseConfig(ctx context.Context, s *store.Store) error {
	members, err := s.Members(ctx)
	if err != nil {
		return err
	}
	var waiting []store.Member
	live := false
	for _, m := range members {
		switch {
		case !m.Lives || m.Config == "":
		case m.Decides:
			live = live || m.Mode == string(reminder.ModeLive)
		default:
			waiting = append(waiting, m)
		}
	}
	if len(waiting) == 0 {
		return errors.New("no daemon waits since its config differs")
	}
	for _, m := range waiting {
		switch {
		case m.Config != waiting[0].Config:
			return errors.New("daemons of several configs wait: give all of them the one that is right, and reload or restart them")
		case live && m.Mode != string(reminder.ModeLive):
			return fmt.Errorf("the daemon on %s would text nobody, or not the customers (mode %s), in place of daemons that do: "+
				"stop those first (systemctl stop duewatch), and it works within half a minute", m.Host, m.Mode)
		}
	}
	if !sel.dryRun {
		if err := s.Displace(waiting[0].Config); err != nil {
			return err
		}
	}
	if sel.asJSON {
		return sel.printReleased(string(configDiffers), int64(len(waiting)), time.Time{})
	}
	will := "work now, and the others start again and wait"
	if sel.dryRun {
		will = "would work, and the others would wait"
	}
	_, err = fmt.Fprintf(sel.app.stdout, "%s on %s: %s\n", countOf(len(waiting), "daemon"), hostsOf(waiting), will)
	return err
}

func hostsOf(members []store.Member) string {
	var hosts []string
	for _, m := range members {
		hosts = append(hosts, m.Host)
	}
	slices.Sort(hosts)
	return strings.Join(slices.Compact(hosts), ", ")
}
