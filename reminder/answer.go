package reminder

import (
	"fmt"
	"time"
)

// Change is something new that an answer says of a bill, for its trail.
type Change struct {
	What   string // due_date, balance, customer, verified, not_verified, registered, problem
	Detail string
}

// Apply writes what Almara Pay said into the bill, whose amounts are in the
// currency, and returns what is new.
//
// What Almara Pay does not say does not erase what it said before: a due date
// or balance that is "not known" today leaves the earlier one standing, and
// the balance keeps its age, so that it is not taken for fresh.
func (b *Bill) Apply(a Answer, currency string) []Change {
	var changes []Change
	note := func(what, format string, args ...any) {
		changes = append(changes, Change{what, fmt.Sprintf(format, args...)})
	}
	if b.State == BillPending || (b.State == BillPaused && b.RegisteredAt.IsZero()) {
		b.RegisteredAt = a.At
		note("registered", "accepted by Almara Pay")
	}
	if b.State == BillPending { // what was paused meanwhile stays so
		b.State = BillActive
	}
	if !a.DueDate.IsZero() && a.DueDate != b.DueDate {
		if b.DueDate.IsZero() {
			note("due_date", "due on %s", a.DueDate)
		} else {
			note("due_date", "moved from %s to %s", b.DueDate, a.DueDate)
		}
		b.DueDate = a.DueDate
	}
	if a.Balance != nil {
		switch {
		case b.Balance == nil:
			note("balance", "%s", a.Balance.Format(currency))
		case !b.Balance.Equal(*a.Balance):
			note("balance", "from %s to %s", b.Balance.Format(currency), a.Balance.Format(currency))
		}
		b.Balance, b.BalanceAt = a.Balance, a.At
	}
	if a.Customer != "" && a.Customer != b.Customer {
		note("customer", "%s", a.Customer)
		b.Customer = a.Customer
	}
	if a.Customer == "" && IsNoName(b.Customer) { // as an earlier version kept it
		b.Customer = ""
	}
	if a.Problem != "" && a.Problem != b.LastError {
		note("problem", "%s", a.Problem)
	}
	if a.Verified != nil {
		// That the biller confirms it is what is expected, and no news.
		switch was := b.Verified; {
		case !*a.Verified && (was == nil || *was):
			note("not_verified", "the biller has not confirmed the account")
		case *a.Verified && was != nil && !*was:
			note("verified", "the biller has confirmed the account")
		}
		b.Verified = a.Verified
	}
	b.CheckedAt = a.At
	b.Failures = 0
	b.LastError = a.Problem
	return changes
}

// Fail notes a call about the bill that failed and may be repeated.
func (b *Bill) Fail(why string) {
	b.Failures++
	b.LastError = why
}

// backoff is how long to wait after n failed calls in a row: one minute,
// doubled each time, at most six hours, spread by a quarter so that bills that
// failed together do not come back together.
func (b *Bill) backoff() time.Duration {
	const most = 6 * time.Hour
	wait := time.Minute << min(max(b.Failures-1, 0), 10)
	wait = min(wait, most)
	return wait - time.Duration(spread(b.ID, int64(b.Failures))*float64(wait)/4)
}

// Scatter is an instant within a time after another one: always the same for the
// same bill and instant, and another one for its neighbours. Bad bills lie in a
// row, such as those of one import; what waits for the same end is tried in another
// order, so that they do not all come first.
func Scatter(billID int64, at time.Time, within time.Duration) time.Time {
	return at.Add(time.Duration(spread(billID*neighbours, at.Unix()) * float64(within)))
}

// neighbours are so many bills, numbered one after the other, that they share
// some pages of a store and a batch of calls.
const neighbours = 64

// spread is a number in [0,1) that is always the same for the same bill and
// salt: jitter that a pure function may use. Neighbours keep together, since
// bills that lie all over a large store cost a page each to read and to write;
// their groups are spread more evenly than chance would, by multiples of the
// golden ratio.
func spread(id, salt int64) float64 {
	x := uint64(salt) * 0xbf58476d1ce4e5b9 //nolint:gosec // hashing: wrapping around is wanted
	x ^= x >> 30
	x *= 0xbf58476d1ce4e5b9
	x ^= x >> 27
	x *= 0x94d049bb133111eb
	x ^= x >> 31
	x += uint64(id/neighbours) * 0x9e3779b97f4a7c15 //nolint:gosec // as above
	return float64(x>>11) / (1 << 53)
}
