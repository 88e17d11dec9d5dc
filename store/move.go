package store

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"

	"duewatch/store/db"
)

// metaMove is the fact that a store was moved, or is an unfinished copy. Neither may be
// used: the one would text again what is texted from the other, and of the other nobody knows
// what it lacks.
const metaMove = "move"

// moveMark is what metaMove says.
type moveMark struct {
	ID    string    `json:"id"` // of the move, the same in both stores
	Copy  bool      `json:"copy"`
	Done  bool      `json:"done"`
	Other string    `json:"other"` // the other store, without a password
	At    time.Time `json:"at"`
}

// markOf reads the mark of a store; nil = it has none.
func markOf(q db.Reader) (*moveMark, error) {
	value, err := metaOf(q, metaMove)
	if err != nil || value == "" {
		return nil, err
	}
	m := new(moveMark)
	if err := json.Unmarshal([]byte(value), m); err != nil {
		return nil, fmt.Errorf("read the mark of a move: %w", err)
	}
	return m, nil
}

// refuse is why a store with this mark is not opened.
func (m *moveMark) refuse(here string) error {
	const day = "2 January 2006"
	other := typed(m.Other)
	var why string
	switch {
	case m.Copy:
		why = fmt.Sprintf("it is an unfinished copy of %s: finish it by duewatch move %s %s, or remove it", m.Other, other, typed(here))
	case m.Done:
		why = fmt.Sprintf("it was moved to %s on %s: write that into store. It does not know what was texted since; "+
			"duewatch move --undo %s takes it back into use, as long as no daemon has run on the other", m.Other, m.At.Format(day), typed(here))
	default:
		why = fmt.Sprintf("it is being moved to %s: finish that by duewatch move %s %s, or take it back into use by duewatch move --undo %[2]s",
			m.Other, typed(here), other)
	}
	return &db.UnusableError{Err: fmt.Errorf("store %s: %s", here, why)}
}

// nameOf is a store as a mark names it: without a password, and a file by its whole path.
func nameOf(at string) string {
	if abs, err := filepath.Abs(at); err == nil && !db.OnServer(at) {
		return abs
	}
	return db.Redacted(at)
}

// typed is a store as it is typed at a shell.
func typed(at string) string {
	if db.OnServer(at) {
		return "'" + at + "'"
	}
	return at
}

// Moved is what a move has copied.
type Moved struct {
	Tables   []MovedTable
	Replaced int // texts with characters that PostgreSQL cannot keep, which were replaced by U+FFFD
}

// MovedTable is a table that was copied.
type MovedTable struct {
	Name string `json:"name"`
	Rows int64  `json:"rows"`
}

// move is a store on its way from one place to another.
type move struct {
	from, to *Store
	tables   []*pagedTable
	progress func(what string, done, of int)
}

// MoveStore copies a whole store to another place, a path or the address of a database, and
// makes sure that both hold the same. No daemon may run on either, and it keeps them away as
// long as it lasts. The new store must not have been used; a move that was interrupted goes
// on where it was. In the end the new store may be used, and the old one is refused
// (UndoMove).
func MoveStore(ctx context.Context, from, to string, progress func(what string, done, of int)) (moved Moved, err error) {
	if err := mayMove(ctx, from, to); err != nil {
		return moved, err
	}
	m := move{progress: progress}
	if m.from, err = opened(db.OpenAlone(ctx, from, schema)); err != nil {
		return moved, err
	}
	defer func() { err = errors.Join(err, m.from.Close()) }()
	if m.to, err = opened(db.OpenAlone(ctx, to, schema)); err != nil {
		return moved, err
	}
	defer func() { err = errors.Join(err, m.to.Close()) }()
	group, groupCtx := errgroup.WithContext(ctx)
	groupCtx, end := context.WithCancel(groupCtx)
	group.Go(func() error { return keepLease(groupCtx, m.from) })
	group.Go(func() error { return keepLease(groupCtx, m.to) })
	group.Go(func() (err error) {
		defer end()
		moved, err = m.run(groupCtx, nameOf(from), nameOf(to))
		return err
	})
	return moved, group.Wait()
}

// keepLease keeps a store on a server for this process while nothing is written to it.
func keepLease(ctx context.Context, s *Store) error {
	tick := time.NewTicker(2 * time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-s.Ended():
			return s.EndedBy()
		case <-tick.C:
		}
		if _, err := s.OthersWrote(ctx); err != nil && ctx.Err() == nil {
			if since, _ := s.Lost(); since.IsZero() { // else what is written waits
				return err
			}
		}
	}
}

// mayMove refuses stores that cannot be moved, or moved to, before anything is changed.
func mayMove(ctx context.Context, from, to string) error {
	source, err := lookAt(ctx, from)
	switch {
	case err != nil && !errors.Is(err, db.ErrOldSchema): // opening it will bring it up to date
		return err
	case source != nil && source.Copy:
		return source.refuse(nameOf(from))
	case source != nil && source.Other != nameOf(to):
		return source.refuse(nameOf(from))
	}
	target, err := lookAt(ctx, to)
	switch {
	case err != nil && !errors.Is(err, ErrNotFound): // to open it as a daemon does makes it
		return err
	case source != nil && source.Done && target == nil:
		return source.refuse(nameOf(from))
	case target != nil && (source == nil || target.ID != source.ID):
		return target.refuse(nameOf(to))
	}
	return nil
}

// lookAt reads the mark of a store, whatever it says.
func lookAt(ctx context.Context, at string) (mark *moveMark, err error) {
	d, err := db.OpenReader(ctx, at, schema)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	return markOf(d.Reader(ctx))
}

