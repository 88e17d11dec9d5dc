package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"duewatch/config"
	"duewatch/daemon"
	"duewatch/importer"
	"duewatch/reminder"
	"duewatch/store"
)

func (a *app) importCommand() *cobra.Command {
	i := &billImport{app: a}
	c := &cobra.Command{
		Use:   "import FILE",
		Short: "Add or change bills from a CSV file or a workbook",
		Long: `Adds the bills of a CSV file or an .xlsx workbook, and changes those that are
there already. A header names the columns, in any order; a title above it is
passed over:

  service, account, phone    must be there
  description, language      may be

Usual names such as "Phone No.", MSISDN, "Acc No", "Namba ya simu" or House are
known too, and it is said what each was taken for. Choose others with --columns,
by the header as it is written or by its number. Cells are separated by comma,
semicolon, tab or |; what Excel writes is understood (as "CSV UTF-8" or "Unicode
Text"). FILE may be - for stdin.

Of a workbook the first sheet that is not hidden is read, or that of --sheet.
Hidden and filtered rows are read too; of merged cells only the first has the
value. Numbers keep the zeros that their format shows. Dates, fractions and
numbers of more than 15 digits are refused with the name of their cell.

An account such as 5/12 or 12E4 is refused, unless it has an apostrophe in front
('5/12), or --as-written says that all of the list stand as the biller wrote
them. That takes phones such as 0700000000 too, and no words such as TOTAL.

Wrong rows are named with their line and left out, and the status is 1. Bills
that the config declares, under bills: or in bills_file, are not changed by an
import. A bill is never removed by one.

It can be interrupted and run again, also while the daemon runs: the daemon
finds the new bills by itself.`,
		Example: `  duewatch import bills.csv --dry-run
  duewatch import bills.csv
  duewatch import tenants.csv --service 17 --columns account="Hse Ref",phone=4`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			i.name = args[0]
			return i.run(c)
		},
	}
	c.Flags().BoolVar(&i.dryRun, "dry-run", false, "say what would change, and write nothing")
	c.Flags().BoolVar(&i.allOrNothing, "all-or-nothing", false, "write nothing if any row is wrong")
	i.columns.Of = columnsFlag{}
	c.Flags().Var(columnsFlag(i.columns.Of), "columns", "say which column is what, by `FIELD=COLUMN`")
	c.Flags().StringVar(&i.columns.Service, "service", "", "the service of every row, by its `ID`")
	c.Flags().StringSliceVar(&i.columns.Ignore, "ignore-columns", nil, "headers or numbers of columns to leave out")
	c.Flags().StringVar(&i.columns.Sheet, "sheet", "", "the sheet of a workbook, by its `NAME` or number")
	c.Flags().BoolVar(&i.columns.AsWritten, "as-written", false, "take accounts such as 5/12 as they stand")
	c.Flags().BoolVar(&i.asJSON, "json", false, "print the summary as JSON")
	return c
}

// How many rows of a file share a transaction beside a running daemon, which waits
// for each; and in a check, whose batch is as large as somebody waits for the next
// word. Elsewhere it is importer's own number.
const (
	batchBeside = 2000
	batchCheck  = 10_000
)

// billImport is one run of the command.
type billImport struct {
	app          *app
	name         string
	dryRun       bool
	allOrNothing bool
	asJSON       bool
	columns      importer.ColumnChoice

	cfg        *config.Config
	configured map[string]bool // the services that the config names
	store      *store.Store
	progress   *progress
	count      importCount
	read       int64 // what is counted for the progress: bytes of the file, or rows of the index
}

// importCount is what became of the rows.
type importCount struct {
	rows, added, changed, same, bad int
	meant                           int    // rows of the bad ones whose account could be meant as it stands
	fields                          [8]int // of those changed, by column
	unknown                         unknownServices
}

func (i *billImport) run(c *cobra.Command) (err error) {
	cfg, err := i.open(c)
	if err != nil {
		return err
	}
	i.cfg, i.configured = cfg, configuredServices(cfg)
	defer func() { err = errors.Join(err, i.store.Close()) }()
	in, size, err := openInput(i.name)
	if err != nil {
		return fmt.Errorf("import: %w", err)
	}
	defer in.Close() //nolint:errcheck // only read from
	began := time.Now()
	if i.name == "-" {
		i.name = importer.Stdin
	}
	i.columns.DryRun = i.dryRun
	file, err := daemon.OpenBillsList(c.Context(), cfg, in, i.name, i.columns, i.allOrNothing)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	i.printColumns(file.Columns())
	switch {
	case i.store.BesideDaemon(c.Context()):
		file.Size = batchBeside
	case i.dryRun:
		file.Size = batchCheck
	}
	if i.dryRun || i.allOrNothing {
		err = i.check(c.Context(), file, size)
	} else {
		err = i.write(c.Context(), file, size)
	}
	if err == nil && i.allOrNothing && !i.dryRun && i.count.bad == 0 {
		err = i.writeChecked(c.Context(), file)
	}
	if err != nil {
		return i.interrupted(err)
	}
	return errors.Join(i.summary(file.Notes(), time.Since(began)), i.refused())
}

