package store

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"duewatch/reminder"
)

func declare(t *testing.T, s *Store, source string, want Declared, bills ...reminder.Bill) {
	t.Helper()
	got := must(s.Declare(source, bills, checkedAt))
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("declared by %s (-want +got):\n%s", source, diff)
	}
}

// states lists account, source and state of every bill.
func states(t *testing.T, s *Store) (all []string) {
	t.Helper()
	mustDo(t, s.Bills(t.Context(), BillFilter{}, func(w Watched) error {
		all = append(all, fmt.Sprintf("%s %s %s", strings.TrimLeft(w.Account, "0"), w.Source, w.State))
		return nil
	}))
	return all
}

func TestDeclareAddsChangesAndRemoves(t *testing.T) {
	s := openNew(t)
	declare(t, s, "config", Declared{Added: 3}, billOf(1), billOf(2), billOf(3))
	quiet(t, s, func() { declare(t, s, "config", Declared{}, billOf(3), billOf(2), billOf(1)) })

	moved := billOf(2)
	moved.Phone = phone(22)
	declare(t, s, "config", Declared{Added: 1, Changed: 1, Removed: 2}, moved, billOf(4))
	want := []string{"1 config removed", "2 config pending", "3 config removed", "4 config pending"}
	if diff := cmp.Diff(want, states(t, s)); diff != "" {
		t.Errorf("bills (-want +got):\n%s", diff)
	}
	for _, q := range []queue{dueRegister, dueRecheck, dueRemind} {
		if at := dueAt(t, s, q, 1); !at.IsZero() {
			t.Errorf("a removed bill is in %s", q)
		}
	}
	quiet(t, s, func() { declare(t, s, "config", Declared{}, moved, billOf(4)) })
	if got := number(t, s, "SELECT count(*) FROM events"); got != 7 {
		t.Errorf("%d events, want one for each of 4 added, 1 changed and 2 removed", got)
	}
}

