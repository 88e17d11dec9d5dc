package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"duewatch/config"
	"duewatch/reminder"
	"duewatch/store"
)

// selector is which bills a command acts on: by account,
// --phone or --service, or by several of them at once.
type selector struct {
	app            *app
	service, phone string
	dryRun, asJSON bool
}

// flags adds the flags of a selector to a command. verb is what it does.
func (sel *selector) flags(c *cobra.Command, verb string) {
	c.Flags().StringVar(&sel.phone, "phone", "", verb+" the bills of this phone")
	c.Flags().StringVar(&sel.service, "service", "", verb+" the bills of this service id")
	c.Flags().BoolVar(&sel.dryRun, "dry-run", false, "say how many that would be, and change nothing")
	c.Flags().BoolVar(&sel.asJSON, "json", false, "print the outcome as JSON")
}

// given reports whether anything was chosen.
func (sel *selector) given(args []string) bool {
	return len(args) > 0 || sel.phone != "" || sel.service != ""
}

// open opens the store for the operation: a dry run cannot write. A service of the
// config may be paused before the daemon has ever run.
func (sel *selector) open(c *cobra.Command) (*config.Config, *store.Store, error) {
	switch {
	case sel.dryRun:
		return sel.app.openReader(c)
	case c.Name() == "pause" && sel.service != "":
		return sel.app.openOrMake(c)
	}
	return sel.app.openWriter(c)
}

// do opens the store and does something to what was chosen.
func (sel *selector) do(
	c *cobra.Command, args []string,
	do func(ctx context.Context, cfg *config.Config, s *store.Store, op store.BulkOp) error,
) (err error) {
	cfg, s, err := sel.open(c)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	op, err := sel.bulkOp(c, cfg, s, args)
	if err != nil {
		return err
	}
	return do(c.Context(), cfg, s, op)
}

// bulkOp is the operation on the selected bills. An account that several services have
// needs --service beside it, and what no bill has is a mistake.
func (sel *selector) bulkOp(c *cobra.Command, cfg *config.Config, s *store.Store, args []string) (store.BulkOp, error) {
	op := store.BulkOp{Selector: store.Selector{Service: sel.service}, At: sel.app.now(), Who: who(), DryRun: sel.dryRun}
	if !sel.given(args) {
		return op, fmt.Errorf("%s needs an account, --phone or --service (%w)", c.Name(), errUsage)
	}
	if len(args) > 0 {
		op.Selector.Account = args[0]
	}
	if sel.phone != "" {
		phone, err := cfg.Phones.Parse(sel.phone)
		if err != nil {
			return op, fmt.Errorf("--phone %w (%w)", err, errUsage)
		}
		op.Selector.Phone = phone
	}
	bills, err := s.SelectedBills(c.Context(), op.Selector, 20)
	if err != nil {
		return op, err
	}
	_, known := cfg.Policies.ByService[sel.service]
	switch {
	case len(bills) == 0 && (op.Selector.Account != "" || sel.phone != "" || !known):
		return op, noSuchBill(cfg, op.Selector)
	case op.Selector.Account != "" && len(bills) > 1:
		return op, fmt.Errorf("account %s is there for %d services: add --service with one of %s (%w)",
			op.Selector.Account, len(bills), servicesOf(cfg, bills), errUsage)
	}
	return op, nil
}

// noSuchBill says which bill was looked for, and how to see those there are.
func noSuchBill(cfg *config.Config, c store.Selector) error {
	if id := serviceNamed(cfg, c.Service); id != "" {
		return fmt.Errorf("there is no bill of %s: --service takes an id, which is %s for %s", inWords(c), id, c.Service)
	}
	return fmt.Errorf("there is no bill of %s: %s", inWords(c), whereBillsAre)
}

const whereBillsAre = "duewatch bills lists those there are; a new one of the config is there once the daemon has read it"

// serviceNamed is the id of the service that has this name in texts.
func serviceNamed(cfg *config.Config, name string) string {
	for _, id := range slices.Sorted(maps.Keys(cfg.Policies.ByService)) {
		if name != "" && id != name && strings.EqualFold(cfg.Policies.ByService[id].ServiceName, name) {
			return id
		}
	}
	return ""
}

func servicesOf(cfg *config.Config, bills []reminder.Bill) string {
	var names []string
	for _, b := range bills {
		name := b.Service
		if said := cfg.Policies.Name(b.Service); said != b.Service {
			name += " (" + said + ")"
		}
		names = append(names, name)
	}
	return strings.Join(names, ", ")
}

