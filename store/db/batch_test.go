package db

import (
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var addMeta = NewBatch("INSERT INTO meta (key, value) VALUES %s ON CONFLICT (key) DO NOTHING", 0, Text, Text)

func TestABatchTakesAnyNumberOfRows(t *testing.T) {
	for _, n := range []int{0, 1, 3, 4, 5, 255, 256, 257, 700} {
		d := openNew(t)
		keys := make([]string, n)
		for i := range keys {
			keys[i] = fmt.Sprintf("%04d", i)
		}
		row := func(args []any, key string) []any { return append(args, key, "v"+key) }
		mustDo(t, d.Write(func(x *Tx) error {
			changed, err := ExecBatch(x, addMeta, keys, row)
			if changed != int64(n) {
				t.Errorf("of %d rows %d were written", n, changed)
			}
			return err
		}))
		// And read back, by a fixed argument before those of the rows.
		find := NewBatch("SELECT key, value FROM meta WHERE value >= ?1 AND key IN (%s)", 1, Text)
		var key, value string
		var found []string
		mustDo(t, d.View(t.Context(), func(x *Tx) error {
			return QueryBatch(x, find, keys, func(args []any, key string) []any { return append(args, key) },
				[]sql.Scanner{TextTo(&key), TextTo(&value)}, func() error {
					if value != "v"+key {
						t.Errorf("%s has the value %s", key, value)
					}
					found = append(found, key)
					return nil
				}, "v")
		}))
		slices.Sort(found)
		if diff := cmp.Diff(keys, found, cmp.Transformer("none", func(s []string) []string { return append([]string{}, s...) })); diff != "" {
			t.Errorf("of %d rows (-written +read):\n%s", n, diff)
		}
	}
}

func TestABatchSaysHowManyRowsItChanged(t *testing.T) {
	d := openNew(t)
	add := func(pairs ...string) (n int64, err error) {
		err = d.Write(func(x *Tx) (err error) {
			n, err = ExecBatch(x, addMeta, pairs, func(args []any, pair string) []any {
				key, value, ok := strings.Cut(pair, "=")
				if !ok {
					return append(args, key, nil)
				}
				return append(args, key, value)
			})
			return err
		})
		return n, err
	}
	if n, err := add("a=1", "b=2"); n != 2 || err != nil {
		t.Errorf("%d rows were changed, %v", n, err)
	}
	if n, err := add("b=3", "c=4"); n != 1 || err != nil {
		t.Errorf("%d rows were changed where one is there already, %v", n, err)
	}
	if _, err := add("d=5", "e"); err == nil || !strings.Contains(err.Error(), "NOT NULL") {
		t.Errorf("a row that may not be written: %v", err)
	}
	if got := word(t, d, "SELECT group_concat(key || value, ' ') FROM meta"); got != "a1 b2 c4" {
		t.Errorf("there is %q", got)
	}
}

// A statement that is not undone alone says so to SQLite; an upsert is left as it is.
func TestOrFailIsOfTheStatementItself(t *testing.T) {
	for query, want := range map[string]string{
		"INSERT INTO a (b) VALUES %s ON CONFLICT (b) DO UPDATE SET c = 1": "INSERT OR FAIL INTO a (b) VALUES %s ON CONFLICT (b) DO UPDATE SET c = 1",
		"WITH v (b) AS (VALUES %s) UPDATE a SET b = v.b FROM v":           "WITH v (b) AS (VALUES %s) UPDATE OR FAIL a SET b = v.b FROM v",
		"SELECT updated FROM a WHERE b IN (%s)":                           "SELECT updated FROM a WHERE b IN (%s)",
	} {
		if got := withoutStatementUndo(query); got != want {
			t.Errorf("%s became %s", query, got)
		}
	}
}

func TestTogetherConfinesAFailureToItsItem(t *testing.T) {
	odd := errors.New("odd")
	for _, tt := range []struct {
		name  string
		items []string
		bad   string
		wrong func() error
		want  string // the keys that are there in the end
		tries int
	}{
		{"nothing fails", []string{"a", "b", "c"}, "", nil, "a b c", 1},
		{"one fails", []string{"a", "b", "c"}, "b", func() error { return odd }, "a c", 4},
		{"one panics", []string{"a", "b", "c"}, "b", func() error { panic(odd) }, "a c", 4},
		{"the only one fails", []string{"a"}, "a", func() error { return odd }, "", 2},
		{"there is none", nil, "", nil, "", 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := openNew(t)
			var failed []string
			tries := 0
			mustDo(t, d.Write(func(x *Tx) error {
				failed = nil
				return Together(x, tt.items, func(some []string) error {
					tries++
					for _, key := range some {
						if err := set(key, "x")(x); err != nil {
							return err
						}
						if key == tt.bad {
							return tt.wrong()
						}
					}
					return nil
				}, func(key string, err error) error {
					if !strings.Contains(err.Error(), "odd") {
						t.Errorf("%s failed by %v", key, err)
					}
					failed = append(failed, key)
					return nil
				})
			}))
			if got := word(t, d, "SELECT group_concat(key, ' ') FROM (SELECT key FROM meta ORDER BY key)"); got != tt.want {
				t.Errorf("there is %q, want %q", got, tt.want)
			}
			if tries > tt.tries {
				t.Errorf("it was done %d times, want %d", tries, tt.tries)
			}
			if want := tt.bad; len(failed) > 1 || strings.Join(failed, "") != want {
				t.Errorf("%v failed, want %q", failed, want)
			}
		})
	}
}

// A full disk is no item's fault: none is blamed, and nothing is written.
func TestTogetherBlamesNoItemForTheMachine(t *testing.T) {
	d := openNew(t)
	var pages, limit int64
	mustDo(t, d.write.db.QueryRowContext(t.Context(), "PRAGMA page_count").Scan(&pages))
	mustDo(t, d.write.db.QueryRowContext(t.Context(), fmt.Sprintf("PRAGMA max_page_count = %d", pages+2)).Scan(&limit))
	err := d.Write(func(x *Tx) error {
		return Together(x, []string{"a", "b"}, func(some []string) error {
			for _, key := range some {
				if err := set(key, strings.Repeat("x", 1<<20))(x); err != nil {
					return err
				}
			}
			return nil
		}, func(key string, err error) error {
			t.Errorf("%s is blamed: %v", key, err)
			return nil
		})
	})
	if err == nil || !strings.Contains(err.Error(), "the disk is full") {
		t.Errorf("got %v", err)
	}
	if n := number(t, d, "SELECT count(*) FROM meta"); n != 0 {
		t.Errorf("%d rows were written", n)
	}
}
