package cli

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"duewatch/config"
	"duewatch/store"
)

func (a *app) checkCommand() *cobra.Command {
	var sandboxed bool
	c := &cobra.Command{
		Use:   "check",
		Short: "Check the config, the wording of the texts, and the store",
		Long: `Reads the config as the daemon would and reports everything that is wrong with
it at once. Then renders every template in use with a long but plausible record
and says how many segments it costs, and which character makes it dear; and
reads the whole store for damage. It calls nobody and changes nothing.`,
		Example: "  duewatch check --config /etc/duewatch/config.yaml",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, err := a.load(sandboxed)
			if err != nil {
				return err
			}
			fmt.Fprintf(a.stdout, "config    %s is right; mode %s, %s, %s\n", a.configPath, cfg.Delivery.Mode,
				countOf(len(cfg.Services), "service"), countOf(len(cfg.Bills), "bill"))
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
	return c
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
