package importer

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync/atomic"

	"duewatch/reminder"
)

// Batch is some rows of a file, sorted by SortByIdentity.
type Batch struct {
	Good    []reminder.ListedBill
	Bad     []Problem
	BadRows int   // each has one problem or several
	Read    int64 // bytes of the file so far
}

// Doubles finds those of the rows whose bill was in another row before: their
// places in rows, and the line that named the bill first.
type Doubles func(rows []reminder.ListedBill) (map[int]int, error)

// usualBatch is how many rows share a batch. The more of them are written in one
// transaction, the fewer pages of the indexes are written again and again.
const usualBatch = 50_000

// Batches reads a file of bills, many rows at a time.
type Batches struct {
	Size int // rows in a batch, 50,000 if not set otherwise

	name    string
	rows    *BillsReader
	doubles Doubles
	bytes   *countedReader
}

// ReadBatches begins to read a file of bills. Its errors are those of ReadBills.
func ReadBatches(in io.Reader, o BillOptions, doubles Doubles) (*Batches, error) {
	counted := &countedReader{in: in}
	rows, err := ReadBills(counted, o)
	if err != nil {
		return nil, err
	}
	return &Batches{Size: usualBatch, name: o.Name, rows: rows, doubles: doubles, bytes: counted}, nil
}

// Columns are what the columns of the file were taken for.
func (s *Batches) Columns() Columns { return s.rows.Columns() }

// Notes are of all rows, once Each is done.
func (s *Batches) Notes() Notes { return s.rows.Notes() }

// Each calls do for all rows, a batch at a time, while the next batch is being
// read: checking rows takes about as long as writing them. It stops at the
// first error of do, and when ctx ends, even where reading waits for a pipe.
func (s *Batches) Each(ctx context.Context, do func(Batch) error) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	batches, ended := make(chan Batch, 1), make(chan error, 1)
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

func (s *Batches) produce(ctx context.Context, to chan<- Batch) error {
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
func (s *Batches) batch() (b Batch, err error) {
	b.Good = make([]reminder.ListedBill, 0, s.Size)
	for len(b.Good)+b.BadRows < s.Size && err == nil {
		var row BillRow
		if row, err = s.rows.Next(); err != nil {
			break
		}
		if row.Problems != nil {
			b.BadRows++
			b.Bad = append(b.Bad, row.Problems...)
			continue
		}
		b.Good = append(b.Good, reminder.ListedBill{Line: row.Line, Bill: row.Bill})
	}
	if err != nil && !errors.Is(err, io.EOF) {
		return b, err
	}
	SortByIdentity(b.Good)
	doubles, findErr := s.doubles(b.Good)
	if findErr != nil {
		return b, findErr
	}
	b.Refuse(s.name, func(i int) string {
		if first, ok := doubles[i]; ok {
			return fmt.Sprintf("this service and account are there already, in line %d: keep one", first)
		}
		return ""
	})
	b.Read = s.bytes.n.Load()
	if book, ok := s.rows.rows.rowSource.(*workbookRows); ok {
		b.Read = book.position() // the file itself was read as a whole
	}
	return b, err
}

// SortByIdentity sorts rows as the index does in which they are looked up and
// written: neighbours share pages. Of rows of one bill, the first stays first.
func SortByIdentity(rows []reminder.ListedBill) {
	order := make([]*reminder.ListedBill, len(rows)) // sorting moves these, which are small
	for i := range rows {
		order[i] = &rows[i]
	}
	slices.SortFunc(order, func(a, b *reminder.ListedBill) int {
		if a.Bill.Service != b.Bill.Service {
			return strings.Compare(a.Bill.Service, b.Bill.Service)
		}
		return cmp.Or(strings.Compare(a.Bill.Account, b.Bill.Account), cmp.Compare(a.Line, b.Line))
	})
	sorted := make([]reminder.ListedBill, len(rows))
	for i, l := range order {
		sorted[i] = *l
	}
	copy(rows, sorted)
}

// Refuse moves the rows of which fault says something, by their place in Good,
// to the bad ones. name is that of the file.
func (b *Batch) Refuse(name string, fault func(row int) string) {
	good := b.Good[:0]
	for i, l := range b.Good {
		if text := fault(i); text != "" {
			b.BadRows++
			b.Bad = append(b.Bad, Problem{File: name, Line: l.Line, Key: "account", Text: text})
			continue
		}
		good = append(good, l)
	}
	b.Good = good
	slices.SortStableFunc(b.Bad, func(p, q Problem) int { return cmp.Compare(p.Line, q.Line) })
}

// Bills are the good rows without their lines.
func (b *Batch) Bills() []reminder.Bill { return Bills(b.Good) }

// Bills are the bills of rows.
func Bills(rows []reminder.ListedBill) []reminder.Bill {
	bills := make([]reminder.Bill, len(rows))
	for i, l := range rows {
		bills[i] = l.Bill
	}
	return bills
}

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
