package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"duewatch/store/db"
	"duewatch/store/db/pgtest"
)

// The statements are one text for both engines, so the tables are the same: what one migration
// says and the other does not would fail on one engine alone, and perhaps years later.
func TestBothEnginesHaveTheSameTables(t *testing.T) {
	server, err := pgtest.Shared()
	if errors.Is(err, pgtest.ErrNotInstalled) {
		t.Skip(err)
	}
	mustDo(t, err)
	ctx := context.WithoutCancel(t.Context())
	address := must(server.Create(ctx, "engines", ""))
	defer func() { mustDo(t, server.Drop(ctx, "engines")) }()
	file := openAt(t, filepath.Join(t.TempDir(), "duewatch.db"))
	onServer := must(Open(t.Context(), address))
	defer func() { mustDo(t, onServer.Close()) }()

	want, got := tablesOf(t, file, sqliteCatalog), tablesOf(t, onServer, postgresCatalog)
	for _, table := range []string{"daemons", "write_lock"} { // SQLite has locks of the file instead
		if len(got[table]) == 0 {
			t.Errorf("PostgreSQL has no table %s", table)
		}
		delete(got, table)
	}
	if len(want) < 20 {
		t.Errorf("only %d tables were found", len(want))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the tables differ (-SQLite +PostgreSQL):\n%s", diff)
	}
	if diff := cmp.Diff(rowsThere(t, file), rowsThere(t, onServer)); diff != "" {
		t.Errorf("what is in a new store differs (-SQLite +PostgreSQL):\n%s", diff)
	}
	if got, want := rowsThere(t, onServer), fmt.Sprintf("oldest_version=%d", oldest); got != want {
		t.Errorf("a new store says %s, and the constant that it is %s", got, want)
	}
	if n := number(t, onServer, `SELECT count(*) FROM information_schema.columns WHERE table_schema = 'public' AND data_type = 'text'
		AND collation_name IS DISTINCT FROM 'C' AND table_name NOT IN ('daemons', 'goose_lock')`); n != 0 {
		t.Errorf("%d columns of text are not in the order of their bytes (COLLATE \"C\")", n)
	}
}

// All tests on PostgreSQL work on such databases: each write of theirs has held the lock.
func TestAWriteToATestDatabaseWithoutTheLockFails(t *testing.T) {
	if _, err := pgtest.Shared(); errors.Is(err, pgtest.ErrNotInstalled) {
		t.Skip(err)
	}
	address := pgtest.Database(t, prepareStore)
	for _, table := range []string{"bills", "due_remind", "reminders", "texts"} {
		const lock = "BEGIN; SELECT id FROM write_lock FOR UPDATE; SAVEPOINT a; "
		for _, way := range []struct{ before, after string }{{"", ""}, {"BEGIN; SELECT id FROM write_lock; ", "; COMMIT"}} {
			if err := pgtest.Exec(t.Context(), address, way.before+"DELETE FROM "+table+way.after); err == nil || !strings.Contains(err.Error(), "without the lock") {
				t.Errorf("%sDELETE FROM %s: %v", way.before, table, err)
			}
		}
		mustDo(t, pgtest.Exec(t.Context(), address, lock+"UPDATE write_lock SET paced_to = 1; DELETE FROM "+table+"; COMMIT"))
		mustDo(t, pgtest.Exec(t.Context(), address, lock+"DELETE FROM "+table+"; COMMIT"))
	}
}

// rowsThere is what the migrations have entered.
func rowsThere(t *testing.T, s *Store) string {
	t.Helper()
	return list(t, s, "SELECT key || '=' || value FROM meta WHERE key = 'oldest_version'")
}

// A catalog says in rows of two texts, the table and a fact about it, what an engine knows of
// its tables. Facts are worded alike in both.
var sqliteCatalog = []string{
	// A primary key of one number is never NULL, though the engine does not say so.
	`SELECT m.name, 'column ' || c.name || CASE WHEN upper(c.type) = 'TEXT' THEN ' text' ELSE ' number' END ||
		CASE WHEN c."notnull" OR c.pk > 0 THEN ' not null' ELSE '' END || coalesce(' default ' || c.dflt_value, '')
		FROM sqlite_schema m JOIN pragma_table_info(m.name) c WHERE m.type = 'table'`,
	`SELECT m.name, 'primary key ' || (SELECT group_concat(name, ', ') FROM (SELECT name FROM pragma_table_info(m.name) WHERE pk > 0 ORDER BY pk))
		FROM sqlite_schema m WHERE m.type = 'table' AND EXISTS (SELECT 1 FROM pragma_table_info(m.name) WHERE pk > 0)`,
	`SELECT m.name, 'unique ' || (SELECT group_concat(name, ', ') FROM (SELECT name FROM pragma_index_info(i.name) ORDER BY seqno))
		FROM sqlite_schema m JOIN pragma_index_list(m.name) i WHERE m.type = 'table' AND i.origin = 'u'`,
	`SELECT m.name, 'foreign key ' || f."from" || ' references ' || f."table" || ' ' || f."to" || ' on delete ' || lower(f.on_delete)
		FROM sqlite_schema m JOIN pragma_foreign_key_list(m.name) f WHERE m.type = 'table'`,
	`SELECT m.name, 'index ' || i.name || CASE WHEN i."unique" THEN ' unique' ELSE '' END || ' on ' ||
		(SELECT group_concat(name, ', ') FROM (SELECT name FROM pragma_index_info(i.name) ORDER BY seqno)) ||
		CASE WHEN i.partial THEN ' where ' || substr(x.sql, instr(x.sql, ' WHERE ') + 7) ELSE '' END
		FROM sqlite_schema m JOIN pragma_index_list(m.name) i JOIN sqlite_schema x ON x.name = i.name WHERE m.type = 'table' AND i.origin = 'c'`,
	`SELECT name, 'text of ' || sql FROM sqlite_schema WHERE type = 'table'`,
}

