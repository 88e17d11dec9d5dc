package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"duewatch/config"
	"duewatch/reminder"
	"duewatch/store"
)

// billStates are what --state takes.
var billStates = []reminder.BillState{
	reminder.BillPending, reminder.BillActive, reminder.BillPaused, reminder.BillRejected, reminder.BillRemoved,
}

func (a *app) billsCommand() *cobra.Command {
	var state, held string
	var asJSON, full bool
	c := &cobra.Command{
		Use:     "bills",
		Short:   "List what is watched",
		Long:    "Lists the bills in the store. Phones are masked unless --full is given.\n--json prints one object a line.",
		Example: "  duewatch bills --state rejected\n  duewatch bills --held in_doubt --full",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) (err error) {
			err = errors.Join(oneOf("state", reminder.BillState(state), billStates), oneOf("held", reminder.Reason(held), heldReasons()))
			if err != nil {
				return err
			}
			cfg, s, err := a.openReader(c)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, s.Close()) }()
			filter := store.BillFilter{State: reminder.BillState(state), Held: reminder.Reason(held)}
			phone := shownPhone(full)
			if asJSON {
				enc := json.NewEncoder(a.stdout)
				return s.Bills(c.Context(), filter, func(w store.Watched) error { return enc.Encode(billJSON(w, phone)) })
			}
			return a.tableOfBills(c, cfg, s, filter, phone)
		},
	}
	c.Flags().StringVar(&state, "state", "", "pending, active, paused, rejected or removed")
	c.Flags().StringVar(&held, "held", "", "a reason: only bills with a reminder held for it")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON, one object a line")
	c.Flags().BoolVar(&full, "full", false, "show the phones in full")
	return c
}

// oneOf refuses a word that a flag does not take; "" = the flag was not given.
func oneOf[T ~string](flag string, word T, known []T) error {
	if word == "" || slices.Contains(known, word) {
		return nil
	}
	return fmt.Errorf("--%s %q: write one of %v (%w)", flag, word, known, errUsage)
}

// shownPhone is how phones are printed: masked, or in full.
func shownPhone(full bool) func(reminder.Phone) string {
	if full {
		return reminder.Phone.E164
	}
	return reminder.Phone.String
}

// heldReasons are those for which a reminder may be held.
func heldReasons() (all []reminder.Reason) {
	for _, r := range reminder.Reasons {
		if r.Outcome == reminder.Held {
			all = append(all, r.Reason)
		}
	}
	return all
}

func (a *app) tableOfBills(
	c *cobra.Command, cfg *config.Config, s *store.Store, filter store.BillFilter, phone func(reminder.Phone) string,
) error {
	heads := []string{"SERVICE", "ACCOUNT", "PHONE", "STATE", "DUE", "BALANCE", "NEXT"}
	today := reminder.DateOf(a.now().In(cfg.Zone))
	past := 0
	rest := func(w store.Watched) []string {
		due := a.dueCell(w.Bill, today, cfg.Zone)
		if strings.HasSuffix(due, pastDue) {
			past++
		}
		return []string{due, formatBalance(w.Balance, cfg.Currency), a.shortTime(w.NextRemind, cfg.Zone)}
	}
	if filter.State == reminder.BillRejected || filter.State == reminder.BillPending { // nothing is owed or to come, and the operator asks why
		heads = append(heads[:4], "WHY")
		rest = func(w store.Watched) []string { return []string{w.LastError} }
	}
	t := newTable(a.stdout, 0, heads...)
	t.paint = billColour
	if heads[len(heads)-1] != "WHY" {
		t.numbers(5)
	}
	err := s.Bills(c.Context(), filter, func(w store.Watched) error {
		return t.row(append([]string{cfg.Policies.Name(w.Service), w.Account, phone(w.Phone), stateCell(w.Bill)}, rest(w)...)...)
	})
	if err != nil {
		return err
	}
	if t.rows == 0 {
		fmt.Fprintln(a.stderr, "no bills")
		return nil
	}
	if err := t.flush(); err != nil {
		return err
	}
	footer := countOf(t.rows, "bill")
	if past > 0 {
		footer += fmt.Sprintf(", %d past due (!)", past)
	}
	_, err = fmt.Fprintln(a.stdout, footer)
	return err
}

// pastDue is how a due date is marked that has passed while something is owed. The line under
// the list says what it means.
const pastDue = " !"

// dueCell is the due date of a bill, marked when it has passed and the bill is not known to be
// paid.
func (a *app) dueCell(b reminder.Bill, today reminder.Date, zone *time.Location) string {
	day := a.shortDay(b.DueDate, zone)
	owes := b.Balance == nil || b.Balance.Sign() > 0
	if owes && b.State == reminder.BillActive && !b.DueDate.IsZero() && today.After(b.DueDate) {
		return day + pastDue
	}
	return day
}

// billColour is how a cell of the list of bills is shown on a terminal.
func billColour(_ int, cell string) colour {
	switch state, _, _ := strings.Cut(cell, ","); {
	case strings.HasSuffix(cell, pastDue), cell == string(reminder.BillRejected):
		return red
	case state == string(reminder.BillPaused), strings.HasSuffix(cell, notVerifiedMark):
		return yellow
	}
	return plain
}

const notVerifiedMark = ", not verified"

// stateCell is the state of a bill, marked where the biller has not confirmed the
// account.
func stateCell(b reminder.Bill) string {
	if notVerified(b.Verified) {
		return string(b.State) + notVerifiedMark
	}
	return string(b.State)
}

// notVerified reports whether Almara Pay has said that the biller has not
// confirmed the account; not having said anything is another thing.
func notVerified(verified *bool) bool { return verified != nil && !*verified }

// billJSON is a bill for programs. Instants are RFC 3339 in UTC.
func billJSON(w store.Watched, phone func(reminder.Phone) string) any {
	return struct {
		Service     string             `json:"service"`
		Account     string             `json:"account"`
		Phone       string             `json:"phone"`
		State       reminder.BillState `json:"state"`
		Customer    string             `json:"customer,omitempty"`
		Language    string             `json:"language,omitempty"`
		Description string             `json:"description,omitempty"`
		Source      string             `json:"source"`
		Balance     *reminder.Money    `json:"balance"`
		BalanceAt   time.Time          `json:"balance_at,omitzero"`
		DueDate     string             `json:"due_date,omitempty"`
		Verified    *bool              `json:"verified"` // by the biller; null = Almara Pay has not said
		CheckedAt   time.Time          `json:"checked_at,omitzero"`
		NextCheck   time.Time          `json:"next_check_at,omitzero"`
		NextRemind  time.Time          `json:"next_remind_at,omitzero"`
		Failures    int                `json:"failures,omitempty"`
		LastError   string             `json:"last_error,omitempty"`
	}{
		w.Service, w.Account, phone(w.Phone), w.State, w.Customer, w.Language, w.Description, w.Source, w.Balance, utc(w.BalanceAt),
		w.DueDate.String(), w.Verified, utc(w.CheckedAt), utc(w.NextCheck), utc(w.NextRemind), w.Failures, w.LastError,
	}
}
