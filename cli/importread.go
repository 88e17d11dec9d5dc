package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync/atomic"

	"duewatch/config"
	"duewatch/reminder"
	"duewatch/store"
)

// How many rows of a file share a transaction. The more, the fewer pages of the
// indexes are written again and again; a running daemon waits for each. Where
// nothing is written, a batch is as large as somebody waits for the next word.
const (
	batchAlone  = 50_000
	batchBeside = 2000
	batchLook   = 10_000
)

// billBatch is some rows of a file, in the order of inIndexOrder.
type billBatch struct {
	good    []store.Row
	bad     []config.Problem
	badRows int
	read    int64 // bytes of the file so far
}

// billSource is a file of bills that is being read.
type billSource struct {
	name  string
	rows  *config.BillsReader
	roll  *store.ImportIndex // finds the bills that stand there twice
	bytes *countedReader
	size  int // rows in a batch
}

// openBills begins to read a file of bills. A roll that keeps can give all of
// them back.
func openBills(ctx context.Context, cfg *config.Config, in io.Reader, name string, ignore []string, keeps bool) (*billSource, error) {
	counted := &countedReader{in: in}
	rows, err := cfg.ReadBills(counted, name, ignore)
	if err != nil {
		return nil, err
	}
	roll, err := store.NewImportIndex(ctx, keeps)
	if err != nil {
		return nil, err
	}
	return &billSource{name: name, rows: rows, roll: roll, bytes: counted, size: batchAlone}, nil
}

// each calls do for all rows, a batch at a time, while the next batch is being
// read: checking rows takes about as long as writing them. It stops at the
// first error of do, and when ctx ends, even where reading waits for a pipe.
func (s *billSource) each(ctx context.Context, do func(billBatch) error) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	batches, ended := make(chan billBatch, 1), make(chan error, 1)
	go func() {
		defer close(batches)
		ended <- s.produce(ctx, batches)
	}()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case b, more := <-batches:
			if !more {
				return <-ended
			}
			if err := do(b); err != nil {
				return err
			}
		}
	}
}

func (s *billSource) produce(ctx context.Context, to chan<- billBatch) error {
	for {
		b, err := s.batch()
		last := errors.Is(err, io.EOF)
		if err != nil && !last {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case to <- b:
		}
		if last {
			return nil
		}
	}
}

// batch reads some rows, fewer at the end of the file, with io.EOF. What was
// read before another error is lost with it: reading that file went wrong.
func (s *billSource) batch() (b billBatch, err error) {
	b.good = make([]store.Row, 0, s.size)
	for len(b.good)+b.badRows < s.size && err == nil {
		var row config.BillRow
		if row, err = s.rows.Next(); err != nil {
			break
		}
		if row.Problems != nil {
			b.badRows++
			b.bad = append(b.bad, row.Problems...)
			continue
		}
		b.good = append(b.good, store.Row{Line: row.Line, Bill: storedBill(row.Bill)})
	}
	if err != nil && !errors.Is(err, io.EOF) {
		return b, err
	}
	inIndexOrder(b.good)
	doubles, rollErr := s.roll.Add(b.good)
	if rollErr != nil {
		return b, rollErr
	}
	b.refuse(s.name, func(i int, _ store.Row) string {
		if first, ok := doubles[i]; ok {
			return fmt.Sprintf("this service and account are there already, in line %d: keep one", first)
		}
		return ""
	})
	b.read = s.bytes.n.Load()
	return b, err
}

// inIndexOrder sorts rows as the index does in which they are looked up and
// written: neighbours share pages. Of rows of one bill, the first stays first.
func inIndexOrder(rows []store.Row) {
	order := make([]*store.Row, len(rows)) // sorting moves these, which are small
	for i := range rows {
		order[i] = &rows[i]
	}
	slices.SortFunc(order, func(a, b *store.Row) int {
		if a.Bill.Service != b.Bill.Service {
			return strings.Compare(a.Bill.Service, b.Bill.Service)
		}
		return cmp.Or(strings.Compare(a.Bill.Account, b.Bill.Account), cmp.Compare(a.Line, b.Line))
	})
	sorted := make([]store.Row, len(rows))
	for i, l := range order {
		sorted[i] = *l
	}
	copy(rows, sorted)
}

// refuse moves the rows of which fault says something from the good ones to the
// bad ones.
func (b *billBatch) refuse(name string, fault func(i int, l store.Row) string) {
	good := b.good[:0]
	for i, l := range b.good {
		if text := fault(i, l); text != "" {
			b.badRows++
			b.bad = append(b.bad, config.Problem{File: name, Line: l.Line, Key: "account", Text: text})
			continue
		}
		good = append(good, l)
	}
	b.good = good
	slices.SortStableFunc(b.bad, func(p, q config.Problem) int { return cmp.Compare(p.Line, q.Line) })
}

func (b *billBatch) bills() []reminder.Bill { return billsOf(b.good) }

func billsOf(rows []store.Row) []reminder.Bill {
	bills := make([]reminder.Bill, len(rows))
	for i, l := range rows {
		bills[i] = l.Bill
	}
	return bills
}

// storedBill is a bill of the config or a file as the store knows it.
func storedBill(b config.Bill) reminder.Bill {
	return reminder.Bill{Service: b.Service, Account: b.Account, Phone: b.Phone, Description: b.Description, Language: b.Language}
}

func (s *billSource) close() error { return s.roll.Close() }

// countedReader counts what was read, for the progress.
type countedReader struct {
	in io.Reader
	n  atomic.Int64
}

func (c *countedReader) Read(p []byte) (int, error) {
	n, err := c.in.Read(p)
	c.n.Add(int64(n))
	return n, err
}
