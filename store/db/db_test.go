package db

import (
	"path/filepath"
	"testing"
	"testing/fstest"
)

// testSchema is a table of keys and values.
var testSchema = Schema{
	SQLite:   fstest.MapFS{"00001_meta.sql": {Data: []byte("-- +goose Up\nCREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);\n")}},
	Baseline: 1,
	TooOld:   ErrTooOld,
}

func openNew(t testing.TB) *DB {
	t.Helper()
	return openAt(t, filepath.Join(t.TempDir(), "duewatch.db"))
}

func openAt(t testing.TB, path string) *DB {
	t.Helper()
	d := must(OpenDaemon(t.Context(), path, testSchema))
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return d
}

func pathOf(t testing.TB, d *DB) string {
	t.Helper()
	return word(t, d, "SELECT file FROM pragma_database_list WHERE name = 'main'")
}

// set is a write of one value.
func set(key, value string) func(*Tx) error {
	return func(t *Tx) error {
		_, err := t.Exec("INSERT INTO meta (key, value) VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET value = excluded.value", key, value)
		return err
	}
}

// must is for steps that prepare a test and do not fail.
func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func mustDo(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// number reads one number through the read pool.
func number(t testing.TB, d *DB, query string, args ...any) (n int64) {
	t.Helper()
	if err := d.Reader(t.Context()).Row(query, args...).Scan(&n); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return n
}

// word reads one text, "" for NULL.
func word(t testing.TB, d *DB, query string, args ...any) (v string) {
	t.Helper()
	if err := d.Reader(t.Context()).Row("SELECT coalesce(("+query+"), '')", args...).Scan(&v); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return v
}
