package store

import (
	"database/sql"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"duewatch/reminder"
	"duewatch/store/db"
)

// previewOf opens a preview of the file of a store.
func previewOf(t *testing.T, s *Store) *Preview {
	t.Helper()
	f := must(OpenPreview(t.Context(), pathOf(t, s)))
	t.Cleanup(func() { mustDo(t, f.Close()) })
	return f
}

// texted are the accounts of texts, in their order.
func texted(l RoundResult) (all []string) {
	for _, x := range l.Texts {
		all = append(all, x.Parts[0].Account)
	}
	return all
}

// A preview decides what the store would, again and again, while the file stays
// as it is.
func TestAPreviewDecidesLikeTheStoreAndWritesNothing(t *testing.T) {
	s, p := openNew(t), newPolicy()
	ready(t, s, p, billsOf(5)...)
	must(s.AddOptOuts(OptOut{Phone: phone(2), Reason: reminder.OptedOut, Since: checkedAt, Source: "operator", Who: "x"}))
	var foreseen []RoundResult
	quiet(t, s, func() {
		for range 2 {
			f := previewOf(t, s)
			if got := must(f.CopyDue(t.Context(), firstStage, 100)); got != 5 {
				t.Errorf("read %d bills", got)
			}
			l := must(f.DecideDue(t.Context(), roundAt(p, firstStage), 100))
			foreseen = append(foreseen, l)
			if again := must(f.DecideDue(t.Context(), roundAt(p, firstStage), 100)); len(again.Texts) > 0 {
				t.Errorf("texted twice: %+v", again.Texts)
			}
			if got := must(f.CountOutcomes(t.Context(), firstStage)); !slices.Contains(got, OutcomeCount{reminder.Skipped, reminder.OptedOut, 1}) ||
				!slices.Contains(got, OutcomeCount{reminder.Texted, reminder.OnSchedule, 4}) {
				t.Errorf("counted: %v", got)
			}
		}
	})
	happened := must(s.DecideDue(t.Context(), roundAt(p, firstStage), 100))
	for _, l := range foreseen {
		if diff := cmp.Diff(happened, l, cmpTimes); diff != "" {
			t.Errorf("foreseen is not what happens (-happens +foreseen):\n%s", diff)
		}
	}
}

// What the provider has, is held or ended before counts in a preview.
func TestAPreviewKnowsWhatWasBefore(t *testing.T) {
	s, p := openNew(t), newPolicy()
	p.PerNumberDaily = 1
	one, two := billOf(1), billOf(2)
	two.Phone = one.Phone
	ready(t, s, p, one, two)
	must(s.DecideDue(t.Context(), roundAt(p, firstStage), 1)) // one of the phone's two bills
	f := previewOf(t, s)
	for must(f.CopyDue(t.Context(), firstStage, 1)) > 0 {
	}
	l := must(f.DecideDue(t.Context(), roundAt(p, firstStage), 10))
	if len(l.Texts) != 0 || len(l.Records) != 1 || l.Records[0].Reason != reminder.PhoneDailyCap {
		t.Errorf("the text of today is not counted: %+v", l)
	}
	if next := must(f.NextEval(t.Context())); !next.After(firstStage) {
		t.Errorf("the next evaluation is at %s", next)
	}
}

// A phone that is texted for the first time in the preview does not take the
// place of one that comes later, and was texted today.
func TestAPreviewKeepsPhonesApart(t *testing.T) {
	s, p := openNew(t), newPolicy()
	p.PerNumberDaily = 1
	bills := billsOf(4)
	bills[3].Phone = bills[0].Phone
	ready(t, s, p, bills...)
	must(s.DecideDue(t.Context(), roundAt(p, firstStage), 2))
	f := previewOf(t, s)
	var noted []NewRecord
	for must(f.CopyDue(t.Context(), firstStage, 1)) > 0 {
		noted = append(noted, must(f.DecideDue(t.Context(), roundAt(p, firstStage), 10)).Records...)
	}
	if len(noted) != 2 || noted[0].Outcome != reminder.Texted || noted[1].Reason != reminder.PhoneDailyCap {
		t.Errorf("foreseen for a new phone, and for one that had its text: %+v", noted)
	}
}

