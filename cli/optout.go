package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/user"

	"github.com/spf13/cobra"

	"duewatch/config"
	"duewatch/importer"
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
		Example: "  duewatch optout add 0710000001\n  duewatch optout import stop-list.txt",
		Args:    cobra.NoArgs,
		RunE:    func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	edit := &optOutEdit{app: a}
	add := &cobra.Command{
		Use:     "add PHONE",
		Short:   "Do not text this phone any more",
		Long:    "Puts a phone on the list. No text that has not left yet leaves any more.",
		Example: "  duewatch optout add 0710000001\n  duewatch optout add 0710000001 --service 1042",
		Args:    usageArgs(cobra.ExactArgs(1)),
		RunE: func(c *cobra.Command, args []string) error {
			return edit.run(c, args[0], func(s *store.Store, o store.OptOut) error {
				added, err := s.AddOptOuts(o)
				if err != nil {
					return err
				}
				words := o.Phone.String() + " is not texted any more"
				if added == 0 {
					words = "it was on the list already"
				}
				return edit.print("add", o.Phone, added > 0, words)
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
			return edit.run(c, args[0], func(s *store.Store, o store.OptOut) error {
				err := s.RemoveOptOut(o)
				if errors.Is(err, store.ErrNotFound) {
					return fmt.Errorf("%s is not on the list for %s: duewatch optout list shows what is", o.Phone, orAll(edit.service))
				}
				if err != nil {
					return err
				}
				return edit.print("remove", o.Phone, true, o.Phone.String()+" may be texted again")
			})
		},
	}
	for _, sub := range []*cobra.Command{add, remove} {
		sub.Flags().StringVar(&edit.service, "service", "", "only for the bills of this service id")
		sub.Flags().BoolVar(&edit.asJSON, "json", false, "print the outcome as JSON")
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
			phone := shownPhone(full)
			if asJSON {
				enc := json.NewEncoder(a.stdout)
				return s.OptOuts(c.Context(), func(o store.OptOut) error {
					return enc.Encode(map[string]any{
						"phone": phone(o.Phone), "service": o.Service, "reason": o.Reason, "since": utc(o.Since), "source": o.Source, "who": o.Who,
					})
				})
			}
			t := newTable(a.stdout, 1, "PHONE", "SERVICE", "REASON", "SINCE", "SOURCE", "WHO")
			err = s.OptOuts(c.Context(), func(o store.OptOut) error {
				service := "all"
				if o.Service != "" {
					service = cfg.Policies.Name(o.Service)
				}
				return t.row(phone(o.Phone), service, string(o.Reason), a.shortTime(o.Since, cfg.Zone), o.Source, o.Who)
			})
			switch {
			case err != nil:
				return err
			case t.rows == 0:
				fmt.Fprintln(a.stderr, "no phone is on the list")
				return nil
			}
			return errors.Join(t.flush(), t.count("entry"))
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON, one object a line")
	c.Flags().BoolVar(&full, "full", false, "show the phones in full")
	return c
}

// optOutImport is one run of optout import.
type optOutImport struct {
	app     *app
	name    string
	columns importer.ColumnChoice
	asJSON  bool
}

func (a *app) optoutImportCommand() *cobra.Command {
	i := &optOutImport{app: a}
	c := &cobra.Command{
		Use:   "import FILE",
		Short: "Add a list of phones",
		Long: `Adds every phone of a text, CSV file or .xlsx workbook: one a line, or followed
by a service id; or the column of a table whose header is known, such as "Phone
No.", or is chosen with --columns (see duewatch import). Other columns are left
out. Empty lines and those beginning with # are passed over, and landlines are
left out and counted. If any line is wrong, all wrong ones are named and nothing
is added. FILE may be - for stdin.`,
		Example: "  duewatch optout import stop-list.txt\n  duewatch optout import stop-list.xlsx --columns phone=MSISDN",
		Args:    usageArgs(cobra.ExactArgs(1)),
		RunE: func(c *cobra.Command, args []string) error {
			i.name = args[0]
			return i.run(c)
		},
	}
	i.columns.Of = columnsFlag{}
	c.Flags().Var(columnsFlag(i.columns.Of), "columns", "say which column is what, by `FIELD=COLUMN`")
	c.Flags().StringVar(&i.columns.Sheet, "sheet", "", "the sheet of a workbook, by its `NAME` or number")
	c.Flags().BoolVar(&i.asJSON, "json", false, "print the summary as JSON")
	return c
}

func (i *optOutImport) run(c *cobra.Command) (err error) {
	cfg, s, err := i.app.openOrMake(c)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	in, _, err := openInput(i.name)
	if err != nil {
		return fmt.Errorf("optout import: %w", err)
	}
	defer in.Close() //nolint:errcheck // only read from
	if i.name == "-" {
		i.name = importer.Stdin
	}
	all, left, err := i.read(in, func(row importer.PhoneRow) (store.OptOut, error) {
		o := store.OptOut{Service: row.Service, Source: "import"}
		if id := serviceNamed(cfg, row.Service); id != "" {
			o.Service = id
		}
		return i.app.optOut(c.Context(), cfg, s, o, row.Phone)
	})
	if err != nil {
		return errors.Join(err, errors.New("nothing was added"))
	}
	added, err := s.AddOptOuts(all...)
	if err != nil {
		return err
	}
	if i.asJSON {
		return json.NewEncoder(i.app.stdout).Encode(map[string]any{"act": "import", "phones": len(all), "new": added, "left_out": left})
	}
	fmt.Fprintf(i.app.stdout, "%s listed, %d of them new\n", countOf(len(all), "phone"), added)
	if left > 0 {
		fmt.Fprintf(i.app.stdout, "left out: %s that cannot be texted anyway, such as landlines\n", countOf(left, "number"))
	}
	return nil
}

// read reads the whole list or names every wrong line of it. left are the
// numbers that are right and no mobile ones, which need not be on the list.
func (i *optOutImport) read(in io.Reader, take func(importer.PhoneRow) (store.OptOut, error)) (all []store.OptOut, left int, err error) {
	list, err := importer.ReadPhones(in, i.name, i.columns)
	if err != nil {
		return nil, 0, err
	}
	if said := list.Columns().String(); said != "" {
		fmt.Fprintf(i.app.stderr, "%s: %s\n", i.name, said)
	}
	var wrong []error
	for {
		row, err := list.Next()
		if errors.Is(err, io.EOF) {
			return all, left, errors.Join(wrong...)
		}
		if err != nil {
			return nil, 0, errors.Join(append(wrong, err)...)
		}
		if row.Fault != "" {
			wrong = append(wrong, fmt.Errorf("%s:%d: %s", i.name, row.Line, row.Fault))
			continue
		}
		switch o, err := take(row); {
		case errors.Is(err, reminder.ErrNotMobile):
			left++
		case err != nil:
			wrong = append(wrong, fmt.Errorf("%s:%d: %w", i.name, row.Line, err))
		default:
			all = append(all, o)
		}
	}
}

// optOut completes what is to be written about a phone. A service that no bill
// has would be a customer who is texted all the same.
func (a *app) optOut(ctx context.Context, cfg *config.Config, s *store.Store, o store.OptOut, number string) (store.OptOut, error) {
	phone, err := cfg.Phones.Parse(number)
	if err != nil {
		return o, fmt.Errorf("the phone %w", err)
	}
	if _, known := cfg.Policies.ByService[o.Service]; !known && o.Service != "" {
		bills, err := s.SelectedBills(ctx, store.Selector{Service: o.Service}, 1)
		switch id := serviceNamed(cfg, o.Service); {
		case err != nil:
			return o, err
		case id != "":
			return o, fmt.Errorf("%q is the name of a service: write its id, %s", o.Service, id)
		case len(bills) == 0:
			return o, fmt.Errorf("%q is no service of the config or of a bill: write the id of one, or the phone alone for every service", o.Service)
		}
	}
	o.Phone, o.Reason, o.Since, o.Who = phone, reminder.OptedOut, a.now(), who()
	return o, nil
}

// optOutEdit is a change of the list by one phone.
type optOutEdit struct {
	app     *app
	service string
	asJSON  bool
}

// run reads the phone and applies the change to the store.
func (edit *optOutEdit) run(c *cobra.Command, number string, change func(*store.Store, store.OptOut) error) (err error) {
	cfg, s, err := edit.app.openOrMake(c)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	o, err := edit.app.optOut(c.Context(), cfg, s, store.OptOut{Service: edit.service, Source: "operator"}, number)
	if err != nil {
		return fmt.Errorf("%w (%w)", err, errUsage)
	}
	return change(s, o)
}

// print says what became of the change, to people in words.
func (edit *optOutEdit) print(act string, p reminder.Phone, changed bool, words string) error {
	if !edit.asJSON {
		_, err := fmt.Fprintln(edit.app.stdout, words)
		return err
	}
	return json.NewEncoder(edit.app.stdout).Encode(struct {
		Act     string `json:"act"`
		Phone   string `json:"phone"`
		Service string `json:"service,omitempty"`
		Changed bool   `json:"changed"`
	}{act, p.String(), edit.service, changed})
}

func orAll(service string) string {
	if service == "" {
		return "every service"
	}
	return "service " + service
}

// who is the person behind a command, for the trail.
func who() string {
	for _, name := range []string{"SUDO_USER", "USER", "LOGNAME"} {
		if name := os.Getenv(name); name != "" {
			return name
		}
	}
	if u, err := user.Current(); err == nil && u.Username != "" { // as of a unit or a cron job
		return u.Username
	}
	return fmt.Sprintf("user %d", os.Getuid())
}