func TestBillsAreCountedByState(t *testing.T) {
	s, p := openNew(t), newPolicy()
	want := map[reminder.BillState]int{"pending": 0, "active": 0, "paused": 0, "rejected": 0, "removed": 0}
	if diff := cmp.Diff(want, must(s.BillsByState(t.Context()))); diff != "" {
		t.Errorf("of an empty store (-want +got):\n%s", diff)
	}
	watch(t, s, p, billOf(1), billOf(2), billOf(3), billOf(4), billOf(5))
	must(s.RecordChecks(policiesOf(p), checkedAt, CheckResult{BillID: 1, Rejected: "closed"}))
	must(s.Pause(t.Context(), BulkOp{Selector: Selector{Account: billOf(2).Account}, At: checkedAt, Who: "x"}, Pause{}))
	declare(t, s, "config", Declared{Added: 2, Removed: 1}, billOf(1), billOf(2), billOf(4), billOf(5), billOf(6), billOf(7))
	want = map[reminder.BillState]int{"pending": 2, "active": 2, "paused": 1, "rejected": 1, "removed": 1}
	if diff := cmp.Diff(want, must(s.BillsByState(t.Context()))); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestDeclareKeepsWhatAlmaraPaySaid(t *testing.T) {
	s, p := openNew(t), newPolicy()
	before := watch(t, s, p, billOf(1))[0]
	edited := billOf(1)
	edited.Language, edited.Description, edited.Phone = "sw", "Shop", phone(9)
	declare(t, s, "config", Declared{Changed: 1}, edited)
	want := before
	want.Language, want.Description, want.Phone = "sw", "Shop", phone(9)
	if diff := cmp.Diff(want, watched(t, s, 1).Bill, cmpTimes); diff != "" {
		t.Errorf("an edited bill (-want +got):\n%s", diff)
	}
	if got := watched(t, s, 1).NextRemind; !got.Equal(firstStage) {
		t.Errorf("its next reminder is at %s, want %s", got, firstStage)
	}
}

// cmpTimes compares instants, whatever their zone.
var cmpTimes = cmp.Options{
	cmp.Comparer(func(a, b time.Time) bool { return a.Equal(b) }),
	cmp.Comparer(func(a, b reminder.Money) bool { return a.Equal(b) }),
	cmp.Comparer(func(a, b reminder.Date) bool { return a == b }),
}

// watched reads one bill.
func watched(t *testing.T, s *Store, id int64) (found Watched) {
	t.Helper()
	mustDo(t, s.Bills(t.Context(), BillFilter{}, func(w Watched) error {
		if w.ID == id {
			found = w
		}
		return nil
	}))
	if found.ID == 0 {
		t.Fatalf("there is no bill %d", id)
	}
	return found
}

func TestDeclareAgain(t *testing.T) {
	edited := billOf(1)
	edited.Phone = phone(9)
	reject := func(_ *testing.T, s *Store, p *reminder.Policy) {
		must(s.RecordChecks(policiesOf(p), checkedAt, CheckResult{BillID: 1, Rejected: "no such account"}))
	}
	remove := func(t *testing.T, s *Store, _ *reminder.Policy) { declare(t, s, "config", Declared{Removed: 1}) }
	for _, tt := range []struct {
		name   string
		before func(*testing.T, *Store, *reminder.Policy)
		bill   reminder.Bill
		want   reminder.BillState
		n      Declared
	}{
		{"rejected, and unchanged", reject, billOf(1), reminder.BillRejected, Declared{}},
		{"rejected, and edited", reject, edited, reminder.BillPending, Declared{Changed: 1}},
		{"removed, and back", remove, billOf(1), reminder.BillPending, Declared{Changed: 1}},
		{"removed, and back edited", remove, edited, reminder.BillPending, Declared{Changed: 1}},
		{"rejected, then removed, and back", func(t *testing.T, s *Store, p *reminder.Policy) { reject(t, s, p); remove(t, s, p) }, billOf(1), reminder.BillPending, Declared{Changed: 1}},
		{"active, and edited", func(*testing.T, *Store, *reminder.Policy) {}, edited, reminder.BillActive, Declared{Changed: 1}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, p := openNew(t), newPolicy()
			watch(t, s, p, billOf(1))
			tt.before(t, s, p)
			declare(t, s, "config", tt.n, tt.bill)
			w := watched(t, s, 1)
			if w.State != tt.want {
				t.Errorf("it is %s, want %s", w.State, tt.want)
			}
			if got, want := !dueAt(t, s, dueRegister, 1).IsZero(), tt.want == reminder.BillPending; got != want {
				t.Errorf("it awaits registration: %v, want %v", got, want)
			}
			if tt.want == reminder.BillPending && w.LastError != "" {
				t.Errorf("it keeps the old error %q", w.LastError)
			}
		})
	}
}

// A stage that was texted stays texted when its bill comes and goes.
func TestDeclareAgainTextsNothingAgain(t *testing.T) {
	s, p := openNew(t), newPolicy()
	ready(t, s, p, billOf(1))
	text(t, s, p, firstStage)
	declare(t, s, "config", Declared{Removed: 1})
	watch(t, s, p, billOf(1))
	l := must(s.DecideDue(t.Context(), roundAt(p, firstStage.Add(time.Hour)), 10))
	if len(l.Texts)+len(l.Ask) != 0 {
		t.Errorf("it is texted again: %+v", l)
	}
}

func TestDeclareTakesOverFromAnotherSource(t *testing.T) {
	s := openNew(t)
	declare(t, s, "import", Declared{Added: 2}, billOf(1), billOf(2))
	declare(t, s, "config", Declared{Changed: 1}, billOf(1))
	want := []string{"1 config pending", "2 import pending"}
	if diff := cmp.Diff(want, states(t, s)); diff != "" {
		t.Errorf("after the takeover (-want +got):\n%s", diff)
	}
	// The first source no longer names it: it is not its to remove.
	declare(t, s, "import", Declared{}, billOf(2))
	if diff := cmp.Diff(want, states(t, s)); diff != "" {
		t.Errorf("after the first source let go (-want +got):\n%s", diff)
	}
}