func TestAPreviewBringsAllBillsOfAPhone(t *testing.T) {
	s, p := openNew(t), newPolicy()
	one, two := billOf(1), billOf(2)
	two.Phone = one.Phone
	ready(t, s, p, one, two, billOf(3))
	f := previewOf(t, s)
	must(f.CopyDue(t.Context(), firstStage, 1))
	if got := number(t, f.Store, "SELECT count(*) FROM bills"); got != 2 {
		t.Errorf("%d bills were copied instead of the two of the phone", got)
	}
	for must(f.CopyDue(t.Context(), firstStage, 1)) > 0 {
	}
	if got := texted(must(f.DecideDue(t.Context(), roundAt(p, firstStage), 10))); len(got) != distinct(got) {
		t.Errorf("texted %v", got)
	}
	if got := number(t, f.Store, "SELECT count(*) FROM bills"); got != 3 {
		t.Errorf("%d bills were copied instead of three", got)
	}
}

// distinct is how many different ones there are.
func distinct(all []string) int {
	return len(slices.Compact(slices.Sorted(slices.Values(all))))
}

// What is held since the mode is off is sent when it is not.
func TestAPreviewFreesWhatIsHeld(t *testing.T) {
	s, p := openNew(t), newPolicy()
	ready(t, s, p, billsOf(3)...)
	off := roundAt(p, firstStage)
	off.Delivery.Mode = reminder.ModeOff
	must(s.DecideDue(t.Context(), off, 2))
	later := firstStage.Add(time.Hour)
	f := previewOf(t, s)
	mustDo(t, f.Replan(t.Context(), policiesOf(p), later, due.At(24*60-1, nairobi), func(int) {}))
	for must(f.CopyDue(t.Context(), later, 1)) > 0 {
	}
	learned := []CheckResult{}
	l := must(f.DecideDue(t.Context(), roundAt(p, later), 10))
	for _, b := range l.Ask {
		learned = append(learned, CheckResult{BillID: b.ID, Answer: answer(later, "1000", due)})
	}
	got := append(texted(l), texted(must(f.DecideAnswered(roundAt(p, later), learned)))...)
	slices.Sort(got)
	if diff := cmp.Diff([]string{"0000000", "0000001", "0000002"}, got); diff != "" {
		t.Errorf("texted (-want +got):\n%s", diff)
	}
}

// Another policy than that of the file: its stages count.
func TestAPreviewPlansAnew(t *testing.T) {
	s, p := openNew(t), newPolicy()
	ready(t, s, p, billsOf(3)...)
	other := newPolicy()
	other.Stages = []reminder.Stage{-2}
	f := previewOf(t, s)
	mustDo(t, f.Replan(t.Context(), policiesOf(other), firstStage, due.At(24*60-1, nairobi), func(int) {}))
	// What is due by the old plan is not looked at.
	if n := must(f.CopyDue(t.Context(), firstStage, 10)); n > 0 {
		t.Errorf("%d bills were read by the old plan", n)
	}
	want := due.AddDays(-2).At(other.SendAt, nairobi)
	if next := must(f.NextEval(t.Context())); !next.Equal(want) {
		t.Errorf("the next evaluation is at %s, want %s", next, want)
	}
	if n := must(f.CopyDue(t.Context(), want, 10)); n != 3 {
		t.Errorf("%d bills were read by the new plan, of 3", n)
	}
	if l := must(f.DecideDue(t.Context(), roundAt(other, want), 10)); l.Bills != 3 {
		t.Errorf("decided by the new plan: %+v", l)
	}
}

