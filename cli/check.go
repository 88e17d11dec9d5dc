package cli

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"

	"github.com/spf13/cobra"

	"duewatch/config"
	"duewatch/reminder"
	"duewatch/store"
)

func (a *app) checkCommand() *cobra.Command {
	var sandboxed, asJSON bool
	var account string
	c := &cobra.Command{
		Use:   "check",
		Short: "Check the config, the wording of the texts, and the store",
		Long: `Reads the config as the daemon would and reports everything that is wrong with
it at once. Then renders every template in use with a long but plausible record
and says how many segments it costs, and which character makes it dear; and
reads the whole store for damage. It calls nobody and changes nothing.

With --bill it prints, for the bills of that account, which value of each key of
reminders: applies to them, and where it was written. The first of these that
has it counts: the bill's own language, the entry of its service, the
environment, reminders:, the default.`,
		Example: "  duewatch check --config /etc/duewatch/config.yaml\n  duewatch check --bill 30012345",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			switch {
			case account != "":
				return a.checkBill(c.Context(), account, asJSON)
			case asJSON:
				return fmt.Errorf("--json needs --bill ACCOUNT (%w)", errUsage)
			}
			cfg, err := a.load(sandboxed)
			if err != nil {
				return err
			}
			fmt.Fprintf(a.stdout, "config    %s is right; mode %s, %s, %s\n", a.configPath, cfg.Delivery.Mode,
				countOf(len(cfg.Services), "service"), countOf(len(cfg.Bills), "bill"))
			a.checkHolidays(cfg)
			used := usedTexts{}
			for _, b := range cfg.Bills {
				used.add(cfg, b.Service, b.Language)
			}
			err = a.checkBills(c.Context(), cfg, func(service, language string) { used.add(cfg, service, language) })
			if err != nil {
				return err
			}
			return a.checkStore(c.Context(), cfg, func(s *store.Store) error {
				if s != nil {
					inUse, err := s.InUse(c.Context())
					if err != nil {
						return err //nolint:wrapcheck // says all
					}
					for service, languages := range inUse {
						for language := range languages {
							used.add(cfg, service, language)
						}
					}
				}
				return a.checkTemplates(cfg, used)
			})
		},
	}
	c.Flags().BoolVar(&sandboxed, "sandbox", false, "leave out what the sandbox brings")
	c.Flags().StringVar(&account, "bill", "", "an account: tell what applies to its bills, and why")
	c.Flags().BoolVar(&asJSON, "json", false, "with --bill: print JSON, one object for each bill")
	return c
}

// checkHolidays names the next day of each list of holidays: a list of last
// year is not noticed otherwise.
func (a *app) checkHolidays(cfg *config.Config) {
	today := reminder.DateOf(a.now().In(cfg.Zone))
	show := func(name string, p *reminder.Policy) {
		if len(p.Holidays) == 0 {
			return
		}
		ahead := slices.SortedFunc(maps.Keys(p.Holidays), reminder.Date.Compare)
		ahead = slices.DeleteFunc(ahead, func(d reminder.Date) bool { return d.Before(today) })
		if len(ahead) == 0 {
			fmt.Fprintf(a.stdout, "holidays  %sare all past: list those to come\n", name)
			return
		}
		year := slices.IndexFunc(append(ahead, today.AddDays(365)), func(d reminder.Date) bool { return d.Sub(today) >= 365 })
		fmt.Fprintf(a.stdout, "holidays  %s%s in the coming year, the next on %s, a %s\n", name, countOf(year, "day"), ahead[0], ahead[0].Weekday())
	}
	show("", cfg.Policies.Default)
	for _, s := range cfg.Services {
		if p := cfg.Policies.For(s.ID); !maps.Equal(p.Holidays, cfg.Policies.Default.Holidays) {
			show("of service "+s.ID+", ", p)
		}
	}
}

// checkStore reads the whole store for damage, after texts was called with it,
// nil where it cannot be opened. All that is wrong is told.
func (a *app) checkStore(ctx context.Context, cfg *config.Config, texts func(*store.Store) error) (err error) {
	s, err := store.OpenReader(ctx, cfg.Store)
	if err != nil {
		told := texts(nil)
		if errors.Is(err, store.ErrNotFound) {
			fmt.Fprintf(a.stdout, "store     %s does not exist yet; the daemon makes it at its first start\n", cfg.Store)
			return told
		}
		return errors.Join(told, err)
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	told := texts(s)
	if err := s.Check(ctx); err != nil {
		return errors.Join(told, err)
	}
	if info, err := os.Stat(cfg.Store); err == nil && info.Mode().Perm()&0o077 != 0 {
		fmt.Fprintf(a.stdout, "store     %s is readable by other users: run chmod 600 on it\n", cfg.Store)
	}
	fmt.Fprintf(a.stdout, "store     %s is sound\n", cfg.Store)
	return told
}
