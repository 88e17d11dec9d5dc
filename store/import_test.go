package store

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"duewatch/reminder"
)

// imported runs an import and checks that the comparison before it said the
// same, and wrote nothing.
func imported(t *testing.T, s *Store, source string, bills ...reminder.Bill) []Change {
	t.Helper()
	var said []Change
	quiet(t, s, func() { said = must(s.CompareBills(t.Context(), source, bills)) })
	did := must(s.Import(t.Context(), source, bills, checkedAt, nil))
	if diff := cmp.Diff(said, did); diff != "" {
		t.Errorf("(-compared +imported):\n%s", diff)
	}
	return did
}

func edit(b reminder.Bill, do func(*reminder.Bill)) reminder.Bill {
	do(&b)
	return b
}

func TestImport(t *testing.T) {
	s, p := openNew(t), newPolicy()
	watch(t, s, p, billOf(1), billOf(2))                                    // config, active
	declare(t, s, "config", Declared{Removed: 1}, billOf(1))                // 2 is removed
	must(s.Import(t.Context(), SourceFile, billsOf(4)[3:], checkedAt, nil)) // 3 is the file's
	must(s.Import(t.Context(), SourceImport, billsOf(8)[4:], checkedAt, nil))
	for _, b := range billsOf(7)[5:] {
		must(s.RecordChecks(policiesOf(p), checkedAt, CheckResult{BillID: billID(t, s, b), Rejected: "no such account"}))
	}
	got := imported(t, s, SourceImport, billOf(1), billOf(2), billOf(3), billOf(4), billOf(5),
		edit(billOf(6), func(b *reminder.Bill) { b.Description = "moved" }),
		edit(billOf(7), func(b *reminder.Bill) { b.Phone, b.Language = phone(70), "sw" }), billOf(8))
	want := []Change{
		{Kind: OtherSource, Source: "config"}, {Kind: Changed, Fields: fieldSource | fieldState}, {Kind: OtherSource, Source: "file"},
		{Kind: Same}, {Kind: Same}, {Kind: Changed, Fields: fieldDescription | fieldState}, {Kind: Changed, Fields: fieldPhone | fieldLanguage}, {Kind: Added},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("changes (-want +got):\n%s", diff)
	}
	wantStates := []string{
		"1 config active", "2 import pending", "3 file pending", "4 import pending", "5 import rejected", "6 import pending", "7 import pending", "8 import pending",
	}
	if diff := cmp.Diff(wantStates, states(t, s)); diff != "" {
		t.Errorf("bills (-want +got):\n%s", diff)
	}
	quiet(t, s, func() {
		if again := imported(t, s, SourceImport, billOf(4), billOf(8)); again[0].Kind != Same || again[1].Kind != Same {
			t.Errorf("again: %v", again)
		}
	})
	if got := (fieldPhone | fieldState).Names(); !slices.Equal(got, []string{"phone", "state"}) {
		t.Errorf("names %v", got)
	}
}

// Many rows go through other statements than few.
func TestImportOfEverySize(t *testing.T) {
	s := openNew(t)
	total := 0
	for _, n := range []int{0, 1, declaredTogether - 1, declaredTogether, declaredTogether + 1, 3*declaredTogether + 7} {
		bills := make([]reminder.Bill, n)
		for i := range bills {
			bills[i] = billOf(total + i)
		}
		for _, c := range imported(t, s, SourceImport, bills...) {
			if c.Kind != Added {
				t.Fatalf("of %d: %v", n, c)
			}
		}
		for _, c := range imported(t, s, SourceImport, bills...) {
			if c.Kind != Same {
				t.Fatalf("of %d, again: %v", n, c)
			}
		}
		total += n
	}
	for _, table := range []string{"bills", "due_register", "events"} {
		if got := number(t, s, "SELECT count(*) FROM "+table); got != int64(total) {
			t.Errorf("%d %s, want %d", got, table, total)
		}
	}
	id := billID(t, s, billOf(76))
	w := watched(t, s, id)
	want := edit(billOf(76), func(b *reminder.Bill) { b.ID, b.Source, b.State = id, SourceImport, reminder.BillPending })
	if diff := cmp.Diff(want, w.Bill, cmpTimes); diff != "" {
		t.Errorf("a bill (-want +got):\n%s", diff)
	}
	events := must(s.Events(t.Context(), id))
	wantEvents := []Event{{At: checkedAt, BillID: id, What: "added", Reason: "declared", Detail: "by import"}}
	if diff := cmp.Diff(wantEvents, events, cmpTimes); diff != "" {
		t.Errorf("its events (-want +got):\n%s", diff)
	}
}

