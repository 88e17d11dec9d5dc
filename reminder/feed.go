package reminder

import (
	"fmt"
	"regexp"
	"time"
)

// How many answers of Almara Pay must be odd before they speak for the feed of a
// biller, and no longer for their bills.
const (
	FeedSpan = time.Hour // over which answers are counted

	// A feed that fails says 0 of everybody. More than a fifth of the bills of a service
	// that are asked about within an hour, and more than twenty, are many. But on any
	// morning a third of those that owed may have paid since they were last
	// asked about, days before: so it takes four of five of those that owed.
	massPaidShare = 0.2
	massPaidLeast = 20
	massPaidOwing = 0.8

	// One answer in ten that cannot be read is no odd bill any more, but a form that
	// changed.
	unreadShare = 0.1
	unreadLeast = 20

	// feedLeast is how many answers within the hour it takes to say that a feed is
	// right again.
	feedLeast = 20
)

// AnswerCounts counts answers of Almara Pay about the bills of one service by what they say
// of the feed they come from, which is that of its biller.
type AnswerCounts struct {
	All      int // answers
	Asked    int // of them, about bills that were known before and whose due date has not passed
	Owed     int // of Asked: owed something before
	Turned   int // of Owed: owe nothing now
	Returned int // owed nothing before, and owe something of the same due date now
	Unread   int // in which something could not be read
}

// Add counts the answer that made a bill from what it was before, on a day. The
// first answer about a bill turns nothing: there is nothing to compare it with. An answer
// that does not say a due date is no sign of a fault, since the earlier date stays (see
// Bill.Apply) and silences nobody: some billers say it once and never again.
func (c *AnswerCounts) Add(before, b Bill, a Answer, today Date) {
	c.All++
	if a.Problem != "" {
		c.Unread++
	}
	if before.State != BillActive || before.CheckedAt.IsZero() {
		return
	}
	owed, owes := before.Balance != nil && before.Balance.Sign() > 0, b.Balance != nil && b.Balance.Sign() > 0
	if before.Balance != nil && !owed && owes && b.DueDate == before.DueDate {
		c.Returned++
	}
	if before.DueDate.IsZero() || before.DueDate.Before(today) {
		return // payments are expected then, and nothing is texted that they could silence
	}
	c.Asked++
	if owed {
		c.Owed++
	}
	if owed && !owes {
		c.Turned++
	}
}

// MassPaid reports whether the answers of an hour are those of a feed that says of
// everybody that nothing is owed, and not of people who paid.
func (c AnswerCounts) MassPaid() bool {
	lost := float64(c.Turned - c.Returned)
	return lost > max(massPaidLeast, massPaidShare*float64(c.Asked)) && lost >= massPaidOwing*float64(c.Owed)
}

// PaidRight reports whether the feed is right again: the answers of the last hour are as
// usual, and more than half of the bills that had turned since the fault began, which since
// counts, owe again.
func (c AnswerCounts) PaidRight(since AnswerCounts) bool {
	return c.Asked+c.Returned >= feedLeast && !c.MassPaid() && 2*since.Returned >= since.Turned
}

// PaidSentence says to the operator what is odd.
func (c AnswerCounts) PaidSentence() string {
	more := ""
	if c.Returned > 0 {
		more = fmt.Sprintf(", of which %d owe again", c.Returned)
	}
	return fmt.Sprintf("of %d bills that owed something, %d turned to owing nothing%s", c.Owed, c.Turned, more)
}

// Unreadable reports whether so many answers of an hour could not be read that
// their form must have changed.
func (c AnswerCounts) Unreadable() bool {
	return c.Unread >= unreadLeast && float64(c.Unread) > unreadShare*float64(c.All)
}

// ReadRight reports whether the answers of an hour can be read again.
func (c AnswerCounts) ReadRight() bool { return c.All >= feedLeast && !c.Unreadable() }

// longDigits may be a phone or an account.
var longDigits = regexp.MustCompile(`\d{7,}`)

// UnreadSentence says to the operator what is odd, with one problem as an example.
func (c AnswerCounts) UnreadSentence(example string) string {
	return fmt.Sprintf("%d of %d answers within an hour could not be read, such as: %s",
		c.Unread, c.All, longDigits.ReplaceAllString(example, "…"))
}

// FeedFault is a span in which so many bills turned from owing to nothing that what
// Almara Pay said was not believed.
type FeedFault struct {
	Since time.Time
	Until time.Time // zero = it is not over
}

// covers reports whether what was said then is doubted.
func (f FeedFault) covers(at time.Time) bool {
	return !f.Since.IsZero() && !at.Before(f.Since) && (f.Until.IsZero() || at.Before(f.Until))
}

// unbelieved reports whether the bill is said to owe nothing by an answer that is
// doubted.
func (f FeedFault) unbelieved(b *Bill) bool {
	return b.Balance != nil && b.Balance.Sign() <= 0 && f.covers(b.BalanceAt)
}

// retryFeedFault is how often a bill is asked about again whose reminder waits for a
// feed that may be wrong: often enough for a text on the due day once it
// is right, and seldom enough for the many that have paid in truth.
const retryFeedFault = 3 * time.Hour
