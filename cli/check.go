package cli

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"duewatch/config"
	"duewatch/reminder"
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
			if err := a.checkBills(c.Context(), cfg); err != nil {
				return err
			}
			return errors.Join(a.checkTemplates(cfg), a.checkStore(c.Context(), cfg))
		},
	}
	c.Flags().BoolVar(&sandboxed, "sandbox", false, "leave out what the sandbox brings")
	return c
}

// checkTemplates shows each text in use at its longest, and names the
// languages that no bill of the config uses. It fails when such a text would be
// held for its length.
func (a *app) checkTemplates(cfg *config.Config) error {
	var errs []error
	used := usedLanguages(cfg)
	var shown, others []string
	show := func(name string, p *reminder.Policy) {
		for _, s := range p.Specimens() {
			if !used[p][s.Language] {
				others = append(others, s.Language)
				continue
			}
			shown = append(shown, s.Language)
			n := s.Draft.Count
			fmt.Fprintf(a.stdout, "template  %s%s %s: %s of %s at its longest\n", name, s.Language, s.Which, countOf(n.Segments, "segment"), n.Encoding)
			if n.Forcing != 0 {
				fmt.Fprintf(a.stdout, "          the character %q is not in GSM-7 and makes the text more than twice as dear\n", n.Forcing)
			}
			for _, line := range wrap(s.Draft.Body, 68) {
				fmt.Fprintf(a.stdout, "          %s\n", line)
			}
			if s.Err != nil {
				errs = append(errs, fmt.Errorf("template %s%s %s: %w", name, s.Language, s.Which, s.Err))
			}
		}
	}
	show("", cfg.Policies.Default)
	for _, id := range slices.Sorted(maps.Keys(cfg.Policies.ByService)) {
		show("of service "+id+", ", cfg.Policies.ByService[id])
	}
	others = slices.DeleteFunc(others, func(language string) bool { return slices.Contains(shown, language) })
	slices.Sort(others)
	if others = slices.Compact(others); len(others) > 0 {
		fmt.Fprintf(a.stdout, "template  also there: %s\n", strings.Join(others, ", "))
	}
	return errors.Join(errs...)
}

// usedLanguages are those in which each policy words texts: its own, and those
// of the declared bills.
func usedLanguages(cfg *config.Config) map[*reminder.Policy]map[string]bool {
	used := map[*reminder.Policy]map[string]bool{cfg.Policies.Default: {cfg.Policies.Default.Language: true}}
	for _, p := range cfg.Policies.ByService {
		used[p] = map[string]bool{p.Language: true}
	}
	for _, b := range cfg.Bills {
		if b.Language != "" {
			used[cfg.Policies.For(b.Service)][b.Language] = true
		}
	}
	return used
}

func (a *app) checkStore(ctx context.Context, cfg *config.Config) (err error) {
	s, err := store.OpenReader(ctx, cfg.Store)
	if errors.Is(err, store.ErrNotFound) {
		fmt.Fprintf(a.stdout, "store     %s does not exist yet; the daemon makes it at its first start\n", cfg.Store)
		return nil
	}
	if err != nil {
		return err //nolint:wrapcheck // says all
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	if err := s.Check(ctx); err != nil {
		return err //nolint:wrapcheck // says all
	}
	if info, err := os.Stat(cfg.Store); err == nil && info.Mode().Perm()&0o077 != 0 {
		fmt.Fprintf(a.stdout, "store     %s is readable by other users: run chmod 600 on it\n", cfg.Store)
	}
	fmt.Fprintf(a.stdout, "store     %s is sound\n", cfg.Store)
	return nil
}
