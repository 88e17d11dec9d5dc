package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"duewatch/config"
	"duewatch/reminder"
	"duewatch/store"
)

func (a *app) retryCommand() *cobra.Command {
	sel := &selector{app: a}
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
		RunE: func(c *cobra.Command, args []string) error {
			return sel.do(c, args, func(ctx context.Context, cfg *config.Config, s *store.Store, op store.BulkOp) error {
				d := opWords{verb: "retry", doing: "retrying", done: "retried"}
				err := sel.carryOut(ctx, cfg, op, d, func(a store.BulkOp) (store.BulkResult, error) { return s.Retry(ctx, a) })
				if err != nil || sel.asJSON {
					return err
				}
				return a.printSuppressed(ctx, s, op.Selector)
			})
		},
	}
	sel.flags(c, "retry")
	return c
}

// printSuppressed says of a single phone that a retry does not take it off the list
// of those that are not texted.
func (a *app) printSuppressed(ctx context.Context, s *store.Store, sel store.Selector) error {
	if sel.Account == "" && sel.Phone == "" {
		return nil
	}
	bills, err := s.SelectedBills(ctx, sel, 1)
	if err != nil || len(bills) == 0 {
		return err
	}
	outs, err := s.OptOutsOf(ctx, bills[0].Phone)
	if err != nil {
		return err
	}
	for _, o := range outs {
		if o.Reason == reminder.BadNumber {
			fmt.Fprintf(a.stdout, "%s is still not texted, as a number that cannot be reached:\n"+
				"duewatch optout remove takes it off the list\n", o.Phone)
		}
	}
	return nil
}
