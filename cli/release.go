package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"duewatch/config"
	"duewatch/daemon"
	"duewatch/reminder"
	"duewatch/scheduler"
	"duewatch/store"
)

// releasable are the reasons for which a reminder waits for the operator.
var releasable = []reminder.Reason{
	reminder.InDoubt, reminder.ImplausibleBalance, reminder.DailyLimit, reminder.Surge, reminder.MonthlyBudget, reminder.FailureRate,
	reminder.AccountFault, reminder.CopiedStore, reminder.StoreWentBack, reminder.SenderChanged, reminder.ClockUnsure,
	reminder.MassRejected,
	reminder.Throttled, reminder.ProviderUnreachable, reminder.RefusalUnclear, reminder.NotOnAllowlist, reminder.DestinationRefused,
	reminder.ListShrank, reminder.MassPaid, reminder.UnreadableAnswers, reminder.NobodyAnswered, configDiffers,
}

func (a *app) releaseCommand() *cobra.Command {
	sel := &selector{app: a}
	var reason string
	c := &cobra.Command{
		Use:   "release [ACCOUNT]",
		Short: "Release what is held until you have checked it",
		Long: `Without arguments: lists why texts are held or sending is stopped, and changes
nothing. With an account, --phone, --service, or a reason for all bills, it
releases what is held: each reminder is decided again, and sent if it is still
useful and something is still owed. Single bills, phones and services are
released from in_doubt and implausible_balance; the rest is released for all
bills at once.

  in_doubt             nobody knows whether the text was sent: check the
                       provider's message log for the phone first
  implausible_balance  far more is owed than ever before: ask the biller first
  daily_limit, surge, monthly_budget, failure_rate
                       a guard of the config; released, it is back with the
                       next day (monthly_budget: the next month)
  account_fault        the provider refused the account, and it is mended. When
                       it took texts and failed them later, for the account
                       or the sender, this never ends by itself
  destination_refused  the provider refused some phones or countries, and that
                       is mended: they are tried at once
  throttled, provider_unreachable, refusal_unclear, not_on_allowlist
                       they end by themselves; released, texts leave at once
  copied_store         the provider has texts that this store does not know;
                       make sure that no other duewatch runs on this account
  store_went_back      the database has lost commits that it had confirmed: make
                       sure that no other server of it is written to, and
                       enter again what was entered last, such as opt-outs
  sender_changed       the store belongs to this account, sender and mode now
  clock                the clock of this machine is right, whatever others say,
                       until it is set or the machine starts again
  mass_rejected        Almara Pay rejected many bills that it had accepted: they
                       are registered again
  list_shrank          bills or bills_file lost many bills at once, and rightly:
                       they are removed
  config_differs       of several daemons on one database, some wait since their
                       config is another: they work now, and the others wait
  mass_paid            that many have really paid: their payments count, and
                       their reminders end as paid
  unreadable_answers, nobody_answered
                       you have checked: no warning until there are as many anew`,
		Example: `  duewatch release
  duewatch release 14200331
  duewatch release --service 1042 --reason implausible_balance
  duewatch release --reason surge`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) (err error) {
			of := reminder.Reason(reason)
			switch {
			case reason != "" && !slices.Contains(releasable, of):
				return fmt.Errorf("--reason %q is none that waits for you: write one of %v (%w)", reason, releasable, errUsage)
			case reason != "" && sel.given(args) && !slices.Contains(store.OfOneBill, of):
				return fmt.Errorf("what is held as %s is released for all bills at once: give --reason alone (%w)", reason, errUsage)
			case reason == "" && !sel.given(args):
				return a.listHeld(c, sel.asJSON)
			}
			if !sel.given(args) {
				cfg, s, err := sel.open(c)
				if err != nil {
					return err
				}
				defer func() { err = errors.Join(err, s.Close()) }()
				return sel.releaseReason(c.Context(), cfg, s, of)
			}
			reasons := store.OfOneBill
			if reason != "" {
				reasons = []reminder.Reason{of}
			}
			return sel.do(c, args, func(ctx context.Context, _ *config.Config, s *store.Store, op store.BulkOp) error {
				return sel.release(ctx, s, op, reasons)
			})
		},
	}
	sel.flags(c, "release")
	c.Flags().StringVar(&reason, "reason", "", "release only what is held for this")
	return c
}

