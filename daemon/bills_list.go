package daemon

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"

	"duewatch/config"
	"duewatch/importer"
	"duewatch/reminder"
	"duewatch/store"
)

// BillsList is a file of bills that is being read, with an index that finds the
// bills it names twice.
type BillsList struct {
	*importer.Batches

	Index *store.ImportIndex
}

// OpenBillsList begins to read a file of bills. name is that of the file, and columns
// says what its header does not. An index that keeps can give all bills back.
func OpenBillsList(
	ctx context.Context, cfg *config.Config, in io.Reader, name string, columns importer.ColumnChoice, keeps bool,
) (*BillsList, error) {
	index, err := store.NewImportIndex(ctx, keeps)
	if err != nil {
		return nil, err
	}
	batches, err := cfg.OpenBills(in, name, columns, index.Add)
	if err != nil {
		return nil, errors.Join(err, index.Close())
	}
	return &BillsList{Batches: batches, Index: index}, nil
}

// Close drops the index.
func (l *BillsList) Close() error { return l.Index.Close() }

// maxListed bounds how many wrong rows are listed, in a log too.
const maxListed = 1000

// CheckBillsFile reads the file that the config names, to its end. keeps is for a
// list that will be declared; seen is called with some good rows after others, and
// how many they are so far. What is wrong with the file is a *config.Error.
func CheckBillsFile(
	ctx context.Context, cfg *config.Config, keeps bool, seen func(rows int, batch []reminder.ListedBill),
) (_ *BillsFile, err error) {
	in, err := openBillsFile(cfg)
	if err != nil {
		return nil, err
	}
	defer in.Close() //nolint:errcheck // only read from
	sum := sha256.New()
	list, err := OpenBillsList(ctx, cfg, io.TeeReader(in, sum), cfg.BillsFile, cfg.BillsColumns, keeps)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, list.Close())
		}
	}()
	rows, more := 0, 0
	wrong := &config.Error{}
	err = list.Each(ctx, func(b importer.Batch) error {
		rows += len(b.Good)
		seen(rows, b.Good)
		listed := min(len(b.Bad), maxListed-len(wrong.Problems))
		wrong.Problems = append(wrong.Problems, b.Bad[:listed]...)
		more += len(b.Bad) - listed
		return nil
	})
	if err != nil {
		return nil, err
	}
	fault := func(text string) {
		wrong.Problems = append(wrong.Problems, importer.Problem{File: cfg.BillsFile, Text: text})
	}
	switch {
	case more > 0:
		fault(fmt.Sprintf("has %d further faults: duewatch import --dry-run lists all", more))
	case rows == 0 && len(wrong.Problems) == 0:
		// An export that failed half way would remove every bill.
		fault(`lists no bill: to have none, write bills_file: "" in the config`)
	}
	if len(wrong.Problems) > 0 {
		return nil, wrong
	}
	return &BillsFile{
		Rows: rows, Columns: list.Columns(), Notes: list.Notes(), name: cfg.BillsFile, sum: sum.Sum(nil), index: list.Index,
	}, nil
}
