package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"duewatch/config"
	"duewatch/store"
)

func (a *app) moveCommand() *cobra.Command {
	var undo, asJSON bool
	c := &cobra.Command{
		Use:   "move FROM TO",
		Short: "Move the store to PostgreSQL, or back to a file",
		Long: `Copies a whole store from FROM to TO, each the path of a file or the address
postgres://… of a database, compares both, and from then on refuses FROM: two
stores in use would text people twice. Stop the daemon first. TO must be a file
that does not exist or an empty database. What is interrupted goes on where it
was when the same command is given again.

The password of a database is that of the config: the credential
store_password, store_password_file or DUEWATCH_STORE_PASSWORD. It must not
stand in the address.

--undo STORE takes a store back into use that was moved, or was about to be.
Do that only when no daemon has run on the other one.`,
		Example: "  duewatch move duewatch.db postgres://duewatch@db1/duewatch\n" +
			"  duewatch move --undo duewatch.db",
		Args: func(c *cobra.Command, args []string) error {
			if undo {
				return cobra.ExactArgs(1)(c, args)
			}
			return cobra.ExactArgs(2)(c, args)
		},
		RunE: func(c *cobra.Command, args []string) error {
			cfg, err := a.load(true)
			if err != nil {
				return err
			}
			addresses := make([]string, len(args))
			for i, at := range args {
				if err := config.CheckStore(at); err != nil {
					return fmt.Errorf("%s %w (%w)", []string{"FROM", "TO"}[i], err, errUsage)
				}
				addresses[i] = cfg.AddressOf(at)
			}
			if undo {
				return a.undoMove(c.Context(), args[0], addresses[0])
			}
			return a.move(c.Context(), args, addresses, asJSON)
		},
	}
	c.Flags().BoolVar(&undo, "undo", false, "take back into use a store that was moved")
	c.Flags().BoolVar(&asJSON, "json", false, "print the summary as JSON")
	return c
}

// move moves a store. args are its places as they were typed, and addresses have the
// password.
func (a *app) move(ctx context.Context, args, addresses []string, asJSON bool) error {
	began := time.Now()
	p := newPhases(a.stderr, "rows")
	defer p.done()
	moved, err := store.MoveStore(ctx, addresses[0], addresses[1], p.at)
	p.done()
	if err != nil && ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return errors.New("interrupted: the same command goes on with it, and duewatch move --undo FROM gives it up")
	}
	if err != nil {
		return fmt.Errorf("move: %w", err)
	}
	if asJSON {
		return json.NewEncoder(a.stdout).Encode(map[string]any{
			"from": args[0], "to": args[1], "tables": moved.Tables, "replaced": moved.Replaced, "seconds": time.Since(began).Seconds(),
		})
	}
	rows := int64(0)
	for _, t := range moved.Tables {
		rows += t.Rows
		if t.Rows > 0 {
			fmt.Fprintf(a.stdout, "%10d  %s\n", t.Rows, t.Name)
		}
	}
	fmt.Fprintf(a.stdout, "moved %d rows in %s; both stores were read and hold the same\n", rows, time.Since(began).Round(time.Second))
	if moved.Replaced > 0 {
		fmt.Fprintf(a.stdout, "%s had characters that PostgreSQL cannot keep; they are now U+FFFD\n", countOf(moved.Replaced, "text"))
	}
	a.printWrapped("", fmt.Sprintf("Write store: %q into the config, and start the daemon. "+
		"From now on %s is refused; keep it until you have seen texts leave, and then remove it.", args[1], args[0]))
	return nil
}

func (a *app) undoMove(ctx context.Context, arg, address string) error {
	other, err := store.UndoMove(ctx, address)
	if err != nil {
		return fmt.Errorf("move: %w", err)
	}
	a.printWrapped("", fmt.Sprintf("%s may be used again. Remove %s, or empty it: a daemon on each would text people twice.", arg, other))
	return nil
}
