package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"duewatch/almara"
	"duewatch/config"
	"duewatch/daemon"
)

func (a *app) servicesCommand() *cobra.Command {
	var useSandbox, asJSON bool
	c := &cobra.Command{
		Use:   "services",
		Short: "List the services that Almara Pay offers, as entries of the config",
		Long: `Asks Almara Pay which services it offers, and prints an entry of services: for
each, with its category behind it. Paste the lines that you need below services:
in the config, and write the name as customers should read it. Those that the
config has already are commented out.`,
		Example: "  duewatch services | grep WATER\n  duewatch services --sandbox",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, _, err := a.loadAsService(useSandbox)
			if err != nil {
				return err
			}
			if useSandbox {
				if err := a.startStandIns(c.Context(), cfg); err != nil {
					return err
				}
			}
			return a.services(c.Context(), cfg, asJSON)
		},
	}
	c.Flags().BoolVar(&useSandbox, "sandbox", false, "those of the stand-in, which needs no account")
	c.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	return c
}

// offeredService is a service for programs.
type offeredService struct {
	ID       string `json:"id"`
	Name     string `json:"name"`
	Category string `json:"category"`
	Type     string `json:"type"`
	InConfig bool   `json:"in_config"`
}

func (a *app) services(ctx context.Context, cfg *config.Config, asJSON bool) error {
	ctx, cancel := context.WithTimeout(ctx, askPatience)
	defer cancel()
	c, err := daemon.Parts{Now: a.now}.NewAlmara(cfg)
	if err != nil {
		return err
	}
	list, err := c.Services(ctx)
	if err != nil {
		return fmt.Errorf("%s: %s", cfg.Almara.BaseURL, noServices(err))
	}
	names := map[string]string{}
	for _, s := range cfg.Services {
		names[s.ID] = s.Name
	}
	var all []offeredService
	for _, s := range list.Services {
		_, known := names[s.ID]
		all = append(all, offeredService{ID: s.ID, Name: s.Name, Category: s.Category, Type: s.Type, InConfig: known})
	}
	if asJSON {
		err = json.NewEncoder(a.stdout).Encode(struct {
			Services []offeredService `json:"services"`
			Missing  []string         `json:"missing"` // why some may be missing
		}{all, append([]string{}, list.Missing...)})
	} else {
		for _, s := range all {
			fmt.Fprintln(a.stdout, s.entry(names[s.ID]))
		}
	}
	if err == nil && len(list.Missing) > 0 {
		err = errors.New("some services may be missing: " + strings.Join(list.Missing, "; "))
	}
	return err
}

// maxServiceName is the longest name that the config takes, in characters.
const maxServiceName = 60

// entry is the service as a line below services: in the config, where it may have a
// name already.
func (s offeredService) entry(name string) string {
	begin, about := "  - ", []string{}
	if s.InConfig {
		begin, about = "  # - ", []string{"in the config"}
	}
	for _, suggested := range []string{s.Name, s.Type} {
		if name == "" && utf8.RuneCountInString(suggested) <= maxServiceName {
			name = suggested
		}
	}
	for _, said := range []string{s.Type, s.Category} {
		if said != "" && !strings.EqualFold(said, name) {
			about = append([]string{said}, about...)
		}
	}
	line := begin + "{id: " + quoted(s.ID) + ", name: " + quoted(name) + "}"
	if len(about) > 0 {
		line += "  # " + strings.Join(about, ", ")
	}
	return line
}

// quoted is a text as YAML reads it, whatever is in it.
func quoted(s string) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(s) // a string always can be
	return strings.TrimSuffix(b.String(), "\n")
}

// noServices says why the list of services cannot be had, and what to do.
func noServices(err error) string {
	var (
		unclear *almara.UnclearError
		failed  *almara.RetryError
	)
	switch {
	case errors.As(err, &failed):
		return whyNoAnswer(err) + "; try again, or ask Almara Pay for the ids of your services"
	case errors.As(err, &unclear):
		return whyNoAnswer(err) + "; check almara.base_url, or ask Almara Pay for the ids of your services"
	}
	return whyNoAnswer(err)
}