// inWords names a choice in front of an operator.
func inWords(c store.Selector) string {
	var words []string
	if c.Account != "" {
		words = append(words, "account "+c.Account)
	}
	if c.Phone != "" {
		words = append(words, "phone "+c.Phone.String())
	}
	if c.Service != "" {
		words = append(words, "service "+c.Service)
	}
	return strings.Join(words, ", ")
}

// opWords is what is done to bills, in words.
type opWords struct {
	verb, doing, done string // "pause", "pausing", "paused"
	more              string // "until 1 Dec 00:00"
	until             time.Time
}

// carryOut does it, and prints what it came to. Of a service, whose bills may be
// millions, it says first what is about to be done.
func (sel *selector) carryOut(
	ctx context.Context, cfg *config.Config, op store.BulkOp, d opWords, do func(store.BulkOp) (store.BulkResult, error),
) error {
	if op.Selector.WholeService() && !sel.asJSON {
		sel.announce(cfg, op, d)
		d.more = ""
	}
	n, err := sel.run(ctx, op, d, do)
	if err != nil {
		return err
	}
	return sel.print(op, d, n)
}

func (sel *selector) announce(cfg *config.Config, op store.BulkOp, d opWords) {
	of := inWords(op.Selector)
	if name := cfg.Policies.Name(sel.service); name != sel.service {
		of += " (" + name + ")"
	}
	line := d.doing + " " + of
	if op.DryRun {
		line = of + " would be " + d.done
	}
	for _, l := range wrap(strings.TrimSpace(line+" "+d.more), 79) {
		fmt.Fprintln(sel.app.stdout, l)
	}
}

// run does it with its progress on stderr.
func (sel *selector) run(
	ctx context.Context, op store.BulkOp, d opWords, do func(store.BulkOp) (store.BulkResult, error),
) (n store.BulkResult, err error) {
	p := newProgressOf(sel.app.stderr, d.doing, "bills", 0)
	op.Progress = func(bills int) { p.at(bills, 0) }
	n, err = do(op)
	p.done()
	if errors.Is(err, context.Canceled) && ctx.Err() != nil && !op.DryRun {
		err = fmt.Errorf("interrupted after %s: the same command goes on from there", countOf(n.Done, "bill"))
	}
	return n, err
}

// print says what it came to. It fails when bills stay otherwise than the operator
// wanted, and not when there was nothing to be done.
func (sel *selector) print(op store.BulkOp, d opWords, n store.BulkResult) error {
	if sel.asJSON {
		return json.NewEncoder(sel.app.stdout).Encode(struct {
			Act     string                     `json:"act"`
			Written bool                       `json:"written"`
			Bills   int                        `json:"bills"`
			Left    map[reminder.BillState]int `json:"left"`
			Until   time.Time                  `json:"until,omitzero"`
		}{d.verb, !op.DryRun, n.Done, n.Left, utc(d.until)})
	}
	left, active, paused := leftWords(n.Left), n.Left[reminder.BillActive], n.Left[reminder.BillPaused]
	if d.verb == "resume" && paused > 0 {
		left += "; another pause holds the paused ones: duewatch pause lists it"
	}
	var line string
	switch nothing := n.Done == 0 && n.Bills() > 0; {
	case nothing && (d.verb == "pause" && paused == 0 || d.verb == "resume" && paused > 0 && active == 0):
		return fmt.Errorf("nothing of %s could be %s: %s", inWords(op.Selector), d.done, left)
	case nothing:
		line = fmt.Sprintf("nothing to %s: %s", d.verb, left)
	case op.DryRun:
		line = fmt.Sprintf("%s would be %s %s", countOf(n.Done, "bill"), d.done, d.more)
	default:
		line = fmt.Sprintf("%s %s %s", countOf(n.Done, "bill"), d.done, d.more)
	}
	line = strings.TrimSpace(line)
	if left != "" && n.Done > 0 {
		line += "; left as it was: " + left
	}
	for _, l := range wrap(line, 79) {
		fmt.Fprintln(sel.app.stdout, l)
	}
	return nil
}

// leftWords are the bills that were left as they were, by their state.
func leftWords(left map[reminder.BillState]int) string {
	var words []string
	for _, state := range slices.Sorted(maps.Keys(left)) {
		words = append(words, fmt.Sprintf("%d %s", left[state], state))
	}
	return strings.Join(words, ", ")
}