// Bills are planned anew as far as they are asked for, and come in the same
// order as if all had been before.
func TestAPreviewPlansAsFarAsItIsAsked(t *testing.T) {
	s, p := openNew(t), newPolicy()
	ready(t, s, p, billsOf(12)...)
	for id := int64(2); id < 12; id += 3 { // three days later
		must(s.RecordChecks(policiesOf(p), checkedAt, CheckResult{BillID: id, Answer: answer(checkedAt, "1000", due.AddDays(3))}))
	}
	other := newPolicy()
	other.Stages = []reminder.Stage{-4, -1}
	begin := due.AddDays(-2).At(other.SendAt, nairobi) // the first stage of most was missed
	end := due.AddDays(3).At(24*60-1, nairobi)
	look := func(page int64) (all []string) {
		f := previewOf(t, s)
		told := []int{}
		mustDo(t, f.Replan(t.Context(), policiesOf(other), begin, end, func(n int) { told = append(told, n) }))
		f.plan.page = page
		for now := begin; !now.IsZero() && !now.After(end); now = must(f.NextEval(t.Context())) {
			for must(f.CopyDue(t.Context(), now, 1)) > 0 {
				l := must(f.DecideDue(t.Context(), roundAt(other, now), 10))
				for _, b := range l.Ask {
					answered := must(f.DecideAnswered(roundAt(other, now), []CheckResult{{BillID: b.ID, Answer: answer(now, "1000", b.DueDate)}}))
					l.Texts = append(l.Texts, answered.Texts...)
				}
				for _, x := range texted(l) {
					all = append(all, now.Format("2 15:04 ")+x)
				}
				if page == 2 && len(all) == 1 && f.plan.complete() {
					t.Error("all bills were planned before the first text")
				}
			}
			must(f.DecideDue(t.Context(), roundAt(other, now), 10)) // what nobody walks to
		}
		if len(told) == 0 || told[len(told)-1] != 12 {
			t.Errorf("told of %v bills", told)
		}
		return all
	}
	whole := look(1000)
	if len(whole) < 16 {
		t.Errorf("only %d texts: %v", len(whole), whole)
	}
	if diff := cmp.Diff(whole, look(2)); diff != "" {
		t.Errorf("(-planned as a whole +in pages):\n%s", diff)
	}
}

// The daemon goes on writing while somebody looks ahead, and the file's log does
// not grow for it.
func TestAPreviewHoldsUpNoWriter(t *testing.T) {
	aboutFiles(t)
	s, p := openNew(t), newPolicy()
	ready(t, s, p, billsOf(3)...)
	f := previewOf(t, s)
	must(f.CopyDue(t.Context(), firstStage, 1))
	mustDo(t, s.SetMeta("x", "y"))
	mustDo(t, s.Tidy(t.Context()))
	if info := must(os.Stat(pathOf(t, s) + "-wal")); info.Size() != 0 {
		t.Errorf("the log cannot be emptied: it is %d bytes long", info.Size())
	}
}

func TestAPreviewNeedsAStore(t *testing.T) {
	if _, err := OpenPreview(t.Context(), filepath.Join(t.TempDir(), "none.db")); err == nil || !strings.Contains(err.Error(), "has the daemon run") {
		t.Errorf("error %v", err)
	}
}

// A new table must be thought of: is it as small as a stop, or as large as the
// bills?
func TestAPreviewKnowsEveryTable(t *testing.T) {
	aboutFiles(t)
	s := openNew(t)
	var list string
	mustDo(t, s.read(t.Context()).Row("SELECT group_concat(name) FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' AND name <> 'goose_db_version'").Scan(&list))
	tables := strings.Split(list, ",")
	want := slices.Sorted(slices.Values(slices.Concat(smallTables, notCopied, slices.Collect(maps.Keys(copiedRows)))))
	slices.Sort(tables)
	if diff := cmp.Diff(want, tables); diff != "" {
		t.Errorf("say in smallTables, copiedRows or notCopied what a preview copies of it (-known +there):\n%s", diff)
	}
}