func TestDeclareIsAllOrNothing(t *testing.T) {
	s := openNew(t)
	declare(t, s, "config", Declared{Added: 1}, billOf(1))
	refuse(t, s, "INSERT", "bills", "new.account LIKE '%7'")
	if _, err := s.Declare("config", []reminder.Bill{billOf(2), billOf(7)}, checkedAt); err == nil {
		t.Error("no error")
	}
	if diff := cmp.Diff([]string{"1 config pending"}, states(t, s)); diff != "" {
		t.Errorf("after a declaration that failed half way (-want +got):\n%s", diff)
	}
}

func TestAnEditOfAPendingBillIsTriedAtOnce(t *testing.T) {
	s, p := openNew(t), newPolicy()
	declare(t, s, "config", Declared{Added: 1}, billOf(1))
	for range 8 {
		must(s.RecordChecks(policiesOf(p), checkedAt, CheckResult{BillID: 1, Failed: "400"}))
	}
	edited := billOf(1)
	edited.Phone = phone(9)
	declare(t, s, "config", Declared{Changed: 1}, edited)
	if at := dueAt(t, s, dueRegister, 1); at.After(checkedAt) {
		t.Errorf("an edited bill waits %s for the failures of what it was before", at.Sub(checkedAt))
	}
}

func TestAnEditOfAHeldBillIsDecidedAtOnce(t *testing.T) {
	s, p := openNew(t), newPolicy()
	p.MaxSegments = 1
	long := billOf(1)
	long.Account = strings.Repeat("8", 170)
	ready(t, s, p, long)
	l := must(s.DecideDue(t.Context(), roundAt(p, firstStage), 10))
	if len(l.Records) != 1 || l.Records[0].Reason != reminder.TooLong {
		t.Fatalf("it is not held as too long: %+v", l.Records)
	}
	edited := long
	edited.Language, edited.Description = "sw", "short"
	must(s.Declare("config", []reminder.Bill{edited}, firstStage))
	if at := dueAt(t, s, dueRemind, 1); at.After(firstStage) {
		t.Errorf("the edited bill is evaluated only in %s", at.Sub(firstStage))
	}
}

func TestBillsFiltersAndPages(t *testing.T) {
	s := openNew(t)
	many := make([]reminder.Bill, 1203) // two full pages and some
	for i := range many {
		many[i] = billOf(i)
	}
	must(s.Declare("config", many, checkedAt))
	other := billOf(5)
	other.Service = "rent"
	must(s.Declare("import", []reminder.Bill{other}, checkedAt))
	must(s.RecordChecks(policiesOf(newPolicy()), checkedAt, CheckResult{BillID: 8, Rejected: "no"}))
	for _, tt := range []struct {
		name string
		f    BillFilter
		want int
	}{
		{"all", BillFilter{}, 1204},
		{"state", BillFilter{State: reminder.BillRejected}, 1},
		{"account at two services", BillFilter{Account: "0000005"}, 2},
		{"account and state", BillFilter{Account: "0000007", State: reminder.BillRejected}, 1},
		{"none", BillFilter{Account: "absent"}, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			seen := make(map[int64]bool)
			last := int64(0)
			mustDo(t, s.Bills(t.Context(), tt.f, func(w Watched) error {
				if w.ID <= last {
					t.Errorf("bill %d came after %d", w.ID, last)
				}
				last = w.ID
				seen[w.ID] = true
				return nil
			}))
			if len(seen) != tt.want {
				t.Errorf("%d bills, want %d", len(seen), tt.want)
			}
		})
	}
}

func TestForeignPhonesAreThoseOfBillsThatAreThere(t *testing.T) {
	s := openNew(t)
	foreign, gone, last := billOf(1), billOf(2), billOf(3)
	foreign.Phone, gone.Phone, last.Phone = "+256710000001", "+256710000002", "+12025550123"
	declare(t, s, "config", Declared{Added: 4}, foreign, gone, last, billOf(4))
	declare(t, s, "config", Declared{Removed: 1}, foreign, last, billOf(4))
	var got []string
	mustDo(t, s.ForeignPhones(t.Context(), "+254", func(p reminder.Phone) { got = append(got, p.E164()) }))
	slices.Sort(got) // they come in no order
	if diff := cmp.Diff([]string{"+12025550123", "+256710000001"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
