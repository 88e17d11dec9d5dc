package cli

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"duewatch/reminder"
	"duewatch/store"
)

func (a *app) retryCommand() *cobra.Command {
	ch := &choice{app: a}
	c := &cobra.Command{
		Use:   "retry [ACCOUNT]",
		Short: "Ask Almara Pay again about bills that it rejected or that failed",
		Long: `Has bills registered again that Almara Pay rejected, and those asked about at
once that wait after calls that failed: of an account, of a phone or of a
service. The running daemon does it within seconds.

A phone that the provider cannot reach (bad_number) stays on the list of those
that are not texted: duewatch optout remove takes it off.`,
		Example: "  duewatch retry 30012345\n  duewatch retry --service 1042 --dry-run",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) (err error) {
			cfg, s, err := ch.open(c)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, s.Close()) }()
			act, err := ch.act(c, cfg, s, args)
			if err != nil {
				return err
			}
			n, err := ch.run(c.Context(), "retrying", act, func(a store.Act) (store.Acted, error) { return s.Retry(c.Context(), a) })
			if err != nil {
				return err
			}
			if err := ch.tell(act, outcome{act: "retry", done: "retried", n: n}, ""); err != nil || ch.asJSON {
				return err
			}
			return a.tellSuppressed(c, s, act.Choice)
		},
	}
	ch.flags(c, "retry")
	return c
}

// tellSuppressed says of a single phone that a retry alone does not let it be
// texted.
func (a *app) tellSuppressed(c *cobra.Command, s *store.Store, ch store.Choice) error {
	if ch.Account == "" && ch.Phone == "" {
		return nil
	}
	bills, err := s.ChosenBills(c.Context(), ch, 1)
	if err != nil || len(bills) == 0 {
		return err //nolint:wrapcheck // says all
	}
	outs, err := s.OptOutsOf(c.Context(), bills[0].Phone)
	if err != nil {
		return err //nolint:wrapcheck // says all
	}
	for _, o := range outs {
		if o.Reason == reminder.BadNumber {
			fmt.Fprintf(a.stdout, "%s is still not texted, as a number that cannot be reached:\nduewatch optout remove takes it off the list\n", o.Phone)
		}
	}
	return nil
}
