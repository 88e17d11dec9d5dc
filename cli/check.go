package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"duewatch/config"
	"duewatch/daemon"
	"duewatch/importer"
	"duewatch/reminder"
	"duewatch/scheduler"
	"duewatch/store"
)

func (a *app) checkCommand() *cobra.Command {
	var sandboxed, asJSON bool
	var account string
	c := &cobra.Command{
		Use:   "check",
		Short: "Check the config, the wording of the texts, and the store",
		Long: `Reads the config as the daemon would and reports everything that is wrong with
it at once. Lists the holidays of the coming year, with the file that each is
from, and the events of calendars that could not be understood. Then renders
every template in use with a long but plausible record and says how many
segments it costs, and which character makes it expensive; and reads the whole
store for damage. It calls nobody and changes nothing. As root it takes the
secrets of the service, for a config in /etc/duewatch.

With --bill it prints, for the bills of that account, which value of each key of
reminders: applies to them, and where it was written. The first of these that
has it counts: the bill's own language, the entry of its service, the
environment, reminders:, the default.`,
		Example: "  duewatch check --config /etc/duewatch/config.yaml\n  duewatch check --bill 30012345",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if account != "" {
				return a.checkBill(c.Context(), account, asJSON)
			}
			k := &check{app: a, asJSON: asJSON, checked: checked{Config: a.configPath}}
			var err error
			if k.cfg, k.Secrets, err = a.loadAsService(sandboxed); err == nil {
				k.count(sandboxed)
				err = k.all(c.Context())
			}
			if !asJSON {
				return err
			}
			return errors.Join(k.encode(err), err)
		},
	}
	c.Flags().BoolVar(&sandboxed, "sandbox", false, "check it for run --sandbox, which needs no account")
	c.Flags().StringVar(&account, "bill", "", "an account: show what applies to its bills, and why")
	c.Flags().BoolVar(&asJSON, "json", false, "print one JSON object; with --bill, one for each bill")
	return c
}

// check is one run of the command. Each part is printed for people when it is
// done, and all for programs at the end.
type check struct {
	app    *app
	cfg    *config.Config
	asJSON bool
	checked
}

// checked is what was found, for programs.
type checked struct {
	OK        bool              `json:"ok"`
	Config    string            `json:"config"`
	Secrets   string            `json:"secrets,omitempty"` // which of the service were found
	Mode      reminder.Mode     `json:"mode"`
	Services  int               `json:"services"`
	Bills     int               `json:"bills"` // under bills:
	BillsFile int               `json:"bills_file"`
	Holidays  []checkedHolidays `json:"holidays"`
	Templates []wording         `json:"templates"`
	// Unused are languages of templates that no bill has, Idle services without bills.
	Unused   []string `json:"languages_unused"`
	Idle     []string `json:"services_without_bills"`
	Store    string   `json:"store"`
	State    string   `json:"store_state"` // sound, absent or bad; "" where the config is wrong
	Open     bool     `json:"store_open_to_others,omitempty"`
	Warnings []string `json:"warnings"` // of what is allowed, and hardly intended
	Problems []string `json:"problems"`
}

// notYet says that there is no store.
func notYet(path string) string {
	return path + " does not exist yet; the daemon makes it at its first start"
}

// What a store can be found to be.
const (
	storeSound  = "sound"
	storeAbsent = "absent" // the daemon makes it
	storeBad    = "bad"    // Problems says how
)

func (k *check) say(format string, args ...any) {
	if !k.asJSON {
		fmt.Fprintf(k.app.stdout, format, args...)
	}
}

func (k *check) printWrapped(first, text string) {
	if !k.asJSON {
		k.app.printWrapped(first, text)
	}
}

func (k *check) encode(err error) error {
	k.OK = err == nil
	if err != nil {
		k.Problems = strings.Split(err.Error(), "\n")
	}
	for _, list := range []*[]string{&k.Unused, &k.Idle, &k.Problems, &k.Warnings} {
		*list = append([]string{}, *list...) // [], not null
	}
	k.Holidays, k.Templates = append([]checkedHolidays{}, k.Holidays...), append([]wording{}, k.Templates...)
	return json.NewEncoder(k.app.stdout).Encode(k.checked)
}

// count counts what the daemon would begin with. In the sandbox that is a mode and
// maybe sample bills which the config does not have; all else that is checked is the
// config's own.
func (k *check) count(sandboxed bool) {
	k.Mode, k.Services, k.Bills = k.cfg.Delivery.Mode, len(k.cfg.Services), len(k.cfg.Bills)
	if !sandboxed {
		return
	}
	k.Mode = reminder.ModeLive
	services := map[string]bool{}
	for _, s := range k.cfg.Services {
		services[s.ID] = true
	}
	for _, sample := range daemon.StandInsFor(k.cfg, k.app.now()).SamplesFor(k.cfg) {
		services[sample.Service] = true
		k.Bills++
	}
	k.Services = len(services)
}