// release releases what is held of single bills, phones or services.
func (sel *selector) release(ctx context.Context, s *store.Store, op store.BulkOp, reasons []reminder.Reason) error {
	released, err := s.Release(ctx, op, reasons...)
	switch {
	case err != nil:
		return releaseCut(ctx, err, released)
	case released == 0 && op.Selector.Account != "":
		return fmt.Errorf("nothing of account %[1]s is held as %[2]s: duewatch explain %[1]s says how it stands",
			op.Selector.Account, orWords(reasons))
	case released == 0:
		return fmt.Errorf("nothing of %s is held as %s: duewatch release lists what is held", inWords(op.Selector), orWords(reasons))
	}
	return sel.printReleased(inWords(op.Selector), released, time.Time{})
}

func (sel *selector) releaseReason(ctx context.Context, cfg *config.Config, s *store.Store, reason reminder.Reason) error {
	if isWarning(reason) {
		return sel.releaseWarning(ctx, cfg, s, reason)
	}
	if reason == configDiffers {
		return sel.releaseConfig(ctx, s)
	}
	if reason == reminder.MassRejected && !sel.asJSON {
		n, err := s.Rejections(ctx)
		if err != nil {
			return err
		}
		fmt.Fprintf(sel.app.stdout, "bills that Almara Pay is asked to register again: %d\n", n)
	}
	if sel.dryRun {
		n, err := s.Release(ctx, store.BulkOp{DryRun: true}, reason)
		if err != nil {
			return err
		}
		return sel.printReleased(string(reason), n, time.Time{})
	}
	var remember map[string]string
	switch reason {
	case reminder.SenderChanged:
		remember = scheduler.RememberSender(daemon.Sender(cfg))
	case reminder.ClockUnsure:
		remember = scheduler.RememberClock(sel.app.now(), scheduler.Uptime())
	default:
	}
	released, err := s.ReleaseAll(ctx, cfg.Policies.Default, sel.app.now(), reason, who(), remember)
	if err != nil {
		return releaseCut(ctx, err, released)
	}
	until := cfg.Policies.Default.OverriddenUntil(reason, sel.app.now())
	if err := sel.printReleased(string(reason), released, until); err != nil || until.IsZero() || sel.asJSON {
		return err
	}
	fmt.Fprintf(sel.app.stdout, "the guard is back at %s\n", sel.app.shortTime(until, cfg.Zone))
	return nil
}

// releaseCut says of a release that ended early what it left behind.
func releaseCut(ctx context.Context, err error, released int64) error {
	if released > 0 && ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return fmt.Errorf("interrupted after %s: the same command goes on from there", countOf(int(released), "reminder"))
	}
	return err
}

func (sel *selector) printReleased(what string, reminders int64, until time.Time) error {
	switch {
	case sel.asJSON:
		return json.NewEncoder(sel.app.stdout).Encode(struct {
			Act       string    `json:"act"`
			Written   bool      `json:"written"`
			Reminders int64     `json:"reminders"`
			Until     time.Time `json:"guard_lifted_until,omitzero"`
		}{"release", !sel.dryRun, reminders, utc(until)})
	case sel.dryRun:
		fmt.Fprintf(sel.app.stdout, "%s: %s would be released\n", what, countOf(int(reminders), "reminder"))
	case reminders == 0: // it was a stop, or nothing is held for it yet
		fmt.Fprintf(sel.app.stdout, "%s: no longer holds texts back; no reminder was waiting for it\n", what)
	default:
		fmt.Fprintf(sel.app.stdout, "%s: %s released; the daemon decides on them within seconds\n", what, countOf(int(reminders), "reminder"))
	}
	return nil
}

