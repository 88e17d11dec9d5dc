package reminder

import "time"

// Resume ends a pause. A bill that Almara Pay did not know yet awaits its
// registration again.
func (b *Bill) Resume() {
	b.State = BillActive
	if b.RegisteredAt.IsZero() {
		b.State = BillPending
	}
	b.PausedAt, b.PausedUntil = time.Time{}, time.Time{}
}

// EvalAfterPause is NextEval for a bill whose pause, which began at since, is
// over: stages whose hour came meanwhile are looked at now, also those that are
// of no use any more, so that each ends with a record.
func (p *Policy) EvalAfterPause(b Bill, since time.Time, done []Reminder, now time.Time) time.Time {
	if b.State != BillActive {
		return time.Time{}
	}
	for _, step := range p.Steps(b.DueDate) {
		if step.At.After(since) && !step.At.After(now) && !recordOf(done, b.DueDate, step.Stage).Final() {
			return now
		}
	}
	return p.NextEval(b, done, now)
}

// checkPaused is over what time the calls are spread that learn what happened
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
