package store

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/binary"
	"fmt"
	"hash"
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/sync/errgroup"

	"duewatch/store/db"
)

// allTables are the tables of the schema, those before that others refer to, each with the
// key by which it is read page by page. What only PostgreSQL has (daemons, write_lock) says
// nothing that another store should know.
var allTables = []struct {
	name string
	key  []string
	id   bool   // the key is given by the database
	only string // a condition that leaves out rows which say something of one place only
}{
	{name: "meta", key: []string{"key"}, only: "key NOT IN ('oldest_version', '" + db.FactTimeline + "', '" + metaMove + "')"},
	{name: "bills", key: []string{"id"}, id: true},
	{name: "phones", key: []string{"phone_id"}, id: true},
	{name: "texts", key: []string{"id"}, id: true},
	{name: "reminders", key: []string{"id"}, id: true},
	{name: "events", key: []string{"id"}, id: true},
	{name: "due_register", key: []string{"bill_id"}},
	{name: "due_recheck", key: []string{"bill_id"}},
	{name: "due_remind", key: []string{"bill_id"}},
	{name: "opt_outs", key: []string{"phone", "service"}},
	{name: "usage", key: []string{"since"}},
	{name: "stops", key: []string{"reason"}},
	{name: "warnings", key: []string{"reason"}},
	{name: "overrides", key: []string{"guard"}},
	{name: "pauses", key: []string{"service", "phone"}},
	{name: "foreign_messages", key: []string{"provider_id", "bill_id"}},
	{name: "unattributed_messages", key: []string{"provider_id"}},
	{name: "refused_bills", key: []string{"bill_id"}},
	{name: "refused_destinations", key: []string{"scope"}},
	{name: "rejections", key: []string{"bill_id"}},
	{name: "shrunk_lists", key: []string{"source"}},
	{name: "answer_minutes", key: []string{"service", "minute"}},
	{name: "doubted_payments", key: []string{"service", "since"}},
}

// copiedAtOnce is how many rows are read, and written in one commit.
const copiedAtOnce = 10_000

// pagedTable reads and writes a table page by page, in the order of its key.
type pagedTable struct {
	name  string
	keyed []int // where the columns of the key stand in a row
	ids   string

	first, further, last, size string
	write                      *db.Batch
	scan                       []sql.Scanner
	row                        []any // the one that is being read
	replaced                   int   // characters that PostgreSQL cannot keep, of the rows read so far
}

// pagedTables are all tables, with the columns that they have in a store.
func pagedTables(ctx context.Context, of *Store) ([]*pagedTable, error) {
	all := make([]*pagedTable, 0, len(allTables))
	for _, t := range allTables {
		columns, err := db.TypedColumns(of.read(ctx).Query("SELECT * FROM " + t.name + " WHERE 1 = 0"))
		if err != nil {
			return nil, fmt.Errorf("read the columns of %s: %w", t.name, err)
		}
		// By name: those that were added later stand elsewhere on the other engine.
		slices.SortFunc(columns, func(a, b db.Column) int { return strings.Compare(a.Name, b.Name) })
		p := &pagedTable{name: t.name, row: make([]any, len(columns))}
		names, types := make([]string, len(columns)), make([]db.Type, len(columns))
		for i, c := range columns {
			names[i], types[i] = c.Name, c.Type
			p.scan = append(p.scan, db.AnyTo(&p.row[i]))
		}
		for _, k := range t.key {
			p.keyed = append(p.keyed, slices.Index(names, k))
		}
		if t.id {
			p.ids = t.key[0]
		}
		only := "1 = 1"
		if t.only != "" {
			only = t.only
		}
		key, n := strings.Join(t.key, ", "), len(t.key)
		list := strings.Join(names, ", ")
		after := strings.Join([]string{"?1", "?2"}[:n], ", ")
		p.first = fmt.Sprintf("SELECT %s FROM %s WHERE %s ORDER BY %s LIMIT ?1 + 0", list, t.name, only, key)
		p.further = fmt.Sprintf("SELECT %s FROM %s WHERE %s AND (%s) > (%s) ORDER BY %s LIMIT ?%d + 0", list, t.name, only, key, after, key, n+1)
		p.last = fmt.Sprintf("SELECT %s FROM %s WHERE %s ORDER BY %s DESC LIMIT 1", list, t.name, only, strings.Join(t.key, " DESC, "))
		p.size = fmt.Sprintf("SELECT count(*) FROM %s WHERE %s", t.name, only)
		p.write = db.NewBatch("INSERT INTO "+t.name+" ("+list+") VALUES %s", 0, types...)
		all = append(all, p)
	}
	return all, nil
}

