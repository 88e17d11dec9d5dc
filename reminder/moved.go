package reminder

import "time"

// The bounds within which a due date that moves may not lead to a further text.
const (
	// smallMove is by how many days a due date moves, at most, and is still the
	// date of the same bill, which is not announced twice. What lies further away is
	// taken for another due date, such as that of the next bill where they
	// come by the week, and has all its stages.
	smallMove = 6
	// QuietDays is for how many days after a text about the bill, the day of the
	// text not counted, no other is sent about a date that has moved: two texts with
	// two dates, a day apart, contradict each other.
	QuietDays = 1
)

// NamedDate is a text that a customer has had about a bill.
type NamedDate struct {
	At      time.Time
	DueDate Date // that it named
}

// NearDates are the first and last due dates that are dates of the same bill as
// this one: what was texted about any of them counts.
func NearDates(due Date) (first, last Date) { return due.AddDays(-smallMove), due.AddDays(smallMove) }

// movedLately reports whether a stage before or after the due day must not be sent at now, since
// a text of today or yesterday named another date for the same bill. The text
// of the due day itself is always sent.
func (n NamedDate) movedLately(due Date, stage Stage, zone *time.Location, now time.Time) bool {
	return stage != 0 && n.contradicts(due, zone, now)
}

// contradicts reports whether a text that names this due date would contradict the
// one that the customer has just had.
func (n NamedDate) contradicts(due Date, zone *time.Location, now time.Time) bool {
	if n.DueDate.IsZero() || n.DueDate == due || n.At.After(now) {
		return false
	}
	if days := due.Sub(n.DueDate); days > smallMove || days < -smallMove {
		return false
	}
	return DateOf(now.In(zone)).Sub(DateOf(n.At.In(zone))) <= QuietDays
}
