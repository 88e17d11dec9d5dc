package cli

import (
	"context"
	"fmt"
	"slices"
	"time"

	"duewatch/config"
	"duewatch/daemon"
	"duewatch/reminder"
	"duewatch/store"
)

// isWarning reports whether the reason is one of reminder.Warnings.
func isWarning(reason reminder.Reason) bool {
	return slices.ContainsFunc(reminder.Warnings, func(w reminder.ReasonInfo) bool { return w.Reason == reason })
}

// releaseWarning ends a warning, and says what goes on by that.
func (sel *selector) releaseWarning(ctx context.Context, cfg *config.Config, s *store.Store, reason reminder.Reason) (err error) {
	var lists []store.ShrunkList
	if reason == reminder.ListShrank {
		if lists, err = s.ShrunkLists(ctx); err != nil {
			return err
		}
	}
	var released int64
	if sel.dryRun {
		released, err = s.Release(ctx, store.BulkOp{DryRun: true}, reason)
	} else {
		released, err = s.ReleaseAll(ctx, cfg.Policies.Default, sel.app.now(), reason, who(), nil)
	}
	switch {
	case err != nil:
		return releaseCut(ctx, err, released)
	case sel.asJSON:
		return sel.printReleased(string(reason), released, time.Time{})
	}
	waits := false
	for _, l := range lists {
		if l.Agreed {
			continue
		}
		waits = true
		goes := "the daemon takes that list within seconds, or at its next start"
		if sel.dryRun {
			goes = "they would be removed"
		}
		fmt.Fprintf(sel.app.stdout, "%s: %d of the %d bills of %s are no longer named by it; %s\n",
			reason, l.Missing, l.Total, daemon.ListName(l.Source), goes)
	}
	switch {
	case reason == reminder.ListShrank && !waits:
		fmt.Fprintf(sel.app.stdout, "%s: no list waits for you\n", reason)
	case released > 0:
		return sel.printReleased(string(reason), released, time.Time{})
	case reason != reminder.ListShrank && !sel.dryRun:
		fmt.Fprintf(sel.app.stdout, "%s: the warning is over; no reminder was waiting for it\n", reason)
	case !waits:
		return sel.printReleased(string(reason), released, time.Time{})
	}
	return nil
}
