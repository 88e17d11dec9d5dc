package cli

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"duewatch/config"
	"duewatch/daemon"
	"duewatch/reminder"
	"duewatch/store"
)

// knownBill is a bill of the store, or one of the config that awaits the
// daemon's next start.
type knownBill struct {
	reminder.Bill
	waiting bool
}

// checkBill shows which value of each key of reminders: applies to the bills of
// an account, and where it comes from.
func (a *app) checkBill(ctx context.Context, account string, asJSON bool) error {
	cfg, err := a.load(true) // no credential is needed for it
	if err != nil {
		return err
	}
	bills, sandboxed, err := a.findBills(ctx, cfg, account)
	if err != nil {
		return err
	}
	for _, b := range bills {
		settings := settingsOf(cfg, b.Bill, sandboxed)
		if asJSON {
			err = a.encodeSettings(b, settings)
		} else {
			err = a.tableOfSettings(cfg, b, settings)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// findBills finds an account in the store, then in the config, then in
// bills_file.
func (a *app) findBills(ctx context.Context, cfg *config.Config, account string) (bills []knownBill, sandboxed bool, err error) {
	s, err := store.OpenReader(ctx, cfg.StoreAddress())
	if err == nil {
		defer func() { err = errors.Join(err, s.Close()) }()
		world, err := daemon.World(ctx, s)
		if err != nil {
			return nil, false, err
		}
		if sandboxed = world == daemon.WorldSandbox; sandboxed {
			daemon.StandInsFor(cfg, a.now()).ReplaceIn(cfg)
		}
		err = s.Bills(ctx, store.BillFilter{Account: account}, func(w store.Watched) error {
			bills = append(bills, knownBill{Bill: w.Bill})
			return nil
		})
		if err != nil {
			return nil, false, err
		}
	} else if !errors.Is(err, store.ErrNotFound) {
		return nil, false, err
	}
	if len(bills) > 0 {
		return bills, sandboxed, nil
	}
	for _, b := range cfg.Bills {
		if b.Account == account {
			bills = append(bills, knownBill{b, true})
		}
	}
	if len(bills) == 0 && cfg.BillsFile != "" {
		file, err := daemon.CheckBillsFile(ctx, cfg, false, func(_ int, batch []reminder.ListedBill) {
			for _, l := range batch {
				if l.Bill.Account == account {
					bills = append(bills, knownBill{l.Bill, true})
				}
			}
		})
		if err != nil {
			return nil, false, err
		}
		if err := file.Close(); err != nil {
			return nil, false, err
		}
	}
	if len(bills) == 0 {
		return nil, false, fmt.Errorf("there is no bill of account %s in the store %s, nor in bills or bills_file of %s: "+
			"duewatch bills lists those of the store", account, cfg.Store, a.configPath)
	}
	return bills, sandboxed, nil
}

// Layers above those of the config.
const (
	layerBill    config.Layer = "bill"
	layerSandbox config.Layer = "sandbox"
)

// settingsOf is what applies to one bill: its service's settings, under its own
// language.
func settingsOf(cfg *config.Config, b reminder.Bill, sandboxed bool) []config.Setting {
	p := cfg.Policies.For(b.Service)
	language := p.Language
	if p.Templates.Has(b.Language) {
		language = b.Language
	}
	var out []config.Setting
	for _, s := range cfg.Settings(b.Service) {
		switch {
		case strings.HasPrefix(s.Key, "templates.") && !strings.HasPrefix(s.Key, "templates."+language+"."):
			continue // of another language
		case s.Key == "language" && p.Templates.Has(b.Language):
			s = config.Setting{Key: s.Key, Value: language, Layer: layerBill}
		case s.Key == "window" && sandboxed:
			s = config.Setting{Key: s.Key, Value: p.Window.String(), Layer: layerSandbox}
		case s.Key == "send_at" && sandboxed:
			s = config.Setting{Key: s.Key, Value: p.SendAt.String(), Layer: layerSandbox}
		}
		out = append(out, s)
	}
	return out
}

func (a *app) tableOfSettings(cfg *config.Config, b knownBill, settings []config.Setting) error {
	state := string(b.State)
	if b.waiting {
		state = "to come at the next start or reload"
	}
	fmt.Fprintf(a.stdout, "%s, account %s: %s\n", cfg.Policies.Name(b.Service), b.Account, state)
	t := newTable(a.stdout, 1, "KEY", "VALUE", "FROM")
	for _, s := range settings {
		from := string(s.Layer)
		switch s.Layer {
		case config.LayerEnvironment:
			from = "$" + s.Variable
		case config.LayerService, config.LayerReminders:
			from += fmt.Sprintf(", line %d", s.Line)
		case config.LayerDefault:
		}
		if err := t.row(s.Key, cmp.Or(strings.Join(strings.Fields(s.Value), " "), "-"), from); err != nil {
			return err
		}
	}
	if err := t.flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintln(a.stdout)
	return err
}

// encodeSettings prints one object for a bill.
func (a *app) encodeSettings(b knownBill, settings []config.Setting) error {
	out := struct {
		Service  string             `json:"service"`
		Account  string             `json:"account"`
		State    reminder.BillState `json:"state,omitempty"`
		InStore  bool               `json:"in_store"`
		Config   string             `json:"config"`
		Settings []config.Setting   `json:"settings"`
	}{b.Service, b.Account, b.State, !b.waiting, a.configPath, settings}
	return json.NewEncoder(a.stdout).Encode(out)
}
