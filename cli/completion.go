package cli

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

func (a *app) completionCommand() *cobra.Command {
	shells := []string{"bash", "zsh", "fish"}
	return &cobra.Command{
		Use:   "completion bash|zsh|fish",
		Short: "Print what completes commands in your shell",
		Long: `Prints a script with which the shell completes commands, flags, reasons, states,
services and accounts. make install puts it in its place; without that, load it
yourself. Accounts come from the store, where you may read it.`,
		Example:   "  source <(duewatch completion bash)\n  duewatch completion fish > ~/.config/fish/completions/duewatch.fish",
		Args:      cobra.MatchAll(cobra.ExactArgs(1), cobra.OnlyValidArgs),
		ValidArgs: shells,
		RunE: func(c *cobra.Command, args []string) error {
			switch args[0] {
			case "bash":
				return c.Root().GenBashCompletionV2(a.stdout, true)
			case "zsh":
				return c.Root().GenZshCompletion(a.stdout)
			default:
				return c.Root().GenFishCompletion(a.stdout, true)
			}
		},
	}
}

// maxAccounts is how many accounts a shell is offered.
const maxAccounts = 50

// complete says what may follow where the shell asks: accounts where a command
// takes one, and the words of flags that have a closed list.
func (a *app) complete(root *cobra.Command) {
	states := words(billStates...)
	var held []string
	for _, r := range heldReasons() {
		held = append(held, string(r)+"\t"+r.Info().Means)
	}
	flags := map[string][]string{
		"bills --state": states, "bills --held": held, "export --state": states, "release --reason": words(releasable...),
		"export --source": billSources, "report --by": words(groupings...),
	}
	_ = eachCommand(root, func(c *cobra.Command) error {
		if c.Flags().Lookup("service") != nil {
			_ = c.RegisterFlagCompletionFunc("service", a.completeService) // the flag is there
		}
		if strings.Contains(c.Use, " ACCOUNT") || strings.Contains(c.Use, "[ACCOUNT]") {
			c.ValidArgsFunction = a.completeAccount
		}
		return nil
	})
	for where, list := range flags {
		name, flag, _ := strings.Cut(where, " --")
		c, _, err := root.Find([]string{name})
		if err == nil {
			err = c.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(list, cobra.ShellCompDirectiveNoFileComp))
		}
		if err != nil {
			panic(fmt.Sprintf("completion of %s: %v", where, err)) // a name in the list above is misspelt
		}
	}
}

func (a *app) completeAccount(c *cobra.Command, args []string, prefix string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	_, s, err := a.openReader(c)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp // nobody could read why
	}
	defer s.Close() //nolint:errcheck // only read from
	accounts, err := s.Accounts(c.Context(), prefix, maxAccounts)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return accounts, cobra.ShellCompDirectiveNoFileComp
}

// completeService offers the ids of the config, each with its name.
func (a *app) completeService(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	cfg, err := a.load(true)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp // nobody could read why
	}
	ids := slices.Sorted(maps.Keys(cfg.Policies.ByService))
	for i, id := range ids {
		ids[i] = id + "\t" + cfg.Policies.Name(id)
	}
	return ids, cobra.ShellCompDirectiveNoFileComp
}

func words[T ~string](list ...T) []string {
	all := make([]string, len(list))
	for i, w := range list {
		all[i] = string(w)
	}
	return all
}
