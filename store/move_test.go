package store

import (
	"context"
	"database/sql"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"duewatch/store/db"
	"duewatch/store/db/pgtest"
)

// placeToMoveTo is a file that is not there yet or, where the tests are run on PostgreSQL, an
// empty database.
func placeToMoveTo(t *testing.T) string {
	t.Helper()
	if pgtest.Wanted() {
		return pgtest.Database(t, nil)
	}
	return filepath.Join(t.TempDir(), "moved.db")
}

func noProgress(string, int, int) {}

// fullStore is a file with rows in every table, some of which PostgreSQL cannot keep as they are.
func fullStore(t *testing.T) (path string) {
	t.Helper()
	path = oldStore(t)
	s := must(Open(t.Context(), path))
	mustDo(t, s.Close())
	changeFile(t, path, `
		INSERT INTO due_register SELECT id, 5 FROM bills LIMIT 1;
		UPDATE due_remind SET owner = 'somebody' WHERE bill_id = (SELECT min(bill_id) FROM due_remind);
		INSERT INTO opt_outs VALUES ('+254710000001', '', 'opted_out', 1, 'operator', 'me'), ('+254710000001', 'a', 'opted_out', 1, 'operator', 'é');
		INSERT INTO stops VALUES ('account_fault', 1, NULL, 'x');
		INSERT INTO warnings VALUES ('list_shrank', 1, 'x');
		INSERT INTO overrides VALUES ('daily_limit', 1, 2, 'me');
		INSERT INTO pauses (service, phone, since, until_at, detail) VALUES ('a', '', 1, NULL, 'x'), ('', '+254710000002', 1, 5, 'x');
		INSERT INTO foreign_messages SELECT 'SM1', id, 1 FROM bills LIMIT 2;
		INSERT INTO unattributed_messages VALUES ('SM2', 1);
		INSERT INTO refused_bills SELECT id, 1, 1 FROM bills LIMIT 1;
		INSERT INTO rejections SELECT id, 1 FROM bills LIMIT 1;
		INSERT INTO refused_destinations VALUES ('+254710000003', 1, 2, 1, 21408, 'x');
		INSERT INTO shrunk_lists VALUES ('config', 'mark', 3, 4, NULL);
		INSERT INTO answer_minutes VALUES ('a', 60000, 1, 1, 1, 0, 0, 0), ('B', 60000, 1, 1, 1, 0, 0, 0);
		INSERT INTO doubted_payments VALUES ('a', 1, NULL, 1, 1, 0);
		UPDATE events SET detail = 'a'||char(0)||'b' WHERE id = (SELECT min(id) FROM events);
		UPDATE events SET detail = CAST(x'61FF62' AS TEXT) WHERE id = (SELECT max(id) FROM events);`)
	for _, table := range allTables {
		if numberIn(t, path, "SELECT count(*) FROM "+table.name) == 0 {
			t.Errorf("the store of this test has no rows in %s", table.name)
		}
	}
	return path
}

// changeFile changes a file past every check.
func changeFile(t *testing.T, path, statements string) {
	t.Helper()
	file := must(sql.Open("sqlite3", path))
	defer file.Close() //nolint:errcheck // it was written
	must(file.ExecContext(t.Context(), statements))
}

func numberIn(t *testing.T, path, query string) (n int64) {
	t.Helper()
	file := must(sql.Open("sqlite3", path))
	defer file.Close() //nolint:errcheck // only read from
	mustDo(t, file.QueryRowContext(t.Context(), query).Scan(&n))
	return n
}

