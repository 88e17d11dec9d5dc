package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"duewatch/config"
	"duewatch/importer"
	"duewatch/reminder"
	"duewatch/store"
)

func (a *app) explainCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "explain ACCOUNT|PHONE",
		Short: "Show the history of a bill, and what comes next",
		Long: `Shows what Almara Pay said of a bill and when, which reminders were sent, held
or skipped, by which rule and on which balance, what became of each text, and
what comes next: also what would be decided now, and what keeps texts from
leaving at all. It answers "why did she get this?" and "why did
he get nothing?".

A phone, in any form, stands for all its bills. What comes next goes by
the config as it is now.`,
		Example: "  duewatch explain 30012345\n  duewatch explain 0710000001",
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) (err error) {
			cfg, s, err := a.openReader(c)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, s.Close()) }()
			blockers, err := s.Blockers(c.Context(), cfg.Policies.Default, a.now())
			if err != nil {
				return err
			}
			bills, err := a.billsNamed(c.Context(), cfg, s, args[0])
			if err != nil {
				return err
			}
			for _, b := range bills {
				h, err := a.historyOf(c.Context(), cfg, s, b)
				if err != nil {
					return err
				}
				if !asJSON {
					h.print(blockers)
				} else if err := json.NewEncoder(a.stdout).Encode(h.forJSON(blockers)); err != nil {
					return err
				}
			}
			return nil
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON, one object for each bill")
	return c
}

// billsNamed are the bills that an operator means by an account or a phone: an
// account number may look like a phone, and be both.
func (a *app) billsNamed(ctx context.Context, cfg *config.Config, s *store.Store, name string) (bills []store.Watched, err error) {
	had := map[int64]bool{}
	add := func(w store.Watched) error {
		if !had[w.ID] {
			bills = append(bills, w)
		}
		had[w.ID] = true
		return nil
	}
	if err := s.Bills(ctx, store.BillFilter{Account: name}, add); err != nil {
		return nil, err
	}
	phone, bad := cfg.Phones.Parse(name)
	if bad == nil {
		if err := s.Bills(ctx, store.BillFilter{Phone: phone}, add); err != nil {
			return nil, err
		}
	}
	switch {
	case len(bills) > 0:
		return bills, nil
	case strings.HasPrefix(name, "+") && bad != nil:
		return nil, fmt.Errorf("the phone %w (%w)", bad, errUsage)
	}
	switch near, err := accountsBesideZeros(ctx, s, name); {
	case err != nil:
		return nil, err
	case near != nil:
		return nil, fmt.Errorf("there is no bill of account %s: is it %s?", name, importer.OrList(near))
	case bad == nil:
		return nil, fmt.Errorf("there is no bill of an account or a phone %s: %s", phone, whereBillsAre)
	}
	return nil, noSuchBill(cfg, store.Selector{Account: name})
}

// accountsBesideZeros are the accounts that there are and that differ from a number
// in the zeros in front alone, which spreadsheets remove.
func accountsBesideZeros(ctx context.Context, s *store.Store, name string) (near []string, err error) {
	const mostZeros = 12
	bare := strings.TrimLeft(name, "0")
	if bare == "" || strings.Trim(bare, "0123456789") != "" {
		return nil, nil
	}
	for zeros := range mostZeros {
		account := strings.Repeat("0", zeros) + bare
		bills, err := s.SelectedBills(ctx, store.Selector{Account: account}, 1)
		if err != nil {
			return nil, err
		}
		if len(bills) > 0 {
			near = append(near, account)
		}
	}
	return near, nil
}

// blocked says what keeps texts of all bills alike from leaving.
func (h *history) blocked(by store.Blockers) (all []string) {
	for _, stop := range by.Stops {
		all = append(all, "sending is stopped since "+h.stamp(stop.Since)+": "+h.app.problems(h.cfg, nil).Stop(stop))
	}
	if by.Guard != "" {
		all = append(all, fmt.Sprintf("a guard holds texts: %s: %s", by.Guard, by.Figures))
	}
	switch h.cfg.Delivery.Mode {
	case reminder.ModeLive:
	case reminder.ModeRedirect:
		all = append(all, "notifier.mode is redirect: texts go to one phone of yours")
	case reminder.ModeAllowlist:
		all = append(all, "notifier.mode is allowlist: only phones on the list are texted")
	case reminder.ModeOff:
		all = append(all, "notifier.mode is off: no text leaves")
	}
	return all
}