// all checks the parts one after another.
func (k *check) all(ctx context.Context) error {
	k.Store, k.State = k.cfg.Store, storeBad
	k.say("config    %s is right; mode %s, %s, %s\n", k.Config, k.Mode, countOf(k.Services, "service"), countOf(k.Bills, "bill"))
	if k.Secrets != "" {
		k.printWrapped("secrets   ", k.Secrets)
	}
	k.holidays()
	if err := k.schedule(); err != nil {
		return err
	}
	used := usedTexts{}
	notes := importer.Notes{}
	for _, b := range k.cfg.Bills {
		used.add(k.cfg, b.Service, b.Language)
		if p, in, err := k.cfg.Phones.Read(b.Phone.E164()); err == nil {
			notes.CountPhone(k.cfg.Phones, p, in)
		}
	}
	for _, note := range notes.Lines() {
		k.printWrapped("bills     ", note)
	}
	err := k.billsFile(ctx, func(service, language string) { used.add(k.cfg, service, language) })
	if err != nil {
		return err
	}
	return k.store(ctx, func(s *store.Store) error {
		if s != nil {
			inUse, err := s.InUse(ctx)
			if err != nil {
				return err
			}
			if err := k.foreignPhones(ctx, s); err != nil {
				return err
			}
			for service, languages := range inUse {
				for language := range languages {
					used.add(k.cfg, service, language)
				}
			}
		}
		return k.templates(used)
	})
}

// remindAtLeast is how long the remind job may pause while texts may leave. What
// is held for a minute, such as for a slow answer, waits for its next run, and a
// bill that is registered at noon for the same day would be texted too late.
const remindAtLeast = time.Hour

// schedule warns of a remind job that runs less than once an hour in the window.
func (k *check) schedule() error {
	p := k.cfg.Policies.Default
	open := p.NextOpen(reminder.DateOf(k.app.now().In(k.cfg.Zone)).AddDays(1).At(p.Window.From, k.cfg.Zone))
	pause, err := scheduler.LongestPause(k.cfg.Schedule.Remind, open, open.Add(time.Duration(p.Window.To-p.Window.From)*time.Minute))
	if err != nil || pause <= remindAtLeast {
		return err
	}
	warning := fmt.Sprintf("%q leaves up to %s of the window without a run of the remind job: "+
		"what is held meanwhile, or becomes due, is texted late or expires; write \"* * * * *\"",
		k.cfg.Schedule.Remind, pause)
	k.Warnings = append(k.Warnings, "schedule.remind: "+warning)
	k.printWrapped("schedule  ", "remind: "+warning)
	return nil
}

// billsFile reads bills_file, and calls each for every bill there.
func (k *check) billsFile(ctx context.Context, each func(service, language string)) error {
	if k.cfg.BillsFile == "" {
		return nil
	}
	p := newProgress(k.app.stderr, "checking bills_file", 0)
	defer p.done()
	file, err := daemon.CheckBillsFile(ctx, k.cfg, false, func(rows int, batch []reminder.ListedBill) {
		p.at(rows, 0)
		for _, b := range batch {
			each(b.Bill.Service, b.Bill.Language)
		}
	})
	if err != nil {
		return err
	}
	p.done()
	k.BillsFile = file.Rows
	k.say("bills     %s lists %s\n", k.cfg.BillsFile, countOf(file.Rows, "bill"))
	if !file.Columns.Own {
		k.printWrapped("          ", file.Columns.String())
	}
	for _, note := range file.Notes.Lines() {
		k.printWrapped("          ", note)
	}
	return file.Close()
}

// foreignPhones counts the phones of other countries in the store, where most bills
// come from imports.
func (k *check) foreignPhones(ctx context.Context, s *store.Store) error {
	code := reminder.CallingCodeOf(k.cfg.Country)
	if code == "" {
		return nil
	}
	notes := importer.Notes{}
	err := s.ForeignPhones(ctx, code, func(p reminder.Phone) {
		notes.CountPhone(k.cfg.Phones, p, reminder.KnownRange)
	})
	for _, note := range notes.Lines() {
		k.printWrapped("store     ", note)
	}
	return err
}

// store reads the whole store for damage, after texts was called with it, nil
// where it cannot be opened. All that is wrong is in the error.
func (k *check) store(ctx context.Context, texts func(*store.Store) error) (err error) {
	s, err := store.OpenReader(ctx, k.cfg.StoreAddress())
	if err != nil {
		textsErr := texts(nil)
		if errors.Is(err, store.ErrNotFound) {
			k.State = storeAbsent
			if config.StoreOnServer(k.cfg.Store) {
				k.say("store     the database %s is empty;\n          the daemon makes its tables at its first start\n", k.cfg.Store)
				return errors.Join(textsErr, k.server(ctx))
			}
			k.printWrapped("store     ", notYet(k.cfg.Store))
			return textsErr
		}
		return errors.Join(textsErr, err)
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	textsErr := texts(s)
	if config.StoreOnServer(k.cfg.Store) {
		k.State = storeSound
		return errors.Join(textsErr, k.server(ctx))
	}
	if err := s.Check(ctx); err != nil {
		return errors.Join(textsErr, err)
	}
	if info, err := os.Stat(k.cfg.Store); err == nil && info.Mode().Perm()&0o077 != 0 {
		k.Open = true
		k.say("store     %s is readable by other users: run chmod 600 on it\n", k.cfg.Store)
	}
	k.State = storeSound
	k.say("store     %s is sound\n", k.cfg.Store)
	return textsErr
}

// server says what is right and what is not with the server of a database. Damage to its
// files is for its own tools to find.
func (k *check) server(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, askPatience)
	defer cancel()
	r, err := store.ReportServer(ctx, k.cfg.StoreAddress())
	if err != nil {
		k.State = storeBad
		return err
	}
	for _, f := range serverFindings(k.cfg, r) {
		if f.Level != levelOK {
			k.Warnings = append(k.Warnings, "store: "+f.Text)
		}
		k.printWrapped("store     ", f.Text)
	}
	return nil
}