func TestAMoveKnowsEveryTableOfTheSchemaAndItsKey(t *testing.T) {
	s := openNew(t)
	query := `SELECT t.name, coalesce(group_concat(c.name, ', ' ORDER BY c.pk), '') FROM sqlite_schema t, pragma_table_info(t.name) c
		WHERE t.type = 'table' AND c.pk > 0 AND t.name NOT LIKE 'sqlite%' AND t.name NOT LIKE 'goose%' GROUP BY t.name ORDER BY t.name`
	if pgtest.Wanted() {
		query = `SELECT t.table_name, string_agg(k.column_name, ', ' ORDER BY k.ordinal_position) FROM information_schema.table_constraints t
			JOIN information_schema.key_column_usage k USING (table_schema, constraint_name, table_name) WHERE t.table_schema = current_schema() AND t.constraint_type = 'PRIMARY KEY'
			AND t.table_name NOT LIKE 'goose%' AND t.table_name NOT IN ('daemons', 'write_lock') GROUP BY 1 ORDER BY t.table_name COLLATE "C"`
	}
	type table struct{ Name, Key string }
	have := must(db.Collect(s.read(t.Context()).Query(query), func(r db.Scanner) (x table, err error) {
		err = r.Scan(&x.Name, &x.Key)
		return x, err
	}))
	var want []table
	for _, x := range allTables {
		want = append(want, table{x.name, strings.Join(x.key, ", ")})
	}
	slices.SortFunc(want, func(a, b table) int { return strings.Compare(a.Name, b.Name) })
	if diff := cmp.Diff(want, have); diff != "" {
		t.Errorf("tables and keys (-moved +in the schema):\n%s", diff)
	}
	if pgtest.Wanted() {
		ids := must(db.Collect(s.read(t.Context()).Query(`SELECT table_name || '.' || column_name FROM information_schema.columns
			WHERE table_schema = current_schema() AND is_identity = 'YES' AND table_name NOT LIKE 'goose%' ORDER BY 1`), func(r db.Scanner) (x string, err error) {
			err = r.Scan(&x)
			return x, err
		}))
		var numbered []string
		for _, x := range allTables {
			if x.id {
				numbered = append(numbered, x.name+"."+x.key[0])
			}
		}
		slices.Sort(numbered)
		if diff := cmp.Diff(numbered, ids); diff != "" {
			t.Errorf("columns that the database numbers (-moved +in the schema):\n%s", diff)
		}
	}
}

func TestAMovedStoreHoldsTheSameThereAndBack(t *testing.T) {
	from, to, back := fullStore(t), placeToMoveTo(t), filepath.Join(t.TempDir(), "back.db")
	moved := must(MoveStore(t.Context(), from, to, noProgress))
	if moved.Replaced != 2 {
		t.Errorf("%d texts were replaced, not the two that PostgreSQL cannot keep", moved.Replaced)
	}
	s := must(Open(t.Context(), to))
	if got := word(t, s, "SELECT detail FROM events ORDER BY id LIMIT 1"); got != "a\uFFFDb" {
		t.Errorf("a text with a zero byte became %q", got)
	}
	if got, want := word(t, s, "SELECT value FROM meta WHERE key = 'oldest_version'"), "14"; got != want {
		t.Errorf("the oldest version is %s, want %s", got, want)
	}
	// Bills that come later get numbers of their own.
	last := number(t, s, "SELECT max(id) FROM bills")
	must(s.Import(t.Context(), SourceImport, billsOf(2), checkedAt, nil))
	if got := number(t, s, "SELECT max(id) FROM bills"); got != last+2 {
		t.Errorf("the last bill is number %d, want %d", got, last+2)
	}
	mustDo(t, s.Close())

	again := must(MoveStore(t.Context(), to, back, noProgress))
	for i, table := range moved.Tables {
		want := table.Rows
		switch table.Name {
		case "bills", "due_register", "events":
			want += 2
		}
		if again.Tables[i].Rows != want {
			t.Errorf("%s has %d rows after the way back, want %d", table.Name, again.Tables[i].Rows, want)
		}
	}
	if got := numberIn(t, back, "SELECT count(*) FROM pragma_foreign_key_check"); got != 0 {
		t.Errorf("%d rows refer to rows that are missing", got)
	}
}

func TestAStoreThatWasMovedIsRefusedUntilTheMoveIsUndone(t *testing.T) {
	from, to := fullStore(t), placeToMoveTo(t)
	must(MoveStore(t.Context(), from, to, noProgress))
	refused := func(at, why string) {
		t.Helper()
		for name, open := range map[string]func(context.Context, string) (*Store, error){"daemon": Open, "reader": OpenReader, "writer": OpenWriter} {
			if s, err := open(t.Context(), at); err == nil || !IsUnusable(err) || !strings.Contains(err.Error(), why) {
				t.Errorf("the %s gets %v, which does not say %q", name, err, why)
				if err == nil {
					mustDo(t, s.Close())
				}
			}
		}
	}
	refused(from, "it was moved to ")
	if _, err := MoveStore(t.Context(), from, to, noProgress); err == nil || !strings.Contains(err.Error(), "it was moved to ") {
		t.Errorf("it is moved a second time: %v", err)
	}
	if _, err := UndoMove(t.Context(), to); err == nil || !strings.Contains(err.Error(), "it was not moved") {
		t.Errorf("the move is undone at the other end: %v", err)
	}
	if other := must(UndoMove(t.Context(), from)); other != nameOf(to) {
		t.Errorf("the other store is %s, want %s", other, nameOf(to))
	}
	mustDo(t, must(Open(t.Context(), from)).Close())
	if _, err := MoveStore(t.Context(), from, to, noProgress); err == nil || !strings.Contains(err.Error(), "in use already") {
		t.Errorf("a store in use is moved to: %v", err)
	}
	mustDo(t, must(OpenReader(t.Context(), from)).Close()) // that attempt has changed nothing
}

