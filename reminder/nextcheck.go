package reminder

import "time"

// How often a bill is asked about when no stage is near. The aim is few calls
// for each bill and month.
const (
	checkUnknown  = 3 * 24 * time.Hour  // no due date yet
	checkFar      = 12 * 24 * time.Hour // due date ahead, no stage before the next check
	checkJustPast = 2 * 24 * time.Hour  // just passed: the next due date should appear soon
	checkLongPast = 7 * 24 * time.Hour  // long passed
	justPast      = 14                  // days for which a due date has "just passed"
	leadMost      = 2 * time.Hour       // the longest time before a stage at which it is worth asking
)

// NextCheck is when the recheck job should next ask Almara Pay about the bill
// after an answer or a failure at now. It asks shortly before each stage, so
// that the remind job finds the balance fresh and the calls are spread over
// the hour before; seldom while the due date is far; every two days after it
// has passed, since the next one may be known. It is a pure function of the bill: how
// often the job ticks changes nothing.
func (p *Policy) NextCheck(b Bill, now time.Time) time.Time {
	if b.Failures > 0 {
		return now.Add(b.backoff())
	}
	every, onDayAfter := checkFar, false
	switch past := p.dayOf(now).Sub(b.DueDate); {
	case b.DueDate.IsZero():
		every = checkUnknown
	case past > justPast:
		every = checkLongPast
	case past > 0:
		every = checkJustPast
	default:
		onDayAfter = true
	}
	// Up to a tenth earlier, so that bills imported together drift apart.
	next := now.Add(every - time.Duration(spread(b.ID, now.Unix()/3600)*float64(every)/10))

	// On the day after the due date the next one may be known.
	if onDayAfter {
		next = earliest(next, b.DueDate.AddDays(1).At(0, p.Zone).Add(time.Duration(spread(b.ID, 1)*float64(24*time.Hour))))
	}

	// Between a fifth and four fifths of the allowed age before the stage. With
	// no age allowed the remind job asks by itself, and a call now is wasted.
	lead := min(p.MaxBalanceAge, leadMost)
	lead = lead/5 + time.Duration(spread(b.ID, 0)*float64(lead)*3/5)
	if lead == 0 {
		return next
	}
	for _, step := range p.Steps(b.DueDate) {
		if at := step.At.Add(-lead); at.After(now) {
			return earliest(next, at)
		}
	}
	return next
}

// checkPaused is over what time the calls are spread that ask what happened
// during the pause of many bills.
const checkPaused = 6 * time.Hour

// CheckAfterPause is when Almara Pay is asked about a bill that is active again:
// at once, or, for one of many, within hours, but before its next stage as
// ever.
func (p *Policy) CheckAfterPause(b Bill, oneOfMany bool, now time.Time) time.Time {
	if !oneOfMany {
		return now
	}
	b.Failures = 0
	return earliest(now.Add(time.Duration(spread(b.ID, now.Unix()/3600)*float64(checkPaused))), p.NextCheck(b, now))
}