// A phone may have more bills than are written together, and each is copied once.
func TestAPreviewCopiesAPhoneWithManyBills(t *testing.T) {
	s, p := openNew(t), newPolicy()
	bills := billsOf(700)
	for i := range bills {
		bills[i].Phone = phone(i % 2)
	}
	ready(t, s, p, bills...)
	f := previewOf(t, s)
	for must(f.CopyDue(t.Context(), firstStage, 3)) > 0 {
		for table, want := range map[string]int64{"bills": 700, "due_remind": 700} {
			if got := number(t, f.Store, "SELECT count(*) FROM "+table); got != want {
				t.Fatalf("%d rows of %s were copied, want %d", got, table, want)
			}
		}
	}
}

// A pause that ended before is ended by the preview as well, by another policy too:
// what it held back until it was no longer of use ends.
func TestAPreviewByAnotherPolicyEndsPausesThatAreOver(t *testing.T) {
	s, p := openNew(t), newPolicy()
	ready(t, s, p, billsOf(2)...)
	over := due.AddDays(1).At(12*60, nairobi)
	pause := actOn(Selector{Account: billOf(1).Account}, checkedAt)
	must(s.Pause(t.Context(), pause, Pause{Until: over.Add(-time.Hour)}))
	f := previewOf(t, s)
	mustDo(t, f.Replan(t.Context(), policiesOf(p), over, over.AddDate(0, 0, 7), func(int) {}))
	if n := must(f.CopyDue(t.Context(), over, 10)); n != 1 {
		t.Errorf("%d bills were read, want the one whose pause is over", n)
	}
	l := must(f.DecideDue(t.Context(), roundAt(p, over), 10))
	if l.Bills != 1 || len(l.Records) == 0 || l.Records[len(l.Records)-1].Reason != reminder.Expired {
		t.Errorf("decided when the pause is over: %+v", l)
	}
}

// Nothing of a preview is left when it ends, whatever ends it.
func TestAPreviewLeavesNoFile(t *testing.T) {
	folder := t.TempDir()
	t.Setenv("TMPDIR", folder)
	s, p := openNew(t), newPolicy()
	ready(t, s, p, billsOf(3)...)
	f := previewOf(t, s)
	must(f.CopyDue(t.Context(), firstStage, 10))
	if left := must(os.ReadDir(folder)); len(left) != 0 {
		t.Errorf("while it is at work the temporary folder has %v", left)
	}
}

// Each statement that reads the operator's store finds its index, however large that is.
func TestPreviewStatementsUseTheirIndexes(t *testing.T) {
	aboutFiles(t)
	s, p := openNew(t), newPolicy()
	ready(t, s, p, billsOf(20)...)
	heard := &statements{dsn: "file:" + pathOf(t, s) + "?mode=ro", seen: map[string][]any{}}
	pool := sql.OpenDB(heard)
	f := must(newPreview(t.Context(), &Store{db: db.FromPools(pool, pool)}))
	defer f.Close() //nolint:errcheck // a copy
	must(f.CopyDue(t.Context(), firstStage, 10))
	must(f.NextEval(t.Context()))
	_, _, err := f.CountIdle(t.Context(), firstStage)
	mustDo(t, err)
	other := newPolicy()
	other.Stages = []reminder.Stage{-2}
	mustDo(t, f.Replan(t.Context(), policiesOf(other), firstStage, due.At(24*60-1, nairobi), func(int) {}))
	must(f.CopyDue(t.Context(), due.AddDays(-2).At(other.SendAt, nairobi), 10))
	mayScan := []string{"ORDER BY id DESC LIMIT", "ORDER BY phone_id DESC LIMIT", "count(*) FROM due_register"}
	looked := 0
	for _, query := range slices.Sorted(maps.Keys(heard.seen)) {
		_, table, _ := strings.Cut(query, " FROM ")
		if !strings.HasPrefix(query, "SELECT") || slices.Contains(smallTables, table) {
			continue
		}
		plan := planOf(t, f.source, query, heard.seen[query])
		looked++
		if strings.Contains(noTable.ReplaceAllString(plan, ""), "SCAN ") && !slices.ContainsFunc(mayScan, func(part string) bool { return strings.Contains(query, part) }) {
			t.Errorf("%s\nreads a whole table:\n%s", query, plan)
		}
	}
	if looked < 15 {
		t.Errorf("only %d statements were looked at", looked)
	}
}