// open opens the store. A file can be tried before there is one.
func (i *billImport) open(c *cobra.Command) (cfg *config.Config, err error) {
	if !i.dryRun {
		cfg, i.store, err = i.app.openOrMake(c)
		return cfg, err
	}
	cfg, i.store, err = i.app.openReader(c)
	if !errors.Is(err, store.ErrNotFound) {
		return cfg, err
	}
	if cfg, err = i.app.load(true); err != nil {
		return nil, err
	}
	fmt.Fprintf(i.app.stderr, "there is no store yet at %s: all that is right would be added\n", cfg.Store)
	i.store, err = store.OpenScratch(c.Context(), "")
	return cfg, err
}

// openInput opens a file, or stdin for -, and says how long it is, 0 when
// nobody knows.
func openInput(name string) (in io.ReadCloser, size int64, err error) {
	f := os.Stdin
	if name != "-" {
		if f, err = os.Open(name); err != nil { //nolint:gosec // the operator names the file
			if importer.IsAddress(name) {
				return nil, 0, importer.ErrAddress // not repeated: the address of a private sheet opens it
			}
			return nil, 0, err
		}
	}
	if info, err := f.Stat(); err == nil && info.Mode().IsRegular() {
		size = info.Size()
	}
	return f, size, nil
}

// write imports the good rows, a batch at a time.
func (i *billImport) write(ctx context.Context, file *daemon.BillsList, size int64) error {
	i.progress = newProgress(i.app.stderr, "importing", size)
	defer i.progress.done()
	return file.Each(ctx, func(b importer.Batch) error {
		return i.writeBatch(ctx, b)
	})
}

// writeBatch imports the rows of a batch, and takes it.
func (i *billImport) writeBatch(ctx context.Context, b importer.Batch) error {
	changes, err := i.store.Import(ctx, store.SourceImport, b.Bills(), i.app.now(), func(bills int) {
		part := float64(bills) / float64(len(b.Good))
		i.progress.at(i.count.rows+bills, i.read+int64(part*float64(b.Read-i.read)))
	})
	if err != nil {
		return err
	}
	i.take(b, changes)
	return nil
}

// check says what an import would do, and what is wrong with the file.
func (i *billImport) check(ctx context.Context, file *daemon.BillsList, size int64) error {
	i.progress = newProgress(i.app.stderr, "checking", size)
	defer i.progress.done()
	return file.Each(ctx, func(b importer.Batch) error {
		changes, err := i.store.CompareBills(ctx, store.SourceImport, b.Bills())
		if err != nil {
			return err
		}
		if i.dryRun && !i.asJSON {
			i.printFirst(b)
			i.printChanges(b, changes)
		}
		i.take(b, changes)
		return nil
	})
}

// firstRows is how many rows a dry run shows as they were understood.
const firstRows = 3

// writeChecked imports what check has found to be right.
func (i *billImport) writeChecked(ctx context.Context, file *daemon.BillsList) error {
	all := i.count.rows
	i.count, i.read = importCount{}, 0
	i.progress = newProgress(i.app.stderr, "importing", int64(all))
	defer i.progress.done()
	return file.Index.Each(file.Size, func(rows []reminder.ListedBill) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		importer.SortByIdentity(rows)
		return i.writeBatch(ctx, importer.Batch{Good: rows, Read: int64(i.count.rows + len(rows))})
	})
}

// take counts a batch and names its bad rows.
func (i *billImport) take(b importer.Batch, changes []store.Change) {
	n := &i.count
	n.rows += len(b.Good) + b.BadRows
	for _, c := range changes {
		switch c.Kind {
		case store.Added:
			n.added++
		case store.Same:
			n.same++
		case store.Changed:
			n.changed++
			for f := range store.FieldNames {
				if c.Fields&(1<<f) != 0 {
					n.fields[f]++
				}
			}
		case store.OtherSource:
		}
	}
	b.Refuse(i.name, func(row int) string {
		if changes[row].Kind != store.OtherSource {
			return ""
		}
		if changes[row].Source == store.SourceFile {
			return "this bill is declared in the bills_file of " + i.app.configPath + ": change it there"
		}
		return "this bill is declared under bills: in " + i.app.configPath + ": change it there"
	})
	for _, l := range b.Good {
		if !i.configured[l.Bill.Service] {
			n.unknown.add(l.Bill.Service)
		}
	}
	n.bad += b.BadRows
	if len(b.Bad) > 0 {
		i.progress.clear()
	}
	for _, p := range b.Bad {
		fmt.Fprintln(i.app.stderr, p)
		if p.CanBeMeant() {
			n.meant++
		}
	}
	i.read = b.Read
	i.progress.at(n.rows, i.read)
}

// refused is the error that makes the status 1 when rows were bad.
func (i *billImport) refused() error {
	n := i.count
	if n.meant > 0 {
		fmt.Fprintf(i.app.stderr, "%s may be right: if the biller writes so, --as-written takes all of the list as it stands\n",
			countOf(n.meant, "row"))
	}
	switch {
	case n.bad == 0:
		return nil
	case i.allOrNothing && i.dryRun:
		return fmt.Errorf("%s: with --all-or-nothing, import would write nothing", rowsAreWrong(n.bad))
	case i.dryRun:
		return fmt.Errorf("%s: import would leave %s out", rowsAreWrong(n.bad), itOrThem(n.bad))
	case i.allOrNothing:
		return fmt.Errorf("%s: nothing was written", rowsAreWrong(n.bad))
	default:
		return fmt.Errorf("%s and left out: mend the file and import it again", rowsAreWrong(n.bad))
	}
}
