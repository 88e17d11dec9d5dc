package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"duewatch/config"
	"duewatch/daemon"
	"duewatch/reminder"
	"duewatch/store"
)

func (a *app) forgetCommand() *cobra.Command {
	var yes, asJSON bool
	c := &cobra.Command{
		Use:   "forget PHONE",
		Short: "Erase what is kept of a person",
		Long: `Erases what the store has of a person: the bills of the phone with name,
description and balance, the words of the texts to it and where they went, and
the history. Without --yes it says what that is, and erases nothing.

What stays says nothing of the person: an opt-out, since it is their word; which
reminders of due dates to come were sent, under a keyed hash in the place of the
account, and the provider's ids of the texts for 70 days, so that nobody is
texted twice when the same bill is imported once more; and how many texts there
were, and what they cost.

It is refused while bills: or bills_file name a bill of the phone, which would
come back, and while the outcome of a text to it is not known. Backups, exports
and the logs and lists of Almara Pay and the provider are not touched.`,
		Example: "  duewatch forget 0710000001\n  duewatch forget 0710000001 --yes",
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) (err error) {
			open := a.openReader
			if yes {
				open = a.openWriter
			}
			cfg, s, err := open(c)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, s.Close()) }()
			phone, err := cfg.Phones.Parse(args[0])
			if err != nil {
				return fmt.Errorf("the phone %w (%w)", err, errUsage)
			}
			if err := notListed(c.Context(), cfg, a.configPath, phone); err != nil {
				return err
			}
			p, err := a.forget(c.Context(), cfg, s, phone, yes)
			if err != nil {
				return err
			}
			return a.printForgotten(p, phone, yes, asJSON)
		},
	}
	c.Flags().BoolVar(&yes, "yes", false, "erase it")
	c.Flags().BoolVar(&asJSON, "json", false, "print the counts as JSON")
	return c
}

// notListed refuses a phone that the lists of the config name, and says where.
func notListed(ctx context.Context, cfg *config.Config, configPath string, phone reminder.Phone) error {
	var lines []string
	add := func(file string, line int, b reminder.Bill) {
		if b.Phone == phone {
			if line > 0 { // else the sandbox names it
				file += ":" + strconv.Itoa(line)
			}
			lines = append(lines, fmt.Sprintf("%s (account %s)", file, b.Account))
		}
	}
	for _, b := range cfg.Bills {
		add(configPath, cfg.BillLine(b), b)
	}
	if cfg.BillsFile != "" {
		file, err := daemon.CheckBillsFile(ctx, cfg, false, func(_ int, batch []reminder.ListedBill) {
			for _, b := range batch {
				add(cfg.BillsFile, b.Line, b.Bill)
			}
		})
		if err != nil {
			return err
		}
		if err := file.Close(); err != nil {
			return err
		}
	}
	if len(lines) == 0 {
		return nil
	}
	const most = 20
	if more := len(lines) - most; more > 0 {
		lines = append(lines[:most], fmt.Sprintf("and %d more", more))
	}
	return fmt.Errorf("a list names bills of this phone, and they would come back: remove\n  %s\n"+
		"then reload the daemon (systemctl reload duewatch), and type this again", strings.Join(lines, "\n  "))
}

// forget erases what there is of a phone, or counts it.
func (a *app) forget(
	ctx context.Context, cfg *config.Config, s *store.Store, phone reminder.Phone, erase bool,
) (p store.Personal, err error) {
	now := a.now()
	today := reminder.DateOf(now.In(cfg.Zone))
	if erase {
		p, err = s.Forget(ctx, phone, today, now)
	} else {
		p, err = s.PersonalData(ctx, phone, today)
	}
	switch listed := (*store.StillListedError)(nil); {
	case errors.As(err, &listed):
		return p, fmt.Errorf("%w: the daemon has not read yet that the list names them no more: "+
			"systemctl reload duewatch, and type this again", err)
	case errors.Is(err, store.ErrInDoubt):
		return p, fmt.Errorf("%w: it is settled within a quarter of an hour as a rule (duewatch explain shows it): type this again then", err)
	}
	return p, err
}

func (a *app) printForgotten(p store.Personal, phone reminder.Phone, erased, asJSON bool) error {
	if asJSON {
		return json.NewEncoder(a.stdout).Encode(struct {
			Phone  string `json:"phone"` // masked
			Erased bool   `json:"erased"`
			store.Personal
		}{phone.String(), erased && !p.Nothing(), p})
	}
	if p.Nothing() {
		fmt.Fprintf(a.stdout, "there is nothing of %s to erase\n", phone)
	} else {
		verb := "would be erased"
		if erased {
			verb = "erased"
		}
		fmt.Fprintf(a.stdout, "%s of %s: %s, %s, %s of their history,\n%s of due dates that are over\n", verb, phone,
			countOf(int(p.Bills), "bill"), countOf(int(p.Texts), "text"), countOf(int(p.Events), "event"), countOf(int(p.Reminders), "reminder"))
	}
	if p.Kept > 0 {
		fmt.Fprintf(a.stdout, "kept without account and phone: %s of due dates to come\n", countOf(int(p.Kept), "reminder"))
	}
	if p.OptOuts > 0 {
		fmt.Fprintln(a.stdout, "kept: the opt-out")
	}
	if !erased && !p.Nothing() {
		fmt.Fprintln(a.stdout, "nothing is erased yet: add --yes")
	}
	return nil
}