// page reads the rows after a key; nil = the first ones.
func (p *pagedTable) page(t *tx, after []any) (rows [][]any, err error) {
	query, args := p.first, []any{int64(copiedAtOnce)}
	if after != nil {
		query, args = p.further, append(slices.Clone(after), int64(copiedAtOnce))
	}
	err = t.EachRow(query, args, p.scan, func() error {
		row := slices.Clone(p.row)
		for i := range row {
			if text, is := row[i].(string); is && !storable(text) {
				row[i] = strings.ReplaceAll(strings.ToValidUTF8(text, "\uFFFD"), "\x00", "\uFFFD")
				p.replaced++
			}
		}
		rows = append(rows, row)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", p.name, err)
	}
	return rows, nil
}

// storable reports whether PostgreSQL takes a text. SQLite takes any bytes.
func storable(text string) bool { return utf8.ValidString(text) && !strings.Contains(text, "\x00") }

func (p *pagedTable) keyOf(row []any) []any {
	key := make([]any, len(p.keyed))
	for i, at := range p.keyed {
		key[i] = row[at]
	}
	return key
}

// lastKey is the key of the last row of a table; nil = it is empty.
func (p *pagedTable) lastKey(t *tx) (key []any, err error) {
	err = t.EachRow(p.last, nil, p.scan, func() error {
		key = p.keyOf(p.row)
		return nil
	})
	return key, err
}

// source is a store that is read: page by page, or as it is at one instant.
type source func(do func(*tx) error) error

// each calls do for every page of a table from a key on.
func (p *pagedTable) each(ctx context.Context, from source, after []any, do func(rows [][]any) error) error {
	for ctx.Err() == nil {
		var rows [][]any
		err := from(func(t *tx) (err error) {
			rows, err = p.page(t, after)
			return err
		})
		if err != nil || len(rows) == 0 {
			return err
		}
		after = p.keyOf(rows[len(rows)-1])
		if err := do(rows); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// copyTo copies what a table has behind the last row that is there already: a copy that was
// interrupted goes on. A page is read while the one before it is written.
func (p *pagedTable) copyTo(ctx context.Context, from source, to *Store, copied func(rows int)) error {
	var after []any
	err := to.view(ctx, func(t *tx) (err error) {
		after, err = p.lastKey(t)
		return err
	})
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	pages := make(chan [][]any)
	group.Go(func() error {
		defer close(pages)
		return p.each(ctx, from, after, func(rows [][]any) error {
			select {
			case pages <- rows:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		})
	})
	group.Go(func() error {
		for rows := range pages {
			err := to.do(func(t *tx) error {
				_, err := db.ExecBatch(t.Tx, p.write, rows, func(args, row []any) []any { return append(args, row...) })
				return err
			})
			if err != nil {
				return fmt.Errorf("write %s: %w", p.name, err)
			}
			copied(len(rows))
		}
		return nil
	})
	return group.Wait()
}

// tableSum is what a table holds: equal sums are equal rows.
type tableSum struct {
	rows int64
	hash [sha256.Size]byte
}

// sum reads a whole table.
func (p *pagedTable) sum(ctx context.Context, from source, read func(rows int)) (tableSum, error) {
	var s tableSum
	h := sha256.New()
	err := p.each(ctx, from, nil, func(rows [][]any) error {
		for _, row := range rows {
			for _, v := range row {
				if err := addTo(h, v); err != nil {
					return fmt.Errorf("%s: %w", p.name, err)
				}
			}
		}
		s.rows += int64(len(rows))
		read(len(rows))
		return nil
	})
	h.Sum(s.hash[:0])
	return s, err
}

// addTo adds a value with its type and length, so that no two rows look alike.
func addTo(h hash.Hash, v any) error {
	var head [9]byte
	switch v := v.(type) {
	case nil:
		h.Write(head[:1])
	case int64:
		head[0] = 1
		binary.BigEndian.PutUint64(head[1:], uint64(v)) //nolint:gosec // the same bits
		h.Write(head[:])
	case string:
		head[0] = 2
		binary.BigEndian.PutUint64(head[1:], uint64(len(v)))
		h.Write(head[:])
		h.Write([]byte(v))
	default:
		return fmt.Errorf("%T is neither a number nor a text", v)
	}
	return nil
}

// CopyToScratch copies all of the store, as it is at one instant, into a new file for
// OpenScratch. progress is called now and then.
func (s *Store) CopyToScratch(ctx context.Context, path string, progress func(what string, done, of int)) (err error) {
	to, err := OpenScratch(ctx, path)
	if err != nil {
		return err
	}
	tables, err := pagedTables(ctx, to)
	if err == nil {
		err = s.db.Snapshot(ctx, func(t *db.Tx) error {
			return copyAll(ctx, tables, func(do func(*tx) error) error { return do(&tx{t}) }, to, progress)
		})
	}
	if closeErr := to.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return fmt.Errorf("copy the store: %w", err)
	}
	return nil
}

// countAll counts the rows of all tables.
func countAll(t *tx, tables []*pagedTable) (total int, err error) {
	for _, p := range tables {
		var n int
		if err := t.Row(p.size).Scan(&n); err != nil {
			return 0, fmt.Errorf("count %s: %w", p.name, err)
		}
		total += n
	}
	return total, nil
}

// copyAll copies all tables.
func copyAll(ctx context.Context, tables []*pagedTable, from source, to *Store, progress func(what string, done, of int)) error {
	var total, done int
	err := from(func(t *tx) (err error) {
		total, err = countAll(t, tables)
		return err
	})
	if err != nil {
		return err
	}
	err = to.view(ctx, func(t *tx) (err error) { // of a copy that was interrupted
		done, err = countAll(t, tables)
		return err
	})
	if err != nil {
		return err
	}
	for _, p := range tables {
		err := p.copyTo(ctx, from, to, func(rows int) {
			done += rows
			progress("copying", done, total)
		})
		if err != nil {
			return err
		}
	}
	return nil
}