func (m *move) run(ctx context.Context, from, to string) (moved Moved, err error) {
	if err := m.sameVersion(ctx); err != nil {
		return moved, err
	}
	if m.tables, err = pagedTables(ctx, m.to); err != nil {
		return moved, err
	}
	if err := m.mark(ctx, from, to); err != nil {
		return moved, err
	}
	if err := copyAll(ctx, m.tables, m.from.source(ctx), m.to, m.progress); err != nil {
		return moved, err
	}
	for _, p := range m.tables {
		moved.Replaced += p.replaced
	}
	if moved.Tables, err = m.compare(ctx, from, to); err != nil {
		return moved, err
	}
	err = m.to.do(func(t *tx) error {
		for _, p := range m.tables {
			if p.ids == "" {
				continue
			}
			if err := t.ContinueIDs(p.name, p.ids); err != nil {
				return fmt.Errorf("number further rows of %s: %w", p.name, err)
			}
		}
		return nil
	})
	if err != nil {
		return moved, err
	}
	return moved, m.finish(ctx)
}

// source reads a store page by page.
func (s *Store) source(ctx context.Context) source {
	return func(do func(*tx) error) error { return s.view(ctx, do) }
}

// sameVersion refuses stores of two versions: the columns of one may mean something else.
func (m *move) sameVersion(ctx context.Context) error {
	var versions [2]int64
	for i, s := range []*Store{m.from, m.to} {
		if err := s.read(ctx).Row("SELECT max(version_id) FROM goose_db_version").Scan(&versions[i]); err != nil {
			return fmt.Errorf("read the store's version: %w", err)
		}
	}
	if versions[0] != versions[1] {
		return fmt.Errorf("the store is of version %d, and this duewatch makes stores of version %d: move it by the duewatch that wrote it",
			versions[0], versions[1])
	}
	return nil
}

// mark marks both stores as unfinished, the old one first: no daemon may write to it from
// here on.
func (m *move) mark(ctx context.Context, from, to string) error {
	have, err := markOf(m.from.read(ctx))
	if err != nil {
		return err
	}
	copied, err := markOf(m.to.read(ctx))
	if err != nil {
		return err
	}
	if have != nil && have.Other != to {
		return have.refuse(from)
	}
	if copied == nil {
		if err := m.isUnused(ctx, to); err != nil {
			return err
		}
	}
	if have == nil {
		have = &moveMark{ID: rand.Text(), Other: to, At: time.Now()}
		if err := m.from.setMark(*have); err != nil {
			return err
		}
	}
	return m.to.setMark(moveMark{ID: have.ID, Copy: true, Other: from, At: have.At})
}

func (s *Store) setMark(m moveMark) error {
	value, err := json.Marshal(m)
	if err != nil {
		return err
	}
	return s.SetMeta(metaMove, string(value))
}

// isUnused refuses a store that holds anything.
func (m *move) isUnused(ctx context.Context, to string) error {
	return m.to.view(ctx, func(t *tx) error {
		for _, p := range m.tables {
			key, err := p.lastKey(t)
			if err != nil {
				return err
			}
			if key != nil {
				return fmt.Errorf("store %s: it is in use already (there are rows in %s): name a new file, or an empty database", to, p.name)
			}
		}
		return nil
	})
}

// compare reads both stores side by side, and fails when they differ.
func (m *move) compare(ctx context.Context, from, to string) (tables []MovedTable, err error) {
	done, total := 0, 0
	if err := m.to.view(ctx, func(t *tx) (err error) {
		total, err = countAll(t, m.tables)
		return err
	}); err != nil {
		return nil, err
	}
	copies, err := pagedTables(ctx, m.to) // each reads one row at a time
	if err != nil {
		return nil, err
	}
	for i, p := range m.tables {
		var have, want tableSum
		group, ctx := errgroup.WithContext(ctx)
		group.Go(func() (err error) {
			have, err = copies[i].sum(ctx, m.to.source(ctx), func(int) {})
			return err
		})
		group.Go(func() (err error) {
			want, err = p.sum(ctx, m.from.source(ctx), func(rows int) {
				done += rows
				m.progress("comparing", done, total)
			})
			return err
		})
		if err := group.Wait(); err != nil {
			return nil, err
		}
		if have != want {
			return nil, fmt.Errorf("the copy is not like the store: the table %s has %d rows in %s and %d in %s, or others. "+
				"Something has written to one of them meanwhile: remove the copy, and move again", p.name, want.rows, from, have.rows, to)
		}
		tables = append(tables, MovedTable{p.name, have.rows})
	}
	return tables, nil
}

// finish lets the new store be used, once the old one is not any more.
func (m *move) finish(ctx context.Context) error {
	mark, err := markOf(m.from.read(ctx))
	if err != nil {
		return err
	}
	if mark == nil {
		return errors.New("the mark of the move is gone from the store: somebody has undone the move meanwhile")
	}
	mark.Done, mark.At = true, time.Now()
	if err := m.from.setMark(*mark); err != nil {
		return err
	}
	return m.to.dropMark()
}

func (s *Store) dropMark() error {
	return s.do(func(t *tx) error {
		_, err := t.Exec("DELETE FROM meta WHERE key = ?1", metaMove)
		return err
	})
}

// UndoMove lets a store be used that was moved, or was about to be. Whether the other one
// has been used meanwhile is the caller's to know.
func UndoMove(ctx context.Context, at string) (other string, err error) {
	mark, err := lookAt(ctx, at)
	switch {
	case err != nil:
		return "", err
	case mark == nil:
		return "", fmt.Errorf("store %s: it was not moved: there is nothing to undo", nameOf(at))
	case mark.Copy:
		return "", mark.refuse(nameOf(at))
	}
	s, err := opened(db.OpenAlone(ctx, at, schema))
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	return mark.Other, s.dropMark()
}
