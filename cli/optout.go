package cli

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"duewatch/config"
	"duewatch/reminder"
	"duewatch/store"
)

func (a *app) optoutCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "optout",
		Short: "Keep phones from being texted",
		Long: `Keeps the list of phones that must not be texted. Twilio's own list (STOP) adds
to it by itself; an alphanumeric sender cannot receive STOP, so customers who
ask in another way are added here. It takes effect at once, also while the
daemon runs.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	var service string
	add := &cobra.Command{
		Use:     "add PHONE",
		Short:   "Do not text this phone any more",
		Long:    "Puts a phone on the list. No text that has not left yet leaves any more.",
		Example: "  duewatch optout add 0710000001\n  duewatch optout add 0710000001 --service 1042",
		Args:    usageArgs(cobra.ExactArgs(1)),
		RunE: func(c *cobra.Command, args []string) error {
			return a.changeOptOuts(c, service, args, func(s *store.Store, all []store.OptOut) error {
				added, err := s.AddOptOuts(c.Context(), all...)
				switch {
				case err != nil:
					return err //nolint:wrapcheck // says all
				case added == 0:
					fmt.Fprintln(a.stdout, "it was on the list already")
				default:
					fmt.Fprintln(a.stdout, all[0].Phone, "is not texted any more")
				}
				return nil
			})
		},
	}
	remove := &cobra.Command{
		Use:     "remove PHONE",
		Short:   "Let this phone be texted again",
		Long:    "Takes a phone off the list, also one that was put there because the provider\ncould not reach it.",
		Example: "  duewatch optout remove 0710000001",
		Args:    usageArgs(cobra.ExactArgs(1)),
		RunE: func(c *cobra.Command, args []string) error {
			return a.changeOptOuts(c, service, args, func(s *store.Store, all []store.OptOut) error {
				err := s.RemoveOptOut(c.Context(), all[0])
				if errors.Is(err, store.ErrNotFound) {
					return fmt.Errorf("%s is not on the list for %s: duewatch optout list shows what is", all[0].Phone, orAll(service))
				}
				if err == nil {
					fmt.Fprintln(a.stdout, all[0].Phone, "may be texted again")
				}
				return err //nolint:wrapcheck // says all
			})
		},
	}
	for _, sub := range []*cobra.Command{add, remove} {
		sub.Flags().StringVar(&service, "service", "", "only for the bills of this service id")
	}
	c.AddCommand(add, remove, a.optoutListCommand(), a.optoutImportCommand())
	return c
}

func (a *app) optoutListCommand() *cobra.Command {
	var asJSON, full bool
	c := &cobra.Command{
		Use:   "list",
		Short: "Show the list",
		Long: `Shows which phones are not texted, since when, and who said so. Phones are
masked unless --full is given. --json prints one object a line.`,
		Example: "  duewatch optout list\n  duewatch optout list --json --full",
		Args:    usageArgs(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) (err error) {
			cfg, s, err := a.openReader(c)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, s.Close()) }()
			phone := func(p reminder.Phone) string {
				if full {
					return p.E164()
				}
				return p.String()
			}
			if asJSON {
				enc := json.NewEncoder(a.stdout)
				return s.OptOuts(c.Context(), func(o store.OptOut) error { //nolint:wrapcheck // says all
					return enc.Encode(map[string]any{ //nolint:wrapcheck // stdout
						"phone": phone(o.Phone), "service": o.Service, "reason": o.Reason, "since": utc(o.Since), "source": o.Source, "who": o.Who,
					})
				})
			}
			t := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
			fmt.Fprintln(t, "PHONE\tSERVICE\tREASON\tSINCE\tSOURCE\tWHO")
			err = s.OptOuts(c.Context(), func(o store.OptOut) error {
				service := "all"
				if o.Service != "" {
					service = cfg.Policies.Name(o.Service)
				}
				_, err := fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\n", phone(o.Phone), service, o.Reason, a.shortTime(o.Since, cfg.Zone), o.Source, o.Who)
				return err //nolint:wrapcheck // stdout
			})
			return errors.Join(err, t.Flush())
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON, one object a line")
	c.Flags().BoolVar(&full, "full", false, "show the phones in full")
	return c
}

func (a *app) optoutImportCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "import FILE",
		Short: "Add a list of phones, one a line",
		Long: `Adds every phone of the file: one a line, or followed by a comma and a service
