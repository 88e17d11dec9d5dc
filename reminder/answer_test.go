package reminder

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestApply(t *testing.T) {
	then := time.Date(2026, 3, 10, 9, 0, 0, 0, time.UTC)
	now := then.Add(24 * time.Hour)
	owed, less, zero, credit := MustMoney("2315.50"), MustMoney("100"), MustMoney("0"), MustMoney("-20")
	same := MustMoney("2315.5000")
	known := Bill{
		ID: 1, State: BillActive, DueDate: day("2026-03-20"), Balance: &owed, BalanceAt: then, Customer: "Jane Wanjiru", Verified: new(true),
		RegisteredAt: then, CheckedAt: then,
	}
	fresh := func(change func(*Bill)) Bill { // what known becomes by an answer, besides the change
		b := known
		b.CheckedAt = now
		change(&b)
		return b
	}
	full := func(change func(*Answer)) Answer {
		a := Answer{At: now, DueDate: known.DueDate, Balance: &owed, Customer: known.Customer, Verified: new(true)}
		change(&a)
		return a
	}
	tests := map[string]struct {
		before  Bill
		answer  Answer
		want    Bill
		changes []Change
	}{
		"first answer": {Bill{ID: 1, State: BillPending, Failures: 3, LastError: "timeout"}, full(func(*Answer) {}),
			fresh(func(b *Bill) { b.RegisteredAt, b.BalanceAt = now, now }),
			[]Change{{"registered", "accepted by Almara Pay"}, {"due_date", "due on 2026-03-20"}, {"balance", "2,315.50"}, {"customer", "Jane Wanjiru"}}},
		"first answer knows nothing": {Bill{ID: 1, State: BillPending}, Answer{At: now},
			Bill{ID: 1, State: BillActive, RegisteredAt: now, CheckedAt: now}, []Change{{"registered", "accepted by Almara Pay"}}},
		"nothing new": {known, full(func(*Answer) {}), fresh(func(b *Bill) { b.BalanceAt = now }), nil},
		"the same amount in other digits is nothing new": {known, full(func(a *Answer) { a.Balance = &same }),
			fresh(func(b *Bill) { b.Balance, b.BalanceAt = &same, now }), nil},
		"paid": {known, full(func(a *Answer) { a.Balance = &zero }), fresh(func(b *Bill) { b.Balance, b.BalanceAt = &zero, now }),
			[]Change{{"balance", "from 2,315.50 to 0.00"}}},
		"in credit": {known, full(func(a *Answer) { a.Balance = &credit }), fresh(func(b *Bill) { b.Balance, b.BalanceAt = &credit, now }),
			[]Change{{"balance", "from 2,315.50 to -20.00"}}},
		"the balance is not said: the old one keeps its age": {known, full(func(a *Answer) { a.Balance = nil }), fresh(func(*Bill) {}), nil},
		"the due date is not said: the old one stands":       {known, full(func(a *Answer) { a.DueDate = Date{} }), fresh(func(b *Bill) { b.BalanceAt = now }), nil},
		"the name is not said: the old one stands":           {known, full(func(a *Answer) { a.Customer = "" }), fresh(func(b *Bill) { b.BalanceAt = now }), nil},
		"the due date moves forwards": {known, full(func(a *Answer) { a.DueDate = day("2026-04-20") }),
			fresh(func(b *Bill) { b.DueDate, b.BalanceAt = day("2026-04-20"), now }), []Change{{"due_date", "moved from 2026-03-20 to 2026-04-20"}}},
		"the due date moves backwards": {known, full(func(a *Answer) { a.DueDate = day("2020-07-03") }),
			fresh(func(b *Bill) { b.DueDate, b.BalanceAt = day("2020-07-03"), now }), []Change{{"due_date", "moved from 2026-03-20 to 2020-07-03"}}},
		"a new bill: all at once": {known, full(func(a *Answer) { a.DueDate, a.Balance, a.Customer = day("2026-04-20"), &less, "J. Wanjiru" }),
			fresh(func(b *Bill) {
				b.DueDate, b.Balance, b.BalanceAt, b.Customer = day("2026-04-20"), &less, now, "J. Wanjiru"
			}),
			[]Change{{"due_date", "moved from 2026-03-20 to 2026-04-20"}, {"balance", "from 2,315.50 to 100.00"}, {"customer", "J. Wanjiru"}}},
		"something implausible": {known, full(func(a *Answer) { a.DueDate, a.Problem = Date{}, "the due date 9999-12-31 is too far ahead" }),
			fresh(func(b *Bill) { b.BalanceAt, b.LastError = now, "the due date 9999-12-31 is too far ahead" }),
			[]Change{{"problem", "the due date 9999-12-31 is too far ahead"}}},
		"the account is not verified": {known, full(func(a *Answer) { a.Verified = new(false) }),
			fresh(func(b *Bill) { b.Verified, b.BalanceAt = new(false), now }), []Change{{"not_verified", "the biller has not confirmed the account"}}},
		"the account is verified after all": {fresh(func(b *Bill) { b.Verified = new(false) }), full(func(*Answer) {}),
			fresh(func(b *Bill) { b.BalanceAt = now }), []Change{{"verified", "the biller has confirmed the account"}}},
		"verified is not said: the old word stands": {fresh(func(b *Bill) { b.Verified = new(false) }), full(func(a *Answer) { a.Verified = nil }),
			fresh(func(b *Bill) { b.Verified, b.BalanceAt = new(false), now }), nil},
		"a placeholder that was kept as a name goes": {fresh(func(b *Bill) { b.Customer = "N/A" }), full(func(a *Answer) { a.Customer = "" }),
			fresh(func(b *Bill) { b.Customer, b.BalanceAt = "", now }), nil},
		"a paused bill stays paused": {fresh(func(b *Bill) { b.State = BillPaused }), full(func(*Answer) {}),
			fresh(func(b *Bill) { b.State, b.BalanceAt = BillPaused, now }), nil},
		"an answer ends the failures": {fresh(func(b *Bill) { b.Failures, b.LastError = 7, "timeout" }), full(func(*Answer) {}),
			fresh(func(b *Bill) { b.BalanceAt = now }), nil},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			b := tt.before
			changes := b.Apply(tt.answer, "KES")
			if diff := cmp.Diff(tt.want, b, cmp.AllowUnexported(Date{})); diff != "" {
				t.Errorf("the bill (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tt.changes, changes); diff != "" {
				t.Errorf("the changes (-want +got):\n%s", diff)
			}
			if again := b.Apply(tt.answer, "KES"); len(again) > 0 {
				t.Errorf("the same answer again is news: %v", again)
			}
		})
	}
}