func TestAMoveThatWasInterruptedGoesOn(t *testing.T) {
	from, to := fullStore(t), placeToMoveTo(t)
	ctx, interrupt := context.WithCancel(t.Context())
	pages := 0
	_, err := MoveStore(ctx, from, to, func(string, int, int) {
		if pages++; pages == 6 {
			interrupt()
		}
	})
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("the move was not interrupted: %v", err)
	}
	for at, why := range map[string]string{from: "it is being moved to ", to: "it is an unfinished copy of "} {
		if _, err := Open(t.Context(), at); err == nil || !strings.Contains(err.Error(), why) {
			t.Errorf("%s is opened: %v", at, err)
		}
	}
	if _, err := MoveStore(t.Context(), from, filepath.Join(t.TempDir(), "other.db"), noProgress); err == nil || !strings.Contains(err.Error(), "being moved to") {
		t.Errorf("it is moved to two places: %v", err)
	}
	var first string
	moved := must(MoveStore(t.Context(), from, to, func(what string, done, of int) {
		if first == "" {
			first = what
			if done < 20 || done > of {
				t.Errorf("it begins anew: %d of %d rows", done, of)
			}
		}
	}))
	if moved.Tables[1].Name != "bills" || moved.Tables[1].Rows != 13 {
		t.Errorf("moved are %v", moved.Tables)
	}
	mustDo(t, must(Open(t.Context(), to)).Close())
}

func TestACopyThatDiffersFromTheStoreIsNotTakenIntoUse(t *testing.T) {
	from, to := fullStore(t), placeToMoveTo(t)
	changed := false
	_, err := MoveStore(t.Context(), from, to, func(what string, _, _ int) {
		if what == "comparing" && !changed {
			changed = true
			changeFile(t, from, "UPDATE texts SET error = 'changed meanwhile' WHERE id = (SELECT max(id) FROM texts)")
		}
	})
	if err == nil || !strings.Contains(err.Error(), "the copy is not like the store: the table texts") {
		t.Fatalf("the move ends with %v", err)
	}
	if _, err := Open(t.Context(), to); !IsUnusable(err) {
		t.Errorf("the copy is opened: %v", err)
	}
}

func TestNeitherStoreMayHaveADaemonDuringAMove(t *testing.T) {
	from, to := fullStore(t), placeToMoveTo(t)
	s := must(Open(t.Context(), from))
	if _, err := MoveStore(t.Context(), from, to, noProgress); !errors.Is(err, db.ErrLocked) {
		t.Errorf("a store in use is moved: %v", err)
	}
	mustDo(t, s.Close())
	tried := false
	must(MoveStore(t.Context(), from, to, func(string, int, int) {
		if tried {
			return
		}
		tried = true
		for _, at := range []string{from, to} {
			if _, err := Open(t.Context(), at); !errors.Is(err, db.ErrLocked) {
				t.Errorf("a daemon starts on %s during the move: %v", at, err)
			}
		}
	}))
	if _, err := MoveStore(t.Context(), to, to, noProgress); !errors.Is(err, db.ErrLocked) {
		t.Errorf("a store is moved to itself: %v", err)
	}
}

func TestAScratchCopyHoldsAllOfTheStore(t *testing.T) {
	from, to := fullStore(t), placeToMoveTo(t)
	moved := must(MoveStore(t.Context(), from, to, noProgress))
	s := must(OpenReader(t.Context(), to))
	defer s.Close() //nolint:errcheck // only read from
	path := filepath.Join(t.TempDir(), "scratch.db")
	mustDo(t, s.CopyToScratch(t.Context(), path, noProgress))
	for _, table := range moved.Tables {
		if table.Name == "meta" {
			continue // it has the version too
		}
		if got := numberIn(t, path, "SELECT count(*) FROM "+table.Name); got != table.Rows {
			t.Errorf("%s has %d rows in the copy, want %d", table.Name, got, table.Rows)
		}
	}
}
