package cli

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/spf13/cobra"

	"duewatch/importer"
	"duewatch/reminder"
	"duewatch/store"
)

func (a *app) exportCommand() *cobra.Command {
	var state, source, out string
	c := &cobra.Command{
		Use:   "export",
		Short: "Write bills as CSV, as import reads it",
		Long: `Writes the bills in the store as CSV that duewatch import takes back, with
phones in full: keep the file to yourself. Those that were removed are left out
unless --state removed asks for them. Texts that a spreadsheet would take for
formulas have an apostrophe in front, which import takes off again.`,
		Example: "  duewatch export --out bills.csv\n  duewatch export --source import --state active --out active.csv",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) (err error) {
			states := []reminder.BillState{reminder.BillPending, reminder.BillActive, reminder.BillPaused, reminder.BillRejected, reminder.BillRemoved}
			if !slices.Contains(append(states, ""), reminder.BillState(state)) {
				return fmt.Errorf("--state %q: write one of %v (%w)", state, states, errUsage)
			}
			sources := []string{store.SourceConfig, store.SourceFile, store.SourceImport}
			if !slices.Contains(append(sources, ""), source) {
				return fmt.Errorf("--source %q: write one of %v (%w)", source, sources, errUsage)
			}
			_, s, err := a.openReader(c)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, s.Close()) }()
			wanted := func(w store.Watched) bool {
				return (source == "" || w.Source == source) && (state != "" || w.State != reminder.BillRemoved)
			}
			write := func(to io.Writer) (int, error) { return exportBills(c, s, reminder.BillState(state), wanted, to) }
			if out == "" {
				_, err := write(a.stdout)
				return err
			}
			n, err := writeFile(out, write)
			if err == nil {
				fmt.Fprintf(a.stdout, "%s written to %s\n", countOf(n, "bill"), out)
			}
			return err
		},
	}
	c.Flags().StringVar(&state, "state", "", "only pending, active, paused, rejected or removed")
	c.Flags().StringVar(&source, "source", "", "only those of config, file or import")
	c.Flags().StringVar(&out, "out", "", "a new file, readable by you alone; else stdout")
	return c
}

func exportBills(c *cobra.Command, s *store.Store, state reminder.BillState, wanted func(store.Watched) bool, to io.Writer) (n int, err error) {
	w := csv.NewWriter(to)
	if err := w.Write(importer.CSVHeader()); err != nil {
		return 0, fmt.Errorf("export: %w", err)
	}
	err = s.Bills(c.Context(), store.BillFilter{State: state}, func(b store.Watched) error {
		if !wanted(b) {
			return nil
		}
		n++
		// Not the phone: + and digits do no harm, and programs read it too.
		row := []string{importer.GuardID(b.Service), importer.GuardID(b.Account), b.Phone.E164(), importer.GuardCell(b.Description), b.Language}
		if err := w.Write(row); err != nil {
			return fmt.Errorf("export: %w", err)
		}
		return nil
	})
	w.Flush()
	if err == nil && w.Error() != nil {
		err = fmt.Errorf("export: %w", w.Error())
	}
	return n, err
}

// writeFile writes a file that must not be there yet, and leaves none when it
// fails. Only its owner may read it.
func writeFile(name string, write func(io.Writer) (int, error)) (n int, err error) {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600) //nolint:gosec // the operator names the file
	switch {
	case errors.Is(err, os.ErrExist):
		return 0, fmt.Errorf("export: %s is there already: remove it, or name another file", name)
	case err != nil:
		return 0, fmt.Errorf("export: %w", err)
	}
	n, err = write(f)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return 0, errors.Join(err, os.Remove(name))
	}
	return n, nil
}