// What one bill takes in is not seen in the answer, nor in another copy
// of the bill: rounds keep copies.
func TestApplyLeavesCopiesAlone(t *testing.T) {
	owed, zero := MustMoney("2315.50"), MustMoney("0")
	b := Bill{State: BillActive, Balance: &owed}
	before := b
	b.Apply(Answer{Balance: &zero}, "KES")
	if !before.Balance.Equal(MustMoney("2315.50")) || !b.Balance.Equal(zero) {
		t.Errorf("the copy owes %s, the bill %s", before.Balance, b.Balance)
	}
}

func TestFail(t *testing.T) {
	owed := MustMoney("2315.50")
	at := time.Date(2026, 3, 10, 9, 0, 0, 0, time.UTC)
	b := Bill{State: BillActive, DueDate: day("2026-03-20"), Balance: &owed, BalanceAt: at, CheckedAt: at}
	want := b
	want.Failures, want.LastError = 2, "503 Service Unavailable"
	b.Fail("timeout")
	b.Fail("503 Service Unavailable")
	if diff := cmp.Diff(want, b, cmp.AllowUnexported(Date{})); diff != "" {
		t.Errorf("a failure changed more than it should (-want +got):\n%s", diff)
	}
}

func TestBackoff(t *testing.T) {
	most := map[int]time.Duration{
		0: time.Minute, 1: time.Minute, 2: 2 * time.Minute, 3: 4 * time.Minute, 6: 32 * time.Minute,
		9: 256 * time.Minute, 10: 6 * time.Hour, 11: 6 * time.Hour, 64: 6 * time.Hour, 1 << 40: 6 * time.Hour,
	}
	for failures, want := range most {
		var all []time.Duration
		for id := range int64(1000) {
			b := Bill{ID: id, Failures: failures}
			wait := b.backoff()
			if wait > want || wait < want*3/4 {
				t.Fatalf("bill %d waits %s after %d failures, want %s to %s", id, wait, failures, want*3/4, want)
			}
			if wait != b.backoff() {
				t.Fatalf("bill %d does not always wait the same", id)
			}
			all = append(all, wait)
		}
		if spread := slices.Max(all) - slices.Min(all); spread < want/5 {
			t.Errorf("after %d failures all bills come back within %s", failures, spread)
		}
	}
}

func TestSpread(t *testing.T) {
	var tenths [10]int
	for id := range int64(10_000) {
		for salt := range int64(10) {
			x := spread(id, salt)
			if x < 0 || x >= 1 {
				t.Fatalf("spread(%d, %d) = %g", id, salt, x)
			}
			tenths[int(x*10)]++
		}
	}
	if spread(64, 1) != spread(127, 1) || spread(64, 1) == spread(128, 1) {
		t.Error("neighbours do not keep together, or keep together with others")
	}
	for i, n := range tenths {
		if n < 9_000 || n > 11_000 {
			t.Errorf("%d of 100,000 are in tenth %d", n, i)
		}
	}
}