func TestImportIsAllOrNothing(t *testing.T) {
	s := openNew(t)
	refuse(t, s, "INSERT", "bills", "new.account LIKE '%99'")
	if _, err := s.Import(t.Context(), SourceImport, billsOf(150), checkedAt, nil); err == nil {
		t.Error("no error")
	}
	if got := number(t, s, "SELECT count(*) FROM bills") + number(t, s, "SELECT count(*) FROM events"); got != 0 {
		t.Errorf("a batch that failed left %d rows", got)
	}
}

func TestSweep(t *testing.T) {
	s := openNew(t)
	must(s.Import(t.Context(), SourceFile, billsOf(2500), checkedAt, nil))
	must(s.Import(t.Context(), SourceImport, []reminder.Bill{billOf(9000)}, checkedAt, nil))
	index := must(NewImportIndex(t.Context(), false))
	defer index.Close() //nolint:errcheck // a test
	var listed []reminder.ListedBill
	for i := range 2500 {
		if i%5 != 0 {
			listed = append(listed, reminder.ListedBill{Line: i + 2, Bill: billOf(i)})
		}
	}
	must(index.Add(listed))
	removeUnlisted := func(index *ImportIndex) (removed int) {
		for last := int64(0); ; {
			next, n, err := s.RemoveUnlisted(t.Context(), SourceFile, index, last, checkedAt)
			mustDo(t, err)
			removed += n
			if last = next; last == 0 {
				return removed
			}
		}
	}
	if got := removeUnlisted(index); got != 500 {
		t.Errorf("%d removed, want 500", got)
	}
	quiet(t, s, func() { removeUnlisted(index) })
	if got := number(t, s, "SELECT count(*) FROM due_register"); got != 2001 {
		t.Errorf("%d await registration, want 2001", got)
	}
	if got := removeUnlisted(nil); got != 2000 {
		t.Errorf("%d removed by an empty list, want 2000", got)
	}
	if got := word(t, s, "SELECT source || state FROM bills WHERE state <> 'removed'"); got != "importpending" {
		t.Errorf("what remains is %s", got)
	}
}

func TestRollFindsDoubles(t *testing.T) {
	for _, keeps := range []bool{false, true} {
		index := must(NewImportIndex(t.Context(), keeps))
		var rows []reminder.ListedBill
		for i := range 230 {
			rows = append(rows, reminder.ListedBill{Line: i + 2, Bill: edit(billOf(i), func(b *reminder.Bill) { b.Language = "sw" })})
		}
		rows[70].Bill = rows[3].Bill    // in another statement
		rows[75].Bill = rows[60].Bill   // in the same
		rows[229].Bill = rows[228].Bill // of one row each
		for i, want := range []map[int]int{{70: 5, 75: 62, 229: 230}, {0: 2, 1: 3}} {
			got := must(index.Add(rows))
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("doubles (-want +got):\n%s", diff)
			}
			rows = []reminder.ListedBill{{Line: 400 + i, Bill: billOf(0)}, {Line: 500 + i, Bill: billOf(1)}, {Line: 600, Bill: billOf(700)}}
		}
		missing := must(index.missing([]reminder.Bill{billOf(0), billOf(800), billOf(700)}))
		if len(missing) != 1 || missing[0].Account != billOf(800).Account {
			t.Errorf("missing: %v", missing)
		}
		kept := 0
		mustDo(t, index.Each(100, func(page []reminder.ListedBill) error {
			if kept == 0 {
				if diff := cmp.Diff(reminder.ListedBill{Line: 2, Bill: edit(billOf(0), func(b *reminder.Bill) { b.Language = "sw" })}, page[0], cmpTimes); diff != "" {
					t.Errorf("kept (-want +got):\n%s", diff)
				}
			}
			kept += len(page)
			return nil
		}))
		if want := map[bool]int{true: 233}[keeps]; kept != want {
			t.Errorf("%d kept, want %d", kept, want)
		}
		var seq, name, file string
		mustDo(t, index.db.Row("PRAGMA database_list").Scan(&seq, &name, &file))
		if file != "" {
			t.Errorf("the list is in %s, not in a file of its own that goes with it", file)
		}
		mustDo(t, index.Close())
	}
}

func TestRollStopsAtTheFirstError(t *testing.T) {
	index := must(NewImportIndex(t.Context(), true))
	defer index.Close() //nolint:errcheck // a test
	must(index.Add([]reminder.ListedBill{{Line: 2, Bill: billOf(1)}, {Line: 3, Bill: billOf(2)}}))
	stop := errors.New("stop")
	if err := index.Each(1, func([]reminder.ListedBill) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("got %v", err)
	}
	mustDo(t, index.Close())
	if _, err := index.Add([]reminder.ListedBill{{Line: 4, Bill: billOf(3)}}); err == nil {
		t.Error("a closed list takes bills")
	}
	mustDo(t, (*ImportIndex)(nil).Close())
}

