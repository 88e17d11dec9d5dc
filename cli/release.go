package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"duewatch/config"
	"duewatch/reminder"
	"duewatch/scheduler"
	"duewatch/store"
)

// releasable are the reasons for which a reminder waits for the operator.
var releasable = []reminder.Reason{
	reminder.InDoubt, reminder.ImplausibleBalance, reminder.DailyLimit, reminder.Surge, reminder.MonthlyBudget, reminder.FailureRate,
	reminder.AccountFault, reminder.CopiedStore, reminder.SenderChanged,
}

func (a *app) releaseCommand() *cobra.Command {
	var reason string
	c := &cobra.Command{
		Use:   "release [ACCOUNT]",
		Short: "Let go what is held until you have looked",
		Long: `Without arguments: lists why texts are held or sending is stopped, and changes
nothing. With an account, or with a reason for all bills, it lets go what is
held: each reminder is decided again, and sent if it is still useful and
something is still owed.

  in_doubt             nobody can tell whether the text was sent: look at the
                       provider's message log for the phone first
  implausible_balance  far more is owed than ever before: ask the biller first
  daily_limit, surge, monthly_budget, failure_rate
                       a guard of the config; released, it is back with the
                       next day (monthly_budget: the next month)
  account_fault        the provider refused the account, and it is mended
  copied_store         the provider has texts that this store does not know;
                       make sure that no other duewatch runs on this account
  sender_changed       the store belongs to this account, sender and mode now`,
		Example: "  duewatch release\n  duewatch release 14200331\n  duewatch release --reason surge",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) (err error) {
			switch {
			case reason != "" && len(args) > 0:
				return fmt.Errorf("give an account or --reason, not both (%w)", errUsage)
			case reason != "" && !slices.Contains(releasable, reminder.Reason(reason)):
				return fmt.Errorf("--reason %q is none that waits for you: write one of %v (%w)", reason, releasable, errUsage)
			case reason == "" && len(args) == 0:
				return a.tellHeld(c)
			}
			cfg, s, err := a.openWriter(c)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, s.Close()) }()
			if reason != "" {
				return a.releaseReason(c.Context(), cfg, s, reminder.Reason(reason))
			}
			return a.releaseAccount(c.Context(), s, args[0])
		},
	}
	c.Flags().StringVar(&reason, "reason", "", "let go what is held for this, of all bills")
	return c
}

func (a *app) releaseAccount(ctx context.Context, s *store.Store, account string) error {
	released := int64(0)
	err := s.Bills(ctx, store.BillFilter{Account: account}, func(w store.Watched) error {
		n, err := s.Release(ctx, a.now(), w.ID, who())
		released += n
		return err //nolint:wrapcheck // says all
	})
	if err != nil {
		return err //nolint:wrapcheck // says all
	}
	if released == 0 {
		return fmt.Errorf("nothing of account %s is held as %s: duewatch explain %s says how it stands", account, orWords(store.OfOneBill), account)
	}
	fmt.Fprintf(a.stdout, "%d reminder(s) of account %s released; the daemon looks at them within a minute\n", released, account)
	return nil
}

func (a *app) releaseReason(ctx context.Context, cfg *config.Config, s *store.Store, reason reminder.Reason) error {
	var remember map[string]string
	if reason == reminder.SenderChanged {
		remember = scheduler.RememberSender(senderOf(cfg))
	}
	released, err := s.ReleaseAll(ctx, cfg.Policies.Default, a.now(), reason, who(), remember)
	if err != nil {
		return err //nolint:wrapcheck // says all
	}
	fmt.Fprintf(a.stdout, "%s: %d reminder(s) released; the daemon looks at them within a minute\n", reason, released)
	if until := cfg.Policies.Default.LiftedUntil(reason, a.now()); !until.IsZero() {
		fmt.Fprintf(a.stdout, "the guard is back at %s\n", a.shortTime(until, cfg.Zone))
	}
	return nil
}

// tellHeld lists what waits, and for what.
func (a *app) tellHeld(c *cobra.Command) (err error) {
	cfg, s, err := a.openReader(c)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	ctx := c.Context()
	stops, err := s.Stops(ctx, a.now())
	if err != nil {
		return err //nolint:wrapcheck // says all
	}
	for _, stop := range stops {
		fmt.Fprintf(a.stdout, "sending is stopped since %s:\n", a.shortTime(stop.Since, cfg.Zone))
		for _, line := range wrap(stopSentence(stop, cfg.Zone), 76) {
			fmt.Fprintf(a.stdout, "  %s\n", line)
		}
		if stop.Reason == reminder.CopiedStore {
			if err := a.tellStrangers(ctx, cfg, s); err != nil {
				return err
			}
		}
	}
	held, err := s.Held(ctx)
	if err != nil {
		return err //nolint:wrapcheck // says all
	}
	if len(held)+len(stops) == 0 {
		fmt.Fprintln(a.stdout, "nothing is held")
		return nil
	}
	out := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
	for _, h := range held {
		by := "by itself"
		if slices.Contains(releasable, h.Reason) {
			by = "or duewatch release --reason " + string(h.Reason)
		}
		fmt.Fprintf(out, "%s\t%d held\t%s\n", h.Reason, h.Count, by)
	}
	return out.Flush() //nolint:wrapcheck // stdout
}

// fewStrangers is how many of them are listed.
const fewStrangers = 20

func (a *app) tellStrangers(ctx context.Context, cfg *config.Config, s *store.Store) error {
	strangers, more, err := s.Strangers(ctx, fewStrangers)
	if err != nil {
		return err //nolint:wrapcheck // says all
	}
	for _, x := range strangers {
		fmt.Fprintf(a.stdout, "  %s  %s, account %s  %s\n", a.shortTime(x.At, cfg.Zone), cfg.Policies.Name(x.Service), x.Account, x.ProviderID)
	}
	if more > 0 {
		fmt.Fprintf(a.stdout, "  and %d more\n", more)
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