// listHeld lists what is held, and why.
func (a *app) listHeld(c *cobra.Command, asJSON bool) (err error) {
	cfg, s, err := a.openReader(c)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	ctx := c.Context()
	blockers, err := s.Blockers(ctx, cfg.Policies.Default, a.now())
	if err != nil {
		return err
	}
	stops, warnings := blockers.Stops, blockers.Warnings
	held, err := s.Held(ctx)
	if err != nil {
		return err
	}
	problems := a.problems(cfg, s)
	refusedBills, err := problems.RefusedBills(ctx)
	if err != nil {
		return err
	}
	atProvider, err := problems.Provider(ctx, cfg.Notifier.ReconcileAfter, cfg.Policies.Name)
	if err != nil {
		return err
	}
	refused, provider := daemon.Sentences(refusedBills), daemon.Sentences(atProvider)
	if asJSON {
		return json.NewEncoder(a.stdout).Encode(heldJSON(stops, warnings, held, provider))
	}
	look := styleOf(a.stdout)
	for _, stop := range stops {
		fmt.Fprintln(a.stdout, look.marked(red, "sending is stopped since "+a.shortTime(stop.Since, cfg.Zone)+":"))
		for _, line := range wrap(problems.Stop(stop), 76) {
			fmt.Fprintf(a.stdout, "  %s\n", line)
		}
		if stop.Reason == reminder.CopiedStore || stop.Reason == reminder.StoreWentBack {
			if err := a.printForeign(ctx, cfg, s); err != nil {
				return err
			}
		}
	}
	for _, w := range warnings {
		lines := wrap(problems.Warning(w), 78)
		fmt.Fprintln(a.stdout, look.marked(yellow, lines[0]))
		for _, line := range lines[1:] {
			fmt.Fprintln(a.stdout, look.paint(yellow, line))
		}
	}
	for _, sentence := range slices.Concat(refused, provider) {
		for _, line := range wrap(sentence, 78) {
			fmt.Fprintln(a.stdout, line)
		}
	}
	if len(held)+len(stops)+len(warnings)+len(refused)+len(provider) == 0 {
		fmt.Fprintln(a.stdout, look.marked(green, "nothing is held"))
		return nil
	}
	if len(held) == 0 {
		return nil
	}
	if len(stops)+len(warnings)+len(refused)+len(provider) > 0 {
		fmt.Fprintln(a.stdout)
	}
	out := newTable(a.stdout, 2, "REASON", "HELD", "GOES ON").numbers(1)
	out.paint = func(column int, _ string) colour { return map[int]colour{0: yellow}[column] }
	sum := 0
	for _, h := range held {
		sum += h.Count
		if err := out.row(string(h.Reason), strconv.Itoa(h.Count), daemon.GoesOn(h.Reason)); err != nil {
			return err
		}
	}
	if err := out.flush(); err != nil {
		return err
	}
	fmt.Fprintln(a.stdout, countOf(sum, "reminder"), "held")
	return nil
}

// heldJSON is what waits, for programs.
func heldJSON(stops []store.Stopped, warnings []store.Warning, held []store.HeldCount, provider []string) any {
	type warning struct {
		Reason reminder.Reason `json:"reason"`
		Since  time.Time       `json:"since"`
		Detail string          `json:"detail"`
	}
	type stop struct {
		Reason reminder.Reason `json:"reason"`
		Since  time.Time       `json:"since"`
		Until  time.Time       `json:"until,omitzero"`
		Detail string          `json:"detail"`
	}
	out := struct {
		Stops    []stop                  `json:"stops"`
		Warnings []warning               `json:"warnings"`
		Held     map[reminder.Reason]int `json:"held"`
		Provider []string                `json:"provider,omitempty"` // what it refuses, and does not settle
	}{[]stop{}, []warning{}, make(map[reminder.Reason]int, len(held)), provider}
	for _, s := range stops {
		out.Stops = append(out.Stops, stop{s.Reason, utc(s.Since), utc(s.Until), s.Detail})
	}
	for _, w := range warnings {
		out.Warnings = append(out.Warnings, warning{w.Reason, utc(w.Since), w.Detail})
	}
	for _, h := range held {
		out.Held[h.Reason] = h.Count
	}
	return out
}

// maxForeign is how many of them are listed.
const maxForeign = 20

func (a *app) printForeign(ctx context.Context, cfg *config.Config, s *store.Store) error {
	messages, more, err := s.ForeignMessages(ctx, maxForeign)
	if err != nil || len(messages) == 0 {
		return err
	}
	fmt.Fprintln(a.stdout)
	out := newTable(a.stdout, 1, "SENT", "SERVICE", "ACCOUNT", "AT THE PROVIDER")
	for _, x := range messages {
		if err := out.row(a.shortTime(x.At, cfg.Zone), cfg.Policies.Name(x.Service), x.Account, x.ProviderID); err != nil {
			return err
		}
	}
	if err := out.flush(); err != nil {
		return err
	}
	if more > 0 {
		fmt.Fprintf(a.stdout, "and %d more\n", more)
	}
	return nil
}

func orWords(reasons []reminder.Reason) string {
	words := make([]string, len(reasons))
	for i, r := range reasons {
		words[i] = string(r)
	}
	return strings.Join(words, " or ")
}