id. Empty lines and those beginning with # are passed over. If any line is
wrong, all wrong ones are named and nothing is added. FILE may be - for stdin.`,
		Example: "  duewatch optout import stop-list.txt",
		Args:    usageArgs(cobra.ExactArgs(1)),
		RunE: func(c *cobra.Command, args []string) (err error) {
			cfg, s, err := a.openWriter(c)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, s.Close()) }()
			in := io.Reader(os.Stdin)
			if args[0] != "-" {
				f, err := os.Open(args[0])
				if err != nil {
					return fmt.Errorf("optout import: %w", err)
				}
				defer f.Close() //nolint:errcheck // only read from
				in = f
			}
			all, err := a.readOptOuts(cfg, in, args[0])
			if err != nil {
				return err
			}
			added, err := s.AddOptOuts(c.Context(), all...)
			if err == nil {
				fmt.Fprintf(a.stdout, "%d phones listed, %d of them new\n", len(all), added)
			}
			return err //nolint:wrapcheck // says all
		},
	}
}

// readOptOuts reads the whole list or names every wrong line of it.
func (a *app) readOptOuts(cfg *config.Config, in io.Reader, name string) (all []store.OptOut, err error) {
	lines := bufio.NewScanner(in)
	var wrong []error
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(strings.TrimPrefix(lines.Text(), "\ufeff"))
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		number, service, _ := strings.Cut(line, ",")
		phone, err := reminder.ParsePhone(number, cfg.Country)
		if err != nil {
			wrong = append(wrong, fmt.Errorf("%s:%d: the phone %w", name, n, err))
			continue
		}
		all = append(all, a.optOut(phone, strings.TrimSpace(service), "import"))
	}
	if err := lines.Err(); err != nil {
		wrong = append(wrong, fmt.Errorf("read %s: %w", name, err))
	}
	return all, errors.Join(wrong...)
}

func (a *app) optOut(p reminder.Phone, service, source string) store.OptOut {
	return store.OptOut{Phone: p, Service: service, Reason: reminder.OptedOut, Since: a.now(), Source: source, Who: who()}
}

// changeOptOuts parses the phones and applies the change to the store.
func (a *app) changeOptOuts(c *cobra.Command, service string, phones []string, change func(*store.Store, []store.OptOut) error) (err error) {
	cfg, s, err := a.openWriter(c)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	var all []store.OptOut
	for _, number := range phones {
		phone, err := reminder.ParsePhone(number, cfg.Country)
		if err != nil {
			return fmt.Errorf("the phone %w (%w)", err, errUsage)
		}
		all = append(all, a.optOut(phone, service, "operator"))
	}
	return change(s, all)
}

func orAll(service string) string {
	if service == "" {
		return "every service"
	}
	return "service " + service
}

// openWriter opens the store that the config names, to change something.
func (a *app) openWriter(c *cobra.Command) (*config.Config, *store.Store, error) {
	cfg, err := a.load(true)
	if err != nil {
		return nil, nil, err
	}
	s, err := store.OpenWriter(c.Context(), cfg.Store)
	return cfg, s, err //nolint:wrapcheck // says all
}

// who is the person behind a command, for the trail.
func who() string {
	for _, name := range []string{"SUDO_USER", "USER", "LOGNAME"} {
		if user := os.Getenv(name); user != "" {
			return user
		}
	}
	return fmt.Sprintf("user %d", os.Getuid())
}
