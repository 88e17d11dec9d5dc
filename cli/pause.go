package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"

	"github.com/spf13/cobra"

	"duewatch/config"
	"duewatch/reminder"
	"duewatch/store"
)

func (a *app) pauseCommand() *cobra.Command {
	sel := &selector{app: a}
	var until, reason string
	c := &cobra.Command{
		Use:   "pause [ACCOUNT]",
		Short: "Keep bills silent for a while, or until you resume them",
		Long: `Keeps bills from being texted, from the first moment on: the bill of an
account, or all bills of a phone or of a service. A text that is being handed
over at that moment, or within two seconds, still leaves. Almara Pay is not
asked about a paused bill.

A phone or a service is paused as a whole: bills of it that are registered
later are paused too, until it is resumed. A bill that is paused for longer
already stays so. A service of a million bills takes minutes; none of them is
texted meanwhile, also when the command is interrupted.

--until ends the pause by itself, with the first minute of that day. Then each
bill is asked about again, and of the reminders that were missed the latest is
sent, if it is still of use and something is owed.

Without arguments: lists the services and phones that are paused as a whole.
The paused bills are listed by duewatch bills --state paused.`,
		Example: "  duewatch pause 14200331 --until 2026-12-01 --reason \"meter in dispute\"\n  duewatch pause --service 1042 --dry-run",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if !sel.given(args) && until == "" && reason == "" {
				return a.listPauses(c, sel.asJSON)
			}
			return sel.do(c, args, func(ctx context.Context, cfg *config.Config, s *store.Store, op store.BulkOp) error {
				pause, err := a.pauseOf(cfg, until, reason)
				if err != nil {
					return err
				}
				return sel.pause(ctx, cfg, s, op, pause)
			})
		},
	}
	sel.flags(c, "pause")
	c.Flags().StringVar(&until, "until", "", "the day (YYYY-MM-DD) on which it ends by itself")
	c.Flags().StringVar(&reason, "reason", "", "why, for whoever asks later")
	return c
}

// maxWhy is how long the reason for a pause may be: it stands in the trail of
// each bill.
const maxWhy = 200

// pauseOf reads the flags of a pause.
func (a *app) pauseOf(cfg *config.Config, until, reason string) (p store.Pause, err error) {
	words := "until it is resumed"
	if until != "" {
		day, err := reminder.ParseDate(until)
		if err != nil {
			return p, fmt.Errorf("--until %w (%w)", err, errUsage)
		}
		today := reminder.DateOf(a.now().In(cfg.Zone))
		if !day.After(today) {
			return p, fmt.Errorf("--until %s has come already: write a day after today, %s (%w)", day, today, errUsage)
		}
		p.Until, words = day.At(0, cfg.Zone), "until "+day.String()
	}
	reason = strings.TrimSpace(reason)
	if len(reason) > maxWhy || strings.ContainsFunc(reason, unicode.IsControl) {
		return p, fmt.Errorf("--reason is longer than %d bytes or has a control character in it: write one short line (%w)", maxWhy, errUsage)
	}
	p.Detail = words + ", by " + who()
	if reason != "" {
		p.Detail += ": " + reason
	}
	return p, nil
}

func (sel *selector) pause(ctx context.Context, cfg *config.Config, s *store.Store, op store.BulkOp, p store.Pause) error {
	d := opWords{verb: "pause", doing: "pausing", done: "paused", more: "until you resume", until: p.Until}
	if !p.Until.IsZero() {
		d.more = "until " + sel.app.shortTime(p.Until, cfg.Zone)
	}
	err := sel.carryOut(ctx, cfg, op, d, func(a store.BulkOp) (store.BulkResult, error) { return s.Pause(ctx, a, p) })
	if err != nil || sel.asJSON || op.DryRun || op.Selector.Account != "" {
		return err
	}
	fmt.Fprintln(sel.app.stdout, "bills that are registered later are paused too")
	return nil
}

func (a *app) resumeCommand() *cobra.Command {
	sel := &selector{app: a}
	c := &cobra.Command{
		Use:   "resume [ACCOUNT]",
		Short: "End the pause of bills",
		Long: `Ends the pause of an account's bill, or of all bills of a phone or a service.
Each is asked about again, those of a service spread over six hours, and of the
reminders that were missed the latest is sent, if it is still of use and
something is owed. One account can be resumed while its service stays paused,
once the pause of the service has reached it.`,
		Example: "  duewatch resume 14200331\n  duewatch resume --service 1042",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return sel.do(c, args, func(ctx context.Context, cfg *config.Config, s *store.Store, op store.BulkOp) error {
				d := opWords{verb: "resume", doing: "resuming", done: "resumed"}
				return sel.carryOut(ctx, cfg, op, d, func(a store.BulkOp) (store.BulkResult, error) { return s.Resume(ctx, a, cfg.Policies) })
			})
		},
	}
	sel.flags(c, "resume")
	return c
}

// listPauses lists what is paused as a whole.
func (a *app) listPauses(c *cobra.Command, asJSON bool) (err error) {
	cfg, s, err := a.openReader(c)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	all, err := s.Pauses(c.Context(), a.now())
	if err != nil {
		return err
	}
	if len(all) == 0 && !asJSON {
		fmt.Fprintln(a.stdout, "no service and no phone is paused; duewatch bills --state paused lists bills")
	}
	for _, p := range all {
		what := inWords(store.Selector{Service: p.Service, Phone: p.Phone})
		if asJSON {
			err := json.NewEncoder(a.stdout).Encode(struct {
				Service string    `json:"service,omitempty"`
				Phone   string    `json:"phone,omitempty"`
				Since   time.Time `json:"since"`
				Until   time.Time `json:"until,omitzero"`
				Detail  string    `json:"detail"`
				// It has yet to reach some of its bills, which are not texted meanwhile.
				Unfinished bool `json:"unfinished,omitempty"`
			}{p.Service, p.Phone.String(), utc(p.Since), utc(p.Until), p.Detail, p.Unfinished})
			if err != nil {
				return err
			}
			continue
		}
		unfinished := ""
		if p.Unfinished {
			unfinished = " (it has not reached all bills, which are not texted meanwhile: its command is at work, or type it again)"
		}
		for _, line := range wrap(fmt.Sprintf("%s: paused since %s, %s%s", what, a.shortTime(p.Since, cfg.Zone), p.Detail, unfinished), 79) {
			fmt.Fprintln(a.stdout, line)
		}
	}
	return nil
}