var postgresCatalog = []string{
	`SELECT c.relname, 'column ' || a.attname || CASE WHEN a.atttypid = 'text'::regtype THEN ' text' ELSE ' number' END ||
		CASE WHEN a.attnotnull THEN ' not null' ELSE '' END || coalesce(' default ' || pg_get_expr(d.adbin, d.adrelid), '')
		FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
		LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
		WHERE c.relkind = 'r' AND c.relnamespace = 'public'::regnamespace`,
	`SELECT c.relname, CASE k.contype WHEN 'p' THEN 'primary key ' WHEN 'u' THEN 'unique ' ELSE 'foreign key ' END ||
		(SELECT string_agg(a.attname, ', ' ORDER BY n.place) FROM unnest(k.conkey) WITH ORDINALITY n (num, place)
			JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = n.num) ||
		CASE WHEN k.contype = 'f' THEN ' references ' || k.confrelid::regclass || ' ' ||
			(SELECT string_agg(a.attname, ', ') FROM pg_attribute a WHERE a.attrelid = k.confrelid AND a.attnum = ANY (k.confkey)) ||
			' on delete ' || CASE k.confdeltype WHEN 'a' THEN 'no action' WHEN 'c' THEN 'cascade' ELSE k.confdeltype::text END
		ELSE '' END
		FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid WHERE k.contype IN ('p', 'u', 'f') AND c.relnamespace = 'public'::regnamespace`,
	`SELECT c.relname, 'index ' || i.relname || CASE WHEN x.indisunique THEN ' unique' ELSE '' END || ' on ' ||
		(SELECT string_agg(a.attname, ', ' ORDER BY n.place) FROM unnest(x.indkey) WITH ORDINALITY n (num, place)
			JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = n.num) || coalesce(' where ' || pg_get_expr(x.indpred, x.indrelid), '')
		FROM pg_index x JOIN pg_class c ON c.oid = x.indrelid JOIN pg_class i ON i.oid = x.indexrelid
		WHERE c.relnamespace = 'public'::regnamespace AND NOT EXISTS (SELECT 1 FROM pg_constraint k WHERE k.conindid = i.oid AND k.contype IN ('p', 'u'))`,
	`SELECT c.relname, 'check ' || pg_get_constraintdef(k.oid) FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid
		WHERE k.contype = 'c' AND c.relnamespace = 'public'::regnamespace`,
}

// tablesOf are the facts of each table, in order.
func tablesOf(t *testing.T, s *Store, catalog []string) map[string][]string {
	t.Helper()
	tables := map[string][]string{}
	for _, query := range catalog {
		var table, fact string
		mustDo(t, s.view(t.Context(), func(x *tx) error {
			return x.EachRow(query, nil, []sql.Scanner{db.TextTo(&table), db.TextTo(&fact)}, func() error {
				switch text, isText := strings.CutPrefix(fact, "text of "); {
				case strings.HasPrefix(table, "goose_") || strings.HasPrefix(table, "sqlite_"):
				case isText:
					for _, check := range checksIn(text) {
						tables[table] = append(tables[table], alike("check "+check))
					}
				default:
					tables[table] = append(tables[table], alike(fact))
				}
				return nil
			})
		}))
	}
	for _, facts := range tables {
		slices.Sort(facts)
	}
	return tables
}

// checksIn are the conditions that a statement which makes a table has.
func checksIn(statement string) (checks []string) {
	for {
		_, rest, found := strings.Cut(statement, "CHECK (")
		if !found {
			return checks
		}
		depth, end := 1, 0
		for ; depth > 0; end++ {
			switch rest[end] {
			case '(':
				depth++
			case ')':
				depth--
			}
		}
		checks, statement = append(checks, "CHECK "+rest[:end-1]), rest[end:]
	}
}

var (
	typeOrNoise = regexp.MustCompile(`::(text|bigint)|[()\[\]\s"]|ARRAY`)
	isOneOf     = regexp.MustCompile(` IN \(`)
)

// alike words a condition as both engines would: PostgreSQL repeats types, adds brackets, and
// makes = ANY (ARRAY[…]) of IN (…).
func alike(fact string) string {
	kind, condition, found := strings.Cut(fact, " where ")
	if strings.HasPrefix(fact, "check ") {
		kind, condition, found = "check", strings.TrimPrefix(fact, "check CHECK "), true
	}
	if !found {
		return strings.ReplaceAll(fact, "::text", "")
	}
	kind = strings.TrimSuffix(kind, ", id") // by which SQLite ends every index
	return kind + " where " + typeOrNoise.ReplaceAllString(isOneOf.ReplaceAllString(condition, " = ANY ("), "")
}
