package reminder

import (
	"fmt"
	"slices"
	"time"
)

// Guards hold texts back on a bad day: a faulty import, a biller's mistake, a
// provider that fails. What a guard holds waits for the operator, who looks
// into it and lets it go; or for the next day or month, where that is the limit.
type Guards struct {
	MaxTextsPerDay int     // 0 = no limit
	Surge          float64 // more than this many times the median day holds; 0 = off
	SurgeFrom      int     // a day of fewer texts is never a surge

	ImplausibleBalance float64 // more than this many times the highest balance believed so far holds; 0 = off
	ImplausibleFrom    Money   // a lower balance is never implausible

	MonthlySegments int     // of the calendar month; 0 = no limit
	MaxFailureRate  float64 // share of the last texts, 0 to 1; 0 = off
}

// GuardState is what holds for all bills alike at one instant: what keeps texts
// from leaving, how many have left, and how they fared.
type GuardState struct {
	Stop       *Stop                // nothing may leave; nil = it may
	FeedFaults map[string]FeedFault // by service: the last span in which it was not believed what is paid
	Today      int                  // texts handed over today, or about to be
	Month      int                  // their segments, in the calendar month
	Median     int                  // texts of the median day; 0 = too little history
	// Recent and Failed count the last texts whose fate is known, and those of
	// them that came to nothing.
	Recent, Failed int
	Filtered       int             // of the failed: taken, and then kept back for their words
	Overridden     map[Reason]bool // guards that the operator has overridden for now
}

// Add counts one more text, of so many segments.
func (s *GuardState) Add(segments int) {
	s.Today++
	s.Month += segments
}

// Stop is a reason for which no text may leave at all.
type Stop struct {
	Reason Reason
	Until  time.Time // it ends by itself; zero = when the operator says so
	Detail string    // for the operator
}

// The history that a guard needs before it judges.
const (
	MedianDays   = 14 // days before today that count
	medianLeast  = 7  // of them with texts
	RecentTexts  = 100
	RecentFor    = 24 * time.Hour
	recentLeast  = 20
	retryFailing = time.Hour
	// retryImplausible is how often a held balance is asked about again: the
	// biller may mend it.
	retryImplausible = 6 * time.Hour
)

// MedianDay is the median of the texts of the days on which any were sent;
// zero when there are too few such days to tell what is usual. Rent that is
// due on one day of the month is no surge.
func MedianDay(texts []int) int {
	days := slices.DeleteFunc(slices.Clone(texts), func(n int) bool { return n <= 0 })
	if len(days) < medianLeast {
		return 0
	}
	slices.Sort(days)
	return days[len(days)/2]
}

// nextMonth is the first day of the month after d's.
func nextMonth(d Date) Date { return NewDate(d.Year(), d.Month()+1, 1) }

// Guarded says whether a text of so many segments must be held for a guard, until
// when, and on which figures. No reason means that it may leave.
func (p *Policy) Guarded(s GuardState, segments int, now time.Time) (reason Reason, until time.Time, figures string) {
	g := &p.Guards
	today := p.dayOf(now)
	surge := max(g.SurgeFrom, int(g.Surge*float64(s.Median)))
	switch {
	case g.MaxTextsPerDay > 0 && s.Today >= g.MaxTextsPerDay && !s.Overridden[DailyLimit]:
		return DailyLimit, p.NextDay(now), fmt.Sprintf("%d texts today, guards.max_texts_per_day is %d", s.Today, g.MaxTextsPerDay)
	case g.Surge > 0 && s.Median > 0 && s.Today >= surge && !s.Overridden[Surge]:
		return Surge, p.NextDay(now), fmt.Sprintf("%d texts today, %d on the median day, guards.surge is %g", s.Today, s.Median, g.Surge)
	case g.MonthlySegments > 0 && s.Month+segments > g.MonthlySegments && !s.Overridden[MonthlyBudget]:
		return MonthlyBudget, p.NextOpen(nextMonth(today).At(p.SendAt, p.Zone)),
			fmt.Sprintf("%d segments this month, guards.monthly_segments is %d", s.Month, g.MonthlySegments)
	case g.failing(s) && !s.Overridden[FailureRate]:
		return FailureRate, now.Add(retryFailing), fmt.Sprintf("%d of the last %d texts came to nothing", s.Failed, s.Recent)
	}
	return "", time.Time{}, ""
}

// failing reports whether too many of the last texts came to nothing.
func (g *Guards) failing(s GuardState) bool {
	return g.MaxFailureRate > 0 && s.Recent >= recentLeast && float64(s.Failed) > g.MaxFailureRate*float64(s.Recent)
}

// OverriddenUntil is when a guard that the operator overrides at now is back: with the
// next day, or the next month where it counts by months. A reason that is no
// such guard gives zero.
func (p *Policy) OverriddenUntil(guard Reason, now time.Time) time.Time {
	today := p.dayOf(now)
	switch guard {
	case DailyLimit, Surge, FailureRate:
		return today.AddDays(1).At(0, p.Zone)
	case MonthlyBudget:
		return nextMonth(today).At(0, p.Zone)
	default:
		return time.Time{}
	}
}

// implausible reports whether the balance is so much higher than any before it
// that the biller may be mistaken.
func (g *Guards) implausible(b *Bill) bool {
	if g.ImplausibleBalance == 0 || b.Balance == nil || b.Usual == nil || b.Usual.Sign() <= 0 {
		return false
	}
	return b.Balance.Cmp(g.ImplausibleFrom) >= 0 && b.Balance.Cmp(b.Usual.Times(g.ImplausibleBalance)) > 0
}

// Believe takes the balance as one that is usual for the bill, unless it is
// implausible. Call it after Apply.
func (b *Bill) Believe(g Guards) {
	if b.Balance != nil && b.Balance.Sign() > 0 && (b.Usual == nil || b.Balance.Cmp(*b.Usual) > 0) && !g.implausible(b) {
		b.Usual = b.Balance
	}
}