// An import of many batches beside the daemon must not keep the daemon's own
// writes waiting: a text's outcome, say.
func TestImportGivesWayToTheDaemon(t *testing.T) {
	aboutFiles(t)
	daemon := openNew(t)
	command := must(OpenWriter(t.Context(), pathOf(t, daemon)))
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error)
	var rows atomic.Int64
	go func() {
		bills := make([]reminder.Bill, 1000)
		for n := 0; ; n += len(bills) {
			for i := range bills {
				bills[i] = billOf(n + i)
			}
			if _, err := command.Import(ctx, SourceImport, bills, checkedAt, nil); err != nil || ctx.Err() != nil {
				ended <- errors.Join(err, command.Close())
				return
			}
			rows.Add(int64(len(bills)))
		}
	}()
	writes, worst := 0, time.Duration(0)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for ; rows.Load() < 20_000; <-tick.C {
		began := time.Now()
		mustDo(t, daemon.SetMeta("x", fmt.Sprint(writes)))
		worst = max(worst, time.Since(began))
		writes++
	}
	stop()
	mustDo(t, <-ended)
	t.Logf("%s was the longest of %d writes", worst, writes)
	if writes < 20 || worst > 5*time.Second {
		t.Errorf("beside an import of 20 batches the daemon wrote %d times, and waited up to %s", writes, worst)
	}
}

// The statements of an import, which run once for each 50 rows of a file of any
// length, against the indexes that they must use.
func TestImportStatementsUseTheirIndexes(t *testing.T) {
	s, heard := listened(t)
	index := must(NewImportIndex(t.Context(), false))
	defer index.Close() //nolint:errcheck // a test
	must(s.Import(t.Context(), SourceFile, billsOf(120), checkedAt, nil))
	must(s.CompareBills(t.Context(), SourceFile, billsOf(120)))
	edited := billsOf(3)
	for i := range edited {
		edited[i].Description = "edited"
	}
	must(s.Import(t.Context(), SourceFile, edited, checkedAt, nil))
	_, _, err := s.RemoveUnlisted(t.Context(), SourceFile, index, 0, checkedAt)
	mustDo(t, err)
	uses := map[string]string{
		"WHERE (service, account) IN (VALUES ":             "sqlite_autoindex_bills_1 (service=? AND account=?)",
		"AND source = ?2 AND source <> 'import' AND state": "bills_declared (source=? AND rowid>?)",
		"UPDATE bills SET state = 'removed' WHERE id = ?1": "INTEGER PRIMARY KEY (rowid=?)",
		"UPDATE bills SET phone = ?2":                      "INTEGER PRIMARY KEY (rowid=?)",
		"DELETE FROM due_register":                         "INTEGER PRIMARY KEY (rowid=?)",
	}
	for _, query := range slices.Sorted(maps.Keys(heard.seen)) {
		for part, index := range uses {
			if !strings.Contains(query, part) {
				continue
			}
			plan := noTable.ReplaceAllString(planOf(t, s, query, heard.seen[query]), "")
			if !strings.Contains(plan, index) || strings.Contains(plan, "SCAN ") {
				t.Errorf("%s\ndoes not use %s:\n%s", query, index, plan)
			}
			delete(uses, part)
		}
	}
	if len(uses) > 0 {
		t.Errorf("no statement contains %v any more", slices.Sorted(maps.Keys(uses)))
	}
}

// Rows/s into a store of its own: new in order, new at random, and all there
// already.
func BenchmarkImport(b *testing.B) {
	const rows, batch = 100_000, 1000
	for _, order := range []string{"new", "random", "same"} {
		b.Run(order, func(b *testing.B) {
			for b.Loop() {
				b.StopTimer()
				s := openNew(b)
				feed := func() {
					bills := make([]reminder.Bill, batch)
					for n := 0; n < rows; n += batch {
						for i := range bills {
							k := n + i
							if order == "random" {
								k = k * 70_001 % rows
							}
							bills[i] = billOf(k)
						}
						must(s.Import(b.Context(), SourceImport, bills, checkedAt, nil))
					}
				}
				if order == "same" {
					feed()
				}
				b.StartTimer()
				feed()
			}
			b.ReportMetric(rows*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
		})
	}
}

// A reload reads a file in a context that ends before the list is declared.
func TestAnImportIndexOutlivesTheContextItWasMadeIn(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	index := must(NewImportIndex(ctx, true))
	defer index.Close() //nolint:errcheck // a test
	must(index.Add([]reminder.ListedBill{{Line: 2, Bill: billOf(1)}}))
	cancel()
	must(index.Add([]reminder.ListedBill{{Line: 3, Bill: billOf(2)}}))
	if missing := must(index.missing([]reminder.Bill{billOf(1), billOf(2), billOf(3)})); len(missing) != 1 {
		t.Errorf("missing: %v", missing)
	}
	rows := 0
	mustDo(t, index.Each(100, func(page []reminder.ListedBill) error {
		rows += len(page)
		return nil
	}))
	if rows != 2 {
		t.Errorf("%d rows are kept, want 2", rows)
	}
}
