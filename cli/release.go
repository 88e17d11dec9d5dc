package cli

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"duewatch/store"
)

func (a *app) releaseCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "release ACCOUNT",
		Short: "Let a reminder go that is held as in doubt",
		Long: `A text whose outcome could not be learned from the provider, not even from its
message list, is held as in_doubt. Look at the provider's message log for the
phone. If the text is not there, this lets the reminder be decided again: it is
sent if it is still useful and something is still owed.`,
		Example: "  duewatch explain 14200331\n  duewatch release 14200331",
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) (err error) {
			_, s, err := a.openWriter(c)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, s.Close()) }()
			released := int64(0)
			err = s.Bills(c.Context(), store.BillFilter{Account: args[0]}, func(w store.Watched) error {
				n, err := s.Release(c.Context(), a.now(), w.ID, who())
				released += n
				return err //nolint:wrapcheck // says all
			})
			if err != nil {
				return err //nolint:wrapcheck // says all
			}
			if released == 0 {
				return fmt.Errorf("nothing of account %s is held as in_doubt: duewatch explain %s says how it stands", args[0], args[0])
			}
			fmt.Fprintf(a.stdout, "%d reminder(s) of account %s released; the daemon looks at them within a minute\n", released, args[0])
			return nil
		},
	}
}
